//! The server that a command talks to: one that runs already, or one of its own.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::{Channel, Endpoint};

use super::options::ModelArgs;
use crate::proto::v1::verification_service_client::VerificationServiceClient;
use crate::server;

/// The most that one answer may weigh: heatmaps of a large frame.
const MAX_ANSWER_BYTES: usize = 256 << 20;

/// A connected client; a server of its own stops with it.
pub(super) struct Session {
    pub(super) client: VerificationServiceClient<Channel>,
    own: Option<OwnServer>,
}

struct OwnServer {
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), server::ServerError>>,
}

impl Session {
    /// Connects to `address`, or starts a server on a free loopback port with `models`.
    pub(super) async fn open(address: Option<&str>, models: &ModelArgs) -> anyhow::Result<Self> {
        if let Some(address) = address {
            return Ok(Self { client: connect(address).await?, own: None });
        }
        let models = models.clone();
        let catalog =
            tokio::task::spawn_blocking(move || models.catalog(super::options::defaults()));
        let catalog = Arc::new(catalog.await??);
        let listener =
            TcpListener::bind(("127.0.0.1", 0)).await.context("no free loopback port")?;
        let address = listener.local_addr()?;
        let (stop, stopped) = oneshot::channel();
        let shutdown = async {
            // A dropped sender means the same as a message: stop.
            drop(stopped.await);
        };
        let config = server::Config::default();
        let done = tokio::spawn(server::run(listener, catalog, config, shutdown));
        let client = connect(&format!("http://{address}")).await?;
        Ok(Self { client, own: Some(OwnServer { stop, done }) })
    }

    /// Ends a server of its own, in order.
    pub(super) async fn close(self) -> anyhow::Result<()> {
        let Some(own) = self.own else { return Ok(()) };
        drop(self.client);
        // It may have ended by itself; then the join tells why.
        drop(own.stop);
        own.done.await?.context("the server ended with an error")
    }
}

async fn connect(address: &str) -> anyhow::Result<VerificationServiceClient<Channel>> {
    let address =
        if address.contains("://") { address.to_owned() } else { format!("http://{address}") };
    let channel = Endpoint::from_shared(address.clone())
        .with_context(|| format!("'{address}' is no address, such as 127.0.0.1:50051"))?
        .connect_timeout(Duration::from_secs(10))
        .connect()
        .await
        .with_context(|| {
            format!("no server answers at {address}; start one with: veriframe serve")
        })?;
    Ok(VerificationServiceClient::new(channel)
        .max_decoding_message_size(MAX_ANSWER_BYTES)
        .max_encoding_message_size(MAX_ANSWER_BYTES))
}

/// An error of a call in words: the code, and each field that must change.
pub(super) fn explained(status: &tonic::Status) -> anyhow::Error {
    anyhow::anyhow!("the server answers {:?}: {}", status.code(), status.message())
}
