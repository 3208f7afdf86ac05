//! The engine with models that are slow, fail or panic: neighbours are unharmed, limits hold,
//! every caller is answered.
//!
//! Nothing here sleeps: the first poll of a `submit` future puts its item in the queue, and a
//! closed gate keeps the device busy until the test opens it.

mod deadlines;
mod faults;
mod life;
mod queueing;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::time::{Duration, Instant};

use futures::future::{BoxFuture, join_all};
use futures::{FutureExt, poll};
use tokio::sync::Semaphore;
use veriframe::engine::{
    BatchModel, Completed, Config, DeviceError, Engine, EngineError, Factory, ItemError, Terms,
};

/// What an item does to the model it meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Does {
    Echo,
    /// Runs only when the gate is open.
    Wait,
    /// Keeps the device busy for so many milliseconds.
    Work(u64),
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
    /// When each item reached a model.
    begun: Mutex<Vec<(u32, Instant)>>,
    /// Items that fit the device's memory at once.
    fits: AtomicUsize,
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
            begun: Mutex::default(),
            fits: AtomicUsize::new(usize::MAX),
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
        let now = Instant::now();
        self.stage.begun.lock().unwrap().extend(batch.iter().map(|item| (item.id, now)));
        self.stage.batches.lock().unwrap().push(batch.iter().map(|item| item.id).collect());
        if batch.len() > self.stage.fits.load(Ordering::SeqCst) {
            return Err(DeviceError("CUDA out of memory. Tried to allocate 2.00 GiB.".into()));
        }
        let does = |what| batch.iter().any(|item| item.does == what);
        if does(Does::Wait) {
            self.stage.entered.add_permits(1);
            let open = self.stage.gate.0.lock().unwrap();
            drop(self.stage.gate.1.wait_while(open, |open| !*open).unwrap());
        }
        let work = batch.iter().filter_map(|item| match item.does {
            Does::Work(ms) => Some(Duration::from_millis(ms)),
            Does::Echo
            | Does::Wait
            | Does::Fail
            | Does::Panic
            | Does::BreakDevice
            | Does::Vanish => None,
        });
        if let Some(work) = work.max() {
            self.stage.entered.add_permits(1);
            let open = self.stage.gate.0.lock().unwrap();
            drop(self.stage.gate.1.wait_timeout_while(open, work, |open| !*open).unwrap());
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
    enqueue_on(engine, item, Terms::until(deadline)).await
}

/// Puts an item in the queue, on such terms.
async fn enqueue_on(engine: &Engine<Fake>, item: Item, terms: Terms) -> Pending {
    let engine = engine.clone();
    let mut pending = async move { engine.submit(item, terms).await }.boxed();
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
