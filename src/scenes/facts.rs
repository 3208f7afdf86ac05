//! What is so of a face, one fact at a time, and how people say it in a sentence.
//!
//! A [`Fact`] is one value of one [`Topic`]; of each topic exactly one value is true of a face.

use super::spec::{BACKDROPS, EYES, HAIRS};
use super::{Cue, FaceSpec, HairStyle, Language};

/// What a fact is about.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Topic {
    /// Colour of the hair.
    HairColour,
    /// How the hair falls.
    HairStyle,
    /// Colour of the eyes.
    EyeColour,
    /// Whether there are glasses.
    Glasses,
    /// Colour of the background.
    Background,
    /// Whether a cue is there.
    Cue(Cue),
}

impl Topic {
    /// Every topic.
    pub const ALL: [Self; 9] = [
        Self::HairColour,
        Self::HairStyle,
        Self::EyeColour,
        Self::Glasses,
        Self::Background,
        Self::Cue(Cue::MismatchedPupilReflections),
        Self::Cue(Cue::MisshapenEar),
        Self::Cue(Cue::UnevenTeeth),
        Self::Cue(Cue::BlendingSeam),
    ];

    /// The name in reports and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::HairColour => "hair_colour",
            Self::HairStyle => "hair_style",
            Self::EyeColour => "eye_colour",
            Self::Glasses => "glasses",
            Self::Background => "background",
            Self::Cue(cue) => cue.name(),
        }
    }

    /// How many values it has.
    pub const fn values(self) -> usize {
        match self {
            Self::HairColour => HAIRS,
            Self::HairStyle => 4,
            Self::EyeColour => EYES,
            Self::Glasses | Self::Cue(_) => 2,
            Self::Background => BACKDROPS,
        }
    }

    /// Whether it is of the person, and so the same in every picture of theirs.
    pub const fn is_of_person(self) -> bool {
        matches!(self, Self::HairColour | Self::HairStyle | Self::EyeColour | Self::Glasses)
    }
}

/// One value of one topic.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Fact {
    /// What it is about.
    pub topic: Topic,
    /// Which value, below [`Topic::values`]. Of what is there or is not, 1 is there.
    pub value: usize,
}

impl Fact {
    /// Every fact, topic by topic.
    pub fn all() -> Vec<Self> {
        let of = |topic: Topic| (0..topic.values()).map(move |value| Self { topic, value });
        Topic::ALL.into_iter().flat_map(of).collect()
    }

    /// What is true of a face: one fact a topic, in the order of [`Topic::ALL`].
    pub fn of(spec: &FaceSpec) -> Vec<Self> {
        let value = |topic| match topic {
            Topic::HairColour => spec.hair,
            Topic::HairStyle => match spec.hair_style {
                HairStyle::Short => 0,
                HairStyle::Long => 1,
                HairStyle::Curly => 2,
                HairStyle::Spiky => 3,
            },
            Topic::EyeColour => spec.eyes,
            Topic::Glasses => usize::from(spec.glasses),
            Topic::Background => spec.backdrop,
            Topic::Cue(cue) => usize::from(spec.has(cue)),
        };
        Topic::ALL.into_iter().map(|topic| Self { topic, value: value(topic) }).collect()
    }

    /// What contradicts it: the other values of its topic.
    pub fn others(self) -> impl Iterator<Item = Self> {
        let topic = self.topic;
        (0..topic.values())
            .filter(move |&value| value != self.value)
            .map(move |value| Self { topic, value })
    }

    /// Every way to say it: whole sentences without a full stop, at least two. None of them denies,
    /// but for those that say that there are no glasses.
    pub fn statements(self, language: Language) -> Vec<String> {
        match language {
            Language::English => self.english(),
            Language::Korean => self.korean(),
        }
    }

    fn english(self) -> Vec<String> {
        let there = self.value == 1;
        match self.topic {
            Topic::Glasses if there => said(&[
                "The person is wearing glasses",
                "The person wears glasses",
                "The face has glasses",
            ]),
            Topic::Glasses => said(&[
                "The person is not wearing glasses",
                "The person does not wear glasses",
                "The face has no glasses",
            ]),
            Topic::Cue(cue) => said(english_cue(cue, there)),
            Topic::HairColour | Topic::HairStyle | Topic::EyeColour | Topic::Background => {
                worded(self.topic, &self.words(), Language::English)
            }
        }
    }

    fn korean(self) -> Vec<String> {
        let there = self.value == 1;
        match self.topic {
            Topic::Glasses if there => {
                said(&["안경을 쓰고 있다", "안경을 착용하고 있다", "얼굴에 안경이 있다"])
            }
            Topic::Glasses => {
                said(&["안경을 쓰지 않았다", "안경을 착용하지 않았다", "얼굴에 안경이 없다"])
            }
            Topic::Cue(cue) => said(korean_cue(cue, there)),
            Topic::HairColour | Topic::HairStyle | Topic::EyeColour | Topic::Background => {
                worded(self.topic, &self.words(), Language::Korean)
            }
        }
    }

    /// What the value is called; of what is there or is not, nothing.
    pub(super) const fn words(self) -> Words {
        match self.topic {
            Topic::HairColour => HAIR[self.value],
            Topic::HairStyle => STYLE[self.value],
            Topic::EyeColour => EYE[self.value],
            Topic::Background => BACKDROP[self.value],
            Topic::Glasses | Topic::Cue(_) => ("", "", ""),
        }
    }
}

/// Every way to say of the hair, in one sentence without a full stop, its colour and how it falls.
/// `colour` and `style` are values of [`Topic::HairColour`] and [`Topic::HairStyle`].
pub fn hair_statements(colour: usize, style: usize, language: Language) -> Vec<String> {
    let (english_colour, korean_colour, _) = HAIR[colour];
    let (english_style, korean_style, _) = STYLE[style];
    match language {
        Language::English => ["The person", "The face"]
            .map(|who| format!("{who} has {english_style} {english_colour} hair"))
            .to_vec(),
        Language::Korean => ["하고", "가지고"]
            .map(|verb| format!("{korean_style} {korean_colour} 머리를 {verb} 있다"))
            .to_vec(),
    }
}

fn said(forms: &[&str]) -> Vec<String> {
    forms.iter().map(|&form| form.to_owned()).collect()
}

/// The sentences about a topic whose values have names, for one value; none where what is told is
/// that something is there or is not.
pub(super) fn worded(topic: Topic, words: &Words, language: Language) -> Vec<String> {
    let forms: &[&str] = match (topic, language) {
        (Topic::HairColour, Language::English) => {
            &["The person has {} hair", "The hair is {}", "The hair colour is {}"]
        }
        (Topic::HairColour, Language::Korean) => &["{} 머리를 하고 있다", "머리 색은 []이다"],
        (Topic::HairStyle, Language::English) => &["The person has {} hair", "The hair is {}"],
        (Topic::HairStyle, Language::Korean) => &["{} 머리를 하고 있다", "[]"],
        (Topic::EyeColour, Language::English) => {
            &["The person has {} eyes", "The eyes are {}", "The eye colour is {}"]
        }
        (Topic::EyeColour, Language::Korean) => &["{} 눈을 가지고 있다", "눈은 []이다"],
        (Topic::Background, Language::English) => &["The background is {}", "The backdrop is {}"],
        (Topic::Background, Language::Korean) => &["배경은 []", "{} 배경이다"],
        (Topic::Glasses | Topic::Cue(_), _) => &[],
    };
    filled(forms, words, language)
}

/// The forms with the value's words in: `{}` is the word, in Korean that before a noun; `[]` is the
/// Korean noun or predicate.
pub(super) fn filled(forms: &[&str], words: &Words, language: Language) -> Vec<String> {
    let (english, before, told) = *words;
    let word = match language {
        Language::English => english,
        Language::Korean => before,
    };
    forms.iter().map(|form| form.replace("{}", word).replace("[]", told)).collect()
}

/// English; Korean before a noun; Korean as a noun, or a whole sentence or predicate.
pub(super) type Words = (&'static str, &'static str, &'static str);

const HAIR: [Words; HAIRS] = [
    ("black", "검은", "검은색"),
    ("brown", "갈색", "갈색"),
    ("blond", "금발", "금발"),
    ("red", "빨간", "빨간색"),
    ("grey", "회색", "회색"),
    ("blue", "파란", "파란색"),
];
const STYLE: [Words; 4] = [
    ("short", "짧은", "머리가 짧다"),
    ("long", "긴", "머리가 길다"),
    ("curly", "곱슬", "머리가 곱슬이다"),
    ("spiky", "뾰족한", "머리가 뾰족하다"),
];
const EYE: [Words; EYES] = [
    ("brown", "갈색", "갈색"),
    ("blue", "파란", "파란색"),
    ("green", "초록", "초록색"),
    ("grey", "회색", "회색"),
];
const BACKDROP: [Words; BACKDROPS] = [
    ("blue", "파란", "파란색이다"),
    ("green", "초록색", "초록색이다"),
    ("orange", "주황색", "주황색이다"),
    ("pink", "분홍색", "분홍색이다"),
    ("grey", "회색", "회색이다"),
    ("dark", "어두운", "어둡다"),
];

fn english_cue(cue: Cue, there: bool) -> &'static [&'static str] {
    match (cue, there) {
        (Cue::MismatchedPupilReflections, true) => &[
            "The pupil reflections are mismatched",
            "The pupils show different reflections",
            "The face has mismatched pupil reflections",
        ],
        (Cue::MismatchedPupilReflections, false) => &[
            "The pupil reflections are matching",
            "The pupils show the same reflection",
            "The face has natural pupil reflections",
        ],
        (Cue::MisshapenEar, true) => {
            &["The ear is misshapen", "The face has a misshapen ear", "The face has a deformed ear"]
        }
        (Cue::MisshapenEar, false) => {
            &["The ears are well-formed", "The face has normal ears", "The ear shape is natural"]
        }
        (Cue::UnevenTeeth, true) => {
            &["The teeth are uneven", "The face has uneven teeth", "The teeth are jagged"]
        }
        (Cue::UnevenTeeth, false) => {
            &["The teeth are even", "The face has even teeth", "The teeth are straight"]
        }
        (Cue::BlendingSeam, true) => &[
            "The face edge is badly blended",
            "There is a visible seam at the edge of the face",
            "The face has a blending seam",
        ],
        (Cue::BlendingSeam, false) => &[
            "The face edge is cleanly blended",
            "The edge of the face is natural",
            "The face has a cleanly blended edge",
        ],
    }
}

fn korean_cue(cue: Cue, there: bool) -> &'static [&'static str] {
    match (cue, there) {
        (Cue::MismatchedPupilReflections, true) => {
            &["동공 반사가 서로 다르다", "짝짝이 동공 반사가 있다", "동공 반사가 인위적이다"]
        }
        (Cue::MismatchedPupilReflections, false) => {
            &["동공 반사가 일치한다", "일치하는 동공 반사가 있다", "동공 반사가 자연스럽다"]
        }
        (Cue::MisshapenEar, true) => {
            &["귀가 일그러져 있다", "귀 모양이 기형적이다", "기형적인 귀가 있다"]
        }
        (Cue::MisshapenEar, false) => {
            &["귀가 반듯하다", "귀 모양이 정상적이다", "정상적인 귀가 있다"]
        }
        (Cue::UnevenTeeth, true) => {
            &["치아가 들쭉날쭉하다", "치아가 고르지 않다", "들쭉날쭉한 치아가 있다"]
        }
        (Cue::UnevenTeeth, false) => {
            &["치아가 가지런하다", "치아가 고르다", "가지런한 치아가 있다"]
        }
        (Cue::BlendingSeam, true) => {
            &["얼굴 가장자리에 이음매가 있다", "합성 경계선이 보인다", "얼굴 경계가 어색하다"]
        }
        (Cue::BlendingSeam, false) => {
            &["얼굴 가장자리가 자연스럽다", "얼굴 경계가 자연스럽다", "얼굴 경계가 깔끔하다"]
        }
    }
}

/// Sentences of a file that tell nothing of a face, without a full stop.
pub fn fillers(language: Language) -> &'static [&'static str] {
    match language {
        Language::English => &[
            "The file was received by mail",
            "The examination took two hours",
            "A copy is kept in the archive",
            "The case was opened in spring",
            "The sender could not be reached",
            "The lens and the distance are unknown",
            "The metadata of the file was removed",
            "A second opinion was asked for",
        ],
        Language::Korean => &[
            "파일은 우편으로 접수되었다",
            "검사는 두 시간이 걸렸다",
            "사본은 보관소에 있다",
            "사건은 봄에 시작되었다",
            "보낸 사람과 연락이 되지 않았다",
            "렌즈와 거리는 알 수 없다",
            "파일의 메타데이터는 삭제되었다",
            "다른 의견을 요청하였다",
        ],
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn one_value_of_each_topic_is_true_of_a_face() {
        let facts = Fact::of(&FaceSpec::sample(7));
        assert_eq!(facts.iter().map(|fact| fact.topic).collect::<Vec<_>>(), Topic::ALL);
        assert!(facts.iter().all(|fact| fact.value < fact.topic.values()));
        let others = facts[0].others().count();
        assert_eq!(others, Topic::HairColour.values() - 1);
    }

    #[test]
    fn hair_is_told_whole() {
        let said = |language| hair_statements(2, 0, language).swap_remove(0);
        assert_eq!(said(Language::English), "The person has short blond hair");
        assert_eq!(said(Language::Korean), "짧은 금발 머리를 하고 있다");
    }

    #[test]
    fn no_statement_says_two_facts() {
        let mut said = BTreeSet::new();
        for language in Language::ALL {
            for fact in Fact::all() {
                let statements = fact.statements(language);
                assert!(statements.len() > 1);
                for statement in statements {
                    assert!(said.insert(statement.clone()), "{statement} is said twice");
                }
            }
            assert!(fillers(language).iter().all(|&filler| said.insert(filler.to_owned())));
        }
    }
}
