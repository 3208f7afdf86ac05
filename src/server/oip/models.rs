//! The catalog's models as this protocol has them: each does one thing, with named tensors.
//!
//! A CLIP model `clip` is offered as `clip_image`, `clip_text`, `clip_similarity`, `clip_heatmap`, which
//! makes heatmaps by any method, and one model for each usual method (`clip_grad_eclip`); a detector
//! and a TorchScript module under their own names.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::explain::Method;
use crate::serving::clip::ClipService;
use crate::serving::tensor::{Datatype, TensorSpec};
use crate::serving::torchscript::TorchScriptService;
use crate::serving::yolo::DetectorService;
use crate::serving::{Catalog, Lease, ModelIdentity, ServingError};

/// What a model of this protocol does.
#[derive(Clone)]
pub(super) enum Task {
    /// Something that a CLIP model can.
    Clip(Lease<ClipService>, ClipTask),
    /// Pictures to boxes.
    Detection(Lease<DetectorService>),
    /// Tensors to tensors.
    Module(Lease<TorchScriptService>),
}

impl Task {
    /// The model's name: that in the repository, of a part of a CLIP model with what it does.
    fn name(&self) -> String {
        match self {
            Self::Clip(clip, task) => format!("{}_{}", clip.identity().name, task.suffix()),
            Self::Detection(detector) => detector.identity().name.clone(),
            Self::Module(module) => module.identity().name.clone(),
        }
    }
}

/// What a CLIP model can.
#[derive(Clone, Copy, Debug)]
pub(super) enum ClipTask {
    /// Pictures to embeddings.
    Image,
    /// Texts to embeddings.
    Text,
    /// Pictures against texts to scores.
    Similarity,
    /// Pictures against texts to heatmaps, by this method, or by the one that the request names.
    Heatmap(Option<Method>),
}

impl ClipTask {
    fn all() -> impl Iterator<Item = Self> {
        let usual = Method::USUAL.into_iter().map(Some);
        let maps = std::iter::once(None).chain(usual).map(Self::Heatmap);
        [Self::Image, Self::Text, Self::Similarity].into_iter().chain(maps)
    }

    /// What follows the CLIP model's name.
    fn suffix(self) -> &'static str {
        match self {
            Self::Image => "image",
            Self::Text => "text",
            Self::Similarity => "similarity",
            Self::Heatmap(None) => "heatmap",
            Self::Heatmap(Some(method)) => method.name(),
        }
    }
}

/// A model of this protocol. While it is held, its workers do not end.
#[derive(Clone)]
pub(super) struct Model {
    /// Its name as it was asked for, such as `clip_image`.
    pub(super) name: String,
    /// What it does, and with what.
    pub(super) task: Task,
}

impl Model {
    /// Every version of every model, by name and version.
    pub(super) fn all(catalog: &Catalog) -> Vec<Self> {
        let clips = catalog
            .clips()
            .into_iter()
            .flat_map(|clip| ClipTask::all().map(move |task| Task::Clip(clip.clone(), task)));
        let detectors = catalog.detectors().into_iter().map(Task::Detection);
        let modules = catalog.modules().into_iter().map(Task::Module);
        let own = detectors.chain(modules);
        let mut models: Vec<Self> =
            own.chain(clips).map(|task| Self { name: task.name(), task }).collect();
        let key = |model: &Self| (model.name.clone(), model.identity().version.clone());
        models.sort_by_key(key);
        // A model that is really named so goes before a part of another one: the sort is stable.
        models.dedup_by_key(|model| key(model));
        models
    }

    /// The model that `name` stands for, in `version`; in the one that the name stands for where
    /// `version` is empty. An alias of a CLIP model stands for each of its parts.
    pub(super) fn find(catalog: &Catalog, name: &str, version: &str) -> Result<Self, ServingError> {
        let models = catalog.snapshot();
        let in_version = |name: &str| match version {
            "" => name.to_owned(),
            version => format!("{name}@{version}"),
        };
        let whole = in_version(name);
        let detector = || models.detector(Some(&whole)).map(Task::Detection);
        let module = || models.module(Some(&whole)).map(Task::Module);
        let part = |task: ClipTask| {
            let clip = name.strip_suffix(task.suffix())?.strip_suffix('_')?;
            let clip = models.clip(Some(&in_version(clip)));
            Some(clip.map(|clip| Task::Clip(clip, task)))
        };
        let found = [detector(), module()].into_iter().chain(ClipTask::all().filter_map(part));
        let mut loading = None;
        for found in found {
            match found {
                Ok(task) => return Ok(Self { name: name.to_owned(), task }),
                Err(error @ ServingError::Loading(_)) => loading = Some(error),
                Err(_) => {}
            }
        }
        Err(loading.unwrap_or_else(|| Self::unknown(catalog, name, version)))
    }

    /// Whether the model answers. The name of a CLIP model, which the repository's calls take, is
    /// as ready as its parts are.
    pub(super) fn is_ready(catalog: &Catalog, name: &str, version: &str) -> bool {
        Self::find(catalog, name, version).is_ok_and(|model| model.works()) || {
            let part = format!("{name}_{}", ClipTask::Image.suffix());
            Self::find(catalog, &part, version).is_ok_and(|model| model.works())
        }
    }

    fn unknown(catalog: &Catalog, name: &str, version: &str) -> ServingError {
        let shown = |name: &str, version: &str| match version {
            "" => name.to_owned(),
            version => format!("{name} version {version}"),
        };
        let known = Self::all(catalog);
        let known = known.iter().map(|model| match version {
            "" => model.name.clone(),
            _ => shown(&model.name, &model.identity().version),
        });
        let mut known: Vec<String> = known.collect();
        known.dedup();
        let start = |text: &str| text.chars().take(64).collect::<String>();
        ServingError::NotFound {
            kind: "inference",
            name: shown(&start(name), &start(version)),
            known: if known.is_empty() { "none".to_owned() } else { known.join(", ") },
        }
    }

    /// Its name and version in the repository's words, whatever alias it was asked for by.
    pub(super) fn key(&self) -> (String, String) {
        (self.task.name(), self.identity().version.clone())
    }

    /// Whether a replica of it works.
    pub(super) fn works(&self) -> bool {
        let health = match &self.task {
            Task::Clip(clip, _) => clip.health(),
            Task::Detection(detector) => detector.health(),
            Task::Module(module) => module.health(),
        };
        health.healthy > 0
    }

    /// Which weights answer.
    pub(super) fn identity(&self) -> &ModelIdentity {
        match &self.task {
            Task::Clip(clip, _) => clip.identity(),
            Task::Detection(detector) => detector.identity(),
            Task::Module(module) => module.identity(),
        }
    }

    /// How long a request may wait for others to join its run.
    pub(super) fn batch_wait(&self) -> Duration {
        match &self.task {
            Task::Clip(clip, _) => clip.batch_wait(),
            Task::Detection(detector) => detector.batch_wait(),
            Task::Module(module) => module.batch_wait(),
        }
    }

    /// What runs it.
    pub(super) fn platform(&self) -> &'static str {
        match &self.task {
            Task::Clip(..) => "veriframe_clip",
            Task::Detection(_) => "veriframe_yolo",
            Task::Module(_) => "pytorch_libtorch",
        }
    }

    /// The same in the words that name a backend.
    pub(super) fn backend(&self) -> &'static str {
        match &self.task {
            Task::Clip(..) | Task::Detection(_) => "veriframe",
            Task::Module(_) => "pytorch",
        }
    }

    /// Rows of one request at most, where every tensor opens with them; 0 where none does.
    pub(super) fn max_batch_size(&self) -> usize {
        match &self.task {
            Task::Clip(..) | Task::Detection(_) => 0,
            Task::Module(module) => module.manifest().max_batch_size,
        }
    }

    /// What it takes, without the batch of [`Self::max_batch_size`].
    pub(super) fn inputs(&self) -> Vec<TensorSpec> {
        let (image, text) = (bytes(IMAGE), bytes(TEXT));
        match &self.task {
            Task::Clip(_, ClipTask::Text) => vec![text],
            Task::Clip(_, ClipTask::Similarity | ClipTask::Heatmap(_)) => vec![image, text],
            Task::Clip(_, ClipTask::Image) | Task::Detection(_) => vec![image],
            Task::Module(module) => module.manifest().inputs.clone(),
        }
    }

    /// What it gives, without the batch of [`Self::max_batch_size`].
    pub(super) fn outputs(&self) -> Vec<TensorSpec> {
        let float = |name: &str, dims: &[i64]| spec(name, Datatype::Fp32, dims);
        match &self.task {
            Task::Clip(clip, ClipTask::Image) => {
                vec![float("EMBEDDING", &[-1, clip.dimension() as i64])]
            }
            Task::Clip(clip, ClipTask::Text) => vec![
                float("EMBEDDING", &[-1, clip.dimension() as i64]),
                spec("TRUNCATED", Datatype::Bool, &[-1]),
            ],
            Task::Clip(_, ClipTask::Similarity) => {
                ["COSINE", "LOGIT", "SOFTMAX", "CONTRAST"].map(|name| float(name, &[-1, -1])).into()
            }
            Task::Clip(clip, ClipTask::Heatmap(_)) => {
                let side = clip.grid_side() as i64;
                vec![
                    float("HEATMAP", &[-1, -1, side, side]),
                    float("AREA", &[-1, 4]),
                    float("CONTRAST", &[-1, -1]),
                    spec("QUALITY", Datatype::Bytes, &[-1, -1]),
                    float("HIT_PROBABILITY", &[-1, -1]),
                ]
            }
            Task::Detection(_) => vec![
                float("BOXES", &[-1, 4]),
                float("SCORES", &[-1]),
                spec("CLASSES", Datatype::Int64, &[-1]),
                bytes("LABELS"),
                spec("IMAGE_INDEX", Datatype::Int64, &[-1]),
            ],
            Task::Module(module) => module.manifest().outputs.clone(),
        }
    }

    /// Whether pictures go in.
    pub(super) fn sees_pictures(&self) -> bool {
        match &self.task {
            Task::Clip(_, ClipTask::Text) | Task::Module(_) => false,
            Task::Clip(_, ClipTask::Image | ClipTask::Similarity | ClipTask::Heatmap(_))
            | Task::Detection(_) => true,
        }
    }

    /// Names of the request's parameters that it knows beside the protocol's.
    pub(super) fn parameters(&self) -> &'static [&'static str] {
        match &self.task {
            Task::Detection(_) => &[MIN_CONFIDENCE, IOU_THRESHOLD, MAX_DETECTIONS],
            Task::Clip(_, ClipTask::Heatmap(None)) => &[METHOD, LAYERS],
            Task::Clip(..) | Task::Module(_) => &[],
        }
    }

    /// What else is known of it.
    pub(super) fn properties(&self) -> BTreeMap<&'static str, String> {
        let ModelIdentity { name, version: _, checksum } = self.identity().clone();
        let mut properties = BTreeMap::from([("checksum", checksum), ("served_by", name)]);
        if self.sees_pictures() {
            let alternative = format!("{IMAGE} UINT8 [-1, -1, -1, 3]: RGB pixels, row-major");
            properties.insert("alternative_input", alternative);
        }
        if let Task::Detection(detector) = &self.task {
            properties.insert("labels", detector.classes().join(","));
        }
        if let Task::Clip(_, ClipTask::Heatmap(None)) = &self.task {
            properties.insert("methods", Method::ALL.map(Method::name).join(","));
        }
        properties
    }
}

/// Encoded pictures or pixels.
pub(super) const IMAGE: &str = "IMAGE";
/// Prompts, UTF-8.
pub(super) const TEXT: &str = "TEXT";
/// A heatmap model's parameter: the method by name. Its responses tell it, too.
pub(super) const METHOD: &str = "method";
/// A heatmap model's parameter: the blocks that the method reads, numbers with commas between. Its
/// responses tell them, too.
pub(super) const LAYERS: &str = "layers";
/// A detector's parameter: boxes below this confidence are left out.
pub(super) const MIN_CONFIDENCE: &str = "min_confidence";
/// A detector's parameter: boxes of one class that overlap more are one.
pub(super) const IOU_THRESHOLD: &str = "iou_threshold";
/// A detector's parameter: boxes of one picture at most.
pub(super) const MAX_DETECTIONS: &str = "max_detections";

fn bytes(name: &str) -> TensorSpec {
    spec(name, Datatype::Bytes, &[-1])
}

fn spec(name: &str, datatype: Datatype, dims: &[i64]) -> TensorSpec {
    TensorSpec { name: name.to_owned(), datatype, dims: dims.to_vec() }
}
