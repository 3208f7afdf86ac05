//! A batch between the queue and its answers, and how its replica fares meanwhile.

use std::sync::PoisonError;
use std::time::{Duration, Instant};

use super::board::Seat;
use super::dispatch::{Dispatch, State, Told, answer_all};
use super::job::Job;
use super::queue::{Chance, Waiting};
use super::replicas::ReplicaState;
use super::{BatchModel, EngineError};
use crate::telemetry::metrics;

impl<M: BatchModel> State<M> {
    /// The replica does something else now. When none is left that works, nobody waits for one:
    /// those to tell, and what.
    fn mark(&mut self, replica: usize, to: ReplicaState, name: &str) -> Vec<Told<M>> {
        if self.replicas.state(replica) == to {
            return Vec::new();
        }
        self.replicas.mark(replica, to);
        self.show_replicas(name);
        if self.replicas.healthy() > 0 {
            return Vec::new();
        }
        let error = self.no_replica();
        let waiting = self.queue.clear();
        self.show_load(name);
        waiting.into_iter().map(|waiting| (waiting.item.reply, error.clone())).collect()
    }
}

/// How a batch went on its device.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ran {
    pub(super) started: Instant,
    pub(super) run: Duration,
    /// It gave results.
    pub(super) ok: bool,
}

impl<M: BatchModel> Dispatch<M> {
    /// The model runs now: which of the batch's items go with it, in order. The others are told
    /// that they expired, or their callers went away. `None` when everybody was answered before.
    pub(super) fn depart(&self, replica: usize, now: Instant) -> Option<Vec<bool>> {
        let mut state = self.lock();
        let seats = state.board.seats(replica)?;
        let mut expired = Vec::new();
        let mut go = Vec::with_capacity(seats.len());
        for seat in std::mem::take(seats) {
            let late = seat.is_late(now);
            let goes = !late && seat.reply.begins();
            go.push(goes);
            if goes {
                seats.push(seat);
            } else if late {
                expired.push(seat);
            }
        }
        state.show_load(&self.config().name);
        drop(state);
        for seat in expired {
            seat.reply.send(Err(EngineError::Expired));
        }
        Some(go)
    }

    /// The replica has its batch no longer; `ran` where the model saw it. `None` when the batch
    /// stalled and everybody was answered before.
    pub(super) fn land(&self, replica: usize, ran: Option<Ran>) -> Option<Vec<Seat<M>>> {
        let mut state = self.lock();
        let seats = state.board.leave(replica)?;
        state.show_load(&self.config().name);
        let (Some(ran), Some(first)) = (ran, seats.first()) else { return Some(seats) };
        if ran.ok {
            state.pace.ran(&first.pass.key, seats.len(), ran.run);
        }
        let late = seats.iter().filter(|seat| seat.is_late(ran.started)).count() as u64;
        state.late += late;
        drop(state);
        metrics::record_late(&self.config().name, late);
        Some(seats)
    }

    /// Puts items of a failed batch back into the queue, with their inputs.
    pub(super) fn put_back(&self, items: Vec<(Seat<M>, M::Input)>, chance: Chance) {
        let mut state = self.lock();
        for (Seat { place, mut pass, reply }, input) in items {
            // Seen under the lock: a caller that leaves from now on finds the item at its place.
            if !reply.is_abandoned() {
                // An item that has had a smaller batch shares none again.
                pass.chance = if pass.chance == Chance::First { chance } else { Chance::Alone };
                state.queue.put_back(place, Waiting { pass, item: Job { input, reply } });
            }
        }
        state.show_load(&self.config().name);
        drop(state);
        self.changed.notify_all();
    }

    /// A batch or a build failed.
    pub(super) fn failed(&self, reason: &str) {
        self.lock().replicas.failed(reason);
        metrics::record_replica_failure(&self.config().name);
    }

    /// A batch did not fit the device's memory and comes again in parts.
    pub(super) fn split(&self) {
        self.lock().replicas.split();
        metrics::record_split(&self.config().name);
    }

    /// The replica does something else now. When none is left that works, everybody who waits is
    /// told.
    pub(super) fn mark(&self, replica: usize, to: ReplicaState) {
        let mut state = self.lock();
        let told = state.mark(replica, to, &self.config().name);
        drop(state);
        answer_all(told);
    }

    /// The watchdog: answers batches that run for too long, until the last worker has ended. Their
    /// replicas count as stalled until they come back, and their results are dropped.
    pub(super) fn watch(&self) {
        let limit = self.config().stall_limit;
        let mut state = self.lock();
        while state.live > 0 {
            let now = Instant::now();
            let stalled = state.board.take_stalled(limit, now);
            if stalled.is_empty() {
                // A batch that starts meanwhile cannot stall before this wait is over.
                let next = state.board.oldest().unwrap_or(now) + limit;
                let pause = next.saturating_duration_since(now);
                let woken = self.unwatched.wait_timeout(state, pause);
                state = woken.unwrap_or_else(PoisonError::into_inner).0;
                continue;
            }
            let mut told = Vec::new();
            for (replica, seats) in stalled {
                let reason = format!("replica {replica} stalled: no result within {limit:?}");
                // Under the lock that took the batch away: its worker may be back any moment.
                state.replicas.failed(&reason);
                told.extend(state.mark(replica, ReplicaState::Stalled, &self.config().name));
                let error = EngineError::Device(reason);
                told.extend(seats.into_iter().map(|seat| (seat.reply, error.clone())));
            }
            drop(state);
            metrics::record_replica_failure(&self.config().name);
            tracing::error!(model = %self.config().name, ?limit, "replica stalled");
            answer_all(told);
            state = self.lock();
        }
    }
}
