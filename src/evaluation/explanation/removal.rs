//! Parts of the picture taken away at random, and whether the map foretold what that costs.
//!
//! Infidelity (Yeh et al. 2019, arXiv 1901.09392) is `E[(Iᵀφ − (f(x) − f(x − I)))²]`; its
//! perturbation here is their square removal, into a blurred picture. Sensitivity-n (Ancona et al.
//! 2018, arXiv 1711.06104) is the correlation of `Σ φ` over n random cells with the same drop. Our
//! maps say what a cell adds, so `Iᵀφ` is the sum of the map over the cells that went. Their scale
//! means nothing, so infidelity is taken at the map's best scale `β = max(0, Σab / Σa²)` (the
//! paper's optimal scaling; a map that foretells the opposite gets no credit for it), and as a
//! share of `E[(f(x) − f(x − I))²]`: 0 foretells all, 1 nothing.

use rand::Rng;
use rand::seq::index::sample;
use rand_chacha::ChaCha8Rng;

use super::curves::replaced;
use crate::vision::image::Rgb8;

/// Sides of removed squares, as shares of the grid's sides: 2 to 6 cells of 14.
const SQUARE_SHARES: (f32, f32) = (1.0 / 7.0, 3.0 / 7.0);
/// How many of the cells a random subset takes: one in so many.
const SUBSET_SHARE: usize = 4;

/// Cells of a grid that are taken away together.
#[derive(Clone, Debug, PartialEq)]
pub struct Removal {
    /// Which, row-major `[rows, columns]`.
    cells: Vec<bool>,
    /// Rows and columns.
    grid: (usize, usize),
}

impl Removal {
    /// A square of random size and place.
    pub fn square(grid: (usize, usize), random: &mut ChaCha8Rng) -> Self {
        let share = random.random_range(SQUARE_SHARES.0..=SQUARE_SHARES.1);
        let mut span = |cells: usize| {
            let length = ((cells as f32 * share).round() as usize).clamp(1, cells);
            let from = random.random_range(0..=cells - length);
            from..from + length
        };
        let (rows, columns) = (span(grid.0), span(grid.1));
        let inside = |cell| rows.contains(&(cell / grid.1)) && columns.contains(&(cell % grid.1));
        Self { cells: (0..grid.0 * grid.1).map(inside).collect(), grid }
    }

    /// A random quarter of the cells, scattered.
    pub fn subset(grid: (usize, usize), random: &mut ChaCha8Rng) -> Self {
        let count = grid.0 * grid.1;
        let mut cells = vec![false; count];
        for cell in sample(random, count, count.div_ceil(SUBSET_SHARE)) {
            cells[cell] = true;
        }
        Self { cells, grid }
    }

    /// The picture, over which the grid lies, with these cells from `infill` of the same size.
    pub fn apply(&self, picture: &Rgb8, infill: &Rgb8) -> Rgb8 {
        let (width, height) = (picture.width() as usize, picture.height() as usize);
        let cell = |pixel: usize| {
            let (x, y) = (pixel % width, pixel / width);
            (y * self.grid.0 / height) * self.grid.1 + x * self.grid.1 / width
        };
        let gone = (0..width * height).filter(|&pixel| self.cells[cell(pixel)]);
        replaced(picture, infill, &gone.map(|pixel| pixel as u32).collect::<Vec<_>>())
    }

    /// The sum of a map over the cells; nothing where it lies on another grid.
    pub fn sum(&self, values: &[f32], grid: (usize, usize)) -> Option<f64> {
        let gone = values.iter().zip(&self.cells).filter(|(_, gone)| **gone);
        (grid == self.grid).then(|| gone.map(|(&value, _)| f64::from(value)).sum())
    }
}

/// Squared error of the foretold `sums` at their best scale, and the square of the `drops`
/// themselves, both summed: infidelity is their quotient.
pub fn infidelity(sums: &[f64], drops: &[f64]) -> (f64, f64) {
    let product: f64 = sums.iter().zip(drops).map(|(a, b)| a * b).sum();
    let square: f64 = sums.iter().map(|a| a * a).sum();
    let scale = if square > 0.0 { (product / square).max(0.0) } else { 0.0 };
    let error = sums.iter().zip(drops).map(|(a, b)| (scale * a - b).powi(2)).sum();
    (error, drops.iter().map(|b| b * b).sum())
}

/// Pearson's correlation; nothing where either side does not vary.
pub fn correlation(a: &[f64], b: &[f64]) -> Option<f64> {
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let (mean_a, mean_b) = (mean(a), mean(b));
    let sum = |of: &dyn Fn(f64, f64) -> f64| -> f64 {
        a.iter().zip(b).map(|(&a, &b)| of(a - mean_a, b - mean_b)).sum()
    };
    let spread = (sum(&|a, _| a * a) * sum(&|_, b| b * b)).sqrt();
    (spread > 0.0).then(|| sum(&|a, b| a * b) / spread)
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::curves::blurred;
    use super::super::synthetic::{Quality, heat, picture, score};
    use super::*;

    /// One cell a pixel of the synthetic picture.
    const GRID: (usize, usize) = (32, 32);

    #[test]
    fn infidelity_is_nothing_for_truth_at_any_scale_and_all_for_its_opposite() {
        let drops = [0.5, -0.25, 1.0, 0.0];
        let share = |sums: &[f64]| {
            let (error, whole) = infidelity(sums, &drops);
            error / whole
        };
        assert!(share(&drops.map(|d| d * 1e-6)).abs() < 1e-12);
        assert!((share(&drops.map(|d| -d)) - 1.0).abs() < 1e-12);
        assert!((share(&[0.0; 4]) - 1.0).abs() < 1e-12);
        // β = 0.5·1 / 1 = 0.5 of (1, 0, 0, 0): what is left is the other drops.
        let left = (0.25_f64.powi(2) + 1.0) / (0.25 + 0.25_f64.powi(2) + 1.0);
        assert!((share(&[1.0, 0.0, 0.0, 0.0]) - left).abs() < 1e-12);
    }

    #[test]
    fn correlations_of_known_pairs_are_exact() {
        assert!((correlation(&[1.0, 2.0, 3.0], &[2.0, 4.0, 6.0]).unwrap() - 1.0).abs() < 1e-12);
        assert!((correlation(&[1.0, 2.0, 3.0], &[3.0, 2.0, 1.0]).unwrap() + 1.0).abs() < 1e-12);
        assert_eq!(correlation(&[1.0, 1.0], &[0.0, 1.0]), None);
        assert_eq!(correlation(&[], &[]), None);
    }

    #[test]
    fn squares_and_subsets_take_what_they_say() {
        let mut random = ChaCha8Rng::seed_from_u64(1);
        for _ in 0..200 {
            let square = Removal::square((14, 14), &mut random);
            let gone: Vec<usize> = (0..196).filter(|&cell| square.cells[cell]).collect();
            let side = gone.len().isqrt();
            assert!(side * side == gone.len() && (2..=6).contains(&side), "{}", gone.len());
            let (first, last) = (gone[0], gone[gone.len() - 1]);
            assert_eq!(last - first, (side - 1) * 15, "it is one block");
            let subset = Removal::subset((14, 14), &mut random);
            assert_eq!(subset.cells.iter().filter(|gone| **gone).count(), 49);
        }
        let one = Removal { cells: vec![false, true, false, false], grid: (2, 2) };
        let (white, black) = (Rgb8::filled(4, 4, [255; 3]), Rgb8::filled(4, 4, [0; 3]));
        let left: Vec<u8> = one.apply(&white, &black).pixels().iter().step_by(3).copied().collect();
        let expected: Vec<u8> =
            (0..16).map(|i| if i % 4 > 1 && i / 4 < 2 { 0 } else { 255 }).collect();
        assert_eq!(left, expected);
        assert_eq!(one.sum(&[1.0, 2.0, 4.0, 8.0], (2, 2)), Some(2.0));
        assert_eq!(one.sum(&[1.0, 2.0], (1, 2)), None);
    }

    #[test]
    fn the_map_of_the_score_s_own_box_foretells_best() {
        let mut random = ChaCha8Rng::seed_from_u64(2);
        let (whole, soft) = (picture(), blurred(&picture()));
        let removals: Vec<Removal> = (0..40)
            .flat_map(|_| [Removal::square(GRID, &mut random), Removal::subset(GRID, &mut random)])
            .collect();
        let drops: Vec<f64> =
            removals.iter().map(|r| score(&whole) - score(&r.apply(&whole, &soft))).collect();
        let figures = |quality| {
            let map = heat(quality);
            let sums: Vec<f64> = removals.iter().map(|r| r.sum(&map, GRID).unwrap()).collect();
            let (error, all) = infidelity(&sums, &drops);
            (error / all, correlation(&sums, &drops).unwrap())
        };
        let [(best, high), (middle, some), (worst, low)] =
            [Quality::Perfect, Quality::Random, Quality::Inverted].map(figures);
        assert!(best < 0.1 && best < middle && middle < worst, "{best} {middle} {worst}");
        assert!(high > 0.9 && high > some && some > low, "{high} {some} {low}");
    }
}
