//! Filters of evidence on the command line.

use std::collections::BTreeMap;

use anyhow::Context;

use crate::proto::v1;
use crate::proto::v1::metadata_condition::Condition;

/// Items whose metadata has all of these values, each `NAME=VALUE`; none means all items. Texts of
/// one name are alternatives. `true` and `false` are flags, what a number prints as is that number
/// ("0417" is none), and all else is text; in quotes everything is.
pub(super) fn filter(given: &[String]) -> anyhow::Result<Option<v1::EvidenceFilter>> {
    let mut texts: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    let mut conditions = Vec::new();
    for pair in given {
        let (name, value) = pair
            .split_once('=')
            .filter(|(name, _)| !name.is_empty())
            .with_context(|| format!("--where {pair}: write NAME=VALUE, such as year=2024"))?;
        let number = value.parse().ok().filter(|number: &f64| number.to_string() == value);
        if let Ok(flag) = value.parse() {
            conditions.push(condition(name, Condition::Flag(flag)));
        } else if let Some(number) = number.filter(|number| number.is_finite()) {
            let range = v1::NumberRange { min: Some(number), max: Some(number) };
            conditions.push(condition(name, Condition::Range(range)));
        } else {
            let quoted = value.strip_prefix('"').and_then(|rest| rest.strip_suffix('"'));
            texts.entry(name).or_default().push(quoted.unwrap_or(value).to_owned());
        }
    }
    conditions.extend(texts.into_iter().map(|(name, values)| any_of(name, values)));
    Ok(all(conditions))
}

/// That a value is one of these texts.
pub(super) fn any_of(name: &str, values: Vec<String>) -> v1::MetadataCondition {
    condition(name, Condition::AnyOf(v1::TextList { values }))
}

/// Items that meet all conditions; none means all items.
pub(super) fn all(conditions: Vec<v1::MetadataCondition>) -> Option<v1::EvidenceFilter> {
    (!conditions.is_empty())
        .then(|| v1::EvidenceFilter { conditions, ..v1::EvidenceFilter::default() })
}

fn condition(name: &str, condition: Condition) -> v1::MetadataCondition {
    v1::MetadataCondition { name: name.to_owned(), condition: Some(condition), negated: false }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conditions_are_read_by_what_their_values_look_like() {
        let given = ["lang=ko", "year=2024", "lang=en", "ok=true", "code=\"7\"", "subject=0417"];
        let found = filter(&given.map(str::to_owned)).unwrap().unwrap().conditions;
        let shown: Vec<(&str, Condition)> =
            found.iter().map(|one| (one.name.as_str(), one.condition.clone().unwrap())).collect();
        let texts = |values: &[&str]| {
            let values = values.iter().map(|&value| value.to_owned()).collect();
            Condition::AnyOf(v1::TextList { values })
        };
        let year = v1::NumberRange { min: Some(2024.0), max: Some(2024.0) };
        assert_eq!(
            shown,
            [
                ("year", Condition::Range(year)),
                ("ok", Condition::Flag(true)),
                ("code", texts(&["7"])),
                ("lang", texts(&["ko", "en"])),
                ("subject", texts(&["0417"])),
            ]
        );
        assert!(filter(&["year".to_owned()]).is_err() && filter(&["=1".to_owned()]).is_err());
        assert_eq!(filter(&[]).unwrap(), None);
    }
}
