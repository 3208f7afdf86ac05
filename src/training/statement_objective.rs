//! What the evidence model is trained for: pictures, statements, passages and people in one space.

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use super::evidence;
use super::faces;
use super::objective::{DenseReading, Loss};
use super::people::People;
use super::statement_losses::{Choice, UNTOLD, choose, contain, judge, match_up, same_meaning};
use super::statements::{Drawn, Meaning, Row, WORDINGS};
use crate::models::clip::{Clip, Encoded, normalised};
use crate::scenes::{FaceSpec, Fact, Language, Topic};

/// What cosines of two texts, or of two pictures, are scaled by. It is fixed, so that texts keep
/// their distances however sharply pictures tell them apart.
const LIKENESS_SCALE: f64 = 20.0;

/// The net in training on the texts of one step.
#[derive(Debug)]
pub struct StatementObjective<'a> {
    /// The net.
    pub clip: &'a Clip,
    /// See [`DenseReading`].
    pub reading: &'a DenseReading,
    /// The texts.
    pub drawn: &'a Drawn,
    /// How many of them, at the end, are null prompts.
    pub nulls: i64,
    /// The end-of-text token.
    pub end: i64,
}

/// Embeddings of one step's texts, unit rows.
struct Texts {
    /// Statements and nulls, `[R, E]`.
    rows: Tensor,
    /// Passages, `[B, E]`.
    passages: Tensor,
}

impl StatementObjective<'_> {
    /// What texts alone can teach: wordings of one meaning are near, and passages are near to what
    /// they state. Needs no picture of `people`.
    pub fn text_losses(&self, people: &People) -> Vec<Loss> {
        self.losses_of_texts(&self.embed(people), people)
    }

    /// Every part of the loss on one batch, of which `encoded` has the last block's tape.
    pub fn losses(&self, people: &People, encoded: &Encoded) -> Vec<Loss> {
        let texts = self.embed(people);
        let mut losses = self.losses_of_texts(&texts, people);
        losses.extend(self.losses_of_pictures(encoded, &texts, people));
        losses.extend(self.losses_of_cues(encoded, people));
        losses
    }

    fn embed(&self, people: &People) -> Texts {
        let device = self.drawn.ids.device();
        let passages = faces::padded(&people.faces.captions, self.end, device);
        Texts {
            rows: self.clip.text.embed(&self.drawn.ids),
            passages: self.clip.text.embed(&passages),
        }
    }

    fn losses_of_texts(&self, texts: &Texts, people: &People) -> Vec<Loss> {
        let rows = &self.drawn.rows;
        let device = texts.rows.device();
        let likeness = texts.rows.matmul(&texts.rows.transpose(0, 1)) * LIKENESS_SCALE;
        let meanings = same_meaning(&likeness, &meanings(rows, device));
        let passages = texts.passages.matmul(&texts.rows.transpose(0, 1)) * LIKENESS_SCALE;
        let choices = choices(
            rows,
            |topic, row| {
                people.stated[row].iter().find(|fact| fact.topic == topic).map(|fact| fact.value)
            },
            people.stated.len(),
        );
        let stated: Vec<bool> = people
            .stated
            .iter()
            .flat_map(|facts| {
                rows.iter().map(|row| row.meaning.fact().is_some_and(|fact| facts.contains(&fact)))
            })
            .collect();
        let shape = [people.stated.len() as i64, rows.len() as i64];
        let stated = Tensor::from_slice(&stated).view(shape).to_device(device);
        vec![
            part("meaning", 1.0, meanings),
            part("reads", 1.0, choose(&passages, &choices, Topic::ALL.len())),
            part("contains", 0.5, contain(&passages, &stated)),
        ]
    }

    fn losses_of_pictures(&self, encoded: &Encoded, texts: &Texts, people: &People) -> Vec<Loss> {
        let rows = &self.drawn.rows;
        let scale = self.clip.log_scale.exp();
        let images = normalised(&encoded.embedding);
        let device = images.device();
        let logits = |images: &Tensor| images.matmul(&texts.rows.transpose(0, 1)) * &scale;
        let told: Vec<Vec<Fact>> = people.specs.iter().map(Fact::of).collect();
        let choices = choices(
            rows,
            |topic, row| told[row].iter().find(|fact| fact.topic == topic).map(|fact| fact.value),
            told.len(),
        );
        let seen = logits(&images);
        let nulls = texts.rows.narrow(0, rows.len() as i64 - self.nulls, self.nulls);
        let base = (evidence::null_directions(&images, &nulls) * &images).sum_dim_intlist(
            [-1i64].as_slice(),
            true,
            Kind::Float,
        ) * &scale;
        let passages = images.matmul(&texts.passages.transpose(0, 1)) * &scale;
        let mut losses = vec![
            part("sees", 2.0, choose(&seen, &choices, Topic::ALL.len())),
            part("claim", 0.5, judge(&(&seen - base), &truths(rows, &people.specs, device))),
            part("passage", 0.3, match_up(&passages, &also_true(&told, &people.stated, device))),
            part("person", 0.2, person_loss(&images, &people.specs)),
            part("accuracy", 0.0, Tensor::from(accuracy(&seen, &choices))),
        ];
        losses.extend(evidence::attended_only(&self.clip.vision, encoded).map(|images| {
            part("attended", 0.5, choose(&logits(&images), &choices, Topic::ALL.len()))
        }));
        losses
    }

    /// What keeps the cues seen where they lie.
    fn losses_of_cues(&self, encoded: &Encoded, people: &People) -> Vec<Loss> {
        let (sites, present) = people.faces.truth_tensors(self.drawn.ids.device());
        let reading = (&self.reading.weight, &self.reading.bias);
        [
            ("dense", 1.0, evidence::dense_loss(encoded, reading, (&sites, &present))),
            ("attend", 0.03, evidence::attention_loss(encoded, &sites)),
            ("near", 0.1, evidence::nearness_loss(encoded, &sites)),
        ]
        .into_iter()
        .filter_map(|(name, weight, value)| value.map(|value| part(name, weight, value)))
        .collect()
    }
}

fn part(name: &'static str, weight: f64, value: Tensor) -> Loss {
    Loss { name, weight, value }
}

/// A number for each row's meaning, `[R]` i64.
fn meanings(rows: &[Row], device: Device) -> Tensor {
    let mut numbers: BTreeMap<Meaning, i64> = BTreeMap::new();
    let by_row: Vec<i64> = rows
        .iter()
        .map(|row| {
            let next = numbers.len() as i64;
            *numbers.entry(row.meaning).or_insert(next)
        })
        .collect();
    Tensor::from_slice(&by_row).to_device(device)
}

/// One choice for each topic, language and wording: every value's statement and every stranger's.
/// `value` tells the true value of a topic for each of `count` rows, where there is one.
fn choices(
    rows: &[Row],
    value: impl Fn(Topic, usize) -> Option<usize>,
    count: usize,
) -> Vec<Choice> {
    let mut choices = Vec::new();
    for (kind, topic) in Topic::ALL.into_iter().enumerate() {
        let truth: Vec<i64> =
            (0..count).map(|row| value(topic, row).map_or(UNTOLD, |value| value as i64)).collect();
        for language in Language::ALL {
            for wording in 0..WORDINGS {
                let mut columns = vec![0; topic.values()];
                let mut strangers = Vec::new();
                for (at, row) in (0i64..).zip(rows) {
                    if (row.language, row.wording) != (language, wording) {
                        continue;
                    }
                    if let Some(fact) = row.meaning.fact().filter(|fact| fact.topic == topic) {
                        columns[fact.value] = at;
                    }
                    if let Meaning::Stranger(other) = row.meaning
                        && other.topic == topic
                    {
                        strangers.push(at);
                    }
                }
                columns.extend(strangers);
                choices.push(Choice { kind, columns, truth: truth.clone() });
            }
        }
    }
    choices
}

/// Whether each row is so of each face, `[B, R]`: 1, −1, or 0 where that cannot be told.
fn truths(rows: &[Row], specs: &[FaceSpec], device: Device) -> Tensor {
    let signs: Vec<f32> = specs
        .iter()
        .flat_map(|spec| {
            rows.iter().map(|row| match row.meaning.truth(spec) {
                Some(true) => 1.0,
                Some(false) => -1.0,
                None => 0.0,
            })
        })
        .collect();
    Tensor::from_slice(&signs).view([specs.len() as i64, rows.len() as i64]).to_device(device)
}

/// Which passages are true of which faces, `[B, B]` bool.
fn also_true(told: &[Vec<Fact>], stated: &[Vec<Fact>], device: Device) -> Tensor {
    let so: Vec<bool> = told
        .iter()
        .flat_map(|face| stated.iter().map(|facts| facts.iter().all(|fact| face.contains(fact))))
        .collect();
    Tensor::from_slice(&so).view([told.len() as i64, stated.len() as i64]).to_device(device)
}

/// Two pictures of one person are nearer than pictures of two: unit images `[2 K, E]`.
fn person_loss(images: &Tensor, specs: &[FaceSpec]) -> Tensor {
    let pairs = specs.len() / 2;
    let (first, second) = specs.split_at(pairs);
    let same: Vec<bool> =
        first.iter().flat_map(|one| second.iter().map(|other| one.is_same_person(other))).collect();
    let pairs = pairs as i64;
    let same = Tensor::from_slice(&same).view([pairs, pairs]).to_device(images.device());
    let second = images.narrow(0, pairs, pairs).transpose(0, 1);
    match_up(&(images.narrow(0, 0, pairs).matmul(&second) * LIKENESS_SCALE), &same)
}

/// The share of questions whose likeliest answer is the true one.
fn accuracy(logits: &Tensor, choices: &[Choice]) -> f64 {
    let right = choices.iter().map(|choice| {
        let columns = Tensor::from_slice(&choice.columns).to_device(logits.device());
        let truth = Tensor::from_slice(&choice.truth).to_device(logits.device());
        let said = logits.index_select(1, &columns).argmax(-1, false);
        said.eq_tensor(&truth).to_kind(Kind::Float).mean(Kind::Float).double_value(&[])
    });
    right.sum::<f64>() / choices.len().max(1) as f64
}
