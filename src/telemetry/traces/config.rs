//! Where traces go.

use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};

/// Where traces go, and how many. Nothing leaves the process unless `endpoint` is set.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Otlp {
    /// The collector that takes OTLP over gRPC, such as `http://localhost:4317`; none by default.
    /// Where it is not set, `OTEL_EXPORTER_OTLP_TRACES_ENDPOINT` and `OTEL_EXPORTER_OTLP_ENDPOINT`
    /// count. Headers for it, such as a token, come from `OTEL_EXPORTER_OTLP_HEADERS` alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// PEM file of the authorities that may sign an `https://` collector's certificate; required
    /// for one. None by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ca_file: Option<PathBuf>,
    /// Share of the traces that begin here which are recorded, 0 to 1. Default 0.1.
    pub sample_ratio: f64,
    /// Whether a caller that sends its trace decides whether it is recorded; otherwise
    /// `sample_ratio` decides for every trace. Default true.
    pub follow_caller: bool,
    /// Frames of a stream with spans of their own: the first so many, then one in so many; 0 for
    /// none. Default 100; at most 1 000 000.
    pub stream_frames: u32,
    /// Spans that wait to be sent; more are dropped and counted. Default 2048; 1 to 1 000 000.
    pub max_queued_spans: usize,
    /// Spans that are sent together. Default 512; 1 to 10 000, and never more than
    /// may wait.
    pub max_batch_spans: usize,
    /// Spans are sent at least this often. Default 5 s; 100 ms to 1 h.
    #[serde(with = "crate::units::duration")]
    pub interval: Duration,
    /// How long one sending may take. Default 10 s; 100 ms to 5 min.
    #[serde(with = "crate::units::duration")]
    pub timeout: Duration,
    /// How long the last sending may take when the server stops. Default 5 s; at most 5 min.
    #[serde(with = "crate::units::duration")]
    pub flush_limit: Duration,
}

impl Default for Otlp {
    fn default() -> Self {
        Self {
            endpoint: None,
            ca_file: None,
            sample_ratio: 0.1,
            follow_caller: true,
            stream_frames: 100,
            max_queued_spans: 2048,
            max_batch_spans: 512,
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(10),
            flush_limit: Duration::from_secs(5),
        }
    }
}

impl Otlp {
    /// The same, with the endpoint that OpenTelemetry's own variables name where none is set.
    /// `variable` reads one variable of the environment.
    #[must_use]
    pub fn or_environment(mut self, variable: impl Fn(&str) -> Option<String>) -> Self {
        let names = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
        let named = || names.iter().find_map(|name| variable(name).filter(|it| !it.is_empty()));
        self.endpoint = self.endpoint.or_else(named);
        self
    }
}

/// How the collector is reached.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Transport {
    /// As it is.
    Plain,
    /// Encrypted; the collector's certificate is signed by one in this file.
    Tls(PathBuf),
}

impl Otlp {
    /// How the collector is reached; else the key that is wrong, and how.
    pub(super) fn transport(&self) -> Result<Transport, (&'static str, String)> {
        let endpoint = self.endpoint.as_deref().unwrap_or_default();
        let uri: http::Uri =
            endpoint.parse().map_err(|error| ("endpoint", format!("cannot be read: {error}")))?;
        if uri.authority().is_some_and(|authority| authority.as_str().contains('@')) {
            let reason = "holds a password; give it in OTEL_EXPORTER_OTLP_HEADERS";
            return Err(("endpoint", reason.to_owned()));
        }
        match (uri.scheme_str(), &self.ca_file) {
            (Some("http"), None) => Ok(Transport::Plain),
            (Some("https"), Some(file)) => Ok(Transport::Tls(file.clone())),
            (Some("http"), Some(_)) => {
                Err(("ca_file", "is set, so endpoint must begin with https://".to_owned()))
            }
            (Some("https"), None) => {
                Err(("endpoint", "begins with https://, so ca_file must be set".to_owned()))
            }
            _ => Err(("endpoint", "must begin with http:// or https://".to_owned())),
        }
    }

    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let least = Duration::from_millis(100);
        let mut bounds = Bounds::default();
        if self.endpoint.is_some()
            && let Err((key, reason)) = self.transport()
        {
            bounds.refuse(key, reason);
        }
        bounds.number("sample_ratio", self.sample_ratio, 0.0..=1.0);
        bounds.number("stream_frames", self.stream_frames, 0..=1_000_000);
        bounds.number("max_queued_spans", self.max_queued_spans, 1..=1_000_000);
        bounds.number("max_batch_spans", self.max_batch_spans, 1..=10_000);
        bounds.duration("interval", self.interval, least..=Duration::from_hours(1));
        bounds.duration("timeout", self.timeout, least..=Duration::from_mins(5));
        bounds.duration("flush_limit", self.flush_limit, Duration::ZERO..=Duration::from_mins(5));
        bounds.breaches()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endpoint_that_cannot_be_used_is_told_with_what_would_do() {
        for (endpoint, ca_file, expected) in [
            ("http://localhost:4317", None, None),
            ("https://localhost:4317", Some("ca.pem"), None),
            ("localhost:4317", None, Some("endpoint must begin with http:// or https://")),
            ("ftp://localhost", None, Some("endpoint must begin with http:// or https://")),
            ("http://", None, Some("endpoint cannot be read: empty string")),
            (
                "https://localhost",
                None,
                Some("endpoint begins with https://, so ca_file must be set"),
            ),
            (
                "http://localhost",
                Some("ca.pem"),
                Some("ca_file is set, so endpoint must begin with https://"),
            ),
            (
                "http://user:word@localhost",
                None,
                Some("endpoint holds a password; give it in OTEL_EXPORTER_OTLP_HEADERS"),
            ),
        ] {
            let otlp = Otlp {
                endpoint: Some(endpoint.to_owned()),
                ca_file: ca_file.map(PathBuf::from),
                ..Otlp::default()
            };
            let found: Vec<String> =
                otlp.breaches().iter().map(|b| format!("{} {}", b.key, b.reason)).collect();
            assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{endpoint}");
        }
    }

    #[test]
    fn the_configuration_goes_before_the_environment() {
        let variable = |set: &'static [(&str, &str)]| {
            move |name: &str| {
                set.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
            }
        };
        let check = |own: Option<&str>, set, expected: Option<&str>| {
            let otlp = Otlp { endpoint: own.map(str::to_owned), ..Otlp::default() };
            assert_eq!(otlp.or_environment(variable(set)).endpoint.as_deref(), expected);
        };
        let general: &[_] = &[("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4317")];
        let both: &[_] = &[
            ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://b:4317"),
            ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://c:4317"),
        ];
        check(None, &[], None);
        check(None, &[("OTEL_EXPORTER_OTLP_ENDPOINT", "")], None);
        check(None, general, Some("http://b:4317"));
        check(None, both, Some("http://c:4317"));
        check(Some("http://a:4317"), both, Some("http://a:4317"));
    }

    #[test]
    fn what_is_written_is_read_again() {
        let otlp = Otlp {
            endpoint: Some("http://localhost:4317".to_owned()),
            sample_ratio: 0.5,
            ..Otlp::default()
        };
        for otlp in [otlp, Otlp::default()] {
            let text = toml::to_string(&otlp).unwrap();
            assert_eq!(toml::from_str::<Otlp>(&text).unwrap(), otlp, "{text}");
        }
    }
}
