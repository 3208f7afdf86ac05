//! Every metric: its name, unit, shape, labels and meaning.

use std::time::Duration;

use metrics::Unit;

/// The target for one image, from its arrival to its result: a bucket edge of every time metric.
pub const TARGET: Duration = Duration::from_millis(1200);

/// Bucket edges in seconds: around the target, with a quarter, a half, twice and four times of it.
pub const SECONDS_BUCKETS: [f64; 14] =
    [0.005, 0.01, 0.02, 0.04, 0.08, 0.15, 0.3, 0.6, 0.9, 1.2, 1.8, 2.4, 4.8, 9.6];

/// Bucket edges in items a batch.
pub const BATCH_BUCKETS: [f64; 7] = [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0];

/// Bucket edges in seconds of a search for evidence: around its targets of 5 and 20 ms.
pub const RETRIEVAL_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

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
    /// The full name, `veriframe_…`; `process_…` where Prometheus has a name for it.
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

const fn bytes(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { unit: Unit::Bytes, ..value(name, labels, help) }
}

/// A number of seconds that can go up and down, unlike [`seconds`].
const fn seconds_now(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { unit: Unit::Seconds, ..value(name, labels, help) }
}

const fn seconds(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { name, help, unit: Unit::Seconds, shape: Shape::Histogram(&SECONDS_BUCKETS), labels }
}

const fn batches(name: &'static str, labels: Labels, help: &'static str) -> Metric {
    Metric { shape: Shape::Histogram(&BATCH_BUCKETS), ..value(name, labels, help) }
}

/// Names each metric for the functions that record it, and lists them all.
macro_rules! metrics {
    ($($metric:ident = $made:expr;)+) => {
        $(pub(super) const $metric: Metric = $made;)+

        /// Every metric there is.
        pub const METRICS: &[Metric] = &[$($metric),+];
    };
}

metrics! {
    BUILD_INFO =
        value("veriframe_build_info", &["version"], "Always 1; the version is in the label.");
    START_TIME = seconds_now(
        "veriframe_start_time_seconds",
        &[],
        "When the process started, as Unix time.",
    );

    // Calls.
    REQUESTS =
        count("veriframe_requests_total", &["method", "code"], "gRPC calls ended, by status code.");
    REQUEST_SECONDS = seconds(
        "veriframe_request_seconds",
        &["method"],
        "gRPC calls from the first byte to the last; a stream counts as one call.",
    );
    CALLS = value("veriframe_calls", &[], "gRPC calls that run now, open streams among them.");
    REJECTED = count(
        "veriframe_rejected_total",
        &["cause"],
        "Calls, frames and connections refused before any work was done for them.",
    );

    CONNECTIONS =
        value("veriframe_connections", &[], "Connections that are open now, handshakes included.");

    // Frames and streams.
    FRAMES = count("veriframe_frames_total", &["outcome"], "Frames, by their end.");
    FRAME_SECONDS = seconds(
        "veriframe_frame_seconds",
        &[],
        "One frame or image from its arrival to its result, unary or streamed; dropped ones \
         excepted.",
    );
    FRAMES_IN_FLIGHT =
        value("veriframe_frames_in_flight", &[], "Frames that have arrived and have no result yet.");
    DROPPED = count(
        "veriframe_dropped_total",
        &["reason"],
        "Frames that a stream's policy left out, by reason.",
    );
    EXPIRED = count(
        "veriframe_expired_total",
        &["stage"],
        "Deadlines that passed, by what was going on: only those at stage device cost device time.",
    );
    REUSED = count(
        "veriframe_reused_total",
        &[],
        "Frames answered with the result of an earlier one that they hardly differ from.",
    );
    STREAMS = value("veriframe_streams", &[], "Streams that are open now.");
    STREAMS_ENDED =
        count("veriframe_streams_ended_total", &["reason"], "Streams that ended, by reason.");
    RESULTS_WAITING = value(
        "veriframe_results_waiting",
        &[],
        "Results of streamed frames that are ready and not yet taken: their readers are slow, or an \
         earlier frame of their stream has no result yet.",
    );
    SLO = count(
        "veriframe_slo_total",
        &[],
        "Frames that count towards the target: all but dropped and invalid ones.",
    );
    SLO_GOOD =
        count("veriframe_slo_good_total", &[], "Those of them with a result within 1.2 s.");
    STAGE_SECONDS =
        seconds("veriframe_stage_seconds", &["stage"], "Where a frame's time goes.");

    INFERENCE_SECONDS = seconds(
        "veriframe_inference_seconds",
        &["model", "outcome"],
        "One request of the Open Inference Protocol to a model, unary or streamed.",
    );

    // Evidence.
    RETRIEVAL_SECONDS = Metric {
        shape: Shape::Histogram(&RETRIEVAL_BUCKETS),
        ..seconds(
            "veriframe_retrieval_seconds",
            &["outcome"],
            "One search of the store of evidence, its query embedded already.",
        )
    };
    RETRIEVAL_HITS = count(
        "veriframe_retrieval_hits_total",
        &["kind"],
        "Hits of searches, by what was found: a passage of text, a picture or a box in one.",
    );
    EVIDENCE_STORED = count(
        "veriframe_evidence_stored_total",
        &["outcome"],
        "Items of evidence that were to be kept, by what became of them.",
    );
    EVIDENCE_COLLECTIONS =
        value("veriframe_evidence_collections", &[], "Collections in the store of evidence.");
    EVIDENCE_DAMAGED = value(
        "veriframe_evidence_collections_damaged",
        &[],
        "Collections that could not be opened, beside those; requests that name one are refused.",
    );
    EVIDENCE_ITEMS = value("veriframe_evidence_items", &[], "Items of all collections.");
    EVIDENCE_CHUNKS = value("veriframe_evidence_chunks", &[], "Embeddings of all collections.");
    EVIDENCE_DISK = bytes(
        "veriframe_evidence_disk_bytes",
        &[],
        "What the store takes of this machine's disk; 0 where it is a cluster.",
    );

    // Answers.
    ANSWER_SECONDS = seconds(
        "veriframe_answer_seconds",
        &[],
        "One answer that was checked, from its arrival to its result; of a video, with its frames.",
    );
    CLAIMS =
        count("veriframe_claims_total", &["status"], "Claims of answers, by what follows for them.");

    // Engines.
    ITEMS = count(
        "veriframe_items_total",
        &["model", "outcome"],
        "Items submitted to a model's engine, by their end.",
    );
    BATCH_SIZE = batches("veriframe_batch_size", &["model"], "Items in each batch that ran.");
    QUEUE_DEPTH = value("veriframe_queue_depth", &["model"], "Items that wait for a batch.");
    QUEUE_BYTES = bytes("veriframe_queue_bytes", &["model"], "Weight of the items that wait.");
    RUNNING = value("veriframe_running", &["model"], "Items in batches on a device.");
    QUEUE_WAIT_SECONDS = seconds(
        "veriframe_queue_wait_seconds",
        &["model"],
        "From an item's submission to the start of its batch.",
    );
    REPLICAS = value("veriframe_replicas", &["model"], "Replicas of a model.");
    REPLICAS_HEALTHY = value("veriframe_replicas_healthy", &["model"], "Replicas that work.");
    REPLICA_STATE =
        value("veriframe_replica_state", &["model", "state"], "Replicas of a model, by state.");
    REPLICA_FAILURES = count(
        "veriframe_replica_failures_total",
        &["model"],
        "Batches that failed as a whole, and models that failed to build.",
    );
    SPLIT_BATCHES = count(
        "veriframe_split_batches_total",
        &["model"],
        "Batches that did not fit the device's memory and were run in halves.",
    );
    LATE_ITEMS = count(
        "veriframe_late_items_total",
        &["model"],
        "Items given to a model after their deadline; more than 0 is a bug.",
    );

    // Models, certificates, keys.
    CACHE_HITS = count("veriframe_cache_hits_total", &["cache"], "Look-ups answered.");
    CACHE_MISSES =
        count("veriframe_cache_misses_total", &["cache"], "Look-ups that had to be computed.");
    MODEL_INFO = value(
        "veriframe_model_info",
        &["name", "version", "kind", "device"],
        "1 while the model is loaded.",
    );
    MODEL_LOAD_SECONDS = seconds_now(
        "veriframe_model_load_seconds",
        &["model"],
        "What the last load of the model took, from disk to ready.",
    );
    CERTIFICATE_EXPIRY = seconds_now(
        "veriframe_certificate_expiry_seconds",
        &["kind"],
        "When the first certificate in use expires, as Unix time.",
    );
    RELOADS = count(
        "veriframe_reloads_total",
        &["what", "outcome"],
        "Models, certificates or keys read again while serving; after an error the old ones serve.",
    );

    // The process, by the names that Prometheus' own clients give, and the GPUs beside it.
    PROCESS_CPU = Metric {
        unit: Unit::Seconds,
        ..count("process_cpu_seconds_total", &[], "Processor time of all threads, in whole seconds.")
    };
    PROCESS_RESIDENT =
        bytes("process_resident_memory_bytes", &[], "Memory that the process holds.");
    PROCESS_VIRTUAL =
        bytes("process_virtual_memory_bytes", &[], "Memory that the process addresses.");
    PROCESS_FILES = value("process_open_fds", &[], "File handles that are open.");
    PROCESS_MAX_FILES = value("process_max_fds", &[], "File handles that may be open.");
    PROCESS_THREADS = value("process_threads", &[], "Threads of the process.");
    GPU_USED = bytes(
        "veriframe_gpu_memory_used_bytes",
        &["gpu", "uuid"],
        "Memory of a GPU that is taken, by whomever; where NVIDIA's driver is.",
    );
    GPU_TOTAL =
        bytes("veriframe_gpu_memory_total_bytes", &["gpu", "uuid"], "Memory that a GPU has.");
    GPU_BUSY = value(
        "veriframe_gpu_utilisation_ratio",
        &["gpu", "uuid"],
        "Share of the last moment in which a GPU ran anything, 0 to 1.",
    );

    // Telemetry itself.
    SPANS = count(
        "veriframe_spans_total",
        &["outcome"],
        "Spans of recorded traces, by what became of them.",
    );
}
