//! What telemetry shows and where.

use std::net::SocketAddr;

use serde::{Deserialize, Serialize};

use super::Otlp;
use super::logs::{self, LogFormat};
use crate::bounds::{Bounds, Breach};

/// The log on standard error.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Log {
    /// A level, or directives such as `veriframe=debug,warn`. Default `warn`.
    pub filter: String,
    /// How a line looks. Default text.
    pub format: LogFormat,
    /// Whether each gRPC call has a line, at its end, whatever the filter's level; `access=…` in the
    /// filter goes before. Only the command that serves heeds it. Default true.
    pub access: bool,
}

impl Default for Log {
    fn default() -> Self {
        Self { filter: "warn".to_owned(), format: LogFormat::default(), access: true }
    }
}

impl Log {
    /// What cannot be used.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        if let Err(error) = logs::parse(self) {
            bounds.refuse("filter", format!("cannot be read: {error}"));
        }
        bounds.breaches()
    }
}

/// Metrics and traces.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Whether the page for Prometheus is served. Default true.
    pub metrics: bool,
    /// Where; port 0 takes any free one. Default 127.0.0.1:9464.
    pub metrics_listen: SocketAddr,
    /// Where traces go.
    pub otlp: Otlp,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            metrics: true,
            metrics_listen: SocketAddr::from(([127, 0, 0, 1], 9464)),
            otlp: Otlp::default(),
        }
    }
}

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.section("otlp", self.otlp.breaches());
        bounds.breaches()
    }
}
