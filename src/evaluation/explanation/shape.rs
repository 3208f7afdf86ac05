//! How concentrated a map is, and how much it moves when the picture hardly does.
//!
//! Neither says that a map is right. Gini: Hurley and Rickard 2009; as a figure of explanations,
//! Chalasani et al. 2020 (arXiv 1810.06583). Max-sensitivity: Yeh et al. 2019 (arXiv 1901.09392),
//! `max ‖Φ(x + δ) − Φ(x)‖ / ‖Φ(x)‖` over `‖δ‖∞ ≤ r`, the maximum taken over a few samples.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::vision::image::Rgb8;

/// Radius of the noise in levels: 0.02 of full range, as Captum has it.
const NOISE_RADIUS: i16 = 5;

/// Gini index of the positive heat: `Σ (2k − n − 1) v_k / (n Σ v)`, v ascending. 0 where all cells
/// are alike, `1 − 1/n` where one has all; nothing without heat.
pub fn gini(values: &[f32]) -> Option<f64> {
    let mut heat: Vec<f64> = values.iter().map(|&v| f64::from(v.max(0.0))).collect();
    heat.sort_by(f64::total_cmp);
    let (count, total) = (heat.len() as f64, heat.iter().sum::<f64>());
    let weighted = heat.iter().enumerate().map(|(k, v)| (2.0 * (k + 1) as f64 - count - 1.0) * v);
    (total > 0.0).then(|| weighted.sum::<f64>() / (count * total))
}

/// Shannon's entropy of the positive heat over that of a uniform map, 0 to 1; nothing without heat
/// or with one cell.
pub fn entropy(values: &[f32]) -> Option<f64> {
    let heat: Vec<f64> = values.iter().map(|&v| f64::from(v.max(0.0))).collect();
    let total: f64 = heat.iter().sum();
    let shares = heat.iter().filter(|v| **v > 0.0).map(|v| v / total);
    let bits: f64 = shares.map(|share| -share * share.ln()).sum();
    (total > 0.0 && heat.len() > 1).then(|| bits / (heat.len() as f64).ln())
}

/// `‖other − map‖ / ‖map‖`; nothing for a map of zeros or of another length.
pub fn difference(map: &[f32], other: &[f32]) -> Option<f64> {
    let norm = |values: &mut dyn Iterator<Item = f64>| values.map(|v| v * v).sum::<f64>().sqrt();
    let own = norm(&mut map.iter().map(|&v| f64::from(v)));
    let apart = norm(&mut map.iter().zip(other).map(|(a, b)| f64::from(b - a)));
    (own > 0.0 && map.len() == other.len()).then(|| apart / own)
}

/// The picture with uniform noise of at most [`NOISE_RADIUS`] levels on every channel.
pub(super) fn noisy(picture: &Rgb8, random: &mut ChaCha8Rng) -> Rgb8 {
    let mut noisy = picture.clone();
    for value in noisy.pixels_mut() {
        let moved = i16::from(*value) + random.random_range(-NOISE_RADIUS..=NOISE_RADIUS);
        *value = moved.clamp(0, 255) as u8;
    }
    noisy
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::*;

    fn close(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-9, "{a:?}, expected {b}");
    }

    #[test]
    fn one_cell_with_all_heat_and_all_cells_alike_are_the_ends() {
        close(gini(&[0.0, 0.0, 0.0, 5.0]), 0.75);
        close(gini(&[2.0; 4]), 0.0);
        close(entropy(&[0.0, 0.0, 0.0, 5.0]), 0.0);
        close(entropy(&[2.0; 4]), 1.0);
        close(entropy(&[1.0, 1.0, 0.0, 0.0]), 0.5);
        // Ascending 1, 3: ((2 − 3)·1 + (4 − 3)·3) / (2·4).
        close(gini(&[3.0, 1.0]), 0.25);
    }

    #[test]
    fn negative_values_are_no_heat_and_scale_means_nothing() {
        close(gini(&[-9.0, -1.0, 0.0, 1e-9]), 0.75);
        close(entropy(&[-9.0, 1e-9, 1e-9, -1.0]), 0.5);
        for values in [&[0.0, -1.0][..], &[]] {
            assert_eq!((gini(values), entropy(values)), (None, None));
        }
    }

    #[test]
    fn differences_are_relative() {
        close(difference(&[3.0, 4.0], &[3.0, 4.0]), 0.0);
        close(difference(&[3.0, 4.0], &[0.0, 0.0]), 1.0);
        close(difference(&[3e-6, 4e-6], &[6e-6, 8e-6]), 1.0);
        assert_eq!(difference(&[0.0; 2], &[1.0; 2]), None);
        assert_eq!(difference(&[1.0; 2], &[1.0; 3]), None);
    }

    #[test]
    fn noise_stays_within_its_radius() {
        let grey = Rgb8::filled(16, 16, [0, 128, 255]);
        let moved = noisy(&grey, &mut ChaCha8Rng::seed_from_u64(1));
        let off = grey.pixels().iter().zip(moved.pixels()).map(|(a, b)| a.abs_diff(*b));
        assert_eq!(off.max(), Some(5));
        assert_ne!(moved, grey);
    }
}
