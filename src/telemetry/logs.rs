//! The log: one line an event on standard error, as text or JSON.

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::util::SubscriberInitExt;

use super::TelemetryError;

/// How a log line looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people; the default.
    #[default]
    Text,
    /// One JSON object a line, for log collectors.
    Json,
}

impl LogFormat {
    /// Every format, in the order to offer them.
    pub const ALL: [Self; 2] = [Self::Text, Self::Json];

    /// The format's name on the command line.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::Json => "json",
        }
    }
}

impl fmt::Display for LogFormat {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for LogFormat {
    type Err = TelemetryError;

    fn from_str(text: &str) -> Result<Self, TelemetryError> {
        Self::ALL
            .into_iter()
            .find(|format| format.name() == text)
            .ok_or_else(|| TelemetryError::Format(text.to_owned()))
    }
}

/// Starts the log for the whole process; call once, from the command line.
///
/// `filter` is a level (`info`) or directives (`veriframe=debug,warn`).
/// Errors: [`TelemetryError::Filter`] for a bad filter, [`TelemetryError::Installed`] the second time.
pub fn init(format: LogFormat, filter: &str) -> Result<(), TelemetryError> {
    let parsed = parse(filter)?;
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parsed)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal());
    let installed = match format {
        LogFormat::Text => lines.with_target(false).finish().try_init(),
        LogFormat::Json => lines.json().flatten_event(true).finish().try_init(),
    };
    installed.map_err(|_| TelemetryError::Installed("logs"))
}

pub(super) fn parse(filter: &str) -> Result<EnvFilter, TelemetryError> {
    EnvFilter::builder().parse(filter).map_err(|error| TelemetryError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bad_filter_or_format_is_told_with_what_would_work() {
        assert!(parse("info").is_ok());
        assert!(parse("veriframe=debug,warn").is_ok());
        let error = parse("veriframe=loud").unwrap_err().to_string();
        assert!(error.starts_with("log filter 'veriframe=loud': "), "{error}");
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "log format 'xml' is unknown; use text or json");
    }
}
