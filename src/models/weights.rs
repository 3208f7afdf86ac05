//! The parameters of one checkpoint, handed to nets by key.
//!
//! A net takes each tensor by its checkpoint key and expected shape; [`Weights::finish`] then tells
//! which keys nobody took. So a missing, surplus or misshapen weight is an error that names it.
//! The same nets train: [`Weights::initialise`] makes each tensor as it is asked for.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest, Sha256};
use tch::{Device, Kind, Tensor};
use thiserror::Error;

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
        let single = folder.join("model.safetensors");
        if single.is_file() {
            return Self::open_safetensors(&single);
        }
        let (mut tensors, mut checksums) = (BTreeMap::new(), Sha256::new());
        for shard in shards(folder)? {
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
        let dtype = match kind {
            Kind::Half => Dtype::F16,
            Kind::BFloat16 => Dtype::BF16,
            _ => Dtype::F32,
        };
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

/// The shard files of a folder, from its index, each once.
fn shards(folder: &Path) -> Result<BTreeSet<PathBuf>, WeightsError> {
    let index = folder.join("model.safetensors.index.json");
    if !index.is_file() {
        let reason = "holds neither model.safetensors nor model.safetensors.index.json";
        return Err(WeightsError::format(folder, reason));
    }
    let text = std::fs::read_to_string(&index).map_err(|e| WeightsError::format(&index, e))?;
    let json: serde_json::Value =
        serde_json::from_str(&text).map_err(|e| WeightsError::format(&index, e))?;
    let map = json["weight_map"]
        .as_object()
        .ok_or_else(|| WeightsError::format(&index, "has no 'weight_map' object"))?;
    map.values()
        .map(|name| match name.as_str() {
            // A shard is a plain file name: an index must not reach outside its folder.
            Some(name) if !name.contains('/') && name.ends_with(".safetensors") => {
                Ok(folder.join(name))
            }
            _ => Err(WeightsError::format(&index, format!("bad shard name {name}"))),
        })
        .collect()
}

/// One tensor on its way to a file.
struct OwnedView {
    dtype: Dtype,
    shape: Vec<usize>,
    data: Vec<u8>,
}

impl safetensors::View for OwnedView {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        Cow::Borrowed(&self.data)
    }

    fn data_len(&self) -> usize {
        self.data.len()
    }
}

/// What one safetensors file holds.
struct Contents {
    tensors: BTreeMap<String, Tensor>,
    /// The free text beside them.
    metadata: BTreeMap<String, String>,
    /// SHA-256 of the file, hexadecimal.
    checksum: String,
}

/// Reads a file tensor by tensor, so that the peak is one copy of the weights.
fn read_safetensors(path: &Path) -> Result<Contents, WeightsError> {
    let error = |reason: String| WeightsError::format(path, reason);
    let mut file = File::open(path).map_err(|e| error(e.to_string()))?;
    let mut checksum = Sha256::new();
    let header = read_header(&mut file, &mut checksum).map_err(error)?;
    let mut tensors = BTreeMap::new();
    // In the file's order, and without gaps, so the checksum is the whole file's.
    for key in header.offset_keys() {
        let info = header.info(&key).expect("the header lists its own keys");
        let kind = kind_of(info.dtype)
            .ok_or_else(|| error(format!("weight '{key}' has type {:?}", info.dtype)))?;
        let shape: Vec<i64> = info.shape.iter().map(|&side| side as i64).collect();
        let mut data = vec![0; info.data_offsets.1 - info.data_offsets.0];
        file.read_exact(&mut data).map_err(|e| error(format!("weight '{key}': {e}")))?;
        checksum.update(&data);
        let tensor = Tensor::f_from_data_size(&data, &shape, kind)
            .map_err(|e| error(format!("weight '{key}': {e}")))?;
        tensors.insert(key, tensor);
    }
    let free_text = header.metadata().iter().flatten();
    let metadata = free_text.map(|(key, value)| (key.clone(), value.clone())).collect();
    Ok(Contents { tensors, metadata, checksum: hexadecimal(checksum) })
}

/// The header: where each tensor lies. Nothing is allocated for a length that the file has not.
pub(super) fn read_header(file: &mut File, checksum: &mut Sha256) -> Result<Metadata, String> {
    const LIMIT_BYTES: u64 = 100_000_000;
    let length = file.metadata().map_err(|e| e.to_string())?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix)
        .map_err(|_| format!("is {length} bytes, too short for safetensors"))?;
    let header = u64::from_le_bytes(prefix);
    if header > LIMIT_BYTES || header + 8 > length {
        return Err(format!("header is stated as {header} bytes, the file has {length}"));
    }
    let mut head = vec![0; header as usize];
    file.read_exact(&mut head).map_err(|e| e.to_string())?;
    checksum.update(prefix);
    checksum.update(&head);
    // The crate refuses tensors that overlap, leave gaps or do not fit their shapes.
    let metadata: Metadata = serde_json::from_slice(&head).map_err(|e| format!("header: {e}"))?;
    let expected = 8 + header + metadata.data_len() as u64;
    if expected != length {
        return Err(format!("is {length} bytes, its header describes {expected}"));
    }
    Ok(metadata)
}

/// SHA-256 of a file, hexadecimal.
pub(super) fn file_checksum(path: &Path) -> Result<String, WeightsError> {
    let mut file = File::open(path).map_err(|e| WeightsError::format(path, e))?;
    let mut checksum = Sha256::new();
    std::io::copy(&mut file, &mut checksum).map_err(|e| WeightsError::format(path, e))?;
    Ok(hexadecimal(checksum))
}

fn hexadecimal(checksum: Sha256) -> String {
    checksum.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn kind_of(dtype: Dtype) -> Option<Kind> {
    const KINDS: [(Dtype, Kind); 9] = [
        (Dtype::F64, Kind::Double),
        (Dtype::F32, Kind::Float),
        (Dtype::F16, Kind::Half),
        (Dtype::BF16, Kind::BFloat16),
        (Dtype::I64, Kind::Int64),
        (Dtype::I32, Kind::Int),
        (Dtype::I16, Kind::Int16),
        (Dtype::I8, Kind::Int8),
        (Dtype::U8, Kind::Uint8),
    ];
    KINDS.iter().find(|(known, _)| *known == dtype).map(|(_, kind)| *kind)
}
