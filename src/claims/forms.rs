//! English attributes and their opposites; colours stand in [`super::colour`].

use super::token::Token;
use super::words::{HAIR, PERSONS};

/// What an attribute tells of.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Axis {
    /// Regular or not: even, misshapen, symmetric, sharp.
    Form,
    /// Alike or not: matching, different.
    Likeness,
    /// Natural or made.
    Nature,
    /// Open, closed, full, lit.
    State,
    /// Rough, shiny, wet.
    Surface,
    /// Large, long, wide.
    Size,
    /// Old, new, young.
    Age,
    /// Left and right.
    Side,
    /// A colour.
    Colour,
}

/// What a pair of opposites tells of, and the two.
pub(super) type Row = (Axis, &'static str, &'static str);

/// Opposites. Either side stands for the other; of a form in several rows, the first row is what it
/// says most often.
pub(super) const ENGLISH: &[Row] = &[
    (Axis::Form, "uneven", "even"),
    (Axis::Form, "jagged", "straight"),
    (Axis::Form, "crooked", "straight"),
    (Axis::Form, "irregular", "regular"),
    (Axis::Form, "misshapen", "well-formed"),
    (Axis::Form, "deformed", "well-formed"),
    (Axis::Form, "malformed", "well-formed"),
    (Axis::Form, "distorted", "undistorted"),
    (Axis::Form, "warped", "straight"),
    (Axis::Form, "abnormal", "normal"),
    (Axis::Form, "asymmetrical", "symmetrical"),
    (Axis::Form, "asymmetric", "symmetric"),
    (Axis::Form, "badly", "cleanly"),
    (Axis::Form, "poorly", "cleanly"),
    (Axis::Form, "blurry", "sharp"),
    (Axis::Form, "blurred", "sharp"),
    (Axis::Form, "curved", "straight"),
    (Axis::Form, "pointed", "rounded"),
    (Axis::Form, "pointy", "rounded"),
    (Axis::Form, "curly", "straight"),
    (Axis::Form, "wavy", "straight"),
    (Axis::Form, "spiky", "flat"),
    (Axis::Form, "spiky", "smooth"),
    (Axis::Form, "bent", "straight"),
    (Axis::Form, "misaligned", "aligned"),
    (Axis::Form, "incorrect", "correct"),
    (Axis::Likeness, "mismatched", "matching"),
    (Axis::Likeness, "mismatching", "matching"),
    (Axis::Likeness, "unmatched", "matched"),
    (Axis::Likeness, "inconsistent", "consistent"),
    (Axis::Likeness, "different", "the same"),
    (Axis::Likeness, "unequal", "equal"),
    (Axis::Likeness, "dissimilar", "similar"),
    (Axis::Likeness, "unlike", "alike"),
    (Axis::Nature, "artificial", "natural"),
    (Axis::Nature, "unnatural", "natural"),
    (Axis::Nature, "synthetic", "natural"),
    (Axis::Nature, "fake", "real"),
    (Axis::Nature, "unrealistic", "realistic"),
    (Axis::Nature, "manipulated", "unaltered"),
    (Axis::State, "open", "closed"),
    (Axis::State, "empty", "full"),
    (Axis::State, "broken", "intact"),
    (Axis::State, "damaged", "intact"),
    (Axis::State, "dirty", "clean"),
    (Axis::State, "dark", "bright"),
    (Axis::State, "light", "dark"),
    (Axis::State, "happy", "sad"),
    (Axis::State, "smiling", "frowning"),
    (Axis::State, "lit", "unlit"),
    (Axis::State, "awake", "asleep"),
    (Axis::Surface, "rough", "smooth"),
    (Axis::Surface, "wrinkled", "smooth"),
    (Axis::Surface, "shiny", "dull"),
    (Axis::Surface, "glossy", "matte"),
    (Axis::Surface, "wet", "dry"),
    (Axis::Surface, "hard", "soft"),
    (Axis::Surface, "hairy", "hairless"),
    (Axis::Surface, "sharp", "blunt"),
    (Axis::Size, "large", "small"),
    (Axis::Size, "big", "small"),
    (Axis::Size, "huge", "tiny"),
    (Axis::Size, "long", "short"),
    (Axis::Size, "tall", "short"),
    (Axis::Size, "wide", "narrow"),
    (Axis::Size, "thick", "thin"),
    (Axis::Size, "fat", "thin"),
    (Axis::Size, "high", "low"),
    (Axis::Size, "deep", "shallow"),
    (Axis::Size, "heavy", "light"),
    (Axis::Age, "old", "young"),
    (Axis::Age, "elderly", "young"),
    (Axis::Age, "new", "old"),
    (Axis::Age, "modern", "ancient"),
    (Axis::Side, "left", "right"),
];

/// The opposites that go with a noun, before the others: hair is short and long, people are short
/// and tall.
const FITTING: &[(&str, &[&str])] = &[
    ("long", HAIR),
    ("curly", HAIR),
    ("wavy", HAIR),
    ("spiky", HAIR),
    ("smooth", &["skin", "face", "surface", "wall"]),
    ("jagged", &["teeth", "tooth"]),
    ("crooked", &["teeth", "tooth", "nose"]),
    ("tall", PERSONS),
    ("fat", PERSONS),
    ("young", PERSONS),
    ("new", &["car", "house", "building", "photo", "picture", "book", "phone", "shoes", "bicycle"]),
    ("rounded", &["ear", "ears", "chin", "nose"]),
    ("blunt", &["knife", "blade"]),
    ("light", &["hair", "skin", "eyes", "beard"]),
];

/// The opposites of `form` in `table` with what they tell of, those of the first row first.
pub(super) fn opposites(table: &'static [Row], form: &str) -> Vec<(Axis, &'static str)> {
    let other = |(axis, one, other): &Row| match form {
        form if form == *one => Some((*axis, *other)),
        form if form == *other => Some((*axis, *one)),
        _ => None,
    };
    table.iter().filter_map(other).collect()
}

/// What `form` tells of, if `table` has it.
pub(super) fn axis(table: &'static [Row], form: &str) -> Option<Axis> {
    table.iter().find(|(_, one, other)| *one == form || *other == form).map(|(axis, _, _)| *axis)
}

/// The opposites that go with one of a text's nouns.
pub(super) struct Fitting(Vec<&'static str>);

impl Fitting {
    /// Those of a text with these words and signs.
    pub(super) fn of(tokens: &[Token<'_>]) -> Self {
        let has = |nouns: &[&str]| tokens.iter().any(|token| nouns.contains(&&*token.lower));
        let fits = |(_, nouns): &&(&str, &[&str])| has(nouns);
        Self(FITTING.iter().filter(fits).map(|(form, _)| *form).collect())
    }

    /// The opposites of an English form, those that fit first.
    pub(super) fn opposites(&self, form: &str) -> Vec<(Axis, &'static str)> {
        let mut found = opposites(ENGLISH, form);
        found.sort_by_key(|(_, other)| !self.0.contains(other));
        found
    }
}

/// Whether an English word tells an attribute other than a side.
pub(super) fn is_attribute(word: &str) -> bool {
    let told = axis(ENGLISH, word).is_some_and(|axis| axis != Axis::Side);
    word == "same" || told || super::colour::english(word).is_some()
}

/// "a" or "an" before `word`.
pub(super) fn indefinite(word: &str) -> &'static str {
    let silent = ["hour", "honest", "heir"].iter().any(|start| word.starts_with(start));
    let spoken = ["uni", "use", "one", "eu", "usu"].iter().any(|start| word.starts_with(start))
        && !word.starts_with("unid")
        && !word.starts_with("unin");
    let vowel = word.starts_with(['a', 'e', 'i', 'o', 'u']);
    if silent || (vowel && !spoken) { "an" } else { "a" }
}
