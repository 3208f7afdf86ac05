//! The domain's results to wire responses.

use std::time::Duration;

use bytes::Bytes;

use super::box_heatmaps::box_heatmap;
use crate::calibration::Identity;
use crate::explain::{Accounting, Checks, Method, Quality, Stats};
use crate::proto::v1;
use crate::serving::ModelIdentity;
use crate::serving::clip::TextEmbedding;
use crate::verification::{
    Detected, DetectionResult, Dtype, Heatmap, HeatmapLook, HeatmapsResult, Payload, RegionsResult,
    Score, SimilarityResult, Timing, VerifyResult,
};
use crate::vision::boxes::Rect;
use crate::vision::resize::Fit;

/// Everything that was asked of a frame.
pub(super) fn verified(result: VerifyResult) -> v1::VerifyResponse {
    v1::VerifyResponse {
        similarity: result.similarity.map(similarity),
        detection: result.detection.map(detection),
        regions: result.regions.map(regions),
        heatmaps: result.heatmaps.map(heatmaps),
        frame_size: Some(size(result.size)),
        timing: Some(timing(&result.timing)),
    }
}

pub(super) fn size((width, height): (u32, u32)) -> v1::ImageSize {
    v1::ImageSize { width, height }
}

pub(super) fn identity(model: &ModelIdentity) -> v1::ModelIdentity {
    let ModelIdentity { name, version, checksum } = model.clone();
    v1::ModelIdentity { name, version, checksum }
}

fn similarity(part: SimilarityResult) -> v1::SimilarityResult {
    v1::SimilarityResult {
        model: Some(identity(&part.model)),
        scores: part.scores.into_iter().map(score).collect(),
        null_prompts: part.nulls,
        calibration: Some(calibration(part.calibration)),
    }
}

/// The calibration behind probabilities; none is told as `UNCALIBRATED`.
pub(super) fn calibration(identity: Option<Identity>) -> v1::CalibrationIdentity {
    let Some(Identity { name, method, data_sha256, rows, ece }) = identity else {
        let name = "UNCALIBRATED".to_owned();
        return v1::CalibrationIdentity { name, ..Default::default() };
    };
    v1::CalibrationIdentity { name, method: method.to_owned(), data_sha256, count: rows, ece }
}

fn score(score: Score) -> v1::Score {
    let Score { prompt, cosine, logit, softmax, contrast, confidence, tokens, truncated } = score;
    let tokens = tokens as u32;
    v1::Score { prompt, cosine, logit, softmax, contrast, tokens, truncated, confidence }
}

pub(super) fn detection(part: DetectionResult) -> v1::DetectionResult {
    let DetectionResult { model, detections, heatmaps } = part;
    let mut detections: Vec<v1::Detection> = detections.into_iter().map(detected).collect();
    for (found, maps) in detections.iter_mut().zip(heatmaps) {
        found.heatmaps = maps.into_iter().map(box_heatmap).collect();
    }
    v1::DetectionResult { model: Some(identity(&model)), detections }
}

fn detected(found: Detected) -> v1::Detection {
    v1::Detection {
        r#box: Some(rect(found.rect)),
        class_index: found.class as u32,
        label: found.label,
        confidence: found.confidence,
        heatmaps: Vec::new(),
    }
}

pub(super) fn rect(rect: Rect) -> v1::BoundingBox {
    v1::BoundingBox { x1: rect.x1, y1: rect.y1, x2: rect.x2, y2: rect.y2 }
}

fn regions(part: RegionsResult) -> v1::RegionResult {
    let regions = part.regions.into_iter().map(|region| v1::Region {
        detection: Some(detected(region.detected)),
        crop: Some(rect(region.crop)),
        scores: region.scores.into_iter().map(score).collect(),
    });
    v1::RegionResult {
        model: Some(identity(&part.model)),
        detector: Some(identity(&part.detector)),
        regions: regions.collect(),
    }
}

pub(super) fn heatmaps(part: HeatmapsResult) -> v1::HeatmapResult {
    v1::HeatmapResult {
        model: Some(identity(&part.model)),
        heatmaps: part.heatmaps.into_iter().map(heatmap).collect(),
        null_prompts: part.nulls,
    }
}

/// A map in one of its message's two forms, and the least and the greatest value sent.
pub(super) fn sent<C>(
    payload: Payload,
    as_tensor: impl FnOnce(v1::Tensor) -> C,
    as_png: impl FnOnce(Bytes) -> C,
) -> (C, (f32, f32)) {
    match payload {
        Payload::Tensor { dtype, shape, range, data } => {
            let shape = shape.map(|side| side as u32).to_vec();
            let data_type = data_type(dtype).into();
            (as_tensor(v1::Tensor { data_type, shape, data }), range)
        }
        Payload::Png(bytes) => (as_png(bytes), (0.0, 0.0)),
    }
}

fn heatmap(map: Heatmap) -> v1::Heatmap {
    let (content, (low, high)) =
        sent(map.payload, v1::heatmap::Content::Tensor, v1::heatmap::Content::Png);
    let figures = map.figures;
    v1::Heatmap {
        prompt: map.prompt,
        method: method(figures.method).into(),
        layer: map.layer,
        content: Some(content),
        low,
        high,
        transform: Some(transform(&map.fit)),
        area: Some(rect(map.area)),
        statistics: Some(statistics(&figures.stats)),
        quality: quality(figures.quality).into(),
        contrast: figures.margin,
        signal_to_noise: figures.signal_to_noise,
        specificity: figures.specificity,
        accounting: figures.accounting.as_ref().map(accounting),
        claim: figures.claim,
        effective_patches: figures.effective_patches,
        rival: figures.rival,
        hit_probability: figures.hit_probability,
        checks: figures.checks.as_ref().map(checks),
        modified_network: map.modified_network,
        looks: map.looks.into_iter().map(look).collect(),
    }
}

fn look(look: HeatmapLook) -> v1::HeatmapLook {
    let HeatmapLook { area, label, contrast } = look;
    v1::HeatmapLook { r#box: Some(rect(area)), contrast, label }
}

fn checks(found: &Checks) -> v1::HeatmapChecks {
    let Checks { faithfulness, stability, method_agreement, layer_agreement } = *found;
    v1::HeatmapChecks { faithfulness, stability, method_agreement, layer_agreement }
}

fn data_type(dtype: Dtype) -> v1::DataType {
    match dtype {
        Dtype::F32 => v1::DataType::F32,
        Dtype::F16 => v1::DataType::F16,
        Dtype::U8 => v1::DataType::U8,
    }
}

pub(super) fn method(method: Method) -> v1::HeatmapMethod {
    match method {
        Method::GradEclip => v1::HeatmapMethod::GradEclip,
        Method::DirectEffect => v1::HeatmapMethod::DirectEffect,
        Method::Legrad => v1::HeatmapMethod::Legrad,
        Method::Game => v1::HeatmapMethod::Game,
        Method::GradCam => v1::HeatmapMethod::GradCam,
        Method::GradCamPlusPlus => v1::HeatmapMethod::GradCamPlusPlus,
        Method::XGradCam => v1::HeatmapMethod::XGradCam,
        Method::LayerCam => v1::HeatmapMethod::LayerCam,
        Method::HiresCam => v1::HeatmapMethod::HiresCam,
        Method::EigenCam => v1::HeatmapMethod::EigenCam,
        Method::EigenGradCam => v1::HeatmapMethod::EigenGradCam,
        Method::ScoreCam => v1::HeatmapMethod::ScoreCam,
        Method::Rollout => v1::HeatmapMethod::Rollout,
        Method::GradRollout => v1::HeatmapMethod::GradRollout,
        Method::MaskClip => v1::HeatmapMethod::MaskClip,
        Method::ClearClip => v1::HeatmapMethod::ClearClip,
        Method::Naclip => v1::HeatmapMethod::Naclip,
        Method::Sclip => v1::HeatmapMethod::Sclip,
        Method::ClipSurgery => v1::HeatmapMethod::ClipSurgery,
        Method::Gem => v1::HeatmapMethod::Gem,
        Method::Ensemble => v1::HeatmapMethod::Ensemble,
    }
}

pub(super) fn quality(quality: Quality) -> v1::HeatmapQuality {
    match quality {
        Quality::Ok => v1::HeatmapQuality::Ok,
        Quality::Constant => v1::HeatmapQuality::Constant,
        Quality::WeakClaim => v1::HeatmapQuality::WeakClaim,
        Quality::NotSpecific => v1::HeatmapQuality::NotSpecific,
        Quality::Unfaithful => v1::HeatmapQuality::Unfaithful,
        Quality::UnderResolved => v1::HeatmapQuality::UnderResolved,
    }
}

pub(super) fn transform(fit: &Fit) -> v1::Transform {
    let Fit { scale_x, scale_y, offset_x, offset_y } = *fit;
    v1::Transform { scale_x, scale_y, offset_x, offset_y }
}

pub(super) fn statistics(stats: &Stats) -> v1::HeatmapStatistics {
    let Stats { min, max, mean, std } = *stats;
    v1::HeatmapStatistics { min, max, mean, std }
}

fn accounting(shares: &Accounting) -> v1::Accounting {
    let Accounting { patches, class_token, biases, mlps, embedding, norm_bias, score } = *shares;
    v1::Accounting { patches, class_token, biases, mlps, embedding, norm_bias, score }
}

/// A unit vector `[E]`.
pub(super) fn vector(values: &[f32]) -> v1::Tensor {
    let data: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    v1::Tensor {
        data_type: v1::DataType::F32.into(),
        shape: vec![values.len() as u32],
        data: Bytes::from(data),
    }
}

pub(super) fn text(text: &TextEmbedding) -> v1::TextEmbedding {
    v1::TextEmbedding {
        embedding: Some(vector(&text.vector)),
        tokens: text.tokens as u32,
        truncated: text.truncated,
    }
}

pub(super) fn timing(timing: &Timing) -> v1::Timing {
    v1::Timing {
        total: Some(duration(timing.total)),
        decode: Some(duration(timing.decode)),
        preprocess: Some(duration(timing.preprocess)),
        queue: Some(duration(timing.queue)),
        inference: Some(duration(timing.inference)),
        explain: Some(duration(timing.explain)),
        postprocess: Some(duration(timing.postprocess)),
        batch_size: timing.batch as u32,
    }
}

pub(super) fn duration(duration: Duration) -> prost_types::Duration {
    // Fails only beyond 292 thousand million years.
    prost_types::Duration::try_from(duration).unwrap_or_default()
}
