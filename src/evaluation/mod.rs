//! Accuracy, mean average precision and heatmap localisation on labelled data.
//!
//! Imports: vision, scenes, explain.

pub mod average_precision;
pub mod explanation;
pub mod faces;
pub mod localisation;
pub mod pairs;
