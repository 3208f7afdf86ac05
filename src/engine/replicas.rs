//! How the replicas fare: which work, how often each failed, when to try again. Pure.

use std::time::Duration;

pub use crate::telemetry::metrics::ReplicaState;

/// An engine at a moment: its replicas, and what it did to deadlines over its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How many replicas there are.
    pub replicas: usize,
    /// How many of them are ready, or are being built anew after a first failure.
    pub healthy: usize,
    /// What each of them does.
    pub states: Vec<ReplicaState>,
    /// Batches that failed as a whole and models that failed to build, over the engine's life.
    pub failures: u64,
    /// What the last failure said.
    pub last_failure: Option<String>,
    /// Batches that did not fit the device's memory and were run in halves.
    pub splits: u64,
    /// Items whose deadline passed, by where they were.
    pub expired: Expired,
    /// Items given to a model after their deadline. None, ever: here to be watched.
    pub late: u64,
}

/// Items that expired, by where they were.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Expired {
    /// Refused as they came: too late, or the wait would have been too long.
    pub admission: u64,
    /// While they waited; no device had them.
    pub queue: u64,
    /// While their batch ran.
    pub device: u64,
}

/// Keeps count.
#[derive(Debug)]
pub(super) struct Replicas {
    states: Vec<ReplicaState>,
    failures: u64,
    last_failure: Option<String>,
    splits: u64,
}

impl Replicas {
    pub(super) fn new(count: usize) -> Self {
        let states = vec![ReplicaState::Ready; count];
        Self { states, failures: 0, last_failure: None, splits: 0 }
    }

    pub(super) fn failed(&mut self, reason: &str) {
        self.failures += 1;
        self.last_failure = Some(reason.to_owned());
    }

    pub(super) fn split(&mut self) {
        self.splits += 1;
    }

    pub(super) fn mark(&mut self, replica: usize, state: ReplicaState) {
        self.states[replica] = state;
    }

    pub(super) fn state(&self, replica: usize) -> ReplicaState {
        self.states[replica]
    }

    /// How many work, or soon will.
    pub(super) fn healthy(&self) -> usize {
        self.all_healthy().count()
    }

    /// Those that work, or soon will.
    pub(super) fn all_healthy(&self) -> impl Iterator<Item = usize> {
        let all = self.states.iter().enumerate();
        all.filter(|(_, state)| is_healthy(**state)).map(|(replica, _)| replica)
    }

    pub(super) fn health(&self) -> Health {
        Health {
            replicas: self.states.len(),
            healthy: self.healthy(),
            states: self.states.clone(),
            failures: self.failures,
            last_failure: self.last_failure.clone(),
            splits: self.splits,
            expired: Expired::default(),
            late: 0,
        }
    }
}

fn is_healthy(state: ReplicaState) -> bool {
    match state {
        ReplicaState::Ready | ReplicaState::Rebuilding => true,
        ReplicaState::Stalled | ReplicaState::Down => false,
    }
}

/// The pause before try number `attempt` (from 0): `first`, doubling, at most `longest`.
pub(super) fn backoff(attempt: u32, first: Duration, longest: Duration) -> Duration {
    first.saturating_mul(2_u32.saturating_pow(attempt)).min(longest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        let (first, longest) = (Duration::from_millis(500), Duration::from_secs(3));
        let pauses = [0, 1, 2, 3, 99].map(|attempt| backoff(attempt, first, longest).as_millis());
        assert_eq!(pauses, [500, 1000, 2000, 3000, 3000]);
    }

    #[test]
    fn a_replica_that_does_not_work_is_counted_until_it_is_back() {
        let mut replicas = Replicas::new(3);
        replicas.failed("out of memory");
        replicas.mark(0, ReplicaState::Down);
        replicas.mark(1, ReplicaState::Stalled);
        replicas.mark(2, ReplicaState::Rebuilding);
        let health = replicas.health();
        assert_eq!((health.replicas, health.healthy, health.failures), (3, 1, 1));
        let expected = [ReplicaState::Down, ReplicaState::Stalled, ReplicaState::Rebuilding];
        assert_eq!(health.states, expected);
        assert_eq!(health.last_failure.as_deref(), Some("out of memory"));
        replicas.mark(2, ReplicaState::Down);
        assert_eq!(replicas.healthy(), 0);
        replicas.mark(1, ReplicaState::Ready);
        assert_eq!((replicas.healthy(), replicas.state(1)), (1, ReplicaState::Ready));
    }
}
