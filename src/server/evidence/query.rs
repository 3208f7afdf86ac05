//! Searches and filters as they come.

use super::items::milliseconds;
use crate::evidence::{Field, Filter, Limits, Range, Test, Value};
use crate::proto::v1;
use crate::proto::v1::metadata_condition::Condition;
use crate::retrieval::{Query, Wanted};
use crate::server::convert::convert_image;
use crate::server::limits::RequestLimits;
use crate::serving::ServingError;

/// Hits where the request does not say, unless the limit is lower.
const HITS: usize = 10;

/// A search, converted.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) collection: String,
    pub(super) query: Query,
    pub(super) wanted: Wanted,
    /// What the request calls each test of the filter.
    pub(super) paths: Vec<String>,
}

/// Checks every field.
pub(super) fn search(
    request: v1::SearchEvidenceRequest,
    limits: &RequestLimits,
    store: &Limits,
) -> Result<Asked, ServingError> {
    let most = store.max_answer_hits.min(store.max_hits);
    let limit = request.limit.map_or(HITS.min(most), |limit| limit as usize);
    if !(1..=most).contains(&limit) {
        let reason = format!("is {limit}, must be 1 to {most}");
        return Err(ServingError::invalid("limit", reason));
    }
    let min_score = request.min_score.unwrap_or(-1.0);
    if !(-1.0..=1.0).contains(&min_score) {
        let reason = format!("is {min_score}, must be -1 to 1");
        return Err(ServingError::invalid("min_score", reason));
    }
    let query = query(request.query.unwrap_or_default(), limits)?;
    let (filter, paths) = filter(request.filter)?;
    let wanted = Wanted {
        filter,
        kinds: kinds(&request.kinds)?,
        limit,
        offset: request.offset as usize,
        min_score,
        by_item: request.group_by_item.unwrap_or(true),
        exact: request.exact,
    };
    Ok(Asked { collection: request.collection, query, wanted, paths })
}

fn query(query: v1::EvidenceQuery, limits: &RequestLimits) -> Result<Query, ServingError> {
    let v1::EvidenceQuery { text, image, embedding, .. } = query;
    if text.is_empty() && image.is_none() && embedding.is_none() {
        let reason = "nothing is asked: set text, image or embedding";
        return Err(ServingError::invalid("query", reason));
    }
    let text = if text.is_empty() {
        None
    } else {
        limits.prompts("query.text", std::slice::from_ref(&text)).map_err(unlisted)?;
        Some((text, weight("query.text_weight", query.text_weight)?))
    };
    let picture = match image {
        None => None,
        some => {
            let frame = convert_image(some).map_err(|error| error.within("query."))?;
            Some((frame, weight("query.image_weight", query.image_weight)?))
        }
    };
    let vector = match embedding {
        None => None,
        Some(tensor) => {
            Some((numbers(&tensor)?, weight("query.embedding_weight", query.embedding_weight)?))
        }
    };
    Ok(Query { text, picture, vector })
}

/// The one text is no list: `query.text[0]` is `query.text`.
fn unlisted(error: ServingError) -> ServingError {
    match error {
        ServingError::Invalid { field, reason } => {
            ServingError::Invalid { field: field.trim_end_matches("[0]").to_owned(), reason }
        }
        other @ (ServingError::NotFound { .. }
        | ServingError::Overloaded { .. }
        | ServingError::TooLate { .. }
        | ServingError::Expired(_)
        | ServingError::Loading(_)
        | ServingError::Closed(_)
        | ServingError::Failed { .. }) => other,
    }
}

fn weight(field: &str, weight: Option<f32>) -> Result<f32, ServingError> {
    let weight = weight.unwrap_or(1.0);
    if weight >= 0.0 && weight.is_finite() {
        return Ok(weight);
    }
    Err(ServingError::invalid(field, format!("is {weight}, must be at least 0 and finite")))
}

/// The values of an embedding; their number is the collection's matter.
fn numbers(tensor: &v1::Tensor) -> Result<Vec<f32>, ServingError> {
    let refused = |reason: String| Err(ServingError::invalid("query.embedding", reason));
    if tensor.data_type() != v1::DataType::F32 {
        return refused(format!("is {}, must be F32", tensor.data_type().as_str_name()));
    }
    let [width] = *tensor.shape else {
        return refused(format!("has the shape {:?}, must be [dimension]", tensor.shape));
    };
    if tensor.data.len() as u64 != u64::from(width) * size_of::<f32>() as u64 {
        let bytes = tensor.data.len();
        return refused(format!("has {bytes} bytes for the shape [{width}] of F32"));
    }
    let number = |bytes: &[u8]| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    let values: Vec<f32> = tensor.data.chunks_exact(size_of::<f32>()).map(number).collect();
    match values.iter().find(|value| !value.is_finite()) {
        Some(value) => refused(format!("holds {value}, must be finite")),
        None => Ok(values),
    }
}

/// None means every kind.
fn kinds(kinds: &[i32]) -> Result<Vec<&'static str>, ServingError> {
    let mut names = Vec::new();
    let mut every = false;
    for (at, kind) in kinds.iter().enumerate() {
        match v1::ChunkKind::try_from(*kind) {
            Ok(v1::ChunkKind::Text) => names.push("text"),
            Ok(v1::ChunkKind::Image) => names.push("image"),
            Ok(v1::ChunkKind::Region) => names.push("region"),
            Ok(v1::ChunkKind::Unspecified) => every = true,
            Err(_) => {
                let reason = format!("is {kind}, which is no known value");
                return Err(ServingError::invalid(format!("kinds[{at}]"), reason));
            }
        }
    }
    names.sort_unstable();
    names.dedup();
    Ok(if every { Vec::new() } else { names })
}

/// A filter as tests that must all hold, and what the request calls each of them.
pub(in crate::server) fn filter(
    filter: Option<v1::EvidenceFilter>,
) -> Result<(Option<Filter>, Vec<String>), ServingError> {
    let Some(filter) = filter else { return Ok((None, Vec::new())) };
    let v1::EvidenceFilter { conditions, source_uris, not_before, before, ids } = filter;
    let (mut all, mut paths) = (Vec::new(), Vec::new());
    let mut must = |test: Filter, path: String| {
        all.push(test);
        paths.push(path);
    };
    for (at, condition) in conditions.into_iter().enumerate() {
        let path = format!("filter.conditions[{at}]");
        must(test(&path, condition)?, path);
    }
    let among = |field, texts: Vec<String>| {
        Filter::Test(field, Test::In(texts.into_iter().map(Value::Text).collect()))
    };
    if !source_uris.is_empty() {
        must(among(Field::Source, source_uris), "filter.source_uris".to_owned());
    }
    if !ids.is_empty() {
        must(among(Field::Id, ids), "filter.ids".to_owned());
    }
    if let Some(time) = not_before {
        let from = Some(milliseconds("filter.not_before", time)? as f64);
        let range = Range { from, ..Range::default() };
        must(Filter::Test(Field::Time, Test::Range(range)), "filter.not_before".to_owned());
    }
    if let Some(time) = before {
        let below = Some(milliseconds("filter.before", time)? as f64);
        let range = Range { below, ..Range::default() };
        must(Filter::Test(Field::Time, Test::Range(range)), "filter.before".to_owned());
    }
    Ok(((!all.is_empty()).then_some(Filter::All(all)), paths))
}

fn test(path: &str, condition: v1::MetadataCondition) -> Result<Filter, ServingError> {
    let v1::MetadataCondition { name, condition, negated } = condition;
    let mut negated = negated;
    let test = match condition {
        None => {
            let reason = "is required: set any_of, range, flag or present";
            return Err(ServingError::invalid(format!("{path}.condition"), reason));
        }
        Some(Condition::AnyOf(list)) => {
            Test::In(list.values.into_iter().map(Value::Text).collect())
        }
        Some(Condition::Range(v1::NumberRange { min, max })) => {
            Test::Range(Range { from: min, to: max, ..Range::default() })
        }
        Some(Condition::Flag(flag)) => Test::Equals(Value::Flag(flag)),
        Some(Condition::Present(present)) => {
            negated ^= !present;
            Test::Exists
        }
    };
    let test = Filter::Test(Field::Metadata(name), test);
    Ok(if negated { Filter::Not(Box::new(test)) } else { test })
}

/// A path of the store's, `filter.all[2].not`, as the request calls it.
pub(in crate::server) fn path(field: &str, paths: &[String]) -> String {
    let rest = field.strip_prefix("filter.all[").and_then(|rest| rest.split_once(']'));
    let own = rest.and_then(|(at, _)| paths.get(at.parse::<usize>().ok()?));
    own.cloned().unwrap_or_else(|| field.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request() -> v1::SearchEvidenceRequest {
        let query = v1::EvidenceQuery { text: "an eye".to_owned(), ..Default::default() };
        v1::SearchEvidenceRequest { query: Some(query), ..Default::default() }
    }

    fn refused(change: impl FnOnce(&mut v1::SearchEvidenceRequest)) -> String {
        let mut request = request();
        change(&mut request);
        search(request, &RequestLimits::default(), &Limits::default()).unwrap_err().to_string()
    }

    #[test]
    fn what_is_left_out_takes_the_documented_default() {
        let asked = search(request(), &RequestLimits::default(), &Limits::default()).unwrap();
        assert_eq!((asked.wanted.limit, asked.wanted.offset), (10, 0));
        assert!(asked.wanted.by_item && !asked.wanted.exact && asked.wanted.kinds.is_empty());
        assert_eq!(asked.wanted.filter, None);
        assert_eq!(asked.query.text, Some(("an eye".to_owned(), 1.0)));
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        let check = |change: fn(&mut v1::SearchEvidenceRequest), expected: &str| {
            let found = refused(change);
            assert!(found.starts_with(expected), "{found}");
        };
        let tensor = |data_type: v1::DataType, shape: &[u32], data: &[u8]| v1::Tensor {
            data_type: data_type.into(),
            shape: shape.to_vec(),
            data: data.to_vec().into(),
        };
        let with = |tensor: v1::Tensor| {
            refused(|request| {
                let query = v1::EvidenceQuery { embedding: Some(tensor), ..Default::default() };
                request.query = Some(query);
            })
        };
        check(|r| r.query = None, "query: nothing is asked");
        check(|r| r.limit = Some(0), "limit: is 0, must be 1 to 100");
        check(|r| r.limit = Some(101), "limit: is 101");
        check(|r| r.min_score = Some(f32::NAN), "min_score: is NaN, must be -1 to 1");
        check(|r| r.kinds = vec![1, 9], "kinds[1]: is 9, which is no known value");
        check(
            |r| r.query.as_mut().unwrap().text = "x".repeat(5000),
            "query.text: is 5000 bytes long, limit 4096",
        );
        check(
            |r| r.query.as_mut().unwrap().text = "  ".to_owned(),
            "query.text: must not be empty",
        );
        check(
            |r| r.query.as_mut().unwrap().text_weight = Some(-1.0),
            "query.text_weight: is -1, must be at least 0",
        );
        assert!(with(tensor(v1::DataType::F16, &[1], &[0; 2])).contains("must be F32"));
        assert!(with(tensor(v1::DataType::F32, &[1, 1], &[0; 4])).contains("[1, 1]"));
        assert!(with(tensor(v1::DataType::F32, &[2], &[0; 4])).contains("has 4 bytes"));
        let nan = f32::NAN.to_le_bytes();
        assert!(with(tensor(v1::DataType::F32, &[1], &nan)).contains("holds NaN"));
    }

    #[test]
    fn a_condition_turned_round_twice_is_as_it_was() {
        let test = |present, negated| {
            let condition = v1::MetadataCondition {
                name: "year".to_owned(),
                condition: Some(Condition::Present(present)),
                negated,
            };
            let conditions = vec![condition];
            filter(Some(v1::EvidenceFilter { conditions, ..Default::default() })).unwrap().0
        };
        assert_eq!(test(true, false), test(false, true));
        assert_eq!(test(true, true), test(false, false));
        assert_ne!(test(true, true), test(true, false));
    }

    #[test]
    fn the_store_s_paths_become_the_request_s() {
        let paths = ["filter.conditions[0]".to_owned(), "filter.ids".to_owned()];
        assert_eq!(path("filter.all[0].not", &paths), "filter.conditions[0]");
        assert_eq!(path("filter.all[1]", &paths), "filter.ids");
        assert_eq!(path("filter.all[2]", &paths), "filter.all[2]");
        assert_eq!(path("filter", &paths), "filter");
        assert_eq!(path("limit", &paths), "limit");
    }
}
