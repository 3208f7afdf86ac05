//! Drives one stream: what happens goes into the window, what the window decides is done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{AbortHandle, Abortable, BoxFuture};
use futures::stream::FuturesUnordered;
use futures::{FutureExt, Stream, StreamExt};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use tonic::Status;

use super::account::{Accepted, Account, Closing, End, Finished, Passed};
use super::config::FrameTerms;
use super::intake::{Intake, Taken};
use super::limits::StreamLimits;
use super::patience::{Limits, Patience, Tired};
use super::window::{Ending, Place, Window};
use super::work::{Answered, Frames, Job};
use crate::proto::v1;
use crate::proto::v1::verify_stream_request::Message as Asked;
use crate::proto::v1::verify_stream_response::Message;
use crate::server::deadline::earlier;
use crate::server::notes::Notes;
use crate::server::status::status;
use crate::serving::{Claim, Deadline, ServingError};
use crate::telemetry::metrics::{self, Held};
use crate::telemetry::traces::{FrameSpan, FrameSpans};

/// Where results go: a channel of one place, so that at most one is on its way beside those that
/// the window holds.
pub(super) type Results = mpsc::Sender<v1::VerifyStreamResponse>;

type Work = BoxFuture<'static, (Result<Answered, ServingError>, FrameSpan)>;

/// The end of the work on a frame; `None` where it was given up.
type WorkEnd = Option<(Place, Finished)>;

/// What a driver begins with.
pub(super) struct Setup<S, V> {
    /// The client's messages after the first.
    pub(super) requests: S,
    /// What the first one said.
    pub(super) intake: Intake,
    /// Who does the work.
    pub(super) frames: V,
    pub(super) limits: StreamLimits,
    /// The call's.
    pub(super) deadline: Deadline,
    /// How old the stream may grow.
    pub(super) age: Option<Duration>,
    /// Cancelled when the server begins to shut down.
    pub(super) draining: CancellationToken,
    /// Where frames are traced.
    pub(super) spans: FrameSpans,
    /// Where frames are counted for the call's line in the log.
    pub(super) notes: Notes,
}

/// One stream, from its first configuration to its end. All of its work is polled within, so that
/// whoever drops it drops everything.
pub(super) struct Driver<S, V> {
    requests: S,
    frames: V,
    intake: Intake,
    window: Window<Accepted, Work, Finished>,
    at_work: FuturesUnordered<BoxFuture<'static, WorkEnd>>,
    /// How to give up each frame at work.
    given_up: BTreeMap<Place, (Claim, AbortHandle)>,
    patience: Patience,
    limits: StreamLimits,
    account: Account,
    /// What follows the result that was sent last, and goes before the next.
    events: VecDeque<v1::SegmentEvent>,
    deadline: Deadline,
    /// When the stream is as old as one may grow.
    aged: Deadline,
    draining: CancellationToken,
    /// Set once nothing more is read.
    closing: Option<End>,
    /// One for each result that waits to be taken.
    unsent: Vec<Held>,
    spans: FrameSpans,
    notes: Notes,
}

/// What a stream waits for.
enum Event<'r> {
    /// A result can be sent.
    Room(mpsc::Permit<'r, v1::VerifyStreamResponse>),
    Finished(WorkEnd),
    /// The client's next message; `None` where it has closed its side.
    Message(Option<Result<v1::VerifyStreamRequest, Status>>),
    Draining,
    /// A limit has come.
    Time,
    /// Nobody reads any more.
    Gone,
}

/// The runtime's clock, which tests can stop.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

impl<S, V> Driver<S, V>
where
    S: Stream<Item = Result<v1::VerifyStreamRequest, Status>> + Unpin,
    V: Frames,
{
    pub(super) fn new(setup: Setup<S, V>) -> Self {
        let Setup { requests, intake, frames, limits, deadline, age, draining, spans, notes } =
            setup;
        let StreamLimits { idle_limit: idle, send_limit: send, max_unsent_drops, .. } = limits;
        Self {
            requests,
            frames,
            window: Window::new(intake.terms().rules, max_unsent_drops),
            intake,
            at_work: FuturesUnordered::new(),
            given_up: BTreeMap::new(),
            patience: Patience::new(Limits { idle, send }, now()),
            limits,
            account: Account::new(now()),
            events: VecDeque::new(),
            deadline,
            aged: age.and_then(|age| now().checked_add(age)),
            draining,
            closing: None,
            unsent: Vec::new(),
            spans,
            notes,
        }
    }

    /// Sends every frame's result, then returns why the stream ended and what is left to say;
    /// `None` where nobody listens any more.
    pub(super) async fn run(mut self, results: Results) -> Option<(End, Closing)> {
        loop {
            if self.window.is_empty()
                && let Some(end) = self.closing.take()
            {
                let mut closing = self.account.close(&end, now());
                closing.events.splice(0..0, self.events);
                return Some((end, closing));
            }
            match self.event(&results).await {
                Event::Room(permit) => {
                    if let Some(message) = self.next_message() {
                        permit.send(v1::VerifyStreamResponse { message: Some(message) });
                        self.patience.taken(now());
                    }
                }
                Event::Finished(Some((place, finished))) => {
                    self.given_up.remove(&place);
                    self.window.finish(place, finished);
                }
                Event::Finished(None) => {}
                Event::Message(message) => self.message(message),
                Event::Draining => self.close(End::Draining),
                Event::Time => self.time(),
                Event::Gone => return None,
            }
            self.start();
            self.show();
        }
    }

    async fn event<'r>(&mut self, results: &'r Results) -> Event<'r> {
        let reads = self.closing.is_none() && self.window.reads();
        let sends = self.is_ready();
        let wake = self.wake();
        let time = async {
            match wake {
                Some(at) => tokio::time::sleep_until(at.into()).await,
                None => std::future::pending().await,
            }
        };
        // In this order, so that what is due is not put off by a client that sends fast.
        tokio::select! {
            biased;
            () = time => Event::Time,
            permit = results.reserve(), if sends => permit.map_or(Event::Gone, Event::Room),
            Some(finished) = self.at_work.next() => Event::Finished(finished),
            () = self.draining.cancelled(), if self.closing.is_none() => Event::Draining,
            message = self.requests.next(), if reads => Event::Message(message),
            () = results.closed(), if !sends => Event::Gone,
        }
    }

    /// Whether frames are still to be answered, or events to be sent.
    fn is_busy(&self) -> bool {
        !self.window.is_empty() || !self.events.is_empty()
    }

    /// Whether a message can be sent.
    fn is_ready(&self) -> bool {
        self.window.is_ready() || !self.events.is_empty()
    }

    /// The next message, if one is ready.
    fn next_message(&mut self) -> Option<Message> {
        if let Some(event) = self.events.pop_front() {
            return Some(Message::Event(event));
        }
        let (frame, ending) = self.window.next()?;
        let Passed { result, events } = self.account.passes(frame, ending, now());
        self.events.extend(events);
        Some(Message::Result(result))
    }

    /// When the next limit comes.
    fn wake(&self) -> Deadline {
        let tired = self.patience.ends(self.is_busy()).map(|(at, _)| at);
        let limits = earlier(self.deadline, self.aged);
        earlier(earlier(limits, self.window.next_expiry()), tired)
    }

    /// Limits have come.
    fn time(&mut self) {
        let now = now();
        self.window.expire(now);
        if self.deadline.is_some_and(|deadline| deadline <= now) {
            self.deadline = None;
            self.give_up();
            self.window.expire_all();
            self.closing = Some(End::Deadline);
        }
        if self.aged.is_some_and(|aged| aged <= now) {
            self.aged = None;
            self.close(End::Aged);
        }
        match self.patience.ended(self.is_busy(), now) {
            Some(Tired::Idle) => self.close(End::Idle(self.limits.idle_limit)),
            Some(Tired::Unread) => {
                self.give_up();
                self.window.clear();
                let stuck = End::ReaderStuck(self.limits.send_limit);
                // Another reason stands: it tells the client how to go on.
                self.closing = match self.closing.take() {
                    None | Some(End::ClientClosed) => Some(stuck),
                    other => other,
                };
            }
            None => {}
        }
    }

    /// Reads no further.
    fn close(&mut self, end: End) {
        self.closing.get_or_insert(end);
    }

    fn message(&mut self, message: Option<Result<v1::VerifyStreamRequest, Status>>) {
        let now = now();
        self.patience.heard(now);
        let request = match message {
            None => return self.close(End::ClientClosed),
            Some(Err(status)) => return self.close(End::Refused(status)),
            Some(Ok(request)) => request,
        };
        if let Some(Asked::Frame(_)) = &request.message {
            self.notes.frame();
        }
        let frames = &self.frames;
        let taken = self.intake.take(request, now, |asked| frames.knows(asked));
        match taken {
            Ok(Taken::Configured) => {}
            Ok(Taken::Dropped { frame, reason }) => {
                self.window.answer(frame, Ending::Dropped(reason));
            }
            Ok(Taken::OutOfOrder { frame, error }) => {
                let mut span = self.spans.begin(frame.sequence);
                span.ready();
                let finished = Finished { result: Err(error), at: now, span };
                self.window.answer(frame, Ending::Finished(finished));
            }
            Ok(Taken::Frame { frame, image, terms }) => self.arrive(frame, image, terms),
            Err(error) => self.close(End::Refused(status(&error))),
        }
        self.window.set_rules(self.intake.terms().rules);
    }

    fn arrive(&mut self, frame: Accepted, image: Option<v1::Image>, terms: Arc<FrameTerms>) {
        let Accepted { sequence, arrived, .. } = frame;
        let own = terms.frame_timeout.and_then(|timeout| arrived.checked_add(timeout));
        let deadline = earlier(self.deadline, own);
        self.window.set_rules(terms.rules);
        let work = self.frames.work(Job { sequence, arrived, image, terms, deadline });
        let mut span = self.spans.begin(sequence);
        let work = async move {
            let result = span.scope(work).await;
            span.ready();
            (result, span)
        };
        let given_up = &self.given_up;
        let withdraw = |place| given_up.get(&place).is_some_and(|(claim, _)| claim.withdraw());
        if let Some(place) = self.window.arrive(frame, (work.boxed(), deadline), withdraw)
            && let Some((_, abort)) = self.given_up.remove(&place)
        {
            abort.abort();
        }
    }

    /// Begins the work that there is a place for.
    fn start(&mut self) {
        while let Some((place, work)) = self.window.start() {
            let claim = Claim::default();
            let (abort, registration) = AbortHandle::new_pair();
            let work = Abortable::new(claim.cover(work), registration);
            let work = work.map(move |result| {
                let finished = |(result, span)| (place, Finished { result, at: now(), span });
                result.ok().map(finished)
            });
            self.at_work.push(work.boxed());
            self.given_up.insert(place, (claim, abort));
        }
    }

    /// Drops all work.
    fn give_up(&mut self) {
        self.at_work.clear();
        self.given_up.clear();
    }

    /// Keeps patience and metrics up with the window.
    fn show(&mut self) {
        if self.is_ready() {
            self.patience.ready(now());
        }
        self.unsent.truncate(self.window.unsent());
        while self.unsent.len() < self.window.unsent() {
            self.unsent.push(metrics::result_waits());
        }
    }
}
