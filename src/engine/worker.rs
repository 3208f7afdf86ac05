//! A device thread: owns its model, runs batches, and lets no panic out.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::mpsc::SyncSender;
use std::thread::{Builder, JoinHandle};
use std::time::{Duration, Instant};

use super::dispatch::{Dispatch, Passenger};
use super::job::{Job, Reply};
use super::queue::{Pass, Place, Waiting};
use super::replicas::backoff;
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

/// What a batch's items are while their inputs are on the device.
struct Seat<M: BatchModel> {
    place: Place,
    pass: Pass<M::Key>,
    reply: Reply<M>,
    /// To run alone with, should the batch fail.
    spare: Option<M::Input>,
}

/// Why a batch failed as a whole.
enum Failure {
    Device(String),
    Panicked(String),
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
        while let Some(batch) = self.dispatch.next_batch() {
            let Err(failure) = self.run(&mut model, batch) else { continue };
            self.record(&failure.to_string());
            discard(model);
            match self.rebuild() {
                Some(rebuilt) => model = rebuilt,
                None => return,
            }
        }
        discard(model);
    }

    /// Runs one batch and answers its items, or puts them back to run alone.
    fn run(&self, model: &mut M, batch: Vec<Passenger<M>>) -> Result<(), Failure> {
        let size = batch.len();
        let (inputs, seats) = seat(batch);
        let started = Instant::now();
        let config = self.dispatch.config();
        let sight = BatchSight { model: &config.name, replica: self.replica, size };
        let outcome = catch_unwind(AssertUnwindSafe(|| {
            config.before_batch.as_ref().map_or(Ok(()), |hook| hook.call(sight))?;
            model.run(inputs)
        }));
        let run = started.elapsed();
        self.dispatch.finished(size, run);
        let name = &config.name;
        metrics::record_batch(name, size);
        for seat in &seats {
            let wait = started.saturating_duration_since(seat.pass.arrived);
            metrics::record_queue_wait(name, wait);
        }
        let failure = match outcome {
            Ok(Ok(results)) if results.len() == size => {
                answer(seats, results, started, run);
                return Ok(());
            }
            Ok(Ok(results)) => {
                Failure::Device(format!("model gave {} results for {size} items", results.len()))
            }
            Ok(Err(DeviceError(reason))) => Failure::Device(reason),
            Err(panic) => Failure::Panicked(panic_text(panic)),
        };
        let mut again = Vec::new();
        for seat in seats {
            let Seat { place, pass, reply, spare } = seat;
            match spare {
                Some(input) => {
                    again.push((place, Waiting { pass, item: Job { input, reply } }));
                }
                None => reply.send(Err(failure.answer())),
            }
        }
        self.dispatch.put_back(again);
        Err(failure)
    }

    fn build(&self) -> Result<M, DeviceError> {
        catch_unwind(AssertUnwindSafe(|| (self.factory)()))
            .unwrap_or_else(|panic| Err(DeviceError(panic_text(panic))))
    }

    /// Builds until it works, with pauses; `None` when the engine closes meanwhile.
    fn rebuild(&self) -> Option<M> {
        let config = self.dispatch.config();
        let mut attempt = 0;
        loop {
            match self.build() {
                Ok(model) => {
                    self.dispatch.up(self.replica);
                    tracing::info!(model = %config.name, replica = self.replica, "model rebuilt");
                    return Some(model);
                }
                Err(error) => {
                    self.record(&error.0);
                    self.dispatch.down(self.replica);
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

impl Failure {
    fn answer(&self) -> EngineError {
        match self {
            Self::Device(reason) => EngineError::Device(reason.clone()),
            Self::Panicked(reason) => EngineError::Panicked(reason.clone()),
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Device(reason) => write!(formatter, "{reason}"),
            Self::Panicked(reason) => write!(formatter, "panicked: {reason}"),
        }
    }
}

/// Parts inputs from their replies, keeping a copy where the item shares its batch.
fn seat<M: BatchModel>(batch: Vec<Passenger<M>>) -> (Vec<M::Input>, Vec<Seat<M>>) {
    let shared = batch.len() > 1;
    batch
        .into_iter()
        .map(|(place, waiting)| {
            let Waiting { pass, item: Job { input, reply } } = waiting;
            // The model's own code, so it may panic; then there is no copy.
            let copy = AssertUnwindSafe(|| M::duplicate(&input));
            let spare = if shared { catch_unwind(copy).unwrap_or_default() } else { None };
            (input, Seat { place, pass, reply, spare })
        })
        .unzip()
}

fn answer<M: BatchModel>(
    seats: Vec<Seat<M>>,
    results: Vec<Result<M::Output, ItemError>>,
    started: Instant,
    run: Duration,
) {
    let batch = seats.len();
    for (seat, result) in seats.into_iter().zip(results) {
        let queue = started.saturating_duration_since(seat.pass.arrived);
        let timing = Timing { queue, run, batch };
        seat.reply.send(match result {
            Ok(output) => Ok(Completed { output, timing }),
            Err(ItemError(reason)) => Err(EngineError::Item(reason)),
        });
    }
}

/// Drops a model; one that panicked may panic again as it goes.
fn discard<M>(model: M) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(|| drop(model))) {
        tracing::error!(reason = panic_text(panic), "model panicked while it was dropped");
    }
}

fn panic_text(panic: Box<dyn Any + Send>) -> String {
    match panic.downcast::<String>() {
        Ok(text) => *text,
        Err(panic) => {
            panic.downcast_ref::<&str>().map_or_else(|| "no reason given".into(), |s| (*s).into())
        }
    }
}
