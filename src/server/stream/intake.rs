//! Messages from the client to what they call for.

use std::sync::Arc;
use std::time::Instant;

use super::account::Accepted;
use super::config::{Asked, Configurations, FrameTerms};
use super::window::DropReason;
use crate::proto::v1;
use crate::proto::v1::verify_stream_request::Message;
use crate::server::limits::RequestLimits;
use crate::serving::ServingError;
use crate::verification::VerifyRequest;

/// What a message calls for.
pub(super) enum Taken {
    /// Nothing more: a configuration was taken in.
    Configured,
    /// Work on a frame.
    Frame { frame: Accepted, image: Option<v1::Image>, terms: Arc<FrameTerms> },
    /// A result, without work: the frame's number is not greater than that of the one before it.
    OutOfOrder { frame: Accepted, error: ServingError },
    /// A result, without work.
    Dropped { frame: Accepted, reason: DropReason },
}

/// What is known of a stream while its messages come in.
pub(super) struct Intake {
    limits: RequestLimits,
    configurations: Configurations,
    resume_after: Option<u64>,
    last_sequence: Option<u64>,
}

impl Intake {
    /// Opens with the first configuration. `known` tells whether all models asked for are there.
    pub(super) fn open(
        config: v1::StreamConfig,
        limits: RequestLimits,
        max_waiting_configs: usize,
        known: impl Fn(&VerifyRequest) -> Result<(), ServingError>,
    ) -> Result<Self, ServingError> {
        let asked = checked(config, &limits, known)?;
        let resume_after = asked.resume_after;
        let configurations = Configurations::new(asked, max_waiting_configs);
        Ok(Self { limits, configurations, resume_after, last_sequence: None })
    }

    /// What holds for the next frame, as far as is known before it comes.
    pub(super) fn terms(&self) -> &Arc<FrameTerms> {
        self.configurations.holds()
    }

    /// What a message calls for; an error ends the stream.
    pub(super) fn take(
        &mut self,
        request: v1::VerifyStreamRequest,
        now: Instant,
        known: impl Fn(&VerifyRequest) -> Result<(), ServingError>,
    ) -> Result<Taken, ServingError> {
        match request.message {
            Some(Message::Frame(frame)) => Ok(self.frame(frame, now)),
            Some(Message::Config(config)) => {
                let asked = checked(config, &self.limits, known)?;
                let same =
                    asked.resume_after.is_none_or(|_| asked.resume_after == self.resume_after);
                if !same {
                    let reason = "differs from that of the first configuration";
                    return Err(ServingError::invalid("config.resume_after", reason));
                }
                let replaced = self.configurations.replace(asked);
                replaced.map_err(|error| error.within("config."))?;
                Ok(Taken::Configured)
            }
            None => Err(ServingError::invalid("message", "is required: set config or frame")),
        }
    }

    fn frame(&mut self, frame: v1::Frame, now: Instant) -> Taken {
        let v1::Frame { sequence, presentation_time, image } = frame;
        let accepted = |terms: &FrameTerms| {
            let verdicts = terms.verdicts.clone();
            Accepted { sequence, presentation_time, arrived: now, verdicts }
        };
        if let Some(last) = self.last_sequence.filter(|last| sequence <= *last) {
            let reason = format!("is {sequence}, must be greater than {last}");
            let error = ServingError::invalid("frame.sequence", reason);
            return Taken::OutOfOrder { frame: accepted(self.terms()), error };
        }
        self.last_sequence = Some(sequence);
        let terms = self.configurations.of(sequence);
        let frame = accepted(&terms);
        if self.resume_after.is_some_and(|after| sequence <= after) {
            return Taken::Dropped { frame, reason: DropReason::AlreadyAnswered };
        }
        Taken::Frame { frame, image, terms }
    }
}

fn checked(
    config: v1::StreamConfig,
    limits: &RequestLimits,
    known: impl Fn(&VerifyRequest) -> Result<(), ServingError>,
) -> Result<Asked, ServingError> {
    let asked = Asked::convert(config, limits).map_err(|error| error.within("config."))?;
    known(&asked.verify).map_err(|error| error.within("config."))?;
    Ok(asked)
}
