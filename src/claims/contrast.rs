//! The prompts that a claim's prompt is compared with: what would be so if the claim were false, and
//! what is so either way.

use std::ops::Range;

use super::classify::classify;
use super::colour;
use super::forms::{Fitting, indefinite};
use super::token::{Token, capitalised_like, tokens};
use super::words::is_adjective;
use super::{Kind, Language, clean, complement, korean_contrast};

pub use super::forms::Axis;

/// How a contrast was formed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Formation {
    /// An attribute is replaced by its opposite; of a colour, by another colour.
    Opposite(Axis),
    /// What is had or there is not: "with" and "without", 있다 and 없다. Weak with CLIP, which hardly
    /// reads a denial: formed only where no attribute has an opposite.
    Complement,
    /// The attribute, or what is had, is left out: so either way.
    Neutral,
}

/// A text to compare a claim with.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Contrast {
    /// The claim's text with `from` replaced by `to`; the rest is kept.
    pub text: String,
    /// How it was formed.
    pub formation: Formation,
    /// The words that were replaced.
    pub from: String,
    /// What stands in their place; empty where they are left out.
    pub to: String,
}

impl Contrast {
    /// Whether it says that the claim is false; a neutral one does not.
    pub fn is_contradiction(&self) -> bool {
        self.formation != Formation::Neutral
    }
}

/// The contrasts of `text`, contradictions first, at most `limit`, each once; room is kept for one
/// that is neutral where there is one and `limit` is above 1.
///
/// Every attribute of the tables is replaced, one at a time, by each of its opposites, a colour by
/// every other basic colour: the nearest opposite of each attribute comes first, then the second of
/// each, and so on. Where no attribute has an opposite, what is claimed to be there is denied.
///
/// None for what counts, relates or cannot be checked: nobody compares that as a text.
pub fn contrasts(text: &str, language: Language, limit: usize) -> Vec<Contrast> {
    let text = clean(text);
    if text.len() > super::SENTENCE_BYTES || !is_compared(&classify(&text, language).0) {
        return Vec::new();
    }
    match language {
        Language::English => english(&text, limit),
        Language::Korean => korean_contrast::korean(&text, limit),
        Language::Other => Vec::new(),
    }
}

/// Whether a claim of this kind is compared with other texts.
fn is_compared(kind: &Kind) -> bool {
    match kind {
        Kind::Presence | Kind::Attribute | Kind::Part => true,
        Kind::Negation { inner, .. } => is_compared(inner),
        Kind::Count { .. } | Kind::Spatial { .. } | Kind::Opinion => false,
    }
}

/// Words of a text and what is to stand in their place.
#[derive(Clone, Debug)]
pub(super) struct Swap {
    /// Indices of the words.
    pub words: Range<usize>,
    /// What stands in their place; nothing in a neutral one.
    pub to: String,
    pub formation: Formation,
    /// How many opposites of the same words are nearer.
    pub rank: usize,
}

/// An attribute in a text and its opposites.
#[derive(Clone, Debug)]
pub(super) struct Opposites {
    pub axis: Axis,
    /// Indices of its words.
    pub words: Range<usize>,
    /// In the form that it has, the nearest first.
    pub others: Vec<String>,
}

impl Swap {
    /// One for each opposite, and a neutral one with `without` in its place. A side is no attribute:
    /// without it a claim says more, not less.
    pub(super) fn each(
        words: &Range<usize>,
        axis: Axis,
        others: Vec<String>,
        without: &str,
    ) -> Vec<Self> {
        let swap = |rank, to, formation| Self { words: words.clone(), to, formation, rank };
        let neutral = (axis != Axis::Side && !others.is_empty())
            .then(|| swap(0, without.to_owned(), Formation::Neutral));
        let opposite = |(rank, to)| swap(rank, to, Formation::Opposite(axis));
        others.into_iter().enumerate().map(opposite).chain(neutral).collect()
    }
}

/// Those of the contrasts that are kept. Each is written only if there is room for it, so that time
/// is linear in the text for any number of attributes.
pub(super) fn kept(
    text: &str,
    mut swaps: Vec<Swap>,
    limit: usize,
    write: impl Fn(&Swap) -> Contrast,
    complement: impl FnOnce() -> Vec<Contrast>,
) -> Vec<Contrast> {
    swaps.sort_by_key(|swap| swap.rank);
    let is_neutral = |swap: &&Swap| swap.formation == Formation::Neutral;
    let no_opposite = swaps.iter().all(|swap| is_neutral(&swap));
    let (denied, left_out): (Vec<Contrast>, Vec<Contrast>) =
        if no_opposite { complement() } else { Vec::new() }
            .into_iter()
            .partition(Contrast::is_contradiction);
    let fresh = |kept: &[Contrast], contrast: &Contrast| {
        let known = kept.iter().any(|old| old.text == contrast.text);
        !known && contrast.text != text && !contrast.text.is_empty()
    };
    let neutrals = swaps.iter().filter(is_neutral).map(&write).chain(left_out);
    let mut neutrals = neutrals.filter(|contrast| fresh(&[], contrast)).peekable();
    let room = limit.saturating_sub(usize::from(limit > 1 && neutrals.peek().is_some()));
    let opposites = swaps.iter().filter(|swap| !is_neutral(swap)).map(&write).chain(denied);
    let mut kept: Vec<Contrast> = Vec::new();
    for (contrasts, room) in [
        (&mut opposites.into_iter() as &mut dyn Iterator<Item = Contrast>, room),
        (&mut neutrals, limit),
    ] {
        while kept.len() < room
            && let Some(contrast) = contrasts.next()
        {
            if fresh(&kept, &contrast) {
                kept.push(contrast);
            }
        }
    }
    kept
}

fn english(text: &str, limit: usize) -> Vec<Contrast> {
    let tokens = tokens(text);
    let swaps = english_opposites(&tokens)
        .iter()
        .flat_map(|found| Swap::each(&found.words, found.axis, found.others.clone(), ""))
        .collect();
    let write = |swap: &Swap| swapped(text, &tokens, swap);
    kept(text, swaps, limit, write, || complement::english(text, &tokens))
}

/// The attributes of an English text and their opposites.
pub(super) fn english_opposites(tokens: &[Token<'_>]) -> Vec<Opposites> {
    let fitting = Fitting::of(tokens);
    (0..tokens.len()).filter_map(|at| opposites_at(tokens, at, &fitting)).collect()
}

/// The opposites of the form that starts at word `at`.
fn opposites_at(tokens: &[Token<'_>], at: usize, fitting: &Fitting) -> Option<Opposites> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let colours = colour::english_others(tokens, at);
    if !colours.is_empty() {
        return Some(Opposites { axis: Axis::Colour, words: at..at + 1, others: colours });
    }
    let same = word(at) == "the" && word(at + 1) == "same";
    let form = if same { "the same" } else { word(at) };
    let mut found = fitting.opposites(form);
    // "light blue": a shade of a colour has one opposite.
    let shade = matches!(form, "light" | "dark") && colour::english(word(at + 1)).is_some();
    found.retain(|(_, other)| !shade || matches!(*other, "light" | "dark"));
    let axis = found.first()?.0;
    let others = found.into_iter().map(|(_, other)| other.to_owned()).collect();
    Some(Opposites { axis, words: at..at + 1 + usize::from(same), others })
}

/// `text` with some words replaced: the article before them is made to fit, and a verb that would
/// be left with nothing to say goes too.
fn swapped(text: &str, tokens: &[Token<'_>], swap: &Swap) -> Contrast {
    let Swap { words, to, formation, .. } = swap;
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let from = text[tokens[words.start].span.start..tokens[words.end - 1].span.end].to_owned();
    let (mut put, gap) = (to.clone(), gap(tokens, words, to));
    let (mut start, end) = (gap.start, gap.end);
    let next = if to.is_empty() { word(end) } else { to };
    if start > 0 && matches!(word(start - 1), "a" | "an") {
        start -= 1;
        if !to.starts_with("the ") && !next.is_empty() {
            put = format!("{} {to}", indefinite(next));
        }
    }
    let tail = tokens.get(end).map_or("", |token| &text[token.span.start..]);
    let capital = words.start == 0 || start == 0;
    let joined = clean(&format!("{} {put} {tail}", &text[..tokens[start].span.start]));
    let text = if capital { capitalised_like(text, &joined) } else { joined };
    Contrast { text: text.replace(" ,", ","), formation: *formation, from, to: to.clone() }
}

/// The words that make room for `to`: where nothing does, what joins them to another word goes too,
/// and at the end the verb that would have nothing to say.
fn gap(tokens: &[Token<'_>], words: &Range<usize>, to: &str) -> Range<usize> {
    const VERBS: &[&str] = &[
        "is", "are", "was", "were", "look", "looks", "very", "appear", "appears", "'s", "'re",
        "slightly", "clearly",
    ];
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let joins = |at: usize| matches!(word(at), "and" | "or" | "&");
    let Range { mut start, end } = words.clone();
    if !to.is_empty() {
        return words.clone();
    }
    if joins(end) && is_adjective(word(end + 1)) {
        return start..end + 1;
    }
    if start > 1 && joins(start - 1) && is_adjective(word(start - 2)) {
        return start - 1..end;
    }
    while end == tokens.len() && start > 0 && VERBS.contains(&word(start - 1)) {
        start -= 1;
    }
    start..end
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: Language, contradiction: &str, neutral: Option<&str>) {
        let formed = contrasts(text, language, 12);
        let first = formed.first().map(|formed| formed.text.as_str());
        assert_eq!(first, Some(contradiction), "{text}: {formed:?}");
        let found = formed.iter().find(|formed| !formed.is_contradiction());
        assert_eq!(found.map(|formed| formed.text.as_str()), neutral, "{text}: {formed:?}");
    }

    #[test]
    fn english_attributes_turn_into_their_opposites() {
        let check = |text, other, neutral| check(text, Language::English, other, neutral);
        check("a face with uneven teeth", "a face with even teeth", Some("a face with teeth"));
        check(
            "mismatched pupil reflections",
            "matching pupil reflections",
            Some("pupil reflections"),
        );
        check("artificial pupil reflection", "natural pupil reflection", Some("pupil reflection"));
        check("a misshapen ear", "a well-formed ear", Some("an ear"));
        check("The teeth are uneven.", "The teeth are even", Some("The teeth"));
        check("an open window", "a closed window", Some("a window"));
        check("Large eyes", "Small eyes", Some("Eyes"));
        check(
            "different reflections in the two pupils",
            "the same reflections in the two pupils",
            Some("reflections in the two pupils"),
        );
        check("the left ear", "the right ear", None);
        check("a black dog", "a white dog", Some("a dog"));
        check("The dog is tall and fat", "The dog is short and fat", Some("The dog is fat"));
        check("The man is bald and tall", "The man is bald and short", Some("The man is bald"));
    }

    #[test]
    fn where_nothing_has_an_opposite_presence_is_denied() {
        let check = |text, other, neutral| check(text, Language::English, other, neutral);
        check("a face with a blending seam", "a face without blending seam", Some("a face"));
        check("a blending seam", "no blending seam", None);
        check("no blending seam", "a blending seam", None);
        check("There is a dog", "There is no dog", None);
        check("The man has a hat", "The man has no hat", Some("The man"));
        check("He is wearing a hat", "He is not wearing a hat", Some("He"));
        check("The man is a doctor", "The man is not a doctor", None);
    }

    #[test]
    fn korean_attributes_turn_into_their_opposites() {
        let check = |text, other, neutral| check(text, Language::Korean, other, neutral);
        check("얼굴에 들쭉날쭉한 치아", "얼굴에 가지런한 치아", Some("얼굴에 치아"));
        check("고르지 않은 치아", "고른 치아", Some("치아"));
        check("짝짝이 동공 반사", "일치하는 동공 반사", Some("동공 반사"));
        check("서로 다른 동공 반사", "서로 같은 동공 반사", Some("동공 반사"));
        check("인위적인 귀 모양", "자연스러운 귀 모양", Some("귀 모양"));
        check("합성 경계선", "합성 경계선 없음", None);
        check("합성 경계선 없음", "합성 경계선", None);
        check("합성 경계선, 만화 얼굴", "합성 경계선 없음, 만화 얼굴", None);
        check("이음매가 있다", "이음매가 없다", None);
        check("치아가 고르지 않다", "치아가 고르다", Some("치아가"));
    }

    #[test]
    fn every_row_of_a_form_contradicts_it() {
        let check = |text: &str, expected: &[&str]| {
            let formed = contrasts(text, Language::English, 4);
            let texts: Vec<&str> = formed
                .iter()
                .filter(|formed| formed.is_contradiction())
                .map(|formed| formed.text.as_str())
                .collect();
            assert_eq!(texts, expected, "{text}");
        };
        check("short hair", &["long hair", "tall hair"]);
        check("a short man", &["a tall man", "a long man"]);
        check("The hair is spiky", &["The hair is flat", "The hair is smooth"]);
        check("straight hair", &["curly hair", "wavy hair", "jagged hair"]);
        check("a light blue hat", &["a dark blue hat", "a light brown hat", "a light grey hat"]);
        check("a blue hat", &["a brown hat", "a white hat", "a black hat"]);
        check("a pink hat", &["a grey hat", "a white hat", "a black hat"]);
    }

    #[test]
    fn articles_fit_what_stands_behind_them() {
        let formed = contrasts("a blue hat", Language::English, 12);
        assert!(formed.iter().any(|formed| formed.text == "an orange hat"), "{formed:?}");
        let formed = contrasts("an orange hat", Language::English, 12);
        assert_eq!(formed[0].text, "a blue hat");
    }

    #[test]
    fn what_no_text_is_compared_with_has_none() {
        for text in [
            "There are two ears",
            "The dog is to the left of the cat",
            "This looks like a nice picture",
            "There are not two ears",
        ] {
            let formed = contrasts(text, Language::English, 12);
            assert!(formed.is_empty(), "{text}: {formed:?}");
        }
    }

    #[test]
    fn the_limit_holds_and_contradictions_come_first() {
        let text = "a big black dog with long hair and a small white cat";
        let formed = contrasts(text, Language::English, 6);
        assert_eq!(formed.len(), 6);
        assert!(formed[..5].iter().all(Contrast::is_contradiction), "{formed:?}");
        assert!(!formed[5].is_contradiction(), "{formed:?}");
        // The first opposites of all attributes come before any second one.
        assert!(formed.iter().any(|formed| formed.from == "white"), "{formed:?}");
        assert!(contrasts("顔", Language::Other, 8).is_empty());
        assert!(contrasts(text, Language::English, 0).is_empty());
    }
}
