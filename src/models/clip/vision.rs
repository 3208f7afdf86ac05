//! The image tower: a vision transformer pooled at its class token.
//!
//! Only the class token reaches the head, so of the last block only that row is computed; keys and
//! values are needed of every token. This makes the f32 last block cheaper than a whole bf16 one.

use tch::{Kind, Tensor};

use super::config::VisionConfig;
use super::layers::{Block, BlockOutput, BlockSize, LayerNorm};
use super::open_block::OpenBlock;
use super::taps::{BlockTap, TapPlan, Tape};
use crate::models::weights::{Init, Scope, WeightsError};

/// The result of one forward pass.
#[derive(Debug)]
pub struct Encoded {
    /// Embeddings before normalisation, `[B, E]` f32.
    pub embedding: Tensor,
    /// What the plan asked to keep.
    pub tape: Option<Tape>,
}

/// Vision transformer.
#[derive(Debug)]
pub struct VisionTower {
    patch_embedding: Tensor,
    class_embedding: Tensor,
    position_embedding: Tensor,
    pre_norm: LayerNorm,
    /// All blocks but the last, in the tower's kind.
    blocks: Vec<Block>,
    /// The last block, f32.
    last: Block,
    post_norm: LayerNorm,
    projection: Tensor,
    patch_px: i64,
    kind: Kind,
}

impl VisionTower {
    pub(super) fn new(
        root: &Scope<'_>,
        config: &VisionConfig,
        projection_dim: i64,
    ) -> Result<Self, WeightsError> {
        let scope = root.at("vision_model");
        let exact = scope.with_kind(Kind::Float);
        let (width, eps, patch) = (config.hidden_size, config.layer_norm_eps, config.patch_size);
        let size = BlockSize {
            width,
            mlp_width: config.intermediate_size,
            heads: config.num_attention_heads,
            eps,
            activation: config.hidden_act,
            depth: config.num_hidden_layers,
        };
        let embeddings = scope.at("embeddings");
        let (layers, last) = (scope.at("encoder").at("layers"), config.num_hidden_layers - 1);
        let position_shape = [config.grid() * config.grid() + 1, width];
        Ok(Self {
            patch_embedding: embeddings.at("patch_embedding").tensor(
                "weight",
                &[width, 3, patch, patch],
                Init::Normal(0.02),
            )?,
            class_embedding: embeddings.tensor(
                "class_embedding",
                &[width],
                Init::Normal((width as f64).powf(-0.5)),
            )?,
            position_embedding: embeddings.at("position_embedding").tensor(
                "weight",
                &position_shape,
                Init::Normal(0.02),
            )?,
            pre_norm: LayerNorm::new(&scope.at("pre_layrnorm"), width, eps)?,
            blocks: (0..last)
                .map(|layer| Block::new(&layers.at(layer), &size))
                .collect::<Result<_, _>>()?,
            last: Block::new(&exact.at("encoder").at("layers").at(last), &size)?,
            post_norm: LayerNorm::new(&exact.at("post_layernorm"), width, eps)?,
            projection: root.with_kind(Kind::Float).at("visual_projection").tensor(
                "weight",
                &[projection_dim, width],
                Init::Normal((width as f64).powf(-0.5)),
            )?,
            patch_px: patch,
            kind: scope.kind(),
        })
    }

    /// Normalised pixels `[B, 3, S, S]` to embeddings, keeping what `plan` asks for. S is usually the
    /// side that the net was made for; with any other multiple of the patch's side, the position
    /// embeddings are interpolated to the finer or coarser grid (bicubic, as in transformers'
    /// `interpolate_pos_encoding`).
    pub fn encode(&self, pixels: &Tensor, plan: TapPlan) -> Encoded {
        self.run(self.embed_patches(&pixels.to_kind(self.kind)), pixels, plan)
    }

    /// Embeddings `[B, E]` f32 of one image, `[1, 3, S, S]`, of which each row keeps some patches
    /// alone: `kept` `[B, m]` i64, numbers of patches from 0. The others are left out after their
    /// positions were added, so nothing stands in their place and no edge appears.
    pub fn encode_kept(&self, pixels: &Tensor, kept: &Tensor) -> Tensor {
        let tokens = self.embed_patches(&pixels.to_kind(self.kind));
        let (_, count, width) = tokens.size3().expect("tokens are [1, N, D]");
        let (rows, chosen) = kept.size2().expect("patch numbers are [B, m]");
        let class = tokens.narrow(1, 0, 1).expand([rows, 1, width], false);
        let patches = tokens.narrow(1, 1, count - 1).expand([rows, count - 1, width], false);
        let index = kept.unsqueeze(-1).expand([rows, chosen, width], false);
        let tokens = Tensor::cat(&[class, patches.gather(1, &index, false)], 1);
        self.run(tokens, pixels, TapPlan::Nothing).embedding
    }

    /// Tokens `[B, N, D]` before the first block to embeddings; `pixels` is what they were made of.
    fn run(&self, mut x: Tensor, pixels: &Tensor, plan: TapPlan) -> Encoded {
        let embedded = class_token(&x).to_kind(Kind::Float);
        let (mut blocks, mut earlier_inputs) = (Vec::new(), Vec::new());
        for block in &self.blocks {
            let output = block.forward(&x, false);
            if plan >= TapPlan::EveryBlock {
                blocks.push(tap(block, &output));
            }
            if plan >= TapPlan::EveryInput {
                earlier_inputs.push(x);
            }
            x = output.output;
        }
        let x = x.to_kind(Kind::Float);
        let (tap, context) = self.last_block(&x);
        let residual = class_token(&x);
        let (last, mlp) = self.after_attention(&context, &residual);
        let embedding = self.project(&last);
        if plan == TapPlan::Nothing {
            return Encoded { embedding, tape: None };
        }
        blocks.push(BlockTap { mlp, ..tap });
        let pixels = pixels.shallow_clone();
        let last_input = x;
        let tape =
            Tape { blocks, embedded, residual, context, last, last_input, earlier_inputs, pixels };
        Encoded { embedding, tape: Some(tape) }
    }

    /// Embeddings and the last block's tape, of tokens at the last block's input, `[B, N, D]` f32, as
    /// [`Tape::last_input`] keeps them. Of what came before, the tape knows nothing: its other parts
    /// are undefined tensors. For training the tower's end on inputs that were computed once.
    pub fn finish(&self, last_input: &Tensor) -> Encoded {
        let (tap, context) = self.last_block(last_input);
        let residual = class_token(last_input);
        let (last, mlp) = self.after_attention(&context, &residual);
        let tape = Tape {
            blocks: vec![BlockTap { mlp, ..tap }],
            embedded: Tensor::new(),
            residual,
            context,
            last_input: last_input.shallow_clone(),
            earlier_inputs: Vec::new(),
            pixels: Tensor::new(),
            last,
        };
        Encoded { embedding: self.project(&tape.last), tape: Some(tape) }
    }

    /// How many blocks there are.
    pub fn depth(&self) -> usize {
        self.blocks.len() + 1
    }

    /// Block `layer` (from 0), opened.
    pub fn block(&self, layer: usize) -> OpenBlock<'_> {
        let last = layer == self.blocks.len();
        OpenBlock::new(if last { &self.last } else { &self.blocks[layer] })
    }

    /// The tower's end as a function of the last attention's class row: concatenated heads
    /// `context` `[B, D]` and block input `residual` `[B, D]` to embeddings `[B, E]`, all f32.
    /// Gradient methods differentiate this.
    pub fn head(&self, context: &Tensor, residual: &Tensor) -> Tensor {
        self.project(&self.after_attention(context, residual).0)
    }

    /// The final norm and projection: tokens `[.., D]` to embeddings `[.., E]`, f32.
    pub fn project(&self, last: &Tensor) -> Tensor {
        self.post_norm.forward(last).linear::<Tensor>(&self.projection, None)
    }

    /// The final norm's weight `[D]`, bias `[D]` and epsilon.
    pub fn final_norm(&self) -> (&Tensor, &Tensor, f64) {
        (&self.post_norm.weight, &self.post_norm.bias, self.post_norm.eps)
    }

    /// The projection into the shared space, `[E, D]` f32.
    pub fn projection(&self) -> &Tensor {
        &self.projection
    }

    /// `[B, 3, S, S]` to tokens `[B, N, D]`, class token first.
    fn embed_patches(&self, pixels: &Tensor) -> Tensor {
        let patches = pixels.conv2d::<Tensor>(&self.patch_embedding, None, self.patch_px, 0, 1, 1);
        let (batch, width, rows, columns) = patches.size4().expect("patches are [B, D, h, w]");
        let patches = patches.flatten(2, 3).transpose(1, 2);
        let class = self.class_embedding.view([1, 1, width]).expand([batch, 1, width], false);
        let tokens = Tensor::cat(&[class, patches], 1) + self.positions(rows, columns);
        self.pre_norm.forward(&tokens)
    }

    /// Position embeddings of a grid, class token first, `[1 + rows * columns, D]`.
    fn positions(&self, rows: i64, columns: i64) -> Tensor {
        let (count, width) = self.position_embedding.size2().expect("positions are [N, D]");
        let side = ((count - 1) as usize).isqrt() as i64;
        if (rows, columns) == (side, side) {
            return self.position_embedding.shallow_clone();
        }
        let native = self.position_embedding.narrow(0, 1, count - 1).to_kind(Kind::Float);
        let grid = native.view([1, side, side, width]).permute([0, 3, 1, 2]);
        let finer = grid.upsample_bicubic2d([rows, columns], false, None, None);
        let finer = finer.flatten(2, 3).squeeze_dim(0).tr().to_kind(self.kind);
        Tensor::cat(&[self.position_embedding.narrow(0, 0, 1), finer], 0)
    }

    /// The last attention for the class token only: its tap (without the MLP) and its context
    /// `[B, D]`.
    fn last_block(&self, x: &Tensor) -> (BlockTap, Tensor) {
        let (batch, tokens, width) = x.size3().expect("tokens are [B, N, D]");
        let (block, heads) = (&self.last, self.last.heads);
        let head_width = width / heads;
        let y = block.norm1.forward(x);
        let bias = block.query_key_value.bias.as_ref();
        let rows = |from: i64, count: i64| {
            let weight = block.query_key_value.weight.narrow(0, from, count);
            (weight, bias.map(|bias| bias.narrow(0, from, count)))
        };
        let (weight, bias) = rows(0, width);
        let query = class_token(&y).linear(&weight, bias.as_ref()).view([batch, heads, head_width]);
        let (weight, bias) = rows(width, 2 * width);
        let key_value = y
            .linear(&weight, bias.as_ref())
            .view([batch, tokens, 2, heads, head_width])
            .permute([2, 0, 3, 1, 4]);
        let (key, value) = (key_value.get(0), key_value.get(1));
        let attention = class_attention(&query, &key);
        let context = attention.unsqueeze(2).matmul(&value).reshape([batch, width]);
        let tap = BlockTap {
            query,
            key,
            value,
            attention,
            mlp: Tensor::new(),
            out_weight: block.out.weight.shallow_clone(),
            out_bias: block.out.bias.as_ref().map_or_else(Tensor::new, Tensor::shallow_clone),
        };
        (tap, context)
    }

    /// The class token after the last block, and what its MLP added, both `[B, D]`.
    fn after_attention(&self, context: &Tensor, residual: &Tensor) -> (Tensor, Tensor) {
        let x = residual + self.last.out.forward(context);
        let mlp = self.last.mlp.forward(&self.last.norm2.forward(&x));
        (x + &mlp, mlp)
    }
}

/// Row 0 of the tokens: `[B, N, D]` to `[B, D]`.
fn class_token(x: &Tensor) -> Tensor {
    x.select(1, 0)
}

/// Softmax of the scaled products of query `[B, H, d]` and keys `[B, H, N, d]`: `[B, H, N]`.
fn class_attention(query: &Tensor, key: &Tensor) -> Tensor {
    let scale = (query.size()[2] as f64).powf(-0.5);
    let logits = key.matmul(&query.unsqueeze(-1)).squeeze_dim(-1) * scale;
    logits.softmax(-1, Kind::Float)
}

/// One ordinary block's part of the tape; products of the class row are redone in f32.
fn tap(block: &Block, output: &BlockOutput) -> BlockTap {
    let exact = |t: &Tensor| t.to_kind(Kind::Float);
    let (query, key) = (exact(&output.query.select(2, 0)), exact(&output.key));
    BlockTap {
        attention: class_attention(&query, &key),
        query,
        key,
        value: exact(&output.value),
        mlp: exact(&class_token(&output.mlp)),
        out_weight: exact(&block.out.weight),
        out_bias: block.out.bias.as_ref().map_or_else(Tensor::new, exact),
    }
}
