//! Where the sentences of an answer begin and end.
//!
//! A scan of our own: the sentence rules of UAX 29 know neither abbreviations nor lists, and the
//! crate that has them looks ahead again at every sign, which is quadratic on a long run of spaces.

use std::ops::Range;

use super::words::{ABBREVIATIONS, TITLES};

/// Punctuation that belongs to no claim's end.
pub(super) const CLOSING: [char; 14] =
    ['.', '?', '!', '。', '？', '！', '…', ',', ';', ':', '，', '；', '．', ' '];

/// One sentence.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct Sentence {
    /// Its bytes, without a bullet before it and punctuation after it.
    pub span: Range<usize>,
    /// Whether it ends in a question mark.
    pub is_question: bool,
}

/// The sentences of `text` that have a letter, in order. Lines end sentences; so do full stops,
/// question marks and exclamation marks before a space, a closing quote or the end, but not those of
/// abbreviations, initials, decimals, addresses and ellipses inside a sentence.
pub(super) fn sentences(text: &str) -> impl Iterator<Item = Sentence> + '_ {
    lines(text).flat_map(move |line| {
        let last_quote = text[line.clone()].rfind(['"', '”']).map(|at| line.start + at);
        Pieces { text, at: content(text, &line), end: line.end, last_quote }
    })
}

/// The bytes of each line, without its line break.
fn lines(text: &str) -> impl Iterator<Item = Range<usize>> + '_ {
    let breaks = |sign: char| matches!(sign, '\n' | '\r' | '\u{2028}' | '\u{2029}' | '\u{85}');
    let mut at = 0;
    text.split(breaks).map(move |line| {
        let start = at;
        // What is split at has its own width; the next line starts behind it.
        at += line.len() + text[at + line.len()..].chars().next().map_or(0, char::len_utf8);
        start..start + line.len()
    })
}

/// Where a line's content starts: behind spaces, quote marks, headings, bullets and its number.
fn content(text: &str, line: &Range<usize>) -> usize {
    let whole = &text[line.clone()];
    let rest = after_marker(whole);
    line.end - rest.len()
}

/// A line, or an item of a list, without its bullet, heading sign or number.
pub(super) fn after_marker(line: &str) -> &str {
    let mut rest = line.trim_start();
    loop {
        let bullet =
            ['-', '*', '•', '·', '‣', '◦', '–', '—', '▪', '●', '○', '>', '+', '#', '※', '✓'];
        let stripped = rest.trim_start_matches(bullet);
        let spaced = stripped.starts_with(char::is_whitespace) || stripped.is_empty();
        let wide = rest.starts_with(['•', '·', '▪', '●', '○', '※', '✓']);
        let next = if stripped.len() < rest.len() && (spaced || wide) {
            stripped
        } else {
            after_number(rest)
        };
        if next.len() == rest.len() {
            return rest;
        }
        rest = next.trim_start();
    }
}

/// `rest` behind "1.", "(2)", "3)", "a)" or "①".
fn after_number(rest: &str) -> &str {
    if let Some(after) = rest.strip_prefix(|sign| matches!(sign, '①'..='⑳')) {
        return after;
    }
    let inner = rest.strip_prefix('(').unwrap_or(rest);
    let digits = inner.bytes().take_while(u8::is_ascii_digit).count();
    let letter = digits == 0 && inner.starts_with(|sign: char| sign.is_ascii_lowercase());
    let length = if letter { 1 } else { digits };
    if length == 0 || length > 3 {
        return rest;
    }
    let after = &inner[length..];
    let Some(sign) = after.chars().next() else { return rest };
    let closes = sign == ')' || (sign == '.' && !letter);
    let after = if closes { &after[1..] } else { return rest };
    if after.starts_with(char::is_whitespace) { after } else { rest }
}

/// The sentences of one line.
struct Pieces<'a> {
    text: &'a str,
    at: usize,
    end: usize,
    /// Where the line's last closing quote stands: an opening one behind it closes nowhere.
    last_quote: Option<usize>,
}

impl Iterator for Pieces<'_> {
    type Item = Sentence;

    fn next(&mut self) -> Option<Sentence> {
        while self.at < self.end {
            let start = self.at;
            let (stop, is_question) = self.stop();
            self.at = stop;
            let span = trimmed(self.text, start..stop);
            if self.text[span.clone()].chars().any(char::is_alphabetic) {
                return Some(Sentence { span, is_question });
            }
        }
        None
    }
}

impl Pieces<'_> {
    /// Where the sentence that starts at `self.at` ends, behind its marks and closing quotes.
    fn stop(&self) -> (usize, bool) {
        let line = &self.text[..self.end];
        let mut at = self.at;
        let (mut plain, mut curly) = (0, 0_isize);
        while let Some(found) = line[at..].find(['.', '?', '!', '。', '？', '！', '．', '…'])
        {
            let first = at + found;
            let marks = line[first..].find(|sign| !is_mark(sign)).map_or(self.end, |n| first + n);
            let run = &line[first..marks];
            let after = &line[marks..];
            let closed = after.trim_start_matches(is_quote);
            for sign in line[at..first].chars() {
                plain += usize::from(sign == '"');
                curly += isize::from(sign == '“') - isize::from(sign == '”');
            }
            let quoted = (plain % 2 == 1 || curly > 0)
                && closed.len() == after.len()
                && self.last_quote.is_some_and(|last| last > marks);
            if !quoted && ends(&line[self.at..first], run, after, closed) {
                let question = run.contains(['?', '？']);
                return (self.end - closed.len(), question);
            }
            at = marks;
        }
        (self.end, false)
    }
}

/// Whether `run`, a run of marks between `before` and `after`, ends the sentence. `closed` is what
/// stands behind closing quotes.
fn ends(before: &str, run: &str, after: &str, closed: &str) -> bool {
    let next = closed.trim_start().chars().next();
    let spaced = closed.is_empty() || closed.starts_with(char::is_whitespace);
    if run.contains(['。', '？', '！', '．']) {
        return true;
    }
    // "3.5", "example.org", "a?b=c"; but "고르다.다음" and "end.Next" are two sentences each.
    let word = last_word(before);
    if !spaced {
        let last = before.chars().next_back();
        let hangul = last.is_some_and(super::language::is_hangul) && run != "…";
        return hangul && next.is_some_and(super::language::is_hangul) && !is_address(word);
    }
    if run.contains(['?', '!']) {
        // A quoted question goes on where its sentence does: "Why?" he asks.
        let quoted = closed.len() < after.len();
        return !(quoted && next.is_some_and(char::is_lowercase));
    }
    if run.chars().count() > 1 || run.contains('…') {
        return next.is_none_or(|sign| !sign.is_lowercase() && !super::language::is_hangul(sign))
            || before.ends_with(['다', '요', '음', '함']);
    }
    !is_abbreviation(word, next)
}

/// The last word of `text`, or its last bytes where it is very long: what is looked up is short.
fn last_word(text: &str) -> &str {
    const LONGEST_BYTES: usize = 64;
    let mut start = text.len().saturating_sub(LONGEST_BYTES);
    while !text.is_char_boundary(start) {
        start += 1;
    }
    text[start..].rsplit(char::is_whitespace).next().unwrap_or_default()
}

/// Whether a full stop behind `word` abbreviates it, with `next` the first sign of the next word.
fn is_abbreviation(word: &str, next: Option<char>) -> bool {
    let word = word.trim_start_matches(|sign| is_quote(sign) || matches!(sign, '(' | '['));
    let lower = word.to_lowercase();
    let capital = next.is_some_and(char::is_uppercase);
    let mut signs = word.chars();
    let initial = signs.next().is_some_and(char::is_uppercase) && signs.next().is_none();
    let known = ABBREVIATIONS.contains(&lower.as_str());
    // A title stands before a name; "etc." and "U.S." end a sentence where a capital follows.
    let number = lower == "no" || lower == "fig";
    next.is_some()
        && (TITLES.contains(&lower.as_str())
            || (initial && word != "I")
            || (known && !capital)
            || (number && next.is_some_and(char::is_numeric))
            || next.is_some_and(char::is_lowercase))
}

fn is_address(word: &str) -> bool {
    word.contains("://") || word.starts_with("www.") || word.contains('@')
}

fn is_mark(sign: char) -> bool {
    matches!(sign, '.' | '?' | '!' | '。' | '？' | '！' | '．' | '…')
}

fn is_quote(sign: char) -> bool {
    matches!(sign, '"' | '\'' | '”' | '’' | '“' | '‘' | ')' | ']' | '」' | '』' | '»' | '*' | '_')
}

/// `span` without spaces at its start and without spaces and closing punctuation at its end.
pub(super) fn trimmed(text: &str, span: Range<usize>) -> Range<usize> {
    let whole = &text[span.clone()];
    let left = whole.trim_start_matches(|sign: char| {
        sign.is_whitespace() || (CLOSING.contains(&sign) && sign != '…')
    });
    let start = span.end - left.len();
    let kept = left.trim_end_matches(|sign: char| sign.is_whitespace() || CLOSING.contains(&sign));
    start..start + kept.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found: Vec<&str> = sentences(text).map(|sentence| &text[sentence.span]).collect();
        assert_eq!(found, expected, "{text}");
    }

    #[test]
    fn sentences_end_where_a_reader_ends_them() {
        check("One ear. Two eyes! Three?", &["One ear", "Two eyes", "Three"]);
        check(
            "눈이 크다. 귀가 작아요. 코가 높습니다.",
            &["눈이 크다", "귀가 작아요", "코가 높습니다"],
        );
        check("눈이 크다.귀가 작다。코", &["눈이 크다", "귀가 작다", "코"]);
        check("A line\r\nand another", &["A line", "and another"]);
    }

    #[test]
    fn marks_inside_a_sentence_end_nothing() {
        check("Dr. Kim sees 3.5 teeth.", &["Dr. Kim sees 3.5 teeth"]);
        check(
            "See https://a.org/b?c=d. Then e.g. teeth.",
            &["See https://a.org/b?c=d", "Then e.g. teeth"],
        );
        check("Well... the teeth are odd.", &["Well... the teeth are odd"]);
        check("She asks \"Why?\" and smiles. Yes.", &["She asks \"Why?\" and smiles", "Yes"]);
        check("He is J. Smith. She left.", &["He is J. Smith", "She left"]);
        check("A hat, a scarf, etc. The end.", &["A hat, a scarf, etc", "The end"]);
    }

    #[test]
    fn items_of_a_list_lose_their_markers() {
        check("- one ear\n* two eyes\n• 눈", &["one ear", "two eyes", "눈"]);
        check(
            "1. one\n(2) two\n3) three\n① four\n10. 2.5 cm",
            &["one", "two", "three", "four", "2.5 cm"],
        );
        check("# Title\n> - quoted\n---\n42", &["Title", "quoted"]);
    }
}
