//! The recorder behind the metrics, and the page Prometheus reads, `GET /metrics`; probes beside it.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use metrics_exporter_prometheus::{
    Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use super::TelemetryError;
use super::metrics::{METRICS, Shape, describe_all};
use super::probes::Probes;
use super::process::Sampler;

/// Observations are folded into their buckets this often, so that they do not pile up while
/// nobody reads the page.
const UPKEEP: Duration = Duration::from_secs(5);
/// Readers served at a time; more wait.
const READERS: usize = 8;
/// A reader that has not had its page by then is cut off.
const READER_LIMIT: Duration = Duration::from_secs(10);
/// The pause after a connection could not be accepted, for example for want of file handles.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// The process's one recorder, once installed.
static INSTALLED: Mutex<Option<PrometheusHandle>> = Mutex::new(None);

/// Metrics that are being kept, and perhaps served; dropped, the page goes away.
#[derive(Debug)]
pub struct Exporter {
    recorded: PrometheusHandle,
    address: Option<SocketAddr>,
    probes: Probes,
    /// Ends with the exporter, and so does the sampler.
    _tasks: JoinSet<()>,
    _sampler: Sampler,
}

impl Exporter {
    /// Installs the recorder for the process, if this is the first call, and serves its page at
    /// `address` if there is one; port 0 takes any free port.
    ///
    /// Several servers in one process share the recorder, each may serve the page. Needs a tokio
    /// runtime. Errors: [`TelemetryError::Listen`]; [`TelemetryError::Installed`] where the process
    /// has a recorder of another make.
    pub async fn install(address: Option<SocketAddr>) -> Result<Self, TelemetryError> {
        let recorded = installed()?;
        let probes = Probes::default();
        let mut tasks = JoinSet::new();
        tasks.spawn(keep_up(recorded.clone()));
        let address = match address {
            None => None,
            Some(address) => {
                let failed = |source| TelemetryError::Listen { address, source };
                let listener = TcpListener::bind(address).await.map_err(failed)?;
                let bound = listener.local_addr().map_err(failed)?;
                let page = Page { recorded: recorded.clone(), probes: probes.clone() };
                tasks.spawn(serve(listener, page));
                Some(bound)
            }
        };
        Ok(Self { recorded, address, probes, _tasks: tasks, _sampler: Sampler::start() })
    }

    /// The page, in Prometheus' text format.
    pub fn render(&self) -> String {
        self.recorded.render()
    }

    /// What is answered beside the page, at `/live` and `/ready`.
    pub fn probes(&self) -> Probes {
        self.probes.clone()
    }

    /// Where the page is served, with the port the system chose if 0 was asked for.
    pub fn address(&self) -> Option<SocketAddr> {
        self.address
    }
}

/// A recorder with every histogram's buckets.
pub(super) fn recorder() -> PrometheusRecorder {
    let builder =
        METRICS.iter().fold(PrometheusBuilder::new(), |builder, metric| match metric.shape {
            Shape::Counter | Shape::Gauge => builder,
            Shape::Histogram(buckets) => builder
                .set_buckets_for_metric(Matcher::Full(metric.name.to_owned()), buckets)
                .expect("no histogram has an empty list of buckets"),
        });
    builder.build_recorder()
}

fn installed() -> Result<PrometheusHandle, TelemetryError> {
    let mut installed = INSTALLED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(handle) = &*installed {
        return Ok(handle.clone());
    }
    let recorder = recorder();
    let handle = recorder.handle();
    metrics::set_global_recorder(recorder).map_err(|_| TelemetryError::Installed("metrics"))?;
    describe_all(SystemTime::now());
    *installed = Some(handle.clone());
    Ok(handle)
}

async fn keep_up(recorded: PrometheusHandle) {
    let mut ticks = tokio::time::interval(UPKEEP);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        recorded.run_upkeep();
    }
}

/// What is served.
#[derive(Clone)]
struct Page {
    recorded: PrometheusHandle,
    probes: Probes,
}

async fn serve(listener: TcpListener, page: Page) {
    let places = Arc::new(Semaphore::new(READERS));
    let mut readers = JoinSet::new();
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        match listener.accept().await {
            Ok((stream, _)) => {
                let reading = answer(stream, page.clone());
                readers.spawn(async move {
                    // A reader that is late or breaks off harms nobody.
                    drop(tokio::time::timeout(READER_LIMIT, reading).await);
                    drop(place);
                });
            }
            Err(error) => {
                tracing::warn!(%error, "metrics connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
        while readers.try_join_next().is_some() {}
    }
}

async fn answer(stream: TcpStream, page: Page) {
    let service = service_fn(move |request: Request<Incoming>| {
        let response = page.answer(&request);
        async move { Ok::<_, Infallible>(response) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "metrics reader broke off");
    }
}

impl Page {
    fn answer(&self, request: &Request<Incoming>) -> Response<Full<Bytes>> {
        let path = request.uri().path();
        let (status, body) = match (path, self.probes.at(path)) {
            ("/metrics", _) | (_, Some(_)) if request.method() != Method::GET => {
                (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".into())
            }
            ("/metrics", _) => (StatusCode::OK, self.recorded.render()),
            (_, Some(true)) => (StatusCode::OK, "yes\n".into()),
            (_, Some(false)) => (StatusCode::SERVICE_UNAVAILABLE, "no\n".into()),
            (_, None) => {
                (StatusCode::NOT_FOUND, "there are /metrics, /live and /ready here\n".into())
            }
        };
        let mut response = Response::new(Full::from(body));
        *response.status_mut() = status;
        let text = header::HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
        response.headers_mut().insert(header::CONTENT_TYPE, text);
        response
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::super::metrics::record_cache;
    use super::*;

    async fn get(address: SocketAddr, path: &str) -> String {
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        answer
    }

    #[tokio::test]
    async fn several_exporters_serve_one_page_on_their_own_ports() {
        let free = Some(SocketAddr::from(([127, 0, 0, 1], 0)));
        let first = Exporter::install(free).await.unwrap();
        let second = Exporter::install(free).await.unwrap();
        let silent = Exporter::install(None).await.unwrap();
        assert_eq!(silent.address(), None);
        record_cache("exporter-test", true);
        let hit = "veriframe_cache_hits_total{cache=\"exporter-test\"} 1\n";
        assert!(silent.render().contains(hit));
        assert!(silent.render().contains("\nprocess_resident_memory_bytes "));
        for exporter in [&first, &second] {
            let answer = get(exporter.address().unwrap(), "/metrics").await;
            assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
            assert!(answer.contains("text/plain; version=0.0.4"), "{answer}");
            assert!(answer.contains(hit), "{answer}");
            let other = get(exporter.address().unwrap(), "/").await;
            assert!(other.starts_with("HTTP/1.1 404"), "{other}");
        }
        for (live, ready) in [(false, false), (true, false), (true, true)] {
            first.probes().tell(live, ready);
            for (path, holds) in [("/live", live), ("/ready", ready)] {
                let status = if holds { "200 OK" } else { "503 Service Unavailable" };
                let answer = get(first.address().unwrap(), path).await;
                assert!(answer.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{answer}");
            }
        }
        let other = get(second.address().unwrap(), "/live").await;
        assert!(other.starts_with("HTTP/1.1 503"), "each tells of its own server: {other}");
        let taken = first.address();
        let error = Exporter::install(taken).await.unwrap_err().to_string();
        assert!(error.starts_with("cannot serve metrics on 127.0.0.1:"), "{error}");
    }
}
