//! The parts that both towers are made of.

use tch::Tensor;

use super::Activation;
use crate::models::weights::{Init, Scope, WeightsError};

/// Sizes of a transformer block.
#[derive(Clone, Copy, Debug)]
pub(super) struct BlockSize {
    pub(super) width: i64,
    pub(super) mlp_width: i64,
    pub(super) heads: i64,
    pub(super) eps: f64,
    pub(super) activation: Activation,
    /// Blocks in the tower; deeper towers begin training with smaller weights.
    pub(super) depth: i64,
}

/// `y = x Wᵀ + b`.
#[derive(Debug)]
pub(super) struct Linear {
    pub(super) weight: Tensor,
    pub(super) bias: Option<Tensor>,
}

impl Linear {
    pub(super) fn new(
        scope: &Scope<'_>,
        (inputs, outputs): (i64, i64),
        std: f64,
    ) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: scope.tensor("weight", &[outputs, inputs], Init::Normal(std))?,
            bias: Some(scope.tensor("bias", &[outputs], Init::Constant(0.0))?),
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        x.linear(&self.weight, self.bias.as_ref())
    }
}

/// Layer norm over the last dimension.
#[derive(Debug)]
pub(super) struct LayerNorm {
    pub(super) weight: Tensor,
    pub(super) bias: Tensor,
    pub(super) eps: f64,
}

impl LayerNorm {
    pub(super) fn new(scope: &Scope<'_>, width: i64, eps: f64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: scope.tensor("weight", &[width], Init::Constant(1.0))?,
            bias: scope.tensor("bias", &[width], Init::Constant(0.0))?,
            eps,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let width = self.weight.size()[0];
        x.layer_norm([width], Some(&self.weight), Some(&self.bias), self.eps, true)
    }
}

#[derive(Debug)]
pub(super) struct Mlp {
    fc1: Linear,
    fc2: Linear,
    activation: Activation,
}

impl Mlp {
    fn new(scope: &Scope<'_>, size: &BlockSize) -> Result<Self, WeightsError> {
        let (fc1_std, fc2_std) = mlp_stds(size);
        Ok(Self {
            fc1: Linear::new(&scope.at("fc1"), (size.width, size.mlp_width), fc1_std)?,
            fc2: Linear::new(&scope.at("fc2"), (size.mlp_width, size.width), fc2_std)?,
            activation: size.activation,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let hidden = self.fc1.forward(x);
        let hidden = match self.activation {
            Activation::QuickGelu => &hidden * (&hidden * 1.702).sigmoid(),
            Activation::Gelu => hidden.gelu("none"),
        };
        self.fc2.forward(&hidden)
    }
}

/// Initial spreads of the two MLP layers, as in the reference implementation.
fn mlp_stds(size: &BlockSize) -> (f64, f64) {
    let depth = (2.0 * size.depth as f64).powf(-0.5);
    ((2.0 * size.width as f64).powf(-0.5), (size.width as f64).powf(-0.5) * depth)
}

/// A pre-norm transformer block: `x + attention(norm(x))`, then `x + mlp(norm(x))`.
#[derive(Debug)]
pub(super) struct Block {
    pub(super) norm1: LayerNorm,
    /// Query, key and value in one product, `[3 D, D]`.
    pub(super) query_key_value: Linear,
    pub(super) out: Linear,
    pub(super) norm2: LayerNorm,
    pub(super) mlp: Mlp,
    pub(super) heads: i64,
}

impl Block {
    pub(super) fn new(scope: &Scope<'_>, size: &BlockSize) -> Result<Self, WeightsError> {
        let attention = scope.at("self_attn");
        let width = size.width;
        let depth = (2.0 * size.depth as f64).powf(-0.5);
        let in_std = (width as f64).powf(-0.5) * depth;
        let part = |name| Linear::new(&attention.at(name), (width, width), in_std);
        let parts = [part("q_proj")?, part("k_proj")?, part("v_proj")?];
        let biases: Vec<&Tensor> = parts.iter().filter_map(|part| part.bias.as_ref()).collect();
        let query_key_value = Linear {
            weight: Tensor::cat(&parts.each_ref().map(|part| &part.weight), 0),
            bias: Some(Tensor::cat(&biases, 0)),
        };
        Ok(Self {
            norm1: LayerNorm::new(&scope.at("layer_norm1"), width, size.eps)?,
            query_key_value,
            out: Linear::new(&attention.at("out_proj"), (width, width), (width as f64).powf(-0.5))?,
            norm2: LayerNorm::new(&scope.at("layer_norm2"), width, size.eps)?,
            mlp: Mlp::new(&scope.at("mlp"), size)?,
            heads: size.heads,
        })
    }

    /// `[B, N, D]` to `[B, N, D]`. Also gives query, key and value, each `[B, H, N, d]`, and the
    /// MLP's contribution `[B, N, D]`, for those who tap them.
    pub(super) fn forward(&self, x: &Tensor, causal: bool) -> BlockOutput {
        let (batch, tokens, width) = x.size3().expect("a block's input is [B, N, D]");
        let qkv = self
            .query_key_value
            .forward(&self.norm1.forward(x))
            .view([batch, tokens, 3, self.heads, width / self.heads])
            .permute([2, 0, 3, 1, 4]);
        let (query, key, value) = (qkv.get(0), qkv.get(1), qkv.get(2));
        let context = Tensor::scaled_dot_product_attention::<Tensor>(
            &query, &key, &value, None, 0.0, causal, None, false,
        );
        let context = context.transpose(1, 2).reshape([batch, tokens, width]);
        let x = x + self.out.forward(&context);
        let mlp = self.mlp.forward(&self.norm2.forward(&x));
        BlockOutput { output: x + &mlp, query, key, value, mlp }
    }
}

/// What a block computes on its way.
pub(super) struct BlockOutput {
    pub(super) output: Tensor,
    pub(super) query: Tensor,
    pub(super) key: Tensor,
    pub(super) value: Tensor,
    pub(super) mlp: Tensor,
}
