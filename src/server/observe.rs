//! Around every call: its deadline, its span, its place among the running calls, its metric; and a
//! panic becomes INTERNAL.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use bytes::Bytes;
use futures::FutureExt;
use futures::future::BoxFuture;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};
use tracing::{Instrument, Span};

use super::deadline::CallTerms;
use super::status;
use crate::telemetry::metrics::{self, Held, Rejection};

/// The header that carries a call's id, in and out.
const REQUEST_ID: &str = "x-request-id";
/// A longer id of a caller is replaced.
const REQUEST_ID_LIMIT: usize = 128;

/// Puts [`Observe`] around the services.
#[derive(Clone, Debug)]
pub(super) struct ObserveLayer {
    places: Arc<Semaphore>,
    limit: usize,
}

impl ObserveLayer {
    /// At most `limit` calls run at once, health and reflection not counted.
    pub(super) fn new(limit: usize) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), limit }
    }
}

impl<S> Layer<S> for ObserveLayer {
    type Service = Observe<S>;

    fn layer(&self, inner: S) -> Observe<S> {
        Observe { inner, around: self.clone() }
    }
}

/// A service with every call observed.
#[derive(Clone, Debug)]
pub(super) struct Observe<S> {
    inner: S,
    around: ObserveLayer,
}

impl<S> Service<Request<Body>> for Observe<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S: Clone + Send + 'static,
    S::Future: Send,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let method = method(request.uri().path());
        let id = request_id(request.headers());
        let started = Instant::now();
        let terms = CallTerms::of(request.headers(), started);
        request.extensions_mut().insert(terms);
        let caller = tracing::field::Empty;
        let span = tracing::info_span!("call", method = method.name, id = ?id, caller);
        let mut call = Call {
            method: method.name,
            started,
            code: Code::Cancelled,
            span,
            place: None,
            _running: metrics::call_began(),
        };
        if method.counts {
            call.place = Arc::clone(&self.around.places).try_acquire_owned().ok();
            if call.place.is_none() {
                metrics::record_rejection(Rejection::TooManyCalls);
                let refusal = status::too_many_calls(self.around.limit);
                return Box::pin(async move { Ok(call.refused(&refusal)) });
            }
        }
        // The clone that was polled ready answers; the other one is polled anew.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let span = call.span.clone();
        let answer = async move {
            let answered = AssertUnwindSafe(async { inner.call(request).await });
            match answered.catch_unwind().await {
                Ok(Ok(mut response)) => {
                    response.headers_mut().insert(REQUEST_ID, id);
                    Ok(call.observed(response))
                }
                Ok(Err(never)) => match never {},
                Err(_) => Ok(call.refused(&status::panicked())),
            }
        };
        Box::pin(answer.instrument(span))
    }
}

/// What a path stands for.
struct Method {
    name: &'static str,
    /// Whether it takes a place among the running calls: a full server stays observable.
    counts: bool,
}

fn method(path: &str) -> Method {
    let own = path.strip_prefix("/veriframe.v1.VerificationService/");
    let name = match own {
        Some("Verify") => "Verify",
        Some("VerifyStream") => "VerifyStream",
        Some("Embed") => "Embed",
        Some("Detect") => "Detect",
        Some("Explain") => "Explain",
        Some("ListModels") => "ListModels",
        _ if path.starts_with("/grpc.health.v1.Health/") => "Health",
        _ if path.starts_with("/grpc.reflection.") => "Reflection",
        _ => "unknown",
    };
    Method { name, counts: own.is_some() }
}

/// The caller's id for the call, or a new one.
fn request_id(headers: &HeaderMap) -> HeaderValue {
    let own = headers.get(REQUEST_ID).filter(|id| {
        let visible = id.as_bytes().iter().all(u8::is_ascii_graphic);
        visible && (1..=REQUEST_ID_LIMIT).contains(&id.len())
    });
    own.cloned().unwrap_or_else(|| {
        HeaderValue::from_str(&format!("{:016x}", rand::random::<u64>()))
            .expect("hexadecimal digits are a header value")
    })
}

/// A call on its way; when it is dropped, it has ended.
struct Call {
    method: &'static str,
    started: Instant,
    /// CANCELLED until something else is known.
    code: Code,
    span: Span,
    place: Option<OwnedSemaphorePermit>,
    _running: Held,
}

impl Call {
    /// Learns the status from a response's head (an error without a body) or its trailers.
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Code::from_bytes(code.as_bytes());
        }
    }

    fn refused(mut self, status: &Status) -> Response<Body> {
        self.code = status.code();
        status.clone().into_http()
    }

    fn observed(mut self, response: Response<Body>) -> Response<Body> {
        self.learn(response.headers());
        response.map(|body| Body::new(ObservedBody { body, call: self }))
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        let code = name(self.code);
        metrics::record_request(self.method, code, took);
        self.span.in_scope(|| tracing::debug!(code, ?took, "call ended"));
    }
}

/// A response's body, until its trailers.
struct ObservedBody {
    body: Body,
    call: Call,
}

impl HttpBody for ObservedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let span = self.call.span.clone();
        let _entered = span.enter();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(trailers) = frame.trailers_ref()
        {
            self.call.learn(trailers);
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// A code as the gRPC documentation writes it.
fn name(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "OUT_OF_RANGE",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

#[cfg(test)]
mod tests {
    use futures::future::pending;
    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;
    use tower::service_fn;

    use super::*;

    const VERIFY: &str = "/veriframe.v1.VerificationService/Verify";

    fn request(path: &str) -> Request<Body> {
        Request::builder().uri(path).body(Body::empty()).unwrap()
    }

    #[tokio::test]
    async fn a_panic_becomes_internal_and_the_next_call_is_served() {
        let service = service_fn(|request: Request<Body>| async move {
            assert!(request.uri().path() != VERIFY, "this call panics");
            Ok(Response::new(Body::empty()))
        });
        let service = ObserveLayer::new(1).layer(service);
        for _ in 0..2 {
            let response = service.clone().oneshot(request(VERIFY)).await.unwrap();
            assert_eq!(response.headers()["grpc-status"], "13");
        }
        let other = service.oneshot(request("/veriframe.v1.VerificationService/Embed"));
        assert!(other.await.unwrap().headers().contains_key(REQUEST_ID));
    }

    #[tokio::test]
    async fn calls_beyond_the_limit_are_refused_but_health_is_not() {
        let service = service_fn(|request: Request<Body>| async move {
            if request.uri().path() == VERIFY {
                pending::<()>().await;
            }
            Ok(Response::new(Body::empty()))
        });
        let service = ObserveLayer::new(1).layer(service);
        let running = service.clone().oneshot(request(VERIFY));
        let mut running = Box::pin(running);
        assert!(running.as_mut().now_or_never().is_none());
        let refused = service.clone().oneshot(request(VERIFY)).await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "8");
        let health = service.clone().oneshot(request("/grpc.health.v1.Health/Check"));
        assert!(!health.await.unwrap().headers().contains_key("grpc-status"));
        drop(running);
        let embed = service.oneshot(request("/veriframe.v1.VerificationService/Embed"));
        assert!(!embed.await.unwrap().headers().contains_key("grpc-status"));
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_body_ends() {
        let service = service_fn(|_: Request<Body>| async {
            Ok(Response::new(Body::new(Full::new(Bytes::from_static(b"answer")))))
        });
        let service = ObserveLayer::new(1).layer(service);
        let first = service.clone().oneshot(request(VERIFY)).await.unwrap();
        let refused = service.clone().oneshot(request(VERIFY)).await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "8");
        assert!(first.into_body().collect().await.is_ok());
        let third = service.oneshot(request(VERIFY)).await.unwrap();
        assert!(!third.headers().contains_key("grpc-status"));
    }

    #[test]
    fn a_callers_id_is_kept_where_it_is_one() {
        let id = |value: &'static str| {
            let headers = HeaderMap::from_iter([(
                http::HeaderName::from_static(REQUEST_ID),
                HeaderValue::from_static(value),
            )]);
            request_id(&headers)
        };
        assert_eq!(id("abc-1"), "abc-1");
        assert_ne!(id("with space"), "with space");
        assert_eq!(id("").len(), 16);
    }
}
