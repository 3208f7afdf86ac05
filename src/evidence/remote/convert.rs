//! Points, payloads and filters in the form that Qdrant's gRPC interface has for them.

use std::collections::HashMap;

use qdrant_client::Payload;
use qdrant_client::qdrant::point_id::PointIdOptions;
use qdrant_client::qdrant::{
    Condition, FieldCondition, Filter, PayloadIncludeSelector, PointId, PointStruct,
    Range as Bounds, Value,
};
use serde_json::{Map, Value as Json};
use uuid::Uuid;

use crate::evidence::filter::Clause;
use crate::evidence::points::{Point, VECTOR};

/// The point as Qdrant takes it.
pub(super) fn point(point: Point) -> PointStruct {
    let vectors: HashMap<String, Vec<f32>> =
        point.vector.map(|vector| (VECTOR.to_owned(), vector)).into_iter().collect();
    PointStruct::new(point_id(point.id), vectors, point.payload)
}

/// Points in requests of at most `most`, those without a vector and not small each alone.
pub(super) fn batches(points: Vec<Point>, most: usize) -> Vec<Vec<Point>> {
    let mut batches: Vec<Vec<Point>> = Vec::new();
    let mut open = Vec::new();
    for point in points {
        if point.payload.contains_key("bytes") {
            batches.push(vec![point]);
            continue;
        }
        open.push(point);
        if open.len() == most {
            batches.push(std::mem::take(&mut open));
        }
    }
    if !open.is_empty() {
        batches.push(open);
    }
    batches
}

pub(super) fn point_id(id: Uuid) -> PointId {
    id.to_string().into()
}

/// The UUID of a point that has one.
pub(super) fn uuid(id: &PointId) -> Option<Uuid> {
    match id.point_id_options.as_ref()? {
        PointIdOptions::Uuid(text) => Uuid::try_parse(text).ok(),
        PointIdOptions::Num(_) => None,
    }
}

/// A payload as JSON.
pub(super) fn payload(payload: HashMap<String, Value>) -> Map<String, Json> {
    Payload::from(payload).into()
}

/// Only these keys of payloads.
pub(super) fn keys(keys: &[&str]) -> PayloadIncludeSelector {
    PayloadIncludeSelector { fields: keys.iter().map(|key| (*key).to_owned()).collect() }
}

/// The key holds one of the texts.
pub(super) fn one_of(key: &str, texts: Vec<String>) -> Condition {
    Condition::matches(key, texts)
}

/// A clause as a condition.
pub(super) fn condition(clause: &Clause) -> Condition {
    match clause {
        Clause::All(clauses) => Filter::must(clauses.iter().map(condition)).into(),
        Clause::Any(clauses) => Filter::should(clauses.iter().map(condition)).into(),
        Clause::Not(clause) => Filter::must_not([condition(clause)]).into(),
        Clause::Texts(key, texts) => one_of(key, texts.clone()),
        Clause::Flag(key, flag) => Condition::matches(key.as_str(), *flag),
        Clause::Within(key, range) => {
            let bounds =
                Bounds { gt: range.above, gte: range.from, lt: range.below, lte: range.to };
            FieldCondition { key: key.clone(), range: Some(bounds), ..FieldCondition::default() }
                .into()
        }
        Clause::Exists(key) => Filter::must_not([Condition::is_empty(key.as_str())]).into(),
    }
}

#[cfg(test)]
mod tests {
    use qdrant_client::qdrant::condition::ConditionOneOf;

    use super::*;
    use crate::evidence::filter::Range;

    fn sample(id: u128, payload: Json) -> Point {
        let Json::Object(payload) = payload else { unreachable!("tests give objects") };
        Point { id: Uuid::from_u128(id), vector: Some(vec![1.0, 2.0]), payload }
    }

    #[test]
    fn a_payload_comes_back_as_it_went() {
        let json = serde_json::json!({
            "item": "눈/1", "time_ms": 1_700_000_000_123_i64,
            "metadata": { "year": 2024.5, "tags": ["a", "b"], "checked": false },
            "place": { "kind": "region", "region": [0.5, 1.0, 2.0, 3.0], "class": "eye" },
        });
        let sent = point(sample(7, json.clone()));
        assert_eq!(sent.id.as_ref().and_then(uuid), Some(Uuid::from_u128(7)));
        assert_eq!(Json::Object(payload(sent.payload)), json);
    }

    #[test]
    fn pictures_travel_alone() {
        let points = vec![
            sample(1, serde_json::json!({})),
            sample(2, serde_json::json!({ "bytes": "AA==" })),
            sample(3, serde_json::json!({})),
            sample(4, serde_json::json!({})),
        ];
        let ids = |batch: &Vec<Point>| batch.iter().map(|p| p.id.as_u128()).collect::<Vec<_>>();
        let found: Vec<_> = batches(points, 2).iter().map(ids).collect();
        assert_eq!(found, [vec![2], vec![1, 3], vec![4]]);
    }

    #[test]
    fn clauses_keep_their_meaning() {
        let range = Range { from: Some(1.0), below: Some(2.0), ..Range::default() };
        let clause = Clause::Any(vec![
            Clause::Within("metadata.year".into(), range),
            Clause::Not(Box::new(Clause::Exists("source".into()))),
        ]);
        let Some(ConditionOneOf::Filter(filter)) = condition(&clause).condition_one_of else {
            panic!("any is a filter of its own");
        };
        assert_eq!((filter.should.len(), filter.must.len(), filter.must_not.len()), (2, 0, 0));
        let Some(ConditionOneOf::Field(field)) = &filter.should[0].condition_one_of else {
            panic!("a range looks at a field");
        };
        let bounds = Bounds { gt: None, gte: Some(1.0), lt: Some(2.0), lte: None };
        assert_eq!((field.key.as_str(), field.range), ("metadata.year", Some(bounds)));
    }
}
