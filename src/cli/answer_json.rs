//! Answers as JSON, for `--json`.

use serde_json::{Map, Value, json};

use super::box_heatmaps;
use crate::proto::v1;

/// Scores, boxes, scores of boxes, and what is known of each heatmap, without its values.
pub(super) fn answer(answer: &v1::VerifyResponse) -> Map<String, Value> {
    let score = |score: &v1::Score| {
        json!({
            "prompt": score.prompt, "cosine": score.cosine, "logit": score.logit,
            "softmax": score.softmax, "contrast": score.contrast,
            "confidence": score.confidence, "truncated": score.truncated,
        })
    };
    let edges = |edges: &Option<v1::BoundingBox>| {
        let edges = edges.unwrap_or_default();
        json!([edges.x1, edges.y1, edges.x2, edges.y2])
    };
    let scores = answer.similarity.iter().flat_map(|part| part.scores.iter().map(score));
    let detections = answer.detection.iter().flat_map(|part| &part.detections).map(|found| {
        json!({
            "label": found.label, "confidence": found.confidence, "box": edges(&found.r#box),
            "heatmaps": found.heatmaps.iter().map(box_heatmaps::as_json).collect::<Vec<_>>(),
        })
    });
    let regions = answer.regions.iter().flat_map(|part| &part.regions).map(|region| {
        let label = region.detection.as_ref().map(|found| found.label.clone());
        let scores: Vec<Value> = region.scores.iter().map(score).collect();
        json!({ "label": label, "crop": edges(&region.crop), "scores": scores })
    });
    let heatmaps = answer.heatmaps.iter().flat_map(|part| &part.heatmaps).map(map_json);
    let parts: [(&str, Vec<Value>); 4] = [
        ("scores", scores.collect()),
        ("detections", detections.collect()),
        ("regions", regions.collect()),
        ("heatmaps", heatmaps.collect()),
    ];
    parts.into_iter().map(|(name, part)| (name.to_owned(), part.into())).collect()
}

fn map_json(map: &v1::Heatmap) -> Value {
    let checks = map.checks.as_ref().map(|checks| {
        json!({
            "faithfulness": checks.faithfulness, "stability": checks.stability,
            "method_agreement": checks.method_agreement,
            "layer_agreement": checks.layer_agreement,
        })
    });
    let looks = map.looks.iter().map(|look| {
        let edges = look.r#box.unwrap_or_default();
        let edges = [edges.x1, edges.y1, edges.x2, edges.y2];
        json!({ "label": look.label, "box": edges, "contrast": look.contrast })
    });
    json!({
        "prompt": map.prompt, "method": map.method().as_str_name(),
        "status": map.quality().as_str_name(), "hit_probability": map.hit_probability,
        "contrast": map.contrast, "claim": map.claim, "specificity": map.specificity,
        "signal_to_noise": map.signal_to_noise, "effective_patches": map.effective_patches,
        "rival": map.rival, "modified_network": map.modified_network, "layer": map.layer,
        "checks": checks, "looks": looks.collect::<Vec<_>>(),
    })
}
