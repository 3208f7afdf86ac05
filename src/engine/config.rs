//! An engine's limits, with defaults that suit an image encoder on a small machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EngineError, Hook};
use crate::bounds::{Bounds, Breach};

/// How much an engine accepts and how it forms batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The model's name, as metrics and logs show it. Default `model`; in a configuration file it
    /// comes from the model, not from here.
    #[serde(skip)]
    pub name: String,
    /// Items that may wait. Default 256, 1 to 1 000 000.
    pub max_queued_items: usize,
    /// Bytes that may wait. Default 256 MiB, 1 B to 64 GiB.
    #[serde(with = "crate::units::bytes")]
    pub max_queued_bytes: usize,
    /// Items in one batch. Default 8, 1 to 1024.
    pub max_batch: usize,
    /// How long an item may wait, with a worker idle, for others to join its batch; at most 1 s.
    /// Zero runs what is there. Default 2 ms. The engine waits less where it sees that nobody is
    /// likely to come.
    #[serde(with = "crate::units::duration")]
    pub max_batch_wait: Duration,
    /// The starvation bound: while some have waited this long, every second place on the device is
    /// theirs, the oldest first, whatever their priority, flow and deadline. Default 2 s, 1 ms to
    /// 1 h.
    #[serde(with = "crate::units::duration")]
    pub max_age: Duration,
    /// The first pause before another try to build a model that failed to build; doubles with each
    /// failure up to `max_rebuild_wait`. Default 500 ms, 1 ms to 1 h.
    #[serde(with = "crate::units::duration")]
    pub rebuild_wait: Duration,
    /// The longest such pause; at least `rebuild_wait`. Default 30 s, at most 1 h.
    #[serde(with = "crate::units::duration")]
    pub max_rebuild_wait: Duration,
    /// The longest that a replica may have one batch. After that the batch's items are answered with
    /// an error and the replica counts as stalled until it comes back. Default 1 min, 1 ms to 1 h.
    #[serde(with = "crate::units::duration")]
    pub stall_limit: Duration,
    /// How long a replica makes smaller batches after one that did not fit its device's memory;
    /// then twice as large ones for as long again, up to `max_batch`. Default 1 min, 1 ms to 1 h.
    #[serde(with = "crate::units::duration")]
    pub smaller_batch_for: Duration,
    /// Run by each worker before each of its batches, for tests that need a replica to stall or to
    /// fail. Default none; no configuration file can set it.
    #[serde(skip)]
    pub before_batch: Option<Hook>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "model".into(),
            max_queued_items: 256,
            max_queued_bytes: 256 << 20,
            max_batch: 8,
            max_batch_wait: Duration::from_millis(2),
            max_age: Duration::from_secs(2),
            rebuild_wait: Duration::from_millis(500),
            max_rebuild_wait: Duration::from_secs(30),
            stall_limit: Duration::from_mins(1),
            smaller_batch_for: Duration::from_mins(1),
            before_batch: None,
        }
    }
}

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let (millisecond, hour) = (Duration::from_millis(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        bounds.number("max_queued_items", self.max_queued_items, 1..=1_000_000);
        bounds.bytes("max_queued_bytes", self.max_queued_bytes, 1..=64 << 30);
        bounds.number("max_batch", self.max_batch, 1..=1024);
        let longest_wait = Duration::from_secs(1);
        bounds.duration("max_batch_wait", self.max_batch_wait, Duration::ZERO..=longest_wait);
        bounds.duration("max_age", self.max_age, millisecond..=hour);
        bounds.duration("rebuild_wait", self.rebuild_wait, millisecond..=hour);
        bounds.duration("max_rebuild_wait", self.max_rebuild_wait, millisecond..=hour);
        bounds.duration("stall_limit", self.stall_limit, millisecond..=hour);
        bounds.duration("smaller_batch_for", self.smaller_batch_for, millisecond..=hour);
        if self.max_rebuild_wait < self.rebuild_wait {
            let (longest, first) = (self.max_rebuild_wait, self.rebuild_wait);
            let reason = format!("is {longest:?}, needs at least rebuild_wait, {first:?}");
            bounds.refuse("max_rebuild_wait", reason);
        }
        bounds.breaches()
    }

    /// Errors with [`EngineError::Config`] naming every field out of its range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let mut wrong: Vec<String> = self
            .breaches()
            .into_iter()
            .map(|breach| format!("{} {}", breach.key, breach.reason))
            .collect();
        if self.name.is_empty() {
            wrong.push("name is empty".into());
        }
        if wrong.is_empty() { Ok(()) } else { Err(EngineError::Config(wrong.join("; "))) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_field_out_of_range_is_named() {
        assert_eq!(Config::default().validate(), Ok(()));
        let zero = Duration::ZERO;
        let check = |change: fn(&mut Config, Duration), names: &str| {
            let mut config = Config::default();
            change(&mut config, zero);
            let error = config.validate().unwrap_err().to_string();
            assert!(error.contains(names), "{error}");
        };
        check(|c, _| c.name.clear(), "name is empty");
        check(|c, _| c.max_queued_items = 0, "max_queued_items is 0");
        check(|c, _| c.max_queued_bytes = 0, "max_queued_bytes is 0");
        check(|c, _| c.max_batch = 0, "max_batch is 0");
        check(
            |c, _| c.max_batch_wait = Duration::from_secs(2),
            "max_batch_wait is 2s, must be 0s to 1s",
        );
        check(|c, zero| c.max_age = zero, "max_age");
        check(|c, zero| c.rebuild_wait = zero, "rebuild_wait is 0s");
        check(|c, zero| c.stall_limit = zero, "stall_limit is 0s");
        check(|c, _| c.smaller_batch_for = Duration::from_hours(2), "must be 1ms to 1h");
        check(|c, zero| c.max_rebuild_wait = zero, "needs at least rebuild_wait, 500ms");
    }

    #[test]
    fn a_file_sets_limits_but_neither_name_nor_hook() {
        let text = "max_queued_bytes = '1 MiB'\nmax_batch_wait = '5ms'";
        let config: Config = toml::from_str(text).unwrap();
        let max_batch_wait = Duration::from_millis(5);
        let expected = Config { max_queued_bytes: 1 << 20, max_batch_wait, ..Config::default() };
        assert_eq!(config, expected);
        let written = toml::to_string(&expected).unwrap();
        assert_eq!(toml::from_str::<Config>(&written).unwrap(), expected, "{written}");
        for text in ["name = 'clip'", "before_batch = 1", "max_queue = 3"] {
            assert!(toml::from_str::<Config>(text).is_err(), "{text}");
        }
    }
}
