//! Whether a probability that is told comes true, and tells what is so from what is not.

use serde::{Deserialize, Serialize};

/// Bins of a reliability diagram.
const BINS: usize = 10;

/// A probability that was told, and what happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Told {
    /// The probability of a hit, 0 to 1.
    pub probability: f64,
    /// Whether it was one.
    pub hit: bool,
}

impl Told {
    /// 1 for a hit, else 0.
    fn outcome(&self) -> f64 {
        f64::from(u8::from(self.hit))
    }
}

/// How good probabilities are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Confidence {
    /// Number of probabilities told.
    pub count: usize,
    /// Share of hits.
    pub hit_rate: f64,
    /// The probability that a hit was told a higher one than a miss, see [`auroc`]. Absent without
    /// both.
    pub auroc: Option<f64>,
    /// Expected calibration error, see [`ece`].
    pub ece: f64,
    /// Mean squared error, see [`brier`].
    pub brier: f64,
    /// The bins that hold any, from the lowest.
    pub bins: Vec<Bin>,
}

/// One bin of a reliability diagram.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Bin {
    /// Number of probabilities told that lie in it; at least 1.
    pub count: usize,
    /// Mean probability told, 0 to 1.
    pub told: f64,
    /// Share of hits, 0 to 1.
    pub came_true: f64,
}

impl Confidence {
    /// Nothing of nothing.
    pub fn measure(told: &[Told]) -> Option<Self> {
        if told.is_empty() {
            return None;
        }
        let count = told.len() as f64;
        let bins = bins(told);
        Some(Self {
            count: told.len(),
            hit_rate: told.iter().map(Told::outcome).sum::<f64>() / count,
            auroc: auroc(&probabilities(told, true), &probabilities(told, false)),
            ece: ece(&bins),
            brier: brier(told),
            bins,
        })
    }
}

/// Expected calibration error: the mean distance of mean probability and share of hits over bins,
/// weighted by their counts, 0 to 1 (Naeini et al. 2015). [`Confidence`] has ten bins of equal width.
/// 0 without any.
pub fn ece(bins: &[Bin]) -> f64 {
    let count = bins.iter().map(|bin| bin.count).sum::<usize>().max(1) as f64;
    let apart = |bin: &Bin| bin.count as f64 / count * (bin.told - bin.came_true).abs();
    bins.iter().map(apart).sum()
}

/// Mean squared distance of probability and outcome, 0 to 1 (Brier 1950). 0 without any.
pub fn brier(told: &[Told]) -> f64 {
    let apart = |one: &Told| (one.probability - one.outcome()).powi(2);
    told.iter().map(apart).sum::<f64>() / told.len().max(1) as f64
}

fn bins(told: &[Told]) -> Vec<Bin> {
    let place = |one: &Told| ((one.probability * BINS as f64) as usize).min(BINS - 1);
    let bin = |at: usize| {
        let within: Vec<&Told> = told.iter().filter(|one| place(one) == at).collect();
        let count = within.len();
        let mean =
            |of: fn(&Told) -> f64| within.iter().map(|one| of(one)).sum::<f64>() / count as f64;
        (count > 0).then(|| Bin {
            count,
            told: mean(|one| one.probability),
            came_true: mean(Told::outcome),
        })
    };
    (0..BINS).filter_map(bin).collect()
}

fn probabilities(told: &[Told], hit: bool) -> Vec<f64> {
    told.iter().filter(|one| one.hit == hit).map(|one| one.probability).collect()
}

/// The chance that one of `on` lies above one of `off`, equal ones counting half; nothing without
/// both. The area under the receiver operating characteristic (Hanley and `McNeil` 1982), by ranks:
/// `(Σ ranks of on − h (h + 1) / 2) / (h m)`, equal values sharing theirs.
pub fn auroc<V: Copy + Into<f64>>(on: &[V], off: &[V]) -> Option<f64> {
    if on.is_empty() || off.is_empty() {
        return None;
    }
    let marked = |values: &[V], is_on: bool| -> Vec<(f64, bool)> {
        values.iter().map(|&value| (value.into(), is_on)).collect()
    };
    let mut sorted = [marked(on, true), marked(off, false)].concat();
    sorted.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (mut ranks, mut before) = (0.0, 0);
    for equal in sorted.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let rank = before as f64 + f64::midpoint(equal.len() as f64, 1.0);
        ranks += rank * equal.iter().filter(|one| one.1).count() as f64;
        before += equal.len();
    }
    let (on, off) = (on.len() as f64, off.len() as f64);
    Some((ranks - on * (on + 1.0) / 2.0) / (on * off))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pairs: &[(f64, bool)]) -> Vec<Told> {
        pairs.iter().map(|&(probability, hit)| Told { probability, hit }).collect()
    }

    #[test]
    fn hits_above_misses_are_told_apart() {
        let check = |pairs: &[(f64, bool)], expected: Option<f64>| {
            assert_eq!(Confidence::measure(&told(pairs)).unwrap().auroc, expected, "{pairs:?}");
        };
        check(&[(0.9, true), (0.8, true), (0.1, false)], Some(1.0));
        check(&[(0.1, true), (0.9, false)], Some(0.0));
        check(&[(0.5, true), (0.5, false), (0.5, false)], Some(0.5));
        check(&[(0.3, false), (0.4, true), (0.6, false), (0.7, true)], Some(0.75));
        check(&[(0.3, true)], None);
    }

    #[test]
    fn the_area_under_the_curve_is_a_share_of_pairs_in_order() {
        assert_eq!(auroc(&[2.0_f32, 3.0], &[1.0, 2.0]), Some(0.875));
        assert_eq!(auroc(&[1.0], &[2.0]), Some(0.0));
        assert_eq!(auroc(&[1.0, 2.0, 3.0, 0.0], &[2.0]), Some(0.375));
        assert_eq!(auroc(&[], &[1.0]), None);
    }

    #[test]
    fn what_comes_true_as_often_as_told_has_no_calibration_error() {
        let fair: Vec<(f64, bool)> = (0..10).map(|at| (0.3, at < 3)).collect();
        let measured = Confidence::measure(&told(&fair)).unwrap();
        assert!(measured.ece < 1e-9, "{measured:?}");
        assert!((measured.brier - 0.21).abs() < 1e-9, "{measured:?}");
        let sure = Confidence::measure(&told(&[(1.0, false), (1.0, true)])).unwrap();
        assert!((sure.ece - 0.5).abs() < 1e-9);
        assert_eq!(sure.bins, [Bin { count: 2, told: 1.0, came_true: 0.5 }]);
        assert_eq!(Confidence::measure(&[]), None);
    }

    #[test]
    fn the_calibration_error_weighs_bins_by_their_counts() {
        let mixed = told(&[(0.1, false), (0.1, false), (0.1, false), (0.8, false)]);
        // 3/4 of 0.1 and 1/4 of 0.8.
        assert!((Confidence::measure(&mixed).unwrap().ece - 0.275).abs() < 1e-9);
        assert!(ece(&[]).abs() < 1e-12 && brier(&[]).abs() < 1e-12);
    }
}
