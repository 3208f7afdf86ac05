//! How long a stream waits for its client to send or to read. Pure: time is passed in.

use std::time::{Duration, Instant};

/// What a client has failed to do for too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tired {
    /// Nothing came from it, and nothing was worked on.
    Idle,
    /// It took no result, though one waited for it.
    Unread,
}

/// How long each may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    pub(super) idle: Duration,
    pub(super) send: Duration,
}

/// Since when a stream has been waiting, and for what.
#[derive(Debug)]
pub(super) struct Patience {
    limits: Limits,
    /// The last sign of life: a message from the client, or a result taken.
    alive: Instant,
    /// Since when a result waits to be taken.
    unread: Option<Instant>,
}

impl Patience {
    pub(super) fn new(limits: Limits, now: Instant) -> Self {
        Self { limits, alive: now, unread: None }
    }

    /// A message came.
    pub(super) fn heard(&mut self, now: Instant) {
        self.alive = now;
    }

    /// A result was taken.
    pub(super) fn taken(&mut self, now: Instant) {
        self.alive = now;
        self.unread = None;
    }

    /// A result waits to be taken.
    pub(super) fn ready(&mut self, now: Instant) {
        self.unread.get_or_insert(now);
    }

    /// When it ends, if nothing happens; `None` while frames are worked on, for that has limits of
    /// its own.
    pub(super) fn ends(&self, busy: bool) -> Option<(Instant, Tired)> {
        match self.unread {
            Some(since) => Some((since + self.limits.send, Tired::Unread)),
            None if busy => None,
            None => Some((self.alive + self.limits.idle, Tired::Idle)),
        }
    }

    /// Whether it has ended.
    pub(super) fn ended(&self, busy: bool, now: Instant) -> Option<Tired> {
        self.ends(busy).filter(|(at, _)| *at <= now).map(|(_, tired)| tired)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_after_silence_and_after_results_that_nobody_takes() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let limits = Limits { idle: Duration::from_mins(1), send: Duration::from_secs(30) };
        let mut patience = Patience::new(limits, start);
        assert_eq!(patience.ended(false, at(59)), None);
        assert_eq!(patience.ended(false, at(60)), Some(Tired::Idle));
        patience.heard(at(50));
        assert_eq!(patience.ends(false), Some((at(110), Tired::Idle)));
        assert_eq!(patience.ends(true), None, "a frame that takes long is no silence");
        patience.ready(at(70));
        patience.ready(at(80));
        assert_eq!(patience.ends(true), Some((at(100), Tired::Unread)), "the first one counts");
        assert_eq!(patience.ended(true, at(99)), None);
        patience.taken(at(99));
        assert_eq!(patience.ends(false), Some((at(159), Tired::Idle)));
        patience.ready(at(99));
        assert_eq!(patience.ended(false, at(129)), Some(Tired::Unread));
    }
}
