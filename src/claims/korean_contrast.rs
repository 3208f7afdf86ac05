//! The contrasts of a Korean text.

use std::ops::Range;

use super::clean;
use super::contrast::{Axis, Contrast, Formation, Opposites, Swap, kept};
use super::forms::opposites;
use super::korean::HAVING;
use super::korean_colour::colour_others;
use super::korean_form::{KOREAN, noun_opposites, without_noun};
use super::korean_negation::{affirm, denies, deny};

/// Most words of a form: "서로 다른", "가득 차 있다".
const FORM_WORDS: usize = 3;

/// As [`contrasts`](super::contrasts) of a text with single spaces.
pub(super) fn korean(text: &str, limit: usize) -> Vec<Contrast> {
    let words: Vec<&str> = text.split(' ').collect();
    let mut swaps = Vec::new();
    for Opposites { axis, words: form, others } in korean_opposites(&words) {
        let without = without_noun(&words[form.clone()].join(" "));
        swaps.extend(Swap::each(&form, axis, others, &without));
    }
    kept(text, swaps, limit, |swap| swapped(&words, swap), || complement(text, &words))
}

/// The attributes of a Korean text and their opposites, of forms in each other the longest.
pub(super) fn korean_opposites(words: &[&str]) -> Vec<Opposites> {
    let mut found: Vec<Opposites> = Vec::new();
    let mut at = 0;
    while at < words.len() {
        let formed = opposites_at(words, at);
        at = formed.as_ref().map_or(at + 1, |formed| formed.words.end);
        found.extend(formed);
    }
    found
}

/// The opposites of the longest form that starts at word `at`.
fn opposites_at(words: &[&str], at: usize) -> Option<Opposites> {
    (1..=FORM_WORDS.min(words.len() - at)).rev().find_map(|length| {
        let form = words[at..at + length].join(" ");
        let form = form.trim_end_matches([',', '.']);
        let rows = opposites(KOREAN, form);
        let (axis, others) = if let Some((axis, _)) = rows.first() {
            (*axis, rows.iter().map(|(_, other)| (*other).to_owned()).collect())
        } else if let Some(found) = noun_opposites(form) {
            found
        } else if length == 1 {
            (Axis::Colour, colour_others(words, at))
        } else {
            return None;
        };
        (!others.is_empty()).then_some(Opposites { axis, words: at..at + length, others })
    })
}

/// The text with some words replaced; a comma behind them stays.
fn swapped(words: &[&str], swap: &Swap) -> Contrast {
    let Range { start, end } = swap.words;
    let from = words[start..end].join(" ");
    let comma = if words[end - 1].ends_with(',') && !swap.to.is_empty() { "," } else { "" };
    let put = format!("{}{comma}", swap.to);
    Contrast {
        text: clean(&[&words[..start].join(" "), &*put, &words[end..].join(" ")].join(" ")),
        formation: swap.formation,
        from: from.trim_end_matches([',', '.']).to_owned(),
        to: swap.to.clone(),
    }
}

/// The denial of what is said, or the text without its denial; a noun phrase gets or loses 없음.
fn complement(text: &str, words: &[&str]) -> Vec<Contrast> {
    let complement = |text: String, from: &str, to: &str| {
        let (from, to) = (from.to_owned(), to.to_owned());
        vec![Contrast { text, formation: Formation::Complement, from, to }]
    };
    if let Some(bare) = text.strip_suffix(" 없음") {
        return complement(bare.to_owned(), "없음", "");
    }
    if let Some(at) = (0..words.len()).find(|&at| denies(words, at)) {
        return complement(affirm(words, at), words[at], "");
    }
    if text.ends_with(['다', '요']) {
        let Some((last, before)) = words.split_last() else { return Vec::new() };
        let Some(denied) = deny(last, before.last().unwrap_or(&"")) else { return Vec::new() };
        let head = before.join(" ");
        let mut formed = complement(clean(&format!("{head} {denied}")), last, &denied);
        // What is worn is most often denied in the past: 안경을 쓰지 않았다.
        let worn = before.last().filter(|verb| HAVING.contains(verb) && denied.starts_with("있지"));
        if let Some(stem) = worn.and_then(|verb| verb.strip_suffix('고')) {
            let end = if last.ends_with('다') { "지 않았다" } else { "지 않았어요" };
            let past =
                format!("{stem}{}", if last.ends_with("니다") { "지 않았습니다" } else { end });
            let head = before[..before.len() - 1].join(" ");
            formed.extend(complement(clean(&format!("{head} {past}")), last, &past));
        }
        return formed;
    }
    // What somebody has is told before a noun: 있는, 없는.
    if let Some(at) = words.iter().rposition(|word| word.starts_with("있는")) {
        let mut changed: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        changed[at] = changed[at].replacen('있', "없", 1);
        return complement(changed.join(" "), "있", "없");
    }
    // Of a list, the first item is the claim's own.
    let (head, tail) = text.find(',').map_or((text, ""), |at| text.split_at(at));
    complement(format!("{head} 없음{tail}"), "", "없음")
}

#[cfg(test)]
mod tests {
    use super::super::{Language, contrasts};

    /// The contradictions start with these; each of `among` is one of them.
    fn check(text: &str, first: &[&str], among: &[&str]) {
        let formed = contrasts(text, Language::Korean, 12);
        let texts: Vec<&str> = formed
            .iter()
            .filter(|formed| formed.is_contradiction())
            .map(|formed| formed.text.as_str())
            .collect();
        assert!(texts.starts_with(first), "{text}: {texts:?}");
        assert!(among.iter().all(|text| texts.contains(text)), "{text}: {texts:?}");
        assert_eq!(first.is_empty(), texts.is_empty(), "{text}: {texts:?}");
    }

    #[test]
    fn colours_contradict_each_other_in_one_form() {
        check(
            "머리 색은 금발이다",
            &["머리 색은 검은색이다"],
            &["머리 색은 회색이다", "머리 색은 빨간색이다"],
        );
        check("배경은 초록색입니다", &["배경은 빨간색입니다"], &["배경은 회색입니다"]);
        check("눈은 회색이에요", &["눈은 분홍색이에요"], &["눈은 갈색이에요"]);
        check("검은 머리를 하고 있다", &["흰 머리를 하고 있다"], &["금발 머리를 하고 있다"]);
        check("초록색 배경이다", &["빨간색 배경이다"], &["주황색 배경이다"]);
    }

    #[test]
    fn curly_hair_is_straight_hair_in_its_own_words() {
        check("머리가 곱슬이다", &["머리가 생머리이다", "머리가 직모이다"], &[]);
        check("곱슬 머리를 하고 있다", &["생머리를 하고 있다"], &[]);
        check("생머리입니다", &["곱슬머리입니다"], &[]);
    }

    #[test]
    fn every_row_of_a_form_contradicts_it() {
        check("얼굴 경계가 깔끔하다", &["얼굴 경계가 지저분하다", "얼굴 경계가 어색하다"], &[]);
        check("귀가 반듯하다", &["귀가 일그러져 있다"], &["귀가 비뚤어져 있다"]);
        check("치아가 고르지 않다", &["치아가 고르다", "치아가 가지런하다"], &[]);
    }

    #[test]
    fn where_nothing_has_an_opposite_what_is_said_is_denied() {
        check("안경을 쓰고 있다", &["안경을 쓰고 있지 않다", "안경을 쓰지 않았다"], &[]);
        check("안경을 착용하고 있습니다", &["안경을 착용하고 있지 않습니다"], &[]);
        check("안경을 쓰지 않았다", &["안경을 쓰다"], &[]);
        check("얼굴에 안경이 없다", &["얼굴에 안경이 있다"], &[]);
        check("합성 경계선이 보인다", &["합성 경계선이 보이지 않는다"], &[]);
        check("이것은 만화 얼굴이다", &["이것은 만화 얼굴이 아니다"], &[]);
        check("수염이 있는 남자", &["수염이 없는 남자"], &[]);
    }

    #[test]
    fn what_no_text_is_compared_with_has_none() {
        for text in ["개 두 마리가 있다", "고양이가 소파 위에 있다", "얼굴이 합성된 것 같다"]
        {
            check(text, &[], &[]);
        }
    }
}
