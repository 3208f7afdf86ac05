//! What a Korean text denies, the text without the denial, and the denial of one.

use super::clean;
use super::forms::axis;
use super::korean::HAVING;
use super::korean_clause::{has_final, is_predicate, is_subject};
use super::korean_form::KOREAN;
use super::korean_particle::{attach, detach};

/// Whether word `at` denies, and is no part of an attribute that only sounds like a denial.
pub(super) fn denies(words: &[&str], at: usize) -> bool {
    let word = words[at];
    let before = if at > 0 { words[at - 1] } else { "" };
    let attribute = at > 0 && axis(KOREAN, &format!("{before} {word}")).is_some();
    let fixed = ["틀림없", "끊임없", "수없", "상관없"].iter().any(|start| word.starts_with(start));
    let not = word == "안"
        && words.get(at + 1).is_some_and(|next| {
            is_predicate(next) || next.ends_with(['은', '는', '한']) || HAVING.contains(next)
        })
        && (at == 0 || is_subject(before) || before.ends_with(['을', '를', '도']));
    let denying = word.contains('없')
        || ["아니", "아닌", "아닙", "않", "못하", "못한", "못합"]
            .iter()
            .any(|start| word.starts_with(start))
        || word == "못";
    (denying || not) && !attribute && !fixed
}

/// The text without the denial at word `at`.
pub(super) fn affirm(words: &[&str], at: usize) -> String {
    let mut kept: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
    let word = words[at];
    let before = if at > 0 { words[at - 1] } else { "" };
    if word.contains('없') {
        let dropped = word == "없음" || word == "없이";
        kept[at] = if dropped { String::new() } else { word.replacen('없', "있", 1) };
    } else if let Some(ending) =
        word.strip_prefix('아').filter(|rest| rest.starts_with(['니', '닌', '닙']))
    {
        let noun = before.strip_suffix(['이', '가', '은', '는']).unwrap_or(before);
        let copula = match ending {
            "니다" => "이다".to_owned(),
            "닌" => "인".to_owned(),
            _ if ending.starts_with('닙') => "입니다".to_owned(),
            _ => format!("이{}", ending.strip_prefix('니').unwrap_or("다")),
        };
        kept[at] = String::new();
        if at > 0 {
            kept[at - 1] = format!("{noun}{copula}");
        }
    } else if let Some(ending) = word.strip_prefix('않').or_else(|| word.strip_prefix("못하")) {
        kept[at] = String::new();
        let stem = ["지는", "지도", "지를", "지"].iter().find_map(|end| before.strip_suffix(end));
        if let (Some(stem), true) = (stem, at > 0) {
            kept[at - 1] = match ending {
                "은" => with_n(stem),
                "는" => format!("{stem}는"),
                _ => format!("{stem}다"),
            };
        }
    } else {
        kept[at] = String::new();
    }
    clean(&kept.join(" "))
}

/// A stem before a noun: 큰 of 크, 짧은 of 짧.
fn with_n(stem: &str) -> String {
    let Some(last) = stem.chars().next_back() else { return String::new() };
    // ㄴ is the fifth of the 28 finals that a syllable's code counts through.
    let joined = (!has_final(last)).then(|| char::from_u32(last as u32 + 4)).flatten();
    match joined {
        Some(joined) => format!("{}{joined}", &stem[..stem.len() - last.len_utf8()]),
        None => format!("{stem}은"),
    }
}

/// A predicate's endings and those of its denial, the longest first: what stands before one is a stem
/// that takes 지 않다 as it is.
const DENIED: &[(&str, &str)] = &[
    ("하였습니다", "하지 않았습니다"),
    ("했습니다", "하지 않았습니다"),
    ("하였다", "하지 않았다"),
    ("했어요", "하지 않았어요"),
    ("합니다", "하지 않습니다"),
    ("했다", "하지 않았다"),
    ("한다", "하지 않는다"),
    ("하다", "하지 않다"),
    ("해요", "하지 않아요"),
    ("썼습니다", "쓰지 않았습니다"),
    ("썼다", "쓰지 않았다"),
    ("보입니다", "보이지 않습니다"),
    ("보여요", "보이지 않아요"),
    ("습니다", "지 않습니다"),
    ("는다", "지 않는다"),
];

/// A predicate denied: 쓰고 있다 is 쓰고 있지 않다, 의사이다 is 의사가 아니다, 보인다 is 보이지 않는다. None where
/// its stem cannot be told from its ending.
pub(super) fn deny(word: &str, before: &str) -> Option<String> {
    if before.ends_with(['고', '어', '아', '여', '려', '져'])
        && let Some(ending) = word.strip_prefix('있')
    {
        return Some(match ending {
            "습니다" => "있지 않습니다".into(),
            "어요" => "있지 않아요".into(),
            _ => "있지 않다".into(),
        });
    }
    if let Some(ending) = word.strip_prefix('있') {
        return Some(format!("없{ending}"));
    }
    if let Some((stem, denied)) =
        DENIED.iter().find_map(|(end, denied)| Some((word.strip_suffix(end)?, denied)))
    {
        return Some(format!("{stem}{denied}"));
    }
    let copula = detach(word).find(|(_, ending)| ["이다", "입니다", "이에요"].contains(ending));
    if let Some((noun, ending)) = copula {
        let not = match ending {
            "이다" => "아니다",
            "입니다" => "아닙니다",
            _ => "아니에요",
        };
        return Some(format!("{} {not}", attach(noun, "이")));
    }
    // 큽니다, 보인다: ㅂ and ㄴ stand in the stem's last syllable.
    for (ending, final_sound, denied) in [("니다", 17, "지 않습니다"), ("다", 4, "지 않는다")]
    {
        let Some(stem) = word.strip_suffix(ending) else { continue };
        if let Some(open) = without_final(stem, final_sound) {
            return Some(format!("{open}{denied}"));
        }
    }
    // A past in 았 or 었 may have swallowed its stem's vowel: 갔다, 컸다.
    let stem = word.strip_suffix('다')?;
    let past = |sign: char| matches!(sign, '가'..='힣') && (sign as u32 - '가' as u32) % 28 == 20;
    match stem.chars().next_back() {
        Some('었' | '았') => {
            let stem = &stem[..stem.len() - '었'.len_utf8()];
            stem.ends_with(has_final).then(|| format!("{stem}지 않았다"))
        }
        Some(last) if past(last) => None,
        Some(_) => Some(format!("{stem}지 않다")),
        None => None,
    }
}

/// `stem` without that final of its last syllable.
fn without_final(stem: &str, final_sound: u32) -> Option<String> {
    let last = stem.chars().next_back()?;
    let code = (last as u32).checked_sub('가' as u32).filter(|_| has_final(last))?;
    let open = (code % 28 == final_sound).then(|| char::from_u32(last as u32 - final_sound))?;
    Some(format!("{}{}", &stem[..stem.len() - last.len_utf8()], open?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_predicate_is_denied() {
        let check = |before: &str, word: &str, expected: Option<&str>| {
            assert_eq!(deny(word, before).as_deref(), expected, "{before} {word}");
        };
        check("쓰고", "있다", Some("있지 않다"));
        check("착용하고", "있습니다", Some("있지 않습니다"));
        check("열려", "있어요", Some("있지 않아요"));
        check("이음매가", "있다", Some("없다"));
        check("이음매가", "있습니다", Some("없습니다"));
        check("남자는", "의사이다", Some("의사가 아니다"));
        check("이것은", "그림입니다", Some("그림이 아닙니다"));
        check("그녀는", "학생이에요", Some("학생이 아니에요"));
        check("안경을", "썼다", Some("쓰지 않았다"));
        check("안경을", "착용했습니다", Some("착용하지 않았습니다"));
        check("모자를", "입었다", Some("입지 않았다"));
        check("경계선이", "보인다", Some("보이지 않는다"));
        check("경계선이", "보입니다", Some("보이지 않습니다"));
        check("밥을", "먹는다", Some("먹지 않는다"));
        check("이음매가", "뚜렷하다", Some("뚜렷하지 않다"));
        check("키가", "큽니다", Some("크지 않습니다"));
        check("키가", "크다", Some("크지 않다"));
        check("집에", "갔다", None);
        check("", "사진", None);
    }

    #[test]
    fn a_denial_is_taken_away() {
        let check = |text: &str, expected: &str| {
            let words: Vec<&str> = text.split(' ').collect();
            let at = (0..words.len()).find(|&at| denies(&words, at)).unwrap();
            assert_eq!(affirm(&words, at), expected, "{text}");
        };
        check("이음매가 없다", "이음매가 있다");
        check("눈이 크지 않다", "눈이 크다");
        check("이것은 개가 아니다", "이것은 개이다");
        check("안경을 쓰지 않았다", "안경을 쓰다");
        check("안경을 쓰고 있지 않다", "안경을 쓰고 있다");
        check("안경을 안 쓴 남자", "안경을 쓴 남자");
    }
}
