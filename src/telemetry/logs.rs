//! The log: one line an event on standard error, as text or JSON.

use std::fmt;
use std::io::{self, IsTerminal};
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tracing::Subscriber;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::ParseError;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::util::SubscriberInitExt;

use super::{Log, TelemetryError};

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

/// What speaks of its own workings on these levels; it is heard only where it is named.
const NOISY: [&str; 7] = ["h2", "hyper", "hyper_util", "rustls", "tokio_util", "tonic", "tower"];

/// Where the embedded store of evidence warns at each start that settings of the server it was taken
/// from were not made; there are none to make. Off unless they are named.
const POINTLESS: [&str; 2] = ["qdrant_edge::common::flags", "qdrant_edge::common::mmap::ops"];

/// Starts the log for the whole process; call once, from the command line.
///
/// Errors: [`TelemetryError::Filter`] for a bad filter, [`TelemetryError::Installed`] the second
/// time.
pub fn init(log: &Log) -> Result<(), TelemetryError> {
    let lines = subscriber(log, io::stderr, io::stderr().is_terminal())?;
    lines.try_init().map_err(|_| TelemetryError::Installed("logs"))
}

/// What [`init`] installs, with another writer; `colours` are for terminals.
pub fn subscriber<W>(
    log: &Log,
    writer: W,
    colours: bool,
) -> Result<Box<dyn Subscriber + Send + Sync>, TelemetryError>
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = tracing_subscriber::fmt()
        .with_env_filter(parse(log)?)
        .with_writer(writer)
        .with_ansi(colours);
    Ok(match log.format {
        LogFormat::Text => Box::new(lines.with_target(false).finish()),
        LogFormat::Json => Box::new(lines.json().flatten_event(true).finish()),
    })
}

/// The operator's filter, with what it does not say: whether calls have lines, and that `debug`
/// means this program's own.
pub(super) fn parse(log: &Log) -> Result<EnvFilter, TelemetryError> {
    let filter = log.filter.as_str();
    let fail = |error: ParseError| TelemetryError::Filter {
        filter: filter.to_owned(),
        reason: error.to_string(),
    };
    let parts: Vec<&str> = filter.split(',').map(str::trim).collect();
    let names = |target: &str| {
        let rest = parts.iter().filter_map(|part| part.strip_prefix(target));
        rest.into_iter().any(|rest| rest.is_empty() || rest.starts_with(['=', '[', ':']))
    };
    let mut added = Vec::new();
    if !names("access") {
        added.push(if log.access { "access=info".to_owned() } else { "access=off".to_owned() });
    }
    if parts.iter().any(|part| ["info", "debug", "trace"].contains(part)) {
        let quiet = NOISY.iter().filter(|name| !names(name));
        added.extend(quiet.map(|name| format!("{name}=warn")));
    }
    let pointless = POINTLESS.iter().filter(|name| !names(name) && !names("qdrant_edge"));
    added.extend(pointless.map(|name| format!("{name}=off")));
    let parsed = EnvFilter::builder().parse(filter).map_err(fail)?;
    added.iter().try_fold(parsed, |parsed, directive| {
        Ok(parsed.add_directive(directive.parse().map_err(fail)?))
    })
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Everything that is written.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn log(format: LogFormat, filter: &str, access: bool) -> Log {
        Log { format, filter: filter.to_owned(), access }
    }

    fn written(log: &Log) -> String {
        let page = Page::default();
        let writer = page.clone();
        let lines = move || writer.clone();
        let subscriber = subscriber(log, lines, false).unwrap();
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: "access", method = "a/B", "call");
            tracing::debug!(target: "access", "probe");
            tracing::warn!(target: "veriframe", "own warning");
            tracing::debug!(target: "veriframe", "own detail");
            tracing::debug!(target: "h2::codec", "wire detail");
            tracing::warn!(target: "qdrant_edge::common::flags", "no flags");
        });
        String::from_utf8(page.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn the_access_log_is_on_or_off_whatever_the_level() {
        let check = |filter: &str, access: bool, expected: &[&str]| {
            let page = written(&log(LogFormat::Text, filter, access));
            for part in ["call", "probe", "own warning", "own detail", "wire detail", "no flags"] {
                let said = page.lines().any(|line| line.contains(part));
                assert_eq!(said, expected.contains(&part), "{filter} {access} {part}\n{page}");
            }
        };
        check("warn", true, &["call", "own warning"]);
        check("warn", false, &["own warning"]);
        check("error", true, &["call"]);
        check("debug", true, &["call", "own warning", "own detail"]);
        check("debug", false, &["own warning", "own detail"]);
        check("warn,access=debug", false, &["call", "probe", "own warning"]);
        check("warn,access=off", true, &["own warning"]);
        check("warn,qdrant_edge=warn", false, &["own warning", "no flags"]);
        check("debug,h2=debug", false, &["own warning", "own detail", "wire detail"]);
    }

    #[test]
    fn a_json_line_is_one_flat_object() {
        let page = written(&log(LogFormat::Json, "warn", true));
        let line: serde_json::Value = serde_json::from_str(page.lines().next().unwrap()).unwrap();
        assert_eq!(line["message"], "call");
        assert_eq!(line["method"], "a/B");
        assert_eq!(line["target"], "access");
    }

    #[test]
    fn a_bad_filter_or_format_is_told_with_what_would_work() {
        let parsed = |filter: &str| parse(&log(LogFormat::Text, filter, true));
        assert!(parsed("info").is_ok());
        assert!(parsed("veriframe=debug,warn").is_ok());
        let error = parsed("veriframe=loud").unwrap_err().to_string();
        assert!(error.starts_with("log filter 'veriframe=loud': "), "{error}");
        assert_eq!("json".parse::<LogFormat>().unwrap(), LogFormat::Json);
        let error = "xml".parse::<LogFormat>().unwrap_err().to_string();
        assert_eq!(error, "log format 'xml' is unknown; use text or json");
    }
}
