//! Traces: the caller's trace is joined, a call's stages are recorded, spans go out over OTLP.
//!
//! Spans are made with OpenTelemetry's own interface, for two reasons. What the device thread does
//! is recorded afterwards, with the times that it measured. And what is a log line's is no span's:
//! nothing gets into an attribute that is not written here, so no prompt and no key does.
//!
//! There is no global tracer: a [`Tracer`] is handed to the server, and the context of a call carries
//! it to the stages.

mod config;
mod export;
mod spans;
mod w3c;

use std::path::Path;

use opentelemetry::trace::TracerProvider;
use opentelemetry::{Key, KeyValue};
use opentelemetry_otlp::{WithExportConfig, WithTonicConfig};
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::trace::{Sampler, SdkTracer, SdkTracerProvider};
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint};

use super::TelemetryError;
use config::Transport;
use export::Sender;

pub use config::Otlp;
pub use spans::{CallSpan, FrameSpan, FrameSpans, Lap};

/// Makes spans, and sends them where it was told to; cheap to clone.
///
/// The default one sends nothing, but knows a trace id for each call.
#[derive(Clone, Debug)]
pub struct Tracer {
    provider: SdkTracerProvider,
    spans: SdkTracer,
    config: Otlp,
}

impl Default for Tracer {
    fn default() -> Self {
        let provider = SdkTracerProvider::builder()
            .with_resource(Resource::builder_empty().build())
            .with_sampler(Sampler::AlwaysOff);
        Self::new(provider.build(), Otlp::default())
    }
}

/// Equal where they send alike, so that a configuration that holds one can be compared.
impl PartialEq for Tracer {
    fn eq(&self, other: &Self) -> bool {
        self.config == other.config
    }
}

impl Tracer {
    /// Starts to send spans to `config.endpoint`; the default one where there is none.
    ///
    /// The collector need not be there yet. Needs a tokio runtime. Errors:
    /// [`TelemetryError::Otlp`] for an endpoint or a certificate file that cannot be used.
    pub fn start(config: Otlp) -> Result<Self, TelemetryError> {
        let Some(endpoint) = &config.endpoint else { return Ok(Self::default()) };
        let fail = |reason: String| TelemetryError::Otlp { endpoint: endpoint.clone(), reason };
        let channel = channel(endpoint, &config).map_err(fail)?;
        let exporter = opentelemetry_otlp::SpanExporter::builder()
            .with_tonic()
            .with_channel(channel)
            .with_timeout(config.timeout)
            .build()
            .map_err(|error| fail(error.to_string()))?;
        let provider = SdkTracerProvider::builder()
            .with_resource(resource())
            .with_sampler(sampler(&config))
            .with_span_processor(Sender::new(exporter, &config));
        Ok(Self::new(provider.build(), config))
    }

    fn new(provider: SdkTracerProvider, config: Otlp) -> Self {
        let spans = provider.tracer("veriframe");
        Self { provider, spans, config }
    }

    /// Sends what waits, for at most [`Otlp::flush_limit`], and makes no more spans. Call it once,
    /// when the server has stopped.
    pub async fn shutdown(&self) {
        let (provider, limit) = (self.provider.clone(), self.config.flush_limit);
        let flushing = tokio::task::spawn_blocking(move || provider.shutdown_with_timeout(limit));
        match flushing.await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, ?limit, "the last traces were not sent"),
            Err(error) => tracing::warn!(%error, "the last traces were not sent"),
        }
    }
}

/// Connects when it is first used, and anew whenever it must.
fn channel(endpoint: &str, config: &Otlp) -> Result<Channel, String> {
    let transport = config.transport().map_err(|(key, reason)| format!("{key} {reason}"))?;
    let own = Endpoint::from_shared(endpoint.to_owned()).map_err(|error| error.to_string())?;
    let own = own.connect_timeout(config.timeout).timeout(config.timeout);
    let own = match transport {
        Transport::Plain => own,
        Transport::Tls(file) => {
            let tls = ClientTlsConfig::new().ca_certificate(authorities(&file)?);
            own.tls_config(tls).map_err(|error| error.to_string())?
        }
    };
    Ok(own.connect_lazy())
}

fn authorities(file: &Path) -> Result<Certificate, String> {
    let pem = std::fs::read(file).map_err(|error| format!("{}: {error}", file.display()))?;
    Ok(Certificate::from_pem(pem))
}

fn sampler(config: &Otlp) -> Sampler {
    let share = Sampler::TraceIdRatioBased(config.sample_ratio);
    if config.follow_caller { Sampler::ParentBased(Box::new(share)) } else { share }
}

/// Who sends: `OTEL_SERVICE_NAME` and `OTEL_RESOURCE_ATTRIBUTES` are heeded.
fn resource() -> Resource {
    let version = KeyValue::new("service.version", env!("CARGO_PKG_VERSION"));
    let instance = format!("{:016x}", rand::random::<u64>());
    let told = Resource::builder().build();
    let name = told.get(&Key::new("service.name")).map(|name| name.to_string());
    let unnamed = name.is_none_or(|name| name.starts_with("unknown_service"));
    let resource = Resource::builder()
        .with_attributes([version, KeyValue::new("service.instance.id", instance)]);
    if unnamed { resource.with_service_name("veriframe").build() } else { resource.build() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_collector_that_cannot_be_used_is_told_at_the_start() {
        for (ca_file, part) in
            [(None, "endpoint begins with https://"), (Some("no/such/file"), "no/such/file: ")]
        {
            let endpoint = Some("https://localhost:4317".to_owned());
            let config = Otlp { endpoint, ca_file: ca_file.map(Into::into), ..Otlp::default() };
            let error = Tracer::start(config).unwrap_err().to_string();
            let start = "cannot send traces to https://localhost:4317: ";
            assert!(error.starts_with(start) && error.contains(part), "{error}");
        }
    }

    #[test]
    fn the_service_has_a_name() {
        let resource = resource();
        assert_eq!(resource.get(&Key::new("service.name")).unwrap().as_str(), "veriframe");
        assert!(resource.get(&Key::new("service.instance.id")).is_some());
    }
}
