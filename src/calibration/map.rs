//! A fitted map from named figures to a probability.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::isotonic::Isotonic;
use super::logistic::{Logistic, sigmoid};

/// Figures by name. One that is not there counts as 0.
pub type Features = BTreeMap<String, f64>;

/// A map from figures to a probability.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(tag = "method", rename_all = "snake_case", deny_unknown_fields)]
pub enum Fit {
    /// Log-odds that are a weighted sum.
    Logistic {
        /// Names of the figures it reads, each once, in the order of its weights.
        features: Vec<String>,
        /// The weights.
        logistic: Logistic,
    },
    /// A probability that only rises.
    Isotonic {
        /// Names of the figures it reads; exactly one where `logistic` is absent.
        features: Vec<String>,
        /// Whose log-odds the probability rises with; absent, it rises with the one figure.
        logistic: Option<Logistic>,
        /// How it rises.
        isotonic: Isotonic,
    },
}

/// What each figure adds to the log-odds, `ln(P / (1 − P))`, of a logistic fit.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Contributions {
    /// The log-odds where every figure is 0: where nothing is known.
    pub base: f64,
    /// What each figure adds, in the order of the fit. A figure of 0, or one that is not there, adds
    /// nothing.
    pub added: Vec<(String, f64)>,
}

impl Contributions {
    /// The log-odds that they make together.
    pub fn log_odds(&self) -> f64 {
        self.base + self.added.iter().map(|(_, added)| added).sum::<f64>()
    }

    /// The probability that they make together, 0 to 1.
    pub fn probability(&self) -> f64 {
        sigmoid(self.log_odds())
    }
}

impl Fit {
    /// `logistic` or `isotonic`, as it stands in files and answers.
    pub fn method(&self) -> &'static str {
        match self {
            Self::Logistic { .. } => "logistic",
            Self::Isotonic { .. } => "isotonic",
        }
    }

    /// Names of the figures it reads.
    pub fn features(&self) -> &[String] {
        match self {
            Self::Logistic { features, .. } | Self::Isotonic { features, .. } => features,
        }
    }

    /// The probability, 0 to 1, from `figures`: those that it does not read are passed over, those
    /// that are not there count as 0. Figures are finite.
    pub fn probability(&self, figures: &Features) -> f64 {
        let row = self.row(figures);
        match self {
            Self::Logistic { logistic, .. } => logistic.probability(&row),
            Self::Isotonic { logistic: Some(logistic), isotonic, .. } => {
                isotonic.probability(logistic.log_odds(&row))
            }
            Self::Isotonic { logistic: None, isotonic, .. } => {
                isotonic.probability(row.first().copied().unwrap_or(0.0))
            }
        }
    }

    /// What each figure adds to the log-odds. Nothing of an isotonic fit, which is no sum.
    pub fn contributions(&self, figures: &Features) -> Option<Contributions> {
        let Self::Logistic { features, logistic } = self else { return None };
        let base = logistic.log_odds(&vec![0.0; features.len()]);
        let slopes = logistic.weights.iter().zip(&logistic.scales).map(|(w, scale)| w / scale);
        let row = self.row(figures).into_iter().zip(slopes);
        let added = features.iter().zip(row).map(|(name, (x, slope))| (name.clone(), x * slope));
        Some(Contributions { base, added: added.collect() })
    }

    /// What is wrong with a fit that was read.
    pub fn check(&self) -> Result<(), String> {
        let features = self.features();
        for (at, name) in features.iter().enumerate() {
            if name.is_empty() || features[..at].contains(name) {
                return Err(format!("features[{at}] is {name:?}, must be a name of its own"));
            }
        }
        let checked = |logistic: &Logistic| {
            logistic.check(features.len()).map_err(|reason| format!("logistic {reason}"))
        };
        match self {
            Self::Logistic { logistic, .. } => checked(logistic),
            Self::Isotonic { logistic, isotonic, .. } => {
                match logistic {
                    Some(logistic) => checked(logistic)?,
                    None if features.len() == 1 => {}
                    None => {
                        let count = features.len();
                        return Err(format!("has {count} features without a logistic, must be 1"));
                    }
                }
                isotonic.check().map_err(|reason| format!("isotonic {reason}"))
            }
        }
    }

    fn row(&self, figures: &Features) -> Vec<f64> {
        values(self.features(), figures)
    }
}

/// The figures `names`, in this order, 0 where there is none.
pub(super) fn values(names: &[String], figures: &Features) -> Vec<f64> {
    names.iter().map(|name| figures.get(name).copied().unwrap_or(0.0)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn logistic() -> Logistic {
        Logistic {
            bias: 0.5,
            weights: vec![2.0, -1.0],
            means: vec![1.0, 0.0],
            scales: vec![2.0, 4.0],
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn figures(given: &[(&str, f64)]) -> Features {
        given.iter().map(|&(name, value)| (name.to_owned(), value)).collect()
    }

    #[test]
    fn contributions_add_up_to_the_probability() {
        let fit = Fit::Logistic { features: names(&["pixels", "text"]), logistic: logistic() };
        let given = figures(&[("pixels", 3.0), ("text", 2.0), ("unread", 9.0)]);
        let told = fit.contributions(&given).unwrap();
        // 0.5 + 2 (3 − 1) / 2 − 2 / 4 = 2.
        assert!((told.base - -0.5).abs() < 1e-12, "{told:?}");
        assert_eq!(told.added, [("pixels".to_owned(), 3.0), ("text".to_owned(), -0.5)]);
        assert!((told.log_odds() - 2.0).abs() < 1e-12);
        assert!((told.probability() - fit.probability(&given)).abs() < 1e-12);
        let silent = fit.contributions(&figures(&[("pixels", 3.0)])).unwrap();
        assert!(silent.added[1].1.abs() < 1e-12, "who says nothing adds nothing");
    }

    #[test]
    fn an_isotonic_fit_reads_the_sum_or_the_one_figure() {
        let isotonic = Isotonic { points: vec![(-1.0, 0.2), (1.0, 0.6)] };
        let over = Fit::Isotonic {
            features: names(&["a", "b"]),
            logistic: Some(logistic()),
            isotonic: isotonic.clone(),
        };
        // Log-odds 0.5 + 2 (0.5 − 1) / 2 = 0.
        assert!((over.probability(&figures(&[("a", 0.5)])) - 0.4).abs() < 1e-12);
        assert_eq!(over.contributions(&figures(&[])), None);
        let of_one = Fit::Isotonic { features: names(&["a"]), logistic: None, isotonic };
        assert!((of_one.probability(&figures(&[("a", 0.5)])) - 0.5).abs() < 1e-12);
        assert_eq!((over.method(), of_one.check()), ("isotonic", Ok(())));
    }

    #[test]
    fn a_fit_that_cannot_be_is_refused() {
        let twice = Fit::Logistic { features: names(&["a", "a"]), logistic: logistic() };
        let said = "features[1] is \"a\", must be a name of its own";
        assert_eq!(twice.check().unwrap_err(), said);
        let short = Fit::Logistic { features: names(&["a"]), logistic: logistic() };
        assert_eq!(short.check().unwrap_err(), "logistic has [2, 2, 2] numbers, needs 1 each");
        let isotonic = Isotonic { points: vec![(0.0, 0.5)] };
        let two = Fit::Isotonic { features: names(&["a", "b"]), logistic: None, isotonic };
        assert_eq!(two.check().unwrap_err(), "has 2 features without a logistic, must be 1");
    }
}
