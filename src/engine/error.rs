//! What can go wrong, by what the caller does next.

use std::time::Duration;

/// One item is bad; its neighbours are not. Never worth a retry.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct ItemError(pub String);

/// The device or its model failed; the model is built anew.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct DeviceError(pub String);

impl DeviceError {
    /// Whether the device's memory was full, by the words that libtorch, its allocators and NVIDIA's
    /// libraries use. A smaller batch may fit.
    pub fn is_out_of_memory(&self) -> bool {
        let text = self.0.to_lowercase();
        let words = [
            "out of memory",
            "can't allocate memory",
            "cannot allocate memory",
            "not enough memory",
            "status_alloc_failed",
        ];
        words.iter().any(|words| text.contains(words))
    }
}

/// Why an item has no output.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EngineError {
    /// The queue is full; try again later.
    #[error("queue is full: {queued} {unit} waiting, limit {limit}; retry in {retry_after:?}")]
    Full {
        /// What waits now, in `unit`.
        queued: usize,
        /// The limit it met.
        limit: usize,
        /// Whether items or bytes met their limit: `items` or `bytes`.
        unit: &'static str,
        /// When a place is likely to be free, by the pace of late.
        retry_after: Duration,
    },
    /// The deadline has not passed yet, but hardly can be met, so nothing was done; retry with more
    /// time, or later.
    #[error(
        "an answer would take {predicted:?} or longer, the deadline is in {left:?}; retry in \
         {retry_after:?}"
    )]
    TooLate {
        /// How soon an answer could be there, by the pace of late.
        predicted: Duration,
        /// The time until the deadline.
        left: Duration,
        /// When as much time is likely to be enough.
        retry_after: Duration,
    },
    /// The deadline passed before the item ran to its end.
    #[error("deadline passed while the item waited or ran")]
    Expired,
    /// The engine is draining or has ended.
    #[error("engine is closed")]
    Closed,
    /// The item itself is bad.
    #[error("{0}")]
    Item(String),
    /// The device failed on this item, or no replica works.
    #[error("device failed: {0}")]
    Device(String),
    /// The model panicked on this item.
    #[error("model panicked: {0}")]
    Panicked(String),
    /// The engine cannot be started so.
    #[error("engine configuration: {0}")]
    Config(String),
}
