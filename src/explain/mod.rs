//! Heatmaps: which part of the frame made the score.
//!
//! Imports: calibration, vision, models.
//!
//! Every method reads one [`Tape`](crate::models::clip::Tape), the record of the forward pass that
//! made the score, and runs no more of the net again than it differentiates. Each family of methods
//! has its file; `make` is the one place that joins them: a [`Recipe`] in, maps out. All explain
//! the *contrastive* cosine of [`Contrast`], which neither saturates nor vanishes.

mod affinity;
mod calibration;
mod cam;
mod checks;
mod contrast;
mod detector;
mod direct_effect;
mod dual_path;
mod eigen;
mod error;
mod exits;
mod grad_eclip;
mod legrad;
mod make;
mod map;
mod method;
mod recipe;
mod replay;
mod rollout;
mod rollout_variant;
mod scale;
mod score_cam;

pub use affinity::refined;
pub use calibration::{
    CALIBRATION_FILE, CHECKED_FEATURES, Calibration, MethodFit, QUICK_FEATURES, checked_features,
    quick_features,
};
pub use cam::{Activations, Cam, Channels, class_activation};
pub use checks::{Checks, PASSES_OF_CHECKS};
pub use contrast::Contrast;
pub use detector::{
    BoxCandidate, BoxHeat, BoxMap, BoxMapError, BoxTarget, DETECTOR_METHODS, box_map,
    candidate_maps, explains_boxes,
};
pub use direct_effect::{DirectEffect, direct_effect, direct_effect_by_head};
pub use dual_path::{DualPath, dual_path_features, dual_path_map, surgery_similarity};
pub use error::ExplainError;
pub use exits::{Exit, NEIGHBOURHOOD, exit_map, exit_weights};
pub use grad_eclip::{SingleHead, grad_eclip, grad_eclip_single_head};
pub use legrad::legrad;
pub use make::{augmented, checked_maps, maps, raw_map, recipe_maps};
pub use map::{Accounting, Quality, RawMap, Stats};
pub use method::Method;
pub use recipe::{Recipe, Smoothing};
pub use rollout::{Flow, attention_gradients, attentions, gradient_flow, rollout};
pub use rollout_variant::{HeadFusion, discarding_grad_rollout, discarding_rollout};
pub use scale::{as_grad_cam, rank_normalised};
pub use score_cam::score_cam;
