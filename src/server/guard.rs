//! What stands between the network and the services: certificates and keys, kept fresh.

use std::convert::Infallible;
use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use super::auth::{self, AuthLayer, KeyFile};
use super::listener::Encryption;
use super::tls::{self, Certificates};
use super::watch::{FileError, Watched};

/// The least time between two looks at the files.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);

/// What stands between the network and the services.
///
/// Made before the models are loaded, it tells at once of a file that cannot be used.
pub struct Guard {
    tls: tls::Config,
    auth: auth::Config,
    certificates: Option<Arc<Watched<Certificates>>>,
    keys: Option<Arc<Watched<KeyFile>>>,
}

impl Guard {
    /// Reads certificates and keys. Errors name the file, and never hold what is secret.
    pub fn open(tls: &tls::Config, auth: &auth::Config) -> Result<Self, FileError> {
        let certificates = Certificates::of(tls)?.map(Watched::open).transpose()?.map(Arc::new);
        let keys = auth.keys.clone().map(KeyFile).map(Watched::open).transpose()?.map(Arc::new);
        if let Some(keys) = &keys {
            tracing::info!(entries = keys.current().len(), "callers need a key or a certificate");
        }
        Ok(Self { tls: tls.clone(), auth: auth.clone(), certificates, keys })
    }

    /// Looks at the files now rather than in the next interval. Reads files: not for async threads.
    pub fn reload(&self) {
        if let Some(certificates) = &self.certificates {
            certificates.look();
        }
        if let Some(keys) = &self.keys {
            keys.look();
        }
    }

    /// Whether a caller must say who it is.
    pub fn asks_for_keys(&self) -> bool {
        self.keys.is_some()
    }

    /// Whether connections are encrypted.
    pub fn encrypts(&self) -> bool {
        self.certificates.is_some()
    }

    /// How connections become encrypted; nothing where they do not.
    pub(super) fn encryption(&self) -> Option<Encryption> {
        let certificates = self.certificates.clone()?;
        Some(Encryption::new(certificates, &self.tls))
    }

    /// What asks each call who makes it. `open_admin`: whether anyone may administer where there
    /// are no keys.
    pub(super) fn layer(&self, open_admin: bool) -> AuthLayer {
        AuthLayer::new(self.keys.clone(), open_admin)
    }

    /// Looks at the files in their intervals, for ever.
    pub(super) async fn keep_fresh(&self) -> Infallible {
        let certificates = async {
            match self.certificates.clone() {
                Some(watched) => watched.keep_fresh(interval(self.tls.reload_interval)).await,
                None => pending().await,
            }
        };
        let keys = async {
            match self.keys.clone() {
                Some(watched) => watched.keep_fresh(interval(self.auth.reload_interval)).await,
                None => pending().await,
            }
        };
        tokio::join!(certificates, keys);
        pending().await
    }
}

fn interval(configured: Duration) -> Duration {
    configured.max(SHORTEST_INTERVAL)
}
