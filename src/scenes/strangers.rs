//! Colours that are said of people and are never drawn here: statements that are false of every face.

use super::facts::{Words, worded};
use super::{Language, Topic};

const HAIR: [Words; 5] = [
    ("white", "흰", "흰색"),
    ("green", "초록", "초록색"),
    ("purple", "보라", "보라색"),
    ("pink", "분홍", "분홍색"),
    ("orange", "주황", "주황색"),
];
const EYE: [Words; 5] = [
    ("red", "빨간", "빨간색"),
    ("black", "검은", "검은색"),
    ("purple", "보라", "보라색"),
    ("yellow", "노란", "노란색"),
    ("pink", "분홍", "분홍색"),
];
const BACKDROP: [Words; 6] = [
    ("red", "빨간색", "빨간색이다"),
    ("black", "검은", "검은색이다"),
    ("white", "흰", "흰색이다"),
    ("yellow", "노란색", "노란색이다"),
    ("purple", "보라색", "보라색이다"),
    ("brown", "갈색", "갈색이다"),
];

/// A colour of hair, eyes or background that no face has.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Stranger {
    /// What it is said of.
    pub topic: Topic,
    /// Which of that topic's strangers.
    index: usize,
}

impl Stranger {
    /// Every stranger, topic by topic.
    pub fn all() -> Vec<Self> {
        let of = |topic| (0..table(topic).len()).map(move |index| Self { topic, index });
        Topic::ALL.into_iter().flat_map(of).collect()
    }

    /// Every way to say it: whole sentences without a full stop, of the same forms as what is true.
    pub fn statements(self, language: Language) -> Vec<String> {
        worded(self.topic, &self.words(), language)
    }

    pub(super) const fn words(self) -> Words {
        table(self.topic)[self.index]
    }
}

const fn table(topic: Topic) -> &'static [Words] {
    match topic {
        Topic::HairColour => &HAIR,
        Topic::EyeColour => &EYE,
        Topic::Background => &BACKDROP,
        Topic::HairStyle | Topic::Glasses | Topic::Cue(_) => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::Fact;

    #[test]
    fn what_is_said_of_strangers_is_never_a_fact() {
        for language in Language::ALL {
            let facts: Vec<String> =
                Fact::all().into_iter().flat_map(|fact| fact.statements(language)).collect();
            for stranger in Stranger::all() {
                let statements = stranger.statements(language);
                assert!(statements.len() > 1);
                assert!(statements.iter().all(|said| !facts.contains(said)), "{statements:?}");
            }
        }
    }
}
