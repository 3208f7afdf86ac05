//! What time it is in a stream. Its frames say when they are shown, or they do not; their times
//! may stand still, go back or leap. The time told here stands still or goes forward, but for
//! jumps back, which it names.

use std::time::Duration;

/// A place in a video, in nanoseconds from its start; players have frames before it, too.
/// Arithmetic ends at ±292 years.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Time(pub i64);

impl Time {
    /// The time `after` this one.
    #[must_use]
    pub fn after(self, after: Duration) -> Self {
        Self(self.0.saturating_add(i64::try_from(after.as_nanos()).unwrap_or(i64::MAX)))
    }

    /// How long it is from `earlier` to this; 0 where that is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        let nanos = i128::from(self.0) - i128::from(earlier.0);
        Duration::from_nanos(u64::try_from(nanos).unwrap_or(0))
    }
}

/// What a stream's times come from. The first frame decides.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Basis {
    /// Frames say when they are shown. One that does not is taken to follow the frame before it
    /// by as much as that one followed its own.
    Presentation,
    /// Frames are numbered, and a number stands for a fixed time.
    Sequence,
    /// When frames came, from the start of the stream.
    Arrival,
}

/// How the time went on.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Step {
    /// Forward, by this much; by 0 where it stood still, or went back a little.
    Forward,
    /// Back, by more than the tolerance.
    Back,
}

/// The time at a frame.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Tick {
    pub(super) now: Time,
    pub(super) step: Step,
}

/// The clock of one stream.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock {
    /// Time from one frame's number to the next.
    interval: Option<Duration>,
    /// How far back a time may be and still count as standing still.
    tolerance: Duration,
    running: Option<Running>,
}

#[derive(Clone, Copy, Debug)]
struct Running {
    basis: Basis,
    first_sequence: u64,
    now: Time,
    /// The last step that went forward.
    usual: Duration,
}

impl Clock {
    /// Frames that do not say when they are shown are `interval` apart, where it is given. Times
    /// that go back by at most `tolerance` stand still.
    pub(super) fn new(interval: Option<Duration>, tolerance: Duration) -> Self {
        Self { interval, tolerance, running: None }
    }

    /// The time at the next frame.
    pub(super) fn tick(
        &mut self,
        sequence: u64,
        presentation: Option<Time>,
        arrival: Duration,
    ) -> Tick {
        let interval = self.interval.unwrap_or_default();
        let Some(running) = &mut self.running else {
            let (basis, now) = match (presentation, self.interval) {
                (Some(time), _) => (Basis::Presentation, time),
                (None, Some(_)) => (Basis::Sequence, Time::default()),
                (None, None) => (Basis::Arrival, Time::default().after(arrival)),
            };
            let usual = Duration::ZERO;
            self.running = Some(Running { basis, first_sequence: sequence, now, usual });
            return Tick { now, step: Step::Forward };
        };
        let told = match running.basis {
            Basis::Presentation => presentation.unwrap_or_else(|| running.now.after(running.usual)),
            Basis::Sequence => {
                let number = sequence.saturating_sub(running.first_sequence);
                let nanos = u128::from(number).saturating_mul(interval.as_nanos());
                // A number that is refused is no time.
                Time(i64::try_from(nanos).unwrap_or(i64::MAX)).max(running.now)
            }
            Basis::Arrival => Time::default().after(arrival),
        };
        let step = if told > running.now {
            running.usual = told.since(running.now);
            running.now = told;
            Step::Forward
        } else if running.now.since(told) > self.tolerance {
            running.now = told;
            Step::Back
        } else {
            Step::Forward
        };
        Tick { now: running.now, step }
    }

    /// What the times come from; nothing before the first frame.
    pub(super) fn basis(&self) -> Option<Basis> {
        self.running.map(|running| running.basis)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TOLERANCE: Duration = Duration::from_millis(100);

    /// A frame's number, when it is shown, and when it came, in milliseconds.
    type Told = (u64, Option<i64>, u64);

    fn check(interval_ms: Option<u64>, told: &[Told], basis: Basis, expected: &[(i64, Step)]) {
        let mut clock = Clock::new(interval_ms.map(Duration::from_millis), TOLERANCE);
        assert_eq!(clock.basis(), None);
        for (&(sequence, shown, came), &(now, step)) in told.iter().zip(expected) {
            let shown = shown.map(|shown| Time(shown * 1_000_000));
            let tick = clock.tick(sequence, shown, Duration::from_millis(came));
            assert_eq!(tick, Tick { now: Time(now * 1_000_000), step }, "frame {sequence}");
        }
        assert_eq!(clock.basis(), Some(basis));
    }

    #[test]
    fn the_first_frame_decides_what_the_times_come_from() {
        use Step::Forward;
        let shown = [(7, Some(40), 5), (9, Some(80), 6)];
        check(Some(10), &shown, Basis::Presentation, &[(40, Forward), (80, Forward)]);
        let numbered = [(7, None, 5), (9, Some(80), 6)];
        check(Some(10), &numbered, Basis::Sequence, &[(0, Forward), (20, Forward)]);
        check(None, &numbered, Basis::Arrival, &[(5, Forward), (6, Forward)]);
    }

    #[test]
    fn a_frame_that_does_not_say_when_follows_as_the_one_before_did() {
        use Step::Forward;
        let told = [(1, Some(0), 0), (2, None, 9), (3, Some(40), 9), (4, None, 9), (5, None, 9)];
        let expected = [(0, Forward), (0, Forward), (40, Forward), (80, Forward), (120, Forward)];
        check(None, &told, Basis::Presentation, &expected);
    }

    #[test]
    fn a_time_a_little_back_stands_still_and_one_far_back_is_a_jump() {
        use Step::{Back, Forward};
        let times = [0, 500, 500, 401, 400, 399, 0, 1, 2_000_000];
        let told: Vec<Told> = (0..).zip(times).map(|(n, shown)| (n, Some(shown), 0)).collect();
        let expected = [
            (0, Forward),
            (500, Forward),
            (500, Forward),
            (500, Forward),
            (500, Forward),
            (399, Back),
            (0, Back),
            (1, Forward),
            (2_000_000, Forward),
        ];
        check(None, &told, Basis::Presentation, &expected);
    }

    #[test]
    fn numbers_that_go_back_stand_still() {
        use Step::Forward;
        let told = [(100, None, 0), (200, None, 0), (3, None, 0), (201, None, 0)];
        let expected = [(0, Forward), (4000, Forward), (4000, Forward), (4040, Forward)];
        check(Some(40), &told, Basis::Sequence, &expected);
    }

    #[test]
    fn absurd_times_end_at_the_last_one_there_is() {
        let mut clock = Clock::new(None, TOLERANCE);
        let mut at = |nanos| clock.tick(0, Some(Time(nanos)), Duration::MAX);
        for nanos in [i64::MAX, i64::MIN, i64::MAX, 0, i64::MIN] {
            assert_eq!(at(nanos).now, Time(nanos));
        }
        let longest = Time(i64::MAX).since(Time(i64::MIN));
        assert_eq!(longest, Duration::from_nanos(u64::MAX));
        assert_eq!(Time(i64::MIN).since(Time(i64::MAX)), Duration::ZERO);
        assert_eq!(Time(0).after(Duration::MAX), Time(i64::MAX));
        let mut numbered = Clock::new(Some(Duration::MAX), TOLERANCE);
        numbered.tick(0, None, Duration::ZERO);
        assert_eq!(numbered.tick(u64::MAX, None, Duration::ZERO).now, Time(i64::MAX));
    }
}
