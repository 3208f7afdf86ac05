//! How an English clause is built: where its verb is and what stands on either side.

use super::token::Token;
use super::words::{DETERMINERS, NUMBERS};

/// Verbs that are nothing else, beside [`HELPING`].
const STRONG: &[&str] = &[
    "is",
    "are",
    "was",
    "were",
    "'s",
    "'re",
    "'m",
    "am",
    "be",
    "isn't",
    "aren't",
    "wasn't",
    "weren't",
    "has",
    "have",
    "had",
    "'ve",
    "hasn't",
    "haven't",
    "hadn't",
    "contains",
    "includes",
    "seems",
    "seem",
    "appears",
    "appear",
    "wears",
    "holds",
    "lacks",
    "lack",
    "sits",
    "stands",
    "lies",
    "rides",
    "exhibits",
    "possesses",
    "indicates",
    "suggests",
    "remains",
    "belongs",
    "became",
    "becomes",
    "consists",
    "carries",
    "wore",
    "eats",
    "plays",
    "walks",
    "runs",
    "hangs",
    "depicts",
    "believe",
    "think",
    "smiles",
    "sleeps",
    "reveals",
    "presents",
    "drinks",
    "reads",
    "comes",
    "goes",
];
/// Verbs that may be nouns.
const WEAK: &[&str] = &[
    "shows", "show", "looks", "look", "features", "feature", "displays", "display", "wear", "hold",
    "contain", "include", "stand", "sit", "match", "matches", "differ", "differs", "shines",
    "points", "faces", "stares", "cover", "covers", "reflect", "reflects",
];
/// Verbs that only help another, so that it follows.
const HELPING: &[&str] = &[
    "does",
    "do",
    "did",
    "doesn't",
    "don't",
    "didn't",
    "can",
    "can't",
    "cannot",
    "could",
    "couldn't",
    "will",
    "won't",
    "'ll",
    "would",
    "wouldn't",
    "'d",
    "may",
    "might",
    "must",
    "should",
    "shouldn't",
];
/// Verbs after which an object is had, worn or shown.
const HAVING: &[&str] = &[
    "has",
    "have",
    "had",
    "'ve",
    "hasn't",
    "haven't",
    "wears",
    "wear",
    "wore",
    "holds",
    "hold",
    "lacks",
    "lack",
    "exhibits",
    "exhibit",
    "possesses",
    "carries",
    "shows",
    "show",
    "contains",
    "contain",
    "includes",
    "include",
    "features",
    "feature",
    "displays",
    "display",
    "depicts",
    "wearing",
    "holding",
    "carrying",
    "showing",
    "having",
    "sports",
    "hadn't",
    "reveals",
    "presents",
];
const BEING: &[&str] = &[
    "is", "are", "was", "were", "'s", "'re", "'m", "am", "be", "been", "isn't", "aren't", "wasn't",
    "weren't", "remains",
];
const LOOKING: &[&str] = &["looks", "look", "appears", "appear", "seems", "seem"];
const RELATIVE: &[&str] = &["who", "which", "that"];

/// What a verb does with what follows it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Verb {
    /// "is": what follows is told of the subject.
    Be,
    /// "has", "wears", "shows": what follows is a thing.
    Have,
    /// "looks": what follows is an adjective.
    Look,
    /// Any other.
    Other,
}

/// A verb in a clause.
#[derive(Clone, Copy, Debug)]
pub(super) struct Found {
    /// Index of its first word.
    pub first: usize,
    /// Index behind its last word: helpers, "not" and adverbs are in it.
    pub end: usize,
    /// What it does.
    pub verb: Verb,
}

/// The main verb of a clause: the first finite verb that is not in a relative clause.
pub(super) fn verb(tokens: &[Token<'_>]) -> Option<Found> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let first = (0..tokens.len()).find(|&at| is_verb(tokens, at))?;
    let mut end = first + 1;
    let mut main = first;
    while end < tokens.len() {
        let next = word(end);
        let adverb =
            matches!(next, "not" | "also" | "still" | "now" | "never" | "only" | "currently")
                || (next.ends_with("ly") && next.len() > 4);
        let helped = HELPING.contains(&word(main)) && tokens[end].is_word() && !adverb;
        let perfect = matches!(next, "been" | "being");
        if helped || perfect {
            main = end;
        } else if !adverb {
            break;
        }
        end += 1;
    }
    let being = BEING.contains(&word(main));
    let participle = being && HAVING.contains(&word(end)) && word(end).ends_with("ing");
    if participle {
        main = end;
        end += 1;
    }
    let verb = match word(main) {
        main if BEING.contains(&main) => Verb::Be,
        main if HAVING.contains(&main) => Verb::Have,
        main if LOOKING.contains(&main) => Verb::Look,
        _ => Verb::Other,
    };
    Some(Found { first, end, verb })
}

/// Index of the last word that is a finite verb outside a relative clause.
pub(super) fn last_verb(tokens: &[Token<'_>]) -> Option<usize> {
    (0..tokens.len()).rev().find(|&at| is_verb(tokens, at))
}

fn is_verb(tokens: &[Token<'_>], at: usize) -> bool {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let before = if at == 0 { "" } else { word(at - 1) };
    let is_strong = |at: usize| STRONG.contains(&word(at)) || HELPING.contains(&word(at));
    let strong = is_strong(at);
    let noun = DETERMINERS.contains(&before) || is_strong(at + 1);
    let weak = WEAK.contains(&word(at)) && !noun && before != "to";
    (strong || weak) && !(at > 1 && RELATIVE.contains(&before))
}

/// The number a word says, if it is one: "two", "12". Decimals, shares and ordinals are none.
pub(super) fn number(word: &str) -> Option<u32> {
    let known = NUMBERS.iter().find(|(name, _)| *name == word).map(|(_, value)| *value);
    known.or_else(|| word.replace(',', "").parse().ok())
}

/// The words from `from` to `to`, in lower case, with a space before, between and behind them, so
/// that a phrase is found in them by `contains`.
pub(super) fn padded(tokens: &[Token<'_>]) -> String {
    let mut text = String::from(" ");
    for token in tokens.iter().filter(|token| token.is_word() || token.raw.starts_with(['\'', '’']))
    {
        text.push_str(&token.lower);
        text.push(' ');
    }
    text
}
