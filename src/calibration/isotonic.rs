//! Isotonic regression: the best probability that only rises with a figure.
//!
//! Pool adjacent violators (Barlow, Bartholomew, Bremner and Brunk, "Statistical Inference under
//! Order Restrictions", 1972): rows in the order of the figure are blocks; two neighbours whose
//! shares of hits fall are made one, until none do. What comes out has the least squared error of
//! all rising functions.

use serde::{Deserialize, Serialize};

/// A probability that rises with a figure `x`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Isotonic {
    /// `(x, P)` at the centre of each block: x rises, P does not fall, and lies above 0 and below 1.
    /// In between it is linear, beyond the ends constant.
    pub points: Vec<(f64, f64)>,
}

/// Rows with neighbouring figures that get one probability.
#[derive(Clone, Copy, Debug)]
struct Block {
    rows: f64,
    hits: f64,
    /// Sum of the rows' figures.
    sum: f64,
}

impl Block {
    fn share(&self) -> f64 {
        self.hits / self.rows
    }

    fn with(self, other: Self) -> Self {
        Self {
            rows: self.rows + other.rows,
            hits: self.hits + other.hits,
            sum: self.sum + other.sum,
        }
    }
}

impl Isotonic {
    /// The fit to figures and whether each was a hit; figures are finite. Nothing without any.
    ///
    /// A block of n rows at an end tells nothing below `1 / (n + 2)` or above `1 − 1 / (n + 2)`, as
    /// far as so many rows can (Laplace's rule of succession), and the others tell nothing beyond.
    pub fn fit(figures: &[f64], hits: &[bool]) -> Option<Self> {
        let blocks = pooled(figures, hits);
        let (first, last) = (blocks.first()?, blocks.last()?);
        let least = 1.0 / (first.rows + 2.0);
        let most = 1.0 - 1.0 / (last.rows + 2.0);
        let point = |block: &Block| (block.sum / block.rows, block.share().clamp(least, most));
        Some(Self { points: blocks.iter().map(point).collect() })
    }

    /// At a figure, above 0 and below 1.
    pub fn probability(&self, figure: f64) -> f64 {
        let above = self.points.partition_point(|&(x, _)| x <= figure);
        let at = |index: usize| self.points.get(index);
        match (above.checked_sub(1).and_then(at), at(above)) {
            (Some(&(x0, p0)), Some(&(x1, p1))) => p0 + (p1 - p0) * ((figure - x0) / (x1 - x0)),
            (Some(&(_, p)), None) | (None, Some(&(_, p))) => p,
            (None, None) => 0.5,
        }
    }

    /// What is wrong with a fit that was read.
    pub fn check(&self) -> Result<(), String> {
        if self.points.is_empty() {
            return Err("has no points".to_owned());
        }
        for &(x, p) in &self.points {
            if !(x.is_finite() && p > 0.0 && p < 1.0) {
                return Err(format!("has the point ({x}, {p}), must be finite, above 0, below 1"));
            }
        }
        for pair in self.points.windows(2) {
            let ((x0, p0), (x1, p1)) = (pair[0], pair[1]);
            if x1 <= x0 || p1 < p0 {
                return Err(format!("falls from ({x0}, {p0}) to ({x1}, {p1})"));
            }
        }
        Ok(())
    }
}

/// Blocks whose shares of hits rise, in the order of their figures.
fn pooled(figures: &[f64], hits: &[bool]) -> Vec<Block> {
    let mut rows: Vec<(f64, bool)> = figures.iter().copied().zip(hits.iter().copied()).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut blocks: Vec<Block> = Vec::new();
    for equal in rows.chunk_by(|a, b| a.0 >= b.0) {
        let count = equal.len() as f64;
        let hits = equal.iter().filter(|row| row.1).count() as f64;
        let mut block = Block { rows: count, hits, sum: equal[0].0 * count };
        while let Some(before) = blocks.pop_if(|before| before.share() >= block.share()) {
            block = before.with(block);
        }
        blocks.push(block);
    }
    blocks
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    fn fitted(rows: &[(f64, u8)]) -> Isotonic {
        let (figures, hits): (Vec<f64>, Vec<bool>) =
            rows.iter().map(|&(x, hit)| (x, hit == 1)).unzip();
        Isotonic::fit(&figures, &hits).unwrap()
    }

    #[test]
    fn violators_are_pooled_as_by_hand() {
        // Shares 0, 1, 0, 1, 1, 0, 1 pool to 0 | 1/2 | 2/3 | 1.
        let fit = fitted(&[(7.0, 1), (1.0, 0), (2.0, 1), (3.0, 0), (4.0, 1), (5.0, 1), (6.0, 0)]);
        let expected = [(1.0, 1.0 / 3.0), (2.5, 0.5), (5.0, 2.0 / 3.0), (7.0, 2.0 / 3.0)];
        assert_eq!(fit.points.len(), expected.len(), "{fit:?}");
        for (found, expected) in fit.points.iter().zip(expected) {
            assert!((found.0 - expected.0).abs() < 1e-12, "{found:?} {expected:?}");
            assert!((found.1 - expected.1).abs() < 1e-12, "{found:?} {expected:?}");
        }
        assert!((fit.probability(1.75) - 5.0 / 12.0).abs() < 1e-12);
        assert!((fit.probability(-9.0) - 1.0 / 3.0).abs() < 1e-12);
        assert!((fit.probability(f64::MAX) - 2.0 / 3.0).abs() < 1e-12);
    }

    #[test]
    fn equal_figures_get_one_probability() {
        let fit = fitted(&[(1.0, 1), (1.0, 0), (1.0, 0), (1.0, 0)]);
        assert_eq!(fit.points, [(1.0, 0.25)]);
        // -0.0 and 0.0 are one figure, whichever comes first.
        assert_eq!(fitted(&[(0.0, 1), (-0.0, 0)]).points.len(), 1);
        assert_eq!(Isotonic::fit(&[], &[]), None);
    }

    #[test]
    fn certain_rows_leave_a_doubt_that_their_number_decides() {
        let rows: Vec<(f64, u8)> = (0..20).map(|at| (f64::from(at), u8::from(at >= 8))).collect();
        let fit = fitted(&rows);
        assert!((fit.probability(0.0) - 0.1).abs() < 1e-12, "8 misses tell 1/10");
        assert!((fit.probability(19.0) - 13.0 / 14.0).abs() < 1e-12, "12 hits tell 13/14");
        assert!(fit.check().is_ok());
        assert!(fitted(&[(0.0, 1)]).check().is_ok() && fitted(&[(0.0, 0)]).check().is_ok());
    }

    #[test]
    fn what_is_fitted_never_falls_and_passes_its_own_check() {
        let mut rng = ChaCha8Rng::seed_from_u64(11);
        for _ in 0..200 {
            let rows: Vec<(f64, u8)> = (0..rng.random_range(1..60))
                .map(|_| (f64::from(rng.random_range(-5..5_i8)), rng.random_range(0..=1)))
                .collect();
            let fit = fitted(&rows);
            fit.check().unwrap();
            let told: Vec<f64> =
                (-60..60).map(|at| fit.probability(f64::from(at) / 10.0)).collect();
            assert!(told.windows(2).all(|pair| pair[0] <= pair[1] + 1e-12), "{fit:?}");
        }
    }

    #[test]
    fn no_rising_function_errs_less() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        let hits: Vec<bool> = (0..40).map(|at| rng.random_bool(f64::from(at) / 40.0)).collect();
        let figures: Vec<f64> = (0..40).map(f64::from).collect();
        let blocks = pooled(&figures, &hits);
        let error = |of: &dyn Fn(usize) -> f64| -> f64 {
            let miss = |at: usize| (of(at) - f64::from(u8::from(hits[at]))).powi(2);
            (0..40).map(miss).sum()
        };
        let ends: Vec<f64> = blocks
            .iter()
            .scan(0.0, |end, block| {
                *end += block.rows;
                Some(*end)
            })
            .collect();
        let of = |at: usize| blocks[ends.partition_point(|&end| end <= at as f64)].share();
        let best = error(&of);
        for _ in 0..500 {
            let mut other: Vec<f64> = (0..40).map(|_| rng.random_range(0.0..1.0)).collect();
            other.sort_by(f64::total_cmp);
            assert!(best <= error(&|at| other[at]) + 1e-12);
            let step = rng.random_range(0..40);
            let nudged = |at: usize| if at >= step { (of(at) + 0.01).min(1.0) } else { of(at) };
            assert!(best <= error(&nudged) + 1e-12);
        }
    }

    #[test]
    fn a_fit_that_cannot_be_is_refused() {
        let check = |points: &[(f64, f64)], expected: &str| {
            assert_eq!(Isotonic { points: points.to_vec() }.check().unwrap_err(), expected);
        };
        check(&[], "has no points");
        check(&[(0.0, 1.0)], "has the point (0, 1), must be finite, above 0, below 1");
        check(&[(0.0, 0.5), (1.0, 0.4)], "falls from (0, 0.5) to (1, 0.4)");
        check(&[(0.0, 0.5), (0.0, 0.6)], "falls from (0, 0.5) to (0, 0.6)");
    }
}
