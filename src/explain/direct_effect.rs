//! The direct effect of each patch on the score: Gandelsman et al., "Interpreting CLIP's Image
//! Representation via Text-Based Decomposition", ICLR 2024.
//!
//! The class token is a sum: its embedding, and what every block's attention and MLP add. The final
//! norm (its statistics held fixed) and the projection are linear, so the score is a sum too, and
//! each attention's share splits by head and token. Instead of carrying `[L, H, N, D]` pieces to
//! the embedding space, the text is carried back: `u = centred(γ ⊙ Wᵀt) / (σ ‖z‖)`. Then token j
//! of head h of block l adds `A_hj ⟨v_hj, (W_Oᵀ u)_h⟩`. No gradient is needed.

use tch::{Kind, Tensor};

use super::contrast::to_vec;
use super::map::Accounting;
use crate::models::clip::{BlockTap, Tape, VisionTower};

/// Every share of the score ⟨direction, unit embedding⟩; each `[P]` f32 but the map.
#[derive(Debug)]
pub struct DirectEffect {
    /// What each patch adds through the attention of all blocks and heads, `[P, n]` f32.
    pub map: Tensor,
    /// What the class token adds through attention to itself.
    pub class_token: Tensor,
    /// What the output biases of the attentions add.
    pub biases: Tensor,
    /// What the MLPs add.
    pub mlps: Tensor,
    /// What the class token's embedding adds.
    pub embedding: Tensor,
    /// What the final norm's bias adds.
    pub norm_bias: Tensor,
    /// The score itself.
    pub score: Tensor,
}

/// Direct effects of image `item` of the batch on its cosine with `directions` `[P, E]` f32. The
/// tape must hold every block.
pub fn direct_effect(
    vision: &VisionTower,
    tape: &Tape,
    item: i64,
    directions: &Tensor,
) -> DirectEffect {
    tch::no_grad(|| {
        let end = End::of(vision, &tape.last.narrow(0, item, 1), directions);
        let (mut biases, mut mlps) = (end.score.zeros_like(), end.score.zeros_like());
        let mut effects = Vec::with_capacity(tape.blocks.len());
        for block in &tape.blocks {
            effects.push(block_effect(block, item, &end.back));
            mlps += end.back.mv(&block.mlp.get(item));
            if block.out_bias.numel() > 0 {
                biases += end.back.mv(&block.out_bias);
            }
        }
        let tokens = sum(&Tensor::stack(&effects, 0), 0);
        DirectEffect {
            map: tokens.narrow(1, 1, tokens.size()[1] - 1),
            class_token: tokens.select(1, 0),
            biases,
            mlps,
            embedding: end.back.mv(&tape.embedded.get(item)),
            norm_bias: end.norm_bias,
            score: end.score,
        }
    })
}

/// What each patch adds through each head alone, `[L, H, P, n]` f32; the sum over blocks and heads
/// is the map of [`direct_effect`].
pub fn direct_effect_by_head(
    vision: &VisionTower,
    tape: &Tape,
    item: i64,
    directions: &Tensor,
) -> Tensor {
    tch::no_grad(|| {
        let end = End::of(vision, &tape.last.narrow(0, item, 1), directions);
        let blocks = tape.blocks.iter().map(|block| {
            let value = block.value.get(item);
            let (heads, tokens, width) = value.size3().expect("values are [H, N, d]");
            let attended = value * block.attention.get(item).unsqueeze(-1);
            let pulled = end.back.matmul(&block.out_weight).view([-1, heads, width]);
            let effects = pulled.transpose(0, 1).matmul(&attended.transpose(1, 2));
            effects.narrow(2, 1, tokens - 1)
        });
        Tensor::stack(&blocks.collect::<Vec<_>>(), 0)
    })
}

impl DirectEffect {
    /// The shares as numbers, one set for each direction.
    pub fn accounts(&self) -> Vec<Accounting> {
        let patches = to_vec(&sum(&self.map, 1));
        let [class_token, biases, mlps, embedding, norm_bias, score] = [
            &self.class_token,
            &self.biases,
            &self.mlps,
            &self.embedding,
            &self.norm_bias,
            &self.score,
        ]
        .map(to_vec);
        (0..score.len())
            .map(|p| Accounting {
                patches: patches[p],
                class_token: class_token[p],
                biases: biases[p],
                mlps: mlps[p],
                embedding: embedding[p],
                norm_bias: norm_bias[p],
                score: score[p],
            })
            .collect()
    }
}

/// The final norm and projection, turned around.
struct End {
    /// u: what one unit of each residual channel adds to the score, `[P, D]`.
    back: Tensor,
    /// ⟨β, Wᵀt⟩/‖z‖, `[P]`.
    norm_bias: Tensor,
    /// ⟨t, z⟩/‖z‖, `[P]`.
    score: Tensor,
}

impl End {
    /// `last` is the class token before the final norm, `[1, D]`.
    fn of(vision: &VisionTower, last: &Tensor, directions: &Tensor) -> Self {
        let (weight, bias, eps) = vision.final_norm();
        let embedding = vision.project(last);
        let length = embedding.norm();
        let sigma = (last.var_correction([-1i64].as_slice(), 0, true) + eps).sqrt();
        let pulled = directions.matmul(vision.projection());
        let scaled = &pulled * weight;
        let centred = &scaled - scaled.mean_dim([-1i64].as_slice(), true, Kind::Float);
        Self {
            back: centred / (sigma * &length),
            norm_bias: pulled.mv(bias) / &length,
            score: directions.mv(&embedding.squeeze_dim(0)) / &length,
        }
    }
}

fn sum(tensor: &Tensor, dim: i64) -> Tensor {
    tensor.sum_dim_intlist([dim].as_slice(), false, Kind::Float)
}

/// What each token adds through one block's attention, summed over heads: back `[P, D]` to
/// `[P, N]`.
fn block_effect(block: &BlockTap, item: i64, back: &Tensor) -> Tensor {
    let value = block.value.get(item);
    let (heads, tokens, width) = value.size3().expect("values are [H, N, d]");
    let attended = (value * block.attention.get(item).unsqueeze(-1))
        .transpose(0, 1)
        .reshape([tokens, heads * width]);
    back.matmul(&block.out_weight).matmul(&attended.tr())
}
