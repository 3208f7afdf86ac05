//! The gRPC services and their life.
//!
//! Imports: telemetry, vision, engine, models, explain, serving, verification, proto.

mod convert;
mod deadline;
mod service;
mod status;
mod stream;
mod validate;
mod warm;

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Server;
use tonic::transport::server::TcpIncoming;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

use crate::proto::v1::verification_service_server::VerificationServiceServer;
use crate::proto::{DESCRIPTORS, v1};
use crate::serving::Catalog;
use crate::vision::image::Limits;
use service::Verification;

/// The health service's names: the whole server, and whether it is alive and ready apart.
const LIVE: &str = "live";
const READY: [&str; 3] = ["", "ready", "veriframe.v1.VerificationService"];

/// Why the server ended.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The transport failed.
    #[error("gRPC transport: {0}")]
    Transport(#[from] tonic::transport::Error),
    /// Reflection could not be set up.
    #[error("gRPC reflection: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Limits of the server. Each is a bound on what one client can ask for.
#[derive(Clone, Debug)]
pub struct Config {
    /// Of pictures.
    pub image_limits: Limits,
    /// Bytes of one message, either way. Default 64 MiB.
    pub max_message_bytes: usize,
    /// Prompts of one request. Default 256.
    pub max_prompts: usize,
    /// Bytes of one prompt. Default 4096.
    pub max_prompt_bytes: usize,
    /// Prompts times methods of one request's heatmaps. Default 64.
    pub max_heatmaps: usize,
    /// Bytes of one answer's heatmaps as sent. Default 64 MiB.
    pub max_heatmap_bytes: usize,
    /// Requests of one connection that are worked on at once; more wait. Default 256.
    pub max_concurrent_requests: usize,
    /// How long a stream may stay silent. Default 5 minutes.
    pub stream_idle_limit: Duration,
    /// After the shutdown signal, how long running work may take. Default 30 s.
    pub drain_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            image_limits: Limits::default(),
            max_message_bytes: 64 << 20,
            max_prompts: 256,
            max_prompt_bytes: 4096,
            max_heatmaps: 64,
            max_heatmap_bytes: 64 << 20,
            max_concurrent_requests: 256,
            stream_idle_limit: Duration::from_secs(300),
            drain_limit: Duration::from_secs(30),
        }
    }
}

/// Serves `catalog` on `listener` until `shutdown` resolves; then takes no new call, lets running
/// ones end within [`Config::drain_limit`], and stops the models.
///
/// The health service says NOT_SERVING until every model has run once, and again from the
/// shutdown on.
pub async fn run(
    listener: TcpListener,
    catalog: Arc<Catalog>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServerError> {
    let (health, health_service) = tonic_health::server::health_reporter();
    set_ready(&health, ServingStatus::NotServing).await;
    health.set_service_status(LIVE, ServingStatus::Serving).await;
    let warming = tokio::spawn(warm_up(Arc::clone(&catalog), health.clone()));
    let (stop, stopped) = oneshot::channel::<()>();
    let (drain_limit, limit) = (config.drain_limit, config.max_message_bytes);
    let verification =
        VerificationServiceServer::new(Verification::new(Arc::clone(&catalog), &config))
            .max_decoding_message_size(limit)
            .max_encoding_message_size(limit);
    let server = Server::builder()
        .concurrency_limit_per_connection(config.max_concurrent_requests)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(4 << 20)
        .http2_keepalive_interval(Some(Duration::from_secs(30)))
        .tcp_nodelay(true)
        .add_service(health_service)
        .add_service(reflection()?)
        .add_service(verification)
        .serve_with_incoming_shutdown(TcpIncoming::from(listener), async {
            // A dropped sender means the same as a message.
            drop(stopped.await);
        });
    let mut server = std::pin::pin!(server);
    let ended = tokio::select! {
        ended = &mut server => Some(ended),
        () = shutdown => None,
    };
    warming.abort();
    set_ready(&health, ServingStatus::NotServing).await;
    drop(stop);
    let ended = match ended {
        Some(ended) => ended,
        None => tokio::time::timeout(drain_limit, server).await.unwrap_or_else(|_| {
            tracing::warn!(limit = ?drain_limit, "calls were still running at the end");
            Ok(())
        }),
    };
    catalog.drain(drain_limit).await;
    Ok(ended?)
}

fn reflection() -> Result<
    tonic_reflection::server::v1::ServerReflectionServer<
        impl tonic_reflection::server::v1::ServerReflection,
    >,
    ServerError,
> {
    Ok(tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
        .build_v1()?)
}

async fn warm_up(catalog: Arc<Catalog>, health: HealthReporter) {
    match warm::warm(&catalog).await {
        Ok(()) => {
            set_ready(&health, ServingStatus::Serving).await;
            tracing::info!("ready");
        }
        Err(error) => tracing::error!(%error, "a model does not run; not ready"),
    }
}

async fn set_ready(health: &HealthReporter, status: ServingStatus) {
    for name in READY {
        health.set_service_status(name, status).await;
    }
}

/// Stage names of a timing as they go over the wire.
fn duration(duration: Duration) -> Option<prost_types::Duration> {
    prost_types::Duration::try_from(duration).ok()
}

/// An identity as it goes over the wire.
fn identity(identity: &crate::serving::ModelIdentity) -> Option<v1::ModelIdentity> {
    let (name, version) = (identity.name.clone(), identity.version.clone());
    Some(v1::ModelIdentity { name, version, checksum: identity.checksum.clone() })
}
