//! English colours: which words name one, and which others contradict it.
//!
//! The eleven basic colour terms of English (Berlin and Kay, *Basic Color Terms*, 1969), and blond,
//! which is told of hair alone.

use super::english;
use super::token::Token;
use super::words::{HAIR, PERSONS, PREPOSITIONS, is_adjective};

/// A basic colour.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Colour {
    White,
    Black,
    Grey,
    Brown,
    Blue,
    Green,
    Red,
    Yellow,
    Orange,
    Purple,
    Pink,
    Blond,
}

use Colour::{Black, Blond, Blue, Brown, Green, Grey, Orange, Pink, Purple, Red, White, Yellow};

/// Whose colour is told.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Bearer {
    Hair,
    Eyes,
    /// A person: "blond" is then the hair's, "black" and "white" the skin's.
    Person,
    Other,
}

/// Every colour, in the order in which things have them.
const ALL: [Colour; 12] =
    [White, Black, Grey, Brown, Blue, Green, Red, Yellow, Orange, Purple, Pink, Blond];
/// The colours of hair, the natural ones first.
const OF_HAIR: [Colour; 12] =
    [Black, Brown, Blond, Red, Grey, White, Blue, Green, Pink, Purple, Yellow, Orange];
/// The colours of eyes, the natural ones first.
const OF_EYES: [Colour; 12] =
    [Brown, Blue, Green, Grey, Black, Red, Yellow, Orange, Purple, Pink, White, Blond];
/// Eyes, and what is of them.
const EYES: &[&str] = &["eye", "eyes", "iris", "irises"];
/// Words for colours, each with the basic ones that it may be taken for.
const ENGLISH: &[(&str, &[Colour])] = &[
    ("white", &[White]),
    ("black", &[Black]),
    ("grey", &[Grey]),
    ("gray", &[Grey]),
    ("brown", &[Brown]),
    ("blue", &[Blue]),
    ("green", &[Green]),
    ("red", &[Red]),
    ("yellow", &[Yellow]),
    ("orange", &[Orange]),
    ("purple", &[Purple]),
    ("pink", &[Pink]),
    ("blond", &[Blond]),
    ("blonde", &[Blond]),
    ("golden", &[Yellow, Blond, Orange]),
    ("silver", &[Grey, White]),
    ("beige", &[White, Yellow, Brown]),
    ("violet", &[Purple]),
    ("turquoise", &[Blue, Green]),
    ("teal", &[Blue, Green]),
    ("cyan", &[Blue, Green]),
    ("navy", &[Blue, Black]),
    ("crimson", &[Red]),
    ("scarlet", &[Red]),
    ("maroon", &[Red, Brown, Purple]),
    ("auburn", &[Red, Brown, Orange]),
];

/// How far the noun that a colour is told of may stand from it, in words.
const NEAR_WORDS: usize = 12;

impl Colour {
    /// The colour furthest from it, or the one that it is most often told from.
    fn opposite(self) -> Self {
        match self {
            White | Blond => Black,
            Black => White,
            Grey => Pink,
            Brown | Orange => Blue,
            Blue => Brown,
            Green => Red,
            Red => Green,
            Yellow => Purple,
            Purple => Yellow,
            Pink => Grey,
        }
    }

    fn name(self) -> &'static str {
        match self {
            White => "white",
            Black => "black",
            Grey => "grey",
            Brown => "brown",
            Blue => "blue",
            Green => "green",
            Red => "red",
            Yellow => "yellow",
            Orange => "orange",
            Purple => "purple",
            Pink => "pink",
            Blond => "blond",
        }
    }
}

/// The basic colours that an English word may be taken for.
pub(super) fn english(word: &str) -> Option<&'static [Colour]> {
    ENGLISH.iter().find(|(name, _)| *name == word).map(|(_, colours)| *colours)
}

/// The name of the basic colour that a word stands for, of hair in "red-haired" too; other words as
/// they are.
pub(super) fn plain(word: &str) -> &str {
    let word = word.strip_suffix("-haired").unwrap_or(word);
    match english(word) {
        Some([colour]) => colour.name(),
        _ => word,
    }
}

/// The colours that contradict `told`, the nearest opposite first.
///
/// On hair, red is orange and blond is yellow. Of a person, black and white tell the skin: only
/// each other is known to contradict them.
pub(super) fn others(told: &[Colour], bearer: Bearer) -> Vec<Colour> {
    let hair = bearer == Bearer::Hair;
    let pairs = [(Blond, Yellow), (Red, Orange), (Orange, Red), (Yellow, Blond)];
    let alike =
        |one: Colour, other: Colour| pairs.contains(&(one, other)) && (hair || one == Blond);
    let skin = bearer == Bearer::Person && matches!(told, [Black | White]);
    let order = match bearer {
        Bearer::Hair => OF_HAIR,
        Bearer::Eyes => OF_EYES,
        Bearer::Person | Bearer::Other => ALL,
    };
    let Some(nearest) = told.first().map(|colour| colour.opposite()) else { return Vec::new() };
    let mut found: Vec<Colour> = order
        .into_iter()
        .filter(|colour| !told.iter().any(|told| told == colour || alike(*told, *colour)))
        .filter(|colour| (hair || *colour != Blond) && (!skin || *colour == nearest))
        .collect();
    found.sort_by_key(|colour| *colour != nearest);
    found
}

/// What contradicts the colour that word `at` tells, in the words of that text; none where it names
/// no colour, or a thing: "an orange".
pub(super) fn english_others(tokens: &[Token<'_>], at: usize) -> Vec<String> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let Some(told) = english(word(at)) else { return Vec::new() };
    let noun = noun_after(tokens, at);
    let article = at > 0 && matches!(word(at - 1), "a" | "an");
    if noun.is_none() && article {
        return Vec::new();
    }
    let bearer = match noun {
        Some(noun) => bearer(word(noun)),
        None => (at.saturating_sub(NEAR_WORDS)..at)
            .rev()
            .map(|at| bearer(word(at)))
            .find(|bearer| *bearer != Bearer::Other)
            .unwrap_or(Bearer::Other),
    };
    if told == [Blond] && bearer != Bearer::Hair {
        // The hair's colour, told of who has it.
        return ["dark", "black", "brown", "red", "grey", "white"]
            .map(|hair| format!("{hair}-haired"))
            .into();
    }
    let joined = |at: usize| matches!(word(at), "and" | "or" | "&");
    let beside = |colour: Colour| {
        let before = at > 1 && joined(at - 1) && word(at - 2) == colour.name();
        before || (joined(at + 1) && word(at + 2) == colour.name())
    };
    // There is no light black and no dark white.
    let shaded = at > 0 && matches!(word(at - 1), "light" | "dark" | "pale" | "bright" | "deep");
    let shadeless = |colour: Colour| shaded && matches!(colour, White | Black);
    others(told, bearer)
        .into_iter()
        .filter(|colour| !beside(*colour) && !shadeless(*colour))
        .map(|colour| colour.name().to_owned())
        .collect()
}

/// Index of the noun that the colour at word `at` stands before, behind other adjectives.
fn noun_after(tokens: &[Token<'_>], at: usize) -> Option<usize> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let joins = |at: usize| matches!(word(at), "and" | "or" | "&" | ",");
    let mut noun = at + 1;
    let goes_on = |at: usize| is_adjective(word(at)) || (joins(at) && is_adjective(word(at + 1)));
    while noun <= at + NEAR_WORDS && goes_on(noun) {
        noun += 1;
    }
    let ends = tokens.get(noun).is_none_or(|token| !token.is_word())
        || PREPOSITIONS.contains(&word(noun))
        || joins(noun)
        || english::verb(&tokens[noun..=noun]).is_some();
    (!ends).then_some(noun)
}

fn bearer(word: &str) -> Bearer {
    match word {
        word if HAIR.contains(&word) => Bearer::Hair,
        word if EYES.contains(&word) => Bearer::Eyes,
        word if PERSONS.contains(&word) => Bearer::Person,
        _ => Bearer::Other,
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    fn check(text: &str, word: &str, first: &str, among: &[&str], never: &[&str]) {
        let tokens = tokens(text);
        let at = tokens.iter().position(|token| token.lower == word).unwrap();
        let found = english_others(&tokens, at);
        assert_eq!(found.first().map_or("", String::as_str), first, "{text}: {found:?}");
        for colour in among {
            assert!(found.iter().any(|found| found == colour), "{text}: {colour} in {found:?}");
        }
        for colour in never {
            assert!(found.iter().all(|found| found != colour), "{text}: {colour} in {found:?}");
        }
    }

    #[test]
    fn every_other_basic_colour_contradicts_one() {
        let rest = [
            "black", "grey", "brown", "blue", "green", "red", "yellow", "orange", "purple", "pink",
        ];
        check("a white dog", "white", "black", &rest, &["white", "blond"]);
        check("The car is grey", "grey", "pink", &["blue", "white"], &["grey", "blond"]);
        check("a gray car", "gray", "pink", &["blue"], &["grey"]);
    }

    #[test]
    fn blond_is_told_of_hair() {
        let hair = ["black", "brown", "red", "grey", "blue", "white"];
        check("The hair is blond", "blond", "black", &hair, &["blond", "yellow"]);
        check("a man with red hair", "red", "green", &["blond", "black"], &["orange", "red"]);
        check("black eyes and blond hair", "black", "white", &["brown", "blue"], &["blond"]);
        check("a blond woman", "blond", "dark-haired", &["red-haired"], &["black"]);
        check("a black woman with blond hair", "black", "white", &[], &["green", "grey"]);
    }

    #[test]
    fn colours_side_by_side_stay_two() {
        check("a black and white dog", "black", "grey", &["red"], &["white"]);
        check("a black and white dog", "white", "grey", &["red"], &["black"]);
    }

    #[test]
    fn a_shade_of_a_colour_stays_one() {
        check("a light blue hat", "blue", "brown", &["green"], &["white", "black"]);
    }

    #[test]
    fn a_thing_is_no_colour() {
        check("The man has an orange", "orange", "", &[], &["blue"]);
        check("The man has an orange hat", "orange", "blue", &["red"], &["orange"]);
    }
}
