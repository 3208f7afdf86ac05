//! How good heatmaps are: where they lie, and whether the model's score hangs on what they show.
//!
//! Pure figures first, one kind a file; then [`measure_explanations`], which puts a
//! [`Scorer`](super::faces::Scorer) through all of them on generated faces. Beside every method
//! stand a random map, a Gaussian at the picture's centre and the site's own mask: a method is only
//! as good as its distance from the first two, and the third is what a map that knows the truth
//! would get.

mod curves;
mod figure;
mod paired;
mod removal;
mod road;
mod run;
mod scene;
mod segmentation;
mod shape;
mod summary;
#[cfg(test)]
mod synthetic;
mod trial;

pub use curves::{area_under, blurred, ordered, replaced};
pub use figure::{Better, Figures, Metric};
pub use paired::{Difference, Standing, TOLD_APART};
pub use removal::{Removal, correlation, infidelity};
pub use road::impute;
pub use run::{Depth, ExplanationOptions, ExplanationReport, measure_explanations};
pub use scene::{BASELINES, MapRecord, SceneRecord};
pub use segmentation::{Segmentation, rank_accuracy};
pub use shape::{difference, entropy, gini};
pub use summary::{Rank, Row};
