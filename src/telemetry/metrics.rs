//! Every metric: its name, meaning, labels and buckets, and the one function that records it.
//!
//! Nothing outside this file names a metric; clippy bans the raw macros elsewhere. Units are base
//! units, labels have few values: never a stream, a prompt or an address.
#![expect(clippy::disallowed_macros, reason = "this file is where the ban leads to")]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

/// The target for one image, from its arrival to its result: a bucket edge of every time metric.
pub const TARGET: Duration = Duration::from_millis(1200);

/// Bucket edges in seconds: around the target, with a quarter, a half, twice and four times of it.
pub const SECONDS_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 0.9, 1.2, 1.8, 2.4, 4.8, 9.6];

/// Bucket edges in items a batch.
pub const BATCH_BUCKETS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// What Prometheus makes of a metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// Only grows.
    Counter,
    /// The value now.
    Gauge,
    /// Observations counted by these upper edges.
    Histogram(&'static [f64]),
}

/// One metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Metric {
    /// The full name, `veriframe_…`.
    pub name: &'static str,
    /// What it tells.
    pub help: &'static str,
    /// The unit, where it counts more than things.
    pub unit: Unit,
    /// Counter, gauge or histogram.
    pub shape: Shape,
    /// Its labels.
    pub labels: &'static [&'static str],
}

type Labels = &'static [&'static str];

const fn count(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, help, unit: Unit::Count, shape: Shape::Counter, labels }
}

const fn value(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, help, unit: Unit::Count, shape: Shape::Gauge, labels }
}

const fn seconds(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, help, unit: Unit::Seconds, shape: Shape::Histogram(&SECONDS_BUCKETS), labels }
}

const BUILD_INFO: Metric =
    value("veriframe_build_info", &["version"], "Always 1; the version is in the label.");
const START_TIME: Metric = Metric {
    unit: Unit::Seconds,
    ..value("veriframe_start_time_seconds", &[], "When the process started, as Unix time.")
};
const REQUESTS: Metric =
    count("veriframe_requests_total", &["method", "code"], "gRPC calls ended, by status code.");
const REQUEST_SECONDS: Metric = seconds(
    "veriframe_request_seconds",
    &["method"],
    "gRPC calls from the first byte to the last; a stream counts as one call.",
);
const FRAMES: Metric = count("veriframe_frames_total", &["outcome"], "Frames, by their end.");
const FRAME_SECONDS: Metric = seconds(
    "veriframe_frame_seconds",
    &[],
    "One frame or image from its arrival to its result, unary or streamed; dropped ones excepted.",
);
const SLO: Metric = count(
    "veriframe_slo_total",
    &[],
    "Frames that count towards the target: all but dropped and invalid ones.",
);
const SLO_GOOD: Metric =
    count("veriframe_slo_good_total", &[], "Those of them with a result within 1.2 s.");
const STAGE_SECONDS: Metric =
    seconds("veriframe_stage_seconds", &["stage"], "Where a frame's time goes.");
const ITEMS: Metric = count(
    "veriframe_items_total",
    &["model", "outcome"],
    "Items submitted to a model's engine, by their end.",
);
const BATCH_SIZE: Metric = Metric {
    shape: Shape::Histogram(&BATCH_BUCKETS),
    ..value("veriframe_batch_size", &["model"], "Items in each batch that ran.")
};
const QUEUE_DEPTH: Metric =
    value("veriframe_queue_depth", &["model"], "Items that wait for a batch.");
const QUEUE_BYTES: Metric = Metric {
    unit: Unit::Bytes,
    ..value("veriframe_queue_bytes", &["model"], "Weight of the items that wait.")
};
const RUNNING: Metric = value("veriframe_running", &["model"], "Items in batches on a device.");
const QUEUE_WAIT_SECONDS: Metric = seconds(
    "veriframe_queue_wait_seconds",
    &["model"],
    "From an item's submission to the start of its batch.",
);
const REPLICAS: Metric = value("veriframe_replicas", &["model"], "Replicas of a model.");
const REPLICAS_HEALTHY: Metric =
    value("veriframe_replicas_healthy", &["model"], "Replicas that work.");
const REPLICA_FAILURES: Metric = count(
    "veriframe_replica_failures_total",
    &["model"],
    "Batches that failed as a whole, and models that failed to build.",
);
const CACHE_HITS: Metric = count("veriframe_cache_hits_total", &["cache"], "Look-ups answered.");
const CACHE_MISSES: Metric =
    count("veriframe_cache_misses_total", &["cache"], "Look-ups that had to be computed.");
const MODEL_INFO: Metric = value(
    "veriframe_model_info",
    &["name", "version", "kind", "device"],
    "1 while the model is loaded.",
);

/// Every metric there is.
pub const METRICS: [Metric; 21] = [
    BUILD_INFO,
    START_TIME,
    REQUESTS,
    REQUEST_SECONDS,
    FRAMES,
    FRAME_SECONDS,
    SLO,
    SLO_GOOD,
    STAGE_SECONDS,
    ITEMS,
    BATCH_SIZE,
    QUEUE_DEPTH,
    QUEUE_BYTES,
    RUNNING,
    QUEUE_WAIT_SECONDS,
    REPLICAS,
    REPLICAS_HEALTHY,
    REPLICA_FAILURES,
    CACHE_HITS,
    CACHE_MISSES,
    MODEL_INFO,
];

/// A part of a frame's way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Bytes to pixels.
    Decode,
    /// Pixels to the model's size.
    Preprocess,
    /// Waiting for a batch.
    Queue,
    /// The net.
    Infer,
    /// Heatmaps.
    Explain,
    /// Results to the answer.
    Postprocess,
}

impl Stage {
    /// All of them, in the order of the way.
    pub const ALL: [Self; 6] = [
        Self::Decode,
        Self::Preprocess,
        Self::Queue,
        Self::Infer,
        Self::Explain,
        Self::Postprocess,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Preprocess => "preprocess",
            Self::Queue => "queue",
            Self::Infer => "infer",
            Self::Explain => "explain",
            Self::Postprocess => "postprocess",
        }
    }
}

/// How a frame ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FrameOutcome {
    /// With a result.
    Ok,
    /// Left out by its stream's policy.
    Dropped,
    /// Its deadline passed.
    Expired,
    /// It was no valid input: the caller's fault.
    Invalid,
    /// The server failed or refused it: ours.
    Failed,
}

impl FrameOutcome {
    /// All of them.
    pub const ALL: [Self; 5] =
        [Self::Ok, Self::Dropped, Self::Expired, Self::Invalid, Self::Failed];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Dropped => "dropped",
            Self::Expired => "expired",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }

    /// Whether the frame counts towards the target.
    const fn counts(self) -> bool {
        match self {
            Self::Ok | Self::Expired | Self::Failed => true,
            Self::Dropped | Self::Invalid => false,
        }
    }
}

/// How an item submitted to an engine ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ItemOutcome {
    /// With an output.
    Ok,
    /// The queue was full.
    Full,
    /// Its deadline passed.
    Expired,
    /// Its caller went away.
    Abandoned,
    /// The engine was closed.
    Closed,
    /// The item was bad.
    Invalid,
    /// The device failed or the model panicked.
    Failed,
}

impl ItemOutcome {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Ok,
        Self::Full,
        Self::Expired,
        Self::Abandoned,
        Self::Closed,
        Self::Invalid,
        Self::Failed,
    ];

    /// The label's value.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Full => "full",
            Self::Expired => "expired",
            Self::Abandoned => "abandoned",
            Self::Closed => "closed",
            Self::Invalid => "invalid",
            Self::Failed => "failed",
        }
    }
}

/// What an engine holds at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EngineLoad {
    /// Items that wait.
    pub queued_items: usize,
    /// Their weight.
    pub queued_bytes: usize,
    /// Items in batches on a device.
    pub running: usize,
}

/// A model that is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ModelLabels<'a> {
    /// The name requests use.
    pub name: &'a str,
    /// Its version, as the operator wrote it.
    pub version: &'a str,
    /// `clip`, `yolo`, …
    pub kind: &'a str,
    /// `cpu`, `cuda:0`, …
    pub device: &'a str,
}

/// A gRPC call ended with the status `code` (`OK`, `INVALID_ARGUMENT`, …) after `duration`.
pub fn record_request(method: &'static str, code: &'static str, duration: Duration) {
    counter!(REQUESTS.name, "method" => method, "code" => code).increment(1);
    histogram!(REQUEST_SECONDS.name, "method" => method).record(duration);
}

/// A frame, unary or streamed, ended `duration` after its arrival.
pub fn record_frame(outcome: FrameOutcome, duration: Duration) {
    counter!(FRAMES.name, "outcome" => outcome.name()).increment(1);
    if outcome != FrameOutcome::Dropped {
        histogram!(FRAME_SECONDS.name).record(duration);
    }
    if outcome.counts() {
        counter!(SLO.name).increment(1);
        let good = outcome == FrameOutcome::Ok && duration <= TARGET;
        counter!(SLO_GOOD.name).increment(u64::from(good));
    }
}

/// One stage of one frame took `duration`.
pub fn record_stage(stage: Stage, duration: Duration) {
    histogram!(STAGE_SECONDS.name, "stage" => stage.name()).record(duration);
}

/// An item submitted to `model`'s engine ended.
pub fn record_item(model: &str, outcome: ItemOutcome) {
    counter!(ITEMS.name, "model" => model.to_owned(), "outcome" => outcome.name()).increment(1);
}

/// A batch of `size` items of `model` ran, whether well or not.
pub fn record_batch(model: &str, size: usize) {
    histogram!(BATCH_SIZE.name, "model" => model.to_owned()).record(size as f64);
}

/// An item of `model` waited this long for its batch.
pub fn record_queue_wait(model: &str, wait: Duration) {
    histogram!(QUEUE_WAIT_SECONDS.name, "model" => model.to_owned()).record(wait);
}

/// What `model`'s engine holds now.
pub fn set_load(model: &str, load: EngineLoad) {
    gauge!(QUEUE_DEPTH.name, "model" => model.to_owned()).set(load.queued_items as f64);
    gauge!(QUEUE_BYTES.name, "model" => model.to_owned()).set(load.queued_bytes as f64);
    gauge!(RUNNING.name, "model" => model.to_owned()).set(load.running as f64);
}

/// How many replicas `model` has, and how many of them work.
pub fn set_replicas(model: &str, replicas: usize, healthy: usize) {
    gauge!(REPLICAS.name, "model" => model.to_owned()).set(replicas as f64);
    gauge!(REPLICAS_HEALTHY.name, "model" => model.to_owned()).set(healthy as f64);
    // So that the series is there before the first failure.
    counter!(REPLICA_FAILURES.name, "model" => model.to_owned()).increment(0);
}

/// A batch of `model` failed as a whole, or a replica of it failed to build.
pub fn record_replica_failure(model: &str) {
    counter!(REPLICA_FAILURES.name, "model" => model.to_owned()).increment(1);
}

/// A look-up in a cache was answered, or had to be computed.
pub fn record_cache(cache: &'static str, hit: bool) {
    counter!(CACHE_HITS.name, "cache" => cache).increment(u64::from(hit));
    counter!(CACHE_MISSES.name, "cache" => cache).increment(u64::from(!hit));
}

/// A model was loaded, or unloaded.
pub fn set_model(model: ModelLabels, loaded: bool) {
    gauge!(
        MODEL_INFO.name,
        "name" => model.name.to_owned(),
        "version" => model.version.to_owned(),
        "kind" => model.kind.to_owned(),
        "device" => model.device.to_owned(),
    )
    .set(f64::from(u8::from(loaded)));
}

/// Tells the recorder every name's meaning, and what holds from the start: the build, the start
/// time, and a zero for each series whose labels are known, so that rates work from the first
/// event.
pub(super) fn describe_all(started: SystemTime) {
    for metric in METRICS {
        match metric.shape {
            Shape::Counter => describe_counter!(metric.name, metric.unit, metric.help),
            Shape::Gauge => describe_gauge!(metric.name, metric.unit, metric.help),
            Shape::Histogram(_) => describe_histogram!(metric.name, metric.unit, metric.help),
        }
    }
    gauge!(BUILD_INFO.name, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    let unix = started.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(START_TIME.name).set(unix.as_secs_f64());
    for outcome in FrameOutcome::ALL {
        counter!(FRAMES.name, "outcome" => outcome.name()).increment(0);
    }
    counter!(SLO.name).increment(0);
    counter!(SLO_GOOD.name).increment(0);
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use metrics::with_local_recorder;

    use super::super::exporter::recorder;
    use super::*;

    /// What Prometheus would read after `record`.
    fn rendered(record: impl FnOnce()) -> String {
        let recorder = recorder();
        let handle = recorder.handle();
        with_local_recorder(&recorder, record);
        handle.render()
    }

    fn record_everything() {
        describe_all(UNIX_EPOCH + Duration::from_secs(5));
        record_request("Verify", "OK", Duration::from_millis(700));
        for outcome in FrameOutcome::ALL {
            record_frame(outcome, TARGET);
        }
        record_frame(FrameOutcome::Ok, TARGET + Duration::from_nanos(1));
        for stage in Stage::ALL {
            record_stage(stage, Duration::from_millis(3));
        }
        for outcome in ItemOutcome::ALL {
            record_item("clip", outcome);
        }
        record_batch("clip", 8);
        record_queue_wait("clip", Duration::from_millis(2));
        set_load("clip", EngineLoad { queued_items: 3, queued_bytes: 70, running: 8 });
        set_replicas("clip", 2, 1);
        record_replica_failure("clip");
        record_cache("text", true);
        let labels = ModelLabels { name: "clip", version: "1", kind: "clip", device: "cpu" };
        set_model(labels, true);
    }

    #[test]
    fn names_follow_the_conventions() {
        let names: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), METRICS.len(), "each name stands once");
        for metric in METRICS {
            let name = metric.name;
            assert!(name.starts_with("veriframe_"), "{name}");
            assert_eq!(name.ends_with("_total"), metric.shape == Shape::Counter, "{name}");
            assert_eq!(name.ends_with("_seconds"), metric.unit == Unit::Seconds, "{name}");
            assert!(metric.help.ends_with('.'), "{name}");
        }
    }

    #[test]
    fn every_metric_is_recorded_with_the_labels_it_lists() {
        let page = rendered(record_everything);
        for metric in METRICS {
            assert!(page.contains(&format!("# HELP {} {}", metric.name, metric.help)), "{page}");
            let suffix = if let Shape::Histogram(_) = metric.shape { "_count" } else { "" };
            let full = format!("{}{suffix}", metric.name);
            let line = page
                .lines()
                .find(|line| line.starts_with(&full) && line[full.len()..].starts_with(['{', ' ']))
                .unwrap_or_else(|| panic!("{full} is not in\n{page}"));
            let labels: Vec<&str> = line
                .split_once('{')
                .and_then(|(_, rest)| rest.split_once('}'))
                .map_or(Vec::new(), |(labels, _)| {
                    labels.split(',').filter_map(|label| label.split('=').next()).collect()
                });
            assert_eq!(labels, metric.labels, "{line}");
        }
        let known: BTreeSet<&str> = METRICS.iter().map(|metric| metric.name).collect();
        for line in page.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
            let name = line.split(' ').next().unwrap();
            assert!(known.contains(name), "{name} is not in the list");
        }
    }

    #[test]
    fn the_target_is_a_bucket_edge_and_a_frame_on_it_is_good() {
        let page = rendered(record_everything);
        let has = |line: &str| assert!(page.lines().any(|have| have == line), "{line}\n{page}");
        has("veriframe_frame_seconds_bucket{le=\"1.2\"} 4");
        has("veriframe_frame_seconds_bucket{le=\"1.8\"} 5");
        has("veriframe_request_seconds_bucket{method=\"Verify\",le=\"0.6\"} 0");
        has("veriframe_request_seconds_bucket{method=\"Verify\",le=\"0.9\"} 1");
        has("veriframe_slo_total 4");
        has("veriframe_slo_good_total 1");
        has("veriframe_batch_size_bucket{model=\"clip\",le=\"8\"} 1");
        has("veriframe_start_time_seconds 5");
        has("veriframe_model_info{name=\"clip\",version=\"1\",kind=\"clip\",device=\"cpu\"} 1");
    }
}
