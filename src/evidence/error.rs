//! What can go wrong with evidence, by what the caller does next.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytesize::ByteSize;

/// Why the store refuses or fails. Whatever it was, what is acknowledged stays as it was.
#[derive(Clone, Debug, thiserror::Error)]
pub enum Error {
    /// Serve with a store.
    #[error("no evidence is kept here: serve with --evidence DIR, or set evidence.store")]
    Off,
    /// Name another collection, or create this one.
    #[error("collection '{name}' does not exist{}", suggestion(.nearest.as_deref()))]
    UnknownCollection {
        /// The name asked for.
        name: String,
        /// The existing name most like it.
        nearest: Option<String>,
    },
    /// Use the collection that is there, delete it first, or choose another name.
    #[error("collection '{0}' exists already")]
    CollectionExists(String),
    /// Embed with the collection's model, or embed the collection anew.
    #[error(
        "collection '{collection}' was embedded with {expected}, not with {found}; embed with the \
         first, or embed the collection again"
    )]
    ModelMismatch {
        /// The collection.
        collection: String,
        /// Its model.
        expected: String,
        /// The model of the vectors that came.
        found: String,
    },
    /// Send a vector of the collection's size.
    #[error("{field} has {found} values, the collection's embeddings have {expected}")]
    WrongDimension {
        /// Path of the vector in the request.
        field: String,
        /// Values of the collection's embeddings.
        expected: usize,
        /// Values that came.
        found: usize,
    },
    /// Correct the filter: no item has such a field.
    #[error("{field}: no item has the field '{name}'{}; there are: {}",
        suggestion(.nearest.as_deref()), listed(.known))]
    UnknownField {
        /// Path in the request.
        field: String,
        /// The name that was asked for.
        name: String,
        /// The existing name most like it.
        nearest: Option<String>,
        /// All names that exist.
        known: Vec<String>,
    },
    /// Correct the request.
    #[error("{field}: {reason}")]
    Invalid {
        /// Path in the request.
        field: String,
        /// What is wrong, with the value and the limit.
        reason: String,
    },
    /// Free space, then send it again: nothing of it was kept.
    #[error(
        "{} has {} free and must keep {}: free some space, then send it again; old data is kept",
        .path.display(), ByteSize(*.free_bytes), ByteSize(*.reserve_bytes)
    )]
    DiskFull {
        /// The store's folder.
        path: PathBuf,
        /// What is free.
        free_bytes: u64,
        /// What must stay free.
        reserve_bytes: u64,
    },
    /// Make the folder writable for the server.
    #[error("{} cannot be written ({reason}): make it writable; what is there is kept",
        .path.display())]
    ReadOnly {
        /// What cannot be written.
        path: PathBuf,
        /// The system's reason.
        reason: String,
    },
    /// Stop the other server, or give this one a folder of its own.
    #[error("{} is in use by another process", .0.display())]
    InUse(PathBuf),
    /// Try again in a moment: as many requests as may wait are waiting.
    #[error("the evidence store is busy: {waiting} requests wait, limit {limit}")]
    Busy {
        /// Requests that wait.
        waiting: usize,
        /// How many may.
        limit: usize,
    },
    /// The server ends, or the collection was deleted meanwhile.
    #[error("the evidence store is closed")]
    Closed,
    /// The collection takes no writes until the server has been started again.
    #[error(
        "collection '{collection}' failed ({reason}): start the server again, it recovers what was \
         acknowledged"
    )]
    Failed {
        /// The collection.
        collection: String,
        /// What failed.
        reason: String,
    },
    /// What lies on the disk is not what was written: restore it from a back-up.
    #[error("{} is damaged ({reason}): restore it from a back-up", .path.display())]
    Damaged {
        /// The file or folder.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Restore the collection from a back-up, or delete it; the others serve.
    #[error(
        "collection '{collection}' cannot be opened ({reason}): where starting the server again does \
         not help, restore it from a back-up or delete it"
    )]
    Unopened {
        /// The collection.
        collection: String,
        /// What is wrong with its files.
        reason: String,
    },
    /// See to the disk.
    #[error("{}: {source}", .path.display())]
    Disk {
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: Arc<io::Error>,
    },
    /// See to the cluster, then try again.
    #[error("the Qdrant cluster at {address} failed: {reason}")]
    Cluster {
        /// Where it is.
        address: String,
        /// What it answered.
        reason: String,
    },
}

impl Error {
    pub(super) fn invalid(field: impl Into<String>, reason: impl Into<String>) -> Self {
        Self::Invalid { field: field.into(), reason: reason.into() }
    }

    /// Refuses a count beyond its limit.
    pub(super) fn at_most(field: &str, what: &str, found: usize, limit: usize) -> Result<(), Self> {
        if found > limit {
            return Err(Self::invalid(field, format!("has {found} {what}, limit {limit}")));
        }
        Ok(())
    }

    /// What the system says about `path`, by what there is to do.
    pub(super) fn disk(path: &Path, source: io::Error) -> Self {
        let path = path.to_path_buf();
        let kind = source.kind();
        if matches!(kind, io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded) {
            Self::DiskFull { path, free_bytes: 0, reserve_bytes: 0 }
        } else if matches!(
            kind,
            io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied
        ) {
            Self::ReadOnly { path, reason: source.to_string() }
        } else {
            Self::Disk { path, source: Arc::new(source) }
        }
    }
}

/// The name most like `name`, where one is near enough to be a slip of the hand.
pub(super) fn nearest<'a>(name: &str, known: impl Iterator<Item = &'a str>) -> Option<String> {
    known
        .map(|other| (strsim::jaro_winkler(name, other), other))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|(one, _), (other, _)| one.total_cmp(other))
        .map(|(_, other)| other.to_owned())
}

fn suggestion(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |name| format!(", did you mean '{name}'?"))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "none".to_owned() } else { names.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_s_reasons_are_sorted_by_what_there_is_to_do() {
        let of = |kind: io::ErrorKind| Error::disk(Path::new("/data"), kind.into());
        assert!(matches!(of(io::ErrorKind::StorageFull), Error::DiskFull { .. }));
        assert!(matches!(of(io::ErrorKind::QuotaExceeded), Error::DiskFull { .. }));
        assert!(matches!(of(io::ErrorKind::ReadOnlyFilesystem), Error::ReadOnly { .. }));
        assert!(matches!(of(io::ErrorKind::PermissionDenied), Error::ReadOnly { .. }));
        assert!(matches!(of(io::ErrorKind::NotFound), Error::Disk { .. }));
    }

    #[test]
    fn a_slip_of_the_hand_is_answered_with_the_name_that_was_meant() {
        let known = ["author", "year", "language"];
        assert_eq!(nearest("auhtor", known.into_iter()).as_deref(), Some("author"));
        assert_eq!(nearest("zzz", known.into_iter()), None);
        let error = Error::UnknownField {
            field: "filter.test.field".into(),
            name: "auhtor".into(),
            nearest: Some("author".into()),
            known: known.map(str::to_owned).to_vec(),
        };
        assert_eq!(
            error.to_string(),
            "filter.test.field: no item has the field 'auhtor', did you mean 'author'?; there are: \
             author, year, language"
        );
    }
}
