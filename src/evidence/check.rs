//! What the store takes: names, items, vectors and requests within their limits.

use std::collections::BTreeMap;

use super::config::Limits;
use super::error::Error;
use super::types::{
    Chunk, Collection, Embedded, FieldType, Image, Item, Model, Options, Place, Value,
};

const LONGEST_ID_BYTES: usize = 256;
const LONGEST_URI_BYTES: usize = 2048;
const LONGEST_NAME: usize = 64;
/// What the index can hold; it bounds the memory that one vector asks for.
const LARGEST_DIMENSION: usize = 65_536;

/// A collection's name: it becomes a folder's.
pub(super) fn name(name: &str) -> Result<(), Error> {
    let fits = |sign: char| sign.is_ascii_lowercase() || sign.is_ascii_digit();
    let first = name.chars().next().is_some_and(fits);
    if first && name.len() <= LONGEST_NAME && name.chars().all(|c| fits(c) || "_-".contains(c)) {
        return Ok(());
    }
    Err(Error::invalid(
        "collection",
        format!(
            "'{}' is no name: 1 to {LONGEST_NAME} of a-z, 0-9, _ and -, first a letter or digit",
            name.chars().take(LONGEST_NAME).collect::<String>()
        ),
    ))
}

/// A new collection's model.
pub(super) fn model(model: &Model) -> Result<(), Error> {
    if model.name.is_empty() || model.name.len() > LONGEST_ID_BYTES {
        let reason = format!("has {} bytes, must have 1 to {LONGEST_ID_BYTES}", model.name.len());
        return Err(Error::invalid("model.name", reason));
    }
    if model.checksum.len() > LONGEST_ID_BYTES {
        let reason = format!("has {} bytes, limit {LONGEST_ID_BYTES}", model.checksum.len());
        return Err(Error::invalid("model.checksum", reason));
    }
    if !(1..=LARGEST_DIMENSION).contains(&model.dimension) {
        let reason = format!("is {}, must be 1 to {LARGEST_DIMENSION}", model.dimension);
        return Err(Error::invalid("model.dimension", reason));
    }
    Ok(())
}

/// What a new collection is to keep.
pub(super) fn options(options: &Options) -> Result<(), Error> {
    let bytes = options.detector.as_ref().map_or(0, String::len);
    Error::at_most("options.detector", "bytes", bytes, LONGEST_ID_BYTES)?;
    let confidence = options.min_confidence;
    if !(0.0..=1.0).contains(&confidence) {
        let reason = format!("is {confidence}, must be 0 to 1");
        return Err(Error::invalid("options.min_confidence", reason));
    }
    Ok(())
}

/// The model of vectors that come with a request, where it says which.
pub(super) fn same_model(collection: &Collection, found: Option<&Model>) -> Result<(), Error> {
    match found {
        Some(found) if *found != collection.model => Err(Error::ModelMismatch {
            collection: collection.name.clone(),
            expected: collection.model.to_string(),
            found: found.to_string(),
        }),
        _ => Ok(()),
    }
}

/// A vector that has a direction, of the collection's dimension.
pub(super) fn vector(field: &str, vector: &[f32], dimension: usize) -> Result<(), Error> {
    if vector.len() != dimension {
        return Err(Error::WrongDimension {
            field: field.to_owned(),
            expected: dimension,
            found: vector.len(),
        });
    }
    if let Some(at) = vector.iter().position(|value| !value.is_finite()) {
        let reason = format!("is {}, must be finite", vector[at]);
        return Err(Error::invalid(format!("{field}[{at}]"), reason));
    }
    let norm = vector.iter().map(|value| f64::from(*value).powi(2)).sum::<f64>().sqrt();
    // Beyond these the index's own f32 norm would be 0 or infinite.
    if !(1e-18..=1e18).contains(&norm) {
        return Err(Error::invalid(field, format!("has length {norm:e}, so no direction")));
    }
    Ok(())
}

/// How many hits or items are asked for.
pub(super) fn page(limit: usize, offset: usize, limits: &Limits) -> Result<(), Error> {
    let most = limits.max_hits;
    if limit == 0 || limit > most {
        return Err(Error::invalid("limit", format!("is {limit}, must be 1 to {most}")));
    }
    if limit.saturating_add(offset) > most {
        let reason = format!("is {offset} with limit {limit}, together at most {most}");
        return Err(Error::invalid("offset", reason));
    }
    Ok(())
}

/// An item with its embeddings. Paths begin with `item`.
pub(super) fn embedded(item: &Embedded, dimension: usize, limits: &Limits) -> Result<(), Error> {
    self::item(&item.item, limits)?;
    if item.chunks.is_empty() {
        return Err(Error::invalid("item.chunks", "is empty: nothing would ever find the item"));
    }
    Error::at_most("item.chunks", "embeddings", item.chunks.len(), limits.max_chunks)?;
    for (index, chunk) in item.chunks.iter().enumerate() {
        let field = format!("item.chunks[{index}]");
        self::chunk(&field, chunk, &item.item)?;
        vector(&format!("{field}.vector"), &chunk.vector, dimension)?;
    }
    Ok(())
}

/// An item's own name, as requests give it.
pub(super) fn id(field: &str, id: &str) -> Result<(), Error> {
    if id.is_empty() || id.len() > LONGEST_ID_BYTES {
        let reason = format!("has {} bytes, must have 1 to {LONGEST_ID_BYTES}", id.len());
        return Err(Error::invalid(field, reason));
    }
    Ok(())
}

/// An item without its embeddings. Paths begin with `item`.
pub(super) fn item(item: &Item, limits: &Limits) -> Result<(), Error> {
    id("item.id", &item.id)?;
    if item.text.as_ref().is_none_or(String::is_empty) && item.image.is_none() {
        return Err(Error::invalid("item", "has neither a text nor an image"));
    }
    let bytes = item.text.as_ref().map_or(0, String::len);
    Error::at_most("item.text", "bytes", bytes, limits.max_text_bytes)?;
    match &item.image {
        Some(Image::Bytes(bytes)) if bytes.is_empty() => {
            return Err(Error::invalid("item.image", "has no bytes"));
        }
        Some(Image::Bytes(bytes)) => {
            Error::at_most("item.image", "bytes", bytes.len(), limits.max_image_bytes)?;
        }
        Some(Image::Uri(uri)) => {
            Error::at_most("item.image", "bytes", uri.len(), LONGEST_URI_BYTES)?;
        }
        Some(Image::Kept { .. }) => {
            return Err(Error::invalid("item.image", "has no bytes, only says that they are kept"));
        }
        None => {}
    }
    Error::at_most("item.source", "bytes", item.source.len(), LONGEST_URI_BYTES)?;
    Error::at_most("item.title", "bytes", item.title.len(), LONGEST_URI_BYTES)?;
    metadata(&item.metadata, limits)
}

fn metadata(metadata: &BTreeMap<String, Value>, limits: &Limits) -> Result<(), Error> {
    let mut bytes = 0;
    for (name, value) in metadata {
        let path = format!("item.metadata.{}", name.chars().take(LONGEST_NAME).collect::<String>());
        let word = |sign: char| sign.is_ascii_alphanumeric() || sign == '_';
        let digit_first = name.starts_with(|sign: char| sign.is_ascii_digit());
        if name.is_empty() || name.len() > LONGEST_NAME || digit_first || !name.chars().all(word) {
            let reason =
                format!("is no name: 1 to {LONGEST_NAME} of A-Z, a-z, 0-9 and _, no digit first");
            return Err(Error::invalid(path, reason));
        }
        bytes += name.len()
            + match value {
                Value::Number(number) if !number.is_finite() => {
                    return Err(Error::invalid(path, format!("is {number}, must be finite")));
                }
                Value::Number(_) | Value::Flag(_) => 8,
                Value::Text(text) => text.len(),
                Value::Texts(texts) => texts.iter().map(|text| text.len() + 8).sum(),
            };
    }
    Error::at_most("item.metadata", "bytes", bytes, limits.max_metadata_bytes)
}

fn chunk(field: &str, chunk: &Chunk, item: &Item) -> Result<(), Error> {
    match &chunk.place {
        Place::Text { start, end } => {
            let text = item.text.as_deref().unwrap_or_default();
            if start >= end || text.get(*start..*end).is_none() {
                let reason = format!(
                    "is {start}..{end}, must lie on characters of a text of {} bytes",
                    text.len()
                );
                return Err(Error::invalid(format!("{field}.place"), reason));
            }
        }
        Place::Image | Place::Region { .. } if item.image.is_none() => {
            let reason = format!("is {} of an item without an image", chunk.place.kind());
            return Err(Error::invalid(format!("{field}.place"), reason));
        }
        Place::Image => {}
        Place::Region { region, class, confidence } => {
            let [left, top, right, bottom] = *region;
            let ordered = left < right && top < bottom && left >= 0.0 && top >= 0.0;
            if !ordered || !right.is_finite() || !bottom.is_finite() {
                let reason = format!("is {region:?}, must be left < right and top < bottom");
                return Err(Error::invalid(format!("{field}.place.region"), reason));
            }
            let path = format!("{field}.place.class");
            Error::at_most(&path, "bytes", class.len(), LONGEST_ID_BYTES)?;
            if !(0.0..=1.0).contains(confidence) {
                let reason = format!("is {confidence}, must be 0 to 1");
                return Err(Error::invalid(format!("{field}.place.confidence"), reason));
            }
        }
    }
    Ok(())
}

/// The collection's fields with those that the item adds; none where it adds none.
pub(super) fn fields(
    fields: &BTreeMap<String, FieldType>,
    item: &Item,
    limits: &Limits,
) -> Result<Option<BTreeMap<String, FieldType>>, Error> {
    let mut more = None;
    for (name, value) in &item.metadata {
        let found = value.field_type();
        match fields.get(name) {
            Some(field_type) if *field_type != found => {
                return Err(Error::invalid(
                    format!("item.metadata.{name}"),
                    format!("is {found}, but holds {field_type} in this collection"),
                ));
            }
            Some(_) => {}
            None => {
                more.get_or_insert_with(|| fields.clone()).insert(name.clone(), found);
            }
        }
    }
    if let Some(more) = &more {
        let what = "metadata fields in the collection";
        Error::at_most("item.metadata", what, more.len(), limits.max_fields)?;
    }
    Ok(more)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passage() -> Embedded {
        let text = Some("가나다 abc".to_owned());
        let item = Item { id: "a".into(), text, ..Item::default() };
        let place = Place::Text { start: 0, end: 9 };
        Embedded { item, chunks: vec![Chunk { place, vector: vec![1.0, 0.0] }] }
    }

    fn refused(change: impl FnOnce(&mut Embedded)) -> String {
        let mut item = passage();
        change(&mut item);
        embedded(&item, 2, &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn items_are_refused_with_the_path_the_value_and_the_limit() {
        embedded(&passage(), 2, &Limits::default()).unwrap();
        let check = |change: fn(&mut Embedded), expected: &str| {
            let found = refused(change);
            assert!(found.contains(expected), "{found}");
        };
        check(|i| i.item.id.clear(), "item.id: has 0 bytes, must have 1 to 256");
        check(|i| i.item.text = None, "item: has neither a text nor an image");
        check(
            |i| i.item.text = Some("x".repeat(2 << 20)),
            "item.text: has 2097152 bytes, limit 262144",
        );
        check(|i| i.item.image = Some(Image::Kept { bytes: 1 }), "only says that they are kept");
        check(|i| i.chunks.clear(), "item.chunks: is empty");
        check(|i| i.chunks[0].vector.push(0.0), "item.chunks[0].vector has 3 values");
        check(|i| i.chunks[0].vector[1] = f32::NAN, "item.chunks[0].vector[1]: is NaN");
        check(|i| i.chunks[0].vector[0] = 0.0, "no direction");
        check(|i| i.chunks[0].place = Place::Text { start: 1, end: 9 }, "is 1..9, must lie on");
        check(|i| i.chunks[0].place = Place::Text { start: 0, end: 99 }, "a text of 13 bytes");
        check(|i| i.chunks[0].place = Place::Image, "image of an item without an image");
        check(
            |i| drop(i.item.metadata.insert("a b".into(), Value::Flag(true))),
            "item.metadata.a b: is no name",
        );
    }

    #[test]
    fn a_region_lies_on_the_picture() {
        let found = refused(|i| {
            i.item.image = Some(Image::Uri("file:a.jpg".into()));
            let region = [4.0, 0.0, 4.0, 1.0];
            i.chunks[0].place = Place::Region { region, class: "ear".into(), confidence: 0.5 };
        });
        assert!(found.contains("item.chunks[0].place.region: is [4.0, 0.0, 4.0, 1.0]"), "{found}");
    }

    #[test]
    fn a_field_keeps_the_type_of_the_first_item() {
        let limits = Limits { max_fields: 1, ..Limits::default() };
        let known = BTreeMap::from([("year".to_owned(), FieldType::Number)]);
        let with = |name: &str, value| {
            let metadata = BTreeMap::from([(name.to_owned(), value)]);
            fields(&known, &Item { metadata, ..Item::default() }, &limits)
        };
        assert_eq!(with("year", Value::Number(1.0)).unwrap(), None);
        let found = with("year", Value::Text("1".into())).unwrap_err().to_string();
        assert_eq!(found, "item.metadata.year: is text, but holds number in this collection");
        let found = with("other", Value::Flag(true)).unwrap_err().to_string();
        assert!(found.contains("has 2 metadata fields in the collection, limit 1"), "{found}");
    }

    #[test]
    fn a_collection_s_name_is_a_safe_folder_s() {
        for good in ["a", "faces-2", "0_x"] {
            name(good).unwrap();
        }
        for bad in ["", ".", "..", "a/b", "A", "-a", "a b", &"x".repeat(65)] {
            assert!(name(bad).is_err(), "{bad}");
        }
    }
}
