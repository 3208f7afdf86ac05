//! The net in its device thread: texts and pictures to unit embeddings, and heatmaps on the way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::{Device, IndexOp, Kind, Tensor};

use super::MapJob;
use super::calibrations::fitted_for;
use crate::engine::{BatchModel, DeviceError, ItemError};
use crate::explain::{self, CALIBRATION_FILE, Calibration, Contrast, Method, RawMap, Recipe};
use crate::models::clip::{Clip, ClipCheckpoint, Preprocess, TapPlan, Tape, normalised};
use crate::vision::image::Rgb8;

/// What the device thread is asked.
#[derive(Clone, Debug)]
pub enum ClipInput {
    /// Token ids with both end marks.
    Text(Vec<i64>),
    /// Preprocessed pixels, and the maps to make.
    Image {
        /// `[S, S, 3]` u8; S is the model's own side or a multiple of it.
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

/// The two towers share a device but not a batch, and neither do pictures of two sizes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Tower {
    /// Token ids.
    Text,
    /// Pixels.
    Image {
        /// Side of the picture in pixels.
        side_px: u32,
    },
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
    pub(super) fn build(
        checkpoint: &ClipCheckpoint,
        device: Device,
        kind: Kind,
    ) -> Result<Self, DeviceError> {
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
                    self.maps((tape, item), maps, &contrast)?
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

    /// A recipe that the model cannot follow fails its own job: who asks should have asked whether
    /// the model admits it.
    fn maps(
        &self,
        tape: (&Tape, usize),
        job: &MapJob,
        contrast: &Contrast,
    ) -> Result<Vec<RawMap>, ItemError> {
        let make = if job.check { explain::checked_maps } else { explain::recipe_maps };
        let maps = make(&self.clip, tape, &job.recipes, contrast);
        let mut maps = maps.map_err(|error| ItemError(error.to_string()))?;
        for map in &mut maps {
            let calibration = self.calibration.as_ref();
            map.hit_probability = calibration.and_then(|fit| fit.probability(map));
        }
        Ok(maps)
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
            ClipInput::Image { pixels, .. } => Tower::Image { side_px: pixels.width() },
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
    fitted_for(checkpoint, CALIBRATION_FILE, Calibration::parse, |read| &read.checksum)
}

/// A job for every path through the net: a short and a full text, and a grey picture without maps
/// and with the maps of each plan.
pub(super) fn samples(checkpoint: &ClipCheckpoint) -> Vec<ClipInput> {
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
