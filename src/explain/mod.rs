//! Heatmaps: which part of the frame made the score.
//!
//! Imports: vision, models.
