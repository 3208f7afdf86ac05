//! What each model did, for `ModelStatistics`: sums since it was first asked.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use super::models::Model;
use super::run::Work;
use crate::proto::inference as wire;

/// Models that are remembered; of more, the one that was asked the longest ago is forgotten. Models
/// come and go by administration, so only a long life of a server sees this.
const MAX_MODELS: usize = 1024;

/// Name and version.
type Key = (String, String);

/// The statistics of every model of a server.
#[derive(Debug, Default)]
pub(super) struct Statistics(Mutex<BTreeMap<Key, Counters>>);

/// What one model did.
#[derive(Clone, Debug, Default)]
struct Counters {
    /// Milliseconds since 1970.
    last: u64,
    success: Sum,
    fail: Sum,
    queue: Sum,
    input: Sum,
    infer: Sum,
    output: Sum,
    items: u64,
    /// By batch size, of which there are as many as the engine's largest batch.
    batches: BTreeMap<usize, Batches>,
}

/// A sum of durations.
#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    count: u64,
    nanos: u64,
}

/// Items that rode in batches of one size, and their shares of the runs.
#[derive(Clone, Copy, Debug, Default)]
struct Batches {
    items: u64,
    nanos: u64,
}

impl Sum {
    fn add(&mut self, duration: Duration) {
        self.count += 1;
        self.nanos = self.nanos.saturating_add(nanos(duration));
    }

    fn wire(self) -> wire::StatisticDuration {
        wire::StatisticDuration { count: self.count, ns: self.nanos }
    }
}

impl Statistics {
    /// A request ended at `now`, `took` after its arrival; `work` is what it cost if it was
    /// answered.
    pub(super) fn record(
        &self,
        model: &Model,
        work: Option<&Work>,
        took: Duration,
        now: SystemTime,
    ) {
        let key = model.key();
        let mut models = self.lock();
        if models.len() >= MAX_MODELS && !models.contains_key(&key) {
            let oldest = models.iter().min_by_key(|(_, counters)| counters.last);
            let oldest = oldest.map(|(key, _)| key.clone());
            oldest.map(|key| models.remove(&key));
        }
        models.entry(key).or_default().add(work, took, now);
    }

    /// What `model` did.
    pub(super) fn of(&self, model: &Model) -> wire::ModelStatistics {
        let key = model.key();
        let counters = self.lock().get(&key).cloned().unwrap_or_default();
        counters.wire((model.name.clone(), key.1))
    }

    /// No sum is left half-made by a panic under the lock, so poison is no reason to stop.
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Key, Counters>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Counters {
    fn add(&mut self, work: Option<&Work>, took: Duration, now: SystemTime) {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        self.last = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        let Some(work) = work else {
            self.fail.add(took);
            return;
        };
        self.success.add(took);
        self.queue.add(work.queue);
        self.input.add(work.input);
        self.output.add(work.output);
        self.items += work.items as u64;
        let mut infer = Duration::ZERO;
        for &(run, batch) in &work.runs {
            let batch = batch.max(1);
            let of_size = self.batches.entry(batch).or_default();
            of_size.items += 1;
            of_size.nanos = of_size.nanos.saturating_add(nanos(run) / batch as u64);
            // Items of one request in one batch share its run; those of others add theirs.
            let own = batch.min(work.runs.len());
            infer += run / u32::try_from(own).unwrap_or(u32::MAX);
        }
        self.infer.add(infer);
    }

    fn wire(&self, (name, version): Key) -> wire::ModelStatistics {
        let batch = |(&size, batches): (&usize, &Batches)| wire::InferBatchStatistics {
            batch_size: size as u64,
            compute_infer: Some(wire::StatisticDuration {
                count: batches.items.div_ceil(size as u64),
                ns: batches.nanos,
            }),
        };
        let batch_stats: Vec<_> = self.batches.iter().map(batch).collect();
        let runs = batch_stats.iter().filter_map(|batch| batch.compute_infer.as_ref());
        wire::ModelStatistics {
            name,
            version,
            last_inference: self.last,
            inference_count: self.items,
            execution_count: runs.map(|runs| runs.count).sum(),
            inference_stats: Some(wire::InferStatistics {
                success: Some(self.success.wire()),
                fail: Some(self.fail.wire()),
                queue: Some(self.queue.wire()),
                compute_input: Some(self.input.wire()),
                compute_infer: Some(self.infer.wire()),
                compute_output: Some(self.output.wire()),
            }),
            batch_stats,
        }
    }
}

fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn told(counters: &Counters) -> wire::ModelStatistics {
        counters.wire(("clip_image".to_owned(), "1".to_owned()))
    }

    #[test]
    fn a_run_shared_within_a_request_counts_once() {
        let mut counters = Counters::default();
        let now = UNIX_EPOCH + Duration::from_millis(70);
        // Four pictures together, and a fifth beside three of another request.
        let mut runs = vec![(8 * MS, 4); 4];
        runs.push((12 * MS, 4));
        let work = Work { items: 5, queue: MS, input: 2 * MS, output: 3 * MS, runs };
        counters.add(Some(&work), 30 * MS, now);
        let told = told(&counters);
        let stats = told.inference_stats.unwrap();
        let sum = |count, duration: Duration| {
            Some(wire::StatisticDuration { count, ns: duration.as_nanos() as u64 })
        };
        assert_eq!(stats.success, sum(1, 30 * MS));
        assert_eq!(stats.fail, sum(0, Duration::ZERO));
        assert_eq!(stats.queue, sum(1, MS));
        assert_eq!(stats.compute_input, sum(1, 2 * MS));
        assert_eq!(stats.compute_infer, sum(1, 8 * MS + 3 * MS));
        assert_eq!(stats.compute_output, sum(1, 3 * MS));
        assert_eq!((told.last_inference, told.inference_count, told.execution_count), (70, 5, 2));
        let batch = &told.batch_stats[0];
        assert_eq!((batch.batch_size, batch.compute_infer), (4, sum(2, 8 * MS + 3 * MS)));
    }

    #[test]
    fn a_failure_counts_as_nothing_else() {
        let mut counters = Counters::default();
        counters.add(None, MS, UNIX_EPOCH);
        let stats = told(&counters).inference_stats.unwrap();
        assert_eq!(stats.fail.unwrap().count, 1);
        assert_eq!(stats.success.unwrap().count, 0);
        assert_eq!(stats.compute_infer.unwrap().count, 0);
    }

    #[test]
    fn what_a_cache_answered_ran_nowhere() {
        let mut counters = Counters::default();
        counters.add(Some(&Work { items: 3, ..Work::default() }), MS, UNIX_EPOCH);
        let told = told(&counters);
        assert_eq!((told.inference_count, told.execution_count), (3, 0));
        assert_eq!(told.inference_stats.unwrap().compute_infer.unwrap().count, 1);
    }
}
