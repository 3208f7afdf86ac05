//! `VerifyStream`: frames in, one result each, in order.
//!
//! The whole way is one lazy stream: frames are read only while fewer than the window are worked
//! on, results leave in the order of their frames, and when the client goes away everything that
//! was still to do is dropped with the stream.

use std::sync::Arc;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use tonic::{Status, Streaming};

use super::service::Verification;
use super::validate::{StreamPlan, frame};
use super::{convert, duration, status};
use crate::proto::v1;
use crate::proto::v1::verify_stream_request::Message;
use crate::proto::v1::verify_stream_response::Message as Answer;
use crate::serving::{Deadline, ServingError};

/// What the client's side says next: a frame to work on, or why there will be none.
enum Step {
    Frame(Box<Job>),
    Refused(Status),
}

/// One frame with what is asked of it.
struct Job {
    plan: Arc<StreamPlan>,
    frame: v1::Frame,
    arrived: Instant,
    /// Set where the frame itself breaks the rules of the stream.
    fault: Option<ServingError>,
}

/// The client's side of a stream.
struct Frames {
    service: Verification,
    incoming: Streaming<v1::VerifyStreamRequest>,
    plan: Arc<StreamPlan>,
    last_sequence: Option<u64>,
    ended: bool,
}

/// The server's side: results, then the summary. Errors where the first message is no good
/// configuration.
pub(super) async fn answers(
    service: Verification,
    mut incoming: Streaming<v1::VerifyStreamRequest>,
    deadline: Deadline,
) -> Result<impl Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send, Status> {
    let idle = service.config.stream_idle_limit;
    let plan = match next(&mut incoming, idle).await? {
        Some(Message::Config(config)) => {
            service.config.stream(config, None).map_err(|error| status::status(&error))?
        }
        Some(Message::Frame(_)) | None => {
            let reason = "the first message must be the configuration";
            return Err(status::status(&ServingError::invalid("config", reason)));
        }
    };
    let tally = Arc::new(Mutex::new(Tally::new(Instant::now())));
    let (window, plan) = (plan.max_in_flight, Arc::new(plan));
    let frames =
        Frames { service: service.clone(), incoming, plan, last_sequence: None, ended: false };
    let results = stream::unfold(frames, Frames::step)
        .map(move |step| {
            let service = service.clone();
            async move {
                match step {
                    Step::Frame(job) => Ok(job.work(&service, deadline).await),
                    Step::Refused(status) => Err(status),
                }
            }
        })
        .buffered(window)
        .map({
            let tally = Arc::clone(&tally);
            move |ended| {
                let (result, latency) = ended?;
                tally.lock().unwrap_or_else(PoisonError::into_inner).add(&result, latency);
                Ok(v1::VerifyStreamResponse { message: Some(Answer::Result(result)) })
            }
        });
    Ok(closed_by_summary(results, tally))
}

/// The results, and after the last one the summary; after an error nothing more.
fn closed_by_summary(
    results: impl Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send,
    tally: Arc<Mutex<Tally>>,
) -> impl Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send {
    let summary = move |failed: bool| {
        (!failed).then(|| {
            let summary = tally.lock().unwrap_or_else(PoisonError::into_inner).summary();
            Ok(v1::VerifyStreamResponse { message: Some(Answer::Summary(summary)) })
        })
    };
    let state = (Box::pin(results), Some((summary, false)));
    stream::unfold(state, |(mut results, ending)| async move {
        let (summary, failed) = ending?;
        if failed {
            return None;
        }
        match results.next().await {
            Some(result) => {
                let failed = result.is_err();
                Some((result, (results, Some((summary, failed)))))
            }
            None => summary(false).map(|summary| (summary, (results, None))),
        }
    })
}

/// The next message, waited for no longer than `idle`.
async fn next(
    incoming: &mut Streaming<v1::VerifyStreamRequest>,
    idle: Duration,
) -> Result<Option<Message>, Status> {
    let message = tokio::time::timeout(idle, incoming.message())
        .await
        .map_err(|_| Status::deadline_exceeded(format!("the stream was silent for {idle:?}")))??;
    match message {
        None => Ok(None),
        Some(v1::VerifyStreamRequest { message: Some(message) }) => Ok(Some(message)),
        Some(v1::VerifyStreamRequest { message: None }) => {
            let error = ServingError::invalid("message", "is empty; set config or frame");
            Err(status::status(&error))
        }
    }
}

impl Frames {
    /// Reads on to the next frame; configurations on the way take effect from it on.
    async fn step(mut self) -> Option<(Step, Self)> {
        if self.ended {
            return None;
        }
        loop {
            let idle = self.service.config.stream_idle_limit;
            let refused = match next(&mut self.incoming, idle).await {
                Ok(None) => return None,
                Ok(Some(Message::Frame(frame))) => {
                    let job = self.accept(frame);
                    return Some((Step::Frame(Box::new(job)), self));
                }
                Ok(Some(Message::Config(config))) => {
                    match self.service.config.stream(config, Some(&self.plan)) {
                        Ok(plan) => {
                            self.plan = Arc::new(plan);
                            continue;
                        }
                        Err(error) => status::status(&error),
                    }
                }
                Err(status) => status,
            };
            self.ended = true;
            return Some((Step::Refused(refused), self));
        }
    }

    fn accept(&mut self, frame: v1::Frame) -> Job {
        let fault = match self.last_sequence {
            Some(last) if frame.sequence <= last => {
                let reason = format!("is {}, must be greater than {last}", frame.sequence);
                Some(ServingError::invalid("frame.sequence", reason))
            }
            _ => None,
        };
        if fault.is_none() {
            self.last_sequence = Some(frame.sequence);
        }
        Job { plan: Arc::clone(&self.plan), frame, arrived: Instant::now(), fault }
    }
}

impl Job {
    /// The frame's one result, and how long it took.
    async fn work(self, service: &Verification, call: Deadline) -> (v1::FrameResult, Duration) {
        let own = self.plan.frame_timeout.and_then(|timeout| self.arrived.checked_add(timeout));
        let deadline = match (own, call) {
            (Some(own), Some(call)) => Some(own.min(call)),
            (own, call) => own.or(call),
        };
        let v1::Frame { sequence, presentation_time, image } = self.frame;
        let answered = match (self.fault, frame(image)) {
            (Some(fault), _) => Err(fault),
            (None, Err(error)) => Err(error.within("frame.")),
            (None, Ok(frame)) => {
                let answered = service.answer(frame, &self.plan.request, deadline).await;
                answered.map_err(|error| error.within("frame."))
            }
        };
        let latency = self.arrived.elapsed();
        let outcome = match answered {
            Ok(result) => v1::frame_result::Outcome::Ok(convert::response(result)),
            Err(ServingError::Expired(_)) => {
                v1::frame_result::Outcome::Expired(v1::Expired { after: duration(latency) })
            }
            Err(error) => {
                v1::frame_result::Outcome::Error(status::as_message(&status::status(&error)))
            }
        };
        (v1::FrameResult { sequence, presentation_time, outcome: Some(outcome) }, latency)
    }
}

/// Counts of a stream.
struct Tally {
    began: Instant,
    counts: v1::StreamSummary,
    total_latency: Duration,
    max_latency: Duration,
}

impl Tally {
    fn new(began: Instant) -> Self {
        Self {
            began,
            counts: v1::StreamSummary::default(),
            total_latency: Duration::ZERO,
            max_latency: Duration::ZERO,
        }
    }

    fn add(&mut self, result: &v1::FrameResult, latency: Duration) {
        self.counts.frames += 1;
        match &result.outcome {
            Some(v1::frame_result::Outcome::Ok(_)) => {
                self.counts.ok += 1;
                self.total_latency += latency;
                self.max_latency = self.max_latency.max(latency);
            }
            Some(v1::frame_result::Outcome::Dropped(_)) => self.counts.dropped += 1,
            Some(v1::frame_result::Outcome::Expired(_)) => self.counts.expired += 1,
            Some(v1::frame_result::Outcome::Error(_)) | None => self.counts.errors += 1,
        }
    }

    fn summary(&self) -> v1::StreamSummary {
        let answered = u32::try_from(self.counts.ok).unwrap_or(u32::MAX);
        let measured = answered > 0;
        v1::StreamSummary {
            elapsed: duration(self.began.elapsed()),
            mean_latency: measured
                .then(|| duration(self.total_latency / answered.max(1)))
                .flatten(),
            max_latency: measured.then(|| duration(self.max_latency)).flatten(),
            ..self.counts.clone()
        }
    }
}
