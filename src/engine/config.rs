//! An engine's limits, with defaults that suit an image encoder on a small machine.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{EngineError, Hook};

/// How much an engine accepts and how it forms batches.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The model's name, as metrics and logs show it. Default `model`; in a configuration file it
    /// comes from the model, not from here.
    #[serde(skip)]
    pub name: String,
    /// Items that may wait; at least 1. Default 64.
    pub max_queued_items: usize,
    /// Bytes that may wait; at least 1. Default 256 MiB.
    #[serde(with = "crate::units::bytes")]
    pub max_queued_bytes: usize,
    /// Items in one batch; at least 1. Default 8.
    pub max_batch: usize,
    /// How long an item may wait, with a worker idle, for others to join its batch; at most 1 s.
    /// Zero runs what is there. Default 2 ms. The engine waits less where it sees that nobody is
    /// likely to come.
    #[serde(with = "crate::units::duration")]
    pub max_batch_wait: Duration,
    /// The starvation bound: an item that has waited this long goes before every later one,
    /// whatever their deadlines. More than zero. Default 2 s.
    #[serde(with = "crate::units::duration")]
    pub max_age: Duration,
    /// The first pause before another try to build a model that failed to build; doubles with each
    /// failure up to `max_rebuild_wait`. More than zero. Default 500 ms.
    #[serde(with = "crate::units::duration")]
    pub rebuild_wait: Duration,
    /// The longest such pause; at least `rebuild_wait`. Default 30 s.
    #[serde(with = "crate::units::duration")]
    pub max_rebuild_wait: Duration,
    /// Run by each worker before each of its batches, for tests that need a replica to stall or to
    /// fail. Default none; no configuration file can set it.
    #[serde(skip)]
    pub before_batch: Option<Hook>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            name: "model".into(),
            max_queued_items: 64,
            max_queued_bytes: 256 << 20,
            max_batch: 8,
            max_batch_wait: Duration::from_millis(2),
            max_age: Duration::from_secs(2),
            rebuild_wait: Duration::from_millis(500),
            max_rebuild_wait: Duration::from_secs(30),
            before_batch: None,
        }
    }
}

impl Config {
    /// Errors with [`EngineError::Config`] naming the first field out of its range.
    pub fn validate(&self) -> Result<(), EngineError> {
        let longest_wait = Duration::from_secs(1);
        let wrong = if self.name.is_empty() {
            "name is empty".into()
        } else if self.max_queued_items == 0 {
            "max_queued_items is 0, needs at least 1".into()
        } else if self.max_queued_bytes == 0 {
            "max_queued_bytes is 0, needs at least 1".into()
        } else if self.max_batch == 0 {
            "max_batch is 0, needs at least 1".into()
        } else if self.max_batch_wait > longest_wait {
            format!("max_batch_wait is {:?}, limit {longest_wait:?}", self.max_batch_wait)
        } else if self.max_age.is_zero() {
            "max_age is 0, needs more".into()
        } else if self.rebuild_wait.is_zero() {
            "rebuild_wait is 0, needs more".into()
        } else if self.max_rebuild_wait < self.rebuild_wait {
            format!(
                "max_rebuild_wait is {:?}, needs at least rebuild_wait, {:?}",
                self.max_rebuild_wait, self.rebuild_wait
            )
        } else {
            return Ok(());
        };
        Err(EngineError::Config(wrong))
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
        check(|c, _| c.max_batch_wait = Duration::from_secs(2), "max_batch_wait is 2s, limit 1s");
        check(|c, zero| c.max_age = zero, "max_age");
        check(|c, zero| c.rebuild_wait = zero, "rebuild_wait is 0");
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
