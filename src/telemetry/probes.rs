//! Whether the process works and wants requests, told over plain HTTP beside the metrics.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// What `GET /live` and `GET /ready` answer: 200, or 503. Neither holds until it is told. Clones share
/// it.
///
/// For those who cannot ask the gRPC health service: the kubelet's gRPC probes speak no TLS.
#[derive(Clone, Debug, Default)]
pub struct Probes {
    live: Arc<AtomicBool>,
    ready: Arc<AtomicBool>,
}

impl Probes {
    /// Tells whether the process works, and whether requests are wanted here.
    pub fn tell(&self, live: bool, ready: bool) {
        self.live.store(live, Ordering::Relaxed);
        self.ready.store(ready, Ordering::Relaxed);
    }

    /// What holds at the path of a probe; none at another path.
    pub(super) fn at(&self, path: &str) -> Option<bool> {
        match path {
            "/live" => Some(self.live.load(Ordering::Relaxed)),
            "/ready" => Some(self.ready.load(Ordering::Relaxed)),
            _ => None,
        }
    }
}
