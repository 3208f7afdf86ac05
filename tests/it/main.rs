//! Integration tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod clip;
mod decode;
mod engine;
mod explain;
mod layering;
mod weights;
mod yolo;
