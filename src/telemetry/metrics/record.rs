//! The functions that record metrics.
#![expect(clippy::disallowed_macros, reason = "this file is where the ban leads to")]
#![cfg_attr(
    not(test),
    expect(
        clippy::wildcard_imports,
        reason = "all that is listed is recorded here; none in tests"
    )
)]

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use metrics::{
    Gauge, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};

use super::labels::*;
use super::list::*;

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

/// A request of the Open Inference Protocol to `model`, one of the catalog's, ended `duration` after
/// its arrival.
pub fn record_inference(model: &str, outcome: FrameOutcome, duration: Duration) {
    let (model, outcome) = (model.to_owned(), outcome.name());
    histogram!(INFERENCE_SECONDS.name, "model" => model, "outcome" => outcome).record(duration);
}

/// A stream's policy left a frame out, `after` its arrival.
pub fn record_drop(reason: DropReason, after: Duration) {
    counter!(DROPPED.name, "reason" => reason.name()).increment(1);
    record_frame(FrameOutcome::Dropped, after);
}

/// A deadline passed; call it once for each item or frame, where that is noticed first.
pub fn record_expiry(stage: ExpiryStage) {
    counter!(EXPIRED.name, "stage" => stage.name()).increment(1);
}

/// A call, a frame or a connection was refused before any work was done for it.
pub fn record_rejection(cause: Rejection) {
    counter!(REJECTED.name, "cause" => cause.name()).increment(1);
}

/// Counts in a gauge for as long as it lives.
#[derive(Debug)]
#[must_use = "it counts only while it lives"]
pub struct Held(Gauge);

impl Held {
    fn new(gauge: Gauge) -> Self {
        gauge.increment(1.0);
        Self(gauge)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.0.decrement(1.0);
    }
}

/// A gRPC call runs for as long as the returned value lives.
pub fn call_began() -> Held {
    Held::new(gauge!(CALLS.name))
}

/// A connection is open for as long as the returned value lives.
pub fn connection_opened() -> Held {
    Held::new(gauge!(CONNECTIONS.name))
}

/// A frame has no result for as long as the returned value lives.
pub fn frame_began() -> Held {
    Held::new(gauge!(FRAMES_IN_FLIGHT.name))
}

/// A stream is open for as long as the returned value lives.
pub fn stream_opened() -> Held {
    Held::new(gauge!(STREAMS.name))
}

/// A stream ended.
pub fn record_stream_end(reason: StreamEnd) {
    counter!(STREAMS_ENDED.name, "reason" => reason.name()).increment(1);
}

/// A streamed frame was answered with the result of an earlier one.
pub fn record_reuse() {
    counter!(REUSED.name).increment(1);
}

/// A streamed frame's result waits to be taken for as long as the returned value lives.
pub fn result_waits() -> Held {
    Held::new(gauge!(RESULTS_WAITING.name))
}

/// One stage of one frame took `duration`.
pub fn record_stage(stage: Stage, duration: Duration) {
    histogram!(STAGE_SECONDS.name, "stage" => stage.name()).record(duration);
}

/// A search of the store of evidence took `duration`.
pub fn record_retrieval(ok: bool, duration: Duration) {
    let outcome = if ok { "ok" } else { "failed" };
    histogram!(RETRIEVAL_SECONDS.name, "outcome" => outcome).record(duration);
}

/// A search gave a hit.
pub fn record_hit(kind: ChunkKind) {
    counter!(RETRIEVAL_HITS.name, "kind" => kind.name()).increment(1);
}

/// An item of evidence was to be kept.
pub fn record_stored(outcome: StoredOutcome) {
    counter!(EVIDENCE_STORED.name, "outcome" => outcome.name()).increment(1);
}

/// An answer was checked in `duration`.
pub fn record_answer(duration: Duration) {
    histogram!(ANSWER_SECONDS.name).record(duration);
}

/// A claim of an answer was checked.
pub fn record_claim(outcome: ClaimOutcome) {
    counter!(CLAIMS.name, "status" => outcome.name()).increment(1);
}

/// What the store of evidence holds now.
pub fn set_evidence(now: EvidenceSize) {
    for (metric, value) in [
        (EVIDENCE_COLLECTIONS, now.collections),
        (EVIDENCE_DAMAGED, now.damaged),
        (EVIDENCE_ITEMS, now.items),
        (EVIDENCE_CHUNKS, now.chunks),
        (EVIDENCE_DISK, now.disk_bytes),
    ] {
        gauge!(metric.name).set(value as f64);
    }
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

/// What each replica of `model` does, and how many of them work or soon will.
pub fn set_replicas(model: &str, states: &[ReplicaState], healthy: usize) {
    gauge!(REPLICAS.name, "model" => model.to_owned()).set(states.len() as f64);
    gauge!(REPLICAS_HEALTHY.name, "model" => model.to_owned()).set(healthy as f64);
    for state in ReplicaState::ALL {
        let count = states.iter().filter(|other| *other == state).count();
        gauge!(REPLICA_STATE.name, "model" => model.to_owned(), "state" => state.name())
            .set(count as f64);
    }
}

/// A zero for each series that `model`'s engine counts in, so that it is there before the first.
pub fn show_engine(model: &str) {
    for metric in [REPLICA_FAILURES, SPLIT_BATCHES, LATE_ITEMS] {
        counter!(metric.name, "model" => model.to_owned()).increment(0);
    }
}

/// A batch of `model` did not fit the device's memory and was put back to run in halves.
pub fn record_split(model: &str) {
    counter!(SPLIT_BATCHES.name, "model" => model.to_owned()).increment(1);
}

/// This many items of a batch were given to `model` after their deadline.
pub fn record_late(model: &str, items: u64) {
    counter!(LATE_ITEMS.name, "model" => model.to_owned()).increment(items);
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

/// The last load of `model`, from disk to ready, took `duration`.
pub fn set_model_load(model: &str, duration: Duration) {
    gauge!(MODEL_LOAD_SECONDS.name, "model" => model.to_owned()).set(duration.as_secs_f64());
}

/// When the first certificate of a kind expires.
pub fn set_certificate_expiry(kind: CertificateKind, expiry: SystemTime) {
    let unix = expiry.duration_since(UNIX_EPOCH).unwrap_or_default();
    gauge!(CERTIFICATE_EXPIRY.name, "kind" => kind.name()).set(unix.as_secs_f64());
}

/// Something was read again while serving, well or not.
pub fn record_reload(what: Reloaded, ok: bool) {
    let outcome = if ok { "ok" } else { "failed" };
    counter!(RELOADS.name, "what" => what.name(), "outcome" => outcome).increment(1);
}

/// `count` spans were sent or lost.
pub fn record_spans(outcome: SpanOutcome, count: usize) {
    counter!(SPANS.name, "outcome" => outcome.name()).increment(count as u64);
}

/// What the process uses now.
pub fn set_process(now: ProcessUse) {
    if let Some(cpu) = now.cpu {
        counter!(PROCESS_CPU.name).absolute(cpu.as_secs());
    }
    for (metric, value) in [
        (PROCESS_RESIDENT, now.resident_bytes),
        (PROCESS_VIRTUAL, now.virtual_bytes),
        (PROCESS_FILES, now.open_files),
        (PROCESS_MAX_FILES, now.max_open_files),
        (PROCESS_THREADS, now.threads),
    ] {
        if let Some(value) = value {
            gauge!(metric.name).set(value as f64);
        }
    }
}

/// What a GPU is used for now.
pub fn set_gpu(now: &GpuUse) {
    let busy = now.busy_percent.map(|percent| f64::from(percent) / 100.0);
    for (metric, value) in [
        (GPU_USED, now.used_bytes.map(|bytes| bytes as f64)),
        (GPU_TOTAL, now.total_bytes.map(|bytes| bytes as f64)),
        (GPU_BUSY, busy),
    ] {
        if let Some(value) = value {
            let (gpu, uuid) = (now.index.to_string(), now.uuid.clone());
            gauge!(metric.name, "gpu" => gpu, "uuid" => uuid).set(value);
        }
    }
}

/// Tells the recorder every name's meaning, and what holds from the start: the build, the start
/// time, and a zero for each series whose labels are known, so that rates work from the first
/// event.
pub(in crate::telemetry) fn describe_all(started: SystemTime) {
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
    zero_all();
}

/// A zero for each series whose labels are known.
fn zero_all() {
    for outcome in FrameOutcome::ALL {
        counter!(FRAMES.name, "outcome" => outcome.name()).increment(0);
    }
    for reason in DropReason::ALL {
        counter!(DROPPED.name, "reason" => reason.name()).increment(0);
    }
    for reason in StreamEnd::ALL {
        counter!(STREAMS_ENDED.name, "reason" => reason.name()).increment(0);
    }
    for stage in ExpiryStage::ALL {
        counter!(EXPIRED.name, "stage" => stage.name()).increment(0);
    }
    for cause in Rejection::ALL {
        counter!(REJECTED.name, "cause" => cause.name()).increment(0);
    }
    for kind in ChunkKind::ALL {
        counter!(RETRIEVAL_HITS.name, "kind" => kind.name()).increment(0);
    }
    for outcome in StoredOutcome::ALL {
        counter!(EVIDENCE_STORED.name, "outcome" => outcome.name()).increment(0);
    }
    for outcome in ClaimOutcome::ALL {
        counter!(CLAIMS.name, "status" => outcome.name()).increment(0);
    }
    for outcome in SpanOutcome::ALL {
        counter!(SPANS.name, "outcome" => outcome.name()).increment(0);
    }
    for what in Reloaded::ALL {
        for outcome in ["ok", "failed"] {
            counter!(RELOADS.name, "what" => what.name(), "outcome" => outcome).increment(0);
        }
    }
    for name in
        [CALLS.name, CONNECTIONS.name, FRAMES_IN_FLIGHT.name, STREAMS.name, RESULTS_WAITING.name]
    {
        gauge!(name).set(0.0);
    }
    counter!(REUSED.name).increment(0);
    counter!(SLO.name).increment(0);
    counter!(SLO_GOOD.name).increment(0);
}
