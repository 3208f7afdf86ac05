//! How the evidence model is made: its sizes, its stages, and the tower that it begins from.

use std::path::{Path, PathBuf};

use super::TrainingError;
use super::faces::FaceFormat;
use crate::models::clip::{Activation, ClipConfig, TextConfig, VisionConfig};
use crate::models::weights::{Weights, WeightsError};

/// Sizes of the net and of the run's parts.
#[derive(Clone, Debug)]
pub struct StatementRecipe {
    /// The net; its vocabulary size is set by the tokenizer.
    pub config: ClipConfig,
    /// Folder of a trained CLIP whose image tower this one begins from.
    pub start: PathBuf,
    /// Which of its blocks become this tower's, one each, in order.
    pub start_blocks: Vec<usize>,
    /// Merges of the tokenizer, at most.
    pub merges: usize,
    /// People in a batch; twice as many pictures.
    pub people: usize,
    /// Highest learning rate of each stage.
    pub rates: [f64; 3],
    /// Steps on texts alone, at the start.
    pub text_steps: u64,
    /// Steps on the pool, after those.
    pub pool_steps: u64,
    /// Batches of faces in the pool.
    pub pool_batches: u64,
    /// Batches of the pool that a step takes together.
    pub pool_batches_a_step: usize,
    /// Steps over which the learning rate of each stage rises.
    pub warmup: u64,
    /// Steps between checkpoints.
    pub checkpoint_every: u64,
    /// Steps between validations and exports.
    pub validate_every: u64,
    /// Held-out faces of a validation.
    pub validation_faces: u64,
}

impl StatementRecipe {
    /// The demo's evidence model, 1.9 million parameters, from the demo CLIP in `start`.
    pub fn demo(start: PathBuf) -> Self {
        let config = ClipConfig {
            vision: VisionConfig {
                hidden_size: 192,
                intermediate_size: 768,
                num_hidden_layers: 3,
                num_attention_heads: 6,
                image_size: 112,
                patch_size: 8,
                hidden_act: Activation::Gelu,
                ..VisionConfig::default()
            },
            text: TextConfig {
                hidden_size: 128,
                intermediate_size: 256,
                num_hidden_layers: 2,
                num_attention_heads: 4,
                hidden_act: Activation::Gelu,
                ..TextConfig::default()
            },
            projection_dim: 256,
            logit_scale_init: (1.0f64 / 0.07).ln(),
        };
        Self {
            config,
            start,
            start_blocks: vec![0, 1, 3],
            merges: 600,
            people: 12,
            rates: [2e-3, 1e-3, 5e-4],
            text_steps: 400,
            pool_steps: 400,
            pool_batches: 100,
            pool_batches_a_step: 3,
            warmup: 50,
            checkpoint_every: 100,
            validate_every: 400,
            validation_faces: 100,
        }
    }

    /// What pictures are made into.
    pub fn format(&self) -> FaceFormat {
        let vision = &self.config.vision;
        FaceFormat {
            pairs: self.people,
            side_px: vision.image_size as u32,
            grid: vision.grid() as usize,
        }
    }
    /// The step at which each of the three stages ends.
    pub fn ends(&self, steps: u64) -> [u64; 3] {
        let texts = self.text_steps.min(steps);
        [texts, (texts + self.pool_steps).min(steps), steps]
    }
}

/// The image tower's keys.
const TOWER: [&str; 2] = ["vision_model.", "visual_projection."];
/// Where a block's number stands.
pub(super) const LAYERS: &str = "vision_model.encoder.layers.";

/// Copies the image tower of the model in `folder` into `weights`, of its blocks only those of
/// `blocks`, which are numbered anew.
pub fn transplant(folder: &Path, blocks: &[usize], weights: &Weights) -> Result<(), TrainingError> {
    let source = Weights::open_folder(folder)?;
    let old_key = |key: &str| -> Option<String> {
        let Some(rest) = key.strip_prefix(LAYERS) else { return Some(key.to_owned()) };
        let (number, rest) = rest.split_once('.')?;
        let old = blocks.get(number.parse::<usize>().ok()?)?;
        Some(format!("{LAYERS}{old}.{rest}"))
    };
    let given = source.tensors();
    for (key, mut leaf) in weights.tensors() {
        if !TOWER.iter().any(|prefix| key.starts_with(prefix)) {
            continue;
        }
        let old = old_key(&key);
        let found = given.iter().find(|(name, _)| Some(name) == old.as_ref());
        let found = found.filter(|(_, tensor)| tensor.size() == leaf.size());
        let Some((_, tensor)) = found else {
            let reason = format!("has no tensor of the shape {:?} for '{key}'", leaf.size());
            return Err(WeightsError::format(folder, reason).into());
        };
        tch::no_grad(|| leaf.copy_(tensor));
    }
    Ok(())
}
