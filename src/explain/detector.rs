//! What made a box: class activation maps on a `YOLOv8`, on what its head looks at.
//!
//! A box is one cell of one level of the pyramid. Grad-CAM weighs the channels of that level's
//! features by the mean gradient of the box's class *logit*, which does not saturate as the
//! confidence does; `EigenCAM` takes their first principal component and ignores the box but for
//! its level. Formulas as for CLIP (see `cam`). The logit depends on the 5 × 5 cells around its own
//! ([`Windows`]), so that the gradient of some dozens of boxes costs next to nothing.

use std::ops::Range;

use tch::{Device, Kind, Tensor};

use super::contrast::to_vec;
use super::eigen::principal_projection;
use super::map::{LEAST_PATCHES, Quality, Stats, effective_patches, is_flat, rival, shown, stats};
use super::method::{Method, names_of};
use crate::models::yolo::{Pyramid, STRIDES_PX, Windows, Yolo};
use crate::vision::boxes::Rect;

/// A box to explain.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BoxTarget {
    /// Where it is, in pixels of the net's input.
    pub rect: Rect,
    /// Its class, by index.
    pub class: usize,
}

/// A candidate of the net to explain.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BoxCandidate {
    /// Its place among all that the net [decodes](Yolo::decode).
    pub place: usize,
    /// The class to explain, by index.
    pub class: usize,
}

/// The map of one box.
#[derive(Debug)]
pub struct BoxMap {
    /// How it was made.
    pub method: Method,
    /// `[rows, columns]` f32, before negative values are cut; it covers the net's whole input.
    pub map: Tensor,
    /// The level of the pyramid that it was read from: 0, 1 or 2, finest first.
    pub level: usize,
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
    /// The net gave no such candidate.
    #[error("candidate {place} is out of range, the model gave {candidates}")]
    Candidate {
        /// What was asked for.
        place: usize,
        /// How many there are.
        candidates: i64,
    },
}

/// Whether detectors know the method.
///
/// # Errors
/// [`BoxMapError::Method`] with those that they know.
pub fn explains_boxes(method: Method) -> Result<(), BoxMapError> {
    if DETECTOR_METHODS.contains(&method) { Ok(()) } else { Err(BoxMapError::Method { method }) }
}

/// The map of the candidate that overlaps `target` most, by Grad-CAM or `EigenCAM`. `pixels` is one
/// picture `[1, 3, H, W]` as for [`Yolo::raw`].
pub fn box_map(
    yolo: &Yolo,
    pixels: &Tensor,
    target: &BoxTarget,
    method: Method,
) -> Result<BoxMap, BoxMapError> {
    explains_boxes(method)?;
    known_class(yolo, target.class)?;
    let (pyramid, decoded) = tch::no_grad(|| {
        let pyramid = yolo.pyramid(pixels);
        let decoded = yolo.decode(&yolo.head(&pyramid));
        (pyramid, decoded)
    });
    let candidate = BoxCandidate { place: nearest(&decoded, target), class: target.class };
    let mut maps = candidate_maps(yolo, &pyramid, &[candidate], method)?;
    Ok(maps.pop().expect("a candidate has a map"))
}

/// The maps of `candidates` by Grad-CAM or `EigenCAM`, one each and in their order, from the
/// features of one picture that the net made already: `pyramid` is `[1, D, h, w]` at each level.
///
/// # Errors
/// For a method that is not for detectors, and for a class or a candidate that the net does not
/// have.
pub fn candidate_maps(
    yolo: &Yolo,
    pyramid: &Pyramid,
    candidates: &[BoxCandidate],
    method: Method,
) -> Result<Vec<BoxMap>, BoxMapError> {
    explains_boxes(method)?;
    let mut cells: [Vec<Cell>; 3] = Default::default();
    for (index, candidate) in candidates.iter().enumerate() {
        known_class(yolo, candidate.class)?;
        let (level, at) = place(pyramid, candidate.place)?;
        cells[level].push(Cell { index, at, class: candidate.class as i64 });
    }
    let mut found = Vec::with_capacity(candidates.len());
    for (level, cells) in cells.iter().enumerate().filter(|(_, cells)| !cells.is_empty()) {
        let maps = level_maps(yolo, (level, &pyramid[level]), cells, method);
        for (row, cell) in cells.iter().enumerate() {
            let map = BoxMap {
                method,
                map: maps.get(row as i64),
                level,
                stride_px: STRIDES_PX[level],
                candidate: candidates[cell.index].place,
            };
            found.push((cell.index, map));
        }
    }
    found.sort_by_key(|(index, _)| *index);
    Ok(found.into_iter().map(|(_, map)| map).collect())
}

/// A candidate on its level.
struct Cell {
    /// Which of the candidates asked.
    index: usize,
    /// Row-major place on the level.
    at: i64,
    class: i64,
}

/// The maps of cells of one level, `[K, rows, columns]` f32.
fn level_maps(
    yolo: &Yolo,
    (level, features): (usize, &Tensor),
    cells: &[Cell],
    method: Method,
) -> Tensor {
    let (_, _, rows, columns) = features.size4().expect("features are [1, D, h, w]");
    let channels = features.detach().squeeze_dim(0).to_kind(Kind::Float).flatten(1, 2);
    let maps = if method == Method::EigenCam {
        let shared = principal_projection(&channels.tr().unsqueeze(0));
        shared.expand([cells.len() as i64, -1], false)
    } else {
        let summed = logit_gradients(yolo, (level, features), cells);
        (summed / (rows * columns) as f64).matmul(&channels)
    };
    maps.reshape([-1, rows, columns])
}

/// The gradients of each cell's class logit, summed over places: `[K, D]` f32.
fn logit_gradients(yolo: &Yolo, (level, features): (usize, &Tensor), cells: &[Cell]) -> Tensor {
    let places: Vec<i64> = cells.iter().map(|cell| cell.at).collect();
    let classes: Vec<i64> = cells.iter().map(|cell| cell.class).collect();
    let classes = Tensor::from_slice(&classes).unsqueeze(1).to_device(features.device());
    let windows = Windows::around(features, &places);
    let gradient = tch::with_grad(|| {
        // The windows do not meet, so that the gradient of the sum is each logit's own.
        let logits = yolo.class_logits(level, &windows).gather(1, &classes, false);
        let sum = logits.to_kind(Kind::Float).sum(Kind::Float);
        Tensor::run_backward(&[sum], &[windows.features()], false, false).remove(0)
    });
    // Padding beyond the level's edge is read too, but is no feature.
    let of_features = gradient.to_kind(Kind::Float) * windows.inside();
    of_features.sum_dim_intlist([2i64, 3].as_slice(), false, Kind::Float)
}

fn known_class(yolo: &Yolo, class: usize) -> Result<(), BoxMapError> {
    let classes = yolo.classes();
    if (class as i64) < classes { Ok(()) } else { Err(BoxMapError::Class { class, classes }) }
}

/// The candidate of `[1, A, 4 + C]` whose box overlaps the target's most; of equal ones the most
/// confident in its class.
fn nearest(decoded: &Tensor, target: &BoxTarget) -> usize {
    let decoded = decoded.get(0);
    let edges = to_vec(&decoded.narrow(1, 0, 4));
    let confidence = to_vec(&decoded.select(1, 4 + target.class as i64));
    let overlaps = edges.chunks_exact(4).zip(confidence).map(|(edges, confidence)| {
        let rect = Rect::new(edges[0], edges[1], edges[2], edges[3]);
        (rect.iou(&target.rect), confidence)
    });
    let order = |a: &(f32, f32), b: &(f32, f32)| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1));
    let best = overlaps.enumerate().max_by(|(_, a), (_, b)| order(a, b));
    best.map_or(0, |(index, _)| index)
}

/// Level and cell of a candidate: all cells of the finest level come first.
fn place(pyramid: &Pyramid, candidate: usize) -> Result<(usize, i64), BoxMapError> {
    let mut before = 0;
    for (level, features) in pyramid.iter().enumerate() {
        let cells = features.size()[2] * features.size()[3];
        if (candidate as i64) < before + cells {
            return Ok((level, candidate as i64 - before));
        }
        before += cells;
    }
    Err(BoxMapError::Candidate { place: candidate, candidates: before })
}

/// The map of a box as it is shown, with the figures that say how far to trust it.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxHeat {
    /// How it was made.
    pub method: Method,
    /// Rows and columns.
    pub grid: (usize, usize),
    /// The map to show, row-major, `rows * columns` numbers, at least 0, in the method's own units.
    pub values: Vec<f32>,
    /// Figures of the raw map: before negative values were cut.
    pub stats: Stats,
    /// Over how many cells the heat is spread; see [`RawMap`](super::RawMap).
    pub effective_patches: f32,
    /// A second peak over the first; see [`RawMap`](super::RawMap).
    pub rival: f32,
    /// Whether the map means anything: [`Quality::Constant`], [`Quality::NotSpecific`] for a method
    /// that ignores the box, [`Quality::UnderResolved`] or [`Quality::Ok`].
    pub quality: Quality,
}

impl BoxHeat {
    /// Of these rows and columns of a raw map, both not empty and within it: those that lie on the
    /// picture.
    pub fn cut(raw: &BoxMap, rows: Range<u32>, columns: Range<u32>) -> Self {
        let (height, width) = (rows.len() as i64, columns.len() as i64);
        let part = raw.map.narrow(0, i64::from(rows.start), height);
        let part = part.narrow(1, i64::from(columns.start), width).to_device(Device::Cpu);
        Self::judged(raw.method, &to_vec(&part), columns.len())
    }

    fn judged(method: Method, raw: &[f32], columns: usize) -> Self {
        let values = shown(method, raw);
        let effective_patches = effective_patches(&values);
        let finite = raw.iter().all(|value| value.is_finite());
        let quality = if !finite || is_flat(raw) || is_flat(&values) {
            Quality::Constant
        } else if !method.is_text_conditioned() {
            Quality::NotSpecific
        } else if effective_patches < LEAST_PATCHES {
            Quality::UnderResolved
        } else {
            Quality::Ok
        };
        Self {
            method,
            grid: (raw.len() / columns, columns),
            stats: stats(raw),
            effective_patches,
            rival: rival(&values, columns, 1),
            values,
            quality,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(method: Method, raw: &[f32]) -> BoxHeat {
        BoxHeat::judged(method, raw, 3)
    }

    #[test]
    fn a_box_is_told_what_its_map_is_worth() {
        let spread = [-1.0, 2.0, 0.0, 1.0, 0.0, 2.0];
        let heat = judged(Method::GradCam, &spread);
        assert_eq!((heat.grid, heat.quality), ((2, 3), Quality::Ok));
        assert_eq!(heat.values, [0.0, 2.0, 0.0, 1.0, 0.0, 2.0]);
        assert!((heat.stats.min + 1.0).abs() < 1e-6, "{:?}", heat.stats);
        assert_eq!(judged(Method::EigenCam, &spread).quality, Quality::NotSpecific);
        for (raw, quality) in [
            ([0.0, 0.1, 0.0, 9.0, 0.0, 0.0], Quality::UnderResolved),
            ([2.0; 6], Quality::Constant),
            ([-3.0, -2.0, -1.0, -3.0, -2.0, -1.0], Quality::Constant),
            ([0.0, f32::NAN, 1.0, 2.0, 1.0, 0.0], Quality::Constant),
        ] {
            assert_eq!(judged(Method::GradCam, &raw).quality, quality, "{raw:?}");
        }
    }

    #[test]
    fn only_the_cells_on_the_picture_are_shown_and_judged() {
        let map = Tensor::arange(12, (Kind::Float, Device::Cpu)).view([3, 4]);
        let raw = BoxMap { method: Method::GradCam, map, level: 0, stride_px: 8, candidate: 0 };
        let heat = BoxHeat::cut(&raw, 1..3, 0..3);
        assert_eq!(
            (heat.grid, heat.values.as_slice()),
            ((2, 3), [4., 5., 6., 8., 9., 10.].as_slice())
        );
        assert!((heat.stats.max - 10.0).abs() < 1e-6);
    }
}
