//! What the server's streams may take, and how long they may wait.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::server::deadline::aged;

/// What the server's streams may take, and how long they may wait.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct StreamLimits {
    /// Streams that are open at once, over all connections; more are refused with
    /// `RESOURCE_EXHAUSTED`. Default 256.
    pub max_streams: usize,
    /// How long a client may send nothing while none of its frames is worked on; then the stream is
    /// ended with `ABORTED`. Default 60 s.
    #[serde(with = "crate::units::duration")]
    pub idle_limit: Duration,
    /// How long a client may leave a result unread; then the stream's work is dropped and it is
    /// ended with `ABORTED`. Default 60 s.
    #[serde(with = "crate::units::duration")]
    pub send_limit: Duration,
    /// How old a `VerifyStream` may grow, give or take a tenth; then it ends as at a shutdown, and
    /// its client goes on at another server, or at this one. Any age where zero. Default zero.
    #[serde(with = "crate::units::duration")]
    pub max_age: Duration,
    /// Results of dropped and expired frames that one stream may hold unsent; beyond it the server
    /// reads the stream no further. Each weighs some hundred bytes. At least 1. Default 256.
    pub max_unsent_drops: usize,
    /// Configurations of one stream that may wait for their frame; one more ends the stream with
    /// `INVALID_ARGUMENT`. Default 8.
    pub max_waiting_configs: usize,
}

impl StreamLimits {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let waits = Duration::from_secs(1)..=Duration::from_hours(24);
        let mut bounds = Bounds::default();
        bounds.number("max_streams", self.max_streams, 1..=1_000_000);
        bounds.duration("idle_limit", self.idle_limit, waits.clone());
        bounds.duration("send_limit", self.send_limit, waits);
        bounds.duration("max_age", self.max_age, Duration::ZERO..=Duration::from_hours(720));
        bounds.number("max_unsent_drops", self.max_unsent_drops, 1..=65_536);
        bounds.number("max_waiting_configs", self.max_waiting_configs, 1..=1024);
        bounds.breaches()
    }

    /// The age at which one stream ends; `luck` is 0 to 1.
    pub(super) fn age(&self, luck: f64) -> Option<Duration> {
        aged(self.max_age, luck)
    }
}

impl Default for StreamLimits {
    fn default() -> Self {
        Self {
            max_streams: 256,
            idle_limit: Duration::from_mins(1),
            send_limit: Duration::from_mins(1),
            max_age: Duration::ZERO,
            max_unsent_drops: 256,
            max_waiting_configs: 8,
        }
    }
}
