//! The gRPC services, their layers and their life.
//!
//! Imports: telemetry, vision, explain, serving, verification, proto.

mod answer;
mod config;
mod convert;
mod deadline;
mod health;
mod limits;
mod observe;
mod respond;
mod service;
mod status;
mod stream;

use std::future::Future;
use std::sync::Arc;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::transport::server::TcpIncoming;
use tonic::transport::{Error as TransportError, Server};

use crate::proto::DESCRIPTORS;
use crate::proto::v1::verification_service_server::VerificationServiceServer;
use crate::serving::Catalog;

use answer::Answering;
use health::Health;
use observe::ObserveLayer;
use service::Verification;

pub use config::Config;
pub use health::{LIVE, READY};
pub use limits::RequestLimits;

/// Why a server ended other than by shutdown.
#[derive(Debug, Error)]
pub enum ServerError {
    /// The listener or a connection failed in a way that ends the server.
    #[error("the gRPC server failed: {0}")]
    Transport(#[from] TransportError),
    /// The protocol's own description does not parse: a broken build.
    #[error("gRPC reflection cannot be offered: {0}")]
    Reflection(#[from] tonic_reflection::server::Error),
}

/// Serves `catalog` on `listener` until `shutdown` ends; returns when running calls have ended or
/// [`Config::drain_limit`] has passed.
///
/// Health is NOT_SERVING until every model has answered once, and again from the shutdown on; the
/// service `live` is SERVING all the time.
pub async fn run(
    listener: TcpListener,
    catalog: Arc<Catalog>,
    config: Config,
    shutdown: impl Future<Output = ()> + Send,
) -> Result<(), ServerError> {
    let config = Arc::new(config);
    let draining = CancellationToken::new();
    let answering = Answering {
        catalog: Arc::clone(&catalog),
        config: Arc::clone(&config),
        draining: draining.clone(),
    };
    let (health, health_service) = Health::new().await;
    let service = VerificationServiceServer::new(Verification::new(answering.clone()))
        .max_decoding_message_size(config.max_message_bytes)
        .max_encoding_message_size(config.max_answer_bytes());
    let router = builder(&config)
        .layer(ObserveLayer::new(config.max_calls))
        .add_service(health_service)
        .add_service(reflection().build_v1()?)
        .add_service(reflection().build_v1alpha()?)
        .add_service(service);

    let stopping = draining.clone();
    let signal = async {
        let ready = async {
            answering.warm_up().await;
            health.ready().await;
            std::future::pending::<()>().await;
        };
        tokio::select! {
            () = shutdown => {}
            () = ready => {}
        }
        health.stop().await;
        stopping.cancel();
    };
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let serving = router.serve_with_incoming_shutdown(incoming, signal);
    let cut_off = async {
        draining.cancelled().await;
        tokio::time::sleep(config.drain_limit).await;
    };
    tokio::select! {
        result = serving => result?,
        () = cut_off => tracing::warn!(limit = ?config.drain_limit, "running calls were cut off"),
    }
    catalog.drain(config.drain_limit).await;
    Ok(())
}

fn builder(config: &Config) -> Server {
    Server::builder()
        .initial_stream_window_size(config.stream_window_bytes)
        .initial_connection_window_size(config.connection_window_bytes)
        .max_concurrent_streams(config.max_calls_per_connection)
        .http2_keepalive_interval(Some(config.keepalive_interval))
        .http2_keepalive_timeout(Some(config.keepalive_timeout))
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(DESCRIPTORS)
        .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
}
