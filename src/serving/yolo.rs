//! YOLOv8 behind an engine: pictures to boxes, and to maps of what made them.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::{Device, IndexOp, Kind, Tensor};

use super::build::Replicas;
use super::clip::StageTiming;
use super::slots::CpuSlots;
use super::stages::record_device;
use super::{Depth, Health, ModelIdentity, ServingError, Terms, blocking};
use crate::engine::{BatchModel, DeviceError, Engine, ItemError, Timing};
use crate::explain::{BoxCandidate, BoxHeat, BoxMap, DETECTOR_METHODS, Method, candidate_maps};
use crate::models::yolo::{BatchNorm, PYRAMID_LAYERS, Pyramid, Yolo, YoloCheckpoint};
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::Lap;
use crate::vision::boxes::{Candidate, NmsOptions, Rect, nms, surviving};
use crate::vision::image::Rgb8;
use crate::vision::letterbox::{Fit, Padding, letterbox};
use crate::vision::resize;

/// One box of a detector, in pixels of the frame.
pub type Found = Candidate;

/// Which boxes get maps of what made them.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct BoxMapJob {
    /// How to make them, each once: see [`explains_boxes`](crate::explain::explains_boxes).
    pub methods: Vec<Method>,
    /// At most this many boxes, the most confident.
    pub max_boxes: usize,
}

/// What made a box.
#[derive(Clone, Debug)]
pub struct FoundMap {
    /// The cells that see the frame; those that see nothing but the letterbox's grey are left out.
    pub heat: BoxHeat,
    /// The layer that was read, as the checkpoint names it: `model.15`.
    pub layer: String,
    /// Pixels of the net's input along one side of a cell.
    pub stride_px: u32,
    /// What the cells cover, in pixels of the frame; by less than a cell beyond it on each side.
    pub area: Rect,
}

/// Boxes of a frame, and the time on the way.
#[derive(Clone, Debug)]
pub struct FoundBoxes {
    /// Most confident first, in pixels of the frame.
    pub boxes: Vec<Found>,
    /// Of the first boxes, as many as were asked for: one map by each method, in the order asked.
    pub maps: Vec<Vec<FoundMap>>,
    /// From pixels of the frame to those of the net's input.
    pub fit: resize::Fit,
    /// Time on the way.
    pub timing: StageTiming,
    /// Suppression and mapping back to the frame.
    pub postprocess: Duration,
}

/// A served detector; cheap to clone.
#[derive(Clone)]
pub struct DetectorService {
    identity: ModelIdentity,
    checkpoint: Arc<YoloCheckpoint>,
    engine: Engine<DetectorWorker>,
    cpu: CpuSlots,
}

impl DetectorService {
    /// Builds and warms every replica, each in a thread of its own; returns when all are ready.
    pub fn start(
        identity: ModelIdentity,
        checkpoint: YoloCheckpoint,
        replicas: Replicas,
    ) -> Result<Self, String> {
        let checkpoint = Arc::new(checkpoint);
        let (kind, cpu) = (replicas.kind, replicas.cpu.clone());
        let (built, side_px) = (Arc::clone(&checkpoint), checkpoint.input_px);
        let build = move |device| DetectorWorker::build(&built, device, kind);
        let engine = replicas.start(build, move || samples(side_px))?;
        Ok(Self { identity, checkpoint, engine, cpu })
    }

    /// Which weights answer.
    pub fn identity(&self) -> &ModelIdentity {
        &self.identity
    }

    /// Names of the classes, by index.
    pub fn classes(&self) -> &[String] {
        &self.checkpoint.config.classes
    }

    /// What waits and runs.
    pub fn depth(&self) -> Depth {
        self.engine.depth()
    }

    /// How the replicas fare.
    pub fn health(&self) -> Health {
        self.engine.health()
    }

    /// Frames that ride in one batch at most.
    pub fn max_batch(&self) -> usize {
        self.engine.config().max_batch
    }

    /// How long a frame may wait for others to join its batch.
    pub fn batch_wait(&self) -> Duration {
        self.engine.config().max_batch_wait
    }

    /// Answers what is queued, then stops the workers; at most `limit` long.
    pub async fn drain(&self, limit: Duration) {
        let left = self.engine.drain(limit).await;
        if left > 0 {
            tracing::warn!(model = %self.identity.name, left, "jobs were left unanswered");
        }
    }

    /// Boxes of a frame, suppressed and ordered as `options` say, with maps of what made them from
    /// the same forward pass where `maps` asks for them.
    pub async fn detect(
        &self,
        image: Arc<Rgb8>,
        options: NmsOptions,
        maps: Option<BoxMapJob>,
        terms: Terms,
    ) -> Result<FoundBoxes, ServingError> {
        let side = self.checkpoint.input_px;
        let slot = self.cpu.until(terms).await?;
        let started = Instant::now();
        let (pixels, fit) =
            blocking(slot, move || letterbox(&image, side, Padding::Minimal { stride: 32 }))
                .await?;
        let preprocess = Lap::since(Stage::Preprocess, started).record();
        let input = DetectorInput { pixels, options: options.clone(), maps };
        let submitted = Instant::now();
        let done = self
            .engine
            .submit(input, terms)
            .await
            .map_err(|error| ServingError::from_engine(&self.identity.name, error))?;
        let DetectorOutput { candidates, maps, explain } = done.output;
        record_device(&self.identity.name, submitted, &done.timing, explain);
        let slot = self.cpu.until(terms).await?;
        let started = Instant::now();
        let Timing { queue, run, batch } = done.timing;
        let timing = StageTiming { preprocess, queue, inference: run, explain, batch };
        let (boxes, maps) = blocking(slot, move || {
            let mut boxes = nms(&candidates, &options);
            for found in &mut boxes {
                found.rect = fit.to_source(found.rect);
            }
            (boxes, of_boxes(&maps, &fit))
        })
        .await?;
        let postprocess = Lap::since(Stage::Postprocess, started).record();
        Ok(FoundBoxes { boxes, maps, fit: fit.transform(), timing, postprocess })
    }
}

/// Raw maps, methods outermost, to what of them lies on the frame, boxes outermost.
fn of_boxes(maps: &[Vec<BoxMap>], fit: &Fit) -> Vec<Vec<FoundMap>> {
    let boxes = maps.first().map_or(0, Vec::len);
    (0..boxes)
        .map(|at| maps.iter().map(|by_method| on_frame(&by_method[at], fit)).collect())
        .collect()
}

fn on_frame(map: &BoxMap, fit: &Fit) -> FoundMap {
    let stride_px = map.stride_px as u32;
    let (rows, columns) = fit.cells(stride_px);
    let edge = |cell: u32| (cell * stride_px) as f32;
    let covered =
        Rect::new(edge(columns.start), edge(rows.start), edge(columns.end), edge(rows.end));
    FoundMap {
        heat: BoxHeat::cut(map, rows, columns),
        layer: format!("model.{}", PYRAMID_LAYERS[map.level]),
        stride_px,
        area: fit.transform().to_source(covered),
    }
}

/// A letterboxed frame, and what is asked of it.
#[derive(Clone, Debug)]
pub struct DetectorInput {
    pixels: Rgb8,
    options: NmsOptions,
    maps: Option<BoxMapJob>,
}

/// What the device thread answers.
#[derive(Debug)]
pub struct DetectorOutput {
    /// Above the threshold, in pixels of the letterboxed frame.
    candidates: Vec<Candidate>,
    /// Where asked for: by method, one for each of the first boxes that survive suppression, all on
    /// the processor.
    maps: Vec<Vec<BoxMap>>,
    /// The time that the maps took.
    explain: Duration,
}

/// The net in its device thread.
pub struct DetectorWorker {
    yolo: Yolo,
    device: Device,
    kind: Kind,
}

impl DetectorWorker {
    fn build(checkpoint: &YoloCheckpoint, device: Device, kind: Kind) -> Result<Self, DeviceError> {
        let yolo = checkpoint.build(device, kind, BatchNorm::Fused);
        Ok(Self { yolo: yolo.map_err(|e| DeviceError(e.to_string()))?, device, kind })
    }

    /// `decoded` is one frame's `[A, 4 + C]` f32 on the processor, `pyramid` the whole batch's.
    fn answer(
        &self,
        input: &DetectorInput,
        decoded: &Tensor,
        (pyramid, item): (&Pyramid, usize),
    ) -> Result<DetectorOutput, ItemError> {
        let (candidates, places) = candidates(decoded, input.options.min_confidence);
        let Some(job) = &input.maps else {
            return Ok(DetectorOutput { candidates, maps: Vec::new(), explain: Duration::ZERO });
        };
        // Suppression is not the device's work, and is done after it for every frame; here only to
        // know which boxes will be left.
        let started = Instant::now();
        let max_detections = job.max_boxes.min(input.options.max_detections);
        let options = NmsOptions { max_detections, ..input.options.clone() };
        let chosen: Vec<BoxCandidate> = surviving(&candidates, &options)
            .into_iter()
            .map(|at| BoxCandidate { place: places[at] as usize, class: candidates[at].class })
            .collect();
        let of_item = pyramid.each_ref().map(|level| level.narrow(0, item as i64, 1));
        let by = |&method: &Method| {
            let maps = candidate_maps(&self.yolo, &of_item, &chosen, method);
            let mut maps = maps.map_err(|error| ItemError(error.to_string()))?;
            for map in &mut maps {
                map.map = map.map.to_device(Device::Cpu);
            }
            Ok(maps)
        };
        let maps = job.methods.iter().map(by).collect::<Result<_, ItemError>>()?;
        Ok(DetectorOutput { candidates, maps, explain: started.elapsed() })
    }
}

impl BatchModel for DetectorWorker {
    type Input = DetectorInput;
    type Output = DetectorOutput;
    /// Frames of one letterboxed size share a batch.
    type Key = (u32, u32);

    fn key(input: &DetectorInput) -> (u32, u32) {
        (input.pixels.width(), input.pixels.height())
    }

    fn bytes(input: &DetectorInput) -> usize {
        input.pixels.pixels().len()
    }

    fn duplicate(input: &DetectorInput) -> Option<DetectorInput> {
        Some(input.clone())
    }

    fn run(
        &mut self,
        batch: Vec<DetectorInput>,
    ) -> Result<Vec<Result<DetectorOutput, ItemError>>, DeviceError> {
        Ok(tch::no_grad(|| {
            let frames: Vec<Tensor> = batch.iter().map(|input| tensor(&input.pixels)).collect();
            let pixels = Tensor::stack(&frames, 0)
                .to_device(self.device)
                .permute([0, 3, 1, 2])
                .to_kind(self.kind)
                / 255.0;
            let pyramid = self.yolo.pyramid(&pixels);
            let decoded = self.yolo.decode(&self.yolo.head(&pyramid)).to_kind(Kind::Float);
            let decoded = decoded.to_device(Device::Cpu);
            let answer = |(item, input): (usize, &DetectorInput)| {
                self.answer(input, &decoded.i(item as i64), (&pyramid, item))
            };
            batch.iter().enumerate().map(answer).collect()
        }))
    }
}

/// Grey frames of the usual forms, square and wide, as the letterbox makes them of `side` pixels;
/// the square one with maps of whatever box it is surest of.
fn samples(side: u32) -> Vec<DetectorInput> {
    let job = BoxMapJob { methods: DETECTOR_METHODS.to_vec(), max_boxes: 1 };
    let sample = |(width, height), maps, min_confidence| {
        let frame = Rgb8::filled(width, height, [128; 3]);
        let (pixels, _) = letterbox(&frame, side, Padding::Minimal { stride: 32 });
        let options = NmsOptions { min_confidence, ..NmsOptions::default() };
        DetectorInput { pixels, options, maps }
    };
    vec![sample((side, side), Some(job), 0.0), sample((side, side * 9 / 16), None, 0.5)]
}

/// `[A, 4 + C]` (corner coordinates, class scores) to the candidates above the threshold, each with
/// its best class, and their places among the A.
fn candidates(decoded: &Tensor, min_confidence: f32) -> (Vec<Candidate>, Vec<i64>) {
    let (confidence, class) = decoded.i((.., 4..)).max_dim(1, false);
    let kept = confidence.greater(f64::from(min_confidence)).nonzero().squeeze_dim(1);
    let places = Vec::<i64>::try_from(&kept);
    let rows = Vec::<Vec<f32>>::try_from(decoded.i((.., ..4)).index_select(0, &kept));
    let confidence = Vec::<f32>::try_from(confidence.index_select(0, &kept));
    let class = Vec::<i64>::try_from(class.index_select(0, &kept));
    let (Ok(rows), Ok(confidence), Ok(class), Ok(places)) = (rows, confidence, class, places)
    else {
        return (Vec::new(), Vec::new());
    };
    let all = rows.into_iter().zip(confidence).zip(class);
    let candidates = all.map(|((side, confidence), class)| Candidate {
        rect: Rect::new(side[0], side[1], side[2], side[3]),
        class: class as usize,
        confidence,
    });
    (candidates.collect(), places)
}

/// `[H, W, 3]` u8.
fn tensor(image: &Rgb8) -> Tensor {
    let (height, width) = (i64::from(image.height()), i64::from(image.width()));
    Tensor::from_slice(image.pixels()).view([height, width, 3])
}
