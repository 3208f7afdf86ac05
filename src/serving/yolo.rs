//! YOLOv8 behind an engine: pictures to boxes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tch::{Device, IndexOp, Kind, Tensor};

use super::build::Replicas;
use super::clip::StageTiming;
use super::slots::CpuSlots;
use super::stages::record_device;
use super::{Depth, Health, ModelIdentity, ServingError, Terms, blocking};
use crate::engine::{BatchModel, DeviceError, Engine, ItemError, Timing};
use crate::models::yolo::{BatchNorm, Yolo, YoloCheckpoint};
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::Lap;
use crate::vision::boxes::{Candidate, NmsOptions, nms};
use crate::vision::image::Rgb8;
use crate::vision::letterbox::{Padding, letterbox};

/// One box of a detector, in pixels of the frame.
pub type Found = Candidate;

/// Boxes of a frame, and the time on the way.
#[derive(Clone, Debug)]
pub struct FoundBoxes {
    /// Most confident first, in pixels of the frame.
    pub boxes: Vec<Found>,
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

    /// Boxes of a frame, suppressed and ordered as `options` say.
    pub async fn detect(
        &self,
        image: Arc<Rgb8>,
        options: NmsOptions,
        terms: Terms,
    ) -> Result<FoundBoxes, ServingError> {
        let side = self.checkpoint.input_px;
        let slot = self.cpu.until(terms).await?;
        let started = Instant::now();
        let source = (image.width() as f32, image.height() as f32);
        let (pixels, fit) =
            blocking(slot, move || letterbox(&image, side, Padding::Minimal { stride: 32 }))
                .await?;
        let preprocess = Lap::since(Stage::Preprocess, started).record();
        let input = DetectorInput { pixels, min_confidence: options.min_confidence };
        let submitted = Instant::now();
        let done = self
            .engine
            .submit(input, terms)
            .await
            .map_err(|error| ServingError::from_engine(&self.identity.name, error))?;
        record_device(&self.identity.name, submitted, &done.timing, Duration::ZERO);
        let slot = self.cpu.until(terms).await?;
        let started = Instant::now();
        let Timing { queue, run, batch } = done.timing;
        let timing =
            StageTiming { preprocess, queue, inference: run, explain: Duration::ZERO, batch };
        let boxes = blocking(slot, move || {
            let mut boxes = nms(done.output, &options);
            for found in &mut boxes {
                found.rect = fit.to_source(found.rect).clipped(source.0, source.1);
            }
            boxes
        })
        .await?;
        let postprocess = Lap::since(Stage::Postprocess, started).record();
        Ok(FoundBoxes { boxes, timing, postprocess })
    }
}

/// A letterboxed frame.
#[derive(Clone, Debug)]
pub struct DetectorInput {
    pixels: Rgb8,
    min_confidence: f32,
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
}

impl BatchModel for DetectorWorker {
    type Input = DetectorInput;
    /// Candidates above the threshold, in pixels of the letterboxed frame.
    type Output = Vec<Candidate>;
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
    ) -> Result<Vec<Result<Vec<Candidate>, ItemError>>, DeviceError> {
        Ok(tch::no_grad(|| {
            let frames: Vec<Tensor> = batch.iter().map(|input| tensor(&input.pixels)).collect();
            let pixels = Tensor::stack(&frames, 0)
                .to_device(self.device)
                .permute([0, 3, 1, 2])
                .to_kind(self.kind)
                / 255.0;
            let decoded = self.yolo.decode(&self.yolo.raw(&pixels)).to_kind(Kind::Float);
            let decoded = decoded.to_device(Device::Cpu);
            let items = batch.iter().enumerate();
            items.map(|(i, input)| Ok(candidates(&decoded.i(i as i64), input))).collect()
        }))
    }
}

/// Grey frames of the usual forms, square and wide, as the letterbox makes them of `side` pixels.
fn samples(side: u32) -> Vec<DetectorInput> {
    let frames = [(side, side), (side, side * 9 / 16)];
    let frames = frames.map(|(width, height)| Rgb8::filled(width, height, [128; 3]));
    let letterboxed =
        frames.map(|frame| letterbox(&frame, side, Padding::Minimal { stride: 32 }).0);
    letterboxed.map(|pixels| DetectorInput { pixels, min_confidence: 0.5 }).to_vec()
}

/// `[A, 4 + C]` (corner coordinates, class scores) to the candidates above the threshold, each with
/// its best class.
fn candidates(decoded: &Tensor, input: &DetectorInput) -> Vec<Candidate> {
    let (confidence, class) = decoded.i((.., 4..)).max_dim(1, false);
    let kept = confidence.greater(f64::from(input.min_confidence)).nonzero().squeeze_dim(1);
    let rows = Vec::<Vec<f32>>::try_from(decoded.i((.., ..4)).index_select(0, &kept));
    let confidence = Vec::<f32>::try_from(confidence.index_select(0, &kept));
    let class = Vec::<i64>::try_from(class.index_select(0, &kept));
    let (Ok(rows), Ok(confidence), Ok(class)) = (rows, confidence, class) else {
        return Vec::new();
    };
    let all = rows.into_iter().zip(confidence).zip(class);
    all.map(|((side, confidence), class)| Candidate {
        rect: crate::vision::boxes::Rect::new(side[0], side[1], side[2], side[3]),
        class: class as usize,
        confidence,
    })
    .collect()
}

/// `[H, W, 3]` u8.
fn tensor(image: &Rgb8) -> Tensor {
    let (height, width) = (i64::from(image.height()), i64::from(image.width()));
    Tensor::from_slice(image.pixels()).view([height, width, 3])
}
