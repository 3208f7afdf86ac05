//! What is said of a face, in English and Korean.

use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::spec::{BACKDROPS, EYES, HAIRS};
use super::{Cue, FaceSpec, HairStyle, Language};

/// How many ways there are to say each thing about a cue.
pub const PHRASE_VARIANTS: usize = 3;

type Phrases = [&'static str; PHRASE_VARIANTS];

/// One way to say, in a few words, that a cue is there or is not. `variant` wraps around.
pub fn cue_phrase(cue: Cue, present: bool, language: Language, variant: usize) -> &'static str {
    phrases(cue, present, language)[variant % PHRASE_VARIANTS]
}

/// Every phrase about a cue in every template, as a user might ask it.
pub fn prompts(cue: Cue, present: bool, language: Language) -> Vec<String> {
    let said = phrases(cue, present, language);
    said.iter()
        .flat_map(|phrase| templates(language).map(|[a, b]| format!("{a}{phrase}{b}")))
        .collect()
}

/// One of [`prompts`], another for each seed.
pub fn prompt(cue: Cue, present: bool, language: Language, seed: u64) -> String {
    let mut ways = prompts(cue, present, language);
    ways.swap_remove(seed as usize % ways.len())
}

fn templates(language: Language) -> [[&'static str; 2]; 4] {
    match language {
        Language::English => [
            ["", ""],
            ["a face with ", ""],
            ["a cartoon face with ", ""],
            ["a photo of a face with ", ""],
        ],
        Language::Korean => {
            [["", ""], ["얼굴에 ", ""], ["", ", 만화 얼굴"], ["사진 속 얼굴: ", ""]]
        }
    }
}

fn phrases(cue: Cue, present: bool, language: Language) -> Phrases {
    match language {
        Language::English => english(cue, present),
        Language::Korean => korean(cue, present),
    }
}

fn english(cue: Cue, present: bool) -> Phrases {
    match (cue, present) {
        (Cue::MismatchedPupilReflections, true) => [
            "mismatched pupil reflections",
            "artificial pupil reflection",
            "different reflections in the two pupils",
        ],
        (Cue::MismatchedPupilReflections, false) => [
            "matching pupil reflections",
            "natural pupil reflections",
            "the same reflection in both pupils",
        ],
        (Cue::MisshapenEar, true) => ["a misshapen ear", "artificial ear shape", "a deformed ear"],
        (Cue::MisshapenEar, false) => ["normal ears", "natural ear shape", "well-formed ears"],
        (Cue::UnevenTeeth, true) => ["uneven teeth", "jagged teeth", "irregular teeth"],
        (Cue::UnevenTeeth, false) => ["even teeth", "straight teeth", "regular teeth"],
        (Cue::BlendingSeam, true) => [
            "a blending seam",
            "a visible seam at the edge of the face",
            "a badly blended face edge",
        ],
        (Cue::BlendingSeam, false) => {
            ["no blending seam", "no seam at the edge of the face", "a cleanly blended face edge"]
        }
    }
}

fn korean(cue: Cue, present: bool) -> Phrases {
    match (cue, present) {
        (Cue::MismatchedPupilReflections, true) => {
            ["짝짝이 동공 반사", "인위적인 동공 반사", "서로 다른 동공 반사"]
        }
        (Cue::MismatchedPupilReflections, false) => {
            ["일치하는 동공 반사", "자연스러운 동공 반사", "서로 같은 동공 반사"]
        }
        (Cue::MisshapenEar, true) => ["기형적인 귀", "인위적인 귀 모양", "일그러진 귀"],
        (Cue::MisshapenEar, false) => ["정상적인 귀", "자연스러운 귀 모양", "반듯한 귀"],
        (Cue::UnevenTeeth, true) => ["들쭉날쭉한 치아", "고르지 않은 치아", "불규칙한 치아"],
        (Cue::UnevenTeeth, false) => ["고른 치아", "가지런한 치아", "규칙적인 치아"],
        (Cue::BlendingSeam, true) => {
            ["합성 경계선", "얼굴 가장자리의 이음매", "어색하게 합성된 얼굴 경계"]
        }
        (Cue::BlendingSeam, false) => {
            ["합성 경계선 없음", "이음매 없는 얼굴 가장자리", "자연스러운 얼굴 경계"]
        }
    }
}

const HAIR: [[&str; HAIRS]; 2] = [
    ["black", "brown", "blond", "red", "grey", "blue"],
    ["검은", "갈색", "금발", "빨간", "회색", "파란"],
];
const EYE: [[&str; EYES]; 2] =
    [["brown", "blue", "green", "grey"], ["갈색", "파란", "초록", "회색"]];
const BACKDROP: [[&str; BACKDROPS]; 2] = [
    ["blue", "green", "orange", "pink", "grey", "dark"],
    ["파란", "초록", "주황", "분홍", "회색", "어두운"],
];

/// A whole sentence: some attributes, and the state of every cue. The same `variant` chooses the
/// same order and the same phrases however the cues stand, so captions of a face with and without a
/// cue differ in that cue's phrase alone.
pub fn caption(spec: &FaceSpec, language: Language, variant: u64) -> String {
    let mut rng = ChaCha8Rng::seed_from_u64(variant);
    let mut said: Vec<String> = Cue::ALL
        .into_iter()
        .map(|cue| {
            let variant = rng.random_range(0..PHRASE_VARIANTS);
            cue_phrase(cue, spec.has(cue), language, variant).to_owned()
        })
        .collect();
    said.shuffle(&mut rng);
    let mut attributes = attributes(spec, language);
    attributes.shuffle(&mut rng);
    attributes.truncate(rng.random_range(1..=3));
    let opening = match language {
        Language::English => ["a cartoon face", "a photo of a face", "a face"],
        Language::Korean => ["만화 얼굴", "얼굴 사진", "얼굴"],
    };
    let opening = opening[rng.random_range(0..opening.len())];
    let join = match language {
        Language::English => " with ",
        Language::Korean => ", ",
    };
    format!("{opening}{join}{}, {}", attributes.join(", "), said.join(", "))
}

fn attributes(spec: &FaceSpec, language: Language) -> Vec<String> {
    let index = language as usize;
    let (hair, eyes) = (HAIR[index][spec.hair], EYE[index][spec.eyes]);
    let backdrop = BACKDROP[index][spec.backdrop];
    match language {
        Language::English => {
            let style = match spec.hair_style {
                HairStyle::Short => "short",
                HairStyle::Long => "long",
                HairStyle::Curly => "curly",
                HairStyle::Spiky => "spiky",
            };
            let glasses = if spec.glasses { "glasses" } else { "no glasses" };
            vec![
                format!("{style} {hair} hair"),
                format!("{eyes} eyes"),
                glasses.to_owned(),
                format!("a {backdrop} background"),
            ]
        }
        Language::Korean => {
            let style = match spec.hair_style {
                HairStyle::Short => "짧은",
                HairStyle::Long => "긴",
                HairStyle::Curly => "곱슬",
                HairStyle::Spiky => "뾰족한",
            };
            let glasses = if spec.glasses { "안경" } else { "안경 없음" };
            vec![
                format!("{style} {hair} 머리"),
                format!("{eyes} 눈"),
                glasses.to_owned(),
                format!("{backdrop} 배경"),
            ]
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn captions_with_and_without_a_cue_differ_in_its_phrase_alone() {
        for variant in 0..20 {
            for language in Language::ALL {
                for cue in Cue::ALL {
                    let spec = FaceSpec::sample(variant);
                    let on = caption(&spec.with_cue(cue, true), language, variant);
                    let off = caption(&spec.with_cue(cue, false), language, variant);
                    let swapped = (0..PHRASE_VARIANTS).any(|i| {
                        let phrase = |present| cue_phrase(cue, present, language, i);
                        on.replace(phrase(true), phrase(false)) == off
                    });
                    assert!(swapped, "{on} / {off}");
                }
            }
        }
    }

    #[test]
    fn korean_is_korean() {
        let hangul = |text: &str| text.chars().any(|c| ('가'..='힣').contains(&c));
        assert!(hangul(&caption(&FaceSpec::sample(1), Language::Korean, 1)));
        assert!(!hangul(&caption(&FaceSpec::sample(1), Language::English, 1)));
    }

    #[test]
    fn no_phrase_means_two_things() {
        let mut seen = std::collections::BTreeSet::new();
        for language in Language::ALL {
            for cue in Cue::ALL {
                for present in [true, false] {
                    for prompt in prompts(cue, present, language) {
                        assert!(seen.insert(prompt.clone()), "{prompt} is said twice");
                    }
                }
            }
        }
    }
}
