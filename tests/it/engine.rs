//! The engine with models that are slow, fail or panic: neighbours are unharmed, limits hold,
//! every caller is answered.
//!
//! Nothing here sleeps: the first poll of a `submit` future puts its item in the queue, and a
//! closed gate keeps the device busy until the test opens it.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, poll};
use tokio::sync::Semaphore;
use veriframe::engine::{
    BatchModel, Completed, Config, DeviceError, Engine, EngineError, Factory, ItemError, Terms,
};
use veriframe::telemetry::Exporter;

/// What an item does to the model it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Echo,
    /// Runs only when the gate is open.
    Wait,
    Fail,
    Panic,
    BreakDevice,
    /// Makes the model return too few results.
    Vanish,
}

#[derive(Debug, Clone)]
struct Item {
    id: u32,
    key: u8,
    bytes: usize,
    does: Does,
}

fn item(id: u32, does: Does) -> Item {
    Item { id, key: 0, bytes: 1, does }
}

/// What the fakes of one engine share with their test.
struct Stage {
    batches: Mutex<Vec<Vec<u32>>>,
    gate: (Mutex<bool>, Condvar),
    /// One permit for each batch that reached the gate.
    entered: Semaphore,
    /// One permit for each model that was dropped.
    dropped: Semaphore,
    builds: AtomicUsize,
    refuses_builds: AtomicBool,
}

impl Stage {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            batches: Mutex::default(),
            gate: (Mutex::new(false), Condvar::new()),
            entered: Semaphore::new(0),
            dropped: Semaphore::new(0),
            builds: AtomicUsize::new(0),
            refuses_builds: AtomicBool::new(false),
        })
    }

    fn open(&self) {
        *self.gate.0.lock().unwrap() = true;
        self.gate.1.notify_all();
    }

    fn batches(&self) -> Vec<Vec<u32>> {
        self.batches.lock().unwrap().clone()
    }

    fn factory<const COPIES: bool>(self: &Arc<Self>) -> Factory<Fake<COPIES>> {
        let stage = Arc::clone(self);
        Box::new(move || {
            stage.builds.fetch_add(1, Ordering::SeqCst);
            if stage.refuses_builds.load(Ordering::SeqCst) {
                return Err(DeviceError("no memory left".into()));
            }
            Ok(Fake { stage: Arc::clone(&stage) })
        })
    }

    fn start(self: &Arc<Self>, config: Config) -> Engine<Fake> {
        Engine::start(config, vec![self.factory()]).unwrap()
    }
}

struct Fake<const COPIES: bool = true> {
    stage: Arc<Stage>,
}

impl<const COPIES: bool> Drop for Fake<COPIES> {
    fn drop(&mut self) {
        self.stage.dropped.add_permits(1);
    }
}

impl<const COPIES: bool> BatchModel for Fake<COPIES> {
    type Input = Item;
    type Output = u32;
    type Key = u8;

    fn key(input: &Item) -> u8 {
        input.key
    }

    fn bytes(input: &Item) -> usize {
        input.bytes
    }

    fn duplicate(input: &Item) -> Option<Item> {
        COPIES.then(|| input.clone())
    }

    fn run(&mut self, batch: Vec<Item>) -> Result<Vec<Result<u32, ItemError>>, DeviceError> {
        self.stage.batches.lock().unwrap().push(batch.iter().map(|item| item.id).collect());
        let does = |what| batch.iter().any(|item| item.does == what);
        if does(Does::Wait) {
            self.stage.entered.add_permits(1);
            let open = self.stage.gate.0.lock().unwrap();
            drop(self.stage.gate.1.wait_while(open, |open| !*open).unwrap());
        }
        assert!(!does(Does::Panic), "the model broke");
        if does(Does::BreakDevice) {
            return Err(DeviceError("the device broke".into()));
        }
        let results = batch.iter().filter(|item| item.does != Does::Vanish).map(|item| {
            if item.does == Does::Fail {
                Err(ItemError(format!("item {} is bad", item.id)))
            } else {
                Ok(item.id)
            }
        });
        Ok(results.collect())
    }
}

type Pending = BoxFuture<'static, Result<Completed<u32>, EngineError>>;

/// Puts an item in the queue.
async fn enqueue(engine: &Engine<Fake>, item: Item, deadline: Option<Instant>) -> Pending {
    let engine = engine.clone();
    let mut pending = async move { engine.submit(item, Terms::until(deadline)).await }.boxed();
    assert!(poll!(&mut pending).is_pending());
    pending
}

/// Keeps the only replica busy until the gate opens.
async fn occupy(engine: &Engine<Fake>, stage: &Stage) -> Pending {
    let pending = enqueue(engine, item(0, Does::Wait), None).await;
    stage.entered.acquire().await.unwrap().forget();
    pending
}

async fn outputs(pending: Vec<Pending>) -> Vec<Result<u32, EngineError>> {
    join_all(pending).await.into_iter().map(|result| result.map(|done| done.output)).collect()
}

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
async fn draining_finishes_what_waits_and_takes_nothing_new() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let pending = vec![
        occupy(&engine, &stage).await,
        enqueue(&engine, item(1, Does::Echo), None).await,
        enqueue(&engine, item(2, Does::Panic), None).await,
    ];
    let mut drain = Box::pin(engine.drain(Duration::from_mins(1)));
    assert!(poll!(&mut drain).is_pending());
    assert_eq!(
        engine.submit(item(3, Does::Echo), Terms::default()).await,
        Err(EngineError::Closed)
    );
    stage.open();
    assert_eq!(drain.await, 0);
    let broken = EngineError::Panicked("the model broke".into());
    assert_eq!(outputs(pending).await, [Ok(0), Ok(1), Err(broken)]);
    assert_eq!(engine.drain(Duration::ZERO).await, 0, "a second drain has nothing to do");
}

#[tokio::test]
async fn draining_answers_those_who_wait_when_its_limit_passes() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let first = occupy(&engine, &stage).await;
    let second = enqueue(&engine, item(1, Does::Echo), None).await;
    assert_eq!(engine.drain(Duration::from_millis(1)).await, 1);
    assert_eq!(second.await, Err(EngineError::Closed));
    stage.open();
    assert_eq!(first.await.unwrap().output, 0);
    assert_eq!(stage.batches(), [[0]]);
}

#[tokio::test]
async fn the_workers_end_with_the_last_handle() {
    let stage = Stage::new();
    let engine = stage.start(Config::default());
    let clone = engine.clone();
    drop(engine);
    assert_eq!(clone.submit(item(1, Does::Echo), Terms::default()).await.unwrap().output, 1);
    assert_eq!(stage.dropped.available_permits(), 0);
    drop(clone);
    let gone = tokio::time::timeout(Duration::from_mins(1), stage.dropped.acquire()).await;
    gone.unwrap().unwrap().forget();
}

#[test]
fn an_engine_starts_whole_or_not_at_all() {
    let check = |config: Config, factories: Vec<Factory<Fake>>, expected: EngineError| {
        assert_eq!(Engine::start(config, factories).err(), Some(expected));
    };
    let stage = Stage::new();
    let none = "an engine needs at least one replica".into();
    check(Config::default(), Vec::new(), EngineError::Config(none));
    let zero = "max_batch is 0, needs at least 1".into();
    let config = Config { max_batch: 0, ..Config::default() };
    check(config, vec![stage.factory()], EngineError::Config(zero));
    let fails: Factory<Fake> = Box::new(|| Err(DeviceError("no such file".into())));
    let factories = vec![stage.factory(), fails];
    check(Config::default(), factories, EngineError::Device("no such file".into()));
    assert_eq!(stage.dropped.available_permits(), 1, "the other replica is gone on return");
    let panics: Factory<Fake> = Box::new(|| panic!("broken checkpoint"));
    check(Config::default(), vec![panics], EngineError::Device("broken checkpoint".into()));
}

#[tokio::test]
async fn what_an_engine_does_shows_in_the_metrics() {
    let exporter = Exporter::install(None).await.unwrap();
    let stage = Stage::new();
    let name = "shown".to_owned();
    let engine = stage.start(Config { name, max_queued_items: 3, ..Config::default() });
    let shows = |line: &str| {
        let page = exporter.render();
        assert!(page.lines().any(|have| have == line), "{line} is not in\n{page}");
    };
    shows("veriframe_queue_depth{model=\"shown\"} 0");
    shows("veriframe_replica_failures_total{model=\"shown\"} 0");
    let mut pending = vec![occupy(&engine, &stage).await];
    for (id, does) in [(1, Does::Echo), (2, Does::Fail), (3, Does::Panic)] {
        pending.push(enqueue(&engine, item(id, does), None).await);
    }
    assert!(engine.submit(item(4, Does::Echo), Terms::default()).await.is_err());
    shows("veriframe_queue_depth{model=\"shown\"} 3");
    shows("veriframe_queue_bytes{model=\"shown\"} 3");
    shows("veriframe_running{model=\"shown\"} 1");
    drop(pending.remove(1));
    stage.open();
    outputs(pending).await;
    engine.drain(Duration::from_mins(1)).await;
    shows("veriframe_queue_depth{model=\"shown\"} 0");
    shows("veriframe_running{model=\"shown\"} 0");
    for (outcome, count) in
        [("ok", 1), ("full", 1), ("abandoned", 1), ("invalid", 1), ("failed", 1)]
    {
        let labels = format!("model=\"shown\",outcome=\"{outcome}\"");
        shows(&format!("veriframe_items_total{{{labels}}} {count}"));
    }
    // Item 0 alone; items 2 and 3 together, then each alone.
    shows("veriframe_batch_size_bucket{model=\"shown\",le=\"1\"} 3");
    shows("veriframe_batch_size_bucket{model=\"shown\",le=\"2\"} 4");
    shows("veriframe_replica_failures_total{model=\"shown\"} 2");
    shows("veriframe_replicas_healthy{model=\"shown\"} 1");
}
