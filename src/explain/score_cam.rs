//! Score-CAM: Wang et al., "Score-CAM: Score-Weighted Visual Explanations for Convolutional Neural
//! Networks", CVPR Workshops 2020; constants as in pytorch-grad-cam.
//!
//! Each channel, stretched to 0..1 and to the picture's size, masks the picture; a channel weighs
//! as much as the picture that it leaves scores. It needs one forward pass for each channel (768
//! for a ViT-B), and no gradient; all prompts share those passes.

use tch::{Kind, Tensor};

use super::cam::patches;
use crate::models::clip::{TapPlan, Tape, VisionTower, normalised};

/// Masked pictures in one forward pass.
const CHUNK: i64 = 16;
/// Of the reference.
const EPSILON: f64 = 1e-8;

/// Raw maps `[P, n]` of block `layer` for image `item`, before relu.
pub fn score_cam(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layer: usize,
    directions: &Tensor,
) -> Tensor {
    tch::no_grad(|| {
        let input = tape.input(layer, vision.depth(), item);
        let channels = patches(&vision.block(layer).norm(&input)).squeeze_dim(0).tr();
        let picture = tape.pixels.narrow(0, item, 1);
        let scores: Vec<Tensor> = channels
            .split(CHUNK, 0)
            .iter()
            .map(|channels| {
                let masked = &picture * masks(channels, picture.size()[2]);
                let encoded = vision.encode(&masked, TapPlan::Nothing);
                directions.matmul(&normalised(&encoded.embedding).tr())
            })
            .collect();
        Tensor::cat(&scores, 1).softmax(1, Kind::Float).matmul(&channels)
    })
}

/// Channels `[C, n]` on a square grid to masks `[C, 1, S, S]` from 0 to 1. Corners of the grid meet
/// corners of the picture, as in the reference.
fn masks(channels: &Tensor, side_px: i64) -> Tensor {
    let (count, patches) = channels.size2().expect("channels are [C, n]");
    let side = (patches as usize).isqrt() as i64;
    let large = channels.view([count, 1, side, patches / side]).upsample_bilinear2d(
        [side_px, side_px],
        true,
        None,
        None,
    );
    let (low, high) = (large.amin([2i64, 3].as_slice(), true), large.amax([2i64, 3], true));
    (large - &low) / (high - low + EPSILON)
}
