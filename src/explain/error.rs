//! Why no heatmap can be made; every message names what is allowed.

use thiserror::Error;

use super::method::{LayerChoice, Method, names_of};

/// Why no heatmap can be made.
#[derive(Clone, Debug, Eq, Error, PartialEq)]
pub enum ExplainError {
    /// There is no method of this name.
    #[error("heatmap method '{name}' is unknown, known are {}", names_of(|_| true))]
    UnknownMethod {
        /// What was asked for.
        name: String,
    },
    /// The model has no such layer.
    #[error("{method} cannot read layer {layer}, the model has layers 0 to {last}")]
    LayerOutOfRange {
        /// The method.
        method: Method,
        /// What was asked for.
        layer: usize,
        /// The model's last layer.
        last: usize,
    },
    /// A layer is named more than once.
    #[error("layer {layer} is named twice for {method}, each layer counts once")]
    LayerTwice {
        /// The method.
        method: Method,
        /// The layer.
        layer: usize,
    },
    /// The method has no choice of layers.
    #[error(
        "{method} has no choice of layers, those that have are {}",
        names_of(|m| !matches!(m.layer_choice(), LayerChoice::Last | LayerChoice::OfMembers))
    )]
    LayersFixed {
        /// The method.
        method: Method,
    },
    /// The method reads all layers from some one to the last.
    #[error("{method} reads every layer from one of 0 to {last} up to {last}, without a gap")]
    LayersNotTail {
        /// The method.
        method: Method,
        /// The model's last layer.
        last: usize,
    },
    /// Smoothing by principal component is meant for channels of activations.
    #[error(
        "{method} has no channels to smooth by their principal component, those that have are {}",
        names_of(Method::is_class_activation)
    )]
    NoEigenSmoothing {
        /// The method.
        method: Method,
    },
    /// Only an ensemble has members.
    #[error("{method} has no members, only ensemble has")]
    NoMembers {
        /// The method.
        method: Method,
    },
    /// This method cannot be a member.
    #[error(
        "{member} cannot be in an ensemble{}, those that can are {}",
        if *member == Method::Ensemble { "" } else { " twice" },
        names_of(|m| m != Method::Ensemble)
    )]
    BadMember {
        /// The member.
        member: Method,
    },
}
