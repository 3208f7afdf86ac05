//! An item as points: the one data model of the embedded store and the cluster.
//!
//! An item is one *record* (no vector, the item in its payload), one point for each embedding
//! (vector, place, and what filters look at), and one for a kept picture's bytes. They share a
//! *generation*, drawn anew each time the item is written; the record says which one counts. So a
//! reader who sees the new points before the record, or old ones after it, can tell.

use base64::Engine;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::{Map, Value as Json, json};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::types::{Embedded, Image, Item, Place};

/// The name of the only vector.
pub(super) const VECTOR: &str = "embedding";

/// Payload keys that filters use, with what their index is: texts or numbers.
pub(super) const INDEXED: [(&str, bool); 5] =
    [("item", true), ("role", true), ("kind", true), ("source", true), ("time_ms", false)];

pub(super) const RECORD: &str = "record";
pub(super) const CHUNK: &str = "chunk";
const PICTURE: &str = "picture";

/// A point before it takes the form that a store wants.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) id: Uuid,
    pub(super) vector: Option<Vec<f32>>,
    pub(super) payload: Map<String, Json>,
}

/// A record as it is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Record {
    pub(super) item: Item,
    pub(super) generation: String,
}

/// A chunk as it is read.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Found {
    pub(super) item: String,
    pub(super) generation: String,
    pub(super) place: Place,
}

/// The id of an item's record, the same whatever generation.
pub(super) fn record_id(item: &str) -> Uuid {
    derive(&["record", item])
}

/// The id of the point in which a cluster's collection says what it is.
pub(super) fn about_id() -> Uuid {
    derive(&["about"])
}

/// The id of a kept picture.
pub(super) fn picture_id(item: &str, generation: &str) -> Uuid {
    derive(&["picture", item, generation])
}

/// The points of an item, its record last: whoever writes them in order commits with it.
pub(super) fn encode(embedded: Embedded, generation: &str) -> Vec<Point> {
    let Embedded { mut item, chunks } = embedded;
    let mut points = Vec::with_capacity(chunks.len() + 2);
    if let Some(Image::Bytes(bytes)) = &item.image {
        let mut payload = common(PICTURE, &item.id, generation);
        payload.insert("bytes".into(), BASE64.encode(bytes).into());
        points.push(Point { id: picture_id(&item.id, generation), vector: None, payload });
        item.image = Some(Image::Kept { bytes: bytes.len() as u64 });
    }
    let mut kinds: Vec<&str> = Vec::new();
    for (index, chunk) in chunks.into_iter().enumerate() {
        let kind = chunk.place.kind();
        if !kinds.contains(&kind) {
            kinds.push(kind);
        }
        let mut payload = filtered(CHUNK, &item, generation);
        payload.insert("kind".into(), kind.into());
        payload.insert("place".into(), json!(chunk.place));
        let id = derive(&["chunk", &item.id, generation, &index.to_string()]);
        points.push(Point { id, vector: Some(chunk.vector), payload });
    }
    let mut payload = filtered(RECORD, &item, generation);
    payload.insert("kind".into(), json!(kinds));
    payload.insert("body".into(), json!(item));
    points.push(Point { id: record_id(&item.id), vector: None, payload });
    points
}

/// Reads a record's payload.
pub(super) fn record(mut payload: Map<String, Json>) -> Result<Record, String> {
    let generation = text(&mut payload, "generation")?;
    let body = payload.remove("body").ok_or("a record has no body")?;
    let item = serde_json::from_value(body).map_err(|error| format!("a record's body: {error}"))?;
    Ok(Record { item, generation })
}

/// Reads a chunk's payload.
pub(super) fn found(mut payload: Map<String, Json>) -> Result<Found, String> {
    let place = payload.remove("place").ok_or("a chunk has no place")?;
    Ok(Found {
        item: text(&mut payload, "item")?,
        generation: text(&mut payload, "generation")?,
        place: serde_json::from_value(place)
            .map_err(|error| format!("a chunk's place: {error}"))?,
    })
}

/// Reads a kept picture's payload.
pub(super) fn picture(mut payload: Map<String, Json>) -> Result<Vec<u8>, String> {
    let bytes = text(&mut payload, "bytes")?;
    BASE64.decode(bytes).map_err(|error| format!("a picture's bytes: {error}"))
}

fn common(role: &str, item: &str, generation: &str) -> Map<String, Json> {
    let mut payload = Map::new();
    payload.insert("role".into(), role.into());
    payload.insert("item".into(), item.into());
    payload.insert("generation".into(), generation.into());
    payload
}

fn filtered(role: &str, item: &Item, generation: &str) -> Map<String, Json> {
    let mut payload = common(role, &item.id, generation);
    if !item.source.is_empty() {
        payload.insert("source".into(), item.source.as_str().into());
    }
    if let Some(time_ms) = item.time_ms {
        payload.insert("time_ms".into(), time_ms.into());
    }
    if !item.metadata.is_empty() {
        payload.insert("metadata".into(), json!(item.metadata));
    }
    payload
}

fn text(payload: &mut Map<String, Json>, key: &str) -> Result<String, String> {
    match payload.remove(key) {
        Some(Json::String(text)) => Ok(text),
        _ => Err(format!("a point has no {key}")),
    }
}

/// 128 bits of a SHA-256 over the parts, each closed by its length: stores name points by UUID.
fn derive(parts: &[&str]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update(part.as_bytes());
        hash.update((part.len() as u64).to_le_bytes());
    }
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&hash.finalize()[..16]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::super::types::{Chunk, Value};
    use super::*;

    #[test]
    fn an_item_comes_back_from_its_points() {
        let item = Item {
            id: "a/1".into(),
            text: Some("눈동자가 다르다".into()),
            image: Some(Image::Bytes(vec![1, 2, 3])),
            source: "https://example.org/a".into(),
            title: "A".into(),
            time_ms: Some(5),
            metadata: BTreeMap::from([
                ("year".into(), Value::Number(2024.0)),
                ("tags".into(), Value::Texts(vec!["eye".into()])),
                ("checked".into(), Value::Flag(false)),
                ("author".into(), Value::Text("Kim".into())),
            ]),
        };
        let region =
            Place::Region { region: [0.0, 1.0, 2.0, 3.0], class: "eye".into(), confidence: 0.5 };
        let chunk = |place| Chunk { place, vector: vec![1.0, 2.0] };
        let chunks = vec![chunk(Place::Text { start: 0, end: 3 }), chunk(region.clone())];
        let points = encode(Embedded { item: item.clone(), chunks }, "g");
        assert_eq!(points.len(), 4);

        let last = points.last().unwrap();
        assert_eq!((last.id, &last.vector), (record_id("a/1"), &None));
        assert_eq!(last.payload["kind"], json!(["text", "region"]));
        let record = record(last.payload.clone()).unwrap();
        let kept = Item { image: Some(Image::Kept { bytes: 3 }), ..item };
        assert_eq!(record, Record { item: kept, generation: "g".into() });

        assert_eq!(points[0].id, picture_id("a/1", "g"));
        assert_eq!(picture(points[0].payload.clone()).unwrap(), [1, 2, 3]);
        let chunk = found(points[2].payload.clone()).unwrap();
        assert_eq!(chunk, Found { item: "a/1".into(), generation: "g".into(), place: region });
        assert_eq!(points[2].payload["metadata"]["tags"], json!(["eye"]));
    }

    #[test]
    fn no_two_points_share_an_id() {
        assert_ne!(derive(&["chunk", "ab", "c"]), derive(&["chunk", "a", "bc"]));
        assert_ne!(record_id("a"), record_id("b"));
        assert_ne!(picture_id("a", "1"), picture_id("a", "2"));
    }

    #[test]
    fn a_payload_that_is_none_of_ours_is_an_error() {
        assert!(record(Map::new()).unwrap_err().contains("no generation"));
        assert!(found(Map::new()).unwrap_err().contains("no place"));
        assert!(picture(Map::new()).unwrap_err().contains("no bytes"));
    }
}
