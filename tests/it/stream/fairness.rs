//! Streams beside each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::{StreamExt, stream};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use veriframe::engine;
use veriframe::proto::v1;
use veriframe::server::Config;

use super::{Device, config, configured, grey, is_ok, result};

/// Frames that the flooding stream may have at work.
const WINDOW: u32 = 48;

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_floods_delays_another_by_a_few_frames_not_by_its_window() {
    let device = Device::default();
    let engine = engine::Config { max_batch: 1, ..engine::Config::default() };
    let server = device.server(Config::default(), engine).await;
    let flood = v1::StreamConfig { max_in_flight: Some(WINDOW), ..config() };
    let frames = stream::iter(1..).map(|number: u64| grey(number, number as u8));
    let sent = stream::iter([configured(flood)]).chain(frames);
    let mut flooding = server.client().await.verify_stream(sent).await.unwrap().into_inner();
    let flooded = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&flooded);
    let flood = tokio::spawn(async move {
        while let Some(Ok(_)) = flooding.next().await {
            counter.fetch_add(1, Ordering::SeqCst);
        }
    });
    let (sender, receiver) = mpsc::channel(4);
    sender.send(configured(config())).await.unwrap();
    let polite = server.client().await.verify_stream(ReceiverStream::new(receiver)).await;
    let mut polite = polite.unwrap().into_inner();
    let mut between = Vec::new();
    for number in 1..=20 {
        let before = flooded.load(Ordering::SeqCst);
        sender.send(grey(number, number as u8)).await.unwrap();
        assert!(is_ok(&result(polite.next().await)));
        between.push(flooded.load(Ordering::SeqCst) - before);
    }
    flood.abort();
    between.sort_unstable();
    // Half of its frames, for the first ones find the flood only rising.
    assert!(between[10] < WINDOW as usize / 2, "the flood's frames meanwhile: {between:?}");
}
