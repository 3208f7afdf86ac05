//! What the CLIPs' runs share: a vocabulary, leaves with their optimiser, and one step down a sum of
//! losses.

use std::path::PathBuf;

use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::adamw::{AdamConfig, AdamW};
use super::objective::{DenseReading, Loss};
use super::run::{Checkpoint, TrainOptions, save_checkpoint};
use super::{TrainingError, tokenizer};
use crate::models::clip::{Clip, ClipConfig};
use crate::models::weights::Weights;

/// The runs' device: a demo model is small enough for any CPU.
pub const DEVICE: Device = Device::Cpu;
/// Largest logit scale, as in the published recipe.
const SCALE_LIMIT: f64 = 100.0;

/// A CLIP in training, with its vocabulary.
#[derive(Debug)]
pub struct Trainee {
    /// The net, its vocabulary's size included.
    pub config: ClipConfig,
    /// The vocabulary.
    pub tokenizer: Tokenizer,
    /// The leaves.
    pub weights: Weights,
    /// Steps made.
    pub step: u64,
    optimiser: AdamW,
    checkpoint: PathBuf,
}

/// How a trainee begins where there is no checkpoint.
pub struct Beginning<'a> {
    /// The net; its vocabulary's size is set by the tokenizer.
    pub config: &'a ClipConfig,
    /// Makes what the vocabulary is learnt from.
    pub corpus: &'a dyn Fn() -> Vec<String>,
    /// Merges of the tokenizer, at most.
    pub merges: usize,
    /// Changes new leaves before the first step.
    pub start: &'a dyn Fn(&Weights, &ClipConfig) -> Result<(), TrainingError>,
}

impl Trainee {
    /// From the checkpoint `NAME.checkpoint.safetensors` below the out folder, where there is one and
    /// it is wanted, or from the beginning.
    pub fn open(
        name: &str,
        options: &TrainOptions,
        beginning: &Beginning<'_>,
    ) -> Result<Self, TrainingError> {
        let checkpoint = options.out.join(checkpoint_file(name));
        let texts = options.out.join(tokenizer_file(name));
        let resumed = options.resume && checkpoint.is_file();
        let tokenizer = if resumed {
            tokenizer::open(&texts)?
        } else {
            let tokenizer = tokenizer::learn(&(beginning.corpus)(), beginning.merges)?;
            tokenizer::save(&tokenizer, &texts)?;
            tokenizer
        };
        let mut config = beginning.config.clone();
        config.text.vocab_size = tokenizer.get_vocab_size(true) as i64;
        config.text.eos_token_id = config.text.vocab_size - 1;
        let (weights, optimiser, step) = if resumed {
            let checkpoint = Checkpoint::open(&checkpoint, DEVICE)?;
            let mut optimiser = AdamW::new(&checkpoint.weights, AdamConfig::default());
            checkpoint.restore(&mut optimiser)?;
            (checkpoint.weights, optimiser, checkpoint.step)
        } else {
            let weights = Weights::initialise(DEVICE);
            // Building the net makes its leaves, which the optimiser then finds.
            Clip::new(&weights, &config, DEVICE, Kind::Float)?;
            DenseReading::new(&weights.root(DEVICE, Kind::Float), &config)?;
            (beginning.start)(&weights, &config)?;
            let optimiser = AdamW::new(&weights, AdamConfig::default());
            (weights, optimiser, 0)
        };
        Ok(Self { config, tokenizer, weights, step, optimiser, checkpoint })
    }

    /// Numbers in all leaves together.
    pub fn parameters(&self) -> usize {
        self.weights.parameters()
    }

    /// The net in training; `kind` is the image tower's, the leaves are f32.
    pub fn net(&self, kind: Kind) -> Result<(Clip, DenseReading), TrainingError> {
        let clip = Clip::new(&self.weights, &self.config, DEVICE, kind)?;
        let reading = DenseReading::new(&self.weights.root(DEVICE, Kind::Float), &self.config)?;
        Ok((clip, reading))
    }

    /// The net as the server will run it, apart from the weights' kind.
    pub fn clip(&self) -> Result<Clip, TrainingError> {
        Ok(Clip::new(&self.weights, &self.config, DEVICE, Kind::Float)?)
    }

    /// One step at the learning rate `rate` down the weighted sum of `losses`, which `clip` gave;
    /// the figures to report.
    pub fn update(
        &mut self,
        clip: &Clip,
        losses: &[Loss],
        rate: f64,
    ) -> Result<Vec<(&'static str, f64)>, TrainingError> {
        let total: Tensor = losses.iter().map(|loss| &loss.value * loss.weight).sum();
        let value = total.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.step, loss: value });
        }
        total.backward();
        let norm = self.optimiser.step(rate);
        let _clamped = tch::no_grad(|| clip.log_scale.shallow_clone().clamp_max_(SCALE_LIMIT.ln()));
        self.step += 1;
        let mut figures = vec![("loss", value)];
        figures.extend(losses.iter().map(|loss| (loss.name, loss.value.double_value(&[]))));
        figures.extend([("scale", clip.scale()), ("norm", norm)]);
        Ok(figures)
    }

    /// Writes the checkpoint.
    pub fn save(&self) -> Result<(), TrainingError> {
        save_checkpoint(&self.checkpoint, &self.weights, &self.optimiser, self.step)
    }
}

/// The checkpoint of the run of that name.
pub fn checkpoint_file(name: &str) -> String {
    format!("{name}.checkpoint.safetensors")
}

/// The vocabulary of the run of that name.
pub fn tokenizer_file(name: &str) -> String {
    format!("{name}.tokenizer.json")
}
