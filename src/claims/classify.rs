//! Which kind of claim a text makes: the English rules, in the order in which they are asked.
//!
//! 1. What cannot be checked: greetings, talk about the speaker, hedges, the future, judgements,
//!    names.
//! 2. Negation, whose inner kind is that of the affirmed text.
//! 3. Numbers: a count of things, or a number that counts nothing and cannot be checked.
//! 4. Places, then other relations, which cannot be checked.
//! 5. Parts, attributes and presence, by the verb.

use super::english::{self, Verb, padded};
use super::token::{Token, tokens};
use super::words::{DETERMINERS, PICTURES, PREPOSITIONS, is_adjective};
use super::{Kind, Language, Rule, count, korean, negation, place};

/// Phrases that decide alone, wherever they stand between word boundaries.
const UNCHECKABLE: &[(Rule, &[&str])] = &[
    (
        Rule::Meta,
        &[
            "i",
            "me",
            "my",
            "we",
            "you",
            "your",
            "let us",
            "let's",
            "as an ai",
            "please",
            "note that",
            "sure",
            "of course",
            "feel free",
            "the question",
            "the answer",
            "user",
            "sorry",
        ],
    ),
    (
        Rule::Hedge,
        &[
            "probably",
            "perhaps",
            "maybe",
            "possibly",
            "presumably",
            "apparently",
            "seemingly",
            "likely",
            "unlikely",
            "might",
            "may",
            "could",
            "would",
            "should",
            "seems",
            "seem",
            "seemed",
            "appears to",
            "appear to",
            "looks like",
            "look like",
            "looks as",
            "suggests",
            "suggest",
            "suggesting",
            "indicates",
            "implies",
            "supposedly",
            "allegedly",
            "it is possible",
            "must have",
            "must be",
            "hard to tell",
            "unclear",
            "difficult to say",
            "as if",
            "arguably",
            "no doubt",
            "undoubtedly",
            "potentially",
            "reportedly",
            "assume",
            "tends to",
            "hints",
        ],
    ),
    (
        Rule::Future,
        &["will", "'ll", "going to", "about to", "won't", "shall", "tomorrow", "next year", "soon"],
    ),
    (
        Rule::Judgement,
        &[
            "beautiful",
            "amazing",
            "wonderful",
            "nice",
            "ugly",
            "great",
            "awesome",
            "lovely",
            "stunning",
            "pretty",
            "cute",
            "gorgeous",
            "terrible",
            "awful",
            "impressive",
            "interesting",
            "interestingly",
            "unfortunately",
            "fortunately",
            "best",
            "worst",
            "good",
            "bad",
            "handsome",
            "attractive",
            "charming",
            "delightful",
            "excellent",
            "perfect",
            "suspicious",
            "trustworthy",
            "convincing",
            "unconvincing",
            "important",
            "believe",
            "think",
            "worth",
            "adorable",
            "elegant",
            "professional",
            "atmosphere",
            "mood",
            "feels",
            "evokes",
            "conveys",
            "boring",
            "funny",
            "better",
            "creepy",
            "scary",
            "charm",
        ],
    ),
    (
        Rule::Identity,
        &["named", "is called", "known as", "name is", "whose name", "famous", "celebrity"],
    ),
];
const GREETINGS: &[&str] =
    &["hello", "hi", "hey", "thanks", "thank", "welcome", "goodbye", "greetings"];
/// Verb-like words that only say that something is to be seen.
const SEEN: &[&str] = &[
    "visible",
    "present",
    "seen",
    "shown",
    "there",
    "noticeable",
    "depicted",
    "evident",
    "apparent",
    "available",
    "detected",
    "observed",
    "found",
    "displayed",
    "pictured",
    "featured",
];
/// Relations that no [`super::Relation`] stands for.
const OTHER_RELATIONS: &[&str] = &[
    "between", "than", "among", "around", "across", "through", "against", "along", "towards",
    "toward",
];

/// The kind of a text that stands alone, and the rule that decided it.
pub(super) fn classify(text: &str, language: Language) -> (Kind, Rule) {
    match language {
        Language::English => english(text, true),
        Language::Korean => korean::classify(text, true),
        Language::Other => (Kind::Opinion, Rule::UnknownLanguage),
    }
}

/// `may_deny` is false inside a negation.
fn english(text: &str, may_deny: bool) -> (Kind, Rule) {
    let tokens = tokens(text);
    let all = padded(&tokens);
    if let Some(rule) = uncheckable(&tokens, &all) {
        return (Kind::Opinion, rule);
    }
    let denials = negation::denials(&tokens);
    if !denials.is_empty() {
        if denials.len() > 1 || !may_deny {
            return (Kind::Opinion, Rule::DoubleNegation);
        }
        let affirmed = negation::affirm(text, &tokens, denials[0]);
        let (inner, rule) = english(&affirmed, false);
        if inner == Kind::Opinion {
            return (inner, rule);
        }
        return (Kind::Negation { affirmed, inner: Box::new(inner) }, Rule::NegationWord);
    }
    let core = core(&tokens);
    if let Some(found) = count::count(text, core) {
        return found;
    }
    if let Some(found) = place::spatial(text, core) {
        return found;
    }
    if OTHER_RELATIONS.iter().any(|word| all.contains(&format!(" {word} "))) {
        return (Kind::Opinion, Rule::OtherRelation);
    }
    let (kind, rule) = by_verb(core);
    // "both dogs", "the two dogs": a number that is taken for granted is still one.
    let numbered = core.iter().any(|token| count::is_numeric(&token.lower));
    if numbered && kind == Kind::Presence {
        return (Kind::Opinion, Rule::OtherNumber);
    }
    (kind, rule)
}

fn uncheckable(tokens: &[Token<'_>], all: &str) -> Option<Rule> {
    let first = tokens.iter().find(|token| token.is_word())?;
    if GREETINGS.contains(&first.lower.as_str()) {
        return Some(Rule::Greeting);
    }
    let found = UNCHECKABLE
        .iter()
        .find(|(_, phrases)| phrases.iter().any(|phrase| all.contains(&format!(" {phrase} "))));
    // "we can see", "you can see" lead into what is seen.
    let seen = [" we can see ", " you can see ", " we see ", " i can see ", " i see ", " you see "];
    match found {
        Some((Rule::Meta, _)) if seen.iter().any(|phrase| all.starts_with(phrase)) => None,
        Some((rule, _)) => Some(*rule),
        None => is_name(tokens).then_some(Rule::Identity),
    }
}

/// "is Barack Obama": two capitalised words, or one behind "is", that start no sentence.
fn is_name(tokens: &[Token<'_>]) -> bool {
    let capital = |token: &Token<'_>| {
        let mut signs = token.raw.chars();
        signs.next().is_some_and(char::is_uppercase) && signs.next().is_some_and(char::is_lowercase)
    };
    let after_be = |at: usize| matches!(tokens[at - 1].lower.as_str(), "is" | "'s" | "was" | "by");
    (1..tokens.len())
        .any(|at| capital(&tokens[at]) && (after_be(at) || tokens.get(at + 1).is_some_and(capital)))
}

/// The words behind what only leads into them: "In the picture,", "The image shows", "a photo of",
/// "there is", "we can see".
fn core<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let mut rest = tokens;
    loop {
        let after = without_lead(rest);
        if after.len() == rest.len() || after.is_empty() {
            return rest;
        }
        rest = after;
    }
}

fn without_lead<'t, 'a>(tokens: &'t [Token<'a>]) -> &'t [Token<'a>] {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let is_picture = |at: usize| PICTURES.contains(&word(at));
    let article = usize::from(DETERMINERS.contains(&word(0)));
    if matches!(
        word(0),
        "," | ":" | "also" | "additionally" | "moreover" | "furthermore" | "overall"
    ) {
        return &tokens[1..];
    }
    if matches!(word(0), "in" | "on" | "within") && DETERMINERS.contains(&word(1)) && is_picture(2)
    {
        return &tokens[3..];
    }
    if matches!(word(0), "we" | "you" | "i") {
        let can = usize::from(word(1) == "can");
        return if matches!(word(1 + can), "see" | "notice") { &tokens[2 + can..] } else { tokens };
    }
    if is_picture(article) && word(article + 1) == "of" {
        return &tokens[article + 2..];
    }
    let subject =
        is_picture(article) || matches!(word(0), "it" | "this" | "here" | "there" | "that");
    if let Some(found) = english::verb(tokens).filter(|_| subject) {
        let pronoun = matches!(word(0), "this" | "here" | "there" | "that" | "it")
            && found.first == 1
            && found.verb == Verb::Be
            && (matches!(word(0), "there" | "here") || DETERMINERS.contains(&word(found.end)));
        let shows = is_picture(article) && found.first == article + 1 && found.verb == Verb::Have;
        let shows = shows && !matches!(word(found.first), "has" | "have" | "had");
        let at = found.end;
        if pronoun || shows {
            return &tokens[at..];
        }
    }
    tokens
}

fn by_verb(core: &[Token<'_>]) -> (Kind, Rule) {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    let Some(found) = english::verb(core) else { return by_phrase(core) };
    match found.verb {
        Verb::Have => (Kind::Part, Rule::HavePattern),
        Verb::Look => (Kind::Attribute, Rule::Predicate),
        Verb::Other if SEEN.contains(&word(found.end)) => by_phrase(&core[..found.first]),
        Verb::Other => (Kind::Presence, Rule::Action),
        Verb::Be => {
            let seen = SEEN.contains(&word(found.end));
            let subject = &core[..found.first];
            if seen {
                let (kind, _) = by_phrase(subject);
                return (kind, Rule::Existence);
            }
            let acts = word(found.end).ends_with("ing")
                && !matches!(word(found.end), "matching" | "mismatching");
            if acts {
                return (Kind::Presence, Rule::Action);
            }
            if PREPOSITIONS.contains(&word(found.end)) && word(found.end) != "like" {
                return (Kind::Opinion, Rule::OtherRelation);
            }
            (Kind::Attribute, Rule::Predicate)
        }
    }
}

fn by_phrase(core: &[Token<'_>]) -> (Kind, Rule) {
    let word = |at: usize| core.get(at).map_or("", |token| token.lower.as_str());
    if (1..core.len()).any(|at| matches!(word(at), "with" | "wearing" | "holding" | "has" | "have"))
    {
        return (Kind::Part, Rule::WithPhrase);
    }
    let acts = (1..core.len()).any(|at| {
        word(at).len() > 5
            && word(at).ends_with("ing")
            && !is_adjective(word(at))
            && at + 1 < core.len()
            && (PREPOSITIONS.contains(&word(at + 1)) || DETERMINERS.contains(&word(at + 1)))
    });
    if acts {
        return (Kind::Presence, Rule::Action);
    }
    let plain = ["visible", "noticeable"];
    if core.iter().any(|t| is_adjective(&t.lower) && !plain.contains(&t.lower.as_str())) {
        return (Kind::Attribute, Rule::AttributeWord);
    }
    (Kind::Presence, Rule::Phrase)
}
