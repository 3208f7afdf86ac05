//! Integration tests, one binary.

mod explain;
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]

mod engine;
