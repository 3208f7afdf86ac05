//! What is learnt of a call on its way, for the line that the access log has of it at its end.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll};

use bytes::Bytes;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;
use tonic::body::Body;

/// What is learnt of a call on its way; an extension of its request, and cheap to clone.
#[derive(Clone, Debug, Default)]
pub(super) struct Notes(Arc<Learnt>);

#[derive(Debug, Default)]
struct Learnt {
    caller: OnceLock<String>,
    frames: AtomicU64,
    received_bytes: AtomicU64,
}

impl Notes {
    /// Those of a request that came through the layer that observes calls; others that nobody reads
    /// where it did not.
    pub(super) fn of<T>(request: &http::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// The same, behind tonic.
    pub(super) fn in_request<T>(request: &tonic::Request<T>) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// Who calls: the id of a key or the subject of a certificate, never the key. The first word
    /// counts.
    pub(super) fn caller(&self, name: impl Into<String>) {
        self.0.caller.get_or_init(|| name.into());
    }

    /// Who calls, where that is known.
    pub(super) fn known_caller(&self) -> Option<&str> {
        self.0.caller.get().map(String::as_str)
    }

    /// A frame of a stream has arrived, whatever becomes of it.
    pub(super) fn frame(&self) {
        self.0.frames.fetch_add(1, Ordering::Relaxed);
    }

    /// Frames that have arrived.
    pub(super) fn frames(&self) -> u64 {
        self.0.frames.load(Ordering::Relaxed)
    }

    /// Bytes of messages that have been read, as they came: compressed, with their prefixes.
    pub(super) fn received_bytes(&self) -> u64 {
        self.0.received_bytes.load(Ordering::Relaxed)
    }

    /// A request's body whose bytes are counted as they are read.
    pub(super) fn counting(&self, body: Body) -> Body {
        Body::new(CountedBody { body, notes: self.clone() })
    }
}

struct CountedBody {
    body: Body,
    notes: Notes,
}

impl HttpBody for CountedBody {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        if let Poll::Ready(Some(Ok(frame))) = &polled
            && let Some(data) = frame.data_ref()
        {
            self.notes.0.received_bytes.fetch_add(data.len() as u64, Ordering::Relaxed);
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

#[cfg(test)]
mod tests {
    use http_body_util::{BodyExt, Full};

    use super::*;

    #[tokio::test]
    async fn a_body_is_counted_as_it_is_read() {
        let notes = Notes::default();
        let body = Body::new(Full::new(Bytes::from_static(b"question")));
        let body = notes.counting(body);
        assert_eq!(notes.received_bytes(), 0);
        assert_eq!(body.collect().await.unwrap().to_bytes(), "question");
        assert_eq!(notes.received_bytes(), 8);
    }
}
