//! CLIP: an image tower and a text tower that share one embedding space.
//!
//! Radford et al., "Learning Transferable Visual Models From Natural Language Supervision",
//! arXiv 2103.00020. Keys and numerics follow the Hugging Face implementation
//! (`transformers/models/clip/modeling_clip.py`).

mod checkpoint;
mod config;
mod layers;
mod open_block;
mod preprocess;
mod shapes;
mod taps;
mod text;
mod tokenizer;
mod vision;

pub use checkpoint::ClipCheckpoint;
pub use config::{Activation, ClipConfig, TextConfig, VisionConfig};
pub use open_block::{OpenBlock, attend, attention, attention_logits};
pub use preprocess::{Preprocess, Resizing};
pub use taps::{BlockTap, TapPlan, Tape};
pub use text::TextTower;
pub use tokenizer::{ClipTokenizer, Tokens};
pub use vision::{Encoded, VisionTower};

use tch::{Device, Kind, Tensor};

use super::weights::{Init, Weights, WeightsError};

/// Both towers and the scale of the logits.
#[derive(Debug)]
pub struct Clip {
    /// The image tower.
    pub vision: VisionTower,
    /// The text tower, always f32: its embeddings are cached, so its speed matters little.
    pub text: TextTower,
    /// Natural logarithm of the factor between cosine and logit, `[]` f32.
    pub log_scale: Tensor,
}

impl Clip {
    /// Builds both towers from a checkpoint. `kind` (f32 or bf16) is the image tower's; its last
    /// block and head are f32 whatever it is, so that heatmaps keep their digits.
    pub fn new(
        weights: &Weights,
        config: &ClipConfig,
        device: Device,
        kind: Kind,
    ) -> Result<Self, WeightsError> {
        let root = weights.root(device, kind);
        let exact = root.with_kind(Kind::Float);
        Ok(Self {
            vision: VisionTower::new(&root, &config.vision, config.projection_dim)?,
            text: TextTower::new(&exact, &config.text, config.projection_dim)?,
            log_scale: exact.tensor("logit_scale", &[], Init::Constant(config.logit_scale_init))?,
        })
    }

    /// Whether a key that no net takes may be there: position buffers that old exporters wrote.
    pub fn is_buffer(key: &str) -> bool {
        key.ends_with("position_ids")
    }

    /// The factor between cosine and logit (100 in the published checkpoints).
    pub fn scale(&self) -> f64 {
        self.log_scale.exp().double_value(&[])
    }
}

/// Scales each row to unit length: `[.., D]` to `[.., D]`. As in the reference, a row of zeros has
/// no direction and becomes NaN; callers that meet untrusted nets check for finite values.
pub fn normalised(embedding: &Tensor) -> Tensor {
    embedding / embedding.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true)
}
