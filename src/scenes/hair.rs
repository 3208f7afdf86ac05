//! Hair, behind the head and before the forehead.

use tiny_skia::Path;

use super::canvas::{Canvas, Ink, Rgb, blob, curve, ellipses, polygon};
use super::paint::{mixed, shaded};
use super::{FaceSpec, HairStyle};

/// Draws what falls behind head and ears.
pub(super) fn behind(canvas: &mut Canvas, spec: &FaceSpec, hair: Rgb) {
    let dark = shaded(hair, 0.78);
    match spec.hair_style {
        HairStyle::Short | HairStyle::Spiky => {
            let cap =
                [(-0.96, 0.1), (-1.0, -0.8), (-0.5, -1.16), (0.5, -1.16), (1.0, -0.8), (0.96, 0.1)];
            canvas.draw(&blob(&cap), dark, Ink::Fill);
        }
        HairStyle::Long => {
            let fall = [
                (-0.6, -1.24),
                (0.6, -1.24),
                (1.16, -0.7),
                (1.06, 0.3),
                (1.38, 1.0),
                (0.95, 1.75),
                (-0.95, 1.75),
                (-1.38, 1.0),
                (-1.06, 0.3),
                (-1.16, -0.7),
            ];
            canvas.draw(&blob(&fall), dark, Ink::Fill);
        }
        HairStyle::Curly => {
            let curls: Vec<_> = (0..13)
                .map(|index| {
                    let angle = (174.0 + 16.0 * index as f32).to_radians();
                    ((0.88 * angle.cos(), 0.86 * angle.sin() - 0.10), (0.24, 0.24))
                })
                .collect();
            canvas.draw(&ellipses(&curls), dark, Ink::Fill);
        }
    }
}

/// Draws what falls over the forehead.
pub(super) fn before(canvas: &mut Canvas, spec: &FaceSpec, hair: Rgb) {
    canvas.draw(&front(spec), hair, Ink::Fill);
    let light = mixed(hair, [255; 3], 0.28);
    match spec.hair_style {
        HairStyle::Short | HairStyle::Long => {
            let streak = curve([(-0.62, -0.90), (-0.45, -1.06), (-0.18, -1.08)]);
            canvas.draw(&streak, light, Ink::Line(0.06));
        }
        HairStyle::Curly => {
            for (x, y) in [(-0.58, -0.86), (-0.2, -1.04), (0.22, -0.92), (0.56, -0.98)] {
                let curl = curve([(x - 0.08, y + 0.04), (x, y - 0.14), (x + 0.09, y + 0.04)]);
                canvas.draw(&curl, light, Ink::Line(0.035));
            }
        }
        HairStyle::Spiky => {}
    }
}

/// The outline of what falls over the forehead.
pub(super) fn front(spec: &FaceSpec) -> Path {
    match spec.hair_style {
        HairStyle::Short => blob(&[
            (-0.88, -0.26),
            (-0.98, -0.85),
            (-0.55, -1.20),
            (0.45, -1.22),
            (0.98, -0.92),
            (0.88, -0.26),
            (0.76, -0.66),
            (0.46, -0.80),
            (-0.05, -0.52),
            (-0.52, -0.86),
            (-0.76, -0.62),
        ]),
        HairStyle::Long => blob(&[
            (-0.88, -0.10),
            (-0.98, -0.85),
            (-0.55, -1.24),
            (0.55, -1.24),
            (0.98, -0.85),
            (0.88, -0.10),
            (0.77, -0.52),
            (0.30, -0.74),
            (0.0, -1.06),
            (-0.30, -0.74),
            (-0.77, -0.52),
        ]),
        HairStyle::Curly => curls(),
        HairStyle::Spiky => spikes(),
    }
}

fn curls() -> Path {
    let mut curls = vec![((0.0, -0.92), (0.70, 0.17))];
    for index in 0..6 {
        let x = -0.60 + 0.24 * index as f32;
        curls.push(((x, -0.82 + 0.22 * x * x), (0.17, 0.17)));
    }
    for index in 0..7 {
        let angle = (205.0 + 21.7 * index as f32).to_radians();
        curls.push(((0.80 * angle.cos(), 0.80 * angle.sin() - 0.20), (0.22, 0.20)));
    }
    ellipses(&curls)
}

fn spikes() -> Path {
    let mut corners = vec![
        (0.86, -0.30),
        (0.74, -0.66),
        (0.50, -0.60),
        (0.36, -0.78),
        (0.14, -0.58),
        (-0.04, -0.78),
        (-0.28, -0.60),
        (-0.44, -0.78),
        (-0.74, -0.64),
        (-0.86, -0.30),
    ];
    for index in 0..=12 {
        let angle = (198.0 + 12.0 * index as f32).to_radians();
        let (rx, ry) = if index % 2 == 1 { (1.06, 1.30) } else { (0.95, 0.98) };
        corners.push((rx * angle.cos(), ry * angle.sin()));
    }
    polygon(&corners)
}
