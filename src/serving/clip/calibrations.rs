//! Files beside a CLIP's weights that turn its figures into probabilities.
//!
//! A file that was fitted for other weights is not used, and the log says so; one that is broken
//! keeps the model from being served, for its operator meant it to hold.

use std::io::ErrorKind;

use crate::calibration::{CalibrationFile, Kind};
use crate::models::clip::ClipCheckpoint;

/// The calibrations of one model, at most one of each kind.
#[derive(Debug, Default)]
pub(super) struct Calibrations {
    files: Vec<CalibrationFile>,
}

impl Calibrations {
    /// Those in the checkpoint's folder.
    pub(super) fn beside(checkpoint: &ClipCheckpoint) -> Result<Self, String> {
        let mut files = Vec::new();
        for kind in Kind::ALL {
            let parse =
                |json: &str| CalibrationFile::parse(json, kind).map_err(|error| error.to_string());
            let file = fitted_for(checkpoint, kind.file_name(), parse, |file| &file.checksum)?;
            files.extend(file);
        }
        Ok(Self { files })
    }

    /// That of this kind.
    pub(super) fn of(&self, kind: Kind) -> Option<&CalibrationFile> {
        self.files.iter().find(|file| file.kind == kind)
    }
}

/// What the file `name` in the checkpoint's folder holds; nothing where there is none, or where its
/// checksum is that of other weights.
pub(super) fn fitted_for<C>(
    checkpoint: &ClipCheckpoint,
    name: &str,
    parse: impl Fn(&str) -> Result<C, String>,
    checksum: impl Fn(&C) -> &str,
) -> Result<Option<C>, String> {
    let path = checkpoint.folder.join(name);
    let told = |reason: String| format!("{}: {reason}", path.display());
    match std::fs::read_to_string(&path) {
        Ok(json) => {
            let read = parse(&json).map_err(told)?;
            let fits = checksum(&read) == checkpoint.checksum();
            if !fits {
                let why = "it was fitted for other weights; fit it again";
                tracing::warn!(path = %path.display(), why, "the calibration is not used");
            }
            Ok(fits.then_some(read))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(told(error.to_string())),
    }
}
