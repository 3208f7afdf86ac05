//! What is answered about a frame.

use std::time::Duration;

use bytes::Bytes;

use super::request::Detected;
use crate::calibration::Identity;
use crate::explain::{BoxHeat, RawMap};
use crate::serving::ModelIdentity;
use crate::vision::boxes::Rect;
use crate::vision::resize::Fit;

/// Everything answered about one frame; a part is present where it was asked for.
#[derive(Clone, Debug, Default)]
pub struct VerifyResult {
    /// Frame width and height in pixels.
    pub size: (u32, u32),
    /// Scores of the whole frame.
    pub similarity: Option<SimilarityResult>,
    /// Boxes, most confident first.
    pub detection: Option<DetectionResult>,
    /// Scores of each box.
    pub regions: Option<RegionsResult>,
    /// Heatmaps, prompts outermost, methods within.
    pub heatmaps: Option<HeatmapsResult>,
    /// Where the time went.
    pub timing: Timing,
}

/// Scores of the whole frame.
#[derive(Clone, Debug)]
pub struct SimilarityResult {
    /// The model that answered.
    pub model: ModelIdentity,
    /// One for each prompt, in the order asked.
    pub scores: Vec<Score>,
    /// The null prompts behind each contrast.
    pub nulls: Vec<String>,
    /// What turned scores into confidences; nothing where they have none.
    pub calibration: Option<Identity>,
}

/// One prompt's score against one picture.
#[derive(Clone, Debug)]
pub struct Score {
    /// The prompt as it was asked.
    pub prompt: String,
    /// Cosine of the angle between picture and prompt, -1 to 1.
    pub cosine: f32,
    /// The cosine times the model's scale (100 in the published checkpoints).
    pub logit: f32,
    /// Softmax of the logit over the prompts of the request, 0 to 1. Relative to those prompts; no
    /// probability of truth.
    pub softmax: f32,
    /// The cosine less the softmax-weighted cosine of the null prompts; above 0 where the prompt
    /// says more about the picture than saying nothing does.
    pub contrast: f32,
    /// The calibrated probability that the prompt is true of the picture, 0 to 1; nothing where the
    /// model is not calibrated.
    pub confidence: Option<f64>,
    /// How many tokens the prompt has, with both end marks, before truncation.
    pub tokens: usize,
    /// Whether the prompt was longer than the model reads, and was cut.
    pub truncated: bool,
}

/// Boxes of a frame.
#[derive(Clone, Debug)]
pub struct DetectionResult {
    /// The model that answered.
    pub model: ModelIdentity,
    /// Most confident first.
    pub detections: Vec<Detected>,
    /// Of the first of them, as many as were asked for: one map by each method, in the order asked.
    pub heatmaps: Vec<Vec<BoxHeatmap>>,
}

/// One map of what made one box.
#[derive(Clone, Debug)]
pub struct BoxHeatmap {
    /// The layer it read, such as `model.15`.
    pub layer: String,
    /// Pixels of the model's input along one side of a cell.
    pub stride_px: u32,
    /// The values, or a picture of them.
    pub payload: Payload,
    /// From frame pixels to the model's input pixels.
    pub fit: Fit,
    /// What the grid covers, in pixels of the frame.
    pub area: Rect,
    /// The map's figures; its values are in the payload, and left out here.
    pub figures: BoxHeat,
}

/// Scores of each box.
#[derive(Clone, Debug)]
pub struct RegionsResult {
    /// The CLIP model that answered.
    pub model: ModelIdentity,
    /// The detector that found the boxes.
    pub detector: ModelIdentity,
    /// Most confident first.
    pub regions: Vec<Region>,
}

/// One box with its scores.
#[derive(Clone, Debug)]
pub struct Region {
    /// The box.
    pub detected: Detected,
    /// What was cut out and looked at, in pixels of the frame.
    pub crop: Rect,
    /// One for each prompt, in the order asked.
    pub scores: Vec<Score>,
}

/// Heatmaps of a frame.
#[derive(Clone, Debug)]
pub struct HeatmapsResult {
    /// The model that answered.
    pub model: ModelIdentity,
    /// Prompts outermost, methods within.
    pub heatmaps: Vec<Heatmap>,
    /// The null prompts behind each contrast.
    pub nulls: Vec<String>,
}

/// One map of one prompt by one method.
#[derive(Clone, Debug)]
pub struct Heatmap {
    /// The prompt as it was asked.
    pub prompt: String,
    /// The layers it read, such as `vision_model.encoder.layers.11`.
    pub layer: String,
    /// Whether it was read from a changed net, and so locates rather than explains.
    pub modified_network: bool,
    /// The values, or a picture of them.
    pub payload: Payload,
    /// From frame pixels to the model's input pixels.
    pub fit: Fit,
    /// What the grid covers, in pixels of the frame.
    pub area: Rect,
    /// The closer looks that it was put together from; none where nothing was looked at closer.
    pub looks: Vec<HeatmapLook>,
    /// The map's figures; its values are in the payload, and left out here.
    pub figures: RawMap,
}

/// One closer look's part in a heatmap.
#[derive(Clone, Debug, PartialEq)]
pub struct HeatmapLook {
    /// What was looked at, in pixels of the frame.
    pub area: Rect,
    /// Class of the box that was detected there; empty where none was.
    pub label: String,
    /// The contrastive cosine of this look.
    pub contrast: f32,
}

/// A heatmap as it is sent.
#[derive(Clone, Debug)]
pub enum Payload {
    /// `[H, W]`, row-major, little-endian.
    Tensor {
        /// Kind of the elements.
        dtype: Dtype,
        /// Height and width.
        shape: [usize; 2],
        /// Value of byte 0 and of byte 255 for [`Dtype::U8`]; the shown range otherwise.
        range: (f32, f32),
        /// The elements.
        data: Bytes,
    },
    /// A PNG of the frame's size.
    Png(Bytes),
}

/// Kind of a tensor's elements.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Dtype {
    /// 32-bit floats.
    F32,
    /// 16-bit floats.
    F16,
    /// Bytes.
    U8,
}

/// Where the time of one frame went. Stages that overlap are each counted in full.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timing {
    /// Bytes to pixels.
    pub decode: Duration,
    /// Pixels to what the models take.
    pub preprocess: Duration,
    /// Waiting for a device, the longest of the frame's jobs.
    pub queue: Duration,
    /// On the device, summed over the frame's stages.
    pub inference: Duration,
    /// Of the inference: making heatmaps.
    pub explain: Duration,
    /// Results to what is sent.
    pub postprocess: Duration,
    /// From arrival to answer.
    pub total: Duration,
    /// The largest batch that one of the frame's jobs rode in.
    pub batch: usize,
}
