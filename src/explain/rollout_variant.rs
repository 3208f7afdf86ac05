//! Attention rollout as the widely used vit-explain (Gildenblat, MIT) has it, to compare with.
//!
//! It differs from the paper: low entries are discarded, identity and attention are averaged, and
//! the sums that should scale rows divide *columns*, so rows do not sum to 1. Its gradient variant
//! pairs attention in forward order with gradients in backward order.

use tch::{Kind, Tensor};

/// How heads become one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HeadFusion {
    /// Their mean.
    Mean,
    /// Their greatest.
    Max,
    /// Their least.
    Min,
}

/// The class token's row over the patches, over its maximum, `[n]`; from all blocks' attention
/// weights `[1, H, N, N]` in order, of which the lowest share `discard` of entries is dropped.
pub fn discarding_rollout(blocks: &[Tensor], fusion: HeadFusion, discard: f64) -> Tensor {
    let fused = blocks.iter().map(|weights| match fusion {
        HeadFusion::Mean => weights.mean_dim([1i64].as_slice(), false, Kind::Float),
        HeadFusion::Max => weights.amax([1i64].as_slice(), false),
        HeadFusion::Min => weights.amin([1i64].as_slice(), false),
    });
    product(fused, discard)
}

/// The same of attention times its gradient, averaged over heads and cut at 0; `gradients` in the
/// order of `blocks`.
pub fn discarding_grad_rollout(blocks: &[Tensor], gradients: &[Tensor], discard: f64) -> Tensor {
    let pairs = blocks.iter().zip(gradients.iter().rev());
    let fused = pairs.map(|(weights, gradient)| {
        (weights * gradient).mean_dim([1i64].as_slice(), false, Kind::Float).relu()
    });
    product(fused, discard)
}

fn product(fused: impl Iterator<Item = Tensor>, discard: f64) -> Tensor {
    let mut result: Option<Tensor> = None;
    for weights in fused {
        let kept = discarded(&weights.squeeze_dim(0), discard);
        let identity = Tensor::eye(kept.size()[0], (Kind::Float, kept.device()));
        let raised: Tensor = (kept + identity) * 0.5;
        // Row sums as a row: they meet columns.
        let step = &raised / raised.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        result = Some(match result {
            Some(result) => step.matmul(&result),
            None => step,
        });
    }
    let row = result.expect("a tower has blocks").get(0);
    let map = row.narrow(0, 1, row.size()[0] - 1);
    &map / map.max()
}

/// `[N, N]` with the lowest share `discard` of its entries at 0, but for the first entry of all.
fn discarded(weights: &Tensor, discard: f64) -> Tensor {
    let flat = weights.flatten(0, 1);
    let count = (flat.size()[0] as f64 * discard) as i64;
    let (_, lowest) = flat.topk(count, -1, false, true);
    let dropped = flat.index_fill(0, &lowest, 0.0);
    let first = Tensor::cat(&[flat.narrow(0, 0, 1), dropped.narrow(0, 1, flat.size()[0] - 1)], 0);
    first.view_as(weights)
}
