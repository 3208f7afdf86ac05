//! `.safetensors` files on disk: which a folder has, what they hold, their checksums.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::Dtype;
use safetensors::tensor::Metadata;
use sha2::{Digest, Sha256};
use tch::{Kind, Tensor};

use super::weights::WeightsError;

/// The weight files of a Hugging Face model folder: `model.safetensors`, or else the shards that its
/// index names, each once.
pub(super) fn weight_files(folder: &Path) -> Result<BTreeSet<PathBuf>, WeightsError> {
    let single = folder.join("model.safetensors");
    if single.is_file() {
        return Ok(BTreeSet::from([single]));
    }
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
pub(super) struct OwnedView {
    pub(super) dtype: Dtype,
    pub(super) shape: Vec<usize>,
    pub(super) data: Vec<u8>,
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
pub(super) struct Contents {
    pub(super) tensors: BTreeMap<String, Tensor>,
    /// The free text beside them.
    pub(super) metadata: BTreeMap<String, String>,
    /// SHA-256 of the file, hexadecimal.
    pub(super) checksum: String,
}

/// Reads a file tensor by tensor, so that the peak is one copy of the weights.
pub(super) fn read_safetensors(path: &Path) -> Result<Contents, WeightsError> {
    let error = |reason: String| WeightsError::format(path, reason);
    let (mut file, Header { bytes, metadata: header }) = read_header(path)?;
    let mut checksum = Sha256::new();
    checksum.update(bytes);
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

/// What stands before the tensors.
pub(super) struct Header {
    /// The header as it is in the file, its length first.
    bytes: Vec<u8>,
    /// Where each tensor lies.
    pub(super) metadata: Metadata,
}

/// A file's header, and the file at the first tensor. Nothing is allocated for a length that the
/// file has not.
pub(super) fn read_header(path: &Path) -> Result<(File, Header), WeightsError> {
    const LIMIT_BYTES: u64 = 100_000_000;
    let error = |reason: String| WeightsError::format(path, reason);
    let mut file = File::open(path).map_err(|e| error(e.to_string()))?;
    let length = file.metadata().map_err(|e| error(e.to_string()))?.len();
    let mut prefix = [0; 8];
    file.read_exact(&mut prefix)
        .map_err(|_| error(format!("is {length} bytes, too short for safetensors")))?;
    let header = u64::from_le_bytes(prefix);
    if header > LIMIT_BYTES || header + 8 > length {
        return Err(error(format!("header is stated as {header} bytes, the file has {length}")));
    }
    let mut bytes = vec![0; 8 + header as usize];
    bytes[..8].copy_from_slice(&prefix);
    file.read_exact(&mut bytes[8..]).map_err(|e| error(e.to_string()))?;
    // The crate refuses tensors that overlap, leave gaps or do not fit their shapes.
    let metadata: Metadata =
        serde_json::from_slice(&bytes[8..]).map_err(|e| error(format!("header: {e}")))?;
    let expected = 8 + header + metadata.data_len() as u64;
    if expected != length {
        return Err(error(format!("is {length} bytes, its header describes {expected}")));
    }
    Ok((file, Header { bytes, metadata }))
}

/// [`super::weights::Weights::checksum`] of these files, without reading them as tensors.
pub(super) fn files_checksum(files: &BTreeSet<PathBuf>) -> Result<String, WeightsError> {
    if let (1, Some(single)) = (files.len(), files.first()) {
        return file_checksum(single);
    }
    let mut checksums = Sha256::new();
    for file in files {
        checksums.update(file_checksum(file)?);
    }
    Ok(hexadecimal(checksums))
}

/// SHA-256 of a file, hexadecimal.
pub(super) fn file_checksum(path: &Path) -> Result<String, WeightsError> {
    let mut file = File::open(path).map_err(|e| WeightsError::format(path, e))?;
    let mut checksum = Sha256::new();
    std::io::copy(&mut file, &mut checksum).map_err(|e| WeightsError::format(path, e))?;
    Ok(hexadecimal(checksum))
}

pub(super) fn hexadecimal(checksum: Sha256) -> String {
    format!("{:x}", checksum.finalize())
}

pub(super) fn kind_of(dtype: Dtype) -> Option<Kind> {
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

/// Whether elements of this type are floating-point numbers that tensors can have.
pub(super) fn is_float(dtype: Dtype) -> bool {
    [Dtype::F64, Dtype::F32, Dtype::F16, Dtype::BF16].contains(&dtype)
}
