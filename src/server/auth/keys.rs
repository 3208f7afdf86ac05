//! The key file: who is known, by what, and what each may do.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use governor::clock::DefaultClock;
use serde::Deserialize;
use subtle::{ConditionallySelectable, ConstantTimeEq};
use tokio_util::sync::CancellationToken;
use toml::value::Datetime;

use super::methods::Scope;
use super::quota::{Limits, Quota};
use super::secret::{hash, parse_hash};
use crate::server::peer::ClientCertificate;
use crate::server::watch::{FileError, Source};
use crate::telemetry::metrics::Reloaded;

/// More keys and certificates are refused: each key sent is compared with all of them.
const ENTRIES_LIMIT: usize = 4096;

/// The file as it is written.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    #[serde(default)]
    key: Vec<WrittenKey>,
    #[serde(default)]
    certificate: Vec<WrittenCertificate>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenKey {
    id: String,
    sha256: String,
    scopes: Vec<Scope>,
    rate: Option<f64>,
    burst: Option<u32>,
    concurrency: Option<u32>,
    expires: Option<Datetime>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenCertificate {
    id: String,
    subject: Option<String>,
    san: Option<String>,
    scopes: Vec<Scope>,
    rate: Option<f64>,
    burst: Option<u32>,
    concurrency: Option<u32>,
    expires: Option<Datetime>,
}

/// What proves that a caller is the one of an entry.
#[derive(Clone, Debug, Eq, PartialEq)]
enum Proof {
    /// A key with this SHA-256.
    Hash([u8; 32]),
    /// A client certificate with this subject.
    Subject(String),
    /// A client certificate with this alternative name.
    Name(String),
}

/// An entry: what it says, without what has been used of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Entry {
    id: String,
    proof: Proof,
    scopes: Vec<Scope>,
    limits: Limits,
    expires: Option<SystemTime>,
}

/// What a known caller may do, and has used.
pub(super) struct Grant {
    entry: Entry,
    /// Who it is, for messages and logs: `key 'ci'`.
    pub(super) caller: Arc<str>,
    pub(super) quota: Quota,
    /// Cancelled when the file grants it no more.
    pub(super) revoked: CancellationToken,
}

impl Grant {
    fn new(entry: Entry) -> Self {
        let kind = match entry.proof {
            Proof::Hash(_) => "key",
            Proof::Subject(_) | Proof::Name(_) => "certificate",
        };
        Self {
            caller: format!("{kind} '{}'", entry.id).into(),
            quota: Quota::new(&entry.limits, &DefaultClock::default()),
            revoked: CancellationToken::new(),
            entry,
        }
    }

    pub(super) fn has(&self, scope: Scope) -> bool {
        self.entry.scopes.contains(&scope)
    }

    pub(super) fn expired(&self, now: SystemTime) -> bool {
        self.entry.expires.is_some_and(|expires| expires <= now)
    }

    /// Whether this entry still grants all that `before` did, to the same holder.
    fn covers(&self, before: &Entry) -> bool {
        let entry = &self.entry;
        entry.id == before.id
            && entry.proof == before.proof
            && entry.expires == before.expires
            && before.scopes.iter().all(|scope| entry.scopes.contains(scope))
    }
}

/// All that a key file grants.
pub(in crate::server) struct Keys(Vec<Arc<Grant>>);

impl Keys {
    /// Keys and certificates in the file.
    pub(in crate::server) fn len(&self) -> usize {
        self.0.len()
    }

    /// Whose key this is. All entries are compared, each in constant time: how long it takes tells
    /// neither how much of a key is right nor whose it is.
    pub(super) fn by_key(&self, key: &[u8]) -> Option<Arc<Grant>> {
        let digest = hash(key);
        let mut found = u32::MAX;
        for (at, grant) in (0..).zip(&self.0) {
            if let Proof::Hash(known) = &grant.entry.proof {
                found.conditional_assign(&at, known.ct_eq(&digest));
            }
        }
        self.0.get(found as usize).cloned()
    }

    /// Who this is; the first entry that fits. The certificate has been verified in the handshake.
    pub(super) fn by_certificate(&self, certificate: &ClientCertificate) -> Option<Arc<Grant>> {
        let fits = |grant: &&Arc<Grant>| match &grant.entry.proof {
            Proof::Hash(_) => false,
            Proof::Subject(subject) => *subject == certificate.subject,
            Proof::Name(name) => certificate.names.contains(name),
        };
        self.0.iter().find(fits).cloned()
    }

    /// Entries as they are now; those that have not changed keep what has been used of them, and
    /// what is granted no more is revoked.
    fn of(entries: Vec<Entry>, before: Option<&Self>) -> Self {
        let old = before.map_or(&[][..], |keys| &keys.0);
        let grants: Vec<Arc<Grant>> = entries
            .into_iter()
            .map(|entry| match old.iter().find(|grant| grant.entry == entry) {
                Some(same) => Arc::clone(same),
                None => Arc::new(Grant::new(entry)),
            })
            .collect();
        for grant in old {
            if !grants.iter().any(|new| new.covers(&grant.entry)) {
                grant.revoked.cancel();
            }
        }
        Self(grants)
    }
}

/// The key file of a server.
pub(in crate::server) struct KeyFile(pub(in crate::server) PathBuf);

impl Source for KeyFile {
    type Loaded = Keys;
    const WHAT: Reloaded = Reloaded::Keys;

    fn files(&self) -> Vec<PathBuf> {
        vec![self.0.clone()]
    }

    fn load(&self, contents: Vec<Vec<u8>>, before: Option<&Keys>) -> Result<Keys, FileError> {
        let entries = parse(&self.0, contents.first().map_or(&[], Vec::as_slice))?;
        if entries.is_empty() {
            tracing::warn!(file = %self.0.display(), "the key file is empty: every call is refused");
        }
        Ok(Keys::of(entries, before))
    }
}

fn parse(path: &Path, content: &[u8]) -> Result<Vec<Entry>, FileError> {
    let text = str::from_utf8(content).map_err(|_| "is no UTF-8 text".to_owned());
    text.and_then(read).map_err(|reason| FileError::invalid(path, reason))
}

/// The entries of a key file's text; an error tells where and what, and quotes no value.
pub(super) fn read(text: &str) -> Result<Vec<Entry>, String> {
    let written: Written = toml::from_str(text).map_err(|error| {
        // Not all of it: the error quotes the line, and a secret may stand there by mistake.
        let line = error.span().map_or(1, |span| text[..span.start].matches('\n').count() + 1);
        let message = match error.message() {
            field if field.starts_with("unknown field") => field,
            value => value.split(['`', '"', '\'']).next().unwrap_or_default().trim_end(),
        };
        format!("line {line}: {message}")
    })?;
    let keys = written.key.into_iter().map(key);
    let certificates = written.certificate.into_iter().map(certificate);
    let entries: Vec<Entry> = keys.chain(certificates).collect::<Result<_, _>>()?;
    if entries.len() > ENTRIES_LIMIT {
        return Err(format!("has {} entries, limit {ENTRIES_LIMIT}", entries.len()));
    }
    for (at, entry) in entries.iter().enumerate() {
        check(entry).map_err(|reason| format!("'{}': {reason}", entry.id))?;
        for other in &entries[..at] {
            if other.id == entry.id {
                return Err(format!("the id '{}' stands twice", entry.id));
            }
            if other.proof == entry.proof {
                let (one, two) = (&other.id, &entry.id);
                return Err(format!("'{one}' and '{two}' are the same key or certificate"));
            }
        }
    }
    Ok(entries)
}

fn key(written: WrittenKey) -> Result<Entry, String> {
    let WrittenKey { id, sha256, scopes, rate, burst, concurrency, expires } = written;
    let proof = parse_hash(&sha256).map(Proof::Hash).ok_or_else(|| {
        format!(
            "'{id}': sha256 must be 64 hexadecimal digits, as 'veriframe keys hash' prints them"
        )
    })?;
    let expires = expires.map(|time| moment(&id, &time)).transpose()?;
    Ok(Entry { id, proof, scopes, limits: Limits { rate, burst, concurrency }, expires })
}

fn certificate(written: WrittenCertificate) -> Result<Entry, String> {
    let WrittenCertificate { id, subject, san, scopes, rate, burst, concurrency, expires } =
        written;
    let proof = match (subject, san) {
        (Some(subject), None) => Proof::Subject(subject),
        (None, Some(name)) => Proof::Name(name),
        (Some(_), Some(_)) | (None, None) => {
            return Err(format!("'{id}': give one of subject and san"));
        }
    };
    let expires = expires.map(|time| moment(&id, &time)).transpose()?;
    Ok(Entry { id, proof, scopes, limits: Limits { rate, burst, concurrency }, expires })
}

fn moment(id: &str, time: &Datetime) -> Result<SystemTime, String> {
    let text = time.to_string();
    let whole = if time.time.is_none() { format!("{text}T00:00:00Z") } else { text };
    humantime::parse_rfc3339(&whole).map_err(|error| {
        format!("'{id}': expires is {whole}: {error}; write for example 2030-12-31T00:00:00Z")
    })
}

fn check(entry: &Entry) -> Result<(), String> {
    let plain = |sign: char| sign.is_ascii_alphanumeric() || "-_.@".contains(sign);
    if entry.id.is_empty() || entry.id.len() > 64 || !entry.id.chars().all(plain) {
        return Err("an id is 1 to 64 letters, digits and signs of -_.@".to_owned());
    }
    if entry.scopes.is_empty() {
        return Err("scopes is empty; use \"inference\", \"admin\" or both".to_owned());
    }
    match &entry.proof {
        Proof::Subject(name) | Proof::Name(name) if name.is_empty() => {
            return Err("an empty name would fit any certificate without one".to_owned());
        }
        Proof::Name(name)
            if !["dns:", "uri:", "email:"].iter().any(|kind| name.starts_with(kind)) =>
        {
            return Err(format!("san is '{name}', must begin with dns:, uri: or email:"));
        }
        Proof::Hash(_) | Proof::Subject(_) | Proof::Name(_) => {}
    }
    entry.limits.check()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use sha2::{Digest, Sha256};

    use super::*;

    fn parsed(text: &str) -> Result<Vec<Entry>, String> {
        parse(Path::new("keys.toml"), text.as_bytes()).map_err(|error| error.to_string())
    }

    fn keys(text: &str, before: Option<&Keys>) -> Keys {
        Keys::of(parsed(text).unwrap(), before)
    }

    fn entry(id: &str, secret: &str, rest: &str) -> String {
        let hash = format!("{:x}", Sha256::digest(secret));
        format!("[[key]]\nid = '{id}'\nsha256 = '{hash}'\nscopes = ['inference']\n{rest}\n")
    }

    #[test]
    fn a_key_is_found_by_its_secret_alone() {
        let keys = keys(&(entry("a", "secret of a", "") + &entry("b", "secret of b", "")), None);
        let found = |secret: &str| keys.by_key(secret.as_bytes()).map(|grant| grant.caller.clone());
        assert_eq!(found("secret of a").as_deref(), Some("key 'a'"));
        assert_eq!(found("secret of b").as_deref(), Some("key 'b'"));
        for wrong in ["", "secret of", "secret of c", "Secret of a"] {
            assert_eq!(found(wrong), None);
        }
    }

    #[test]
    fn a_certificate_is_found_by_subject_or_alternative_name() {
        let keys = keys(
            "[[certificate]]\nid = 'robot'\nsubject = 'CN=robot, O=Example'\nscopes = ['admin']\n\
             [[certificate]]\nid = 'mesh'\nsan = 'uri:spiffe://example/a'\nscopes = ['inference']",
            None,
        );
        let found = |subject: &str, name: &str| {
            let names = vec!["dns:x".to_owned(), name.to_owned()];
            let certificate = ClientCertificate { subject: subject.to_owned(), names };
            keys.by_certificate(&certificate).map(|grant| grant.caller.clone())
        };
        let robot = found("CN=robot, O=Example", "");
        assert_eq!(robot.as_deref(), Some("certificate 'robot'"));
        let mesh = found("", "uri:spiffe://example/a");
        assert_eq!(mesh.as_deref(), Some("certificate 'mesh'"));
        assert_eq!(found("CN=robot", "uri:spiffe://example/b"), None);
    }

    #[test]
    fn an_expiry_is_a_day_or_a_moment() {
        for (written, seconds) in [("2030-01-01", 0), ("2030-01-01T00:01:00Z", 60)] {
            let keys = keys(&entry("a", "s", &format!("expires = {written}")), None);
            let start = UNIX_EPOCH + Duration::from_secs(1_893_456_000 + seconds);
            let grant = &keys.0[0];
            assert!(grant.expired(start) && !grant.expired(start - Duration::from_secs(1)));
        }
    }

    #[test]
    fn a_wrong_file_is_told_without_what_stands_in_it() {
        let hash = "0".repeat(64);
        for (text, part) in [
            ("[[key]]\nid = 'a'\nsecret = 'vf_hush'", "line 3: unknown field"),
            ("[[key]]\nid = 'a'\nsha256 = 'vf_hush'\nscopes = ['admin']", "64 hexadecimal digits"),
            ("[[key]]\nid = 'a'\nsha256 = vf_hush", "line 3: "),
            ("key = 'vf_hush'", "line 1: invalid type"),
            (&format!("[[key]]\nid = 'a'\nsha256 = '{hash}'\nscopes = ['vf_hush']"), "line 4"),
            (&format!("[[key]]\nid = 'a b'\nsha256 = '{hash}'\nscopes = ['admin']"), "an id is"),
            (&format!("[[key]]\nid = 'a'\nsha256 = '{hash}'\nscopes = []"), "scopes is empty"),
            (&entry("a", "s", "rate = 0.0"), "'a': rate is 0"),
            (&entry("a", "s", "expires = 2030-01-01T00:00:00+09:00"), "write for example"),
            (&(entry("a", "s", "") + &entry("a", "t", "")), "the id 'a' stands twice"),
            (&(entry("a", "s", "") + &entry("b", "s", "")), "are the same key"),
            ("[[certificate]]\nid = 'a'\nscopes = ['admin']", "one of subject and san"),
            ("[[certificate]]\nid = 'a'\nsan = 'x'\nscopes = ['admin']", "must begin with dns:"),
            ("[[certificate]]\nid = 'a'\nsubject = ''\nscopes = ['admin']", "an empty name"),
        ] {
            let error = parsed(text).unwrap_err();
            assert!(error.contains(part), "'{part}' is not in: {error}");
            assert!(!error.contains("hush"), "{error}");
            assert!(error.starts_with("keys.toml: "), "{error}");
        }
    }

    #[test]
    fn an_unchanged_entry_keeps_what_it_has_used_and_a_lost_one_is_revoked() {
        let rate = "rate = 0.001\nburst = 1";
        let before =
            keys(&(entry("a", "s", rate) + &entry("b", "t", "") + &entry("c", "u", "")), None);
        assert!(before.0[0].quota.take().is_ok());
        let wider = entry("c", "u", "").replace("'inference'", "'inference', 'admin'");
        let after = keys(&(entry("a", "s", rate) + &wider), Some(&before));
        assert!(Arc::ptr_eq(&before.0[0], &after.0[0]) && after.0[0].quota.take().is_err());
        let revoked: Vec<bool> =
            before.0.iter().map(|grant| grant.revoked.is_cancelled()).collect();
        assert_eq!(revoked, [false, true, false]);
        let narrower = keys(&entry("c", "u", ""), Some(&after));
        assert!(after.0[1].revoked.is_cancelled() && !narrower.0[0].revoked.is_cancelled());
        let other_secret = keys(&entry("c", "other", ""), Some(&narrower));
        assert!(narrower.0[0].revoked.is_cancelled() && other_secret.len() == 1);
    }
}
