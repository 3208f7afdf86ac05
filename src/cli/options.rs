//! Options that several commands share.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::Context;
use clap::Args;
use tch::Kind;

use crate::config::{Flag, Loaded, Models, Precision, Settings, Sources};
use crate::evidence::{self, Store};
use crate::libtorch;
use crate::serving::{Catalog, ModelSource, Options};

/// Where settings come from, besides the environment.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct SettingsArgs {
    /// Configuration file; `veriframe config print --defaults` is its manual.
    #[arg(long, value_name = "FILE", env = "VERIFRAME_CONFIG")]
    pub(super) config: Option<PathBuf>,
    /// Any key of the configuration, repeatable: `--set server.limits.max_prompts=64`.
    #[arg(long, value_name = "KEY=VALUE")]
    pub(super) set: Vec<String>,
}

impl SettingsArgs {
    /// All settings: the file, the environment, `flags`, then what `--set` says.
    pub(super) fn load(&self, flags: Vec<Flag>) -> anyhow::Result<Loaded> {
        let sources = Sources {
            file: self.config.clone(),
            variables: Sources::environment(),
            flags,
            set: self.set.clone(),
        };
        Ok(sources.load()?)
    }
}

/// Which models, where and how: flags for the keys of `[models]`.
#[derive(Args, Clone, Debug, Default)]
pub(super) struct ModelArgs {
    /// A model to load, repeatable: a CLIP folder in the Hugging Face layout or a YOLOv8 .pt or
    /// .safetensors file. The built-in demo models where none is given. Sets `models.load`.
    #[arg(long = "model", value_name = "NAME=PATH", value_delimiter = ',')]
    models: Vec<String>,
    /// Folder of the built-in models. Sets `models.demo`.
    #[arg(long, value_name = "DIR")]
    demo_models: Option<String>,
    /// Where nets run: auto, cpu, cuda, or a list such as cuda:0,cuda:1. Sets `models.device`.
    #[arg(long)]
    device: Option<String>,
    /// Kind of the nets' bulk, f32 or bf16. The last block and all heatmaps are f32 in any case.
    /// Sets `models.precision`.
    #[arg(long)]
    precision: Option<String>,
    /// Threads of one net on the CPU; all cores where 0. Sets `models.threads`.
    #[arg(long)]
    threads: Option<String>,
    #[command(flatten)]
    settings: SettingsArgs,
}

impl ModelArgs {
    /// All settings: these flags, `others`, and where else settings come from.
    pub(super) fn load(&self, others: Vec<Flag>) -> anyhow::Result<Loaded> {
        self.settings.load(others.into_iter().chain(self.flags()).collect())
    }

    /// The flags that were given.
    pub(super) fn flags(&self) -> Vec<Flag> {
        let models = (!self.models.is_empty()).then(|| self.models.join(","));
        let given = [
            ("--model", "models.load", models),
            ("--demo-models", "models.demo", self.demo_models.clone()),
            ("--device", "models.device", self.device.clone()),
            ("--precision", "models.precision", self.precision.clone()),
            ("--threads", "models.threads", self.threads.clone()),
        ];
        flags(given)
    }
}

/// Those flags that have a value.
pub(super) fn flags<const N: usize>(
    given: [(&'static str, &'static str, Option<String>); N],
) -> Vec<Flag> {
    let flag = |(shown, key, text): (_, _, Option<String>)| Some(Flag { shown, key, text: text? });
    given.into_iter().filter_map(flag).collect()
}

/// The models to load by path; an error that says what to do where there are none.
pub(super) fn sources(models: &Models) -> anyhow::Result<Vec<ModelSource>> {
    if !models.load.is_empty() || models.repository.is_some() {
        return Ok(models.load.clone());
    }
    let demo = |name: &str, path: &str| ModelSource {
        name: name.to_owned(),
        path: models.demo.join(path),
    };
    // The first by name is the default CLIP: "clip".
    let sources = vec![
        demo("clip", "clip"),
        demo("evidence", "evidence"),
        demo("yolo", "yolo/face-parts.safetensors"),
    ];
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

/// The store of evidence that the settings name, opened; none where it is off.
pub(super) async fn store(config: &evidence::Config) -> anyhow::Result<Option<Arc<Store>>> {
    match Store::open(config).await {
        Ok(store) => Ok(Some(Arc::new(store))),
        Err(evidence::Error::Off) => Ok(None),
        Err(error) => Err(error).context("the store of evidence cannot be opened ([evidence])"),
    }
}

/// How models are run.
pub(super) fn options(settings: &Settings) -> anyhow::Result<Options> {
    let models = &settings.models;
    let devices = models.device.resolve().context("--device")?;
    if let Some(threads) = NonZeroUsize::new(models.threads) {
        libtorch::set_threads(threads.get());
    }
    let kind = match models.precision {
        Precision::F32 => Kind::Float,
        Precision::Bf16 => Kind::BFloat16,
    };
    let defaults = Options::default();
    Ok(Options {
        devices,
        replicas_per_device: models.replicas_per_device,
        kind,
        engine: settings.engine.clone(),
        cached_texts: models.cached_texts,
        heatmaps: models.heatmaps.clone(),
        cpu_slots: NonZeroUsize::new(models.cpu_slots).map_or(defaults.cpu_slots, usize::from),
        catalog: models.catalog.clone(),
    })
}

/// Loads the models by path.
pub(super) fn catalog(settings: &Settings) -> anyhow::Result<Catalog> {
    Ok(Catalog::start(&sources(&settings.models)?, &options(settings)?)?)
}
