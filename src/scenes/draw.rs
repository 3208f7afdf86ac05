//! A spec to pixels and ground truth.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use rand::{Rng, RngCore};
use tiny_skia::{Path, Transform};

use super::canvas::{Canvas, Ink, Rgb, blob, bounds, cover, ellipse, polygon};
use super::features as face;
use super::spec::{BACKDROPS, EYES, HAIRS, SHIRTS, SKINS};
use super::{Background, Cue, FaceSpec, HairStyle, Mask, Part};
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;

const SKIN: [Rgb; SKINS] = [
    [255, 224, 196],
    [245, 205, 170],
    [226, 176, 134],
    [198, 142, 100],
    [150, 102, 70],
    [112, 74, 52],
];
const HAIR: [Rgb; HAIRS] =
    [[38, 32, 32], [104, 66, 38], [232, 192, 92], [196, 74, 40], [150, 152, 158], [86, 92, 190]];
const EYE: [Rgb; EYES] = [[104, 66, 36], [56, 118, 202], [62, 146, 82], [128, 134, 142]];
const BACKDROP: [Rgb; BACKDROPS] = [
    [150, 190, 226],
    [176, 214, 170],
    [238, 206, 150],
    [222, 178, 206],
    [206, 208, 212],
    [128, 140, 164],
];
const SHIRT: [Rgb; SHIRTS] =
    [[54, 92, 160], [182, 60, 66], [70, 130, 92], [90, 78, 120], [236, 236, 232]];

/// A picture with its ground truth.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The picture.
    pub image: Rgb8,
    /// What it was drawn from.
    pub spec: FaceSpec,
    /// Every part with its box in pixels.
    pub parts: Vec<(Part, Rect)>,
    /// For every cue, where it is, or would be if it is off.
    pub sites: Vec<(Cue, Mask)>,
}

impl Scene {
    /// Where the cue is, or would be.
    pub fn site(&self, cue: Cue) -> &Mask {
        &self.sites[cue.index()].1
    }
}

/// Draws a face with its noise and JPEG artefacts, `side_px` × `side_px`.
pub fn draw(spec: &FaceSpec, side_px: u32) -> Scene {
    let mut scene = draw_clean(spec, side_px);
    let mut pixels = scene.image.pixels().to_vec();
    let mut draws = vec![0; 2 * pixels.len()];
    spec.rng(1).fill_bytes(&mut draws);
    // The sum of two uniform draws is near enough to a normal one; theirs has a deviation of 104.
    let scale = spec.noise / 104.0;
    for (level, draw) in pixels.iter_mut().zip(draws.chunks_exact(2)) {
        let noise = f32::from(draw[0]) + f32::from(draw[1]) - 255.0;
        *level = (f32::from(*level) + noise * scale).clamp(0.0, 255.0) as u8;
    }
    scene.image = through_jpeg(&pixels, side_px, spec.jpeg_quality);
    scene
}

/// The same without noise and artefacts: switching a cue changes pixels at its site alone.
pub fn draw_clean(spec: &FaceSpec, side_px: u32) -> Scene {
    let pose = spec.pose;
    let side = side_px as f32;
    let unit = pose.height * side / 2.0;
    let transform = Transform::from_translate(pose.x * side, pose.y * side)
        .pre_rotate(pose.roll)
        .pre_scale(unit, unit);
    let mut canvas = Canvas::new(side_px, transform, spec.light);
    backdrop(&mut canvas, spec);
    body(&mut canvas, spec);
    ears(&mut canvas, spec);
    head(&mut canvas, spec);
    seam(&mut canvas, spec);
    eyes(&mut canvas, spec);
    nose_and_mouth(&mut canvas, spec);
    fringe(&mut canvas, spec);
    let image = Rgb8::new(side_px, side_px, canvas.rgb()).expect("the canvas is square");
    Scene {
        image,
        spec: spec.clone(),
        parts: parts(spec, side_px, transform),
        sites: sites(spec, side_px, transform),
    }
}

fn through_jpeg(pixels: &[u8], side_px: u32, quality: u8) -> Rgb8 {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, quality)
        .encode(pixels, side_px, side_px, ExtendedColorType::Rgb8)
        .expect("writing to memory does not fail");
    let decoded = image::load_from_memory_with_format(bytes.get_ref(), ImageFormat::Jpeg)
        .expect("what was just encoded decodes");
    Rgb8::new(side_px, side_px, decoded.into_rgb8().into_raw()).expect("a JPEG keeps its size")
}

fn mixed(a: Rgb, b: Rgb, share: f32) -> Rgb {
    std::array::from_fn(|i| (f32::from(a[i]) * (1.0 - share) + f32::from(b[i]) * share) as u8)
}

fn shaded(color: Rgb, factor: f32) -> Rgb {
    color.map(|level| (f32::from(level) * factor).min(255.0) as u8)
}

fn backdrop(canvas: &mut Canvas, spec: &FaceSpec) {
    let color = BACKDROP[spec.backdrop];
    let mut rng = spec.rng(2);
    canvas.draw_on_frame(&polygon(&[(0.0, 0.0), (1.0, 0.0), (1.0, 1.0), (0.0, 1.0)]), color);
    match spec.background {
        Background::Plain => {}
        Background::Gradient => {
            for step in 0..24 {
                let (top, bottom) = (step as f32 / 24.0, (step + 1) as f32 / 24.0);
                let band = polygon(&[(0.0, top), (1.0, top), (1.0, bottom), (0.0, bottom)]);
                canvas.draw_on_frame(&band, mixed(color, [250, 250, 250], 0.6 * (1.0 - top)));
            }
        }
        Background::Dots => {
            for _ in 0..14 {
                let center = (rng.random_range(0.0..1.0), rng.random_range(0.0..1.0));
                let radius = rng.random_range(0.03..0.12);
                let share = rng.random_range(0.15..0.5);
                canvas.draw_on_frame(
                    &ellipse(center, (radius, radius)),
                    mixed(color, [255; 3], share),
                );
            }
        }
        Background::Stripes => {
            let step = rng.random_range(0.12..0.22);
            for index in -8..10 {
                let x = index as f32 * step;
                let half = step / 2.0;
                let stripe =
                    polygon(&[(x, 0.0), (x + half, 0.0), (x + half + 0.4, 1.0), (x + 0.4, 1.0)]);
                canvas.draw_on_frame(&stripe, shaded(color, 0.9));
            }
        }
    }
}

/// Hair behind the head, neck and shoulders.
fn body(canvas: &mut Canvas, spec: &FaceSpec) {
    let hair = HAIR[spec.hair];
    match spec.hair_style {
        HairStyle::Short | HairStyle::Spiky => {
            canvas.draw(&ellipse((0.0, -0.28), (0.88, 0.86)), hair, &Ink::Fill);
        }
        HairStyle::Long => {
            let fall = blob(&[
                (-0.75, -1.3),
                (0.75, -1.3),
                (1.12, 0.2),
                (0.98, 1.5),
                (-0.98, 1.5),
                (-1.12, 0.2),
            ]);
            canvas.draw(&fall, shaded(hair, 0.85), &Ink::Fill);
        }
        HairStyle::Curly => {
            for index in 0..13 {
                let angle = (180.0 + 15.0 * index as f32).to_radians();
                let center = (0.84 * angle.cos(), 0.86 * angle.sin() - 0.12);
                canvas.draw(&ellipse(center, (0.26, 0.26)), hair, &Ink::Fill);
            }
        }
    }
    let skin = shaded(SKIN[spec.skin], 0.88);
    canvas.draw(&polygon(&[(-0.3, 0.7), (0.3, 0.7), (0.34, 1.4), (-0.34, 1.4)]), skin, &Ink::Fill);
    let shoulders = blob(&[
        (-0.9, 1.15),
        (0.0, 1.3),
        (0.9, 1.15),
        (1.6, 1.6),
        (1.6, 3.0),
        (-1.6, 3.0),
        (-1.6, 1.6),
    ]);
    canvas.draw(&shoulders, SHIRT[spec.shirt], &Ink::Fill);
}

fn ears(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = shaded(SKIN[spec.skin], 0.95);
    let edge = shaded(SKIN[spec.skin], 0.62);
    for side in [-1.0, 1.0] {
        let odd = spec.is_odd(Cue::MisshapenEar, side);
        let ear = if odd { face::odd_ear(side) } else { face::ear(side) };
        canvas.draw(&ear, skin, &Ink::Fill);
        canvas.draw(&ear, edge, &Ink::Line(0.028));
        if !odd {
            canvas.draw(&face::ear_line(side), edge, &Ink::Line(0.03));
        }
    }
}

fn head(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = SKIN[spec.skin];
    canvas.draw(&face::head(), skin, &Ink::Fill);
    canvas.draw(&face::head(), shaded(skin, 0.7), &Ink::Line(0.025));
    for side in [-1.0, 1.0] {
        canvas.glaze(
            &ellipse((side * 0.5, 0.24), (0.17, 0.12)),
            mixed(skin, [226, 92, 92], 0.7),
            90,
        );
    }
}

fn seam(canvas: &mut Canvas, spec: &FaceSpec) {
    if !spec.has(Cue::BlendingSeam) {
        return;
    }
    let (skin, line) = (SKIN[spec.skin], face::seam(spec));
    canvas.draw(&line, mixed(skin, [150, 190, 150], 0.42), &Ink::Line(0.13));
    canvas.draw(&line, shaded(skin, 0.52), &Ink::Line(0.03));
}

fn eyes(canvas: &mut Canvas, spec: &FaceSpec) {
    let iris = EYE[spec.eyes];
    for side in [-1.0, 1.0] {
        canvas.draw(&face::eye_white(side), [252, 252, 252], &Ink::Fill);
        canvas.draw(&face::iris(spec, side), iris, &Ink::Fill);
        canvas.draw(&face::iris(spec, side), shaded(iris, 0.6), &Ink::Line(0.02));
        canvas.draw(&face::pupil(spec, side), [16, 16, 20], &Ink::Fill);
        let odd = spec.is_odd(Cue::MismatchedPupilReflections, side);
        if odd {
            canvas.draw(&face::odd_reflection(spec, side), [158, 220, 255], &Ink::Fill);
        } else {
            canvas.draw(&face::reflection(spec, side), [255, 255, 255], &Ink::Fill);
        }
        canvas.draw(&face::eye_white(side), [40, 30, 30], &Ink::Line(0.03));
        canvas.draw(&face::eyebrow(spec, side), shaded(HAIR[spec.hair], 0.75), &Ink::Line(0.07));
    }
    if spec.glasses {
        for side in [-1.0, 1.0] {
            canvas.draw(&face::lens(side), [36, 36, 44], &Ink::Line(0.05));
        }
        canvas.draw(&face::bridge(), [36, 36, 44], &Ink::Line(0.05));
    }
}

fn nose_and_mouth(canvas: &mut Canvas, spec: &FaceSpec) {
    let skin = SKIN[spec.skin];
    canvas.draw(&face::nose(), shaded(skin, 0.90), &Ink::Fill);
    canvas.draw(&face::nostrils(), shaded(skin, 0.55), &Ink::Line(0.035));
    canvas.draw(&face::mouth(spec, 0.045), mixed(skin, [190, 50, 60], 0.75), &Ink::Fill);
    canvas.draw(&face::mouth(spec, 0.0), [92, 20, 30], &Ink::Fill);
    for tooth in face::teeth(spec) {
        canvas.draw(&tooth, [250, 248, 240], &Ink::Fill);
    }
}

/// Hair before the forehead.
fn fringe(canvas: &mut Canvas, spec: &FaceSpec) {
    let hair = HAIR[spec.hair];
    match spec.hair_style {
        HairStyle::Short | HairStyle::Long => {
            let cap = blob(&[
                (-0.95, -0.5),
                (-0.8, -1.25),
                (0.0, -1.3),
                (0.8, -1.25),
                (0.95, -0.5),
                (0.55, -0.78),
                (-0.1, -0.62),
                (-0.6, -0.82),
            ]);
            canvas.draw(&cap, hair, &Ink::Fill);
        }
        HairStyle::Curly => {
            canvas.draw(&ellipse((0.0, -0.96), (0.62, 0.16)), hair, &Ink::Fill);
            for index in 0..5 {
                let x = -0.5 + 0.25 * index as f32;
                canvas.draw(&ellipse((x, -0.86), (0.19, 0.17)), hair, &Ink::Fill);
            }
        }
        HairStyle::Spiky => {
            canvas.draw(&ellipse((0.0, -0.9), (0.75, 0.24)), hair, &Ink::Fill);
            let mut corners = vec![(0.82, -0.62), (-0.82, -0.62)];
            for index in 0..7 {
                let x = -0.84 + 0.28 * index as f32;
                corners.push((x - 0.06, -1.0));
                corners.push((x + 0.05, -1.24));
            }
            corners.push((0.95, -0.9));
            canvas.draw(&polygon(&corners), hair, &Ink::Fill);
        }
    }
}

fn parts(spec: &FaceSpec, side_px: u32, transform: Transform) -> Vec<(Part, Rect)> {
    let boxed = |paths: &[&Path]| bounds(side_px, transform, paths);
    let mut parts = vec![(Part::Face, boxed(&[&face::head()]))];
    for side in [-1.0, 1.0] {
        let odd = spec.is_odd(Cue::MisshapenEar, side);
        let ear = if odd { face::odd_ear(side) } else { face::ear(side) };
        parts.push((Part::Eye, boxed(&[&face::eye_white(side)])));
        parts.push((Part::Ear, boxed(&[&ear])));
    }
    parts.push((Part::Nose, boxed(&[&face::nose()])));
    parts.push((Part::Mouth, boxed(&[&face::mouth(spec, 0.045)])));
    if spec.glasses {
        parts.push((Part::Glasses, boxed(&[&face::lens(-1.0), &face::lens(1.0)])));
    }
    parts
}

fn sites(spec: &FaceSpec, side_px: u32, transform: Transform) -> Vec<(Cue, Mask)> {
    let covered = |paths: &[(&Path, Ink)]| cover(side_px, transform, paths);
    let site = |cue: Cue| {
        // Off, a one-sided cue could be on either side.
        let sides = if spec.has(cue) { vec![spec.side(cue)] } else { vec![-1.0, 1.0] };
        match cue {
            Cue::MismatchedPupilReflections => {
                let eyes: Vec<Path> = sides.iter().map(|&s| face::reflecting(spec, s)).collect();
                covered(&eyes.iter().map(|eye| (eye, Ink::Fill)).collect::<Vec<_>>())
            }
            Cue::MisshapenEar => {
                let ears: Vec<Path> =
                    sides.iter().flat_map(|&s| [face::ear(s), face::odd_ear(s)]).collect();
                let shapes = ears.iter().flat_map(|ear| [(ear, Ink::Fill), (ear, Ink::Line(0.03))]);
                covered(&shapes.collect::<Vec<_>>())
            }
            Cue::UnevenTeeth => covered(&[(&face::mouth(spec, 0.0), Ink::Fill)]),
            Cue::BlendingSeam => covered(&[(&face::seam(spec), Ink::Line(0.16))]),
        }
    };
    Cue::ALL.into_iter().map(|cue| (cue, site(cue))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Whether any set pixel of the mask lies within `reach` pixels.
    fn near(mask: &Mask, x: u32, y: u32, reach: u32) -> bool {
        let range = |at: u32| at.saturating_sub(reach)..=at + reach;
        range(y).any(|y| range(x).any(|x| mask.get(x, y)))
    }

    #[test]
    fn one_spec_gives_one_picture() {
        let spec = FaceSpec::sample(7);
        assert_eq!(draw(&spec, 96).image, draw(&spec, 96).image);
        assert_ne!(draw(&spec, 96).image, draw(&FaceSpec::sample(8), 96).image);
    }

    #[test]
    fn a_cue_changes_pixels_at_its_site_alone() {
        for seed in 0..12 {
            for cue in Cue::ALL {
                let spec = FaceSpec::sample(seed);
                let (on, off) = (spec.with_cue(cue, true), spec.with_cue(cue, false));
                let (on, off) = (draw_clean(&on, 160), draw_clean(&off, 160));
                let pixels = on.image.pixels().chunks(3).zip(off.image.pixels().chunks(3));
                let changed: Vec<usize> = pixels
                    .enumerate()
                    .filter(|(_, (a, b))| a != b)
                    .map(|(index, _)| index)
                    .collect();
                assert!(changed.len() > 20, "{cue:?} of seed {seed} shows in {} px", changed.len());
                for index in changed {
                    let (x, y) = (index as u32 % 160, index as u32 / 160);
                    assert!(near(on.site(cue), x, y, 2), "{cue:?} of seed {seed} at {x}, {y}");
                }
            }
        }
    }

    #[test]
    fn boxes_and_sites_lie_in_the_picture() {
        for seed in 0..40 {
            let scene = draw_clean(&FaceSpec::sample(seed), 112);
            for (part, rect) in &scene.parts {
                assert!(rect.x1 >= 0.0 && rect.y1 >= 0.0 && rect.x2 <= 112.0 && rect.y2 <= 112.0);
                assert!(rect.width() >= 8.0 && rect.height() >= 8.0, "{part:?} {rect:?}");
            }
            for (cue, site) in &scene.sites {
                assert!(site.area_px() > 60, "{cue:?} of seed {seed}: {} px", site.area_px());
            }
            let glasses = scene.parts.iter().any(|(part, _)| *part == Part::Glasses);
            assert_eq!(glasses, scene.spec.glasses);
        }
    }

    #[test]
    fn cell_fractions_sum_to_the_area() {
        let scene = draw_clean(&FaceSpec::sample(3), 112);
        let site = scene.site(Cue::UnevenTeeth);
        let sum: f32 = site.fraction_of_cell(14).iter().map(|share| share * 64.0).sum();
        assert!((sum - site.area_px() as f32).abs() < 0.5, "{sum} {}", site.area_px());
    }
}
