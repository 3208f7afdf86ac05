//! What explanations need of a forward pass, kept while it runs.
//!
//! Heatmap methods never run the net again: they read a [`Tape`]. A [`TapPlan`] says how much of it
//! to keep; one plan covers a whole batch.

use tch::Tensor;

/// How much of the forward pass to keep.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TapPlan {
    /// The embedding only.
    #[default]
    Nothing,
    /// The last block: enough for Grad-ECLIP.
    LastBlock,
    /// Every block: enough for the direct-effect map.
    EveryBlock,
}

/// One block's part of the tape. N = 1 + grid², token 0 is the class token; H heads of width d.
#[derive(Debug)]
pub struct BlockTap {
    /// The class token's query, without the 1/√d, `[B, H, d]`.
    pub query: Tensor,
    /// Keys `[B, H, N, d]`.
    pub key: Tensor,
    /// Values `[B, H, N, d]`.
    pub value: Tensor,
    /// The class token's attention, `[B, H, N]`; rows sum to 1.
    pub attention: Tensor,
    /// What the MLP adds to the class token, `[B, D]`.
    pub mlp: Tensor,
    /// The attention's output projection, weight `[D, D]`.
    pub out_weight: Tensor,
    /// The attention's output projection, bias `[D]`.
    pub out_bias: Tensor,
}

/// The class token's way through the tower, f32 in the last block and in what is summed.
#[derive(Debug)]
pub struct Tape {
    /// The kept blocks, in order; the last is always the tower's last.
    pub blocks: Vec<BlockTap>,
    /// The class token before the first block, `[B, D]` f32.
    pub embedded: Tensor,
    /// The class token at the last block's input, `[B, D]` f32.
    pub residual: Tensor,
    /// The last block's attention output of the class token before its projection (concatenated
    /// heads), `[B, D]` f32.
    pub context: Tensor,
    /// The class token after the last block, before the final norm, `[B, D]` f32.
    pub last: Tensor,
}
