//! Nets and the checkpoints they load; no threads.
//!
//! Imports: vision.

pub mod clip;
pub mod inspect;
mod safetensors_file;
pub mod pickle;
pub mod torchscript;
pub mod weights;
pub mod yolo;
