//! Where callers and workers meet: one lock around the queue, the pace, the board and the replicas'
//! health. Nothing slow, and no code of a model's but its key's equality, runs under it.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use super::batcher::{Decision, Rules, decide};
use super::board::{Board, Seat};
use super::job::{Job, Reply};
use super::pace::{Pace, retry_in};
use super::queue::{Limits, Place, Queue, Waiting};
use super::replicas::{Expired, Replicas};
use super::{BatchModel, Config, Depth, EngineError, Health};
use crate::telemetry::metrics::{self, EngineLoad, ExpiryStage};

/// An item in the queue.
pub(super) type Queued<M> = Waiting<<M as BatchModel>::Key, Job<M>>;

/// A caller, and why it has no output.
pub(super) type Told<M> = (Reply<M>, EngineError);

/// Shared by an engine's handles, its workers and its watchdog.
pub(super) struct Dispatch<M: BatchModel> {
    config: Config,
    state: Mutex<State<M>>,
    /// Something changed that an idle worker should look at.
    pub(super) changed: Condvar,
    /// The last worker ended, for the watchdog.
    pub(super) unwatched: Condvar,
    /// The last worker ended.
    ended: Notify,
}

pub(super) struct State<M: BatchModel> {
    pub(super) queue: Queue<M::Key, Job<M>>,
    pub(super) pace: Pace<M::Key>,
    pub(super) board: Board<M>,
    pub(super) replicas: Replicas,
    pub(super) expired: Expired,
    pub(super) late: u64,
    /// Workers whose thread has not ended.
    pub(super) live: usize,
    pub(super) closed: bool,
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
            pace: Pace::new(config.max_batch, config.max_batch_wait),
            board: Board::new(replicas),
            replicas: Replicas::new(replicas),
            expired: Expired::default(),
            late: 0,
            live: replicas,
            closed: false,
        };
        Self {
            config,
            state: Mutex::new(state),
            changed: Condvar::new(),
            unwatched: Condvar::new(),
            ended: Notify::new(),
        }
    }

    pub(super) fn config(&self) -> &Config {
        &self.config
    }

    /// No state is left half-changed by a panic under the lock, so poison is no reason to stop.
    pub(super) fn lock(&self) -> MutexGuard<'_, State<M>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Shows every series of this engine, so that they are there before the first item.
    pub(super) fn show(&self) {
        let state = self.lock();
        state.show_load(&self.config.name);
        state.show_replicas(&self.config.name);
        metrics::show_engine(&self.config.name);
    }

    /// Takes an item out of the queue; whether it still waited.
    pub(super) fn forget(&self, place: Place) -> bool {
        let mut state = self.lock();
        let removed = state.queue.remove(place);
        state.show_load(&self.config.name);
        drop(state);
        // The input is dropped with this, outside the lock.
        removed.is_some()
    }

    /// Waits for the next batch of up to `most` items, none expired or abandoned, and puts them on
    /// the board; their inputs, 1 or more. `None` when the engine is closed and nothing waits.
    pub(super) fn next_batch(&self, replica: usize, most: usize) -> Option<Vec<M::Input>> {
        let rules = Rules { max_batch: most, max_wait: self.config.max_batch_wait };
        let mut state = self.lock();
        loop {
            let now = Instant::now();
            let expired = state.queue.take_expired(now);
            if !expired.is_empty() {
                let expired = expired.into_iter().map(|item| (item, EngineError::Expired));
                state = self.turn_away(state, expired.collect());
                continue;
            }
            let Some(outlook) = state.queue.outlook(most, now) else {
                if state.closed {
                    return None;
                }
                state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                continue;
            };
            match decide(&outlook, rules, state.pace.rhythm(), state.closed, now) {
                Decision::Run => {
                    let hopeless = state.take_hopeless(most, now);
                    if !hopeless.is_empty() {
                        state = self.turn_away(state, hopeless);
                        continue;
                    }
                    let inputs = state.board_batch(replica, most, now);
                    state.show_load(&self.config.name);
                    if !inputs.is_empty() {
                        return Some(inputs);
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

    /// Answers some who will not run, outside the lock.
    fn turn_away<'a>(
        &'a self,
        state: MutexGuard<'a, State<M>>,
        told: Vec<(Queued<M>, EngineError)>,
    ) -> MutexGuard<'a, State<M>> {
        state.show_load(&self.config.name);
        drop(state);
        // Inputs are dropped here too.
        for (waiting, error) in told {
            waiting.item.reply.send(Err(error));
        }
        self.lock()
    }

    /// An item expired at this stage of its way.
    pub(super) fn count_expiry(&self, stage: ExpiryStage) {
        let mut state = self.lock();
        match stage {
            ExpiryStage::Admission => state.expired.admission += 1,
            ExpiryStage::Queue => state.expired.queue += 1,
            ExpiryStage::Device => state.expired.device += 1,
            // No item of an engine is elsewhere.
            ExpiryStage::Elsewhere => {}
        }
        drop(state);
        metrics::record_expiry(stage);
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
        let (items, bytes) = (state.queue.len(), state.queue.bytes());
        Depth { items, bytes, running: state.board.running() }
    }

    pub(super) fn health(&self) -> Health {
        let state = self.lock();
        Health { expired: state.expired, late: state.late, ..state.replicas.health() }
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
        tell_all(waiting, &EngineError::Closed);
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
        tell_all(left, &EngineError::Closed);
        if last {
            self.unwatched.notify_all();
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
    /// Moves the next batch from the queue to the board, but those whose callers went away.
    fn board_batch(&mut self, replica: usize, most: usize, now: Instant) -> Vec<M::Input> {
        let mut batch = self.queue.take_batch(most, now);
        batch.retain(|(_, waiting)| !waiting.item.reply.is_abandoned());
        let (inputs, seats): (Vec<_>, Vec<_>) = batch
            .into_iter()
            .map(|(place, Waiting { pass, item: Job { input, reply } })| {
                (input, Seat { place, pass, reply })
            })
            .unzip();
        if !seats.is_empty() {
            self.board.enter(replica, seats, now);
        }
        inputs
    }

    /// Those who hardly could be answered in time, where others can use their seats; and what they
    /// are told.
    fn take_hopeless(&mut self, most: usize, now: Instant) -> Vec<(Queued<M>, EngineError)> {
        let pace = &self.pace;
        let hopeless = self.queue.take_hopeless(most, now, |key| pace.likely_run(key));
        let told = hopeless.into_iter().map(|item| {
            let deadline = item.pass.terms.deadline.unwrap_or(now);
            let left = deadline.saturating_duration_since(now);
            let predicted = pace.likely_run(&item.pass.key);
            let retry_after = retry_in(predicted.saturating_sub(left));
            (item, EngineError::TooLate { predicted, left, retry_after })
        });
        told.collect()
    }

    /// Under the lock, so that the last value shown is the last value.
    pub(super) fn show_load(&self, name: &str) {
        let load = EngineLoad {
            queued_items: self.queue.len(),
            queued_bytes: self.queue.bytes(),
            running: self.board.running(),
        };
        metrics::set_load(name, load);
    }

    pub(super) fn show_replicas(&self, name: &str) {
        let health = self.replicas.health();
        metrics::set_replicas(name, &health.states, health.healthy);
    }

    pub(super) fn no_replica(&self) -> EngineError {
        let health = self.replicas.health();
        let reason = health.last_failure.unwrap_or_default();
        EngineError::Device(format!("no replica of {} works: {reason}", health.replicas))
    }
}

/// Answers some who have no output; outside the lock.
pub(super) fn answer_all<M: BatchModel>(told: Vec<Told<M>>) {
    for (reply, error) in told {
        reply.send(Err(error));
    }
}

/// The same to each.
fn tell_all<M: BatchModel>(waiting: Vec<Queued<M>>, error: &EngineError) {
    answer_all(waiting.into_iter().map(|waiting| (waiting.item.reply, error.clone())).collect());
}
