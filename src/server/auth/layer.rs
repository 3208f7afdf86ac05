//! Around every call, inside what observes it: who calls, may they, and how much.

use std::convert::Infallible;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use futures::future::BoxFuture;
use http::header::AUTHORIZATION;
use http::{HeaderMap, HeaderName, Request, Response};
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

use super::Refusal;
use super::keys::{Grant, KeyFile};
use super::methods::{Access, Scope, access};
use super::quota::Exceeded;
use super::secret::LONGEST_CHARACTERS;
use crate::server::peer::Peer;
use crate::server::status;
use crate::server::watch::Watched;
use crate::telemetry::metrics::{self, Rejection};

/// Where a key may stand beside `authorization`.
const API_KEY: HeaderName = HeaderName::from_static("x-api-key");

/// Puts [`Auth`] around the services.
#[derive(Clone)]
pub(in crate::server) struct AuthLayer {
    keys: Option<Arc<Watched<KeyFile>>>,
    open_admin: bool,
}

impl AuthLayer {
    /// Without `keys` everyone may infer, and administer where `open_admin`.
    pub(in crate::server) fn new(keys: Option<Arc<Watched<KeyFile>>>, open_admin: bool) -> Self {
        Self { keys, open_admin }
    }

    /// Who calls, if they may. The key is taken out of the headers: nothing behind this sees it.
    fn admit(&self, request: &mut Request<Body>) -> Result<Pass, Refusal> {
        let key = key(request.headers());
        let headers = request.headers_mut();
        headers.remove(AUTHORIZATION);
        headers.remove(API_KEY);
        let certificate =
            request.extensions().get::<Peer>().and_then(|peer| peer.certificate.clone());
        let scope = match access(request.uri().path()) {
            Access::Open => return Ok(Pass::default()),
            Access::Needs(scope) => scope,
        };
        let Some(keys) = &self.keys else {
            return match scope {
                Scope::Admin if !self.open_admin => Err(Refusal::AdminClosed),
                Scope::Admin | Scope::Inference => Ok(Pass {
                    caller: certificate.map(|certificate| certificate.name().into()),
                    ..Pass::default()
                }),
            };
        };
        let keys = keys.current();
        let grant = match (key, certificate) {
            (Sent::Key(key), _) => keys.by_key(&key).ok_or(Refusal::WrongKey)?,
            (Sent::Malformed, _) => return Err(Refusal::WrongKey),
            (Sent::Nothing, Some(certificate)) => {
                keys.by_certificate(&certificate).ok_or(Refusal::NoKey)?
            }
            (Sent::Nothing, None) => return Err(Refusal::NoKey),
        };
        let caller = || grant.caller.to_string();
        if grant.expired(SystemTime::now()) {
            return Err(Refusal::Expired { caller: caller() });
        }
        if !grant.has(scope) {
            return Err(Refusal::Scope { caller: caller(), scope });
        }
        let place = grant.quota.take().map_err(|exceeded| match exceeded {
            Exceeded::Rate { per_second, burst, retry_after } => {
                Refusal::Rate { caller: caller(), per_second, burst, retry_after }
            }
            Exceeded::Concurrency { limit } => Refusal::Concurrency { caller: caller(), limit },
        })?;
        Ok(Pass { caller: Some(Arc::clone(&grant.caller)), grant: Some(grant), _place: place })
    }
}

/// A key as it came.
enum Sent {
    Nothing,
    Key(Vec<u8>),
    /// Of another scheme, too long, or more than one.
    Malformed,
}

fn key(headers: &HeaderMap) -> Sent {
    let mut given = headers.get_all(AUTHORIZATION).iter();
    let mut plain = headers.get_all(API_KEY).iter();
    let key = match (given.next(), plain.next(), given.next(), plain.next()) {
        (None, None, _, _) => return Sent::Nothing,
        (Some(value), None, None, _) => match value.as_bytes().split_at_checked("Bearer ".len()) {
            Some((scheme, key)) if scheme.eq_ignore_ascii_case(b"Bearer ") => key,
            Some(_) | None => return Sent::Malformed,
        },
        (None, Some(value), _, None) => value.as_bytes(),
        (Some(_), ..) | (None, Some(_), _, Some(_)) => return Sent::Malformed,
    };
    let key = key.trim_ascii();
    if key.len() > LONGEST_CHARACTERS { Sent::Malformed } else { Sent::Key(key.to_vec()) }
}

/// A call that may go on; its place is free when it is dropped.
#[derive(Default)]
struct Pass {
    /// Who calls, where that is known: `key 'ci'`, or the name in a client certificate. The call's
    /// span has it as `caller`.
    caller: Option<Arc<str>>,
    grant: Option<Arc<Grant>>,
    _place: Option<OwnedSemaphorePermit>,
}

/// A service that asks who calls.
#[derive(Clone)]
pub(in crate::server) struct Auth<S> {
    inner: S,
    around: AuthLayer,
}

impl<S> Layer<S> for AuthLayer {
    type Service = Auth<S>;

    fn layer(&self, inner: S) -> Auth<S> {
        Auth { inner, around: self.clone() }
    }
}

impl<S> Service<Request<Body>> for Auth<S>
where
    S: Service<Request<Body>, Response = Response<Body>, Error = Infallible>,
    S::Future: Send + 'static,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = BoxFuture<'static, Result<Response<Body>, Infallible>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<Body>) -> Self::Future {
        let pass = match self.around.admit(&mut request) {
            Ok(pass) => pass,
            Err(refusal) => {
                let address = request.extensions().get::<Peer>().map(|peer| peer.address);
                tracing::debug!(?address, reason = refusal.message(), "a call is refused");
                metrics::record_rejection(cause(&refusal));
                let response = status::refused(&refusal).into_http();
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        if let Some(caller) = &pass.caller {
            tracing::Span::current().record("caller", &**caller);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(match &pass.grant {
                None => response,
                Some(grant) => {
                    let revoked = Box::pin(grant.revoked.clone().cancelled_owned());
                    response.map(|body| Body::new(Granted { body, pass: Some(pass), revoked }))
                }
            })
        })
    }
}

fn cause(refusal: &Refusal) -> Rejection {
    match refusal {
        Refusal::NoKey | Refusal::WrongKey | Refusal::Expired { .. } | Refusal::Revoked { .. } => {
            Rejection::Unauthenticated
        }
        Refusal::Scope { .. } | Refusal::AdminClosed => Rejection::Forbidden,
        Refusal::Rate { .. } => Rejection::RateQuota,
        Refusal::Concurrency { .. } => Rejection::ConcurrencyQuota,
    }
}

/// A response's body, for as long as its caller is known.
struct Granted {
    body: Body,
    /// Gone when the call was cut off.
    pass: Option<Pass>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Granted {
    /// Why the call may not go on.
    fn lost(&mut self, cx: &mut Context<'_>) -> Option<Refusal> {
        let grant = self.pass.as_ref()?.grant.as_ref()?;
        let caller = || grant.caller.to_string();
        if self.revoked.as_mut().poll(cx).is_ready() {
            return Some(Refusal::Revoked { caller: caller() });
        }
        grant.expired(SystemTime::now()).then(|| Refusal::Expired { caller: caller() })
    }
}

impl HttpBody for Granted {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.pass.is_none() {
            return Poll::Ready(None);
        }
        if let Some(refusal) = self.lost(cx) {
            // The handler ends with its body.
            self.body = Body::empty();
            self.pass = None;
            let mut trailers = HeaderMap::new();
            return Poll::Ready(Some(
                status::refused(&refusal)
                    .add_header(&mut trailers)
                    .map(|()| Frame::trailers(trailers)),
            ));
        }
        Pin::new(&mut self.body).poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use futures::FutureExt;
    use futures::future::join_all;
    use http::HeaderValue;
    use http_body_util::{BodyExt, StreamBody};
    use tempfile::TempDir;
    use tonic::Code;
    use tower::{ServiceExt, service_fn};

    use super::super::secret::Secret;
    use super::*;
    use crate::server::peer::ClientCertificate;

    const VERIFY: &str = "/veriframe.v1.VerificationService/Verify";
    const LOAD: &str = "/inference.GRPCInferenceService/RepositoryModelLoad";
    const HEALTH: &str = "/grpc.health.v1.Health/Check";

    /// Keys in a file of their own.
    struct Kept {
        folder: TempDir,
        watched: Arc<Watched<KeyFile>>,
    }

    impl Kept {
        fn new(entries: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("keys.toml");
            fs::write(&path, entries).unwrap();
            let watched = Arc::new(Watched::open(KeyFile(path)).unwrap());
            Self { folder, watched }
        }

        fn replace(&self, entries: &str) {
            fs::write(self.folder.path().join("keys.toml"), entries).unwrap();
            self.watched.look();
        }

        fn layer(&self) -> AuthLayer {
            AuthLayer::new(Some(Arc::clone(&self.watched)), true)
        }
    }

    fn secret(name: &str) -> Secret {
        format!("secret-of-{name:-<30}").parse().unwrap()
    }

    fn entry(id: &str, rest: &str) -> String {
        format!("[[key]]\nid = '{id}'\nsha256 = '{}'\n{rest}\n", secret(id).hash())
    }

    /// One answered call; the service behind the layer sees no key.
    async fn answered(layer: &AuthLayer, request: Request<Body>) -> Response<Body> {
        let service = service_fn(|request: Request<Body>| async move {
            let headers = request.headers();
            assert!(!headers.contains_key(AUTHORIZATION) && !headers.contains_key(API_KEY));
            Ok(Response::new(Body::empty()))
        });
        layer.layer(service).oneshot(request).await.unwrap()
    }

    fn request(path: &str, headers: &[(HeaderName, &str)]) -> Request<Body> {
        let mut request = Request::builder().uri(path).body(Body::empty()).unwrap();
        for (name, value) in headers {
            request.headers_mut().append(name, HeaderValue::from_str(value).unwrap());
        }
        request
    }

    fn code(response: &Response<Body>) -> Code {
        response
            .headers()
            .get("grpc-status")
            .map_or(Code::Ok, |code| Code::from_bytes(code.as_bytes()))
    }

    #[tokio::test]
    async fn each_way_to_send_a_key_is_read_and_every_other_is_refused() {
        let layer = Kept::new(&entry("ci", "scopes = ['inference']")).layer();
        let key = secret("ci").reveal().to_owned();
        let bearer = |scheme: &str| format!("{scheme} {key}");
        let (long, other) = ("x".repeat(513), secret("other").reveal().to_owned());
        for (headers, expected) in [
            (vec![(AUTHORIZATION, bearer("Bearer").as_str())], Code::Ok),
            (vec![(AUTHORIZATION, &bearer("bearer"))], Code::Ok),
            (vec![(API_KEY, &key)], Code::Ok),
            (vec![], Code::Unauthenticated),
            (vec![(API_KEY, "")], Code::Unauthenticated),
            (vec![(API_KEY, &other)], Code::Unauthenticated),
            (vec![(API_KEY, &key[1..])], Code::Unauthenticated),
            (vec![(API_KEY, &long)], Code::Unauthenticated),
            (vec![(AUTHORIZATION, &bearer("Basic"))], Code::Unauthenticated),
            (vec![(AUTHORIZATION, "Bearer")], Code::Unauthenticated),
            (vec![(AUTHORIZATION, &key)], Code::Unauthenticated),
            (vec![(API_KEY, &key), (API_KEY, &key)], Code::Unauthenticated),
            (vec![(AUTHORIZATION, &bearer("Bearer")), (API_KEY, &key)], Code::Unauthenticated),
        ] {
            let response = answered(&layer, request(VERIFY, &headers)).await;
            assert_eq!(code(&response), expected, "{headers:?}");
        }
    }

    #[tokio::test]
    async fn a_method_needs_its_scope_and_probes_need_none() {
        let layer = Kept::new(
            &(entry("user", "scopes = ['inference']")
                + &entry("operator", "scopes = ['admin']")
                + &entry("both", "scopes = ['inference', 'admin']")
                + &entry("old", "scopes = ['inference']\nexpires = 2001-01-01")),
        )
        .layer();
        for (id, path, expected) in [
            ("user", VERIFY, Code::Ok),
            ("user", LOAD, Code::PermissionDenied),
            ("operator", LOAD, Code::Ok),
            ("operator", VERIFY, Code::PermissionDenied),
            ("both", LOAD, Code::Ok),
            ("both", VERIFY, Code::Ok),
            ("old", VERIFY, Code::Unauthenticated),
            ("old", HEALTH, Code::Ok),
            ("nobody", HEALTH, Code::Ok),
            ("nobody", LOAD, Code::Unauthenticated),
        ] {
            let request = request(path, &[(API_KEY, secret(id).reveal())]);
            assert_eq!(code(&answered(&layer, request).await), expected, "{id} {path}");
        }
    }

    #[tokio::test]
    async fn without_a_key_file_all_may_infer_and_administration_is_as_configured() {
        for (open_admin, path, expected) in [
            (false, VERIFY, Code::Ok),
            (false, HEALTH, Code::Ok),
            (false, LOAD, Code::PermissionDenied),
            (true, LOAD, Code::Ok),
        ] {
            let layer = AuthLayer::new(None, open_admin);
            let key = secret("unasked");
            let request = request(path, &[(API_KEY, key.reveal())]);
            assert_eq!(code(&answered(&layer, request).await), expected, "{open_admin} {path}");
        }
    }

    #[tokio::test]
    async fn a_certificate_counts_where_no_key_is_sent() {
        let mapped = "[[certificate]]\nid = 'robot'\nsubject = 'CN=robot'\nscopes = ['inference']";
        let layer = Kept::new(mapped).layer();
        let with = |subject: &str, headers: &[(HeaderName, &str)]| {
            let mut request = request(VERIFY, headers);
            let certificate = ClientCertificate { subject: subject.to_owned(), names: vec![] };
            let address = ([127, 0, 0, 1], 9).into();
            let peer = Peer { address, certificate: Some(Arc::new(certificate)) };
            request.extensions_mut().insert(peer);
            request
        };
        assert_eq!(code(&answered(&layer, with("CN=robot", &[])).await), Code::Ok);
        let other = with("CN=other", &[]);
        assert_eq!(code(&answered(&layer, other).await), Code::Unauthenticated);
        let wrong_key = with("CN=robot", &[(API_KEY, "wrong")]);
        assert_eq!(code(&answered(&layer, wrong_key).await), Code::Unauthenticated);
    }

    #[tokio::test]
    async fn a_place_is_held_until_the_body_ends() {
        let kept = Kept::new(&entry("ci", "scopes = ['inference']\nconcurrency = 2"));
        let layer = kept.layer();
        let service = layer.layer(service_fn(|_: Request<Body>| async {
            let never = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(never))))
        }));
        let call = || service.clone().oneshot(request(VERIFY, &[(API_KEY, secret("ci").reveal())]));
        let mut open = join_all([call(), call()]).await;
        assert!(open.iter().flatten().all(|response| code(response) == Code::Ok));
        assert_eq!(code(&call().await.unwrap()), Code::ResourceExhausted);
        drop(open.pop());
        assert_eq!(code(&call().await.unwrap()), Code::Ok);
    }

    #[tokio::test]
    async fn a_running_stream_ends_when_its_key_is_taken_away_and_only_then() {
        let both = entry("a", "scopes = ['inference']") + &entry("b", "scopes = ['inference']");
        let kept = Kept::new(&both);
        let service = kept.layer().layer(service_fn(|_: Request<Body>| async {
            let never = futures::stream::pending::<Result<Frame<Bytes>, Status>>();
            Ok::<_, Infallible>(Response::new(Body::new(StreamBody::new(never))))
        }));
        let call = |id| service.clone().oneshot(request(VERIFY, &[(API_KEY, secret(id).reveal())]));
        let mut a = call("a").await.unwrap().into_body();
        let mut b = call("b").await.unwrap().into_body();
        assert!(a.frame().now_or_never().is_none());
        // An idle stream is told as well: nobody polls it but for its own wake-up.
        let told = tokio::spawn(async move {
            let frame = a.frame().await.unwrap().unwrap();
            (frame.into_trailers().unwrap(), a.frame().await.is_none())
        });
        tokio::task::yield_now().await;
        kept.replace(&entry("b", "scopes = ['inference', 'admin']\nrate = 5.0"));
        let (trailers, ended) = told.await.unwrap();
        assert_eq!(Code::from_bytes(trailers["grpc-status"].as_bytes()), Code::Unauthenticated);
        assert!(ended);
        assert!(b.frame().now_or_never().is_none(), "its key does all that it did");
        assert_eq!(code(&call("a").await.unwrap()), Code::Unauthenticated);
    }
}
