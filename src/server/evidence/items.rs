//! Items and collections as they come.

use std::collections::BTreeMap;

use crate::evidence::{Item, Options, Quantisation, Value};
use crate::proto::v1;
use crate::proto::v1::metadata_value::Value as Sent;
use crate::retrieval::{Brought, NewItem};
use crate::server::convert::{convert_image, named};
use crate::serving::ServingError;

/// The moments that a `Timestamp` may be: the years 1 to 9999, in seconds since 1970.
const SECONDS: std::ops::RangeInclusive<i64> = -62_135_596_800..=253_402_300_799;

/// What a new collection is to keep.
pub(super) fn options(options: v1::CollectionOptions) -> Options {
    let defaults = Options::default();
    let v1::CollectionOptions { keep_images, detector, min_confidence, quantised } = options;
    Options {
        keep_images: keep_images.unwrap_or(defaults.keep_images),
        detector: named(detector),
        min_confidence: min_confidence.unwrap_or(defaults.min_confidence),
        quantisation: if quantised { Quantisation::Scalar } else { Quantisation::None },
    }
}

/// An item, or what is wrong with it, with its fields as `item.text`.
pub(super) fn brought(item: v1::EvidenceItem) -> Brought {
    let id = item.id.clone();
    (id, new(item).map_err(|error| error.within("item.").into()))
}

fn new(item: v1::EvidenceItem) -> Result<NewItem, ServingError> {
    let v1::EvidenceItem { id, text, image, source_uri, title, time, metadata } = item;
    let picture = match image {
        None => None,
        some => Some(convert_image(some)?),
    };
    let item = Item {
        id,
        text: (!text.is_empty()).then_some(text),
        image: None,
        source: source_uri,
        title,
        time_ms: time.map(|time| milliseconds("time", time)).transpose()?,
        metadata: values(metadata)?,
    };
    Ok(NewItem { item, picture })
}

/// A moment in milliseconds since 1970.
pub(super) fn milliseconds(field: &str, time: prost_types::Timestamp) -> Result<i64, ServingError> {
    let prost_types::Timestamp { seconds, nanos } = time;
    if !SECONDS.contains(&seconds) || !(0..1_000_000_000).contains(&nanos) {
        let reason = format!(
            "is {seconds} s and {nanos} ns since 1970, must be in the years 1 to 9999 with 0 to \
             999999999 ns"
        );
        return Err(ServingError::invalid(field, reason));
    }
    Ok(seconds * 1000 + i64::from(nanos / 1_000_000))
}

fn values(
    metadata: impl IntoIterator<Item = (String, v1::MetadataValue)>,
) -> Result<BTreeMap<String, Value>, ServingError> {
    let value = |(name, sent): (String, v1::MetadataValue)| {
        let value = match sent.value {
            Some(Sent::Text(text)) => Value::Text(text),
            Some(Sent::Number(number)) => Value::Number(number),
            Some(Sent::Flag(flag)) => Value::Flag(flag),
            Some(Sent::Texts(list)) if list.values.is_empty() => {
                let reason = "has no values, must have at least 1";
                return Err(ServingError::invalid(format!("metadata.{name}.texts"), reason));
            }
            Some(Sent::Texts(list)) => Value::Texts(list.values),
            None => {
                let reason = "is required: set text, number, flag or texts";
                return Err(ServingError::invalid(format!("metadata.{name}.value"), reason));
            }
        };
        Ok((name, value))
    };
    metadata.into_iter().map(value).collect()
}

/// A path of the store's in the terms of the request, where `at` is the item's place in it.
pub(super) fn path(field: &str, at: &str) -> String {
    match field.strip_prefix("item") {
        Some(".source") => format!("{at}.source_uri"),
        Some(rest) => format!("{at}{rest}"),
        None => field.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::retrieval::RetrievalError;

    fn refused(change: impl FnOnce(&mut v1::EvidenceItem)) -> String {
        let mut item = v1::EvidenceItem { id: "a".to_owned(), ..v1::EvidenceItem::default() };
        change(&mut item);
        let (id, result) = brought(item);
        assert_eq!(id, "a");
        match result {
            Err(RetrievalError::Serving(error)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn what_is_no_item_is_refused_by_field() {
        let check = |change: fn(&mut v1::EvidenceItem), expected: &str| {
            let found = refused(change);
            assert!(found.starts_with(expected), "{found}");
        };
        check(|i| i.image = Some(v1::Image::default()), "item.image: is required");
        check(
            |i| i.time = Some(prost_types::Timestamp { seconds: 1 << 50, nanos: 0 }),
            "item.time: is 1125899906842624 s",
        );
        check(
            |i| i.time = Some(prost_types::Timestamp { seconds: 0, nanos: -1 }),
            "item.time: is 0 s and -1 ns",
        );
        check(
            |i| drop(i.metadata.insert("a".into(), v1::MetadataValue::default())),
            "item.metadata.a.value: is required",
        );
    }

    #[test]
    fn times_before_1970_keep_their_order() {
        let at = |seconds, nanos| {
            milliseconds("time", prost_types::Timestamp { seconds, nanos }).unwrap()
        };
        assert_eq!(at(1, 2_000_000), 1002);
        assert_eq!(at(-1, 999_000_000), -1);
        assert!(at(-1, 0) < at(-1, 1_000_000));
    }

    #[test]
    fn paths_of_the_store_become_the_request_s() {
        for (field, expected) in [
            ("item.source", "items[3].source_uri"),
            ("item.text", "items[3].text"),
            ("item", "items[3]"),
            ("options.detector", "options.detector"),
        ] {
            assert_eq!(path(field, "items[3]"), expected);
        }
    }
}
