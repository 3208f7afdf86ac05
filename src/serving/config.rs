//! How many models a server holds, and how long their coming and going may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::units;

/// Bounds of a [`Catalog`](super::Catalog).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Models that are loaded, being loaded or being unloaded at once, each version counted. At
    /// least 1. A swap needs room for the old and the new version. Default 16.
    pub max_models: usize,
    /// How long one load may take, from the request to a warm model. Default 10 min.
    #[serde(with = "units::duration")]
    pub load_limit: Duration,
    /// How long a model that is unloaded waits for the requests that use it; those that remain are
    /// answered UNAVAILABLE. Default 30 s.
    #[serde(with = "units::duration")]
    pub unload_limit: Duration,
    /// How long one replica may warm up: batch sizes that it has not run by then run cold. Zero
    /// skips the warm-up. Default 1 min.
    #[serde(with = "units::duration")]
    pub warm_up_limit: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_models: 16,
            load_limit: Duration::from_mins(10),
            unload_limit: Duration::from_secs(30),
            warm_up_limit: Duration::from_mins(1),
        }
    }
}
