//! Models that fail: neighbours are unharmed, the replica comes back.

use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::future::join_all;
use futures::{FutureExt, poll};
use veriframe::engine::{
    BatchSight, Config, DeviceError, Engine, EngineError, Hook, ReplicaState, Terms,
};

use super::{Does, Fake, Stage, enqueue, item, occupy, outputs};

/// Items 1, 2 (doing `does`) and 3 share a batch; what becomes of each, and the batches run.
async fn neighbours(does: Does) -> (Vec<Result<u32, EngineError>>, Arc<Stage>, Engine<Fake>) {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let mut pending = vec![occupy(&engine, &stage).await];
    for (id, does) in [(1, Does::Echo), (2, does), (3, Does::Echo)] {
        pending.push(enqueue(&engine, item(id, does), None).await);
    }
    stage.open();
    let outputs = outputs(pending).await.split_off(1);
    // The rebuild after the last failure is over when the next item has run.
    assert_eq!(engine.submit(item(4, Does::Echo), Terms::default()).await.unwrap().output, 4);
    (outputs, stage, engine)
}

#[tokio::test]
async fn a_bad_item_fails_alone() {
    let (outputs, stage, engine) = neighbours(Does::Fail).await;
    assert_eq!(outputs, [Ok(1), Err(EngineError::Item("item 2 is bad".into())), Ok(3)]);
    assert_eq!(stage.batches(), [vec![0], vec![1, 2, 3], vec![4]]);
    assert_eq!(stage.builds.load(Ordering::SeqCst), 1);
    assert_eq!(engine.health().failures, 0);
}

#[tokio::test]
async fn an_item_that_breaks_the_model_fails_alone_and_the_model_is_rebuilt() {
    for (does, error) in [
        (Does::Panic, EngineError::Panicked("the model broke".into())),
        (Does::BreakDevice, EngineError::Device("the device broke".into())),
        (Does::Vanish, EngineError::Device("model gave 0 results for 1 items".into())),
    ] {
        let (outputs, stage, engine) = neighbours(does).await;
        assert_eq!(outputs, [Ok(1), Err(error), Ok(3)]);
        let batches = [vec![0], vec![1, 2, 3], vec![1], vec![2], vec![3], vec![4]];
        assert_eq!(stage.batches(), batches, "{does:?}");
        assert_eq!(stage.builds.load(Ordering::SeqCst), 3);
        let health = engine.health();
        assert_eq!((health.healthy, health.failures), (1, 2));
    }
}

#[tokio::test]
async fn without_copies_a_batch_that_breaks_the_model_fails_whole() {
    let stage = Stage::new();
    let engine = Engine::start(Config::default(), vec![stage.factory::<false>()]).unwrap();
    let mut first = Box::pin(engine.submit(item(0, Does::Wait), Terms::default()));
    assert!(poll!(&mut first).is_pending());
    stage.entered.acquire().await.unwrap().forget();
    let mut second = Box::pin(engine.submit(item(1, Does::Echo), Terms::default()));
    let mut third = Box::pin(engine.submit(item(2, Does::Panic), Terms::default()));
    assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
    stage.open();
    first.await.unwrap();
    let broken = EngineError::Panicked("the model broke".into());
    assert_eq!((second.await, third.await), (Err(broken.clone()), Err(broken)));
    assert_eq!(engine.submit(item(3, Does::Echo), Terms::default()).await.unwrap().output, 3);
}

/// Waits, without blocking the other tasks, until the engine has this many healthy replicas.
async fn until_healthy(engine: &Engine<Fake>, count: usize) {
    let arrived = async {
        while engine.health().healthy != count {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), arrived).await.unwrap();
}

#[tokio::test]
async fn an_engine_without_a_working_replica_says_so_until_one_is_back() {
    let stage = Stage::new();
    let rebuild_wait = Duration::from_millis(1);
    let engine = stage.start(Config {
        rebuild_wait,
        max_rebuild_wait: rebuild_wait * 2,
        max_batch: 1,
        ..Config::default()
    });
    let first = occupy(&engine, &stage).await;
    let broken = enqueue(&engine, item(1, Does::BreakDevice), None).await;
    let behind = enqueue(&engine, item(2, Does::Echo), None).await;
    stage.refuses_builds.store(true, Ordering::SeqCst);
    stage.open();
    let down = EngineError::Device("no replica of 1 works: no memory left".into());
    assert_eq!(
        outputs(vec![first, broken, behind]).await,
        [Ok(0), Err(EngineError::Device("the device broke".into())), Err(down.clone())]
    );
    until_healthy(&engine, 0).await;
    assert_eq!(engine.submit(item(3, Does::Echo), Terms::default()).await, Err(down));
    stage.refuses_builds.store(false, Ordering::SeqCst);
    until_healthy(&engine, 1).await;
    assert_eq!(engine.submit(item(4, Does::Echo), Terms::default()).await.unwrap().output, 4);
}

#[tokio::test]
async fn a_hook_acts_before_each_batch_as_the_model_would() {
    let stage = Stage::new();
    let seen = Arc::new(Mutex::new(Vec::new()));
    let sights = Arc::clone(&seen);
    let hook = Hook::new(move |sight: BatchSight| {
        let mut sights = sights.lock().unwrap_or_else(PoisonError::into_inner);
        sights.push((sight.model.to_owned(), sight.replica, sight.size));
        match sights.len() {
            1 => Err(DeviceError("the hook broke the device".into())),
            2 => panic!("the hook panicked"),
            _ => Ok(()),
        }
    });
    let config = Config { before_batch: Some(hook.clone()), ..Config::default() };
    assert_eq!(config, Config { before_batch: Some(hook), ..Config::default() });
    let engine = stage.start(config);
    let mut answers = Vec::new();
    for id in 1..=3 {
        let answer = engine.submit(item(id, Does::Echo), Terms::default()).await;
        answers.push(answer.map(|done| done.output));
    }
    let broken = EngineError::Device("the hook broke the device".into());
    let panicked = EngineError::Panicked("the hook panicked".into());
    assert_eq!(answers, [Err(broken), Err(panicked), Ok(3)]);
    assert_eq!(stage.batches(), [[3]], "a batch that the hook ended did not reach the model");
    let sights = seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
    assert_eq!(sights, vec![("model".to_owned(), 0, 1); 3]);
}

#[tokio::test]
async fn a_batch_that_does_not_fit_runs_in_halves_and_smaller_ones_follow() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let mut pending = vec![occupy(&engine, &stage).await];
    for id in 1..=4 {
        pending.push(enqueue(&engine, item(id, Does::Echo), None).await);
    }
    stage.fits.store(2, Ordering::SeqCst);
    stage.open();
    assert_eq!(outputs(pending).await, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert_eq!(stage.batches(), [vec![0], vec![1, 2, 3, 4], vec![1, 2], vec![3, 4]]);
    let more = (5..=8).map(|id| engine.submit(item(id, Does::Echo), Terms::default()));
    assert!(join_all(more).await.iter().all(Result::is_ok));
    assert!(stage.batches()[4..].iter().all(|batch| batch.len() <= 2), "{:?}", stage.batches());
    let health = engine.health();
    assert_eq!((health.splits, health.failures, health.healthy), (1, 1, 1));
    assert_eq!(stage.builds.load(Ordering::SeqCst), 1, "the model is as good as before");
}

#[tokio::test]
async fn what_does_not_fit_in_halves_runs_alone_and_what_does_not_fit_alone_fails() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let mut pending = vec![occupy(&engine, &stage).await];
    for id in 1..=4 {
        pending.push(enqueue(&engine, item(id, Does::Echo), None).await);
    }
    stage.fits.store(1, Ordering::SeqCst);
    stage.open();
    assert_eq!(outputs(pending).await, [Ok(0), Ok(1), Ok(2), Ok(3), Ok(4)]);
    assert!(stage.batches()[2..].iter().all(|batch| batch.len() <= 2), "{:?}", stage.batches());
    stage.fits.store(0, Ordering::SeqCst);
    let error = engine.submit(item(5, Does::Echo), Terms::default()).await.unwrap_err();
    assert!(matches!(&error, EngineError::Device(reason) if reason.contains("out of memory")));
    stage.fits.store(1, Ordering::SeqCst);
    assert_eq!(engine.submit(item(6, Does::Echo), Terms::default()).await.unwrap().output, 6);
    assert_eq!(stage.builds.load(Ordering::SeqCst), 2, "one item alone is reason for a new model");
}

#[tokio::test]
async fn a_replica_that_stalls_keeps_nobody_waiting_and_the_others_serve() {
    let stage = Stage::new();
    let stall_limit = Duration::from_millis(40);
    let config = Config { max_batch: 1, stall_limit, ..Config::default() };
    let engine = Engine::start(config, vec![stage.factory(), stage.factory()]).unwrap();
    let started = Instant::now();
    let stalled = occupy(&engine, &stage).await;
    let error = stalled.await.unwrap_err();
    assert!(started.elapsed() >= stall_limit);
    assert!(error.to_string().contains("stalled: no result within 40ms"), "{error}");
    let health = engine.health();
    assert_eq!((health.healthy, health.failures), (1, 1));
    assert!(health.states.contains(&ReplicaState::Stalled), "{health:?}");
    assert_eq!(engine.depth().running, 0, "the stalled batch has been answered");
    for id in 1..=3 {
        assert_eq!(engine.submit(item(id, Does::Echo), Terms::default()).await.unwrap().output, id);
    }
    stage.open();
    until_healthy(&engine, 2).await;
    assert_eq!(engine.health().states, [ReplicaState::Ready; 2]);
    assert_eq!(stage.builds.load(Ordering::SeqCst), 2, "it came back with a result: no rebuild");
    assert_eq!(engine.drain(Duration::from_mins(1)).await, 0);
}

#[tokio::test]
async fn when_the_only_replica_stalls_everybody_is_told_and_it_may_come_back() {
    let stage = Stage::new();
    let stall_limit = Duration::from_millis(40);
    let config = Config { max_batch: 1, stall_limit, ..Config::default() };
    let engine = stage.start(config);
    let first = occupy(&engine, &stage).await;
    let behind = enqueue(&engine, item(1, Does::Echo), None).await;
    for answer in outputs(vec![first, behind]).await {
        assert!(answer.unwrap_err().to_string().contains("stalled"));
    }
    let refused = engine.submit(item(2, Does::Echo), Terms::default()).now_or_never().unwrap();
    assert!(refused.unwrap_err().to_string().contains("no replica of 1 works"));
    stage.open();
    until_healthy(&engine, 1).await;
    assert_eq!(engine.submit(item(3, Does::Echo), Terms::default()).await.unwrap().output, 3);
    assert_eq!(stage.batches(), [[0], [3]]);
}
