//! Claims of a number, in English.

use super::english::{self, number};
use super::token::Token;
use super::words::{DETERMINERS, PICTURES, PREPOSITIONS, SEVERAL};
use super::{Comparison, Kind, Rule, clean};

/// What stands behind a number that counts no things.
const UNITS: &[&str] = &[
    "years", "year", "year-old", "percent", "cm", "mm", "m", "km", "meters", "metres", "inches",
    "feet", "kg", "pounds", "pixels", "px", "degrees", "minutes", "hours", "seconds", "am", "pm",
    "o'clock", "dollars", "euros", "times", "days", "weeks", "months", "mp", "fps", "hz",
];
/// What "a pair of" makes one of.
const PAIRED: &[&str] =
    &["glasses", "sunglasses", "pants", "trousers", "scissors", "jeans", "shorts"];
/// Phrases before the number, the longest first.
const BEFORE: &[(&str, Comparison)] = &[
    ("no fewer than", Comparison::AtLeast),
    ("no less than", Comparison::AtLeast),
    ("not fewer than", Comparison::AtLeast),
    ("not less than", Comparison::AtLeast),
    ("no more than", Comparison::AtMost),
    ("not more than", Comparison::AtMost),
    ("a minimum of", Comparison::AtLeast),
    ("a maximum of", Comparison::AtMost),
    ("at least", Comparison::AtLeast),
    ("at most", Comparison::AtMost),
    ("more than", Comparison::MoreThan),
    ("fewer than", Comparison::FewerThan),
    ("less than", Comparison::FewerThan),
    ("up to", Comparison::AtMost),
    ("over", Comparison::MoreThan),
    ("about", Comparison::About),
    ("around", Comparison::About),
    ("approximately", Comparison::About),
    ("roughly", Comparison::About),
    ("nearly", Comparison::About),
    ("almost", Comparison::About),
    ("exactly", Comparison::Equal),
    ("precisely", Comparison::Equal),
    ("only", Comparison::Equal),
    ("just", Comparison::Equal),
    ("a total of", Comparison::Equal),
    ("a single", Comparison::Equal),
];

/// Whether a word holds a number in any way: "two", "3", "2023", "30-year-old", "1990s".
pub(super) fn is_numeric(word: &str) -> bool {
    (number(word).is_some() && word != "one")
        || word.starts_with(|sign: char| sign.is_numeric())
        || SEVERAL.contains(&word)
        || matches!(word, "both" | "single" | "half" | "twice" | "once")
}

/// The count that `core` claims, if it has a number at all: where the number counts no things,
/// what it says cannot be checked.
pub(super) fn count(text: &str, core: &[Token<'_>]) -> Option<(Kind, Rule)> {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let at = (0..core.len())
        .find(|&at| is_numeric(word(at)) && word(at) != "both" || is_one(core, at))?;
    let other = Some((Kind::Opinion, Rule::OtherNumber));
    let before = if at > 0 { word(at - 1) } else { "" };
    // "the two dogs" takes its number for granted; what is told of them is looked at elsewhere.
    let granted = DETERMINERS.contains(&before) && !matches!(before, "a" | "an" | "no");
    if granted {
        return None;
    }
    let (n, least, mut from) = value(core, at)?;
    let unit = UNITS.contains(&word(from)) || word(at).contains(['%', '-']);
    let digits = word(at).starts_with(|sign: char| sign.is_numeric());
    let preposed = PREPOSITIONS.contains(&before)
        && !matches!(before, "with" | "of" | "than" | "to" | "over" | "about" | "around");
    let year = preposed && (1900..2100).contains(&n);
    if (digits && number(word(at)).is_none()) || unit || year || from >= core.len() {
        return other;
    }
    if word(from) == "of" {
        from += 1;
    }
    let comparison = comparison(core, at, &mut from, least);
    let what = counted(text, core, at, from);
    if what.is_empty() {
        other
    } else {
        Some((Kind::Count { what, comparison, n }, Rule::NumberWord))
    }
}

/// "one" counts where "only", "exactly" or "there is" stands before it, or nothing.
fn is_one(core: &[Token<'_>], at: usize) -> bool {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let before = if at > 0 { word(at - 1) } else { "" };
    let pronoun =
        matches!(before, "this" | "that" | "the" | "each" | "every" | "any" | "no" | "which");
    word(at) == "one" && !pronoun && core.len() > at + 1
}

/// The number at word `at`, how it is meant where no word says so, and the word behind it.
fn value(core: &[Token<'_>], at: usize) -> Option<(u32, Comparison, usize)> {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let several = match word(at) {
        "several" | "multiple" | "many" | "numerous" | "few" => Some((2, Comparison::AtLeast)),
        "dozens" => Some((24, Comparison::AtLeast)),
        "hundreds" => Some((200, Comparison::AtLeast)),
        "pair" if PAIRED.contains(&word(at + 2)) => return None,
        "couple" | "pair" => Some((2, Comparison::Equal)),
        "single" => Some((1, Comparison::Equal)),
        "half" | "twice" | "once" => Some((0, Comparison::About)),
        _ => None,
    };
    if let Some((n, comparison)) = several {
        let end = if matches!(word(at), "half" | "twice" | "once") { core.len() } else { at + 1 };
        return Some((n, comparison, end));
    }
    let mut n = number(word(at)).unwrap_or(0);
    let mut end = at + 1;
    if word(end) == "hundred" || word(end) == "dozen" {
        n = n.saturating_mul(number(word(end)).unwrap_or(1));
        end += 1;
    }
    Some((n, Comparison::Equal, end))
}

/// How the number is meant; moves `from` behind "or more".
fn comparison(
    core: &[Token<'_>],
    at: usize,
    from: &mut usize,
    otherwise: Comparison,
) -> Comparison {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let after = match (word(*from), word(*from + 1)) {
        ("or", "more") => Some(Comparison::AtLeast),
        ("or", "fewer" | "less") => Some(Comparison::AtMost),
        _ => None,
    };
    if let Some(comparison) = after {
        *from += 2;
        return comparison;
    }
    let before = english::padded(&core[at.saturating_sub(4)..at]);
    let found = BEFORE.iter().find(|(words, _)| before.ends_with(&format!(" {words} ")));
    found.map_or(otherwise, |(_, comparison)| *comparison)
}

/// What is counted: the words behind the number, up to where they only say that it is to be seen. A
/// predicate of one word goes before the noun: "two ears are pointed" counts pointed ears.
fn counted(text: &str, core: &[Token<'_>], at: usize, from: usize) -> String {
    let source = |from: usize, to: usize| {
        if from >= to {
            return String::new();
        }
        clean(&text[core[from].span.start..core[to - 1].span.end])
    };
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let end = picture_start(core).max(from);
    let verb = english::verb(core).filter(|found| found.first > at && found.first < end);
    let Some(found) = verb else { return source(from, end) };
    let noun = source(from, found.first);
    let seen = ["visible", "present", "seen", "shown", "there", "depicted", "in"];
    let rest = source(found.end, end);
    if rest.is_empty() || (seen.contains(&word(found.end)) && end == found.end + 1) {
        return noun;
    }
    if end == found.end + 1 {
        return format!("{rest} {noun}");
    }
    source(from, end)
}

/// The word at which "in the image" starts at the end, or the number of words.
fn picture_start(core: &[Token<'_>]) -> usize {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    (1..core.len())
        .find(|&at| {
            let article = usize::from(DETERMINERS.contains(&word(at + 1)));
            matches!(word(at), "in" | "on" | "within" | "of")
                && PICTURES.contains(&word(at + 1 + article))
                && at + 2 + article == core.len()
        })
        .unwrap_or(core.len())
}
