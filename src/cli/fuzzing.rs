//! What the fuzzer reaches beside the public interface; for nobody else.

/// The lines of a file that `veriframe evidence ingest` reads. Panics where one of them is read as
/// an item that it is not.
pub fn evidence_lines(bytes: &[u8]) {
    super::evidence::fuzz::lines(bytes);
}
