//! Exponential smoothing of scores that come at irregular times.
//!
//! `s ← s + (1 - e^(-Δt/τ)) (x - s)`: the same change shows after the same time, whatever the frame
//! rate. Frames at one instant count as one, by their mean, so that a clock that stands still
//! neither freezes nor rushes it.

use std::time::Duration;

use super::clock::Time;

/// The smoothed score of one prompt.
#[derive(Clone, Copy, Debug)]
pub(super) struct Smoother {
    time_constant: Duration,
    level: Option<Level>,
}

#[derive(Clone, Copy, Debug)]
struct Level {
    /// The smoothed score before this instant, and how much this instant counts, 0 to 1.
    before: f64,
    weight: f64,
    /// The instant, and the mean of its scores.
    now: Time,
    mean: f64,
    count: u32,
}

impl Level {
    fn value(&self) -> f64 {
        self.before + self.weight * (self.mean - self.before)
    }
}

impl Smoother {
    /// Nothing seen yet. With a time constant of 0 nothing is smoothed.
    pub(super) fn new(time_constant: Duration) -> Self {
        Self { time_constant, level: None }
    }

    /// Takes in a finite score; times do not go back. Gives the smoothed score.
    pub(super) fn update(&mut self, now: Time, score: f64) -> f64 {
        let tau = self.time_constant.as_secs_f64();
        let level = match self.level {
            None => Level { before: score, weight: 1.0, now, mean: score, count: 1 },
            Some(level) if tau > 0.0 && now <= level.now => {
                let count = level.count.saturating_add(1);
                let mean = level.mean + (score - level.mean) / f64::from(count);
                Level { mean, count, ..level }
            }
            Some(level) => {
                let step = now.since(level.now).as_secs_f64();
                let weight = if tau > 0.0 { -(-step / tau).exp_m1() } else { 1.0 };
                Level { before: level.value(), weight, now, mean: score, count: 1 }
            }
        };
        self.level = Some(level);
        level.value()
    }

    /// The smoothed score; nothing before the first.
    pub(super) fn value(&self) -> Option<f64> {
        self.level.as_ref().map(Level::value)
    }

    /// Forgets all scores.
    pub(super) fn reset(&mut self) {
        self.level = None;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn smoothed(tau_ms: u64, scores: &[(i64, f64)]) -> f64 {
        let mut smoother = Smoother::new(Duration::from_millis(tau_ms));
        assert_eq!(smoother.value(), None);
        let values = scores.iter().map(|&(ms, score)| smoother.update(Time(ms * 1_000_000), score));
        let last = values.last().unwrap();
        assert_eq!(smoother.value(), Some(last));
        last
    }

    #[test]
    fn a_change_shows_after_the_same_time_at_any_frame_rate() {
        // 0 up to 1 s, then 1: after another second, two time constants, 1 - e^-2 of it shows.
        for step in [1, 10, 40, 100, 250, 500] {
            let mut scores = vec![(1000, 0.0)];
            scores.extend((1..=1000 / step).map(|n| (1000 + n * step, 1.0)));
            let value = smoothed(500, &scores);
            assert!((value - (1.0 - (-2.0f64).exp())).abs() < 1e-12, "{step} ms: {value}");
        }
        let irregular = [(0, 0.0), (3, 1.0), (480, 1.0), (481, 1.0), (990, 1.0), (1000, 1.0)];
        assert!((smoothed(500, &irregular) - (1.0 - (-2.0f64).exp())).abs() < 1e-12);
    }

    #[test]
    fn frames_at_one_instant_count_as_one_by_their_mean() {
        assert!((smoothed(500, &[(0, 0.0), (0, 1.0), (0, 0.5)]) - 0.5).abs() < 1e-12);
        let apart = smoothed(500, &[(0, 0.2), (500, 0.6)]);
        let together = smoothed(500, &[(0, 0.2), (500, 0.2), (500, 0.9), (500, 0.7)]);
        assert!((apart - together).abs() < 1e-12);
        // The next instant goes on from there.
        let after = smoothed(500, &[(0, 0.2), (500, 0.2), (500, 1.0), (700, 0.1)]);
        let expected = smoothed(500, &[(0, 0.2), (500, 0.6), (700, 0.1)]);
        assert!((after - expected).abs() < 1e-12);
    }

    #[test]
    fn without_a_time_constant_the_last_score_counts() {
        assert!((smoothed(0, &[(0, 0.3), (1, 0.9), (1, -0.4)]) + 0.4).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn a_smoothed_score_lies_among_its_scores(
            scores in prop::collection::vec((0i64..1000, -1e6f64..1e6), 1..50),
            tau_ms in 0u64..5000,
        ) {
            let mut now = 0;
            let mut told = Vec::new();
            for (step, score) in scores {
                now += step;
                told.push((now, score));
            }
            let value = smoothed(tau_ms, &told);
            let low = told.iter().map(|told| told.1).fold(f64::INFINITY, f64::min);
            let high = told.iter().map(|told| told.1).fold(f64::NEG_INFINITY, f64::max);
            let slack = 1e-9 * (1.0 + high.abs().max(low.abs()));
            prop_assert!((low - slack..=high + slack).contains(&value), "{low} {value} {high}");
        }
    }
}
