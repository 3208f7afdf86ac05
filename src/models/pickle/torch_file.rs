//! A `.pt` file: a zip archive with the pickle `data.pkl` and a file for each storage,
//! `data/N` (`PyTorch`'s `torch/csrc/jit/serialization/docs` and `torch/serialization.py`).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::Path;

use tch::{Kind, Tensor};
use zip::ZipArchive;

use super::{Id, Limits, Pickle, shown};
use crate::models::weights::WeightsError;

/// Longest dotted key of a tensor.
const KEY_BYTES: usize = 256;

/// An open `.pt` file. Storages are read when a tensor needs them.
pub struct TorchFile {
    file: String,
    pickle: Pickle,
    archive: Archive,
    /// Name of the folder within the archive, with its slash.
    folder: String,
    /// Storages that were read, each one-dimensional.
    storages: BTreeMap<String, Tensor>,
    storage_bytes: u64,
    limits: Limits,
}

impl TorchFile {
    /// Reads the archive's index and its pickle.
    pub fn open(path: &Path, limits: &Limits) -> Result<Self, WeightsError> {
        let error = |reason: String| WeightsError::format(path, reason);
        let file = File::open(path).map_err(|e| error(e.to_string()))?;
        let file_bytes = file.metadata().map_err(|e| error(e.to_string()))?.len();
        let files = ZipArchive::new(BufReader::new(file))
            .map_err(|e| error(format!("is no zip archive, as torch.save writes: {e}")))?;
        let mut archive = Archive { files, file_bytes, limits: *limits };
        let entries = archive.files.len();
        if entries > limits.entries {
            return Err(error(format!("holds {entries} files, limit {}", limits.entries)));
        }
        let is_pickle = |name: &&str| name.strip_suffix("/data.pkl").is_some_and(is_plain);
        let found: Vec<&str> = archive.files.file_names().filter(is_pickle).collect();
        let [name] = found[..] else {
            return Err(error(format!("holds {} files NAME/data.pkl, must be one", found.len())));
        };
        let folder = name.trim_end_matches("data.pkl").to_owned();
        let name = name.to_owned();
        let bytes = archive.read(&name, limits.pickle_bytes).map_err(error)?;
        let order = format!("{folder}byteorder");
        if archive.files.index_for_name(&order).is_some() {
            let order = archive.read(&order, 64).map_err(error)?;
            if order != b"little" {
                return Err(error("its numbers are not little-endian".to_owned()));
            }
        }
        let pickle = Pickle::read(&bytes, limits).map_err(error)?;
        Ok(Self {
            file: path.display().to_string(),
            pickle,
            archive,
            folder,
            storages: BTreeMap::new(),
            storage_bytes: 0,
            limits: *limits,
        })
    }

    /// What the file stands for.
    pub fn pickle(&self) -> &Pickle {
        &self.pickle
    }

    /// An error about this file.
    pub fn error(&self, reason: String) -> WeightsError {
        WeightsError::Format { file: self.file.clone(), reason }
    }

    /// The parameters and buffers of a module and all modules within it, by dotted key.
    pub fn module(&mut self, root: Id) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        self.walk(root).map_err(|reason| self.error(reason))
    }

    /// The tensors of a dictionary of tensors, by key.
    pub fn state_dict(&mut self, root: Id) -> Result<BTreeMap<String, Tensor>, WeightsError> {
        let mut tensors = BTreeMap::new();
        self.collect(root, "", &mut tensors).map_err(|reason| self.error(reason))?;
        Ok(tensors)
    }

    fn walk(&mut self, root: Id) -> Result<BTreeMap<String, Tensor>, String> {
        let mut tensors = BTreeMap::new();
        let mut waiting = vec![(String::new(), root, 0)];
        // A module may be shared, so that a small file could hold an endless tree.
        let mut visited = 0;
        while let Some((prefix, module, depth)) = waiting.pop() {
            visited += 1;
            if visited + tensors.len() > self.limits.modules {
                let limit = self.limits.modules;
                return Err(format!("holds more modules and tensors than the limit {limit}"));
            }
            if depth > self.limits.module_depth {
                let limit = self.limits.module_depth;
                return Err(format!("modules are nested deeper than the limit {limit}"));
            }
            for part in ["_parameters", "_buffers"] {
                let tensors_of = self.part(module, part, &prefix)?;
                self.collect(tensors_of, &prefix, &mut tensors)?;
            }
            let children = self.part(module, "_modules", &prefix)?;
            for (name, child) in self.named(children, &prefix)? {
                waiting.push((format!("{name}."), child, depth + 1));
            }
        }
        Ok(tensors)
    }

    /// A dictionary that every module has.
    fn part(&self, module: Id, part: &str, prefix: &str) -> Result<Id, String> {
        self.pickle.attribute(module, part).ok_or_else(|| {
            let what = self.pickle.describe(module);
            format!("'{}' is {what} without {part}, not a module", shown(prefix))
        })
    }

    /// The entries of a dictionary that are not None, by dotted key.
    fn named(&self, dictionary: Id, prefix: &str) -> Result<Vec<(String, Id)>, String> {
        let pairs = self.pickle.pairs(dictionary).ok_or_else(|| {
            let what = self.pickle.describe(dictionary);
            format!("'{}' holds {what} where a dictionary should be", shown(prefix))
        })?;
        let mut named = Vec::new();
        for (key, value) in pairs {
            let Some(name) = self.pickle.text(*key) else {
                return Err(format!("'{}' has a key that is no text", shown(prefix)));
            };
            if prefix.len() + name.len() > KEY_BYTES {
                return Err(format!("a key is longer than the limit of {KEY_BYTES} bytes"));
            }
            if *self.pickle.get(*value) != super::Value::None {
                named.push((format!("{prefix}{name}"), *value));
            }
        }
        Ok(named)
    }

    fn collect(
        &mut self,
        dictionary: Id,
        prefix: &str,
        tensors: &mut BTreeMap<String, Tensor>,
    ) -> Result<(), String> {
        for (key, value) in self.named(dictionary, prefix)? {
            let tensor =
                self.tensor(value).map_err(|reason| format!("'{}' {reason}", shown(&key)))?;
            if tensors.len() >= self.limits.modules {
                return Err(format!("holds more tensors than the limit {}", self.limits.modules));
            }
            tensors.insert(key, tensor);
        }
        Ok(())
    }

    /// The tensor that a recorded call of `PyTorch`'s own rebuilding functions stands for.
    fn tensor(&mut self, id: Id) -> Result<Tensor, String> {
        let not_a_tensor = || format!("is {}, not a tensor", self.pickle.describe(id));
        let mut object = self.pickle.object(id).ok_or_else(not_a_tensor)?;
        let mut args = self.pickle.items(object.args).unwrap_or_default();
        if self.pickle.is_global(object.class, "torch._utils._rebuild_parameter") {
            let inner = args.first().and_then(|inner| self.pickle.object(*inner));
            object = inner.ok_or("is a parameter without a tensor")?;
            args = self.pickle.items(object.args).unwrap_or_default();
        }
        if !self.pickle.is_global(object.class, "torch._utils._rebuild_tensor_v2") {
            return Err(not_a_tensor());
        }
        let [storage, offset, size, stride, ..] = *args else {
            return Err("is rebuilt from too few arguments".to_owned());
        };
        let numbers = |id: Id| -> Option<Vec<i64>> {
            self.pickle.items(id)?.iter().map(|side| self.pickle.int(*side)).collect()
        };
        let view = View {
            offset: self.pickle.int(offset).ok_or("has no offset")?,
            size: numbers(size).ok_or("has no size")?,
            stride: numbers(stride).ok_or("has no strides")?,
        };
        let (key, kind, count) = self.storage_of(storage)?;
        view.check(count)?;
        let storage = self.storage(&key, kind, count)?;
        storage.f_as_strided(&view.size, &view.stride, view.offset).map_err(|e| e.to_string())
    }

    /// Key, kind and number of elements of a storage.
    fn storage_of(&self, id: Id) -> Result<(String, Kind, i64), String> {
        let super::Value::Persistent(id) = *self.pickle.get(id) else {
            return Err(format!("has {} for a storage", self.pickle.describe(id)));
        };
        let parts = self.pickle.items(id).unwrap_or_default();
        let [tag, class, key, _device, count] = *parts else {
            return Err("has a storage that is not described by five parts".to_owned());
        };
        if self.pickle.text(tag) != Some("storage") {
            return Err("has something other than a storage".to_owned());
        }
        let kind = STORAGES.iter().find(|(name, _)| self.pickle.is_global(class, name));
        let (_, kind) =
            kind.ok_or_else(|| format!("has {} for a storage", self.pickle.describe(class)))?;
        let key =
            self.pickle.text(key).filter(|key| is_plain(key)).ok_or("has a nameless storage")?;
        let count = self.pickle.int(count).filter(|count| *count >= 0);
        Ok((key.to_owned(), *kind, count.ok_or("has a storage of unknown length")?))
    }

    /// Reads a storage, once.
    fn storage(&mut self, key: &str, kind: Kind, count: i64) -> Result<Tensor, String> {
        if let Some(known) = self.storages.get(key) {
            if known.kind() != kind || known.size() != [count] {
                return Err(format!("storage {key} is described in two ways"));
            }
            return Ok(known.shallow_clone());
        }
        let bytes = (count as u64).saturating_mul(kind.elt_size_in_bytes() as u64);
        let left = self.limits.storage_bytes - self.storage_bytes;
        if bytes > left {
            let limit = self.limits.storage_bytes;
            return Err(format!(
                "needs {bytes} bytes of storage, {left} of limit {limit} are left"
            ));
        }
        let name = format!("{}data/{key}", self.folder);
        let data = self.archive.read(&name, bytes)?;
        if data.len() as u64 != bytes {
            return Err(format!("storage {key} has {} bytes, must be {bytes}", data.len()));
        }
        let tensor = Tensor::f_from_data_size(&data, &[count], kind).map_err(|e| e.to_string())?;
        self.storage_bytes += bytes;
        self.storages.insert(key.to_owned(), tensor.shallow_clone());
        Ok(tensor)
    }
}

/// The kinds of storages, by the class that stands for each.
const STORAGES: [(&str, Kind); 10] = [
    ("torch.HalfStorage", Kind::Half),
    ("torch.FloatStorage", Kind::Float),
    ("torch.BFloat16Storage", Kind::BFloat16),
    ("torch.DoubleStorage", Kind::Double),
    ("torch.LongStorage", Kind::Int64),
    ("torch.IntStorage", Kind::Int),
    ("torch.ShortStorage", Kind::Int16),
    ("torch.CharStorage", Kind::Int8),
    ("torch.ByteStorage", Kind::Uint8),
    ("torch.BoolStorage", Kind::Bool),
];

/// How a tensor lies in its storage, in elements.
#[derive(Clone, Debug)]
struct View {
    offset: i64,
    size: Vec<i64>,
    stride: Vec<i64>,
}

impl View {
    /// Whether every element lies within `count`, and there are no more of them than that.
    fn check(&self, count: i64) -> Result<(), String> {
        let Self { offset, size, stride } = self;
        let outside = || {
            format!("has offset {offset}, size {size:?}, strides {stride:?} in {count} elements")
        };
        let negative = |numbers: &[i64]| numbers.iter().any(|number| *number < 0);
        if size.len() > 8 || size.len() != stride.len() {
            return Err(format!("has {} sides and {} strides", size.len(), stride.len()));
        }
        if *offset < 0 || negative(size) || negative(stride) {
            return Err(outside());
        }
        if size.contains(&0) {
            return Ok(());
        }
        let elements = size.iter().try_fold(1i64, |all, side| all.checked_mul(*side));
        let last = size.iter().zip(stride).try_fold(*offset, |last, (side, stride)| {
            last.checked_add((side - 1).checked_mul(*stride)?)
        });
        let fits = |number: Option<i64>, limit: i64| number.is_some_and(|number| number <= limit);
        if fits(elements, count) && fits(last, count - 1) { Ok(()) } else { Err(outside()) }
    }
}

/// The files within a file.
struct Archive {
    files: ZipArchive<BufReader<File>>,
    /// Length of the whole.
    file_bytes: u64,
    limits: Limits,
}

impl Archive {
    /// Reads a file that may have at most `limit_bytes`, whatever its header says. Nothing is
    /// allocated for a length that the archive has not.
    fn read(&mut self, name: &str, limit_bytes: u64) -> Result<Vec<u8>, String> {
        let entry = self.files.by_name(name);
        let entry = entry.map_err(|e| format!("file '{}': {e}", shown(name)))?;
        let (size, packed) = (entry.size(), entry.compressed_size());
        if size > limit_bytes {
            return Err(format!("file '{}' has {size} bytes, limit {limit_bytes}", shown(name)));
        }
        if packed > self.file_bytes {
            let (name, whole) = (shown(name), self.file_bytes);
            return Err(format!(
                "file '{name}' claims {packed} packed bytes, the archive has {whole}"
            ));
        }
        // A page's worth is let through: small files of one byte repeated are harmless.
        if size > packed.saturating_mul(self.limits.expansion).saturating_add(4096) {
            let times = self.limits.expansion;
            return Err(format!("file '{}' unpacks to over {times} times its size", shown(name)));
        }
        let mut bytes = Vec::with_capacity(size as usize);
        let mut entry = entry.take(limit_bytes.saturating_add(1));
        entry.read_to_end(&mut bytes).map_err(|e| format!("file '{}': {e}", shown(name)))?;
        if bytes.len() as u64 > limit_bytes {
            return Err(format!("file '{}' has over {limit_bytes} bytes", shown(name)));
        }
        Ok(bytes)
    }
}

/// A name of one part.
fn is_plain(name: &str) -> bool {
    !name.is_empty() && !name.contains('/')
}
