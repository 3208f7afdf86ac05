//! Labelled data about answers, as files of JSON lines.
//!
//! Three kinds of line, one object each; `veriframe eval dossiers` writes such files, and anybody's own
//! data can stand in their place:
//!
//! - [`EvidenceLine`]: what `veriframe evidence ingest` puts into a collection.
//! - [`AnswerLine`]: an answer, what it is about, and what is known of each of its claims.
//! - [`RetrievalLine`]: a question to a collection, and how much each item has to do with it.
//!
//! Paths of pictures are relative to the file.

use std::collections::BTreeMap;

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Longest line that is read, in bytes: more than any passage that a collection takes.
pub const MAX_LINE_BYTES: usize = 1 << 20;

/// A piece of evidence.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct EvidenceLine {
    /// The item's id.
    pub id: String,
    /// The passage; empty for a picture alone.
    #[serde(default)]
    pub text: String,
    /// Path of the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Where it is from.
    #[serde(default)]
    pub source_uri: String,
    /// Its title.
    #[serde(default)]
    pub title: String,
    /// When it was written, RFC 3339.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<String>,
    /// Values by name.
    #[serde(default)]
    pub metadata: BTreeMap<String, serde_json::Value>,
}

/// An answer with its labels.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct AnswerLine {
    /// Its name in reports.
    pub id: String,
    /// ISO 639-1 code of the answer's language: a row of the report.
    pub language: String,
    /// What was asked; may be empty.
    #[serde(default)]
    pub question: String,
    /// Path of the picture that the answer is about; absent for evidence alone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// The answer.
    pub answer: String,
    /// Metadata that evidence must have, each equal to a text. Lines of equal filters are of one
    /// subject, and are drawn together where confidence intervals are made.
    #[serde(default)]
    pub filter: BTreeMap<String, String>,
    /// Whether no claim of it is false.
    #[serde(rename = "true")]
    pub is_true: bool,
    /// What is known of its claims.
    #[serde(default)]
    pub claims: Vec<ClaimLine>,
}

/// What is known of a claim.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct ClaimLine {
    /// Where it begins in the answer, in bytes.
    pub start: usize,
    /// The first byte after it.
    pub end: usize,
    /// Whether it is so.
    pub label: Label,
    /// What it is about: a row of the report.
    pub topic: String,
    /// The items that speak to it, for or against.
    #[serde(default)]
    pub evidence: Vec<String>,
}

/// Whether a claim is so.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Label {
    /// It is.
    True,
    /// It is not.
    False,
    /// Nobody can tell.
    Uncheckable,
}

impl Label {
    /// Whether it is true, of what can be told.
    pub fn truth(self) -> Option<bool> {
        match self {
            Self::True => Some(true),
            Self::False => Some(false),
            Self::Uncheckable => None,
        }
    }
}

/// A question to a collection.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RetrievalLine {
    /// Its name in reports.
    pub id: String,
    /// What is looked for in words; empty for a picture alone.
    #[serde(default)]
    pub text: String,
    /// Path of the picture that is looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub image: Option<String>,
    /// Ids of the items that should be found, by how much they have to do with it: 1 and more.
    pub relevant: BTreeMap<String, u32>,
}

/// What is wrong with a line.
#[derive(Debug, Error)]
#[error("line {line}: {reason}")]
pub struct DatasetError {
    /// Which, from 1.
    pub line: usize,
    /// What, with the field.
    pub reason: String,
}

/// A line that can tell whether what it says fits together.
pub trait Checked {
    /// What does not, with the field.
    fn check(&self) -> Result<(), String>;
}

impl Checked for AnswerLine {
    fn check(&self) -> Result<(), String> {
        let mut last = 0;
        for (at, claim) in self.claims.iter().enumerate() {
            if self.answer.get(claim.start..claim.end).is_none_or(str::is_empty) {
                let (start, end, length) = (claim.start, claim.end, self.answer.len());
                return Err(format!(
                    "claims[{at}]: {start} to {end} is no text of an answer of {length} bytes"
                ));
            }
            if claim.start < last {
                return Err(format!("claims[{at}]: begins before the one before it ends"));
            }
            last = claim.end;
        }
        let has_false = self.claims.iter().any(|claim| claim.label == Label::False);
        if self.is_true && has_false {
            return Err("true: the answer is said to be true and has a false claim".to_owned());
        }
        if !self.is_true && !self.claims.is_empty() && !has_false {
            return Err("true: the answer is said to be false and has no false claim".to_owned());
        }
        Ok(())
    }
}

impl Checked for RetrievalLine {
    fn check(&self) -> Result<(), String> {
        if self.text.is_empty() && self.image.is_none() {
            return Err("text: there is neither a text nor an image to look for".to_owned());
        }
        if !self.relevant.values().any(|&grade| grade > 0) {
            return Err("relevant: no item of a grade above 0".to_owned());
        }
        Ok(())
    }
}

impl Checked for EvidenceLine {
    fn check(&self) -> Result<(), String> {
        let empty = self.text.is_empty() && self.image.is_none();
        if empty { Err("text: there is neither a text nor an image".to_owned()) } else { Ok(()) }
    }
}

/// The lines of a file; empty ones are passed over. At least one.
pub fn read<T: DeserializeOwned + Checked>(text: &str) -> Result<Vec<T>, DatasetError> {
    let mut lines = Vec::new();
    for (at, line) in text.lines().enumerate() {
        let wrong = |reason: String| DatasetError { line: at + 1, reason };
        if line.len() > MAX_LINE_BYTES {
            return Err(wrong(format!("{} bytes, limit {MAX_LINE_BYTES}", line.len())));
        }
        if line.trim().is_empty() {
            continue;
        }
        let read: T = serde_json::from_str(line).map_err(|error| wrong(error.to_string()))?;
        read.check().map_err(wrong)?;
        lines.push(read);
    }
    if lines.is_empty() {
        return Err(DatasetError { line: 1, reason: "the file has no line".to_owned() });
    }
    Ok(lines)
}

/// The lines as a file.
pub fn write(lines: &[impl Serialize]) -> Result<String, serde_json::Error> {
    let mut text = String::new();
    for line in lines {
        text.push_str(&serde_json::to_string(line)?);
        text.push('\n');
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = r#"{"id":"a","language":"en","answer":"The hair is red. 눈은 파랗다.",
        "filter":{"subject":"1"},"true":false,"claims":[
        {"start":0,"end":15,"label":"true","topic":"hair"},
        {"start":17,"end":33,"label":"false","topic":"eyes","evidence":["x"]}]}"#;

    fn good() -> String {
        GOOD.replace('\n', "")
    }

    fn check(line: &str, expected: &str) {
        let error = read::<AnswerLine>(&format!("\n{line}")).unwrap_err();
        assert_eq!(error.line, 2, "{line}");
        assert!(error.reason.contains(expected), "{line}: {error}");
    }

    #[test]
    fn what_is_written_is_read_again() {
        let lines: Vec<AnswerLine> = read(&good()).unwrap();
        let claims: Vec<&str> =
            lines[0].claims.iter().map(|c| &lines[0].answer[c.start..c.end]).collect();
        assert_eq!(claims, ["The hair is red", "눈은 파랗다"]);
        assert_eq!(read::<AnswerLine>(&write(&lines).unwrap()).unwrap(), lines);
    }

    #[test]
    fn errors_name_the_line_and_the_field() {
        check(&good().replace("\"end\":33", "\"end\":32"), "claims[1]: 17 to 32 is no text");
        check(&good().replace("\"end\":33", "\"end\":99"), "of 34 bytes");
        check(&good().replace("\"start\":17", "\"start\":3"), "claims[1]: begins before");
        check(&good().replace("\"true\":false", "\"true\":true"), "true: the answer is said");
        check(&good().replace("\"label\":\"false\"", "\"label\":\"true\""), "has no false claim");
        check(&good().replace("language", "lang"), "unknown field `lang`");
        check("{", "EOF");
        assert_eq!(read::<AnswerLine>("\n\n").unwrap_err().line, 1);
        let nothing = r#"{"id":"q","relevant":{"a":1}}"#;
        assert!(read::<RetrievalLine>(nothing).unwrap_err().reason.starts_with("text:"));
        let none = r#"{"id":"q","text":"x","relevant":{"a":0}}"#;
        assert!(read::<RetrievalLine>(none).unwrap_err().reason.starts_with("relevant:"));
    }
}
