//! CLIP behind an engine: texts and pictures to unit embeddings and heatmaps.

mod calibrations;
mod worker;

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use moka::sync::Cache;

use super::build::Replicas;
use super::slots::CpuSlots;
use super::stages::record_device;
use super::{Depth, Health, HeatmapConfig, ModelIdentity, ServingError, Terms, blocking};
use crate::calibration::{CalibrationFile, Kind};
use crate::engine::{Completed, Engine, Timing};
use crate::explain::{ExplainError, RawMap, Recipe};
use crate::models::clip::ClipCheckpoint;
use crate::telemetry::metrics::{self, Stage};
use crate::telemetry::traces::Lap;
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;
use crate::vision::resize::Fit;
use calibrations::Calibrations;
use worker::samples;

pub use worker::{ClipInput, ClipOutput, ClipWorker, Tower};

/// Tokens at a text's ends: its start and its end.
const MARKS: usize = 2;

/// A prompt's place in the embedding space.
#[derive(Clone, Debug)]
pub struct TextEmbedding {
    /// Unit vector, `[E]` f32.
    pub vector: Arc<[f32]>,
    /// Tokens of the prompt with both end marks, before truncation.
    pub tokens: usize,
    /// Whether the prompt was cut to what the model reads.
    pub truncated: bool,
}

/// Which heatmaps to make on a picture's forward pass.
#[derive(Clone, Debug)]
pub struct MapJob {
    /// Unit prompt embeddings, `[E]` each.
    pub prompts: Vec<Arc<[f32]>>,
    /// Unit null embeddings, `[E]` each; at least one.
    pub nulls: Vec<Arc<[f32]>>,
    /// How to make them, each once.
    pub recipes: Vec<Recipe>,
    /// Whether each map is checked with further forward passes.
    pub check: bool,
}

/// A picture's place in the embedding space, and its maps.
#[derive(Clone, Debug)]
pub struct ImageEmbedding {
    /// Unit vector, `[E]` f32.
    pub vector: Vec<f32>,
    /// Prompts outermost, methods within.
    pub maps: Vec<RawMap>,
    /// From pixels of the picture to the model's input.
    pub fit: Fit,
    /// What the model saw, in pixels of the picture.
    pub area: Rect,
    /// Time on the way.
    pub timing: StageTiming,
}

/// Time of one job on its way.
#[derive(Clone, Copy, Debug, Default)]
pub struct StageTiming {
    /// Resizing and cropping.
    pub preprocess: Duration,
    /// Waiting for the device.
    pub queue: Duration,
    /// On the device.
    pub inference: Duration,
    /// Of that: heatmaps.
    pub explain: Duration,
    /// Jobs in the batch.
    pub batch: usize,
}

/// A served CLIP model; cheap to clone.
#[derive(Clone)]
pub struct ClipService {
    identity: ModelIdentity,
    checkpoint: Arc<ClipCheckpoint>,
    scale: f32,
    engine: Engine<ClipWorker>,
    cpu: CpuSlots,
    texts: Cache<String, TextEmbedding>,
    heatmaps: Arc<HeatmapConfig>,
    calibrations: Arc<Calibrations>,
}

impl ClipService {
    /// Builds and warms every replica, each in a thread of its own; returns when all are ready. The
    /// kind in `replicas` is the image tower's (f32 or bf16).
    pub fn start(
        identity: ModelIdentity,
        checkpoint: ClipCheckpoint,
        replicas: Replicas,
        (cached_texts, heatmaps): (u64, HeatmapConfig),
    ) -> Result<Self, String> {
        let checkpoint = Arc::new(checkpoint);
        let calibrations = Calibrations::beside(&checkpoint)?;
        let (kind, cpu) = (replicas.kind, replicas.cpu.clone());
        let (built, warmed) = (Arc::clone(&checkpoint), Arc::clone(&checkpoint));
        let build = move |device| ClipWorker::build(&built, device, kind);
        let engine = replicas.start(build, move || samples(&warmed))?;
        let scale = checkpoint.logit_scale().map_err(|e| e.to_string())?;
        let texts = Cache::builder().max_capacity(cached_texts).build();
        let (heatmaps, calibrations) = (heatmaps.into(), calibrations.into());
        Ok(Self { identity, checkpoint, scale, engine, cpu, texts, heatmaps, calibrations })
    }

    /// Which weights answer.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// The factor between cosine and logit.
    pub fn scale(&self) -> f32 {
        self.scale
    }

    /// Width E of the embedding space.
    pub fn dimension(&self) -> usize {
        self.checkpoint.config.projection_dim as usize
    }

    /// Tokens that the text tower reads of a text, without the marks at its ends.
    pub fn context_tokens(&self) -> usize {
        self.checkpoint.tokenizer.context().saturating_sub(MARKS)
    }

    /// Counts the tokens of a text as the tower would, without the marks at its ends.
    pub fn token_counter(&self) -> impl Fn(&str) -> usize + Send + 'static {
        let checkpoint = Arc::clone(&self.checkpoint);
        move |text| checkpoint.tokenizer.encode(text).tokens_before.saturating_sub(MARKS)
    }

    /// Prompts that say nothing in particular, where a request has none of its own; at least one.
    pub fn null_prompts(&self) -> &[String] {
        &self.heatmaps.null_prompts
    }

    /// What turns figures of this kind into probabilities; nothing where no file in the model's
    /// folder was fitted for these weights.
    pub fn calibration(&self, kind: Kind) -> Option<&CalibrationFile> {
        self.calibrations.of(kind)
    }

    /// Whether the image tower has what the recipe reads.
    pub fn reads(&self, recipe: &Recipe) -> Result<(), ExplainError> {
        recipe.check(self.depth_of_tower())
    }

    /// Whether maps of `prompts` prompts can be made by `recipes`, and are cheap enough.
    pub fn admits(
        &self,
        recipes: &[Recipe],
        prompts: usize,
        check: bool,
    ) -> Result<(), ServingError> {
        let limit = self.heatmaps.max_passes;
        let refused = |reason| ServingError::invalid("heatmaps", reason);
        for recipe in recipes {
            self.reads(recipe).map_err(|error| refused(error.to_string()))?;
        }
        let passes = self.passes(recipes, check) * prompts;
        if passes <= limit {
            return Ok(());
        }
        let cost = |recipe: &Recipe| {
            format!("{} {}", recipe.method, self.passes(std::slice::from_ref(recipe), check))
        };
        let costs = recipes.iter().map(cost).collect::<Vec<_>>().join(", ");
        Err(refused(format!(
            "takes about {passes} forward passes, limit {limit}; a prompt takes: {costs}"
        )))
    }

    /// Whether `looks` closer looks at `grid_scale` times the model's own side, each with maps of
    /// `prompts` prompts by `recipes`, are cheap enough beside the maps of the whole picture, which
    /// [are admitted](Self::admits) by themselves.
    pub fn admits_looks(
        &self,
        (recipes, check): (&[Recipe], bool),
        prompts: usize,
        (looks, grid_scale): (usize, u32),
    ) -> Result<(), ServingError> {
        let area = (grid_scale * grid_scale) as usize;
        let look = area * (1 + self.passes(recipes, false) * prompts);
        let whole = self.passes(recipes, check) * prompts;
        let (passes, limit) = (whole + looks * look, self.heatmaps.max_passes);
        if passes <= limit {
            return Ok(());
        }
        let reason = format!(
            "takes about {passes} forward passes, limit {limit}: {looks} looks of {look}, and {whole} \
             for the whole picture"
        );
        Err(ServingError::invalid("heatmaps.zoom", reason))
    }

    /// Forward passes that maps of one prompt take, about, beyond the one that makes the score.
    fn passes(&self, recipes: &[Recipe], check: bool) -> usize {
        let width = self.checkpoint.config.vision.hidden_size as usize;
        let size = (self.depth_of_tower(), width);
        recipes.iter().map(|recipe| recipe.passes(size, check)).sum()
    }

    /// The blocks of the image tower that a recipe reads, counted from 0, ascending.
    pub fn layers(&self, recipe: &Recipe) -> Vec<usize> {
        recipe.layers_in(self.depth_of_tower())
    }

    /// The layers that a recipe reads, by checkpoint key: `vision_model.encoder.layers.8-11`, or
    /// with commas where they have gaps.
    pub fn layer_name(&self, recipe: &Recipe) -> String {
        let layers = self.layers(recipe);
        let shown = match layers.as_slice() {
            [] => String::new(),
            [one] => one.to_string(),
            [first, .., last] if last - first + 1 == layers.len() => format!("{first}-{last}"),
            gaps => gaps.iter().map(usize::to_string).collect::<Vec<_>>().join(","),
        };
        format!("vision_model.encoder.layers.{shown}")
    }

    fn depth_of_tower(&self) -> usize {
        self.checkpoint.config.vision.num_hidden_layers as usize
    }

    /// Patches along one side of what the model sees: the side of its heatmaps.
    pub fn grid_side(&self) -> usize {
        self.checkpoint.config.vision.grid() as usize
    }

    /// How long a job may wait for others to join its batch.
    pub fn batch_wait(&self) -> Duration {
        self.engine.config().max_batch_wait
    }

    /// Jobs that ride in one batch at most.
    pub fn max_batch(&self) -> usize {
        self.engine.config().max_batch
    }

    /// What waits and runs.
    pub fn depth(&self) -> Depth {
        self.engine.depth()
    }

    /// How the replicas fare.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Answers what is queued, then stops the workers; at most `limit` long.
    pub async fn drain(&self, limit: Duration) {
        let left = self.engine.drain(limit).await;
        if left > 0 {
            tracing::warn!(model = %self.identity.name, left, "jobs were left unanswered");
        }
    }

    /// Unit embeddings of `prompts`, from the cache where it knows them.
    pub async fn embed_texts(
        &self,
        prompts: &[String],
        terms: Terms,
    ) -> Result<Vec<TextEmbedding>, ServingError> {
        let timed = self.embed_texts_timed(prompts, terms).await?;
        Ok(timed.into_iter().map(|(embedding, _)| embedding).collect())
    }

    /// The same, each with its time on the way where the cache did not know it.
    pub async fn embed_texts_timed(
        &self,
        prompts: &[String],
        terms: Terms,
    ) -> Result<Vec<(TextEmbedding, Option<StageTiming>)>, ServingError> {
        // A few batches at a time: one request's many prompts must not fill the queue.
        let waiting = prompts.iter().cloned().map(|prompt| self.embed_text(prompt, terms));
        let limits = self.engine.config();
        let at_once = (limits.max_batch * 2).min(limits.max_queued_items / 2).max(1);
        stream::iter(waiting).buffered(at_once).try_collect().await
    }

    async fn embed_text(
        &self,
        prompt: String,
        terms: Terms,
    ) -> Result<(TextEmbedding, Option<StageTiming>), ServingError> {
        if let Some(known) = self.texts.get(&prompt) {
            metrics::record_cache("text", true);
            return Ok((known, None));
        }
        metrics::record_cache("text", false);
        let tokens = self.checkpoint.tokenizer.encode(&prompt);
        let done = self.submit(ClipInput::Text(tokens.ids), terms).await?;
        let ClipOutput::Text(vector) = done.output else {
            return Err(self.failed("a text job gave a picture's result"));
        };
        let embedding = TextEmbedding {
            vector: vector.into(),
            tokens: tokens.tokens_before,
            truncated: tokens.truncated,
        };
        self.texts.insert(prompt, embedding.clone());
        let Timing { queue, run, batch } = done.timing;
        let timing = StageTiming { queue, inference: run, batch, ..StageTiming::default() };
        Ok((embedding, Some(timing)))
    }

    /// The unit embedding of a picture, with the heatmaps of `maps` made on the same forward pass.
    pub async fn embed_image(
        &self,
        image: Arc<Rgb8>,
        maps: Option<MapJob>,
        terms: Terms,
    ) -> Result<ImageEmbedding, ServingError> {
        self.embed(maps, terms, move |checkpoint| checkpoint.preprocess.apply(&image)).await
    }

    /// The same of a square picture, seen whole at `grid_scale` times the side that the model was
    /// made for.
    pub async fn look_closer(
        &self,
        square: Rgb8,
        maps: MapJob,
        grid_scale: u32,
        terms: Terms,
    ) -> Result<ImageEmbedding, ServingError> {
        let prepare = move |checkpoint: &ClipCheckpoint| {
            let own_px = checkpoint.config.vision.image_size as u32;
            checkpoint.preprocess.whole(&square, own_px * grid_scale)
        };
        self.embed(Some(maps), terms, prepare).await
    }

    /// The embedding of the square pixels that `prepare` makes.
    async fn embed(
        &self,
        maps: Option<MapJob>,
        terms: Terms,
        prepare: impl FnOnce(&ClipCheckpoint) -> (Rgb8, Fit) + Send + 'static,
    ) -> Result<ImageEmbedding, ServingError> {
        let checkpoint = Arc::clone(&self.checkpoint);
        let slot = self.cpu.until(terms).await?;
        let started = Instant::now();
        let (pixels, fit) = blocking(slot, move || prepare(&checkpoint)).await?;
        let side = pixels.width() as f32;
        let preprocess = Lap::since(Stage::Preprocess, started).record();
        let submitted = Instant::now();
        let done = self.submit(ClipInput::Image { pixels, maps }, terms).await?;
        let ClipOutput::Image { vector, maps, explain } = done.output else {
            return Err(self.failed("a picture job gave a text's result"));
        };
        record_device(&self.identity.name, submitted, &done.timing, explain);
        let Timing { queue, run, batch } = done.timing;
        let timing = StageTiming { preprocess, queue, inference: run, explain, batch };
        let area = fit.to_source(Rect::new(0.0, 0.0, side, side));
        Ok(ImageEmbedding { vector, maps, fit, area, timing })
    }

    async fn submit(
        &self,
        input: ClipInput,
        terms: Terms,
    ) -> Result<Completed<ClipOutput>, ServingError> {
        let result = self.engine.submit(input, terms).await;
        result.map_err(|error| ServingError::from_engine(&self.identity.name, error))
    }

    fn failed(&self, reason: &str) -> ServingError {
        ServingError::Failed { model: self.identity.name.clone(), reason: reason.to_owned() }
    }
}
