//! A stream of frames: configuration first, one result for each frame, in order, and a summary.
//!
//! Nothing is spawned and nothing is buffered but the frames in flight: the response is a chain of
//! adapters over the request, so whoever drops it drops all of its work.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::future::{self, BoxFuture};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tonic::{Status, Streaming};

use super::answer::Answering;
use super::convert::{StreamTerms, convert_image, convert_stream};
use super::deadline::{earlier, within};
use super::respond;
use super::status::{in_band, status};
use crate::proto::v1;
use crate::proto::v1::frame_result::Outcome;
use crate::proto::v1::verify_stream_request::Message;
use crate::serving::{ServingError, Terms};

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<v1::VerifyStreamResponse, Status>>;

/// A frame's result and how long it took; or why the stream ends.
type Step = Result<(v1::FrameResult, Duration), Status>;

/// Frames in flight where the configuration does not say.
const DEFAULT_IN_FLIGHT: usize = 8;

/// Reads the configuration and answers the frames that follow.
pub(super) async fn answer(
    answering: Arc<Answering>,
    mut requests: Streaming<v1::VerifyStreamRequest>,
    terms: Terms,
) -> Result<Responses, Status> {
    let first = async { Ok(requests.message().await) };
    let first = within(terms.deadline, "the stream's configuration", first).await;
    let first = first.map_err(|error| status(&error))??;
    let Some(Message::Config(config)) = first.and_then(|request| request.message) else {
        let error = ServingError::invalid("config", "the first message must be a configuration");
        return Err(status(&error));
    };
    let intake = Intake::open(answering, config, terms).map_err(|error| status(&error))?;
    let window = intake.max_in_flight;
    let steps = steps(requests, intake).buffered(window).boxed();
    let ending = Ending { steps, terms, tally: Tally::new(Instant::now()) };
    Ok(stream::unfold(Some(ending), Ending::next).boxed())
}

/// Requests to the work that they call for; ends after the first that ends the stream.
fn steps(
    requests: Streaming<v1::VerifyStreamRequest>,
    intake: Intake,
) -> impl futures::Stream<Item = BoxFuture<'static, Step>> {
    let messages = requests.scan(Some(intake), |open, request| {
        let step = match open.as_mut() {
            None => return future::ready(None),
            Some(intake) => request.and_then(|request| intake.take(request)),
        };
        future::ready(Some(match step {
            Ok(work) => work,
            Err(refusal) => {
                *open = None;
                Some(future::ready(Err(refusal)).boxed())
            }
        }))
    });
    messages.filter_map(future::ready)
}

/// What is known of a stream while its messages come in.
struct Intake {
    answering: Arc<Answering>,
    asked: Arc<StreamTerms>,
    max_in_flight: usize,
    last_sequence: Option<u64>,
    terms: Terms,
}

impl Intake {
    fn open(
        answering: Arc<Answering>,
        config: v1::StreamConfig,
        terms: Terms,
    ) -> Result<Self, ServingError> {
        let asked = answering.asked(config)?;
        let max_in_flight = asked.max_in_flight.unwrap_or(DEFAULT_IN_FLIGHT);
        let asked = Arc::new(asked);
        Ok(Self { answering, asked, max_in_flight, last_sequence: None, terms })
    }

    /// The work that a message calls for, if any; an error ends the stream.
    fn take(
        &mut self,
        request: v1::VerifyStreamRequest,
    ) -> Result<Option<BoxFuture<'static, Step>>, Status> {
        match request.message {
            Some(Message::Frame(frame)) => Ok(Some(self.frame(frame))),
            Some(Message::Config(config)) => {
                self.replace(config).map_err(|error| status(&error)).map(|()| None)
            }
            None => {
                let error = ServingError::invalid("message", "is required: set config or frame");
                Err(status(&error))
            }
        }
    }

    fn replace(&mut self, config: v1::StreamConfig) -> Result<(), ServingError> {
        let asked = self.answering.asked(config)?;
        if let Some(window) = asked.max_in_flight
            && window != self.max_in_flight
        {
            let reason =
                format!("is {window}, was {} and stays for the stream", self.max_in_flight);
            return Err(ServingError::invalid("config.max_in_flight", reason));
        }
        self.asked = Arc::new(asked);
        Ok(())
    }

    fn frame(&mut self, frame: v1::Frame) -> BoxFuture<'static, Step> {
        let arrived = Instant::now();
        let v1::Frame { sequence, presentation_time, image } = frame;
        let image = match self.last_sequence {
            Some(last) if sequence <= last => {
                let reason = format!("is {sequence}, must be greater than {last}");
                Err(ServingError::invalid("frame.sequence", reason))
            }
            _ => {
                self.last_sequence = Some(sequence);
                convert_image(image)
            }
        };
        let (answering, asked) = (Arc::clone(&self.answering), Arc::clone(&self.asked));
        let own = asked.frame_timeout.and_then(|timeout| arrived.checked_add(timeout));
        let terms = Terms { deadline: earlier(self.terms.deadline, own), ..self.terms };
        let work = async move {
            let result = answering.frame(image, &asked.asked, terms).await;
            let took = arrived.elapsed();
            let outcome = match result {
                Ok(result) => Outcome::Ok(respond::verified(result)),
                Err(ServingError::Expired(_) | ServingError::TooLate { .. }) => {
                    Outcome::Expired(v1::Expired { after: Some(respond::duration(took)) })
                }
                Err(error) => Outcome::Error(in_band(&status(&placed(error)))),
            };
            let result = v1::FrameResult { sequence, presentation_time, outcome: Some(outcome) };
            Ok((result, took))
        };
        work.boxed()
    }
}

impl Answering {
    /// What a configuration asks; its models exist.
    fn asked(&self, config: v1::StreamConfig) -> Result<StreamTerms, ServingError> {
        let stream = convert_stream(config, &self.config.request_limits);
        let stream = stream.map_err(|error| error.within("config."))?;
        let asked = &stream.asked;
        let similarity = asked.similarity.as_ref();
        let shared = similarity.and_then(|part| part.model.as_deref());
        let clips = [
            similarity.map(|part| part.model.as_deref()),
            asked.heatmaps.as_ref().map(|part| part.model.as_deref().or(shared)),
            asked.regions.as_ref().map(|part| part.model.as_deref().or(shared)),
        ];
        for name in clips.into_iter().flatten() {
            self.catalog.clip(name)?;
        }
        if asked.detection.is_some() || asked.regions.is_some() {
            let detector = asked.detection.as_ref().and_then(|part| part.model.as_deref());
            self.catalog.detector(detector)?;
        }
        Ok(stream)
    }
}

/// The field of a frame's error, from the root of the stream's messages.
fn placed(error: ServingError) -> ServingError {
    let prefix = match &error {
        ServingError::Invalid { field, .. } if field.starts_with("frame.") => "",
        ServingError::Invalid { field, .. } if field.starts_with("image") => "frame.",
        ServingError::Invalid { .. } => "config.",
        ServingError::NotFound { .. }
        | ServingError::Overloaded { .. }
        | ServingError::TooLate { .. }
        | ServingError::Expired(_)
        | ServingError::Closed(_)
        | ServingError::Failed { .. } => "",
    };
    error.within(prefix)
}

/// The results, and what remains to be said after them.
struct Ending {
    steps: BoxStream<'static, Step>,
    terms: Terms,
    tally: Tally,
}

impl Ending {
    /// The next message; after the last one, nothing to go on with.
    async fn next(
        open: Option<Self>,
    ) -> Option<(Result<v1::VerifyStreamResponse, Status>, Option<Self>)> {
        let mut open = open?;
        let next = async { Ok(open.steps.next().await) };
        let message = match within(open.terms.deadline, "the stream", next).await {
            Ok(Some(Ok((result, took)))) => {
                open.tally.count(result.outcome.as_ref(), took);
                let message = v1::verify_stream_response::Message::Result(result);
                let response = v1::VerifyStreamResponse { message: Some(message) };
                return Some((Ok(response), Some(open)));
            }
            Ok(Some(Err(refusal))) => Err(refusal),
            Ok(None) => {
                let summary = open.tally.summary(Instant::now());
                let message = v1::verify_stream_response::Message::Summary(summary);
                Ok(v1::VerifyStreamResponse { message: Some(message) })
            }
            Err(error) => Err(status(&error)),
        };
        Some((message, None))
    }
}

/// What the summary says.
#[derive(Debug)]
struct Tally {
    started: Instant,
    counts: v1::StreamSummary,
    latency: Duration,
    longest: Duration,
}

impl Tally {
    fn new(started: Instant) -> Self {
        let counts = v1::StreamSummary::default();
        Self { started, counts, latency: Duration::ZERO, longest: Duration::ZERO }
    }

    fn count(&mut self, outcome: Option<&Outcome>, took: Duration) {
        self.counts.frames += 1;
        match outcome {
            Some(Outcome::Ok(_)) => {
                self.counts.ok += 1;
                self.latency += took;
                self.longest = self.longest.max(took);
            }
            Some(Outcome::Dropped(_)) => self.counts.dropped += 1,
            Some(Outcome::Expired(_)) => self.counts.expired += 1,
            Some(Outcome::Error(_)) | None => self.counts.errors += 1,
        }
    }

    fn summary(&self, now: Instant) -> v1::StreamSummary {
        let ok = u32::try_from(self.counts.ok).unwrap_or(u32::MAX);
        let mean = self.latency.checked_div(ok);
        v1::StreamSummary {
            elapsed: Some(respond::duration(now - self.started)),
            mean_latency: mean.map(respond::duration),
            max_latency: mean.map(|_| respond::duration(self.longest)),
            ..self.counts
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_counts_every_frame_once() {
        let started = Instant::now();
        let mut tally = Tally::new(started);
        assert_eq!(tally.summary(started).mean_latency, None);
        let ok = Outcome::Ok(v1::VerifyResponse::default());
        tally.count(Some(&ok), Duration::from_millis(10));
        tally.count(Some(&ok), Duration::from_millis(30));
        tally.count(Some(&Outcome::Expired(v1::Expired::default())), Duration::from_secs(9));
        let error = in_band(&Status::internal("no"));
        tally.count(Some(&Outcome::Error(error)), Duration::from_secs(9));
        let summary = tally.summary(started + Duration::from_secs(1));
        let counts = (summary.frames, summary.ok, summary.dropped, summary.expired, summary.errors);
        assert_eq!(counts, (4, 2, 0, 1, 1));
        let millis = |nanos| Some(prost_types::Duration { seconds: 0, nanos });
        assert_eq!(summary.mean_latency, millis(20_000_000));
        assert_eq!(summary.max_latency, millis(30_000_000));
    }

    #[test]
    fn a_frames_error_names_the_field_from_the_messages_root() {
        for (field, expected) in [
            ("image.raw.format", "frame.image.raw.format"),
            ("frame.sequence", "frame.sequence"),
            ("detection.classes[0]", "config.detection.classes[0]"),
        ] {
            let error = placed(ServingError::invalid(field, "no"));
            assert_eq!(error.to_string(), format!("{expected}: no"));
        }
    }
}
