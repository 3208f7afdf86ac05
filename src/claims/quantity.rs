//! How many of what: the numbers that two claims allow, and whether they count the same things.

use super::english::{self, Verb};
use super::korean::{bare, is_existence};
use super::token::tokens;
use super::words::{DETERMINERS, PICTURES};
use super::{Comparison, Language};

/// Numbers: those from the least to the most, or all others.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Numbers {
    least: u64,
    most: u64,
    denied: bool,
}

impl Numbers {
    /// The numbers that a count allows. "About" allows a fifth more or less, and at least one.
    pub(super) fn of(comparison: Comparison, n: u32) -> Self {
        let n = u64::from(n);
        let (least, most) = match comparison {
            Comparison::Equal => (n, n),
            Comparison::AtLeast => (n, u64::MAX),
            Comparison::AtMost => (0, n),
            Comparison::MoreThan => (n + 1, u64::MAX),
            // Fewer than none is no number at all.
            Comparison::FewerThan if n == 0 => (1, 0),
            Comparison::FewerThan => (0, n - 1),
            Comparison::About => (n.saturating_sub((n / 5).max(1)), n + (n / 5).max(1)),
        };
        Self { least, most, denied: false }
    }

    /// One or more.
    pub(super) fn some() -> Self {
        Self { least: 1, most: u64::MAX, denied: false }
    }

    pub(super) fn complement(self) -> Self {
        Self { denied: !self.denied, ..self }
    }

    fn contains(&self, n: u64) -> bool {
        (self.least..=self.most).contains(&n) != self.denied
    }

    /// Whether some of `stated` are among these, and whether some are not.
    pub(super) fn holds(&self, stated: &Self) -> (bool, bool) {
        // Between these nothing changes.
        let edges = [self, stated].map(|numbers| {
            let (least, most) = (numbers.least, numbers.most);
            [least.saturating_sub(1), least, most, most.saturating_add(1)]
        });
        let mut found = (false, false);
        for n in edges.into_iter().flatten().chain([0, u64::MAX]) {
            if stated.contains(n) {
                found = (found.0 || self.contains(n), found.1 || !self.contains(n));
            }
        }
        found
    }
}

/// Words that only say that something is to be seen.
const SEEN: &[&str] = &[
    "there", "is", "are", "was", "were", "be", "can", "visible", "present", "seen", "shown",
    "here", "in", "on", "of",
];
const PLURALS: &[(&str, &str)] = &[
    ("teeth", "tooth"),
    ("people", "person"),
    ("persons", "person"),
    ("men", "man"),
    ("women", "woman"),
    ("children", "child"),
    ("feet", "foot"),
    ("mice", "mouse"),
    ("geese", "goose"),
];

/// A thing by its words, so that they are equal where the things are: no articles and particles, one
/// number, lower case.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Thing(Vec<String>);

impl Thing {
    /// The thing that a noun phrase names.
    pub(super) fn of(text: &str, language: Language) -> Self {
        match language {
            Language::Korean => Self(korean(text)),
            Language::English | Language::Other => Self(english(text)),
        }
    }

    /// The thing that a text says to be there, or that its subject has; none where the text says
    /// more of it.
    pub(super) fn there(text: &str, language: Language) -> Option<Self> {
        let thing = match language {
            Language::Korean => Self(korean(text)),
            Language::English | Language::Other => {
                let tokens = tokens(text);
                let found = english::verb(&tokens);
                let had = found.filter(|found| found.verb == Verb::Have);
                let from = had.and_then(|found| tokens.get(found.end));
                Self(english(from.map_or(text, |token| &text[token.span.start..])))
            }
        };
        (!thing.0.is_empty()).then_some(thing)
    }
}

fn english(text: &str) -> Vec<String> {
    let tokens = tokens(text);
    let words = tokens.iter().filter(|token| token.is_word()).map(|token| token.lower.as_str());
    let said = |word: &&str| {
        !DETERMINERS.contains(word) && !SEEN.contains(word) && !PICTURES.contains(word)
    };
    words.filter(said).map(singular).collect()
}

fn singular(word: &str) -> String {
    if let Some((_, one)) = PLURALS.iter().find(|(many, _)| *many == word) {
        return (*one).to_owned();
    }
    if let Some(stem) = word.strip_suffix("ies").filter(|stem| stem.len() > 1) {
        return format!("{stem}y");
    }
    let hissing = ["ses", "xes", "ches", "shes"].iter().any(|end| word.ends_with(end));
    if let Some(stem) = word.strip_suffix("es").filter(|_| hissing) {
        return stem.to_owned();
    }
    let singular = ["ss", "us", "is"].iter().any(|end| word.ends_with(end));
    word.strip_suffix('s').filter(|_| !singular).unwrap_or(word).to_owned()
}

fn korean(text: &str) -> Vec<String> {
    let place = |word: &str| ["에", "에는", "에서"].iter().any(|end| word.ends_with(end));
    let words = text.split(' ').map(|word| word.trim_end_matches([',', '.']));
    words
        .filter(|word| !word.is_empty() && !is_existence(word) && !place(word))
        .map(|word| {
            // A noun may end like a particle, 고양이: what is left is no word, but one and the same.
            let mut rest = word;
            while bare(rest) != rest {
                rest = bare(rest);
            }
            rest.to_owned()
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_hold_others_or_not() {
        use Comparison::{About, AtLeast, AtMost, Equal, FewerThan, MoreThan};
        let check = |claimed: (Comparison, u32), stated: (Comparison, u32), expected| {
            let numbers = |(comparison, n)| Numbers::of(comparison, n);
            assert_eq!(
                numbers(claimed).holds(&numbers(stated)),
                expected,
                "{claimed:?} {stated:?}"
            );
        };
        let (all, none, some, empty) = ((true, false), (false, true), (true, true), (false, false));
        check((Equal, 2), (Equal, 2), all);
        check((Equal, 2), (Equal, 3), none);
        check((AtLeast, 2), (Equal, 3), all);
        check((Equal, 3), (AtLeast, 2), some);
        check((MoreThan, 3), (AtMost, 3), none);
        check((FewerThan, 3), (AtMost, 2), all);
        check((Equal, 0), (FewerThan, 0), empty);
        check((About, 20), (Equal, 23), all);
        check((About, 20), (Equal, 30), none);
        check((About, 1), (Equal, 0), all);
        check((AtLeast, u32::MAX), (MoreThan, u32::MAX), all);
        let not_two = Numbers::of(Equal, 2).complement();
        assert_eq!(not_two.holds(&Numbers::of(Equal, 3)), all);
        assert_eq!(not_two.holds(&Numbers::of(AtLeast, 2)), some);
        assert_eq!(Numbers::some().complement().holds(&Numbers::of(Equal, 0)), all);
    }

    #[test]
    fn a_thing_is_one_in_any_number() {
        let same = |one: &str, other: &str, language| {
            assert_eq!(Thing::of(one, language), Thing::of(other, language), "{one} {other}");
        };
        same("the Dogs", "a dog", Language::English);
        same("teeth", "tooth", Language::English);
        same("two-door buses in the image", "two-door bus", Language::English);
        same("berries", "berry", Language::English);
        same("고양이가", "고양이", Language::Korean);
        same("얼굴에 점이 있다", "점", Language::Korean);
        let there = Thing::there("The face has ears", Language::English).unwrap();
        assert_eq!(there, Thing::of("ears", Language::English));
        assert_ne!(there, Thing::of("pointed ears", Language::English));
    }
}
