//! `ModelStreamInfer`: one response for each request, in order, whatever the requests are.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::Channel;
use tonic::{Code, Streaming};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use veriframe::engine::{self, Hook};
use veriframe::proto::inference as wire;
use veriframe::proto::inference::infer_parameter::ParameterChoice;
use veriframe::server::{Config, OpenInference, READY, StreamLimits};
use veriframe::serving::Options;

use super::{Client, client, floats, request, strings, with};
use crate::support::{TestServer, png};

/// A stream whose requests are sent one by one.
struct Open {
    requests: mpsc::Sender<wire::ModelInferRequest>,
    responses: Streaming<wire::ModelStreamInferResponse>,
}

impl Open {
    async fn of(client: &mut Client) -> Self {
        let (requests, receiver) = mpsc::channel(64);
        let responses = client.model_stream_infer(ReceiverStream::new(receiver)).await.unwrap();
        Self { requests, responses: responses.into_inner() }
    }

    async fn next(&mut self) -> wire::ModelStreamInferResponse {
        self.responses.message().await.unwrap().unwrap()
    }
}

/// Returns when the models are warm.
async fn ready(server: &TestServer) {
    let mut health = HealthClient::new(server.channel().await);
    let ask = HealthCheckRequest { service: READY.to_owned() };
    let mut told = health.watch(ask).await.unwrap().into_inner();
    while told.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
}

fn picture(id: &str, kind: u32) -> wire::ModelInferRequest {
    let ask = request("clip_image", vec![strings("IMAGE", &[png(kind)])]);
    wire::ModelInferRequest { id: id.to_owned(), ..ask }
}

#[tokio::test]
async fn responses_come_in_order_and_a_bad_request_is_answered_in_its_place() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let mut open = Open::of(&mut client).await;
    let last = ParameterChoice::BoolParam(true);
    let bad = request("clip_image", vec![strings("IMAGE", &[b"no picture"])]);
    let asked = [
        picture("a", 0),
        wire::ModelInferRequest { id: "b".to_owned(), ..bad },
        wire::ModelInferRequest { model_name: "nobody".to_owned(), ..picture("c", 0) },
        with(picture("d", 1), "triton_enable_empty_final_response", last),
        request("clip_text", vec![strings("TEXT", &["a face"])]),
    ];
    for ask in asked {
        open.requests.send(ask).await.unwrap();
    }
    let expected = [
        ("a", ""),
        ("b", "inputs[0].contents[0]: 'IMAGE' cannot decode"),
        ("c", "no inference model 'nobody'; there is clip_direct_effect"),
        ("d", ""),
        ("", ""),
    ];
    for (id, error) in expected {
        let response = open.next().await;
        let inner = response.infer_response.unwrap();
        assert_eq!(inner.id, id);
        assert!(response.error_message.starts_with(error), "{}", response.error_message);
        assert_eq!(response.error_message.is_empty(), error.is_empty());
        assert_eq!(inner.outputs.is_empty(), !error.is_empty());
        let is_last = inner.parameters.get("triton_final_response");
        let is_last = is_last.and_then(|value| value.parameter_choice.clone());
        assert_eq!(is_last, error.is_empty().then_some(ParameterChoice::BoolParam(true)));
    }
    drop(open.requests);
    assert!(open.responses.message().await.unwrap().is_none());
}

#[tokio::test]
async fn a_stream_answers_as_a_call_does() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let alone = client.model_infer(picture("", 2)).await.unwrap().into_inner();
    let mut open = Open::of(&mut client).await;
    open.requests.send(picture("", 2)).await.unwrap();
    let streamed = open.next().await.infer_response.unwrap();
    super::assert_near(&floats(&streamed, "EMBEDDING"), &floats(&alone, "EMBEDDING"));
}

#[tokio::test]
async fn no_more_requests_are_worked_on_at_once_than_allowed() {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&sizes);
    let hook = Hook::new(move |sight| {
        seen.lock().unwrap().push(sight.size);
        Ok(())
    });
    let engine = engine::Config { before_batch: Some(hook), ..engine::Config::default() };
    let open_inference = OpenInference { max_in_flight: 2, ..OpenInference::default() };
    let config = Config { open_inference, ..Config::default() };
    let options = Options { engine, ..Options::default() };
    let server = TestServer::with_options(config, options).await;
    ready(&server).await;
    let mut client = client(&server).await;
    let warm = sizes.lock().unwrap().len();
    let mut open = Open::of(&mut client).await;
    for at in 0..20 {
        open.requests.send(picture(&at.to_string(), at)).await.unwrap();
    }
    for at in 0..20 {
        let response = open.next().await;
        assert_eq!(response.error_message, "");
        assert_eq!(response.infer_response.unwrap().id, at.to_string());
    }
    let sizes = sizes.lock().unwrap()[warm..].to_vec();
    assert_eq!(sizes.iter().sum::<usize>(), 20);
    assert!(sizes.iter().all(|size| *size <= 2), "{sizes:?}");
}

#[tokio::test]
async fn an_idle_stream_is_ended_and_says_why() {
    let limit = Duration::from_millis(50);
    let streams = StreamLimits { idle_limit: limit, ..StreamLimits::default() };
    let server = TestServer::with(Config { streams, ..Config::default() }).await;
    let mut open = Open::of(&mut client(&server).await).await;
    let status = open.responses.message().await.unwrap_err();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().starts_with("nothing came on the stream for 50ms"), "{status:?}");
}

#[tokio::test]
async fn a_server_that_stops_answers_what_it_accepted_and_ends_the_stream() {
    let server = TestServer::start().await;
    let mut open = Open::of(&mut client(&server).await).await;
    open.requests.send(picture("a", 0)).await.unwrap();
    assert_eq!(open.next().await.infer_response.unwrap().id, "a");
    let (stopped, status) = tokio::join!(server.stop(), open.responses.message());
    assert_eq!(status.unwrap_err().code(), Code::Unavailable);
    assert!(stopped.is_ok());
}

#[tokio::test]
async fn a_client_that_never_reads_is_ended_and_holds_up_nobody() {
    let limit = Duration::from_millis(200);
    let streams = StreamLimits { send_limit: limit, max_streams: 1, ..StreamLimits::default() };
    let server = TestServer::with(Config { streams, ..Config::default() }).await;
    let endpoint = Channel::from_shared(format!("http://{}", server.address)).unwrap();
    // Two responses of 24 KiB are more than this side takes unread.
    let endpoint = endpoint.initial_stream_window_size(1 << 15);
    let mut stuck = Open::of(&mut Client::new(endpoint.connect().await.unwrap())).await;
    let texts: Vec<String> = (0..256).map(|at| format!("text {at}")).collect();
    for _ in 0..8 {
        let ask = request("clip_text", vec![strings("TEXT", &texts)]);
        stuck.requests.send(ask).await.unwrap();
    }
    let mut other = client(&server).await;
    assert!(other.model_infer(picture("", 0)).await.is_ok());
    let mut refused = 0;
    let opens = async {
        while let Err(status) = other.model_stream_infer(tokio_stream::empty()).await {
            assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
            refused += 1;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), opens).await.unwrap();
    assert!(refused > 0, "the first stream had no place");
    let status = loop {
        match stuck.responses.message().await {
            Ok(Some(response)) => assert_eq!(response.error_message, ""),
            Ok(None) => panic!("the stream ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().starts_with("no response was read for 200ms"), "{status:?}");
}
