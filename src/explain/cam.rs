//! Class activation maps on a transformer: channels of a block's normed input, weighted.
//!
//! Formulas and constants are those of pytorch-grad-cam (MIT), from which users know them; the
//! papers stand at [`super::Method`]. The tensor is the output of a block's first norm: patches of
//! the *output* of the last block have no gradient at all, for only the class token reaches the
//! head. The target is the (contrastive) cosine, which does not saturate as a softmax does.

use tch::{Kind, Tensor};

use super::eigen::principal_projection;
use super::replay::Replay;
use super::scale::scaled;
use crate::models::clip::{Tape, VisionTower};

/// Keeps a quotient finite where gradients vanish; of the reference.
const PLUS_PLUS_EPSILON: f64 = 1e-6;
/// Keeps a quotient finite where activations cancel; of the reference.
const X_GRAD_EPSILON: f64 = 1e-7;

/// One block's activations and gradients of the patches alone; f32, or f64 to look closer.
#[derive(Debug)]
pub struct Activations {
    /// `[n, D]`.
    pub values: Tensor,
    /// For each direction, `[P, n, D]`.
    pub gradients: Tensor,
}

/// The methods that weigh the channels of one block with what the block's gradients say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Cam {
    /// By their mean gradient.
    Grad,
    /// By positive gradients, each divided by its second-order share. Made for activations that are
    /// at least 0; a norm's are not, so the quotient has poles: in a ViT-B/16 with random weights
    /// four in ten denominators are negative, and the few near 0 decide the map.
    PlusPlus,
    /// By gradients that are averaged by activation.
    XGrad,
    /// Place by place by positive gradients.
    Layer,
    /// Place by place by gradients.
    Hires,
    /// The first principal component of the activations, without gradients.
    Eigen,
    /// The first principal component of activations times gradients.
    EigenGrad,
}

/// How the weighted channels become a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Channels {
    /// Their sum.
    Summed,
    /// Their first principal component.
    Principal,
}

impl Activations {
    /// Of blocks `layers` (ascending) for image `item`, one for each. The tape must hold the input
    /// of the first.
    pub fn of(
        vision: &VisionTower,
        (tape, item): (&Tape, i64),
        layers: &[usize],
        directions: &Tensor,
    ) -> Vec<Self> {
        let Some(&first) = layers.first() else { return Vec::new() };
        let mut replay = Replay::run(vision, (tape, item), first);
        replay.steps.retain(|step| layers.contains(&step.layer));
        let gradients = replay.gradients(directions, |step| &step.normed);
        let parts = replay.steps.iter().zip(gradients);
        let of = |(step, gradients): (&super::replay::Step, Tensor)| Self {
            values: patches(&step.normed.detach()).squeeze_dim(0),
            gradients: patches(&gradients),
        };
        parts.map(of).collect()
    }

    /// The same with each direction's gradients scaled to a largest magnitude of 1, so that
    /// constants made for gradients of that size do not decide the map; gradients of 0 stay.
    #[must_use]
    pub fn with_unit_gradients(&self) -> Self {
        let largest = self.gradients.abs().amax([1i64, 2].as_slice(), true);
        let largest = largest.where_self(&largest.gt(0.0), &largest.ones_like());
        Self { values: self.values.shallow_clone(), gradients: &self.gradients / largest }
    }

    /// Raw maps `[P, n]`, before relu.
    pub fn map(&self, cam: Cam, channels: Channels) -> Tensor {
        let (values, gradients) = (&self.values, &self.gradients);
        let weighted = match cam {
            Cam::Eigen => {
                let copies = [gradients.size()[0], -1];
                return principal_projection(&values.unsqueeze(0)).expand(copies, false);
            }
            Cam::EigenGrad => return principal_projection(&(gradients * values)),
            Cam::PlusPlus => self.plus_plus_weights().unsqueeze(1) * values,
            Cam::XGrad => self.x_grad_weights().unsqueeze(1) * values,
            Cam::Layer => gradients.relu() * values,
            Cam::Hires => gradients * values,
            Cam::Grad => gradients.mean_dim([1i64].as_slice(), true, None) * values,
        };
        match channels {
            Channels::Summed => sum(&weighted, 2),
            Channels::Principal => principal_projection(&weighted),
        }
    }

    /// Grad-CAM++: `Σ relu(g) · g² / (2 g² + (Σ A) g³ + ε)`, `[P, D]`.
    fn plus_plus_weights(&self) -> Tensor {
        let g = &self.gradients;
        let (square, total) = (g.square(), sum(&self.values, 0));
        let below = &square * 2.0 + total * &square * g + PLUS_PLUS_EPSILON;
        let share = (square / below).where_self(&g.ne(0.0), &g.zeros_like());
        sum(&(g.relu() * share), 1)
    }

    /// `XGrad-CAM`: `Σ g A / (Σ A + ε)`, `[P, D]`.
    fn x_grad_weights(&self) -> Tensor {
        let total = sum(&self.values, 0) + X_GRAD_EPSILON;
        sum(&(&self.gradients * &self.values / total), 1)
    }
}

/// Raw maps `[P, n]` of image `item`. Of one block they are in the method's units; of several, each
/// is cut at 0 and scaled to 0..1, then they are averaged. Of Grad-CAM++ gradients are scaled
/// first.
pub fn class_activation(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    (cam, channels): (Cam, Channels),
    layers: &[usize],
    directions: &Tensor,
) -> Tensor {
    let blocks = Activations::of(vision, (tape, item), layers, directions);
    let maps = blocks.iter().map(|block| {
        if cam == Cam::PlusPlus {
            block.with_unit_gradients().map(cam, channels)
        } else {
            block.map(cam, channels)
        }
    });
    joined(&maps.collect::<Vec<_>>())
}

/// The mean over blocks of maps `[P, n]` that are cut at 0 and scaled to 0..1; one block's map as
/// it is.
pub(super) fn joined(maps: &[Tensor]) -> Tensor {
    if let [map] = maps {
        return map.shallow_clone();
    }
    let maps: Vec<Tensor> = maps.iter().map(|map| scaled(&map.relu(), 1)).collect();
    Tensor::stack(&maps, 0).mean_dim([0i64].as_slice(), false, Kind::Float)
}

/// Tokens without the class token, f32: `[.., N, D]` to `[.., n, D]`.
pub(super) fn patches(tokens: &Tensor) -> Tensor {
    tokens.narrow(-2, 1, tokens.size()[tokens.dim() - 2] - 1).to_kind(Kind::Float)
}

fn sum(tensor: &Tensor, dim: i64) -> Tensor {
    tensor.sum_dim_intlist([dim].as_slice(), false, None)
}
