//! Trains the evidence model: a second demo CLIP, which reads statements of fact.
//!
//! Its image tower begins from the trained demo CLIP's, which sees the cues already; its text tower
//! begins from nothing. The run has three stages, and each does what is cheap first: texts alone;
//! then texts and the image tower's last block, on a pool of faces whose inputs to that block are
//! computed once; then everything on new faces.

use rand::Rng;
use rand::seq::IndexedRandom;
use tch::{Kind, Tensor};

use super::TrainingError;
use super::export::export;
use super::faces;
use super::objective::Loss;
use super::people::{self, People};
use super::run::{Observer, Outcome, Progress, Schedule, TrainOptions};
use super::statement_objective::StatementObjective;
use super::statement_recipe::{StatementRecipe, transplant};
use super::statement_validate::validate;
use super::statements::{StatementBank, entries, passage};
use super::trainee::{Beginning, DEVICE, Trainee};
use crate::models::clip::TapPlan;
use crate::scenes::{FaceSpec, HELD_OUT};

/// Steps of a full run, those on texts alone included.
pub const STEPS: u64 = 1100;
/// Name of the run's files and of the finished model's folder below the out folder.
pub const FOLDER: &str = "evidence";
/// Passages that the vocabulary is learnt from, besides every text of the bank.
const CORPUS_PASSAGES: u64 = 2000;

/// Trains the model and leaves it, in the Hugging Face layout, in [`FOLDER`] below the out folder.
pub fn train_statements(
    recipe: &StatementRecipe,
    options: &TrainOptions,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainingError> {
    options.prepare()?;
    let mut run = StatementRun::open(recipe, options)?;
    let first = run.trainee.step;
    observer.note(&format!("evidence: {} parameters, from step {first}", run.trainee.parameters()));
    let (format, texts, seed) = (recipe.format(), run.trainee.tokenizer.clone(), options.seed);
    let ends = recipe.ends(options.steps);
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
        let made = run.trainee.step;
        observer.progress(&Progress { step: made, steps: options.steps, figures: &figures });
        let (last, stop) = (made == options.steps, observer.stop_requested());
        if last || stop || made.is_multiple_of(recipe.checkpoint_every) {
            run.trainee.save()?;
        }
        if last || (made > ends[0] && made.is_multiple_of(recipe.validate_every)) {
            observer.note(&run.validate()?);
        }
        if stop && !last {
            return Ok(Outcome::Stopped(made));
        }
    }
    Ok(Outcome::Finished)
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
    trainee: Trainee,
    bank: StatementBank,
}

impl<'a> StatementRun<'a> {
    /// From the checkpoint, where there is one and it is wanted, or from the start's image tower.
    fn open(recipe: &'a StatementRecipe, options: &'a TrainOptions) -> Result<Self, TrainingError> {
        let beginning = Beginning {
            config: &recipe.config,
            corpus: &|| corpus(options.seed),
            merges: recipe.merges,
            start: &|weights, _| transplant(&recipe.start, &recipe.start_blocks, weights),
        };
        let trainee = Trainee::open(FOLDER, options, &beginning)?;
        let bank = StatementBank::new(&trainee.tokenizer)?;
        Ok(Self { recipe, options, trainee, bank })
    }

    /// Draws the pool and takes it through every block but the last.
    fn pool(&self) -> Result<Vec<Pooled>, TrainingError> {
        let clip = self.trainee.clip()?;
        let (format, texts) = (self.recipe.format(), self.trainee.tokenizer.clone());
        // Another stream of chance than the other stages'.
        let seed = self.options.seed ^ (u64::MAX / 3);
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
    fn pooled(&self, pool: &[Pooled], chance: &mut impl Rng) -> (People, Tensor) {
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
        let step = self.trainee.step;
        let (clip, reading) = self.trainee.net(Kind::Float)?;
        let mut chance = faces::chance(!self.options.seed, step);
        let drawn = self.bank.draw(&mut chance, DEVICE);
        let objective = StatementObjective {
            clip: &clip,
            reading: &reading,
            drawn: &drawn,
            nulls: self.bank.nulls(),
            end: self.bank.end(),
        };
        let [texts, pooled, _] = self.recipe.ends(self.options.steps);
        let losses: Vec<Loss> = if step < texts {
            objective.text_losses(people)
        } else if step < pooled {
            let (people, tokens) = self.pooled(pool, &mut chance);
            objective.losses(&people, &clip.vision.finish(&tokens))
        } else {
            let pixels = people.faces.pixel_tensor(DEVICE);
            objective.losses(people, &clip.vision.encode(&pixels, TapPlan::LastBlock))
        };
        let rate = self.rate(step);
        self.trainee.update(&clip, &losses, rate)
    }

    /// The learning rate of a step: each stage has its own warm-up, and falls to a tenth but for
    /// the last, which falls to a hundredth.
    fn rate(&self, step: u64) -> f64 {
        let ends = self.recipe.ends(self.options.steps);
        let stage = ends.iter().position(|&end| step < end).unwrap_or(ends.len() - 1);
        let begin = if stage == 0 { 0 } else { ends[stage - 1] };
        let (peak, steps) = (self.recipe.rates[stage], ends[stage] - begin);
        let floor = peak * if stage + 1 == ends.len() { 0.01 } else { 0.1 };
        let warmup = self.recipe.warmup.min(steps);
        Schedule { peak, floor, warmup, steps }.rate(step - begin)
    }

    /// Measures the net as it is, and exports it; what was measured.
    fn validate(&self) -> Result<String, TrainingError> {
        let Trainee { weights, config, tokenizer, step, .. } = &self.trainee;
        let (format, faces) = (self.recipe.format(), self.recipe.validation_faces);
        let held_out = validate(&self.trainee.clip()?, tokenizer, &format, 0..faces)?;
        export(&self.options.out.join(FOLDER), weights, config, tokenizer)?;
        Ok(format!("step {step}\n{held_out}"))
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

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;
    use crate::models::clip::{Clip, ClipConfig};
    use crate::models::weights::Weights;
    use crate::training::statement_recipe::LAYERS;
    use crate::training::tokenizer;

    /// A tiny CLIP of four blocks, and a recipe that begins from it.
    fn tiny(start: &Path) -> StatementRecipe {
        let mut recipe = StatementRecipe::demo(start.to_owned());
        let (vision, text) = (&mut recipe.config.vision, &mut recipe.config.text);
        (vision.hidden_size, vision.intermediate_size) = (16, 32);
        vision.num_attention_heads = 2;
        vision.image_size = 32;
        (text.hidden_size, text.intermediate_size) = (16, 32);
        text.num_attention_heads = 2;
        recipe.config.projection_dim = 8;
        let recipe = StatementRecipe {
            merges: 30,
            people: 2,
            text_steps: 2,
            pool_steps: 2,
            pool_batches: 3,
            pool_batches_a_step: 2,
            warmup: 1,
            checkpoint_every: 1,
            validate_every: 1000,
            validation_faces: 3,
            ..recipe
        };
        let mut config = recipe.config.clone();
        config.vision.num_hidden_layers = 4;
        let texts = tokenizer::learn(&["a face".to_owned()], 5).unwrap();
        config.text.vocab_size = texts.get_vocab_size(true) as i64;
        config.text.eos_token_id = config.text.vocab_size - 1;
        let weights = Weights::initialise(DEVICE);
        Clip::new(&weights, &config, DEVICE, Kind::Float).unwrap();
        export(start, &weights, &config, &texts).unwrap();
        recipe
    }

    /// Keeps each step's loss, and copies the run's files once it has made so many steps.
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
                for file in std::fs::read_dir(&self.from).unwrap() {
                    let file = file.unwrap();
                    if file.file_type().unwrap().is_file() {
                        std::fs::copy(file.path(), self.to.join(file.file_name())).unwrap();
                    }
                }
            }
        }

        fn note(&mut self, _line: &str) {}

        fn stop_requested(&self) -> bool {
            false
        }
    }

    fn options(out: &Path) -> TrainOptions {
        TrainOptions { out: out.to_owned(), steps: 6, seed: 5, threads: 1, resume: true }
    }

    /// The first weights are by chance that all tests share, so a run is compared with its own end.
    #[test]
    fn a_resumed_run_ends_where_an_uninterrupted_one_does_in_every_stage() {
        let start = tempfile::tempdir().unwrap();
        let recipe = tiny(start.path());
        let model =
            |folder: &Path| std::fs::read(folder.join(FOLDER).join("model.safetensors")).unwrap();
        let whole = tempfile::tempdir().unwrap();
        // The middle of the texts' stage and the end of the pool's; the pool is computed anew.
        for at in [1, 4] {
            let (whole, parts) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
            let (from, to) = (whole.path().to_owned(), parts.path().to_owned());
            let mut copier = Copier { at, from, to, losses: vec![] };
            let outcome = train_statements(&recipe, &options(whole.path()), &mut copier).unwrap();
            assert_eq!((outcome, copier.losses.len()), (Outcome::Finished, 6));
            let first = std::mem::take(&mut copier.losses);
            copier.at = u64::MAX - 1;
            train_statements(&recipe, &options(parts.path()), &mut copier).unwrap();
            assert_eq!(copier.losses, first[at as usize..]);
            assert!(model(parts.path()) == model(whole.path()), "weights differ");
        }
        let mut copier =
            Copier { at: u64::MAX - 1, from: PathBuf::new(), to: PathBuf::new(), losses: vec![] };
        train_statements(&recipe, &options(whole.path()), &mut copier).unwrap();
        let folder = whole.path().join(FOLDER);
        let weights = Weights::open_folder(&folder).unwrap();
        let config = ClipConfig::open(&folder.join("config.json")).unwrap();
        Clip::new(&weights, &config, DEVICE, Kind::Float).unwrap();
        weights.finish(Clip::is_buffer).unwrap();
    }

    #[test]
    fn the_image_tower_begins_as_the_blocks_that_are_asked_for() {
        let start = tempfile::tempdir().unwrap();
        let recipe = tiny(start.path());
        let out = tempfile::tempdir().unwrap();
        let options = options(out.path());
        let run = StatementRun::open(&recipe, &options).unwrap();
        let source = Weights::open_folder(start.path()).unwrap();
        let tensor = |weights: &Weights, block: usize| {
            let key = format!("{LAYERS}{block}.mlp.fc1.weight");
            let found = weights.tensors().into_iter().find(|(name, _)| *name == key);
            found.unwrap().1.to_kind(Kind::Float)
        };
        for (block, old) in [(0, 0), (1, 1), (2, 3)] {
            assert!(
                tensor(&run.trainee.weights, block).equal(&tensor(&source, old)),
                "block {block}"
            );
        }
        let error =
            transplant(start.path(), &[0, 1, 7], &run.trainee.weights).unwrap_err().to_string();
        assert!(error.contains("encoder.layers.2"), "{error}");
    }

    #[test]
    fn every_stage_has_its_own_rate() {
        let start = tempfile::tempdir().unwrap();
        let recipe = tiny(start.path());
        assert_eq!(recipe.ends(6), [2, 4, 6]);
        assert_eq!(recipe.ends(3), [2, 3, 3]);
        let out = tempfile::tempdir().unwrap();
        let options = options(out.path());
        let run = StatementRun::open(&recipe, &options).unwrap();
        for (stage, peak) in recipe.rates.into_iter().enumerate() {
            let rate = run.rate(2 * stage as u64);
            assert!((rate - peak).abs() < 1e-9, "stage {stage}: {rate}");
        }
    }
}
