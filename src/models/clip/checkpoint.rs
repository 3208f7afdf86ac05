//! A CLIP checkpoint in the Hugging Face layout: a folder with `config.json`, `model.safetensors`
//! (or shards), `tokenizer.json` and `preprocessor_config.json`.

use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind};

use super::{Clip, ClipConfig, ClipTokenizer, Preprocess};
use crate::models::weights::{Init, Weights, WeightsError};

/// What a folder holds, read once; nets are built from it for each device.
#[derive(Debug)]
pub struct ClipCheckpoint {
    /// Sizes of both towers, within sane limits.
    pub config: ClipConfig,
    /// From texts to ids.
    pub tokenizer: ClipTokenizer,
    /// From pictures to pixels.
    pub preprocess: Preprocess,
    /// Where it lies.
    pub folder: PathBuf,
    checksum: String,
    // Tensors can move between threads but not be shared; a net is built now and then.
    weights: Mutex<Weights>,
}

impl ClipCheckpoint {
    /// Reads the folder. Whether every weight is there shows when a net is built.
    pub fn open(folder: &Path) -> Result<Self, WeightsError> {
        let config = ClipConfig::open(&folder.join("config.json"))?;
        let tokenizer = ClipTokenizer::open(&folder.join("tokenizer.json"), &config.text)?;
        let preprocess = Preprocess::open(folder, config.vision.image_size as u32)?;
        let weights = Weights::open_folder(folder)?;
        let checksum = weights.checksum().to_owned();
        let folder = folder.to_owned();
        Ok(Self { config, tokenizer, preprocess, folder, checksum, weights: Mutex::new(weights) })
    }

    /// The net on `device`, its image tower in `kind` (f32 or bf16). A weight that is missing,
    /// misshapen or that no net takes is an error that names it.
    pub fn build(&self, device: Device, kind: Kind) -> Result<Clip, WeightsError> {
        // A panic while building leaves the weights as they were.
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let clip = Clip::new(&weights, &self.config, device, kind)?;
        weights.finish(Clip::is_buffer)?;
        Ok(clip)
    }

    /// The factor between cosine and logit (100 in the published checkpoints).
    pub fn logit_scale(&self) -> Result<f32, WeightsError> {
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        let init = Init::Constant(self.config.logit_scale_init);
        let log_scale = weights.root(Device::Cpu, Kind::Float).tensor("logit_scale", &[], init)?;
        Ok(log_scale.exp().double_value(&[]) as f32)
    }

    /// Numbers in all weights together.
    pub fn parameters(&self) -> usize {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).parameters()
    }

    /// SHA-256 of the weights, hexadecimal; see [`Weights::checksum`].
    pub fn checksum(&self) -> &str {
        &self.checksum
    }
}
