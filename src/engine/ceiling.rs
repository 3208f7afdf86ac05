//! How large batches may be on a device whose memory was too small for one: half of that, for a
//! while. Pure: time is passed in.

use std::time::{Duration, Instant};

/// One replica's limit on its batches.
#[derive(Debug)]
pub(super) struct Ceiling {
    max_batch: usize,
    patience: Duration,
    /// The limit, and when it doubles; none where nothing went wrong of late.
    lowered: Option<(usize, Instant)>,
}

impl Ceiling {
    /// A lowered limit doubles after each `patience` without a further failure.
    pub(super) fn new(max_batch: usize, patience: Duration) -> Self {
        Self { max_batch, patience, lowered: None }
    }

    /// A batch of `size` items did not fit.
    pub(super) fn lower(&mut self, size: usize, now: Instant) {
        self.lowered = Some((size.div_ceil(2).max(1), now + self.patience));
    }

    /// The most items that a batch may have now.
    pub(super) fn limit(&mut self, now: Instant) -> usize {
        while let Some((limit, until)) = self.lowered {
            if now < until {
                return limit;
            }
            let doubled = limit.saturating_mul(2);
            self.lowered = (doubled < self.max_batch).then_some((doubled, until + self.patience));
        }
        self.max_batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lowered_ceiling_rises_again_in_steps() {
        let start = Instant::now();
        let minute = Duration::from_mins(1);
        let mut ceiling = Ceiling::new(16, minute);
        assert_eq!(ceiling.limit(start), 16);
        ceiling.lower(16, start);
        ceiling.lower(8, start);
        for (minutes, limit) in [(0, 4), (1, 8), (2, 16), (9, 16)] {
            assert_eq!(ceiling.limit(start + minute * minutes), limit, "after {minutes} min");
        }
        ceiling.lower(3, start);
        assert_eq!(ceiling.limit(start), 2);
        ceiling.lower(1, start);
        assert_eq!(ceiling.limit(start), 1);
        assert_eq!(ceiling.limit(start + minute * 60), 16, "an idle hour is no obstacle");
    }
}
