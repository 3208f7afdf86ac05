//! Attention that flows through the blocks: rollout, gradient rollout and relevance.
//!
//! All three follow the class token back: `r = e_0`, then block by block from the last,
//! `r ← r · step(E)`, where E weighs the attention between tokens; the map is r without the class
//! token.
//! - Rollout (Abnar and Zuidema, "Quantifying Attention Flow in Transformers", ACL 2020): E is the
//!   mean over heads of A; `step(E) = E + I`, rows scaled to sum to 1.
//! - Gradient rollout: E is the mean over heads of `A ⊙ ∂s/∂A`, cut at 0; the same step.
//! - Relevance (Chefer et al., "Generic Attention-model Explainability", ICCV 2021): E is the mean
//!   over heads of `relu(A ⊙ ∂s/∂A)`; `step(E) = E + I`, not scaled.

use tch::{Kind, Tensor};

use super::replay::Replay;
use crate::models::clip::{Tape, VisionTower, attention};

/// How gradients enter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Flow {
    /// Gradient rollout.
    GradRollout,
    /// Relevance (GAME).
    Relevance,
}

/// Attention rollout of blocks `layers` for image `item`, `[n]`: what share of the class token's
/// attention comes from each patch. It does not depend on any prompt.
pub fn rollout(vision: &VisionTower, tape: (&Tape, i64), layers: &[usize]) -> Tensor {
    let blocks = attentions(vision, tape, layers);
    let mut row = class_row(&blocks[0]);
    for weights in blocks.iter().rev() {
        row = row.matmul(&with_identity(&mean_over_heads(weights)));
    }
    row.narrow(1, 1, row.size()[1] - 1).squeeze_dim(0)
}

/// Gradient rollout or relevance of blocks `layers` (ascending) for image `item`: directions
/// `[P, E]` to `[P, n]`, at least 0.
pub fn gradient_flow(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layers: &[usize],
    (flow, directions): (Flow, &Tensor),
) -> Tensor {
    let mut replay = Replay::run(vision, (tape, item), layers[0]);
    replay.steps.retain(|step| layers.contains(&step.layer));
    let gradients = replay.gradients(directions, |step| &step.attention);
    let mut row = class_row(&replay.steps[0].attention.detach());
    row = row.repeat([directions.size()[0], 1]);
    for (step, gradient) in replay.steps.iter().zip(gradients).rev() {
        let weighted = step.attention.detach() * gradient;
        let weights = match flow {
            Flow::GradRollout => mean_over_heads(&weighted).relu(),
            Flow::Relevance => mean_over_heads(&weighted.relu()),
        };
        // The last block's other rows are 0: no other token reaches the head.
        let rows = (row.size()[1] - weights.size()[1]).max(0);
        let weights = weights.constant_pad_nd([0, 0, 0, rows]);
        let step = match flow {
            Flow::GradRollout => with_identity(&weights),
            Flow::Relevance => &weights + identity(&weights),
        };
        row = row.unsqueeze(1).matmul(&step).squeeze_dim(1);
    }
    row.narrow(1, 1, row.size()[1] - 1)
}

/// All attention weights of blocks `layers` for image `item`, `[1, H, N, N]` f32 each.
pub fn attentions(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layers: &[usize],
) -> Vec<Tensor> {
    tch::no_grad(|| {
        let of = |&layer: &usize| {
            let block = vision.block(layer);
            let normed = block.norm(&tape.input(layer, vision.depth(), item));
            let [query, key, _] = block.query_key_value(&normed);
            attention(&query, &key)
        };
        layers.iter().map(of).collect()
    })
}

/// e_0, `[1, N]`, for weights `[.., N]`.
fn class_row(weights: &Tensor) -> Tensor {
    let tokens = *weights.size().last().expect("attention has a last dimension");
    let class = Tensor::zeros([1], (Kind::Int64, weights.device()));
    class.one_hot(tokens).to_kind(Kind::Float)
}

/// `[P, H, R, N]` to `[P, R, N]`.
fn mean_over_heads(weights: &Tensor) -> Tensor {
    weights.mean_dim([1i64].as_slice(), false, Kind::Float)
}

fn identity(weights: &Tensor) -> Tensor {
    Tensor::eye(weights.size()[2], (Kind::Float, weights.device()))
}

/// `[P, N, N]` plus identity, rows scaled to sum to 1.
fn with_identity(weights: &Tensor) -> Tensor {
    let raised = weights + identity(weights);
    let sums = raised.sum_dim_intlist([2i64].as_slice(), true, Kind::Float);
    raised / sums
}
