//! What the fuzzer reaches beside the public interface; for nobody else.

/// A stream's window over any events. Panics where its contract is broken.
pub fn stream_window(bytes: &[u8]) {
    super::stream::fuzz(bytes);
}

/// A filter of evidence as it comes over the wire, down to what the store asks its index. Panics
/// where that is nothing to ask, or the filter is refused by a path that it has not.
pub fn evidence_filter(bytes: &[u8]) {
    super::evidence::fuzz::filter(bytes);
}

/// An item, a search or a collection's options as they come over the wire; the first byte tells
/// which. Panics where what is let through breaks a limit, or an item changes on its way.
pub fn evidence_request(bytes: &[u8]) {
    super::evidence::fuzz::request(bytes);
}
