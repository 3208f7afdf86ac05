//! Options that several commands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};
use tch::Kind;

use crate::engine;
use crate::libtorch::{self, DeviceChoice};
use crate::serving::{Catalog, ModelSource, Options};

/// Which models, where and how.
#[derive(Args, Clone, Debug)]
pub(super) struct ModelArgs {
    /// A model to load, repeatable: a CLIP folder in the Hugging Face layout or a YOLOv8 .pt or
    /// .safetensors file. The built-in demo models where none is given.
    #[arg(
        long = "model",
        value_name = "NAME=PATH",
        env = "VERIFRAME_MODELS",
        value_delimiter = ','
    )]
    pub(super) models: Vec<ModelSource>,
    /// Folder of the built-in models.
    #[arg(long, value_name = "DIR", env = "VERIFRAME_DEMO_MODELS", default_value = "models/demo")]
    pub(super) demo_models: PathBuf,
    /// Where nets run: auto, cpu, cuda, or a list such as cuda:0,cuda:1.
    #[arg(long, env = "VERIFRAME_DEVICE", default_value = "auto")]
    pub(super) device: DeviceChoice,
    /// Kind of the nets' bulk. The last block and all heatmaps are f32 in any case.
    #[arg(long, env = "VERIFRAME_PRECISION", default_value = "f32")]
    pub(super) precision: Precision,
    /// Threads of one net on the CPU; all cores where 0.
    #[arg(long, env = "VERIFRAME_THREADS", default_value_t = 0)]
    pub(super) threads: usize,
}

/// Kind of the nets' bulk.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(super) enum Precision {
    /// 32-bit floats.
    F32,
    /// 16-bit brain floats: faster where the processor knows them.
    Bf16,
}

impl ModelArgs {
    /// The models to load; an error that says what to do where there are none.
    pub(super) fn sources(&self) -> anyhow::Result<Vec<ModelSource>> {
        if !self.models.is_empty() {
            return Ok(self.models.clone());
        }
        let demo = |name: &str, path: &str| ModelSource {
            name: name.to_owned(),
            path: self.demo_models.join(path),
        };
        let sources = vec![demo("clip", "clip"), demo("yolo", "yolo/face-parts.safetensors")];
        for source in &sources {
            anyhow::ensure!(
                source.path.exists(),
                "the built-in models are not at {}; run from the repository, or say where with \
                 --demo-models DIR or --model NAME=PATH",
                source.path.display()
            );
        }
        Ok(sources)
    }

    /// Loads the models.
    pub(super) fn catalog(&self, options: Options) -> anyhow::Result<Catalog> {
        let devices = self.device.resolve().context("--device")?;
        if let Some(threads) = NonZeroUsize::new(self.threads) {
            libtorch::set_threads(threads.get());
        }
        let kind = match self.precision {
            Precision::F32 => Kind::Float,
            Precision::Bf16 => Kind::BFloat16,
        };
        Ok(Catalog::start(&self.sources()?, &Options { devices, kind, ..options })?)
    }
}

/// How a command's own server runs its models.
pub(super) fn defaults() -> Options {
    let engine = engine::Config { max_queued_items: 256, ..engine::Config::default() };
    Options { engine, ..Options::default() }
}
