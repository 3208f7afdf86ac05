//! Who runs when, with whom, and who may wait at all.

use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::join_all;
use futures::poll;
use veriframe::engine::{Claim, Completed, Config, Engine, EngineError, Flow, Priority, Terms};

use super::{Does, Item, Stage, enqueue, enqueue_on, item, occupy, outputs};

#[tokio::test]
async fn items_that_wait_together_run_together_by_key() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_batch: 3, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    for (id, key) in [(1, 1), (2, 2), (3, 1), (4, 1), (5, 1), (6, 2)] {
        pending.push(enqueue(&engine, Item { key, ..item(id, Does::Echo) }, None).await);
    }
    assert_eq!(engine.depth().items, 6);
    assert_eq!(engine.depth().running, 1);
    stage.open();
    let done: Vec<Completed<u32>> =
        join_all(pending).await.into_iter().map(Result::unwrap).collect();
    assert_eq!(done.iter().map(|done| done.output).collect::<Vec<_>>(), [0, 1, 2, 3, 4, 5, 6]);
    assert_eq!(stage.batches(), [vec![0], vec![1, 3, 4], vec![2, 6], vec![5]]);
    assert_eq!(done.iter().map(|d| d.timing.batch).collect::<Vec<_>>(), [1, 3, 2, 3, 3, 1, 2]);
    assert!(done[1].timing.queue > Duration::ZERO);
}

#[tokio::test]
async fn a_flood_that_fills_the_queue_gives_way_to_who_holds_less() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_queued_items: 4, max_batch: 1, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let flow = |flow| Terms { flow: Flow(flow), ..Terms::default() };
    for id in 1..=4 {
        pending.push(enqueue_on(&engine, item(id, Does::Echo), flow(1)).await);
    }
    // Of the flood's own nobody else comes in; of two others, each with its first, both do.
    let refused = engine.submit(item(5, Does::Echo), flow(1)).now_or_never().unwrap();
    assert!(matches!(refused, Err(EngineError::Full { queued: 4, limit: 4, .. })), "{refused:?}");
    pending.push(enqueue_on(&engine, item(6, Does::Echo), flow(2)).await);
    pending.push(enqueue_on(&engine, item(7, Does::Echo), flow(3)).await);
    assert_eq!(engine.depth().items, 4);
    stage.open();
    let ends = join_all(pending).await;
    let served = |end: &Result<Completed<u32>, EngineError>| end.is_ok();
    assert_eq!(
        ends.iter().map(served).collect::<Vec<_>>(),
        [true, true, true, false, false, true, true]
    );
    assert!(matches!(ends[4], Err(EngineError::Full { .. })), "{:?}", ends[4]);
}

#[tokio::test]
async fn the_earliest_deadline_goes_first() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_batch: 1, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let now = Instant::now();
    for (id, seconds) in [(1, None), (2, Some(90)), (3, Some(60)), (4, None), (5, Some(30))] {
        let deadline = seconds.map(|seconds| now + Duration::from_secs(seconds));
        pending.push(enqueue(&engine, item(id, Does::Echo), deadline).await);
    }
    // All of these deadlines lie beyond the starvation bound, so they are all served in turn.
    stage.open();
    outputs(pending).await;
    assert_eq!(stage.batches().concat(), [0, 1, 2, 3, 4, 5]);

    let stage = Stage::new();
    let max_age = Duration::from_secs(100);
    let engine = stage.start(Config { max_batch: 1, max_age, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let now = Instant::now();
    for (id, seconds) in [(1, None), (2, Some(90)), (3, Some(60)), (4, None), (5, Some(30))] {
        let deadline = seconds.map(|seconds| now + Duration::from_secs(seconds));
        pending.push(enqueue(&engine, item(id, Does::Echo), deadline).await);
    }
    stage.open();
    outputs(pending).await;
    assert_eq!(stage.batches().concat(), [0, 5, 3, 2, 1, 4]);
}

#[tokio::test]
async fn a_full_queue_answers_at_once() {
    let stage = Stage::new();
    let engine =
        stage.start(Config { max_queued_items: 3, max_queued_bytes: 100, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let sized = |id, bytes| Item { bytes, ..item(id, Does::Echo) };
    pending.push(enqueue(&engine, sized(1, 60), None).await);
    let full = engine.submit(sized(2, 41), Terms::default()).now_or_never().unwrap().unwrap_err();
    assert!(
        matches!(full, EngineError::Full { queued: 60, limit: 100, unit: "bytes", .. }),
        "{full}"
    );
    let too_large =
        engine.submit(sized(3, 101), Terms::default()).now_or_never().unwrap().unwrap_err();
    assert_eq!(too_large, EngineError::Item("item is 101 bytes, limit 100".into()));
    pending.push(enqueue(&engine, sized(4, 20), None).await);
    pending.push(enqueue(&engine, sized(5, 20), None).await);
    let full = engine.submit(sized(6, 0), Terms::default()).now_or_never().unwrap().unwrap_err();
    let EngineError::Full { queued: 3, limit: 3, unit: "items", retry_after } = full else {
        panic!("{full}")
    };
    assert!(retry_after >= Duration::from_millis(50));
    stage.open();
    assert_eq!(outputs(pending).await, [Ok(0), Ok(1), Ok(4), Ok(5)]);
}

#[tokio::test]
async fn an_expired_item_never_reaches_the_device() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let first = occupy(&engine, &stage).await;
    let soon = Instant::now() + Duration::from_millis(5);
    let late = engine.submit(item(1, Does::Echo), Terms::until(Some(soon))).await;
    assert_eq!(late, Err(EngineError::Expired));
    assert_eq!(engine.depth().items, 0, "its place is free while the device is still busy");
    let past = engine.submit(item(2, Does::Echo), Terms::until(Some(soon))).await;
    assert_eq!(past, Err(EngineError::Expired));
    stage.open();
    first.await.unwrap();
    assert_eq!(engine.drain(Duration::from_mins(1)).await, 0);
    assert_eq!(stage.batches(), [[0]]);
}

#[tokio::test]
async fn a_caller_that_goes_away_frees_its_place() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_queued_items: 1, ..Config::default() });
    let first = occupy(&engine, &stage).await;
    drop(enqueue(&engine, item(1, Does::Echo), None).await);
    assert_eq!((engine.depth().items, engine.depth().bytes), (0, 0));
    let second = enqueue(&engine, item(2, Does::Echo), None).await;
    stage.open();
    assert_eq!(outputs(vec![first, second]).await, [Ok(0), Ok(2)]);
    assert_eq!(stage.batches(), [[0], [2]]);
}

#[tokio::test]
async fn replicas_draw_from_one_queue() {
    let stage = Stage::new();
    let config = Config { max_batch: 1, ..Config::default() };
    let engine = Engine::start(config, vec![stage.factory(), stage.factory()]).unwrap();
    let both = vec![occupy(&engine, &stage).await, occupy(&engine, &stage).await];
    assert_eq!(engine.depth().running, 2);
    assert_eq!(engine.health().replicas, 2);
    stage.open();
    assert_eq!(outputs(both).await, [Ok(0), Ok(0)]);
}

#[tokio::test]
async fn work_that_its_owner_took_back_never_reaches_the_device() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_batch: 1, ..Config::default() });
    let busy = occupy(&engine, &stage).await;
    let claims = [Claim::default(), Claim::default()];
    let mut pending = vec![busy];
    for (claim, id) in claims.iter().zip([1, 2]) {
        let engine = engine.clone();
        let work = async move { engine.submit(item(id, Does::Echo), Terms::default()).await };
        let mut work = claim.cover(work).boxed();
        assert!(poll!(&mut work).is_pending());
        pending.push(work);
    }
    assert!(claims[0].withdraw());
    stage.open();
    assert_eq!(pending.pop().unwrap().await.unwrap().output, 2);
    assert!(!claims[1].withdraw(), "a device has begun it");
    assert_eq!(stage.batches(), [[0], [2]]);
}

#[tokio::test]
async fn a_flow_that_floods_delays_another_by_one_batch_at_most() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_batch: 4, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let on = |flow| Terms { flow: Flow(flow), ..Terms::default() };
    for id in 1..=40 {
        pending.push(enqueue_on(&engine, item(id, Does::Echo), on(1)).await);
    }
    pending.push(enqueue_on(&engine, item(41, Does::Echo), on(2)).await);
    stage.open();
    outputs(pending).await;
    assert!(stage.batches()[1].contains(&41), "{:?}", stage.batches());
    assert_eq!(engine.depth().items, 0);
}

#[tokio::test]
async fn the_urgent_go_first_but_the_old_are_not_starved() {
    let stage = Stage::new();
    let max_age = Duration::from_millis(50);
    let engine = stage.start(Config { max_batch: 1, max_age, ..Config::default() });
    let mut pending = vec![occupy(&engine, &stage).await];
    let on = |priority| Terms { priority, ..Terms::default() };
    for (id, priority) in
        [(1, Priority::Low), (2, Priority::Normal), (3, Priority::High), (4, Priority::High)]
    {
        pending.push(enqueue_on(&engine, item(id, Does::Echo), on(priority)).await);
    }
    // An item that nobody lets in before it expires tells that the others have grown old.
    let old = Instant::now() + max_age;
    let late = engine.submit(item(9, Does::Echo), Terms::until(Some(old))).await;
    assert_eq!(late, Err(EngineError::Expired));
    for id in [5, 6, 7] {
        pending.push(enqueue_on(&engine, item(id, Does::Echo), on(Priority::High)).await);
    }
    stage.open();
    outputs(pending).await;
    let order = stage.batches().concat();
    // Every second place is theirs who are old: 1 to 4, by age.
    let place = |id| order.iter().position(|other| *other == id).unwrap();
    assert!(place(1) <= 2 && place(2) <= 4, "{order:?}");
    assert!(place(3) <= 2 && place(4) <= 4, "the urgent have the others: {order:?}");
}
