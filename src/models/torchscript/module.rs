//! A module in memory: loaded on a device, run on tensors, its outputs held against the manifest.

use std::fs;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};
use tch::{CModule, Device, IValue, TchError, Tensor};
use thiserror::Error;

use super::{Manifest, TorchScriptError};

/// What libtorch writes where a device, not an input, is at fault.
const DEVICE_FAULTS: [&str; 4] = ["CUDA error", "CUDA out of memory", "CUBLAS", "cuDNN error"];

/// Why a run gave no outputs.
#[derive(Clone, Debug, Error, PartialEq)]
pub enum ForwardError {
    /// The module does not take these inputs, or gave what its manifest does not say.
    #[error("{0}")]
    Input(String),
    /// The device failed.
    #[error("{0}")]
    Device(String),
}

impl From<TchError> for ForwardError {
    /// libtorch's own words, without its stack.
    fn from(error: TchError) -> Self {
        let text = error.to_string();
        let reason = first_words(&text);
        if DEVICE_FAULTS.iter().any(|fault| text.contains(fault)) {
            Self::Device(reason)
        } else {
            Self::Input(reason)
        }
    }
}

/// A module on disk, and what its manifest says.
#[derive(Clone, Debug)]
pub struct TorchScriptCheckpoint {
    path: PathBuf,
    checksum: String,
    /// Its tensors.
    pub manifest: Manifest,
}

impl TorchScriptCheckpoint {
    /// Checks the manifest and reads the module's checksum; loads nothing.
    pub fn open(path: &Path, manifest: Manifest) -> Result<Self, TorchScriptError> {
        manifest.check().map_err(|reason| TorchScriptError::Manifest {
            path: path.display().to_string(),
            reason,
        })?;
        let (_, checksum) = read(path)?;
        Ok(Self { path: path.to_owned(), checksum, manifest })
    }

    /// SHA-256 of the module's file, hexadecimal.
    pub fn checksum(&self) -> &str {
        &self.checksum
    }

    /// Loads the module. An error too where the file is no longer the one that was opened: a
    /// replica built anew must answer as the first one did.
    pub fn build(&self, device: Device) -> Result<Module, TorchScriptError> {
        let (bytes, checksum) = read(&self.path)?;
        let path = self.path.display().to_string();
        if checksum != self.checksum {
            let reason = "has changed since it was opened; load it anew".to_owned();
            return Err(TorchScriptError::File { path, reason });
        }
        let loaded = CModule::load_data_on_device(&mut bytes.as_slice(), device);
        let loaded = loaded.and_then(|mut module| module.f_set_eval().map(|()| module));
        let module = loaded.map_err(|error| TorchScriptError::Module {
            path,
            reason: first_words(&error.to_string()),
        })?;
        Ok(Module { net: module, manifest: self.manifest.clone(), device })
    }
}

fn read(path: &Path) -> Result<(Vec<u8>, String), TorchScriptError> {
    let bytes = fs::read(path).map_err(|error| TorchScriptError::File {
        path: path.display().to_string(),
        reason: error.to_string(),
    })?;
    let checksum = format!("{:x}", Sha256::digest(&bytes));
    Ok((bytes, checksum))
}

/// A module on its device.
#[derive(Debug)]
pub struct Module {
    net: CModule,
    manifest: Manifest,
    device: Device,
}

impl Module {
    /// Its tensors.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Runs the module once. `inputs` are as the manifest says, on any device; so are the outputs,
    /// contiguous on the CPU, with `rows` rows where the module is batched.
    pub fn forward(&self, inputs: &[Tensor], rows: usize) -> Result<Vec<Tensor>, ForwardError> {
        tch::no_grad(|| {
            let moved = inputs.iter().map(|input| input.f_to_device(self.device));
            let moved: Vec<Tensor> = moved.collect::<Result<_, TchError>>()?;
            let moved: Vec<IValue> = moved.into_iter().map(IValue::Tensor).collect();
            let outputs = tensors(self.net.forward_is(&moved)?)?;
            self.check(&outputs, rows)?;
            let host = outputs.iter().map(|output| output.f_to_device(Device::Cpu)?.f_contiguous());
            Ok(host.collect::<Result<_, TchError>>()?)
        })
    }

    /// Holds outputs against the manifest.
    fn check(&self, outputs: &[Tensor], rows: usize) -> Result<(), ForwardError> {
        let expected = &self.manifest.outputs;
        if outputs.len() != expected.len() {
            return Err(ForwardError::Input(format!(
                "the module gave {} outputs, its manifest has {}",
                outputs.len(),
                expected.len()
            )));
        }
        for (spec, output) in expected.iter().zip(outputs) {
            let shape: Vec<usize> = output.size().iter().map(|side| *side as usize).collect();
            let inner = match (self.manifest.is_batched(), shape.split_first()) {
                (false, _) => Some(shape.as_slice()),
                (true, Some((first, inner))) if *first == rows => Some(inner),
                (true, _) => None,
            };
            let kind = output.f_kind()?;
            if Some(kind) != spec.datatype.kind() || !inner.is_some_and(|inner| spec.fits(inner)) {
                let batch = if self.manifest.is_batched() {
                    format!(" after a batch of {rows}")
                } else {
                    String::new()
                };
                return Err(ForwardError::Input(format!(
                    "the module gave output '{}' as {kind:?} {shape:?}, its manifest says \
                     {spec}{batch}",
                    spec.name
                )));
            }
        }
        Ok(())
    }
}

/// A module's answer as a list: a tensor, a tuple or a list of tensors.
fn tensors(value: IValue) -> Result<Vec<Tensor>, ForwardError> {
    let values = if let IValue::Tuple(values) | IValue::GenericList(values) = value {
        values
    } else if let IValue::TensorList(tensors) = value {
        return Ok(tensors);
    } else {
        vec![value]
    };
    let tensor = |value: IValue| {
        let reason = "the module gave something else than a tensor or several";
        Tensor::try_from(value).map_err(|_| ForwardError::Input(reason.to_owned()))
    };
    values.into_iter().map(tensor).collect()
}

/// What libtorch's exceptions say before their stacks of C++ frames; at most 500 letters.
fn first_words(text: &str) -> String {
    let end = text.find("\nException raised from").unwrap_or(text.len());
    let lines = text[..end].lines().map(str::trim).filter(|line| !line.is_empty());
    lines.collect::<Vec<_>>().join(" ").chars().take(500).collect()
}
