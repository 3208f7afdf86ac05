//! A model that serves, of whatever kind, and who uses it.

use std::ops::Deref;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::watch;

use super::clip::ClipService;
use super::torchscript::TorchScriptService;
use super::yolo::DetectorService;
use super::{Depth, Health, ModelIdentity};

/// What a model does.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelKind {
    /// Pictures and texts to one embedding space.
    Clip,
    /// Pictures to labelled boxes.
    Detector,
    /// Tensors to tensors, by a TorchScript module.
    #[serde(rename = "torchscript")]
    TorchScript,
}

impl ModelKind {
    /// As manifests, logs and metrics write it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Clip => "clip",
            Self::Detector => "detector",
            Self::TorchScript => "torchscript",
        }
    }
}

/// A model that serves; cheap to clone.
#[derive(Clone)]
pub enum Served {
    /// CLIP.
    Clip(ClipService),
    /// YOLOv8.
    Detector(DetectorService),
    /// A TorchScript module.
    TorchScript(TorchScriptService),
}

impl Served {
    /// What it does.
    pub fn kind(&self) -> ModelKind {
        match self {
            Self::Clip(_) => ModelKind::Clip,
            Self::Detector(_) => ModelKind::Detector,
            Self::TorchScript(_) => ModelKind::TorchScript,
        }
    }

    /// Which weights answer.
    pub fn identity(&self) -> &ModelIdentity {
        match self {
            Self::Clip(clip) => clip.identity(),
            Self::Detector(detector) => detector.identity(),
            Self::TorchScript(module) => module.identity(),
        }
    }

    /// How its replicas fare.
    pub fn health(&self) -> Health {
        match self {
            Self::Clip(clip) => clip.health(),
            Self::Detector(detector) => detector.health(),
            Self::TorchScript(module) => module.health(),
        }
    }

    /// What waits and runs.
    pub fn depth(&self) -> Depth {
        match self {
            Self::Clip(clip) => clip.depth(),
            Self::Detector(detector) => detector.depth(),
            Self::TorchScript(module) => module.depth(),
        }
    }

    /// Answers what is queued, then stops the workers; at most `limit` long.
    pub async fn drain(&self, limit: Duration) {
        match self {
            Self::Clip(clip) => clip.drain(limit).await,
            Self::Detector(detector) => detector.drain(limit).await,
            Self::TorchScript(module) => module.drain(limit).await,
        }
    }
}

/// A model in use: as long as one lease of it lives, its workers do not end. A request takes one
/// when it begins and so finishes on the version that it began with.
#[derive(Clone, Debug)]
pub struct Lease<T> {
    model: T,
    user: watch::Receiver<()>,
}

impl<T> Deref for Lease<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.model
    }
}

impl<T> Lease<T> {
    /// A lease of a part of the same model, for the same use.
    pub(super) fn of<U>(&self, part: &U) -> Lease<U>
    where
        U: Clone,
    {
        Lease { model: part.clone(), user: self.user.clone() }
    }
}

/// Where the leases of one model end.
#[derive(Debug)]
pub(super) struct Users(watch::Sender<()>);

impl Users {
    /// A model's first lease, and what waits for the last.
    pub(super) fn of<T>(model: T) -> (Lease<T>, Self) {
        let (users, user) = watch::channel(());
        (Lease { model, user }, Self(users))
    }

    /// Returns when no lease is left.
    pub(super) async fn gone(&self) {
        self.0.closed().await;
    }
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;

    #[test]
    fn a_model_is_free_when_its_last_lease_is_gone() {
        let (first, users) = Users::of("model");
        let part = first.of(&1);
        let second = first.clone();
        assert_eq!((*first, *part, *second), ("model", 1, "model"));
        drop((first, second));
        assert!(users.gone().now_or_never().is_none());
        drop(part);
        assert!(users.gone().now_or_never().is_some());
    }
}
