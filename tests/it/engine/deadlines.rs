//! Deadlines under load: what is late never runs, and everybody is answered once.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use tokio::sync::Semaphore;
use veriframe::engine::{Config, EngineError, Expired, Hook, Terms};

use super::{Does, Stage, enqueue, item, occupy};

fn ms(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// The load is counted in batches, not in seconds: whenever a batch begins, two batches' worth of
/// items come.
#[tokio::test]
async fn at_twice_the_capacity_no_work_reaches_the_device_after_its_deadline() {
    const BATCH: u32 = 4;
    const ROUNDS: u32 = 60;
    let stage = Stage::new();
    let engine = stage.start(Config {
        max_batch: BATCH as usize,
        max_queued_items: 1000,
        ..Config::default()
    });
    let mut answers = FuturesUnordered::new();
    let mut deadlines = BTreeMap::new();
    let mut next = 0;
    for round in 0..ROUNDS {
        if round > 0 {
            stage.entered.acquire().await.unwrap().forget();
        }
        for _ in 0..2 * BATCH {
            let deadline = Instant::now() + ms(60);
            deadlines.insert(next, deadline);
            let (engine, work) = (engine.clone(), item(next, Does::Work(10)));
            answers.push(tokio::spawn(async move {
                (work.id, engine.submit(work, Terms::until(Some(deadline))).await)
            }));
            next += 1;
        }
        tokio::task::yield_now().await;
    }
    let mut answered = BTreeMap::new();
    let mut ends = [0_u64; 3];
    while let Some(answer) = answers.next().await {
        let (id, answer) = answer.unwrap();
        let end = match &answer {
            Ok(_) => 0,
            Err(EngineError::Expired) => 1,
            Err(EngineError::TooLate { .. }) => 2,
            Err(error) => panic!("item {id}: {error}"),
        };
        ends[end] += 1;
        assert!(answered.insert(id, answer).is_none(), "item {id} was answered twice");
    }
    engine.drain(Duration::from_mins(1)).await;
    assert_eq!(answered.len() as u32, next, "everybody was answered");
    let ran = stage.batches().concat();
    assert_eq!(ran.iter().collect::<BTreeSet<_>>().len(), ran.len(), "none ran twice");
    let health = engine.health();
    assert_eq!(health.late, 0, "{health:?}");
    // The fake's own clock, with room for a thread that was held up on its way to the model. A
    // queue that kept what is late would be late by more than half of all batches' time.
    for (id, begun) in stage.begun.lock().unwrap().iter() {
        let late = begun.saturating_duration_since(deadlines[id]);
        assert!(late < ms(150), "item {id} reached the device {late:?} late");
    }
    let Expired { admission, queue, device } = health.expired;
    assert_eq!(admission + queue + device, ends[1] + ends[2]);
    assert!(ends[0] > 0 && ends[1] + ends[2] > 0, "{ends:?}");
    println!("{next} items at 2x: {} in time, {:?}, late 0", ends[0], health.expired);
}

/// Blocks every batch until it is opened; one permit for each that came.
struct Barrier {
    open: (Mutex<bool>, Condvar),
    came: Semaphore,
}

impl Barrier {
    fn new() -> (Arc<Self>, Hook) {
        let open = (Mutex::new(false), Condvar::new());
        let barrier = Arc::new(Self { open, came: Semaphore::new(0) });
        let blocks = Arc::clone(&barrier);
        let hook = Hook::new(move |_| {
            blocks.came.add_permits(1);
            let open = blocks.open.0.lock().unwrap();
            drop(blocks.open.1.wait_while(open, |open| !*open).unwrap());
            Ok(())
        });
        (barrier, hook)
    }

    fn open(&self) {
        *self.open.0.lock().unwrap() = true;
        self.open.1.notify_all();
    }
}

#[tokio::test]
async fn an_item_that_expires_between_queue_and_device_does_not_run() {
    let stage = Stage::new();
    let (barrier, before_batch) = Barrier::new();
    let engine = stage.start(Config {
        max_batch: 3,
        max_batch_wait: Duration::from_secs(1),
        before_batch: Some(before_batch),
        ..Config::default()
    });
    let deadline = Instant::now() + ms(30);
    let late = enqueue(&engine, item(1, Does::Echo), Some(deadline)).await;
    let left = enqueue(&engine, item(2, Does::Echo), None).await;
    let stays = enqueue(&engine, item(3, Does::Echo), None).await;
    barrier.came.acquire().await.unwrap().forget();
    assert_eq!((engine.depth().items, engine.depth().running), (0, 3));
    drop(left);
    // Not awaited, so that no timer of the caller's answers first.
    while Instant::now() <= deadline {
        std::thread::yield_now();
    }
    barrier.open();
    assert_eq!(stays.await.unwrap().output, 3);
    assert_eq!(late.await, Err(EngineError::Expired));
    assert_eq!(stage.batches(), [[3]]);
    let expired = Expired { queue: 1, ..Expired::default() };
    assert_eq!((engine.health().expired, engine.health().late), (expired, 0));
}

#[tokio::test]
async fn a_batch_of_which_nobody_is_left_does_not_run() {
    let stage = Stage::new();
    let (barrier, before_batch) = Barrier::new();
    let engine = stage.start(Config { before_batch: Some(before_batch), ..Config::default() });
    let deadline = Instant::now() + ms(5);
    let late = enqueue(&engine, item(1, Does::Echo), Some(deadline)).await;
    barrier.came.acquire().await.unwrap().forget();
    assert_eq!(late.await, Err(EngineError::Expired), "answered while the device is busy");
    assert_eq!(engine.health().expired, Expired { device: 1, ..Expired::default() });
    barrier.open();
    assert_eq!(engine.submit(item(2, Does::Echo), Terms::default()).await.unwrap().output, 2);
    assert_eq!(stage.batches(), [[2]]);
}

#[tokio::test]
async fn an_expired_item_frees_its_place_and_its_bytes_at_once() {
    let stage = Stage::new();
    let engine = stage.start(Config { max_queued_items: 4, ..Config::default() });
    let busy = occupy(&engine, &stage).await;
    let deadline = Instant::now() + ms(20);
    let waiting =
        (1..=4).map(|id| engine.submit(item(id, Does::Echo), Terms::until(Some(deadline))));
    let answers = join_all(waiting).await;
    let took = deadline.elapsed();
    assert!(answers.iter().all(|answer| *answer == Err(EngineError::Expired)), "{answers:?}");
    assert_eq!((engine.depth().items, engine.depth().bytes), (0, 0));
    assert_eq!(engine.health().expired, Expired { queue: 4, ..Expired::default() });
    println!("4 callers answered {took:?} after their deadline, the device still busy");
    let next = enqueue(&engine, item(5, Does::Echo), None).await;
    stage.open();
    assert_eq!((busy.await.unwrap().output, next.await.unwrap().output), (0, 5));
}
