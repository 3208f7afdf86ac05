//! How many models a server holds, and how long their coming and going may take.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::units;

/// Bounds of a [`Catalog`](super::Catalog).
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// Models that are loaded, being loaded or being unloaded at once, each version counted. 1 to
    /// 4096. A swap needs room for the old and the new version. Default 16.
    pub max_models: usize,
    /// How long one load may take, from the request to a warm model. 1 s to 24 h, default
    /// 10 min.
    #[serde(with = "units::duration")]
    pub load_limit: Duration,
    /// How long a model that is unloaded waits for the requests that use it; those that remain are
    /// answered UNAVAILABLE. At most 1 h, default 30 s.
    #[serde(with = "units::duration")]
    pub unload_limit: Duration,
    /// How long one replica may warm up: batch sizes that it has not run by then run cold. Zero
    /// skips the warm-up. At most 1 h, default 1 min.
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

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        bounds.number("max_models", self.max_models, 1..=4096);
        bounds.duration("load_limit", self.load_limit, second..=hour * 24);
        bounds.duration("unload_limit", self.unload_limit, Duration::ZERO..=hour);
        bounds.duration("warm_up_limit", self.warm_up_limit, Duration::ZERO..=hour);
        bounds.breaches()
    }
}
