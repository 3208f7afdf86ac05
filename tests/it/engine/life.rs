//! An engine from its start to its end, and what it shows of itself.

use std::time::Duration;

use futures::poll;
use veriframe::engine::{Config, DeviceError, Engine, EngineError, Factory, Terms};
use veriframe::telemetry::Exporter;

use super::{Does, Fake, Stage, enqueue, item, occupy, outputs};

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
    let zero = "max_batch is 0, must be 1 to 1024".into();
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
    shows("veriframe_late_items_total{model=\"shown\"} 0");
    shows("veriframe_split_batches_total{model=\"shown\"} 0");
    shows("veriframe_replica_state{model=\"shown\",state=\"ready\"} 1");
    shows("veriframe_replica_state{model=\"shown\",state=\"stalled\"} 0");
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
