//! What explanations need of a forward pass, kept while it runs.
//!
//! Heatmap methods read a [`Tape`], and run no more of the net again than they differentiate. A
//! [`TapPlan`] says how much of it to keep; one plan covers a whole batch. What is kept is what the
//! pass made anyway: a plan costs memory and, from `EveryBlock` on, one row of attention a block.

use tch::Tensor;

/// How much of the forward pass to keep.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum TapPlan {
    /// The embedding only.
    #[default]
    Nothing,
    /// The last block: enough for Grad-ECLIP and whatever else reads or re-runs that block alone.
    LastBlock,
    /// The class token's way through every block: enough for the direct-effect map.
    EveryBlock,
    /// Every block's whole input too, so that any block can be run again: `L · N · D` numbers an
    /// image (12 MiB of a bf16 ViT-L/14).
    EveryInput,
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
    /// All tokens at the last block's input, `[B, N, D]` f32.
    pub last_input: Tensor,
    /// All tokens at the input of each earlier block, `[B, N, D]` in the tower's kind; empty unless
    /// the plan was `EveryInput`.
    pub earlier_inputs: Vec<Tensor>,
    /// What the net was given, `[B, 3, S, S]`.
    pub pixels: Tensor,
}

impl Tape {
    /// Image `item` at the input of block `layer` (from 0) of a tower of `depth` blocks,
    /// `[1, N, D]`. The plan must have kept it: any but `Nothing` keeps the last block's.
    pub fn input(&self, layer: usize, depth: usize, item: i64) -> Tensor {
        let batch = if layer + 1 == depth { &self.last_input } else { &self.earlier_inputs[layer] };
        batch.narrow(0, item, 1).detach()
    }
}
