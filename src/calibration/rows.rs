//! Labelled rows, one JSON object a line:
//!
//! ```json
//! {"features": {"pixels": 1.2, "text": -0.4}, "label": true, "group": "case-7"}
//! ```
//!
//! Empty lines are passed over; anything else that is no row is an error that names line and field.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, Read};

use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::error::CalibrationError;
use super::map::Features;

/// What was found out about one thing, and whether it was so.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Figures by name, finite; one that is not there counts as 0.
    pub features: Features,
    /// Whether it was so.
    pub label: bool,
    /// Rows of one group are never both fitted on and measured on: those of one picture, say, or of
    /// one answer. A row without one is a group of its own.
    pub group: Option<String>,
}

/// How much is read.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct RowLimits {
    /// Rows.
    pub max_rows: usize,
    /// Bytes of one line.
    pub max_line_bytes: usize,
    /// Different names of figures over all rows.
    pub max_features: usize,
    /// Bytes of a figure's or a group's name.
    pub max_name_bytes: usize,
}

impl Default for RowLimits {
    fn default() -> Self {
        Self {
            max_rows: 1_000_000,
            max_line_bytes: 64 << 10,
            max_features: 32,
            max_name_bytes: 256,
        }
    }
}

/// Rows as they were read.
#[derive(Clone, Debug, PartialEq)]
pub struct Dataset {
    /// In the order of the lines.
    pub rows: Vec<Row>,
    /// SHA-256 of all bytes that were read, 64 lower-case hexadecimal digits.
    pub sha256: String,
}

impl Dataset {
    /// Reads all of `source`.
    pub fn read(mut source: impl BufRead, limits: RowLimits) -> Result<Self, CalibrationError> {
        let mut digest = Sha256::new();
        let (mut rows, mut names) = (Vec::new(), BTreeSet::new());
        let (mut text, mut line) = (Vec::new(), 0);
        loop {
            text.clear();
            let most = limits.max_line_bytes as u64 + 1;
            if source.by_ref().take(most).read_until(b'\n', &mut text)? == 0 {
                break;
            }
            line += 1;
            digest.update(&text);
            let refused = |reason| CalibrationError::Row { line, reason };
            let ended = text.pop_if(|last| *last == b'\n').is_some();
            if text.len() > limits.max_line_bytes && !ended {
                let limit = limits.max_line_bytes;
                return Err(refused(format!("is longer than {limit} bytes, the limit")));
            }
            if text.trim_ascii().is_empty() {
                continue;
            }
            if rows.len() == limits.max_rows {
                return Err(refused(format!("is a row more than {}, the limit", rows.len())));
            }
            let row = Row::parse(&text, limits).map_err(refused)?;
            names.extend(row.features.keys().cloned());
            if names.len() > limits.max_features {
                let (count, limit) = (names.len(), limits.max_features);
                let reason = format!("makes {count} different features, limit {limit}");
                return Err(refused(reason));
            }
            rows.push(row);
        }
        let sha256 = format!("{:x}", digest.finalize());
        Ok(Self { rows, sha256 })
    }
}

/// A row before its fields are checked, so that each can be named.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Raw {
    features: BTreeMap<String, Value>,
    label: Value,
    #[serde(default)]
    group: Value,
}

impl Row {
    fn parse(line: &[u8], limits: RowLimits) -> Result<Self, String> {
        let raw: Raw = serde_json::from_slice(line).map_err(|error| unplaced(&error))?;
        let Value::Bool(label) = raw.label else {
            return Err(format!("label is {}, must be true or false", raw.label));
        };
        let group = match raw.group {
            Value::Null => None,
            Value::String(group) if group.is_empty() || group.len() > limits.max_name_bytes => {
                let limit = limits.max_name_bytes;
                return Err(format!("group has {} bytes, must be 1 to {limit}", group.len()));
            }
            Value::String(group) => Some(group),
            other @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => {
                return Err(format!("group is {other}, must be a text"));
            }
        };
        let mut features = Features::new();
        for (name, value) in raw.features {
            if name.is_empty() || name.len() > limits.max_name_bytes {
                let (bytes, limit) = (name.len(), limits.max_name_bytes);
                return Err(format!("features has a name of {bytes} bytes, must be 1 to {limit}"));
            }
            let number = value.as_f64().filter(|number| number.is_finite());
            let number =
                number.ok_or_else(|| format!("features.{name} is {value}, must be a number"))?;
            features.insert(name, number);
        }
        Ok(Self { features, label, group })
    }

    /// The row as a line of a file, without its end.
    pub fn line(&self) -> String {
        let mut row = serde_json::json!({ "features": self.features, "label": self.label });
        if let Some(group) = &self.group {
            row["group"] = Value::from(group.as_str());
        }
        row.to_string()
    }
}

/// The error without its own line, which is always 1.
fn unplaced(error: &serde_json::Error) -> String {
    let said = error.to_string();
    match said.rsplit_once(" at line 1 column ") {
        Some((reason, column)) => format!("{reason}, at column {column}"),
        None => said,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, limits: RowLimits) -> Result<Dataset, CalibrationError> {
        Dataset::read(text.as_bytes(), limits)
    }

    #[test]
    fn rows_come_out_as_they_were_written() {
        let text = concat!(
            r#"{"features":{"pixels":1.5,"text":-2},"group":"case-7","label":true}"#,
            "\n\n  \n",
            r#"{"label":false,"features":{}}"#,
            "\r\n",
            r#"{"label":false,"features":{"x":0.1},"group":null}"#
        );
        let data = read(text, RowLimits::default()).unwrap();
        let first = &data.rows[0];
        assert_eq!(data.rows.len(), 3);
        assert_eq!((first.features["text"], first.label), (-2.0, true));
        assert_eq!((first.group.as_deref(), data.rows[1].group.as_ref()), (Some("case-7"), None));
        let again: Vec<String> = data.rows.iter().map(Row::line).collect();
        let again = read(&again.join("\n"), RowLimits::default()).unwrap();
        assert_eq!(again.rows, data.rows);
        assert_ne!(again.sha256, data.sha256, "the hash is of the bytes");
    }

    #[test]
    fn the_hash_is_of_all_bytes_as_read() {
        // printf '\n \n' | sha256sum
        let known = "fc1fd07c7cc51c082eca5bbb70fec30c863b608b78ba6913e39165433972c386";
        let found = read("\n \n", RowLimits::default()).unwrap();
        assert_eq!((found.sha256.as_str(), found.rows.len()), (known, 0));
    }

    #[test]
    fn what_is_no_row_is_told_by_line_and_field() {
        let check = |line: &str, expected: &str| {
            let text = format!("{}\n\n{line}\n", r#"{"features":{},"label":true}"#);
            let error = read(&text, RowLimits::default()).unwrap_err().to_string();
            assert_eq!(error, format!("line 3: {expected}"), "{line}");
        };
        check(r#"{"features":{}}"#, "missing field `label`, at column 15");
        check(r#"{"features":{},"label":1}"#, "label is 1, must be true or false");
        check(
            r#"{"features":{"pixels":"high"},"label":true}"#,
            "features.pixels is \"high\", must be a number",
        );
        check(r#"{"features":{"a":null},"label":true}"#, "features.a is null, must be a number");
        check(r#"{"features":{"a":1e999},"label":true}"#, "number out of range, at column 22");
        check(r#"{"features":{},"label":true,"group":7}"#, "group is 7, must be a text");
        check(r#"{"features":{},"label":true,"group":""}"#, "group has 0 bytes, must be 1 to 256");
        check(
            r#"{"features":{"":1},"label":true}"#,
            "features has a name of 0 bytes, must be 1 to 256",
        );
        check(
            r#"{"features":{},"label":true,"weight":2}"#,
            "unknown field `weight`, expected one of `features`, `label`, `group`, at column 36",
        );
        check("[1]", "invalid type: integer `1`, expected a map, at column 2");
    }

    #[test]
    fn every_limit_holds_and_is_named() {
        let limits =
            RowLimits { max_rows: 2, max_line_bytes: 50, max_features: 2, max_name_bytes: 4 };
        let check = |text: &str, expected: &str| {
            assert_eq!(read(text, limits).unwrap_err().to_string(), expected, "{text}");
        };
        let row = r#"{"features":{},"label":true}"#;
        assert_eq!(read(&format!("{row}\n{row}\n\n"), limits).unwrap().rows.len(), 2);
        check(&format!("{row}\n{row}\n{row}"), "line 3: is a row more than 2, the limit");
        let exact = format!("{row}{}\n", " ".repeat(50 - row.len()));
        assert!(read(&exact, limits).is_ok(), "the line's end does not count");
        check(&" ".repeat(51), "line 1: is longer than 50 bytes, the limit");
        let wide = r#"{"features":{"a":1,"b":2,"c":3},"label":true}"#;
        check(wide, "line 1: makes 3 different features, limit 2");
        let long = r#"{"features":{"abcde":1},"label":true}"#;
        check(long, "line 1: features has a name of 5 bytes, must be 1 to 4");
    }
}
