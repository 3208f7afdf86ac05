//! `veriframe serve`.

use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;

use super::options::{ModelArgs, flags, options, sources, store};
use super::output;
use crate::config::{Flag, Settings};
use crate::libtorch;
use crate::retrieval::Library;
use crate::server::{self, Guard, Offer};
use crate::serving::{Catalog, ModelId, Repository};
use crate::telemetry::{Exporter, Tracer};

/// Serve models over gRPC.
///
/// Examples:
///   veriframe serve
///   veriframe serve --listen 0.0.0.0:50051 --model clip=/models/clip --model yolo=/models/yolov8n.pt
///   veriframe serve --device cuda:0,cuda:1 --precision bf16
///   veriframe serve --evidence /var/lib/veriframe/evidence
///   veriframe serve --config veriframe.toml --set models.threads=4
#[derive(Args, Clone, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ServeArgs {
    #[command(flatten)]
    pub(super) models: ModelArgs,
    /// Where gRPC listens. Sets `server.listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    listen: Option<String>,
    /// Where Prometheus metrics are served, at /metrics, and probes, at /live and /ready.
    /// Sets `telemetry.metrics_listen`.
    #[arg(long, value_name = "ADDRESS:PORT")]
    metrics: Option<String>,
    /// Serve no metrics. Sets `telemetry.metrics`.
    #[arg(long)]
    no_metrics: bool,
    /// Folder of models, each NAME/VERSION/, that the admin service loads on request.
    /// Sets `models.repository`.
    #[arg(long, value_name = "DIR")]
    model_repository: Option<String>,
    /// A model of the repository to load at the start, repeatable: the highest version, or that one.
    /// Sets `models.start`.
    #[arg(long = "load", value_name = "NAME[@VERSION]", value_delimiter = ',')]
    start: Vec<String>,
    /// Replicas of each model on each device. Sets `models.replicas_per_device`.
    #[arg(long, value_name = "REPLICAS")]
    replicas_per_device: Option<String>,
    /// Offer the admin service on any address; without it only on the loopback. Sets `server.admin`.
    #[arg(long)]
    admin: bool,
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
    /// Keep evidence in this folder: sets `evidence.store` to embedded and `evidence.data_dir`.
    #[arg(long, value_name = "DIR")]
    evidence: Option<String>,
    /// Bytes of an encoded or raw picture, such as "16 MiB". Sets `server.images.max_bytes`.
    #[arg(long, value_name = "BYTES")]
    max_image_bytes: Option<String>,
    /// After a signal, how long running work may take to end, in seconds. Sets `server.drain_limit`.
    #[arg(long, value_name = "SECONDS")]
    drain_seconds: Option<u64>,
    /// After a signal, how long calls are still accepted while health says NOT_SERVING, in seconds.
    /// Sets `server.drain_delay`.
    #[arg(long, value_name = "SECONDS")]
    drain_delay_seconds: Option<u64>,
}

impl ServeArgs {
    /// The flags that were given, besides those of the models.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let wait = self.max_batch_wait_ms.map(|wait| format!("{wait}ms"));
        let seconds = |seconds: Option<u64>| seconds.map(|seconds| format!("{seconds}s"));
        let start = (!self.start.is_empty()).then(|| self.start.join(","));
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
            ("--drain-seconds", "server.drain_limit", seconds(self.drain_seconds)),
            ("--drain-delay-seconds", "server.drain_delay", seconds(self.drain_delay_seconds)),
            ("--evidence", "evidence.store", self.evidence.as_ref().map(|_| "embedded".to_owned())),
            ("--evidence", "evidence.data_dir", self.evidence.clone()),
            ("--model-repository", "models.repository", self.model_repository.clone()),
            ("--load", "models.start", start),
            (
                "--replicas-per-device",
                "models.replicas_per_device",
                self.replicas_per_device.clone(),
            ),
            ("--admin", "server.admin", self.admin.then(|| "true".to_owned())),
        ])
    }
}

/// Serves until SIGINT or SIGTERM; a second one ends the process at once.
pub(super) fn run(settings: Settings) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Runtime::new()?;
    let served = runtime.block_on(serve(settings));
    // A model that is still being built must not hold the end up.
    runtime.shutdown_background();
    match served {
        Ok(Ended::Idle) => Ok(()),
        // What libtorch tears down at a normal exit would be torn down under a thread that computes.
        Ok(Ended::Computing) => libtorch::end_process(0),
        Err(error) => Err(error),
    }
}

/// What a server leaves behind.
enum Ended {
    /// No thread of a model.
    Idle,
    /// A model is still being built, or a batch did not end in time.
    Computing,
}

async fn serve(settings: Settings) -> anyhow::Result<Ended> {
    let shutdown = signals()?;
    // Before it listens: whoever connects finds the evidence there.
    let store = store(&settings.evidence).await?;
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
    config.probes = exporter.probes();
    let image_limits = config.image_limits;
    let answers = settings.answers.clone();
    let (catalog, expected) = tokio::task::spawn_blocking(move || catalog(&settings)).await??;
    let library = store.map(|store| Library::new(store, Arc::clone(&catalog), image_limits));
    let offer = Offer { catalog: Arc::clone(&catalog), library, answers };
    output::say(format_args!("gRPC on {}", listener.local_addr()?));
    if let Some(address) = exporter.address() {
        output::say(format_args!("metrics on http://{address}/metrics"));
    }
    let loading = async {
        catalog.load_expected(expected).await?;
        output::say("models are loaded");
        anyhow::Ok(())
    };
    let serving = server::run_guarded(listener, offer, config, guard, shutdown);
    let served = tokio::select! {
        served = Box::pin(serving) => served.map_err(anyhow::Error::from),
        Err(error) = loading => Err(error),
    };
    tracer.shutdown().await;
    served?;
    output::say("stopped");
    Ok(if catalog.is_computing() { Ended::Computing } else { Ended::Idle })
}

/// A catalog of the models to load, none of which is loaded yet.
fn catalog(settings: &Settings) -> anyhow::Result<(Arc<Catalog>, Vec<ModelId>)> {
    let models = &settings.models;
    let repository = models.repository.as_deref().map(Repository::open).transpose();
    let repository = repository.map_err(|reason| anyhow::anyhow!("models.repository: {reason}"))?;
    let catalog = Arc::new(Catalog::new(options(settings)?, repository));
    let expected = catalog.expect(&sources(models)?, &models.start)?;
    Ok((catalog, expected))
}

/// What ends at the first SIGINT or SIGTERM. The second ends the process at once, with the exit code
/// that shells give to a signal.
pub(super) fn signals() -> anyhow::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = signal(SignalKind::interrupt()).context("SIGINT")?;
    let mut terminate = signal(SignalKind::terminate()).context("SIGTERM")?;
    let stop = CancellationToken::new();
    let stopped = stop.clone().cancelled_owned();
    tokio::spawn(async move {
        let mut next = async || {
            tokio::select! {
                _ = interrupt.recv() => SignalKind::interrupt(),
                _ = terminate.recv() => SignalKind::terminate(),
            }
        };
        next().await;
        tracing::info!("stopping: running work may end; a second signal ends it");
        stop.cancel();
        let second = next().await;
        tracing::warn!("a second signal: ending at once");
        libtorch::end_process(128 + second.as_raw_value());
    });
    Ok(stopped)
}
