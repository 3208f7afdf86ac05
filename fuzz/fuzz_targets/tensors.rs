//! See `targets::tensors`.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| targets::tensors(data));
