//! Memory back to the system after a model is gone.
#![expect(unsafe_code, reason = "malloc_trim is the C library's, not Rust's")]

/// Gives free memory of the C library's heap back to the system. Left alone, glibc keeps what a
/// model's tensors leave between longer-lived pieces, and a server that swaps models seems to grow.
///
/// Walks the whole heap: for moments such as after an unload. Elsewhere than with glibc it does
/// nothing.
pub fn release_memory() {
    #[cfg(target_env = "gnu")]
    {
        unsafe extern "C" {
            /// <https://man7.org/linux/man-pages/man3/malloc_trim.3.html>
            safe fn malloc_trim(pad_bytes: usize) -> std::ffi::c_int;
        }
        // Whether anything was free is no news.
        malloc_trim(0);
    }
}
