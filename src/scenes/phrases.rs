//! Facts in a few words, as captions and lists of cues name them.

use super::facts::{Words, filled};
use super::{Fact, Language, PHRASE_VARIANTS, Stranger, Topic, cue_phrase};

impl Fact {
    /// Every way to say it without a sentence: "black hair", "no glasses", "uneven teeth".
    pub fn phrases(self, language: Language) -> Vec<String> {
        let there = self.value == 1;
        let said = match (self.topic, language) {
            (Topic::Glasses, Language::English) => {
                if there {
                    "glasses"
                } else {
                    "no glasses"
                }
            }
            (Topic::Glasses, Language::Korean) => {
                if there {
                    "안경"
                } else {
                    "안경 없음"
                }
            }
            (Topic::Cue(cue), _) => {
                let phrase = |variant| cue_phrase(cue, there, language, variant).to_owned();
                return (0..PHRASE_VARIANTS).map(phrase).collect();
            }
            (topic, _) => return named(forms(topic, language), &self.words(), language),
        };
        vec![said.to_owned()]
    }
}

impl Stranger {
    /// Every way to say it without a sentence, of the same forms as what is true.
    pub fn phrases(self, language: Language) -> Vec<String> {
        named(forms(self.topic, language), &self.words(), language)
    }
}

fn forms(topic: Topic, language: Language) -> &'static [&'static str] {
    match (topic, language) {
        (Topic::HairColour | Topic::HairStyle, Language::English) => &["{} hair"],
        (Topic::HairColour | Topic::HairStyle, Language::Korean) => &["{} 머리"],
        (Topic::EyeColour, Language::English) => &["{} eyes"],
        (Topic::EyeColour, Language::Korean) => &["{} 눈"],
        (Topic::Background, Language::English) => &["a {} background"],
        (Topic::Background, Language::Korean) => &["{} 배경"],
        (Topic::Glasses | Topic::Cue(_), _) => &[],
    }
}

fn named(forms: &[&str], words: &Words, language: Language) -> Vec<String> {
    let phrases = filled(forms, words, language);
    phrases.into_iter().map(|phrase| phrase.replace("a orange", "an orange")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn no_phrase_names_two_facts() {
        for language in Language::ALL {
            let mut said = BTreeSet::new();
            for fact in Fact::all() {
                let phrases = fact.phrases(language);
                assert!(!phrases.is_empty());
                for phrase in phrases {
                    assert!(!phrase.contains(['{', '[']), "{phrase}");
                    assert!(said.insert(phrase.clone()), "{phrase} is said twice");
                }
            }
        }
    }
}
