//! Who may wait: refusals at once, with a time to retry.

use std::sync::Arc;
use std::time::Instant;

use tokio::sync::oneshot;

use super::dispatch::{Dispatch, State};
use super::job::{Answer, Job, Reply};
use super::pace::{retry_in, soonest};
use super::queue::{Chance, Pass, Refusal, Waiting};
use super::ticket::Ticket;
use super::{BatchModel, EngineError, Terms};

impl<M: BatchModel> Dispatch<M> {
    /// Lets an item in, or says at once why not.
    pub(super) fn enqueue(
        self: &Arc<Self>,
        input: M::Input,
        terms: Terms,
        reply: oneshot::Sender<Answer<M>>,
        now: Instant,
    ) -> Result<Ticket<M>, EngineError> {
        let (key, bytes) = (M::key(&input), M::bytes(&input));
        if terms.deadline.is_some_and(|deadline| deadline <= now) {
            return Err(EngineError::Expired);
        }
        let mut state = self.lock();
        if state.closed {
            return Err(EngineError::Closed);
        }
        if state.replicas.healthy() == 0 {
            return Err(state.no_replica());
        }
        let room = state.queue.admits(bytes);
        let full = room.map_err(|refusal| (refusal, self.refuse(&state, refusal, bytes)));
        if let Err((Refusal::Bytes { .. } | Refusal::TooLarge, error)) = full {
            return Err(error);
        }
        state.in_time(&key, &terms, now)?;
        // Full of items: the flow that holds most gives way to one that holds less, or to nobody.
        let gone = match full {
            Ok(()) => None,
            Err((_, error)) => match state.queue.take_greediest(&terms) {
                Some(greediest) => Some((greediest, error)),
                None => return Err(error),
            },
        };
        state.pace.arrived(now);
        let pass = Pass { key, bytes, arrived: now, terms, chance: Chance::First };
        let item = Job { input, reply: Reply::new(reply) };
        let place = state.queue.push(Waiting { pass, item });
        state.show_load(&self.config().name);
        drop(state);
        self.changed.notify_all();
        if let Some((greediest, error)) = gone {
            greediest.item.reply.send(Err(error));
        }
        Ok(Ticket::new(Arc::clone(self), place))
    }

    fn refuse(&self, state: &State<M>, refusal: Refusal, bytes: usize) -> EngineError {
        let config = self.config();
        let retry_after = state.pace.retry_after(state.queue.len(), state.replicas.healthy());
        match refusal {
            Refusal::Items { queued } => EngineError::Full {
                queued,
                limit: config.max_queued_items,
                unit: "items",
                retry_after,
            },
            Refusal::Bytes { queued } => EngineError::Full {
                queued,
                limit: config.max_queued_bytes,
                unit: "bytes",
                retry_after,
            },
            Refusal::TooLarge => EngineError::Item(format!(
                "item is {bytes} bytes, limit {}",
                config.max_queued_bytes
            )),
        }
    }
}

impl<M: BatchModel> State<M> {
    /// Refuses an item that hardly could be answered by its deadline: the work that is surely done
    /// before it and its own part take longer. Sure is what almost every batch took of late, in
    /// full batches; of what was not measured nothing is sure, so nobody is refused on a guess.
    fn in_time(&self, key: &M::Key, terms: &Terms, now: Instant) -> Result<(), EngineError> {
        let Some(deadline) = terms.deadline else { return Ok(()) };
        let left = deadline.saturating_duration_since(now);
        let pace = &self.pace;
        let longest = pace.longest_sure_run();
        let line = u32::try_from(self.queue.len() + 1).unwrap_or(u32::MAX);
        // Where the whole line and the running batch would be done in time, so is this item.
        if longest + pace.longest_sure_share().saturating_mul(line) <= left {
            return Ok(());
        }
        let rest =
            self.board.soonest_free(self.replicas.all_healthy(), |key| pace.sure_run(key), now);
        let ahead = self.queue.ahead(terms, now).map(|pass| &pass.key);
        let work = ahead.chain([key]).map(|key| pace.sure_share(key)).sum();
        let predicted = rest + soonest(work, longest, self.replicas.healthy());
        if predicted <= left {
            return Ok(());
        }
        let retry_after = retry_in(predicted.saturating_sub(left));
        Err(EngineError::TooLate { predicted, left, retry_after })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::engine::{Config, DeviceError, ItemError, Priority};

    struct Never;

    impl BatchModel for Never {
        type Input = u8;
        type Output = ();
        type Key = u8;

        fn key(input: &u8) -> u8 {
            *input
        }

        fn bytes(_: &u8) -> usize {
            1
        }

        fn run(&mut self, _: Vec<u8>) -> Result<Vec<Result<(), ItemError>>, DeviceError> {
            Err(DeviceError("is not built".into()))
        }
    }

    /// Somebody who waits.
    type Caller = (Ticket<Never>, oneshot::Receiver<Answer<Never>>);

    /// A dispatch without workers, whose batches of four of key 0 were seen to take 100 ms.
    fn dispatch(replicas: usize, batches: usize) -> Arc<Dispatch<Never>> {
        let config = Config { max_batch: 4, ..Config::default() };
        let dispatch = Arc::new(Dispatch::new(config, replicas));
        for _ in 0..batches {
            dispatch.lock().pace.ran(&0, 4, Duration::from_millis(100));
        }
        dispatch
    }

    fn enter(
        dispatch: &Arc<Dispatch<Never>>,
        key: u8,
        priority: Priority,
        left_ms: Option<u64>,
    ) -> Result<Caller, EngineError> {
        let now = Instant::now();
        let deadline = left_ms.map(|ms| now + Duration::from_millis(ms));
        let terms = Terms { priority, ..Terms::until(deadline) };
        let (reply, answer) = oneshot::channel();
        dispatch.enqueue(key, terms, reply, now).map(|ticket| (ticket, answer))
    }

    /// Forty urgent items of a key wait.
    fn line(dispatch: &Arc<Dispatch<Never>>, key: u8) -> Vec<Caller> {
        (0..40).map(|_| enter(dispatch, key, Priority::High, None).unwrap()).collect()
    }

    #[test]
    fn who_hardly_can_be_answered_in_time_is_told_how_long_it_would_take() {
        // 41 items in batches of four; the other replica may take half, but for its last batch.
        for (replicas, soonest_ms) in [(1, 1025), (2, 462)] {
            let dispatch = dispatch(replicas, 200);
            let _line = line(&dispatch, 0);
            let left_ms = soonest_ms - 60;
            let Err(EngineError::TooLate { predicted, left, retry_after }) =
                enter(&dispatch, 0, Priority::Normal, Some(left_ms))
            else {
                panic!("{replicas} replicas");
            };
            let expected = Duration::from_millis(soonest_ms);
            assert!(predicted.abs_diff(expected) < Duration::from_millis(5), "{predicted:?}");
            assert_eq!((left.as_millis() as u64, retry_after + left), (left_ms, predicted));
            for (priority, left_ms) in
                [(Priority::Normal, soonest_ms + 20), (Priority::High, left_ms)]
            {
                assert!(enter(&dispatch, 0, priority, Some(left_ms)).is_ok(), "{priority:?}");
            }
        }
    }

    #[test]
    fn a_running_batch_is_waited_for() {
        let dispatch = dispatch(1, 200);
        let _line = line(&dispatch, 0);
        assert_eq!(dispatch.next_batch(0, 4).unwrap().len(), 4);
        // 37 items, and what is left of the running batch.
        let refused = enter(&dispatch, 0, Priority::Normal, Some(950));
        assert!(matches!(refused, Err(EngineError::TooLate { .. })), "{:?}", refused.err());
    }

    #[test]
    fn nobody_is_refused_on_a_guess() {
        let unmeasured = dispatch(1, 7);
        let _line = line(&unmeasured, 0);
        let hopeful = enter(&unmeasured, 0, Priority::Normal, Some(1000));
        assert!(hopeful.is_ok(), "too few batches were measured");
        let measured = dispatch(1, 200);
        let _line = line(&measured, 1);
        let hopeful = enter(&measured, 1, Priority::Normal, Some(1000));
        assert!(hopeful.is_ok(), "of this key nothing is known");
    }
}
