//! Cues: what a request asks to look for.

use std::collections::HashSet;
use std::ops::Range;

use unicode_normalization::UnicodeNormalization;

use super::korean_clause::has_final;
use super::language::is_hangul;
use super::{ClaimsError, Limits, clean, sentence, within};

/// One thing to look for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Cue {
    /// What is looked for, in words: "mismatched pupils" of `#mismatched_pupils`.
    pub text: String,
    /// Its bytes in the request, with the "#" of a hashtag and without bullets.
    pub span: Range<usize>,
}

/// What leads into a cue in free text, in lower case, the longest first.
const LEADS: &[&str] = &[
    "please check whether there is",
    "please check whether there are",
    "can you check for",
    "could you check for",
    "check whether there are",
    "check whether there is",
    "check if there are",
    "check if there is",
    "i want you to find",
    "are there signs of",
    "is there any sign of",
    "please look for",
    "please check for",
    "please find",
    "please detect",
    "look out for",
    "look for",
    "search for",
    "check for",
    "watch for",
    "are there any",
    "is there any",
    "are there",
    "is there an",
    "signs of",
    "sign of",
    "evidence of",
    "pay attention to",
    "such as",
    "for example",
    "including",
    "cues:",
    "keywords:",
    "find",
    "detect",
    "check",
    "any",
    "also",
    "and",
    "or",
    "with",
    "the face has",
    "does the face have",
    "it has",
    "e.g.",
    "maybe",
    "possible",
    "is there a",
];
const KOREAN_LEADS: &[&str] = &[
    "단서:",
    "키워드:",
    "예를 들어",
    "혹시",
    "다음을 확인:",
    "얼굴에서",
    "사진에서",
    "그리고",
    "또는",
    "및",
];
/// What follows a cue in a Korean request.
const KOREAN_TAILS: &[&str] = &[
    "있는지 확인해 주세요",
    "있는지 확인해주세요",
    "있는지 확인해줘",
    "있는지 확인",
    "있는지 봐줘",
    "있는지 봐 주세요",
    "확인해 주세요",
    "확인해주세요",
    "확인해 줘",
    "확인해줘",
    "확인하세요",
    "확인",
    "찾아 주세요",
    "찾아주세요",
    "찾아 줘",
    "찾아줘",
    "찾기",
    "찾으세요",
    "봐 주세요",
    "봐주세요",
    "봐줘",
    "있나요",
    "보이나요",
    "등을",
    "등",
    "있는지",
    "검사해줘",
    "탐지해줘",
];
/// Nouns that end like the particle "and".
const AND_NOUNS: &[&str] = &["결과", "성과", "일과", "통과", "안과", "전과", "학과", "외과"];

/// The cues of `text` in their order, each once: hashtags, items of lists (comma, semicolon, slash,
/// line, bullet, number), and what free text asks to look for. Two cues are the same if they differ
/// in case, width or spaces alone (NFKC). Fails where the text is longer than `limits.max_bytes` or
/// holds more than `limits.max_cues` cues.
pub fn cues(text: &str, limits: &Limits) -> Result<Vec<Cue>, ClaimsError> {
    within("cues", text, limits)?;
    let (mut found, mut seen) = (Vec::new(), HashSet::new());
    for item in items(text) {
        let Some(cue) = cue(text, item) else { continue };
        if seen.insert(key(&cue.text)) {
            found.push(cue);
        }
    }
    let (count, limit) = (found.len(), limits.max_cues);
    if count > limit {
        return Err(ClaimsError::TooMany { field: "cues", count, unit: "cues", limit });
    }
    Ok(found)
}

/// The same for cues that differ in case, width or spaces alone.
fn key(text: &str) -> String {
    text.nfkc().flat_map(char::to_lowercase).filter(|sign| !sign.is_whitespace()).collect()
}

/// The bytes of each item: a hashtag, or what stands between separators.
fn items(text: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let mut start = 0;
    let mut signs = text.char_indices().peekable();
    let (mut before, mut in_tag, mut in_address) = (' ', false, false);
    while let Some((at, sign)) = signs.next() {
        let next = signs.peek().map_or(' ', |(_, sign)| *sign);
        let tag = matches!(sign, '#' | '＃') && (next.is_alphanumeric() || next == '_');
        let tag_ends = in_tag && !(sign.is_alphanumeric() || matches!(sign, '_' | '-'));
        in_address = !sign.is_whitespace() && (in_address || text[at..].starts_with("://"));
        let numbers = before.is_numeric() && next.is_numeric();
        let separates = match sign {
            ',' => !numbers && (!in_address || next.is_whitespace()),
            '/' => !numbers && !in_address,
            '.' | '?' | '!' => {
                (next.is_whitespace() || is_hangul(next)) && !in_address && !before.is_numeric()
            }
            '\n' | '\r' | ';' | '、' | '，' | '；' | '|' | '·' | '。' | '？' | '！' | '•' => {
                true
            }
            _ => false,
        };
        if tag || tag_ends || separates {
            found.extend(words(text, start..at));
            start = if tag || (tag_ends && !separates) { at } else { at + sign.len_utf8() };
            in_tag = tag;
        }
        before = sign;
    }
    found.extend(words(text, start..text.len()));
    found
}

/// An item of free text, cut at "and" and "or"; a hashtag is one item.
fn words(text: &str, item: Range<usize>) -> Vec<Range<usize>> {
    let whole = &text[item.clone()];
    if whole.starts_with(['#', '＃']) || whole.trim().is_empty() {
        return if whole.trim().is_empty() { Vec::new() } else { vec![item] };
    }
    let mut found = Vec::new();
    let (mut start, mut at) = (item.start, item.start);
    for word in whole.split(char::is_whitespace) {
        let end = at + word.len();
        let lower = word.to_lowercase();
        if matches!(lower.as_str(), "and" | "or" | "&" | "및" | "그리고" | "또는" | "혹은")
        {
            found.push(start..at);
            start = end;
        } else if joins(word) && end < item.end {
            // The particle itself belongs to no cue.
            let particle = word.chars().next_back().map_or(0, char::len_utf8);
            found.push(start..end - particle);
            start = end;
        }
        at = end + text[end..].chars().next().map_or(0, char::len_utf8);
    }
    found.push(start.min(item.end)..item.end);
    found
}

/// Whether a Korean word ends in the particle 와 or 과, which its last syllable chooses.
pub(super) fn joins(word: &str) -> bool {
    let mut signs = word.chars().rev();
    let (Some(last), Some(before)) = (signs.next(), signs.next()) else { return false };
    let fits = match last {
        '와' => is_hangul(before) && !has_final(before),
        '과' => has_final(before),
        _ => false,
    };
    fits && !AND_NOUNS.contains(&word)
}

fn cue(text: &str, item: Range<usize>) -> Option<Cue> {
    let raw = &text[item.clone()];
    if raw.starts_with(['#', '＃']) {
        let words = hashtag(raw.trim_start_matches(['#', '＃']));
        let span = item.start..item.start + raw.trim_end().len();
        return words.chars().any(char::is_alphabetic).then_some(Cue { text: words, span });
    }
    let mut rest = sentence::after_marker(raw);
    let start = |rest: &str| rest.as_ptr() as usize - text.as_ptr() as usize;
    rest = without_leads(rest);
    rest = without_tails(rest);
    let quote = |sign: char| {
        matches!(sign, '"' | '\'' | '“' | '”' | '‘' | '’' | '(' | ')' | '[' | ']' | '*' | '_' | '`')
    };
    rest = rest.trim_matches(|sign: char| {
        quote(sign) || sign.is_whitespace() || sentence::CLOSING.contains(&sign)
    });
    rest.chars().any(char::is_alphabetic).then(|| {
        let from = start(rest);
        Cue { text: clean(&rest.replace('_', " ")), span: from..from + rest.len() }
    })
}

/// The words of a hashtag: underscores and hyphens are spaces, `UnevenTeeth` is two words.
fn hashtag(tag: &str) -> String {
    let mut words = String::new();
    let mut before = ' ';
    for sign in tag.chars() {
        if before.is_lowercase() && sign.is_uppercase() {
            words.push(' ');
        }
        words.push(if matches!(sign, '_' | '-') { ' ' } else { sign });
        before = sign;
    }
    let camel = words.contains(' ') && !tag.contains(['_', '-']);
    clean(&if camel { words.to_lowercase() } else { words })
}

fn without_leads(text: &str) -> &str {
    let mut rest = text.trim_start();
    loop {
        let found = LEADS.iter().chain(KOREAN_LEADS).find_map(|lead| {
            let first = rest.as_bytes().first()?.to_ascii_lowercase();
            let head = rest.get(..lead.len()).filter(|_| first == lead.as_bytes()[0])?;
            let tail = &rest[lead.len()..];
            let whole =
                tail.starts_with(char::is_whitespace) || tail.is_empty() || lead.ends_with(':');
            (head.eq_ignore_ascii_case(lead) && whole).then_some(tail)
        });
        match found {
            Some(tail) => rest = tail.trim_start(),
            None => return rest,
        }
    }
}

fn without_tails(text: &str) -> &str {
    let mut rest = text
        .trim_end_matches(|sign: char| sign.is_whitespace() || sentence::CLOSING.contains(&sign));
    let mut asked = false;
    while let Some(head) = KOREAN_TAILS.iter().find_map(|tail| {
        rest.strip_suffix(tail)
            .filter(|head| head.is_empty() || head.ends_with(char::is_whitespace))
    }) {
        rest = head.trim_end();
        asked = true;
    }
    if !asked {
        return rest;
    }
    let mut signs = rest.chars().rev();
    let (Some(last), Some(before)) = (signs.next(), signs.next()) else { return rest };
    let particle = match last {
        '을' | '이' | '은' => has_final(before),
        '를' | '가' | '는' => is_hangul(before) && !has_final(before),
        _ => false,
    };
    if particle { &rest[..rest.len() - last.len_utf8()] } else { rest }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &[&str]) {
        let found = cues(text, &Limits::default()).unwrap();
        let texts: Vec<&str> = found.iter().map(|cue| cue.text.as_str()).collect();
        assert_eq!(texts, expected, "{text}");
        for cue in &found {
            let source = text[cue.span.clone()].trim_start_matches(['#', '＃']);
            assert_eq!(key(&hashtag(source)), key(&cue.text), "{text}");
        }
    }

    #[test]
    fn hashtags_and_lists_are_cues() {
        check("#mismatched_pupils, uneven teeth", &["mismatched pupils", "uneven teeth"]);
        check("#치아불균일 #합성_경계선", &["치아불균일", "합성 경계선"]);
        check("#UnevenTeeth#seam", &["uneven teeth", "seam"]);
        check(
            "uneven teeth; blending seam / odd ear",
            &["uneven teeth", "blending seam", "odd ear"],
        );
        check("- uneven teeth\n* a seam\n1. odd ear", &["uneven teeth", "a seam", "odd ear"]);
        check("들쭉날쭉한 치아、이음매\n• 귀", &["들쭉날쭉한 치아", "이음매", "귀"]);
        check("see http://a.org/b, 1/2 of a face", &["see http://a.org/b", "1/2 of a face"]);
        check("", &[]);
        check("#, 42, ---", &[]);
    }

    #[test]
    fn free_text_asks_for_cues() {
        check("Look for uneven teeth and a blending seam.", &["uneven teeth", "a blending seam"]);
        check("Please check for signs of uneven teeth or a seam", &["uneven teeth", "a seam"]);
        check("Are there any mismatched pupils?", &["mismatched pupils"]);
        check("들쭉날쭉한 치아와 합성 경계선을 찾아줘", &["들쭉날쭉한 치아", "합성 경계선"]);
        check("이음매가 있는지 확인해 주세요. 사과", &["이음매", "사과"]);
    }

    #[test]
    fn the_same_cue_is_found_once() {
        check("Uneven teeth, uneven  TEETH, #uneven_teeth", &["Uneven teeth"]);
        check("ｓｅａｍ, seam", &["ｓｅａｍ"]);
    }

    #[test]
    fn limits_are_named() {
        let limits = Limits { max_cues: 1, max_bytes: 8, ..Limits::default() };
        let error = |text: &str| cues(text, &limits).unwrap_err().to_string();
        assert_eq!(error("a, b, c"), "cues has 3 cues, limit 1");
        assert_eq!(error("123456789"), "cues is 9 bytes, limit 8");
    }
}
