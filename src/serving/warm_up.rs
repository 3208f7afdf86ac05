//! The first runs of a net, on samples: whatever is made on first use is made before the first
//! request, and a net that cannot run is found while nobody waits.
//!
//! A replica's factory warms its model in the replica's own thread, so each replica does it, at the
//! start and whenever it is built anew.

use std::time::{Duration, Instant};

use crate::engine::{BatchModel, DeviceError};

/// How a replica warms up.
#[derive(Clone, Copy, Debug)]
pub(super) struct WarmUp {
    /// The largest batch.
    pub(super) max_batch: usize,
    /// Batches begin until this has passed; zero skips the warm-up.
    pub(super) limit: Duration,
}

impl WarmUp {
    /// Runs `model` on every sample in batches of each of [`sizes`]. One sample a path through the
    /// net. An error where a batch or a sample fails: such a model must not serve.
    pub(super) fn run<M: BatchModel>(
        &self,
        model: &mut M,
        name: &str,
        samples: &[M::Input],
    ) -> Result<(), DeviceError> {
        let started = Instant::now();
        for size in sizes(self.max_batch) {
            for sample in samples {
                if started.elapsed() >= self.limit {
                    if !self.limit.is_zero() {
                        let limit = self.limit;
                        tracing::warn!(model = name, size, ?limit, "larger batches are not warm");
                    }
                    return Ok(());
                }
                // A model that cannot copy its inputs is warmed by nothing.
                let batch: Option<Vec<_>> = (0..size).map(|_| M::duplicate(sample)).collect();
                let Some(batch) = batch else { return Ok(()) };
                for result in model.run(batch)? {
                    result.map_err(|error| DeviceError(format!("while warming up: {error}")))?;
                }
            }
            tracing::debug!(model = name, size, took = ?started.elapsed(), "batch size is warm");
        }
        tracing::info!(model = name, took = ?started.elapsed(), "replica is warm");
        Ok(())
    }
}

/// 1, 2, 4, … and `max_batch`.
fn sizes(max_batch: usize) -> impl Iterator<Item = usize> {
    let doubling = std::iter::successors(Some(1_usize), |size| size.checked_mul(2));
    doubling.take_while(move |size| *size < max_batch).chain([max_batch.max(1)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::ItemError;

    /// Notes the batches it runs.
    #[derive(Default)]
    struct Noting(Vec<Vec<i32>>);

    impl BatchModel for Noting {
        type Input = i32;
        type Output = i32;
        type Key = ();

        fn key(_: &i32) {}

        fn bytes(_: &i32) -> usize {
            4
        }

        fn duplicate(input: &i32) -> Option<i32> {
            Some(*input)
        }

        fn run(&mut self, batch: Vec<i32>) -> Result<Vec<Result<i32, ItemError>>, DeviceError> {
            self.0.push(batch.clone());
            let each = |n| if n < 0 { Err(ItemError("below 0".to_owned())) } else { Ok(n) };
            Ok(batch.into_iter().map(each).collect())
        }
    }

    fn warmed(max_batch: usize, limit: Duration, samples: &[i32]) -> (Noting, bool) {
        let mut model = Noting::default();
        let ended = WarmUp { max_batch, limit }.run(&mut model, "model", samples);
        (model, ended.is_ok())
    }

    #[test]
    fn every_path_is_run_in_every_size() {
        let check = |max_batch, expected: &[usize]| {
            let (model, well) = warmed(max_batch, Duration::MAX, &[7, 9]);
            assert!(well);
            let ran: Vec<_> = model.0.iter().map(|batch| (batch[0], batch.len())).collect();
            let expected: Vec<_> =
                expected.iter().flat_map(|size| [(7, *size), (9, *size)]).collect();
            assert_eq!(ran, expected, "max_batch {max_batch}");
        };
        check(1, &[1]);
        check(2, &[1, 2]);
        check(6, &[1, 2, 4, 6]);
        check(8, &[1, 2, 4, 8]);
    }

    #[test]
    fn a_sample_that_fails_fails_the_model_and_no_time_means_no_warm_up() {
        assert!(!warmed(4, Duration::MAX, &[1, -1]).1);
        let (model, well) = warmed(4, Duration::ZERO, &[-1]);
        assert!(well);
        assert!(model.0.is_empty());
    }
}
