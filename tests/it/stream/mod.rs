//! Streams over the wire: the contract of `stream.proto`.

mod basics;
mod ends;
mod fairness;
mod policies;
mod resume;
mod reuse;

use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex};

use futures::{Stream, StreamExt, stream};
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use veriframe::engine::{self, Hook};
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::server::Config;
use veriframe::serving::Options;

use crate::support::{Client, TestServer, encoded, raw, similarity};

type Incoming = Pin<Box<dyn Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send>>;

pub(crate) fn config() -> v1::StreamConfig {
    v1::StreamConfig { similarity: similarity(&["a face"]), ..Default::default() }
}

pub(crate) fn configured(config: v1::StreamConfig) -> v1::VerifyStreamRequest {
    v1::VerifyStreamRequest { message: Some(Sent::Config(config)) }
}

pub(crate) fn frame(sequence: u64, bytes: Vec<u8>) -> v1::VerifyStreamRequest {
    framed(sequence, encoded(bytes))
}

fn framed(sequence: u64, image: Option<v1::Image>) -> v1::VerifyStreamRequest {
    let presentation_time = Some(prost_types::Duration { seconds: sequence as i64, nanos: 5 });
    let frame = v1::Frame { sequence, presentation_time, image };
    v1::VerifyStreamRequest { message: Some(Sent::Frame(frame)) }
}

/// Raw pixels of one grey, 96 KiB.
fn grey(sequence: u64, value: u8) -> v1::VerifyStreamRequest {
    let (width, height) = (256, 128);
    let data = vec![value; (width * height * 3) as usize].into();
    let format = v1::PixelFormat::Rgb8.into();
    framed(sequence, raw(v1::RawImage { format, width, height, stride: 0, data }))
}

/// What came back before the stream ended, and how it ended.
struct Told {
    results: Vec<v1::FrameResult>,
    summary: Option<v1::StreamSummary>,
    end: Result<(), Status>,
}

impl Told {
    fn error(&self, at: usize) -> Status {
        let Some(Outcome::Error(error)) = &self.results[at].outcome else {
            panic!("{:?} is no error", self.results[at]);
        };
        let details = prost::Message::encode_to_vec(error).into();
        Status::with_details(Code::from_i32(error.code), error.message.clone(), details)
    }
}

async fn told(client: &mut Client, sent: Vec<v1::VerifyStreamRequest>) -> Told {
    match client.verify_stream(stream::iter(sent)).await {
        Ok(responses) => rest(responses.into_inner().boxed()).await,
        Err(status) => Told { results: Vec::new(), summary: None, end: Err(status) },
    }
}

/// All that is still to come.
async fn rest(mut responses: Incoming) -> Told {
    let mut told = Told { results: Vec::new(), summary: None, end: Ok(()) };
    while let Some(response) = responses.next().await {
        assert!(told.end.is_ok(), "a status is the last");
        match response.map(|response| response.message.unwrap()) {
            Ok(Message::Result(result)) => {
                assert!(told.summary.is_none(), "the summary comes after every result");
                told.results.push(result);
            }
            Ok(Message::Summary(summary)) => {
                assert!(told.summary.replace(summary).is_none(), "there is one summary");
            }
            Ok(Message::Event(event)) => panic!("nobody asked for {event:?}"),
            Err(status) => told.end = Err(status),
        }
    }
    told
}

fn sequences(told: &Told) -> Vec<u64> {
    told.results.iter().map(|result| result.sequence).collect()
}

fn is_ok(result: &v1::FrameResult) -> bool {
    matches!(result.outcome, Some(Outcome::Ok(_)))
}

fn dropped(result: &v1::FrameResult) -> Option<v1::DropReason> {
    match &result.outcome {
        Some(Outcome::Dropped(dropped)) => Some(dropped.reason()),
        Some(Outcome::Ok(_) | Outcome::Expired(_) | Outcome::Error(_)) | None => None,
    }
}

/// How the summary says that the stream ended.
fn ending(response: Option<Result<v1::VerifyStreamResponse, Status>>) -> v1::StreamEnd {
    match response.unwrap().unwrap().message.unwrap() {
        Message::Summary(summary) => summary.end(),
        other @ (Message::Result(_) | Message::Event(_)) => panic!("{other:?}"),
    }
}

fn result(response: Option<Result<v1::VerifyStreamResponse, Status>>) -> v1::FrameResult {
    match response.unwrap().unwrap().message.unwrap() {
        Message::Result(result) => result,
        other @ (Message::Summary(_) | Message::Event(_)) => panic!("{other:?}"),
    }
}

/// Passes on what is sent, and counts it.
fn counted(
    sent: impl Stream<Item = v1::VerifyStreamRequest> + Send + 'static,
) -> (impl Stream<Item = v1::VerifyStreamRequest> + Send + 'static, Arc<AtomicUsize>) {
    let count = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&count);
    let sent = sent.inspect(move |_| {
        counter.fetch_add(1, Ordering::SeqCst);
    });
    (sent, count)
}

/// The one device of a server, which the test can hold still.
#[derive(Clone, Default)]
struct Device(Arc<(Mutex<Doing>, Condvar)>);

#[derive(Default)]
struct Doing {
    held: bool,
    /// Items that it was given.
    items: usize,
}

impl Device {
    /// A server on it that is warm, and knows the texts of [`config`].
    async fn server(&self, config: Config, engine: engine::Config) -> TestServer {
        let doing = Arc::clone(&self.0);
        let before_batch = Hook::new(move |sight| {
            let (lock, changed) = &*doing;
            let mut state = lock.lock().unwrap();
            state.items += sight.size;
            changed.notify_all();
            drop(changed.wait_while(state, |state| state.held).unwrap());
            Ok(())
        });
        let engine = engine::Config { before_batch: Some(before_batch), ..engine };
        let server =
            TestServer::with_options(config, Options { engine, ..Options::default() }).await;
        let request = HealthCheckRequest { service: String::new() };
        let mut health = HealthClient::new(server.channel().await);
        let mut states = health.watch(request).await.unwrap().into_inner();
        while states.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
        let first = vec![configured(self::config()), grey(1, 0)];
        assert!(is_ok(&told(&mut server.client().await, first).await.results[0]));
        self.0.0.lock().unwrap().items = 0;
        server
    }

    fn hold(&self) {
        self.0.0.lock().unwrap().held = true;
    }

    fn release(&self) {
        self.0.0.lock().unwrap().held = false;
        self.0.1.notify_all();
    }

    /// Items that it was given since the server was warm.
    fn items(&self) -> usize {
        self.0.0.lock().unwrap().items
    }

    /// Returns once it has been given `items`.
    async fn given(&self, items: usize) {
        let doing = Arc::clone(&self.0);
        let wait = move || {
            let (lock, changed) = &*doing;
            let state = lock.lock().unwrap();
            drop(changed.wait_while(state, |state| state.items < items).unwrap());
        };
        tokio::task::spawn_blocking(wait).await.unwrap();
    }
}
