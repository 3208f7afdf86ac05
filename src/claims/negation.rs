//! What an English text denies, and the text without the denial.

use super::clean;
use super::token::{Token, capitalised_like};
use super::words::{PREPOSITIONS, is_plural};

/// Words that deny.
const DENYING: &[&str] = &[
    "no", "not", "without", "none", "never", "neither", "nor", "lacks", "lack", "lacking",
    "absent", "missing", "cannot", "nobody", "nothing", "nowhere", "hardly", "barely", "free",
    "devoid", "lacked", "absence",
];
/// What makes a comparison of a denying word, or no denial: "no more than two", "not only".
const NOT_DENYING: &[(&str, &str)] = &[
    ("no", "more"),
    ("no", "fewer"),
    ("no", "less"),
    ("not", "only"),
    ("not", "more"),
    ("not", "less"),
    ("not", "fewer"),
    ("not", "just"),
];

/// Indices of the words that deny.
pub(super) fn denials(tokens: &[Token<'_>]) -> Vec<usize> {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    (0..tokens.len())
        .filter(|&at| {
            let (word, next) = (word(at), word(at + 1));
            let denies = DENYING.contains(&word) || word.ends_with("n't");
            let numbered = word == "no" && next.starts_with(|sign: char| sign.is_ascii_digit());
            let free = word == "free" && next != "of";
            denies && !numbered && !free && !NOT_DENYING.contains(&(word, next))
        })
        .collect()
}

/// `text` with the denial at word `at` taken away: "The face has no beard" becomes "The face has a
/// beard", "is not closed" becomes "is closed", "without" becomes "with".
pub(super) fn affirm(text: &str, tokens: &[Token<'_>], at: usize) -> String {
    let word = |at: usize| tokens.get(at).map_or("", |token| token.lower.as_str());
    let (mut from, mut to) = (at, at + 1);
    let denial = word(at);
    let put: String = match denial {
        "without" | "lacking" => "with".into(),
        "lacks" | "lacked" => "has".into(),
        "lack" => "have".into(),
        "absent" => "present".into(),
        "missing" if at + 1 == tokens.len() => "present".into(),
        "cannot" | "can't" => "can".into(),
        "nobody" => "somebody".into(),
        "nothing" => "something".into(),
        "none" => "some".into(),
        "free" | "devoid" if word(at + 1) == "of" => {
            to += 1;
            if at > 0 && matches!(word(at - 1), "is" | "are") {
                from -= 1;
                if word(at - 1) == "is" { "has".into() } else { "have".into() }
            } else {
                "with".into()
            }
        }
        "no" => article(tokens, at + 1).into(),
        "not" | "never" if at > 0 && matches!(word(at - 1), "does" | "do" | "did") => {
            from -= 1;
            to += 1;
            conjugated(word(at - 1), word(at + 1))
        }
        "doesn't" | "don't" | "didn't" => {
            to += 1;
            conjugated(denial.trim_end_matches("n't"), word(at + 1))
        }
        _ => denial.strip_suffix("n't").unwrap_or_default().into(),
    };
    // "not … any hair" is "… hair".
    let any = |at: usize| word(at) == "any";
    let rest = if any(to) { to + 1 } else { to };
    let head = tokens.get(from).map_or(text.len(), |token| token.span.start);
    let tail = tokens.get(rest).map_or(text.len(), |token| token.span.start);
    let put = if any(to) && put.is_empty() { article(tokens, rest).to_owned() } else { put };
    let joined = clean(&format!("{} {put} {}", &text[..head], &text[tail..]));
    if from == 0 { capitalised_like(text, &joined) } else { joined }
}

/// "a", "an" or nothing, as the noun phrase from word `at` on wants it.
fn article(tokens: &[Token<'_>], at: usize) -> &'static str {
    let ends = |word: &str| {
        PREPOSITIONS.contains(&word)
            || matches!(word, "," | "is" | "are" | "was" | "and" | "visible")
            || word.ends_with("ing")
    };
    let mut end = at;
    while end < tokens.len() && !(end > at && ends(&tokens[end].lower)) {
        end += 1;
    }
    let Some(first) = tokens.get(at) else { return "" };
    if is_plural(&tokens[end - 1].lower) {
        return "";
    }
    super::forms::indefinite(&first.lower)
}

/// "has" of "does" and "have".
fn conjugated(helper: &str, verb: &str) -> String {
    match (helper, verb) {
        ("does", "have") => "has".into(),
        ("did", "have") => "had".into(),
        ("does", verb) if verb.ends_with("ch") || verb.ends_with("sh") || verb.ends_with("ss") => {
            format!("{verb}es")
        }
        ("does", verb) => format!("{verb}s"),
        (_, verb) => verb.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::token::tokens;
    use super::*;

    #[test]
    fn a_denial_is_taken_away() {
        let check = |text: &str, expected: &str| {
            let tokens = tokens(text);
            let found = denials(&tokens);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(affirm(text, &tokens, found[0]), expected, "{text}");
        };
        check("The face has no beard", "The face has a beard");
        check("There is no visible artifact", "There is a visible artifact");
        check("no glasses", "glasses");
        check("No seam is visible", "A seam is visible");
        check("The eyes are not closed", "The eyes are closed");
        check("The eyes aren't closed", "The eyes are closed");
        check("The man doesn't have any hair", "The man has hair");
        check("The man does not wear a hat", "The man wears a hat");
        check("The dog does not match the cat", "The dog matches the cat");
        check("a man without a hat", "a man with a hat");
        check("The face lacks symmetry", "The face has symmetry");
        check("The skin is free of wrinkles", "The skin has wrinkles");
        check("The left ear is missing", "The left ear is present");
        check("No ears are visible", "Ears are visible");
    }

    #[test]
    fn a_comparison_denies_nothing() {
        for text in ["no more than two dogs", "not only the ears", "player no 5"] {
            let tokens = tokens(text);
            assert!(denials(&tokens).is_empty(), "{text}");
        }
    }
}
