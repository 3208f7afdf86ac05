//! Trains the demo models on the demo world.
//!
//! Imports: vision, scenes, models, explain.

pub mod assign;
pub mod detection_loss;
