//! The server's certificates: read, checked, and renewed without a restart.
//!
//! Each new connection uses the certificates that are current when it comes; running ones go on
//! with theirs.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use serde::{Deserialize, Serialize};
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::server::WebPkiClientVerifier;
use tokio_rustls::rustls::server::danger::ClientCertVerifier;
use tokio_rustls::rustls::version::{TLS12, TLS13};
use tokio_rustls::rustls::{
    Error as TlsError, InconsistentKeys, RootCertStore, ServerConfig, SupportedProtocolVersion,
};
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;

use super::watch::{FileError, Source};
use crate::bounds::{Bounds, Breach};
use crate::telemetry::metrics::{self, CertificateKind, Reloaded};

/// gRPC is HTTP/2.
const PROTOCOL: &[u8] = b"h2";

/// Whether and how connections are encrypted. Off by default: then anyone on the way can read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// PEM file of the server's certificate, then those of the authorities between it and the
    /// root. TLS is on where this and `key` are given; both or neither. Default: none.
    pub certificate: Option<PathBuf>,
    /// PEM file of the certificate's private key: PKCS#8, PKCS#1 or SEC1, not encrypted.
    /// Default: none.
    pub key: Option<PathBuf>,
    /// PEM file of the authorities whose client certificates are believed (mutual TLS). No client
    /// is asked for a certificate where there is none. Default: none.
    pub client_ca: Option<PathBuf>,
    /// With `client_ca`: whether a client without a certificate is let in. Default `required`.
    pub client_certificates: ClientCertificates,
    /// The oldest version of TLS that is spoken, `1.2` or `1.3`. Default `1.2`.
    pub min_version: Version,
    /// How often the files are looked at for new content. Default 10 s, 1 s to 1 h.
    #[serde(with = "crate::units::duration")]
    pub reload_interval: Duration,
    /// How long a handshake may take. Default 10 s, 1 s to 1 h.
    #[serde(with = "crate::units::duration")]
    pub handshake_limit: Duration,
    /// Handshakes that go on at once; the oldest gives way to a new one. Default 256, 1 to 65 536.
    pub max_handshakes: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            certificate: None,
            key: None,
            client_ca: None,
            client_certificates: ClientCertificates::default(),
            min_version: Version::default(),
            reload_interval: Duration::from_secs(10),
            handshake_limit: Duration::from_secs(10),
            max_handshakes: 256,
        }
    }
}

impl Config {
    /// What is out of its range, or lacks its other half.
    pub fn breaches(&self) -> Vec<Breach> {
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        let mut bounds = Bounds::default();
        match (&self.certificate, &self.key) {
            (Some(_), None) => bounds.refuse("certificate", "is set, so key must be set too"),
            (None, Some(_)) => bounds.refuse("key", "is set, so certificate must be set too"),
            (None, None) if self.client_ca.is_some() => {
                bounds.refuse("client_ca", "is set, so certificate and key must be set too");
            }
            (None, None) | (Some(_), Some(_)) => {}
        }
        bounds.duration("reload_interval", self.reload_interval, second..=hour);
        bounds.duration("handshake_limit", self.handshake_limit, second..=hour);
        bounds.number("max_handshakes", self.max_handshakes, 1..=65_536);
        bounds.breaches()
    }
}

/// Whether clients must prove who they are by a certificate.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ClientCertificates {
    /// A client without one is refused in the handshake.
    #[default]
    Required,
    /// A client may have one; one that is not believed is refused all the same.
    Optional,
}

/// A version of TLS.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize, Deserialize)]
pub enum Version {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    Tls12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    Tls13,
}

/// The files of a configuration with TLS on.
pub(super) struct Certificates {
    certificate: PathBuf,
    key: PathBuf,
    client_ca: Option<PathBuf>,
    wanted: ClientCertificates,
    min_version: Version,
}

impl Certificates {
    /// Where TLS is on. An error where the configuration says so only by half.
    pub(super) fn of(config: &Config) -> Result<Option<Self>, FileError> {
        let (certificate, key) = match (&config.certificate, &config.key) {
            (Some(certificate), Some(key)) => (certificate.clone(), key.clone()),
            (Some(path), None) => {
                return Err(FileError::invalid(path, "is a certificate without tls.key"));
            }
            (None, Some(path)) => {
                return Err(FileError::invalid(path, "is a key without tls.certificate"));
            }
            (None, None) => {
                return match &config.client_ca {
                    Some(path) => Err(FileError::invalid(
                        path,
                        "is a client authority without tls.certificate and tls.key",
                    )),
                    None => Ok(None),
                };
            }
        };
        Ok(Some(Self {
            certificate,
            key,
            client_ca: config.client_ca.clone(),
            wanted: config.client_certificates,
            min_version: config.min_version,
        }))
    }

    fn verifier(&self, path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, FileError> {
        let mut roots = RootCertStore::empty();
        let authorities = certificates(path, pem)?;
        for authority in &authorities {
            roots.add(authority.clone()).map_err(|error| {
                FileError::invalid(path, format!("is no certificate authority: {error}"))
            })?;
        }
        let verifier = WebPkiClientVerifier::builder_with_provider(
            Arc::new(roots),
            Arc::new(ring::default_provider()),
        );
        let verifier = match self.wanted {
            ClientCertificates::Required => verifier,
            ClientCertificates::Optional => verifier.allow_unauthenticated(),
        };
        let verifier =
            verifier.build().map_err(|error| FileError::invalid(path, error.to_string()))?;
        tell_expiry(path, CertificateKind::ClientAuthority, &authorities);
        Ok(verifier)
    }
}

impl Source for Certificates {
    type Loaded = Arc<ServerConfig>;
    const WHAT: Reloaded = Reloaded::Certificates;

    fn files(&self) -> Vec<PathBuf> {
        let mut files = vec![self.certificate.clone(), self.key.clone()];
        files.extend(self.client_ca.clone());
        files
    }

    fn load(
        &self,
        contents: Vec<Vec<u8>>,
        _: Option<&Arc<ServerConfig>>,
    ) -> Result<Arc<ServerConfig>, FileError> {
        let content = |at: usize| contents.get(at).map_or(&[][..], Vec::as_slice);
        let chain = certificates(&self.certificate, content(0))?;
        let key = PrivateKeyDer::from_pem_slice(content(1)).map_err(|_| {
            FileError::invalid(
                &self.key,
                "holds no private key as PEM: PKCS#8, PKCS#1 or SEC1, not encrypted",
            )
        })?;
        let versions: &[&SupportedProtocolVersion] = match self.min_version {
            Version::Tls12 => &[&TLS13, &TLS12],
            Version::Tls13 => &[&TLS13],
        };
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(versions)
            .map_err(|error| FileError::invalid(&self.certificate, error.to_string()))?;
        let builder = match &self.client_ca {
            Some(path) => builder.with_client_cert_verifier(self.verifier(path, content(2))?),
            None => builder.with_no_client_auth(),
        };
        let mut config = builder.with_single_cert(chain.clone(), key).map_err(|error| {
            let reason = if error == TlsError::InconsistentKeys(InconsistentKeys::KeyMismatch) {
                format!("is not the key of {}", self.certificate.display())
            } else {
                error.to_string()
            };
            FileError::invalid(&self.key, reason)
        })?;
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        tell_expiry(&self.certificate, CertificateKind::Server, &chain);
        Ok(Arc::new(config))
    }
}

/// All certificates of a PEM file: at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, FileError> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| FileError::invalid(path, format!("is no PEM file: {error}")))?;
    if all.is_empty() {
        return Err(FileError::invalid(path, "holds no certificate as PEM"));
    }
    Ok(all)
}

/// Tells when the first of these certificates expires.
fn tell_expiry(path: &Path, kind: CertificateKind, certificates: &[CertificateDer]) {
    let Some(expiry) = certificates.iter().filter_map(expiry).min() else { return };
    metrics::set_certificate_expiry(kind, expiry);
    let ends = humantime::format_rfc3339_seconds(expiry);
    if expiry < SystemTime::now() {
        tracing::warn!(file = %path.display(), %ends, "this certificate has expired");
    } else {
        tracing::info!(file = %path.display(), %ends, "certificates are in use");
    }
}

/// `notAfter`; nothing before 1970.
fn expiry(certificate: &CertificateDer) -> Option<SystemTime> {
    let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
    let seconds = certificate.validity().not_after.timestamp();
    UNIX_EPOCH.checked_add(Duration::from_secs(u64::try_from(seconds).ok()?))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use rcgen::{CertificateParams, KeyPair, date_time_ymd};
    use tempfile::TempDir;

    use super::super::watch::{Looked, Watched};
    use super::*;

    fn pair(name: &str) -> (String, String) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.not_after = date_time_ymd(2040, 1, 1);
        let key = KeyPair::generate().unwrap();
        (params.self_signed(&key).unwrap().pem(), key.serialize_pem())
    }

    fn written(certificate: &str, key: &str) -> (TempDir, Config) {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| Some(folder.path().join(name));
        fs::write(folder.path().join("tls.crt"), certificate).unwrap();
        fs::write(folder.path().join("tls.key"), key).unwrap();
        let config =
            Config { certificate: path("tls.crt"), key: path("tls.key"), ..Config::default() };
        (folder, config)
    }

    fn open(config: &Config) -> Result<Watched<Certificates>, FileError> {
        Watched::open(Certificates::of(config)?.expect("TLS is on"))
    }

    fn check_refused(config: &Config, part: &str) {
        let error = open(config).map(drop).unwrap_err().to_string();
        assert!(error.contains(part), "'{part}' is not in: {error}");
        assert!(!error.contains("-----BEGIN"), "{error}");
    }

    #[test]
    fn a_broken_renewal_leaves_the_old_certificate_in_use() {
        let (certificate, key) = pair("a.example");
        let (folder, config) = written(&certificate, &key);
        let watched = open(&config).unwrap();
        let first = watched.current();
        let (next, next_key) = pair("b.example");
        fs::write(folder.path().join("tls.crt"), &next).unwrap();
        let Looked::Kept(error) = watched.look() else { panic!("the key is another one's") };
        assert!(error.to_string().contains("is not the key of"), "{error}");
        assert!(Arc::ptr_eq(&first, &watched.current()));
        fs::write(folder.path().join("tls.key"), next_key).unwrap();
        assert!(matches!(watched.look(), Looked::Renewed));
        assert!(!Arc::ptr_eq(&first, &watched.current()));
        assert_eq!(watched.current().alpn_protocols, [b"h2"]);
    }

    #[test]
    fn every_broken_file_is_named_with_what_is_wrong() {
        let (certificate, key) = pair("a.example");
        let (_folder, config) = written("", &key);
        check_refused(&config, "tls.crt: holds no certificate as PEM");
        let (_folder, config) = written("-----BEGIN CERTIFICATE-----\n!\n", &key);
        check_refused(&config, "tls.crt: is no PEM file");
        let (_folder, config) = written(&certificate, "");
        check_refused(&config, "tls.key: holds no private key as PEM");
        let (_folder, config) = written(&certificate, &pair("b.example").1);
        check_refused(&config, "tls.key: is not the key of");
        let (folder, config) = written(&certificate, &key);
        let client_ca = Some(folder.path().join("ca.crt"));
        check_refused(&Config { client_ca: client_ca.clone(), ..config.clone() }, "cannot read");
        fs::write(folder.path().join("ca.crt"), &key).unwrap();
        check_refused(&Config { client_ca, ..config }, "ca.crt: holds no certificate as PEM");
    }

    #[test]
    fn half_a_configuration_is_refused_and_none_is_no_tls() {
        let some = || Some(PathBuf::from("x.pem"));
        assert!(Certificates::of(&Config::default()).unwrap().is_none());
        for config in [
            Config { certificate: some(), ..Config::default() },
            Config { key: some(), ..Config::default() },
            Config { client_ca: some(), ..Config::default() },
        ] {
            let error = Certificates::of(&config).map(drop).unwrap_err().to_string();
            assert!(error.starts_with("x.pem: is a "), "{error}");
        }
    }

    #[test]
    fn the_expiry_is_the_certificates_own() {
        let (certificate, _) = pair("a.example");
        let all = certificates(Path::new("a"), certificate.as_bytes()).unwrap();
        let expiry = expiry(&all[0]).unwrap().duration_since(UNIX_EPOCH).unwrap();
        assert_eq!(expiry.as_secs(), 2_208_988_800);
    }
}
