//! Trains the demo models on the demo world.
//!
//! Imports: claims, calibration, vision, scenes, models, explain, evaluation.

pub mod adamw;
pub mod assign;
pub mod detection_data;
pub mod detection_loss;
pub mod clip;
pub mod contrastive;
pub mod evidence;
pub mod export;
pub mod faces;
pub mod objective;
pub mod people;
pub mod prompts;
pub mod detector;
pub mod run;
pub mod statement_losses;
pub mod statement_objective;
pub mod statement_recipe;
pub mod statement_run;
pub mod statement_validate;
pub mod statements;
pub mod tokenizer;
pub mod trainee;
pub mod validate;

use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::models::weights::WeightsError;

/// Why a training run cannot go on.
#[derive(Debug, Error)]
pub enum TrainingError {
    /// A file of the run cannot be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The checkpoint or the weights do not fit the net.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The tensor library refused an operation.
    #[error("tensor library: {0}")]
    Tensor(#[from] tch::TchError),
    /// The tokenizer cannot be trained, written or read.
    #[error("tokenizer: {0}")]
    Tokenizer(String),
    /// A drawn face cannot be made a net's input.
    #[error("picture: {0}")]
    Picture(String),
    /// The thread that draws faces has died.
    #[error("the thread that draws faces ended early")]
    Drawing,
    /// The loss is no number any more.
    #[error("loss is {loss} at step {step}; lower the learning rate")]
    Diverged {
        /// The step that broke.
        step: u64,
        /// The loss found.
        loss: f64,
    },
    /// An option that makes no run.
    #[error("{what} is {value}, must be at least {least}")]
    Option {
        /// Which option.
        what: &'static str,
        /// The value given.
        value: i64,
        /// The least value allowed.
        least: i64,
    },
}

impl TrainingError {
    /// A [`TrainingError::File`] about `path`.
    pub fn file(path: &Path, source: std::io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }
}
