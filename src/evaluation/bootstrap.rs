//! How far a figure would be off with other data of the same kind: bootstrap intervals.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

/// Samples drawn for an interval.
pub const RESAMPLES: usize = 1000;
/// Share of samples left out at each end: the interval holds 95 %.
const TAIL: f64 = 0.025;
/// Intervals are figures too: the same data always has the same ones.
const SEED: u64 = 0x5eed;

/// Where a figure lies in 95 of 100 samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Interval {
    /// The lower end.
    pub low: f64,
    /// The upper end.
    pub high: f64,
}

/// The percentile interval of each of `N` figures (Efron and Tibshirani 1993, chapter 13). Whole
/// groups are drawn, as many as there are, with repetition: what is of one group is alike (Field and
/// Welsh 2007). A figure that fewer than nine of ten samples have, or of fewer than two groups, has
/// none.
pub fn intervals<T, const N: usize>(
    groups: &[Vec<T>],
    measure: impl Fn(&[&T]) -> [Option<f64>; N],
) -> [Option<Interval>; N] {
    if groups.len() < 2 {
        return [None; N];
    }
    let mut chance = ChaCha8Rng::seed_from_u64(SEED);
    let mut drawn: [Vec<f64>; N] = std::array::from_fn(|_| Vec::with_capacity(RESAMPLES));
    let mut sample: Vec<&T> = Vec::new();
    for _ in 0..RESAMPLES {
        sample.clear();
        for _ in groups {
            sample.extend(&groups[chance.random_range(0..groups.len())]);
        }
        for (values, value) in drawn.iter_mut().zip(measure(&sample)) {
            values.extend(value);
        }
    }
    drawn.map(percentiles)
}

fn percentiles(mut values: Vec<f64>) -> Option<Interval> {
    if values.len() * 10 < RESAMPLES * 9 {
        return None;
    }
    values.sort_by(f64::total_cmp);
    let last = (values.len() - 1) as f64;
    let at = |share: f64| values[(share * last).round() as usize];
    Some(Interval { low: at(TAIL), high: at(1.0 - TAIL) })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mean(values: &[&f64]) -> [Option<f64>; 1] {
        [Some(values.iter().copied().sum::<f64>() / values.len() as f64)]
    }

    /// Of 400 draws of 0 or 1 the mean has a standard error of 0.025: the interval is two of them.
    #[test]
    fn the_interval_of_a_mean_is_about_two_standard_errors_each_way() {
        let groups: Vec<Vec<f64>> = (0..400).map(|at| vec![f64::from(at % 2)]).collect();
        let [found] = intervals(&groups, mean);
        let found = found.unwrap();
        assert!((found.low - 0.451).abs() < 0.01, "{found:?}");
        assert!((found.high - 0.549).abs() < 0.01, "{found:?}");
        assert_eq!(intervals(&groups, mean), [Some(found)], "the same each time");
    }

    /// Ten equal values in a group are worth one.
    #[test]
    fn groups_are_drawn_whole() {
        let alike: Vec<Vec<f64>> = (0..40).map(|at| vec![f64::from(at % 2); 10]).collect();
        let apart: Vec<Vec<f64>> = (0..400).map(|at| vec![f64::from(at % 2)]).collect();
        let width = |groups: &[Vec<f64>]| {
            let [found] = intervals(groups, mean);
            found.map(|found| found.high - found.low).unwrap()
        };
        assert!(width(&alike) > 2.5 * width(&apart));
    }

    #[test]
    fn nothing_is_said_of_one_group_or_of_a_figure_that_is_seldom_there() {
        assert_eq!(intervals(&[vec![1.0]], mean), [None]);
        let groups: Vec<Vec<f64>> = (0..5).map(|at| vec![f64::from(at)]).collect();
        let seldom = |values: &[&f64]| [values.contains(&&4.0).then_some(1.0)];
        assert_eq!(intervals(&groups, seldom), [None], "4 is in about two of three samples");
    }
}
