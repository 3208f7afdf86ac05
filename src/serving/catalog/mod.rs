//! The models a server has, by name, and how they come and go while it serves.
//!
//! What names stand for is a [`Roster`] that is replaced as a whole: a request reads it without a
//! lock and keeps the version that it began with. A new model is read, built and warmed before its
//! name is there; an old one's name goes first, then its last users, then its workers.

mod change;
mod error;
mod index;
mod ledger;
mod lookup;
mod roster;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch};

use super::build::Options;
use super::name::ModelId;
use super::repository::Repository;
use super::served::{Served, Users};
use super::slots::CpuSlots;
use super::source::ModelSource;
use ledger::Ledger;
use roster::Roster;

pub use change::Swapped;
pub use error::CatalogError;
pub use index::ModelStatus;
pub use ledger::State;
pub use lookup::Snapshot;

/// The models, by name.
pub struct Catalog {
    options: Options,
    repository: Option<Repository>,
    names: ArcSwap<Roster<Served>>,
    /// Held for moments only, never across an await.
    books: Mutex<Books>,
    /// Models are built one at a time.
    loads: Arc<Semaphore>,
    cpu: CpuSlots,
    changed: watch::Sender<()>,
    generation: AtomicU64,
}

/// What changes are decided by.
#[derive(Default)]
struct Books {
    ledger: Ledger,
    /// The models in the roster, and where their leases end.
    running: BTreeMap<ModelId, (Served, Users)>,
    /// Where models lie that the operator named at the start.
    sources: BTreeMap<ModelId, PathBuf>,
    /// Names that must serve for the server to be ready.
    expected: BTreeSet<String>,
    closed: bool,
}

impl Catalog {
    /// Without models. Those in `repository` are loaded when they are asked for.
    pub fn new(options: Options, repository: Option<Repository>) -> Self {
        Self {
            repository,
            names: ArcSwap::default(),
            books: Mutex::default(),
            loads: Arc::new(Semaphore::new(1)),
            cpu: CpuSlots::new(options.cpu_slots),
            changed: watch::Sender::new(()),
            generation: AtomicU64::new(0),
            options,
        }
    }

    /// Loads every source, builds its replicas and warms them. Names must differ. Blocks until all
    /// are ready.
    pub fn start(sources: &[ModelSource], options: &Options) -> Result<Self, CatalogError> {
        let catalog = Self::new(options.clone(), None);
        for id in catalog.expect(sources, &[])? {
            let built = catalog.build(&id);
            catalog.settle(&id, built)?;
        }
        Ok(catalog)
    }

    /// Answers what is queued, then stops every worker; at most `limit` long. Nothing is loaded
    /// from now on.
    pub async fn drain(&self, limit: Duration) {
        let models: Vec<Served> = {
            let mut books = self.books();
            books.closed = true;
            books.running.values().map(|(served, _)| served.clone()).collect()
        };
        futures::future::join_all(models.iter().map(|model| model.drain(limit))).await;
    }

    /// Tells of each change of what is loaded or what names stand for.
    pub fn changes(&self) -> watch::Receiver<()> {
        self.changed.subscribe()
    }

    /// Another number after each change of what names stand for: while it stays, so do the models.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// No change is left half-done by a panic under the lock, so poison is no reason to stop.
    fn books(&self) -> MutexGuard<'_, Books> {
        self.books.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the roster; the caller holds the books, so that changes come one after another.
    fn publish(&self, change: impl FnOnce(&mut Roster<Served>)) {
        let mut next = Roster::clone(&self.names.load());
        change(&mut next);
        self.names.store(Arc::new(next));
        self.generation.fetch_add(1, Ordering::Release);
        self.changed.send_replace(());
    }
}
