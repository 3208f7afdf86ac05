//! `veriframe serve`.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::options::{ModelArgs, catalog, flags};
use super::output;
use crate::config::{Flag, Settings};
use crate::server::{self, Guard};
use crate::telemetry::{Exporter, Tracer};

/// Serve models over gRPC.
///
/// Examples:
///   veriframe serve
///   veriframe serve --listen 0.0.0.0:50051 --model clip=/models/clip --model yolo=/models/yolov8n.pt
///   veriframe serve --device cuda:0,cuda:1 --precision bf16
///   veriframe serve --config veriframe.toml --set models.threads=4
#[derive(Args, Clone, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) models: ModelArgs,
    /// Where gRPC listens. Sets `server.listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where Prometheus metrics are served, at /metrics. Sets `telemetry.metrics_listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<String>,
    /// Serve no metrics. Sets `telemetry.metrics`.
    #[arg(long)]
    no_metrics: bool,
    /// Jobs that ride in one batch at most. Sets `engine.max_batch`.
    #[arg(long, value_name = "JOBS")]
    max_batch: Option<String>,
    /// How long a job may wait for others to join its batch, in milliseconds.
    /// Sets `engine.max_batch_wait`.
    #[arg(long, value_name = "MS")]
    max_batch_wait_ms: Option<u64>,
    /// Jobs that may wait for each model; more are refused with RESOURCE_EXHAUSTED.
    /// Sets `engine.max_queued_items`.
    #[arg(long, value_name = "JOBS")]
    max_queued: Option<String>,
    /// Prompts whose embeddings are kept, for each model. Sets `models.cached_texts`.
    #[arg(long, value_name = "PROMPTS")]
    cached_texts: Option<String>,
    /// The longest side of a picture in pixels. Sets `server.images.max_side_px`.
    #[arg(long, value_name = "PX")]
    max_image_side: Option<String>,
    /// Pixels of a picture. Sets `server.images.max_pixels`.
    #[arg(long, value_name = "PIXELS")]
    max_image_pixels: Option<String>,
    /// Bytes of an encoded or raw picture, such as "16 MiB". Sets `server.images.max_bytes`.
    #[arg(long, value_name = "BYTES")]
    max_image_bytes: Option<String>,
    /// After a signal, how long running work may take to end, in seconds. Sets `server.drain_limit`.
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,
}

impl ServeArgs {
    /// The flags that were given, besides those of the models.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let wait = self.max_batch_wait_ms.map(|wait| format!("{wait}ms"));
        let drain = self.drain_seconds.map(|seconds| format!("{seconds}s"));
        flags([
            ("--listen", "server.listen", self.listen.clone()),
            ("--metrics", "telemetry.metrics_listen", self.metrics.clone()),
            ("--no-metrics", "telemetry.metrics", self.no_metrics.then(|| "false".to_owned())),
            ("--max-batch", "engine.max_batch", self.max_batch.clone()),
            ("--max-batch-wait-ms", "engine.max_batch_wait", wait),
            ("--max-queued", "engine.max_queued_items", self.max_queued.clone()),
            ("--cached-texts", "models.cached_texts", self.cached_texts.clone()),
            ("--max-image-side", "server.images.max_side_px", self.max_image_side.clone()),
            ("--max-image-pixels", "server.images.max_pixels", self.max_image_pixels.clone()),
            ("--max-image-bytes", "server.images.max_bytes", self.max_image_bytes.clone()),
            ("--drain-seconds", "server.drain_limit", drain),
        ])
    }
}

/// Serves until SIGINT or SIGTERM.
pub(super) fn run(settings: Settings) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(serve(settings))
}

async fn serve(settings: Settings) -> anyhow::Result<()> {
    let listen = settings.server.listen;
    let listener = TcpListener::bind(listen)
        .await
        .with_context(|| format!("cannot listen on {listen}; choose another --listen"))?;
    // Before the models: what is wrong with a certificate or a key file is told at once.
    let mut config = settings.server.clone();
    let guard = Arc::new(Guard::open(&config.tls, &config.auth)?);
    let telemetry = &settings.telemetry;
    let address = telemetry.metrics.then_some(telemetry.metrics_listen);
    let exporter = Exporter::install(address).await.context("--metrics")?;
    let otlp = telemetry.otlp.clone().or_environment(|name| std::env::var(name).ok());
    let tracer = Tracer::start(otlp)?;
    config.tracer = tracer.clone();
    let catalog = tokio::task::spawn_blocking(move || catalog(&settings)).await??;
    output::say(format_args!("gRPC on {}", listener.local_addr()?));
    if let Some(address) = exporter.address() {
        output::say(format_args!("metrics on http://{address}/metrics"));
    }
    let served =
        Box::pin(server::run_guarded(listener, Arc::new(catalog), config, guard, signalled()))
            .await;
    tracer.shutdown().await;
    served?;
    output::say("stopped");
    Ok(())
}

/// Returns at the first SIGINT or SIGTERM.
async fn signalled() {
    let interrupt = tokio::signal::ctrl_c();
    let terminate = async {
        match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
            Ok(mut signal) => {
                signal.recv().await;
            }
            Err(error) => {
                tracing::error!(%error, "SIGTERM is not heard; stop with SIGINT");
                std::future::pending::<()>().await;
            }
        }
    };
    tokio::select! {
        result = interrupt => if let Err(error) = result {
            tracing::error!(%error, "SIGINT is not heard");
        },
        () = terminate => {}
    }
    tracing::info!("stopping: running work may end");
}
