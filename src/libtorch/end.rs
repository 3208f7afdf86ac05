//! The end of a process whose threads may still compute.
#![expect(unsafe_code, reason = "_exit is the C library's, not Rust's")]

/// Ends the process at once with this exit code. Unlike a normal exit it tears nothing down:
/// libtorch's own end, under a thread that still computes, may crash and spoil the exit code.
pub fn end_process(code: i32) -> ! {
    unsafe extern "C" {
        /// <https://man7.org/linux/man-pages/man2/_exit.2.html>
        safe fn _exit(code: std::ffi::c_int) -> !;
    }
    _exit(code)
}
