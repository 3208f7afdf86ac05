//! The embedded store: collections under one folder, each with a manifest, a journal and an index.
//!
//! ```text
//! data_dir/lock                       held while a process has the store open
//! data_dir/faces/collection.json      what the collection is; its presence makes it one
//! data_dir/faces/journal              acknowledged, not yet flushed
//! data_dir/faces/index/               the index
//! ```
//! Folders whose names begin with a dot are half-made or half-deleted, and go at the next opening. A
//! collection that cannot be opened is set aside: the others serve, and it can be deleted.

mod collection;
mod copy;
mod files;
mod held;
mod journal;
mod shard;

use std::collections::BTreeMap;
use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{Mutex, Semaphore, oneshot};
use tracing::warn;

use self::collection::{Job, Opened, Shared};
use self::held::Held;
use super::check;
use super::config::Config;
use super::error::{Error, nearest};
use super::types::{Collection, Embedded, Statistics, Written};

pub use self::copy::copy_store;
pub(super) use self::shard::Shard;

/// An open embedded store.
pub(super) struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    config: Config,
    collections: RwLock<BTreeMap<String, Held>>,
    /// One creation or deletion at a time.
    changing: Mutex<()>,
    readers: Arc<Semaphore>,
    waiting: AtomicUsize,
    /// Locked until the store is dropped.
    _lock: File,
}

impl Store {
    /// Opens every collection of the folder; those that cannot be opened are set aside. Blocks.
    pub(super) fn open(config: &Config) -> Result<Self, Error> {
        let root = &config.data_dir;
        fs::create_dir_all(root).map_err(|error| Error::disk(root, error))?;
        let lock = exclusive(root)?;
        let mut collections = BTreeMap::new();
        for folder in folders(root)? {
            let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
            let held = Held::open(&folder, &name, config)?;
            collections.insert(name, held);
        }
        let inner = Inner {
            config: config.clone(),
            collections: RwLock::new(collections),
            changing: Mutex::new(()),
            readers: Arc::new(Semaphore::new(config.readers)),
            waiting: AtomicUsize::new(0),
            _lock: lock,
        };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Those that are open.
    pub(super) fn collections(&self) -> Vec<Collection> {
        let about = |held: &Held| held.opened().ok().map(|open| open.shared.about());
        self.inner.all().values().filter_map(about).collect()
    }

    /// Why each collection that is not open is not.
    pub(super) fn damaged(&self) -> Vec<Error> {
        self.inner.all().values().filter_map(|held| held.opened().err()).collect()
    }

    pub(super) fn collection(&self, name: &str) -> Result<Collection, Error> {
        Ok(self.inner.shared(name)?.about())
    }

    pub(super) async fn create(&self, about: Collection) -> Result<Collection, Error> {
        let inner = self.inner.clone();
        let _changing = inner.changing.lock().await;
        let task = self.inner.clone();
        blocking(move || {
            if task.all().contains_key(&about.name) {
                return Err(Error::CollectionExists(about.name));
            }
            let config = &task.config;
            let count = task.all().len() + 1;
            Error::at_most("collection", "collections", count, config.limits.max_collections)?;
            files::ensure_space(&config.data_dir, config.reserve_bytes)?;
            let folder = config.data_dir.join(&about.name);
            let draft = config.data_dir.join(format!(".new-{}", about.name));
            let disk = |error| Error::disk(&folder, error);
            fs::create_dir_all(&draft).map_err(disk)?;
            Opened::create(&draft, &about)?;
            fs::rename(&draft, &folder).map_err(disk)?;
            files::sync_folder(&config.data_dir)?;
            let open = Opened::open(&folder, config)?;
            task.all_mut().insert(about.name.clone(), Held::Open(open));
            Ok(about)
        })
        .await
    }

    pub(super) async fn delete_collection(&self, name: &str) -> Result<(), Error> {
        let inner = self.inner.clone();
        let _changing = inner.changing.lock().await;
        let (task, name) = (self.inner.clone(), name.to_owned());
        blocking(move || {
            let removed = task.remove(&name)?;
            let root = &task.config.data_dir;
            if let Err(error) = removed.close() {
                warn!(%error, "a collection that is deleted did not close");
            }
            let (folder, gone) = (root.join(&name), root.join(format!(".deleted-{name}")));
            let disk = |error| Error::disk(&folder, error);
            fs::rename(&folder, &gone).map_err(disk)?;
            files::sync_folder(root)?;
            files::remove(&gone).map_err(disk)
        })
        .await
    }

    pub(super) async fn upsert(
        &self,
        name: &str,
        items: Vec<Embedded>,
    ) -> Result<Vec<Result<Written, Error>>, Error> {
        let (answer, written) = oneshot::channel();
        self.send(name, Job::Upsert { items, answer })?;
        written.await.unwrap_or(Err(Error::Closed))
    }

    pub(super) async fn delete(&self, name: &str, ids: Vec<String>) -> Result<usize, Error> {
        let (answer, removed) = oneshot::channel();
        self.send(name, Job::Delete { ids, answer })?;
        removed.await.unwrap_or(Err(Error::Closed))
    }

    /// Reads a collection off the async threads.
    pub(super) async fn read<T: Send + 'static>(
        &self,
        name: &str,
        read: impl FnOnce(&Shard) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let shared = self.inner.shared(name)?;
        self.inner.as_reader(move || shared.read(read)).await
    }

    pub(super) async fn statistics(&self, name: &str) -> Result<Statistics, Error> {
        let shared = self.inner.shared(name)?;
        self.inner.as_reader(move || shared.statistics()).await
    }

    pub(super) async fn optimise(&self, name: &str) -> Result<(), Error> {
        let shared = self.inner.shared(name)?;
        blocking(move || shared.optimise()).await
    }

    /// Closes every collection; all is flushed then, and requests find the store closed.
    pub(super) async fn close(&self) -> Result<(), Error> {
        let inner = self.inner.clone();
        let _changing = inner.changing.lock().await;
        let task = self.inner.clone();
        blocking(move || {
            let collections = std::mem::take(&mut *task.all_mut());
            let closed: Vec<_> = collections.into_values().map(Held::close).collect();
            closed.into_iter().collect()
        })
        .await
    }

    fn send(&self, name: &str, job: Job) -> Result<(), Error> {
        let all = self.inner.all();
        let open = all.get(name).ok_or_else(|| unknown(name, &all))?.opened()?;
        open.jobs.try_send(job).map_err(|error| match error {
            TrySendError::Full(_) => {
                let limit = self.inner.config.queue;
                Error::Busy { waiting: limit, limit }
            }
            TrySendError::Closed(_) => Error::Closed,
        })
    }
}

impl Drop for Inner {
    /// Ends the writers, so that whoever opens the folder next finds it at rest. Blocks.
    fn drop(&mut self) {
        for held in std::mem::take(&mut *self.all_mut()).into_values() {
            if let Err(error) = held.close() {
                warn!(%error, "a collection did not close");
            }
        }
    }
}

impl Inner {
    fn all(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<String, Held>> {
        self.collections.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn all_mut(&self) -> std::sync::RwLockWriteGuard<'_, BTreeMap<String, Held>> {
        self.collections.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn shared(&self, name: &str) -> Result<Arc<Shared>, Error> {
        let all = self.all();
        let held = all.get(name).ok_or_else(|| unknown(name, &all))?;
        Ok(held.opened()?.shared.clone())
    }

    /// Takes a collection out, be it damaged or not.
    fn remove(&self, name: &str) -> Result<Held, Error> {
        let mut all = self.all_mut();
        all.remove(name).ok_or_else(|| unknown(name, &all))
    }

    /// Waits for a place among the readers, in a queue that is bounded.
    async fn as_reader<T: Send + 'static>(
        &self,
        read: impl FnOnce() -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let limit = self.config.queue;
        let waiting = Waiting::enter(&self.waiting, limit)?;
        let permit = self.readers.clone().acquire_owned().await.map_err(|_| Error::Closed)?;
        drop(waiting);
        blocking(move || {
            let _permit = permit;
            read()
        })
        .await
    }
}

/// A place in the readers' queue, given back when the wait ends or is given up.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(waiting: &'a AtomicUsize, limit: usize) -> Result<Self, Error> {
        let before = waiting.fetch_add(1, Ordering::AcqRel);
        let place = Self(waiting);
        if before >= limit { Err(Error::Busy { waiting: before, limit }) } else { Ok(place) }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}

async fn blocking<T: Send + 'static>(
    run: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    tokio::task::spawn_blocking(run).await.unwrap_or(Err(Error::Closed))
}

fn unknown(name: &str, all: &BTreeMap<String, Held>) -> Error {
    Error::UnknownCollection {
        name: name.to_owned(),
        nearest: nearest(name, all.keys().map(String::as_str)),
    }
}

fn exclusive(root: &Path) -> Result<File, Error> {
    let path = root.join("lock");
    let file = File::create(&path).map_err(|error| Error::disk(&path, error))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(Error::InUse(root.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(Error::disk(&path, error)),
    }
}

/// The folders of collections; half-made and half-deleted ones are removed.
fn folders(root: &Path) -> Result<Vec<PathBuf>, Error> {
    let disk = |error| Error::disk(root, error);
    let mut found = Vec::new();
    for entry in fs::read_dir(root).map_err(disk)? {
        let entry = entry.map_err(disk)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if !entry.file_type().map_err(disk)?.is_dir() {
            continue;
        }
        if name.starts_with(".new-") || name.starts_with(".deleted-") {
            warn!(folder = %entry.path().display(), "an unfinished change is cleared away");
            fs::remove_dir_all(entry.path()).map_err(disk)?;
        } else if check::name(&name).is_ok() {
            found.push(entry.path());
        }
    }
    found.sort();
    Ok(found)
}
