//! Trains the demo CLIP: both towers together, from nothing, on pairs of faces that differ in one
//! cue, with the cue masks as a teacher of the heatmaps.

use rand::Rng;
use tch::{Kind, Tensor};

use super::TrainingError;
use super::export::export;
use super::faces::{self, FaceFormat, Faces};
use super::objective::Objective;
use super::prompts::{self, PromptBank};
use super::run::{Observer, Outcome, Progress, Schedule, TrainOptions};
use super::trainee::{Beginning, DEVICE, Trainee};
use super::validate::validate;
use crate::models::clip::{Activation, ClipConfig, TextConfig, VisionConfig};
use crate::models::weights::Weights;
use crate::scenes::{FaceSpec, HELD_OUT, Language, caption};

/// Steps of a full run.
pub const STEPS: u64 = 5000;
/// Name of the run's files and of the finished model's folder.
const NAME: &str = "clip";
/// Faces whose captions the vocabulary is learnt from.
const CORPUS_FACES: u64 = 2000;

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
    /// Steps over which the learning rate rises; the heatmaps count in full after three times as
    /// many.
    pub warmup: u64,
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
            pairs: 8,
            kind: Kind::BFloat16,
            rate: 5e-4,
            warmup: 100,
            checkpoint_every: 100,
            validate_every: 300,
            validation_faces: 100,
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
    let steps = run.trainee.step..options.steps;
    observer.note(&format!(
        "clip: {} parameters, from step {}",
        run.trainee.parameters(),
        steps.start
    ));
    let (format, texts, seed) = (recipe.format(), run.trainee.tokenizer.clone(), options.seed);
    let batches =
        faces::draw_ahead(steps.clone(), move |step| faces::batch(&format, &texts, (seed, step)));
    for _ in steps {
        let faces = batches.recv().map_err(|_| TrainingError::Drawing)??;
        let figures = run.train(&faces)?;
        let step = run.trainee.step;
        observer.progress(&Progress { step, steps: options.steps, figures: &figures });
        let (last, stop) = (step == options.steps, observer.stop_requested());
        if last || stop || step.is_multiple_of(recipe.checkpoint_every) {
            run.trainee.save()?;
        }
        if last || step.is_multiple_of(recipe.validate_every) {
            observer.note(&run.validate()?);
        }
        if stop && !last {
            return Ok(Outcome::Stopped(step));
        }
    }
    Ok(Outcome::Finished)
}

/// The running state.
struct ClipRun<'a> {
    recipe: &'a ClipRecipe,
    options: &'a TrainOptions,
    trainee: Trainee,
    prompts: PromptBank,
    schedule: Schedule,
}

impl<'a> ClipRun<'a> {
    /// From the checkpoint, where there is one and it is wanted, or from nothing.
    fn open(recipe: &'a ClipRecipe, options: &'a TrainOptions) -> Result<Self, TrainingError> {
        let beginning = Beginning {
            config: &recipe.config,
            corpus: &|| corpus(options.seed),
            merges: recipe.merges,
            start: &|weights, config| {
                place_patches(weights, config);
                Ok(())
            },
        };
        let trainee = Trainee::open(NAME, options, &beginning)?;
        Ok(Self {
            recipe,
            options,
            prompts: PromptBank::new(&trainee.tokenizer)?,
            trainee,
            schedule: Schedule {
                peak: recipe.rate,
                floor: recipe.rate * 0.01,
                warmup: recipe.warmup.min(options.steps),
                steps: options.steps,
            },
        })
    }

    /// One step on one batch.
    fn train(&mut self, faces: &Faces) -> Result<Vec<(&'static str, f64)>, TrainingError> {
        let step = self.trainee.step;
        let (clip, reading) = self.trainee.net(self.recipe.kind)?;
        let mut chance = faces::chance(!self.options.seed, step);
        let prompts = self.prompts.draw(&mut chance, DEVICE);
        let maps = (step as f64 / (3 * self.recipe.warmup).max(1) as f64).min(1.0);
        let losses = Objective { clip: &clip, reading: &reading, bank: &self.prompts, maps }
            .losses(faces, &prompts, &mut chance);
        self.trainee.update(&clip, &losses, self.schedule.rate(step))
    }

    /// Measures the net as it is, and exports it; what was measured.
    fn validate(&self) -> Result<String, TrainingError> {
        let Trainee { weights, config, tokenizer, step, .. } = &self.trainee;
        let (clip, faces) = (self.trainee.clip()?, self.recipe.validation_faces);
        let held_out = validate(&clip, tokenizer, &self.recipe.format(), faces)?;
        export(&self.options.out.join(NAME), weights, config, tokenizer)?;
        Ok(format!("step {step}\n{held_out}"))
    }
}

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

/// Begins the image tower's positions as sines and cosines of row and column, which a small net
/// learns faster from than from noise (Beyer et al., arXiv 2205.01580).
fn place_patches(weights: &Weights, config: &ClipConfig) {
    const KEY: &str = "vision_model.embeddings.position_embedding.weight";
    let (grid, width) = (config.vision.grid(), config.vision.hidden_size);
    let waves = width / 4;
    let mut table = vec![0.0f32; width as usize];
    for cell in 0..grid * grid {
        for place in [cell / grid, cell % grid] {
            for wave in 0..waves {
                let angle = place as f32 / 100f32.powf(wave as f32 / waves as f32);
                table.extend([angle.sin(), angle.cos()]);
            }
        }
        table.resize(((cell + 2) * width) as usize, 0.0);
    }
    let table = Tensor::from_slice(&table).view([grid * grid + 1, width]) * 0.2;
    for (key, mut leaf) in weights.tensors() {
        if key == KEY {
            tch::no_grad(|| leaf.copy_(&table));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::models::clip::Clip;
    use crate::training::trainee::{checkpoint_file, tokenizer_file};
    use std::path::{Path, PathBuf};

    fn tiny() -> ClipRecipe {
        let mut recipe = ClipRecipe::demo();
        let (vision, text) = (&mut recipe.config.vision, &mut recipe.config.text);
        (vision.hidden_size, vision.intermediate_size) = (16, 32);
        (vision.num_hidden_layers, vision.num_attention_heads) = (2, 2);
        vision.image_size = 32;
        (text.hidden_size, text.intermediate_size) = (16, 32);
        (text.num_hidden_layers, text.num_attention_heads) = (1, 2);
        recipe.config.projection_dim = 8;
        ClipRecipe {
            merges: 50,
            pairs: 2,
            kind: Kind::Float,
            rate: 3e-3,
            warmup: 1,
            checkpoint_every: 2,
            validate_every: 1000,
            validation_faces: 2,
            ..recipe
        }
    }

    fn options(out: &Path, steps: u64) -> TrainOptions {
        TrainOptions { out: out.to_owned(), steps, seed: 5, threads: 1, resume: true }
    }

    /// Copies the run's files once it has made so many steps.
    struct Copier {
        at: u64,
        from: PathBuf,
        to: PathBuf,
        losses: Vec<f64>,
    }

    impl Observer for Copier {
        fn progress(&mut self, progress: &Progress<'_>) {
            self.losses.push(progress.figures[0].1);
            // A step's checkpoint is written after its report, so this is the one before.
            if progress.step == self.at + 1 {
                for name in [checkpoint_file(NAME), tokenizer_file(NAME)] {
                    std::fs::copy(self.from.join(&name), self.to.join(&name)).unwrap();
                }
            }
        }

        fn note(&mut self, _line: &str) {}

        fn stop_requested(&self) -> bool {
            false
        }
    }

    #[test]
    fn a_resumed_run_ends_where_an_uninterrupted_one_does() {
        let (whole, resumed) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (from, to) = (whole.path().to_owned(), resumed.path().to_owned());
        let mut copier = Copier { at: 2, from, to, losses: vec![] };
        train_clip_as(&tiny(), &options(whole.path(), 4), &mut copier).unwrap();
        let first = copier.losses.clone();
        copier.losses.clear();
        let outcome = train_clip_as(&tiny(), &options(resumed.path(), 4), &mut copier).unwrap();
        assert_eq!(outcome, Outcome::Finished);
        assert_eq!(copier.losses, first[2..]);
        let model = |folder: &Path| std::fs::read(folder.join("clip/model.safetensors")).unwrap();
        assert!(model(whole.path()) == model(resumed.path()), "weights differ");
    }

    #[test]
    fn training_on_one_batch_lowers_its_loss_and_the_export_loads() {
        let folder = tempfile::tempdir().unwrap();
        let (recipe, options) = (tiny(), options(folder.path(), 100));
        options.prepare().unwrap();
        let mut run = ClipRun::open(&recipe, &options).unwrap();
        let batch = faces::batch(&recipe.format(), &run.trainee.tokenizer, (1, 0)).unwrap();
        let mut sum = || {
            let figures = run.train(&batch).unwrap();
            let part = |name| figures.iter().find(|figure| figure.0 == name).unwrap().1;
            part("pair") + part("cue") + part("dense")
        };
        let first = sum();
        let last = (0..25).map(|_| sum()).last().unwrap();
        assert!(last < 0.8 * first, "from {first} to {last}");
        let Trainee { weights, config: net, tokenizer, .. } = &run.trainee;
        export(folder.path(), weights, net, tokenizer).unwrap();
        let weights = Weights::open_folder(folder.path()).unwrap();
        let config = std::fs::read(folder.path().join("config.json")).unwrap();
        let config: ClipConfig = serde_json::from_slice(&config).unwrap();
        assert_eq!(config, *net);
        Clip::new(&weights, &config, DEVICE, Kind::Float).unwrap();
        weights.finish(Clip::is_buffer).unwrap();
    }

    #[test]
    fn options_that_make_no_run_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        let error = options(folder.path(), 0).prepare().unwrap_err();
        assert_eq!(error.to_string(), "steps is 0, must be at least 1");
    }
}
