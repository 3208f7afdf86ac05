//! An answer over the frames of a video: configuration, frames, one testimony each, the answer.
//!
//! Frames are looked at one after the other, so a stream holds one frame and what flow control lets
//! the client send ahead.

use std::time::Instant;

use futures::stream::BoxStream;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tonic::{Request, Status, Streaming};
use tracing::Instrument;

use super::{Answers, convert, record, respond};
use crate::answers::{FrameTestimony, Video};
use crate::proto::v1;
use crate::proto::v1::verify_answer_stream_request::Message;
use crate::proto::v1::verify_answer_stream_response::Message as Said;
use crate::retrieval::RetrievalError;
use crate::server::convert::convert_image;
use crate::server::deadline::{CallTerms, within};
use crate::server::status::{
    in_band, responses_end, responses_unread, retrieval_failed, status, stream_idle,
    too_many_frames,
};
use crate::server::told::told;
use crate::serving::{Flow, ServingError, Terms};
use crate::telemetry::metrics::StreamEnd;

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<v1::VerifyAnswerStreamResponse, Status>>;

type Requests = Streaming<v1::VerifyAnswerStreamRequest>;
/// How a stream ended before its answer, and what its client is told.
type Ended = (StreamEnd, Option<Status>);
type Sender = mpsc::Sender<v1::VerifyAnswerStreamResponse>;

/// Reads the configuration and answers the frames that follow.
pub(super) async fn answer(
    answers: Answers,
    request: Request<Requests>,
) -> Result<Responses, Status> {
    let mut open = answers.streams.open()?;
    let terms = CallTerms::in_request(&request);
    let mut requests = request.into_inner();
    let first = async { Ok(answers.next(&mut requests).await) };
    let first = within(terms.deadline, "the stream's configuration", first).await;
    let first = first.map_err(|error| status(&error))?;
    let first = first.map_err(|(_, ended)| ended.unwrap_or_else(responses_end))?;
    let Some(Message::Config(config)) = first else {
        let reason = "the first message must be a configuration";
        return Err(status(&ServingError::invalid("config", reason)));
    };
    let terms = Terms { flow: Flow::unique(), ..terms };
    let (sender, responses) = mpsc::channel(1);
    let mut task = JoinSet::new();
    let work = async move {
        let watch = Box::pin(answers.watch(config, requests, (terms, &sender)));
        let watch = async { Ok(watch.await) };
        let end = within(terms.deadline, "the rest of the stream", watch).await;
        let (reason, status) = match end {
            Ok(Ok(())) => (StreamEnd::ClientClosed, None),
            Ok(Err(ended)) => ended,
            Err(late) => (StreamEnd::Deadline, Some(status(&late))),
        };
        open.ends(reason);
        status
    };
    task.spawn(work.instrument(tracing::Span::current()));
    Ok(told(responses, task))
}

impl Answers {
    /// The next message; none where the client has closed its side.
    async fn next(&self, requests: &mut Requests) -> Result<Option<Message>, Ended> {
        let idle = self.answering.config.streams.idle_limit;
        let message = tokio::select! {
            biased;
            () = self.answering.draining.cancelled() => {
                return Err((StreamEnd::Draining, Some(responses_end())));
            }
            message = tokio::time::timeout(idle, requests.message()) => message,
        };
        let Ok(message) = message else {
            return Err((StreamEnd::Idle, Some(stream_idle(idle))));
        };
        match message.map_err(refused)? {
            None => Ok(None),
            Some(request) => request.message.map(Some).ok_or_else(|| {
                let reason = "is required: config or frame";
                refused(status(&ServingError::invalid("message", reason)))
            }),
        }
    }

    async fn watch(
        &self,
        config: v1::VerifyAnswerRequest,
        mut requests: Requests,
        (terms, sender): (Terms, &Sender),
    ) -> Result<(), Ended> {
        let started = Instant::now();
        let limits = &self.answering.config.request_limits;
        let (asked, paths) = convert::request(config, limits)
            .map_err(|error| refused(status(&error.within("config."))))?;
        let failed = |error: RetrievalError| {
            let named = error.renamed(|field| format!("config.{}", convert::path(field, &paths)));
            refused(retrieval_failed(&named))
        };
        let mut video = Video::open(self.backend(), asked, terms).await.map_err(failed)?;
        let mut last = None;
        let most = self.config.max_frames;
        let mut frames = 0_usize;
        while let Some(message) = self.next(&mut requests).await? {
            let Message::Frame(frame) = message else {
                let reason = "only the first message may be a configuration";
                return Err(refused(status(&ServingError::invalid("config", reason))));
            };
            frames += 1;
            if frames > most {
                return Err(refused(too_many_frames(most)));
            }
            let sequence = frame.sequence;
            let told = testimony(&mut video, frame, last).await;
            last = last.max(Some(sequence));
            self.tell(sender, Said::Frame(told)).await?;
        }
        let result = video.finish().await.map_err(failed)?;
        record(&result, started);
        self.tell(sender, Said::Answer(respond::answer(result))).await
    }

    /// Waits for the reader, but not for ever.
    async fn tell(&self, sender: &Sender, told: Said) -> Result<(), Ended> {
        let limit = self.answering.config.streams.send_limit;
        let response = v1::VerifyAnswerStreamResponse { message: Some(told) };
        match tokio::time::timeout(limit, sender.send(response)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err((StreamEnd::ClientGone, None)),
            Err(_) => Err((StreamEnd::ReaderStuck, Some(responses_unread(limit)))),
        }
    }
}

fn refused(status: Status) -> Ended {
    (StreamEnd::Refused, Some(status))
}

/// What one frame says; its errors stay with it.
async fn testimony(
    video: &mut Video<'_>,
    frame: v1::Frame,
    last: Option<u64>,
) -> v1::FrameTestimony {
    let v1::Frame { sequence, presentation_time, image } = frame;
    let told = v1::FrameTestimony { sequence, presentation_time, ..Default::default() };
    let looked = async {
        if let Some(last) = last.filter(|&last| sequence <= last) {
            let reason = format!("is {sequence}, must be greater than {last}");
            return Err(ServingError::invalid("sequence", reason));
        }
        let time = presentation_time.and_then(|time| time.try_into().ok());
        video.frame(convert_image(image)?, (sequence, time)).await
    };
    match looked.await {
        Ok(FrameTestimony { support }) => v1::FrameTestimony { support, ..told },
        Err(error) => {
            v1::FrameTestimony { error: Some(in_band(&status(&error.within("frame.")))), ..told }
        }
    }
}
