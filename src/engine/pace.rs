//! What an engine has measured of itself: how items come, how batches run, and what follows for
//! those who come next. Pure: time is passed in.

use std::time::{Duration, Instant};

use super::batcher::Rhythm;

/// Batches of a key to measure before anybody is refused on their account.
const ENOUGH_BATCHES: u32 = 8;
/// Keys whose batches are measured apart; of more, those that ran last.
const KEYS: usize = 16;

/// Running means of how items come and how batches run.
#[derive(Debug)]
pub(super) struct Pace<K> {
    max_batch: u32,
    /// No gap counts for more, so that one idle hour is soon forgotten.
    longest_gap: Duration,
    last_arrival: Option<Instant>,
    gap: Duration,
    run: Duration,
    per_item: Duration,
    /// The last that ran stands last.
    keys: Vec<(K, Runs)>,
}

/// How batches of one key run.
#[derive(Debug, Clone, Copy)]
struct Runs {
    mean: Duration,
    /// How far they lie from the mean, on average.
    deviation: Duration,
    batches: u32,
}

impl<K: Eq + Clone> Pace<K> {
    /// Starts hopeful: company is expected until seen otherwise.
    pub(super) fn new(max_batch: usize, max_wait: Duration) -> Self {
        Self {
            max_batch: u32::try_from(max_batch).unwrap_or(u32::MAX).max(1),
            longest_gap: max_wait * 2,
            last_arrival: None,
            gap: Duration::ZERO,
            run: Duration::ZERO,
            per_item: Duration::ZERO,
            keys: Vec::new(),
        }
    }

    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(last) = self.last_arrival.replace(now) {
            let gap = now.saturating_duration_since(last).min(self.longest_gap);
            self.gap = blend(self.gap, gap);
        }
    }

    /// A batch of `items` of one key ran so long.
    pub(super) fn ran(&mut self, key: &K, items: usize, run: Duration) {
        let per_item = run / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
        let first = self.keys.is_empty();
        self.run = if first { run } else { blend(self.run, run) };
        self.per_item = if first { per_item } else { blend(self.per_item, per_item) };
        let known = self.keys.iter().position(|(known, _)| known == key);
        let before = known.map(|at| self.keys.remove(at).1);
        let runs = match before {
            None => Runs { mean: run, deviation: run / 2, batches: 1 },
            Some(Runs { mean, deviation, batches }) => Runs {
                mean: blend(mean, run),
                deviation: blend(deviation, mean.abs_diff(run)),
                batches: batches.saturating_add(1),
            },
        };
        if self.keys.len() == KEYS {
            self.keys.remove(0);
        }
        self.keys.push((key.clone(), runs));
    }

    /// The usual gap between arrivals and time of a batch.
    pub(super) fn rhythm(&self) -> Rhythm {
        Rhythm { gap: self.gap, run: self.run }
    }

    /// What few batches of the key run longer than; zero before enough of them were measured.
    pub(super) fn likely_run(&self, key: &K) -> Duration {
        let known = self.keys.iter().find(|(known, _)| known == key);
        known.map_or(Duration::ZERO, |(_, runs)| runs.likely())
    }

    /// What hardly any full batch of the key runs shorter than; zero before enough of them were
    /// measured, and where they vary widely.
    pub(super) fn sure_run(&self, key: &K) -> Duration {
        let known = self.keys.iter().find(|(known, _)| known == key);
        known.map_or(Duration::ZERO, |(_, runs)| runs.sure())
    }

    /// One item's part in that.
    pub(super) fn sure_share(&self, key: &K) -> Duration {
        self.sure_run(key) / self.max_batch
    }

    /// The longest that is sure of any key.
    pub(super) fn longest_sure_run(&self) -> Duration {
        self.keys.iter().map(|(_, runs)| runs.sure()).max().unwrap_or_default()
    }

    /// The longest part of one item in a full batch that is sure of any key.
    pub(super) fn longest_sure_share(&self) -> Duration {
        self.longest_sure_run() / self.max_batch
    }

    /// When a line of `queued` items is likely to have moved on by half, over `replicas` workers:
    /// the time to name to a caller who found it full.
    pub(super) fn retry_after(&self, queued: usize, replicas: usize) -> Duration {
        let seconds = self.per_item.as_secs_f64() * queued as f64 / (2.0 * replicas.max(1) as f64);
        retry_in(Duration::try_from_secs_f64(seconds).unwrap_or(Duration::MAX))
    }
}

impl Runs {
    fn likely(&self) -> Duration {
        if self.batches < ENOUGH_BATCHES { Duration::ZERO } else { self.mean + self.deviation * 2 }
    }

    fn sure(&self) -> Duration {
        if self.batches < ENOUGH_BATCHES {
            return Duration::ZERO;
        }
        self.mean.saturating_sub(self.deviation * 2)
    }
}

/// How soon `work` can be done, at the earliest, where `replicas` share it in pieces of up to
/// `piece`.
pub(super) fn soonest(work: Duration, piece: Duration, replicas: usize) -> Duration {
    let replicas = u32::try_from(replicas.max(1)).unwrap_or(u32::MAX);
    // The others may still be busy with a piece each when the last item's is done.
    work.saturating_sub(piece.saturating_mul(replicas - 1)) / replicas
}

/// A time to name to a caller that may retry: between 50 ms and 30 s.
pub(super) fn retry_in(time: Duration) -> Duration {
    time.clamp(Duration::from_millis(50), Duration::from_secs(30))
}

/// An exponential mean over about the last eight values.
fn blend(mean: Duration, value: Duration) -> Duration {
    (mean * 7 + value) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    /// After full batches of eight.
    fn after(runs_ms: &[u64]) -> Pace<u8> {
        let mut pace = Pace::new(8, ms(8));
        for run in runs_ms {
            pace.ran(&0, 8, ms(*run));
        }
        pace
    }

    #[test]
    fn the_time_to_retry_follows_the_pace() {
        assert_eq!(after(&[]).retry_after(64, 1), ms(50));
        let pace = after(&[800]);
        assert_eq!(pace.retry_after(64, 1), ms(3200));
        assert_eq!(pace.retry_after(64, 2), ms(1600));
        assert_eq!(pace.retry_after(1_000_000, 1), ms(30_000));
    }

    #[test]
    fn nothing_is_sure_before_enough_batches_or_while_they_vary_widely() {
        assert_eq!(after(&[100; 7]).sure_run(&0), Duration::ZERO);
        let early = after(&[100; 8]).sure_run(&0);
        assert!(early > ms(50) && early < ms(80), "{early:?}");
        let steady = after(&[100; 80]);
        assert!(steady.sure_run(&0) > ms(99) && steady.sure_run(&0) <= ms(100), "{steady:?}");
        assert_eq!(steady.sure_share(&0), steady.sure_run(&0) / 8);
        assert_eq!(steady.sure_run(&1), Duration::ZERO, "of another key nothing is known");
        let likely = steady.likely_run(&0);
        assert!(likely >= ms(100) && likely < ms(101), "{likely:?}");
        assert_eq!(after(&[100; 7]).likely_run(&0), Duration::ZERO);
        let wild: Vec<u64> = (0..50).map(|turn| if turn % 2 == 0 { 5 } else { 500 }).collect();
        assert_eq!(after(&wild).sure_run(&0), Duration::ZERO);
        // One batch that stalled makes it cautious, not severe.
        let mut runs = vec![100; 50];
        runs.push(60_000);
        assert_eq!(after(&runs).sure_run(&0), Duration::ZERO);
    }

    #[test]
    fn keys_are_measured_apart_and_the_longest_unused_is_forgotten() {
        let mut pace = after(&[100; 80]);
        for key in 1..16 {
            for _ in 0..80 {
                pace.ran(&key, 1, ms(5));
            }
        }
        assert!(pace.sure_run(&0) > ms(99) && pace.sure_run(&15) < ms(6));
        assert_eq!(pace.longest_sure_run(), pace.sure_run(&0));
        pace.ran(&16, 1, ms(5));
        assert_eq!(pace.sure_run(&0), Duration::ZERO);
        assert!(pace.sure_run(&1) > ms(4));
    }

    #[test]
    fn the_soonest_end_of_work_counts_on_every_replica() {
        assert_eq!(soonest(ms(900), ms(100), 1), ms(900));
        assert_eq!(soonest(ms(900), ms(100), 2), ms(400));
        assert_eq!(soonest(ms(100), ms(100), 2), Duration::ZERO);
        assert_eq!(soonest(ms(900), ms(100), 0), ms(900));
    }
}
