//! `ModelStreamInfer` in Triton's shape: one response for each request, in order; a request that
//! fails is answered in place.
//!
//! One task polls all of the stream's work, for it must be able to end the stream of a client that
//! never reads. The response owns the task, so a stream that is reset drops all of its work at once.

use std::sync::Arc;

use futures::future::BoxFuture;
use futures::stream::{BoxStream, FuturesOrdered};
use futures::{FutureExt, StreamExt};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::infer::Inference;
use crate::proto::inference as wire;
use crate::server::deadline::within;
use crate::server::notes::Notes;
use crate::server::status::{responses_end, responses_unread, status, stream_idle};
use crate::server::stream::{StreamLimits, Streams};
use crate::server::told::told;
use crate::serving::{Flow, ServingError, Terms};
use crate::telemetry::metrics::StreamEnd;

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<wire::ModelStreamInferResponse, Status>>;

/// What a stream's call brings.
pub(super) struct Asked {
    pub(super) requests: Streaming<wire::ModelInferRequest>,
    pub(super) terms: Terms,
    /// Where the requests are counted.
    pub(super) notes: Notes,
}

/// Answers requests until the client has no more, the call's deadline passes, nothing comes or is
/// read for too long, or the server shuts down.
pub(super) fn answer(
    inference: Arc<Inference>,
    streams: &Streams,
    Asked { requests, terms, notes }: Asked,
) -> Result<Responses, Status> {
    let mut open = streams.open()?;
    // The requests of one stream take turns with those of others.
    let terms = Terms { flow: Flow::unique(), ..terms };
    let working = FuturesOrdered::new();
    let last = Last::Requests;
    let driver = Driver { inference, requests, terms, notes, working, reads: true, last };
    let (sender, responses) = mpsc::channel(1);
    let mut task = JoinSet::new();
    let drive = async move {
        let deadline = driver.terms.deadline;
        let driven =
            within(deadline, "the rest of the stream", async { Ok(driver.run(sender).await) });
        let (reason, status) = driven
            .await
            .unwrap_or_else(|late: ServingError| (StreamEnd::Deadline, Some(status(&late))));
        open.ends(reason);
        status
    };
    task.spawn(drive.instrument(tracing::Span::current()));
    Ok(told(responses, task))
}

/// A stream's requests and the work on them.
struct Driver {
    inference: Arc<Inference>,
    requests: Streaming<wire::ModelInferRequest>,
    terms: Terms,
    notes: Notes,
    /// In the order of the requests.
    working: FuturesOrdered<BoxFuture<'static, wire::ModelStreamInferResponse>>,
    /// Whether more requests are taken.
    reads: bool,
    last: Last,
}

/// Why no more requests are taken.
enum Last {
    /// They have ended.
    Requests,
    /// One could not be read.
    Broken(Status),
    /// The server shuts down.
    Draining,
}

/// How a stream ended, and what its client is told.
type Ended = (StreamEnd, Option<Status>);

impl Driver {
    async fn run(mut self, sender: mpsc::Sender<wire::ModelStreamInferResponse>) -> Ended {
        let config = &self.inference.answering.config;
        let (limits, window) = (config.streams, config.open_inference.max_in_flight.max(1));
        let draining = self.inference.answering.draining.clone();
        while self.reads || !self.working.is_empty() {
            let is_idle = self.reads && self.working.is_empty();
            let has_room = self.reads && self.working.len() < window;
            tokio::select! {
                Some(response) = self.working.next() => {
                    if let Some(ended) = send(&sender, response, limits).await {
                        return ended;
                    }
                }
                request = self.requests.next(), if has_room => self.take(request),
                () = draining.cancelled(), if self.reads => {
                    self.reads = false;
                    self.last = Last::Draining;
                }
                () = sleep(limits.idle_limit), if is_idle => {
                    return (StreamEnd::Idle, Some(stream_idle(limits.idle_limit)));
                }
            }
        }
        match self.last {
            Last::Requests => (StreamEnd::ClientClosed, None),
            Last::Broken(status) => (StreamEnd::Refused, Some(status)),
            Last::Draining => (StreamEnd::Draining, Some(responses_end())),
        }
    }

    /// Begins the work on a request, or notes that it was the last.
    fn take(&mut self, request: Option<Result<wire::ModelInferRequest, Status>>) {
        match request {
            Some(Ok(request)) => {
                self.notes.frame();
                let (inference, terms) = (Arc::clone(&self.inference), self.terms);
                self.working.push_back(single(inference, request, terms).boxed());
            }
            Some(Err(broken)) => {
                self.reads = false;
                self.last = Last::Broken(broken);
            }
            None => self.reads = false,
        }
    }
}

/// Hands a response over; how the stream ended where nobody takes it.
async fn send(
    sender: &mpsc::Sender<wire::ModelStreamInferResponse>,
    response: wire::ModelStreamInferResponse,
    limits: StreamLimits,
) -> Option<Ended> {
    let limit = limits.send_limit;
    match timeout(limit, sender.send(response)).await {
        Ok(Ok(())) => None,
        Ok(Err(_)) => Some((StreamEnd::ClientGone, None)),
        Err(_) => Some((StreamEnd::ReaderStuck, Some(responses_unread(limit)))),
    }
}

async fn single(
    inference: Arc<Inference>,
    request: wire::ModelInferRequest,
    terms: Terms,
) -> wire::ModelStreamInferResponse {
    let id = request.id.clone();
    match inference.infer(request, terms, true).await {
        Ok(response) => wire::ModelStreamInferResponse {
            error_message: String::new(),
            infer_response: Some(response),
        },
        Err(error) => refusal(&error, id),
    }
}

fn refusal(error: &ServingError, id: String) -> wire::ModelStreamInferResponse {
    wire::ModelStreamInferResponse {
        error_message: status(error).message().to_owned(),
        // So the client knows which of its requests it was.
        infer_response: Some(wire::ModelInferResponse { id, ..Default::default() }),
    }
}
