//! Maps of a detector's boxes against pytorch-grad-cam on the same checkpoint
//! (`tests/golden/explain_boxes.py`).

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use tch::{Device, Kind, Tensor};
use veriframe::explain::{BoxMapError, BoxTarget, Method, box_map};
use veriframe::models::weights::Weights;
use veriframe::models::yolo::{BatchNorm, Yolo, YoloCheckpoint};
use veriframe::vision::boxes::Rect;

use super::explain::distance;

/// Greatest difference allowed over the map's greatest magnitude. The net folds its batch norms,
/// the reference does not.
const TOLERANCE: f64 = 2e-5;

fn golden(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(file)
}

fn net(kind: Kind) -> Yolo {
    let checkpoint = YoloCheckpoint::open(&golden("yolo/tiny.pt")).unwrap();
    checkpoint.build(Device::Cpu, kind, BatchNorm::Fused).unwrap()
}

fn expected() -> BTreeMap<String, Tensor> {
    let weights = Weights::open_safetensors(&golden("explain_boxes.safetensors")).unwrap();
    weights.tensors().into_iter().collect()
}

fn pixels(expected: &BTreeMap<String, Tensor>) -> Tensor {
    expected["input"].to_kind(Kind::Float).permute([2, 0, 1]).unsqueeze(0) / 255.0
}

/// The box of level `level`, and which candidate it is.
fn target(expected: &BTreeMap<String, Tensor>, level: usize) -> (BoxTarget, usize) {
    let edges = Vec::<f32>::try_from(&expected[&format!("{level}.rect")]).unwrap();
    let at = Vec::<i64>::try_from(&expected[&format!("{level}.at")]).unwrap();
    let rect = Rect::new(edges[0], edges[1], edges[2], edges[3]);
    (BoxTarget { rect, class: at[0] as usize }, at[1] as usize)
}

fn off(found: &Tensor, expected: &Tensor) -> f64 {
    distance(found, expected) / expected.abs().max().double_value(&[])
}

#[test]
fn box_maps_equal_pytorch_grad_cam_at_each_level() {
    let (net, expected) = (net(Kind::Float), expected());
    let pixels = pixels(&expected);
    for level in 0..3 {
        let (target, candidate) = target(&expected, level);
        for method in [Method::GradCam, Method::EigenCam] {
            let found = box_map(&net, &pixels, &target, method).unwrap();
            assert_eq!(found.candidate, candidate, "level {level}");
            assert_eq!(found.stride_px, 8 << level);
            let wanted = &expected[&format!("{level}.{method}")];
            let mut off_by = off(&found.map, wanted);
            if method == Method::EigenCam {
                off_by = off_by.min(off(&-&found.map, wanted));
            }
            assert!(off_by < TOLERANCE, "{method} at level {level} is off by {off_by}");
        }
    }
}

#[test]
fn a_box_is_explained_the_same_without_gradients_around_and_roughly_in_bf16() {
    let (exact, coarse, expected) = (net(Kind::Float), net(Kind::BFloat16), expected());
    let pixels = pixels(&expected);
    let (target, _) = target(&expected, 0);
    let map = |net| box_map(net, &pixels, &target, Method::GradCam).unwrap().map;
    let usual = map(&exact);
    assert!(usual.equal(&tch::no_grad(|| map(&exact))));
    let both = Tensor::stack(&[usual.flatten(0, 1), map(&coarse).flatten(0, 1)], 0);
    assert!(both.corrcoef().double_value(&[0, 1]) > 0.95);
}

#[test]
fn only_grad_cam_depends_on_the_class() {
    let (net, expected) = (net(Kind::Float), expected());
    let pixels = pixels(&expected);
    let (target, _) = target(&expected, 0);
    let other = BoxTarget { class: (target.class + 1) % 6, ..target };
    let map = |target, method| box_map(&net, &pixels, target, method).unwrap();
    let both = |method| (map(&target, method), map(&other, method));
    let (one, two) = both(Method::GradCam);
    assert_eq!(one.candidate, two.candidate);
    assert!(off(&one.map, &two.map) > 1e-2);
    let (one, two) = both(Method::EigenCam);
    assert!(one.map.equal(&two.map));
}

#[test]
fn what_a_detector_cannot_do_is_refused_with_what_it_can() {
    let (net, expected) = (net(Kind::Float), expected());
    let (target, _) = target(&expected, 0);
    let ask = |target, method| box_map(&net, &pixels(&expected), target, method).unwrap_err();
    let error = ask(&target, Method::Legrad);
    assert_eq!(error, BoxMapError::Method { method: Method::Legrad });
    assert!(error.to_string().ends_with("methods that can are grad_cam, eigen_cam"), "{error}");
    let error = ask(&BoxTarget { class: 6, ..target }, Method::GradCam);
    assert_eq!(error, BoxMapError::Class { class: 6, classes: 6 });
}
