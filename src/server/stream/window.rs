//! Which frames of a stream are worked on, which wait or are left out, and what is sent next.
//! Pure: events come in, decisions go out, time is passed in.
//!
//! Every accepted frame stands in the ledger, in order, from its arrival until its result is taken.
//! What holds always, as `window_properties` checks:
//!
//! - Each frame ends once, and results leave in the order of the frames.
//! - At most [`Rules::max_in_flight`] frames hold a place in the window: at work, or finished and
//!   not yet taken. One more may wait for a place.
//! - Beside them at most a given number of results that hold no place wait to be taken.
//! - A frame that was dropped was not begun by a device; the oldest frame at work is never dropped.

use std::collections::VecDeque;
use std::time::Instant;

/// What happens to frames while the window is full.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Policy {
    /// Nothing more is read.
    #[default]
    Wait,
    /// The oldest frame that no device has begun makes room.
    DropOldest,
    /// The arriving frame is left out.
    DropNewest,
}

/// What holds for a stream, until its configuration changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rules {
    pub(super) policy: Policy,
    /// Frames that may hold a place at once; at least 1.
    pub(super) max_in_flight: usize,
}

/// Why a frame was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum DropReason {
    /// A newer frame took its place.
    Replaced,
    /// There was no place when it came.
    WindowFull,
    /// It had its result in an earlier stream.
    AlreadyAnswered,
}

/// How a frame ended; `R` is what work comes to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Ending<R> {
    Finished(R),
    Dropped(DropReason),
    Expired,
}

/// Where a frame stands among those of its stream: 0, 1, 2, ….
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place(u64);

#[derive(Debug)]
enum State<W, R> {
    /// For a place in the window; ends at `deadline`.
    Waiting { work: W, deadline: Option<Instant> },
    /// Holds a place.
    Working,
    /// Holds a place where it has come to something, for that has a weight.
    Ended(Ending<R>),
}

impl<W, R> State<W, R> {
    fn holds_a_place(&self) -> bool {
        match self {
            Self::Working | Self::Ended(Ending::Finished(_)) => true,
            Self::Waiting { .. } | Self::Ended(Ending::Dropped(_) | Ending::Expired) => false,
        }
    }
}

#[derive(Debug)]
struct Entry<F, W, R> {
    frame: F,
    state: State<W, R>,
}

/// The frames of one stream. `F` is what is known of a frame, `W` the work it calls for, not yet
/// started, `R` what the work comes to.
#[derive(Debug)]
pub(super) struct Window<F, W, R> {
    rules: Rules,
    max_unsent_drops: usize,
    ledger: VecDeque<Entry<F, W, R>>,
    /// The place of the ledger's first frame.
    first: u64,
    /// Frames that hold a place.
    held: usize,
    waiting: usize,
    ended: usize,
}

impl<F, W, R> Window<F, W, R> {
    /// Empty. Beyond `max_unsent_drops` results that hold no place, nothing more is read.
    pub(super) fn new(rules: Rules, max_unsent_drops: usize) -> Self {
        let ledger = VecDeque::new();
        Self { rules, max_unsent_drops, ledger, first: 0, held: 0, waiting: 0, ended: 0 }
    }

    /// Changes the rules, for the frames that arrive from now on. Frames beyond a smaller window
    /// keep their places until they leave.
    pub(super) fn set_rules(&mut self, rules: Rules) {
        self.rules = rules;
    }

    /// Whether another message may be read.
    pub(super) fn reads(&self) -> bool {
        let room = match self.rules.policy {
            Policy::Wait => self.held + self.waiting < self.rules.max_in_flight,
            Policy::DropOldest | Policy::DropNewest => true,
        };
        let unheld = self.ledger.len() - self.held - self.waiting;
        room && unheld < self.max_unsent_drops
    }

    /// A frame has arrived: it waits for [`Self::start`], or is left out. `withdraw` takes back the
    /// work on a frame, and tells whether that was in time: no device had begun it. Returns the
    /// frame whose work was taken back so.
    pub(super) fn arrive(
        &mut self,
        frame: F,
        (work, deadline): (W, Option<Instant>),
        withdraw: impl FnMut(Place) -> bool,
    ) -> Option<Place> {
        let full = self.held + self.waiting >= self.rules.max_in_flight;
        let withdrawn = match self.rules.policy {
            Policy::DropNewest if full => {
                self.answer(frame, Ending::Dropped(DropReason::WindowFull));
                return None;
            }
            Policy::DropOldest if full => self.make_room(withdraw),
            Policy::Wait | Policy::DropOldest | Policy::DropNewest => None,
        };
        self.ledger.push_back(Entry { frame, state: State::Waiting { work, deadline } });
        self.waiting += 1;
        withdrawn
    }

    /// Drops the oldest frame that can be dropped.
    fn make_room(&mut self, mut withdraw: impl FnMut(Place) -> bool) -> Option<Place> {
        // Where the window has become smaller, a frame's leaving makes no room in it yet.
        let fits = self.held <= self.rules.max_in_flight;
        let working = self.ledger.iter().enumerate();
        let working = working.filter(|(_, entry)| matches!(entry.state, State::Working));
        let place = |at: usize| Place(self.first + at as u64);
        // All but the oldest: it is the stream's next to come to something.
        let mut droppable = working.map(|(at, _)| at).skip(1).filter(|_| fits);
        let taken_back = droppable.find(|&at| withdraw(place(at)));
        let waiting =
            || self.ledger.iter().position(|entry| matches!(entry.state, State::Waiting { .. }));
        let at = taken_back.or_else(waiting)?;
        let place = place(at);
        self.end(at, Ending::Dropped(DropReason::Replaced));
        taken_back.map(|_| place)
    }

    /// A frame has arrived that calls for no work.
    pub(super) fn answer(&mut self, frame: F, ending: Ending<R>) {
        let state = State::Ended(ending);
        self.held += usize::from(state.holds_a_place());
        self.ended += 1;
        self.ledger.push_back(Entry { frame, state });
    }

    /// The next frame to work on, if there is a place for it. To be asked after every event, until
    /// there is none.
    pub(super) fn start(&mut self) -> Option<(Place, W)> {
        if self.waiting == 0 || self.held >= self.rules.max_in_flight {
            return None;
        }
        for (at, entry) in self.ledger.iter_mut().enumerate() {
            match std::mem::replace(&mut entry.state, State::Working) {
                State::Waiting { work, .. } => {
                    self.waiting -= 1;
                    self.held += 1;
                    return Some((Place(self.first + at as u64), work));
                }
                other @ (State::Working | State::Ended(_)) => entry.state = other,
            }
        }
        None
    }

    /// The work on a frame has come to something. Of a frame that has ended already, nothing.
    pub(super) fn finish(&mut self, place: Place, result: R) {
        let at = place.0.checked_sub(self.first).map(|at| at as usize);
        let entry = at.and_then(|at| Some((at, self.ledger.get(at)?)));
        if let Some((at, Entry { state: State::Working, .. })) = entry {
            self.end(at, Ending::Finished(result));
        }
    }

    /// When the next waiting frame expires.
    pub(super) fn next_expiry(&self) -> Option<Instant> {
        let deadlines = self.ledger.iter().filter_map(|entry| match entry.state {
            State::Waiting { deadline, .. } => deadline,
            State::Working | State::Ended(_) => None,
        });
        if self.waiting == 0 { None } else { deadlines.min() }
    }

    /// Ends the waiting frames whose deadline has come. Those at work end by their work's own.
    pub(super) fn expire(&mut self, now: Instant) {
        self.expire_where(|state| match state {
            State::Waiting { deadline, .. } => deadline.is_some_and(|deadline| deadline <= now),
            State::Working | State::Ended(_) => false,
        });
    }

    /// Ends every frame that has not ended, at the call's deadline.
    pub(super) fn expire_all(&mut self) {
        self.expire_where(|_| true);
    }

    fn expire_where(&mut self, expires: impl Fn(&State<W, R>) -> bool) {
        for at in 0..self.ledger.len() {
            let state = &self.ledger[at].state;
            if !matches!(state, State::Ended(_)) && expires(state) {
                self.end(at, Ending::Expired);
            }
        }
    }

    /// Ends the frame at an index of the ledger.
    fn end(&mut self, at: usize, ending: Ending<R>) {
        let entry = &mut self.ledger[at];
        let state = std::mem::replace(&mut entry.state, State::Ended(ending));
        self.held -= usize::from(state.holds_a_place());
        self.held += usize::from(entry.state.holds_a_place());
        self.waiting -= usize::from(matches!(state, State::Waiting { .. }));
        self.ended += 1;
    }

    /// Whether there is a result to take.
    pub(super) fn is_ready(&self) -> bool {
        matches!(self.ledger.front(), Some(Entry { state: State::Ended(_), .. }))
    }

    /// Takes the next result, in the order of the frames.
    pub(super) fn next(&mut self) -> Option<(F, Ending<R>)> {
        let Entry { frame, state } = self.ledger.pop_front()?;
        let held = usize::from(state.holds_a_place());
        match state {
            State::Ended(ending) => {
                self.first += 1;
                self.held -= held;
                self.ended -= 1;
                Some((frame, ending))
            }
            state @ (State::Waiting { .. } | State::Working) => {
                self.ledger.push_front(Entry { frame, state });
                None
            }
        }
    }

    /// Forgets every frame, for there is nobody to take its result.
    pub(super) fn clear(&mut self) {
        self.first += self.ledger.len() as u64;
        self.ledger.clear();
        (self.held, self.waiting, self.ended) = (0, 0, 0);
    }

    /// Whether every frame's result has been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.ledger.is_empty()
    }

    /// How many frames have ended and wait to be taken.
    pub(super) fn unsent(&self) -> usize {
        self.ended
    }
}
