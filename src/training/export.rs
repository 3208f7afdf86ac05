//! Writes a trained CLIP as a Hugging Face model folder.

use std::path::Path;

use serde_json::{Value, json};
use tch::Kind;
use tokenizers::Tokenizer;

use super::faces::{PIXEL_MEAN, PIXEL_STD};
use super::{TrainingError, tokenizer};
use crate::models::clip::ClipConfig;
use crate::models::weights::Weights;

/// The prefixes of the keys that are the net's; what else was trained stays behind.
const NET: [&str; 3] = ["text_", "vision_model.", "visual_projection."];
/// The one key without a prefix.
const SCALE: &str = "logit_scale";

/// Writes `config.json`, `preprocessor_config.json`, `tokenizer.json`, `tokenizer_config.json` and
/// `model.safetensors` (f16) to `folder`, which is made where missing.
pub fn export(
    folder: &Path,
    weights: &Weights,
    config: &ClipConfig,
    texts: &Tokenizer,
) -> Result<(), TrainingError> {
    std::fs::create_dir_all(folder).map_err(|e| TrainingError::file(folder, e))?;
    let is_net = |key: &str| key == SCALE || NET.iter().any(|prefix| key.starts_with(prefix));
    let tensors = weights.tensors().into_iter().filter(|(key, _)| is_net(key)).collect();
    let mut net = Weights::from_tensors("trained weights".to_owned(), tensors);
    // Readers of PyTorch checkpoints ask for this.
    net.set_metadata("format", "pt");
    net.save_safetensors(&folder.join("model.safetensors"), Kind::Half)?;
    tokenizer::save(texts, &folder.join("tokenizer.json"))?;
    write(&folder.join("tokenizer_config.json"), &tokenizer_config())?;
    write(&folder.join("preprocessor_config.json"), &preprocessor(config.vision.image_size))?;
    write(&folder.join("config.json"), &net_config(config)?)
}

fn write(path: &Path, value: &Value) -> Result<(), TrainingError> {
    std::fs::write(path, format!("{value:#}\n")).map_err(|e| TrainingError::file(path, e))
}

fn tokenizer_config() -> Value {
    json!({
        "tokenizer_class": "CLIPTokenizer",
        "model_max_length": tokenizer::CONTEXT_TOKENS,
        "bos_token": tokenizer::START,
        "eos_token": tokenizer::END,
        "pad_token": tokenizer::END,
        "unk_token": tokenizer::END,
    })
}

fn preprocessor(side_px: i64) -> Value {
    const BICUBIC: u8 = 3;
    json!({
        "image_processor_type": "CLIPImageProcessor",
        "do_convert_rgb": true,
        "do_resize": true, "size": {"shortest_edge": side_px}, "resample": BICUBIC,
        "do_center_crop": true, "crop_size": {"height": side_px, "width": side_px},
        "do_rescale": true, "rescale_factor": 1.0 / 255.0,
        "do_normalize": true, "image_mean": decimal(PIXEL_MEAN), "image_std": decimal(PIXEL_STD),
    })
}

/// As the f32 prints, not as it widens.
fn decimal(values: [f32; 3]) -> [f64; 3] {
    values.map(|value| value.to_string().parse().unwrap_or_else(|_| f64::from(value)))
}

fn net_config(config: &ClipConfig) -> Result<Value, TrainingError> {
    let mut value =
        serde_json::to_value(config).map_err(|e| TrainingError::Tokenizer(e.to_string()))?;
    value["model_type"] = json!("clip");
    value["architectures"] = json!(["CLIPModel"]);
    value["torch_dtype"] = json!("float16");
    for (tower, model_type) in
        [("text_config", "clip_text_model"), ("vision_config", "clip_vision_model")]
    {
        value[tower]["model_type"] = json!(model_type);
        value[tower]["projection_dim"] = json!(config.projection_dim);
    }
    let end = config.text.eos_token_id;
    value["text_config"]["bos_token_id"] = json!(end - 1);
    value["text_config"]["pad_token_id"] = json!(end);
    Ok(value)
}
