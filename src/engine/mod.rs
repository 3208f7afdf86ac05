//! Queues, batches and device threads; knows no model.
//!
//! Imports: units, bounds, telemetry.
//!
//! An [`Engine`] owns one thread a replica; each thread builds its own model and keeps it. Callers
//! [`Engine::submit`] single items from any async task; items with equal keys that wait together
//! run together. What holds always:
//!
//! - The queue is bounded by items and by bytes; a full queue answers at once, with a time to retry.
//! - The urgent go first, flows of one priority take turns, the earliest deadline goes first within
//!   a flow. Who has waited [`Config::max_age`] has every second place, so nobody starves.
//! - A caller that goes away, or whose deadline passes, frees its place at once; its item never
//!   reaches the device. Who hardly can be answered in time is told as it comes.
//! - Work under a [`Claim`] that its owner withdrew never reaches the device.
//! - An item's error is its own. A batch that fails as a whole is taken apart and its items run
//!   alone, once, so that one bad item never fails its neighbours.
//! - A batch that does not fit the device's memory is tried again in halves; smaller ones follow.
//! - No panic leaves a worker. A model that panicked is dropped and built anew. A replica that has
//!   a batch for longer than [`Config::stall_limit`] keeps nobody waiting.

mod admission;
mod batcher;
mod board;
mod ceiling;
mod claim;
mod config;
mod dispatch;
mod error;
mod fault;
mod hook;
mod job;
mod journey;
mod pace;
mod queue;
mod replicas;
mod terms;
mod ticket;
mod worker;

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use dispatch::Dispatch;
use tokio::sync::oneshot;
use worker::Worker;

use crate::telemetry::metrics::{self, ExpiryStage, ItemOutcome, Rejection};

pub use claim::Claim;
pub use config::Config;
pub use error::{DeviceError, EngineError, ItemError};
pub use hook::{BatchSight, Hook};
pub use job::{Completed, Timing};
pub use replicas::{Expired, Health, ReplicaState};
pub use terms::{Flow, Priority, Terms};

/// A model as the engine sees it: something that runs batches.
///
/// It need not be [`Send`]: the factory builds it inside the thread that keeps it.
pub trait BatchModel: 'static {
    /// One item's input.
    type Input: Send + 'static;
    /// One item's result.
    type Output: Send + 'static;
    /// Items with equal keys may share a batch.
    type Key: Eq + Clone + Send + 'static;

    /// Which batches this item may ride in.
    fn key(input: &Self::Input) -> Self::Key;

    /// What the item weighs against [`Config::max_queued_bytes`].
    fn bytes(input: &Self::Input) -> usize;

    /// A copy to run alone with, should the batch fail as a whole. Without one (the default) a
    /// failing batch fails every item in it. Asked for only where a batch holds several items.
    fn duplicate(_input: &Self::Input) -> Option<Self::Input> {
        None
    }

    /// Runs a batch of 1 to [`Config::max_batch`] items with equal keys; one result an item, in
    /// order. An [`ItemError`] fails its item only; a [`DeviceError`] fails the batch and has the
    /// model built anew.
    fn run(
        &mut self,
        batch: Vec<Self::Input>,
    ) -> Result<Vec<Result<Self::Output, ItemError>>, DeviceError>;
}

/// Builds one replica's model, at the start and again after each failure.
pub type Factory<M> = Box<dyn Fn() -> Result<M, DeviceError> + Send>;

/// What waits in the queue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Items waiting.
    pub items: usize,
    /// Their weight.
    pub bytes: usize,
    /// Items in batches now on a device.
    pub running: usize,
}

/// A handle on a running engine; clones share it. When the last one is dropped the workers end
/// after their current batch.
pub struct Engine<M: BatchModel> {
    inner: Arc<Inner<M>>,
}

struct Inner<M: BatchModel> {
    dispatch: Arc<Dispatch<M>>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

impl<M: BatchModel> Clone for Engine<M> {
    fn clone(&self) -> Self {
        Self { inner: Arc::clone(&self.inner) }
    }
}

impl<M: BatchModel> Drop for Inner<M> {
    fn drop(&mut self) {
        self.dispatch.close();
    }
}

impl<M: BatchModel> Engine<M> {
    /// Starts one thread for each factory and waits until every one has built its model.
    ///
    /// Blocks; call it before the async runtime or from a blocking task. If one factory fails, the
    /// others are ended and its error is returned.
    pub fn start(config: Config, factories: Vec<Factory<M>>) -> Result<Self, EngineError> {
        config.validate()?;
        if factories.is_empty() {
            return Err(EngineError::Config("an engine needs at least one replica".into()));
        }
        let replicas = factories.len();
        let dispatch = Arc::new(Dispatch::new(config, replicas));
        let (built, ready) = mpsc::sync_channel(replicas);
        let mut threads = Vec::with_capacity(replicas);
        let mut failed = None;
        for (replica, factory) in factories.into_iter().enumerate() {
            match Worker::spawn(Arc::clone(&dispatch), replica, factory, built.clone()) {
                Ok(thread) => threads.push(thread),
                Err(error) => failed = Some(format!("cannot start a thread: {error}")),
            }
        }
        let watched = Arc::clone(&dispatch);
        let watchdog = Builder::new().name(format!("{}-watchdog", dispatch.config().name));
        match watchdog.spawn(move || watched.watch()) {
            Ok(thread) => threads.push(thread),
            Err(error) => failed = Some(format!("cannot start a thread: {error}")),
        }
        drop(built);
        for outcome in ready {
            if let Err(error) = outcome {
                failed = Some(error.0);
            }
        }
        let engine = Self { inner: Arc::new(Inner { dispatch, threads: Mutex::new(threads) }) };
        match failed {
            None => {
                engine.inner.dispatch.show();
                Ok(engine)
            }
            Some(reason) => {
                engine.inner.dispatch.close();
                engine.join();
                Err(EngineError::Device(reason))
            }
        }
    }

    /// Runs one item: waits for its turn, rides in a batch, returns its output.
    ///
    /// Needs a tokio runtime with time. Dropping the future frees the item's place.
    ///
    /// Errors: [`EngineError::Full`] at once when the queue is full, [`EngineError::TooLate`] when
    /// the deadline hardly can be met; [`EngineError::Expired`] when it passes first; the rest as
    /// [`EngineError`] says.
    pub async fn submit(
        &self,
        input: M::Input,
        terms: Terms,
    ) -> Result<Completed<M::Output>, EngineError> {
        let deadline = terms.deadline;
        let (reply, answer) = oneshot::channel();
        let entry = self.inner.dispatch.enqueue(input, terms, reply, Instant::now());
        let (result, stage) = match entry {
            Err(refusal) => (Err(refusal), ExpiryStage::Admission),
            Ok(ticket) => {
                let answer = match deadline {
                    Some(deadline) => tokio::time::timeout_at(deadline.into(), answer).await,
                    None => Ok(answer.await),
                };
                if let Ok(reply) = answer {
                    ticket.answered();
                    // A reply dropped unsent means that the worker ended. One that says that the
                    // item expired comes from the queue.
                    (reply.unwrap_or(Err(EngineError::Closed)), ExpiryStage::Queue)
                } else {
                    let waited = ticket.expired();
                    let stage = if waited { ExpiryStage::Queue } else { ExpiryStage::Device };
                    (Err(EngineError::Expired), stage)
                }
            }
        };
        self.count(&result, stage);
        result
    }

    /// Counts an item's end; `stage` is where it expired, if it did.
    fn count(&self, result: &Result<Completed<M::Output>, EngineError>, stage: ExpiryStage) {
        let outcome = match result {
            Ok(_) => ItemOutcome::Ok,
            Err(EngineError::Full { .. }) => ItemOutcome::Full,
            Err(EngineError::Expired | EngineError::TooLate { .. }) => ItemOutcome::Expired,
            Err(EngineError::Closed) => ItemOutcome::Closed,
            Err(EngineError::Item(_)) => ItemOutcome::Invalid,
            Err(EngineError::Device(_) | EngineError::Panicked(_) | EngineError::Config(_)) => {
                ItemOutcome::Failed
            }
        };
        metrics::record_item(&self.config().name, outcome);
        match outcome {
            ItemOutcome::Expired => {
                self.inner.dispatch.count_expiry(stage);
                if stage == ExpiryStage::Admission {
                    metrics::record_rejection(Rejection::Late);
                }
            }
            ItemOutcome::Full => metrics::record_rejection(Rejection::QueueFull),
            ItemOutcome::Ok
            | ItemOutcome::Abandoned
            | ItemOutcome::Closed
            | ItemOutcome::Invalid
            | ItemOutcome::Failed => {}
        }
    }

    /// What waits and runs at this moment.
    pub fn depth(&self) -> Depth {
        self.inner.dispatch.depth()
    }

    /// How its replicas fare, and how many items expired where.
    pub fn health(&self) -> Health {
        self.inner.dispatch.health()
    }

    /// The engine's configuration.
    pub fn config(&self) -> &Config {
        self.inner.dispatch.config()
    }

    /// Takes no new item ([`EngineError::Closed`]), lets what waits and runs finish, and ends the
    /// workers. After `limit` the items still waiting are answered [`EngineError::Closed`] and
    /// counted in the return value; a batch on the device cannot be interrupted and ends by itself.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.inner.dispatch.close();
        let ended = tokio::time::timeout(limit, self.inner.dispatch.ended()).await.is_ok();
        if ended {
            self.join();
            return 0;
        }
        self.inner.dispatch.abandon()
    }

    /// Waits for threads that have been told to end and have nothing left to do.
    fn join(&self) {
        let threads =
            std::mem::take(&mut *self.inner.threads.lock().unwrap_or_else(PoisonError::into_inner));
        for thread in threads {
            if thread.join().is_err() {
                tracing::error!(engine = %self.config().name, "a worker ended in a panic");
            }
        }
    }
}
