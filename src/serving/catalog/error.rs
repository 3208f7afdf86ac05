//! Why models cannot be loaded, unloaded or renamed.

use std::time::Duration;

use thiserror::Error;

/// Why the catalog was not changed, by what the operator does next. What served before serves on.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum CatalogError {
    /// The request must be changed.
    #[error("{field}: {reason}")]
    Invalid {
        /// The field: "name", "version", "alias", "target".
        field: &'static str,
        /// What is wrong, with the value and the limit.
        reason: String,
    },
    /// Another name must be given.
    #[error("no {what} '{name}'; there is {}", listed(known))]
    NotFound {
        /// What was looked for: "loaded model", "model on disk", "alias".
        what: &'static str,
        /// The name asked for.
        name: String,
        /// The names there are.
        known: Vec<String>,
    },
    /// Something else must be done first.
    #[error("{model} {reason}")]
    Conflict {
        /// The model or alias.
        model: String,
        /// What is in the way.
        reason: String,
    },
    /// Another change of the same model is under way; try again after it.
    #[error("{model} is being {doing}; try again when that has ended")]
    Busy {
        /// The model.
        model: String,
        /// "loaded" or "unloaded".
        doing: &'static str,
    },
    /// A model must be unloaded first.
    #[error("{loaded} models are held, limit {limit}; unload one first")]
    Full {
        /// Models that are loaded, being loaded or being unloaded.
        loaded: usize,
        /// The most that may.
        limit: usize,
    },
    /// The checkpoint must be mended.
    #[error("{model} cannot be served: {reason}")]
    Broken {
        /// The model.
        model: String,
        /// What its files or its first runs told.
        reason: String,
    },
    /// The load took too long and was given up.
    #[error("{model} was not ready within {limit:?}")]
    TooSlow {
        /// The model.
        model: String,
        /// The longest it may take.
        limit: Duration,
    },
    /// The server is going down.
    #[error("the server is shutting down")]
    Closed,
}

fn listed(known: &[String]) -> String {
    if known.is_empty() { "none".to_owned() } else { known.join(", ") }
}
