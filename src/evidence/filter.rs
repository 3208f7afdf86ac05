//! Which items count: tests of fields, joined by all, any and not.

use std::collections::BTreeMap;

use super::error::{Error, nearest};
use super::types::{FieldType, Value};

/// How deep filters may nest.
const DEEPEST: usize = 8;

/// Which items count.
#[derive(Clone, Debug, PartialEq)]
pub enum Filter {
    /// Each of them holds; of none, everything does.
    All(Vec<Filter>),
    /// At least one of them holds; there must be one.
    Any(Vec<Filter>),
    /// It does not hold.
    Not(Box<Filter>),
    /// A field passes a test; an item without the field never does.
    Test(Field, Test),
}

/// What a filter looks at.
#[derive(Clone, Debug, PartialEq)]
pub enum Field {
    /// The item's own name.
    Id,
    /// Its source URI.
    Source,
    /// Its time, as a number of milliseconds since 1970.
    Time,
    /// The kind of the embedding: `text`, `image` or `region`.
    Kind,
    /// A metadata field by its name.
    Metadata(String),
}

/// What a field must be.
#[derive(Clone, Debug, PartialEq)]
pub enum Test {
    /// Equal to this; a field of several texts, any of them.
    Equals(Value),
    /// Equal to any of these.
    In(Vec<Value>),
    /// A number within bounds.
    Range(Range),
    /// There.
    Exists,
}

/// Bounds of a number; at least one is set.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Range {
    /// More than this.
    pub above: Option<f64>,
    /// This or more.
    pub from: Option<f64>,
    /// Less than this.
    pub below: Option<f64>,
    /// This or less.
    pub to: Option<f64>,
}

impl Range {
    fn only(value: f64) -> Self {
        Self { from: Some(value), to: Some(value), ..Self::default() }
    }
}

/// A filter whose fields exist and whose tests fit them; keys are those of the payload.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Clause {
    All(Vec<Clause>),
    Any(Vec<Clause>),
    Not(Box<Clause>),
    /// The texts under the key have one of these.
    Texts(String, Vec<String>),
    /// The flag under the key is this.
    Flag(String, bool),
    /// The number under the key lies within.
    Within(String, Range),
    /// There is something under the key.
    Exists(String),
}

impl Filter {
    /// Checks the filter against the fields that the collection's items have.
    ///
    /// # Errors
    /// [`Error::UnknownField`] with the nearest name; [`Error::Invalid`] where a test does not fit
    /// its field, `max_tests` is exceeded, or filters nest deeper than 8. Paths start with `filter`.
    pub(super) fn resolve(
        &self,
        fields: &BTreeMap<String, FieldType>,
        max_tests: usize,
    ) -> Result<Clause, Error> {
        Error::at_most("filter", "tests", self.tests(), max_tests)?;
        self.resolve_at("filter", fields, DEEPEST)
    }

    /// Values count as tests of their own: each costs as much.
    fn tests(&self) -> usize {
        match self {
            Self::All(filters) | Self::Any(filters) => filters.iter().map(Self::tests).sum(),
            Self::Not(filter) => filter.tests(),
            Self::Test(_, Test::In(values)) => values.len(),
            Self::Test(..) => 1,
        }
    }

    fn resolve_at(
        &self,
        path: &str,
        fields: &BTreeMap<String, FieldType>,
        depth: usize,
    ) -> Result<Clause, Error> {
        if depth == 0 {
            return Err(Error::invalid(path, format!("nests deeper than the limit {DEEPEST}")));
        }
        let each = |name: &str, filters: &[Self]| -> Result<Vec<Clause>, Error> {
            let at = |(index, filter): (usize, &Self)| {
                filter.resolve_at(&format!("{path}.{name}[{index}]"), fields, depth - 1)
            };
            filters.iter().enumerate().map(at).collect()
        };
        match self {
            Self::All(filters) => Ok(Clause::All(each("all", filters)?)),
            Self::Any(filters) if filters.is_empty() => {
                Err(Error::invalid(format!("{path}.any"), "is empty, so nothing could hold"))
            }
            Self::Any(filters) => Ok(Clause::Any(each("any", filters)?)),
            Self::Not(filter) => {
                let inner = filter.resolve_at(&format!("{path}.not"), fields, depth - 1)?;
                Ok(Clause::Not(Box::new(inner)))
            }
            Self::Test(field, test) => {
                let (key, field_type) = key(field, path, fields)?;
                clause(key, field_type, test).map_err(|reason| Error::invalid(path, reason))
            }
        }
    }
}

/// The payload's key of a field, and what it holds.
fn key(
    field: &Field,
    path: &str,
    fields: &BTreeMap<String, FieldType>,
) -> Result<(String, FieldType), Error> {
    let fixed = |name: &str, field_type| Ok((name.to_owned(), field_type));
    match field {
        Field::Id => fixed("item", FieldType::Text),
        Field::Source => fixed("source", FieldType::Text),
        Field::Kind => fixed("kind", FieldType::Text),
        Field::Time => fixed("time_ms", FieldType::Number),
        Field::Metadata(name) => match fields.get(name) {
            Some(field_type) => Ok((format!("metadata.{name}"), *field_type)),
            None => Err(Error::UnknownField {
                field: path.to_owned(),
                name: name.clone(),
                nearest: nearest(name, fields.keys().map(String::as_str)),
                known: fields.keys().cloned().collect(),
            }),
        },
    }
}

fn clause(key: String, field_type: FieldType, test: &Test) -> Result<Clause, String> {
    match test {
        Test::Exists => Ok(Clause::Exists(key)),
        Test::Equals(value) => one_of(key, field_type, std::slice::from_ref(value)),
        Test::In(values) if values.is_empty() => Err("is in no value: name at least one".into()),
        Test::In(values) => one_of(key, field_type, values),
        Test::Range(range) => {
            if field_type != FieldType::Number {
                return Err(format!("has a range, but the field holds {field_type}"));
            }
            let bounds = [range.above, range.from, range.below, range.to];
            if bounds.iter().all(Option::is_none) {
                return Err("has a range without bounds".into());
            }
            if bounds.iter().flatten().any(|bound| !bound.is_finite()) {
                return Err("has a bound that is not finite".into());
            }
            Ok(Clause::Within(key, *range))
        }
    }
}

fn one_of(key: String, field_type: FieldType, values: &[Value]) -> Result<Clause, String> {
    let wrong = |value: &Value| {
        format!("compares with {}, but the field holds {field_type}", value.field_type())
    };
    match field_type {
        FieldType::Text => {
            let mut texts = Vec::with_capacity(values.len());
            for value in values {
                match value {
                    Value::Text(text) => texts.push(text.clone()),
                    Value::Texts(_) => return Err("compares with a list; use in instead".into()),
                    Value::Number(_) | Value::Flag(_) => return Err(wrong(value)),
                }
            }
            Ok(Clause::Texts(key, texts))
        }
        FieldType::Number => {
            let number = |value: &Value| match value {
                Value::Number(number) if number.is_finite() => {
                    Ok(Clause::Within(key.clone(), Range::only(*number)))
                }
                Value::Number(number) => Err(format!("compares with {number}, must be finite")),
                Value::Text(_) | Value::Texts(_) | Value::Flag(_) => Err(wrong(value)),
            };
            Ok(Clause::Any(values.iter().map(number).collect::<Result<_, _>>()?))
        }
        FieldType::Flag => {
            let flag = |value: &Value| match value {
                Value::Flag(flag) => Ok(Clause::Flag(key.clone(), *flag)),
                Value::Text(_) | Value::Texts(_) | Value::Number(_) => Err(wrong(value)),
            };
            Ok(Clause::Any(values.iter().map(flag).collect::<Result<_, _>>()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> BTreeMap<String, FieldType> {
        let field = |name: &str, field_type| (name.to_owned(), field_type);
        BTreeMap::from([
            field("author", FieldType::Text),
            field("year", FieldType::Number),
            field("checked", FieldType::Flag),
        ])
    }

    fn metadata(name: &str, test: Test) -> Filter {
        Filter::Test(Field::Metadata(name.to_owned()), test)
    }

    #[test]
    fn tests_become_clauses_on_the_payload_s_keys() {
        let text = |text: &str| Value::Text(text.to_owned());
        let filter = Filter::All(vec![
            metadata("author", Test::In(vec![text("Kim"), text("Lee")])),
            Filter::Not(Box::new(metadata("checked", Test::Equals(Value::Flag(true))))),
            Filter::Test(Field::Time, Test::Range(Range { from: Some(5.0), ..Range::default() })),
            metadata("year", Test::Exists),
        ]);
        let clause = filter.resolve(&fields(), 8).unwrap();
        let expected = Clause::All(vec![
            Clause::Texts("metadata.author".into(), vec!["Kim".into(), "Lee".into()]),
            Clause::Not(Box::new(Clause::Any(vec![Clause::Flag("metadata.checked".into(), true)]))),
            Clause::Within("time_ms".into(), Range { from: Some(5.0), ..Range::default() }),
            Clause::Exists("metadata.year".into()),
        ]);
        assert_eq!(clause, expected);
    }

    #[test]
    fn what_no_item_could_pass_is_refused_with_its_path() {
        let check = |filter: Filter, expected: &str| {
            let error = filter.resolve(&fields(), 4).unwrap_err().to_string();
            assert!(error.contains(expected), "{error}");
        };
        let number = || Test::Equals(Value::Number(1.0));
        check(
            Filter::Any(vec![metadata("yaer", number())]),
            "filter.any[0]: no item has the field 'yaer', did you mean 'year'?",
        );
        check(
            metadata("author", number()),
            "filter: compares with number, but the field holds text",
        );
        check(metadata("author", Test::Range(Range::only(1.0))), "holds text");
        check(metadata("year", Test::Range(Range::default())), "without bounds");
        check(metadata("year", Test::Equals(Value::Number(f64::NAN))), "must be finite");
        check(metadata("year", Test::In(Vec::new())), "name at least one");
        check(Filter::Any(Vec::new()), "filter.any: is empty");
        check(
            metadata("author", Test::In(vec![Value::Text(String::new()); 5])),
            "filter: has 5 tests, limit 4",
        );
        let deep = (0..9).fold(metadata("year", number()), |inner, _| Filter::Not(Box::new(inner)));
        check(deep, "nests deeper than the limit 8");
    }
}
