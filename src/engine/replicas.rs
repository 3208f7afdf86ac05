//! How the replicas fare: which work, how often each failed, when to try again. Pure.

use std::time::Duration;

/// The replicas of one engine at a moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// How many there are.
    pub replicas: usize,
    /// How many work, or are being built anew after a first failure.
    pub healthy: usize,
    /// Batches that failed as a whole and models that failed to build, over the engine's life.
    pub failures: u64,
    /// What the last failure said.
    pub last_failure: Option<String>,
}

/// Keeps count.
#[derive(Debug)]
pub(super) struct Replicas {
    down: Vec<bool>,
    failures: u64,
    last_failure: Option<String>,
}

impl Replicas {
    pub(super) fn new(count: usize) -> Self {
        Self { down: vec![false; count], failures: 0, last_failure: None }
    }

    pub(super) fn failed(&mut self, reason: &str) {
        self.failures += 1;
        self.last_failure = Some(reason.to_owned());
    }

    pub(super) fn mark(&mut self, replica: usize, down: bool) {
        self.down[replica] = down;
    }

    pub(super) fn all_down(&self) -> bool {
        self.down.iter().all(|down| *down)
    }

    pub(super) fn health(&self) -> Health {
        Health {
            replicas: self.down.len(),
            healthy: self.down.iter().filter(|down| !**down).count(),
            failures: self.failures,
            last_failure: self.last_failure.clone(),
        }
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
    fn a_replica_that_is_down_is_counted_until_it_is_back() {
        let mut replicas = Replicas::new(2);
        replicas.failed("out of memory");
        replicas.mark(1, true);
        assert!(!replicas.all_down());
        let health = replicas.health();
        assert_eq!((health.replicas, health.healthy, health.failures), (2, 1, 1));
        assert_eq!(health.last_failure.as_deref(), Some("out of memory"));
        replicas.mark(0, true);
        assert!(replicas.all_down());
        replicas.mark(1, false);
        assert_eq!(replicas.health().healthy, 1);
    }
}
