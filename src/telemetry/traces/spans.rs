//! The spans there are: a call, a frame of a stream, and the stages below either.

use std::future::Future;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use http::{HeaderMap, HeaderValue};
use opentelemetry::context::{FutureExt, WithContext};
use opentelemetry::trace::{
    Span, SpanBuilder, SpanContext, SpanKind, Status, TraceContextExt, Tracer as _,
};
use opentelemetry::{Context, ContextGuard, KeyValue};
use opentelemetry_sdk::trace::SdkTracer;

use super::{Tracer, w3c};
use crate::telemetry::metrics::{self, FrameOutcome, Stage};

/// What a recorded call's context carries to the spans below it.
#[derive(Clone, Debug)]
struct Recorder {
    tracer: SdkTracer,
    stream_frames: u64,
}

impl Recorder {
    /// Makes a span below that of `context`.
    fn begin(&self, name: &'static str, start: SystemTime, context: &Context) -> impl Span + use<> {
        let builder = SpanBuilder::from_name(name).with_start_time(start);
        self.tracer.build_with_context(builder.with_kind(SpanKind::Internal), context)
    }
}

/// The span of one gRPC call; it ends with the last clone of its context, or when it is told to.
#[derive(Debug)]
pub struct CallSpan {
    context: Context,
}

impl Tracer {
    /// Begins the span of a call to `path`, such as `veriframe.v1.VerificationService/Verify`. It
    /// joins the trace of the caller's headers; where these name none or are malformed, it begins
    /// one.
    pub fn call(&self, headers: &HeaderMap, path: &'static str) -> CallSpan {
        let none = Context::new();
        let caller =
            w3c::read(headers).map_or(none, |span| Context::new().with_remote_span_context(span));
        let (service, method) = path.split_once('/').unwrap_or(("", path));
        let attributes = vec![
            KeyValue::new("rpc.system", "grpc"),
            KeyValue::new("rpc.service", service),
            KeyValue::new("rpc.method", method),
        ];
        let builder =
            SpanBuilder::from_name(path).with_kind(SpanKind::Server).with_attributes(attributes);
        let span = self.spans.build_with_context(builder, &caller);
        let context = if span.is_recording() {
            let stream_frames = self.config.stream_frames.into();
            Context::new().with_value(Recorder { tracer: self.spans.clone(), stream_frames })
        } else {
            Context::new()
        };
        CallSpan { context: context.with_span(span) }
    }
}

impl CallSpan {
    /// Does `work` within the span: the stages of the work are its children.
    pub fn scope<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.context.clone())
    }

    /// The same for work that is not a future, until the returned guard is dropped.
    pub fn enter(&self) -> ContextGuard {
        self.context.clone().attach()
    }

    /// The trace's id, 32 hexadecimal digits; none once the tracer was shut down.
    pub fn trace_id(&self) -> Option<String> {
        self.identity().map(|span| span.trace_id().to_string())
    }

    /// The header that names this span; none once the tracer was shut down.
    pub fn traceparent(&self) -> Option<HeaderValue> {
        self.identity().map(|span| w3c::write(&span))
    }

    fn identity(&self) -> Option<SpanContext> {
        Some(self.context.span().span_context().clone()).filter(SpanContext::is_valid)
    }

    /// Notes something about the call, under a name of OpenTelemetry's conventions. Never what a
    /// caller sent to be looked at, and never what it proved itself with.
    pub fn note(&self, name: &'static str, value: impl Into<opentelemetry::Value>) {
        self.context.span().set_attribute(KeyValue::new(name, value));
    }

    /// Ends the span with a gRPC status code, 0 to 16.
    pub fn end(&self, code: i32) {
        let span = self.context.span();
        span.set_attribute(KeyValue::new("rpc.grpc.status_code", i64::from(code)));
        if is_our_fault(code) {
            span.set_status(Status::error(""));
        }
        span.end();
    }
}

/// Whether a server's span with this status is an error by OpenTelemetry's conventions: UNKNOWN,
/// `DEADLINE_EXCEEDED`, UNIMPLEMENTED, INTERNAL, UNAVAILABLE or `DATA_LOSS`.
fn is_our_fault(code: i32) -> bool {
    matches!(code, 2 | 4 | 12..=15)
}

/// A stage of a frame that has ended: a metric, and a span where the call is recorded.
#[derive(Debug)]
#[must_use = "it is recorded by `record`"]
pub struct Lap<'a> {
    stage: Stage,
    started: Instant,
    took: Duration,
    model: Option<&'a str>,
    batch: Option<usize>,
}

impl<'a> Lap<'a> {
    /// A stage that ended now.
    pub fn since(stage: Stage, started: Instant) -> Self {
        Self::new(stage, started, started.elapsed())
    }

    /// A stage that began at `started` and took `took`, whoever measured that.
    pub fn new(stage: Stage, started: Instant, took: Duration) -> Self {
        Self { stage, started, took, model: None, batch: None }
    }

    /// The model that it was about.
    pub fn of(self, model: &'a str) -> Self {
        Self { model: Some(model), ..self }
    }

    /// How many items rode in the batch.
    pub fn in_batch(self, items: usize) -> Self {
        Self { batch: Some(items), ..self }
    }

    /// Records it below the call or frame that is current; how long it took.
    pub fn record(self) -> Duration {
        metrics::record_stage(self.stage, self.took);
        let context = Context::current();
        if let Some(recorder) = context.get::<Recorder>() {
            let start = wall_clock(self.started);
            let mut span = recorder.begin(self.stage.name(), start, &context);
            if let Some(model) = self.model {
                span.set_attribute(KeyValue::new("veriframe.model", model.to_owned()));
            }
            if let Some(batch) = self.batch {
                span.set_attribute(KeyValue::new("veriframe.batch_size", batch as i64));
            }
            span.end_with_timestamp(start + self.took);
        }
        self.took
    }
}

/// When `moment` was, by the clock on the wall.
fn wall_clock(moment: Instant) -> SystemTime {
    SystemTime::now().checked_sub(moment.elapsed()).unwrap_or(UNIX_EPOCH)
}

/// The frames of one stream, some of which have a span.
#[derive(Debug)]
pub struct FrameSpans {
    stream: Context,
    every: u64,
    seen: u64,
}

impl FrameSpans {
    /// Of the stream whose call is current.
    pub fn of_this_call() -> Self {
        let stream = Context::current();
        let every = stream.get::<Recorder>().map_or(0, |recorder| recorder.stream_frames);
        Self { stream, every, seen: 0 }
    }

    /// The frame that arrives now; `sequence` is the client's number of it.
    pub fn begin(&mut self, sequence: u64) -> FrameSpan {
        let recorded = has_span(self.seen, self.every);
        self.seen += 1;
        let context = match self.stream.get::<Recorder>() {
            Some(recorder) if recorded => {
                let mut span = recorder.begin("frame", SystemTime::now(), &self.stream);
                span.set_attribute(KeyValue::new("veriframe.frame.sequence", sequence as i64));
                self.stream.with_span(span)
            }
            _ => Context::new(),
        };
        FrameSpan { context, ready: None }
    }
}

/// The first `every` frames, then one in `every`.
fn has_span(seen: u64, every: u64) -> bool {
    seen < every || seen.checked_rem(every) == Some(0)
}

/// One frame of a stream; dropped, it has been abandoned.
#[derive(Debug)]
pub struct FrameSpan {
    context: Context,
    ready: Option<Instant>,
}

impl FrameSpan {
    /// Does the frame's work: its stages are the frame's children, never the stream's.
    pub fn scope<F: Future>(&self, work: F) -> WithContext<F> {
        work.with_context(self.context.clone())
    }

    /// The result is there, and waits to be sent.
    pub fn ready(&mut self) {
        self.ready = Some(Instant::now());
    }

    /// The result is on its way to the client.
    pub fn end(self, outcome: FrameOutcome) {
        if let Some(ready) = self.ready {
            let _entered = self.context.clone().attach();
            Lap::since(Stage::Send, ready).record();
        }
        let span = self.context.span();
        span.set_attribute(KeyValue::new("veriframe.frame.outcome", outcome.name()));
        span.end();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use opentelemetry::trace::{SpanId, TraceId};
    use opentelemetry_sdk::error::OTelSdkResult;
    use opentelemetry_sdk::trace::{SdkTracerProvider, SpanData, SpanExporter};

    use super::super::{Otlp, sampler};
    use super::*;

    const CALLER: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    const PATH: &str = "veriframe.v1.VerificationService/Verify";

    /// Keeps every span that ends.
    #[derive(Clone, Debug, Default)]
    struct Kept(Arc<Mutex<Vec<SpanData>>>);

    impl SpanExporter for Kept {
        async fn export(&self, mut batch: Vec<SpanData>) -> OTelSdkResult {
            self.0.lock().unwrap().append(&mut batch);
            Ok(())
        }
    }

    impl Kept {
        fn tracer(&self, config: Otlp) -> Tracer {
            let provider = SdkTracerProvider::builder()
                .with_sampler(sampler(&config))
                .with_simple_exporter(self.clone());
            Tracer::new(provider.build(), config)
        }

        fn spans(&self) -> Vec<SpanData> {
            self.0.lock().unwrap().clone()
        }
    }

    fn headers(traceparent: &'static str) -> HeaderMap {
        let name = http::HeaderName::from_static("traceparent");
        HeaderMap::from_iter([(name, HeaderValue::from_static(traceparent))])
    }

    fn attribute(span: &SpanData, key: &str) -> Option<String> {
        let found = span.attributes.iter().find(|pair| pair.key.as_str() == key);
        found.map(|pair| pair.value.to_string())
    }

    #[test]
    fn a_call_joins_its_callers_trace_and_its_stages_are_below_it() {
        let kept = Kept::default();
        let call = kept.tracer(Otlp::default()).call(&headers(CALLER), PATH);
        assert_eq!(call.trace_id().unwrap(), CALLER[3..35]);
        let told = call.traceparent().unwrap();
        let started = Instant::now();
        let took = Duration::from_millis(250);
        {
            let _entered = call.enter();
            Lap::new(Stage::Infer, started, took).of("clip").in_batch(3).record();
        }
        // After the call's scope, nothing is below it any more.
        Lap::new(Stage::Decode, started, took).record();
        call.end(13);
        let spans = kept.spans();
        let [stage, call] = spans.as_slice() else { panic!("{spans:?}") };
        assert_eq!((call.name.as_ref(), stage.name.as_ref()), (PATH, "infer"));
        assert_eq!(call.span_context.trace_id(), TraceId::from_hex(&CALLER[3..35]).unwrap());
        assert_eq!(call.parent_span_id, SpanId::from_hex(&CALLER[36..52]).unwrap());
        assert_eq!(told, format!("{}{}-01", &CALLER[..36], call.span_context.span_id()));
        assert_eq!(stage.parent_span_id, call.span_context.span_id());
        assert_eq!(stage.end_time.duration_since(stage.start_time).unwrap(), took);
        assert_eq!(attribute(stage, "veriframe.batch_size").unwrap(), "3");
        assert_eq!(attribute(call, "rpc.method").unwrap(), "Verify");
        assert_eq!(attribute(call, "rpc.service").unwrap(), "veriframe.v1.VerificationService");
        assert_eq!(attribute(call, "rpc.grpc.status_code").unwrap(), "13");
        assert_eq!(call.status, Status::error(""));
    }

    #[test]
    fn sampling_follows_the_caller_or_the_share() {
        let check = |caller: &'static str, ratio: f64, follow_caller: bool, recorded: bool| {
            let kept = Kept::default();
            let config = Otlp { sample_ratio: ratio, follow_caller, ..Otlp::default() };
            let call = kept.tracer(config).call(&headers(caller), PATH);
            assert!(call.trace_id().is_some());
            let _entered = call.enter();
            Lap::since(Stage::Decode, Instant::now()).record();
            call.end(0);
            let expected = if recorded { 2 } else { 0 };
            assert_eq!(kept.spans().len(), expected, "{caller} {ratio} {follow_caller}");
        };
        let unsampled = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";
        check(CALLER, 0.0, true, true);
        check(unsampled, 1.0, true, false);
        check(CALLER, 0.0, false, false);
        check(unsampled, 1.0, false, true);
        check("malformed", 0.0, true, false);
        check("malformed", 1.0, true, true);
    }

    #[test]
    fn a_tracer_that_sends_nothing_still_names_the_trace() {
        let call = Tracer::default().call(&headers(CALLER), PATH);
        assert_eq!(call.trace_id().unwrap(), CALLER[3..35]);
        assert!(call.traceparent().unwrap().to_str().unwrap().ends_with("-00"));
        let other = Tracer::default().call(&HeaderMap::new(), PATH);
        assert_eq!(other.trace_id().unwrap().len(), 32);
    }

    #[tokio::test]
    async fn frames_have_spans_by_turns_and_keep_their_stages() {
        let kept = Kept::default();
        let config = Otlp { stream_frames: 3, ..Otlp::default() };
        let call = kept.tracer(config).call(&headers(CALLER), PATH);
        let mut frames = call.scope(async { FrameSpans::of_this_call() }).await;
        for sequence in 0..10 {
            let mut frame = frames.begin(sequence);
            let work = async { Lap::since(Stage::Decode, Instant::now()).record() };
            call.scope(frame.scope(work)).await;
            frame.ready();
            frame.end(FrameOutcome::Ok);
        }
        call.end(0);
        let spans = kept.spans();
        let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
        let sequences: Vec<String> = named("frame")
            .iter()
            .map(|frame| attribute(frame, "veriframe.frame.sequence").unwrap())
            .collect();
        assert_eq!(sequences, ["0", "1", "2", "3", "6", "9"]);
        let frames: Vec<SpanId> =
            named("frame").iter().map(|frame| frame.span_context.span_id()).collect();
        for stage in ["decode", "send"] {
            let parents: Vec<SpanId> =
                named(stage).iter().map(|stage| stage.parent_span_id).collect();
            assert_eq!(parents, frames, "{stage}");
        }
        let stream = named(PATH)[0].span_context.span_id();
        assert!(named("frame").iter().all(|frame| frame.parent_span_id == stream));
        let outcome = attribute(named("frame")[0], "veriframe.frame.outcome");
        assert_eq!(outcome.as_deref(), Some("ok"));
    }

    #[test]
    fn no_frame_has_a_span_where_none_is_asked_for() {
        let with = |every| (0..10).filter(|&seen| has_span(seen, every)).count();
        assert_eq!((with(0), with(1), with(4), with(100)), (0, 10, 6, 10));
    }
}
