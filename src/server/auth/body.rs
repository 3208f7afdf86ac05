//! A response's body, which ends when its caller may not go on.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::SystemTime;

use bytes::Bytes;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame};
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::sync::WaitForCancellationFutureOwned;
use tonic::Status;
use tonic::body::Body;

use super::Refusal;
use super::keys::Grant;
use crate::server::status;

/// A call that may go on; its place is free when it is dropped.
#[derive(Default)]
pub(super) struct Pass {
    /// Who calls, where that is known: `key 'ci'`, or the name in a client certificate. The call's
    /// span has it as `caller`.
    pub(super) caller: Option<Arc<str>>,
    pub(super) grant: Option<Arc<Grant>>,
    _place: Option<OwnedSemaphorePermit>,
}

impl Pass {
    /// Of a caller that needs no grant.
    pub(super) fn free(caller: Option<Arc<str>>) -> Self {
        Self { caller, ..Self::default() }
    }

    /// Of a known caller, with a place if its places are counted.
    pub(super) fn granted(grant: Arc<Grant>, place: Option<OwnedSemaphorePermit>) -> Self {
        Self { caller: Some(Arc::clone(&grant.caller)), grant: Some(grant), _place: place }
    }
}

/// A response's body, for as long as its caller is known.
pub(super) struct Granted {
    body: Body,
    /// Gone when the call was cut off.
    pass: Option<Pass>,
    revoked: Pin<Box<WaitForCancellationFutureOwned>>,
}

impl Granted {
    pub(super) fn new(body: Body, pass: Pass, grant: &Grant) -> Self {
        let revoked = Box::pin(grant.revoked.clone().cancelled_owned());
        Self { body, pass: Some(pass), revoked }
    }

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
