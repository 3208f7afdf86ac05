//! The chart's rules, dashboard and scaling queries ask for what the server exports: a metric that is
//! renamed, a label that goes, a value that nobody writes any more, fails here.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::Path;

use veriframe::telemetry::metrics::{METRICS, Metric, Shape};

use crate::program::Program;

/// Labels that Prometheus and Kubernetes add, and the edge of a histogram's bucket.
const ADDED: [&str; 6] = ["job", "namespace", "pod", "instance", "container", "le"];
/// What queries ask of this server begins so.
const OURS: [&str; 2] = ["veriframe_", "process_"];

/// A metric as a query names it.
#[derive(Debug)]
struct Selector {
    name: String,
    /// Label, operator, value.
    matchers: Vec<(String, String, String)>,
}

/// Every metric of ours that a text names; of a text in JSON, its quotes are escaped.
fn selectors(text: &str) -> Vec<Selector> {
    let text = text.replace("\\\"", "\"");
    let word = |c: char| c.is_ascii_alphanumeric() || c == '_';
    let mut found = Vec::new();
    let mut rest = text.as_str();
    while let Some(at) = OURS.iter().filter_map(|start| rest.find(start)).min() {
        let begins = !rest[..at].ends_with(|c: char| word(c) || c == '/' || c == '-' || c == ':');
        let name: String = rest[at..].chars().take_while(|&c| word(c)).collect();
        let after = &rest[at + name.len()..];
        let inside = after.strip_prefix('{').and_then(|inside| inside.split_once('}'));
        let matchers = inside.map_or_else(Vec::new, |(inside, _)| matchers(inside));
        if begins {
            found.push(Selector { name, matchers });
        }
        rest = after;
    }
    found
}

fn matchers(inside: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut rest = inside;
    while let Some((head, tail)) = rest.split_once('"') {
        let (value, after) = tail.split_once('"').unwrap();
        let head = head.trim_start_matches([',', ' ']);
        let end = head.find(['=', '!']).unwrap();
        found.push((head[..end].to_owned(), head[end..].to_owned(), value.to_owned()));
        rest = after;
    }
    found
}

/// The metric that has this series.
fn metric(name: &str) -> Option<&'static Metric> {
    METRICS.iter().find(|metric| match metric.shape {
        Shape::Histogram(_) => ["_bucket", "_sum", "_count"]
            .iter()
            .any(|suffix| name.strip_suffix(suffix) == Some(metric.name)),
        Shape::Counter | Shape::Gauge => name == metric.name,
    })
}

/// What a server exports before its first request: the values of each label of each metric.
fn exported() -> BTreeMap<(String, String), BTreeSet<String>> {
    let flags =
        ["--set", "telemetry.metrics=true", "--set", "telemetry.metrics_listen=127.0.0.1:0"];
    let program = Program::serve(&flags);
    let address = program.line("metrics on http://");
    let mut socket = TcpStream::connect(address.trim_end_matches("/metrics")).unwrap();
    write!(socket, "GET /metrics HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").unwrap();
    let mut page = String::new();
    socket.read_to_string(&mut page).unwrap();
    let mut values: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for line in page.lines().filter(|line| !line.starts_with('#')) {
        for Selector { name, matchers } in selectors(line) {
            for (label, _, value) in matchers {
                values.entry((name.clone(), label)).or_default().insert(value);
            }
        }
    }
    values
}

fn files() -> Vec<(String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("helm/veriframe/files");
    let texts = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let texts = texts.filter(|path| path.extension().is_none_or(|ending| ending != "png"));
    texts
        .map(|path| {
            (
                path.file_name().unwrap().to_str().unwrap().to_owned(),
                fs::read_to_string(path).unwrap(),
            )
        })
        .collect()
}

#[test]
fn every_query_of_the_chart_asks_for_what_is_exported() {
    let exported = exported();
    let (mut wrong, mut seen) = (Vec::new(), 0);
    let files = files();
    // What the adapter of custom metrics makes of ours has a name of its own.
    let made: BTreeSet<&str> = files
        .iter()
        .flat_map(|(_, text)| text.lines())
        .filter_map(|line| line.trim().strip_prefix("as: "))
        .map(|name| name.trim_matches('"'))
        .collect();
    for (file, text) in &files {
        for Selector { name, matchers } in selectors(text) {
            seen += 1;
            let Some(metric) = metric(&name) else {
                // Words of a sentence that end in an underscore stand for a family.
                if !made.contains(name.as_str()) && !OURS.contains(&name.as_str()) {
                    wrong.push(format!("{file}: nothing exports {name}"));
                }
                continue;
            };
            for (label, operator, value) in matchers {
                if ADDED.contains(&label.as_str()) {
                    continue;
                }
                if !metric.labels.contains(&label.as_str()) {
                    wrong.push(format!("{file}: {name} has no label {label}"));
                } else if let Some(values) = exported.get(&(name.clone(), label.clone())) {
                    let alternatives = if operator.ends_with('~') { value.as_str() } else { "" };
                    let mut wanted: Vec<&str> = alternatives.split('|').collect();
                    if alternatives.is_empty() {
                        wanted = vec![&value];
                    }
                    for want in wanted.into_iter().filter(|want| !want.starts_with('$')) {
                        let known = match want.strip_suffix(".*") {
                            Some(start) => values.iter().any(|value| value.starts_with(start)),
                            None => values.contains(want),
                        };
                        if !known {
                            wrong.push(format!("{file}: no {name} has {label} {want}: {values:?}"));
                        }
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(
        seen > 100,
        "{seen} queries in {:?}",
        files.iter().map(|file| &file.0).collect::<Vec<_>>()
    );
}

#[test]
fn selectors_are_found_with_their_labels() {
    let text =
        r#"sum(rate(veriframe_a_total{job="x", cause=~"b|c"}[5m])) > process_b:veriframe_c "#;
    let found = selectors(text);
    let names: Vec<&str> = found.iter().map(|selector| selector.name.as_str()).collect();
    assert_eq!(names, ["veriframe_a_total", "process_b"]);
    let of = |label: &str, operator: &str, value: &str| {
        (label.to_owned(), operator.to_owned(), value.to_owned())
    };
    assert_eq!(found[0].matchers, [of("job", "=", "x"), of("cause", "=~", "b|c")]);
    assert_eq!(selectors(r#"veriframe_a{b=\"c\"}"#)[0].matchers, [of("b", "=", "c")]);
}
