//! What holds of every message about evidence that comes over the wire. The fuzzer brings them.

use prost::Message;

use super::{answer, items, query};
use crate::evidence::fuzzing::resolve;
use crate::evidence::{Error, Filter, Limits};
use crate::proto::v1;
use crate::retrieval::Query;
use crate::server::limits::RequestLimits;

/// A filter, down to what the store asks its index. What is refused is refused by a path of the
/// request's own.
pub(in crate::server) fn filter(bytes: &[u8]) {
    let Ok(sent) = v1::EvidenceFilter::decode(bytes) else { return };
    let Ok((filter, paths)) = query::filter(Some(sent)) else { return };
    assert_eq!(tests(filter.as_ref()), paths.len(), "{paths:?}");
    let Some(Err(error)) = filter.as_ref().map(resolve) else { return };
    let (Error::Invalid { field, .. } | Error::UnknownField { field, .. }) = &error else {
        panic!("a filter fails by {error}");
    };
    let path = query::path(field, &paths);
    assert!(path == "filter" || paths.contains(&path), "{error}, at {path}");
}

/// An item, a search or a collection's options: the first byte tells which.
pub(in crate::server) fn request(bytes: &[u8]) {
    let Some((kind, message)) = bytes.split_first() else { return };
    match kind % 3 {
        0 => item(message),
        1 => search(message),
        _ => options(message),
    }
}

/// What is given back of an item can be put in again and is the same.
fn item(message: &[u8]) {
    let Ok(sent) = v1::EvidenceItem::decode(message) else { return };
    let (sent_id, fields) = (sent.id.clone(), sent.metadata.len());
    let (id, Ok(new)) = items::brought(sent) else { return };
    assert_eq!((&id, &new.item.id), (&sent_id, &sent_id));
    assert_eq!(new.item.metadata.len(), fields, "{:?}", new.item);
    assert!(new.item.text.as_ref().is_none_or(|text| !text.is_empty()));
    let (_, again) = items::brought(answer::item(&new.item, None));
    let again = again.expect("a converted item can be sent");
    // As texts, in which a number that is none equals itself.
    assert_eq!(format!("{:?}", again.item), format!("{:?}", new.item));
}

/// A search that is let through is within every limit.
fn search(message: &[u8]) {
    let Ok(sent) = v1::SearchEvidenceRequest::decode(message) else { return };
    let (limits, store) = (RequestLimits::default(), Limits::default());
    let Ok(asked) = query::search(sent, &limits, &store) else { return };
    let query::Asked { query: Query { text, picture, vector }, wanted, paths, .. } = asked;
    assert!((1..=store.max_answer_hits).contains(&wanted.limit), "{wanted:?}");
    assert!((-1.0..=1.0).contains(&wanted.min_score), "{wanted:?}");
    assert!(wanted.kinds.is_sorted() && wanted.kinds.len() <= 3, "{wanted:?}");
    assert_eq!(tests(wanted.filter.as_ref()), paths.len(), "{paths:?}");
    let weights = [
        text.as_ref().map(|(_, weight)| *weight),
        picture.as_ref().map(|(_, weight)| *weight),
        vector.as_ref().map(|(_, weight)| *weight),
    ];
    assert!(weights.iter().any(Option::is_some), "nothing is asked");
    assert!(weights.iter().flatten().all(|weight| *weight >= 0.0 && weight.is_finite()));
    let fits = |text: &str| !text.trim().is_empty() && text.len() <= limits.max_prompt_bytes;
    assert!(text.is_none_or(|(text, _)| fits(&text)));
    assert!(vector.is_none_or(|(values, _)| values.iter().all(|value| value.is_finite())));
}

/// A name that is empty is none.
fn options(message: &[u8]) {
    let Ok(sent) = v1::CollectionOptions::decode(message) else { return };
    let made = items::options(sent);
    assert!(made.detector.is_none_or(|name| !name.is_empty()));
}

/// The tests that must all hold.
fn tests(filter: Option<&Filter>) -> usize {
    let Some(filter) = filter else { return 0 };
    let Filter::All(all) = filter else { panic!("{filter:?} is no list of tests") };
    all.len()
}
