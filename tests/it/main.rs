//! Integration tests, one binary.
#![expect(clippy::unwrap_used, reason = "a test stops where something is not as it should be")]
#![expect(clippy::unnecessary_wraps, reason = "parts of a request are optional on the wire")]

mod admin;
mod answers;
mod box_heatmaps;
mod calibration;
mod claims;
mod clip;
mod config;
mod deadlines;
mod decode;
mod demo;
mod dossiers;
mod drain;
mod engine;
mod errors;
mod eval;
mod evidence_crash;
mod evidence_store;
mod explain;
mod explain_boxes;
mod explain_golden;
mod explain_invariants;
mod explain_sanity;
mod fuzz;
mod health;
mod heatmaps;
mod inspect;
mod layering;
mod memory;
mod models;
mod program;
mod security;
mod oip;
mod served;
mod statements;
mod stream;
mod stress;
mod support;
mod telemetry;
mod verdicts;
mod torchscript;
mod verify;
mod weights;
mod yolo;
mod zoom;
