//! From a map's figures to the probability that it points at the thing: logistic regression, fitted
//! on held-out pictures whose true places are known.
//!
//! A fit holds for one model and one method. It lies beside the model as
//! [`CALIBRATION_FILE`]; a model without one tells no probability.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::map::RawMap;
use super::method::Method;

/// The file in a model's folder.
pub const CALIBRATION_FILE: &str = "heatmap_calibration.json";

/// Figures of a map that every map has, in this order: the claim, the contrast, the logarithms of
/// strength and spread, specificity, and the rival peak.
pub const QUICK_FEATURES: usize = 6;
/// The same and what the checks found: faithfulness, stability, agreement of methods.
pub const CHECKED_FEATURES: usize = QUICK_FEATURES + 3;

/// Bounds of features, so that one strange map cannot leave the range that was fitted by far.
const MOST: f64 = 20.0;
/// How strongly weights are held near 0 (the ridge's penalty), in observations.
const RIDGE: f64 = 1.0;
/// Newton's steps; it converges in fewer.
const STEPS: usize = 50;

/// How sure one model's maps are, by method.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// SHA-256 of the weights it was fitted for, hexadecimal: it holds for no others.
    pub checksum: String,
    /// The pictures it was fitted on, in words.
    pub fitted_on: String,
    /// By method.
    pub methods: BTreeMap<Method, MethodFit>,
}

/// The fits of one method.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct MethodFit {
    /// From the figures that every map has.
    pub quick: Logistic,
    /// From those and the checks'.
    pub checked: Option<Logistic>,
}

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

impl Calibration {
    /// Reads a fit; an error says what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for (method, fit) in &read.methods {
            let checked = fit.checked.iter().map(|fit| (fit, CHECKED_FEATURES));
            for (fit, expected) in checked.chain([(&fit.quick, QUICK_FEATURES)]) {
                let lengths = [fit.weights.len(), fit.means.len(), fit.scales.len()];
                if lengths != [expected; 3] {
                    return Err(format!("{method} has {lengths:?} numbers, needs {expected} each"));
                }
            }
        }
        Ok(read)
    }

    /// The probability, 0 to 1, that the map's hottest place is on what the prompt is about. Absent
    /// where this method was not fitted.
    pub fn probability(&self, map: &RawMap) -> Option<f32> {
        let fit = self.methods.get(&map.method)?;
        let probability = match (checked_features(map), &fit.checked) {
            (Some(features), Some(checked)) => checked.probability(&features),
            _ => fit.quick.probability(&quick_features(map)),
        };
        Some(probability as f32)
    }
}

/// What [`Calibration`] reads of any map.
pub fn quick_features(map: &RawMap) -> [f64; QUICK_FEATURES] {
    let logarithm = |value: f32| f64::from(value.max(1e-6)).ln();
    let features = [
        f64::from(map.claim.unwrap_or(0.0)),
        f64::from(map.margin) * 100.0,
        logarithm(map.signal_to_noise.unwrap_or(1.0)),
        logarithm(map.effective_patches),
        f64::from(map.specificity.unwrap_or(0.0)),
        f64::from(map.rival),
    ];
    features.map(|value| value.clamp(-MOST, MOST))
}

/// What it reads of a map with checks.
pub fn checked_features(map: &RawMap) -> Option<[f64; CHECKED_FEATURES]> {
    let checks = map.checks?;
    let mut features = [0.0; CHECKED_FEATURES];
    features[..QUICK_FEATURES].copy_from_slice(&quick_features(map));
    let found = [checks.faithfulness, checks.stability, checks.method_agreement];
    for (feature, value) in features[QUICK_FEATURES..].iter_mut().zip(found) {
        *feature = f64::from(value);
    }
    Some(features)
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

    /// Of one row of features.
    pub fn probability(&self, row: &[f64]) -> f64 {
        self.of_standardised(&self.standardised(row))
    }

    fn standardised(&self, row: &[f64]) -> Vec<f64> {
        let centred = row.iter().zip(&self.means).zip(&self.scales);
        centred.map(|((x, mean), scale)| (x - mean) / scale).collect()
    }

    fn of_standardised(&self, row: &[f64]) -> f64 {
        let sum: f64 = self.weights.iter().zip(row).map(|(weight, x)| weight * x).sum();
        1.0 / (1.0 + (-(self.bias + sum)).exp())
    }

    /// The change of bias and weights that Newton's method makes.
    fn newton_step(&self, inputs: &[Vec<f64>], hits: &[bool]) -> Vec<f64> {
        let size = self.weights.len() + 1;
        let mut gradient = vec![0.0; size];
        let mut hessian = vec![vec![0.0; size]; size];
        for (row, &hit) in inputs.iter().zip(hits) {
            let p = self.of_standardised(row);
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
    fn a_file_with_too_few_numbers_is_refused() {
        let fit = Logistic { bias: 0.0, weights: vec![1.0], means: vec![0.0], scales: vec![1.0] };
        let methods =
            BTreeMap::from([(Method::GradEclip, MethodFit { quick: fit, checked: None })]);
        let file = Calibration { methods, ..Calibration::default() };
        let json = serde_json::to_string(&file).unwrap();
        let error = Calibration::parse(&json).unwrap_err();
        assert_eq!(error, "grad_eclip has [1, 1, 1] numbers, needs 6 each");
    }
}
