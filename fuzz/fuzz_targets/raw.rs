//! See `targets::raw`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::raw(data));
