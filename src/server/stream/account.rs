//! Every result on its way out, and what the summary says of them all.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tonic::Status;

use super::verdicts::{Judge, Plan};
use super::window::{DropReason, Ending};
use super::work::Answered;
use crate::proto::v1;
use crate::proto::v1::frame_result::Outcome;
use crate::server::respond;
use crate::server::status::{self, in_band};
use crate::serving::ServingError;
use crate::telemetry::metrics::{self, ExpiryStage, FrameOutcome};
use crate::telemetry::traces::FrameSpan;

/// A frame that the server has taken from the stream.
#[derive(Clone, Debug)]
pub(super) struct Accepted {
    pub(super) sequence: u64,
    pub(super) presentation_time: Option<prost_types::Duration>,
    pub(super) arrived: Instant,
    /// The verdicts that its configuration asks for.
    pub(super) verdicts: Option<Arc<Plan>>,
}

/// What the work on a frame came to, and when.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) result: Result<Answered, ServingError>,
    pub(super) at: Instant,
    pub(super) span: FrameSpan,
}

/// Why a stream ended.
#[derive(Debug)]
pub(super) enum End {
    /// The client closed its side.
    ClientClosed,
    /// The client sent nothing for this long.
    Idle(Duration),
    /// The client read nothing for this long.
    ReaderStuck(Duration),
    /// The server shuts down.
    Draining,
    /// The stream is as old as one may grow.
    Aged,
    /// The call's deadline passed.
    Deadline,
    /// A message cannot be accepted.
    Refused(Status),
}

/// A frame's result on its way out.
pub(super) struct Passed {
    pub(super) result: v1::FrameResult,
    /// What is to be sent right after it.
    pub(super) events: Vec<v1::SegmentEvent>,
}

/// The last that a stream says.
#[derive(Debug)]
pub(super) struct Closing {
    /// What goes before the summary.
    pub(super) events: Vec<v1::SegmentEvent>,
    pub(super) summary: v1::StreamSummary,
    /// What ends the call; OK where `None`.
    pub(super) status: Option<Status>,
}

/// What was sent.
#[derive(Debug)]
pub(super) struct Account {
    started: Instant,
    counts: v1::StreamSummary,
    latency: Duration,
    longest: Duration,
    judge: Judge,
}

impl Account {
    pub(super) fn new(started: Instant) -> Self {
        let counts = v1::StreamSummary::default();
        let (latency, longest, judge) = (Duration::ZERO, Duration::ZERO, Judge::default());
        Self { started, counts, latency, longest, judge }
    }

    /// How a frame ended, for the client.
    ///
    /// Every result of a stream passes here: once, in the order of the frames, just before it is
    /// sent. So whatever follows from results in their order (the counts of the summary, verdicts
    /// over time) is made here, with no thought of windows, readers or the work of other frames.
    /// What belongs to a frame goes into its result; what opens or closes with it waits with it.
    pub(super) fn passes(
        &mut self,
        frame: Accepted,
        ending: Ending<Finished>,
        now: Instant,
    ) -> Passed {
        let Accepted { sequence, presentation_time, arrived, verdicts } = frame;
        let age = now.saturating_duration_since(arrived);
        let mut reused_from = None;
        let outcome = match ending {
            Ending::Dropped(reason) => {
                metrics::record_drop(reason.label(), age);
                Outcome::Dropped(v1::Dropped { reason: reason.wire().into() })
            }
            Ending::Expired => {
                metrics::record_frame(FrameOutcome::Expired, age);
                metrics::record_expiry(ExpiryStage::Elsewhere);
                Outcome::Expired(v1::Expired { after: Some(respond::duration(age)) })
            }
            Ending::Finished(Finished { result, at, span }) => {
                span.end(status::outcome(&result));
                let took = at.saturating_duration_since(arrived);
                match result {
                    Ok(Answered { response, reused_from: from }) => {
                        self.latency += took;
                        self.longest = self.longest.max(took);
                        reused_from = from;
                        Outcome::Ok(response)
                    }
                    Err(ServingError::Expired(_) | ServingError::TooLate { .. }) => {
                        Outcome::Expired(v1::Expired { after: Some(respond::duration(took)) })
                    }
                    Err(error) => Outcome::Error(in_band(&status::status(&placed(error)))),
                }
            }
        };
        self.count(sequence, &outcome, reused_from.is_some());
        let mut result = v1::FrameResult {
            sequence,
            presentation_time,
            outcome: Some(outcome),
            reused_from,
            verdicts: Vec::new(),
        };
        let came = arrived.saturating_duration_since(self.started);
        let events = self.judge.observe(verdicts.as_ref(), came, &mut result);
        Passed { result, events }
    }

    fn count(&mut self, sequence: u64, outcome: &Outcome, reused: bool) {
        let counts = &mut self.counts;
        counts.frames += 1;
        counts.reused += u64::from(reused);
        // A frame out of order is answered too, but is not the last.
        counts.last_sequence = counts.last_sequence.max(Some(sequence));
        match outcome {
            Outcome::Ok(_) => counts.ok += 1,
            Outcome::Dropped(_) => counts.dropped += 1,
            Outcome::Expired(_) => counts.expired += 1,
            Outcome::Error(_) => counts.errors += 1,
        }
    }

    /// What is said after the last result.
    pub(super) fn close(&mut self, end: &End, now: Instant) -> Closing {
        let events = self.judge.end();
        let ok = u32::try_from(self.counts.ok).unwrap_or(u32::MAX);
        let mean = self.latency.checked_div(ok);
        let summary = v1::StreamSummary {
            elapsed: Some(respond::duration(now.saturating_duration_since(self.started))),
            mean_latency: mean.map(respond::duration),
            max_latency: mean.map(|_| respond::duration(self.longest)),
            end: end.wire().into(),
            verdicts: self.judge.summary(),
            ..self.counts.clone()
        };
        Closing { events, summary, status: end.status(self.counts.last_sequence) }
    }
}

impl End {
    pub(super) fn label(&self) -> metrics::StreamEnd {
        match self {
            Self::ClientClosed => metrics::StreamEnd::ClientClosed,
            Self::Idle(_) => metrics::StreamEnd::Idle,
            Self::ReaderStuck(_) => metrics::StreamEnd::ReaderStuck,
            Self::Draining => metrics::StreamEnd::Draining,
            Self::Aged => metrics::StreamEnd::Aged,
            Self::Deadline => metrics::StreamEnd::Deadline,
            Self::Refused(_) => metrics::StreamEnd::Refused,
        }
    }

    /// What ends the call of a stream whose frames up to `last` have their results.
    fn status(&self, last: Option<u64>) -> Option<Status> {
        match self {
            Self::ClientClosed => None,
            Self::Idle(limit) => Some(status::stream_idle(*limit)),
            Self::ReaderStuck(limit) => Some(status::reader_stuck(*limit, last)),
            Self::Draining => Some(status::stream_drained(last)),
            Self::Aged => Some(status::stream_aged(last)),
            Self::Deadline => {
                Some(status::status(&ServingError::Expired("the rest of the stream".to_owned())))
            }
            Self::Refused(status) => Some(status.clone()),
        }
    }

    fn wire(&self) -> v1::StreamEnd {
        match self {
            Self::ClientClosed => v1::StreamEnd::ClientClosed,
            Self::Idle(_) => v1::StreamEnd::Idle,
            Self::ReaderStuck(_) => v1::StreamEnd::ReaderStuck,
            Self::Draining => v1::StreamEnd::Draining,
            Self::Aged => v1::StreamEnd::Aged,
            Self::Deadline => v1::StreamEnd::Deadline,
            Self::Refused(_) => v1::StreamEnd::Refused,
        }
    }
}

impl DropReason {
    fn wire(self) -> v1::DropReason {
        match self {
            Self::Replaced => v1::DropReason::Replaced,
            Self::WindowFull => v1::DropReason::WindowFull,
            Self::AlreadyAnswered => v1::DropReason::AlreadyAnswered,
        }
    }

    fn label(self) -> metrics::DropReason {
        match self {
            Self::Replaced => metrics::DropReason::Replaced,
            Self::WindowFull => metrics::DropReason::WindowFull,
            Self::AlreadyAnswered => metrics::DropReason::AlreadyAnswered,
        }
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
        | ServingError::Loading(_)
        | ServingError::Expired(_)
        | ServingError::Closed(_)
        | ServingError::Failed { .. } => "",
    };
    error.within(prefix)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::telemetry::traces::FrameSpans;

    #[test]
    fn a_summary_counts_every_frame_once() {
        let started = Instant::now();
        let at = |ms| started + Duration::from_millis(ms);
        let mut account = Account::new(started);
        let opening = account.close(&End::ClientClosed, started).summary;
        assert_eq!((opening.mean_latency, opening.last_sequence), (None, None));
        let ok =
            |reused_from| Ok(Answered { response: v1::VerifyResponse::default(), reused_from });
        let mut spans = FrameSpans::of_this_call();
        let mut finished =
            |result, ms| Ending::Finished(Finished { result, at: at(ms), span: spans.begin(0) });
        let expired = || Err(ServingError::Expired("clip".to_owned()));
        for (sequence, ending) in [
            (3, finished(ok(None), 10)),
            (5, finished(ok(Some(3)), 30)),
            (6, finished(expired(), 9000)),
            (8, Ending::Expired),
            (9, Ending::Dropped(DropReason::Replaced)),
            (4, finished(Err(ServingError::invalid("frame.sequence", "no")), 0)),
        ] {
            let (presentation_time, verdicts) = (None, None);
            let frame = Accepted { sequence, presentation_time, arrived: started, verdicts };
            account.passes(frame, ending, at(9000));
        }
        let summary = account.close(&End::Draining, at(10_000)).summary;
        let counts = (summary.frames, summary.ok, summary.dropped, summary.expired, summary.errors);
        assert_eq!(counts, (6, 2, 1, 2, 1));
        assert_eq!((summary.reused, summary.last_sequence), (1, Some(9)));
        assert_eq!(summary.end(), v1::StreamEnd::Draining);
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
