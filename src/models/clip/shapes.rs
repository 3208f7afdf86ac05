//! Every weight of a CLIP by key and shape, told from its configuration alone: for inspection,
//! which must not build a net from a file that nobody vouches for.

use std::collections::BTreeMap;

use super::ClipConfig;

impl ClipConfig {
    /// Key and shape of each weight that [`Clip::new`](super::Clip::new) takes.
    pub fn shapes(&self) -> BTreeMap<String, Vec<i64>> {
        let (text, vision, width) = (&self.text, &self.vision, self.vision.hidden_size);
        let mut shapes = BTreeMap::new();
        let mut add = |key: &str, shape: &[i64]| {
            shapes.insert(key.to_owned(), shape.to_vec());
        };
        add("logit_scale", &[]);
        add("text_projection.weight", &[self.projection_dim, text.hidden_size]);
        add("visual_projection.weight", &[self.projection_dim, width]);
        let embeddings = "text_model.embeddings";
        let rows = [("token", text.vocab_size), ("position", text.max_position_embeddings)];
        for (table, rows) in rows {
            add(&format!("{embeddings}.{table}_embedding.weight"), &[rows, text.hidden_size]);
        }
        let (embeddings, patch) = ("vision_model.embeddings", vision.patch_size);
        add(&format!("{embeddings}.class_embedding"), &[width]);
        add(&format!("{embeddings}.patch_embedding.weight"), &[width, 3, patch, patch]);
        let positions = vision.grid() * vision.grid() + 1;
        add(&format!("{embeddings}.position_embedding.weight"), &[positions, width]);
        for end in ["weight", "bias"] {
            add(&format!("text_model.final_layer_norm.{end}"), &[text.hidden_size]);
            add(&format!("vision_model.pre_layrnorm.{end}"), &[width]);
            add(&format!("vision_model.post_layernorm.{end}"), &[width]);
        }
        let towers = [
            ("text_model", text.hidden_size, text.intermediate_size, text.num_hidden_layers),
            ("vision_model", width, vision.intermediate_size, vision.num_hidden_layers),
        ];
        for (tower, width, mlp_width, layers) in towers {
            for layer in 0..layers {
                let block = format!("{tower}.encoder.layers.{layer}");
                shapes.extend(block_shapes(&block, width, mlp_width));
            }
        }
        shapes
    }
}

fn block_shapes(block: &str, width: i64, mlp_width: i64) -> Vec<(String, Vec<i64>)> {
    let mut shapes = Vec::new();
    for norm in ["layer_norm1", "layer_norm2"] {
        shapes.push((format!("{block}.{norm}.weight"), vec![width]));
        shapes.push((format!("{block}.{norm}.bias"), vec![width]));
    }
    let linears = [
        ("self_attn.q_proj", width, width),
        ("self_attn.k_proj", width, width),
        ("self_attn.v_proj", width, width),
        ("self_attn.out_proj", width, width),
        ("mlp.fc1", width, mlp_width),
        ("mlp.fc2", mlp_width, width),
    ];
    for (linear, inputs, outputs) in linears {
        shapes.push((format!("{block}.{linear}.weight"), vec![outputs, inputs]));
        shapes.push((format!("{block}.{linear}.bias"), vec![outputs]));
    }
    shapes
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::{Clip, TextConfig, VisionConfig};
    use super::*;
    use crate::models::weights::Weights;

    #[test]
    fn the_list_is_what_the_net_takes() {
        let text = TextConfig {
            vocab_size: 30,
            hidden_size: 8,
            intermediate_size: 20,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            max_position_embeddings: 7,
            eos_token_id: 29,
            ..TextConfig::default()
        };
        let vision = VisionConfig {
            hidden_size: 12,
            intermediate_size: 24,
            num_hidden_layers: 3,
            num_attention_heads: 3,
            image_size: 20,
            patch_size: 5,
            ..VisionConfig::default()
        };
        let config = ClipConfig { text, vision, projection_dim: 6, ..ClipConfig::default() };
        let weights = Weights::initialise(Device::Cpu);
        Clip::new(&weights, &config, Device::Cpu, Kind::Float).unwrap();
        let taken: BTreeMap<_, _> =
            weights.tensors().into_iter().map(|(key, tensor)| (key, tensor.size())).collect();
        assert_eq!(config.shapes(), taken);
    }
}
