//! Fitting with cross-validation: how good the probabilities are on rows that were not fitted on.

use std::collections::BTreeSet;

use serde::Serialize;

use super::confidence::{Confidence, Told};
use super::error::CalibrationError;
use super::folds::Groups;
use super::isotonic::Isotonic;
use super::logistic::{Logistic, sigmoid};
use super::map::{Fit, values};
use super::rows::Row;

/// The figure that is no input: a probability, 0 to 1, that was told before there was a calibration.
/// It is what the fit is compared with; either every row has it, or none.
pub const UNCALIBRATED: &str = "uncalibrated";
/// Fewer rows tell too little.
pub const LEAST_ROWS: usize = 50;
/// Fewer rows of either label tell too little.
pub const LEAST_OF_EACH: usize = 10;
/// How many folds there may be.
pub const FOLDS: std::ops::RangeInclusive<usize> = 2..=20;

/// How to fit.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Method {
    /// Logistic or isotonic, whichever has the lower Brier score on rows left out; of equal ones,
    /// logistic.
    #[default]
    Auto,
    /// Log-odds that are a weighted sum of all figures.
    Logistic,
    /// A probability that rises with those log-odds.
    Isotonic,
    /// A probability that rises with the figure of this name alone.
    IsotonicOf(String),
}

/// How to fit, and how to measure it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FitOptions {
    /// How to fit.
    pub method: Method,
    /// Parts that the groups are dealt into: within [`FOLDS`].
    pub folds: usize,
    /// Decides how they are dealt.
    pub seed: u64,
}

impl Default for FitOptions {
    fn default() -> Self {
        Self { method: Method::Auto, folds: 5, seed: 0 }
    }
}

/// A method, measured on rows left out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Tried {
    /// `logistic` or `isotonic`.
    pub method: &'static str,
    /// What it told of rows that it was not fitted on.
    pub confidence: Confidence,
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Fitted {
    /// The fit to all rows.
    pub fit: Fit,
    /// Before: the rows' own [`UNCALIBRATED`] probabilities; without them, `1 / (1 + exp(−Σ))` of
    /// the sum of all figures, what a logistic fit with weights 1 tells.
    pub before: Confidence,
    /// After: what fits to the other folds told of each row.
    pub after: Confidence,
    /// The methods that were tried, the chosen one first.
    pub tried: Vec<Tried>,
    /// Rows.
    pub rows: usize,
    /// Rows whose label is true.
    pub positives: usize,
    /// Groups; rows without one count one each.
    pub groups: usize,
    /// Parts that they were dealt into.
    pub folds: usize,
}

/// Fits to all rows, and measures the same on rows left out.
///
/// Cross-validation by group: each fold is told by a fit to the others, which share no group with it.
/// An isotonic fit over a logistic one is fitted to that one's log-odds of the same rows. All folds'
/// probabilities are then measured together.
pub fn fit(rows: &[Row], options: &FitOptions) -> Result<Fitted, CalibrationError> {
    let refused = |reason: String| Err(CalibrationError::Data(reason));
    let labels: Vec<bool> = rows.iter().map(|row| row.label).collect();
    let groups = Groups::of(rows);
    enough(&labels, groups.count(), options.folds)?;
    let names: BTreeSet<&String> = rows.iter().flat_map(|row| row.features.keys()).collect();
    let names: Vec<String> =
        names.into_iter().filter(|name| *name != UNCALIBRATED).cloned().collect();
    if names.is_empty() {
        return refused(format!("the rows have no features besides {UNCALIBRATED}"));
    }
    let before = before(rows, &names)?;
    let plans = match &options.method {
        Method::Auto => vec![Plan::Logistic, Plan::Isotonic],
        Method::Logistic => vec![Plan::Logistic],
        Method::Isotonic => vec![Plan::Isotonic],
        Method::IsotonicOf(name) if names.contains(name) => vec![Plan::IsotonicOf(name)],
        Method::IsotonicOf(name) => {
            let known = names.join(", ");
            return refused(format!("no row has the feature {name}; there are: {known}"));
        }
    };
    let table = Table { names: &names, rows, labels: &labels };
    let fold_of = groups.folds(options.folds, options.seed);
    let mut tried = Vec::new();
    for plan in plans {
        let told = table.left_out(plan, &fold_of, options.folds);
        tried.push((plan, measured(&told)?));
    }
    // Stable: the simpler method stands first.
    tried.sort_by(|a, b| a.1.brier.total_cmp(&b.1.brier));
    let all: Vec<usize> = (0..rows.len()).collect();
    let (plan, after) = tried[0].clone();
    let tried = tried.into_iter();
    let tried = tried.map(|(plan, confidence)| Tried { method: plan.name(), confidence });
    Ok(Fitted {
        fit: table.fit(plan, &all),
        before,
        after,
        tried: tried.collect(),
        rows: rows.len(),
        positives: labels.iter().filter(|&&label| label).count(),
        groups: groups.count(),
        folds: options.folds,
    })
}

/// Whether there is enough to fit to and to measure on.
fn enough(labels: &[bool], groups: usize, folds: usize) -> Result<(), CalibrationError> {
    let (rows, hits) = (labels.len(), labels.iter().filter(|&&label| label).count());
    let misses = rows - hits;
    let reason = if rows < LEAST_ROWS {
        format!("there are {rows} rows, at least {LEAST_ROWS} are needed")
    } else if hits.min(misses) == 0 {
        format!("all {rows} labels are {}: both are needed to tell them apart", hits > 0)
    } else if hits.min(misses) < LEAST_OF_EACH {
        format!(
            "{hits} labels are true and {misses} false, at least {LEAST_OF_EACH} of each are needed"
        )
    } else if !FOLDS.contains(&folds) {
        format!("{folds} folds, must be {} to {}", FOLDS.start(), FOLDS.end())
    } else if groups < folds {
        format!("there are {groups} groups, fewer than the {folds} folds: ask for fewer folds")
    } else {
        return Ok(());
    };
    Err(CalibrationError::Data(reason))
}

/// What was told before there was a calibration.
fn before(rows: &[Row], names: &[String]) -> Result<Confidence, CalibrationError> {
    let told_before = rows.iter().any(|row| row.features.contains_key(UNCALIBRATED));
    let probability = |(at, row): (usize, &Row)| {
        let refused = |what: String| {
            Err(CalibrationError::Data(format!("features.{UNCALIBRATED} of row {} {what}", at + 1)))
        };
        let probability = match row.features.get(UNCALIBRATED) {
            Some(told) if (0.0..=1.0).contains(told) => *told,
            Some(told) => return refused(format!("is {told}, must be 0 to 1")),
            None if told_before => return refused("is missing, though other rows have it".into()),
            None => sigmoid(values(names, &row.features).iter().sum()),
        };
        Ok(Told { probability, hit: row.label })
    };
    let told: Result<Vec<Told>, _> = rows.iter().enumerate().map(probability).collect();
    measured(&told?)
}

fn measured(told: &[Told]) -> Result<Confidence, CalibrationError> {
    Confidence::measure(told).ok_or_else(|| CalibrationError::Data("there are no rows".to_owned()))
}

/// A method that was decided on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Plan<'a> {
    Logistic,
    Isotonic,
    IsotonicOf(&'a str),
}

impl Plan<'_> {
    fn name(self) -> &'static str {
        match self {
            Self::Logistic => "logistic",
            Self::Isotonic | Self::IsotonicOf(_) => "isotonic",
        }
    }
}

/// Rows by the figures that are inputs.
struct Table<'a> {
    names: &'a [String],
    rows: &'a [Row],
    labels: &'a [bool],
}

impl Table<'_> {
    /// What fits to the other folds tell of each row, in the order of the rows.
    fn left_out(&self, plan: Plan<'_>, fold_of: &[usize], folds: usize) -> Vec<Told> {
        let mut told = vec![Told { probability: 0.5, hit: false }; self.rows.len()];
        for fold in 0..folds {
            let (out, within): (Vec<usize>, Vec<usize>) =
                (0..self.rows.len()).partition(|&at| fold_of[at] == fold);
            let fit = self.fit(plan, &within);
            for at in out {
                let probability = fit.probability(&self.rows[at].features);
                told[at] = Told { probability, hit: self.labels[at] };
            }
        }
        told
    }

    /// The fit to the rows `at`, of which there are some.
    fn fit(&self, plan: Plan<'_>, at: &[usize]) -> Fit {
        let some = "a fit has rows: folds are fewer than groups, and there are two at least";
        let labels: Vec<bool> = at.iter().map(|&at| self.labels[at]).collect();
        let matrix = |names: &[String]| -> Vec<Vec<f64>> {
            at.iter().map(|&at| values(names, &self.rows[at].features)).collect()
        };
        let features = match plan {
            Plan::IsotonicOf(name) => vec![name.to_owned()],
            Plan::Logistic | Plan::Isotonic => self.names.to_vec(),
        };
        let matrix = matrix(&features);
        let logistic = || Logistic::fit(&matrix, &labels).expect(some);
        let rising = |figures: Vec<f64>| Isotonic::fit(&figures, &labels).expect(some);
        match plan {
            Plan::Logistic => Fit::Logistic { features, logistic: logistic() },
            Plan::Isotonic => {
                let logistic = logistic();
                let isotonic = rising(matrix.iter().map(|row| logistic.log_odds(row)).collect());
                Fit::Isotonic { features, logistic: Some(logistic), isotonic }
            }
            Plan::IsotonicOf(_) => {
                let isotonic = rising(matrix.iter().map(|row| row[0]).collect());
                Fit::Isotonic { features, logistic: None, isotonic }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::calibration::map::Features;

    /// Rows whose labels come true with the probability `truth` of a figure from -3 to 3; figures
    /// are told `factor` times as large as they are.
    fn drawn(count: usize, factor: f64, truth: impl Fn(f64) -> f64) -> Vec<Row> {
        let mut rng = ChaCha8Rng::seed_from_u64(7);
        let row = |at: usize| {
            let x: f64 = rng.random_range(-3.0..3.0);
            let features = Features::from([("x".to_owned(), factor * x)]);
            let group = Some(format!("g{}", at / 4));
            Row { features, label: rng.random_bool(truth(x)), group }
        };
        (0..count).map(row).collect()
    }

    fn with(method: Method) -> FitOptions {
        FitOptions { method, ..FitOptions::default() }
    }

    #[test]
    fn a_boastful_figure_is_set_right() {
        let fitted = fit(&drawn(4000, 5.0, sigmoid), &with(Method::Logistic)).unwrap();
        assert!(fitted.before.ece > 0.1, "{:?}", fitted.before);
        assert!(fitted.after.ece < 0.03, "{:?}", fitted.after);
        assert!((fitted.after.auroc.unwrap() - fitted.before.auroc.unwrap()).abs() < 0.01);
        let told = fitted.fit.probability(&Features::from([("x".to_owned(), 5.0)]));
        assert!((told - sigmoid(1.0)).abs() < 0.03, "{told}");
        assert_eq!((fitted.rows, fitted.groups, fitted.folds), (4000, 1000, 5));
    }

    #[test]
    fn auto_takes_what_errs_less_on_rows_left_out() {
        let smooth = fit(&drawn(2000, 1.0, sigmoid), &with(Method::Auto)).unwrap();
        assert_eq!((smooth.fit.method(), smooth.tried[0].method), ("logistic", "logistic"));
        // Neither end is certain, which no weighted sum of log-odds can say.
        let doubtful = |x: f64| 0.2 + 0.4 * sigmoid(6.0 * (x - 1.0));
        let doubted = fit(&drawn(4000, 1.0, doubtful), &with(Method::Auto)).unwrap();
        assert_eq!((doubted.fit.method(), doubted.tried.len()), ("isotonic", 2));
        assert!(doubted.tried[0].confidence.brier < doubted.tried[1].confidence.brier);
        assert_eq!(doubted.after, doubted.tried[0].confidence);
        let other = doubted.tried[1].confidence.ece;
        assert!(doubted.after.ece < 0.04 && doubted.after.ece < other, "{:?}", doubted.tried);
    }

    #[test]
    fn labels_that_only_the_group_decides_cannot_be_told() {
        // Each group has one figure and one label by chance: who saw the group in fitting knows it.
        let mut rng = ChaCha8Rng::seed_from_u64(2);
        let mut rows = Vec::new();
        for group in 0..40 {
            let (x, label) = (rng.random_range(-3.0..3.0), group % 2 == 0);
            let features = Features::from([("x".to_owned(), x)]);
            let group = Some(format!("g{group}"));
            rows.extend(std::iter::repeat_n(Row { features, label, group }, 25));
        }
        let method = Method::IsotonicOf("x".to_owned());
        let grouped = fit(&rows, &with(method.clone())).unwrap();
        let apart: Vec<Row> = rows.into_iter().map(|row| Row { group: None, ..row }).collect();
        let leaked = fit(&apart, &with(method)).unwrap();
        assert_eq!((grouped.groups, leaked.groups), (40, 1000));
        assert!(grouped.after.brier > leaked.after.brier + 0.03, "{grouped:?}\n{leaked:?}");
    }

    #[test]
    fn a_probability_told_before_is_compared_and_not_read() {
        let mut rows = drawn(1000, 1.0, sigmoid);
        for row in &mut rows {
            row.features.insert(UNCALIBRATED.to_owned(), f64::from(u8::from(row.label)));
        }
        let fitted = fit(&rows, &with(Method::Auto)).unwrap();
        assert!(fitted.before.ece < 1e-9 && fitted.before.brier < 1e-9, "it was always right");
        assert_eq!(fitted.fit.features(), ["x"]);
        rows[16].features.remove(UNCALIBRATED);
        let error = fit(&rows, &FitOptions::default()).unwrap_err().to_string();
        let said = "features.uncalibrated of row 17 is missing, though other rows have it";
        assert_eq!(error, said);
        rows[16].features.insert(UNCALIBRATED.to_owned(), 1.5);
        let error = fit(&rows, &FitOptions::default()).unwrap_err().to_string();
        assert_eq!(error, "features.uncalibrated of row 17 is 1.5, must be 0 to 1");
    }

    #[test]
    fn too_little_is_refused_and_what_is_missing_told() {
        let check = |rows: &[Row], options: &FitOptions, expected: &str| {
            assert_eq!(fit(rows, options).unwrap_err().to_string(), expected);
        };
        let rows = drawn(200, 1.0, sigmoid);
        let usual = FitOptions::default();
        check(&[], &usual, "there are 0 rows, at least 50 are needed");
        check(&rows[..49], &usual, "there are 49 rows, at least 50 are needed");
        let sure: Vec<Row> = rows.iter().map(|row| Row { label: true, ..row.clone() }).collect();
        check(&sure, &usual, "all 200 labels are true: both are needed to tell them apart");
        let mut nearly = sure;
        nearly[0].label = false;
        let said = "199 labels are true and 1 false, at least 10 of each are needed";
        check(&nearly, &usual, said);
        check(&rows, &FitOptions { folds: 1, ..usual.clone() }, "1 folds, must be 2 to 20");
        let one = rows.iter().map(|row| Row { group: Some("g".into()), ..row.clone() });
        let one: Vec<Row> = one.collect();
        let said = "there are 1 groups, fewer than the 5 folds: ask for fewer folds";
        check(&one, &usual, said);
        let of = with(Method::IsotonicOf("y".to_owned()));
        check(&rows, &of, "no row has the feature y; there are: x");
        let bare = rows.iter().map(|row| Row { features: Features::new(), ..row.clone() });
        let bare: Vec<Row> = bare.collect();
        check(&bare, &usual, "the rows have no features besides uncalibrated");
    }
}
