//! Trains the demo detector: a small `YOLOv8` that finds the parts of a face.
//!
//! Each step learns a fresh batch of [`Example`]s, drawn by a second thread while the first
//! computes. Batches depend on seed and step alone, so a resumed run sees what it would have seen.
//! The model in `models/demo/yolo` is a full run with seed 1 and one thread.

use std::path::Path;
use std::sync::mpsc::{Receiver, sync_channel};

use tch::{Device, Kind, Tensor};

use super::TrainingError;
use super::adamw::{AdamConfig, AdamW};
use super::assign::Truths;
use super::detection_data::Example;
use super::detection_loss::{DetectionLoss, Gains};
use super::run::{
    Checkpoint, Observer, Outcome, Progress, Schedule, TrainOptions, save_checkpoint,
};
use crate::models::weights::Weights;
use crate::models::yolo::{BatchNorm, Yolo, YoloConfig};
use crate::scenes::Part;

/// Side of the pictures that the detector learns on, in pixels.
pub const SIDE_PX: u32 = 160;
/// Pictures per step.
pub const BATCH: usize = 32;
/// Steps of a full run.
pub const STEPS: u64 = 1500;
/// The finished detector's file in the run's folder.
pub const MODEL_FILE: &str = "yolo/face-parts.safetensors";

const CHECKPOINT_FILE: &str = "detector-checkpoint.safetensors";
/// Steps between checkpoints.
const CHECKPOINT_EVERY: u64 = 200;
/// Batches drawn ahead.
const AHEAD: usize = 3;

/// The demo detector's net: half the width of the smallest `YOLOv8`.
pub fn demo_config() -> YoloConfig {
    YoloConfig::new(0.125, 0.33, 1024, Part::ALL.map(|part| part.name().to_owned()).into())
}

/// Trains the demo detector and writes it as [`MODEL_FILE`] into `options.out`, f16.
pub fn train_detector(
    options: &TrainOptions,
    device: Device,
    observer: &mut dyn Observer,
) -> Result<Outcome, TrainingError> {
    options.prepare()?;
    let mut trainer = Trainer::begin(options, device, observer)?;
    let first = trainer.step;
    let (sender, batches) = sync_channel(AHEAD);
    let (seed, steps) = (options.seed, options.steps);
    let outcome = std::thread::scope(|scope| {
        scope.spawn(move || {
            // A closed channel means that nobody wants batches any more.
            (first..steps).take_while(|step| sender.send(Batch::draw(seed, *step)).is_ok()).count()
        });
        trainer.run(batches, observer)
    })?;
    if outcome == Outcome::Finished {
        export(&mut trainer.weights, &options.out.join(MODEL_FILE))?;
        observer.note(&format!("wrote {}", options.out.join(MODEL_FILE).display()));
    }
    Ok(outcome)
}

/// Writes the net with its class names and picture side, as detectors' checkpoints carry them.
fn export(weights: &mut Weights, path: &Path) -> Result<(), TrainingError> {
    let folder = path.parent().unwrap_or(path);
    std::fs::create_dir_all(folder).map_err(|e| TrainingError::file(folder, e))?;
    let names: Vec<&str> = Part::ALL.iter().map(|part| part.name()).collect();
    weights.set_metadata("names", serde_json::Value::from(names).to_string());
    weights.set_metadata("imgsz", SIDE_PX.to_string());
    Ok(weights.save_safetensors(path, Kind::Half)?)
}

/// A run under way.
struct Trainer<'a> {
    options: &'a TrainOptions,
    device: Device,
    config: YoloConfig,
    weights: Weights,
    optimiser: AdamW,
    schedule: Schedule,
    step: u64,
}

impl<'a> Trainer<'a> {
    fn begin(
        options: &'a TrainOptions,
        device: Device,
        observer: &mut dyn Observer,
    ) -> Result<Self, TrainingError> {
        let config = demo_config();
        let path = options.out.join(CHECKPOINT_FILE);
        let checkpoint = (options.resume && path.is_file())
            .then(|| Checkpoint::open(&path, device))
            .transpose()?;
        let adam = AdamConfig { beta2: 0.99, clip_norm: 10.0, ..AdamConfig::default() };
        let schedule = Schedule {
            peak: 3e-3,
            floor: 3e-5,
            warmup: (options.steps / 20).min(100),
            steps: options.steps,
        };
        if let Some(checkpoint) = checkpoint {
            let mut optimiser = AdamW::new(&checkpoint.weights, adam);
            checkpoint.restore(&mut optimiser)?;
            let (weights, step) = (checkpoint.weights, checkpoint.step);
            observer.note(&format!("going on from step {step}"));
            return Ok(Self { options, device, config, weights, optimiser, schedule, step });
        }
        let weights = Weights::initialise(device);
        // A first net makes the weights.
        Yolo::new(&weights, &config, device, Kind::Float, BatchNorm::Training)?;
        let optimiser = AdamW::new(&weights, adam);
        Ok(Self { options, device, config, weights, optimiser, schedule, step: 0 })
    }

    fn run(
        &mut self,
        batches: Receiver<Batch>,
        observer: &mut dyn Observer,
    ) -> Result<Outcome, TrainingError> {
        for batch in batches {
            let figures = self.learn(&batch)?;
            self.step += 1;
            let (step, steps) = (self.step, self.options.steps);
            observer.progress(&Progress { step, steps, figures: &figures });
            let stop = observer.stop_requested() && step < steps;
            if stop || step % CHECKPOINT_EVERY == 0 || step == steps {
                let path = self.options.out.join(CHECKPOINT_FILE);
                save_checkpoint(&path, &self.weights, &self.optimiser, step)?;
            }
            if stop {
                return Ok(Outcome::Stopped(step));
            }
        }
        Ok(Outcome::Finished)
    }

    /// One update; the loss and its parts.
    fn learn(&mut self, batch: &Batch) -> Result<[(&'static str, f64); 4], TrainingError> {
        let net =
            Yolo::new(&self.weights, &self.config, self.device, Kind::Float, BatchNorm::Training)?;
        let pixels = batch.pixels(self.device).to_kind(Kind::Float) / 255.0;
        let levels: Vec<(Tensor, f64)> =
            net.raw(&pixels).into_iter().zip([8.0, 16.0, 32.0]).collect();
        let loss = DetectionLoss::new(&levels, &batch.truths(self.device), Gains::YOLO);
        let total = loss.total();
        let value = total.double_value(&[]);
        if !value.is_finite() {
            return Err(TrainingError::Diverged { step: self.step, loss: value });
        }
        total.f_backward()?;
        self.optimiser.step(self.schedule.rate(self.step));
        Ok([
            ("loss", value),
            ("box", loss.overlap.double_value(&[])),
            ("class", loss.class.double_value(&[])),
            ("sides", loss.sides.double_value(&[])),
        ])
    }
}

/// The examples of one step.
struct Batch {
    examples: Vec<Example>,
}

impl Batch {
    /// The batch that belongs to `step` of the run seeded with `seed`.
    fn draw(seed: u64, step: u64) -> Self {
        // Runs with other seeds draw from far-off parts of the examples.
        let first = (seed << 40).wrapping_add(step * BATCH as u64);
        let examples = (0..BATCH as u64).map(|at| Example::sample(first + at, SIDE_PX)).collect();
        Self { examples }
    }

    /// `[B, 3, H, W]` u8, channels innermost in memory: so convolutions run fastest on a CPU.
    fn pixels(&self, device: Device) -> Tensor {
        let side = i64::from(SIDE_PX);
        let all: Vec<u8> = self.examples.iter().flat_map(|e| e.pixels.iter().copied()).collect();
        Tensor::from_slice(&all)
            .view([self.examples.len() as i64, side, side, 3])
            .to_device(device)
            .permute([0, 3, 1, 2])
    }

    fn truths(&self, device: Device) -> Truths {
        let count = self.examples.iter().map(|e| e.parts.len()).max().unwrap_or(0);
        let (mut boxes, mut classes, mut present) = (Vec::new(), Vec::new(), Vec::new());
        for example in &self.examples {
            for at in 0..count {
                let part = example.parts.get(at);
                let rect = part.map(|(_, rect)| rect);
                let class = part.map_or(0, |(part, _)| part.index() as i64);
                let edges = rect.map_or([0.0; 4], |r| [r.x1, r.y1, r.x2, r.y2]);
                boxes.extend(edges);
                classes.push(class);
                present.push(rect.is_some());
            }
        }
        let shape = [self.examples.len() as i64, count as i64];
        Truths {
            boxes: Tensor::from_slice(&boxes).view([shape[0], shape[1], 4]).to_device(device),
            classes: Tensor::from_slice(&classes).view(shape).to_device(device),
            present: Tensor::from_slice(&present).view(shape).to_device(device),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Stops after some steps and keeps the losses.
    struct Watcher {
        stop_after: usize,
        losses: Vec<f64>,
    }

    impl Observer for Watcher {
        fn progress(&mut self, progress: &Progress<'_>) {
            self.losses.push(progress.figures[0].1);
        }

        fn note(&mut self, _line: &str) {}

        fn stop_requested(&self) -> bool {
            self.losses.len() >= self.stop_after
        }
    }

    fn watcher(stop_after: usize) -> Watcher {
        Watcher { stop_after, losses: Vec::new() }
    }

    #[test]
    fn a_stopped_run_goes_on_where_it_was_and_leaves_a_labelled_model() {
        let folder = tempfile::tempdir().unwrap();
        let options = TrainOptions {
            out: folder.path().to_owned(),
            steps: 3,
            seed: 1,
            threads: 1,
            resume: true,
        };
        let mut first = watcher(2);
        let outcome = train_detector(&options, Device::Cpu, &mut first).unwrap();
        assert_eq!((outcome, first.losses.len()), (Outcome::Stopped(2), 2));

        let mut second = watcher(100);
        let outcome = train_detector(&options, Device::Cpu, &mut second).unwrap();
        assert_eq!((outcome, second.losses.len()), (Outcome::Finished, 1));

        let weights = Weights::open_safetensors(&folder.path().join(MODEL_FILE)).unwrap();
        let names: Vec<String> = serde_json::from_str(&weights.metadata()["names"]).unwrap();
        assert_eq!((names.len(), names[0].as_str()), (Part::ALL.len(), Part::ALL[0].name()));
        assert_eq!(weights.metadata()["imgsz"], "160");
    }

    #[test]
    fn a_fixed_batch_is_learnt() {
        let folder = tempfile::tempdir().unwrap();
        let options = TrainOptions {
            out: folder.path().to_owned(),
            steps: 8,
            seed: 1,
            threads: 1,
            resume: false,
        };
        options.prepare().unwrap();
        let mut trainer = Trainer::begin(&options, Device::Cpu, &mut watcher(100)).unwrap();
        let mut batch = Batch::draw(1, 0);
        batch.examples.truncate(4);
        let losses: Vec<f64> = (0..8).map(|_| trainer.learn(&batch).unwrap()[0].1).collect();
        assert!(losses[7] < losses[0] * 0.9, "{losses:?}");
    }
}
