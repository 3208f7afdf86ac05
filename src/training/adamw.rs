//! The optimiser: Adam with decoupled weight decay (Loshchilov and Hutter, arXiv 1711.05101), over
//! the leaves of a [`Weights`]. tch's own wants a `VarStore`.

use std::collections::BTreeMap;

use tch::{Kind, Tensor};

use super::TrainingError;
use crate::models::weights::{Weights, WeightsError};

/// The optimiser's constants.
#[derive(Clone, Copy, Debug)]
pub struct AdamConfig {
    /// Decay of the mean of gradients.
    pub beta1: f64,
    /// Decay of the mean of squared gradients.
    pub beta2: f64,
    /// Added to the denominator.
    pub epsilon: f64,
    /// Weight decay per unit of learning rate, for tensors of two dimensions and more.
    pub weight_decay: f64,
    /// Gradients are scaled down to this global norm.
    pub clip_norm: f64,
}

impl Default for AdamConfig {
    fn default() -> Self {
        Self { beta1: 0.9, beta2: 0.98, epsilon: 1e-8, weight_decay: 0.05, clip_norm: 1.0 }
    }
}

/// One trained tensor and its running means.
#[derive(Debug)]
struct Leaf {
    key: String,
    value: Tensor,
    first: Tensor,
    second: Tensor,
}

/// Adam with decoupled weight decay.
#[derive(Debug)]
pub struct AdamW {
    config: AdamConfig,
    leaves: Vec<Leaf>,
    updates: u64,
}

impl AdamW {
    /// Over every tensor of `weights` that wants a gradient.
    pub fn new(weights: &Weights, config: AdamConfig) -> Self {
        let leaves = weights
            .tensors()
            .into_iter()
            .filter(|(_, value)| value.requires_grad())
            .map(|(key, value)| {
                let (first, second) = tch::no_grad(|| (value.zeros_like(), value.zeros_like()));
                Leaf { key, value, first, second }
            })
            .collect();
        Self { config, leaves, updates: 0 }
    }

    /// Makes one update at the learning rate `rate`, forgets the gradients, and returns their
    /// global norm before clipping. A leaf without a gradient stays as it is.
    pub fn step(&mut self, rate: f64) -> f64 {
        tch::no_grad(|| {
            let norm = self.gradient_norm();
            let factor = (self.config.clip_norm / (norm + 1e-6)).min(1.0);
            self.updates += 1;
            for leaf in &mut self.leaves {
                let gradient = leaf.value.grad();
                if gradient.defined() {
                    update(leaf, &(gradient * factor), &self.config, (rate, self.updates));
                    leaf.value.zero_grad();
                }
            }
            norm
        })
    }

    /// Updates made so far.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Every leaf's key with its mean gradient and mean squared gradient.
    pub fn moments(&self) -> impl Iterator<Item = (&str, Tensor, Tensor)> {
        self.leaves.iter().map(|leaf| {
            (leaf.key.as_str(), leaf.first.shallow_clone(), leaf.second.shallow_clone())
        })
    }

    /// Takes back what [`AdamW::moments`] gave.
    pub fn restore(
        &mut self,
        updates: u64,
        first: &BTreeMap<String, Tensor>,
        second: &BTreeMap<String, Tensor>,
    ) -> Result<(), TrainingError> {
        let find = |moments: &BTreeMap<String, Tensor>, key: &String| {
            moments.get(key).map(Tensor::copy).ok_or_else(|| WeightsError::Missing {
                file: "checkpoint".to_owned(),
                key: key.clone(),
            })
        };
        for leaf in &mut self.leaves {
            leaf.first = find(first, &leaf.key)?;
            leaf.second = find(second, &leaf.key)?;
        }
        self.updates = updates;
        Ok(())
    }

    fn gradient_norm(&self) -> f64 {
        let squares: Vec<Tensor> = self
            .leaves
            .iter()
            .map(|leaf| leaf.value.grad())
            .filter(Tensor::defined)
            .map(|gradient| gradient.square().sum(Kind::Float))
            .collect();
        if squares.is_empty() {
            return 0.0;
        }
        Tensor::stack(&squares, 0).sum(Kind::Double).sqrt().double_value(&[])
    }
}

/// θ ← θ − η (m̂ / (√v̂ + ε) + λ θ).
fn update(leaf: &mut Leaf, gradient: &Tensor, config: &AdamConfig, (rate, count): (f64, u64)) {
    let correction = |beta: f64| 1.0 - beta.powf(count as f64);
    leaf.first = &leaf.first * config.beta1 + gradient * (1.0 - config.beta1);
    leaf.second = &leaf.second * config.beta2 + gradient.square() * (1.0 - config.beta2);
    let spread = (&leaf.second / correction(config.beta2)).sqrt() + config.epsilon;
    let mut change = &leaf.first / spread * (rate / correction(config.beta1));
    if leaf.value.dim() >= 2 {
        change += &leaf.value * (rate * config.weight_decay);
    }
    leaf.value -= change;
}

#[cfg(test)]
mod tests {
    use super::*;
    use tch::Device;

    fn weights(shape: &[i64], value: f64) -> Weights {
        let tensor = Tensor::full(shape, value, (Kind::Float, Device::Cpu)).set_requires_grad(true);
        Weights::from_tensors("test".into(), BTreeMap::from([("w".into(), tensor)]))
    }

    /// Two updates of one number, by hand from the paper's algorithm 2.
    #[test]
    fn updates_follow_the_textbook() {
        let config = AdamConfig { clip_norm: f64::INFINITY, ..AdamConfig::default() };
        let weights = weights(&[1, 1], 2.0);
        let leaf = weights.tensors().remove(0).1;
        let mut optimiser = AdamW::new(&weights, config);
        let (mut theta, mut m, mut v) = (2.0f64, 0.0f64, 0.0f64);
        for t in 1..=5 {
            (&leaf * &leaf).sum(Kind::Float).backward();
            optimiser.step(0.1);
            let g = 2.0 * theta;
            m = config.beta1 * m + (1.0 - config.beta1) * g;
            v = config.beta2 * v + (1.0 - config.beta2) * g * g;
            let m_hat = m / (1.0 - config.beta1.powi(t));
            let v_hat = v / (1.0 - config.beta2.powi(t));
            theta -= 0.1 * (m_hat / (v_hat.sqrt() + config.epsilon) + config.weight_decay * theta);
            assert!((leaf.double_value(&[0, 0]) - theta).abs() < 1e-5);
        }
    }

    #[test]
    fn vectors_are_not_decayed_and_leaves_without_gradient_stay() {
        let weights = weights(&[3], 1.0);
        let leaf = weights.tensors().remove(0).1;
        let mut optimiser = AdamW::new(&weights, AdamConfig::default());
        assert!(optimiser.step(0.1).abs() < f64::EPSILON);
        assert_eq!(leaf, Tensor::ones([3], (Kind::Float, Device::Cpu)));
        (&leaf * 0.0).sum(Kind::Float).backward();
        optimiser.step(0.1);
        assert_eq!(leaf, Tensor::ones([3], (Kind::Float, Device::Cpu)));
    }

    #[test]
    fn a_long_gradient_is_cut_to_the_limit() {
        let weights = weights(&[4], 0.0);
        let leaf = weights.tensors().remove(0).1;
        let config = AdamConfig { clip_norm: 1.0, ..AdamConfig::default() };
        let mut optimiser = AdamW::new(&weights, config);
        (&leaf * 100.0).sum(Kind::Float).backward();
        assert!((optimiser.step(0.1) - 200.0).abs() < 1e-3);
        let (_, first, _) = optimiser.moments().next().unwrap();
        assert!((first.double_value(&[0]) - 0.1 * 0.5).abs() < 1e-6);
    }
}
