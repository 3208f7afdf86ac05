//! Items, hits and collections as tables and JSON show them.

use bytesize::ByteSize;
use serde_json::{Map, Value, json};

use crate::proto::v1;
use crate::proto::v1::metadata_value::Value as Sent;

/// Characters of a text in a table.
const SNIPPET: usize = 60;

pub(super) fn collection_row(collection: &v1::Collection) -> Vec<String> {
    let model = collection.model.clone().unwrap_or_default();
    let statistics = collection.statistics.unwrap_or_default();
    let checksum: String = model.checksum.chars().take(12).collect();
    vec![
        collection.name.clone(),
        format!("{} ({checksum})", model.name),
        collection.dimension.to_string(),
        statistics.items.to_string(),
        statistics.text_chunks.to_string(),
        statistics.image_chunks.to_string(),
        statistics.region_chunks.to_string(),
        ByteSize(statistics.disk_bytes).to_string(),
    ]
}

pub(super) fn collection_json(collection: &v1::Collection) -> Value {
    let model = collection.model.clone().unwrap_or_default();
    let statistics = collection.statistics.unwrap_or_default();
    let options = collection.options.clone().unwrap_or_default();
    json!({
        "name": collection.name,
        "model": { "name": model.name, "checksum": model.checksum },
        "dimension": collection.dimension,
        "options": {
            "keep_images": options.keep_images, "detector": options.detector,
            "min_confidence": options.min_confidence, "quantised": options.quantised,
        },
        "created": collection.created.map(|time| time.to_string()),
        "items": statistics.items, "text_chunks": statistics.text_chunks,
        "image_chunks": statistics.image_chunks, "region_chunks": statistics.region_chunks,
        "indexed_chunks": statistics.indexed_chunks, "disk_bytes": statistics.disk_bytes,
    })
}

pub(super) fn item_row(item: &v1::EvidenceItem) -> Vec<String> {
    vec![
        item.id.clone(),
        snippet(&item.text),
        item.title.clone(),
        item.source_uri.clone(),
        item.time.map(|time| time.to_string()).unwrap_or_default(),
    ]
}

/// As a line of a JSONL file that `ingest` reads, but for the picture.
pub(super) fn item_json(item: &v1::EvidenceItem) -> Value {
    let metadata: Map<String, Value> = item
        .metadata
        .iter()
        .filter_map(|(name, value)| Some((name.clone(), value_json(value.value.as_ref()?))))
        .collect();
    json!({
        "id": item.id, "text": item.text, "source_uri": item.source_uri, "title": item.title,
        "time": item.time.map(|time| time.to_string()), "metadata": metadata,
    })
}

fn value_json(value: &Sent) -> Value {
    match value {
        Sent::Text(text) => json!(text),
        Sent::Number(number) => json!(number),
        Sent::Flag(flag) => json!(flag),
        Sent::Texts(list) => json!(list.values),
    }
}

pub(super) fn hit_row(hit: &v1::EvidenceHit) -> Vec<String> {
    let item = hit.item.clone().unwrap_or_default();
    let chunk = hit.chunk.clone().unwrap_or_default();
    vec![
        format!("{:.4}", hit.score),
        item.id,
        place(&chunk),
        snippet(if hit.text.is_empty() { &item.text } else { &hit.text }),
        item.source_uri,
    ]
}

pub(super) fn hit_json(hit: &v1::EvidenceHit) -> Value {
    let chunk = hit.chunk.clone().unwrap_or_default();
    let edges = chunk.r#box.map(|edges| [edges.x1, edges.y1, edges.x2, edges.y2]);
    json!({
        "score": hit.score, "kind": kind(&chunk), "text": hit.text,
        "bytes": (chunk.kind() == v1::ChunkKind::Text)
            .then_some([chunk.start_byte, chunk.end_byte]),
        "box": edges, "label": chunk.label, "confidence": chunk.confidence,
        "item": hit.item.as_ref().map(item_json),
    })
}

fn kind(chunk: &v1::Chunk) -> &'static str {
    match chunk.kind() {
        v1::ChunkKind::Text => "text",
        v1::ChunkKind::Image => "image",
        v1::ChunkKind::Region => "region",
        v1::ChunkKind::Unspecified => "unknown",
    }
}

/// Where in its item a chunk is.
fn place(chunk: &v1::Chunk) -> String {
    match chunk.kind() {
        v1::ChunkKind::Text => format!("bytes {}–{}", chunk.start_byte, chunk.end_byte),
        v1::ChunkKind::Region => {
            let edges = chunk.r#box.unwrap_or_default();
            format!(
                "{} at {:.0}, {:.0}, {:.0}, {:.0}",
                chunk.label, edges.x1, edges.y1, edges.x2, edges.y2
            )
        }
        v1::ChunkKind::Image | v1::ChunkKind::Unspecified => kind(chunk).to_owned(),
    }
}

/// The beginning of a text, on one line.
fn snippet(text: &str) -> String {
    let line: Vec<&str> = text.split_whitespace().take(SNIPPET).collect();
    let line = line.join(" ");
    let mut shown: String = line.chars().take(SNIPPET).collect();
    if shown.len() < line.len() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snippet_is_one_line_that_ends_on_a_character() {
        assert_eq!(snippet("a\n b\tc"), "a b c");
        let long = snippet(&"눈".repeat(100));
        assert_eq!((long.chars().count(), long.ends_with('…')), (61, true));
    }
}
