//! What made a box: class activation maps on a `YOLOv8`, on what its head looks at.
//!
//! A box is one cell of one level of the pyramid. Grad-CAM weighs the channels of that level's
//! features by the mean gradient of the box's class *logit*, which does not saturate as the
//! confidence does; `EigenCAM` takes their first principal component and ignores the box but for
//! its level. Formulas as for CLIP (see `cam`).

use tch::{Kind, Tensor};

use super::eigen::principal_projection;
use super::method::{Method, names_of};
use crate::models::yolo::{STRIDES_PX, Yolo};
use crate::vision::boxes::Rect;

/// Channels of a head level before its class logits.
const SIDE_CHANNELS: i64 = 64;

/// A box to explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxTarget {
    /// Where it is, in pixels of the net's input.
    pub rect: Rect,
    /// Its class, by index.
    pub class: usize,
}

/// The map of one box.
#[derive(Debug)]
pub struct BoxMap {
    /// `[rows, columns]` f32, before negative values are cut; it covers the net's whole input.
    pub map: Tensor,
    /// Input pixels along one side of a cell: 8, 16 or 32.
    pub stride_px: i64,
    /// The place of the candidate that is explained among all that the net decodes.
    pub candidate: usize,
}

/// The methods that detectors know.
pub const DETECTOR_METHODS: [Method; 2] = [Method::GradCam, Method::EigenCam];

/// Why a box cannot be explained.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BoxMapError {
    /// The method is not for detectors.
    #[error(
        "{method} cannot explain boxes, methods that can are {}",
        names_of(|m| DETECTOR_METHODS.contains(&m))
    )]
    Method {
        /// The method.
        method: Method,
    },
    /// The net has no such class.
    #[error("class {class} is out of range, the model has {classes} classes")]
    Class {
        /// What was asked for.
        class: usize,
        /// How many there are.
        classes: i64,
    },
}

/// The map of the candidate that overlaps `target` most, by Grad-CAM or `EigenCAM`. `pixels` is one
/// picture `[1, 3, H, W]` as for [`Yolo::raw`].
pub fn box_map(
    yolo: &Yolo,
    pixels: &Tensor,
    target: &BoxTarget,
    method: Method,
) -> Result<BoxMap, BoxMapError> {
    if !DETECTOR_METHODS.contains(&method) {
        return Err(BoxMapError::Method { method });
    }
    let pyramid = tch::no_grad(|| yolo.pyramid(pixels)).map(|level| level.detach());
    let inputs = pyramid.each_ref().map(|level| level.shallow_clone().set_requires_grad(true));
    let raw = tch::with_grad(|| yolo.head(&inputs));
    let classes = raw[0].size()[1] - SIDE_CHANNELS;
    if target.class as i64 >= classes {
        return Err(BoxMapError::Class { class: target.class, classes });
    }
    let candidate = nearest(&tch::no_grad(|| yolo.decode(&raw)), target);
    let (level, cell) = place(&raw, candidate);
    let features = pyramid[level].to_kind(Kind::Float).squeeze_dim(0);
    let (_, rows, columns) = features.size3().expect("features are [D, h, w]");
    let channels = features.flatten(1, 2);
    let map = if method == Method::EigenCam {
        principal_projection(&channels.tr().unsqueeze(0)).squeeze_dim(0)
    } else {
        let gradient = tch::with_grad(|| {
            let logits = raw[level].select(1, SIDE_CHANNELS + target.class as i64);
            Tensor::run_backward(
                &[logits.flatten(0, -1).get(cell)],
                &[&inputs[level]],
                false,
                false,
            )
        });
        let weights = gradient[0].to_kind(Kind::Float).mean_dim(&[0i64, 2, 3][..], false, None);
        weights.unsqueeze(0).matmul(&channels).squeeze_dim(0)
    };
    Ok(BoxMap { map: map.view([rows, columns]), stride_px: STRIDES_PX[level], candidate })
}

/// The candidate of `[1, A, 4 + C]` whose box overlaps the target's most; of equal ones the most
/// confident in its class.
fn nearest(decoded: &Tensor, target: &BoxTarget) -> usize {
    let decoded = decoded.get(0);
    let edges = super::contrast::to_vec(&decoded.narrow(1, 0, 4));
    let confidence = super::contrast::to_vec(&decoded.select(1, 4 + target.class as i64));
    let overlaps = edges.chunks_exact(4).zip(confidence).map(|(edges, confidence)| {
        let rect = Rect::new(edges[0], edges[1], edges[2], edges[3]);
        (rect.iou(&target.rect), confidence)
    });
    let order = |a: &(f32, f32), b: &(f32, f32)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let best = overlaps.enumerate().max_by(|(_, a), (_, b)| order(a, b));
    best.map_or(0, |(index, _)| index)
}

/// Level and cell of a candidate: all cells of the finest level come first.
fn place(raw: &[Tensor], candidate: usize) -> (usize, i64) {
    let mut left = candidate as i64;
    for (level, outputs) in raw.iter().enumerate() {
        let cells = outputs.size()[2] * outputs.size()[3];
        if left < cells {
            return (level, left);
        }
        left -= cells;
    }
    (raw.len() - 1, 0)
}
