//! `ModelStreamInfer` in Triton's shape: one response for each request, in order; a request that
//! fails is answered in place.
//!
//! Nothing is spawned and nothing is buffered but the requests in flight: the responses are a chain
//! of adapters over the requests, so whoever drops them drops all of their work.

use std::sync::Arc;
use std::time::Duration;

use futures::future::{self, BoxFuture};
use futures::stream::{self, BoxStream};
use futures::{FutureExt, StreamExt};
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};

use super::infer::Inference;
use crate::proto::inference as wire;
use crate::server::deadline::within;
use crate::server::status::status;
use crate::serving::{Flow, ServingError, Terms};

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<wire::ModelStreamInferResponse, Status>>;

/// A response, or why the stream ends.
type Step = Result<wire::ModelStreamInferResponse, Status>;

/// Answers requests until the client has no more, the call's deadline passes, nothing comes for the
/// configured time, or the server shuts down.
pub(super) fn answer(
    inference: Arc<Inference>,
    requests: Streaming<wire::ModelInferRequest>,
    terms: Terms,
) -> Responses {
    let config = inference.answering.config.open_inference;
    let draining = inference.answering.draining.clone();
    // The requests of one stream take turns with those of others.
    let terms = Terms { flow: Flow::unique(), ..terms };
    let open = Open {
        steps: steps(inference, requests, terms, config.stream_idle_limit)
            .buffered(config.max_in_flight.max(1))
            .boxed(),
        terms,
        draining,
    };
    stream::unfold(Some(open), Open::next).boxed()
}

/// Requests to the work that they call for; ends with the first that ends the stream, and before
/// the next one when the server shuts down.
fn steps(
    inference: Arc<Inference>,
    requests: Streaming<wire::ModelInferRequest>,
    terms: Terms,
    idle: Duration,
) -> impl futures::Stream<Item = BoxFuture<'static, Step>> {
    let draining = inference.answering.draining.clone();
    let requests = tokio_stream::StreamExt::timeout(requests, idle);
    let requests = requests.take_until(draining.cancelled_owned());
    requests.scan(false, move |ended, request| {
        if *ended {
            return future::ready(None);
        }
        let step = match request {
            Ok(Ok(request)) => single(Arc::clone(&inference), request, terms).boxed(),
            Ok(Err(broken)) => {
                *ended = true;
                future::ready(Err(broken)).boxed()
            }
            Err(_) => {
                *ended = true;
                let reason = format!("no request came for {idle:?}; open another stream");
                future::ready(Err(Status::aborted(reason))).boxed()
            }
        };
        future::ready(Some(step))
    })
}

async fn single(inference: Arc<Inference>, request: wire::ModelInferRequest, terms: Terms) -> Step {
    let id = request.id.clone();
    Ok(match inference.infer(request, terms, true).await {
        Ok(response) => wire::ModelStreamInferResponse {
            error_message: String::new(),
            infer_response: Some(response),
        },
        Err(error) => wire::ModelStreamInferResponse {
            error_message: status(&error).message().to_owned(),
            // So the client knows which of its requests it was.
            infer_response: Some(wire::ModelInferResponse { id, ..Default::default() }),
        },
    })
}

/// The responses, and what remains to be said after them.
struct Open {
    steps: BoxStream<'static, Step>,
    terms: Terms,
    draining: CancellationToken,
}

impl Open {
    /// The next response; after the last one, nothing to go on with.
    async fn next(open: Option<Self>) -> Option<(Step, Option<Self>)> {
        let mut open = open?;
        let next = async { Ok(open.steps.next().await) };
        match within(open.terms.deadline, "the stream", next).await {
            Ok(Some(Ok(response))) => Some((Ok(response), Some(open))),
            Ok(Some(Err(broken))) => Some((Err(broken), None)),
            Ok(None) if open.draining.is_cancelled() => {
                let error = ServingError::Closed("the server".to_owned());
                Some((Err(status(&error)), None))
            }
            Ok(None) => None,
            Err(error) => Some((Err(status(&error)), None)),
        }
    }
}
