//! What there is: on disk, loaded, on its way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::SystemTime;

use super::super::name::ModelId;
use super::super::served::{ModelKind, Served};
use super::super::{Depth, Health};
use super::change::run_blocking;
use super::{Catalog, CatalogError, State};

/// One version of one model, as it is at the moment.
#[derive(Clone, Debug)]
pub struct ModelStatus {
    /// Its name and version.
    pub id: ModelId,
    /// Where it is on its way.
    pub state: State,
    /// What it does; known once it is loaded.
    pub kind: Option<ModelKind>,
    /// SHA-256 of the weights, hexadecimal; empty until it is loaded.
    pub checksum: String,
    /// When it became ready; of a failed load, when it failed.
    pub since: Option<SystemTime>,
    /// Whether the bare name stands for this version.
    pub is_default: bool,
    /// The aliases for it, by name; its own name is among them where that was set.
    pub aliases: Vec<String>,
    /// How its replicas fare; of loaded models.
    pub health: Option<Health>,
    /// What waits and runs; of loaded models.
    pub depth: Option<Depth>,
}

impl ModelStatus {
    /// Whether it is loaded and a replica of it works.
    pub fn works(&self) -> bool {
        self.health.as_ref().is_some_and(|health| health.healthy > 0)
    }
}

impl Catalog {
    /// Every version on disk, loaded, on its way, or failed, in order.
    pub async fn index(self: &Arc<Self>) -> Result<Vec<ModelStatus>, CatalogError> {
        let catalog = Arc::clone(self);
        let mut ids = run_blocking(move || catalog.on_disk()).await?;
        ids.extend(self.books().ledger.iter().map(|(id, _)| id.clone()));
        Ok(self.statuses(ids))
    }

    /// Every version that is loaded, on its way, or failed, in order; does not look at the disk.
    pub fn loaded(&self) -> Vec<ModelStatus> {
        let ids = self.books().ledger.iter().map(|(id, _)| id.clone()).collect();
        self.statuses(ids)
    }

    /// Whether a thread of any model is building or running a batch.
    pub fn is_computing(&self) -> bool {
        self.loaded().iter().any(|model| {
            let running = model.depth.is_some_and(|depth| depth.running > 0);
            running || model.state == State::Loading || model.state == State::Unloading
        })
    }

    /// Names that must serve for the server to be ready: those it was started with, until they are
    /// unloaded.
    pub fn expected(&self) -> BTreeSet<String> {
        self.books().expected.clone()
    }

    /// One version.
    pub(super) fn status(&self, id: &ModelId) -> Result<ModelStatus, CatalogError> {
        let mut found = self.statuses(BTreeSet::from([id.clone()]));
        found.pop().ok_or(CatalogError::Closed)
    }

    pub(super) fn on_disk(&self) -> Result<BTreeSet<ModelId>, CatalogError> {
        let mut ids = match &self.repository {
            Some(repository) => repository.index().map_err(|reason| CatalogError::Broken {
                model: "the repository".to_owned(),
                reason,
            })?,
            None => BTreeSet::new(),
        };
        ids.extend(self.books().sources.keys().cloned());
        Ok(ids)
    }

    fn statuses(&self, ids: BTreeSet<ModelId>) -> Vec<ModelStatus> {
        let books = self.books();
        let roster = self.names.load();
        let status = |id: ModelId| {
            let record = books.ledger.get(&id);
            let served = books.running.get(&id).map(|(served, _)| served);
            ModelStatus {
                state: record.map_or(State::Available, |record| record.state.clone()),
                kind: record.and_then(|record| record.kind),
                checksum: record.map(|record| record.checksum.clone()).unwrap_or_default(),
                since: record.and_then(|record| record.since),
                is_default: roster.is_default(&id),
                aliases: roster.aliases_of(&id).map(str::to_owned).collect(),
                health: served.map(Served::health),
                depth: served.map(Served::depth),
                id,
            }
        };
        ids.into_iter().map(status).collect()
    }
}
