//! One frame, or a stream of them, end to end: scores, detections, regions, heatmaps.
//!
//! Imports: telemetry, vision, serving.
