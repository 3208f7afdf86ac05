//! Who is on which device: the replies of the batches that run, kept where a watchdog finds them.
//! Pure: time is passed in.

use std::time::{Duration, Instant};

use super::BatchModel;
use super::job::Reply;
use super::queue::{Pass, Place};

/// One item of a batch while its input is with the worker.
pub(super) struct Seat<M: BatchModel> {
    pub(super) place: Place,
    pub(super) pass: Pass<M::Key>,
    pub(super) reply: Reply<M>,
}

impl<M: BatchModel> Seat<M> {
    /// The deadline is `now` or earlier.
    pub(super) fn is_late(&self, now: Instant) -> bool {
        self.pass.terms.deadline.is_some_and(|deadline| deadline <= now)
    }
}

/// A batch with a replica.
struct Trip<M: BatchModel> {
    since: Instant,
    seats: Vec<Seat<M>>,
}

/// At most one batch a replica.
pub(super) struct Board<M: BatchModel> {
    trips: Vec<Option<Trip<M>>>,
}

impl<M: BatchModel> Board<M> {
    pub(super) fn new(replicas: usize) -> Self {
        Self { trips: (0..replicas).map(|_| None).collect() }
    }

    /// Items in all batches.
    pub(super) fn running(&self) -> usize {
        self.trips.iter().flatten().map(|trip| trip.seats.len()).sum()
    }

    /// The replica has a batch from now on.
    pub(super) fn enter(&mut self, replica: usize, seats: Vec<Seat<M>>, now: Instant) {
        self.trips[replica] = Some(Trip { since: now, seats });
    }

    /// The replica's batch, to take items from; `None` when it was taken away.
    pub(super) fn seats(&mut self, replica: usize) -> Option<&mut Vec<Seat<M>>> {
        self.trips[replica].as_mut().map(|trip| &mut trip.seats)
    }

    /// The replica has its batch no longer; `None` when it was taken away.
    pub(super) fn leave(&mut self, replica: usize) -> Option<Vec<Seat<M>>> {
        self.trips[replica].take().map(|trip| trip.seats)
    }

    /// Takes every batch away that has run for `limit`, with its replica.
    pub(super) fn take_stalled(
        &mut self,
        limit: Duration,
        now: Instant,
    ) -> Vec<(usize, Vec<Seat<M>>)> {
        let trips = self.trips.iter_mut().enumerate();
        let stalled = trips.filter_map(|(replica, trip)| {
            let trip = trip.take_if(|trip| now.saturating_duration_since(trip.since) >= limit)?;
            Some((replica, trip.seats))
        });
        stalled.collect()
    }

    /// When the first of the batches was given to its replica.
    pub(super) fn oldest(&self) -> Option<Instant> {
        self.trips.iter().flatten().map(|trip| trip.since).min()
    }

    /// How soon one of `replicas` is free, where a batch of a key runs at least as long as `run`
    /// says.
    pub(super) fn soonest_free(
        &self,
        replicas: impl Iterator<Item = usize>,
        run: impl Fn(&M::Key) -> Duration,
        now: Instant,
    ) -> Duration {
        let rest = |replica: usize| {
            let trip = self.trips[replica].as_ref()?;
            let run = trip.seats.first().map_or(Duration::ZERO, |seat| run(&seat.pass.key));
            Some(run.saturating_sub(now.saturating_duration_since(trip.since)))
        };
        replicas.map(|replica| rest(replica).unwrap_or_default()).min().unwrap_or_default()
    }
}
