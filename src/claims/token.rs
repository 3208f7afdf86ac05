//! Words and signs of an English text, with their bytes.

use std::ops::Range;

/// One word or sign.
#[derive(Clone, Debug)]
pub(super) struct Token<'a> {
    /// Its bytes in the text.
    pub span: Range<usize>,
    /// As it is written.
    pub raw: &'a str,
    /// In lower case, with a plain apostrophe.
    pub lower: String,
}

impl Token<'_> {
    /// Whether it has a letter or digit.
    pub(super) fn is_word(&self) -> bool {
        self.raw.chars().any(char::is_alphanumeric)
    }
}

/// Subjects whose contracted "is" is a word of its own.
const CONTRACTED: [&str; 10] =
    ["it", "he", "she", "there", "here", "that", "this", "who", "what", "everything"];

/// The words and signs of `text`. Hyphens and apostrophes stay inside a word, points and commas
/// inside a number; "it's", "they're" and "I'm" are two words each, "isn't" is one.
pub(super) fn tokens(text: &str) -> Vec<Token<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    while let Some(first) = text[at..].chars().next() {
        let end = if first.is_alphanumeric() { word_end(text, at) } else { at + first.len_utf8() };
        if first.is_alphanumeric() {
            let cut = contraction(&text[at..end]).map_or(end, |length| at + length);
            found.push(token(text, at..cut));
            if cut < end {
                found.push(token(text, cut..end));
            }
        } else if !first.is_whitespace() {
            found.push(token(text, at..end));
        }
        at = end;
    }
    found
}

/// `text` with a capital where `model` begins with one.
pub(super) fn capitalised_like(model: &str, text: &str) -> String {
    let capital = model.chars().next().is_some_and(char::is_uppercase);
    let mut signs = text.chars();
    match signs.next() {
        Some(first) if capital => first.to_uppercase().chain(signs).collect(),
        _ => text.to_owned(),
    }
}

fn token(text: &str, span: Range<usize>) -> Token<'_> {
    let raw = &text[span.clone()];
    Token { span, raw, lower: raw.to_lowercase().replace('’', "'") }
}

fn word_end(text: &str, start: usize) -> usize {
    let mut signs = text[start..].char_indices().peekable();
    let mut before = ' ';
    while let Some((at, sign)) = signs.next() {
        let after = signs.peek().map_or(' ', |(_, sign)| *sign);
        let joins = match sign {
            '\'' | '’' | '-' | '‑' | '_' => after.is_alphanumeric(),
            '.' | ',' => before.is_numeric() && after.is_numeric(),
            '%' => before.is_numeric(),
            _ => sign.is_alphanumeric(),
        };
        if !joins {
            return start + at;
        }
        before = sign;
    }
    text.len()
}

/// Where in a word a contracted verb starts.
fn contraction(word: &str) -> Option<usize> {
    let at = word.rfind(['\'', '’'])?;
    let apostrophe = word[at..].chars().next()?.len_utf8();
    let (head, tail) = (word[..at].to_lowercase(), word[at + apostrophe..].to_lowercase());
    let split = match tail.as_str() {
        "s" => CONTRACTED.contains(&head.as_str()),
        "re" | "m" | "ve" | "ll" | "d" => true,
        _ => false,
    };
    split.then_some(at)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_keep_what_belongs_to_them() {
        let check = |text: &str, expected: &[&str]| {
            let found: Vec<&str> = tokens(text).iter().map(|token| token.raw).collect();
            assert_eq!(found, expected, "{text}");
        };
        check("It's a well-formed ear.", &["It", "'s", "a", "well-formed", "ear", "."]);
        check("The dog's 3.5 m isn't", &["The", "dog's", "3.5", "m", "isn't"]);
        check("1,000, 50% and", &["1,000", ",", "50%", "and"]);
        check("they’re", &["they", "’re"]);
        check("'quoted'", &["'", "quoted", "'"]);
    }
}
