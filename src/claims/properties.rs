//! What holds for every text.

use proptest::collection::vec;
use proptest::prelude::*;

use super::{Claim, Language, Limits, contrasts, cues, split};

/// Texts of what the rules look for, so that they meet in every order.
fn text() -> impl Strategy<Value = String> {
    let part = prop_oneof![
        Just(" ".to_owned()),
        Just(", ".to_owned()),
        Just(". ".to_owned()),
        prop::sample::select(vec![
            "the face", "has", "is", "not", "no", "and", "but", "which", "with", "a", "two",
            "teeth", "uneven", "left of", "on", "does", "n't", "n't have", "without", "free of",
            "there", "-", "1.", "#", "#a_b", "...", "\n", "?", "。", "“", "'s", "it's", "pair of",
            "of", "Dr.", "half", "the same", "or more",
        ])
        .prop_map(str::to_owned),
        prop::sample::select(vec![
            "얼굴에",
            "얼굴은",
            "치아가",
            "고르지",
            "않다",
            "않은",
            "있고",
            "없다",
            "없음",
            "아니다",
            "아니",
            "두",
            "마리",
            "3명",
            "왼쪽에",
            "의",
            "안",
            "못",
            "고",
            "며",
            "지만",
            "와",
            "치아와",
            "개가",
            "있다",
            "이다",
            "보다",
            "을",
            "찾아줘",
            "여러",
            "개의",
            "명의",
        ])
        .prop_map(str::to_owned),
        "\\PC{0,6}",
        any::<String>(),
    ];
    (vec(part, 0..24), any::<bool>())
        .prop_map(|(parts, spaced)| parts.join(if spaced { " " } else { "" }))
}

fn check_spans(answer: &str, claims: &[Claim]) -> Result<(), TestCaseError> {
    let mut end = 0;
    for claim in claims {
        prop_assert!(claim.span.start >= end, "{claim:?} overlaps or comes late");
        prop_assert!(claim.span.start < claim.span.end && claim.span.end <= answer.len());
        prop_assert!(answer.get(claim.span.clone()).is_some(), "{claim:?} cuts a character");
        prop_assert!(!claim.text.is_empty());
        end = claim.span.end;
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn claims_lie_in_order_within_the_answer(answer in text()) {
        check_spans(&answer, &split(&answer, &Limits::default()).unwrap())?;
    }

    #[test]
    fn cues_lie_in_order_and_differ(text in text()) {
        let found = cues(&text, &Limits::default()).unwrap();
        let mut end = 0;
        for cue in &found {
            prop_assert!(cue.span.start >= end && cue.span.end <= text.len(), "{cue:?}");
            prop_assert!(text.get(cue.span.clone()).is_some());
            end = cue.span.end;
        }
    }

    #[test]
    fn a_contrast_differs_from_its_claim(text in text()) {
        for language in [Language::English, Language::Korean, Language::Other] {
            let formed = contrasts(&text, language, 4);
            prop_assert!(formed.len() <= 4);
            prop_assert!(formed.iter().all(|formed| formed.text != text && !formed.text.is_empty()));
        }
    }
}

/// Work grows with the text and not with its square: each of these took minutes to hours at a
/// megabyte where a scan looked back or ahead over the rest.
#[test]
fn a_megabyte_of_anything_is_split() {
    let limits = Limits::default();
    let patterns = [".  ", "a. ", "a and ", "\"", "눈이 크고 ", "http://a,", "a-"];
    for pattern in patterns {
        let answer = pattern.repeat((1 << 20) / pattern.len());
        match split(&answer, &limits) {
            Ok(claims) => check_spans(&answer, &claims).unwrap(),
            Err(error) => assert!(error.to_string().ends_with("claims, limit 256"), "{error}"),
        }
        match cues(&answer, &limits) {
            Ok(cues) => assert!(cues.len() <= limits.max_cues),
            Err(error) => assert!(error.to_string().ends_with("cues, limit 64"), "{error}"),
        }
    }
}
