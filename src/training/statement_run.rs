//! Trains the evidence model: a second demo CLIP, which reads statements of fact.
//!
//! Its image tower begins from the trained demo CLIP's, which sees the cues already; its text tower
//! begins from nothing. The run has three stages, and each does what is cheap first: texts alone;
//! then texts and the image tower's last block, on a pool of faces whose inputs to that block are
//! computed once; then everything on new faces.

use std::path::{Path, PathBuf};

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::adamw::{AdamConfig, AdamW};
use super::export::export;
use super::faces::{self, FaceFormat};
use super::objective::{DenseReading, Loss};
use super::people::{self, People};
use super::run::{
    Checkpoint, Observer, Outcome, Progress, Schedule, TrainOptions, save_checkpoint,
};
use super::statement_objective::StatementObjective;
use super::statement_validate::validate;
use super::statements::{StatementBank, entries, passage};
use super::{TrainingError, tokenizer};
use crate::models::clip::{Activation, Clip, ClipConfig, TapPlan, TextConfig, VisionConfig};
use crate::models::weights::{Weights, WeightsError};
use crate::scenes::{FaceSpec, HELD_OUT};

/// Steps of a full run, those on texts alone included.
pub const STEPS: u64 = 1100;
/// Folder of the finished model below the out folder.
pub const FOLDER: &str = "evidence";
/// The run's device: a demo model is small enough for any CPU.
const DEVICE: Device = Device::Cpu;
/// File of the checkpoint below the out folder.
const CHECKPOINT: &str = "evidence.checkpoint.safetensors";
/// File of the vocabulary below the out folder.
const TOKENIZER: &str = "evidence.tokenizer.json";
/// Largest logit scale, as in the published recipe.
const SCALE_LIMIT: f64 = 100.0;
/// Passages that the vocabulary is learnt from, besides every text of the bank.
const CORPUS_PASSAGES: u64 = 2000;

/// Sizes of the net and of the run's parts.
#[derive(Clone, Debug)]
pub struct StatementRecipe {
    /// The net; its vocabulary size is set by the tokenizer.
    pub config: ClipConfig,
    /// Folder of a trained CLIP whose image tower this one begins from.
    pub start: PathBuf,
    /// Which of its blocks become this tower's, one each, in order.
    pub start_blocks: Vec<usize>,
    /// Merges of the tokenizer, at most.
    pub merges: usize,
    /// People in a batch; twice as many pictures.
    pub people: usize,
    /// Highest learning rate of each stage.
    pub rates: [f64; 3],
    /// Steps on texts alone, at the start.
    pub text_steps: u64,
    /// Steps on the pool, after those.
    pub pool_steps: u64,
    /// Batches of faces in the pool.
    pub pool_batches: u64,
    /// Batches of the pool that a step takes together.
    pub pool_batches_a_step: usize,
    /// Steps over which the learning rate of each stage rises.
    pub warmup: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between validations and exports.
    pub validate_every: u64,
    /// Held-out faces of a validation.
    pub validation_faces: u64,
}

impl StatementRecipe {
    /// The demo's evidence model, 1.9 million parameters, from the demo CLIP in `start`.
    pub fn demo(start: PathBuf) -> Self {
        let config = ClipConfig {
            vision: VisionConfig {
                hidden_size: 192,
                intermediate_size: 768,
                num_hidden_layers: 3,
                num_attention_heads: 6,
                image_size: 112,
                patch_size: 8,
                hidden_act: Activation::Gelu,
                ..VisionConfig::default()
            },
            text: TextConfig {
                hidden_size: 128,
                intermediate_size: 256,
                num_hidden_layers: 2,
                num_attention_heads: 4,
                hidden_act: Activation::Gelu,
                ..TextConfig::default()
            },
            projection_dim: 256,
            logit_scale_init: (1.0f64 / 0.07).ln(),
        };
        Self {
            config,
            start,
            start_blocks: vec![0, 1, 3],
            merges: 600,
            people: 12,
            rates: [2e-3, 1e-3, 5e-4],
            text_steps: 400,
            pool_steps: 400,
            pool_batches: 100,
            pool_batches_a_step: 3,
            warmup: 50,
            checkpoint_every: 100,
            validate_every: 400,
            validation_faces: 100,
        }
    }

    /// What pictures are made into.
    pub fn format(&self) -> FaceFormat {
        let vision = &self.config.vision;
        FaceFormat {
            pairs: self.people,
            side_px: vision.image_size as u32,
            grid: vision.grid() as usize,
        }
    }
}

/// Trains the model and leaves it, in the Hugging Face layout, in [`FOLDER`] below the out folder.
pub fn train_statements(
    recipe: &StatementRecipe,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainingError> {
    options.prepare()?;
    let mut run = StatementRun::open(recipe, options)?;
    let parameters: usize = run.weights.tensors().iter().map(|(_, tensor)| tensor.numel()).sum();
    observer.note(&format!("evidence: {parameters} parameters, from step {}", run.step));
    let (format, texts, seed) = (recipe.format(), run.tokenizer.clone(), options.seed);
    let (first, ends) = (run.step, recipe.ends(options.steps));
    let drawn = move |step: u64| people::batch(&format, &texts, (seed, step), step >= ends[1]);
    let batches = faces::draw_ahead(first..options.steps, drawn);
    let mut pool = Vec::new();
    for step in first..options.steps {
        let people = batches.recv().map_err(|_| TrainingError::Drawing)??;
        if step < ends[1] && step >= ends[0] && pool.is_empty() {
            observer.note("computing the pool");
            pool = run.pool()?;
        }
        let figures = run.train(&people, &pool)?;
        observer.progress(&Progress { step: run.step, steps: options.steps, figures: &figures });
        let (last, stop) = (run.step == options.steps, observer.stop_requested());
        if last || stop || run.step.is_multiple_of(recipe.checkpoint_every) {
            run.save()?;
        }
        if last || (run.step > ends[0] && run.step.is_multiple_of(recipe.validate_every)) {
            observer.note(&run.validate()?);
        }
        if stop && !last {
            return Ok(Outcome::Stopped(run.step));
        }
    }
    Ok(Outcome::Finished)
}

impl StatementRecipe {
    /// The step at which each of the three stages ends.
    fn ends(&self, steps: u64) -> [u64; 3] {
        let texts = self.text_steps.min(steps);
        [texts, (texts + self.pool_steps).min(steps), steps]
    }
}

/// Faces whose tokens at the last block's input are known.
struct Pooled {
    /// The faces without their pixels.
    people: People,
    /// `[B, N, D]` f16.
    last_input: Tensor,
}

/// The running state.
struct StatementRun<'a> {
    recipe: &'a StatementRecipe,
    options: &'a TrainOptions,
    config: ClipConfig,
    tokenizer: Tokenizer,
    bank: StatementBank,
    weights: Weights,
    optimiser: AdamW,
    step: u64,
}

impl<'a> StatementRun<'a> {
    /// From the checkpoint, where there is one and it is wanted, or from the start's image tower.
    fn open(recipe: &'a StatementRecipe, options: &'a TrainOptions) -> Result<Self, TrainingError> {
        let path = options.out.join(CHECKPOINT);
        let texts = options.out.join(TOKENIZER);
        let resumed = options.resume && path.is_file();
        let tokenizer = if resumed {
            tokenizer::open(&texts)?
        } else {
            let tokenizer = tokenizer::learn(&corpus(options.seed), recipe.merges)?;
            tokenizer::save(&tokenizer, &texts)?;
            tokenizer
        };
        let mut config = recipe.config.clone();
        config.text.vocab_size = tokenizer.get_vocab_size(true) as i64;
        config.text.eos_token_id = config.text.vocab_size - 1;
        let (weights, optimiser, step) = if resumed {
            let checkpoint = Checkpoint::open(&path, DEVICE)?;
            let mut optimiser = AdamW::new(&checkpoint.weights, AdamConfig::default());
            checkpoint.restore(&mut optimiser)?;
            (checkpoint.weights, optimiser, checkpoint.step)
        } else {
            let weights = Weights::initialise(DEVICE);
            // Building the net makes its leaves, which the optimiser then finds.
            Clip::new(&weights, &config, DEVICE, Kind::Float)?;
            DenseReading::new(&weights.root(DEVICE, Kind::Float), &config)?;
            transplant(&recipe.start, &recipe.start_blocks, &weights)?;
            let optimiser = AdamW::new(&weights, AdamConfig::default());
            (weights, optimiser, 0)
        };
        let bank = StatementBank::new(&tokenizer)?;
        Ok(Self { recipe, options, config, tokenizer, bank, weights, optimiser, step })
    }

    /// Draws the pool and takes it through every block but the last.
    fn pool(&self) -> Result<Vec<Pooled>, TrainingError> {
        let clip = Clip::new(&self.weights, &self.config, DEVICE, Kind::Float)?;
        let (format, texts) = (self.recipe.format(), self.tokenizer.clone());
        // Another stream of chance than the other stages'.
        let seed = self.options.seed ^ u64::MAX / 3;
        let batches = faces::draw_ahead(0..self.recipe.pool_batches, move |batch| {
            people::batch(&format, &texts, (seed, batch), true)
        });
        tch::no_grad(|| {
            let encoded = |people: Result<People, TrainingError>| -> Result<Pooled, TrainingError> {
                let mut people = people?;
                let pixels = people.faces.pixel_tensor(DEVICE);
                people.faces.pixels = vec![];
                let tape = clip.vision.encode(&pixels, TapPlan::LastBlock).tape;
                let tape = tape.ok_or(TrainingError::Drawing)?;
                Ok(Pooled { people, last_input: tape.last_input.to_kind(Kind::Half) })
            };
            batches.iter().map(encoded).collect()
        })
    }

    /// Some batches of the pool as one, with their tokens.
    fn from_pool(&self, pool: &[Pooled], chance: &mut impl Rng) -> (People, Tensor) {
        let count = self.recipe.pool_batches_a_step;
        let chosen: Vec<&Pooled> = pool.choose_multiple(chance, count).collect();
        let people: Vec<&People> = chosen.iter().map(|pooled| &pooled.people).collect();
        let halves = chosen.iter().map(|pooled| pooled.last_input.chunk(2, 0));
        let (first, second): (Vec<_>, Vec<_>) = halves
            .filter_map(|mut pair| Some((pair.pop()?, pair.pop()?)))
            .map(|(b, a)| (a, b))
            .unzip();
        let halves: Vec<Tensor> = first.into_iter().chain(second).collect();
        let tokens = Tensor::cat(&halves, 0).to_kind(Kind::Float);
        (People::joined(&people), tokens)
    }

    /// One step: on the batch, or on batches of the pool in its stage.
    fn train(
        &mut self,
        people: &People,
        pool: &[Pooled],
    ) -> Result<Vec<(&'static str, f64)>, TrainingError> {
        let clip = Clip::new(&self.weights, &self.config, DEVICE, Kind::Float)?;
        let reading = DenseReading::new(&self.weights.root(DEVICE, Kind::Float), &self.config)?;
        let mut chance = faces::chance(!self.options.seed, self.step);
        let drawn = self.bank.draw(&mut chance, DEVICE);
        let objective = StatementObjective {
            clip: &clip,
            reading: &reading,
            drawn: &drawn,
            nulls: self.bank.nulls(),
            end: self.bank.end(),
        };
        let [texts, pooled, _] = self.recipe.ends(self.options.steps);
        let losses: Vec<Loss> = if self.step < texts {
            objective.text_losses(people)
        } else if self.step < pooled {
            let (people, tokens) = self.from_pool(pool, &mut chance);
            objective.losses(&people, &clip.vision.finish(&tokens))
        } else {
            let pixels = people.faces.pixel_tensor(DEVICE);
            objective.losses(people, &clip.vision.encode(&pixels, TapPlan::LastBlock))
        };
        self.update(&clip, &losses)
    }

    /// One step down the sum of the losses; the figures to report.
    fn update(
        &mut self,
        clip: &Clip,
        losses: &[Loss],
    ) -> Result<Vec<(&'static str, f64)>, TrainingError> {
        let total: Tensor = losses.iter().map(|loss| &loss.value * loss.weight).sum();
        let value = total.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.step, loss: value });
        }
        total.backward();
        let norm = self.optimiser.step(self.rate());
        let _clamped = tch::no_grad(|| clip.log_scale.shallow_clone().clamp_max_(SCALE_LIMIT.ln()));
        self.step += 1;
        let mut figures = vec![("loss", value)];
        figures.extend(losses.iter().map(|loss| (loss.name, loss.value.double_value(&[]))));
        figures.extend([("scale", clip.scale()), ("norm", norm)]);
        Ok(figures)
    }

    /// The learning rate of this step: each stage has its own warm-up, and falls to a tenth but for
    /// the last, which falls to a hundredth.
    fn rate(&self) -> f64 {
        let ends = self.recipe.ends(self.options.steps);
        let stage = ends.iter().position(|&end| self.step < end).unwrap_or(ends.len() - 1);
        let begin = if stage == 0 { 0 } else { ends[stage - 1] };
        let (peak, steps) = (self.recipe.rates[stage], ends[stage] - begin);
        let floor = peak * if stage + 1 == ends.len() { 0.01 } else { 0.1 };
        let warmup = self.recipe.warmup.min(steps);
        Schedule { peak, floor, warmup, steps }.rate(self.step - begin)
    }

    /// Measures the net as it is, and exports it; what was measured.
    fn validate(&self) -> Result<String, TrainingError> {
        let clip = Clip::new(&self.weights, &self.config, DEVICE, Kind::Float)?;
        let (format, faces) = (self.recipe.format(), self.recipe.validation_faces);
        let held_out = validate(&clip, &self.tokenizer, &format, faces)?;
        let folder = self.options.out.join(FOLDER);
        export(&folder, &self.weights, &self.config, &self.tokenizer)?;
        Ok(format!("step {}\n{held_out}", self.step))
    }

    fn save(&self) -> Result<(), TrainingError> {
        let path = self.options.out.join(CHECKPOINT);
        save_checkpoint(&path, &self.weights, &self.optimiser, self.step)
    }
}

/// What the vocabulary is learnt from: every text of the bank, and passages.
fn corpus(seed: u64) -> Vec<String> {
    let mut chance = faces::chance(seed, u64::MAX);
    let mut texts: Vec<String> =
        entries().into_iter().flat_map(|entry| entry.sayings.concat()).collect();
    texts.extend((0..CORPUS_PASSAGES).map(|face| {
        let spec = FaceSpec::sample(face.wrapping_mul(seed | 1) % HELD_OUT);
        passage(&spec, &mut chance).0
    }));
    texts
}

/// The image tower's keys.
const TOWER: [&str; 2] = ["vision_model.", "visual_projection."];
/// Where a block's number stands.
const LAYERS: &str = "vision_model.encoder.layers.";

/// Copies the image tower of the model in `folder` into `weights`, of its blocks only those of
/// `blocks`, which are numbered anew.
fn transplant(folder: &Path, blocks: &[usize], weights: &Weights) -> Result<(), TrainingError> {
    let source = Weights::open_folder(folder)?;
    let old_key = |key: &str| -> Option<String> {
        let Some(rest) = key.strip_prefix(LAYERS) else { return Some(key.to_owned()) };
        let (number, rest) = rest.split_once('.')?;
        let old = blocks.get(number.parse::<usize>().ok()?)?;
        Some(format!("{LAYERS}{old}.{rest}"))
    };
    let given = source.tensors();
    for (key, mut leaf) in weights.tensors() {
        if !TOWER.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        let old = old_key(&key);
        let found = given.iter().find(|(name, _)| Some(name) == old.as_ref());
        let found = found.filter(|(_, tensor)| tensor.size() == leaf.size());
        let Some((_, tensor)) = found else {
            let reason = format!("has no tensor of the shape {:?} for '{key}'", leaf.size());
            return Err(WeightsError::format(folder, reason).into());
        };
        tch::no_grad(|| leaf.copy_(tensor));
    }
    Ok(())
}
