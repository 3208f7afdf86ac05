//! `config.json` of a Hugging Face CLIP checkpoint. Fields that equal their default are left out
//! there, so each has the default of `configuration_clip.py`.

use serde::{Deserialize, Serialize};

/// The activation inside the MLPs.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// `x * sigmoid(1.702 x)`, of the original checkpoints.
    QuickGelu,
    /// The exact Gaussian error linear unit.
    Gelu,
}

/// The whole configuration.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ClipConfig {
    /// The text tower.
    #[serde(rename = "text_config")]
    pub text: TextConfig,
    /// The image tower.
    #[serde(rename = "vision_config")]
    pub vision: VisionConfig,
    /// Width of the shared embedding space.
    #[serde(default = "projection_dim")]
    pub projection_dim: i64,
    /// Logarithm of the logit scale before training.
    #[serde(rename = "logit_scale_init_value", default = "logit_scale_init")]
    pub logit_scale_init: f64,
}

fn projection_dim() -> i64 {
    512
}

fn logit_scale_init() -> f64 {
    2.6592
}

/// The text tower.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct TextConfig {
    /// Number of tokens.
    pub vocab_size: i64,
    /// Width D of the residual stream.
    pub hidden_size: i64,
    /// Width of the MLPs.
    pub intermediate_size: i64,
    /// Number of blocks.
    pub num_hidden_layers: i64,
    /// Number of heads; divides the width.
    pub num_attention_heads: i64,
    /// Longest input in tokens.
    pub max_position_embeddings: i64,
    /// Activation of the MLPs.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
    /// The token whose position is pooled. 2 means the legacy rule: the highest token id.
    pub eos_token_id: i64,
}

impl Default for TextConfig {
    fn default() -> Self {
        Self {
            vocab_size: 49_408,
            hidden_size: 512,
            intermediate_size: 2048,
            num_hidden_layers: 12,
            num_attention_heads: 8,
            max_position_embeddings: 77,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            eos_token_id: 49_407,
        }
    }
}

/// The image tower.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct VisionConfig {
    /// Width D of the residual stream.
    pub hidden_size: i64,
    /// Width of the MLPs.
    pub intermediate_size: i64,
    /// Number of blocks.
    pub num_hidden_layers: i64,
    /// Number of heads; divides the width.
    pub num_attention_heads: i64,
    /// Side of the square input in pixels.
    pub image_size: i64,
    /// Side of one patch in pixels.
    pub patch_size: i64,
    /// Activation of the MLPs.
    pub hidden_act: Activation,
    /// Epsilon of the layer norms.
    pub layer_norm_eps: f64,
}

impl Default for VisionConfig {
    fn default() -> Self {
        Self {
            hidden_size: 768,
            intermediate_size: 3072,
            num_hidden_layers: 12,
            num_attention_heads: 12,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl VisionConfig {
    /// Patches along one side: the heatmap grid is `grid × grid`.
    pub fn grid(&self) -> i64 {
        self.image_size / self.patch_size
    }
}
