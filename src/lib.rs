//! veriframe checks images and video frames against text, over gRPC.
//!
//! The data's way:
//!
//! ```text
//! frame bytes ─decode─► Rgb8 ─resize/crop/letterbox─► u8 pixels ─queue─► batch ─► worker ─► net
//!                                                                                    │
//! response ◄─convert─ result ◄─verification◄─ scores, boxes, heatmaps ◄─postprocess──┘
//! ```
//!
//! Rooms are floors: each room's `mod.rs` opens with an `Imports:` line and may name only rooms
//! declared above it here. `tests/it/layering.rs` enforces this, so no circle can form.
//!
//! Invariants:
//! - `engine` knows no model and `models` knows no thread; `serving` joins them.
//! - `calibration`, `claims`, `scenes` and `vision` are pure: no async, no tensor library.
//! - `evidence` knows no model; `retrieval` joins it with them, and `answers` asks both.
//! - Only `proto` and what stands below it know the wire types.
//! - `unsafe` stands in `libtorch` alone.

pub mod units;
pub mod bounds;
pub mod calibration;
pub mod claims;
pub mod libtorch;
pub mod telemetry;
pub mod evidence;
pub mod vision;
pub mod scenes;
pub mod engine;
pub mod models;
pub mod explain;
pub mod evaluation;
pub mod training;
pub mod serving;
pub mod verification;
pub mod retrieval;
pub mod answers;
pub mod report;
pub mod proto;
pub mod server;
pub mod config;
pub mod cli;
