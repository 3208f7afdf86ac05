//! What the fuzzer reaches beside the public interface; for nobody else.

/// A stream's window over any events. Panics where its contract is broken.
pub fn stream_window(bytes: &[u8]) {
    super::stream::fuzz(bytes);
}
