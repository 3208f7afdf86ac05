//! What holds of every JSONL file that `ingest` reads. The fuzzer brings them.

use std::path::Path;

use super::shown;
use super::source::{self, Pending};
use crate::proto::v1;
use crate::proto::v1::metadata_value::Value as Sent;

/// Reads a file's lines, but not the pictures that they name.
pub(in crate::cli) fn lines(bytes: &[u8]) {
    let Ok(content) = std::str::from_utf8(bytes) else { return };
    let pending = source::lines(content, Path::new(""));
    assert!(pending.len() <= content.lines().count());
    for pending in &pending {
        let Pending::Line { text, .. } = pending else { panic!("{pending:?} is no line") };
        if let Ok((item, _)) = source::parsed(text) {
            again(item);
        }
    }
}

/// What is shown of an item is read as the item again. Numbers are left out: as texts they may lose
/// their last digit.
fn again(mut item: v1::EvidenceItem) {
    item.metadata.retain(|name, value| {
        let Some(Sent::Number(number)) = value.value else { return true };
        assert!(number.is_finite(), "{name} is {number}");
        false
    });
    let line = shown::item_json(&item).to_string();
    let (read, picture) = source::parsed(&line).expect("what is shown can be read");
    assert!(picture.is_none(), "{line}");
    assert_eq!(read, item, "{line}");
}
