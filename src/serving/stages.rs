//! What the device thread measured, told as the stages of a frame.

use std::time::{Duration, Instant};

use crate::engine::Timing;
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::Lap;

/// Records how an item that was submitted to `model` at `submitted` waited and ran. `explain` is the
/// part of the run that went into heatmaps, its last one; zero where there were none.
pub(super) fn record_device(model: &str, submitted: Instant, timing: &Timing, explain: Duration) {
    let Timing { queue, run, batch } = *timing;
    let began = submitted + queue;
    Lap::new(Stage::Queue, submitted, queue).of(model).record();
    Lap::new(Stage::Infer, began, run).of(model).in_batch(batch).record();
    if !explain.is_zero() {
        let began = began + run.saturating_sub(explain);
        Lap::new(Stage::Explain, began, explain).of(model).record();
    }
}
