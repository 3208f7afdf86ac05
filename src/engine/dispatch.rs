//! Where callers and workers meet: one lock around the queue, the pace and the replicas' health.
//! Nothing slow, and no code of a model's but its key's equality, runs under it.

use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{Notify, oneshot};

use super::batcher::{Decision, Pace, Rules, decide};
use super::job::{Answer, Job, Reply};
use super::queue::{Limits, Pass, Place, Queue, Refusal, Waiting};
use super::replicas::Replicas;
use super::{BatchModel, Config, Depth, EngineError, Health, Terms};
use crate::telemetry::metrics::{self, EngineLoad, ItemOutcome};

/// One item of a batch, with its place to return to.
pub(super) type Passenger<M> = (Place, Waiting<<M as BatchModel>::Key, Job<M>>);

/// Shared by an engine's handles and its workers.
pub(super) struct Dispatch<M: BatchModel> {
    config: Config,
    state: Mutex<State<M>>,
    /// Something changed that an idle worker should look at.
    changed: Condvar,
    /// The last worker ended.
    ended: Notify,
}

struct State<M: BatchModel> {
    queue: Queue<M::Key, Job<M>>,
    pace: Pace,
    replicas: Replicas,
    running: usize,
    /// Workers whose thread has not ended.
    live: usize,
    closed: bool,
}

/// Holds an item's place; dropped, it frees the place if the item still waits.
pub(super) struct Ticket<M: BatchModel> {
    dispatch: Arc<Dispatch<M>>,
    place: Place,
    answered: bool,
}

impl<M: BatchModel> Ticket<M> {
    /// The caller has its answer and did not go away.
    pub(super) fn answered(mut self) {
        self.answered = true;
    }
}

impl<M: BatchModel> Drop for Ticket<M> {
    fn drop(&mut self) {
        let name = &self.dispatch.config.name;
        let mut state = self.dispatch.lock();
        let removed = state.queue.remove(self.place);
        state.show_load(name);
        drop(state);
        // The input is dropped here, outside the lock.
        drop(removed);
        if !self.answered {
            metrics::record_item(name, ItemOutcome::Abandoned);
        }
    }
}

impl<M: BatchModel> Dispatch<M> {
    pub(super) fn new(config: Config, replicas: usize) -> Self {
        let limits = Limits {
            items: config.max_queued_items,
            bytes: config.max_queued_bytes,
            max_age: config.max_age,
        };
        let state = State {
            queue: Queue::new(limits),
            pace: Pace::new(config.max_batch_wait),
            replicas: Replicas::new(replicas),
            running: 0,
            live: replicas,
            closed: false,
        };
        Self { config, state: Mutex::new(state), changed: Condvar::new(), ended: Notify::new() }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// No state is left half-changed by a panic under the lock, so poison is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every gauge of this engine, so that they are there before the first item.
    pub(super) fn show(&self) {
        let state = self.lock();
        state.show_load(&self.config.name);
        state.show_replicas(&self.config.name);
    }

    /// Lets an item in, or says at once why not.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        input: M::Input,
        terms: Terms,
        reply: oneshot::Sender<Answer<M>>,
        now: Instant,
    ) -> Result<Ticket<M>, EngineError> {
        let (key, bytes) = (M::key(&input), M::bytes(&input));
        let deadline = terms.deadline;
        if deadline.is_some_and(|deadline| deadline <= now) {
            return Err(EngineError::Expired);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(EngineError::Closed);
        }
        if state.replicas.all_down() {
            return Err(state.no_replica());
        }
        state.queue.admits(bytes).map_err(|refusal| self.refuse(&state, refusal, bytes))?;
        state.pace.arrived(now);
        let pass = Pass { key, bytes, arrived: now, deadline, alone: false };
        let place =
            state.queue.push(Waiting { pass, item: Job { input, reply: Reply::new(reply) } });
        state.show_load(&self.config.name);
        drop(state);
        self.changed.notify_all();
        Ok(Ticket { dispatch: Arc::clone(self), place, answered: false })
    }

    fn refuse(&self, state: &State<M>, refusal: Refusal, bytes: usize) -> EngineError {
        let retry_after =
            state.pace.retry_after(state.queue.len(), state.replicas.health().healthy);
        match refusal {
            Refusal::Items { queued } => EngineError::Full {
                queued,
                limit: self.config.max_queued_items,
                unit: "items",
                retry_after,
            },
            Refusal::Bytes { queued } => EngineError::Full {
                queued,
                limit: self.config.max_queued_bytes,
                unit: "bytes",
                retry_after,
            },
            Refusal::TooLarge => EngineError::Item(format!(
                "item is {bytes} bytes, limit {}",
                self.config.max_queued_bytes
            )),
        }
    }

    /// Waits for the next batch: 1 to `max_batch` items, none expired or abandoned. `None` when
    /// the engine is closed and nothing waits.
    pub(super) fn next_batch(&self) -> Option<Vec<Passenger<M>>> {
        let rules =
            Rules { max_batch: self.config.max_batch, max_wait: self.config.max_batch_wait };
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            for expired in state.queue.take_expired(now) {
                expired.item.reply.send(Err(EngineError::Expired));
            }
            let Some(outlook) = state.queue.outlook() else {
                if state.closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            match decide(&outlook, rules, &state.pace, state.closed, now) {
                Decision::Run => {
                    let mut batch = state.queue.take_batch(rules.max_batch);
                    batch.retain(|(_, waiting)| waiting.item.reply.begins());
                    state.running += batch.len();
                    state.show_load(&self.config.name);
                    if !batch.is_empty() {
                        return Some(batch);
                    }
                }
                Decision::WaitUntil(until) => {
                    let pause = until.saturating_duration_since(now);
                    let woken = self.changed.wait_timeout(state, pause);
                    state = woken.unwrap_or_else(PoisonError::into_inner).0;
                }
            }
        }
    }

    /// A batch of `items` left the device after `run`.
    pub(super) fn finished(&self, items: usize, run: Duration) {
        let mut state = self.lock();
        state.running -= items;
        state.pace.ran(run, items);
        state.show_load(&self.config.name);
    }

    /// Puts items of a failed batch back, each to run alone on whichever replica is free.
    pub(super) fn put_back(&self, passengers: Vec<Passenger<M>>) {
        let mut state = self.lock();
        for (place, mut waiting) in passengers {
            // Seen under the lock: a caller that leaves from now on finds the item at its place.
            if !waiting.item.reply.is_abandoned() {
                waiting.pass.alone = true;
                state.queue.put_back(place, waiting);
            }
        }
        state.show_load(&self.config.name);
        drop(state);
        self.changed.notify_all();
    }

    /// A batch or a build failed.
    pub(super) fn failed(&self, reason: &str) {
        self.lock().replicas.failed(reason);
        metrics::record_replica_failure(&self.config.name);
    }

    /// The replica has a model, again.
    pub(super) fn up(&self, replica: usize) {
        let mut state = self.lock();
        state.replicas.mark(replica, false);
        state.show_replicas(&self.config.name);
    }

    /// The replica has no model and could not build one. When no replica is left, everybody who
    /// waits is told.
    pub(super) fn down(&self, replica: usize) {
        let mut state = self.lock();
        state.replicas.mark(replica, true);
        state.show_replicas(&self.config.name);
        if state.replicas.all_down() {
            let error = state.no_replica();
            let waiting = state.queue.clear();
            state.show_load(&self.config.name);
            drop(state);
            answer_all(waiting, &error);
        }
    }

    /// Pauses a worker between two builds; false when the engine closed meanwhile.
    pub(super) fn pause(&self, pause: Duration) -> bool {
        let state = self.lock();
        let until_closed = self.changed.wait_timeout_while(state, pause, |state| !state.closed);
        let (state, _) = until_closed.unwrap_or_else(PoisonError::into_inner);
        !state.closed
    }

    pub(super) fn depth(&self) -> Depth {
        let state = self.lock();
        Depth { items: state.queue.len(), bytes: state.queue.bytes(), running: state.running }
    }

    pub(super) fn health(&self) -> Health {
        self.lock().replicas.health()
    }

    /// Takes nothing new; workers end when nothing waits.
    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.changed.notify_all();
    }

    /// Answers everybody who waits with [`EngineError::Closed`]; how many they were.
    pub(super) fn abandon(&self) -> usize {
        let mut state = self.lock();
        let waiting = state.queue.clear();
        state.show_load(&self.config.name);
        drop(state);
        self.changed.notify_all();
        let count = waiting.len();
        answer_all(waiting, &EngineError::Closed);
        count
    }

    /// One worker ends. The last one leaves nobody behind: were the models lost while closing,
    /// those who wait are told.
    pub(super) fn leave(&self) {
        let mut state = self.lock();
        state.live -= 1;
        let last = state.live == 0;
        let left = if last {
            state.closed = true;
            state.queue.clear()
        } else {
            Vec::new()
        };
        drop(state);
        answer_all(left, &EngineError::Closed);
        if last {
            self.ended.notify_waiters();
        }
    }

    /// Returns when every worker has ended.
    pub(super) async fn ended(&self) {
        loop {
            let notified = self.ended.notified();
            tokio::pin!(notified);
            // Enlisted before the look, so that no notice falls between.
            notified.as_mut().enable();
            if self.lock().live == 0 {
                return;
            }
            notified.await;
        }
    }
}

impl<M: BatchModel> State<M> {
    /// Under the lock, so that the last value shown is the last value.
    fn show_load(&self, name: &str) {
        let load = EngineLoad {
            queued_items: self.queue.len(),
            queued_bytes: self.queue.bytes(),
            running: self.running,
        };
        metrics::set_load(name, load);
    }

    fn show_replicas(&self, name: &str) {
        let health = self.replicas.health();
        metrics::set_replicas(name, health.replicas, health.healthy);
    }

    fn no_replica(&self) -> EngineError {
        let health = self.replicas.health();
        let reason = health.last_failure.unwrap_or_default();
        EngineError::Device(format!("no replica of {} works: {reason}", health.replicas))
    }
}

fn answer_all<M: BatchModel>(waiting: Vec<Waiting<M::Key, Job<M>>>, error: &EngineError) {
    for waiting in waiting {
        waiting.item.reply.send(Err(error.clone()));
    }
}
