//! One block of the image tower, opened: its steps one by one, for those who run a block again in
//! another way than the tower does, or differentiate through a part of it.
//!
//! Every step computes in the block's kind (f32 in the last block); attention weights are f32
//! always, for a gradient with respect to them must keep its digits.

use tch::{Kind, Tensor};

use super::layers::Block;

/// A block's steps. N tokens, class token first; H heads of width d; R ≤ N rows.
#[derive(Clone, Copy, Debug)]
pub struct OpenBlock<'a> {
    block: &'a Block,
}

impl<'a> OpenBlock<'a> {
    pub(super) fn new(block: &'a Block) -> Self {
        Self { block }
    }

    /// The kind that the block computes in.
    pub fn kind(self) -> Kind {
        self.block.out.weight.kind()
    }

    /// The first norm: the block's input `[B, N, D]` of any kind to `[B, N, D]` of its own.
    pub fn norm(self, x: &Tensor) -> Tensor {
        self.block.norm1.forward(&x.to_kind(self.kind()))
    }

    /// Query, key and value of normed tokens `[B, N, D]`, each `[B, H, N, d]`.
    pub fn query_key_value(self, y: &Tensor) -> [Tensor; 3] {
        let parts = self.heads_of(&self.block.query_key_value.forward(y), 3);
        <[Tensor; 3]>::try_from(parts).expect("three parts were asked for")
    }

    /// The same where only the class token asks: query `[B, H, 1, d]`, key and value
    /// `[B, H, N, d]`.
    pub fn class_query_key_value(self, y: &Tensor) -> [Tensor; 3] {
        let width = self.block.out.weight.size()[0];
        let linear = |y: &Tensor, from: i64, count: i64| {
            let all = &self.block.query_key_value;
            let bias = all.bias.as_ref().map(|bias| bias.narrow(0, from, count));
            y.linear(&all.weight.narrow(0, from, count), bias.as_ref())
        };
        let query = self.heads_of(&linear(&y.narrow(1, 0, 1), 0, width), 1).remove(0);
        let mut parts = self.heads_of(&linear(y, width, 2 * width), 2);
        let value = parts.remove(1);
        [query, parts.remove(0), value]
    }

    /// What the block's attention adds: attended values `[B, H, R, d]` through the output
    /// projection to `[B, R, D]`.
    pub fn project(self, attended: &Tensor) -> Tensor {
        let joined = attended.transpose(1, 2).flatten(2, 3);
        self.block.out.forward(&joined.to_kind(self.kind()))
    }

    /// Tokens after the attention `[B, R, D]` to the block's output `[B, R, D]`: themselves plus
    /// the MLP of their norm.
    pub fn feed_forward(self, x: &Tensor) -> Tensor {
        x + self.block.mlp.forward(&self.block.norm2.forward(x))
    }

    /// Joined rows `[B, R, parts · D]` to `parts` tensors `[B, H, R, d]`.
    fn heads_of(self, joined: &Tensor, parts: i64) -> Vec<Tensor> {
        let (batch, rows, width) = joined.size3().expect("tokens are [B, R, D]");
        let (heads, all) = (self.block.heads, parts * self.block.heads);
        let split = joined.view([batch, rows, parts, heads, width / all]).permute([2, 0, 3, 1, 4]);
        split.unbind(0)
    }
}

/// `softmax(a bᵀ / √d)`: `[B, H, R, d]` and `[B, H, N, d]` to weights `[B, H, R, N]` f32; rows sum
/// to 1.
pub fn attention(a: &Tensor, b: &Tensor) -> Tensor {
    attention_logits(a, b).softmax(-1, Kind::Float)
}

/// `a bᵀ / √d`, `[B, H, R, N]` f32.
pub fn attention_logits(a: &Tensor, b: &Tensor) -> Tensor {
    let width = *a.size().last().expect("queries have a width");
    a.matmul(&b.transpose(-2, -1)).to_kind(Kind::Float) * (width as f64).powf(-0.5)
}

/// `weights · values`: `[B, H, R, N]` f32 and `[B, H, N, d]` to `[B, H, R, d]` in the values' kind.
pub fn attend(weights: &Tensor, value: &Tensor) -> Tensor {
    weights.to_kind(value.kind()).matmul(value)
}
