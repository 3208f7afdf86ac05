//! What the fuzzer reaches beside the public interface; for nobody else.

use std::collections::BTreeMap;

use super::config::Limits;
use super::error::Error;
use super::filter::{Clause, Filter};
use super::types::FieldType;

/// Resolves a filter where items have the fields `text`, `number` and `flag` of these types. Panics
/// where what comes of it could not be asked of an index.
///
/// # Errors
/// Those of a filter that is refused.
pub fn resolve(filter: &Filter) -> Result<(), Error> {
    let field = |name: &str, field_type| (name.to_owned(), field_type);
    let fields = BTreeMap::from([
        field("text", FieldType::Text),
        field("number", FieldType::Number),
        field("flag", FieldType::Flag),
    ]);
    let most = Limits::default().max_tests;
    let clause = filter.resolve(&fields, most)?;
    let compared = compared(&clause);
    assert!(compared <= most, "{compared} comparisons, limit {most}: {clause:?}");
    Ok(())
}

/// How many values a clause compares with.
fn compared(clause: &Clause) -> usize {
    match clause {
        Clause::All(clauses) => clauses.iter().map(compared).sum(),
        Clause::Any(clauses) => {
            assert!(!clauses.is_empty(), "nothing could hold");
            clauses.iter().map(compared).sum()
        }
        Clause::Not(clause) => compared(clause),
        Clause::Texts(key, texts) => {
            known(key, &["item", "source", "kind", "metadata.text"]);
            assert!(!texts.is_empty(), "{key} is one of no texts");
            texts.len()
        }
        Clause::Flag(key, _) => known(key, &["metadata.flag"]),
        Clause::Within(key, range) => {
            let bounds = [range.above, range.from, range.below, range.to];
            assert!(bounds.iter().any(Option::is_some), "{range:?}");
            assert!(bounds.iter().flatten().all(|bound| bound.is_finite()), "{range:?}");
            known(key, &["time_ms", "metadata.number"])
        }
        Clause::Exists(key) => {
            known(key, &["time_ms", "metadata.text", "metadata.number", "metadata.flag"])
        }
    }
}

/// One comparison, with what lies under one of these keys.
fn known(key: &str, keys: &[&str]) -> usize {
    assert!(keys.contains(&key), "{key} is none of {keys:?}");
    1
}
