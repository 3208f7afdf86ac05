//! Models bound to engines: the async calls that the services are made of.
//!
//! Imports: units, bounds, calibration, libtorch, telemetry, vision, engine, models, explain.

mod build;
mod catalog;
pub mod clip;
mod config;
mod name;
mod repository;
mod served;
mod slots;
mod source;
mod stages;
mod warm_up;
pub mod tensor;
pub mod torchscript;
pub mod yolo;

use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use thiserror::Error;

pub use build::{Opened, Options, Replicas};
pub use catalog::{Catalog, CatalogError, ModelStatus, Snapshot, State, Swapped};
pub use config::{Config, HeatmapConfig};
pub use name::ModelId;
pub use repository::{Found, Manifest, Repository};
pub use served::{Lease, ModelKind, Served};
pub use slots::{CpuSlot, CpuSlots};
pub use source::ModelSource;

use crate::engine::EngineError;
pub use crate::engine::{Claim, Depth, Expired, Flow, Health, Priority, Terms};

/// When an answer stops being useful; `None` means it never does.
pub type Deadline = Option<Instant>;

/// Which weights answered.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub struct ModelIdentity {
    /// The name it is served under.
    pub name: String,
    /// Its version, "1" unless the repository says otherwise.
    pub version: String,
    /// SHA-256 of the weights, hexadecimal.
    pub checksum: String,
}

/// Why a model gave no answer, by what the caller can do about it.
#[derive(Clone, Debug, Error)]
pub enum ServingError {
    /// The input must be changed.
    #[error("{field}: {reason}")]
    Invalid {
        /// Path of the field, in the terms of the request: `similarity.prompts[3]`.
        field: String,
        /// What is wrong, with the value and the limit.
        reason: String,
    },
    /// Another model must be named.
    #[error("no {kind} model '{name}'; there is {known}")]
    NotFound {
        /// What was looked for: "CLIP" or "detection".
        kind: &'static str,
        /// The name asked for; empty for the default.
        name: String,
        /// The names there are.
        known: String,
    },
    /// Try again after a while.
    #[error("{model} has {queued} {unit} waiting, limit {limit}; try again in {retry_after:?}")]
    Overloaded {
        /// The model's name.
        model: String,
        /// What waits, in `unit`.
        queued: usize,
        /// The most that may.
        limit: usize,
        /// "items" or "bytes".
        unit: &'static str,
        /// A fair guess of when there is room.
        retry_after: Duration,
    },
    /// The deadline hardly can be met; the work was not begun. Try again with more time, or later.
    #[error(
        "{model} would take {predicted:?} or longer to answer, the deadline is in {left:?}; try \
         again in {retry_after:?}"
    )]
    TooLate {
        /// The model's name.
        model: String,
        /// How soon an answer could be there.
        predicted: Duration,
        /// The time until the deadline.
        left: Duration,
        /// A fair guess of when as much time is enough.
        retry_after: Duration,
    },
    /// The deadline passed; the work was not done.
    #[error("the deadline passed before {0} could answer")]
    Expired(String),
    /// Try again when it is there.
    #[error("{0} is being loaded; try again in a moment")]
    Loading(String),
    /// The server is going down.
    #[error("{0} is shutting down")]
    Closed(String),
    /// Nothing the caller can do.
    #[error("{model} failed: {reason}")]
    Failed {
        /// The model's name.
        model: String,
        /// What the device or the net said.
        reason: String,
    },
}

impl ServingError {
    /// An error about one field of the request.
    pub fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// The same, with `prefix` before the field of an invalid input.
    #[must_use]
    pub fn within(self, prefix: &str) -> Self {
        match self {
            Self::Invalid { field, reason } => {
                Self::Invalid { field: format!("{prefix}{field}"), reason }
            }
            other @ (Self::NotFound { .. }
            | Self::Overloaded { .. }
            | Self::TooLate { .. }
            | Self::Expired(_)
            | Self::Loading(_)
            | Self::Closed(_)
            | Self::Failed { .. }) => other,
        }
    }

    fn from_engine(model: &str, error: EngineError) -> Self {
        let model = model.to_owned();
        match error {
            EngineError::Full { queued, limit, unit, retry_after } => {
                Self::Overloaded { model, queued, limit, unit, retry_after }
            }
            EngineError::TooLate { predicted, left, retry_after } => {
                Self::TooLate { model, predicted, left, retry_after }
            }
            EngineError::Expired => Self::Expired(model),
            EngineError::Closed => Self::Closed(model),
            error @ (EngineError::Item(_)
            | EngineError::Device(_)
            | EngineError::Panicked(_)
            | EngineError::Config(_)) => Self::Failed { model, reason: error.to_string() },
        }
    }
}

/// Runs CPU work away from the async threads, holding its slot until it is done: also where nobody
/// waits for it any more.
pub async fn blocking<T: Send + 'static>(
    slot: CpuSlot,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, ServingError> {
    let work = move || {
        let _held = slot;
        work()
    };
    tokio::task::spawn_blocking(work).await.map_err(|error| ServingError::Failed {
        model: "picture preparation".to_owned(),
        reason: if error.is_panic() { "it panicked" } else { "it was cancelled" }.to_owned(),
    })
}
