//! Domain to wire.

use super::{duration, identity};
use crate::explain::{Accounting, Method, Quality};
use crate::proto::v1;
use crate::serving::clip::TextEmbedding;
use crate::verification::{
    Detected, DetectionResult, Dtype, Heatmap, HeatmapsResult, Payload, RegionsResult, Score,
    SimilarityResult, Timing, VerifyResult,
};
use crate::vision::boxes::Rect;

/// Everything answered about one frame.
pub(super) fn response(result: VerifyResult) -> v1::VerifyResponse {
    v1::VerifyResponse {
        similarity: result.similarity.map(similarity),
        detection: result.detection.map(detection),
        regions: result.regions.map(regions),
        heatmaps: result.heatmaps.map(heatmaps),
        frame_size: Some(size(result.size)),
        timing: Some(timing(&result.timing)),
    }
}

fn similarity(result: SimilarityResult) -> v1::SimilarityResult {
    v1::SimilarityResult {
        model: identity(&result.model),
        scores: result.scores.into_iter().map(score).collect(),
        null_prompts: result.nulls,
    }
}

fn score(score: Score) -> v1::Score {
    v1::Score {
        prompt: score.prompt,
        cosine: score.cosine,
        logit: score.logit,
        softmax: score.softmax,
        contrast: score.contrast,
        tokens: score.tokens as u32,
        truncated: score.truncated,
    }
}

/// Boxes of a frame.
pub(super) fn detection(result: DetectionResult) -> v1::DetectionResult {
    v1::DetectionResult {
        model: identity(&result.model),
        detections: result.detections.into_iter().map(detected).collect(),
    }
}

fn detected(found: Detected) -> v1::Detection {
    v1::Detection {
        r#box: Some(edges(found.rect)),
        class_index: found.class as u32,
        label: found.label,
        confidence: found.confidence,
    }
}

fn regions(result: RegionsResult) -> v1::RegionResult {
    let region = |region: crate::verification::Region| v1::Region {
        detection: Some(detected(region.detected)),
        crop: Some(edges(region.crop)),
        scores: region.scores.into_iter().map(score).collect(),
    };
    v1::RegionResult {
        model: identity(&result.model),
        detector: identity(&result.detector),
        regions: result.regions.into_iter().map(region).collect(),
    }
}

/// Heatmaps of a frame.
pub(super) fn heatmaps(result: HeatmapsResult) -> v1::HeatmapResult {
    v1::HeatmapResult {
        model: identity(&result.model),
        heatmaps: result.heatmaps.into_iter().map(heatmap).collect(),
        null_prompts: result.nulls,
    }
}

fn heatmap(map: Heatmap) -> v1::Heatmap {
    let (content, (low, high)) = content(map.payload, (map.stats.min, map.stats.max));
    v1::Heatmap {
        prompt: map.prompt,
        method: method(map.method).into(),
        layer: map.layer,
        content: Some(content),
        low,
        high,
        transform: Some(v1::Transform {
            scale_x: map.fit.scale_x,
            scale_y: map.fit.scale_y,
            offset_x: map.fit.offset_x,
            offset_y: map.fit.offset_y,
        }),
        area: Some(edges(map.area)),
        statistics: Some(v1::HeatmapStatistics {
            min: map.stats.min,
            max: map.stats.max,
            mean: map.stats.mean,
            std: map.stats.std,
        }),
        quality: quality(map.quality).into(),
        contrast: map.contrast,
        signal_to_noise: map.signal_to_noise,
        specificity: map.specificity,
        accounting: map.accounting.as_ref().map(accounting),
    }
}

/// What is sent, and its lowest and highest value.
fn content(payload: Payload, raw: (f32, f32)) -> (v1::heatmap::Content, (f32, f32)) {
    match payload {
        Payload::Png(png) => (v1::heatmap::Content::Png(png), raw),
        Payload::Tensor { dtype, shape, range, data } => {
            let data_type = match dtype {
                Dtype::F32 => v1::DataType::F32,
                Dtype::F16 => v1::DataType::F16,
                Dtype::U8 => v1::DataType::U8,
            };
            let shape = shape.map(|side| side as u32).to_vec();
            let tensor = v1::Tensor { data_type: data_type.into(), shape, data };
            (v1::heatmap::Content::Tensor(tensor), range)
        }
    }
}

const fn method(method: Method) -> v1::HeatmapMethod {
    match method {
        Method::GradEclip => v1::HeatmapMethod::GradEclip,
        Method::DirectEffect => v1::HeatmapMethod::DirectEffect,
    }
}

const fn quality(quality: Quality) -> v1::HeatmapQuality {
    match quality {
        Quality::Ok => v1::HeatmapQuality::Ok,
        Quality::Constant => v1::HeatmapQuality::Constant,
        Quality::WeakClaim => v1::HeatmapQuality::WeakClaim,
    }
}

const fn accounting(accounting: &Accounting) -> v1::Accounting {
    v1::Accounting {
        patches: accounting.patches,
        class_token: accounting.class_token,
        biases: accounting.biases,
        mlps: accounting.mlps,
        embedding: accounting.embedding,
        norm_bias: accounting.norm_bias,
        score: accounting.score,
    }
}

/// A text's unit vector.
pub(super) fn text(text: &TextEmbedding) -> v1::TextEmbedding {
    v1::TextEmbedding {
        embedding: Some(vector(&text.vector)),
        tokens: text.tokens as u32,
        truncated: text.truncated,
    }
}

/// A vector as a tensor, `[E]` f32.
pub(super) fn vector(values: &[f32]) -> v1::Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    v1::Tensor {
        data_type: v1::DataType::F32.into(),
        shape: vec![values.len() as u32],
        data: data.into(),
    }
}

/// Width and height in pixels.
pub(super) const fn size((width, height): (u32, u32)) -> v1::ImageSize {
    v1::ImageSize { width, height }
}

const fn edges(rect: Rect) -> v1::BoundingBox {
    v1::BoundingBox { x1: rect.x1, y1: rect.y1, x2: rect.x2, y2: rect.y2 }
}

/// Where the time went.
pub(super) fn timing(timing: &Timing) -> v1::Timing {
    v1::Timing {
        total: duration(timing.total),
        decode: duration(timing.decode),
        preprocess: duration(timing.preprocess),
        queue: duration(timing.queue),
        inference: duration(timing.inference),
        explain: duration(timing.explain),
        postprocess: duration(timing.postprocess),
        batch_size: timing.batch as u32,
    }
}
