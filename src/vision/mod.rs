//! Pixels, boxes and drawing: pure functions without async, threads or tensors.
//!
//! Imports: units, bounds.

mod bilinear;
pub mod boxes;
pub mod image;
pub mod letterbox;
pub mod overlay;
mod raw;
pub mod resize;
pub mod stitch;
pub mod thumbnail;
