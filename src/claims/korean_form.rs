//! Korean attributes and their opposites; colours stand in [`super::korean_colour`].

use super::forms::{Axis, Row, axis};
use super::korean_particle::{attach, detach};

/// Opposites as forms that stand before a noun, end a sentence or join clauses. Of a form in several
/// rows, the first row is what it says most often.
pub(super) const KOREAN: &[Row] = &[
    (Axis::Form, "들쭉날쭉한", "가지런한"),
    (Axis::Form, "들쭉날쭉하다", "가지런하다"),
    (Axis::Form, "들쭉날쭉합니다", "가지런합니다"),
    (Axis::Form, "들쭉날쭉해요", "가지런해요"),
    (Axis::Form, "들쭉날쭉한", "고른"),
    (Axis::Form, "들쭉날쭉하다", "고르다"),
    (Axis::Form, "들쭉날쭉합니다", "고릅니다"),
    (Axis::Form, "울퉁불퉁한", "고른"),
    (Axis::Form, "울퉁불퉁하다", "고르다"),
    (Axis::Form, "고르지 않은", "고른"),
    (Axis::Form, "고르지 못한", "고른"),
    (Axis::Form, "고르지 않다", "고르다"),
    (Axis::Form, "고르지 않습니다", "고릅니다"),
    (Axis::Form, "고르지 않아요", "골라요"),
    (Axis::Form, "고르지 않은", "가지런한"),
    (Axis::Form, "고르지 않다", "가지런하다"),
    (Axis::Form, "고르지 않습니다", "가지런합니다"),
    (Axis::Form, "불규칙한", "규칙적인"),
    (Axis::Form, "불규칙하다", "규칙적이다"),
    (Axis::Form, "불규칙합니다", "규칙적입니다"),
    (Axis::Form, "불균일한", "균일한"),
    (Axis::Form, "불균일하다", "균일하다"),
    (Axis::Form, "기형적인", "정상적인"),
    (Axis::Form, "기형적이다", "정상적이다"),
    (Axis::Form, "비정상적인", "정상적인"),
    (Axis::Form, "비정상적이다", "정상적이다"),
    (Axis::Form, "기형적입니다", "정상적입니다"),
    (Axis::Form, "비정상적입니다", "정상적입니다"),
    (Axis::Form, "일그러진", "반듯한"),
    (Axis::Form, "일그러져 있다", "반듯하다"),
    (Axis::Form, "일그러져 있습니다", "반듯합니다"),
    (Axis::Form, "비뚤어진", "반듯한"),
    (Axis::Form, "비뚤어져 있다", "반듯하다"),
    (Axis::Form, "비뚤어졌다", "반듯하다"),
    (Axis::Form, "삐뚤빼뚤한", "가지런한"),
    (Axis::Form, "왜곡된", "왜곡되지 않은"),
    (Axis::Form, "흐릿한", "선명한"),
    (Axis::Form, "흐릿하다", "선명하다"),
    (Axis::Form, "뾰족한", "둥근"),
    (Axis::Form, "뾰족하다", "둥글다"),
    (Axis::Form, "뾰족합니다", "둥급니다"),
    (Axis::Form, "뾰족한", "납작한"),
    (Axis::Form, "뾰족하다", "납작하다"),
    (Axis::Form, "뾰족합니다", "납작합니다"),
    (Axis::Form, "곱슬곱슬한", "곧은"),
    (Axis::Form, "곱슬곱슬하다", "곧다"),
    (Axis::Form, "구불구불한", "곧은"),
    (Axis::Form, "구불구불하다", "곧다"),
    (Axis::Form, "비대칭인", "대칭인"),
    (Axis::Form, "비대칭이다", "대칭이다"),
    (Axis::Form, "비대칭적인", "대칭적인"),
    (Axis::Form, "어색하게", "자연스럽게"),
    (Axis::Form, "어색하게", "깔끔하게"),
    (Axis::Form, "지저분하게", "깔끔하게"),
    (Axis::Form, "지저분한", "깔끔한"),
    (Axis::Form, "지저분하다", "깔끔하다"),
    (Axis::Form, "지저분합니다", "깔끔합니다"),
    (Axis::Form, "지저분해요", "깔끔해요"),
    (Axis::Likeness, "짝짝이", "일치하는"),
    (Axis::Likeness, "짝짝이인", "일치하는"),
    (Axis::Likeness, "짝짝이다", "일치한다"),
    (Axis::Likeness, "불일치한다", "일치한다"),
    (Axis::Likeness, "일치하지 않는", "일치하는"),
    (Axis::Likeness, "일치하지 않는다", "일치한다"),
    (Axis::Likeness, "일치하지 않습니다", "일치합니다"),
    (Axis::Likeness, "서로 다른", "서로 같은"),
    (Axis::Likeness, "서로 다르다", "서로 같다"),
    (Axis::Likeness, "다른", "같은"),
    (Axis::Likeness, "다르다", "같다"),
    (Axis::Likeness, "다릅니다", "같습니다"),
    (Axis::Likeness, "달라요", "같아요"),
    (Axis::Likeness, "불일치하는", "일치하는"),
    (Axis::Nature, "인위적인", "자연스러운"),
    (Axis::Nature, "인위적이다", "자연스럽다"),
    (Axis::Nature, "인위적입니다", "자연스럽습니다"),
    (Axis::Nature, "인위적으로", "자연스럽게"),
    (Axis::Nature, "인공적이다", "자연스럽다"),
    (Axis::Nature, "인공적인", "자연스러운"),
    (Axis::Nature, "부자연스러운", "자연스러운"),
    (Axis::Nature, "부자연스럽다", "자연스럽다"),
    (Axis::Nature, "부자연스럽습니다", "자연스럽습니다"),
    (Axis::Nature, "부자연스러워요", "자연스러워요"),
    (Axis::Nature, "어색한", "자연스러운"),
    (Axis::Nature, "어색하다", "자연스럽다"),
    (Axis::Nature, "어색합니다", "자연스럽습니다"),
    (Axis::Nature, "어색해요", "자연스러워요"),
    (Axis::Form, "어색한", "깔끔한"),
    (Axis::Form, "어색하다", "깔끔하다"),
    (Axis::Form, "어색합니다", "깔끔합니다"),
    (Axis::Form, "어색해요", "깔끔해요"),
    (Axis::Nature, "가짜", "진짜"),
    (Axis::State, "열린", "닫힌"),
    (Axis::State, "열려 있다", "닫혀 있다"),
    (Axis::State, "열려 있습니다", "닫혀 있습니다"),
    (Axis::State, "뜨고 있다", "감고 있다"),
    (Axis::State, "뜬", "감은"),
    (Axis::State, "어두운", "밝은"),
    (Axis::State, "어둡다", "밝다"),
    (Axis::State, "어둡습니다", "밝습니다"),
    (Axis::State, "깨끗한", "더러운"),
    (Axis::State, "깨끗하다", "더럽다"),
    (Axis::State, "웃고 있다", "찡그리고 있다"),
    (Axis::State, "웃는", "찡그린"),
    (Axis::State, "비어 있다", "가득 차 있다"),
    (Axis::State, "깨진", "온전한"),
    (Axis::State, "젖은", "마른"),
    (Axis::Surface, "거친", "매끄러운"),
    (Axis::Surface, "거칠다", "매끄럽다"),
    (Axis::Surface, "매끈한", "거친"),
    (Axis::Surface, "주름진", "매끄러운"),
    (Axis::Size, "큰", "작은"),
    (Axis::Size, "크다", "작다"),
    (Axis::Size, "큽니다", "작습니다"),
    (Axis::Size, "커요", "작아요"),
    (Axis::Size, "긴", "짧은"),
    (Axis::Size, "길다", "짧다"),
    (Axis::Size, "깁니다", "짧습니다"),
    (Axis::Size, "길어요", "짧아요"),
    (Axis::Size, "넓은", "좁은"),
    (Axis::Size, "넓다", "좁다"),
    (Axis::Size, "두꺼운", "얇은"),
    (Axis::Size, "두껍다", "얇다"),
    (Axis::Size, "높은", "낮은"),
    (Axis::Size, "높다", "낮다"),
    (Axis::Age, "늙은", "젊은"),
    (Axis::Age, "젊다", "늙다"),
    (Axis::Age, "오래된", "새로운"),
    (Axis::Age, "낡은", "새"),
    (Axis::Side, "왼쪽", "오른쪽"),
];

/// Nouns that tell an attribute, and those that tell its opposite; either takes any particle and the
/// copula.
const NOUNS: &[(Axis, &[&str], &[&str])] =
    &[(Axis::Form, &["곱슬머리", "곱슬", "곱슬 머리"], &["생머리", "직모"])];

/// The opposites of `form` where it is a noun of the table, with its ending.
pub(super) fn noun_opposites(form: &str) -> Option<(Axis, Vec<String>)> {
    let (axis, _, others, ending) = noun(form)?;
    let others = others.iter().filter(|other| !other.contains(' '));
    Some((axis, others.map(|other| attach(other, ending)).collect()))
}

/// What is left of `form` without the attribute that it tells as a noun: 머리를 of 곱슬머리를.
pub(super) fn without_noun(form: &str) -> String {
    let of_hair = noun(form).filter(|_| form.contains("머리"));
    of_hair.map_or_else(String::new, |(_, _, _, ending)| attach("머리", ending))
}

/// What a noun tells of, those that tell the same, those that tell the opposite, and its ending.
fn noun(
    form: &str,
) -> Option<(Axis, &'static [&'static str], &'static [&'static str], &'static str)> {
    detach(form).find_map(|(noun, ending)| {
        NOUNS.iter().find_map(|(axis, one, other)| {
            if one.contains(&noun) {
                Some((*axis, *one, *other, ending))
            } else {
                other.contains(&noun).then_some((*axis, *other, *one, ending))
            }
        })
    })
}

/// Whether a form tells an attribute other than a side, a colour too.
pub(super) fn is_attribute(form: &str) -> bool {
    axis(KOREAN, form).is_some_and(|axis| axis != Axis::Side)
        || noun_opposites(form).is_some()
        || super::korean_colour::is_colour(form)
}

/// Endings of predicates and of what stands before a noun, the longest first where one ends in
/// another.
const ENDINGS: &[&str] = &[
    "합니다",
    "입니다",
    "이에요",
    "습니다",
    "한다",
    "하다",
    "하는",
    "하게",
    "하고",
    "하며",
    "해요",
    "이다",
    "니다",
    "아요",
    "어요",
    "지만",
    "이인",
    "한",
    "인",
    "은",
    "는",
    "운",
    "다",
    "고",
    "며",
    "이",
];

/// What the forms of one attribute have in common: 가지런 of 가지런한 and 가지런합니다, 흰색 of 하얗다. No
/// word that stands alone.
pub(super) fn stem(form: &str) -> String {
    let form = form.trim_end_matches([',', '.']);
    if let Some(colour) = super::korean_colour::name(form) {
        return colour.to_owned();
    }
    if let Some((_, same, _, _)) = noun(form) {
        return same[0].to_owned();
    }
    if let Some((base, _)) = form.split_once("지 않").or_else(|| form.split_once("지 못")) {
        return format!("{}지 않", stem(base.strip_suffix('하').unwrap_or(base)));
    }
    let state = form.split_once(" 있").map(|(base, _)| base);
    let past = form.strip_suffix("졌다").or_else(|| form.strip_suffix("졌습니다"));
    if let Some(base) = past {
        return format!("{base}지");
    }
    let adjective = ["스럽습니다", "스러워요", "스러운", "스럽다", "스럽게"];
    if let Some(base) = adjective.iter().find_map(|end| form.strip_suffix(end)) {
        return format!("{base}스럽");
    }
    let ending = ENDINGS.iter().find_map(|end| form.strip_suffix(end)).filter(|s| !s.is_empty());
    let base = state.or(ending).unwrap_or(form);
    open(base, state.is_some())
}

/// `base` with its last syllable open: ㄹ falls before ㄴ and ㅂ, and ㄴ and ㅂ may be an ending. In a
/// state, ㅕ is ㅣ: 열려 of 열리.
fn open(base: &str, state: bool) -> String {
    let Some(last) = base.chars().next_back() else { return String::new() };
    let head = &base[..base.len() - last.len_utf8()];
    let Some(code) = (last as u32).checked_sub('가' as u32).filter(|code| *code < 11_172) else {
        return base.to_owned();
    };
    // A syllable's code counts through 28 finals within 21 vowels; ㅕ is the vowel 6, ㅣ 20.
    let (initial, vowel) = (code / 588, code % 588 / 28);
    let vowel = if state && vowel == 6 { 20 } else { vowel };
    let open = char::from_u32('가' as u32 + initial * 588 + vowel * 28).unwrap_or(last);
    format!("{head}{open}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forms_of_one_attribute_have_one_stem() {
        for forms in [
            &["가지런한", "가지런하다", "가지런합니다", "가지런해요"][..],
            &["긴", "길다", "깁니다", "길어요"],
            &["짧은", "짧다", "짧습니다"],
            &["다른", "다르다", "다릅니다"],
            &["고른", "고르다", "고릅니다"],
            &["둥근", "둥글다"],
            &["어두운", "어둡다", "어둡습니다"],
            &["열린", "열려 있다", "열려 있습니다"],
            &["일그러진", "일그러져 있다"],
            &["비뚤어진", "비뚤어져 있다", "비뚤어졌다"],
            &["자연스러운", "자연스럽다", "자연스럽습니다", "자연스러워요"],
            &["정상적인", "정상적이다", "정상적입니다"],
            &["짝짝이", "짝짝이인", "짝짝이다"],
            &["고르지 않은", "고르지 않다", "고르지 못한"],
            &["일치하는", "일치한다", "일치합니다"],
            &["검은", "검은색이다", "검다", "까만", "검은색"],
            &["곱슬", "곱슬 머리를", "곱슬이다"],
        ] {
            let stems: Vec<String> = forms.iter().map(|form| stem(form)).collect();
            assert!(stems.iter().all(|one| *one == stems[0]), "{forms:?}: {stems:?}");
        }
        assert_ne!(stem("고르다"), stem("고르지 않다"));
        assert_ne!(stem("일치하는"), stem("일치하지 않는"));
    }
}
