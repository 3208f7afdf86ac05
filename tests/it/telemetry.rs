//! What an operator sees of the calls: traces at a collector, lines in the log, metrics on the page.

use std::collections::BTreeSet;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use futures::{StreamExt, stream};
use opentelemetry_proto::tonic::collector::trace::v1::trace_service_server::{
    TraceService, TraceServiceServer,
};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status};
use veriframe::proto::inference::ModelInferRequest;
use veriframe::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use veriframe::proto::v1;
use veriframe::server::Config;
use veriframe::telemetry::metrics::{METRICS, Shape};
use veriframe::telemetry::{self, LogFormat, Otlp, Tracer, subscriber};

use crate::support::{TestServer, detection, encoded, good, png, similarity};

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";
const PARENT: &str = "00f067aa0ba902b7";

/// Takes traces as a collector does; it ends with the test.
struct Collector {
    address: SocketAddr,
    received: Arc<Mutex<Vec<ExportTraceServiceRequest>>>,
    serving: JoinHandle<()>,
}

struct Taker(Arc<Mutex<Vec<ExportTraceServiceRequest>>>);

#[tonic::async_trait]
impl TraceService for Taker {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        self.0.lock().unwrap().push(request.into_inner());
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

impl Collector {
    async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let service = TraceServiceServer::new(Taker(Arc::clone(&received)));
        let incoming = TcpListenerStream::new(listener);
        let serving = tonic::transport::Server::builder().add_service(service);
        let serving = tokio::spawn(async move {
            serving.serve_with_incoming(incoming).await.unwrap();
        });
        Self { address, received, serving }
    }

    fn otlp(&self) -> Otlp {
        // Only calls whose caller asks for it are recorded.
        Otlp { sample_ratio: 0.0, ..otlp(self.address) }
    }

    fn spans(&self) -> Vec<Span> {
        let received = self.received.lock().unwrap();
        let scopes = received.iter().flat_map(|request| &request.resource_spans);
        let spans = scopes.flat_map(|resource| &resource.scope_spans).flat_map(|it| &it.spans);
        spans.cloned().collect()
    }
}

fn otlp(collector: SocketAddr) -> Otlp {
    Otlp { endpoint: Some(format!("http://{collector}")), ..Otlp::default() }
}

async fn traced(otlp: Otlp) -> (TestServer, Tracer) {
    let tracer = Tracer::start(otlp).unwrap();
    let config = Config { tracer: tracer.clone(), ..Config::default() };
    (TestServer::with(config).await, tracer)
}

/// The same request from a caller that is traced.
fn within_a_trace<T>(message: T) -> Request<T> {
    let mut request = Request::new(message);
    let parent = format!("00-{TRACE}-{PARENT}-01").parse().unwrap();
    request.metadata_mut().insert("traceparent", parent);
    request.metadata_mut().insert("tracestate", "shop=42".parse().unwrap());
    request
}

fn traceparent(metadata: &MetadataMap) -> Vec<String> {
    let value = metadata.get("traceparent").unwrap().to_str().unwrap();
    value.split('-').map(str::to_owned).collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.map(|digit| char::from_digit(digit.into(), 16).unwrap()).collect()
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    let found = span.attributes.iter().find(|attribute| attribute.key == key);
    found.and_then(|attribute| attribute.value.as_ref()?.value.as_ref())
}

fn text(value: &str) -> Value {
    Value::StringValue(value.to_owned())
}

fn everything() -> v1::VerifyRequest {
    v1::VerifyRequest {
        similarity: similarity(&["a secret claim"]),
        detection: detection(),
        heatmaps: Some(v1::HeatmapQuery::default()),
        ..good()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_call_joins_its_callers_trace_with_a_span_for_each_stage() {
    let collector = Collector::start().await;
    let (server, tracer) = traced(collector.otlp()).await;
    let mut client = server.client().await;
    let answer = client.verify(within_a_trace(everything())).await.unwrap();
    // Nobody asked to record this one.
    client.verify(good()).await.unwrap();
    server.stop().await.unwrap();
    tracer.shutdown().await;

    let spans = collector.spans();
    let calls: Vec<&Span> = spans.iter().filter(|span| span.name.contains('/')).collect();
    let [call] = calls.as_slice() else { panic!("{spans:?}") };
    assert_eq!(call.name, "veriframe.v1.VerificationService/Verify");
    assert_eq!(hex(&call.parent_span_id), PARENT);
    assert_eq!(call.trace_state, "shop=42");
    assert_eq!(call.kind, 2, "it is a server's span");
    let told = traceparent(answer.metadata());
    assert_eq!(told, ["00", TRACE, &hex(&call.span_id), "01"]);
    for (key, expected) in [
        ("rpc.system", text("grpc")),
        ("rpc.service", text("veriframe.v1.VerificationService")),
        ("rpc.method", text("Verify")),
        ("rpc.grpc.status_code", Value::IntValue(0)),
        ("network.peer.address", text("127.0.0.1")),
    ] {
        assert_eq!(attribute(call, key), Some(&expected), "{key}");
    }
    let stages: Vec<&Span> = spans.iter().filter(|span| !span.name.contains('/')).collect();
    let names: BTreeSet<&str> = stages.iter().map(|span| span.name.as_str()).collect();
    let all = ["decode", "explain", "infer", "postprocess", "preprocess", "queue", "send", "texts"];
    assert_eq!(names, BTreeSet::from(all));
    for stage in &stages {
        assert_eq!(hex(&stage.trace_id), TRACE);
        assert_eq!(stage.parent_span_id, call.span_id, "{}", stage.name);
        let slack = 1_000_000;
        assert!(stage.start_time_unix_nano + slack >= call.start_time_unix_nano, "{stage:?}");
        assert!(stage.end_time_unix_nano <= call.end_time_unix_nano + slack, "{stage:?}");
    }
    let first = |name: &str| *stages.iter().find(|span| span.name == name).unwrap();
    assert!(first("decode").end_time_unix_nano <= first("queue").start_time_unix_nano);
    for model in ["clip", "yolo"] {
        let of = |name: &str| {
            let is = |span: &&&Span| attribute(span, "veriframe.model") == Some(&text(model));
            *stages.iter().filter(|span| span.name == name).find(is).unwrap()
        };
        // What the device thread measured fits together: the wait ends where the run begins.
        let (queue, infer) = (of("queue"), of("infer"));
        let gap = queue.end_time_unix_nano.abs_diff(infer.start_time_unix_nano);
        assert!(gap < 1_000_000, "{gap} ns between {queue:?} and {infer:?}");
        assert!(matches!(attribute(infer, "veriframe.batch_size"), Some(Value::IntValue(1..))));
    }
    for request in collector.received.lock().unwrap().iter() {
        let bytes = request.encode_to_vec();
        assert!(!bytes.windows(12).any(|part| part == b"secret claim"), "a prompt got out");
    }
}

fn stream_of(frames: std::ops::Range<u64>) -> impl futures::Stream<Item = v1::VerifyStreamRequest> {
    let config = v1::StreamConfig { similarity: similarity(&["a face"]), ..Default::default() };
    let first = v1::verify_stream_request::Message::Config(config);
    let frames = frames.map(|sequence| {
        let image = encoded(png(sequence as u32 % 4));
        let frame = v1::Frame { sequence, presentation_time: None, image };
        v1::verify_stream_request::Message::Frame(frame)
    });
    let messages = std::iter::once(first).chain(frames);
    stream::iter(messages.map(|message| v1::VerifyStreamRequest { message: Some(message) }))
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_of_a_stream_have_spans_of_their_own_and_not_too_many() {
    let collector = Collector::start().await;
    let (server, tracer) = traced(Otlp { stream_frames: 4, ..collector.otlp() }).await;
    let mut client = server.client().await;
    let mut request = within_a_trace(());
    let request = Request::from_parts(
        std::mem::take(request.metadata_mut()),
        tonic::Extensions::default(),
        stream_of(10..22),
    );
    let results = client.verify_stream(request).await.unwrap().into_inner();
    assert_eq!(results.count().await, 13, "a result for each frame, and a summary");
    server.stop().await.unwrap();
    tracer.shutdown().await;

    let spans = collector.spans();
    let named = |name: &str| spans.iter().filter(|span| span.name == name).collect::<Vec<_>>();
    let [call] = named("veriframe.v1.VerificationService/VerifyStream")[..] else {
        panic!("{spans:?}")
    };
    let frames = named("frame");
    let sequences: BTreeSet<i64> = frames
        .iter()
        .map(|frame| match attribute(frame, "veriframe.frame.sequence") {
            Some(Value::IntValue(sequence)) => *sequence,
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(sequences, BTreeSet::from([10, 11, 12, 13, 14, 18]));
    for frame in &frames {
        assert_eq!(frame.parent_span_id, call.span_id);
        assert_eq!(hex(&frame.trace_id), TRACE);
        assert_eq!(attribute(frame, "veriframe.frame.outcome"), Some(&text("ok")));
        let below = spans.iter().filter(|span| span.parent_span_id == frame.span_id);
        let names: BTreeSet<&str> = below.map(|span| span.name.as_str()).collect();
        let all = ["decode", "infer", "postprocess", "preprocess", "queue", "send", "texts"];
        assert_eq!(names, BTreeSet::from(all));
    }
    let below: Vec<&Span> =
        spans.iter().filter(|span| span.parent_span_id == call.span_id).collect();
    assert_eq!(below.len(), frames.len(), "no stage is the stream's own: {below:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trace_id_comes_back_whatever_the_caller_sends() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let answer = client.verify(within_a_trace(good())).await.unwrap();
    let told = traceparent(answer.metadata());
    assert_eq!((told[1].as_str(), told[3].as_str()), (TRACE, "00"), "joined, not recorded");
    for bad in ["", "00-zz-00-01", "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"] {
        let mut request = Request::new(v1::VerifyRequest::default());
        request.metadata_mut().insert("traceparent", bad.parse().unwrap());
        let refused = client.verify(request).await.unwrap_err();
        let told = traceparent(refused.metadata());
        assert!(told[1].len() == 32 && told[1] != TRACE, "{bad}: {told:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collector_that_is_away_or_silent_harms_nobody() {
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let silent = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let (away, silent_at) = (gone.local_addr().unwrap(), silent.local_addr().unwrap());
    drop(gone);
    for collector in [away, silent_at] {
        let otlp = Otlp {
            sample_ratio: 1.0,
            max_queued_spans: 8,
            max_batch_spans: 4,
            timeout: Duration::from_mins(1),
            flush_limit: Duration::from_millis(100),
            ..otlp(collector)
        };
        let (server, tracer) = traced(otlp).await;
        let mut client = server.client().await;
        for _ in 0..5 {
            client.verify(good()).await.unwrap();
        }
        server.stop().await.unwrap();
        let started = Instant::now();
        tracer.shutdown().await;
        assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    }
}

/// Everything that is logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Log {
    /// The lines of the access log in what is logged while `work` runs on this thread.
    async fn of(format: LogFormat, work: impl AsyncFn()) -> String {
        let log = Self::default();
        let writer = log.clone();
        let lines = move || writer.clone();
        let subscriber =
            subscriber(&telemetry::Log { format, ..Default::default() }, lines, false).unwrap();
        let logging = tracing::subscriber::set_default(subscriber);
        // A test beside this one may have reached a log line first and had it held for one that
        // nobody reads. After a first round all lines are known, and asked again.
        work().await;
        tracing::callsite::rebuild_interest_cache();
        log.0.lock().unwrap().clear();
        work().await;
        drop(logging);
        String::from_utf8(log.0.lock().unwrap().clone()).unwrap()
    }
}

/// The server's tasks run on this test's thread, so that its log is this test's.
async fn a_good_a_bad_and_two_long_calls() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let mut request = within_a_trace(everything());
    request.metadata_mut().insert("x-request-id", "order-7".parse().unwrap());
    request.metadata_mut().insert("authorization", "Bearer hunter2".parse().unwrap());
    client.verify(request).await.unwrap();
    client.verify(v1::VerifyRequest::default()).await.unwrap_err();
    let results = client.verify_stream(stream_of(0..3)).await.unwrap().into_inner();
    assert_eq!(results.count().await, 4);
    let mut other = GrpcInferenceServiceClient::new(server.channel().await);
    let asked = [ModelInferRequest::default(), ModelInferRequest::default()];
    let results = other.model_stream_infer(stream::iter(asked)).await.unwrap().into_inner();
    assert_eq!(results.count().await, 2);
    server.stop().await.unwrap();
}

#[tokio::test]
async fn each_call_has_one_line_in_the_access_log() {
    let page = Log::of(LogFormat::Json, a_good_a_bad_and_two_long_calls).await;
    let lines: Vec<serde_json::Value> =
        page.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [good, bad, long, other] = lines.as_slice() else { panic!("{page}") };
    assert_eq!(good["target"], "access");
    assert_eq!(good["method"], "veriframe.v1.VerificationService/Verify");
    assert_eq!(good["code"], "OK");
    assert_eq!(good["request_id"], "order-7");
    assert_eq!(good["trace_id"], TRACE);
    assert!(good["peer"].as_str().unwrap().starts_with("127.0.0.1:"), "{good}");
    assert!(good["seconds"].as_f64().unwrap() > 0.0, "{good}");
    assert!(good["received_bytes"].as_u64().unwrap() > 100, "{good}");
    assert!(good["sent_bytes"].as_u64().unwrap() > 100, "{good}");
    assert_eq!(bad["code"], "INVALID_ARGUMENT");
    assert_ne!(bad["trace_id"], TRACE);
    assert_eq!((&good["frames"], &long["frames"]), (&serde_json::Value::Null, &3.into()));
    assert_eq!(other["method"], "inference.GRPCInferenceService/ModelStreamInfer");
    assert_eq!(other["frames"], 2);
    for secret in ["secret claim", "hunter2"] {
        assert!(!page.contains(secret), "{page}");
    }
}

#[tokio::test]
async fn the_access_log_can_be_read_by_people() {
    let page = Log::of(LogFormat::Text, a_good_a_bad_and_two_long_calls).await;
    assert_eq!(page.lines().count(), 4, "{page}");
    let line = page.lines().next().unwrap();
    let expected =
        ["INFO", "call", "code=\"OK\"", "request_id=\"order-7\"", "peer=127.0.0.1:", "seconds=0."];
    for part in expected {
        assert!(line.contains(part), "{part} is not in {line}");
    }
}

/// The manual's table of metrics is the list of metrics.
#[test]
fn the_manual_names_every_metric_as_the_page_does() {
    let manual = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/observability.md");
    let manual = std::fs::read_to_string(manual).unwrap();
    let rows: BTreeSet<String> = manual
        .lines()
        .filter(|line| line.starts_with("| `veriframe_") || line.starts_with("| `process_"))
        .map(str::to_owned)
        .collect();
    let expected: Vec<String> = METRICS
        .iter()
        .map(|metric| {
            let shape = match metric.shape {
                Shape::Counter => "counter",
                Shape::Gauge => "gauge",
                Shape::Histogram(_) => "histogram",
            };
            let labels = metric.labels.iter().map(|label| format!("`{label}`"));
            let labels = labels.collect::<Vec<_>>().join(", ");
            format!("| `{}` | {shape} | {labels} | {} |", metric.name, metric.help)
        })
        .collect();
    let table = expected.join("\n");
    assert!(rows == expected.into_iter().collect(), "the table should be:\n{table}");
}
