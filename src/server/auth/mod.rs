//! Who may call what: API keys and client certificates, their scopes and quotas.
//!
//! Where no key file is configured everyone may infer, and administration is open or closed as the
//! server's configuration says.

mod body;
mod header;
mod keys;
mod layer;
mod methods;
mod quota;
mod secret;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

pub(super) use keys::KeyFile;
pub(super) use layer::AuthLayer;
pub use methods::Scope;
pub use secret::{Secret, SecretError};

use super::watch::{FileError, Watched};
use crate::bounds::{Bounds, Breach};
use crate::telemetry::metrics::Rejection;

/// Who may call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// TOML file of the API keys and client certificates that may call, and what each may do
    /// (`docs/security.md`). With it, every call but health and reflection needs one of them.
    /// Default: none, everyone may infer.
    pub keys: Option<PathBuf>,
    /// How often the file is looked at for new content. Default 10 s, 1 s to 1 h.
    #[serde(with = "crate::units::duration")]
    pub reload_interval: Duration,
    /// Whether server reflection is offered; if so, to everyone, with or without a key. It tells
    /// the protocol, nothing about models or callers. Default true.
    pub reflection: bool,
}

impl Default for Config {
    fn default() -> Self {
        Self { keys: None, reload_interval: Duration::from_secs(10), reflection: true }
    }
}

impl Config {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        bounds.duration("reload_interval", self.reload_interval, second..=hour);
        bounds.breaches()
    }
}

/// Why a call is refused. Each names what a caller can do about it.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Refusal {
    /// It carries neither a key nor a client certificate.
    NoKey,
    /// It carries no key, and a client certificate that the file does not map to scopes.
    OtherCertificate { name: String },
    /// Its key is malformed or not in the file.
    WrongKey,
    /// Its key or certificate counts no more.
    Expired { caller: String },
    /// Its key or certificate was taken out of the file while the call ran.
    Revoked { caller: String },
    /// Its key or certificate lacks a scope.
    Scope { caller: String, scope: Scope },
    /// It came without a key, and administration needs one here.
    AdminClosed,
    /// Its key makes calls too fast.
    Rate { caller: String, per_second: f64, burst: u32, retry_after: Duration },
    /// Its key has too many calls running.
    Concurrency { caller: String, limit: usize },
}

impl Refusal {
    /// How it counts.
    fn cause(&self) -> Rejection {
        match self {
            Self::NoKey
            | Self::OtherCertificate { .. }
            | Self::WrongKey
            | Self::Expired { .. }
            | Self::Revoked { .. } => Rejection::Unauthenticated,
            Self::Scope { .. } | Self::AdminClosed => Rejection::Forbidden,
            Self::Rate { .. } => Rejection::RateQuota,
            Self::Concurrency { .. } => Rejection::ConcurrencyQuota,
        }
    }

    /// Whose call it is, where that is known.
    pub(super) fn caller(&self) -> Option<&str> {
        match self {
            Self::NoKey | Self::WrongKey | Self::AdminClosed => None,
            Self::OtherCertificate { name } => Some(name),
            Self::Expired { caller }
            | Self::Revoked { caller }
            | Self::Scope { caller, .. }
            | Self::Rate { caller, .. }
            | Self::Concurrency { caller, .. } => Some(caller),
        }
    }

    /// What it says to the caller.
    pub(super) fn message(&self) -> String {
        match self {
            Self::NoKey => {
                "no API key; send 'authorization: Bearer KEY' or 'x-api-key: KEY'".into()
            }
            Self::OtherCertificate { name } => format!(
                "the client certificate '{name}' has no scopes here, and no API key was sent"
            ),
            Self::WrongKey => "the API key is not one of this server's".into(),
            Self::Expired { caller } => format!("{caller} has expired"),
            Self::Revoked { caller } => format!("{caller} is no longer allowed to do this"),
            Self::Scope { caller, scope } => {
                format!("{caller} does not have the scope '{}'", scope.name())
            }
            Self::AdminClosed => {
                "administration is closed without a key; configure a key file, and send a key with \
                 the scope 'admin'"
                    .into()
            }
            Self::Rate { caller, per_second, burst, retry_after } => format!(
                "{caller} makes more than {per_second} calls per second beyond a burst of {burst}; \
                 try again in {retry_after:?}"
            ),
            Self::Concurrency { caller, limit } => format!(
                "{caller} has {limit} calls running, limit {limit}; try again when one has ended"
            ),
        }
    }
}

/// Reads a key file as the server would. Gives the number of keys and certificates in it.
pub fn check_key_file(path: &Path) -> Result<usize, FileError> {
    let watched = Watched::open(KeyFile(path.to_owned()))?;
    Ok(watched.current().len())
}

/// Reads the text of an entry as the server would; tells what is wrong with it.
pub fn check_entry(text: &str) -> Result<(), String> {
    keys::read(text).map(drop)
}
