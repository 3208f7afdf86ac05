//! From the listening socket to connections that may make calls: limits, then the TLS handshake.
//!
//! A handshake never keeps another connection waiting: each has its own task and its own time, and
//! when there are too many the oldest, which is the slowest, gives way.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::Stream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::{AbortHandle, JoinError, JoinSet};
use tokio_rustls::TlsAcceptor;

use super::connections::{Full, Place, Places};
use super::peer::{ClientCertificate, Peer};
use super::socket::{Connection, Io};
use super::tls::{self, Certificates};
use super::watch::Watched;
use crate::serving::Flow;
use crate::telemetry::metrics::{self, Rejection};

/// The first byte of HTTP/2's beginning, `PRI * HTTP/2.0`; that of TLS is another.
const PLAINTEXT: u8 = b'P';
/// What one who speaks plaintext to TLS is told.
const SPEAK_TLS: &str = "this port speaks TLS: write https:// before its address";

/// Refused connections that are told why at once; more are closed without a word.
const MAX_FAREWELLS: usize = 64;
/// How long that may take.
const FAREWELL_LIMIT: Duration = Duration::from_secs(1);
/// What a refused client may still send in that time.
const FAREWELL_BYTES: u64 = 64 << 10;

/// How long nothing is accepted after the system could not, such as for want of file descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How connections become encrypted.
#[derive(Clone)]
pub(super) struct Encryption {
    pub(super) certificates: Arc<Watched<Certificates>>,
    pub(super) handshake_limit: Duration,
    pub(super) max_handshakes: usize,
}

impl Encryption {
    pub(super) fn new(certificates: Arc<Watched<Certificates>>, config: &tls::Config) -> Self {
        let (handshake_limit, max_handshakes) = (config.handshake_limit, config.max_handshakes);
        Self { certificates, handshake_limit, max_handshakes: max_handshakes.max(1) }
    }
}

/// Connections as they come, for ever; the socket closes when the stream is dropped.
pub(super) fn incoming(
    listener: TcpListener,
    places: Places,
    encryption: Option<Encryption>,
) -> impl Stream<Item = io::Result<Connection>> {
    let door = Door {
        listener,
        places,
        encryption,
        handshakes: JoinSet::new(),
        farewells: JoinSet::new(),
        begun: VecDeque::new(),
        refusing: false,
    };
    futures::stream::unfold(door, |mut door| async {
        let connection = door.next().await;
        Some((Ok(connection), door))
    })
}

struct Door {
    listener: TcpListener,
    places: Places,
    encryption: Option<Encryption>,
    handshakes: JoinSet<Result<Connection, HandshakeError>>,
    /// The handshakes in the order of their beginning; some may have ended.
    begun: VecDeque<AbortHandle>,
    /// Refused connections that are being told why.
    farewells: JoinSet<()>,
    /// Whether the last connection found no place.
    refusing: bool,
}

/// Why a handshake ended without a connection.
enum HandshakeError {
    Failed(SocketAddr, io::Error),
    TooLong(SocketAddr, Duration),
}

impl Door {
    async fn next(&mut self) -> Connection {
        loop {
            let connection = tokio::select! {
                accepted = self.listener.accept() => match accepted {
                    Ok((stream, address)) => self.admit(stream, address),
                    Err(error) => {
                        tracing::warn!(%error, "a connection could not be accepted");
                        metrics::record_rejection(Rejection::AcceptFailed);
                        // A peer that gave up says nothing about the next one.
                        if error.kind() != io::ErrorKind::ConnectionAborted {
                            tokio::time::sleep(ACCEPT_PAUSE).await;
                        }
                        None
                    }
                },
                Some(ended) = self.handshakes.join_next() => ready(ended),
            };
            if let Some(connection) = connection {
                return connection;
            }
        }
    }

    /// Gives the connection, or begins its handshake, or refuses it.
    fn admit(&mut self, stream: TcpStream, address: SocketAddr) -> Option<Connection> {
        let place = match self.places.take(address.ip()) {
            Ok(place) => place,
            Err(full) => {
                self.refuse(stream, address, full);
                return None;
            }
        };
        self.refusing = false;
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%address, %error, "small packets may wait on this connection");
        }
        let Some(encryption) = &self.encryption else {
            let peer = Peer { address, certificate: None, flow: Flow::unique() };
            return Some(Connection::new(Io::Plain(stream), peer, place));
        };
        let shaking = handshake(stream, address, place, encryption);
        self.begun.retain(|handshake| !handshake.is_finished());
        while self.begun.len() >= encryption.max_handshakes {
            if let Some(oldest) = self.begun.pop_front() {
                oldest.abort();
            }
        }
        self.begun.push_back(self.handshakes.spawn(shaking));
        None
    }

    /// Says why, where that can be said without a handshake, and closes the connection.
    fn refuse(&mut self, stream: TcpStream, address: SocketAddr, full: Full) {
        metrics::record_rejection(Rejection::TooManyConnections);
        if !std::mem::replace(&mut self.refusing, true) {
            tracing::warn!(%address, reason = %full, "connections are refused");
        }
        while self.farewells.try_join_next().is_some() {}
        if self.encryption.is_none() && self.farewells.len() < MAX_FAREWELLS {
            self.farewells.spawn(farewell(stream, ENHANCE_YOUR_CALM, full.to_string()));
        }
    }
}

/// Takes the newest certificates for a handshake with `address`.
fn handshake(
    stream: TcpStream,
    address: SocketAddr,
    place: Place,
    encryption: &Encryption,
) -> impl Future<Output = Result<Connection, HandshakeError>> + use<> {
    let acceptor = TlsAcceptor::from(Arc::clone(&*encryption.certificates.current()));
    let limit = encryption.handshake_limit;
    async move {
        let shaking = async {
            let mut first = [0];
            if stream.peek(&mut first).await? == 1 && first == [PLAINTEXT] {
                farewell(stream, INADEQUATE_SECURITY, SPEAK_TLS.to_owned()).await;
                return Err(io::Error::other("the client speaks plaintext"));
            }
            acceptor.accept(stream).await
        };
        let Ok(shaken) = tokio::time::timeout(limit, shaking).await else {
            return Err(HandshakeError::TooLong(address, limit));
        };
        let stream = shaken.map_err(|error| HandshakeError::Failed(address, error))?;
        let (_, session) = stream.get_ref();
        let certificate = session
            .peer_certificates()
            .and_then(|chain| ClientCertificate::read(chain.first()?))
            .map(Arc::new);
        let peer = Peer { address, certificate, flow: Flow::unique() };
        Ok(Connection::new(Io::Encrypted(Box::new(stream)), peer, place))
    }
}

/// What a handshake has come to; a failure is told.
fn ready(ended: Result<Result<Connection, HandshakeError>, JoinError>) -> Option<Connection> {
    let cause = match ended {
        Ok(Ok(connection)) => return Some(connection),
        Ok(Err(HandshakeError::Failed(address, error))) => {
            tracing::debug!(%address, %error, "a TLS handshake failed");
            Rejection::HandshakeFailed
        }
        Ok(Err(HandshakeError::TooLong(address, limit))) => {
            tracing::debug!(%address, ?limit, "a TLS handshake took too long");
            Rejection::HandshakeTimeout
        }
        Err(error) if error.is_cancelled() => Rejection::TooManyHandshakes,
        Err(error) => {
            tracing::error!(%error, "a TLS handshake panicked");
            Rejection::HandshakeFailed
        }
    };
    metrics::record_rejection(cause);
    None
}

/// Says why a connection is over, and lets the other side close it: who closes while there is
/// something to read takes back what it has said.
async fn farewell(mut stream: TcpStream, code: u32, reason: String) {
    let said = async {
        stream.write_all(&goaway(code, &reason)).await?;
        stream.shutdown().await?;
        tokio::io::copy(&mut stream.take(FAREWELL_BYTES), &mut tokio::io::sink()).await
    };
    if let Ok(Err(error)) = tokio::time::timeout(FAREWELL_LIMIT, said).await {
        tracing::debug!(%error, "a refused connection did not wait for the reason");
    }
}

/// The client does what costs too much (RFC 9113, 7).
const ENHANCE_YOUR_CALM: u32 = 0xb;
/// The connection is not secure enough (the same).
const INADEQUATE_SECURITY: u32 = 0xc;

/// HTTP/2 for "this connection is over" with its reason, as gRPC clients show it: an empty SETTINGS
/// frame, then GOAWAY (RFC 9113, 6.5 and 6.8).
fn goaway(code: u32, reason: &str) -> Vec<u8> {
    const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let mut frames = SETTINGS.to_vec();
    let length = (8 + reason.len()) as u32;
    frames.extend_from_slice(&length.to_be_bytes()[1..]);
    frames.extend_from_slice(&[7, 0]);
    // The stream and the last stream that was taken up: none.
    frames.extend_from_slice(&[0; 8]);
    frames.extend_from_slice(&code.to_be_bytes());
    frames.extend_from_slice(reason.as_bytes());
    frames
}
