//! A spec to pixels and ground truth.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::{ExtendedColorType, ImageFormat};
use rand::RngCore;
use tiny_skia::Transform;

use super::canvas::Canvas;
use super::{Cue, FaceSpec, Mask, Part, paint, truth};
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;

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

/// Draws a face with its noise and JPEG artefacts, `side_px` × `side_px` (at least 1).
pub fn draw(spec: &FaceSpec, side_px: u32) -> Scene {
    let mut scene = draw_clean(spec, side_px);
    let mut pixels = scene.image.pixels().to_vec();
    let mut draws = vec![0; 2 * pixels.len()];
    spec.rng(1).fill_bytes(&mut draws);
    // The sum of two uniform draws is near enough to a normal one; theirs has a deviation of 104.
    // Fixed point with 16 bits after the point: this loop runs for every level of every picture.
    let scale = (spec.noise / 104.0 * 65536.0) as i32;
    for (level, draw) in pixels.iter_mut().zip(draws.chunks_exact(2)) {
        let noise = i32::from(draw[0]) + i32::from(draw[1]) - 255;
        *level = (i32::from(*level) + ((noise * scale) >> 16)).clamp(0, 255) as u8;
    }
    scene.image = through_jpeg(&pixels, scene.image.width(), spec.jpeg_quality);
    scene
}

/// The same without noise and artefacts: switching a cue changes pixels at its site alone.
pub fn draw_clean(spec: &FaceSpec, side_px: u32) -> Scene {
    let (pose, side_px) = (spec.pose, side_px.max(1));
    let side = side_px as f32;
    let unit = pose.height * side / 2.0;
    let transform = Transform::from_translate(pose.x * side, pose.y * side)
        .pre_rotate(pose.roll)
        .pre_scale(unit, unit);
    let mut canvas = Canvas::new(side_px, transform, spec.light, paint::ground(spec));
    paint::picture(&mut canvas, spec);
    Scene {
        image: canvas.picture(),
        spec: spec.clone(),
        parts: truth::parts(spec, side_px, transform),
        sites: truth::sites(spec, side_px, transform),
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
        for seed in 0..60 {
            let scene = draw_clean(&FaceSpec::sample(seed), 112);
            for (part, rect) in &scene.parts {
                let inside = rect.x1 > 0.0 && rect.y1 > 0.0 && rect.x2 < 112.0 && rect.y2 < 112.0;
                assert!(inside, "{part:?} of seed {seed} is cut: {rect:?}");
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
    fn boxes_hold_the_sites_of_their_cues() {
        for seed in 0..40 {
            let spec = Cue::ALL
                .into_iter()
                .fold(FaceSpec::sample(seed), |spec, cue| spec.with_cue(cue, true));
            let scene = draw_clean(&spec, 160);
            for (cue, part) in [
                (Cue::MismatchedPupilReflections, Part::Eye),
                (Cue::UnevenTeeth, Part::Mouth),
                (Cue::BlendingSeam, Part::Face),
            ] {
                let site = scene.site(cue).bounds().unwrap();
                let boxes = scene.parts.iter().filter(|(of, _)| *of == part);
                // A pixel's middle in the shape leaves up to half a pixel outside its box.
                let held = boxes.map(|(_, rect)| site.intersection(rect).area() / site.area());
                let held = held.fold(0.0, f32::max);
                assert!(held > 0.93, "{part:?} of seed {seed} holds {held} of {cue:?}");
            }
        }
    }

    #[test]
    fn an_ear_box_fits_the_ear() {
        for seed in 0..40 {
            let spec = FaceSpec::sample(seed).with_cue(Cue::MisshapenEar, false);
            let (plain, odd) = (draw_clean(&spec, 160), {
                let odd = spec.with_cue(Cue::MisshapenEar, true);
                draw_clean(&odd, 160)
            });
            // The site spans the ear as it is and as it would be otherwise.
            let site = odd.site(Cue::MisshapenEar).bounds().unwrap();
            let ears = |scene: &Scene| -> Vec<Rect> {
                let ears = scene.parts.iter().filter(|(part, _)| *part == Part::Ear);
                ears.map(|(_, rect)| *rect).collect()
            };
            let best = ears(&plain)
                .iter()
                .zip(&ears(&odd))
                .map(|(a, b)| a.union_box(b).iou(&site))
                .fold(0.0, f32::max);
            assert!(best > 0.7, "seed {seed}: {best}");
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
