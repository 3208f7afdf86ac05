//! What happens to frames that come faster than they are worked on.

use std::sync::atomic::Ordering;

use futures::{StreamExt, stream};
use veriframe::engine;
use veriframe::proto::v1;
use veriframe::proto::v1::{DropReason, OverloadPolicy};
use veriframe::server::Config;

use super::{Device, config, configured, counted, dropped, grey, is_ok, rest, sequences, told};

const FRAMES: u64 = 40;

/// Frames whose number has been.
const TOO_LATE: u64 = 8;

/// One item a batch; a client's frames are soon held back.
async fn server(device: &Device) -> crate::support::TestServer {
    let engine = engine::Config { max_batch: 1, ..engine::Config::default() };
    let config = Config { stream_window_bytes: 128 << 10, ..Config::default() };
    device.server(config, engine).await
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_are_dropped_as_the_policy_says_and_no_device_sees_those() {
    for (policy, reason) in [
        (OverloadPolicy::DropOldest, DropReason::Replaced),
        (OverloadPolicy::DropNewest, DropReason::WindowFull),
    ] {
        let device = Device::default();
        let server = server(&device).await;
        device.hold();
        let asked = v1::StreamConfig { policy: policy.into(), max_in_flight: Some(2), ..config() };
        // Nothing is to take a frame's place just as a batch with it is formed. So the device has
        // the first frame before the others come, and goes on once the server has read them all:
        // when what follows them leaves the client, of which little fits into its buffers.
        let frames = (1..=FRAMES).map(|number| grey(number, number as u8));
        let after = (1..=TOO_LATE).map(|_| grey(1, 0));
        let opener = device.clone();
        let messages = stream::iter(frames.chain(after)).enumerate().then(move |(at, message)| {
            let device = opener.clone();
            async move {
                match at as u64 {
                    1 => device.given(1).await,
                    last if last == FRAMES + TOO_LATE - 1 => device.release(),
                    _ => {}
                }
                message
            }
        });
        let sent = stream::iter([configured(asked)]).chain(messages);
        let responses = server.client().await.verify_stream(sent).await.unwrap().into_inner();
        let mut told = rest(responses.boxed()).await;
        assert!(told.end.is_ok());
        let refused = told.results.split_off(FRAMES as usize);
        assert_eq!(refused.len() as u64, TOO_LATE, "for their number is out of order");
        assert!(refused.iter().all(|result| !is_ok(result) && dropped(result).is_none()));
        assert_eq!(sequences(&told), (1..=FRAMES).collect::<Vec<_>>(), "{policy:?}");
        let summary = told.summary.unwrap();
        let left_out: Vec<u64> = told
            .results
            .iter()
            .filter(|result| dropped(result) == Some(reason))
            .map(|result| result.sequence)
            .collect();
        assert_eq!(left_out.len() as u64, summary.dropped);
        assert_eq!(summary.dropped, FRAMES - 2, "{policy:?}: {summary:?}");
        assert_eq!(summary.ok + summary.dropped, FRAMES);
        assert_eq!(device.items() as u64, summary.ok, "{policy:?}");
        assert!(is_ok(&told.results[0]), "the frame at the head goes on");
        if policy == OverloadPolicy::DropOldest {
            assert!(is_ok(told.results.last().unwrap()), "the newest frame is answered");
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_may_wait_is_held_back_and_nothing_is_dropped() {
    let device = Device::default();
    let server = server(&device).await;
    device.hold();
    let asked = v1::StreamConfig { max_in_flight: Some(2), ..config() };
    let frames = (1..=FRAMES).map(|number| grey(number, number as u8));
    let sent = stream::iter([configured(asked)]).chain(stream::iter(frames));
    let (sent, left) = counted(sent);
    let responses = server.client().await.verify_stream(sent).await.unwrap().into_inner();
    device.given(1).await;
    // Calls on other connections go through meanwhile, time enough for the frames to come.
    for _ in 0..20 {
        let mut other = server.client().await;
        other.list_models(v1::ListModelsRequest::default()).await.unwrap();
    }
    let left = left.load(Ordering::SeqCst);
    assert!(left < FRAMES as usize / 2, "{left} messages left the client");
    device.release();
    let told = rest(responses.boxed()).await;
    assert_eq!(sequences(&told), (1..=FRAMES).collect::<Vec<_>>());
    assert!(told.results.iter().all(is_ok));
}

#[tokio::test(flavor = "multi_thread")]
async fn where_frames_wait_a_full_queue_is_no_error() {
    let device = Device::default();
    let narrow = engine::Config { max_batch: 1, max_queued_items: 1, ..engine::Config::default() };
    let server = device.server(Config::default(), narrow).await;
    let streams = (0..3).map(|_| async {
        let frames = (1..=FRAMES).map(|number| grey(number, number as u8));
        let sent = std::iter::once(configured(config())).chain(frames).collect();
        told(&mut server.client().await, sent).await
    });
    for told in futures::future::join_all(streams).await {
        assert_eq!(sequences(&told), (1..=FRAMES).collect::<Vec<_>>());
        let refused = told.results.iter().find(|result| !is_ok(result));
        assert!(refused.is_none(), "{refused:?}");
    }
}
