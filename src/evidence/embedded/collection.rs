//! An open collection: one thread writes, in groups that share a sync; readers see each item whole.
//!
//! The way of a write: checked against the collection's fields, appended to the journal and synced,
//! brought into the index behind the gate that readers pass, acknowledged. Once the journal is
//! large the index is flushed and the journal emptied.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};
use tracing::{info, warn};
use uuid::Uuid;

use super::files;
use super::journal::{self, Entry, Journal};
use super::shard::Shard;
use crate::evidence::check;
use crate::evidence::config::Config;
use crate::evidence::error::Error;
use crate::evidence::points;
use crate::evidence::types::{Collection, Embedded, FieldType, Statistics, Written};

/// Items that share one sync of the journal, about.
const GROUP_ITEMS: usize = 512;
/// The index's own log at which the index is closed for a moment to shorten it.
const LOG_BYTES: u64 = 256 << 20;
/// What an index needs to be opened, though nothing is brought into it: it makes files, and maps them.
const OPENED_BYTES: u64 = 64 << 20;
/// Extending the graph copies all that is in it: this much of it is worth that.
const WORTH_COPYING: u64 = 4;
/// How often an extension that is not worth it yet asks again.
const ASK_AGAIN: Duration = Duration::from_millis(200);
/// The pause after an extension that failed, for want of space on the disk for example.
const TRY_AGAIN: Duration = Duration::from_secs(30);

const MANIFEST: &str = "collection.json";

/// What the writer is asked for; a dropped answer is nobody's loss.
pub(super) enum Job {
    Upsert { items: Vec<Embedded>, answer: Answer<Vec<Result<Written, Error>>> },
    Delete { ids: Vec<String>, answer: Answer<usize> },
}

pub(super) type Answer<T> = oneshot::Sender<Result<T, Error>>;

/// Tells a job's sender what became of its group.
type Acknowledge = Box<dyn FnOnce(Result<(), Error>)>;

impl Job {
    fn items(&self) -> usize {
        match self {
            Self::Upsert { items, .. } => items.len(),
            Self::Delete { ids, .. } => ids.len(),
        }
    }
}

/// What readers, the writer and the indexer share.
pub(super) struct Shared {
    folder: PathBuf,
    config: Config,
    about: RwLock<Collection>,
    /// Readers share it, a write takes it for itself; empty where the index could not be opened
    /// again.
    gate: RwLock<Option<Arc<Shard>>>,
    /// No flush beside an optimisation.
    maintenance: Mutex<()>,
    indexing: AtomicBool,
    /// Embeddings written since the graph was last extended.
    outside: AtomicU64,
    /// Until then the machine rests from the last extension, unless another is worth it.
    rest: Mutex<Option<Instant>>,
    /// Why no more writes are taken.
    failed: Mutex<Option<String>>,
}

/// An open collection.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) jobs: mpsc::Sender<Job>,
    writer: JoinHandle<()>,
}

impl Opened {
    /// Writes a new collection's manifest, which makes a folder a collection.
    pub(super) fn create(folder: &Path, about: &Collection) -> Result<(), Error> {
        write_manifest(folder, about)
    }

    /// Opens a collection, and repeats into the index what only the journal holds.
    pub(super) fn open(folder: &Path, config: &Config) -> Result<Self, Error> {
        let about = read_manifest(folder)?;
        let path = folder.join("journal");
        let bytes = journal::held_bytes(&path);
        let reserve = config.reserve_bytes / 2;
        files::ensure_space(folder, if bytes > 0 { reserve } else { reserve.min(OPENED_BYTES) })?;
        if bytes > 0 {
            info!(collection = %about.name, bytes, "journal is repeated");
        }
        let shard = Shard::open(&folder.join("index"), &about, config.index_after)?;
        let mut journal = Journal::open(&path, |entries| shard.apply(entries, None))?;
        files::sync_folder(folder)?;
        if bytes > 0 {
            shard.flush()?;
            journal.clear()?;
        }
        let outside = shard.count(points::CHUNK, None)?.saturating_sub(shard.indexed()?);
        let name = about.name.clone();
        let shared = Arc::new(Shared {
            folder: folder.to_path_buf(),
            config: config.clone(),
            about: RwLock::new(about),
            gate: RwLock::new(Some(Arc::new(shard))),
            maintenance: Mutex::new(()),
            indexing: AtomicBool::new(false),
            outside: AtomicU64::new(outside),
            rest: Mutex::new(None),
            failed: Mutex::new(None),
        });
        let (jobs, queue) = mpsc::channel(config.queue);
        let writing = shared.clone();
        let writer = thread::Builder::new()
            .name(format!("evidence-{name}"))
            .spawn(move || writing.write(queue, journal))
            .map_err(|error| Error::disk(folder, error))?;
        Ok(Self { shared, jobs, writer })
    }

    /// Ends the writer once its queue is empty; all is flushed then. Blocks.
    pub(super) fn close(self) -> Result<(), Error> {
        let Self { shared, jobs, writer } = self;
        drop(jobs);
        let ended = writer.join();
        let reason = lock(&shared.failed).clone();
        let reason = if ended.is_err() { Some("its writer panicked".to_owned()) } else { reason };
        reason.map_or(Ok(()), |reason| Err(shared.failure(reason)))
    }
}

impl Shared {
    /// The collection as it is now.
    pub(super) fn about(&self) -> Collection {
        self.about.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Reads the index while no write changes it.
    pub(super) fn read<T>(
        &self,
        read: impl FnOnce(&Shard) -> Result<T, Error>,
    ) -> Result<T, Error> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        read(gate.as_deref().ok_or(Error::Closed)?)
    }

    /// How much there is.
    pub(super) fn statistics(&self) -> Result<Statistics, Error> {
        let disk_bytes = files::disk_bytes(&self.folder);
        self.read(|shard| {
            let of_kind = |kind| shard.count(points::CHUNK, Some(kind));
            let (texts, images) = (of_kind("text")?, of_kind("image")?);
            let regions = of_kind("region")?;
            let chunks = texts + images + regions;
            let items = shard.count(points::RECORD, None)?;
            let indexed = shard.indexed()?.min(chunks);
            Ok(Statistics { items, chunks, texts, images, regions, indexed, disk_bytes })
        })
    }

    /// Extends the graph over everything; waits for an indexing that runs. Blocks.
    pub(super) fn optimise(&self) -> Result<(), Error> {
        let _maintenance = lock(&self.maintenance);
        let shard = self.shard()?;
        // All that is there is copied.
        let copy = files::disk_bytes(&self.folder);
        files::ensure_space(&self.folder, copy.saturating_add(self.config.reserve_bytes / 2))?;
        // What is written meanwhile may or may not be reached, so it still counts as outside.
        let before = self.outside.load(Ordering::Acquire);
        let started = Instant::now();
        shard.optimise()?;
        self.outside.fetch_sub(before, Ordering::AcqRel);
        *lock(&self.rest) = Some(Instant::now() + started.elapsed());
        Ok(())
    }

    /// Whether enough lies outside the graph to extend it.
    fn due(&self) -> bool {
        self.outside.load(Ordering::Acquire) >= self.config.index_after
    }

    /// Extends the graph for as long as that is due, each time when it is worth it or the machine has
    /// rested.
    fn extend(&self) -> Result<(), Error> {
        while self.due() {
            let worth = self.read(Shard::indexed)? / WORTH_COPYING;
            let rested = || lock(&self.rest).is_none_or(|until| until <= Instant::now());
            while self.outside.load(Ordering::Acquire) < worth && !rested() {
                thread::sleep(ASK_AGAIN);
                // Ends with the collection.
                self.read(|_| Ok(()))?;
            }
            self.optimise()?;
            // The writer may have waited for the lock, which is not fair.
            thread::sleep(ASK_AGAIN);
        }
        Ok(())
    }

    fn shard(&self) -> Result<Arc<Shard>, Error> {
        let gate = self.gate.read().unwrap_or_else(PoisonError::into_inner);
        gate.clone().ok_or(Error::Closed)
    }

    fn write(self: Arc<Self>, mut queue: mpsc::Receiver<Job>, mut journal: Journal) {
        self.see_to_graph();
        while let Some(first) = queue.blocking_recv() {
            let mut items = first.items();
            let mut group = vec![first];
            while items < GROUP_ITEMS
                && let Ok(job) = queue.try_recv()
            {
                items += job.items();
                group.push(job);
            }
            self.commit(group, &mut journal);
            if self.usable().is_ok()
                && let Err(error) = self.shorten(&mut journal)
            {
                self.fail(&error);
            }
            self.see_to_graph();
        }
        let _maintenance = lock(&self.maintenance);
        let merged = self.usable().and_then(|()| self.merge(&mut journal));
        let shard = self.gate.write().unwrap_or_else(PoisonError::into_inner).take();
        let Some(shard) = shard.and_then(Arc::into_inner) else { return };
        if let Err(Error::DiskFull { .. }) = merged {
            warn!(folder = %self.folder.display(), "the disk is full: left to the journal");
            return shard.abandon();
        }
        let closed = shard.close();
        if let Err(error) = merged.and(closed) {
            self.fail(&error);
        }
    }

    /// Commits a group and answers each of its jobs.
    fn commit(&self, group: Vec<Job>, journal: &mut Journal) {
        let mut batch = Batch::default();
        let mut answers = Vec::with_capacity(group.len());
        let result = self.prepare(group, &mut batch, &mut answers).and_then(|()| {
            let Batch { entries, replaced, chunks, .. } = batch;
            if entries.is_empty() {
                return Ok(());
            }
            journal.append(&entries)?;
            let gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            let shard = gate.as_deref().ok_or(Error::Closed)?;
            // What is in the journal and not in the index comes back at the next opening only.
            shard.apply(entries, Some(&replaced)).inspect_err(|error| self.fail(error))?;
            self.outside.fetch_add(chunks, Ordering::AcqRel);
            Ok(())
        });
        for answer in answers {
            answer(result.clone());
        }
    }

    /// Turns jobs into entries, and promises each an answer even where this fails.
    fn prepare(
        &self,
        group: Vec<Job>,
        batch: &mut Batch,
        answers: &mut Vec<Acknowledge>,
    ) -> Result<(), Error> {
        let ready = self.usable().and_then(|()| {
            // Deletions make room, so they may go on for longer.
            let grows = group.iter().any(|job| matches!(job, Job::Upsert { .. }));
            let reserve = self.config.reserve_bytes / if grows { 1 } else { 2 };
            files::ensure_space(&self.folder, reserve)?;
            let ids: Vec<&str> = group.iter().flat_map(ids).collect();
            let known = self.about();
            batch.fields.clone_from(&known.fields);
            batch.present = self.read(|shard| shard.present(&ids))?;
            Ok(known)
        });
        for job in group {
            match job {
                Job::Upsert { items, answer } => {
                    let written = if ready.is_ok() {
                        items.into_iter().map(|item| batch.put(item, &self.config)).collect()
                    } else {
                        Vec::new()
                    };
                    answers.push(Box::new(move |result: Result<(), Error>| {
                        drop(answer.send(result.map(|()| written)));
                    }));
                }
                Job::Delete { ids, answer } => {
                    let removed = ids.into_iter().filter(|id| batch.remove(id)).count();
                    answers.push(Box::new(move |result: Result<(), Error>| {
                        drop(answer.send(result.map(|()| removed)));
                    }));
                }
            }
        }
        let known = ready?;
        if batch.fields != known.fields {
            let about = Collection { fields: batch.fields.clone(), ..known };
            write_manifest(&self.folder, &about)?;
            self.read(|shard| shard.index_fields(&about.fields))?;
            *self.about.write().unwrap_or_else(PoisonError::into_inner) = about;
        }
        Ok(())
    }

    /// Merges a journal that is long; waits for an extension of the graph only where it must.
    fn shorten(&self, journal: &mut Journal) -> Result<(), Error> {
        if journal.bytes() <= self.config.journal_bytes {
            return Ok(());
        }
        let must = journal.bytes() > self.config.max_journal_bytes;
        let free = match self.maintenance.try_lock() {
            Ok(guard) => Some(guard),
            Err(TryLockError::Poisoned(poisoned)) => Some(poisoned.into_inner()),
            Err(TryLockError::WouldBlock) => must.then(|| lock(&self.maintenance)),
        };
        match free.map(|_maintenance| self.merge(journal)) {
            // No write goes through either, until there is space again.
            Some(Err(Error::DiskFull { .. })) | None => Ok(()),
            Some(merged) => merged,
        }
    }

    /// Has the graph extended beside the writes, if that is due and not under way.
    fn see_to_graph(self: &Arc<Self>) {
        if !self.due() || self.indexing.swap(true, Ordering::AcqRel) {
            return;
        }
        let shared = self.clone();
        let extend = move || {
            match shared.extend() {
                Ok(()) => {}
                Err(Error::Closed) => return,
                Err(error) => {
                    warn!(%error, "the evidence index could not be extended");
                    thread::sleep(TRY_AGAIN);
                }
            }
            shared.indexing.store(false, Ordering::Release);
            // What failed, or was written since it last asked.
            shared.see_to_graph();
        };
        if let Err(error) = thread::Builder::new().name("evidence-index".into()).spawn(extend) {
            warn!(%error, "the evidence index could not be extended");
            self.indexing.store(false, Ordering::Release);
        }
    }

    /// Flushes the index, then empties the journal. The caller holds the maintenance lock.
    fn merge(&self, journal: &mut Journal) -> Result<(), Error> {
        files::ensure_space(&self.folder, self.config.reserve_bytes / 2)?;
        let shard = self.shard()?;
        shard.flush()?;
        let long = shard.log_bytes() > LOG_BYTES;
        drop(shard);
        if long {
            self.reopen()?;
        }
        journal.clear()
    }

    /// Closes and opens the index: only so does its own log become shorter. Readers wait.
    fn reopen(&self) -> Result<(), Error> {
        let mut gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
        if let Some(shard) = gate.take().and_then(Arc::into_inner) {
            shard.close()?;
        }
        let shard = self.open_shard()?;
        *gate = Some(Arc::new(shard));
        Ok(())
    }

    fn open_shard(&self) -> Result<Shard, Error> {
        Shard::open(&self.folder.join("index"), &self.about(), self.config.index_after)
    }

    fn usable(&self) -> Result<(), Error> {
        let reason = lock(&self.failed).clone();
        reason.map_or(Ok(()), |reason| Err(self.failure(reason)))
    }

    fn fail(&self, error: &Error) {
        let reason = error.to_string();
        warn!(folder = %self.folder.display(), reason, "the collection takes no more writes");
        lock(&self.failed).get_or_insert(reason);
    }

    fn failure(&self, reason: String) -> Error {
        Error::Failed { collection: self.about().name, reason }
    }
}

/// A group while it is put together.
#[derive(Default)]
struct Batch {
    entries: Vec<Entry>,
    fields: BTreeMap<String, FieldType>,
    /// Items that are there, as the group goes on.
    present: HashSet<String>,
    /// Items of which the index may hold another generation.
    replaced: HashSet<String>,
    chunks: u64,
}

impl Batch {
    fn put(&mut self, embedded: Embedded, config: &Config) -> Result<Written, Error> {
        if let Some(more) = check::fields(&self.fields, &embedded.item, &config.limits)? {
            self.fields = more;
        }
        let item = embedded.item.id.clone();
        let generation = Uuid::from_u128(rand::random()).simple().to_string();
        self.chunks += embedded.chunks.len() as u64;
        let points = points::encode(embedded, &generation);
        let written = if self.present.insert(item.clone()) {
            Written::Created
        } else {
            self.replaced.insert(item.clone());
            Written::Replaced
        };
        self.entries.push(Entry::Put { item, generation, points });
        Ok(written)
    }

    /// Whether the item was there.
    fn remove(&mut self, item: &str) -> bool {
        let there = self.present.remove(item);
        if there {
            self.entries.push(Entry::Remove { item: item.to_owned() });
            // A later item of this id in the group meets the index's old points.
            self.replaced.insert(item.to_owned());
        }
        there
    }
}

fn ids(job: &Job) -> Vec<&str> {
    match job {
        Job::Upsert { items, .. } => items.iter().map(|item| item.item.id.as_str()).collect(),
        Job::Delete { ids, .. } => ids.iter().map(String::as_str).collect(),
    }
}

fn write_manifest(folder: &Path, about: &Collection) -> Result<(), Error> {
    let path = folder.join(MANIFEST);
    let content = serde_json::to_vec_pretty(about)
        .map_err(|error| Error::Disk { path: path.clone(), source: Arc::new(error.into()) })?;
    files::write_whole(&path, &content)
}

fn read_manifest(folder: &Path) -> Result<Collection, Error> {
    let path = folder.join(MANIFEST);
    let content = std::fs::read(&path).map_err(|error| Error::disk(&path, error))?;
    serde_json::from_slice(&content)
        .map_err(|error| Error::Damaged { path, reason: error.to_string() })
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
