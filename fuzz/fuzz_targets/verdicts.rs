//! See `targets::verdicts`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::verdicts(data));
