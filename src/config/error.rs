//! What is wrong with a configuration: everything, each with where it stands.

use std::fmt;
use std::path::PathBuf;

/// Where a value comes from. Shown as `veriframe.toml:12`, `VERIFRAME_LISTEN` or `--listen`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Source {
    /// Nobody set it.
    Default,
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// A variable of the environment, by name.
    Environment(String),
    /// A flag as it was written.
    Flag(String),
}

impl Source {
    /// Their order: later ones win. Within a file, its lines.
    pub(super) fn rank(&self) -> (usize, usize) {
        match self {
            Self::Default => (0, 0),
            Self::File(_, line) => (1, *line),
            Self::Environment(_) => (2, 0),
            Self::Flag(_) => (3, 0),
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => formatter.write_str("default"),
            Self::File(path, line) => write!(formatter, "{}:{line}", path.display()),
            Self::Environment(name) => formatter.write_str(name),
            Self::Flag(flag) => formatter.write_str(flag),
        }
    }
}

/// One thing that is wrong.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    /// Where it stands.
    pub source: Source,
    /// What is wrong, with key, value and limit.
    pub reason: String,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.source, self.reason)
    }
}

/// A configuration that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Everything that is wrong in all sources, in their order; at least one.
    #[error("the configuration has {}:\n  {}", count(.0.len()), lines(.0))]
    Faults(Vec<Fault>),
}

fn count(faults: usize) -> String {
    if faults == 1 { "1 error".to_owned() } else { format!("{faults} errors") }
}

fn lines(faults: &[Fault]) -> String {
    faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n  ")
}
