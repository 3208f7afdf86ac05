//! Cases of the demo world: what is on file about a person, and answers about a picture of them whose
//! every claim is known to be true or false.
//!
//! A case is made of one seed, and always the same. Its person has fixed skin, hair, eyes and glasses;
//! the *questioned picture* shows them with some cues. On file are a *portrait* of the same person (an
//! earlier picture without cues, with a text that tells what is so of the person), an examiner's
//! *report* on the questioned picture (text alone; each fact is told with probability
//! [`TOLD`]), and a *note* that tells nothing of the picture, but for one case in twenty, where it
//! tells one thing wrong, so that sources disagree. Texts are of one language; in a fifth of cases
//! questions and answers are of the other one.

mod answer;
mod evidence;
mod wording;

use rand::Rng;
use rand::seq::{IndexedRandom, SliceRandom};
use rand_chacha::ChaCha8Rng;

pub use answer::{About, Answer, LabelledClaim, Truth};
pub use evidence::{Item, ItemKind, TOLD};

use super::spec::BACKDROPS;
use super::{FaceSpec, Fact, HELD_OUT, Language};

/// Share of cases whose answers are of another language than their dossier.
const CROSSED: f64 = 0.2;
/// How far the seed of a case's portrait is from that of its questioned picture: beyond every seed
/// that a case may have.
const PORTRAIT_SEEDS: u64 = 1 << 40;
/// Facts of a question by text.
const FACTS_ASKED: usize = 3;

/// One case.
#[derive(Clone, Debug, PartialEq)]
pub struct Dossier {
    /// Its number, "0417": how far its seed is above [`HELD_OUT`], or the seed below it.
    pub case: String,
    /// Of the texts on file.
    pub language: Language,
    /// Of questions and answers.
    pub asked_in: Language,
    /// The picture that answers are about.
    pub questioned: FaceSpec,
    /// Portrait, report and note.
    pub items: Vec<Item>,
    /// One whose claims are all true, then one with one or two that are false.
    pub answers: Vec<Answer>,
    /// A description of the person, to find the case by: three permanent facts.
    pub description: String,
}

impl Dossier {
    /// The case of a seed.
    pub fn of(seed: u64) -> Self {
        let questioned = FaceSpec::sample(seed);
        let mut rng = questioned.rng(6);
        let case = format!("{:04}", seed.checked_sub(HELD_OUT).unwrap_or(seed));
        let language = Language::ALL[seed as usize % Language::ALL.len()];
        let crossed = rng.random_bool(CROSSED);
        let asked_in = if crossed { other(language) } else { language };
        let portrait = portrait(&questioned, seed);
        let items = evidence::items(&case, language, (&questioned, portrait), &mut rng);
        let answers = [true, false]
            .map(|is_true| answer::compose((&case, asked_in), &questioned, is_true, &mut rng))
            .into_iter()
            .map(|answer| answer.with_evidence(&items))
            .collect();
        let description = description(&questioned, asked_in, &mut rng);
        Self { case, language, asked_in, questioned, items, answers, description }
    }

    /// How much each item has to do with the person, by its id: 2 what tells of them, 1 the rest of
    /// the file.
    pub fn relevant(&self) -> impl Iterator<Item = (&str, u32)> {
        self.items.iter().map(|item| {
            let grade = match item.kind {
                ItemKind::Portrait | ItemKind::Report => 2,
                ItemKind::Note => 1,
            };
            (item.id.as_str(), grade)
        })
    }
}

fn other(language: Language) -> Language {
    match language {
        Language::English => Language::Korean,
        Language::Korean => Language::English,
    }
}

/// The same person at another time: nothing of the picture is the same but who is in it.
fn portrait(questioned: &FaceSpec, seed: u64) -> FaceSpec {
    let mut spec = FaceSpec::sample(seed.wrapping_add(PORTRAIT_SEEDS));
    spec.skin = questioned.skin;
    spec.hair = questioned.hair;
    spec.hair_style = questioned.hair_style;
    spec.eyes = questioned.eyes;
    spec.glasses = questioned.glasses;
    spec.cues = [false; 4];
    if spec.backdrop == questioned.backdrop {
        spec.backdrop = (spec.backdrop + 1) % BACKDROPS;
    }
    spec
}

fn description(spec: &FaceSpec, language: Language, rng: &mut ChaCha8Rng) -> String {
    let mut facts = Fact::of(spec);
    facts.retain(|fact| fact.topic.is_of_person());
    facts.shuffle(rng);
    facts.truncate(FACTS_ASKED);
    prose(facts.iter().map(|&fact| said(fact, language, rng)).collect::<Vec<_>>())
}

/// One way to say a fact.
fn said(fact: Fact, language: Language, rng: &mut ChaCha8Rng) -> String {
    chosen(&fact.statements(language), rng)
}

/// One of several texts.
fn chosen(texts: &[impl AsRef<str>], rng: &mut ChaCha8Rng) -> String {
    texts.choose(rng).map(|text| text.as_ref().to_owned()).unwrap_or_default()
}

/// Sentences with their full stops.
fn prose(sentences: impl IntoIterator<Item = String>) -> String {
    let ended: Vec<String> = sentences.into_iter().map(|sentence| format!("{sentence}.")).collect();
    ended.join(" ")
}

#[cfg(test)]
mod tests {
    use super::super::Topic;
    use super::*;

    fn cases() -> impl Iterator<Item = Dossier> {
        (HELD_OUT..HELD_OUT + 400).map(Dossier::of)
    }

    #[test]
    fn one_seed_is_one_case() {
        assert_eq!(Dossier::of(HELD_OUT + 17), Dossier::of(HELD_OUT + 17));
        assert_eq!(Dossier::of(HELD_OUT + 17).case, "0017");
        assert_eq!(Dossier::of(17).case, "0017");
    }

    #[test]
    fn the_portrait_is_of_the_same_person_in_another_picture() {
        for case in cases() {
            let portrait = case.items[0].picture.as_ref().unwrap();
            let person =
                |spec: &FaceSpec| (spec.skin, spec.hair, spec.hair_style, spec.eyes, spec.glasses);
            assert_eq!(person(portrait), person(&case.questioned));
            assert_ne!(portrait.backdrop, case.questioned.backdrop);
            assert_ne!(portrait.pose, case.questioned.pose);
            assert_eq!(portrait.cues, [false; 4]);
        }
    }

    #[test]
    fn true_answers_are_true_and_false_ones_have_one_or_two_false_claims() {
        for case in cases() {
            let of_truth = |answer: &Answer, truth: Truth| {
                answer.claims.iter().filter(|claim| claim.truth == truth).count()
            };
            let [right, wrong] = &case.answers[..] else { panic!("two answers") };
            assert!(right.is_true() && !wrong.is_true());
            assert_eq!(of_truth(right, Truth::False), 0);
            assert!((1..=2).contains(&of_truth(wrong, Truth::False)), "{}", wrong.text);
            for answer in &case.answers {
                assert!((3..=5).contains(&answer.claims.len()), "{}", answer.text);
                assert_eq!(answer.language, case.asked_in);
            }
        }
    }

    /// Words alone tell which claims are true: what states a true value is no statement of another.
    #[test]
    fn labels_agree_with_the_face() {
        let mut compared = 0;
        for case in cases() {
            let truths = Fact::of(&case.questioned);
            for answer in &case.answers {
                let sentences: Vec<&str> = answer.text.split_inclusive('.').collect();
                for claim in &answer.claims {
                    let About::Topic(topic) = claim.about else { continue };
                    let said = &answer.text[claim.span.clone()];
                    if !sentences.iter().any(|whole| whole.trim() == format!("{said}.")) {
                        continue;
                    }
                    let fact = truths.iter().find(|fact| fact.topic == topic).unwrap();
                    let is_true = fact.statements(answer.language).iter().any(|s| s == said);
                    assert_eq!(is_true, claim.truth == Truth::True, "{said}: {fact:?}");
                    compared += 1;
                }
            }
        }
        assert!(compared > 1000, "{compared}");
    }

    /// The words of what is on file, not the list that evidence is labelled by.
    #[test]
    fn evidence_of_a_claim_is_what_states_its_topic() {
        for case in cases() {
            let states = |item: &Item, topic: Topic| {
                let values = (0..topic.values()).map(|value| Fact { topic, value });
                values.flat_map(|fact| fact.statements(case.language)).any(|statement| {
                    item.text.split_terminator('.').any(|sentence| sentence.trim() == statement)
                })
            };
            for claim in case.answers.iter().flat_map(|answer| &answer.claims) {
                for item in &case.items {
                    let speaks = claim.about.topics().iter().any(|&topic| states(item, topic));
                    assert_eq!(speaks, claim.evidence.contains(&item.id), "{}", item.text);
                }
            }
        }
    }

    /// Shares over 400 cases, within five standard deviations.
    #[test]
    fn reports_are_incomplete_and_few_notes_are_wrong() {
        let cases: Vec<Dossier> = cases().collect();
        let mean = |of: &dyn Fn(&Dossier) -> f64| cases.iter().map(of).sum::<f64>() / 400.0;
        let told = mean(&|case| case.items[1].states.len() as f64 / 5.0);
        assert!((told - TOLD).abs() < 0.05, "{told}");
        let wrong = mean(&|case| case.items[2].states.len() as f64);
        assert!((0.01..0.11).contains(&wrong), "{wrong}");
        let crossed = mean(&|case| f64::from(u8::from(case.language != case.asked_in)));
        assert!((crossed - CROSSED).abs() < 0.1, "{crossed}");
        let korean = mean(&|case| f64::from(u8::from(case.language == Language::Korean)));
        assert!((korean - 0.5).abs() < 1e-9, "{korean}");
        for case in &cases {
            let truths = Fact::of(&case.questioned);
            assert!(case.items[2].states.iter().all(|fact| !truths.contains(fact)));
            let sentences = case.items[1].text.matches('.').count();
            assert!((3..=6).contains(&sentences), "{}", case.items[1].text);
        }
    }
}
