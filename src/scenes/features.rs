//! Where everything in a face is, in face units (see [`super::canvas`]).
//!
//! `side` is -1 for the picture's left and 1 for its right throughout.

use rand::Rng;
use tiny_skia::{Path, PathBuilder};

use super::canvas::{blob, blob_points, curve, ellipse, finish, polygon, polyline};
use super::{Cue, FaceSpec};

const EYE_X: f32 = 0.37;
const EYE_Y: f32 = -0.16;
const IRIS: f32 = 0.20;
const MOUTH_Y: f32 = 0.37;
/// How far the upper lip sags between the mouth's corners.
const SAG: f32 = 0.075;

/// Line widths.
pub(super) const LIPS: f32 = 0.085;
pub(super) const FRAME: f32 = 0.055;
pub(super) const SEAM: f32 = 0.042;
pub(super) const EAR_EDGE: f32 = 0.03;

fn head_corners(spec: &FaceSpec) -> [(f32, f32); 9] {
    let jaw = 0.38 + 0.24 * spec.jaw;
    [
        (-0.45, -1.0),
        (0.45, -1.0),
        (0.88, -0.62),
        (0.86, 0.25),
        (jaw, 0.93),
        (0.0, 1.05),
        (-jaw, 0.93),
        (-0.86, 0.25),
        (-0.88, -0.62),
    ]
}

/// The head without ears and hair.
pub(super) fn head(spec: &FaceSpec) -> Path {
    blob(&head_corners(spec))
}

/// One eye's white.
pub(super) fn eye_white(side: f32) -> Path {
    ellipse((side * EYE_X, EYE_Y), (0.285, 0.265))
}

/// The edge of the upper lid.
pub(super) fn lid(side: f32) -> Path {
    let mut path = PathBuilder::new();
    let at = |x: f32, y: f32| (side * (EYE_X + x), EYE_Y + y);
    let (from, first, second, to) =
        (at(-0.285, -0.03), at(-0.25, -0.35), at(0.25, -0.35), at(0.31, -0.08));
    path.move_to(from.0, from.1);
    path.cubic_to(first.0, first.1, second.0, second.1, to.0, to.1);
    finish(path)
}

fn iris_center(spec: &FaceSpec, side: f32) -> (f32, f32) {
    (side * EYE_X + 0.05 * spec.pose.gaze, EYE_Y + 0.01)
}

pub(super) fn iris(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (IRIS, IRIS))
}

pub(super) fn pupil(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (0.125, 0.125))
}

/// The iris with its rim: where a reflection can be.
pub(super) fn reflecting(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (IRIS + 0.01, IRIS + 0.01))
}

/// The light that a pupil mirrors: a round spot.
pub(super) fn reflection(spec: &FaceSpec, side: f32) -> Path {
    let angle = spec.light_angle.to_radians();
    let (x, y) = iris_center(spec, side);
    ellipse((x + 0.09 * angle.cos(), y + 0.09 * angle.sin()), (0.07, 0.07))
}

/// The light that the odd pupil mirrors: a window on the other side.
pub(super) fn odd_reflection(spec: &FaceSpec, side: f32) -> Path {
    let angle = (spec.light_angle + 180.0).to_radians();
    let (x, y) = iris_center(spec, side);
    let (x, y, half) = (x + 0.062 * angle.cos(), y + 0.062 * angle.sin(), 0.098);
    polygon(&[
        (x - half, y - half),
        (x + half, y - half),
        (x + half, y + half),
        (x - half, y + half),
    ])
}

pub(super) fn eyebrow(spec: &FaceSpec, side: f32) -> Path {
    let lift = 0.04 * spec.pose.smile;
    let at = |x: f32, y: f32| (side * (EYE_X + x), EYE_Y - y - lift);
    curve([at(-0.2, 0.36), at(0.06, 0.50), at(0.27, 0.31)])
}

/// An ordinary ear.
pub(super) fn ear(side: f32) -> Path {
    let corners = [
        (0.76, -0.16),
        (0.92, -0.42),
        (1.18, -0.38),
        (1.17, 0.02),
        (1.04, 0.28),
        (0.90, 0.36),
        (0.78, 0.18),
    ];
    blob(&corners.map(|(x, y)| (side * x, y)))
}

/// The line inside an ordinary ear.
pub(super) fn ear_line(side: f32) -> Path {
    let at = |x: f32, y: f32| (side * x, y);
    let mut path = PathBuilder::new();
    let (from, first, second, to) =
        (at(0.91, -0.20), at(1.12, -0.34), at(1.08, -0.02), at(0.93, 0.12));
    path.move_to(from.0, from.1);
    path.cubic_to(first.0, first.1, second.0, second.1, to.0, to.1);
    finish(path)
}

/// A misshapen ear, with the line inside it: pointed and notched, or melting downward.
pub(super) fn odd_ear(spec: &FaceSpec, side: f32) -> (Path, Path) {
    let at = |(x, y): (f32, f32)| (side * x, y);
    if spec.rng(6).random_bool(0.5) {
        let corners = [
            (0.76, -0.12),
            (0.86, -0.34),
            (1.10, -0.62),
            (1.06, -0.30),
            (1.17, -0.18),
            (0.97, -0.06),
            (1.14, 0.08),
            (0.96, 0.11),
            (1.00, 0.27),
            (0.76, 0.20),
        ];
        let line = [(0.90, -0.14), (0.98, -0.30), (1.03, -0.44)];
        return (polygon(&corners.map(at)), polyline(&line.map(at)));
    }
    let corners = [
        (0.74, -0.32),
        (0.90, -0.16),
        (1.02, -0.44),
        (1.15, -0.10),
        (0.98, 0.02),
        (1.20, 0.14),
        (1.14, 0.44),
        (1.12, 0.84),
        (0.92, 0.74),
        (0.94, 0.38),
        (0.74, 0.30),
    ];
    let line = [(0.99, 0.12), (1.09, 0.28), (1.04, 0.54)];
    (blob(&corners.map(at)), curve(line.map(at)))
}

pub(super) fn nose() -> Path {
    blob(&[
        (-0.05, -0.06),
        (0.05, -0.06),
        (0.12, 0.10),
        (0.20, 0.26),
        (0.0, 0.31),
        (-0.20, 0.26),
        (-0.12, 0.10),
    ])
}

/// The line under the nose.
pub(super) fn nostrils() -> Path {
    curve([(-0.11, 0.225), (0.0, 0.31), (0.11, 0.225)])
}

/// Half-width of the open mouth, and how far it reaches down from its corners.
fn mouth_size(spec: &FaceSpec) -> (f32, f32) {
    (0.45 + 0.05 * spec.pose.smile, 0.41 + 0.05 * spec.pose.smile)
}

/// The open mouth without lips.
pub(super) fn mouth(spec: &FaceSpec) -> Path {
    let (half, down) = mouth_size(spec);
    let mut path = PathBuilder::new();
    path.move_to(-half, MOUTH_Y);
    path.quad_to(0.0, MOUTH_Y + 2.0 * SAG, half, MOUTH_Y);
    let (x, y) = (0.94 * half, MOUTH_Y + 1.3 * down);
    path.cubic_to(x, y, -x, y, -half, MOUTH_Y);
    path.close();
    finish(path)
}

pub(super) fn tongue(spec: &FaceSpec) -> Path {
    let (half, down) = mouth_size(spec);
    ellipse((0.0, MOUTH_Y + 0.83 * down), (0.42 * half, 0.12 * down))
}

/// The teeth as one shape: neat ones, or jagged ones with the cue.
pub(super) fn teeth(spec: &FaceSpec) -> Path {
    const COUNT: usize = 6;
    let (half, _) = mouth_size(spec);
    let pitch = half * 1.64 / COUNT as f32;
    let mut rng = spec.rng(3);
    let missing = if rng.random_bool(0.5) { 1 } else { 4 };
    let mut path = PathBuilder::new();
    for index in 0..COUNT {
        let left = (index as f32 - COUNT as f32 / 2.0) * pitch;
        let (size, slim, lean): (f32, f32, f32) =
            (rng.random(), rng.random_range(0.66..0.9), rng.random_range(-0.06..0.06));
        let tooth = if !spec.has(Cue::UnevenTeeth) {
            Tooth { left: left + 0.005, width: pitch - 0.01, length: 0.15, lean: 0.0 }
        } else if index == missing {
            continue;
        } else {
            // Long and short take turns, so that no seed gives a neat row by chance.
            let odd = (index + missing) % 2 == 1;
            let length = if odd { 0.22 + 0.08 * size } else { 0.06 + 0.04 * size };
            Tooth { left: left + 0.01, width: pitch * slim, length, lean }
        };
        tooth.push(&mut path, half);
    }
    finish(path)
}

struct Tooth {
    left: f32,
    width: f32,
    length: f32,
    lean: f32,
}

impl Tooth {
    /// Hangs the tooth from the upper lip, no longer than the mouth is deep there.
    fn push(&self, path: &mut PathBuilder, half: f32) {
        let right = self.left + self.width;
        let top = |x: f32| MOUTH_Y + SAG * (1.0 - (x / half).powi(2));
        let outer = self.left.abs().max(right.abs()) / half;
        let length = self.length.min(0.30 - 0.17 * outer * outer);
        path.move_to(self.left, top(self.left));
        path.line_to(right, top(right));
        path.line_to(right + self.lean, top(right) + length);
        path.line_to(self.left + self.lean, top(self.left) + length);
        path.close();
    }
}

/// A bad blend: its hard jagged line from eye to eye around the chin, and the strip of other
/// tone between that line and the face's edge.
pub(super) fn seam(spec: &FaceSpec) -> (Path, Path) {
    const PER_CORNER: usize = 6;
    let mut rng = spec.rng(4);
    let contour = blob_points(&head_corners(spec), PER_CORNER);
    // Corners 3 to 7: from beside the right eye round to beside the left one, below the hair.
    let edge = &contour[3 * PER_CORNER..=8 * PER_CORNER];
    let last = edge.len() - 1;
    let line: Vec<(f32, f32)> = edge
        .iter()
        .enumerate()
        .map(|(index, &(x, y))| {
            let taper = (index.min(last - index) as f32 / 3.0).min(1.0);
            let depth = taper * rng.random_range(0.105..0.18);
            (x * (1.0 - depth), y - depth * (y - 0.05))
        })
        .collect();
    let strip: Vec<(f32, f32)> = edge.iter().copied().chain(line.iter().rev().copied()).collect();
    (polyline(&line), polygon(&strip))
}

pub(super) fn lens(side: f32) -> Path {
    ellipse((side * EYE_X, EYE_Y), (0.335, 0.325))
}

/// What joins the lenses to each other and to the ears.
pub(super) fn arms() -> Path {
    let mut path = PathBuilder::new();
    path.move_to(-0.045, EYE_Y - 0.05);
    path.quad_to(0.0, EYE_Y - 0.12, 0.045, EYE_Y - 0.05);
    for side in [-1.0, 1.0] {
        path.move_to(side * (EYE_X + 0.33), EYE_Y - 0.05);
        path.line_to(side * 0.83, EYE_Y - 0.09);
    }
    finish(path)
}
