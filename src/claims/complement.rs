//! The denial of what an English text says, where no attribute of it has an opposite.

use super::contrast::{Contrast, Formation};
use super::forms::indefinite;
use super::token::{Token, tokens};
use super::words::is_plural;
use super::{clean, english, negation};

/// The denial of what an English text says to be there, and the text without it.
pub(super) fn english(text: &str, tokens: &[Token<'_>]) -> Vec<Contrast> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    if let Some(&denial) = negation::denials(tokens).first() {
        let affirmed = negation::affirm(text, tokens, denial);
        let affirmed =
            if word(denial) == "no" && denial == 0 { with_article(&affirmed) } else { affirmed };
        return vec![contrast(&affirmed, Formation::Complement, tokens[denial].raw, "")];
    }
    let tail = |at: usize| tokens.get(at).map_or("", |token| &text[token.span.start..]);
    let bare = |at: usize| tail(if matches!(word(at), "a" | "an" | "some") { at + 1 } else { at });
    if let Some(at) = (1..tokens.len()).find(|&at| matches!(word(at), "with" | "wearing")) {
        return without(text, tokens, at, [tail(at + 1), bare(at + 1)]);
    }
    if let Some(found) = english::verb(tokens) {
        let (subject, end) = (&text[..tokens[found.first].span.start], found.end);
        let there = word(0) == "there" || found.verb == english::Verb::Have;
        if there && end < tokens.len() {
            let head = &text[..tokens[end].span.start];
            let denied =
                contrast(&format!("{head}no {}", bare(end)), Formation::Complement, "", "no");
            return vec![denied, contrast(subject, Formation::Neutral, tail(found.first), "")]
                .into_iter()
                .filter(|formed| formed.text.to_lowercase() != "there")
                .collect();
        }
        if found.verb == english::Verb::Be && found.first > 0 {
            let verb = &text[tokens[found.first].span.start..tokens[end - 1].span.end];
            let denied = format!("{subject}{verb} not {}", tail(end));
            return vec![contrast(&denied, Formation::Complement, verb, "not")];
        }
        return Vec::new();
    }
    vec![contrast(&format!("no {}", bare(0)), Formation::Complement, "", "no")]
}

/// What has something behind the "with" or "wearing" at word `at`, without it; `had` is that thing
/// with its article and without.
fn without(text: &str, tokens: &[Token<'_>], at: usize, had: [&str; 2]) -> Vec<Contrast> {
    let (head, tail) = text.split_at(tokens[at].span.start);
    let raw = tokens[at].raw;
    let being = matches!(tokens[at - 1].lower.as_str(), "is" | "are" | "was" | "were");
    let stands = if being { &text[..tokens[at - 1].span.start] } else { head };
    let denied = |put: &str, had: &str| {
        contrast(&format!("{head}{put} {had}"), Formation::Complement, raw, put)
    };
    let not = (being && raw == "wearing").then(|| denied("not wearing", had[0]));
    let neutral = contrast(stands, Formation::Neutral, tail, "");
    not.into_iter().chain([denied("without", had[1]), neutral]).collect()
}

fn contrast(text: &str, formation: Formation, from: &str, to: &str) -> Contrast {
    Contrast { text: clean(text), formation, from: from.to_owned(), to: to.to_owned() }
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
