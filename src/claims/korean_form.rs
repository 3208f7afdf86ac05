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

/// Nouns that tell an attribute and their opposites; either takes any particle and the copula. Of
/// hair, the third is what is left without the attribute.
const NOUNS: &[(Axis, &str, &str, &str)] = &[
    (Axis::Form, "곱슬머리", "생머리", "머리"),
    (Axis::Form, "곱슬 머리", "생머리", "머리"),
    (Axis::Form, "곱슬머리", "직모", ""),
    (Axis::Form, "곱슬", "직모", ""),
    (Axis::Form, "곱슬", "생머리", ""),
];

/// Opposites of a noun with its ending, and what is left without the attribute.
pub(super) struct Nouns {
    pub axis: Axis,
    pub others: Vec<String>,
    pub without: String,
}

/// The opposites of `form` where it is a noun of the table, whatever its ending.
pub(super) fn noun_opposites(form: &str) -> Option<Nouns> {
    detach(form).find_map(|(noun, ending)| {
        let rows = NOUNS.iter().filter(|(_, one, other, _)| *one == noun || *other == noun);
        let mut rows = rows.peekable();
        let (axis, _, _, left) = rows.peek()?;
        let others = rows.map(|(_, one, other, _)| if *one == noun { *other } else { *one });
        let others = others.map(|other| attach(other, ending)).collect();
        let without = if left.is_empty() { String::new() } else { attach(left, ending) };
        Some(Nouns { axis: *axis, others, without })
    })
}

/// Whether a form tells an attribute other than a side, a colour too.
pub(super) fn is_attribute(form: &str) -> bool {
    axis(KOREAN, form).is_some_and(|axis| axis != Axis::Side)
        || noun_opposites(form).is_some()
        || super::korean_colour::is_colour(form)
}
