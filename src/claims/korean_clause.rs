//! Cuts a Korean sentence into the clauses that can stand as claims.
//!
//! A clause ends in a connective ending (고, 며, 지만, 으나, 는데) or a comma in a list of noun phrases.
//! It is cut off where it has a subject and where something is said in what follows; what follows
//! gets its subject or its topic where it has none of its own.

use std::ops::Range;

use super::korean_list::listed;
use super::{Piece, clean, sentence};

/// Nouns and adverbs that end like a connective.
const NO_CONNECTIVE: &[&str] = &[
    "사고",
    "최고",
    "광고",
    "재고",
    "창고",
    "경고",
    "보고",
    "참고",
    "냉장고",
    "권고",
    "금고",
    "하고",
    "그리고",
    "하지만",
    "그러나",
    "이고",
    "고",
    "신고",
    "원고",
    "로고",
    "만지고",
    "하나",
    "그렇지만",
    "그러면서",
    "차고",
];
/// Words that join sentences, at the start of one.
const OPENINGS: &[&str] = &[
    "그리고",
    "하지만",
    "그러나",
    "또한",
    "또",
    "그런데",
    "반면",
    "반면에",
    "그렇지만",
    "게다가",
    "한편",
    "즉",
];
/// Endings and what the stem takes in their place when the clause stands alone.
const CONNECTIVES: &[(&str, &str)] = &[
    ("지만", "다"),
    ("으며", "다"),
    ("으나", "다"),
    ("는데", "다"),
    ("은데", "다"),
    ("며", "다"),
    ("고", "다"),
];

/// One word between spaces.
pub(super) struct Word<'a> {
    /// Its bytes in the sentence.
    pub span: Range<usize>,
    /// Without punctuation around it.
    pub bare: &'a str,
    pub comma: bool,
}

/// The pieces of one sentence, their spans from its start.
pub(super) fn split(source: &str) -> Vec<Piece> {
    let words = words(source);
    let opening = words.iter().take_while(|word| OPENINGS.contains(&word.bare)).count();
    let start = if opening < words.len() { opening } else { 0 };
    if opinion(source) {
        return piece(source, &words, start..words.len(), "", None).into_iter().collect();
    }
    if let Some(cuts) = list(&words[start..]) {
        let mut from = start;
        let mut pieces = Vec::new();
        for cut in cuts {
            pieces.extend(piece(source, &words, from..start + cut, "", None));
            from = start + cut;
        }
        return pieces;
    }
    clauses(source, &words, start)
}

fn clauses(source: &str, words: &[Word<'_>], start: usize) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let (mut from, mut carried, mut topic) = (start, String::new(), String::new());
    for at in start..words.len() {
        let next = words.get(at + 1).map_or("", |word| word.bare);
        let Some(ending) = connective(words[at].bare, next) else { continue };
        let left = &words[from..=at];
        let right = &words[at + 1..];
        let said =
            right.iter().any(|word| is_predicate(word.bare) || connective(word.bare, "").is_some());
        let stands = !carried.is_empty()
            || left.iter().take(left.len() - 1).any(|word| is_subject(word.bare));
        if !said || !stands || left.len() + usize::from(!carried.is_empty()) < 2 {
            continue;
        }
        if let Some(found) = topic_of(source, left) {
            topic = found;
        }
        let subject = subject_of(source, left).unwrap_or_else(|| carried.clone());
        pieces.extend(told(source, words, from..at + 1, &carried, Some(ending)));
        from = at + 1;
        while from + 1 < words.len() && OPENINGS.contains(&words[from].bare) {
            from += 1;
        }
        let until = (from..words.len())
            .find(|&at| {
                connective(words[at].bare, words.get(at + 1).map_or("", |w| w.bare)).is_some()
            })
            .unwrap_or(words.len());
        let own: Vec<&str> = words[from..until].iter().map(|word| word.bare).collect();
        carried = if own.iter().any(|word| is_topic(word)) {
            String::new()
        } else if own.iter().any(|word| is_subject(word)) {
            topic.clone()
        } else {
            subject
        };
    }
    pieces.extend(told(source, words, from..words.len(), &carried, None));
    pieces
}

/// A clause, or one for each thing that it lists.
fn told(
    source: &str,
    words: &[Word<'_>],
    range: Range<usize>,
    carried: &str,
    ending: Option<(usize, &str)>,
) -> Vec<Piece> {
    let Some(whole) = piece(source, words, range.clone(), carried, ending) else {
        return Vec::new();
    };
    listed(source, &whole, &words[range]).unwrap_or_else(|| vec![whole])
}

fn words(source: &str) -> Vec<Word<'_>> {
    let mut found = Vec::new();
    let mut at = 0;
    for raw in source.split(char::is_whitespace) {
        let span = at..at + raw.len();
        let space = source[span.end..].chars().next().map_or(0, char::len_utf8);
        at = span.end + space;
        let bare = raw.trim_matches(|sign: char| {
            sign.is_ascii_punctuation() || matches!(sign, '，' | '、' | '“' | '”' | '‘' | '’')
        });
        if !bare.is_empty() {
            found.push(Word { comma: raw.ends_with([',', '，', '、', ';']), span, bare });
        }
    }
    found
}

fn piece(
    source: &str,
    words: &[Word<'_>],
    range: Range<usize>,
    carried: &str,
    ending: Option<(usize, &str)>,
) -> Option<Piece> {
    let (first, last) = (words.get(range.start)?, words.get(range.end.checked_sub(1)?)?);
    let span = sentence::trimmed(source, first.span.start..last.span.end);
    let mut own = clean(&source[span.clone()]);
    if let Some((cut, put)) = ending {
        own.truncate(own.len().saturating_sub(cut));
        own.push_str(put);
    }
    let text = if carried.is_empty() { own } else { format!("{carried} {own}") };
    (!span.is_empty()).then_some(Piece { span, text })
}

/// Where the items of a list of noun phrases end: commas, and nothing said.
fn list(words: &[Word<'_>]) -> Option<Vec<usize>> {
    let said = words.iter().any(|word| is_predicate(word.bare) && !word.bare.ends_with('음'));
    let joined =
        (0..words.len()).any(|at| connective(words[at].bare, "").is_some() && words[at].comma);
    let commas = words.iter().filter(|word| word.comma).count();
    if said
        || joined
        || commas == 0
        || (words[0].comma && words[0].bare.ends_with(['로', '에', '은', '는']))
    {
        return None;
    }
    let ends = (0..words.len()).filter(|&at| words[at].comma || at + 1 == words.len());
    Some(ends.map(|at| at + 1).collect())
}

/// The bytes of a connective ending and what stands in its place, if `word` ends in one and `next`
/// does not make a progressive or a wish of it.
pub(super) fn connective(word: &str, next: &str) -> Option<(usize, &'static str)> {
    if NO_CONNECTIVE.contains(&word) {
        return None;
    }
    let (ending, put) = CONNECTIVES.iter().find(|(ending, _)| word.ends_with(ending))?;
    let auxiliary = ["있", "싶", "나서", "말", "계"].iter().any(|start| next.starts_with(start));
    let quoted = word.ends_with("라고") || word.ends_with("다고") || word.ends_with("자고");
    let stem = word.strip_suffix(ending)?;
    if stem.is_empty() || (*ending == "고" && (auxiliary || quoted)) {
        return None;
    }
    // 눈이며: the copula stands between a noun and its ending.
    Some((ending.len(), put))
}

/// Whether a word ends what is said: 다, 요, 니다, 음, 함.
pub(super) fn is_predicate(word: &str) -> bool {
    word.ends_with(['다', '요'])
        && !matches!(word, "바다" | "보다" | "필요" | "중요" | "마다" | "의자보다")
        && !word.ends_with("보다")
        || ["있음", "없음", "않음", "보임", "있죠", "같음"].contains(&word)
}

/// Whether a word carries a subject or topic particle.
pub(super) fn is_subject(word: &str) -> bool {
    let mut signs = word.chars().rev();
    let (last, before) = (signs.next(), signs.next());
    let (Some(last), Some(before)) = (last, before) else { return false };
    let noun = ![
        "있는",
        "없는",
        "않은",
        "같은",
        "많은",
        "작은",
        "짧은",
        "밝은",
        "젊은",
        "늙은",
        "좁은",
        "넓은",
        "검은",
        "붉은",
        "얇은",
        "낮은",
        "높은",
        "앉은",
        "입은",
        "낡은",
        "젖은",
        "감은",
        "하는",
        "되는",
        "웃는",
        "고양이",
        "아이",
        "사이",
        "종이",
        "목걸이",
        "귀걸이",
        "길이",
        "높이",
        "깊이",
        "나이",
        "어린이",
        "짝짝이",
        "많이",
        "없이",
        "같이",
        "거의",
        "호랑이",
        "원숭이",
        "달리는",
        "보이는",
        "일치하는",
    ]
    .contains(&word);
    match last {
        '이' | '은' => noun && has_final(before),
        '가' | '는' => noun && !has_final(before),
        _ => false,
    }
}

pub(super) fn is_topic(word: &str) -> bool {
    is_subject(word) && word.ends_with(['은', '는'])
}

/// Whether a syllable has a final consonant; particles choose their form by it.
pub(super) fn has_final(sign: char) -> bool {
    matches!(sign, '가'..='힣') && !(sign as u32 - '가' as u32).is_multiple_of(28)
}

/// The words up to the last subject, without places before it.
fn subject_of(source: &str, words: &[Word<'_>]) -> Option<String> {
    let last = words.iter().rposition(|word| is_subject(word.bare))?;
    let place = words[..last]
        .iter()
        .rposition(|word| word.bare.ends_with('에') || word.bare.ends_with("에서"));
    let first = place.map_or(0, |at| at + 1);
    Some(clean(&source[words[first].span.start..words[last].span.end]))
}

/// The words up to a topic that another subject follows.
fn topic_of(source: &str, words: &[Word<'_>]) -> Option<String> {
    let topic = words.iter().position(|word| is_topic(word.bare))?;
    let followed = words[topic + 1..].iter().any(|word| is_subject(word.bare));
    followed.then(|| clean(&source[words[0].span.start..words[topic].span.end]))
}

/// Whether all of the sentence is an opinion, which its parts would lose.
fn opinion(source: &str) -> bool {
    super::korean::is_guessed(source)
        || ["것 같", "생각합니다", "생각한다", "생각해", "아마", " 듯", "추정", "보일 수"]
            .iter()
            .any(|words| source.contains(words))
}
