//! The models a server has, by name.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::clip::ClipService;
use super::yolo::DetectorService;
use super::{Deadline, ModelIdentity, ServingError};
use crate::engine;
use crate::libtorch::device_name;
use crate::models::clip::ClipCheckpoint;
use crate::models::yolo::YoloCheckpoint;
use crate::telemetry::metrics::{self, ModelLabels};

/// A model to load: a CLIP folder in the Hugging Face layout, or a YOLOv8 file.
///
/// As text it is `NAME=PATH`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelSource {
    /// The name it is served under.
    pub name: String,
    /// Folder (CLIP) or file (YOLOv8).
    pub path: PathBuf,
}

impl std::str::FromStr for ModelSource {
    type Err = String;

    /// Reads `NAME=PATH`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                Ok(Self { name: name.to_owned(), path: PathBuf::from(path) })
            }
            _ => Err(format!("'{text}' is not NAME=PATH, such as clip=models/demo/clip")),
        }
    }
}

impl TryFrom<String> for ModelSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ModelSource> for String {
    fn from(source: ModelSource) -> Self {
        format!("{}={}", source.name, source.path.display())
    }
}

/// How models are loaded and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// One replica of each model on each of these.
    pub devices: Vec<Device>,
    /// Kind of the nets' bulk: f32 or bf16.
    pub kind: Kind,
    /// Queue and batch limits; the name is filled in for each model.
    pub engine: engine::Config,
    /// Prompts whose embeddings are kept, per model.
    pub cached_texts: u64,
    /// Pictures that are decoded or drawn at once.
    pub cpu_slots: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            devices: vec![Device::Cpu],
            kind: Kind::Float,
            engine: engine::Config::default(),
            cached_texts: 10_000,
            cpu_slots: std::thread::available_parallelism().map_or(2, usize::from),
        }
    }
}

/// A model that was read from disk.
#[expect(clippy::large_enum_variant, reason = "lives for a moment, between disk and engine")]
pub enum Opened {
    /// CLIP.
    Clip(ClipCheckpoint),
    /// YOLOv8.
    Detector(YoloCheckpoint),
}

impl Opened {
    /// Reads a checkpoint, telling what it is by its form: a folder is CLIP, a file is YOLOv8.
    pub fn open(path: &Path) -> Result<Self, ServingError> {
        let fail =
            |reason: String| ServingError::Failed { model: path.display().to_string(), reason };
        if path.is_dir() {
            return ClipCheckpoint::open(path).map(Self::Clip).map_err(|e| fail(e.to_string()));
        }
        if !path.exists() {
            return Err(fail("there is no such file or folder".to_owned()));
        }
        YoloCheckpoint::open(path).map(Self::Detector).map_err(|e| fail(e.to_string()))
    }
}

/// The models, by name. Fixed once started.
pub struct Catalog {
    clips: BTreeMap<String, ClipService>,
    detectors: BTreeMap<String, DetectorService>,
    cpu: Arc<Semaphore>,
}

impl Catalog {
    /// Loads every source and starts its workers. Names must differ.
    pub fn start(sources: &[ModelSource], options: &Options) -> Result<Self, ServingError> {
        let (mut clips, mut detectors) = (BTreeMap::new(), BTreeMap::new());
        for source in sources {
            if clips.contains_key(&source.name) || detectors.contains_key(&source.name) {
                let reason = format!("two models are named '{}'", source.name);
                return Err(ServingError::invalid("model", reason));
            }
            let (devices, kind) = (options.devices.as_slice(), options.kind);
            let config = engine::Config { name: source.name.clone(), ..options.engine.clone() };
            let identity = |checksum: &str| ModelIdentity {
                name: source.name.clone(),
                version: "1".to_owned(),
                checksum: checksum.to_owned(),
            };
            let (identity, kind_name) = match Opened::open(&source.path)? {
                Opened::Clip(checkpoint) => {
                    let identity = identity(checkpoint.checksum());
                    let cached = options.cached_texts;
                    let service =
                        ClipService::start(identity, checkpoint, (devices, kind), config, cached)?;
                    let identity = service.identity().clone();
                    clips.insert(source.name.clone(), service);
                    (identity, "clip")
                }
                Opened::Detector(checkpoint) => {
                    let identity = identity(checkpoint.checksum());
                    let service =
                        DetectorService::start(identity, checkpoint, (devices, kind), config)?;
                    let identity = service.identity().clone();
                    detectors.insert(source.name.clone(), service);
                    (identity, "yolo")
                }
            };
            for &device in devices {
                let labels = ModelLabels {
                    name: &identity.name,
                    version: &identity.version,
                    kind: kind_name,
                    device: &device_name(device),
                };
                metrics::set_model(labels, true);
            }
            tracing::info!(model = %identity.name, checksum = %identity.checksum, "model loaded");
        }
        let cpu = Arc::new(Semaphore::new(options.cpu_slots.max(1)));
        Ok(Self { clips, detectors, cpu })
    }

    /// The CLIP model `name`, or the only (first by name) one where `None`.
    pub fn clip(&self, name: Option<&str>) -> Result<ClipService, ServingError> {
        find(&self.clips, "CLIP", name)
    }

    /// The detector `name`, or the only (first by name) one where `None`.
    pub fn detector(&self, name: Option<&str>) -> Result<DetectorService, ServingError> {
        find(&self.detectors, "detection", name)
    }

    /// Every CLIP model, by name.
    pub fn clips(&self) -> Vec<ClipService> {
        self.clips.values().cloned().collect()
    }

    /// Every detector, by name.
    pub fn detectors(&self) -> Vec<DetectorService> {
        self.detectors.values().cloned().collect()
    }

    /// A place among the pictures that are decoded or drawn at once; waits for one until the
    /// deadline.
    pub async fn cpu_permit(
        &self,
        deadline: Deadline,
    ) -> Result<OwnedSemaphorePermit, ServingError> {
        let permit = Arc::clone(&self.cpu).acquire_owned();
        let permit = match deadline {
            Some(deadline) => tokio::time::timeout_at(deadline.into(), permit)
                .await
                .map_err(|_| ServingError::Expired("picture preparation".to_owned()))?,
            None => permit.await,
        };
        permit.map_err(|_| ServingError::Closed("picture preparation".to_owned()))
    }

    /// Answers what is queued, then stops every worker; at most `limit` long.
    pub async fn drain(&self, limit: Duration) {
        let clips = self.clips.values().map(|model| model.drain(limit));
        let detectors = self.detectors.values().map(|model| model.drain(limit));
        futures::join!(futures::future::join_all(clips), futures::future::join_all(detectors));
    }
}

fn find<T: Clone>(
    models: &BTreeMap<String, T>,
    kind: &'static str,
    name: Option<&str>,
) -> Result<T, ServingError> {
    let found = match name {
        Some(name) => models.get(name),
        None => models.values().next(),
    };
    found.cloned().ok_or_else(|| ServingError::NotFound {
        kind,
        name: name.unwrap_or_default().to_owned(),
        known: if models.is_empty() {
            "none".to_owned()
        } else {
            models.keys().map(String::as_str).collect::<Vec<_>>().join(", ")
        },
    })
}
