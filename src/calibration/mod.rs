//! From figures to probabilities that come true: fits on labelled rows, and how good they are.
//!
//! Imports: nothing.
//!
//! ```text
//! JSONL ─rows─► Row ─folds─► fit, cross-validated ─► CalibrationFile ─► probability of new figures
//! ```
//!
//! Pure: no model, no thread, no clock. What a figure means is its maker's business; here it is a
//! name and a number. A fit lies in the folder of the model that it was made for, and holds for no
//! other weights.

mod confidence;
mod error;
mod file;
mod fit;
mod folds;
mod isotonic;
mod logistic;
mod map;
mod rows;

pub use confidence::{Bin, Confidence, Told, auroc, brier, ece};
pub use error::CalibrationError;
pub use file::{CalibrationFile, FORMAT, Identity, Kind};
pub use fit::{
    FOLDS, FitOptions, Fitted, LEAST_OF_EACH, LEAST_ROWS, Method, Tried, UNCALIBRATED, fit,
};
pub use isotonic::Isotonic;
pub use logistic::Logistic;
pub use map::{Contributions, Features, Fit};
pub use rows::{Dataset, Row, RowLimits};
