//! How a server behaves towards its clients.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::limits::RequestLimits;
use super::oip::OpenInference;
use super::stream::StreamLimits;
use super::{auth, connections, tls};
use crate::bounds::{Bounds, Breach};
use crate::telemetry::{Probes, Tracer};
use crate::vision::image::Limits;

/// Room in an answer for all that is not heatmaps.
const ANSWER_HEADROOM_BYTES: usize = 128 << 20;

/// Which models must work for a server to be ready. All of them must have answered once before it is
/// ready for the first time.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Readiness {
    /// The names that it was started with, until they are unloaded: each has a working replica.
    #[default]
    StartModels,
    /// Every model that is loaded.
    AllModels,
    /// At least one.
    AnyModel,
}

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
    /// After the shutdown signal, how long calls are still accepted while health says NOT_SERVING,
    /// so that load balancers look elsewhere before anything is refused; `drain_limit` begins after
    /// it. Default 0.
    #[serde(with = "crate::units::duration")]
    pub drain_delay: Duration,
    /// Which models must work for the server to be ready.
    pub readiness: Readiness,
    /// How often the models' replicas are looked at for the health service. Default 1 s.
    #[serde(with = "crate::units::duration")]
    pub health_interval: Duration,
    /// Whether the admin service is offered. Where it is left out, the default, it is offered where
    /// the server listens on the loopback alone.
    pub admin: Option<bool>,
    /// What records traces: handed over, not configured here. The default one records none.
    #[serde(skip)]
    pub tracer: Tracer,
    /// What is told beside the metrics of the server's health: handed over, not configured here.
    #[serde(skip)]
    pub probes: Probes,
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
        bounds.duration("drain_delay", self.drain_delay, Duration::ZERO..=hour);
        let moment = Duration::from_millis(10);
        bounds.duration("health_interval", self.health_interval, moment..=Duration::from_mins(1));
        bounds.section("images", self.image_limits.breaches());
        bounds.section("limits", self.request_limits.breaches());
        bounds.section("streams", self.streams.breaches());
        bounds.section("open_inference", self.open_inference.breaches());
        bounds.section("connections", self.connections.breaches());
        bounds.section("tls", self.tls.breaches());
        bounds.section("auth", self.auth.breaches());
        bounds.breaches()
    }

    /// Whether the admin service is offered by a server that listens on the loopback, or beyond it.
    pub(super) fn offers_admin(&self, loopback: bool) -> bool {
        self.admin.unwrap_or(loopback)
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
            drain_delay: Duration::ZERO,
            readiness: Readiness::default(),
            health_interval: Duration::from_secs(1),
            admin: None,
            tracer: Tracer::default(),
            probes: Probes::default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn administration_is_offered_on_the_loopback_alone_unless_the_operator_says_otherwise() {
        for (admin, loopback, beyond) in
            [(None, true, false), (Some(true), true, true), (Some(false), false, false)]
        {
            let config = Config { admin, ..Config::default() };
            assert_eq!((config.offers_admin(true), config.offers_admin(false)), (loopback, beyond));
        }
    }
}
