//! How a server behaves towards its clients.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::RequestLimits;
use super::oip::OpenInference;
use super::stream::StreamLimits;
use super::{auth, connections, tls};
use crate::bounds::{Bounds, Breach};
use crate::telemetry::Tracer;
use crate::vision::image::Limits;

/// Room in an answer for all that is not heatmaps.
const ANSWER_HEADROOM_BYTES: usize = 128 << 20;

/// How a server behaves towards its clients. Every limit answers with an error that names it.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Where gRPC listens, for the one who binds the listener; port 0 takes any free one. Default
    /// 127.0.0.1:50051.
    pub listen: SocketAddr,
    /// What a picture may be at most.
    #[serde(rename = "images")]
    pub image_limits: Limits,
    /// What a request may ask at most.
    #[serde(rename = "limits")]
    pub request_limits: RequestLimits,
    /// Whether and how connections are encrypted.
    pub tls: tls::Config,
    /// Who may call.
    pub auth: auth::Config,
    /// How many connections there may be, and what they may send.
    pub connections: connections::Config,
    /// What streams may take, and how long they may wait.
    pub streams: StreamLimits,
    /// The Open Inference Protocol.
    pub open_inference: OpenInference,
    /// One message of a client. Default 64 MiB.
    #[serde(with = "crate::units::bytes")]
    pub max_message_bytes: usize,
    /// Calls and streams that run at once, over all connections; more are refused with
    /// `RESOURCE_EXHAUSTED`. Default 512.
    pub max_calls: usize,
    /// Calls and streams that run at once on one connection; more wait in the client. Default 256.
    pub max_calls_per_connection: u32,
    /// What a client may send on one stream before it is read. Default 1 MiB.
    #[serde(with = "crate::units::bytes")]
    pub stream_window_bytes: u32,
    /// What a client may send on one connection before it is read. Default 8 MiB.
    #[serde(with = "crate::units::bytes")]
    pub connection_window_bytes: u32,
    /// How often a silent connection is asked whether it is there. Default 30 s.
    #[serde(with = "crate::units::duration")]
    pub keepalive_interval: Duration,
    /// How long it may take to answer. Default 20 s.
    #[serde(with = "crate::units::duration")]
    pub keepalive_timeout: Duration,
    /// After the shutdown signal, how long running calls may take to end. Default 30 s.
    #[serde(with = "crate::units::duration")]
    pub drain_limit: Duration,
    /// What records traces: handed over, not configured here. The default one records none.
    #[serde(skip)]
    pub tracer: Tracer,
}

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        bounds.bytes("max_message_bytes", self.max_message_bytes, 1 << 10..=1 << 30);
        bounds.number("max_calls", self.max_calls, 1..=1_000_000);
        bounds.number("max_calls_per_connection", self.max_calls_per_connection, 1..=1_000_000);
        // HTTP/2 begins with 64 KiB less one byte and knows no window of 2 GiB.
        bounds.bytes("stream_window_bytes", self.stream_window_bytes, 64 << 10..=1 << 30);
        bounds.bytes("connection_window_bytes", self.connection_window_bytes, 64 << 10..=1 << 30);
        bounds.duration("keepalive_interval", self.keepalive_interval, second..=hour);
        bounds.duration("keepalive_timeout", self.keepalive_timeout, second..=hour);
        bounds.duration("drain_limit", self.drain_limit, Duration::ZERO..=hour);
        bounds.section("images", self.image_limits.breaches());
        bounds.section("limits", self.request_limits.breaches());
        bounds.section("streams", self.streams.breaches());
        bounds.section("open_inference", self.open_inference.breaches());
        bounds.section("connections", self.connections.breaches());
        bounds.section("tls", self.tls.breaches());
        bounds.section("auth", self.auth.breaches());
        bounds.breaches()
    }

    /// What one answer may weigh.
    pub(super) fn max_answer_bytes(&self) -> usize {
        self.request_limits.max_heatmap_bytes.saturating_add(ANSWER_HEADROOM_BYTES)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 50051)),
            image_limits: Limits::default(),
            request_limits: RequestLimits::default(),
            tls: tls::Config::default(),
            auth: auth::Config::default(),
            connections: connections::Config::default(),
            streams: StreamLimits::default(),
            open_inference: OpenInference::default(),
            max_message_bytes: 64 << 20,
            max_calls: 512,
            max_calls_per_connection: 256,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 8 << 20,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            drain_limit: Duration::from_secs(30),
            tracer: Tracer::default(),
        }
    }
}
