//! From a map's figures to the probability that it points at the thing: logistic regression, fitted
//! on held-out pictures whose true places are known.
//!
//! A fit holds for one model and one method. It lies beside the model as
//! [`CALIBRATION_FILE`]; a model without one tells no probability.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::map::RawMap;
use super::method::Method;
use crate::calibration::Logistic;

/// The file in a model's folder.
pub const CALIBRATION_FILE: &str = "heatmap_calibration.json";

/// Figures of a map that every map has, in this order: the claim, the contrast, the logarithms of
/// strength and spread, specificity, and the rival peak.
pub const QUICK_FEATURES: usize = 6;
/// The same and what the checks found: faithfulness, stability, agreement of methods.
pub const CHECKED_FEATURES: usize = QUICK_FEATURES + 3;

/// Bounds of features, so that one strange map cannot leave the range that was fitted by far.
const MOST: f64 = 20.0;

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

impl Calibration {
    /// Reads a fit; an error says what is wrong with it.
    pub fn parse(json: &str) -> Result<Self, String> {
        let read: Self = serde_json::from_str(json).map_err(|error| error.to_string())?;
        for (method, fit) in &read.methods {
            let checked = fit.checked.iter().map(|fit| (fit, CHECKED_FEATURES));
            for (fit, expected) in checked.chain([(&fit.quick, QUICK_FEATURES)]) {
                fit.check(expected).map_err(|reason| format!("{method} {reason}"))?;
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

#[cfg(test)]
mod tests {
    use super::*;

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
