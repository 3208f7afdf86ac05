//! The prompts that a claim's prompt is compared with: what would be so if the claim were false, and
//! what is so either way.

use super::forms::{ENGLISH, KOREAN, indefinite, opposite};
use super::token::{Token, capitalised_like, tokens};
use super::words::is_plural;
use super::{Language, clean, english, negation};

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

/// The contrasts of `text`, contradictions first, at most `limit`, each once. Every attribute of the
/// table is replaced, one at a time; where there is none, what is claimed to be there is denied.
pub fn contrasts(text: &str, language: Language, limit: usize) -> Vec<Contrast> {
    let text = clean(text);
    if text.len() > super::SENTENCE_BYTES {
        return Vec::new();
    }
    let formed = match language {
        Language::English => english(&text),
        Language::Korean => korean(&text),
        Language::Other => Vec::new(),
    };
    let mut kept: Vec<Contrast> = Vec::new();
    for of_kind in [true, false] {
        for contrast in formed.iter().filter(|formed| formed.is_contradiction() == of_kind) {
            let fresh = contrast.text != text && kept.iter().all(|old| old.text != contrast.text);
            if fresh && !contrast.text.is_empty() && kept.len() < limit {
                kept.push(contrast.clone());
            }
        }
    }
    kept
}

fn english(text: &str) -> Vec<Contrast> {
    let tokens = tokens(text);
    let mut formed = Vec::new();
    for at in 0..tokens.len() {
        let Some((axis, other, end)) = english_opposite(&tokens, at) else { continue };
        formed.push(swapped(text, &tokens, at..end, other, Formation::Opposite(axis)));
        // A side is no attribute: without it the claim says more, not less.
        if axis != Axis::Side {
            formed.push(swapped(text, &tokens, at..end, "", Formation::Neutral));
        }
    }
    if !formed.iter().any(Contrast::is_contradiction) {
        formed.extend(english_complement(text, &tokens));
    }
    formed
}

/// The opposite of the form that starts at word `at`, and the word behind that form.
fn english_opposite(tokens: &[Token<'_>], at: usize) -> Option<(Axis, &'static str, usize)> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    if word(at) == "the" && word(at + 1) == "same" {
        return opposite(ENGLISH, "the same").map(|(axis, other)| (axis, other, at + 2));
    }
    opposite(ENGLISH, word(at)).map(|(axis, other)| (axis, other, at + 1))
}

/// `text` with some words replaced: the article before them is made to fit, and a verb that would
/// be left with nothing to say goes too.
fn swapped(
    text: &str,
    tokens: &[Token<'_>],
    words: std::ops::Range<usize>,
    to: &str,
    formation: Formation,
) -> Contrast {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let from = text[tokens[words.start].span.start..tokens[words.end - 1].span.end].to_owned();
    let (mut start, mut put) = (words.start, to.to_owned());
    let next = if to.is_empty() { word(words.end) } else { to };
    if start > 0 && matches!(word(start - 1), "a" | "an") {
        start -= 1;
        put = if to.starts_with("the ") || next.is_empty() {
            to.to_owned()
        } else {
            format!("{} {to}", indefinite(next))
        };
    } else if to.is_empty() && words.end == tokens.len() {
        while start > 0
            && (matches!(
                word(start - 1),
                "is" | "are"
                    | "was"
                    | "were"
                    | "look"
                    | "looks"
                    | "very"
                    | "appear"
                    | "appears"
                    | "'s"
                    | "'re"
                    | "slightly"
                    | "clearly"
            ))
        {
            start -= 1;
        }
    }
    let tail = tokens.get(words.end).map_or("", |token| &text[token.span.start..]);
    let capital = words.start == 0 || start == 0;
    let joined = clean(&format!("{} {put} {tail}", &text[..tokens[start].span.start]));
    let text = if capital { capitalised_like(text, &joined) } else { joined };
    Contrast { text: text.replace(" ,", ","), formation, from, to: to.to_owned() }
}

/// The denial of what an English text says to be there, and the text without it.
fn english_complement(text: &str, tokens: &[Token<'_>]) -> Vec<Contrast> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let contrast = |text: String, formation, from: &str, to: &str| Contrast {
        text: clean(&text),
        formation,
        from: from.to_owned(),
        to: to.to_owned(),
    };
    if let Some(&denial) = negation::denials(tokens).first() {
        let affirmed = negation::affirm(text, tokens, denial);
        let affirmed =
            if word(denial) == "no" && denial == 0 { with_article(&affirmed) } else { affirmed };
        return vec![contrast(affirmed, Formation::Complement, tokens[denial].raw, "")];
    }
    let tail = |at: usize| tokens.get(at).map_or("", |token| &text[token.span.start..]);
    let bare = |at: usize| tail(if matches!(word(at), "a" | "an" | "some") { at + 1 } else { at });
    if let Some(at) = (1..tokens.len()).find(|&at| matches!(word(at), "with" | "wearing")) {
        let head = text[..tokens[at].span.start].to_owned();
        let denied = contrast(
            format!("{head}without {}", bare(at + 1)),
            Formation::Complement,
            tokens[at].raw,
            "without",
        );
        return vec![
            denied,
            contrast(head, Formation::Neutral, &text[tokens[at].span.start..], ""),
        ];
    }
    if let Some(found) = english::verb(tokens) {
        let (subject, end) = (&text[..tokens[found.first].span.start], found.end);
        let there = word(0) == "there" || found.verb == english::Verb::Have;
        if there && end < tokens.len() {
            let head = &text[..tokens[end].span.start];
            let denied =
                contrast(format!("{head}no {}", bare(end)), Formation::Complement, "", "no");
            return vec![
                denied,
                contrast(subject.to_owned(), Formation::Neutral, tail(found.first), ""),
            ]
            .into_iter()
            .filter(|formed| formed.text.to_lowercase() != "there")
            .collect();
        }
        if found.verb == english::Verb::Be && found.first > 0 {
            let verb = &text[tokens[found.first].span.start..tokens[end - 1].span.end];
            let denied = format!("{subject}{verb} not {}", tail(end));
            return vec![contrast(denied, Formation::Complement, verb, "not")];
        }
        return Vec::new();
    }
    vec![contrast(format!("no {}", bare(0)), Formation::Complement, "", "no")]
}

fn with_article(text: &str) -> String {
    let tokens = tokens(text);
    match (tokens.first(), tokens.last()) {
        (Some(first), Some(last))
            if !is_plural(&last.lower) && !matches!(first.lower.as_str(), "a" | "an") =>
        {
            format!("{} {text}", indefinite(&first.lower))
        }
        _ => text.to_owned(),
    }
}

fn korean(text: &str) -> Vec<Contrast> {
    let words: Vec<&str> = text.split(' ').collect();
    let mut formed = Vec::new();
    let join = |words: &[&str]| words.join(" ");
    let mut at = 0;
    while at < words.len() {
        let found =
            [3, 2, 1].into_iter().filter(|length| at + length <= words.len()).find_map(|length| {
                let form = join(&words[at..at + length]);
                let bare = form.trim_end_matches([',', '.']);
                opposite(KOREAN, bare)
                    .map(|(axis, other)| (axis, other, at + length, bare.to_owned()))
            });
        let Some((axis, other, end, from)) = found else {
            at += 1;
            continue;
        };
        let comma = if words[end - 1].ends_with(',') { "," } else { "" };
        let put = |to: &str| {
            let to = if to.is_empty() { String::new() } else { format!("{to}{comma}") };
            clean(&[&join(&words[..at]), &*to, &join(&words[end..])].join(" "))
        };
        formed.push(Contrast {
            text: put(other),
            formation: Formation::Opposite(axis),
            from: from.clone(),
            to: other.to_owned(),
        });
        if axis != Axis::Side {
            formed.push(Contrast {
                text: put(""),
                formation: Formation::Neutral,
                from,
                to: String::new(),
            });
        }
        at = end;
    }
    if !formed.iter().any(Contrast::is_contradiction) {
        formed.extend(korean_complement(text, &words));
    }
    formed
}

/// 있 becomes 없 and 없 becomes 있; a noun phrase gets or loses 없음.
fn korean_complement(text: &str, words: &[&str]) -> Vec<Contrast> {
    let complement = |text: String, from: &str, to: &str| Contrast {
        text,
        formation: Formation::Complement,
        from: from.to_owned(),
        to: to.to_owned(),
    };
    if let Some(bare) = text.strip_suffix(" 없음") {
        return vec![complement(bare.to_owned(), "없음", "")];
    }
    for (from, to) in [("없", "있"), ("있", "없")] {
        let acts = |at: usize| at > 0 && words[at - 1].ends_with('고');
        let found = (0..words.len()).rev().find(|&at| words[at].starts_with(from) && !acts(at));
        if let Some(at) = found {
            let mut changed: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
            changed[at] = changed[at].replacen(from, to, 1);
            return vec![complement(changed.join(" "), from, to)];
        }
    }
    if let Some(head) =
        ["보인다", "보입니다", "보여요"].iter().find_map(|end| text.strip_suffix(end))
    {
        return vec![complement(
            format!("{head}보이지 않는다"),
            &text[head.len()..],
            "보이지 않는다",
        )];
    }
    if text.ends_with(['다', '요']) {
        return Vec::new();
    }
    // Of a list, the first item is the claim's own.
    let (head, tail) = text.find(',').map_or((text, ""), |at| text.split_at(at));
    vec![complement(format!("{head} 없음{tail}"), "", "없음")]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, language: Language, contradiction: &str, neutral: Option<&str>) {
        let formed = contrasts(text, language, 8);
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
    }

    #[test]
    fn where_nothing_has_an_opposite_presence_is_denied() {
        let check = |text, other, neutral| check(text, Language::English, other, neutral);
        check("a face with a blending seam", "a face without blending seam", Some("a face"));
        check("a blending seam", "no blending seam", None);
        check("no blending seam", "a blending seam", None);
        check("There is a dog", "There is no dog", None);
        check("The man has a hat", "The man has no hat", Some("The man"));
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
    fn the_limit_holds_and_contradictions_come_first() {
        let text = "a big black dog with long hair and a small white cat";
        let formed = contrasts(text, Language::English, 5);
        assert_eq!(formed.len(), 5);
        assert!(formed.iter().all(Contrast::is_contradiction), "{formed:?}");
        assert!(contrasts("顔", Language::Other, 8).is_empty());
    }
}
