//! Which pixels made each box, for `veriframe verify`: asked for, shown and saved.

use std::path::Path;

use anyhow::Context;
use serde_json::{Value, json};

use super::output;
use super::verify::{method_name, on_the_wire, status_name};
use crate::explain::Method;
use crate::proto::v1;

/// Maps of the most confident boxes by all methods named; without any, none.
pub(super) fn query(
    methods: &[Method],
    encoding: v1::HeatmapEncoding,
) -> Option<v1::BoxHeatmapQuery> {
    (!methods.is_empty()).then(|| v1::BoxHeatmapQuery {
        methods: methods.iter().map(|&method| on_the_wire(method).into()).collect(),
        encoding: encoding.into(),
        ..Default::default()
    })
}

/// Every map with its box, and its box's place in the answer, from 1 on.
fn all(
    answer: &v1::VerifyResponse,
) -> impl Iterator<Item = (usize, &v1::Detection, &v1::BoxHeatmap)> {
    let boxes = answer.detection.iter().flat_map(|part| &part.detections).enumerate();
    boxes.flat_map(|(at, found)| found.heatmaps.iter().map(move |map| (at + 1, found, map)))
}

/// A table of the maps, where there are any.
pub(super) fn show(answer: &v1::VerifyResponse) {
    let row = |(at, found, map): (usize, &v1::Detection, &v1::BoxHeatmap)| {
        let edges = found.r#box.unwrap_or_default();
        vec![
            format!("{at} {}", found.label),
            format!("{:.2}", found.confidence),
            format!("{:.0}, {:.0}, {:.0}, {:.0}", edges.x1, edges.y1, edges.x2, edges.y2),
            method_name(map.method()),
            status_name(map.quality()),
            format!("{:.1}", map.effective_patches),
            format!("{:.2}", map.rival),
            map.layer.clone(),
        ]
    };
    let rows: Vec<Vec<String>> = all(answer).map(row).collect();
    if !rows.is_empty() {
        let head =
            ["box", "confidence", "x1, y1, x2, y2", "heatmap", "status", "cells", "rival", "layer"];
        output::table(&head, &rows);
    }
}

/// Writes every drawn map beside `path`: `heat.png` becomes `heat.2-mouth-grad_cam.png`.
pub(super) fn save(path: &Path, answer: &v1::VerifyResponse) -> anyhow::Result<()> {
    for (at, found, map) in all(answer) {
        let Some(v1::box_heatmap::Content::Png(png)) = &map.content else { continue };
        let of = format!("{at}-{}-{}", file_part(&found.label), method_name(map.method()));
        let path = path.with_extension(format!("{of}.png"));
        std::fs::write(&path, png).with_context(|| format!("cannot write {}", path.display()))?;
        output::say(format_args!("heatmap in {}", path.display()));
    }
    Ok(())
}

/// A class name as a part of a file's name: class names come from a checkpoint.
fn file_part(label: &str) -> String {
    label.chars().map(|c| if c.is_alphanumeric() { c } else { '_' }).collect()
}

pub(super) fn as_json(map: &v1::BoxHeatmap) -> Value {
    let edges = map.area.unwrap_or_default();
    json!({
        "method": map.method().as_str_name(), "status": map.quality().as_str_name(),
        "effective_patches": map.effective_patches, "rival": map.rival, "layer": map.layer,
        "stride_px": map.stride_px, "area": [edges.x1, edges.y1, edges.x2, edges.y2],
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_name_cannot_leave_its_folder() {
        assert_eq!(file_part("../a b/얼굴"), "___a_b_얼굴");
    }
}
