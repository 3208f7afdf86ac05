//! A connection that may make calls, as HTTP/2 reads and writes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::time::Sleep;
use tokio_rustls::server::TlsStream;
use tonic::transport::server::Connected;

use super::connections::Place;
use super::peer::Peer;
use crate::telemetry::metrics::{self, Rejection};

/// Bytes of `PRI * HTTP/2.0…`, with which every client begins (RFC 9113, 3.4). Only after them does
/// HTTP/2 watch by pings whether the client is there.
const PREFACE_BYTES: usize = 24;

/// How long a connection that has said its last reads on, for its client to end its own side.
const LINGER: Duration = Duration::from_secs(1);

/// A connection that may make calls. Its place is free when it closes.
pub(super) struct Connection {
    io: Io,
    peer: Peer,
    /// Until the preface has come.
    opening: Option<Opening>,
    /// From the end of its own side on.
    linger: Option<Pin<Box<Sleep>>>,
    _place: Place,
}

/// Encrypted or not.
pub(super) enum Io {
    Plain(TcpStream),
    Encrypted(Box<TlsStream<TcpStream>>),
}

/// A connection that has not said yet that it speaks HTTP/2.
struct Opening {
    missing_bytes: usize,
    limit: Pin<Box<Sleep>>,
}

impl Connection {
    /// From `peer`, in a place that says how long it may take to begin.
    pub(super) fn new(io: Io, peer: Peer, place: Place) -> Self {
        let limit = Box::pin(tokio::time::sleep(place.opening_limit()));
        let opening = Some(Opening { missing_bytes: PREFACE_BYTES, limit });
        Self { io, peer, opening, linger: None, _place: place }
    }

    /// Counts the first bytes that came; an error where they take too long.
    fn opened(&mut self, read_bytes: Option<usize>, cx: &mut Context<'_>) -> io::Result<()> {
        let Some(opening) = &mut self.opening else { return Ok(()) };
        if let Some(bytes) = read_bytes {
            opening.missing_bytes = opening.missing_bytes.saturating_sub(bytes);
            if opening.missing_bytes == 0 {
                self.opening = None;
            }
        } else if opening.limit.as_mut().poll(cx).is_ready() {
            metrics::record_rejection(Rejection::HandshakeTimeout);
            tracing::debug!(address = %self.peer.address, "a connection took too long to begin");
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl Connected for Connection {
    type ConnectInfo = Peer;

    fn connect_info(&self) -> Peer {
        self.peer.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let polled = match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_read(cx, buffer),
            Io::Encrypted(stream) => Pin::new(stream).poll_read(cx, buffer),
        };
        let read = polled.is_ready().then(|| buffer.filled().len() - before);
        match self.opened(read, cx) {
            Ok(()) => polled,
            Err(error) => Poll::Ready(Err(error)),
        }
    }
}

impl AsyncWrite for Connection {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write(cx, bytes),
            Io::Encrypted(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Io::Encrypted(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    /// Ends its own side and drops what still comes, until the client has ended its own: a socket
    /// that is closed with bytes unread is reset, and the last answers are lost with it.
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.linger.is_none() {
            ready!(match &mut self.io {
                Io::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
                Io::Encrypted(stream) => Pin::new(stream).poll_shutdown(cx),
            })?;
        }
        let linger = self.linger.get_or_insert_with(|| Box::pin(tokio::time::sleep(LINGER)));
        if linger.as_mut().poll(cx).is_ready() {
            return Poll::Ready(Ok(()));
        }
        let mut space = [0; 4096];
        loop {
            let mut unread = ReadBuf::new(&mut space);
            let read = match &mut self.io {
                Io::Plain(stream) => Pin::new(stream).poll_read(cx, &mut unread),
                Io::Encrypted(stream) => Pin::new(stream).poll_read(cx, &mut unread),
            };
            if ready!(read).is_err() || unread.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match &mut self.io {
            Io::Plain(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
            Io::Encrypted(stream) => Pin::new(stream).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.io {
            Io::Plain(stream) => stream.is_write_vectored(),
            Io::Encrypted(stream) => stream.is_write_vectored(),
        }
    }
}
