//! One frame end to end: decode once, ask the models for what the request names, answer with
//! scores, boxes, regions and heatmaps.
//!
//! Imports: calibration, telemetry, vision, models, explain, serving.

mod box_heatmaps;
mod encode;
mod request;
mod result;
mod score;
pub mod temporal;
mod verify;
mod zoom;

pub use request::{
    BoxHeatmaps, Detected, Detection, Encoding, Frame, Heatmaps, MARGIN_RATIO, Regions, Resolution,
    Similarity, VerifyRequest, Zoom, ZoomPlace,
};
pub use result::{
    BoxHeatmap, DetectionResult, Dtype, Heatmap, HeatmapLook, HeatmapsResult, Payload, Region,
    RegionsResult, Score, SimilarityResult, Timing, VerifyResult,
};
pub use score::{dot, prompt_figures, weighted};
pub use verify::{Texts, decode, detected, embed_crop, verify, verify_image};
