//! How what two texts affirm goes together, by the attributes in them.

use std::collections::HashSet;

use super::Language;
use super::colour;
use super::contrast::{Axis, Opposites, english_opposites};
use super::korean_clause::is_subject;
use super::korean_contrast::korean_opposites;
use super::korean_form::stem;
use super::token::tokens;

/// How what two texts affirm goes together, denials aside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Match {
    /// One and the same, as far as words tell.
    Alike,
    /// One of the two is so: even and uneven.
    Complementary,
    /// At most one of the two is so: blond and red.
    Exclusive,
    /// Neither says anything of the other.
    Open,
}

/// How the attributes of two texts of one language go together. The words that both have tell
/// nothing; of the others, one that has an opposite in the other text decides.
pub(super) fn attributes(claim: &str, statement: &str, language: Language) -> Match {
    let told = forms(statement, language);
    let mut found = Match::Alike;
    for (axis, form, others) in opposites(claim, language) {
        let opposed = others.iter().any(|other| told.contains(other));
        if !opposed || told.contains(&form) {
            continue;
        }
        if axis == Axis::Side {
            return Match::Open;
        }
        let two_sided = matches!(axis, Axis::Form | Axis::Likeness | Axis::Nature);
        let first = found == Match::Alike;
        found = if two_sided && first { Match::Complementary } else { Match::Exclusive };
    }
    found
}

/// The attributes of a text: what each tells of, its key, and those of its opposites.
fn opposites(text: &str, language: Language) -> Vec<(Axis, String, Vec<String>)> {
    let keys = |forms: Vec<String>| forms.iter().map(|form| key(form, language)).collect();
    let words: Vec<&str> = text.split(' ').collect();
    let tokens = tokens(text);
    let (found, words) = match language {
        Language::English => {
            let words = tokens.iter().map(|token| token.lower.as_str()).collect();
            (english_opposites(&tokens), words)
        }
        Language::Korean => (korean_opposites(&words), words),
        Language::Other => return Vec::new(),
    };
    let formed = |found: Opposites| {
        let form = words[found.words].join(" ");
        (found.axis, key(&form, language), keys(found.others))
    };
    found.into_iter().map(formed).collect()
}

/// The keys of every form that a text has.
fn forms(text: &str, language: Language) -> HashSet<String> {
    let key = |form: &str| key(form, language);
    if language != Language::Korean {
        let tokens = tokens(text);
        let pairs = tokens.windows(2).map(|pair| format!("{} {}", pair[0].lower, pair[1].lower));
        return tokens.iter().map(|token| key(&token.lower)).chain(pairs).collect();
    }
    // The longest form that starts at a word hides those in it: 고르지 않다 is no 고르다.
    let words: Vec<&str> = text.split(' ').collect();
    let formed = korean_opposites(&words);
    let ranges = || formed.iter().map(|form| form.words.clone());
    let hidden: HashSet<usize> = ranges().flatten().collect();
    let rest = (0..words.len()).filter(|at| !hidden.contains(at) && !is_subject(words[*at]));
    ranges()
        .map(|range| key(&words[range].join(" ")))
        .chain(rest.map(|at| key(words[at])))
        .collect()
}

/// What a form is compared by: a colour's plain name, in Korean the stem of the word, so that it is
/// found before a noun and at the end.
fn key(form: &str, language: Language) -> String {
    match language {
        Language::Korean => stem(form),
        Language::English | Language::Other => colour::plain(form).to_owned(),
    }
}
