//! *Modified network*: a second path beside the late blocks, on which tokens attend to what is like
//! them.
//!
//! The net's own path runs as always and feeds both: at each late block the second path adds what
//! its own attention makes of the first path's norm, and skips the MLP. Patch features at its end
//! (final norm, projection, unit length) are compared with the text; the map is their cosine with
//! the direction, signed. It locates; it does not explain the net's score.
//! - CLIP Surgery (Li et al., "A Closer Look at the Explainability of Contrastive Language-Image
//!   Pre-training", Pattern Recognition 2025): softmax(v vᵀ/√d) v.
//! - GEM (Bousselham et al., "Grounding Everything: Emerging Localization Properties in
//!   Vision-Language Transformers", CVPR 2024): the mean over x of query, key and value of
//!   softmax(τ x xᵀ) v, where x is of unit length and sharpened once by the same attention.

use tch::{Kind, Tensor};

use super::exits::patch_features;
use crate::models::clip::{Tape, VisionTower, attend, attention, normalised};

/// Sharpness of the weighting of texts in [`surgery_similarity`], as published.
const TEXT_SHARPNESS: f64 = 2.0;

/// A second path.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum DualPath {
    /// Value-value attention.
    Surgery,
    /// Sharpened self-self attentions.
    Gem,
}

/// Raw maps of image `item`, the second path beginning at block `first`: directions `[P, E]` to
/// `[P, n]`, linear in the direction. With the contrast to a null prompt as direction this is
/// Surgery's way with a single text.
pub fn dual_path_map(
    vision: &VisionTower,
    tape: (&Tape, i64),
    (path, first): (DualPath, usize),
    directions: &Tensor,
) -> Tensor {
    let features = dual_path_features(vision, tape, (path, first));
    tch::no_grad(|| directions.matmul(&features.tr()))
}

/// Unit features of the patches at the second path's end, `[n, E]`.
pub fn dual_path_features(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    (path, first): (DualPath, usize),
) -> Tensor {
    tch::no_grad(|| {
        let depth = vision.depth();
        // A copy: what the blocks add must not be written into the tape.
        let mut second = tape.input(first, depth, item).to_kind(Kind::Float).copy();
        for layer in first..depth {
            let block = vision.block(layer);
            let normed = block.norm(&tape.input(layer, depth, item));
            let [query, key, value] = block.query_key_value(&normed);
            let attended = match path {
                DualPath::Surgery => attend(&attention(&value, &value), &value),
                DualPath::Gem => self_self(&normed, [&query, &key, &value], &value),
            };
            second += block.project(&attended).to_kind(Kind::Float);
        }
        patch_features(vision, &second)
    })
}

/// GEM's attention: the mean over `parts` of what each makes of `value`, all `[1, H, N, d]`; the
/// sharpness τ is the mean length of the normed tokens `[1, N, D]` over √d.
fn self_self(normed: &Tensor, parts: [&Tensor; 3], value: &Tensor) -> Tensor {
    let lengths = normed.to_kind(Kind::Float).norm_scalaropt_dim(2.0, [-1i64].as_slice(), false);
    let width = value.size()[3] as f64;
    let sharpness = lengths.mean(Kind::Float) * width.powf(-0.5);
    let weights = |x: &Tensor| (x.matmul(&x.transpose(2, 3)) * &sharpness).softmax(-1, Kind::Float);
    let outputs = parts.map(|part| {
        let unit = normalised(&part.to_kind(Kind::Float));
        let sharpened = normalised(&weights(&unit).matmul(&unit));
        attend(&weights(&sharpened), value)
    });
    Tensor::stack(&outputs, 0).mean_dim([0i64].as_slice(), false, value.kind())
}

/// Surgery's way with several texts: what all texts share is taken away from each. From unit patch
/// features `[n, E]`, the unit image embedding `[E]` and unit texts `[P, E]` to `[P, n]`. Of one
/// text alone nothing is left.
pub fn surgery_similarity(features: &Tensor, image: &Tensor, texts: &Tensor) -> Tensor {
    let share = (texts.mv(image) * TEXT_SHARPNESS).softmax(0, Kind::Float);
    let weights = &share / share.mean(Kind::Float);
    let weighted = texts.matmul(&features.tr()) * weights.unsqueeze(1);
    &weighted - weighted.mean_dim([0i64].as_slice(), true, Kind::Float)
}
