//! Around every call: its deadline, its span, its place among the running calls, its metric and its
//! line in the access log; and a panic becomes INTERNAL.

use std::convert::Infallible;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use futures::FutureExt;
use futures::future::BoxFuture;
use http::{Request, Response};
use tokio::sync::Semaphore;
use tonic::body::Body;
use tower::{Layer, Service};

use super::call::Call;
use super::deadline::CallTerms;
use super::method::Kind;
use super::peer::Peer;
use super::status;
use crate::telemetry::Tracer;
use crate::telemetry::metrics::{self, Rejection};

/// Puts [`Observe`] around the services.
#[derive(Clone, Debug)]
pub(super) struct ObserveLayer {
    places: Arc<Semaphore>,
    limit: usize,
    tracer: Tracer,
}

impl ObserveLayer {
    /// At most `limit` calls run at once, health and reflection not counted.
    pub(super) fn new(limit: usize, tracer: Tracer) -> Self {
        Self { places: Arc::new(Semaphore::new(limit)), limit, tracer }
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
        let started = Instant::now();
        let mut call = Call::begin(&mut request, started, &self.around.tracer);
        let flow = request.extensions().get::<Peer>().map(|peer| peer.flow).unwrap_or_default();
        let terms = CallTerms::of(request.headers(), flow, started);
        if call.method().kind != Kind::Around {
            let place = Arc::clone(&self.around.places).try_acquire_owned();
            let Ok(place) = place else {
                metrics::record_rejection(Rejection::TooManyCalls);
                let refusal = status::too_many_calls(self.around.limit);
                return Box::pin(async move { Ok(call.refused(&refusal)) });
            };
            call.hold(place);
        }
        match terms {
            Ok(terms) => drop(request.extensions_mut().insert(terms)),
            Err(error) => {
                let refusal = status::status(&error);
                return Box::pin(async move { Ok(call.refused(&refusal)) });
            }
        }
        let request = request.map(|body| call.notes().counting(body));
        // The clone that was polled ready answers; the other one is polled anew.
        let next = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, next);
        let work = call.scope(async move { inner.call(request).await });
        let answer = async move {
            match AssertUnwindSafe(work).catch_unwind().await {
                Ok(Ok(response)) => Ok(call.observed(response)),
                Ok(Err(never)) => match never {},
                Err(_) => Ok(call.refused(&status::panicked())),
            }
        };
        Box::pin(answer)
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use futures::future::pending;
    use http_body_util::{BodyExt, Full};
    use tower::ServiceExt;
    use tower::service_fn;

    use super::super::call::REQUEST_ID;
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
        let service = ObserveLayer::new(1, Tracer::default()).layer(service);
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
        let service = ObserveLayer::new(1, Tracer::default()).layer(service);
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
        let service = ObserveLayer::new(1, Tracer::default()).layer(service);
        let first = service.clone().oneshot(request(VERIFY)).await.unwrap();
        let refused = service.clone().oneshot(request(VERIFY)).await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "8");
        assert!(first.into_body().collect().await.is_ok());
        let third = service.oneshot(request(VERIFY)).await.unwrap();
        assert!(!third.headers().contains_key("grpc-status"));
    }
}
