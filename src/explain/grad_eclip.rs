//! Multi-head Grad-ECLIP: Zhao et al., "Gradient-based Visual Explanation for Transformer-based
//! CLIP", ICML 2024.
//!
//! Patch j of the last block gets `w_j · Σ_h ⟨G_h, v_hj⟩`: v are its values, G is the gradient of
//! the score with respect to the class token's attention output, and w is the cosine of the class
//! token's query with the patch's key, scaled to 0..1 over the patches. The authors' code re-runs
//! the block with a single head; here its own heads count, so the score is the net's.

use tch::Tensor;

use super::cam::patches as without_class;
use super::replay::gradients;
use crate::models::clip::{BlockTap, Tape, VisionTower, attend, attention, normalised};

/// Raw maps, before relu: directions `[P, E]` to `[P, n]`, f32, of image `item` of the batch.
///
/// Differentiates ⟨direction, unit embedding⟩ through the tower's head, all directions in one
/// pass. Linear in the direction.
pub fn grad_eclip(vision: &VisionTower, tape: &Tape, item: i64, directions: &Tensor) -> Tensor {
    let block = last_block(tape);
    let gradient = context_gradient(vision, tape, item, directions);
    let value = patches(&block.value.get(item).detach());
    let key = patches(&block.key.get(item).detach());
    let query = block.query.get(item).detach().flatten(0, -1);
    gradient.matmul(&value.tr()) * agreement(&query, &key)
}

/// What agreement is measured on where the block is run with a single head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum SingleHead {
    /// The query and keys themselves.
    Raw,
    /// The query and keys after the attention's output projection.
    Projected,
}

/// Grad-ECLIP as the authors' code has it, to compare with: the last block runs again with *one*
/// head as wide as the tower, so the embedding explained is not the net's own. Raw maps, before
/// relu: directions `[P, E]` to `[P, n]`.
pub fn grad_eclip_single_head(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    agreement_on: SingleHead,
    directions: &Tensor,
) -> Tensor {
    let last = vision.depth() - 1;
    let block = vision.block(last);
    let (x, [query, key, value]) = tch::no_grad(|| {
        let x = tape.input(last, vision.depth(), item);
        let parts = block.query_key_value(&block.norm(&x));
        (x, parts.map(|part| part.transpose(1, 2).flatten(2, 3).unsqueeze(1)))
    });
    let context = attend(&attention(&query.narrow(2, 0, 1), &key), &value);
    let context = context.detach().set_requires_grad(true);
    let embedding = tch::with_grad(|| {
        let output = block.feed_forward(&(x.narrow(1, 0, 1) + block.project(&context)));
        normalised(&vision.project(&output)).flatten(0, -1)
    });
    let gradient = gradients(&embedding, directions, &[&context]).remove(0).flatten(1, -1);
    let [query, key] = match agreement_on {
        SingleHead::Raw => [query, key],
        SingleHead::Projected => [query, key].map(|part| block.project(&part)),
    };
    let flat = |t: &Tensor| t.flatten(0, -2).detach();
    let weights = agreement(&flat(&query).get(0), &without_class(&flat(&key)));
    gradient.matmul(&without_class(&flat(&value)).tr()) * weights
}

fn last_block(tape: &Tape) -> &BlockTap {
    tape.blocks.last().expect("a tape always holds the last block")
}

/// ∂⟨direction, unit embedding⟩/∂context, `[P, D]`: the head runs on one copy of the image for each
/// direction, so one backward pass gives every gradient.
fn context_gradient(vision: &VisionTower, tape: &Tape, item: i64, directions: &Tensor) -> Tensor {
    let copies = directions.size()[0];
    let repeat = |row: &Tensor| row.narrow(0, item, 1).detach().repeat([copies, 1]);
    let context = repeat(&tape.context).set_requires_grad(true);
    let residual = repeat(&tape.residual);
    let directions = directions.detach();
    let gradients = tch::with_grad(|| {
        let embedding = normalised(&vision.head(&context, &residual));
        let score = (embedding * directions).sum(None);
        Tensor::run_backward(&[score], &[&context], false, false)
    });
    gradients.into_iter().next().expect("one input has one gradient")
}

/// Keys or values of the patches with heads side by side: `[H, N, d]` to `[n, D]`.
fn patches(tokens: &Tensor) -> Tensor {
    tokens.narrow(1, 1, tokens.size()[1] - 1).transpose(0, 1).flatten(1, 2)
}

/// Cosine of the query `[D]` with each key `[n, D]`, moved to 0..1 over the patches, `[n]`. Where
/// all agree alike, all count in full.
fn agreement(query: &Tensor, key: &Tensor) -> Tensor {
    let cosine = Tensor::cosine_similarity(&query.unsqueeze(0), key, 1, 1e-8);
    let (low, high) = (cosine.min(), cosine.max());
    let range = &high - &low;
    let scaled = (cosine - low) / &range;
    scaled.where_self(&range.gt(f64::from(f32::EPSILON)), &scaled.ones_like())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_agreement_counts_every_patch_in_full() {
        let key = Tensor::ones([4, 6], (tch::Kind::Float, tch::Device::Cpu));
        let w = agreement(&Tensor::arange(6, (tch::Kind::Float, tch::Device::Cpu)), &key);
        assert!(bool::try_from(w.eq(1.0).all()).unwrap());
    }

    #[test]
    fn agreement_spans_zero_to_one() {
        let query = Tensor::from_slice(&[1.0f32, 0.0]);
        let key = Tensor::from_slice(&[2.0f32, 0.0, 0.0, 3.0, 1.0, 1.0]).view([3, 2]);
        let w: Vec<f32> = Vec::try_from(agreement(&query, &key)).unwrap();
        assert!((w[0] - 1.0).abs() < 1e-6 && w[1].abs() < 1e-6, "{w:?}");
        assert!((w[2] - 0.5f32.sqrt()).abs() < 1e-6, "{w:?}");
    }
}
