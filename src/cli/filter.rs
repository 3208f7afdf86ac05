//! Filters of evidence on the command line.

use std::str::FromStr;

use crate::proto::v1;

/// `NAME=VALUE`: metadata that must be so. `true` and `false` are flags, numbers are numbers, and all
/// else is text.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FilterArg {
    name: String,
    value: String,
}

impl FromStr for FilterArg {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, value)) if !name.is_empty() => {
                Ok(Self { name: name.to_owned(), value: value.to_owned() })
            }
            _ => Err(format!("'{text}' is no filter, such as subject=0417")),
        }
    }
}

impl FilterArg {
    fn condition(&self) -> v1::MetadataCondition {
        use v1::metadata_condition::Condition;

        let condition = match self.value.as_str() {
            "true" => Condition::Flag(true),
            "false" => Condition::Flag(false),
            // "0417" is a name, not the number 417.
            value => match value.parse::<f64>() {
                Ok(number) if number.to_string() == value => {
                    Condition::Range(v1::NumberRange { min: Some(number), max: Some(number) })
                }
                _ => Condition::AnyOf(v1::TextList { values: vec![value.to_owned()] }),
            },
        };
        v1::MetadataCondition {
            name: self.name.clone(),
            condition: Some(condition),
            ..v1::MetadataCondition::default()
        }
    }
}

/// Items that meet all of them; none means all items.
pub(super) fn filter(arguments: &[FilterArg]) -> Option<v1::EvidenceFilter> {
    let conditions: Vec<v1::MetadataCondition> =
        arguments.iter().map(FilterArg::condition).collect();
    (!conditions.is_empty())
        .then(|| v1::EvidenceFilter { conditions, ..v1::EvidenceFilter::default() })
}

#[cfg(test)]
mod tests {
    use v1::metadata_condition::Condition;

    use super::*;

    #[test]
    fn values_are_read_as_what_they_look_like() {
        let read = |text: &str| text.parse::<FilterArg>().unwrap().condition();
        let text = |value: &str| Condition::AnyOf(v1::TextList { values: vec![value.to_owned()] });
        assert_eq!(read("subject=0417").name, "subject");
        assert_eq!(read("subject=0417").condition, Some(text("0417")));
        assert_eq!(read("note=a=b").condition, Some(text("a=b")));
        assert_eq!(read("closed=true").condition, Some(Condition::Flag(true)));
        let number = v1::NumberRange { min: Some(7.5), max: Some(7.5) };
        assert_eq!(read("age=7.5").condition, Some(Condition::Range(number)));
        assert!("subject".parse::<FilterArg>().is_err() && "=1".parse::<FilterArg>().is_err());
        assert_eq!(filter(&[]), None);
    }
}
