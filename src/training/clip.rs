//! Trains the demo CLIP: both towers together, from nothing, on pairs of faces that differ in one
//! cue, with the cue masks as a teacher of the heatmaps.

use rand::Rng;
use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::adamw::{AdamConfig, AdamW};
use super::contrastive::{batch_contrast, cue_accuracy, cue_contrast, pair_contrast};
use super::evidence::{self, Questions};
use super::export::export;
use super::faces::{self, FaceFormat, Faces};
use super::prompts::{self, PromptBank};
use super::run::{
    Checkpoint, Observer, Outcome, Progress, Schedule, TrainOptions, save_checkpoint,
};
use super::validate::validate;
use super::{TrainingError, tokenizer};
use crate::models::clip::{
    Activation, Clip, ClipConfig, Encoded, TapPlan, TextConfig, VisionConfig, normalised,
};
use crate::models::weights::{Init, Weights};
use crate::scenes::{Cue, FaceSpec, HELD_OUT, Language, caption};

/// Keys of the throw-away reading that [`evidence::dense_loss`] trains beside the net.
const DENSE: &str = "dense";
/// Largest logit scale, as in the published recipe.
const SCALE_LIMIT: f64 = 100.0;

/// Sizes of the net and of the run's parts.
#[derive(Clone, Debug)]
pub struct ClipRecipe {
    /// The net; its vocabulary size is set by the tokenizer.
    pub config: ClipConfig,
    /// Merges of the tokenizer, at most.
    pub merges: usize,
    /// Pairs of faces in a batch.
    pub pairs: usize,
    /// Kind of the image tower's computation; the leaves are f32.
    pub kind: Kind,
    /// Highest learning rate.
    pub rate: f64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between validations.
    pub validate_every: u64,
    /// Held-out faces of a validation.
    pub validation_faces: u64,
}

impl ClipRecipe {
    /// The demo model: 3.1 million parameters, 112 px, a 14 × 14 grid.
    pub fn demo() -> Self {
        let config = ClipConfig {
            vision: VisionConfig {
                hidden_size: 192,
                intermediate_size: 768,
                num_hidden_layers: 4,
                num_attention_heads: 6,
                image_size: 112,
                patch_size: 8,
                hidden_act: Activation::Gelu,
                ..VisionConfig::default()
            },
            text: TextConfig {
                hidden_size: 192,
                intermediate_size: 768,
                num_hidden_layers: 2,
                num_attention_heads: 6,
                hidden_act: Activation::Gelu,
                ..TextConfig::default()
            },
            projection_dim: 256,
            logit_scale_init: (1.0f64 / 0.07).ln(),
        };
        Self {
            config,
            merges: 900,
            pairs: 16,
            kind: Kind::BFloat16,
            rate: 1e-3,
            checkpoint_every: 100,
            validate_every: 200,
            validation_faces: 200,
        }
    }

    fn format(&self) -> FaceFormat {
        let vision = &self.config.vision;
        FaceFormat {
            pairs: self.pairs,
            side_px: vision.image_size as u32,
            grid: vision.grid() as usize,
        }
    }
}

/// Trains the demo CLIP and leaves it, in the Hugging Face layout, in `clip` below the out folder.
pub fn train_clip(
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainingError> {
    train_clip_as(&ClipRecipe::demo(), options, observer)
}

/// [`train_clip`] of any size.
pub fn train_clip_as(
    recipe: &ClipRecipe,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainingError> {
    options.prepare()?;
    let mut run = ClipRun::open(recipe, options)?;
    observer.note(&format!("clip: {} parameters, from step {}", run.parameters(), run.step));
    let steps = run.step..options.steps;
    let batches =
        faces::draw_ahead(recipe.format(), run.tokenizer.clone(), options.seed, steps.clone());
    for _ in steps {
        let faces = batches.recv().map_err(|_| TrainingError::Drawing)??;
        let figures = run.train(&faces)?;
        observer.progress(&Progress { step: run.step, steps: options.steps, figures: &figures });
        let (last, stop) = (run.step == options.steps, observer.stop_requested());
        if last || stop || run.step.is_multiple_of(recipe.checkpoint_every) {
            run.save()?;
        }
        if last || run.step.is_multiple_of(recipe.validate_every) {
            let held_out =
                validate(&run.clip()?, &run.tokenizer, &recipe.format(), recipe.validation_faces)?;
            observer.note(&format!("step {}\n{held_out}", run.step));
            export(&options.out.join("clip"), &run.weights, &run.config, &run.tokenizer)?;
        }
        if stop && !last {
            return Ok(Outcome::Stopped(run.step));
        }
    }
    Ok(Outcome::Finished)
}

/// The running state.
struct ClipRun<'a> {
    recipe: &'a ClipRecipe,
    options: &'a TrainOptions,
    config: ClipConfig,
    tokenizer: Tokenizer,
    prompts: PromptBank,
    schedule: Schedule,
    weights: Weights,
    optimiser: AdamW,
    step: u64,
}

impl<'a> ClipRun<'a> {
    /// From the checkpoint, where there is one and it is wanted, or from nothing.
    fn open(recipe: &'a ClipRecipe, options: &'a TrainOptions) -> Result<Self, TrainingError> {
        let path = options.out.join(CHECKPOINT);
        let texts = options.out.join("clip.tokenizer.json");
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
            let _made = dense_reading(&weights, &config)?;
            let optimiser = AdamW::new(&weights, AdamConfig::default());
            (weights, optimiser, 0)
        };
        Ok(Self {
            recipe,
            options,
            config,
            prompts: PromptBank::new(&tokenizer)?,
            tokenizer,
            schedule: Schedule {
                peak: recipe.rate,
                floor: recipe.rate * 0.01,
                warmup: 100.min(options.steps / 10).max(1),
                steps: options.steps,
            },
            weights,
            optimiser,
            step,
        })
    }

    fn parameters(&self) -> usize {
        self.weights.tensors().iter().map(|(_, tensor)| tensor.numel()).sum()
    }

    /// One step on one batch.
    fn train(&mut self, faces: &Faces) -> Result<Vec<(&'static str, f64)>, TrainingError> {
        let clip = Clip::new(&self.weights, &self.config, DEVICE, self.recipe.kind)?;
        let dense = dense_reading(&self.weights, &self.config)?;
        let mut chance = faces::chance(!self.options.seed, self.step);
        let losses = losses(&clip, &dense, faces, (&self.prompts, &mut chance));
        let ramp = (self.step as f64 / 300.0).min(1.0);
        let weight = |loss: &Loss| {
            if matches!(loss.name, "energy" | "peak") { loss.weight * ramp } else { loss.weight }
        };
        let total: Tensor = losses.iter().map(|loss| &loss.value * weight(loss)).sum();
        let value = total.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.step, loss: value });
        }
        total.backward();
        let norm = self.optimiser.step(self.schedule.rate(self.step));
        let _clamped = tch::no_grad(|| clip.log_scale.shallow_clone().clamp_max_(SCALE_LIMIT.ln()));
        self.step += 1;
        let mut figures = vec![("loss", value)];
        figures.extend(losses.iter().map(|loss| (loss.name, loss.value.double_value(&[]))));
        figures.extend([("scale", clip.scale()), ("norm", norm)]);
        Ok(figures)
    }

    fn save(&self) -> Result<(), TrainingError> {
        save_checkpoint(
            &self.options.out.join(CHECKPOINT),
            &self.weights,
            &self.optimiser,
            self.step,
        )
    }

    /// The net as the server will run it, apart from the weights' kind.
    fn clip(&self) -> Result<Clip, TrainingError> {
        Ok(Clip::new(&self.weights, &self.config, DEVICE, Kind::Float)?)
    }
}

/// The run's device: a demo model is small enough for any CPU.
const DEVICE: Device = Device::Cpu;
/// File of the checkpoint below the out folder.
const CHECKPOINT: &str = "clip.checkpoint.safetensors";
/// Faces whose captions the vocabulary is learnt from.
const CORPUS_FACES: u64 = 2000;

/// What the vocabulary is learnt from: the short texts and many captions in every language.
fn corpus(seed: u64) -> Vec<String> {
    let mut chance = faces::chance(seed, u64::MAX);
    let mut texts = prompts::all_texts();
    for _ in 0..CORPUS_FACES {
        let spec = FaceSpec::sample(chance.random_range(0..HELD_OUT));
        texts.extend(Language::ALL.map(|language| caption(&spec, language, chance.random())));
    }
    texts
}

/// Weight `[C, D]` and bias `[C]` of the throw-away reading of the last values.
fn dense_reading(weights: &Weights, config: &ClipConfig) -> Result<[Tensor; 2], TrainingError> {
    let (cues, width) = (Cue::ALL.len() as i64, config.vision.hidden_size);
    let scope = weights.root(DEVICE, Kind::Float).at(DENSE);
    Ok([
        scope.tensor("weight", &[cues, width], Init::Normal(0.02))?,
        scope.tensor("bias", &[cues], Init::Constant(-2.0))?,
    ])
}

/// One part of the loss.
struct Loss {
    name: &'static str,
    weight: f64,
    value: Tensor,
}

/// Every part of the loss on one batch.
fn losses(
    clip: &Clip,
    [dense_weight, dense_bias]: &[Tensor; 2],
    faces: &Faces,
    (bank, chance): (&PromptBank, &mut impl Rng),
) -> Vec<Loss> {
    let part = |name, weight, value| Loss { name, weight, value };
    let (sites, present) = faces.truth_tensors(DEVICE);
    let scale = clip.log_scale.exp();
    let encoded = clip.vision.encode(&faces.pixel_tensor(DEVICE), TapPlan::LastBlock);
    let images = normalised(&encoded.embedding);
    let captions = clip.text.embed(&faces::padded(&faces.captions, bank.end(), DEVICE));
    let (cues, nulls) = bank.split(&clip.text.embed(&bank.draw(chance, DEVICE)));
    // [B, C, L]: cos(present) − cos(absent).
    let margins = Tensor::einsum(
        "be,cle->bcl",
        &[&images, &(cues.select(2, 0) - cues.select(2, 1))],
        None::<i64>,
    );
    let mut losses = vec![
        part("batch", 0.5, batch_contrast(&images, &captions, &scale)),
        part("pair", 1.0, pair_contrast(&images, &captions, &scale)),
        part("cue", 1.0, cue_contrast(&margins, &present, &scale)),
        part("accuracy", 0.0, Tensor::from(cue_accuracy(&margins, &present))),
    ];
    let reading = (dense_weight, dense_bias);
    losses.extend(
        evidence::dense_loss(&encoded, reading, (&sites, &present))
            .map(|value| part("dense", 1.0, value)),
    );
    losses
        .extend(evidence::attention_loss(&encoded, &sites).map(|value| part("attend", 0.1, value)));
    let texts = (&cues, &nulls);
    if let Some((energy, peak)) = map_losses(clip, &encoded, texts, (&sites, &present, chance)) {
        losses.extend([part("energy", 0.3, energy), part("peak", 0.3, peak)]);
    }
    losses
}

/// The losses of the default heatmap for every cue that is there, each in a language by chance.
fn map_losses(
    clip: &Clip,
    encoded: &Encoded,
    (cues, nulls): (&Tensor, &Tensor),
    (sites, present, chance): (&Tensor, &Tensor, &mut impl Rng),
) -> Option<(Tensor, Tensor)> {
    // [M, 2]: picture and cue.
    let there = present.nonzero();
    if there.size()[0] == 0 {
        return None;
    }
    let (rows, cue) = (there.select(1, 0), there.select(1, 1));
    let languages: Vec<i64> =
        (0..there.size()[0]).map(|_| chance.random_range(0..Language::ALL.len() as i64)).collect();
    let language = Tensor::from_slice(&languages);
    let asked = cues.select(2, 0).index(&[Some(&cue), Some(&language)]);
    let embeddings = encoded.embedding.index_select(0, &rows);
    let directions = evidence::contrasted(&asked, &embeddings, nulls);
    let sites = sites.index(&[Some(&rows), Some(&cue)]);
    let questions = Questions { rows, directions };
    let raw = evidence::raw_map(&clip.vision, encoded.tape.as_ref()?, &questions)?;
    Some(evidence::map_losses(&raw, &sites))
}
