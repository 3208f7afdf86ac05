//! Loading libtorch's CUDA libraries, settling its threads and releasing its memory. The only room with `unsafe`.
//!
//! Imports: nothing.

mod cuda;
mod devices;
mod end;
mod memory;
mod threads;

pub use cuda::load_cuda;
pub use devices::{DeviceChoice, device_name};
pub use end::end_process;
pub use memory::release_memory;
pub use threads::{set_threads, settle_threads};

/// Why libtorch cannot be used as asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LibtorchError {
    /// A device list does not parse.
    #[error("device '{0}' is unknown; use auto, cpu, cuda, cuda:0 or a list such as cuda:0,cuda:1")]
    UnknownDevice(String),
    /// No CUDA libraries, or they do not load.
    #[error("CUDA is not usable: {0}")]
    Cuda(String),
    /// The machine has fewer GPUs.
    #[error("device cuda:{index} is not there: {count} found, the first is cuda:0")]
    NoSuchGpu {
        /// The index asked for.
        index: usize,
        /// How many GPUs libtorch sees.
        count: usize,
    },
}
