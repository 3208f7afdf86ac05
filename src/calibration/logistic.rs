//! Logistic regression by Newton's method, weights held near 0.

use serde::{Deserialize, Serialize};

/// How strongly weights are held near 0 (the ridge's penalty), in observations.
const RIDGE: f64 = 1.0;
/// Newton's steps; it converges in fewer.
const STEPS: usize = 50;

/// `P = 1 / (1 + exp(−(b + Σ w (x − mean) / scale)))`.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Logistic {
    /// b.
    pub bias: f64,
    /// w, one for each feature.
    pub weights: Vec<f64>,
    /// Mean of each feature where it was fitted.
    pub means: Vec<f64>,
    /// Standard deviation of each feature where it was fitted; 1 where it has none.
    pub scales: Vec<f64>,
}

impl Logistic {
    /// The fit of greatest penalised likelihood to `rows` and whether each was a hit, by Newton's
    /// method (Hastie, Tibshirani and Friedman, "The Elements of Statistical Learning", §4.4.1).
    /// Nothing where there are no rows.
    pub fn fit(rows: &[Vec<f64>], hits: &[bool]) -> Option<Self> {
        let count = rows.len();
        let features = rows.first()?.len();
        let column = |at: usize| rows.iter().map(move |row| row[at]);
        let means: Vec<f64> =
            (0..features).map(|at| column(at).sum::<f64>() / count as f64).collect();
        let scales: Vec<f64> = (0..features)
            .map(|at| {
                let variance = column(at).map(|x| (x - means[at]).powi(2)).sum::<f64>();
                let deviation = (variance / count as f64).sqrt();
                if deviation > 1e-12 { deviation } else { 1.0 }
            })
            .collect();
        let mut fit = Self { bias: 0.0, weights: vec![0.0; features], means, scales };
        let inputs: Vec<Vec<f64>> = rows.iter().map(|row| fit.standardised(row)).collect();
        for _ in 0..STEPS {
            let step = fit.newton_step(&inputs, hits);
            fit.bias += step[0];
            for (weight, change) in fit.weights.iter_mut().zip(&step[1..]) {
                *weight += change;
            }
            if step.iter().all(|change| change.abs() < 1e-10) {
                break;
            }
        }
        Some(fit)
    }

    /// Of one row of features, 0 to 1.
    pub fn probability(&self, row: &[f64]) -> f64 {
        sigmoid(self.log_odds(row))
    }

    /// The same as `ln(P / (1 − P))`.
    pub fn log_odds(&self, row: &[f64]) -> f64 {
        self.of_standardised(&self.standardised(row))
    }

    /// What is wrong with a fit that was read, for `features` features.
    pub fn check(&self, features: usize) -> Result<(), String> {
        let lengths = [self.weights.len(), self.means.len(), self.scales.len()];
        if lengths != [features; 3] {
            return Err(format!("has {lengths:?} numbers, needs {features} each"));
        }
        let numbers = [&self.weights, &self.means, &self.scales].into_iter().flatten();
        let odd = |number: &&f64| !number.is_finite();
        if numbers.chain([&self.bias]).any(|number| odd(&number)) {
            return Err("has a number that is not finite".to_owned());
        }
        if self.scales.iter().any(|&scale| scale <= 0.0) {
            return Err("has a scale that is not above 0".to_owned());
        }
        Ok(())
    }

    fn standardised(&self, row: &[f64]) -> Vec<f64> {
        let centred = row.iter().zip(&self.means).zip(&self.scales);
        centred.map(|((x, mean), scale)| (x - mean) / scale).collect()
    }

    fn of_standardised(&self, row: &[f64]) -> f64 {
        let sum: f64 = self.weights.iter().zip(row).map(|(weight, x)| weight * x).sum();
        self.bias + sum
    }

    /// The change of bias and weights that Newton's method makes.
    fn newton_step(&self, inputs: &[Vec<f64>], hits: &[bool]) -> Vec<f64> {
        let size = self.weights.len() + 1;
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![vec![0.0; size]; size];
        for (row, &hit) in inputs.iter().zip(hits) {
            let p = sigmoid(self.of_standardised(row));
            let error = f64::from(u8::from(hit)) - p;
            let at = |i: usize| if i == 0 { 1.0 } else { row[i - 1] };
            for i in 0..size {
                gradient[i] += error * at(i);
                for (j, cell) in hessian[i].iter_mut().enumerate() {
                    *cell += p * (1.0 - p) * at(i) * at(j);
                }
            }
        }
        for (i, weight) in self.weights.iter().enumerate() {
            gradient[i + 1] -= RIDGE * weight;
            hessian[i + 1][i + 1] += RIDGE;
        }
        // Certain rows alone leave the bias without curvature.
        hessian[0][0] += 1e-6;
        solved(hessian, gradient)
    }
}

/// `1 / (1 + exp(−x))`.
pub(super) fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// `x` of `matrix x = right` by elimination with pivots; the matrix is symmetric and definite.
fn solved(mut matrix: Vec<Vec<f64>>, mut right: Vec<f64>) -> Vec<f64> {
    let size = right.len();
    for at in 0..size {
        let pivot = (at..size)
            .max_by(|&a, &b| matrix[a][at].abs().total_cmp(&matrix[b][at].abs()))
            .unwrap_or(at);
        matrix.swap(at, pivot);
        right.swap(at, pivot);
        let (above, below) = matrix.split_at_mut(at + 1);
        let row = &above[at];
        for (below_at, other) in below.iter_mut().enumerate() {
            let factor = other[at] / row[at];
            for (cell, value) in other.iter_mut().zip(row).skip(at) {
                *cell -= factor * value;
            }
            right[at + 1 + below_at] -= factor * right[at];
        }
    }
    for at in (0..size).rev() {
        let known: f64 = (at + 1..size).map(|j| matrix[at][j] * right[j]).sum();
        right[at] = (right[at] - known) / matrix[at][at];
    }
    right
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;

    #[test]
    fn a_fit_finds_the_probabilities_that_made_the_hits() {
        let mut rng = ChaCha8Rng::seed_from_u64(3);
        let truth = |x: f64, y: f64| 1.0 / (1.0 + (-(0.5 + 2.0 * x - y)).exp());
        let rows: Vec<Vec<f64>> = (0..20_000)
            .map(|_| vec![rng.random_range(-2.0..2.0), rng.random_range(-3.0..3.0), 7.0])
            .collect();
        let hits: Vec<bool> =
            rows.iter().map(|row| rng.random_bool(truth(row[0], row[1]))).collect();
        let fit = Logistic::fit(&rows, &hits).unwrap();
        for (x, y) in [(0.0, 0.0), (1.5, -2.0), (-1.0, 1.0)] {
            let found = fit.probability(&[x, y, 7.0]);
            assert!((found - truth(x, y)).abs() < 0.03, "{found} {}", truth(x, y));
        }
    }

    #[test]
    fn hits_that_a_figure_tells_for_certain_do_not_overflow() {
        let rows: Vec<Vec<f64>> = (0..100).map(|at| vec![f64::from(at)]).collect();
        let hits: Vec<bool> = (0..100).map(|at| at >= 50).collect();
        let fit = Logistic::fit(&rows, &hits).unwrap();
        assert!(fit.probability(&[99.0]) > 0.95 && fit.probability(&[0.0]) < 0.05);
        let all = Logistic::fit(&rows, &[true; 100]).unwrap();
        assert!(all.probability(&[40.0]) > 0.95);
        assert_eq!(Logistic::fit(&[], &[]), None);
    }

    #[test]
    fn a_fit_that_cannot_be_is_refused() {
        let fit = Logistic { bias: 0.0, weights: vec![1.0], means: vec![0.0], scales: vec![2.0] };
        assert_eq!(fit.check(1), Ok(()));
        assert_eq!(fit.check(2).unwrap_err(), "has [1, 1, 1] numbers, needs 2 each");
        let flat = Logistic { scales: vec![0.0], ..fit.clone() };
        assert_eq!(flat.check(1).unwrap_err(), "has a scale that is not above 0");
        let odd = Logistic { bias: f64::NAN, ..fit };
        assert_eq!(odd.check(1).unwrap_err(), "has a number that is not finite");
    }
}
