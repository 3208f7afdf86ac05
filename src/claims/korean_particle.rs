//! What is written on to a Korean noun: particles and the copula, whose form its last syllable
//! chooses.

use super::korean_clause::has_final;

/// What may follow a noun: behind a final consonant, behind a vowel. The longest first where one
/// ends in another.
const ENDINGS: &[(&str, &str)] = &[
    ("이었습니다", "였습니다"),
    ("이었다", "였다"),
    ("입니다", "입니다"),
    ("이에요", "예요"),
    ("이네요", "네요"),
    ("이지만", "지만"),
    ("이라고", "라고"),
    ("이다", "이다"),
    ("이며", "이며"),
    ("이고", "이고"),
    ("이나", "나"),
    ("으로", "로"),
    ("인", "인"),
    ("의", "의"),
    ("을", "를"),
    ("은", "는"),
    ("이", "가"),
    ("과", "와"),
    ("도", "도"),
    ("만", "만"),
    ("에", "에"),
];

/// `word` as a noun and its ending, for each ending that it may have: the ending as it stands behind
/// a final consonant, or nothing.
pub(super) fn detach(word: &str) -> impl Iterator<Item = (&str, &'static str)> {
    let ended = ENDINGS.iter().flat_map(move |(final_form, vowel_form)| {
        let cut = |form: &str| word.strip_suffix(form).filter(|noun| !noun.is_empty());
        let same = final_form == vowel_form;
        let vowel = if same { None } else { cut(vowel_form) };
        [cut(final_form), vowel].into_iter().flatten().map(move |noun| (noun, *final_form))
    });
    std::iter::once((word, "")).chain(ended)
}

/// `noun` with an ending of [`detach`], in the form that it takes there.
pub(super) fn attach(noun: &str, ending: &str) -> String {
    let last = noun.chars().next_back().unwrap_or(' ');
    let found = ENDINGS.iter().find(|(final_form, _)| *final_form == ending);
    let (final_form, vowel_form) = found.copied().unwrap_or((ending, ending));
    // 로 follows ㄹ, the ninth of the finals, as it follows a vowel: 금발로.
    let liquid = ending == "으로" && has_final(last) && (last as u32 - '가' as u32) % 28 == 8;
    let form = if has_final(last) && !liquid { final_form } else { vowel_form };
    format!("{noun}{form}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_ending_fits_the_noun_before_it() {
        let check = |word: &str, noun: &str, other: &str, expected: &str| {
            let ending = detach(word).find(|(found, _)| *found == noun).unwrap().1;
            assert_eq!(attach(other, ending), expected, "{word}");
        };
        check("안경과", "안경", "모자", "모자와");
        check("모자를", "모자", "안경", "안경을");
        check("금발로", "금발", "검은색", "검은색으로");
        check("검은색으로", "검은색", "금발", "금발로");
        check("곱슬이에요", "곱슬", "직모", "직모예요");
        check("곱슬이다", "곱슬", "생머리", "생머리이다");
        check("금발", "금발", "갈색", "갈색");
    }
}
