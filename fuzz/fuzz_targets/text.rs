//! See `targets::text`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::text(data));
