//! The commented default file, which is the manual, and what it says about each key.

use super::environment;
use super::schema::below;

/// The manual: every key with its meaning, default and range. It sets nothing that is not the
/// default, so a copy of it is a good first configuration file.
pub const DEFAULT_FILE: &str = include_str!("veriframe.toml");

/// What begins the line of a comment that gives a key's range: `# Range: 1 to 256.`
const RANGE: &str = "Range: ";

/// One key in the manual.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// Its path: `server.limits.max_prompts`.
    pub key: String,
    /// The lines of the comment above it.
    pub meaning: Vec<String>,
    /// The default; an example where `optional`.
    pub value: String,
    /// Whether the key is left out by default: written `#key = example`.
    pub optional: bool,
    /// The variable that sets it; the short name where it has one.
    pub variable: String,
}

/// Every key, in the order of the manual.
pub fn entries() -> Vec<Entry> {
    let (mut section, mut comment, mut entries) = (String::new(), Vec::new(), Vec::new());
    for line in DEFAULT_FILE.lines() {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            name.clone_into(&mut section);
            comment.clear();
        } else if line.is_empty() {
            comment.clear();
        } else if let Some(words) = line.strip_prefix("# ") {
            comment.push(words.to_owned());
        } else if let Some((name, value)) = line.split_once(" = ") {
            let key = below(&section, name.trim_start_matches('#'));
            let short = environment::short(&key).map(str::to_owned);
            entries.push(Entry {
                meaning: std::mem::take(&mut comment),
                value: value.to_owned(),
                optional: name.starts_with('#'),
                variable: short.unwrap_or_else(|| environment::variable(&key)),
                key,
            });
        }
    }
    entries
}

impl Entry {
    /// The least and the most the key takes, where the manual says so.
    pub fn range(&self) -> Option<(&str, &str)> {
        let range = self.meaning.iter().find_map(|line| line.strip_prefix(RANGE))?;
        range.strip_suffix('.')?.split_once(" to ")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::time::Duration;

    use bytesize::ByteSize;
    use toml::Table;

    use super::super::Settings;
    use super::super::load::Sources;
    use super::super::schema::{Key, Kind, Schema};
    use super::*;

    #[test]
    fn the_manual_has_the_codes_own_keys_and_defaults() {
        let code = Table::try_from(Settings::default()).unwrap();
        let manual: Table = toml::from_str(DEFAULT_FILE).unwrap();
        let schema = Schema::new();
        let listed: BTreeSet<String> = entries().into_iter().map(|entry| entry.key).collect();
        for key in schema.keys() {
            assert!(
                listed.contains(&key.path),
                "src/config/veriframe.toml lacks {}; write its meaning, its default and its \
                 range above it, as for the others{}",
                key.path,
                if key.default.is_none() { ", and the key itself as `#key = example`" } else { "" }
            );
        }
        for entry in entries() {
            let key = schema.key(&entry.key);
            let key = key.unwrap_or_else(|| panic!("{} is in the manual alone", entry.key));
            assert_eq!(entry.optional, key.default.is_none(), "{}", entry.key);
            if let Some(default) = &key.default {
                assert_eq!(entry.value, default.to_string(), "default of {}", entry.key);
            }
        }
        assert_eq!(manual, code);
    }

    #[test]
    fn every_key_has_a_meaning_and_stands_once() {
        let mut seen = BTreeSet::new();
        for entry in entries() {
            let meaning = entry.meaning.join(" ");
            assert!(meaning.len() > 10, "{} has no comment above it", entry.key);
            assert!(meaning.ends_with('.'), "comment of {}: {meaning}", entry.key);
            assert!(seen.insert(entry.key.clone()), "{} stands twice", entry.key);
        }
        let long = DEFAULT_FILE.lines().find(|line| line.chars().count() > 100);
        assert_eq!(long, None, "longer than 100 signs");
    }

    #[test]
    fn the_documents_it_names_are_there() {
        let words = DEFAULT_FILE.split(|sign: char| sign.is_whitespace() || "():,;".contains(sign));
        let named = words.filter(|word| word.starts_with("docs/") || word.starts_with("proto/"));
        for document in named.map(|word| word.trim_end_matches('.')) {
            let path = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join(document);
            assert!(path.exists(), "there is no {document}");
        }
    }

    #[test]
    fn no_key_holds_a_secret() {
        for key in Schema::new().keys() {
            let secret = ["password", "secret", "token", "api_key"];
            let telling = secret.iter().any(|word| key.path.contains(word));
            assert!(!telling, "{} is printed by `config print`; name a file instead", key.path);
        }
    }

    #[test]
    fn the_examples_can_be_used_together() {
        let set = entries().into_iter().filter(|entry| entry.optional).map(|entry| {
            let value =
                toml::from_str::<Table>(&format!("x = {}", entry.value)).unwrap()["x"].clone();
            let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            format!("{}={text}", entry.key)
        });
        let loaded = Sources { set: set.collect(), ..Sources::default() }.load();
        assert!(loaded.is_ok(), "{}", loaded.unwrap_err());
    }

    #[test]
    fn the_ranges_of_the_manual_are_those_of_the_code() {
        let schema = Schema::new();
        for entry in entries() {
            let key = schema.key(&entry.key).unwrap();
            let Some((least, most)) = entry.range() else {
                let free = is_unit(key) || matches!(key.kind, Kind::Whole | Kind::Number);
                assert!(!free, "{} needs `# Range: LEAST to MOST.` above it", entry.key);
                continue;
            };
            for (limit, step) in [(least, -1), (most, 1)] {
                let limit = Quantity::read(key, limit);
                check(&entry.key, &limit.text(), true);
                if let Some(beyond) = limit.beside(step) {
                    check(&entry.key, &beyond.text(), false);
                }
            }
        }
    }

    /// Whether the one key alone is accepted or refused.
    fn check(key: &str, text: &str, accepted: bool) {
        let sources = Sources { set: vec![format!("{key}={text}")], ..Sources::default() };
        let message = sources.load().err().map(|error| error.to_string()).unwrap_or_default();
        let refusal = |line: &str| line.contains(&format!("{key} is ")) && line.contains("must be");
        let refused = message.lines().any(refusal);
        assert_eq!(!refused, accepted, "{key} = {text}: '{message}'");
    }

    /// Whether a text key holds a duration or a size.
    fn is_unit(key: &Key) -> bool {
        let Some(text) = key.default.as_ref().and_then(toml::Value::as_str) else { return false };
        let begins = text.starts_with(|first: char| first.is_ascii_digit());
        begins && (text.parse::<ByteSize>().is_ok() || humantime::parse_duration(text).is_ok())
    }

    enum Quantity {
        Whole(i128),
        Number(f64),
        Bytes(u64),
        Time(Duration),
    }

    impl Quantity {
        fn read(key: &Key, text: &str) -> Self {
            let wrong = || -> ! { panic!("{}: cannot read the limit '{text}'", key.path) };
            let digits = text.replace(' ', "");
            match key.kind {
                Kind::Whole => digits.parse().map_or_else(|_| wrong(), Self::Whole),
                Kind::Number => text.parse().map_or_else(|_| wrong(), Self::Number),
                Kind::Text(_) => humantime::parse_duration(text)
                    .map(Self::Time)
                    .or_else(|_| text.parse::<ByteSize>().map(|size| Self::Bytes(size.as_u64())))
                    .unwrap_or_else(|_| wrong()),
                Kind::Switch | Kind::List | Kind::Map => wrong(),
            }
        }

        fn text(&self) -> String {
            match self {
                Self::Whole(value) => value.to_string(),
                Self::Number(value) => value.to_string(),
                Self::Bytes(value) => format!("{value} B"),
                Self::Time(value) => crate::units::duration::text(*value),
            }
        }

        /// One step further; nothing below zero.
        fn beside(&self, step: i64) -> Option<Self> {
            let millisecond = Duration::from_millis(1);
            match self {
                Self::Whole(value) => Some(Self::Whole(value + i128::from(step))),
                Self::Number(value) => Some(Self::Number(value + 1e-3 * step as f64)),
                Self::Bytes(value) => value.checked_add_signed(step).map(Self::Bytes),
                Self::Time(value) if step > 0 => Some(Self::Time(*value + millisecond)),
                Self::Time(value) => value.checked_sub(millisecond).map(Self::Time),
            }
        }
    }
}
