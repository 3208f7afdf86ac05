//! All settings, composed of the rooms' own.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::libtorch::DeviceChoice;
use crate::serving::{ModelId, ModelSource};
use crate::{answers, engine, evidence, server, serving, telemetry};

/// All settings; each section is a room's own.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// The log.
    pub log: telemetry::Log,
    /// How the server behaves towards its clients.
    pub server: server::Config,
    /// Which models, where and how.
    pub models: Models,
    /// The queue and the batches of each model.
    pub engine: engine::Config,
    /// Where evidence is kept.
    pub evidence: evidence::Config,
    /// How answers are checked.
    pub answers: answers::Config,
    /// Metrics.
    pub telemetry: telemetry::Config,
}

impl Settings {
    /// What is out of its range, in all sections.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.section("log", self.log.breaches());
        bounds.section("server", self.server.breaches());
        bounds.section("models", self.models.breaches());
        bounds.section("engine", self.engine.breaches());
        bounds.section("evidence", self.evidence.breaches());
        bounds.section("answers", self.answers.breaches());
        bounds.section("telemetry", self.telemetry.breaches());
        bounds.breaches()
    }
}

/// Which models are loaded, where and how.
#[derive(Clone, Debug, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Models {
    /// What to load; the built-in models where empty, the default.
    pub load: Vec<ModelSource>,
    /// Folder of models, each `NAME/VERSION/`, that are loaded on request. Default none.
    pub repository: Option<PathBuf>,
    /// Those of the repository to load at the start, `NAME` (the highest version) or
    /// `NAME@VERSION`. Default none.
    pub start: Vec<String>,
    /// Folder of the built-in models. Default `models/demo`.
    pub demo: PathBuf,
    /// Where nets run. Default `auto`.
    #[serde(with = "crate::units::text")]
    pub device: DeviceChoice,
    /// Replicas of each model on each device. 1 to 64, default 1.
    pub replicas_per_device: usize,
    /// Kind of the nets' bulk. Default f32.
    pub precision: Precision,
    /// Threads of one net on the CPU; all cores where 0, the default. At most 1024.
    pub threads: usize,
    /// Prompts whose embeddings are kept, for each model. Default 10 000; 0 to 10 million.
    pub cached_texts: u64,
    /// Pictures that are decoded or drawn at once; one a core where 0, the default. At most 1024.
    pub cpu_slots: usize,
    /// What heatmaps may cost, and what they are compared with.
    pub heatmaps: serving::HeatmapConfig,
    /// How many models there may be, and how long they may take to come and go.
    pub catalog: serving::Config,
}

/// Kind of the nets' bulk.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit brain floats: faster where the processor knows them.
    Bf16,
}

impl Default for Models {
    fn default() -> Self {
        Self {
            load: Vec::new(),
            repository: None,
            start: Vec::new(),
            demo: PathBuf::from("models/demo"),
            device: DeviceChoice::default(),
            replicas_per_device: 1,
            precision: Precision::default(),
            threads: 0,
            cached_texts: 10_000,
            cpu_slots: 0,
            heatmaps: serving::HeatmapConfig::default(),
            catalog: serving::Config::default(),
        }
    }
}

impl Models {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        let mut names: Vec<&str> = self.load.iter().map(|source| source.name.as_str()).collect();
        names.sort_unstable();
        for twice in names.windows(2).filter(|pair| pair[0] == pair[1]) {
            bounds.refuse("load", format!("names '{}' twice; names must differ", twice[0]));
        }
        if self.repository.is_none() && !self.start.is_empty() {
            bounds.refuse("start", "names models of a repository, so repository must be set too");
        }
        for name in &self.start {
            if let Err(reason) = name.parse::<ModelId>() {
                bounds.refuse("start", format!("holds '{name}': {reason}"));
            }
        }
        bounds.number("replicas_per_device", self.replicas_per_device, 1..=64);
        bounds.number("threads", self.threads, 0..=1024);
        bounds.number("cached_texts", self.cached_texts, 0..=10_000_000);
        bounds.number("cpu_slots", self.cpu_slots, 0..=1024);
        bounds.section("heatmaps", self.heatmaps.breaches());
        bounds.section("catalog", self.catalog.breaches());
        bounds.breaches()
    }
}
