//! The parameters of one checkpoint, handed to nets by key.
//!
//! A net takes each tensor by its checkpoint key and expected shape; [`Weights::finish`] then tells
//! which keys nobody took. So a missing, surplus or misshapen weight is an error that names it.
//! The same nets train: [`Weights::initialise`] makes each tensor as it is asked for.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use safetensors::Dtype;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};
use thiserror::Error;

use super::safetensors_file::{Contents, OwnedView, hexadecimal, read_safetensors, weight_files};

/// Why a checkpoint cannot be used.
#[derive(Debug, Error)]
pub enum WeightsError {
    /// The net needs a tensor that the checkpoint lacks.
    #[error("{file}: weight '{key}' is missing")]
    Missing {
        /// The checkpoint.
        file: String,
        /// The key that is not there.
        key: String,
    },
    /// The checkpoint holds tensors that the net has no use for.
    #[error("{file}: {count} weights are not used by the net, the first is '{first}'")]
    Surplus {
        /// The checkpoint.
        file: String,
        /// How many.
        count: usize,
        /// The first of them, in key order.
        first: String,
    },
    /// A tensor has another shape than the configuration says.
    #[error("{file}: weight '{key}' has shape {got:?}, the configuration needs {expected:?}")]
    Shape {
        /// The checkpoint.
        file: String,
        /// The key.
        key: String,
        /// Shape in the checkpoint.
        got: Vec<i64>,
        /// Shape the net needs.
        expected: Vec<i64>,
    },
    /// A tensor's elements are no floating-point numbers.
    #[error("{file}: weight '{key}' has type {got:?}, the net needs floating point")]
    Type {
        /// The checkpoint.
        file: String,
        /// The key.
        key: String,
        /// Type in the checkpoint.
        got: Kind,
    },
    /// The file cannot be read as a checkpoint.
    #[error("{file}: {reason}")]
    Format {
        /// The checkpoint.
        file: String,
        /// What is wrong.
        reason: String,
    },
}

impl WeightsError {
    /// A [`WeightsError::Format`] about `path`.
    #[expect(clippy::needless_pass_by_value, reason = "errors are given as `map_err` has them")]
    pub fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format { file: path.display().to_string(), reason: reason.to_string() }
    }
}

/// How a tensor that is being trained from nothing begins.
#[derive(Clone, Copy, Debug)]
pub enum Init {
    /// Normal with this standard deviation, mean 0.
    Normal(f64),
    /// The same number everywhere.
    Constant(f64),
    /// 0, 1, 2, … in row-major order.
    Ramp,
}

/// How the keys end of tensors that nets keep but do not learn: the statistics of batch norms, and
/// the bin numbers in YOLO's head.
const BUFFERS: [&str; 3] = ["running_mean", "running_var", "dfl.conv.weight"];

/// Every tensor of a checkpoint, in the kind it was stored in, or a growing set of new variables.
#[derive(Debug)]
pub struct Weights {
    file: String,
    tensors: RefCell<BTreeMap<String, Tensor>>,
    taken: RefCell<BTreeSet<String>>,
    /// Free text beside the tensors: the `__metadata__` of safetensors, such as class names.
    metadata: BTreeMap<String, String>,
    /// Set where tensors are made on demand, for training.
    initialising: bool,
    device: Device,
    /// See [`Weights::checksum`].
    checksum: String,
}

impl Weights {
    /// Reads one `.safetensors` file.
    pub fn open_safetensors(path: &Path) -> Result<Self, WeightsError> {
        let Contents { tensors, metadata, checksum } = read_safetensors(path)?;
        let weights = Self::from_tensors(path.display().to_string(), tensors);
        Ok(Self { metadata, checksum, ..weights })
    }

    /// Reads `model.safetensors`, or the shards named in `model.safetensors.index.json`, of a
    /// Hugging Face model folder.
    pub fn open_folder(folder: &Path) -> Result<Self, WeightsError> {
        let files = weight_files(folder)?;
        if let (1, Some(single)) = (files.len(), files.first()) {
            return Self::open_safetensors(single);
        }
        let (mut tensors, mut checksums) = (BTreeMap::new(), Sha256::new());
        for shard in files {
            let contents = read_safetensors(&shard)?;
            if let Some(key) = contents.tensors.keys().find(|key| tensors.contains_key(*key)) {
                let reason = format!("weight '{key}' is in another shard too");
                return Err(WeightsError::format(&shard, reason));
            }
            tensors.extend(contents.tensors);
            checksums.update(contents.checksum);
        }
        let weights = Self::from_tensors(folder.display().to_string(), tensors);
        Ok(Self { checksum: hexadecimal(checksums), ..weights })
    }

    /// Tensors that were read elsewhere; `file` names them in errors.
    pub fn from_tensors(file: String, tensors: BTreeMap<String, Tensor>) -> Self {
        Self {
            file,
            tensors: RefCell::new(tensors),
            taken: RefCell::default(),
            metadata: BTreeMap::new(),
            initialising: false,
            device: Device::Cpu,
            checksum: String::new(),
        }
    }

    /// No tensors yet: each is made, f32 and trainable, when a net first asks for it. Seed with
    /// [`tch::manual_seed`] before.
    pub fn initialise(device: Device) -> Self {
        Self {
            file: "new weights".to_owned(),
            tensors: RefCell::default(),
            taken: RefCell::default(),
            metadata: BTreeMap::new(),
            initialising: true,
            device,
            checksum: String::new(),
        }
    }

    /// Makes every tensor but the buffers trainable f32 on `device` (to go on training a
    /// checkpoint).
    pub fn make_trainable(&mut self, device: Device) {
        for (key, tensor) in self.tensors.borrow_mut().iter_mut() {
            let buffer = BUFFERS.iter().any(|end| key.ends_with(end));
            let trainable = tensor.is_floating_point() && !buffer;
            *tensor = tensor.to_device(device).to_kind(Kind::Float).set_requires_grad(trainable);
        }
    }

    /// The root of the key tree, giving tensors of `kind` on `device`.
    pub fn root(&self, device: Device, kind: Kind) -> Scope<'_> {
        Scope { weights: self, prefix: String::new(), device, kind }
    }

    /// Free text beside the tensors: the `__metadata__` of safetensors, such as class names.
    pub fn metadata(&self) -> &BTreeMap<String, String> {
        &self.metadata
    }

    /// Sets free text that [`Weights::save_safetensors`] writes beside the tensors.
    pub fn set_metadata(&mut self, key: impl Into<String>, value: impl Into<String>) {
        self.metadata.insert(key.into(), value.into());
    }

    /// SHA-256 of the file, hexadecimal; of shards, that of their checksums in order of their
    /// names. Empty where the weights come from no safetensors file.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// The checkpoint's file or folder, for messages.
    pub fn file(&self) -> &str {
        &self.file
    }

    /// The shape of the tensor at `key`.
    pub fn shape(&self, key: &str) -> Result<Vec<i64>, WeightsError> {
        let missing = || WeightsError::Missing { file: self.file.clone(), key: key.to_owned() };
        self.tensors.borrow().get(key).map(Tensor::size).ok_or_else(missing)
    }

    /// Numbers in all tensors together.
    pub fn parameters(&self) -> usize {
        self.tensors.borrow().values().map(Tensor::numel).sum()
    }

    /// Whether the checkpoint has this key.
    pub fn has(&self, key: &str) -> bool {
        self.tensors.borrow().contains_key(key)
    }

    /// Every key with its tensor, in key order; tensors share storage with this checkpoint.
    pub fn tensors(&self) -> Vec<(String, Tensor)> {
        self.tensors.borrow().iter().map(|(key, t)| (key.clone(), t.shallow_clone())).collect()
    }

    /// Errors when a tensor was never taken, except those that `ignored` accepts (buffers that
    /// older exporters wrote, such as `position_ids`).
    pub fn finish(&self, ignored: impl Fn(&str) -> bool) -> Result<(), WeightsError> {
        let (tensors, taken) = (self.tensors.borrow(), self.taken.borrow());
        let surplus: Vec<&String> =
            tensors.keys().filter(|key| !taken.contains(*key) && !ignored(key)).collect();
        match surplus.first() {
            None => Ok(()),
            Some(first) => Err(WeightsError::Surplus {
                file: self.file.clone(),
                count: surplus.len(),
                first: (*first).clone(),
            }),
        }
    }

    /// Writes every floating-point tensor in `kind` (f32, f16 or bf16) to a `.safetensors` file.
    pub fn save_safetensors(&self, path: &Path, kind: Kind) -> Result<(), WeightsError> {
        let error = |e: &dyn ToString| WeightsError::format(path, e.to_string());
        let floats =
            [(Kind::Half, Dtype::F16), (Kind::BFloat16, Dtype::BF16), (Kind::Float, Dtype::F32)];
        let (_, dtype) = floats.into_iter().find(|(known, _)| *known == kind).ok_or_else(|| {
            error(&format!("cannot be written as {kind:?}, only as f32, f16 or bf16"))
        })?;
        let mut views = Vec::new();
        for (key, tensor) in self.tensors() {
            if !tensor.is_floating_point() {
                continue;
            }
            let tensor = tensor.detach().to_device(Device::Cpu).to_kind(kind).contiguous();
            let shape: Vec<usize> = tensor.size().iter().map(|&side| side as usize).collect();
            let mut data = vec![0; tensor.numel() * tensor.kind().elt_size_in_bytes()];
            tensor.f_copy_data_u8(&mut data, tensor.numel()).map_err(|e| error(&e))?;
            views.push((key, OwnedView { dtype, shape, data }));
        }
        let metadata =
            (!self.metadata.is_empty()).then(|| self.metadata.clone().into_iter().collect());
        safetensors::serialize_to_file(views, metadata, path).map_err(|e| error(&e))
    }

    fn take(&self, key: &str, shape: &[i64], init: Init) -> Result<Tensor, WeightsError> {
        self.taken.borrow_mut().insert(key.to_owned());
        let mut tensors = self.tensors.borrow_mut();
        if self.initialising && !tensors.contains_key(key) {
            let new = Tensor::empty(shape, (Kind::Float, self.device));
            let mut new = tch::no_grad(|| match init {
                Init::Normal(std) => new.randn_like() * std,
                Init::Constant(value) => new.full_like(value),
                Init::Ramp => {
                    let count = shape.iter().product::<i64>();
                    Tensor::arange(count, (Kind::Float, self.device)).view(shape)
                }
            });
            new = new.set_requires_grad(true);
            tensors.insert(key.to_owned(), new);
        }
        let Some(tensor) = tensors.get(key) else {
            return Err(WeightsError::Missing { file: self.file.clone(), key: key.to_owned() });
        };
        if tensor.size() != shape {
            return Err(WeightsError::Shape {
                file: self.file.clone(),
                key: key.to_owned(),
                got: tensor.size(),
                expected: shape.to_vec(),
            });
        }
        if !tensor.is_floating_point() {
            return Err(WeightsError::Type {
                file: self.file.clone(),
                key: key.to_owned(),
                got: tensor.kind(),
            });
        }
        Ok(tensor.shallow_clone())
    }
}

/// One level of the key tree: `scope.at("vision_model").at("post_layernorm")`.
#[derive(Clone, Debug)]
pub struct Scope<'a> {
    weights: &'a Weights,
    prefix: String,
    device: Device,
    kind: Kind,
}

impl<'a> Scope<'a> {
    /// The subtree below `name`.
    #[must_use]
    pub fn at(&self, name: impl std::fmt::Display) -> Scope<'a> {
        let prefix = format!("{}{name}.", self.prefix);
        Scope { prefix, ..self.clone() }
    }

    /// The same place, giving tensors of another kind.
    #[must_use]
    pub fn with_kind(&self, kind: Kind) -> Scope<'a> {
        Scope { kind, ..self.clone() }
    }

    /// The kind in which tensors are given.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// Whether the checkpoint has `name` at this place.
    pub fn has(&self, name: &str) -> bool {
        self.weights.has(&format!("{}{name}", self.prefix))
    }

    /// Whether tensors are made on demand, for training.
    pub fn is_initialising(&self) -> bool {
        self.weights.initialising
    }

    /// The tensor `name` of exactly `shape`; `init` says how it begins when trained from nothing.
    pub fn tensor(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, WeightsError> {
        let tensor = self.weights.take(&format!("{}{name}", self.prefix), shape, init)?;
        Ok(tensor.to_device(self.device).to_kind(self.kind))
    }

    /// Like [`Scope::tensor`], of a tensor that is kept but not learnt. Where device and kind are
    /// the checkpoint's, writing into it changes the checkpoint.
    pub fn buffer(&self, name: &str, shape: &[i64], init: Init) -> Result<Tensor, WeightsError> {
        let tensor = self.weights.take(&format!("{}{name}", self.prefix), shape, init)?;
        let tensor = tensor.set_requires_grad(false);
        Ok(tensor.to_device(self.device).to_kind(self.kind))
    }
}
