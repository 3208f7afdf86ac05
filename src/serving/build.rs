//! From files to a model that serves: read, built on every device, warmed.

use std::path::Path;
use std::time::Duration;

use tch::{Device, Kind};

use super::ModelIdentity;
use super::clip::ClipService;
use super::config::{Config, HeatmapConfig};
use super::name::ModelId;
use super::repository::Found;
use super::served::{ModelKind, Served};
use super::slots::CpuSlots;
use super::torchscript::TorchScriptService;
use super::warm_up::WarmUp;
use super::yolo::DetectorService;
use crate::engine::{self, BatchModel, DeviceError, Engine, EngineError};
use crate::models::clip::ClipCheckpoint;
use crate::models::torchscript::TorchScriptCheckpoint;
use crate::models::yolo::YoloCheckpoint;

/// How models are loaded and run.
#[derive(Clone, Debug)]
pub struct Options {
    /// Where replicas run; a device may be listed more than once.
    pub devices: Vec<Device>,
    /// Replicas of each model for each entry of `devices`, at least 1. Default 1.
    pub replicas_per_device: usize,
    /// Kind of the nets' bulk: f32 or bf16.
    pub kind: Kind,
    /// Queue and batch limits; the name is filled in for each model.
    pub engine: engine::Config,
    /// Prompts whose embeddings are kept, per model.
    pub cached_texts: u64,
    /// What heatmaps may cost, and what they are compared with.
    pub heatmaps: HeatmapConfig,
    /// Pictures that are decoded or drawn at once.
    pub cpu_slots: usize,
    /// How many models there may be, and how long they may take to come and go.
    pub catalog: Config,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            devices: vec![Device::Cpu],
            replicas_per_device: 1,
            kind: Kind::Float,
            engine: engine::Config::default(),
            cached_texts: 10_000,
            heatmaps: HeatmapConfig::default(),
            cpu_slots: std::thread::available_parallelism().map_or(2, usize::from),
            catalog: Config::default(),
        }
    }
}

/// How one model's replicas are made.
#[derive(Clone, Debug)]
pub struct Replicas {
    /// One replica on each of these.
    pub devices: Vec<Device>,
    /// Kind of the net's bulk.
    pub kind: Kind,
    /// Queue and batch limits, with the model's name.
    pub engine: engine::Config,
    /// How long one replica may warm up; zero skips it.
    pub warm_up_limit: Duration,
    /// Where pictures are prepared, by all models together.
    pub cpu: CpuSlots,
}

impl Replicas {
    fn new(options: &Options, id: &ModelId, cpu: &CpuSlots) -> Self {
        let each = options.replicas_per_device.max(1);
        let devices = options.devices.iter();
        Self {
            devices: devices.flat_map(|device| std::iter::repeat_n(*device, each)).collect(),
            kind: options.kind,
            engine: engine::Config { name: id.to_string(), ..options.engine.clone() },
            warm_up_limit: options.catalog.warm_up_limit,
            cpu: cpu.clone(),
        }
    }

    /// Builds every replica in a thread of its own and warms it with `samples`, one for each path
    /// through the net; returns when all are ready. An error is in the words of what builds them.
    pub(super) fn start<M: BatchModel>(
        self,
        build: impl Fn(Device) -> Result<M, DeviceError> + Clone + Send + 'static,
        samples: impl Fn() -> Vec<M::Input> + Clone + Send + 'static,
    ) -> Result<Engine<M>, String> {
        let warm_up = WarmUp { max_batch: self.engine.max_batch, limit: self.warm_up_limit };
        let factories = self.devices.iter().map(|&device| {
            let (build, samples) = (build.clone(), samples.clone());
            let name = self.engine.name.clone();
            let factory = move || {
                let mut model = build(device)?;
                warm_up.run(&mut model, &name, &samples())?;
                Ok(model)
            };
            Box::new(factory) as Box<dyn Fn() -> Result<M, DeviceError> + Send>
        });
        let factories = factories.collect();
        Engine::start(self.engine, factories).map_err(|error| {
            if let EngineError::Device(reason) | EngineError::Panicked(reason) = error {
                reason
            } else {
                error.to_string()
            }
        })
    }
}

/// A model that was read from disk.
#[expect(clippy::large_enum_variant, reason = "lives for a moment, between disk and engine")]
pub enum Opened {
    /// CLIP.
    Clip(ClipCheckpoint),
    /// YOLOv8.
    Detector(YoloCheckpoint),
    /// A TorchScript module.
    TorchScript(TorchScriptCheckpoint),
}

impl Opened {
    /// Reads a checkpoint.
    pub fn open(found: &Found) -> Result<Self, String> {
        let Found { kind, path, manifest } = found;
        if !path.exists() {
            return Err(format!("{}: there is no such file or folder", path.display()));
        }
        match kind {
            ModelKind::Clip => open_clip(path),
            ModelKind::Detector => {
                let mut checkpoint = YoloCheckpoint::open(path).map_err(|e| e.to_string())?;
                let classes = &mut checkpoint.config.classes;
                if let Some(labels) = &manifest.labels {
                    if labels.len() != classes.len() {
                        let (given, known) = (labels.len(), classes.len());
                        return Err(format!("the manifest has {given} labels, the net {known}"));
                    }
                    classes.clone_from(labels);
                }
                Ok(Self::Detector(checkpoint))
            }
            ModelKind::TorchScript => {
                let tensors = manifest.torchscript.clone();
                let tensors = tensors.ok_or("its manifest has no section [torchscript]")?;
                let checkpoint = TorchScriptCheckpoint::open(path, tensors);
                checkpoint.map(Self::TorchScript).map_err(|e| e.to_string())
            }
        }
    }

    fn checksum(&self) -> &str {
        match self {
            Self::Clip(checkpoint) => checkpoint.checksum(),
            Self::Detector(checkpoint) => checkpoint.checksum(),
            Self::TorchScript(checkpoint) => checkpoint.checksum(),
        }
    }
}

fn open_clip(path: &Path) -> Result<Opened, String> {
    ClipCheckpoint::open(path).map(Opened::Clip).map_err(|e| e.to_string())
}

/// Reads, builds and warms a model. Blocks until every replica is ready.
pub(super) fn build(
    id: &ModelId,
    found: &Found,
    options: &Options,
    cpu: &CpuSlots,
) -> Result<Served, String> {
    let opened = Opened::open(found)?;
    let identity = ModelIdentity {
        name: id.name().to_owned(),
        version: id.version().to_owned(),
        checksum: opened.checksum().to_owned(),
    };
    let replicas = Replicas::new(options, id, cpu);
    match opened {
        Opened::Clip(checkpoint) => {
            let own = (options.cached_texts, options.heatmaps.clone());
            ClipService::start(identity, checkpoint, replicas, own).map(Served::Clip)
        }
        Opened::Detector(checkpoint) => {
            DetectorService::start(identity, checkpoint, replicas).map(Served::Detector)
        }
        Opened::TorchScript(checkpoint) => {
            TorchScriptService::start(identity, checkpoint, replicas).map(Served::TorchScript)
        }
    }
}
