//! Where everything in a face is, in face units (see [`super::canvas`]).

use rand::Rng;
use tiny_skia::Path;

use super::canvas::{blob, ellipse, polygon, polyline};
use super::{Cue, FaceSpec};

/// Half-width of the head.
pub(super) const HEAD_X: f32 = 0.80;
const EYE_X: f32 = 0.35;
const EYE_Y: f32 = -0.16;
const IRIS: f32 = 0.165;
const PUPIL: f32 = 0.105;
const EAR_X: f32 = 0.86;
const EAR_Y: f32 = -0.02;
const MOUTH_Y: f32 = 0.52;

/// The head without ears and hair.
pub(super) fn head() -> Path {
    blob(&[
        (-0.45, -1.05),
        (0.45, -1.05),
        (0.90, -0.62),
        (0.86, 0.30),
        (0.50, 0.98),
        (0.0, 1.10),
        (-0.50, 0.98),
        (-0.86, 0.30),
        (-0.90, -0.62),
    ])
}

/// One eye's white; `side` is -1 for the picture's left, 1 for its right.
pub(super) fn eye_white(side: f32) -> Path {
    ellipse((side * EYE_X, EYE_Y), (0.26, 0.215))
}

/// Where the iris is.
pub(super) fn iris_center(spec: &FaceSpec, side: f32) -> (f32, f32) {
    (side * EYE_X + 0.055 * spec.pose.gaze, EYE_Y)
}

pub(super) fn iris(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (IRIS, IRIS))
}

pub(super) fn pupil(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (PUPIL, PUPIL))
}

/// The iris with its rim: where a reflection can be.
pub(super) fn reflecting(spec: &FaceSpec, side: f32) -> Path {
    ellipse(iris_center(spec, side), (IRIS + 0.03, IRIS + 0.03))
}

/// The light that a pupil mirrors: a round spot.
pub(super) fn reflection(spec: &FaceSpec, side: f32) -> Path {
    let angle = spec.light_angle.to_radians();
    let (x, y) = iris_center(spec, side);
    ellipse((x + 0.075 * angle.cos(), y + 0.075 * angle.sin()), (0.058, 0.058))
}

/// The light that the odd pupil mirrors: a window on the other side.
pub(super) fn odd_reflection(spec: &FaceSpec, side: f32) -> Path {
    let angle = (spec.light_angle + 180.0).to_radians();
    let (x, y) = iris_center(spec, side);
    let (x, y, half) = (x + 0.065 * angle.cos(), y + 0.065 * angle.sin(), 0.075);
    polygon(&[
        (x - half, y - half),
        (x + half, y - half),
        (x + half, y + half),
        (x - half, y + half),
    ])
}

pub(super) fn eyebrow(spec: &FaceSpec, side: f32) -> Path {
    let tilt = 0.04 * spec.pose.smile;
    polyline(&[
        (side * (EYE_X - 0.2), -0.47),
        (side * EYE_X, -0.52 - tilt),
        (side * (EYE_X + 0.22), -0.45),
    ])
}

/// An ordinary ear.
pub(super) fn ear(side: f32) -> Path {
    ellipse((side * EAR_X, EAR_Y), (0.17, 0.27))
}

/// The line inside an ordinary ear.
pub(super) fn ear_line(side: f32) -> Path {
    let at = |x: f32, y: f32| (side * (EAR_X + x), EAR_Y + y);
    polyline(&[at(-0.02, -0.14), at(0.08, -0.10), at(0.09, 0.02), at(0.03, 0.12)])
}

/// A misshapen ear: a tall point, a deep notch, no lobe.
pub(super) fn odd_ear(side: f32) -> Path {
    let at = |x: f32, y: f32| (side * (EAR_X + x), EAR_Y + y);
    polygon(&[
        at(-0.16, -0.20),
        at(0.10, -0.47),
        at(0.13, -0.16),
        at(0.00, -0.07),
        at(0.17, 0.02),
        at(0.04, 0.09),
        at(0.10, 0.22),
        at(-0.16, 0.14),
    ])
}

pub(super) fn nose() -> Path {
    blob(&[(-0.02, -0.08), (0.04, -0.08), (0.19, 0.27), (0.0, 0.32), (-0.19, 0.27)])
}

pub(super) fn nostrils() -> Path {
    polyline(&[(-0.09, 0.235), (-0.03, 0.265), (0.03, 0.265), (0.09, 0.235)])
}

/// Half-width, and how far up and down the open mouth reaches.
fn mouth_size(spec: &FaceSpec) -> (f32, f32, f32) {
    (0.44 + 0.04 * spec.pose.smile, 0.13, 0.23 + 0.05 * spec.pose.smile)
}

/// The open mouth, widened by `rim` for the lips.
pub(super) fn mouth(spec: &FaceSpec, rim: f32) -> Path {
    let (half, up, down) = mouth_size(spec);
    let (half, up, down) = (half + rim, up + rim, down + rim);
    blob(&[
        (-half - 0.06, MOUTH_Y - up),
        (0.0, MOUTH_Y - up + 0.02),
        (half + 0.06, MOUTH_Y - up),
        (half * 0.78, MOUTH_Y + down),
        (0.0, MOUTH_Y + down + 0.04),
        (-half * 0.78, MOUTH_Y + down),
    ])
}

/// The teeth, each by itself: neat ones, or jagged ones with the cue.
pub(super) fn teeth(spec: &FaceSpec) -> Vec<Path> {
    const COUNT: usize = 6;
    let (half, up, _) = mouth_size(spec);
    let (left, top, width) = (-half * 0.80, MOUTH_Y - up + 0.035, half * 1.60 / COUNT as f32);
    let mut rng = spec.rng(3);
    (0..COUNT)
        .map(|index| {
            let x = left + index as f32 * width;
            let (size, lean): (f32, f32) =
                (rng.random_range(0.0..1.0), rng.random_range(-0.05..0.05));
            if !spec.has(Cue::UnevenTeeth) {
                return polygon(&tooth(x + 0.006, top, (width - 0.012, 0.17), 0.0));
            }
            // Long and short take turns, so that no seed gives a neat row by chance.
            let length = if index % 2 == 0 { 0.21 + 0.07 * size } else { 0.05 + 0.05 * size };
            polygon(&tooth(x + 0.02, top, (width * 0.74, length), lean))
        })
        .collect()
}

fn tooth(x: f32, y: f32, (width, length): (f32, f32), lean: f32) -> [(f32, f32); 4] {
    [(x, y), (x + width, y), (x + width + lean, y + length), (x + lean, y + length)]
}

/// The line of a bad blend: a closed jagged curve inside the face's edge.
pub(super) fn seam(spec: &FaceSpec) -> Path {
    let mut rng = spec.rng(4);
    let points: Vec<(f32, f32)> = (0..=28)
        .map(|step| {
            // From the right temple down around the chin to the left temple.
            let angle = (-28.0 + 236.0 * step as f32 / 28.0).to_radians();
            let reach = 0.90 + rng.random_range(-0.045..0.045);
            (HEAD_X * reach * angle.cos(), 0.98 * reach * angle.sin())
        })
        .collect();
    polyline(&points)
}

pub(super) fn lens(side: f32) -> Path {
    ellipse((side * EYE_X, EYE_Y), (0.31, 0.285))
}

pub(super) fn bridge() -> Path {
    polyline(&[(-0.06, EYE_Y - 0.05), (0.0, EYE_Y - 0.09), (0.06, EYE_Y - 0.05)])
}
