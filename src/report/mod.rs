//! HTML reports with pictures and charts.
//!
//! Imports: vision, scenes, evaluation.
