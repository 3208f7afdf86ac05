//! What every training run shares: its options, what it tells while it runs, the learning rate's
//! course, and the checkpoint from which it goes on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};

use super::TrainingError;
use super::adamw::AdamW;
use crate::models::weights::{Weights, WeightsError};

/// How long to train, and where to leave it.
#[derive(Clone, Debug)]
pub struct TrainOptions {
    /// Folder for checkpoints and the finished model; made where missing.
    pub out: PathBuf,
    /// Length of the whole run in steps. The learning rate reaches its floor at the last one.
    pub steps: u64,
    /// Seeds the weights' beginning and every batch.
    pub seed: u64,
    /// Threads inside one tensor operation, at least 1.
    pub threads: i32,
    /// Whether to go on from the checkpoint in `out`, where there is one.
    pub resume: bool,
}

impl TrainOptions {
    /// Refuses options that make no run, makes the folder, and settles threads and seed.
    pub fn prepare(&self) -> Result<(), TrainingError> {
        for (what, value) in [("steps", self.steps as i64), ("threads", i64::from(self.threads))] {
            if value < 1 {
                return Err(TrainingError::Option { what, value, least: 1 });
            }
        }
        std::fs::create_dir_all(&self.out).map_err(|e| TrainingError::file(&self.out, e))?;
        tch::set_num_threads(self.threads);
        tch::manual_seed(self.seed as i64);
        Ok(())
    }
}

/// How a run ended.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Outcome {
    /// Every step was made.
    Finished,
    /// The observer asked to stop after this many steps; the checkpoint is written.
    Stopped(u64),
}

/// Where a run stands after a step.
#[derive(Clone, Copy, Debug)]
pub struct Progress<'a> {
    /// Steps made, from 1.
    pub step: u64,
    /// Steps of the whole run.
    pub steps: u64,
    /// Named losses and ratios of this step.
    pub figures: &'a [(&'static str, f64)],
}

/// Who watches a run: the terminal, a log, a test.
pub trait Observer {
    /// Called after each step.
    fn progress(&mut self, progress: &Progress<'_>);

    /// Called with a line worth keeping: a validation result, a file written.
    fn note(&mut self, line: &str);

    /// Asked after each step; `true` ends the run with a checkpoint.
    fn stop_requested(&self) -> bool;
}

/// Linear warm-up, then half a cosine from `peak` to `floor`.
#[derive(Clone, Copy, Debug)]
pub struct Schedule {
    /// Highest learning rate.
    pub peak: f64,
    /// Learning rate at the last step.
    pub floor: f64,
    /// Steps of the warm-up.
    pub warmup: u64,
    /// Steps of the whole run.
    pub steps: u64,
}

impl Schedule {
    /// The learning rate of `step`, counted from 0.
    pub fn rate(&self, step: u64) -> f64 {
        if step < self.warmup {
            return self.peak * (step + 1) as f64 / self.warmup as f64;
        }
        let left = self.steps.saturating_sub(self.warmup).max(1) as f64;
        let done = ((step - self.warmup) as f64 / left).min(1.0);
        self.floor + (self.peak - self.floor) * 0.5 * (1.0 + (std::f64::consts::PI * done).cos())
    }
}

/// Key prefixes of a checkpoint's three parts.
const PARTS: [&str; 3] = ["weight.", "first.", "second."];

/// Writes weights, optimiser state and step to one file; a reader sees the old file or the new one.
pub fn save_checkpoint(
    path: &Path,
    weights: &Weights,
    optimiser: &AdamW,
    step: u64,
) -> Result<(), TrainingError> {
    let mut tensors = BTreeMap::new();
    for (key, tensor) in weights.tensors() {
        tensors.insert(format!("{}{key}", PARTS[0]), tensor);
    }
    for (key, first, second) in optimiser.moments() {
        tensors.insert(format!("{}{key}", PARTS[1]), first);
        tensors.insert(format!("{}{key}", PARTS[2]), second);
    }
    let mut all = Weights::from_tensors(path.display().to_string(), tensors);
    all.set_metadata("step", step.to_string());
    all.set_metadata("updates", optimiser.updates().to_string());
    let new = path.with_extension("new");
    all.save_safetensors(&new, Kind::Float)?;
    std::fs::rename(&new, path).map_err(|e| TrainingError::file(path, e))
}

/// What a checkpoint holds.
#[derive(Debug)]
pub struct Checkpoint {
    /// The weights, f32 and trainable.
    pub weights: Weights,
    /// Steps made.
    pub step: u64,
    /// Updates the optimiser has made.
    updates: u64,
    /// First and second moments by key.
    moments: [BTreeMap<String, Tensor>; 2],
}

impl Checkpoint {
    /// Reads what [`save_checkpoint`] wrote.
    pub fn open(path: &Path, device: Device) -> Result<Self, TrainingError> {
        let all = Weights::open_safetensors(path)?;
        let number = |key: &str| -> Result<u64, TrainingError> {
            let text = all.metadata().get(key).and_then(|text| text.parse().ok());
            Ok(text.ok_or_else(|| WeightsError::format(path, format!("has no number '{key}'")))?)
        };
        let (step, updates) = (number("step")?, number("updates")?);
        let mut parts = PARTS.map(|_| BTreeMap::new());
        for (key, tensor) in all.tensors() {
            for (prefix, part) in PARTS.iter().zip(&mut parts) {
                if let Some(key) = key.strip_prefix(prefix) {
                    part.insert(key.to_owned(), tensor.to_device(device));
                }
            }
        }
        let [tensors, first, second] = parts;
        let mut weights = Weights::from_tensors(path.display().to_string(), tensors);
        weights.make_trainable(device);
        Ok(Self { weights, step, updates, moments: [first, second] })
    }

    /// Puts the optimiser where it was.
    pub fn restore(&self, optimiser: &mut AdamW) -> Result<(), TrainingError> {
        let [first, second] = &self.moments;
        optimiser.restore(self.updates, first, second)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_warms_up_and_then_falls_to_its_floor() {
        let schedule = Schedule { peak: 1.0, floor: 0.1, warmup: 10, steps: 110 };
        assert!((schedule.rate(0) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(9) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(10) - 1.0).abs() < 1e-12);
        assert!((schedule.rate(60) - 0.55).abs() < 1e-12);
        assert!((schedule.rate(110) - 0.1).abs() < 1e-12);
        assert!((schedule.rate(999) - 0.1).abs() < 1e-12);
    }
}
