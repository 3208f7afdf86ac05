//! Names and versions of models, as requests, folders and aliases write them: `clip@2`, `clip`.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

/// Longest name or version, in bytes.
const LENGTH_LIMIT: usize = 64;
/// What a model has that nobody gave a version.
const FIRST_VERSION: &str = "1";

/// One version of one model. Ordered by name, then from the lowest version to the highest: parts
/// between dots are compared as numbers where both are numbers, so `1.10` is above `1.9`.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct ModelId {
    name: String,
    version: String,
}

impl ModelId {
    /// Refuses what is no plain word (letters, digits and a few signs).
    pub fn new(name: &str, version: &str) -> Result<Self, String> {
        check_word("name", name)?;
        check_word("version", version)?;
        Ok(Self { name: name.to_owned(), version: version.to_owned() })
    }

    /// `clip` in `clip@2`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// `2` in `clip@2`.
    pub fn version(&self) -> &str {
        &self.version
    }
}

impl fmt::Display for ModelId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}@{}", self.name, self.version)
    }
}

impl FromStr for ModelId {
    type Err = String;

    /// Reads `clip@2`; `clip` alone is `clip@1`.
    fn from_str(text: &str) -> Result<Self, String> {
        let (name, version) = parts(text);
        Self::new(name, version.unwrap_or(FIRST_VERSION))
    }
}

impl Ord for ModelId {
    fn cmp(&self, other: &Self) -> Ordering {
        let order = self.name.cmp(&other.name);
        // Versions such as 1 and 01 weigh the same but are two folders.
        order
            .then_with(|| compare_versions(&self.version, &other.version))
            .then_with(|| self.version.cmp(&other.version))
    }
}

impl PartialOrd for ModelId {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// A name, and the version where one is written behind `@`.
pub(super) fn parts(text: &str) -> (&str, Option<&str>) {
    match text.split_once('@') {
        Some((name, version)) => (name, Some(version)),
        None => (text, None),
    }
}

/// A plain word: 1 to 64 letters, digits, `.`, `_` or `-`, the first a letter or a digit. So no word
/// leads out of a folder. `what` opens the error.
pub(super) fn check_word(what: &str, word: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    if word.is_empty() {
        Err(format!("{what} is empty"))
    } else if word.len() > LENGTH_LIMIT {
        Err(format!("{what} is {} bytes long, limit {LENGTH_LIMIT}", word.len()))
    } else if !word.bytes().all(plain) || !word.as_bytes()[0].is_ascii_alphanumeric() {
        Err(format!(
            "{what} '{}' may hold letters, digits, '.', '_' and '-', the first a letter or a digit",
            word.escape_debug()
        ))
    } else {
        Ok(())
    }
}

fn compare_versions(left: &str, right: &str) -> Ordering {
    let (mut left, mut right) = (left.split('.'), right.split('.'));
    loop {
        let order = match (left.next(), right.next()) {
            (None, None) => return Ordering::Equal,
            (None, Some(_)) => return Ordering::Less,
            (Some(_), None) => return Ordering::Greater,
            (Some(left), Some(right)) => match (left.parse::<u64>(), right.parse::<u64>()) {
                (Ok(left), Ok(right)) => left.cmp(&right),
                (Ok(_), Err(_)) => Ordering::Greater,
                (Err(_), Ok(_)) => Ordering::Less,
                (Err(_), Err(_)) => left.cmp(right),
            },
        };
        if order != Ordering::Equal {
            return order;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_ordered_as_people_count() {
        let mut versions = ["2", "10", "1.9", "1.10", "beta", "1", "1.9.1"]
            .map(|version| ModelId::new("clip", version).unwrap());
        versions.sort();
        let ordered: Vec<&str> = versions.iter().map(ModelId::version).collect();
        assert_eq!(ordered, ["beta", "1", "1.9", "1.9.1", "1.10", "2", "10"]);
    }

    #[test]
    fn equal_weight_is_not_equal_identity() {
        let (one, other) = (ModelId::new("a", "1").unwrap(), ModelId::new("a", "01").unwrap());
        assert_ne!(one, other);
        assert_ne!(one.cmp(&other), Ordering::Equal);
    }

    #[test]
    fn only_plain_words_are_names() {
        for text in ["clip", "clip@2", "vit-b-32.openai_v1@2024.05"] {
            assert!(text.parse::<ModelId>().is_ok(), "{text}");
        }
        for text in
            ["", "@1", "clip@", "..", "../x", "a/b", ".hidden", "-x", "a@1@2", "얼굴", "a b"]
        {
            assert!(text.parse::<ModelId>().is_err(), "{text}");
        }
        let long = "x".repeat(65);
        let refused = long.parse::<ModelId>().unwrap_err();
        assert_eq!(refused, "name is 65 bytes long, limit 64");
        assert_eq!("clip".parse::<ModelId>().unwrap().to_string(), "clip@1");
    }
}
