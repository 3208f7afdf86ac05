//! *Modified network*: other ways out of the last block, which keep every patch's own place.
//!
//! The last block's attention moves what the class token needs, so patch features after it say
//! little of their place. Each method replaces that attention and compares the patch features that
//! come out (final norm, projection, unit length) with the text. The map is their cosine with the
//! direction, signed. It locates; it does not explain the net's score.
//! - `MaskCLIP` (Zhou et al., "Extract Free Dense Labels from CLIP", ECCV 2022): each patch's own
//!   value.
//! - `ClearCLIP` (Lan et al., ECCV 2024): softmax(q qᵀ/√d), no residual, no MLP.
//! - NACLIP (Hajimiri et al., "Pay Attention to Your Neighbours", WACV 2025): softmax(k kᵀ/√d + Ω),
//!   Ω a Gaussian around each patch; no residual, no MLP.
//! - SCLIP (Wang et al., "Rethinking Self-Attention for Dense Vision-Language Inference", ECCV
//!   2024): softmax(q qᵀ/√d) + softmax(k kᵀ/√d), residual and MLP kept.

use tch::{Kind, Tensor};

use crate::models::clip::{Tape, VisionTower, attend, attention, attention_logits, normalised};

/// Spread of NACLIP's neighbourhood in patches, as published.
pub const NEIGHBOURHOOD: f64 = 5.0;

/// A way out of the last block.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Exit {
    /// No attention.
    MaskClip,
    /// Query-query attention.
    ClearClip,
    /// Key-key attention to neighbours; the spread of the neighbourhood in patches.
    Naclip(f64),
    /// Query-query plus key-key attention in an otherwise whole block.
    Sclip,
}

/// Raw maps of image `item`: directions `[P, E]` to `[P, n]`, linear in the direction.
pub fn exit_map(
    vision: &VisionTower,
    tape: (&Tape, i64),
    exit: Exit,
    directions: &Tensor,
) -> Tensor {
    tch::no_grad(|| directions.matmul(&exit_features(vision, tape, exit).tr()))
}

/// Unit features of the patches, `[n, E]`.
fn exit_features(vision: &VisionTower, (tape, item): (&Tape, i64), exit: Exit) -> Tensor {
    let last = vision.depth() - 1;
    let block = vision.block(last);
    let x = tape.input(last, vision.depth(), item);
    let [query, key, value] = block.query_key_value(&block.norm(&x));
    let attended = match exit_weights(exit, &query, &key) {
        Some(weights) => attend(&weights, &value),
        None => value,
    };
    let moved = block.project(&attended);
    let tokens = match exit {
        Exit::Sclip => block.feed_forward(&(x + moved)),
        Exit::MaskClip | Exit::ClearClip | Exit::Naclip(_) => moved,
    };
    patch_features(vision, &tokens)
}

/// What replaces the attention weights, from query and key `[1, H, N, d]`: `[1, H, N, N]`, or
/// nothing where every token keeps its own value.
pub fn exit_weights(exit: Exit, query: &Tensor, key: &Tensor) -> Option<Tensor> {
    match exit {
        Exit::MaskClip => None,
        Exit::ClearClip => Some(attention(query, query)),
        Exit::Sclip => Some(attention(query, query) + attention(key, key)),
        Exit::Naclip(spread) => {
            let near = neighbourhood(key.size()[2], spread).to_device(key.device());
            Some((attention_logits(key, key) + near).softmax(-1, Kind::Float))
        }
    }
}

/// Tokens `[1, N, D]` at the tower's end to unit patch features `[n, E]`.
pub(super) fn patch_features(vision: &VisionTower, tokens: &Tensor) -> Tensor {
    let tokens = tokens.squeeze_dim(0).to_kind(Kind::Float);
    normalised(&vision.project(&tokens.narrow(0, 1, tokens.size()[0] - 1)))
}

/// Ω: `exp(−‖p_i − p_j‖² / 2σ²)` between patches of a square grid, 0 for the class token, `[N, N]`.
fn neighbourhood(tokens: i64, spread: f64) -> Tensor {
    let patches = tokens - 1;
    let side = (patches as usize).isqrt() as i64;
    let place = Tensor::arange(patches, (Kind::Int64, tch::Device::Cpu));
    let across = place.remainder(side).to_kind(Kind::Float);
    let down = place.floor_divide_scalar(side).to_kind(Kind::Float);
    let apart = |t: &Tensor| (t.unsqueeze(1) - t.unsqueeze(0)).square();
    let near = ((apart(&across) + apart(&down)) / (-2.0 * spread * spread)).exp();
    near.constant_pad_nd([1, 0, 1, 0])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_are_near_and_the_class_token_is_nowhere() {
        let near = neighbourhood(10, 5.0);
        assert_eq!(near.size(), [10, 10]);
        let at = |i: i64, j: i64| near.double_value(&[i, j]);
        assert_eq!((at(0, 0), at(0, 5), at(5, 0), at(5, 5)), (0.0, 0.0, 0.0, 1.0));
        assert!((at(1, 2) - (-1.0f64 / 50.0).exp()).abs() < 1e-6, "one patch across");
        assert!((at(1, 4) - (-1.0f64 / 50.0).exp()).abs() < 1e-6, "one patch down");
        assert!((at(1, 9) - (-8.0f64 / 50.0).exp()).abs() < 1e-6, "corner to corner");
    }
}
