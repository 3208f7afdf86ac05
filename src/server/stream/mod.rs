//! A stream of frames: configuration first, exactly one result for each frame, in order, and a
//! summary. The contract is in `stream.proto`; here is how it is kept.
//!
//! - [`window`] decides, without a clock or a wait: what is worked on, waits, is left out, is sent.
//!   [`patience`], [`config`] and [`reuse`] are as pure.
//! - [`drive`] does what they decide, in one task that polls all of the stream's work: it must go on
//!   while the client does not read, or nobody could end the stream of a client that never reads.
//!   The response owns the task, so a stream that is reset drops all of its work at once.
//! - [`account`] sees every result in order, just before it is sent.
//!
//! A slow reader costs its own window: frames in it, their results, one result on its way and the
//! events that follow it.

mod account;
mod config;
mod drive;
#[cfg(test)]
mod drive_tests;
mod intake;
mod limits;
mod patience;
mod reuse;
mod verdicts;
mod window;
#[cfg(test)]
mod window_properties;
mod work;
mod world;

use std::sync::{Arc, Mutex};

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::task::JoinSet;
use tonic::{Request, Status, Streaming};
use tracing::Instrument;

use super::answer::Answering;
use super::deadline::{CallTerms, within};
use super::notes::Notes;
use super::status::{panicked, status, stream_drained, stream_idle, too_many_streams};
use crate::proto::v1;
use crate::proto::v1::verify_stream_request::Message;
use crate::proto::v1::verify_stream_response::Message as Answer;
use crate::serving::{Flow, ServingError, Terms};
use crate::telemetry::metrics::{self, Held, Rejection, StreamEnd};
use crate::telemetry::traces::FrameSpans;
use account::{Closing, End};
use drive::{Driver, Setup};
use intake::Intake;
use reuse::Memory;
use work::{Frames, Verifying};

pub use limits::StreamLimits;
pub(super) use world::run as fuzz;

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<v1::VerifyStreamResponse, Status>>;

/// The streams of a server: at most so many at once.
#[derive(Clone)]
pub(super) struct Streams {
    places: Arc<Semaphore>,
    limits: StreamLimits,
}

impl Streams {
    pub(super) fn new(limits: StreamLimits) -> Self {
        Self { places: Arc::new(Semaphore::new(limits.max_streams)), limits }
    }

    /// Reads the configuration and answers the frames that follow.
    pub(super) async fn answer(
        &self,
        answering: Arc<Answering>,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Responses, Status> {
        let open = self.open()?;
        let terms = CallTerms::in_request(&request);
        let notes = Notes::in_request(&request);
        let mut requests = request.into_inner();
        let first = async { Ok(self.first(&answering, &mut requests).await) };
        let first = within(terms.deadline, "the stream's configuration", first).await;
        let config = first.map_err(|error: ServingError| status(&error))??;
        let terms = Terms { flow: Flow::unique(), ..terms };
        let memory = Arc::new(Mutex::new(Memory::default()));
        let frames = Verifying { answering: Arc::clone(&answering), terms, memory };
        let limits = answering.config.request_limits;
        let known = |asked: &_| frames.knows(asked);
        let intake = Intake::open(config, limits, self.limits.max_waiting_configs, known);
        let intake = intake.map_err(|error| status(&error))?;
        let driver = Driver::new(Setup {
            requests,
            intake,
            frames,
            limits: self.limits,
            deadline: terms.deadline,
            age: self.limits.age(rand::random()),
            draining: answering.draining.clone(),
            spans: FrameSpans::of_this_call(),
            notes,
        });
        let (sender, results) = mpsc::channel(1);
        let mut task = JoinSet::new();
        let drive = async move { open.until(driver.run(sender).await) };
        task.spawn(drive.instrument(tracing::Span::current()));
        let told = Told::Results { results, task };
        Ok(stream::unfold(told, Told::next).boxed())
    }

    /// A place among the streams, of whichever service.
    pub(super) fn open(&self) -> Result<Open, Status> {
        let Ok(place) = Arc::clone(&self.places).try_acquire_owned() else {
            metrics::record_rejection(Rejection::TooManyStreams);
            return Err(too_many_streams(self.limits.max_streams));
        };
        let shown = metrics::stream_opened();
        Ok(Open { _place: place, _shown: shown, end: StreamEnd::ClientGone })
    }

    /// The first message, which must be a configuration.
    async fn first(
        &self,
        answering: &Answering,
        requests: &mut Streaming<v1::VerifyStreamRequest>,
    ) -> Result<v1::StreamConfig, Status> {
        let idle = self.limits.idle_limit;
        let first = tokio::select! {
            biased;
            () = answering.draining.cancelled() => return Err(stream_drained(None)),
            first = tokio::time::timeout(idle, requests.message()) => first,
        };
        let Ok(first) = first else { return Err(stream_idle(idle)) };
        match first?.and_then(|request| request.message) {
            Some(Message::Config(config)) => Ok(config),
            Some(Message::Frame(_)) | None => {
                let reason = "the first message must be a configuration";
                Err(status(&ServingError::invalid("config", reason)))
            }
        }
    }
}

/// A stream that is open; when it is dropped, it has ended.
pub(super) struct Open {
    _place: OwnedSemaphorePermit,
    _shown: Held,
    end: StreamEnd,
}

impl Open {
    /// Says how it ends; the client has gone where nobody says anything.
    pub(super) fn ends(&mut self, reason: StreamEnd) {
        self.end = reason;
    }

    /// Ends as the driver says.
    fn until(mut self, ended: Option<(End, Closing)>) -> Option<Closing> {
        let (end, closing) = ended?;
        self.ends(end.label());
        Some(closing)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        metrics::record_stream_end(self.end);
    }
}

/// One message, or how the call ends.
type Said = Result<v1::VerifyStreamResponse, Status>;

/// What is still to be told. Dropped, it ends the stream's task.
enum Told {
    Results {
        results: mpsc::Receiver<v1::VerifyStreamResponse>,
        task: JoinSet<Option<Closing>>,
    },
    /// What comes after the results.
    Last(std::vec::IntoIter<Said>),
}

impl Told {
    async fn next(self) -> Option<(Said, Self)> {
        let mut last = match self {
            Self::Results { mut results, mut task } => {
                if let Some(result) = results.recv().await {
                    return Some((Ok(result), Self::Results { results, task }));
                }
                // The driver has let go of its end, so it has ended; in a panic, if it says nothing.
                let last = match task.join_next().await {
                    Some(Ok(Some(closing))) => said_at_last(closing),
                    Some(Ok(None) | Err(_)) | None => vec![Err(panicked())],
                };
                last.into_iter()
            }
            Self::Last(last) => last,
        };
        Some((last.next()?, Self::Last(last)))
    }
}

/// Events, the summary, and the status where it is not OK.
fn said_at_last(closing: Closing) -> Vec<Said> {
    let Closing { events, summary, status } = closing;
    let messages = events.into_iter().map(Answer::Event).chain([Answer::Summary(summary)]);
    let messages = messages.map(|message| Ok(v1::VerifyStreamResponse { message: Some(message) }));
    messages.chain(status.map(Err)).collect()
}

#[cfg(test)]
mod tests {
    use tonic::Code;

    use super::*;

    #[tokio::test]
    async fn a_driver_that_panics_ends_the_call_with_internal() {
        let (sender, results) = mpsc::channel(1);
        let mut task = JoinSet::new();
        task.spawn(async move {
            let _results = sender;
            tokio::task::yield_now().await;
            panic!("the driver broke")
        });
        let told = Told::Results { results, task };
        let told: Vec<_> = stream::unfold(told, Told::next).collect().await;
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].as_ref().unwrap_err().code(), Code::Internal);
    }
}
