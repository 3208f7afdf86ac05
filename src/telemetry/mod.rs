//! Metrics, traces and logs: every name, label and bucket.
//!
//! Imports: units, bounds.

mod config;
mod exporter;
mod logs;
pub mod metrics;
mod probes;
mod process;
pub mod traces;

pub use config::{Config, Log};
pub use exporter::Exporter;
pub use logs::{LogFormat, init, subscriber};
pub use probes::Probes;
pub use traces::{Otlp, Tracer};

/// Why telemetry cannot start.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The log filter does not parse.
    #[error("log filter '{filter}': {reason}; use for example info or veriframe=debug,warn")]
    Filter {
        /// What was given.
        filter: String,
        /// What the parser said.
        reason: String,
    },
    /// The log format has another name.
    #[error("log format '{0}' is unknown; use text or json")]
    Format(String),
    /// The process already has a log subscriber or a metrics recorder of another make.
    #[error("{0} are already installed in this process")]
    Installed(&'static str),
    /// The collector of traces cannot be used so.
    #[error("cannot send traces to {endpoint}: {reason}")]
    Otlp {
        /// What was given.
        endpoint: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The metrics address cannot be listened on.
    #[error("cannot serve metrics on {address}: {source}")]
    Listen {
        /// The address asked for.
        address: std::net::SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
