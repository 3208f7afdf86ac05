//! Why evidence was not kept or found.

use crate::evidence;
use crate::serving::ServingError;

/// Either side's reason, unchanged; or that the sides do not fit each other.
#[derive(Clone, Debug, thiserror::Error)]
pub enum RetrievalError {
    /// A model's, or about a field of the request.
    #[error(transparent)]
    Serving(#[from] ServingError),
    /// The store's.
    #[error(transparent)]
    Store(#[from] evidence::Error),
    /// Serve the collection's model, or embed the collection anew with another.
    #[error(
        "collection '{collection}' was embedded with {expected}, which is not served; {served}. \
         Serve that model, or embed the collection again: veriframe evidence reembed"
    )]
    NoModel {
        /// The collection.
        collection: String,
        /// Its model.
        expected: String,
        /// What is served under the model's name.
        served: String,
    },
}

impl RetrievalError {
    /// The same, with the field of an invalid input as `rename` has it.
    #[must_use]
    pub fn renamed(self, rename: impl FnOnce(&str) -> String) -> Self {
        match self {
            Self::Serving(ServingError::Invalid { field, reason }) => {
                ServingError::Invalid { field: rename(&field), reason }.into()
            }
            Self::Store(evidence::Error::Invalid { field, reason }) => {
                evidence::Error::Invalid { field: rename(&field), reason }.into()
            }
            Self::Store(evidence::Error::WrongDimension { field, expected, found }) => {
                let field = rename(&field);
                evidence::Error::WrongDimension { field, expected, found }.into()
            }
            Self::Store(evidence::Error::UnknownField { field, name, nearest, known }) => {
                let field = rename(&field);
                evidence::Error::UnknownField { field, name, nearest, known }.into()
            }
            other @ (Self::Serving(_) | Self::Store(_) | Self::NoModel { .. }) => other,
        }
    }
}
