//! The gRPC services, their layers and their life.
//!
//! Imports: units, bounds, calibration, claims, telemetry, evidence, vision, explain, serving, verification, retrieval, answers, proto.

mod admin;
mod answer;
mod answers;
pub mod auth;
mod box_heatmaps;
mod call;
mod config;
pub mod connections;
mod convert;
mod deadline;
mod evidence;
#[doc(hidden)]
pub mod fuzzing;
mod guard;
mod health;
mod lifecycle;
mod limits;
mod listener;
mod method;
mod notes;
mod observe;
mod peer;
pub mod oip;
mod respond;
mod service;
mod socket;
mod status;
mod stream;
pub mod tls;
mod told;
mod watch;
mod zoom;

use std::future::Future;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tonic::service::RoutesBuilder;
use tonic::transport::{Error as TransportError, Server};

use crate::proto::DESCRIPTORS;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceServiceServer;
use crate::proto::v1::admin_service_server::AdminServiceServer;
use crate::proto::v1::answer_service_server::AnswerServiceServer;
use crate::proto::v1::evidence_service_server::EvidenceServiceServer;
use crate::proto::v1::verification_service_server::VerificationServiceServer;
use crate::retrieval::Library;
use crate::serving::Catalog;

use admin::Admin;
use answer::Answering;
use answers::Answers;
use connections::Places;
use evidence::Evidence;
use health::Health;
use lifecycle::Life;
use observe::ObserveLayer;
use oip::InferenceService;
use service::Verification;
use stream::Streams;

pub use config::{Config, Readiness};
pub use guard::Guard;
pub use health::{LIVE, READY};
pub use limits::RequestLimits;
pub use oip::OpenInference;
pub use stream::StreamLimits;
pub use watch::FileError;

/// The longest request of an operator: a few names.
const ADMIN_REQUEST_LIMIT_BYTES: usize = 64 << 10;

/// Why a server ended other than by shutdown.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The listener or a connection failed in a way that ends the server.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] TransportError),
    /// The protocol's own description does not parse: a broken build.
    #[error("gRPC reflection cannot be offered: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
    /// A certificate, its key or the key file cannot be used.
    #[error(transparent)]
    Guard(#[from] FileError),
}

/// What a server offers.
#[derive(Clone)]
pub struct Offer {
    /// The models.
    pub catalog: Arc<Catalog>,
    /// The evidence; without one, calls about it are refused.
    pub library: Option<Library>,
    /// How answers are checked.
    pub answers: crate::answers::Config,
}

impl From<Arc<Catalog>> for Offer {
    /// Models alone.
    fn from(catalog: Arc<Catalog>) -> Self {
        Self { catalog, library: None, answers: crate::answers::Config::default() }
    }
}

/// Serves `offer` on `listener` until `shutdown` ends; returns when running calls have ended or
/// [`Config::drain_limit`] has passed. The store of evidence is closed then.
///
/// Health is NOT_SERVING until every model that the catalog expects is warm, follows the models
/// after that, and is NOT_SERVING again from the shutdown on; the service `live` is SERVING all the
/// time.
pub async fn run(
    listener: TcpListener,
    offer: impl Into<Offer>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let guard = Arc::new(Guard::open(&config.tls, &config.auth)?);
    run_guarded(listener, offer, config, guard, shutdown).await
}

/// As [`run`], behind a guard that has been opened before.
pub async fn run_guarded(
    listener: TcpListener,
    offer: impl Into<Offer>,
    config: Config,
    guard: Arc<Guard>,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let offer = offer.into();
    let (catalog, library) = (Arc::clone(&offer.catalog), offer.library.clone());
    let loopback = listener.local_addr().is_ok_and(|address| address.ip().is_loopback());
    if !loopback && guard.asks_for_keys() && !guard.encrypts() {
        tracing::warn!("API keys travel unencrypted: configure TLS, here or before this server");
    }
    let config = Arc::new(config);
    let (health, health_service) = Health::new();
    let life = Arc::new(Life::begin(Arc::clone(&catalog), Arc::clone(&config), health));
    let mut routes = services(offer, &config, &life, loopback);
    routes.add_service(health_service);
    if config.auth.reflection {
        routes.add_service(reflection().build_v1()?);
        routes.add_service(reflection().build_v1alpha()?);
    }
    let router = builder(&config)
        .layer(ObserveLayer::new(config.max_calls, config.tracer.clone()))
        .layer(guard.layer(loopback))
        .add_routes(routes.routes());

    let leaving = async {
        shutdown.await;
        life.leave().await;
    };
    let places = Places::new(&config.connections);
    let incoming = listener::incoming(listener, places, guard.encryption());
    let serving = router.serve_with_incoming_shutdown(incoming, leaving);
    tokio::select! {
        result = serving => result?,
        () = life.out_of_time() => {
            tracing::warn!(limit = ?config.drain_limit, "running calls were cut off");
        }
        never = life.observe() => match never {},
        never = guard.keep_fresh() => match never {},
        never = evidence::measured(library.as_ref()) => match never {},
    }
    catalog.drain(life.time_left()).await;
    evidence::close(library.as_ref()).await;
    Ok(())
}

/// All services but health and reflection.
fn services(offer: Offer, config: &Arc<Config>, life: &Arc<Life>, loopback: bool) -> RoutesBuilder {
    let Offer { catalog, library, answers } = offer;
    let answering = Answering {
        catalog: Arc::clone(&catalog),
        config: Arc::clone(config),
        draining: life.draining(),
    };
    let streams = Streams::new(config.streams);
    let (in_bytes, out_bytes) = (config.max_message_bytes, config.max_answer_bytes());
    let mut routes = RoutesBuilder::default();
    let verification = Verification::new(answering.clone(), streams.clone());
    routes.add_service(
        VerificationServiceServer::new(verification)
            .max_decoding_message_size(in_bytes)
            .max_encoding_message_size(out_bytes),
    );
    let evidence = Evidence::new(library.clone(), answering.clone(), streams.clone());
    routes.add_service(
        EvidenceServiceServer::new(evidence)
            .max_decoding_message_size(in_bytes)
            .max_encoding_message_size(out_bytes),
    );
    let answers = Answers::new(answering.clone(), streams.clone(), (library, answers));
    routes.add_service(
        AnswerServiceServer::new(answers)
            .max_decoding_message_size(in_bytes)
            .max_encoding_message_size(out_bytes),
    );
    let administers = config.offers_admin(loopback);
    if administers {
        let admin = AdminServiceServer::new(Admin::new(catalog, Arc::clone(life)));
        routes.add_service(admin.max_decoding_message_size(ADMIN_REQUEST_LIMIT_BYTES));
    }
    if config.open_inference.enabled {
        let inference = InferenceService::new(answering, streams, Arc::clone(life), administers);
        routes.add_service(
            GrpcInferenceServiceServer::new(inference)
                .max_decoding_message_size(in_bytes)
                .max_encoding_message_size(out_bytes),
        );
    }
    routes
}

fn builder(config: &Config) -> Server {
    let connections = &config.connections;
    let server = Server::builder()
        .initial_stream_window_size(config.stream_window_bytes)
        .initial_connection_window_size(config.connection_window_bytes)
        .max_concurrent_streams(config.max_calls_per_connection)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
        .http2_max_header_list_size(connections.max_header_bytes)
        .http2_max_pending_accept_reset_streams(Some(connections.max_pending_resets))
        .http2_max_local_error_reset_streams(Some(connections.max_local_resets));
    match connections.age(rand::random()) {
        Some(age) => server.max_connection_age(age),
        None => server,
    }
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
