//! Checkpoint files of a detector: `.safetensors`, and the `.pt` that ultralytics publishes.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tch::{Device, Kind};

use super::{BatchNorm, STRIDES_PX, Yolo, YoloConfig};
use crate::models::pickle::{Id, Limits, Pickle, TorchFile};
use crate::models::safetensors_file::file_checksum;
use crate::models::weights::{Weights, WeightsError};

/// Side of the input where a checkpoint does not tell.
const INPUT_PX: u32 = 640;
/// Largest side that is believed.
const INPUT_LIMIT_PX: u32 = 4096;
/// Largest number of classes that is believed.
const CLASS_LIMIT: usize = 10_000;

/// A detector's weights with all that is needed to build and use the net.
pub struct YoloCheckpoint {
    /// Sizes and class names.
    pub config: YoloConfig,
    /// Side of the square that pictures are fitted into, in pixels; a multiple of 32.
    pub input_px: u32,
    checksum: String,
    /// Tensors can move between threads but not be shared.
    weights: Mutex<Weights>,
}

impl fmt::Debug for YoloCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { config, input_px, checksum, weights: _ } = self;
        f.debug_struct("YoloCheckpoint")
            .field("config", config)
            .field("input_px", input_px)
            .field("checksum", checksum)
            .finish_non_exhaustive()
    }
}

impl YoloCheckpoint {
    /// Reads a `.safetensors` file, whose metadata may tell class names (`names`, a JSON list) and
    /// the input's side in pixels (`imgsz`); or a `.pt` file with a whole model or a state
    /// dictionary. What it is, its first bytes tell. Classes without names are called `class 0`, ….
    pub fn open(path: &Path) -> Result<Self, WeightsError> {
        let mut magic = [0; 4];
        File::open(path)
            .and_then(|mut file| file.read_exact(&mut magic))
            .map_err(|e| WeightsError::format(path, e))?;
        let parts = if magic == *b"PK\x03\x04" {
            read_torch(path, &Limits::default())?
        } else {
            read_safetensors(path)?
        };
        let Parts { weights, names, input_px } = parts;
        let names = names.map_or_else(|| unnamed(&weights), Ok)?;
        let config = YoloConfig::infer(&weights, names)?;
        let input_px = input_side(path, input_px)?;
        let checksum = file_checksum(path)?;
        let checkpoint = Self { config, input_px, checksum, weights: Mutex::new(weights) };
        // Anything missing, surplus or misshapen is told now.
        checkpoint.build(Device::Cpu, Kind::Float, BatchNorm::Fused)?;
        Ok(checkpoint)
    }

    /// Builds the net.
    pub fn build(&self, device: Device, kind: Kind, norm: BatchNorm) -> Result<Yolo, WeightsError> {
        let weights = self.weights.lock().unwrap_or_else(PoisonError::into_inner);
        Yolo::new(&weights, &self.config, device, kind, norm)
    }

    /// Numbers in all weights together.
    pub fn parameters(&self) -> usize {
        self.weights.lock().unwrap_or_else(PoisonError::into_inner).parameters()
    }

    /// SHA-256 of the file, hexadecimal.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The weights themselves, to go on training.
    pub fn into_weights(self) -> Weights {
        self.weights.into_inner().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Names for classes that have none.
fn unnamed(weights: &Weights) -> Result<Vec<String>, WeightsError> {
    let count = weights.shape("model.22.cv3.0.2.bias")?.first().copied().unwrap_or(0);
    Ok((0..count.min(CLASS_LIMIT as i64)).map(|i| format!("class {i}")).collect())
}

/// What a file tells.
struct Parts {
    weights: Weights,
    names: Option<Vec<String>>,
    input_px: Option<i64>,
}

fn read_safetensors(path: &Path) -> Result<Parts, WeightsError> {
    let weights = Weights::open_safetensors(path)?;
    let names = weights.metadata().get("names").map(|text| serde_json::from_str(text));
    let names = names.transpose().map_err(|e| {
        WeightsError::format(path, format!("metadata 'names' is not a list of texts: {e}"))
    })?;
    let input_px = weights.metadata().get("imgsz").map(|text| text.parse());
    let input_px = input_px.transpose().map_err(|e| {
        WeightsError::format(path, format!("metadata 'imgsz' is not a number: {e}"))
    })?;
    Ok(Parts { weights, names, input_px })
}

/// The input's side, rounded up to the coarsest stride.
fn input_side(path: &Path, told: Option<i64>) -> Result<u32, WeightsError> {
    let side = told.unwrap_or(i64::from(INPUT_PX));
    let limit = i64::from(INPUT_LIMIT_PX);
    if !(1..=limit).contains(&side) {
        let reason = format!("input side is {side} px, must be 1 to {limit}");
        return Err(WeightsError::format(path, reason));
    }
    let [.., stride] = STRIDES_PX;
    Ok((side + stride - 1).div_euclid(stride) as u32 * stride as u32)
}

/// A `.pt` file: the averaged model where there is one, else the model, else a state dictionary.
fn read_torch(path: &Path, limits: &Limits) -> Result<Parts, WeightsError> {
    let mut file = TorchFile::open(path, limits)?;
    let pickle = file.pickle();
    let root = pickle.root();
    let useful = |id: &Id| pickle.object(*id).is_some() || pickle.pairs(*id).is_some();
    let entry = |key| pickle.entry(root, key).filter(useful);
    let model = entry("ema").or_else(|| entry("model")).unwrap_or(root);
    let names = names(pickle, model).map_err(|reason| file.error(reason))?;
    let args = pickle.attribute(model, "args").or_else(|| pickle.entry(root, "train_args"));
    let input_px = args.and_then(|args| pickle.entry(args, "imgsz")).and_then(|id| pickle.int(id));
    let tensors: BTreeMap<_, _> =
        if pickle.pairs(model).is_some() { file.state_dict(model)? } else { file.module(model)? };
    let weights = Weights::from_tensors(path.display().to_string(), tensors);
    Ok(Parts { weights, names, input_px })
}

/// The class names of a model: a dictionary from 0, 1, 2, … or a list.
fn names(pickle: &Pickle, model: Id) -> Result<Option<Vec<String>>, String> {
    let Some(names) = pickle.attribute(model, "names") else {
        return Ok(None);
    };
    let wrong = || "class names are not a text for each of 0, 1, 2, …".to_owned();
    let numbered: BTreeMap<i64, Id> = match (pickle.pairs(names), pickle.items(names)) {
        (Some(pairs), _) => {
            let number = |(key, name): &(Id, Id)| Some((pickle.int(*key)?, *name));
            pairs.iter().map(number).collect::<Option<_>>().ok_or_else(wrong)?
        }
        (None, Some(items)) => (0..).zip(items.iter().copied()).collect(),
        (None, None) => return Err(wrong()),
    };
    if numbered.len() > CLASS_LIMIT {
        return Err(format!("has {} classes, limit {CLASS_LIMIT}", numbered.len()));
    }
    let ordered = numbered.into_iter().zip(0..);
    let text = |((number, name), expected)| {
        pickle.text(name).filter(|_| number == expected).map(str::to_owned)
    };
    ordered.map(text).collect::<Option<_>>().map(Some).ok_or_else(wrong)
}
