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
    use crate::training::trainee::{checkpoint_file, tokenizer_file};

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

    /// Keeps each step's loss, and copies the run's files from `from` to the folders of the steps
    /// that are asked for.
    struct Watch<'a> {
        from: &'a Path,
        copies: Vec<(u64, PathBuf)>,
        losses: Vec<f64>,
    }

    impl Observer for Watch<'_> {
        fn progress(&mut self, progress: &Progress<'_>) {
            self.losses.push(progress.figures[0].1);
            // A step's checkpoint is written after its report, so this is the one before.
            for (_, to) in self.copies.iter().filter(|(at, _)| progress.step == at + 1) {
                for name in [checkpoint_file(FOLDER), tokenizer_file(FOLDER)] {
                    std::fs::copy(self.from.join(&name), to.join(&name)).unwrap();
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

    #[test]
    fn a_resumed_run_ends_where_an_uninterrupted_one_does_in_every_stage() {
        let start = tempfile::tempdir().unwrap();
        let recipe = tiny(start.path());
        // The middle of each stage; the pool is computed anew.
        let stops = [1u64, 3, 5].map(|at| (at, tempfile::tempdir().unwrap()));
        let whole = tempfile::tempdir().unwrap();
        let copies = stops.iter().map(|(at, folder)| (*at, folder.path().to_owned())).collect();
        let mut watch = Watch { from: whole.path(), copies, losses: vec![] };
        let outcome = train_statements(&recipe, &options(whole.path()), &mut watch).unwrap();
        assert_eq!((outcome, watch.losses.len()), (Outcome::Finished, 6));
        let model =
            |folder: &Path| std::fs::read(folder.join(FOLDER).join("model.safetensors")).unwrap();
        for (at, parts) in &stops {
            let mut rest = Watch { from: whole.path(), copies: vec![], losses: vec![] };
            train_statements(&recipe, &options(parts.path()), &mut rest).unwrap();
            assert_eq!(rest.losses, watch.losses[*at as usize..], "from step {at}");
            assert!(model(parts.path()) == model(whole.path()), "weights differ");
        }
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
    fn the_pool_has_the_tokens_that_the_last_block_would_see() {
        let start = tempfile::tempdir().unwrap();
        let recipe = tiny(start.path());
        let out = tempfile::tempdir().unwrap();
        let options = options(out.path());
        let run = StatementRun::open(&recipe, &options).unwrap();
        let pool = run.pool().unwrap();
        assert_eq!(pool.len(), 3);
        let (people, tokens) = run.pooled(&pool, &mut faces::chance(1, 1));
        assert_eq!((people.specs.len(), tokens.size()[0]), (8, 8));
        let mut drawn = faces::Faces::new(&recipe.format());
        for spec in &people.specs {
            drawn.push(&crate::scenes::draw(spec, faces::DRAWN_PX)).unwrap();
        }
        let clip = run.trainee.clip().unwrap();
        let whole = clip.vision.encode(&drawn.pixel_tensor(DEVICE), TapPlan::LastBlock);
        let end = clip.vision.finish(&tokens);
        let difference = (whole.embedding - end.embedding).abs().max().double_value(&[]);
        // f16 keeps three digits.
        assert!(difference < 5e-3, "{difference}");
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
