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

/// Texts that say nothing in particular. English and Korean, since prompts are.
const NULL_PROMPTS: [&str; 6] = ["", "a photo", "a face", "a cartoon face", "얼굴", "사진"];

/// Longest null prompt in bytes, as of any prompt.
const PROMPT_LIMIT_BYTES: usize = 4096;

/// What heatmaps may cost, and what they are compared with.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct HeatmapConfig {
    /// Forward passes beyond the one that makes the score that one frame's heatmaps may take, all
    /// prompts and methods together. At most 100 000, default 256.
    pub max_passes: usize,
    /// Prompts that say nothing in particular, for requests that have none of their own. 1 to 256.
    pub null_prompts: Vec<String>,
}

impl Default for HeatmapConfig {
    fn default() -> Self {
        Self { max_passes: 256, null_prompts: NULL_PROMPTS.map(str::to_owned).to_vec() }
    }
}

impl HeatmapConfig {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.number("max_passes", self.max_passes, 0..=100_000);
        let count = self.null_prompts.len();
        if !(1..=256).contains(&count) {
            bounds.refuse("null_prompts", format!("has {count} texts, must be 1 to 256"));
        }
        if let Some(long) = self.null_prompts.iter().find(|text| text.len() > PROMPT_LIMIT_BYTES) {
            let length = long.len();
            let reason = format!("has a text of {length} bytes, limit {PROMPT_LIMIT_BYTES}");
            bounds.refuse("null_prompts", reason);
        }
        bounds.breaches()
    }
}
