//! A configuration file: its keys with their lines.

use std::ops::Range;
use std::path::Path;

use serde::Deserialize;
use toml::de::{DeTable, DeValue, ValueDeserializer};
use toml::{Spanned, Value};

use super::error::{Fault, Source};
use super::load::Given;
use super::schema::{Schema, below};

/// Reads `text`, the content of the file at `path`. Where it is no TOML, the faults are those of its
/// syntax alone.
pub(super) fn read(
    path: &Path,
    text: &str,
    schema: &Schema,
    faults: &mut Vec<Fault>,
) -> Vec<Given> {
    let mut reader = Reader { path, text, schema, faults, given: Vec::new() };
    let (table, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        reader.fault(error.span().unwrap_or_default(), error.message().to_owned());
    }
    if errors.is_empty() {
        reader.section("", table.into_inner());
    }
    reader.given
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    schema: &'a Schema,
    faults: &'a mut Vec<Fault>,
    given: Vec<Given>,
}

impl Reader<'_> {
    fn section(&mut self, section: &str, table: DeTable<'_>) {
        let mut rows: Vec<_> = table.into_iter().collect();
        rows.sort_by_key(|(name, _)| name.span().start);
        for (name, value) in rows {
            let key = below(section, name.get_ref());
            let place = name.span();
            if self.schema.key(&key).is_some() {
                self.key(key, place, value);
            } else if !self.schema.is_section(&key) {
                self.fault(place, self.schema.unknown(&key));
            } else if let DeValue::Table(inner) = value.into_inner() {
                self.section(&key, inner);
            } else {
                self.fault(place, format!("{key} is a section; write its keys below [{key}]"));
            }
        }
    }

    fn key(&mut self, key: String, place: Range<usize>, value: Spanned<DeValue<'_>>) {
        match Value::deserialize(ValueDeserializer::from(value)) {
            Ok(value) => {
                let source = self.source(&place);
                self.given.push(Given { key, value, source });
            }
            Err(error) => self.fault(place, format!("{key}: {}", error.message())),
        }
    }

    fn fault(&mut self, place: Range<usize>, reason: String) {
        let source = self.source(&place);
        self.faults.push(Fault { source, reason });
    }

    fn source(&self, place: &Range<usize>) -> Source {
        let before = self.text.get(..place.start).unwrap_or(self.text);
        let line = 1 + before.bytes().filter(|byte| *byte == b'\n').count();
        Source::File(self.path.to_owned(), line)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, given: &[&str], faults: &[&str]) {
        let mut found = Vec::new();
        let read = read(Path::new("a.toml"), text, &Schema::new(), &mut found);
        let read: Vec<String> =
            read.iter().map(|g| format!("{}: {} = {}", g.source, g.key, g.value)).collect();
        let found: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(read, given, "{text}");
        assert_eq!(found, faults, "{text}");
    }

    #[test]
    fn keys_have_their_lines_however_they_are_written() {
        check(
            "server.max_calls = 7\n[models]\nload = [\n  'a=b',\n]\n[engine]\nmax_batch = 0x10\n",
            &[
                "a.toml:1: server.max_calls = 7",
                "a.toml:3: models.load = [\"a=b\"]",
                "a.toml:7: engine.max_batch = 16",
            ],
            &[],
        );
        check("server = { max_calls = 7 }", &["a.toml:1: server.max_calls = 7"], &[]);
        check("", &[], &[]);
    }

    #[test]
    fn every_unknown_key_and_section_is_told_once() {
        check(
            "[server]\nmax_cals = 7\n[sever]\na = 1\nb = 1\n[server.limits]\nmax_prompts = 1\nx = 2",
            &["a.toml:7: server.limits.max_prompts = 1"],
            &[
                "a.toml:2: there is no key server.max_cals; did you mean server.max_calls?",
                "a.toml:8: there is no key server.limits.x; see: veriframe config keys",
                "a.toml:3: there is no key sever; did you mean server?",
            ],
        );
        let section = "a.toml:1: server is a section; write its keys below [server]";
        check("server = 1", &[], &[section]);
    }

    #[test]
    fn every_error_of_the_syntax_is_told() {
        let mut faults = Vec::new();
        let text = "[server]\nmax_calls = \n\n[engine]\nmax_batch = = 3\n";
        read(Path::new("a.toml"), text, &Schema::new(), &mut faults);
        let lines: Vec<String> = faults.iter().map(|fault| fault.source.to_string()).collect();
        assert!(lines.contains(&"a.toml:2".to_owned()), "{faults:?}");
        assert!(lines.contains(&"a.toml:5".to_owned()), "{faults:?}");
    }
}
