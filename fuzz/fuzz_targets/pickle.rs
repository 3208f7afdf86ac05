//! See `targets::pickle`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::pickle(data));
