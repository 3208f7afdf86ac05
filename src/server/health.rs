//! `grpc.health.v1`, honest from the first moment.

use std::collections::BTreeMap;
use std::sync::Arc;

use futures::StreamExt;
use futures::stream::{self, BoxStream};
use tokio::sync::watch;
use tonic::server::NamedService;
use tonic::{Request, Response, Status};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_server::{Health as HealthCalls, HealthServer};
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};

use super::service::Verification;
use crate::proto::v1::verification_service_server::VerificationServiceServer;

/// The health service's name for "the process works"; SERVING from start to end.
pub const LIVE: &str = "live";
/// The health service's name for "send requests here"; the same as that of the empty name.
pub const READY: &str = "ready";

/// Names whose health is whether requests are served.
pub(super) const READINESS: [&str; 3] =
    ["", READY, <VerificationServiceServer<Verification> as NamedService>::NAME];

/// The longest request: a name.
const REQUEST_LIMIT_BYTES: usize = 1024;

/// What is told at a moment: whether each name is served.
#[derive(Clone, Default)]
struct Board {
    names: Arc<BTreeMap<String, bool>>,
    /// Nothing more will be told.
    ended: bool,
}

/// What the health service tells. Clones share it.
///
/// In place of tonic's own service, whose `Watch` knows no name that comes later, as models do, and
/// holds a server up that drains.
#[derive(Clone)]
pub(super) struct Health(Arc<watch::Sender<Board>>);

impl Health {
    /// Tells nothing yet, and the service that tells it.
    pub(super) fn new() -> (Self, HealthServer<Self>) {
        let health = Self(Arc::new(watch::Sender::new(Board::default())));
        let service = HealthServer::new(health.clone());
        (health, service.max_decoding_message_size(REQUEST_LIMIT_BYTES))
    }

    /// Replaces all that is told; watchers hear of what changed.
    pub(super) fn tell(&self, names: BTreeMap<String, bool>) {
        self.0.send_if_modified(|board| {
            let changed = *board.names != names;
            if changed {
                board.names = Arc::new(names);
            }
            changed
        });
    }

    /// Ends every watch, after its last status: an open one would hold up the shutdown.
    pub(super) fn end(&self) {
        self.0.send_modify(|board| board.ended = true);
    }

    pub(super) fn is_serving(&self, name: &str) -> bool {
        self.0.borrow().names.get(name) == Some(&true)
    }
}

impl Board {
    /// `None` where the name is unknown.
    fn status(&self, name: &str) -> Option<ServingStatus> {
        self.names.get(name).map(|serves| match serves {
            true => ServingStatus::Serving,
            false => ServingStatus::NotServing,
        })
    }
}

fn told(status: ServingStatus) -> HealthCheckResponse {
    HealthCheckResponse { status: status.into() }
}

#[tonic::async_trait]
impl HealthCalls for Health {
    async fn check(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<HealthCheckResponse>, Status> {
        let name = request.into_inner().service;
        let status = self.0.borrow().status(&name);
        let status = status.ok_or_else(|| Status::not_found("no such service or model"))?;
        Ok(Response::new(told(status)))
    }

    type WatchStream = BoxStream<'static, Result<HealthCheckResponse, Status>>;

    /// The status now and at each change; `SERVICE_UNKNOWN` while the name is unknown, as the protocol
    /// has it.
    async fn watch(
        &self,
        request: Request<HealthCheckRequest>,
    ) -> Result<Response<Self::WatchStream>, Status> {
        let name = request.into_inner().service;
        let watch = Watch { name, board: self.0.subscribe(), last: None };
        Ok(Response::new(stream::unfold(watch, Watch::next).boxed()))
    }
}

/// One watcher.
struct Watch {
    name: String,
    board: watch::Receiver<Board>,
    last: Option<ServingStatus>,
}

impl Watch {
    async fn next(mut self) -> Option<(Result<HealthCheckResponse, Status>, Self)> {
        loop {
            let board = self.board.borrow_and_update().clone();
            let status = board.status(&self.name).unwrap_or(ServingStatus::ServiceUnknown);
            if self.last != Some(status) {
                self.last = Some(status);
                return Some((Ok(told(status)), self));
            }
            if board.ended || self.board.changed().await.is_err() {
                return None;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;
    use tonic::Code;

    use super::*;

    fn board(names: &[(&str, bool)]) -> BTreeMap<String, bool> {
        names.iter().map(|(name, serves)| ((*name).to_owned(), *serves)).collect()
    }

    fn asked(name: &str) -> Request<HealthCheckRequest> {
        Request::new(HealthCheckRequest { service: name.to_owned() })
    }

    #[tokio::test]
    async fn check_tells_what_holds_now() {
        let (health, _service) = Health::new();
        assert_eq!(health.check(asked("")).await.unwrap_err().code(), Code::NotFound);
        health.tell(board(&[("", false), (LIVE, true)]));
        let status =
            async |name: &str| health.check(asked(name)).await.unwrap().into_inner().status();
        assert_eq!(status("").await, ServingStatus::NotServing);
        assert_eq!(status(LIVE).await, ServingStatus::Serving);
        health.tell(board(&[("", true)]));
        assert_eq!(status("").await, ServingStatus::Serving);
        assert!(health.is_serving("") && !health.is_serving(LIVE));
        assert_eq!(health.check(asked(LIVE)).await.unwrap_err().code(), Code::NotFound);
    }

    #[tokio::test]
    async fn watch_tells_each_change_once_also_of_names_that_come_and_go() {
        let (health, _service) = Health::new();
        let mut watch = health.watch(asked("model/clip")).await.unwrap().into_inner();
        let mut next = || watch.next().now_or_never().map(|told| told.map(|t| t.unwrap().status()));
        assert_eq!(next(), Some(Some(ServingStatus::ServiceUnknown)));
        assert_eq!(next(), None);
        health.tell(board(&[("other", true)]));
        assert_eq!(next(), None, "nothing changed for this name");
        for (names, expected) in [
            (board(&[("model/clip", false)]), ServingStatus::NotServing),
            (board(&[("model/clip", true)]), ServingStatus::Serving),
            (board(&[]), ServingStatus::ServiceUnknown),
            (board(&[("model/clip", false)]), ServingStatus::NotServing),
        ] {
            health.tell(names);
            assert_eq!(next(), Some(Some(expected)));
            assert_eq!(next(), None);
        }
        health.end();
        assert_eq!(next(), Some(None));
    }
}
