//! How good the evidence model is on faces it never saw, and with its texts.

use std::fmt;
use std::ops::Range;
use std::path::Path;

use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::faces::{self, DRAWN_PX, FaceFormat, Faces};
use super::people::two_pictures;
use super::prompts::NULLS;
use super::statements::{Meaning, entries, passage};
use super::{TrainingError, tokenizer};
use crate::calibration::auroc;
use crate::explain::Contrast;
use crate::models::clip::{Clip, ClipConfig, TapPlan, normalised};
use crate::models::weights::Weights;
use crate::scenes::{FaceSpec, Fact, HELD_OUT, Language, Topic, draw};

/// Pictures, or texts, through the net at once.
const CHUNK: usize = 50;
/// Texts that share more than this cosine are neighbours.
const NEIGHBOUR: f64 = 0.5;

/// The figures of one topic in one language.
#[derive(Clone, Copy, Debug)]
pub struct TopicFigures {
    /// What the statements are about.
    pub topic: Topic,
    /// Their language.
    pub language: Language,
    /// Share of faces nearest to the true value's statement among those of all values of the topic.
    pub accuracy: f64,
    /// Probability that the contrast to the null prompts is higher for a true statement than for a
    /// false one.
    pub claim_auroc: f64,
}

/// Everything that is measured; shares and probabilities, 0 to 1.
#[derive(Clone, Debug)]
pub struct Validation {
    /// Every topic in every language.
    pub topics: Vec<TopicFigures>,
    /// Share of sayings of a fact whose nearest other text states that fact, among all texts.
    pub retrieval: f64,
    /// The same where only texts of the other language are searched.
    pub across_languages: f64,
    /// Share of pairs of sayings of facts of two topics whose cosine is above 0.5.
    pub wrong_neighbours: f64,
    /// Share of people whose other picture is the nearest, and is among the ten nearest.
    pub person_recall: [f64; 2],
    /// How many people were searched.
    pub people: usize,
    /// Share of facts stated by a passage whose statement is nearer to it than that of another value.
    pub passage_accuracy: f64,
    /// Probability that a true claim is nearer to its passage than a false one to any.
    pub passage_auroc: f64,
}

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30} lang accuracy claim", "topic")?;
        for row in &self.topics {
            let (topic, code) = (row.topic.name(), row.language.code());
            writeln!(f, "{topic:<30} {code:<4} {:>8.3} {:>5.3}", row.accuracy, row.claim_auroc)?;
        }
        let mean = |get: fn(&TopicFigures) -> f64| {
            self.topics.iter().map(get).sum::<f64>() / self.topics.len().max(1) as f64
        };
        let (accuracy, claim) = (mean(|row| row.accuracy), mean(|row| row.claim_auroc));
        writeln!(f, "{:<30} all  {accuracy:>8.3} {claim:>5.3}", "mean")?;
        writeln!(f, "statement to another wording of its fact: {:.3}", self.retrieval)?;
        writeln!(f, "statement to the other language: {:.3}", self.across_languages)?;
        writeln!(f, "texts of two topics above {NEIGHBOUR}: {:.4}", self.wrong_neighbours)?;
        let ([first, ten], people) = (self.person_recall, self.people);
        writeln!(f, "the other picture of one of {people}: @1 {first:.3} @10 {ten:.3}")?;
        let (accuracy, claim) = (self.passage_accuracy, self.passage_auroc);
        write!(f, "claim to passage: nearer than false {accuracy:.3}, AUROC {claim:.3}")
    }
}

/// Measures `clip` on some held-out faces, and on three times as many people from there on.
pub fn validate(
    clip: &Clip,
    texts: &Tokenizer,
    format: &FaceFormat,
    faces: Range<u64>,
) -> Result<Validation, TrainingError> {
    tch::no_grad(|| {
        let reader = Reader { clip, texts, format };
        let sayings = reader.sayings()?;
        let specs: Vec<FaceSpec> =
            faces.clone().map(|face| FaceSpec::sample(HELD_OUT + face)).collect();
        let images = reader.see(&specs)?;
        let (passage_accuracy, passage_auroc) = reader.passages(&specs)?;
        let (retrieval, across_languages, wrong_neighbours) = sayings.neighbours();
        let people = 3 * specs.len() as u64;
        Ok(Validation {
            topics: reader.topics(&specs, &images, &sayings)?,
            retrieval,
            across_languages,
            wrong_neighbours,
            person_recall: reader.find_people(HELD_OUT + faces.start, people)?,
            people: 3 * specs.len(),
            passage_accuracy,
            passage_auroc,
        })
    })
}

/// [`validate`] of a model as it was exported to `folder`.
pub fn validate_folder(folder: &Path, faces: Range<u64>) -> Result<Validation, TrainingError> {
    let config = ClipConfig::open(&folder.join("config.json"))?;
    let clip = Clip::new(&Weights::open_folder(folder)?, &config, Device::Cpu, Kind::Float)?;
    let texts = tokenizer::open(&folder.join("tokenizer.json"))?;
    let vision = &config.vision;
    let format =
        FaceFormat { pairs: 1, side_px: vision.image_size as u32, grid: vision.grid() as usize };
    validate(&clip, &texts, &format, faces)
}

/// Texts and pictures to embeddings.
struct Reader<'a> {
    clip: &'a Clip,
    texts: &'a Tokenizer,
    format: &'a FaceFormat,
}

/// Every saying as it is, without a template, with its embedding.
struct Sayings {
    said: Vec<(Meaning, Language)>,
    /// `[S, E]`, unit rows.
    embeddings: Tensor,
}

impl Reader<'_> {
    /// Unit rows `[S, E]`.
    fn read(&self, texts: &[String]) -> Result<Tensor, TrainingError> {
        let end = self.texts.get_vocab_size(true) as i64 - 1;
        let mut chunks = Vec::new();
        for chunk in texts.chunks(CHUNK) {
            let ids = faces::padded(&tokenizer::encode(self.texts, chunk)?, end, Device::Cpu);
            chunks.push(self.clip.text.embed(&ids));
        }
        Ok(Tensor::cat(&chunks, 0))
    }

    /// Unit rows `[B, E]`.
    fn see(&self, specs: &[FaceSpec]) -> Result<Tensor, TrainingError> {
        let mut chunks = Vec::new();
        for chunk in specs.chunks(CHUNK) {
            let mut faces = Faces::new(self.format);
            chunk.iter().try_for_each(|spec| faces.push(&draw(spec, DRAWN_PX)))?;
            let pixels = faces.pixel_tensor(Device::Cpu);
            chunks.push(normalised(&self.clip.vision.encode(&pixels, TapPlan::Nothing).embedding));
        }
        Ok(Tensor::cat(&chunks, 0))
    }

    fn sayings(&self) -> Result<Sayings, TrainingError> {
        let (mut said, mut texts) = (Vec::new(), Vec::new());
        for entry in entries() {
            for forms in &entry.sayings {
                said.push((entry.meaning, entry.language));
                texts.push(forms[0].clone());
            }
        }
        Ok(Sayings { said, embeddings: self.read(&texts)? })
    }

    fn topics(
        &self,
        specs: &[FaceSpec],
        images: &Tensor,
        sayings: &Sayings,
    ) -> Result<Vec<TopicFigures>, TrainingError> {
        let nulls = self.read(&NULLS.map(str::to_owned))?;
        let mut figures = Vec::new();
        for topic in Topic::ALL {
            for language in Language::ALL {
                let (mut right, mut so, mut not_so) = (0, Vec::new(), Vec::new());
                for (face, spec) in specs.iter().enumerate() {
                    let image = images.get(face as i64);
                    let asked = sayings.of_topic(topic, language, face);
                    let truth = Fact::of(spec).into_iter().find(|fact| fact.topic == topic);
                    let truth = truth.map_or(0, |fact| fact.value);
                    let nearest = asked.mv(&image).argmax(0, false).int64_value(&[]);
                    right += usize::from(nearest == truth as i64);
                    let margins = Contrast::new(&asked, &nulls, &image).margins();
                    for (value, margin) in margins.into_iter().enumerate() {
                        if value == truth { &mut so } else { &mut not_so }.push(margin);
                    }
                }
                figures.push(TopicFigures {
                    topic,
                    language,
                    accuracy: right as f64 / specs.len().max(1) as f64,
                    claim_auroc: auroc(&so, &not_so).unwrap_or(f64::NAN),
                });
            }
        }
        Ok(figures)
    }

    /// Each person's second picture searches the first pictures of all.
    fn find_people(&self, first: u64, people: u64) -> Result<[f64; 2], TrainingError> {
        let pairs: Vec<[FaceSpec; 2]> =
            (first..first + people).map(|person| two_pictures(person, person + people)).collect();
        let all = |at: usize| pairs.iter().map(|pair| pair[at].clone()).collect::<Vec<_>>();
        let (stored, asked) = (self.see(&all(0))?, self.see(&all(1))?);
        let nearness = asked.matmul(&stored.transpose(0, 1));
        let own = nearness.diag(0).unsqueeze(-1);
        let nearer =
            nearness.gt_tensor(&own).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        Ok([1.0, 10.0]
            .map(|rank| nearer.lt(rank).to_kind(Kind::Float).mean(Kind::Float).double_value(&[])))
    }

    /// Every face's passage before a true and a false statement of each fact that it states: the
    /// share of true ones that are nearer, and how well nearness tells true from false over all.
    fn passages(&self, specs: &[FaceSpec]) -> Result<(f64, f64), TrainingError> {
        let mut chance = faces::chance(HELD_OUT, 0);
        let (mut texts, mut claims, mut of) = (Vec::new(), Vec::new(), Vec::new());
        for (face, spec) in specs.iter().enumerate() {
            let (text, stated) = passage(spec, &mut chance);
            texts.push(text);
            for (at, fact) in stated.into_iter().enumerate() {
                let language = Language::ALL[(face + at) % Language::ALL.len()];
                let other = fact.others().nth(face % (fact.topic.values() - 1)).unwrap_or(fact);
                let say = |fact: Fact| {
                    let mut ways = fact.statements(language);
                    ways.swap_remove((face + at) % ways.len())
                };
                claims.extend([say(fact), say(other)]);
                of.push(face as i64);
            }
        }
        let passages = self.read(&texts)?.index_select(0, &Tensor::from_slice(&of)).unsqueeze(1);
        let claims = self.read(&claims)?.view([of.len() as i64, 2, -1]);
        let nearness = (claims * passages).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
        let (so, not_so) = (nearness.select(1, 0), nearness.select(1, 1));
        let nearer = so.gt_tensor(&not_so).to_kind(Kind::Float).mean(Kind::Float);
        let list = |t: &Tensor| Vec::<f32>::try_from(t).map_err(TrainingError::from);
        let told = auroc(&list(&so)?, &list(&not_so)?).unwrap_or(f64::NAN);
        Ok((nearer.double_value(&[]), told))
    }
}

impl Sayings {
    /// One saying of each value of a topic, `[V, E]`, another for each `variant`.
    fn of_topic(&self, topic: Topic, language: Language, variant: usize) -> Tensor {
        let rows: Vec<i64> = (0..topic.values())
            .map(|value| {
                let is = (Meaning::Fact(Fact { topic, value }), language);
                let all: Vec<usize> =
                    (0..self.said.len()).filter(|&at| self.said[at] == is).collect();
                all[variant % all.len()] as i64
            })
            .collect();
        self.embeddings.index_select(0, &Tensor::from_slice(&rows))
    }

    /// Of the sayings of facts: the share whose nearest other text says the same, that share in the
    /// other language alone, and the share of pairs of two topics that are neighbours.
    fn neighbours(&self) -> (f64, f64, f64) {
        let nearness = self.embeddings.matmul(&self.embeddings.transpose(0, 1));
        let (mut asked, mut right, mut across) = (0.0f64, 0.0, 0.0);
        let (mut pairs, mut near) = (0.0f64, 0.0);
        for (at, &(meaning, language)) in self.said.iter().enumerate() {
            let Meaning::Fact(fact) = meaning else { continue };
            let row = Vec::<f32>::try_from(nearness.get(at as i64)).unwrap_or_default();
            let nearest = |among: &dyn Fn(usize) -> bool| {
                let others = row.iter().enumerate().filter(|(other, _)| among(*other));
                others.max_by(|a, b| a.1.total_cmp(b.1)).map(|(other, _)| self.said[other].0)
            };
            let hit = |found: Option<Meaning>| f64::from(u8::from(found == Some(meaning)));
            asked += 1.0;
            right += hit(nearest(&|other| other != at));
            across += hit(nearest(&|other| self.said[other].1 != language));
            for (cosine, (other, _)) in row.iter().zip(&self.said) {
                if matches!(other, Meaning::Fact(other) if other.topic != fact.topic) {
                    pairs += 1.0;
                    near += f64::from(u8::from(f64::from(*cosine) > NEIGHBOUR));
                }
            }
        }
        (right / asked.max(1.0), across / asked.max(1.0), near / pairs.max(1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_counted_by_what_they_say() {
        let eyes = Meaning::Fact(Fact { topic: Topic::EyeColour, value: 1 });
        let hair = Meaning::Fact(Fact { topic: Topic::HairColour, value: 2 });
        // On a circle, in degrees: the second saying about hair is nearest to those about eyes.
        let said = [
            (eyes, Language::English, 0.0f32),
            (eyes, Language::Korean, 10.0),
            (hair, Language::English, 90.0),
            (hair, Language::Korean, 25.0),
            (Meaning::Filler(0), Language::English, 180.0),
        ];
        let rows: Vec<f32> = said
            .iter()
            .flat_map(|(_, _, angle)| [angle.to_radians().cos(), angle.to_radians().sin()])
            .collect();
        let sayings = Sayings {
            said: said.iter().map(|&(meaning, language, _)| (meaning, language)).collect(),
            embeddings: Tensor::from_slice(&rows).view([5, 2]),
        };
        let (right, across, wrong) = sayings.neighbours();
        // Right: both about eyes, and the first about hair. Of the other language, the second about
        // hair finds eyes (25 degrees away, not 65). Of the eight pairs of two topics, counted both
        // ways, those within 60 degrees are 0-25 and 10-25.
        assert!((right - 0.75).abs() < 1e-9, "{right}");
        assert!((across - 0.75).abs() < 1e-9, "{across}");
        assert!((wrong - 0.5).abs() < 1e-9, "{wrong}");
    }
}
