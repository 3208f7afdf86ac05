//! Integration tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod engine;
mod explain;
mod layering;
mod yolo;
