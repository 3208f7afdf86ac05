//! Claims of a place, in English.

use super::english::{self, Verb};
use super::token::Token;
use super::words::{CLOTHES, DETERMINERS, PICTURES};
use super::{Kind, Relation, Rule, clean};

/// Words of place; where one is the beginning of another, the longer stands first. The flag tells
/// that it may stand without a second thing, for a place in the picture.
const PLACES: &[(&str, Relation, bool)] = &[
    ("to the left of", Relation::LeftOf, false),
    ("to the right of", Relation::RightOf, false),
    ("on the left side of", Relation::LeftOf, false),
    ("on the right side of", Relation::RightOf, false),
    ("on the left of", Relation::LeftOf, false),
    ("on the right of", Relation::RightOf, false),
    ("on the left side", Relation::LeftOf, true),
    ("on the right side", Relation::RightOf, true),
    ("on the left", Relation::LeftOf, true),
    ("on the right", Relation::RightOf, true),
    ("to the left", Relation::LeftOf, true),
    ("to the right", Relation::RightOf, true),
    ("left of", Relation::LeftOf, false),
    ("right of", Relation::RightOf, false),
    ("in front of", Relation::InFrontOf, false),
    ("on top of", Relation::On, false),
    ("next to", Relation::NextTo, false),
    ("close to", Relation::NextTo, false),
    ("adjacent to", Relation::NextTo, false),
    ("beside", Relation::NextTo, false),
    ("alongside", Relation::NextTo, false),
    ("near", Relation::NextTo, false),
    ("inside of", Relation::Inside, false),
    ("inside", Relation::Inside, false),
    ("within", Relation::Inside, false),
    ("above", Relation::Above, false),
    ("underneath", Relation::Below, false),
    ("beneath", Relation::Below, false),
    ("below", Relation::Below, false),
    ("under", Relation::Below, false),
    ("behind", Relation::Behind, false),
    ("atop", Relation::On, false),
    ("over", Relation::Above, false),
    ("on", Relation::On, false),
    ("in", Relation::Inside, false),
];
/// What makes no place of "on" and "in".
const NO_PLACE: &[&str] = &[
    "fire",
    "display",
    "purpose",
    "average",
    "focus",
    "time",
    "general",
    "color",
    "colour",
    "style",
    "shape",
    "size",
    "front",
    "background",
    "foreground",
    "middle",
    "center",
    "centre",
    "total",
    "fact",
    "particular",
    "motion",
    "top",
    "profile",
    "public",
    "common",
    "place",
    "both",
    "each",
    "its",
    "appearance",
    "black",
    "white",
    "red",
    "blue",
    "green",
    "detail",
    "left",
    "right",
    "bloom",
    "two",
];

/// The place that `core` claims: the first word of place with a thing on either side.
pub(super) fn spatial(text: &str, core: &[Token<'_>]) -> Option<(Kind, Rule)> {
    (0..core.len()).find_map(|at| {
        let (relation, end, alone) = relation(core, at)?;
        let a = left(text, core, at, end)?;
        let b = right(text, core, at, end, alone)?;
        Some((Kind::Spatial { a, relation, b }, Rule::RelationWord))
    })
}

fn relation(core: &[Token<'_>], at: usize) -> Option<(Relation, usize, bool)> {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    PLACES.iter().find_map(|(phrase, relation, alone)| {
        let words = phrase.split(' ').count();
        let fits = phrase.split(' ').enumerate().all(|(i, part)| word(at + i) == part);
        (fits && is_place(core, at, at + words)).then_some((*relation, at + words, *alone))
    })
}

/// Whether "on" or "in" stands before a thing that something can be on or in.
fn is_place(core: &[Token<'_>], at: usize, end: usize) -> bool {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    if end != at + 1 || !matches!(word(at), "on" | "in") {
        return true;
    }
    let article = usize::from(DETERMINERS.contains(&word(end)));
    let noun = word(end + article);
    let inside = word(at) == "in";
    let thing = core[end.min(core.len())..].iter().take(4).all(|token| {
        let word = token.lower.as_str();
        !(PICTURES.contains(&word) || (inside && CLOTHES.contains(&word)))
    });
    thing
        && !NO_PLACE.contains(&noun)
        && word(end) != "both"
        && !(inside && article == 0)
        && end < core.len()
}

/// The thing before the word of place, or behind the verb where the place comes first.
fn left(text: &str, core: &[Token<'_>], at: usize, end: usize) -> Option<String> {
    let found = english::verb(core);
    if at == 0 {
        let found = found.filter(|found| found.first >= end)?;
        return thing(text, core, found.end, core.len());
    }
    let before = english::verb(&core[..at]);
    match before {
        Some(found) if found.first == 0 || is_there(&core[..found.first]) => {
            thing(text, core, found.end, at)
        }
        Some(found) if found.verb == Verb::Have => thing(text, core, found.end, at),
        Some(found) => thing(text, core, 0, found.first),
        None => thing(text, core, 0, at),
    }
}

fn right(text: &str, core: &[Token<'_>], at: usize, end: usize, alone: bool) -> Option<String> {
    let stop = match english::verb(&core[end..]) {
        Some(found) if at == 0 || found.first > 0 => {
            let there = end + found.first;
            if there > end && is_there(&core[there - 1..there]) { there - 1 } else { there }
        }
        _ => core.len(),
    };
    let found = thing(text, core, end, stop);
    let picture = core[end..stop].iter().any(|token| PICTURES.contains(&token.lower.as_str()));
    if picture || (found.is_none() && alone) { Some("image".into()) } else { found }
}

fn is_there(tokens: &[Token<'_>]) -> bool {
    tokens.last().is_some_and(|token| token.lower == "there")
}

/// The noun phrase from word `from` to `to`, without a participle and what follows it.
fn thing(text: &str, core: &[Token<'_>], from: usize, to: usize) -> Option<String> {
    let posture = |token: &Token<'_>| {
        matches!(
            token.lower.as_str(),
            "sitting"
                | "standing"
                | "lying"
                | "hanging"
                | "located"
                | "placed"
                | "resting"
                | ","
                | "positioned"
                | "parked"
                | "sleeping"
                | "walking"
                | "running"
                | "directly"
                | "just"
                | "seated"
                | "perched"
                | "leaning"
                | "is"
                | "are"
                | "that"
                | "which"
                | "who"
                | "visible"
                | "situated"
                | "mounted"
        )
    };
    let to = (from..to).find(|&at| posture(&core[at])).unwrap_or(to);
    if from >= to {
        return None;
    }
    let found = clean(&text[core[from].span.start..core[to - 1].span.end]);
    (!found.is_empty()).then_some(found)
}
