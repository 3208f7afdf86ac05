//! From names in requests to models.

use std::sync::Arc;

use super::super::clip::ClipService;
use super::super::name::parts;
use super::super::served::{Lease, Served};
use super::super::torchscript::TorchScriptService;
use super::super::yolo::DetectorService;
use super::super::{CpuSlot, ServingError, Terms};
use super::Catalog;
use super::roster::Roster;

/// The models as names stood for them at one moment. One request takes one, so that all parts of
/// its answer are by the same versions; as long as it is held, no model in it ends.
pub struct Snapshot<'a> {
    catalog: &'a Catalog,
    roster: Arc<Roster<Served>>,
}

/// One kind of models: what errors call it, and how to see one.
struct Kind<T> {
    name: &'static str,
    of: fn(&Served) -> Option<&T>,
}

const CLIP: Kind<ClipService> = Kind {
    name: "CLIP",
    of: |served| match served {
        Served::Clip(clip) => Some(clip),
        Served::Detector(_) | Served::TorchScript(_) => None,
    },
};

const DETECTOR: Kind<DetectorService> = Kind {
    name: "detection",
    of: |served| match served {
        Served::Detector(detector) => Some(detector),
        Served::Clip(_) | Served::TorchScript(_) => None,
    },
};

const TORCHSCRIPT: Kind<TorchScriptService> = Kind {
    name: "TorchScript",
    of: |served| match served {
        Served::TorchScript(module) => Some(module),
        Served::Clip(_) | Served::Detector(_) => None,
    },
};

impl Catalog {
    /// The models at this moment.
    pub fn snapshot(&self) -> Snapshot<'_> {
        Snapshot { catalog: self, roster: self.names.load_full() }
    }

    /// The CLIP model that `name` stands for (`clip`, `clip@2`, an alias), or the first by name
    /// where `None`.
    pub fn clip(&self, name: Option<&str>) -> Result<Lease<ClipService>, ServingError> {
        self.snapshot().clip(name)
    }

    /// The detector that `name` stands for, or the first by name where `None`.
    pub fn detector(&self, name: Option<&str>) -> Result<Lease<DetectorService>, ServingError> {
        self.snapshot().detector(name)
    }

    /// Every version of every CLIP model, by name; the first of a name is what the bare name stands
    /// for.
    pub fn clips(&self) -> Vec<Lease<ClipService>> {
        self.snapshot().all(&CLIP)
    }

    /// Every version of every detector, in the same order.
    pub fn detectors(&self) -> Vec<Lease<DetectorService>> {
        self.snapshot().all(&DETECTOR)
    }

    /// Every version of every TorchScript module, in the same order.
    pub fn modules(&self) -> Vec<Lease<TorchScriptService>> {
        self.snapshot().all(&TORCHSCRIPT)
    }

    /// A place among the pictures that are decoded or drawn at once; waits until it is its flow's
    /// turn, at most until the deadline.
    pub async fn cpu_slot(&self, terms: Terms) -> Result<CpuSlot, ServingError> {
        self.cpu.until(terms).await
    }
}

impl<'a> Snapshot<'a> {
    /// As [`Catalog::clip`].
    pub fn clip(&self, name: Option<&str>) -> Result<Lease<ClipService>, ServingError> {
        self.find(&CLIP, name)
    }

    /// As [`Catalog::detector`].
    pub fn detector(&self, name: Option<&str>) -> Result<Lease<DetectorService>, ServingError> {
        self.find(&DETECTOR, name)
    }

    /// The TorchScript module that `name` stands for, or the first by name where `None`.
    pub fn module(&self, name: Option<&str>) -> Result<Lease<TorchScriptService>, ServingError> {
        self.find(&TORCHSCRIPT, name)
    }

    /// The catalog that this was taken of.
    pub fn catalog(&self) -> &'a Catalog {
        self.catalog
    }

    fn find<T: Clone>(&self, kind: &Kind<T>, name: Option<&str>) -> Result<Lease<T>, ServingError> {
        let of_kind = |lease: &Lease<Served>| (kind.of)(lease).map(|service| lease.of(service));
        let found = match name {
            Some(name) => self.roster.resolve(name).and_then(|(_, lease)| of_kind(lease)),
            None => self.roster.models().find_map(|(_, lease)| of_kind(lease)),
        };
        if let Some(found) = found {
            return Ok(found);
        }
        let bare = name.map(|name| parts(name).0);
        if self.catalog.books().ledger.is_loading(bare) {
            let what = name.map_or_else(|| format!("the {} model", kind.name), str::to_owned);
            return Err(ServingError::Loading(what));
        }
        Err(ServingError::NotFound {
            kind: kind.name,
            name: name.unwrap_or_default().to_owned(),
            known: self.known(kind),
        })
    }

    fn all<T: Clone>(&self, kind: &Kind<T>) -> Vec<Lease<T>> {
        let models = self.roster.models();
        models.filter_map(|(_, lease)| (kind.of)(lease).map(|service| lease.of(service))).collect()
    }

    /// The names of a kind: bare where they stand for a model, and the aliases.
    fn known<T>(&self, kind: &Kind<T>) -> String {
        let is_kind = |name: &str| {
            self.roster.resolve(name).is_some_and(|(_, lease)| (kind.of)(lease).is_some())
        };
        let mut names: Vec<&str> = self.roster.models().map(|(id, _)| id.name()).collect();
        names.extend(self.roster.aliases().keys().map(String::as_str));
        names.retain(|name| is_kind(name));
        names.sort_unstable();
        names.dedup();
        if names.is_empty() { "none".to_owned() } else { names.join(", ") }
    }
}
