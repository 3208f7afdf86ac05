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

/// What an engine has measured of itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rhythm {
    /// The usual time between two arrivals.
    pub(super) gap: Duration,
    /// How long a batch usually runs; zero before the first.
    pub(super) run: Duration,
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
    rhythm: Rhythm,
    closing: bool,
    now: Instant,
) -> Decision {
    if closing || outlook.alone || outlook.others || outlook.size >= rules.max_batch {
        return Decision::Run;
    }
    let patience = outlook.oldest + rules.max_wait;
    let latest_start =
        outlook.deadline.map(|deadline| deadline.checked_sub(rhythm.run).unwrap_or(now));
    let until = latest_start.map_or(patience, |latest| latest.min(patience));
    let left = until.saturating_duration_since(now);
    if left.is_zero() || rhythm.gap > left { Decision::Run } else { Decision::WaitUntil(until) }
}

#[cfg(test)]
mod tests {
    use super::super::pace::Pace;
    use super::*;

    const RULES: Rules = Rules { max_batch: 4, max_wait: Duration::from_millis(8) };
    const HOPEFUL: Rhythm = Rhythm { gap: Duration::ZERO, run: Duration::ZERO };

    fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    fn outlook(start: Instant, size: usize) -> Outlook {
        Outlook { size, oldest: start, deadline: None, alone: false, others: false }
    }

    #[test]
    fn a_batch_closes_when_it_is_full_or_has_waited() {
        let start = Instant::now();
        let check = |size, waited, expected| {
            assert_eq!(
                decide(&outlook(start, size), RULES, HOPEFUL, false, start + waited),
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
        let run = |outlook: Outlook, closing| decide(&outlook, RULES, HOPEFUL, closing, start);
        assert_eq!(run(outlook(start, 1), true), Decision::Run);
        assert_eq!(run(Outlook { alone: true, ..outlook(start, 1) }, false), Decision::Run);
        assert_eq!(run(Outlook { others: true, ..outlook(start, 1) }, false), Decision::Run);
    }

    #[test]
    fn a_lone_caller_is_not_kept_waiting_and_a_crowd_is_collected() {
        let start = Instant::now();
        let check = |gaps_ms: &[u64], waits: bool| {
            let mut pace = Pace::<u8>::new(RULES.max_batch, RULES.max_wait);
            let mut now = start;
            for gap in gaps_ms.iter().cycle().take(64) {
                now += ms(*gap);
                pace.arrived(now);
            }
            let expected = if waits { Decision::WaitUntil(now + ms(8)) } else { Decision::Run };
            assert_eq!(
                decide(&outlook(now, 1), RULES, pace.rhythm(), false, now),
                expected,
                "{gaps_ms:?}"
            );
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
        let rhythm = Rhythm { run: ms(20), ..HOPEFUL };
        let due = |at| Outlook { deadline: Some(start + at), ..outlook(start, 1) };
        let decided = |at| decide(&due(at), RULES, rhythm, false, start);
        assert_eq!(decided(ms(25)), Decision::WaitUntil(start + ms(5)));
        assert_eq!(decided(ms(20)), Decision::Run);
        assert_eq!(decided(ms(900)), Decision::WaitUntil(start + ms(8)));
    }
}
