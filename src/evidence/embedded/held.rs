//! A collection of the store as it was found: open, or set aside because it could not be opened.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use super::collection::Opened;
use crate::evidence::config::Config;
use crate::evidence::error::Error;

/// A collection that has its folder in the store.
pub(super) enum Held {
    /// It serves.
    Open(Opened),
    /// It could not be opened: whoever names it gets this.
    Damaged(Error),
}

impl Held {
    /// Opens the collection `name` in its folder. What is wrong with this one sets it aside, so that
    /// the others serve. Blocks.
    ///
    /// # Errors
    /// [`Error::DiskFull`] and [`Error::ReadOnly`]: whoever mends them mends them for all.
    pub(super) fn open(folder: &Path, name: &str, config: &Config) -> Result<Self, Error> {
        // An index that is given up writes once more as it is dropped, and panics where it cannot.
        let error = match catch_unwind(AssertUnwindSafe(|| open(folder, name, config))) {
            Ok(Ok(open)) => return Ok(Self::Open(open)),
            Ok(Err(error)) => error,
            Err(_) => Error::Failed {
                collection: name.to_owned(),
                reason: "its opening panicked".to_owned(),
            },
        };
        if matches!(error, Error::DiskFull { .. } | Error::ReadOnly { .. }) {
            return Err(error);
        }
        let unopened = Error::Unopened { collection: name.to_owned(), reason: reason(&error) };
        tracing::error!(error = %unopened, "a collection of evidence is left out, the others serve");
        Ok(Self::Damaged(unopened))
    }

    /// The open collection, or why it is none.
    pub(super) fn opened(&self) -> Result<&Opened, Error> {
        match self {
            Self::Open(open) => Ok(open),
            Self::Damaged(error) => Err(error.clone()),
        }
    }

    /// As [`Opened::close`]; of a damaged one nothing is open.
    pub(super) fn close(self) -> Result<(), Error> {
        match self {
            Self::Open(open) => open.close(),
            Self::Damaged(_) => Ok(()),
        }
    }
}

/// Opens a collection that has its folder's name: one that was copied beside itself would be there
/// twice under one name.
fn open(folder: &Path, name: &str, config: &Config) -> Result<Opened, Error> {
    let open = Opened::open(folder, config)?;
    let own = open.shared.about().name;
    if own == name {
        return Ok(open);
    }
    open.close()?;
    let reason = format!("is the collection '{own}' under another name");
    Err(Error::Damaged { path: folder.to_path_buf(), reason })
}

/// What is wrong, without what would be done about it elsewhere.
fn reason(error: &Error) -> String {
    if let Error::Damaged { path, reason } = error {
        format!("{}: {reason}", path.display())
    } else if let Error::Failed { reason, .. } = error {
        reason.clone()
    } else {
        error.to_string()
    }
}
