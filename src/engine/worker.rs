//! A device thread: owns its model, runs batches, and lets no panic out.

use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};
use std::time::Instant;

use super::board::Seat;
use super::ceiling::Ceiling;
use super::dispatch::Dispatch;
use super::fault::{Failure, discard, guard};
use super::journey::Ran;
use super::queue::Chance;
use super::replicas::{ReplicaState, backoff};
use super::{
    BatchModel, BatchSight, Completed, DeviceError, EngineError, Factory, ItemError, Timing,
};
use crate::telemetry::metrics;

/// One replica's thread.
pub(super) struct Worker<M: BatchModel> {
    dispatch: Arc<Dispatch<M>>,
    replica: usize,
    factory: Factory<M>,
}

/// An input, and a copy to try again with, should its batch fail.
type Rider<M> = (<M as BatchModel>::Input, Option<<M as BatchModel>::Input>);

/// What came of a batch.
struct Outcome<M: BatchModel> {
    results: Result<Vec<Result<M::Output, ItemError>>, Failure>,
    /// For each item that was in it.
    spares: Vec<Option<M::Input>>,
    /// None where the model did not see it.
    ran: Option<Ran>,
}

impl<M: BatchModel> Worker<M> {
    /// Starts the thread; it reports once through `built` whether it has a model.
    pub(super) fn spawn(
        dispatch: Arc<Dispatch<M>>,
        replica: usize,
        factory: Factory<M>,
        built: SyncSender<Result<(), DeviceError>>,
    ) -> io::Result<JoinHandle<()>> {
        let name = format!("{}-{replica}", dispatch.config().name);
        let leave = Leave(Arc::clone(&dispatch));
        Builder::new().name(name).spawn(move || {
            // Dropped last, and also if the thread could not be started.
            let _leave = leave;
            let worker = Self { dispatch, replica, factory };
            let (model, report) = match worker.build() {
                Ok(model) => (Some(model), Ok(())),
                Err(error) => (None, Err(error)),
            };
            // The engine waits for this report, so it is there to receive it.
            drop(built.send(report));
            drop(built);
            if let Some(model) = model {
                worker.serve(model);
            }
        })
    }

    fn serve(&self, mut model: M) {
        let config = self.dispatch.config();
        let mut ceiling = Ceiling::new(config.max_batch, config.smaller_batch_for);
        loop {
            let most = ceiling.limit(Instant::now());
            let Some(inputs) = self.dispatch.next_batch(self.replica, most) else { break };
            let size = inputs.len();
            match self.run(&mut model, inputs) {
                Ok(()) => self.dispatch.mark(self.replica, ReplicaState::Ready),
                Err(Failure::Memory(reason)) if size > 1 => {
                    self.record(&reason);
                    ceiling.lower(size, Instant::now());
                    self.dispatch.mark(self.replica, ReplicaState::Ready);
                }
                Err(failure) => {
                    self.record(&failure.to_string());
                    self.dispatch.mark(self.replica, ReplicaState::Rebuilding);
                    discard(model);
                    match self.rebuild() {
                        Some(rebuilt) => model = rebuilt,
                        None => return,
                    }
                }
            }
        }
        discard(model);
    }

    /// Runs one batch and answers its items, or puts them back to be tried again.
    fn run(&self, model: &mut M, inputs: Vec<M::Input>) -> Result<(), Failure> {
        let Outcome { results, spares, ran } = self.ride(model, inputs);
        let Some(seats) = self.dispatch.land(self.replica, ran) else {
            // The watchdog answered everybody, so the results interest nobody.
            return results.map(drop);
        };
        if let Some(Ran { started, .. }) = ran {
            let name = &self.dispatch.config().name;
            metrics::record_batch(name, seats.len());
            for seat in &seats {
                let wait = started.saturating_duration_since(seat.pass.arrived);
                metrics::record_queue_wait(name, wait);
            }
        }
        match (results, ran) {
            (Ok(results), Some(ran)) => answer(seats, results, ran),
            // Nobody was left to run.
            (Ok(_), None) => {}
            (Err(failure), _) => {
                self.try_again(seats, spares, &failure);
                return Err(failure);
            }
        }
        Ok(())
    }

    /// A batch's way over the device.
    fn ride(&self, model: &mut M, inputs: Vec<M::Input>) -> Outcome<M> {
        let config = self.dispatch.config();
        let mut riders = with_spares::<M>(inputs);
        let sight = BatchSight { model: &config.name, replica: self.replica, size: riders.len() };
        let hook = config.before_batch.as_ref();
        let mut results =
            guard(|| hook.map_or(Ok(()), |hook| hook.call(sight))).map(|()| Vec::new());
        let started = Instant::now();
        if results.is_ok() {
            // What expired or was left since the batch was formed does not run.
            let go = self.dispatch.depart(self.replica, started).unwrap_or_default();
            let mut go = go.into_iter();
            riders.retain(|_| go.next().unwrap_or(false));
        }
        let size = riders.len();
        let (inputs, spares): (Vec<_>, Vec<_>) = riders.into_iter().unzip();
        let mut ran = None;
        if results.is_ok() && size > 0 {
            results = guard(|| {
                let results = model.run(inputs)?;
                if results.len() == size {
                    return Ok(results);
                }
                let reason = format!("model gave {} results for {size} items", results.len());
                Err(DeviceError(reason))
            });
            ran = Some(Ran { started, run: started.elapsed(), ok: results.is_ok() });
        }
        Outcome { results, spares, ran }
    }

    /// Puts the items of a failed batch back where there is a copy: into a smaller batch if it did
    /// not fit, else to run alone. The others are told.
    fn try_again(&self, seats: Vec<Seat<M>>, spares: Vec<Option<M::Input>>, failure: &Failure) {
        let mut again = Vec::new();
        for (seat, spare) in seats.into_iter().zip(spares) {
            match spare {
                Some(input) => again.push((seat, input)),
                None => seat.reply.send(Err(failure.answer())),
            }
        }
        if again.is_empty() {
            return;
        }
        let chance = match failure {
            Failure::Memory(_) => {
                self.dispatch.split();
                Chance::Smaller
            }
            Failure::Device(_) | Failure::Panicked(_) => Chance::Alone,
        };
        self.dispatch.put_back(again, chance);
    }

    fn build(&self) -> Result<M, DeviceError> {
        guard(|| (self.factory)()).map_err(|failure| match failure {
            Failure::Memory(reason) | Failure::Device(reason) | Failure::Panicked(reason) => {
                DeviceError(reason)
            }
        })
    }

    /// Builds until it works, with pauses; `None` when the engine closes meanwhile.
    fn rebuild(&self) -> Option<M> {
        let config = self.dispatch.config();
        let mut attempt = 0;
        loop {
            match self.build() {
                Ok(model) => {
                    self.dispatch.mark(self.replica, ReplicaState::Ready);
                    tracing::info!(model = %config.name, replica = self.replica, "model rebuilt");
                    return Some(model);
                }
                Err(error) => {
                    self.record(&error.0);
                    self.dispatch.mark(self.replica, ReplicaState::Down);
                }
            }
            let pause = backoff(attempt, config.rebuild_wait, config.max_rebuild_wait);
            if !self.dispatch.pause(pause) {
                return None;
            }
            attempt = u32::saturating_add(attempt, 1);
        }
    }

    fn record(&self, reason: &str) {
        let model = &self.dispatch.config().name;
        tracing::error!(%model, replica = self.replica, reason, "replica failed");
        self.dispatch.failed(reason);
    }
}

/// Tells the dispatch when the thread ends, whatever ends it.
struct Leave<M: BatchModel>(Arc<Dispatch<M>>);

impl<M: BatchModel> Drop for Leave<M> {
    fn drop(&mut self) {
        self.0.leave();
    }
}

/// Copies each input that shares its batch, where its model can.
fn with_spares<M: BatchModel>(inputs: Vec<M::Input>) -> Vec<Rider<M>> {
    let shared = inputs.len() > 1;
    let riders = inputs.into_iter().map(|input| {
        // The model's own code, so it may panic; then there is no copy.
        let copy = AssertUnwindSafe(|| M::duplicate(&input));
        let spare = if shared { catch_unwind(copy).unwrap_or_default() } else { None };
        (input, spare)
    });
    riders.collect()
}

fn answer<M: BatchModel>(
    seats: Vec<Seat<M>>,
    results: Vec<Result<M::Output, ItemError>>,
    ran: Ran,
) {
    let batch = seats.len();
    for (seat, result) in seats.into_iter().zip(results) {
        let queue = ran.started.saturating_duration_since(seat.pass.arrived);
        let timing = Timing { queue, run: ran.run, batch };
        seat.reply.send(match result {
            Ok(output) => Ok(Completed { output, timing }),
            Err(ItemError(reason)) => Err(EngineError::Item(reason)),
        });
    }
}
