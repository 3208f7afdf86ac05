//! `config.json` of a Hugging Face CLIP checkpoint. Fields that equal their default are left out
//! there, so each has the default of `configuration_clip.py`.

use std::ops::RangeInclusive;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::models::weights::WeightsError;

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
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct ClipConfig {
    /// The text tower.
    #[serde(rename = "text_config")]
    pub text: TextConfig,
    /// The image tower.
    #[serde(rename = "vision_config")]
    pub vision: VisionConfig,
    /// Width of the shared embedding space.
    pub projection_dim: i64,
    /// Logarithm of the logit scale before training.
    #[serde(rename = "logit_scale_init_value")]
    pub logit_scale_init: f64,
}

impl Default for ClipConfig {
    fn default() -> Self {
        Self {
            text: TextConfig::default(),
            vision: VisionConfig::default(),
            projection_dim: 512,
            logit_scale_init: 2.6592,
        }
    }
}

impl ClipConfig {
    /// Reads `config.json`. Sizes beyond sane limits, or that do not divide, are errors that name
    /// the field, so that no net is built from them.
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let error = |reason: String| WeightsError::format(path, reason);
        let text = std::fs::read_to_string(path).map_err(|e| error(e.to_string()))?;
        let mut json: Value = serde_json::from_str(&text).map_err(|e| error(e.to_string()))?;
        // Where old files have these, they are what counts.
        for tower in ["text_config", "vision_config"] {
            let replacement = json[format!("{tower}_dict")].take();
            if replacement.is_object() {
                json[tower] = replacement;
            }
        }
        let config: Self = serde_json::from_value(json).map_err(|e| error(e.to_string()))?;
        config.validate().map_err(error)?;
        Ok(config)
    }

    /// The first field that is out of its range, with its value and the range.
    fn validate(&self) -> Result<(), String> {
        let (text, vision) = (&self.text, &self.vision);
        within("projection_dim", self.projection_dim, 1..=MAX_WIDTH)?;
        if !self.logit_scale_init.is_finite() {
            return Err(format!("'logit_scale_init_value' is {}", self.logit_scale_init));
        }
        tower("text_config", text.sizes(), text.layer_norm_eps)?;
        within("text_config.vocab_size", text.vocab_size, 3..=4_000_000)?;
        within("text_config.max_position_embeddings", text.max_position_embeddings, 2..=8192)?;
        within("text_config.eos_token_id", text.eos_token_id, 0..=text.vocab_size - 1)?;
        tower("vision_config", vision.sizes(), vision.layer_norm_eps)?;
        within("vision_config.num_channels", vision.num_channels, 3..=3)?;
        within("vision_config.image_size", vision.image_size, 1..=2048)?;
        within("vision_config.patch_size", vision.patch_size, 1..=vision.image_size)?;
        divides(
            "vision_config",
            ("patch_size", vision.patch_size),
            ("image_size", vision.image_size),
        )?;
        within("vision_config: image_size over patch_size", vision.grid(), 1..=128)
    }
}

/// Wider towers than any that was published, by far.
const MAX_WIDTH: i64 = 16_384;

/// What both towers state: width, MLP width, blocks, heads.
type TowerSizes = [i64; 4];

fn tower(name: &str, sizes: TowerSizes, eps: f64) -> Result<(), String> {
    let [width, mlp_width, layers, heads] = sizes;
    within(&format!("{name}.hidden_size"), width, 1..=MAX_WIDTH)?;
    within(&format!("{name}.intermediate_size"), mlp_width, 1..=8 * MAX_WIDTH)?;
    within(&format!("{name}.num_hidden_layers"), layers, 1..=256)?;
    within(&format!("{name}.num_attention_heads"), heads, 1..=width)?;
    divides(name, ("num_attention_heads", heads), ("hidden_size", width))?;
    if eps > 0.0 && eps < 1.0 {
        return Ok(());
    }
    Err(format!("'{name}.layer_norm_eps' is {eps}, must be above 0 and below 1"))
}

fn within(field: &str, value: i64, range: RangeInclusive<i64>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!("'{field}' is {value}, must be {} to {}", range.start(), range.end()))
}

fn divides(tower: &str, part: (&str, i64), whole: (&str, i64)) -> Result<(), String> {
    if whole.1 % part.1 == 0 {
        return Ok(());
    }
    Err(format!("'{tower}.{}' is {}, must divide '{}', {}", part.0, part.1, whole.0, whole.1))
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

impl TextConfig {
    fn sizes(&self) -> TowerSizes {
        [self.hidden_size, self.intermediate_size, self.num_hidden_layers, self.num_attention_heads]
    }
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
    /// Colour channels; always 3.
    pub num_channels: i64,
    /// Side of the square input in pixels; a multiple of the patch's.
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
            num_channels: 3,
            image_size: 224,
            patch_size: 32,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
        }
    }
}

impl VisionConfig {
    fn sizes(&self) -> TowerSizes {
        [self.hidden_size, self.intermediate_size, self.num_hidden_layers, self.num_attention_heads]
    }

    /// Patches along one side: the heatmap grid is `grid × grid`.
    pub fn grid(&self) -> i64 {
        self.image_size / self.patch_size
    }
}
