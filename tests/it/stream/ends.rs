//! How streams end, and how they go on elsewhere.

use std::net::{Shutdown, TcpStream};
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures::{StreamExt, stream};
use hyper_util::rt::TokioIo;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use veriframe::engine;
use veriframe::proto::v1;
use veriframe::server::{Config, StreamLimits};

use super::{
    Device, config, configured, counted, dropped, frame, grey, is_ok, rest, result, sequences, told,
};
use crate::support::{Client, TestServer, good, png};

/// Where a status says to go on.
fn resume_after(status: &Status) -> u64 {
    let details = status.get_error_details();
    details.error_info().unwrap().metadata["resume_after"].parse().unwrap()
}

/// Frames that never end, 1, 2, 3, ….
fn endless(asked: v1::StreamConfig) -> impl futures::Stream<Item = v1::VerifyStreamRequest> + Send {
    let frames = stream::iter(1..).map(|number: u64| frame(number, png(number as u32 % 4)));
    stream::iter([configured(asked)]).chain(frames)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_shuts_down_hands_its_streams_back_and_another_one_takes_them_on() {
    let server = TestServer::start().await;
    let responses = server.client().await.verify_stream(endless(config())).await.unwrap();
    let mut responses = responses.into_inner().boxed();
    for number in 1..=3 {
        assert_eq!(result(responses.next().await).sequence, number);
    }
    let (stopped, told) = tokio::join!(server.stop(), rest(responses));
    assert!(stopped.is_ok(), "{stopped:?}");
    let status = told.end.as_ref().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    let summary = told.summary.as_ref().unwrap();
    assert_eq!(summary.end(), v1::StreamEnd::Draining);
    let last = resume_after(status);
    assert_eq!(summary.last_sequence, Some(last));
    assert_eq!(
        sequences(&told),
        (4..=last).collect::<Vec<_>>(),
        "every accepted frame is answered"
    );
    assert!(told.results.iter().all(is_ok));

    let other = TestServer::start().await;
    let asked = v1::StreamConfig { resume_after: Some(last), ..config() };
    let frames = (last - 1..=last + 2).map(|number| frame(number, png(0)));
    let sent = std::iter::once(configured(asked)).chain(frames).collect();
    let told = self::told(&mut other.client().await, sent).await;
    let answered = Some(v1::DropReason::AlreadyAnswered);
    let drops: Vec<_> = told.results.iter().map(dropped).collect();
    assert_eq!(drops, [answered, answered, None, None]);
    assert!(is_ok(&told.results[2]) && is_ok(&told.results[3]));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_not_yet_configured_ends_with_the_server() {
    let streams = StreamLimits { max_streams: 1, ..StreamLimits::default() };
    let server = TestServer::with(Config { streams, ..Config::default() }).await;
    let mut client = server.client().await;
    let opening = tokio::spawn(async move {
        loop {
            match client.verify_stream(stream::pending()).await {
                Err(status) if status.code() == Code::ResourceExhausted => {}
                other => return other,
            }
        }
    });
    // Until another stream finds the only place taken.
    let mut other = server.client().await;
    while told(&mut other, vec![configured(config())]).await.end.is_ok() {}
    assert!(server.stop().await.is_ok());
    let status = opening.await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable, "{status:?}");
    assert!(status.message().contains("no frame was answered"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_breaks_off_frees_its_place_and_its_work_never_reaches_a_device() {
    let device = Device::default();
    let engine = engine::Config { max_batch: 1, ..engine::Config::default() };
    let streams = StreamLimits { max_streams: 1, ..StreamLimits::default() };
    let server = device.server(Config { streams, ..Config::default() }, engine).await;
    device.hold();
    let (mut client, socket) = breakable(&server).await;
    let mut broken = open(&mut client).await.unwrap();
    device.given(1).await;
    let mut client = server.client().await;
    let refused = open(&mut client).await.unwrap_err();
    assert_eq!(refused.code(), Code::ResourceExhausted);
    assert!(refused.get_error_details().retry_info().is_some(), "{refused:?}");
    socket.shutdown(Shutdown::Both).unwrap();
    // The place is free once all of the stream's work is dropped.
    let mut second = open(&mut client).await;
    while second.as_ref().is_err_and(|status| status.code() == Code::ResourceExhausted) {
        tokio::task::yield_now().await;
        second = open(&mut client).await;
    }
    device.release();
    let mut second = second.unwrap();
    for number in 1..=8 {
        assert!(is_ok(&result(second.next().await)), "{number}");
    }
    assert_eq!(device.items(), 1 + 8, "one frame of the first stream was begun");
    assert!(broken.next().await.unwrap().is_err());
}

/// Opens a stream of eight frames that stays open.
async fn open(client: &mut Client) -> Result<tonic::Streaming<v1::VerifyStreamResponse>, Status> {
    let frames = stream::iter(1..=8).map(|number| grey(number, 0));
    let sent = stream::iter([configured(config())]).chain(frames).chain(stream::pending());
    client.verify_stream(sent).await.map(tonic::Response::into_inner)
}

/// A client, and the socket that it talks through.
async fn breakable(server: &TestServer) -> (Client, TcpStream) {
    let socket = TcpStream::connect(server.address).unwrap();
    socket.set_nonblocking(true).unwrap();
    let own = socket.try_clone().unwrap();
    let mut own = Some(tokio::net::TcpStream::from_std(own).unwrap());
    let connector = tower::service_fn(move |_| {
        let own = own.take().ok_or(std::io::ErrorKind::NotConnected);
        async { own.map(TokioIo::new).map_err(std::io::Error::from) }
    });
    let endpoint = tonic::transport::Endpoint::from_static("http://loopback");
    (Client::new(endpoint.connect_with_connector(connector).await.unwrap()), socket)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slow_reader_is_read_no_further_and_harms_nobody() {
    let server = TestServer::start().await;
    let small = tonic::transport::Channel::from_shared(format!("http://{}", server.address));
    let small = small.unwrap().initial_stream_window_size(65_535).connect().await.unwrap();
    // Maps of the frame's size: 128 KiB each.
    let heatmaps = v1::HeatmapQuery {
        prompts: vec!["a face".to_owned()],
        resolution: v1::HeatmapResolution::Image.into(),
        ..Default::default()
    };
    let asked =
        v1::StreamConfig { heatmaps: Some(heatmaps), max_in_flight: Some(2), ..Default::default() };
    let frames = stream::iter(1..=100).map(|number| grey(number, number as u8));
    let (sent, left) = counted(stream::iter([configured(asked)]).chain(frames));
    let mut slow = Client::new(small);
    let responses = slow.verify_stream(sent).await.unwrap().into_inner();
    let mut other = server.client().await;
    for _ in 0..20 {
        let answer = tokio::time::timeout(Duration::from_secs(20), other.verify(good())).await;
        assert!(answer.unwrap().is_ok());
    }
    let left = left.load(Ordering::SeqCst);
    assert!(left < 50, "{left} messages left a client that reads nothing");
    let told = rest(responses.boxed()).await;
    assert!(told.end.is_ok());
    assert_eq!(sequences(&told), (1..=100).collect::<Vec<_>>());
    assert!(told.results.iter().all(is_ok));
}
