//! Collections, items, hits and outcomes as they go.

use super::items::path;
use crate::evidence::{Collection, Item, Place, Quantisation, Statistics, Value};
use crate::proto::v1;
use crate::proto::v1::metadata_value::Value as Sent;
use crate::retrieval::{Found, Outcome};
use crate::server::respond;
use crate::server::status::retrieval_failed;
use crate::vision::boxes::Rect;

pub(super) fn collection(collection: Collection, statistics: Statistics) -> v1::Collection {
    let Collection { name, model, options, created_ms, fields: _ } = collection;
    let Statistics { items, texts, images, regions, indexed, disk_bytes, chunks: _ } = statistics;
    v1::Collection {
        name,
        dimension: model.dimension as u32,
        model: Some(v1::ModelIdentity {
            name: model.name,
            version: String::new(),
            checksum: model.checksum,
        }),
        options: Some(v1::CollectionOptions {
            keep_images: Some(options.keep_images),
            detector: options.detector,
            min_confidence: Some(options.min_confidence),
            quantised: options.quantisation == Quantisation::Scalar,
        }),
        created: Some(timestamp(created_ms)),
        statistics: Some(v1::CollectionStatistics {
            items,
            text_chunks: texts,
            image_chunks: images,
            region_chunks: regions,
            disk_bytes,
            indexed_chunks: indexed,
        }),
    }
}

/// An item, with its picture where there is one to give.
pub(super) fn item(item: &Item, picture: Option<Vec<u8>>) -> v1::EvidenceItem {
    let encoded =
        |bytes: Vec<u8>| v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) };
    let values = item.metadata.iter().map(|(name, value)| (name.clone(), metadata(value)));
    v1::EvidenceItem {
        id: item.id.clone(),
        text: item.text.clone().unwrap_or_default(),
        image: picture.map(encoded),
        source_uri: item.source.clone(),
        title: item.title.clone(),
        time: item.time_ms.map(timestamp),
        metadata: values.collect(),
    }
}

pub(super) fn hit(found: Found) -> v1::EvidenceHit {
    let Found { hit, text } = found;
    v1::EvidenceHit {
        item: Some(item(&hit.item, None)),
        chunk: Some(chunk(&hit.place)),
        text: text.unwrap_or_default(),
        score: hit.score,
    }
}

/// What became of an item; `at` is its place in the request: `items[3]`.
pub(super) fn outcome(outcome: Outcome, at: &str) -> v1::ItemResult {
    let Outcome { id, result } = outcome;
    match result {
        Ok(put) => v1::ItemResult {
            id,
            chunks: put.places.iter().map(chunk).collect(),
            ..v1::ItemResult::default()
        },
        Err(error) => {
            let status = retrieval_failed(&error.renamed(|field| path(field, at)));
            let (code, message) = (status.code().into(), status.message().to_owned());
            v1::ItemResult { id, code, message, chunks: Vec::new() }
        }
    }
}

fn chunk(place: &Place) -> v1::Chunk {
    match place {
        Place::Text { start, end } => v1::Chunk {
            kind: v1::ChunkKind::Text.into(),
            start_byte: *start as u64,
            end_byte: *end as u64,
            ..v1::Chunk::default()
        },
        Place::Image => v1::Chunk { kind: v1::ChunkKind::Image.into(), ..v1::Chunk::default() },
        Place::Region { region: [x1, y1, x2, y2], class, confidence } => v1::Chunk {
            kind: v1::ChunkKind::Region.into(),
            r#box: Some(respond::rect(Rect::new(*x1, *y1, *x2, *y2))),
            label: class.clone(),
            confidence: *confidence,
            ..v1::Chunk::default()
        },
    }
}

fn metadata(value: &Value) -> v1::MetadataValue {
    let value = match value {
        Value::Text(text) => Sent::Text(text.clone()),
        Value::Number(number) => Sent::Number(*number),
        Value::Flag(flag) => Sent::Flag(*flag),
        Value::Texts(values) => Sent::Texts(v1::TextList { values: values.clone() }),
    };
    v1::MetadataValue { value: Some(value) }
}

fn timestamp(milliseconds: i64) -> prost_types::Timestamp {
    prost_types::Timestamp {
        seconds: milliseconds.div_euclid(1000),
        nanos: milliseconds.rem_euclid(1000) as i32 * 1_000_000,
    }
}
