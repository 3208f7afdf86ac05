//! What can go wrong.

use thiserror::Error;

/// Why there is no calibration.
#[derive(Debug, Error)]
pub enum CalibrationError {
    /// The rows could not be read.
    #[error("cannot read the rows: {0}")]
    Read(#[from] std::io::Error),
    /// A line is no row, or breaks a limit.
    #[error("line {line}: {reason}")]
    Row {
        /// From 1.
        line: u64,
        /// The field, its value, and what it must be.
        reason: String,
    },
    /// The rows are sound, but nothing can be fitted to them as asked.
    #[error("{0}")]
    Data(String),
    /// A calibration file is not one.
    #[error("{0}")]
    File(String),
}
