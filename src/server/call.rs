//! A call from its head to its last byte: its span, its metrics, its line in the access log.

use std::net::SocketAddr;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response};
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use opentelemetry::context::WithContext;
use tokio::sync::OwnedSemaphorePermit;
use tonic::body::Body;
use tonic::{Code, Status};
use tracing::Span;
use tracing::instrument::{Instrument, Instrumented};

use super::method::{Kind, Method};
use super::notes::Notes;
use super::peer::Peer;
use crate::telemetry::metrics::{self, Held, Rejection, Stage};
use crate::telemetry::traces::{CallSpan, Lap, Tracer};

/// The header that carries a call's id, in and out.
pub(super) const REQUEST_ID: &str = "x-request-id";
/// A longer id of a caller is replaced.
const REQUEST_ID_LIMIT: usize = 128;
/// The header that names a call's span, in and out.
const TRACEPARENT: &str = "traceparent";

/// A call on its way; when it is dropped, it has ended.
pub(super) struct Call {
    method: Method,
    started: Instant,
    id: HeaderValue,
    peer: Option<SocketAddr>,
    notes: Notes,
    trace: CallSpan,
    /// The log's span.
    span: Span,
    /// CANCELLED until something else is known.
    code: Code,
    /// When the head of the answer was there.
    answered: Option<Instant>,
    sent_bytes: u64,
    place: Option<OwnedSemaphorePermit>,
    _running: Held,
}

impl Call {
    /// Begins with a request's head; `started` is when it came. The call's notes become an
    /// extension of the request.
    pub(super) fn begin(request: &mut Request<Body>, started: Instant, tracer: &Tracer) -> Self {
        let method = Method::of(request.uri().path());
        let id = request_id(request.headers());
        let trace = tracer.call(request.headers(), method.path);
        let trace_id = trace.trace_id();
        let caller = tracing::field::Empty;
        let span = tracing::info_span!("call", method = method.name(), id = ?id, trace_id, caller);
        let notes = Notes::default();
        request.extensions_mut().insert(notes.clone());
        let peer = request.extensions().get::<Peer>().map(|peer| peer.address);
        Self {
            method,
            started,
            id,
            peer,
            notes,
            trace,
            span,
            code: Code::Cancelled,
            answered: None,
            sent_bytes: 0,
            place: None,
            _running: metrics::call_began(),
        }
    }

    /// What is called.
    pub(super) fn method(&self) -> Method {
        self.method
    }

    /// What is learnt on the way.
    pub(super) fn notes(&self) -> &Notes {
        &self.notes
    }

    /// Holds a place among the running calls to its end.
    pub(super) fn hold(&mut self, place: OwnedSemaphorePermit) {
        self.place = Some(place);
    }

    /// Does `work` within the call's spans.
    pub(super) fn scope<F: Future>(&self, work: F) -> Instrumented<WithContext<F>> {
        self.trace.scope(work).instrument(self.span.clone())
    }

    /// Ends the call without an answer.
    pub(super) fn refused(mut self, status: &Status) -> Response<Body> {
        self.code = status.code();
        let mut response = status.clone().into_http();
        self.name(response.headers_mut());
        response
    }

    /// Ends with the body of the answer.
    pub(super) fn observed(mut self, mut response: Response<Body>) -> Response<Body> {
        self.answered = Some(Instant::now());
        self.name(response.headers_mut());
        self.learn(response.headers());
        response.map(|body| Body::new(ObservedBody { body, call: self }))
    }

    /// Tells the caller the call's names.
    fn name(&self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, self.id.clone());
        if let Some(parent) = self.trace.traceparent() {
            headers.insert(TRACEPARENT, parent);
        }
    }

    /// Learns the status from a response's head (an error without a body) or its trailers.
    fn learn(&mut self, headers: &HeaderMap) {
        if let Some(code) = headers.get("grpc-status") {
            self.code = Code::from_bytes(code.as_bytes());
        }
    }

    /// What a part of the answer's body tells.
    fn sends(&mut self, frame: &Frame<Bytes>) {
        if let Some(data) = frame.data_ref() {
            self.sent_bytes += data.len() as u64;
        }
        if let Some(trailers) = frame.trailers_ref() {
            self.learn(trailers);
            if let (Kind::Call, Some(answered)) = (self.method.kind, self.answered) {
                Lap::since(Stage::Send, answered).record();
            }
        }
    }

    /// One line, outside the log's own span: it would say everything twice.
    fn log(&self, took: Duration) {
        macro_rules! line {
            ($level:ident) => {
                tracing::$level!(
                    target: "access",
                    parent: None,
                    method = self.method.path,
                    code = name(self.code),
                    seconds = took.as_micros() as f64 / 1e6,
                    received_bytes = self.notes.received_bytes(),
                    sent_bytes = self.sent_bytes,
                    frames = (self.method.kind == Kind::Stream).then(|| self.notes.frames()),
                    request_id = self.id.to_str().unwrap_or_default(),
                    trace_id = self.trace.trace_id(),
                    peer = self.peer.map(tracing::field::display),
                    caller = self.notes.known_caller(),
                    "call"
                )
            };
        }
        match self.method.kind {
            Kind::Call | Kind::Stream => line!(info),
            Kind::Around => line!(debug),
        }
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        metrics::record_request(self.method.name(), name(self.code), took);
        // The code that tonic gives a message beyond the limit; nothing else here has it.
        if self.code == Code::OutOfRange {
            metrics::record_rejection(Rejection::TooLarge);
        }
        if let Some(peer) = self.peer {
            self.trace.note("network.peer.address", peer.ip().to_string());
            self.trace.note("network.peer.port", i64::from(peer.port()));
        }
        if let Some(caller) = self.notes.known_caller() {
            self.trace.note("enduser.id", caller.to_owned());
        }
        self.trace.note("veriframe.request_id", self.id.to_str().unwrap_or_default().to_owned());
        self.trace.end(self.code.into());
        self.log(took);
    }
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
        let _logged = span.enter();
        let _traced = self.call.trace.enter();
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled {
            self.call.sends(frame);
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
    use super::*;

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
