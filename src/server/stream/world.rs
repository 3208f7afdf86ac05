//! A stream's window in a world that holds it to its contract. The property tests and the fuzzer
//! bring about what happens in it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use super::window::{DropReason, Ending, Place, Policy, Rules, Window};

/// Lets happen what the bytes say, then closes; panics where the contract is broken.
pub(in crate::server) fn run(bytes: &[u8]) {
    let Some((&[policy, places], mut rest)) = bytes.split_first_chunk() else { return };
    let mut world = World::new(rules(policy, places));
    while let Some((event, after)) = event(rest) {
        world.see(&event);
        rest = after;
    }
    world.close();
}

fn rules(policy: u8, places: u8) -> Rules {
    let policy = match policy % 3 {
        0 => Policy::Wait,
        1 => Policy::DropOldest,
        _ => Policy::DropNewest,
    };
    Rules { policy, max_in_flight: usize::from(places % 8) + 1 }
}

/// The first event, and the bytes after it.
fn event(bytes: &[u8]) -> Option<(Event, &[u8])> {
    let (&[kind, number], rest) = bytes.split_first_chunk()?;
    let event = match kind % 8 {
        0 | 1 => {
            let (open, rest) = rest.split_first_chunk()?;
            let timeout_ms = (number & 1 == 1).then_some(u64::from(number >> 1));
            return Some((Event::Frame { open: u64::from_le_bytes(*open), timeout_ms }, rest));
        }
        2 => Event::Repeated,
        3 => Event::Finish(usize::from(number)),
        4 => Event::Take,
        5 => Event::Rules(rules(kind / 8, number)),
        6 => Event::Pass(u64::from(number)),
        _ => Event::CallDeadline,
    };
    Some((event, rest))
}

/// Results that hold no place, at most.
pub(super) const UNHELD: usize = 5;

#[derive(Clone, Debug)]
pub(super) enum Event {
    /// A frame, if the window reads; bit n tells whether the work on frame n (modulo 64) can still
    /// be taken back.
    Frame {
        open: u64,
        timeout_ms: Option<u64>,
    },
    /// A frame that calls for no work, if the window reads.
    Repeated,
    /// One of the frames at work comes to something.
    Finish(usize),
    /// The reader takes a result.
    Take,
    Rules(Rules),
    Pass(u64),
    CallDeadline,
}

/// A window, and what the world around it has seen of it.
pub(super) struct World {
    pub(super) window: Window<u64, u64, u64>,
    rules: Rules,
    now: Instant,
    accepted: u64,
    taken: u64,
    at_work: BTreeMap<Place, u64>,
    pub(super) started: BTreeSet<u64>,
    pub(super) withdrawn: BTreeSet<u64>,
    /// Results that hold a place: of frames that came to something.
    finished: usize,
    widest: usize,
    waits_only: bool,
}

impl World {
    pub(super) fn new(rules: Rules) -> Self {
        Self {
            window: Window::new(rules, UNHELD),
            rules,
            now: Instant::now(),
            accepted: 0,
            taken: 0,
            at_work: BTreeMap::new(),
            started: BTreeSet::new(),
            withdrawn: BTreeSet::new(),
            finished: 0,
            widest: rules.max_in_flight,
            waits_only: rules.policy == Policy::Wait,
        }
    }

    pub(super) fn see(&mut self, event: &Event) {
        match *event {
            Event::Frame { open, timeout_ms } if self.window.reads() => {
                let deadline = timeout_ms.map(|ms| self.now + Duration::from_millis(ms));
                self.arrive(open, deadline);
            }
            Event::Repeated if self.window.reads() => {
                self.window.answer(self.accepted, Ending::Dropped(DropReason::AlreadyAnswered));
                self.accepted += 1;
            }
            Event::Frame { .. } | Event::Repeated => {}
            Event::Finish(which) => self.finish(which),
            Event::Take => {
                self.take();
            }
            Event::Rules(rules) => {
                self.rules = rules;
                self.window.set_rules(rules);
                self.widest = self.widest.max(rules.max_in_flight);
                self.waits_only &= rules.policy == Policy::Wait;
            }
            Event::Pass(ms) => {
                self.now += Duration::from_millis(ms);
                self.window.expire(self.now);
                assert!(self.window.next_expiry().is_none_or(|next| next > self.now));
            }
            Event::CallDeadline => {
                self.window.expire_all();
                self.at_work.clear();
            }
        }
        self.start();
        self.check();
    }

    fn arrive(&mut self, open: u64, deadline: Option<Instant>) {
        let number = self.accepted;
        let at_work = &self.at_work;
        let withdraw = |place: Place| {
            let oldest = at_work.first_key_value().map(|(place, _)| *place);
            assert_ne!(Some(place), oldest, "the oldest frame at work goes on");
            at_work.get(&place).is_some_and(|number| open >> (number % 64) & 1 == 1)
        };
        let withdrawn = self.window.arrive(number, (number, deadline), withdraw);
        self.accepted += 1;
        if let Some(place) = withdrawn {
            let number = self.at_work.remove(&place).expect("only work that goes on is taken back");
            self.withdrawn.insert(number);
        }
    }

    fn start(&mut self) {
        while let Some((place, number)) = self.window.start() {
            assert!(self.held() < self.rules.max_in_flight, "a frame starts where there is room");
            assert!(self.started.insert(number), "frame {number} starts once");
            assert!(self.at_work.insert(place, number).is_none());
        }
    }

    fn finish(&mut self, which: usize) {
        let which = which.checked_rem(self.at_work.len()).unwrap_or_default();
        let Some((&place, &number)) = self.at_work.iter().nth(which) else { return };
        self.at_work.remove(&place);
        self.window.finish(place, number);
        self.finished += 1;
        self.window.finish(place, u64::MAX);
    }

    /// Takes a result, if there is one, and holds it against the contract.
    pub(super) fn take(&mut self) -> bool {
        let ready = self.window.is_ready();
        let next = self.window.next();
        assert_eq!(ready, next.is_some());
        let Some((number, ending)) = next else { return false };
        assert_eq!(number, self.taken, "results come in the order of the frames, each once");
        self.taken += 1;
        match ending {
            Ending::Finished(result) => {
                assert_eq!(result, number);
                self.finished -= 1;
            }
            Ending::Dropped(DropReason::Replaced) => {
                let taken_back = self.withdrawn.contains(&number);
                assert_eq!(taken_back, self.started.contains(&number), "frame {number}");
                assert!(!self.waits_only);
            }
            Ending::Dropped(DropReason::WindowFull) => {
                assert!(!self.started.contains(&number) && !self.waits_only);
            }
            Ending::Dropped(DropReason::AlreadyAnswered) | Ending::Expired => {}
        }
        true
    }

    /// Frames that hold a place.
    fn held(&self) -> usize {
        self.at_work.len() + self.finished
    }

    fn check(&self) {
        assert!(self.held() <= self.widest);
        let kept = (self.accepted - self.taken) as usize;
        // The window, two that wait where the policy changed, what holds no place; and all of the
        // window may have lost its places, at the call's deadline.
        assert!(kept <= self.widest + 2 + UNHELD + self.widest + 2, "{kept} frames are kept");
        assert_eq!(self.window.is_empty(), kept == 0);
    }

    /// The client closes its side: every frame comes to its result.
    pub(super) fn close(&mut self) {
        while self.taken < self.accepted {
            if !self.take() {
                self.finish(0);
            }
            self.start();
        }
        assert!(self.window.is_empty() && self.window.unsent() == 0);
        assert_eq!(self.held(), 0);
    }
}
