//! Accuracy, mean average precision, heatmap localisation, retrieval and checked answers on labelled
//! data.
//!
//! Imports: calibration, vision, scenes, explain.

pub mod answers;
pub mod average_precision;
pub mod bootstrap;
pub mod dataset;
pub mod explanation;
pub mod faces;
pub mod localisation;
pub mod pairs;
pub mod retrieval;
