//! `IngestItems`: items go in while results of earlier ones come out, in the items' order.
//!
//! One task polls all of the stream's work, for it must be able to end the stream of a client that
//! never reads. The response owns the task, so a stream that is reset drops what is not yet written.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use futures::stream::{self, BoxStream};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tonic::{Status, Streaming};
use tracing::Instrument;

use super::{answer, items};
use crate::proto::v1;
use crate::proto::v1::ingest_items_request::Message;
use crate::retrieval::{Brought, Library, Outcome};
use crate::server::deadline::within;
use crate::server::notes::Notes;
use crate::server::status::{
    responses_end, responses_unread, retrieval_failed, status, stream_idle,
};
use crate::server::stream::{StreamLimits, Streams};
use crate::server::told::told;
use crate::serving::{Flow, ServingError, Terms};
use crate::telemetry::metrics::StreamEnd;

/// What the client gets.
pub(super) type Responses = BoxStream<'static, Result<v1::IngestItemsResponse, Status>>;

/// What a stream's call brings.
pub(super) struct Asked {
    pub(super) library: Library,
    pub(super) terms: Terms,
    /// Where the items are counted.
    pub(super) notes: Notes,
    pub(super) limits: StreamLimits,
    /// Cancelled when the server begins to shut down.
    pub(super) draining: CancellationToken,
}

/// Reads the collection, then takes items until the client has no more, the call's deadline passes,
/// nothing comes or is read for too long, or the server shuts down.
pub(super) async fn answer(
    asked: Asked,
    streams: &Streams,
    mut requests: Streaming<v1::IngestItemsRequest>,
) -> Result<Responses, Status> {
    let mut open = streams.open()?;
    // The items of one stream take turns with those of others.
    let terms = Terms { flow: Flow::unique(), ..asked.terms };
    let first = async { Ok(collection(&mut requests, &asked).await) };
    let collection = within(terms.deadline, "the stream's collection", first).await;
    let collection = collection.map_err(|error: ServingError| status(&error))??;
    // Told at once, rather than once an item has come.
    asked.library.model(&collection).await.map_err(|error| retrieval_failed(&error))?;
    let (sender, responses) = mpsc::channel(1);
    let mut task = JoinSet::new();
    let drive = async move {
        let driver = Driver { asked: Asked { terms, ..asked }, collection };
        let run = Box::pin(driver.run(requests, sender));
        let driven = async { Ok(run.await) };
        let driven = within(terms.deadline, "the rest of the stream", driven).await;
        let (reason, status) =
            driven.unwrap_or_else(|late: ServingError| (StreamEnd::Deadline, Some(status(&late))));
        open.ends(reason);
        status
    };
    task.spawn(drive.instrument(tracing::Span::current()));
    Ok(told(responses, task))
}

/// The first message, which must name the collection.
async fn collection(
    requests: &mut Streaming<v1::IngestItemsRequest>,
    asked: &Asked,
) -> Result<String, Status> {
    let idle = asked.limits.idle_limit;
    let first = tokio::select! {
        biased;
        () = asked.draining.cancelled() => return Err(responses_end()),
        first = timeout(idle, requests.message()) => first,
    };
    let Ok(first) = first else { return Err(stream_idle(idle)) };
    match first?.and_then(|request| request.message) {
        Some(Message::Collection(collection)) => Ok(collection),
        Some(Message::Item(_)) | None => {
            let reason = "the first message must name the collection";
            Err(status(&ServingError::invalid("collection", reason)))
        }
    }
}

/// How a stream ended, and what its client is told.
type Ended = (StreamEnd, Option<Status>);

/// A stream's collection and terms.
struct Driver {
    asked: Asked,
    collection: String,
}

impl Driver {
    async fn run(
        self,
        requests: Streaming<v1::IngestItemsRequest>,
        sender: mpsc::Sender<v1::IngestItemsResponse>,
    ) -> Ended {
        let Self { asked: Asked { library, terms, notes, limits, draining }, collection } = self;
        let shared = Arc::new(Shared::default());
        let intake = Intake { requests, notes, limits, draining, shared: Arc::clone(&shared) };
        let brought = stream::unfold(intake, Intake::next);
        let (outcomes, coming) = mpsc::channel(1);
        let ingesting = async {
            let ingested = library.ingest(&collection, brought, outcomes, terms).await;
            ingested.map_err(|error| (StreamEnd::Refused, Some(retrieval_failed(&error))))
        };
        let telling = tell(coming, sender, &shared, limits);
        match tokio::try_join!(ingesting, telling) {
            Ok(((), ())) => shared.end().unwrap_or((StreamEnd::ClientClosed, None)),
            Err(ended) => ended,
        }
    }
}

/// Hands outcomes over as they come.
async fn tell(
    mut coming: mpsc::Receiver<Outcome>,
    sender: mpsc::Sender<v1::IngestItemsResponse>,
    shared: &Shared,
    limits: StreamLimits,
) -> Result<(), Ended> {
    let (mut stored, mut failed) = (0, 0);
    while let Some(outcome) = coming.recv().await {
        *if outcome.result.is_ok() { &mut stored } else { &mut failed } += 1;
        let result = Some(answer::outcome(outcome, "item"));
        let response = v1::IngestItemsResponse { result, stored, failed };
        match timeout(limits.send_limit, sender.send(response)).await {
            Ok(Ok(())) => shared.working.fetch_sub(1, Ordering::AcqRel),
            Ok(Err(_)) => return Err((StreamEnd::ClientGone, None)),
            Err(_) => {
                let unread = responses_unread(limits.send_limit);
                return Err((StreamEnd::ReaderStuck, Some(unread)));
            }
        };
    }
    Ok(())
}

/// What the intake and those who wait for its end know of each other.
#[derive(Default)]
struct Shared {
    /// Items that have come and are not answered.
    working: AtomicUsize,
    /// Why no more items are taken, unless the client has no more.
    end: Mutex<Option<Ended>>,
}

impl Shared {
    fn end(&self) -> Option<Ended> {
        self.end.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Items as they come from the client.
struct Intake {
    requests: Streaming<v1::IngestItemsRequest>,
    notes: Notes,
    limits: StreamLimits,
    draining: CancellationToken,
    shared: Arc<Shared>,
}

impl Intake {
    async fn next(mut self) -> Option<(Brought, Self)> {
        let idle = self.limits.idle_limit;
        loop {
            let request = tokio::select! {
                biased;
                () = self.draining.cancelled() => {
                    return self.ends((StreamEnd::Draining, Some(responses_end())));
                }
                request = timeout(idle, self.requests.message()) => request,
            };
            let Ok(request) = request else {
                if self.shared.working.load(Ordering::Acquire) > 0 {
                    continue;
                }
                return self.ends((StreamEnd::Idle, Some(stream_idle(idle))));
            };
            let item = match request {
                Ok(None) => return None,
                Err(broken) => return self.ends((StreamEnd::Refused, Some(broken))),
                Ok(Some(request)) => request.message,
            };
            let Some(Message::Item(item)) = item else {
                let reason = "every message after the first must be an item";
                let refused = status(&ServingError::invalid("item", reason));
                return self.ends((StreamEnd::Refused, Some(refused)));
            };
            self.notes.frame();
            self.shared.working.fetch_add(1, Ordering::AcqRel);
            return Some((items::brought(item), self));
        }
    }

    fn ends(&self, ended: Ended) -> Option<(Brought, Self)> {
        *self.shared.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(ended);
        None
    }
}
