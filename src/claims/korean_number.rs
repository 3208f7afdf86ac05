//! Claims of a number, in Korean.

use super::korean::{PARTICLES, bare, is_existence};
use super::korean_clause::{is_predicate, is_subject};
use super::{Comparison, Kind, Rule};

const COUNTERS: &[&str] = &[
    "마리", "사람", "송이", "그루", "켤레", "군데", "개", "명", "대", "장", "쌍", "권", "채", "분",
    "곳", "자루", "병", "잔", "벌", "척", "조각", "그릇", "접시",
];

const NUMBERS: &[(&str, u32)] = &[
    ("한", 1),
    ("두", 2),
    ("세", 3),
    ("네", 4),
    ("다섯", 5),
    ("여섯", 6),
    ("일곱", 7),
    ("여덟", 8),
    ("아홉", 9),
    ("열", 10),
    ("스무", 20),
    ("하나", 1),
    ("둘", 2),
    ("셋", 3),
    ("넷", 4),
    ("여러", 2),
    ("몇", 2),
    ("수십", 20),
    ("많은", 2),
    ("열두", 12),
];

/// Words around a number that belong to it.
const NOISE: &[&str] = &[
    "최소",
    "적어도",
    "최대",
    "약",
    "대략",
    "단",
    "오직",
    "정확히",
    "총",
    "이상의",
    "이상이",
    "이상",
    "정도",
    "이하의",
    "미만의",
];

pub(super) fn is_number_word(word: &str) -> bool {
    NUMBERS.iter().any(|(name, _)| *name == word && *name != "한")
        || matches!(word, "양쪽" | "두" | "모두" | "양")
}

pub(super) fn count(core: &[&str]) -> Option<(Kind, Rule)> {
    let (at, n, end, vague) = (0..core.len()).find_map(|at| number(core, at))?;
    let Some(end) = end else { return Some((Kind::Opinion, Rule::OtherNumber)) };
    let last = core[end - 1];
    let said =
        |words: &[&str]| core.iter().any(|word| words.iter().any(|start| word.starts_with(start)));
    let after = |words: &[&str]| {
        words.iter().any(|word| {
            last.contains(word) || core.get(end).is_some_and(|next| next.starts_with(word))
        })
    };
    let comparison = if after(&["이상"]) || said(&["최소", "적어도"]) || vague {
        Comparison::AtLeast
    } else if after(&["이하"]) || said(&["최대", "많아야"]) {
        Comparison::AtMost
    } else if after(&["미만"]) {
        Comparison::FewerThan
    } else if after(&["초과"])
        || (last.ends_with("보다") && core.get(end).is_some_and(|w| w.starts_with('많')))
    {
        Comparison::MoreThan
    } else if after(&["정도", "쯤", "가량"])
        || said(&["약", "대략"]) && core[..at].iter().any(|w| matches!(*w, "약" | "대략"))
    {
        Comparison::About
    } else {
        Comparison::Equal
    };
    let what = counted(core, at, end)?;
    Some((Kind::Count { what, comparison, n }, Rule::NumberWord))
}

/// A number at word `at`: where it is, its value, the word behind its counter (none where it counts
/// no things), and whether it is vague.
fn number(core: &[&str], at: usize) -> Option<(usize, u32, Option<usize>, bool)> {
    let word = core[at];
    let next = core.get(at + 1).copied().unwrap_or("");
    let counter = |rest: &str| {
        COUNTERS.iter().any(|counter| {
            rest.strip_prefix(counter).is_some_and(|tail| {
                let tail = ["이상", "이하", "미만", "정도", "쯤", "초과", "가량"]
                    .iter()
                    .find_map(|end| tail.strip_prefix(end))
                    .unwrap_or(tail);
                tail.is_empty()
                    || PARTICLES.contains(&tail)
                    || matches!(
                        tail,
                        "이다" | "입니다" | "뿐이다" | "다" | "보다" | "예요" | "이에요" | "이며"
                    )
            })
        })
    };
    let digits = word.chars().take_while(char::is_ascii_digit).count();
    if digits > 0 {
        let n = word[..digits].parse().ok()?;
        let rest = &word[digits..];
        let end = if counter(rest) {
            Some(at + 1)
        } else if rest.is_empty() && counter(next) {
            Some(at + 2)
        } else {
            None
        };
        return Some((at, n, end, false));
    }
    let (name, n) = NUMBERS
        .iter()
        .filter(|(name, _)| word.starts_with(name))
        .max_by_key(|(name, _)| name.len())?;
    let rest = &word[name.len()..];
    let vague = matches!(*name, "여러" | "몇" | "많은" | "수십");
    let pronoun = matches!(*name, "하나" | "둘" | "셋" | "넷")
        && (rest.is_empty() || PARTICLES.contains(&rest));
    if pronoun || (!rest.is_empty() && counter(rest)) {
        return Some((at, *n, Some(at + 1), vague));
    }
    if rest.is_empty() && counter(next) {
        return Some((at, *n, Some(at + 2), vague));
    }
    // "많은 사람": the noun follows at once.
    (rest.is_empty() && vague && !next.is_empty()).then_some((at, *n, Some(at + 1), true))
}

/// What is counted: the noun behind 의 or a vague number, else the noun before the number.
fn counted(core: &[&str], at: usize, end: usize) -> Option<String> {
    let behind = core[end - 1].ends_with('의')
        || core.get(end).is_some_and(|word| word.ends_with('의') && NOISE.contains(word));
    let plain = matches!(core[at], "여러" | "몇" | "많은" | "수십") && end == at + 1;
    let predicate =
        |words: &[&str]| words.iter().position(|word| is_existence(word) || is_predicate(word));
    let mut noun;
    let mut rest: &[&str] = &core[end..];
    let before = without_noise(&core[..at]);
    if behind || plain || before.is_empty() {
        let stop = predicate(rest).unwrap_or(rest.len());
        let subject =
            rest[..stop].iter().position(|word| is_subject(word)).map_or(stop, |at| at + 1);
        noun = without_noise(&rest[..subject]);
        rest = &rest[subject..];
    } else {
        noun = before;
    }
    let counter = core[end - 1];
    let person = ["명", "사람", "분"].iter().any(|name| counter.contains(name));
    if noun.is_empty() && person {
        noun = vec!["사람"];
    }
    let last = noun.pop()?;
    noun.push(if bare(last).is_empty() { last } else { bare(last) });
    let mut rest = without_noise(rest);
    let exists = rest.len() == 1 && is_existence(rest[0]);
    if rest.is_empty() || exists {
        return Some(noun.join(" "));
    }
    let tail = rest.pop()?;
    let tail = if tail.starts_with('있') { "있는".to_owned() } else { tail.to_owned() };
    rest.push(&tail);
    Some(format!("{} {}", rest.join(" "), noun.join(" ")))
}

/// The words that name no place and belong to no number.
fn without_noise<'a>(words: &[&'a str]) -> Vec<&'a str> {
    let place =
        |word: &str| word.ends_with('에') || word.ends_with("에는") || word.ends_with("에서");
    words.iter().copied().filter(|word| !place(word) && !NOISE.contains(word)).collect()
}
