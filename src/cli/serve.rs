//! `veriframe serve`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;

use super::options::{ModelArgs, defaults};
use super::output;
use crate::serving::Options;
use crate::telemetry::Exporter;
use crate::vision::image::Limits;
use crate::{engine, server};

/// Serve models over gRPC.
///
/// Examples:
///   veriframe serve
///   veriframe serve --listen 0.0.0.0:50051 --model clip=/models/clip --model yolo=/models/yolov8n.pt
///   veriframe serve --device cuda:0,cuda:1 --precision bf16
#[derive(Args, Clone, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    models: ModelArgs,
    /// Where gRPC listens.
    #[arg(long, env = "VERIFRAME_LISTEN", default_value = "127.0.0.1:50051")]
    listen: SocketAddr,
    /// Where Prometheus metrics are served, at /metrics.
    #[arg(long, env = "VERIFRAME_METRICS", default_value = "127.0.0.1:9464")]
    metrics: SocketAddr,
    /// Serve no metrics.
    #[arg(long)]
    no_metrics: bool,
    /// Jobs that ride in one batch at most.
    #[arg(long, env = "VERIFRAME_MAX_BATCH", default_value_t = 8)]
    max_batch: usize,
    /// How long a job may wait for others to join its batch, in milliseconds.
    #[arg(long, env = "VERIFRAME_MAX_BATCH_WAIT_MS", default_value_t = 2)]
    max_batch_wait_ms: u64,
    /// Jobs that may wait for each model; more are refused with RESOURCE_EXHAUSTED.
    #[arg(long, env = "VERIFRAME_MAX_QUEUED", default_value_t = 256)]
    max_queued: usize,
    /// Prompts whose embeddings are kept, for each model.
    #[arg(long, env = "VERIFRAME_CACHED_TEXTS", default_value_t = 10_000)]
    cached_texts: u64,
    /// The longest side of a picture in pixels.
    #[arg(long, env = "VERIFRAME_MAX_IMAGE_SIDE", default_value_t = Limits::default().max_side_px)]
    max_image_side: u32,
    /// Pixels of a picture.
    #[arg(long, env = "VERIFRAME_MAX_IMAGE_PIXELS", default_value_t = Limits::default().max_pixels)]
    max_image_pixels: u64,
    /// Bytes of an encoded or raw picture.
    #[arg(long, env = "VERIFRAME_MAX_IMAGE_BYTES", default_value_t = Limits::default().max_bytes)]
    max_image_bytes: usize,
    /// After a signal, how long running work may take to end, in seconds.
    #[arg(long, env = "VERIFRAME_DRAIN_SECONDS", default_value_t = 30)]
    drain_seconds: u64,
}

/// Serves until SIGINT or SIGTERM.
pub(super) fn run(args: ServeArgs) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(serve(args))
}

async fn serve(args: ServeArgs) -> anyhow::Result<()> {
    let listener = TcpListener::bind(args.listen)
        .await
        .with_context(|| format!("cannot listen on {}; choose another --listen", args.listen))?;
    let address = (!args.no_metrics).then_some(args.metrics);
    let exporter = Exporter::install(address).await.context("--metrics")?;
    let (models, options) = (args.models.clone(), args.options());
    let catalog = tokio::task::spawn_blocking(move || models.catalog(options)).await??;
    output::say(format_args!("gRPC on {}", listener.local_addr()?));
    if let Some(address) = exporter.address() {
        output::say(format_args!("metrics on http://{address}/metrics"));
    }
    Box::pin(server::run(listener, Arc::new(catalog), args.config(), signalled())).await?;
    output::say("stopped");
    Ok(())
}

impl ServeArgs {
    fn options(&self) -> Options {
        Options {
            engine: engine::Config {
                max_batch: self.max_batch,
                max_batch_wait: Duration::from_millis(self.max_batch_wait_ms),
                max_queued_items: self.max_queued,
                ..engine::Config::default()
            },
            cached_texts: self.cached_texts,
            ..defaults()
        }
    }

    fn config(&self) -> server::Config {
        server::Config {
            image_limits: Limits {
                max_side_px: self.max_image_side,
                max_pixels: self.max_image_pixels,
                max_bytes: self.max_image_bytes,
            },
            drain_limit: Duration::from_secs(self.drain_seconds),
            ..server::Config::default()
        }
    }
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
