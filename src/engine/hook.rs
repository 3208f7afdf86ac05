//! What tests do to a replica of a model that is otherwise real: stall it, fail it, make it panic.

use std::fmt;
use std::sync::Arc;

use super::DeviceError;

/// A batch that is about to run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BatchSight<'a> {
    /// The name of the engine's model.
    pub model: &'a str,
    /// Which replica runs it, from 0.
    pub replica: usize,
    /// Items in it, at least 1.
    pub size: usize,
}

/// Code that a worker runs before each batch, as if it were the model's own: while it blocks the
/// replica is busy, its error is a device error, its panic is the model's.
///
/// Two hooks are equal when they are clones of one.
#[derive(Clone)]
pub struct Hook(Arc<Act>);

type Act = dyn Fn(BatchSight) -> Result<(), DeviceError> + Send + Sync;

impl Hook {
    /// A hook that runs `act`, on whichever worker has a batch, several at once.
    pub fn new(
        act: impl Fn(BatchSight) -> Result<(), DeviceError> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(act))
    }

    pub(super) fn call(&self, sight: BatchSight) -> Result<(), DeviceError> {
        (self.0)(sight)
    }
}

impl fmt::Debug for Hook {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Hook")
    }
}

impl PartialEq for Hook {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Eq for Hook {}
