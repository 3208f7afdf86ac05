//! The picture, from the back to the front.

use rand::Rng;

use super::canvas::{Canvas, Ink, Ramp, Rgb, blob, curve, ellipse, ellipses, polygon};
use super::features as face;
use super::spec::{BACKDROPS, EYES, HAIRS, SHIRTS, SKINS};
use super::{Background, Cue, FaceSpec, hair};

const SKIN: [Rgb; SKINS] = [
    [252, 218, 192],
    [242, 198, 160],
    [226, 174, 130],
    [198, 142, 100],
    [156, 106, 74],
    [118, 80, 58],
];
const HAIR: [Rgb; HAIRS] =
    [[44, 38, 42], [112, 70, 42], [238, 200, 102], [202, 84, 44], [158, 160, 168], [82, 96, 204]];
const EYE: [Rgb; EYES] = [[128, 80, 42], [62, 132, 222], [70, 160, 92], [138, 146, 156]];
const BACKDROP: [Rgb; BACKDROPS] = [
    [146, 192, 232],
    [172, 216, 168],
    [242, 202, 142],
    [236, 178, 206],
    [208, 210, 214],
    [104, 116, 146],
];
const SHIRT: [Rgb; SHIRTS] =
    [[58, 104, 178], [198, 70, 74], [74, 146, 104], [116, 92, 156], [240, 238, 232]];

/// The colour that lies behind everything.
pub(super) fn ground(spec: &FaceSpec) -> Rgb {
    BACKDROP[spec.backdrop]
}

/// Draws everything but what noise and compression add.
pub(super) fn picture(canvas: &mut Canvas, spec: &FaceSpec) {
    backdrop(canvas, spec);
    hair::behind(canvas, spec, HAIR[spec.hair]);
    body(canvas, spec);
    ears(canvas, spec);
    head(canvas, spec);
    nose_and_mouth(canvas, spec);
    hair::before(canvas, spec, HAIR[spec.hair]);
    for side in [-1.0, 1.0] {
        eye(canvas, spec, side);
    }
    glasses(canvas, spec);
}

pub(super) fn mixed(a: Rgb, b: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| (f32::from(a[i]) * (1.0 - share) + f32::from(b[i]) * share) as u8)
}

pub(super) fn shaded(color: Rgb, factor: f32) -> Rgb {
    color.map(|level| (f32::from(level) * factor).min(255.0) as u8)
}

/// Skin of this tone as the light falls on the head.
fn lit(spec: &FaceSpec, skin: Rgb) -> Ramp {
    let (sin, cos) = spec.light_angle.to_radians().sin_cos();
    let colors = [mixed(skin, [255, 246, 228], 0.10), shaded(skin, 0.86)];
    Ramp { from: (cos, sin), to: (-cos, -sin), colors }
}

fn backdrop(canvas: &mut Canvas, spec: &FaceSpec) {
    let color = ground(spec);
    let mut rng = spec.rng(2);
    match spec.background {
        Background::Plain => {}
        Background::Gradient => {
            let colors = [mixed(color, [250; 3], 0.6), shaded(color, 0.92)];
            canvas.shade_frame(Ramp { from: (0.0, 0.0), to: (0.0, 1.0), colors });
        }
        Background::Dots => {
            for share in [0.2, 0.35, 0.5] {
                let dots: [_; 5] = std::array::from_fn(|_| {
                    let radius = rng.random_range(0.03..0.12);
                    ((rng.random_range(0.0..1.0), rng.random_range(0.0..1.0)), (radius, radius))
                });
                canvas.draw_on_frame(&ellipses(&dots), mixed(color, [255; 3], share));
            }
        }
        Background::Stripes => {
            let step = rng.random_range(0.12..0.22);
            for index in -4..9 {
                let (x, half) = (index as f32 * step, step / 2.0);
                let stripe =
                    polygon(&[(x, 0.0), (x + half, 0.0), (x + half + 0.4, 1.0), (x + 0.4, 1.0)]);
                canvas.draw_on_frame(&stripe, shaded(color, 0.9));
            }
        }
    }
}

/// Neck and shoulders.
fn body(canvas: &mut Canvas, spec: &FaceSpec) {
    let (skin, shirt) = (SKIN[spec.skin], SHIRT[spec.shirt]);
    let neck = polygon(&[(-0.31, 0.6), (0.31, 0.6), (0.34, 1.4), (-0.34, 1.4)]);
    canvas.draw(&neck, shaded(skin, 0.74), Ink::Fill);
    let shoulders = [
        (-0.5, 1.06),
        (0.0, 1.34),
        (0.5, 1.06),
        (1.5, 1.28),
        (1.7, 2.0),
        (1.7, 3.0),
        (-1.7, 3.0),
        (-1.7, 2.0),
        (-1.5, 1.28),
    ];
    canvas.draw(&blob(&shoulders), shirt, Ink::Fill);
    let collar = curve([(-0.46, 1.13), (0.0, 1.36), (0.46, 1.13)]);
    canvas.draw(&collar, shaded(shirt, 0.75), Ink::Line(0.07));
}

fn ears(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = shaded(SKIN[spec.skin], 0.95);
    let edge = shaded(SKIN[spec.skin], 0.60);
    for side in [-1.0, 1.0] {
        let odd = spec.shows_on(Cue::MisshapenEar, side);
        let (ear, line) =
            if odd { face::odd_ear(spec, side) } else { (face::ear(side), face::ear_line(side)) };
        canvas.draw(&ear, skin, Ink::Fill);
        canvas.draw(&ear, edge, Ink::Line(face::EAR_EDGE));
        canvas.draw(&line, edge, Ink::Line(0.035));
    }
}

fn head(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = SKIN[spec.skin];
    let head = face::head(spec);
    canvas.shade(&head, lit(spec, skin));
    if spec.has(Cue::BlendingSeam) {
        let (line, strip) = face::seam(spec);
        canvas.shade(&strip, lit(spec, mixed(skin, [140, 178, 150], 0.5)));
        canvas.draw(&line, shaded(skin, 0.45), Ink::Line(face::SEAM));
    }
    canvas.draw(&head, shaded(skin, 0.62), Ink::Line(0.028));
    let cheeks = [((-0.50, 0.25), (0.15, 0.10)), ((0.50, 0.25), (0.15, 0.10))];
    canvas.glaze(&ellipses(&cheeks), mixed(skin, [236, 84, 92], 0.7), 90, Ink::Fill);
    if spec.freckles {
        let spots = [(0.38, 0.18), (0.48, 0.15), (0.57, 0.19), (0.43, 0.25), (0.53, 0.26)];
        let both = spots.iter().flat_map(|&(x, y)| [(x, y), (-x, y)]);
        let dots: Vec<_> = both.map(|center| (center, (0.018, 0.018))).collect();
        canvas.draw(&ellipses(&dots), shaded(skin, 0.66), Ink::Fill);
    }
}

fn eye(canvas: &mut Canvas, spec: &FaceSpec, side: f32) {
    let color = EYE[spec.eyes];
    let (white, iris) = (face::eye_white(side), face::iris(spec, side));
    canvas.draw(&white, [252, 252, 252], Ink::Fill);
    canvas.draw(&iris, color, Ink::Fill);
    canvas.draw(&iris, shaded(color, 0.55), Ink::Line(0.028));
    canvas.draw(&face::pupil(spec, side), [18, 16, 22], Ink::Fill);
    if spec.shows_on(Cue::MismatchedPupilReflections, side) {
        canvas.draw(&face::odd_reflection(spec, side), [170, 228, 255], Ink::Fill);
    } else {
        canvas.draw(&face::reflection(spec, side), [255; 3], Ink::Fill);
    }
    canvas.draw(&white, shaded(SKIN[spec.skin], 0.5), Ink::Line(0.022));
    canvas.draw(&face::lid(side), [42, 30, 34], Ink::Line(0.05));
    canvas.draw(&face::eyebrow(spec, side), shaded(HAIR[spec.hair], 0.72), Ink::Line(0.075));
}

fn glasses(canvas: &mut Canvas, spec: &FaceSpec) {
    if !spec.glasses {
        return;
    }
    let frame = [[38, 36, 46], [150, 44, 52], [56, 74, 150]][spec.shirt % 3];
    for side in [-1.0, 1.0] {
        canvas.draw(&face::lens(side), frame, Ink::Line(face::FRAME));
    }
    canvas.draw(&face::arms(), frame, Ink::Line(face::FRAME));
}

fn nose_and_mouth(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = SKIN[spec.skin];
    canvas.draw(&face::nose(), shaded(skin, 0.91), Ink::Fill);
    canvas.draw(&face::nostrils(), shaded(skin, 0.55), Ink::Line(0.04));
    let shine = ellipse((0.0, 0.14), (0.05, 0.05));
    canvas.glaze(&shine, mixed(skin, [255; 3], 0.6), 170, Ink::Fill);
    let mouth = face::mouth(spec);
    canvas.draw(&mouth, mixed(skin, [196, 56, 70], 0.7), Ink::Line(face::LIPS));
    canvas.draw(&mouth, [104, 24, 36], Ink::Fill);
    canvas.draw(&face::tongue(spec), [222, 104, 112], Ink::Fill);
    canvas.draw(&face::teeth(spec), [252, 250, 242], Ink::Fill);
}
