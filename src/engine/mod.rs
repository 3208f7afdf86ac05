//! Queues, batches and device threads; knows no model.
//!
//! Imports: telemetry.
