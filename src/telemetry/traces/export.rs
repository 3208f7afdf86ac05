//! What stands between ended spans and the collector: a bound, a count and a patient log.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use opentelemetry::Context;
use opentelemetry_sdk::Resource;
use opentelemetry_sdk::error::OTelSdkResult;
use opentelemetry_sdk::trace::{
    BatchConfigBuilder, BatchSpanProcessor, Span, SpanData, SpanExporter, SpanProcessor,
};

use super::Otlp;
use crate::telemetry::metrics::{self, SpanOutcome};

/// A failing collector is told of at most this often.
const COMPLAINT_INTERVAL: Duration = Duration::from_mins(1);

/// Sends spans in batches from a thread of its own. A collector that is slow or away costs spans,
/// each of them counted, and nothing else.
#[derive(Debug)]
pub(super) struct Sender {
    batches: BatchSpanProcessor,
    waiting: Arc<AtomicUsize>,
    limit: usize,
}

impl Sender {
    pub(super) fn new<E: SpanExporter + 'static>(exporter: E, config: &Otlp) -> Self {
        let waiting = Arc::new(AtomicUsize::new(0));
        let counted = Counted {
            exporter,
            waiting: Arc::clone(&waiting),
            complaints: Mutex::new(Complaints::default()),
        };
        let batch = BatchConfigBuilder::default()
            .with_max_queue_size(config.max_queued_spans)
            .with_max_export_batch_size(config.max_batch_spans.min(config.max_queued_spans))
            .with_scheduled_delay(config.interval)
            .build();
        let batches = BatchSpanProcessor::builder(counted).with_batch_config(batch).build();
        Self { batches, waiting, limit: config.max_queued_spans }
    }
}

impl SpanProcessor for Sender {
    fn on_start(&self, span: &mut Span, context: &Context) {
        self.batches.on_start(span, context);
    }

    fn on_end(&self, span: SpanData) {
        // Counted here, spans on their way out included, so the queue behind is never full: it
        // would drop spans without a word.
        if self.waiting.fetch_add(1, Ordering::Relaxed) < self.limit {
            self.batches.on_end(span);
        } else {
            self.waiting.fetch_sub(1, Ordering::Relaxed);
            metrics::record_spans(SpanOutcome::Dropped, 1);
        }
    }

    fn force_flush(&self) -> OTelSdkResult {
        self.batches.force_flush()
    }

    fn shutdown_with_timeout(&self, timeout: Duration) -> OTelSdkResult {
        self.batches.shutdown_with_timeout(timeout)
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.batches.set_resource(resource);
    }
}

/// An exporter that counts what it sends and what it could not.
#[derive(Debug)]
struct Counted<E> {
    exporter: E,
    waiting: Arc<AtomicUsize>,
    complaints: Mutex<Complaints>,
}

impl<E: SpanExporter> SpanExporter for Counted<E> {
    async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
        let size = batch.len();
        let result = self.exporter.export(batch).await;
        self.waiting.fetch_sub(size, Ordering::Relaxed);
        let outcome = if result.is_ok() { SpanOutcome::Sent } else { SpanOutcome::Failed };
        metrics::record_spans(outcome, size);
        if let Err(error) = &result {
            let mut complaints = self.complaints.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(failures) = complaints.failed(Instant::now()) {
                tracing::warn!(%error, failures, "traces could not be sent; serving goes on");
            }
        }
        result
    }

    fn shutdown_with_timeout(&mut self, timeout: Duration) -> OTelSdkResult {
        self.exporter.shutdown_with_timeout(timeout)
    }

    fn force_flush(&mut self) -> OTelSdkResult {
        self.exporter.force_flush()
    }

    fn set_resource(&mut self, resource: &Resource) {
        self.exporter.set_resource(resource);
    }
}

/// When to complain. Pure.
#[derive(Debug, Default)]
struct Complaints {
    last: Option<Instant>,
    failures: u64,
}

impl Complaints {
    /// A batch failed at `now`; how many have since the last complaint, where it is time for one.
    fn failed(&mut self, now: Instant) -> Option<u64> {
        self.failures += 1;
        if self.last.is_some_and(|last| now.duration_since(last) < COMPLAINT_INTERVAL) {
            return None;
        }
        self.last = Some(now);
        Some(std::mem::take(&mut self.failures))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use opentelemetry::trace::{Tracer, TracerProvider};
    use opentelemetry_sdk::trace::SdkTracerProvider;

    use super::*;

    #[test]
    fn a_failing_collector_is_told_of_once_a_minute() {
        let start = Instant::now();
        let mut complaints = Complaints::default();
        let told: Vec<Option<u64>> = [0, 5, 59, 60, 61, 200]
            .map(|second| complaints.failed(start + Duration::from_secs(second)))
            .to_vec();
        assert_eq!(told, [Some(1), None, None, Some(3), None, Some(2)]);
    }

    /// Takes a batch when it is told to.
    #[derive(Debug)]
    struct Gated {
        begun: mpsc::SyncSender<usize>,
        gate: Mutex<mpsc::Receiver<()>>,
    }

    impl SpanExporter for Gated {
        async fn export(&self, batch: Vec<SpanData>) -> OTelSdkResult {
            self.begun.send(batch.len()).unwrap();
            self.gate.lock().unwrap().recv().unwrap();
            Ok(())
        }
    }

    #[test]
    fn a_slow_collector_costs_spans_and_no_time() {
        let (begun, sent) = mpsc::sync_channel(8);
        let (open, gate) = mpsc::sync_channel(8);
        let config = Otlp { max_queued_spans: 4, max_batch_spans: 2, ..Otlp::default() };
        let sender = Sender::new(Gated { begun, gate: Mutex::new(gate) }, &config);
        let waiting = Arc::clone(&sender.waiting);
        let provider = SdkTracerProvider::builder().with_span_processor(sender).build();
        let tracer = provider.tracer("test");
        let end_some = |count| (0..count).for_each(|_| drop(tracer.start("span")));
        end_some(2);
        assert_eq!(sent.recv().unwrap(), 2, "a full batch is sent at once");
        // The collector does not answer: two more find room, the others are dropped at once.
        end_some(50);
        assert_eq!(waiting.load(Ordering::Relaxed), 4);
        (0..2).for_each(|_| open.send(()).unwrap());
        assert_eq!(sent.recv().unwrap(), 2);
        provider.shutdown().unwrap();
        assert_eq!(waiting.load(Ordering::Relaxed), 0);
    }
}
