//! CLIP behind an engine: texts and pictures to unit embeddings and heatmaps.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use moka::sync::Cache;
use tch::{Device, IndexOp, Kind, Tensor};

use super::build::{Replicas, not_started};
use super::slots::CpuSlots;
use super::stages::record_device;
use super::{Depth, Health, HeatmapConfig, ModelIdentity, ServingError, Terms, blocking};
use crate::engine::{BatchModel, Completed, DeviceError, Engine, ItemError, Timing};
use crate::explain::{self, CALIBRATION_FILE, Calibration, Contrast, Method, RawMap, Recipe};
use crate::models::clip::{Clip, ClipCheckpoint, Preprocess, TapPlan, Tape, normalised};
use crate::telemetry::metrics::{self, Stage};
use crate::telemetry::traces::Lap;
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;
use crate::vision::resize::Fit;

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
        let (warm_up, kind, cpu) = (replicas.warm_up(), replicas.kind, replicas.cpu);
        let factories = replicas.devices.iter().map(|&device| {
            let (checkpoint, name) = (Arc::clone(&checkpoint), replicas.engine.name.clone());
            let factory = move || {
                let mut worker = ClipWorker::build(&checkpoint, device, kind)?;
                warm_up.run(&mut worker, &name, &samples(&checkpoint))?;
                Ok(worker)
            };
            Box::new(factory) as Box<dyn Fn() -> Result<ClipWorker, DeviceError> + Send>
        });
        let factories = factories.collect();
        let engine = Engine::start(replicas.engine, factories).map_err(not_started)?;
        let scale = checkpoint.logit_scale().map_err(|e| e.to_string())?;
        let texts = Cache::builder().max_capacity(cached_texts).build();
        Ok(Self { identity, checkpoint, scale, engine, cpu, texts, heatmaps: heatmaps.into() })
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

    /// Prompts that say nothing in particular, where a request has none of its own; at least one.
    pub fn null_prompts(&self) -> &[String] {
        &self.heatmaps.null_prompts
    }

    /// Whether maps of `prompts` prompts can be made by `recipes`, and are cheap enough.
    pub fn admits(
        &self,
        recipes: &[Recipe],
        prompts: usize,
        check: bool,
    ) -> Result<(), ServingError> {
        let depth = self.depth_of_tower();
        let width = self.checkpoint.config.vision.hidden_size as usize;
        let refused = |reason| ServingError::invalid("heatmaps", reason);
        for recipe in recipes {
            recipe.check(depth).map_err(|error| refused(error.to_string()))?;
        }
        let passes = recipes.iter().map(|recipe| recipe.passes((depth, width), check));
        let (passes, limit) = (passes.sum::<usize>() * prompts, self.heatmaps.max_passes);
        if passes <= limit {
            return Ok(());
        }
        let mut costs = recipes
            .iter()
            .map(|recipe| format!("{} {}", recipe.method, recipe.passes((depth, width), check)));
        let costs = costs.by_ref().collect::<Vec<_>>().join(", ");
        Err(refused(format!(
            "takes about {passes} forward passes, limit {limit}; a prompt takes: {costs}"
        )))
    }

    /// The layers that a recipe reads, by checkpoint key: `vision_model.encoder.layers.8-11`, or
    /// with commas where they have gaps.
    pub fn layer_name(&self, recipe: &Recipe) -> String {
        let layers = recipe.layers_in(self.depth_of_tower());
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
        let started = Instant::now();
        let checkpoint = Arc::clone(&self.checkpoint);
        let slot = self.cpu.until(terms).await?;
        let (pixels, fit) = blocking(slot, move || checkpoint.preprocess.apply(&image)).await?;
        let preprocess = Lap::since(Stage::Preprocess, started).record();
        let submitted = Instant::now();
        let done = self.submit(ClipInput::Image { pixels, maps }, terms).await?;
        let ClipOutput::Image { vector, maps, explain } = done.output else {
            return Err(self.failed("a picture job gave a text's result"));
        };
        record_device(&self.identity.name, submitted, &done.timing, explain);
        let Timing { queue, run, batch } = done.timing;
        let timing = StageTiming { preprocess, queue, inference: run, explain, batch };
        let side = self.checkpoint.config.vision.image_size as f32;
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

/// What the device thread is asked.
#[derive(Clone, Debug)]
pub enum ClipInput {
    /// Token ids with both end marks.
    Text(Vec<i64>),
    /// Preprocessed pixels, and the maps to make.
    Image {
        /// `[S, S, 3]` u8.
        pixels: Rgb8,
        /// Heatmaps, where asked for.
        maps: Option<MapJob>,
    },
}

/// What the device thread answers.
#[derive(Debug)]
pub enum ClipOutput {
    /// Unit embedding, `[E]`.
    Text(Vec<f32>),
    /// Unit embedding `[E]`, maps, and the time the maps took.
    Image {
        /// `[E]`.
        vector: Vec<f32>,
        /// Prompts outermost, methods within.
        maps: Vec<RawMap>,
        /// Time the maps took.
        explain: Duration,
    },
}

/// The two towers share a device but not a batch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tower {
    /// Token ids.
    Text,
    /// Pixels.
    Image,
}

/// The net in its device thread.
pub struct ClipWorker {
    clip: Clip,
    preprocess: Preprocess,
    calibration: Option<Calibration>,
    end_token: i64,
    device: Device,
}

impl ClipWorker {
    fn build(checkpoint: &ClipCheckpoint, device: Device, kind: Kind) -> Result<Self, DeviceError> {
        let clip = checkpoint.build(device, kind).map_err(|e| DeviceError(e.to_string()))?;
        let (preprocess, calibration) =
            (checkpoint.preprocess.clone(), calibration(checkpoint).map_err(DeviceError)?);
        let end_token = checkpoint.tokenizer.end_token();
        Ok(Self { clip, preprocess, calibration, end_token, device })
    }

    fn texts(&self, rows: &[Vec<i64>]) -> Vec<Result<ClipOutput, ItemError>> {
        let longest = rows.iter().map(Vec::len).max().unwrap_or(0);
        let padded: Vec<i64> = rows
            .iter()
            .flat_map(|row| {
                let padding = std::iter::repeat_n(self.end_token, longest - row.len());
                row.iter().copied().chain(padding)
            })
            .collect();
        let ids = Tensor::from_slice(&padded)
            .view([rows.len() as i64, longest as i64])
            .to_device(self.device);
        let embeddings = self.clip.text.embed(&ids).to_device(Device::Cpu);
        (0..rows.len()).map(|row| Ok(ClipOutput::Text(vector(&embeddings.i(row as i64))))).collect()
    }

    fn images(&self, jobs: &[(Rgb8, Option<MapJob>)]) -> Vec<Result<ClipOutput, ItemError>> {
        let depth = self.clip.vision.depth();
        let plan = jobs.iter().filter_map(|(_, maps)| maps.as_ref()).map(|job| job.plan(depth));
        let plan = plan.max();
        let pixels =
            Tensor::stack(&jobs.iter().map(|(image, _)| tensor(image)).collect::<Vec<_>>(), 0);
        let pixels = self.preprocess.normalise(&pixels.to_device(self.device));
        let encoded = self.clip.vision.encode(&pixels, plan.unwrap_or_default());
        let units = normalised(&encoded.embedding);
        let vectors = units.to_device(Device::Cpu);
        let explained = jobs.iter().enumerate().map(|(item, (_, maps))| {
            let started = Instant::now();
            let maps = match (maps, &encoded.tape) {
                (Some(maps), Some(tape)) => {
                    let contrast = Contrast::new(
                        &self.rows(&maps.prompts),
                        &self.rows(&maps.nulls),
                        &units.i(item as i64),
                    );
                    self.maps((tape, item), maps, &contrast)
                }
                _ => Vec::new(),
            };
            let explain = if maps.is_empty() { Duration::ZERO } else { started.elapsed() };
            let vector = vector(&vectors.i(item as i64));
            if vector.iter().any(|value| !value.is_finite()) {
                return Err(ItemError("the picture's embedding is not finite".to_owned()));
            }
            Ok(ClipOutput::Image { vector, maps, explain })
        });
        explained.collect()
    }

    fn maps(&self, tape: (&Tape, usize), job: &MapJob, contrast: &Contrast) -> Vec<RawMap> {
        let make = if job.check { explain::checked_maps } else { explain::recipe_maps };
        let maps = make(&self.clip, tape, &job.recipes, contrast);
        let mut maps = maps.expect("who asks has asked whether the model admits it");
        for map in &mut maps {
            let calibration = self.calibration.as_ref();
            map.hit_probability = calibration.and_then(|fit| fit.probability(map));
        }
        maps
    }

    /// Unit vectors as a matrix `[rows, E]` on the device.
    fn rows(&self, vectors: &[Arc<[f32]>]) -> Tensor {
        let rows: Vec<Tensor> = vectors.iter().map(|vector| Tensor::from_slice(vector)).collect();
        Tensor::stack(&rows, 0).to_device(self.device)
    }
}

impl MapJob {
    /// What the forward pass of a tower of `depth` blocks must keep.
    fn plan(&self, depth: usize) -> TapPlan {
        if self.check {
            return TapPlan::EveryInput;
        }
        self.recipes.iter().map(|recipe| recipe.plan(depth)).max().unwrap_or_default()
    }
}

impl BatchModel for ClipWorker {
    type Input = ClipInput;
    type Output = ClipOutput;
    type Key = Tower;

    fn key(input: &ClipInput) -> Tower {
        match input {
            ClipInput::Text(_) => Tower::Text,
            ClipInput::Image { .. } => Tower::Image,
        }
    }

    fn bytes(input: &ClipInput) -> usize {
        match input {
            ClipInput::Text(ids) => ids.len() * size_of::<i64>(),
            ClipInput::Image { pixels, maps } => {
                let vectors = maps.iter().flat_map(|maps| maps.prompts.iter().chain(&maps.nulls));
                pixels.pixels().len() + vectors.map(|vector| size_of_val(&**vector)).sum::<usize>()
            }
        }
    }

    fn duplicate(input: &ClipInput) -> Option<ClipInput> {
        Some(input.clone())
    }

    fn run(
        &mut self,
        batch: Vec<ClipInput>,
    ) -> Result<Vec<Result<ClipOutput, ItemError>>, DeviceError> {
        let (mut rows, mut jobs) = (Vec::new(), Vec::new());
        for input in batch {
            match input {
                ClipInput::Text(ids) => rows.push(ids),
                ClipInput::Image { pixels, maps } => jobs.push((pixels, maps)),
            }
        }
        Ok(tch::no_grad(|| if rows.is_empty() { self.images(&jobs) } else { self.texts(&rows) }))
    }
}

/// How sure the model's maps are, where a file in its folder tells.
fn calibration(checkpoint: &ClipCheckpoint) -> Result<Option<Calibration>, String> {
    let path = checkpoint.folder.join(CALIBRATION_FILE);
    let told = |reason: String| format!("{}: {reason}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(json) => Calibration::parse(&json).map(Some).map_err(told),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(error.to_string())),
    }
}

/// A job for every path through the net: a short and a full text, and a grey picture without maps
/// and with the maps of each plan.
fn samples(checkpoint: &ClipCheckpoint) -> Vec<ClipInput> {
    let side = checkpoint.config.vision.image_size as u32;
    let grey = Rgb8::filled(side, side, [128; 3]);
    let long = "a photo ".repeat(checkpoint.config.text.max_position_embeddings as usize);
    let texts = ["", &long].map(|text| ClipInput::Text(checkpoint.tokenizer.encode(text).ids));
    // Any two directions will do.
    let direction = |axis: usize| -> Arc<[f32]> {
        let width = checkpoint.config.projection_dim as usize;
        (0..width).map(|at| if at == axis { 1.0 } else { 0.0 }).collect()
    };
    let maps = |methods: &[Method]| {
        let (prompts, nulls) = (vec![direction(0)], vec![direction(1)]);
        let recipes = methods.iter().copied().map(Recipe::of).collect();
        Some(MapJob { prompts, nulls, recipes, check: false })
    };
    let each = Method::USUAL.iter().map(|method| maps(std::slice::from_ref(method)));
    let replayed = [maps(&[Method::Legrad])];
    let pictures = [None].into_iter().chain(each).chain(replayed).chain([maps(&Method::USUAL)]);
    let pictures = pictures.map(|maps| ClipInput::Image { pixels: grey.clone(), maps });
    texts.into_iter().chain(pictures).collect()
}

/// `[S, S, 3]` u8.
fn tensor(image: &Rgb8) -> Tensor {
    let (height, width) = (i64::from(image.height()), i64::from(image.width()));
    Tensor::from_slice(image.pixels()).view([height, width, 3])
}

/// A one-dimensional tensor's elements.
fn vector(tensor: &Tensor) -> Vec<f32> {
    let mut values = vec![0.0; tensor.numel()];
    tensor.to_kind(Kind::Float).copy_data(&mut values, tensor.numel());
    values
}
