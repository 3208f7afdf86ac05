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
        row = carried(&row, &with_identity(&mean_over_heads(weights)));
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
        let weights = square(&weights);
        let step = match flow {
            Flow::GradRollout => with_identity(&weights),
            Flow::Relevance => &weights + identity(&weights),
        };
        row = carried(&row, &step);
    }
    row.narrow(1, 1, row.size()[1] - 1)
}

/// ∂⟨direction, unit embedding⟩/∂A of blocks `layers` (ascending) for image `item`, for one
/// direction `[1, E]`: `[1, H, N, N]` each. In the last block all rows but the class token's are 0.
pub fn attention_gradients(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layers: &[usize],
    direction: &Tensor,
) -> Vec<Tensor> {
    let mut replay = Replay::run(vision, (tape, item), layers[0]);
    replay.steps.retain(|step| layers.contains(&step.layer));
    replay.gradients(direction, |step| &step.attention).iter().map(square).collect()
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

/// Weights `[.., R, N]` with rows of 0 below, `[.., N, N]`: in the last block no token but the
/// class token reaches the head.
fn square(weights: &Tensor) -> Tensor {
    let size = weights.size();
    let [rows, tokens] = [size[size.len() - 2], size[size.len() - 1]];
    weights.constant_pad_nd([0, 0, 0, tokens - rows])
}

/// Rows `[P, N]` through steps `[P, N, N]` (or one step for all), `[P, N]`.
fn carried(rows: &Tensor, steps: &Tensor) -> Tensor {
    rows.unsqueeze(1).matmul(steps).squeeze_dim(1)
}

/// `e_0`, `[1, N]`, for weights `[.., N]`.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_of_rollout_has_rows_that_sum_to_one() {
        tch::manual_seed(5);
        let weights = Tensor::rand([2, 6, 6], (Kind::Float, tch::Device::Cpu));
        let sums = with_identity(&weights).sum_dim_intlist([2i64].as_slice(), false, None);
        assert!((sums - 1.0).abs().max().double_value(&[]) < 1e-6);
    }

    #[test]
    fn one_row_of_gradients_stands_for_all() {
        let row = Tensor::ones([3, 2, 1, 4], (Kind::Float, tch::Device::Cpu));
        let whole = square(&row);
        assert_eq!(whole.size(), [3, 2, 4, 4]);
        assert!(whole.select(2, 0).equal(&row.squeeze_dim(2)));
        assert_eq!(whole.count_nonzero(None).int64_value(&[]), 24);
    }
}
