//! `LeGrad`: Bousselham et al., "`LeGrad`: An Explainability Method for Vision Transformers via
//! Feature Formation Sensitivity", ICCV 2025 (arXiv 2404.03214).
//!
//! Each block is asked on its own: its output tokens, averaged (the class token among them), go
//! through the final norm and projection, and the score of *that* embedding is differentiated with
//! respect to the block's attention. Positive gradients, averaged over heads and rows, are the
//! block's map; maps are summed over blocks. A gradient crosses one block only.

use tch::{Kind, Tensor};

use super::replay::gradients;
use crate::models::clip::{Tape, VisionTower, attend, attention, normalised};

/// Raw maps of blocks `layers` for image `item`: directions `[P, E]` to `[P, n]`, at least 0.
pub fn legrad(
    vision: &VisionTower,
    tape: (&Tape, i64),
    layers: &[usize],
    directions: &Tensor,
) -> Tensor {
    let maps = layers.iter().map(|&layer| block_map(vision, tape, layer, directions));
    maps.sum::<Tensor>()
}

fn block_map(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layer: usize,
    directions: &Tensor,
) -> Tensor {
    let block = vision.block(layer);
    let (weights, value, x) = tch::no_grad(|| {
        let x = tape.input(layer, vision.depth(), item).to_kind(block.kind());
        let [query, key, value] = block.query_key_value(&block.norm(&x));
        (attention(&query, &key), value, x)
    });
    let weights = weights.detach().set_requires_grad(true);
    let embedding = tch::with_grad(|| {
        let output = block.feed_forward(&(x + block.project(&attend(&weights, &value))));
        let pooled = output.to_kind(Kind::Float).mean_dim([1i64].as_slice(), false, Kind::Float);
        normalised(&vision.project(&pooled)).squeeze_dim(0)
    });
    let gradient = gradients(&embedding, directions, &[&weights]).remove(0);
    let map = gradient.relu().mean_dim([1i64, 2].as_slice(), false, Kind::Float);
    map.narrow(1, 1, map.size()[1] - 1)
}
