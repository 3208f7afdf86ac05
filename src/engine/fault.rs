//! What goes wrong on a device: told by an error or a panic, sorted by what the worker does next.

use std::any::Any;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};

use super::{DeviceError, EngineError};

/// Why a batch failed as a whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    /// It did not fit the device's memory; a smaller one may.
    Memory(String),
    /// The device or the model reported an error.
    Device(String),
    /// The model panicked.
    Panicked(String),
}

impl Failure {
    /// What the batch's items are answered where they are not tried again.
    pub(super) fn answer(&self) -> EngineError {
        match self {
            Self::Memory(reason) | Self::Device(reason) => EngineError::Device(reason.clone()),
            Self::Panicked(reason) => EngineError::Panicked(reason.clone()),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Memory(reason) | Self::Device(reason) => write!(formatter, "{reason}"),
            Self::Panicked(reason) => write!(formatter, "panicked: {reason}"),
        }
    }
}

/// Runs a model's own code and lets no panic out.
pub(super) fn guard<T>(code: impl FnOnce() -> Result<T, DeviceError>) -> Result<T, Failure> {
    match catch_unwind(AssertUnwindSafe(code)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) if error.is_out_of_memory() => Err(Failure::Memory(error.0)),
        Ok(Err(DeviceError(reason))) => Err(Failure::Device(reason)),
        Err(panic) => {
            // The bindings of libtorch panic where it throws.
            let error = DeviceError(panic_text(panic));
            let memory = error.is_out_of_memory();
            Err(if memory { Failure::Memory(error.0) } else { Failure::Panicked(error.0) })
        }
    }
}

/// Drops a model; one that panicked may panic again as it goes.
pub(super) fn discard<M>(model: M) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(model))) {
        tracing::error!(reason = panic_text(panic), "model panicked while it was dropped");
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            panic.downcast_ref::<&str>().map_or_else(|| "no reason given".into(), |s| (*s).into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_memory_is_told_from_other_failures() {
        let check = |reason: &str, memory: bool| {
            let told = guard::<()>(|| Err(DeviceError(reason.to_owned()))).unwrap_err();
            assert_eq!(matches!(told, Failure::Memory(_)), memory, "{reason}");
            let thrown = guard::<()>(|| panic!("{reason}")).unwrap_err();
            assert_eq!(matches!(thrown, Failure::Memory(_)), memory, "{reason}");
        };
        check(
            "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of",
            true,
        );
        check("CUDA error: out of memory", true);
        check(
            "[enforce fail at alloc_cpu.cpp:127] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to allocate 40 bytes",
            true,
        );
        check("DefaultCPUAllocator: not enough memory: you tried to allocate 40 bytes.", true);
        check("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`", true);
        check("cuDNN error: CUDNN_STATUS_ALLOC_FAILED", true);
        check("CUDA error: an illegal memory access was encountered", false);
        check("shape '[2, 3]' is invalid for input of size 5", false);
    }

    #[test]
    fn a_panic_without_a_text_is_a_panic() {
        let thrown = guard::<()>(|| std::panic::panic_any(7)).unwrap_err();
        assert_eq!(thrown, Failure::Panicked("no reason given".into()));
        assert_eq!(thrown.answer(), EngineError::Panicked("no reason given".into()));
        assert_eq!(guard(|| Ok(3)), Ok(3));
    }
}
