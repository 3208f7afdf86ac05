//! The texts that the evidence model learns to tell apart: facts, colours that no face has, denials,
//! what contradicts a claim, and what tells nothing, in every wording and language.

use std::collections::BTreeMap;

use rand::Rng;
use rand::seq::SliceRandom;
use tch::{Device, Tensor};
use tokenizers::Tokenizer;

use super::prompts::NULLS;
use super::{TrainingError, faces, tokenizer};
use crate::claims::{self, Formation, KindName, Templates};
use crate::scenes::{FaceSpec, Fact, Language, Stranger, Topic, fillers};

/// What a text says of a face. Texts of one meaning are to be neighbours, all others are not.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Meaning {
    /// One value of a topic.
    Fact(Fact),
    /// A colour that no face has.
    Stranger(Stranger),
    /// That a fact is not so, and no more.
    Denial(Fact),
    /// Something that cannot be where a fact is so: "bright" of dark.
    Against(Fact),
    /// What the topic is, without a value: "the hair".
    About(Topic),
    /// A sentence that tells nothing of a face, by its number.
    Filler(usize),
    /// A null prompt, by the number of its meaning.
    Null(usize),
}

impl Meaning {
    /// The fact, where it states one.
    pub fn fact(self) -> Option<Fact> {
        if let Self::Fact(fact) = self { Some(fact) } else { None }
    }

    /// Whether it is so of a face; nothing where that cannot be told.
    pub fn truth(self, spec: &FaceSpec) -> Option<bool> {
        let has = |fact: Fact| Fact::of(spec).contains(&fact);
        match self {
            Self::Fact(fact) => Some(has(fact)),
            Self::Stranger(_) => Some(false),
            Self::Denial(fact) => Some(!has(fact)),
            Self::Against(fact) => has(fact).then_some(false),
            Self::About(_) | Self::Filler(_) | Self::Null(_) => None,
        }
    }
}

/// Which null prompts mean the same: of [`NULLS`], the Korean ones are translations.
const NULL_MEANINGS: [usize; NULLS.len()] = [0, 1, 2, 3, 2, 1];

/// One saying in all its forms, bare first: with a full stop, and in the templates of claims.
type Forms<T> = Vec<T>;

/// Every saying of one meaning in one language.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// What they say.
    pub meaning: Meaning,
    /// In which language.
    pub language: Language,
    /// At least one.
    pub sayings: Vec<Forms<T>>,
}

/// Every text as text: the facts' own sayings come before what `claims::contrasts` makes of them.
pub fn entries() -> Vec<Entry<String>> {
    let mut found = Sayings::default();
    for language in Language::ALL {
        for fact in Fact::all() {
            for text in fact.statements(language).into_iter().chain(fact.phrases(language)) {
                found.add(Meaning::Fact(fact), language, text);
            }
        }
        for stranger in Stranger::all() {
            for text in stranger.statements(language).into_iter().chain(stranger.phrases(language))
            {
                found.add(Meaning::Stranger(stranger), language, text);
            }
        }
        for (number, text) in fillers(language).iter().enumerate() {
            found.add(Meaning::Filler(number), language, (*text).to_owned());
        }
        for fact in Fact::all() {
            for text in fact.statements(language).into_iter().chain(fact.phrases(language)) {
                for contrast in claims::contrasts(&text, spoken(language), CONTRASTS) {
                    found.add(contrasted(fact, contrast.formation), language, contrast.text);
                }
            }
        }
    }
    found.into_entries()
}

/// The most contrasts of a claim, as the server forms them.
const CONTRASTS: usize = 8;

fn spoken(language: Language) -> claims::Language {
    match language {
        Language::English => claims::Language::English,
        Language::Korean => claims::Language::Korean,
    }
}

/// What a contrast says that was formed of a text that states `fact`.
fn contrasted(fact: Fact, formation: Formation) -> Meaning {
    match formation {
        Formation::Neutral => Meaning::About(fact.topic),
        // Of two values, what is not the one is the other.
        Formation::Opposite(_) | Formation::Complement if fact.topic.values() == 2 => {
            Meaning::Fact(Fact { topic: fact.topic, value: 1 - fact.value })
        }
        Formation::Opposite(_) => Meaning::Against(fact),
        Formation::Complement => Meaning::Denial(fact),
    }
}

/// Collects sayings, each text once: who says it first has it.
#[derive(Default)]
struct Sayings {
    known: BTreeMap<String, Meaning>,
    by_meaning: BTreeMap<(Meaning, Language), Vec<String>>,
}

impl Sayings {
    fn add(&mut self, meaning: Meaning, language: Language, text: String) {
        // The tokenizer reads lower case, so texts that differ in case alone are one.
        let key = text.trim_end_matches('.').to_lowercase();
        if NULLS.contains(&key.as_str()) || self.known.contains_key(&key) {
            return;
        }
        self.known.insert(key, meaning);
        self.by_meaning.entry((meaning, language)).or_default().push(text);
    }

    fn into_entries(self) -> Vec<Entry<String>> {
        let templates = Templates::default();
        let forms = |text: &String, language| {
            let mut forms = templates.prompts(text, spoken(language), KindName::Attribute);
            forms.push(format!("{text}."));
            forms.push(match language {
                Language::English => format!("a face with {text}"),
                Language::Korean => format!("얼굴에 {text}"),
            });
            forms
        };
        self.by_meaning
            .iter()
            .map(|(&(meaning, language), texts)| Entry {
                meaning,
                language,
                sayings: texts.iter().map(|text| forms(text, language)).collect(),
            })
            .collect()
    }
}

/// How many texts of each kind a step draws, beside every fact in every language. Each is drawn in
/// two wordings.
const STRANGERS: usize = 12;
const DENIALS: usize = 4;
const AGAINST: usize = 4;
const ABOUT: usize = 4;
const FILLERS: usize = 4;

/// Wordings of each meaning and language in a step.
pub const WORDINGS: usize = 2;

/// One text of a step.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// What it says.
    pub meaning: Meaning,
    /// In which language.
    pub language: Language,
    /// Which of the step's wordings of this meaning, below [`WORDINGS`].
    pub wording: usize,
}

/// The texts of one step.
#[derive(Debug)]
pub struct Drawn {
    /// Token ids `[R, T]`.
    pub ids: Tensor,
    /// What each row says; the null prompts come last.
    pub rows: Vec<Row>,
}

/// Token ids of every text.
#[derive(Debug)]
pub struct StatementBank {
    entries: Vec<Entry<Vec<i64>>>,
    nulls: Vec<Vec<i64>>,
    end: i64,
}

impl StatementBank {
    /// Encodes every text once.
    pub fn new(texts: &Tokenizer) -> Result<Self, TrainingError> {
        let encoded = |entry: Entry<String>| -> Result<Entry<Vec<i64>>, TrainingError> {
            let sayings = entry.sayings.iter().map(|forms| tokenizer::encode(texts, forms));
            Ok(Entry {
                meaning: entry.meaning,
                language: entry.language,
                sayings: sayings.collect::<Result<_, _>>()?,
            })
        };
        Ok(Self {
            entries: entries().into_iter().map(encoded).collect::<Result<_, _>>()?,
            nulls: tokenizer::encode(texts, &NULLS.map(str::to_owned))?,
            end: texts.get_vocab_size(true) as i64 - 1,
        })
    }

    /// Every fact in every language, some of the rest, and every null prompt.
    pub fn draw(&self, chance: &mut impl Rng, device: Device) -> Drawn {
        let mut chosen: Vec<&Entry<Vec<i64>>> = Vec::new();
        chosen.extend(self.of(|meaning| matches!(meaning, Meaning::Fact(_))));
        let mut some = |count: usize, is: fn(Meaning) -> bool| {
            let mut entries = self.of(is);
            entries.shuffle(chance);
            entries.truncate(count);
            chosen.extend(entries);
        };
        some(STRANGERS, |meaning| matches!(meaning, Meaning::Stranger(_)));
        some(DENIALS, |meaning| matches!(meaning, Meaning::Denial(_)));
        some(AGAINST, |meaning| matches!(meaning, Meaning::Against(_)));
        some(ABOUT, |meaning| matches!(meaning, Meaning::About(_)));
        some(FILLERS, |meaning| matches!(meaning, Meaning::Filler(_)));
        let (mut ids, mut rows) = (Vec::new(), Vec::new());
        for entry in chosen {
            for (wording, text) in entry.two_wordings(chance).into_iter().enumerate() {
                ids.push(text.clone());
                rows.push(Row { meaning: entry.meaning, language: entry.language, wording });
            }
        }
        for (null, meaning) in self.nulls.iter().zip(NULL_MEANINGS) {
            let meaning = Meaning::Null(meaning);
            ids.push(null.clone());
            rows.push(Row { meaning, language: Language::English, wording: 0 });
        }
        Drawn { ids: faces::padded(&ids, self.end, device), rows }
    }

    fn of(&self, is: fn(Meaning) -> bool) -> Vec<&Entry<Vec<i64>>> {
        self.entries.iter().filter(|entry| is(entry.meaning)).collect()
    }

    /// How many null prompts end each draw.
    pub fn nulls(&self) -> i64 {
        self.nulls.len() as i64
    }

    /// The end-of-text token.
    pub fn end(&self) -> i64 {
        self.end
    }
}

impl Entry<Vec<i64>> {
    /// Two sayings, different ones where there are two; each bare half of the time.
    fn two_wordings(&self, chance: &mut impl Rng) -> [&Vec<i64>; WORDINGS] {
        let first = chance.random_range(0..self.sayings.len());
        let step = chance.random_range(1..self.sayings.len().max(2));
        [first, (first + step) % self.sayings.len()].map(|saying| {
            let forms = &self.sayings[saying];
            let bare = chance.random_bool(0.5);
            &forms[if bare { 0 } else { chance.random_range(0..forms.len()) }]
        })
    }
}

/// A text that states several facts, in one language, and which those are: two to five sentences,
/// now and then one that tells nothing between them, or a list of phrases.
pub fn passage(spec: &FaceSpec, chance: &mut impl Rng) -> (String, Vec<Fact>) {
    let mut facts = Fact::of(spec);
    facts.shuffle(chance);
    facts.truncate(chance.random_range(2..=5));
    let language = Language::ALL[chance.random_range(0..Language::ALL.len())];
    let listed = chance.random_bool(0.25);
    let mut said: Vec<String> = facts
        .iter()
        .map(|fact| {
            let mut ways = if listed { fact.phrases(language) } else { fact.statements(language) };
            ways.swap_remove(chance.random_range(0..ways.len()))
        })
        .collect();
    if listed {
        return (said.join(", "), facts);
    }
    if chance.random_bool(0.5) {
        let idle = fillers(language);
        let filler = idle[chance.random_range(0..idle.len())].to_owned();
        said.insert(chance.random_range(0..=said.len()), filler);
    }
    (format!("{}.", said.join(". ")), facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn meaning_of(text: &str) -> Option<Meaning> {
        let says = |forms: &Forms<String>| forms[0].eq_ignore_ascii_case(text);
        entries().iter().find(|entry| entry.sayings.iter().any(says)).map(|entry| entry.meaning)
    }

    #[test]
    fn every_fact_is_said_in_every_language_and_no_text_means_two_things() {
        let mut said = std::collections::BTreeSet::new();
        let entries = entries();
        for fact in Fact::all() {
            for language in Language::ALL {
                let is = |entry: &&Entry<String>| {
                    entry.meaning == Meaning::Fact(fact) && entry.language == language
                };
                assert!(entries.iter().find(is).unwrap().sayings.len() > 1, "{fact:?}");
            }
        }
        for forms in entries.iter().flat_map(|entry| &entry.sayings) {
            assert!(said.insert(forms[0].to_lowercase()), "{} is said twice", forms[0]);
        }
    }

    #[test]
    fn contradictions_mean_what_they_say() {
        let stranger = meaning_of("The hair is white");
        assert!(matches!(stranger, Some(Meaning::Stranger(_))), "{stranger:?}");
        let glasses = |value| Some(Meaning::Fact(Fact { topic: Topic::Glasses, value }));
        assert_eq!(meaning_of("The person is wearing glasses"), glasses(1));
        assert_eq!(meaning_of("glasses"), glasses(1));
        assert_eq!(meaning_of("안경 없음"), glasses(0));
        let against = meaning_of("The hair is straight");
        assert!(matches!(against, Some(Meaning::Against(_))), "{against:?}");
        assert!(matches!(meaning_of("The hair"), Some(Meaning::About(_))));
    }

    #[test]
    fn a_passage_states_facts_of_its_face() {
        let mut chance = faces::chance(3, 0);
        for seed in 0..50 {
            let spec = FaceSpec::sample(seed);
            let (text, facts) = passage(&spec, &mut chance);
            assert!((2..=5).contains(&facts.len()));
            for fact in facts {
                assert_eq!(Meaning::Fact(fact).truth(&spec), Some(true));
                let mut ways = Language::ALL.into_iter().flat_map(|language| {
                    [fact.statements(language), fact.phrases(language)].concat()
                });
                assert!(ways.any(|way| text.contains(&way)), "{text} / {fact:?}");
            }
        }
    }

    #[test]
    fn a_draw_has_every_fact_twice_in_each_language_and_ends_with_the_nulls() {
        let texts: Vec<String> =
            entries().into_iter().flat_map(|entry| entry.sayings.concat()).collect();
        let tokenizer = tokenizer::learn(&texts, 50).unwrap();
        let bank = StatementBank::new(&tokenizer).unwrap();
        let drawn = bank.draw(&mut faces::chance(1, 2), Device::Cpu);
        assert_eq!(drawn.ids.size()[0], drawn.rows.len() as i64);
        for fact in Fact::all() {
            let of = |row: &&Row| row.meaning == Meaning::Fact(fact);
            assert_eq!(drawn.rows.iter().filter(of).count(), Language::ALL.len() * WORDINGS);
        }
        let nulls = drawn.rows.iter().rev().take(NULLS.len());
        assert!(nulls.into_iter().all(|row| matches!(row.meaning, Meaning::Null(_))));
    }
}
