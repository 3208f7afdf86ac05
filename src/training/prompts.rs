//! The short texts of training: what each cue's presence and absence is called, and the null
//! prompts that explanations are contrasted with.

use rand::Rng;
use tch::{Device, Tensor};
use tokenizers::Tokenizer;

use super::{TrainingError, faces, tokenizer};
use crate::scenes::{Cue, Language, prompts};

/// Texts that are true of any face: what they share with a prompt explains nothing.
pub const NULLS: [&str; 6] = ["", "a photo", "a face", "a cartoon face", "얼굴", "사진"];

/// Cues × languages × {present, absent}.
const STATES: [bool; 2] = [true, false];

/// Token ids of every prompt.
#[derive(Debug)]
pub struct PromptBank {
    /// By cue, language and state, in the order of their constants; each with its variants.
    cues: Vec<Vec<Vec<i64>>>,
    nulls: Vec<Vec<i64>>,
    end: i64,
}

impl PromptBank {
    /// Encodes all prompts once.
    pub fn new(texts: &Tokenizer) -> Result<Self, TrainingError> {
        let mut cues = vec![];
        for cue in Cue::ALL {
            for language in Language::ALL {
                for present in STATES {
                    cues.push(tokenizer::encode(texts, &prompts(cue, present, language))?);
                }
            }
        }
        let nulls = tokenizer::encode(texts, &NULLS.map(str::to_owned))?;
        Ok(Self { cues, nulls, end: texts.get_vocab_size(true) as i64 - 1 })
    }

    /// One variant of every prompt, then the nulls: ids `[C·L·2 + K, T]`. Present and absent prompt
    /// of one cue and language have the same template, so that they differ in the cue alone.
    pub fn draw(&self, chance: &mut impl Rng, device: Device) -> Tensor {
        let mut rows = Vec::with_capacity(self.cues.len() + self.nulls.len());
        for states in self.cues.chunks(STATES.len()) {
            let variant = chance.random_range(0..states[0].len());
            rows.extend(states.iter().map(|variants| variants[variant % variants.len()].clone()));
        }
        rows.extend(self.nulls.iter().cloned());
        faces::padded(&rows, self.end, device)
    }

    /// Splits embeddings `[C·L·2 + K, E]` of [`PromptBank::draw`] into cues `[C, L, 2, E]` (present
    /// first) and nulls `[K, E]`.
    pub fn split(&self, embeddings: &Tensor) -> (Tensor, Tensor) {
        let (cues, nulls) = (self.cues.len() as i64, self.nulls.len() as i64);
        let languages = Language::ALL.len() as i64;
        let width = embeddings.size()[1];
        (
            embeddings.narrow(0, 0, cues).view([-1, languages, STATES.len() as i64, width]),
            embeddings.narrow(0, cues, nulls),
        )
    }

    /// The end-of-text token.
    pub fn end(&self) -> i64 {
        self.end
    }
}

/// Everything the vocabulary is learnt from besides captions.
pub fn all_texts() -> Vec<String> {
    let mut texts: Vec<String> = NULLS.map(str::to_owned).to_vec();
    for cue in Cue::ALL {
        for language in Language::ALL {
            texts.extend(STATES.iter().flat_map(|present| prompts(cue, *present, language)));
        }
    }
    texts
}
