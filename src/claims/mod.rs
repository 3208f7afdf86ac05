//! Claims out of an answer, cues out of a request, and the prompts that check them.
//!
//! Imports: nothing.
//!
//! Pure text: no tensor, no clock, no file. [`split`] cuts an answer into atomic claims, each with
//! its bytes in the answer, its [`Kind`] and the [`Rule`] that decided; [`cues`] finds what a request
//! asks to look for; [`Templates`] make prompts of a claim, and [`contrasts`] the prompts that it is
//! compared with; [`polarity()`] tells whether what a passage says stands for a claim or against it.
//!
//! The rules are tables and a few patterns in English and Korean, and they err on one side: a claim
//! that counts, relates or negates is never called a presence, for CLIP would then score it as if
//! the number, the place or the "no" were not there (B/32 answers 6.8 % of negated questions right
//! and 69.1 % of affirmed ones). What no rule knows for sure is [`Kind::Opinion`]: not checkable.
//!
//! Time and memory are linear in the text: a sentence longer than [`SENTENCE_BYTES`] is not read
//! word by word.

mod classify;
mod clause;
mod colour;
mod complement;
mod contrast;
mod count;
mod cue;
mod english;
mod forms;
mod kind;
mod korean;
mod korean_clause;
mod korean_colour;
mod korean_contrast;
mod korean_form;
mod korean_list;
mod korean_negation;
mod korean_number;
mod korean_particle;
mod korean_place;
mod language;
mod likeness;
mod negation;
mod place;
mod polarity;
mod quantity;
mod sentence;
mod template;
mod token;
mod words;

#[cfg(test)]
mod properties;

use std::ops::Range;

pub use contrast::{Axis, Contrast, Formation, contrasts};
pub use cue::{Cue, cues};
pub use kind::{Comparison, Kind, KindName, Relation, Rule};
pub use language::Language;
pub use polarity::{Polarity, polarity};
pub use template::{Template, TemplateError, TemplateRule, Templates};

/// The longest sentence, in bytes, that is cut into clauses and classified; a longer one is one
/// claim that cannot be checked.
pub const SENTENCE_BYTES: usize = 2048;

/// How much text is read and how much may come of it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// Longest answer, or text with cues, in bytes.
    pub max_bytes: usize,
    /// Most claims of one answer.
    pub max_claims: usize,
    /// Most different cues of one text.
    pub max_cues: usize,
    /// Most contrasts of one claim.
    pub max_contrasts: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 1 << 20, max_claims: 256, max_cues: 64, max_contrasts: 12 }
    }
}

/// What breaks a limit. Each names the field, the value and the limit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum ClaimsError {
    /// The text has too many bytes; nothing of it was read.
    #[error("{field} is {bytes} bytes, limit {limit}")]
    TooLong {
        /// `answer` or `cues`.
        field: &'static str,
        /// Its length.
        bytes: usize,
        /// [`Limits::max_bytes`].
        limit: usize,
    },
    /// The text holds too many claims or cues.
    #[error("{field} has {count} {unit}, limit {limit}")]
    TooMany {
        /// `answer` or `cues`.
        field: &'static str,
        /// How many it has.
        count: usize,
        /// `claims` or `cues`.
        unit: &'static str,
        /// [`Limits::max_claims`] or [`Limits::max_cues`].
        limit: usize,
    },
}

/// One statement of an answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Claim {
    /// Its bytes in the answer, on character boundaries. Claims come in order and do not overlap.
    /// Bullets, conjunctions between claims and closing punctuation belong to none.
    pub span: Range<usize>,
    /// What it says when it stands alone: a subject or verb that it shares with the claim before it
    /// is carried over, spaces are single, closing punctuation is gone.
    pub text: String,
    /// What has to be looked at to check it.
    pub kind: Kind,
    /// The language whose rules were used.
    pub language: Language,
    /// The rule that decided the kind.
    pub rule: Rule,
}

/// Cuts an answer into claims: sentences, then coordinated clauses. Text without a letter makes no
/// claim. Fails where the answer is longer than `limits.max_bytes` or has more than
/// `limits.max_claims` claims.
pub fn split(answer: &str, limits: &Limits) -> Result<Vec<Claim>, ClaimsError> {
    within("answer", answer, limits)?;
    let mut claims = Vec::new();
    let mut count = 0;
    for sentence in sentence::sentences(answer) {
        for piece in pieces(answer, &sentence) {
            count += 1;
            if count <= limits.max_claims {
                claims.push(claim(piece, &sentence));
            }
        }
    }
    if count > limits.max_claims {
        let limit = limits.max_claims;
        return Err(ClaimsError::TooMany { field: "answer", count, unit: "claims", limit });
    }
    Ok(claims)
}

/// A claim before it is classified.
#[derive(Clone, Debug)]
struct Piece {
    span: Range<usize>,
    text: String,
}

fn pieces(answer: &str, sentence: &sentence::Sentence) -> Vec<Piece> {
    let source = &answer[sentence.span.clone()];
    let whole = || vec![Piece { span: sentence.span.clone(), text: clean(source) }];
    if sentence.is_question || source.len() > SENTENCE_BYTES {
        return whole();
    }
    let mut pieces = match Language::of(source) {
        Language::English => clause::split(source),
        Language::Korean => korean_clause::split(source),
        Language::Other => return whole(),
    };
    for piece in &mut pieces {
        piece.span = piece.span.start + sentence.span.start..piece.span.end + sentence.span.start;
    }
    pieces
}

fn claim(piece: Piece, sentence: &sentence::Sentence) -> Claim {
    let Piece { span, text } = piece;
    let language = Language::of(&text);
    let (kind, rule) = if sentence.is_question {
        (Kind::Opinion, Rule::Question)
    } else if text.len() > 2 * SENTENCE_BYTES {
        (Kind::Opinion, Rule::TooLong)
    } else {
        classify::classify(&text, language)
    };
    Claim { span, text, kind, language, rule }
}

fn within(field: &'static str, text: &str, limits: &Limits) -> Result<(), ClaimsError> {
    let (bytes, limit) = (text.len(), limits.max_bytes);
    if bytes > limit {
        return Err(ClaimsError::TooLong { field, bytes, limit });
    }
    Ok(())
}

/// Single spaces, and no punctuation at the end.
fn clean(text: &str) -> String {
    let words: Vec<&str> = text.split_whitespace().collect();
    words.join(" ").trim_end_matches(|sign| sentence::CLOSING.contains(&sign)).to_owned()
}
