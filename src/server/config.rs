//! How a server behaves towards its clients.

use std::time::Duration;

use super::limits::RequestLimits;
use super::{auth, connections, tls};
use crate::vision::image::Limits;

/// Room in an answer for all that is not heatmaps.
const ANSWER_HEADROOM_BYTES: usize = 128 << 20;

/// How a server behaves towards its clients. Every limit answers with an error that names it.
#[derive(Clone, Debug)]
pub struct Config {
    /// What a picture may be at most.
    pub image_limits: Limits,
    /// What a request may ask at most.
    pub request_limits: RequestLimits,
    /// Whether and how connections are encrypted.
    pub tls: tls::Config,
    /// Who may call.
    pub auth: auth::Config,
    /// How many connections there may be, and what they may send.
    pub connections: connections::Config,
    /// One message of a client. Default 64 MiB.
    pub max_message_bytes: usize,
    /// Calls and streams that run at once, over all connections; more are refused with
    /// `RESOURCE_EXHAUSTED`. Default 512.
    pub max_calls: usize,
    /// Calls and streams that run at once on one connection; more wait in the client. Default 256.
    pub max_calls_per_connection: u32,
    /// What a client may send on one stream before it is read. Default 1 MiB.
    pub stream_window_bytes: u32,
    /// What a client may send on one connection before it is read. Default 8 MiB.
    pub connection_window_bytes: u32,
    /// How often a silent connection is asked whether it is there. Default 30 s.
    pub keepalive_interval: Duration,
    /// How long it may take to answer. Default 20 s.
    pub keepalive_timeout: Duration,
    /// After the shutdown signal, how long running calls may take to end. Default 30 s.
    pub drain_limit: Duration,
}

impl Config {
    /// What one answer may weigh.
    pub(super) fn max_answer_bytes(&self) -> usize {
        self.request_limits.max_heatmap_bytes.saturating_add(ANSWER_HEADROOM_BYTES)
    }
}

impl Default for Config {
    fn default() -> Self {
        Self {
            image_limits: Limits::default(),
            request_limits: RequestLimits::default(),
            tls: tls::Config::default(),
            auth: auth::Config::default(),
            connections: connections::Config::default(),
            max_message_bytes: 64 << 20,
            max_calls: 512,
            max_calls_per_connection: 256,
            stream_window_bytes: 1 << 20,
            connection_window_bytes: 8 << 20,
            keepalive_interval: Duration::from_secs(30),
            keepalive_timeout: Duration::from_secs(20),
            drain_limit: Duration::from_secs(30),
        }
    }
}
