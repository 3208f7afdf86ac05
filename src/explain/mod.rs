//! Heatmaps: which part of the frame made the score.
//!
//! Imports: vision, models.
//!
//! Every method reads one [`Tape`], the record of the forward pass that made the score, and never
//! runs the net again. Each method has its file; [`maps`] is the one place that joins them. All
//! explain the *contrastive* cosine of [`Contrast`], which neither saturates nor vanishes.

mod contrast;
mod direct_effect;
mod grad_eclip;
mod map;

pub use contrast::Contrast;
pub use direct_effect::{DirectEffect, direct_effect};
pub use grad_eclip::grad_eclip;
pub use map::{Accounting, Quality, RawMap, Stats};

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::Tensor;
use thiserror::Error;

use crate::models::clip::{Clip, TapPlan, Tape, VisionTower};

/// Why no heatmap can be made.
#[derive(Debug, Error, PartialEq)]
pub enum ExplainError {
    /// There is no method of this name.
    #[error("heatmap method '{name}' is unknown, known are {}", known_methods())]
    UnknownMethod {
        /// What was asked for.
        name: String,
    },
}

/// A way to make heatmaps.
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(rename_all = "snake_case")]
pub enum Method {
    /// Multi-head Grad-ECLIP (Zhao et al. 2024): attended values, weighted by the gradient of the
    /// score and by how well query and key agree. Never negative.
    #[default]
    GradEclip,
    /// What each patch adds to the score directly, over all attention heads of all blocks
    /// (Gandelsman et al. 2024). Signed, in units of cosine; with [`Accounting`] it sums to the
    /// score.
    DirectEffect,
}

impl Method {
    /// Every method.
    pub const ALL: [Self; 2] = [Self::GradEclip, Self::DirectEffect];

    /// The name in requests, reports and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradEclip => "grad_eclip",
            Self::DirectEffect => "direct_effect",
        }
    }

    /// What the forward pass must keep for this method. Plans are ordered: the greatest of several
    /// serves them all.
    pub fn plan(self) -> TapPlan {
        match self {
            Self::GradEclip => TapPlan::LastBlock,
            Self::DirectEffect => TapPlan::EveryBlock,
        }
    }

    /// Whether maps have negative values: evidence against the prompt.
    pub fn is_signed(self) -> bool {
        match self {
            Self::GradEclip => false,
            Self::DirectEffect => true,
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Method {
    type Err = ExplainError;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::ALL
            .into_iter()
            .find(|method| method.name() == name)
            .ok_or_else(|| ExplainError::UnknownMethod { name: name.to_owned() })
    }
}

fn known_methods() -> String {
    Method::ALL.map(Method::name).join(", ")
}

/// Maps of image `item` of the taped batch: one for each prompt of `contrast` and method, prompts
/// outermost, methods within. The tape must have been kept with at least each [`Method::plan`].
/// Works inside `no_grad` too.
pub fn maps(
    clip: &Clip,
    (tape, item): (&Tape, usize),
    methods: &[Method],
    contrast: &Contrast,
) -> Vec<RawMap> {
    let margins = contrast.margins();
    let by_method: Vec<Vec<RawMap>> = methods
        .iter()
        .map(|&method| {
            let (raw, accounts) = raw_maps(&clip.vision, (tape, item as i64), method, contrast);
            map::finish(method, &raw, &accounts, &margins)
        })
        .collect();
    let by_prompt = (0..margins.len()).flat_map(|p| by_method.iter().map(move |maps| &maps[p]));
    by_prompt.cloned().collect()
}

/// Raw maps `[P + K, n]` of the prompts and nulls of `contrast`, and the accounts of those methods
/// that have them.
fn raw_maps(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    method: Method,
    contrast: &Contrast,
) -> (Tensor, Vec<Accounting>) {
    let directions = Tensor::cat(&[&contrast.directions, &contrast.null_directions], 0);
    match method {
        Method::GradEclip => (grad_eclip(vision, tape, item, &directions), Vec::new()),
        Method::DirectEffect => {
            let effect = direct_effect(vision, tape, item, &directions);
            let accounts = effect.accounts();
            (effect.map, accounts)
        }
    }
}
