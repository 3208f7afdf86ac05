//! Insertion and deletion: how the score rises as the hottest pixels come back into a blurred
//! picture, and falls as they go from a whole one.
//!
//! RISE (Petsiuk, Das, Saenko 2018, arXiv 1806.07421), §4.3: pixels in order of heat, the score
//! after each step, and the area under it. Curves share their ends, which are scored once.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use crate::vision::image::Rgb8;

/// The blur's standard deviation, as a share of the picture's shorter side: RISE leaves the width
/// to the reader, and a narrow one lets small cues through.
const BLUR_SHARE: f32 = 1.0 / 16.0;
/// Where the Gaussian is cut, in standard deviations.
const BLUR_REACH: f32 = 2.5;

/// The mean of the pictures that CLIP was trained on, which its preprocessing turns into 0 (Radford
/// et al. 2021; RISE deletes to 0 of the normalised picture too).
pub(super) const MEAN_COLOUR: [u8; 3] = [123, 117, 104];

/// `Σ s − ½ first − ½ last`, over the number of steps: the trapezoid rule on 0 to 1. At least two
/// scores.
pub fn area_under(scores: &[f64]) -> f64 {
    let (Some(first), Some(last)) = (scores.first(), scores.last()) else { return f64::NAN };
    let sum: f64 = scores.iter().sum();
    (sum - f64::midpoint(*first, *last)) / (scores.len() as f64 - 1.0)
}

/// Indices of `heat` from the hottest to the coldest. Equal ones, of which maps that cut negative
/// values have many, come in random order, the same for the same `seed`: any fixed order would add
/// a direction of its own.
pub fn ordered(heat: &[f32], seed: u64) -> Vec<u32> {
    let mut order: Vec<u32> = (0..heat.len() as u32).collect();
    order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
    order.sort_by(|&a, &b| heat[b as usize].total_cmp(&heat[a as usize]));
    order
}

/// `picture` with these pixels from `other`, which has the same size.
pub fn replaced(picture: &Rgb8, other: &Rgb8, pixels: &[u32]) -> Rgb8 {
    let mut mixed = picture.clone();
    let (target, source) = (mixed.pixels_mut(), other.pixels());
    for &pixel in pixels {
        let at = pixel as usize * 3;
        target[at..at + 3].copy_from_slice(&source[at..at + 3]);
    }
    mixed
}

/// The pictures strictly between `from` and `to`: after step k of `steps`, the first k shares of
/// `order` are from `to`.
pub(super) fn between(from: &Rgb8, to: &Rgb8, order: &[u32], steps: usize) -> Vec<Rgb8> {
    let upto = |step: usize| order.len() * step / steps;
    (1..steps).map(|step| replaced(from, to, &order[..upto(step)])).collect()
}

/// The picture through a Gaussian so wide that small things are gone; edges are repeated.
pub fn blurred(picture: &Rgb8) -> Rgb8 {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let spread = width.min(height) as f32 * BLUR_SHARE;
    let reach = (spread * BLUR_REACH).ceil() as isize;
    let weight = |away: isize| (-0.5 * (away as f32 / spread).powi(2)).exp();
    let kernel: Vec<f32> = (-reach..=reach).map(weight).collect();
    let sum: f32 = kernel.iter().sum();
    let kernel: Vec<f32> = kernel.iter().map(|weight| weight / sum).collect();
    let values: Vec<f32> = picture.pixels().iter().map(|&v| f32::from(v)).collect();
    let across = filtered(&values, (width, 3), &kernel);
    let down = filtered(&across, (height, 3 * width), &kernel);
    let pixels = down.iter().map(|v| v.round().clamp(0.0, 255.0) as u8).collect();
    Rgb8::new(picture.width(), picture.height(), pixels).unwrap_or_else(|_| picture.clone())
}

/// Values filtered along the axis of `length` whose neighbours lie `stride` apart.
fn filtered(values: &[f32], (length, stride): (usize, usize), kernel: &[f32]) -> Vec<f32> {
    let (reach, last) = ((kernel.len() / 2) as isize, length as isize - 1);
    let mut out = vec![0.0; values.len()];
    for (block, target) in
        values.chunks_exact(length * stride).zip(out.chunks_exact_mut(length * stride))
    {
        for (at, line) in target.chunks_exact_mut(stride).enumerate() {
            for (step, weight) in kernel.iter().enumerate() {
                let from = (at as isize + step as isize - reach).clamp(0, last) as usize;
                for (sum, value) in line.iter_mut().zip(&block[from * stride..][..stride]) {
                    *sum += weight * value;
                }
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::super::synthetic::{BOX, Quality, SIDE, heat, picture, score};
    use super::*;

    #[test]
    fn areas_of_known_curves_are_exact() {
        let check = |scores: &[f64], area: f64| {
            assert!((area_under(scores) - area).abs() < 1e-12, "{scores:?}");
        };
        check(&[0.0, 1.0], 0.5);
        check(&[0.25; 9], 0.25);
        check(&[0.0, 1.0, 1.0, 1.0, 1.0], 0.875);
        check(&[1.0, 0.0, 0.0], 0.25);
    }

    #[test]
    fn the_hottest_come_first_and_equals_at_random() {
        let order = ordered(&[0.0, 3.0, 0.0, 5.0, 0.0, 0.0], 1);
        assert_eq!(order[..2], [3, 1]);
        let orders: std::collections::BTreeSet<Vec<u32>> =
            (0..20).map(|seed| ordered(&[0.0; 6], seed)).collect();
        assert!(orders.len() > 10);
        assert_eq!(ordered(&[0.0; 6], 3), ordered(&[0.0; 6], 3));
    }

    #[test]
    fn a_blur_keeps_the_mean_and_loses_the_detail() {
        let flat = Rgb8::filled(32, 20, [9, 90, 200]);
        assert_eq!(blurred(&flat), flat);
        let mut pixels = vec![0; 32 * 32 * 3];
        pixels[(16 * 32 + 16) * 3] = 255;
        let spot = blurred(&Rgb8::new(32, 32, pixels).unwrap());
        // A Gaussian of 2 px is at most 1 / (2π · 4) of what it spreads.
        let brightest = f64::from(*spot.pixels().iter().max().unwrap());
        assert!((brightest - 255.0 / (8.0 * std::f64::consts::PI)).abs() < 1.0, "{brightest}");
    }

    #[test]
    fn the_map_of_the_score_s_own_box_beats_random_beats_inverted() {
        let whole = picture();
        let grey = Rgb8::filled(SIDE, SIDE, MEAN_COLOUR);
        let soft = blurred(&whole);
        let areas = |quality| {
            let order = ordered(&heat(quality), 5);
            let area = |from: &Rgb8, to: &Rgb8| {
                let pictures = between(from, to, &order, 16);
                let ends = [score(from), score(to)];
                let middle = pictures.iter().map(score);
                let all: Vec<f64> =
                    std::iter::once(ends[0]).chain(middle).chain([ends[1]]).collect();
                assert_eq!(all.len(), 17);
                area_under(&all)
            };
            (area(&soft, &whole), area(&whole, &grey))
        };
        let [(best_in, best_out), (random_in, random_out), (worst_in, worst_out)] =
            [Quality::Perfect, Quality::Random, Quality::Inverted].map(areas);
        assert!(best_in > random_in + 0.05 && random_in > worst_in + 0.05);
        assert!(best_out + 0.05 < random_out && random_out + 0.05 < worst_out);
        // The box is a sixteenth of the picture, so a perfect map has all of it after one step of
        // sixteen: half a step of the fall or rise, then the level.
        let share = BOX.area() / (SIDE * SIDE) as f32;
        assert!((share - 1.0 / 16.0).abs() < 1e-6);
        let (full, gone) = (score(&whole), score(&grey));
        assert!((best_out - (gone + (full - gone) / 32.0)).abs() < 1e-9, "{best_out}");
        assert!((best_in - (full - (full - score(&soft)) / 32.0)).abs() < 1e-9, "{best_in}");
    }
}
