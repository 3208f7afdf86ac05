//! Around every call, inside what observes it: who calls, may they, and how much.

use std::convert::Infallible;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use futures::future::BoxFuture;
use http::{Request, Response};
use tonic::body::Body;
use tower::{Layer, Service};

use super::Refusal;
use super::body::{Granted, Pass};
use super::header::{self, Sent};
use super::keys::KeyFile;
use super::methods::{Access, Scope, access};
use super::quota::Exceeded;
use crate::server::notes::Notes;
use crate::server::peer::Peer;
use crate::server::status;
use crate::server::watch::Watched;
use crate::telemetry::metrics;

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

    /// Who calls, if they may.
    fn admit(&self, request: &mut Request<Body>) -> Result<Pass, Refusal> {
        let key = header::take(request.headers_mut());
        let certificate =
            request.extensions().get::<Peer>().and_then(|peer| peer.certificate.clone());
        let scope = match access(request.uri().path()) {
            Access::Open => return Ok(Pass::default()),
            Access::Needs(scope) => scope,
        };
        let Some(keys) = &self.keys else {
            return match scope {
                Scope::Admin if !self.open_admin => Err(Refusal::AdminClosed),
                Scope::Admin | Scope::Evidence | Scope::Inference => {
                    Ok(Pass::free(certificate.map(|certificate| certificate.name().into())))
                }
            };
        };
        let keys = keys.current();
        let grant = match (key, certificate) {
            (Sent::Key(key), _) => keys.by_key(&key).ok_or(Refusal::WrongKey)?,
            (Sent::Malformed, _) => return Err(Refusal::WrongKey),
            (Sent::Nothing, Some(certificate)) => {
                let unknown = || Refusal::OtherCertificate { name: certificate.name().to_owned() };
                keys.by_certificate(&certificate).ok_or_else(unknown)?
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
        Ok(Pass::granted(grant, place))
    }
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
                if let Some(caller) = refusal.caller() {
                    Notes::of(&request).caller(caller);
                }
                let address = request.extensions().get::<Peer>().map(|peer| peer.address);
                tracing::debug!(?address, reason = refusal.message(), "a call is refused");
                metrics::record_rejection(refusal.cause());
                let response = status::refused(&refusal).into_http();
                return Box::pin(std::future::ready(Ok(response)));
            }
        };
        if let Some(caller) = &pass.caller {
            tracing::Span::current().record("caller", &**caller);
            Notes::of(&request).caller(&**caller);
        }
        let answer = self.inner.call(request);
        Box::pin(async move {
            let response = answer.await?;
            Ok(match &pass.grant {
                None => response,
                Some(grant) => {
                    let grant = Arc::clone(grant);
                    response.map(|body| Body::new(Granted::new(body, pass, &grant)))
                }
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use bytes::Bytes;
    use futures::FutureExt;
    use futures::future::join_all;
    use http::header::AUTHORIZATION;
    use http::{HeaderName, HeaderValue};
    use http_body_util::{BodyExt, StreamBody};
    use hyper::body::Frame;
    use tempfile::TempDir;
    use tonic::{Code, Status};
    use tower::{ServiceExt, service_fn};

    use super::super::secret::Secret;
    use super::*;
    use crate::server::peer::ClientCertificate;
    use crate::serving::Flow;

    const VERIFY: &str = "/veriframe.v1.VerificationService/Verify";
    const LOAD: &str = "/inference.GRPCInferenceService/RepositoryModelLoad";
    const API_KEY: HeaderName = HeaderName::from_static("x-api-key");
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
            let certificate = Some(Arc::new(certificate));
            let peer = Peer { address, certificate, flow: Flow::default() };
            request.extensions_mut().insert(peer);
            request
        };
        assert_eq!(code(&answered(&layer, with("CN=robot", &[])).await), Code::Ok);
        let other = with("CN=other", &[]);
        assert_eq!(code(&answered(&layer, other).await), Code::Unauthenticated);
        let wrong_key = with("CN=robot", &[(API_KEY, "wrong")]);
        assert_eq!(code(&answered(&layer, wrong_key).await), Code::Unauthenticated);
        // Where nobody needs a scope, its subject is still who calls.
        let free = AuthLayer::new(None, true).admit(&mut with("CN=robot", &[]));
        assert_eq!(free.ok().and_then(|pass| pass.caller).as_deref(), Some("CN=robot"));
    }

    #[tokio::test]
    async fn aplace_is_held_until_the_body_ends() {
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
