//! Metrics, logs and traces: every name, label and bucket.
//!
//! Imports: nothing.
