//! When a batch closes: waiting for company pays only while it costs less than it gains. Pure:
//! time is passed in.

use std::time::{Duration, Instant};

use super::queue::Outlook;

/// How far batches may grow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rules {
    pub(super) max_batch: usize,
    pub(super) max_wait: Duration,
}

/// What an idle worker does about the head of the line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    /// Take the batch as it is.
    Run,
    /// Others may come; look again at this time, or when somebody does.
    WaitUntil(Instant),
}

/// Decides for an idle worker. `closing` means that nobody new will come.
///
/// The worker waits only while the batch has room, nobody waits who could use the device instead,
/// no deadline is risked, and another item is likely to come within the time left.
pub(super) fn decide(
    outlook: &Outlook,
    rules: Rules,
    pace: &Pace,
    closing: bool,
    now: Instant,
) -> Decision {
    if closing || outlook.alone || outlook.others || outlook.size >= rules.max_batch {
        return Decision::Run;
    }
    let patience = outlook.oldest + rules.max_wait;
    let latest_start =
        outlook.deadline.map(|deadline| deadline.checked_sub(pace.run()).unwrap_or(now));
    let until = latest_start.map_or(patience, |latest| latest.min(patience));
    let left = until.saturating_duration_since(now);
    if left.is_zero() || pace.gap() > left { Decision::Run } else { Decision::WaitUntil(until) }
}

/// Running means of how items come and how batches run.
#[derive(Debug)]
pub(super) struct Pace {
    /// No gap counts for more, so that one idle hour is soon forgotten.
    longest_gap: Duration,
    last_arrival: Option<Instant>,
    gap: Duration,
    run: Duration,
    per_item: Duration,
}

impl Pace {
    /// Starts hopeful: company is expected until seen otherwise.
    pub(super) fn new(max_wait: Duration) -> Self {
        Self {
            longest_gap: max_wait * 2,
            last_arrival: None,
            gap: Duration::ZERO,
            run: Duration::ZERO,
            per_item: Duration::ZERO,
        }
    }

    pub(super) fn arrived(&mut self, now: Instant) {
        if let Some(last) = self.last_arrival.replace(now) {
            let gap = now.saturating_duration_since(last).min(self.longest_gap);
            self.gap = blend(self.gap, gap);
        }
    }

    pub(super) fn ran(&mut self, run: Duration, items: usize) {
        let per_item = run / u32::try_from(items.max(1)).unwrap_or(u32::MAX);
        let first = self.run.is_zero();
        self.run = if first { run } else { blend(self.run, run) };
        self.per_item = if first { per_item } else { blend(self.per_item, per_item) };
    }

    /// The usual time between two arrivals.
    fn gap(&self) -> Duration {
        self.gap
    }

    /// How long a batch usually runs; zero before the first.
    fn run(&self) -> Duration {
        self.run
    }

    /// When a line of `queued` items is likely to have moved on by half, over `replicas` workers:
    /// the time to name to a caller who found it full. Between 50 ms and 30 s.
    pub(super) fn retry_after(&self, queued: usize, replicas: usize) -> Duration {
        let seconds = self.per_item.as_secs_f64() * queued as f64 / (2.0 * replicas.max(1) as f64);
        Duration::from_secs_f64(seconds.clamp(0.05, 30.0))
    }
}

/// An exponential mean over about the last eight values.
fn blend(mean: Duration, value: Duration) -> Duration {
    (mean * 7 + value) / 8
}

#[cfg(test)]
mod tests {
    use super::*;

    const RULES: Rules = Rules { max_batch: 4, max_wait: Duration::from_millis(8) };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn outlook(start: Instant, size: usize) -> Outlook {
        Outlook { size, oldest: start, deadline: None, alone: false, others: false }
    }

    #[test]
    fn a_batch_closes_when_it_is_full_or_has_waited() {
        let start = Instant::now();
        let pace = Pace::new(RULES.max_wait);
        let check = |size, waited, expected| {
            assert_eq!(
                decide(&outlook(start, size), RULES, &pace, false, start + waited),
                expected,
                "{size} items after {waited:?}"
            );
        };
        check(1, ms(0), Decision::WaitUntil(start + ms(8)));
        check(3, ms(7), Decision::WaitUntil(start + ms(8)));
        check(1, ms(8), Decision::Run);
        check(4, ms(0), Decision::Run);
        check(9, ms(0), Decision::Run);
    }

    #[test]
    fn nobody_waits_where_waiting_helps_nobody() {
        let start = Instant::now();
        let pace = Pace::new(RULES.max_wait);
        let run = |outlook: Outlook, closing| decide(&outlook, RULES, &pace, closing, start);
        assert_eq!(run(outlook(start, 1), true), Decision::Run);
        assert_eq!(run(Outlook { alone: true, ..outlook(start, 1) }, false), Decision::Run);
        assert_eq!(run(Outlook { others: true, ..outlook(start, 1) }, false), Decision::Run);
    }

    #[test]
    fn a_lone_caller_is_not_kept_waiting_and_a_crowd_is_collected() {
        let start = Instant::now();
        let check = |gaps_ms: &[u64], waits: bool| {
            let mut pace = Pace::new(RULES.max_wait);
            let mut now = start;
            for gap in gaps_ms.iter().cycle().take(64) {
                now += ms(*gap);
                pace.arrived(now);
            }
            let expected = if waits { Decision::WaitUntil(now + ms(8)) } else { Decision::Run };
            assert_eq!(decide(&outlook(now, 1), RULES, &pace, false, now), expected, "{gaps_ms:?}");
        };
        // One caller, one item after the other.
        check(&[500], false);
        // Four callers at once, every half second; the last of these gaps is the long one.
        check(&[0, 0, 0, 500], true);
        // A steady crowd.
        check(&[3], true);
    }

    #[test]
    fn a_close_deadline_shortens_the_wait() {
        let start = Instant::now();
        let mut pace = Pace::new(RULES.max_wait);
        pace.ran(ms(20), 1);
        let due = |at| Outlook { deadline: Some(start + at), ..outlook(start, 1) };
        let decided = |at| decide(&due(at), RULES, &pace, false, start);
        assert_eq!(decided(ms(25)), Decision::WaitUntil(start + ms(5)));
        assert_eq!(decided(ms(20)), Decision::Run);
        assert_eq!(decided(ms(900)), Decision::WaitUntil(start + ms(8)));
    }

    #[test]
    fn the_time_to_retry_follows_the_pace() {
        let mut pace = Pace::new(RULES.max_wait);
        assert_eq!(pace.retry_after(64, 1), ms(50));
        pace.ran(ms(800), 8);
        assert_eq!(pace.retry_after(64, 1), ms(3200));
        assert_eq!(pace.retry_after(64, 2), ms(1600));
        assert_eq!(pace.retry_after(1_000_000, 1), ms(30_000));
    }
}
