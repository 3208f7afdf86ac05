//! Deadlines, cancellation and priorities over the wire, while the devices of real models are busy.

use std::collections::BTreeMap;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::{BufMut, Bytes, BytesMut};
use futures::StreamExt;
use futures::future::join_all;
use futures::stream::FuturesUnordered;
use http_body_util::Full;
use hyper_util::rt::{TokioExecutor, TokioIo};
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{Code, Request, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use veriframe::engine::{self, BatchSight, Hook};
use veriframe::proto::v1;
use veriframe::server::{Config, READY};
use veriframe::serving::{HeatmapConfig, Options};

use crate::support::{Client, TestServer, assert_refused, detection, good};

/// A device that is never let go on ends the test, not the build.
const LONGEST: Duration = Duration::from_mins(1);

/// Stands before every batch of every model.
struct Gate {
    state: Mutex<State>,
    changed: Condvar,
    /// One permit for each batch that was stopped.
    stopped: Semaphore,
}

#[derive(Default)]
struct State {
    /// How long batches that come are held, at most; none are where it is zero.
    hold: Duration,
    /// Batches that may go on.
    released: usize,
    /// Items of each model's batches since the gate closed.
    items: BTreeMap<String, usize>,
}

impl Gate {
    fn new() -> Arc<Self> {
        let (state, changed) = (Mutex::default(), Condvar::new());
        Arc::new(Self { state, changed, stopped: Semaphore::new(0) })
    }

    fn options(self: &Arc<Self>, engine: engine::Config) -> Options {
        let gate = Arc::clone(self);
        let before_batch = Some(Hook::new(move |sight| {
            gate.pass(sight);
            Ok(())
        }));
        Options { engine: engine::Config { before_batch, ..engine }, ..Options::default() }
    }

    fn pass(&self, sight: BatchSight) {
        let mut state = self.lock();
        if state.hold.is_zero() {
            return;
        }
        *state.items.entry(sight.model.to_owned()).or_default() += sight.size;
        self.stopped.add_permits(1);
        let hold = state.hold;
        let waited = self.changed.wait_timeout_while(state, hold, |state| state.released == 0);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.released = state.released.saturating_sub(1);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close(&self, hold: Duration) {
        self.lock().hold = hold;
    }

    /// Lets so many batches go on.
    fn release(&self, batches: usize) {
        self.lock().released += batches;
        self.changed.notify_all();
    }

    async fn stopped(&self, batches: u32) {
        let stopped = tokio::time::timeout(LONGEST, self.stopped.acquire_many(batches)).await;
        stopped.unwrap().unwrap().forget();
    }
}

/// A request that needs both models, whose texts are known once it was answered.
fn both() -> v1::VerifyRequest {
    v1::VerifyRequest { detection: detection(), ..good() }
}

/// A `Verify` of a client that has no clock of its own: when the server answered, and how.
async fn verify_within(server: &TestServer, timeout: Duration) -> (Code, Duration) {
    let connection = tokio::net::TcpStream::connect(server.address).await.unwrap();
    let handshake =
        hyper::client::conn::http2::handshake(TokioExecutor::new(), TokioIo::new(connection));
    let (mut sender, connection) = handshake.await.unwrap();
    tokio::spawn(connection);
    let message = both().encode_to_vec();
    let mut body = BytesMut::new();
    body.put_u8(0);
    body.put_u32(message.len() as u32);
    body.extend_from_slice(&message);
    let request = http::Request::post(format!(
        "http://{}/veriframe.v1.VerificationService/Verify",
        server.address
    ))
    .header("content-type", "application/grpc")
    .header("te", "trailers")
    .header("grpc-timeout", format!("{}m", timeout.as_millis()))
    .body(Full::<Bytes>::new(body.freeze()))
    .unwrap();
    let started = Instant::now();
    let response = sender.send_request(request).await.unwrap();
    let took = started.elapsed();
    let code = response.headers().get("grpc-status").map(|code| Code::from_bytes(code.as_bytes()));
    (code.unwrap_or(Code::Ok), took)
}

#[tokio::test(flavor = "multi_thread")]
async fn expired_calls_are_answered_at_their_deadline_while_the_devices_are_busy() {
    let batch = Duration::from_secs(2);
    let gate = Gate::new();
    // As many places as there will be calls: one that were not freed would be missed.
    let limits = engine::Config { max_queued_items: 9, ..engine::Config::default() };
    let server = TestServer::with_options(Config::default(), gate.options(limits)).await;
    let mut client = server.client().await;
    settle(&server, &mut client).await;

    gate.close(batch);
    let started = Instant::now();
    let mut busy = client.clone();
    let busy = tokio::spawn(async move { busy.verify(both()).await });
    gate.stopped(2).await;
    let timeouts = (1..=9).map(|step| Duration::from_millis(100 * step));
    let calls = timeouts.map(|timeout| {
        let server = &server;
        async move {
            let (code, took) = verify_within(server, timeout).await;
            assert_eq!(code, Code::DeadlineExceeded);
            took.saturating_sub(timeout)
        }
    });
    let mut late = join_all(calls).await;
    assert!(!busy.is_finished(), "the devices were busy all the time");
    gate.close(Duration::ZERO);
    late.sort();
    println!("answered after the deadline: median {:?}, longest {:?}", late[4], late[8]);
    // One of them may meet a busy machine; most do not.
    assert!(late[4] <= Duration::from_millis(50), "{late:?}");

    let next = client.verify(both()).await;
    assert!(next.is_ok(), "every place is free again: {next:?}");
    assert!(busy.await.unwrap().is_ok() && started.elapsed() >= batch);
    let ran = gate.lock().items.clone();
    assert_eq!(
        ran,
        [("clip@1".to_owned(), 1), ("yolo@1".to_owned(), 1)].into(),
        "none of the expired"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_call_frees_its_place_and_its_work_is_not_done() {
    let gate = Gate::new();
    let limits = engine::Config { max_queued_items: 1, max_batch: 1, ..engine::Config::default() };
    let server = TestServer::with_options(Config::default(), gate.options(limits)).await;
    let mut client = server.client().await;
    settle(&server, &mut client).await;

    gate.close(LONGEST);
    let mut other = client.clone();
    let busy = tokio::spawn(async move { other.verify(good()).await });
    gate.stopped(1).await;
    let cancelled = tokio::spawn(ask(client.clone(), "normal"));
    let full = until(&mut client, Code::ResourceExhausted).await;
    assert!(full.get_error_details().retry_info().is_some(), "{full:?}");
    cancelled.abort();
    // Let in, and out again when it is late, with the device still busy.
    until(&mut client, Code::DeadlineExceeded).await;
    let next = tokio::spawn(ask(client.clone(), "normal"));
    gate.release(2);
    busy.await.unwrap().unwrap();
    next.await.unwrap();
    assert_eq!(gate.lock().items["clip@1"], 2, "the busy one's and the next one's");
}

/// Has the texts of [`good`] embedded, one at a time for the small queues, so that they are known;
/// after that the server itself has nothing more to do either.
async fn settle(server: &TestServer, client: &mut Client) {
    let ready = HealthCheckRequest { service: READY.to_owned() };
    let mut told =
        HealthClient::new(server.channel().await).watch(ready).await.unwrap().into_inner();
    while told.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    let prompts = good().similarity.unwrap().prompts;
    let nulls = HeatmapConfig::default().null_prompts;
    for text in prompts.into_iter().chain(nulls) {
        let request = v1::EmbedRequest { texts: vec![text], ..Default::default() };
        client.embed(request).await.unwrap();
    }
}

/// Asks until there is a place in the queue and an answer.
async fn ask(mut client: Client, priority: &'static str) -> &'static str {
    loop {
        let mut request = Request::new(good());
        request.metadata_mut().insert("x-veriframe-priority", priority.parse().unwrap());
        match client.verify(request).await {
            Err(full) if full.code() == Code::ResourceExhausted => {}
            answer => return answer.map(|_| priority).unwrap(),
        }
    }
}

/// Asks for a place until the answer is `code`: there is none, or there is one but no answer in
/// time. Not urgently, for a full queue gives way to who is more urgent.
async fn until(client: &mut Client, code: Code) -> Status {
    loop {
        let mut request = Request::new(good());
        request.metadata_mut().insert("x-veriframe-priority", "low".parse().unwrap());
        request.set_timeout(Duration::from_millis(40));
        let answer = client.verify(request).await.unwrap_err();
        if answer.code() == code {
            return answer;
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn urgent_calls_go_first() {
    let gate = Gate::new();
    let limits = engine::Config {
        max_queued_items: 3,
        max_batch: 1,
        max_age: LONGEST,
        ..engine::Config::default()
    };
    let server = TestServer::with_options(Config::default(), gate.options(limits)).await;
    let mut client = server.client().await;
    settle(&server, &mut client).await;

    gate.close(LONGEST);
    let call = |priority| tokio::spawn(ask(client.clone(), priority));
    let busy = call("normal");
    gate.stopped(1).await;
    let mut answers: FuturesUnordered<_> =
        ["low", "normal", "high"].map(call).into_iter().collect();
    until(&mut client, Code::ResourceExhausted).await;
    gate.release(1);
    busy.await.unwrap();
    for expected in ["high", "normal", "low"] {
        gate.release(1);
        assert_eq!(answers.next().await.unwrap().unwrap(), expected);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_priority_that_is_none_is_refused() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let mut request = Request::new(good());
    request.metadata_mut().insert("x-veriframe-priority", "asap".parse().unwrap());
    let refusal = client.verify(request).await.unwrap_err();
    assert_refused(&refusal, "x-veriframe-priority", "is 'asap', must be high, normal or low");
}
