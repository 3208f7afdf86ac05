//! Any net saved as TorchScript, run as it is: a module file, and a manifest that says which tensors
//! go in and come out.

mod datatype;
mod manifest;
mod module;

pub use datatype::{Datatype, UnknownDatatype};
pub use manifest::{Manifest, TensorSpec};
pub use module::{ForwardError, Module, TorchScriptCheckpoint};

use thiserror::Error;

/// Why a module cannot be served.
#[derive(Debug, Error)]
pub enum TorchScriptError {
    /// A file cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// The file.
        path: String,
        /// What the system said.
        reason: String,
    },
    /// The manifest is wrong.
    #[error("manifest of {path}: {reason}")]
    Manifest {
        /// The module's file.
        path: String,
        /// What is wrong, with the value and the limit.
        reason: String,
    },
    /// libtorch does not take the module.
    #[error("{path} is no TorchScript module: {reason}")]
    Module {
        /// The module's file.
        path: String,
        /// The first line of what libtorch said.
        reason: String,
    },
}
