//! What is on file: portrait, report and note.

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

use super::super::{FaceSpec, Fact, Language, Topic, fillers};
use super::{prose, said};

/// The probability that a report tells a fact.
pub const TOLD: f64 = 0.75;
/// The probability that a note tells something wrong.
const MISTAKEN: f64 = 0.05;
/// Sentences of a report, at least and at most.
const REPORT_SENTENCES: std::ops::RangeInclusive<usize> = 3..=6;
/// Seconds from 1970 to 2025-01-01 UTC.
const NEW_YEAR: u64 = 1_735_689_600;
const DAY: u64 = 86_400;

/// What an item is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ItemKind {
    /// An earlier picture of the person, with a text.
    Portrait,
    /// What an examiner found in the questioned picture.
    Report,
    /// What else was written down.
    Note,
}

impl ItemKind {
    /// Every kind, in the order of a dossier.
    pub const ALL: [Self; 3] = [Self::Portrait, Self::Report, Self::Note];

    /// The name in files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Portrait => "portrait",
            Self::Report => "report",
            Self::Note => "note",
        }
    }

    fn title(self, language: Language) -> &'static str {
        match (self, language) {
            (Self::Portrait, Language::English) => "Registered portrait",
            (Self::Portrait, Language::Korean) => "등록 사진",
            (Self::Report, Language::English) => "Examiner's report",
            (Self::Report, Language::Korean) => "감정 보고서",
            (Self::Note, Language::English) => "File note",
            (Self::Note, Language::Korean) => "사건 메모",
        }
    }
}

/// One piece of evidence.
#[derive(Clone, Debug, PartialEq)]
pub struct Item {
    /// "0417-report".
    pub id: String,
    /// What it is.
    pub kind: ItemKind,
    /// Of the text.
    pub language: Language,
    /// The text: whole sentences.
    pub text: String,
    /// What the portrait is drawn from; none of other items.
    pub picture: Option<FaceSpec>,
    /// "Examiner's report, case 0417".
    pub title: String,
    /// `case://0417/report`.
    pub source_uri: String,
    /// When it was written, in seconds since 1970.
    pub time: u64,
    /// What the text says, rightly or wrongly, in no order.
    pub states: Vec<Fact>,
}

impl Item {
    /// Whether its text speaks to a topic, for or against.
    pub fn speaks_to(&self, topic: Topic) -> bool {
        self.states.iter().any(|fact| fact.topic == topic)
    }
}

/// The items of a case: of the questioned picture and the portrait's.
pub(super) fn items(
    case: &str,
    language: Language,
    (questioned, portrait): (&FaceSpec, FaceSpec),
    rng: &mut ChaCha8Rng,
) -> Vec<Item> {
    let (of_person, of_picture): (Vec<Fact>, Vec<Fact>) =
        Fact::of(questioned).into_iter().partition(|fact| fact.topic.is_of_person());
    let reported: Vec<Fact> = of_picture.into_iter().filter(|_| rng.random_bool(TOLD)).collect();
    let wrong = rng.random_bool(MISTAKEN).then(|| mistake(&of_person, &reported, rng)).flatten();
    let few = REPORT_SENTENCES.start().saturating_sub(reported.len());
    let room = REPORT_SENTENCES.end() - reported.len().min(*REPORT_SENTENCES.end());
    let asides = rng.random_range(1..=2).max(few).min(room);
    let remarks = rng.random_range(2..=3);
    // A portrait is years old; a report is written last.
    let opened = NEW_YEAR + DAY * rng.random_range(0..365);
    let written = [
        opened - DAY * rng.random_range(400..2000),
        opened + DAY * rng.random_range(20..60),
        opened + DAY * rng.random_range(1..20),
    ];
    let contents = [
        (of_person, rng.random_range(0..=1)),
        (reported, asides),
        (wrong.into_iter().collect(), remarks),
    ];
    let kinds = ItemKind::ALL.into_iter().zip(written);
    let mut items: Vec<Item> = kinds
        .zip(contents)
        .map(|((kind, time), (states, asides))| Item {
            id: format!("{case}-{}", kind.name()),
            kind,
            language,
            text: text(&states, asides, language, rng),
            picture: None,
            title: match language {
                Language::English => format!("{}, case {case}", kind.title(language)),
                Language::Korean => format!("{}, 사건 {case}", kind.title(language)),
            },
            source_uri: format!("case://{case}/{}", kind.name()),
            time,
            states,
        })
        .collect();
    items[0].picture = Some(portrait);
    items
}

/// Facts and sentences that tell nothing, mixed.
fn text(facts: &[Fact], asides: usize, language: Language, rng: &mut ChaCha8Rng) -> String {
    let mut sentences: Vec<String> = facts.iter().map(|&fact| said(fact, language, rng)).collect();
    let asides = fillers(language).choose_multiple(rng, asides);
    sentences.extend(asides.map(|&aside| aside.to_owned()));
    sentences.shuffle(rng);
    prose(sentences)
}

/// What contradicts something that another item tells.
fn mistake(of_person: &[Fact], reported: &[Fact], rng: &mut ChaCha8Rng) -> Option<Fact> {
    let told: Vec<&Fact> = of_person.iter().chain(reported).collect();
    let others: Vec<Fact> = told.choose(rng)?.others().collect();
    others.choose(rng).copied()
}
