//! The text tower.

use tch::{Kind, Tensor};

use super::config::TextConfig;
use super::layers::{Block, BlockSize, LayerNorm};
use super::normalised;
use crate::models::weights::{Init, Scope, WeightsError};

/// Causal transformer over tokens, pooled at the end-of-text token.
#[derive(Debug)]
pub struct TextTower {
    token_embedding: Tensor,
    position_embedding: Tensor,
    blocks: Vec<Block>,
    final_norm: LayerNorm,
    projection: Tensor,
    eos_token_id: i64,
}

impl TextTower {
    pub(super) fn new(
        root: &Scope<'_>,
        config: &TextConfig,
        projection_dim: i64,
    ) -> Result<Self, WeightsError> {
        let scope = root.at("text_model");
        let width = config.hidden_size;
        let size = BlockSize {
            width,
            mlp_width: config.intermediate_size,
            heads: config.num_attention_heads,
            eps: config.layer_norm_eps,
            activation: config.hidden_act,
            depth: config.num_hidden_layers,
        };
        let embeddings = scope.at("embeddings");
        let layers = scope.at("encoder").at("layers");
        let table = |name: &str, rows, std| {
            embeddings.at(name).tensor("weight", &[rows, width], Init::Normal(std))
        };
        Ok(Self {
            token_embedding: table("token_embedding", config.vocab_size, 0.02)?,
            position_embedding: table("position_embedding", config.max_position_embeddings, 0.01)?,
            blocks: (0..config.num_hidden_layers)
                .map(|layer| Block::new(&layers.at(layer), &size))
                .collect::<Result<_, _>>()?,
            final_norm: LayerNorm::new(
                &scope.at("final_layer_norm"),
                width,
                config.layer_norm_eps,
            )?,
            projection: root.at("text_projection").tensor(
                "weight",
                &[projection_dim, width],
                Init::Normal((width as f64).powf(-0.5)),
            )?,
            eos_token_id: config.eos_token_id,
        })
    }

    /// Token ids `[B, T]` i64 (T at most the context length; shorter rows padded at the end with
    /// the end-of-text token) to unit embeddings `[B, E]` f32.
    pub fn embed(&self, ids: &Tensor) -> Tensor {
        let tokens = ids.size()[1];
        let positions = self.position_embedding.narrow(0, 0, tokens);
        let mut x = Tensor::embedding(&self.token_embedding, ids, -1, false, false) + positions;
        for block in &self.blocks {
            x = block.forward(&x, true).output;
        }
        let x = self.final_norm.forward(&x);
        let index = self.pooled_positions(ids).view([-1, 1, 1]).expand([-1, 1, x.size()[2]], false);
        let pooled = x.gather(1, &index, false).squeeze_dim(1);
        normalised(&pooled.linear::<Tensor>(&self.projection, None))
    }

    /// Position of the pooled token in each row, `[B]` i64. Checkpoints from before
    /// transformers 4.31 state the token 2, and mean the highest id.
    fn pooled_positions(&self, ids: &Tensor) -> Tensor {
        if self.eos_token_id == 2 {
            return ids.argmax(-1, false);
        }
        ids.eq(self.eos_token_id).to_kind(Kind::Int).argmax(-1, false)
    }
}
