//! What an operator asks a server: is it there, is it ready, what does it offer, how does it fare.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Streaming};
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_health::pb::{HealthCheckRequest, HealthCheckResponse};
use tonic_reflection::pb::v1::ServerReflectionRequest;
use tonic_reflection::pb::v1::server_reflection_client::ServerReflectionClient;
use tonic_reflection::pb::v1::server_reflection_request::MessageRequest;
use tonic_reflection::pb::v1::server_reflection_response::MessageResponse;
use tonic_types::StatusExt;
use veriframe::engine;
use veriframe::proto::v1;
use veriframe::server::{Config, LIVE, READY};
use veriframe::serving::{Catalog, Options};
use veriframe::telemetry::Exporter;

use crate::models::{Gate, repository};
use crate::support::{TestServer, encoded, good};

fn named(service: &str) -> HealthCheckRequest {
    HealthCheckRequest { service: service.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_goes_from_not_serving_to_serving_once_models_have_answered() {
    let server = TestServer::start().await;
    let mut client = HealthClient::new(server.channel().await);
    for name in ["", READY, "veriframe.v1.VerificationService"] {
        let mut told = client.watch(named(name)).await.unwrap().into_inner();
        let mut last = told.next().await.unwrap().unwrap().status();
        while last != ServingStatus::Serving {
            assert_eq!(last, ServingStatus::NotServing, "'{name}'");
            last = told.next().await.unwrap().unwrap().status();
        }
        let now = client.check(named(name)).await.unwrap().into_inner().status();
        assert_eq!(now, ServingStatus::Serving);
    }
    let live = client.check(named(LIVE)).await.unwrap().into_inner().status();
    assert_eq!(live, ServingStatus::Serving);
    assert_eq!(client.check(named("other")).await.unwrap_err().code(), Code::NotFound);
}

/// Reads a watch until it tells `expected`; what it told before that.
async fn until(watch: &mut Streaming<HealthCheckResponse>, expected: ServingStatus) -> Vec<i32> {
    let mut told = Vec::new();
    loop {
        let status = watch.next().await.unwrap().unwrap().status();
        if status == expected {
            return told;
        }
        told.push(status.into());
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_ready_before_every_expected_model_is_warm() {
    let catalog = Arc::new(Catalog::new(Options::default(), Some(repository())));
    let expected = catalog.expect(&[], &["clip@1".to_owned(), "yolo".to_owned()]).unwrap();
    let server = TestServer::serving(Config::default(), Arc::clone(&catalog)).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watches = Vec::new();
    for name in ["", READY, "model/clip", "model/clip@1", "model/yolo"] {
        let mut watch = health.watch(named(name)).await.unwrap().into_inner();
        assert_eq!(watch.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        watches.push(watch);
    }
    let live = health.check(named(LIVE)).await.unwrap().into_inner().status();
    assert_eq!(live, ServingStatus::Serving);
    let early = server.client().await.verify(good()).await.unwrap_err();
    assert_eq!(early.code(), Code::Unavailable, "{early:?}");
    assert!(early.get_error_details().retry_info().is_some());
    catalog.load_expected(expected).await.unwrap();
    for watch in &mut watches {
        let before = until(watch, ServingStatus::Serving).await;
        assert!(before.is_empty(), "only what changed is told: {before:?}");
    }
    server.client().await.verify(good()).await.unwrap();
    server.stop().await.unwrap();
    for watch in &mut watches {
        assert!(until(watch, ServingStatus::NotServing).await.is_empty());
        assert!(watch.next().await.is_none(), "an open watch does not hold the shutdown up");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_models_names_come_and_go_with_it() {
    let catalog = Arc::new(Catalog::new(Options::default(), Some(repository())));
    let server = TestServer::serving(Config::default(), Arc::clone(&catalog)).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watches = Vec::new();
    for name in ["model/clip", "model/clip@2", "model/current"] {
        let mut watch = health.watch(named(name)).await.unwrap().into_inner();
        until(&mut watch, ServingStatus::ServiceUnknown).await;
        watches.push(watch);
    }
    catalog.load("clip@2").await.unwrap();
    catalog.set_alias("current", "clip").unwrap();
    for watch in &mut watches {
        until(watch, ServingStatus::Serving).await;
    }
    catalog.delete_alias("current").unwrap();
    catalog.unload("clip").await.unwrap();
    for watch in &mut watches {
        until(watch, ServingStatus::ServiceUnknown).await;
    }
    let mut ready = health.watch(named(READY)).await.unwrap().into_inner();
    until(&mut ready, ServingStatus::Serving).await;
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_without_a_working_replica_is_not_serving_and_nor_is_the_server() {
    let gate = Gate::default();
    let engine = engine::Config {
        before_batch: Some(gate.hook("clip@1")),
        stall_limit: Duration::from_millis(20),
        ..engine::Config::default()
    };
    let config = Config { health_interval: Duration::from_millis(10), ..Config::default() };
    let server = TestServer::with_options(config, Options { engine, ..Options::default() }).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut watches = Vec::new();
    for name in [READY, "model/clip", "model/clip@1"] {
        let mut watch = health.watch(named(name)).await.unwrap().into_inner();
        until(&mut watch, ServingStatus::Serving).await;
        watches.push(watch);
    }
    server.client().await.verify(good()).await.unwrap_err();
    for watch in &mut watches {
        until(watch, ServingStatus::NotServing).await;
    }
    let other = health.check(named("model/yolo")).await.unwrap().into_inner().status();
    assert_eq!(other, ServingStatus::Serving, "the other model works");
    gate.open();
    for watch in &mut watches {
        until(watch, ServingStatus::Serving).await;
    }
    server.client().await.verify(good()).await.unwrap();
    server.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn reflection_lists_every_service_and_knows_the_errors_in_streams() {
    let server = TestServer::start().await;
    let mut client = ServerReflectionClient::new(server.channel().await);
    let mut ask = async |message: MessageRequest| {
        let request =
            ServerReflectionRequest { message_request: Some(message), ..Default::default() };
        let answers = client.server_reflection_info(stream::iter([request])).await.unwrap();
        let answer = answers.into_inner().next().await.unwrap().unwrap();
        answer.message_response.unwrap()
    };
    let MessageResponse::ListServicesResponse(list) =
        ask(MessageRequest::ListServices(String::new())).await
    else {
        panic!("a list was asked for");
    };
    let names: Vec<&str> = list.service.iter().map(|service| service.name.as_str()).collect();
    for name in [
        "veriframe.v1.VerificationService",
        "veriframe.v1.AdminService",
        "inference.GRPCInferenceService",
        "grpc.health.v1.Health",
        "grpc.reflection.v1.ServerReflection",
    ] {
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    for symbol in ["veriframe.v1.StreamConfig", "google.rpc.Status"] {
        let answer = ask(MessageRequest::FileContainingSymbol(symbol.to_owned())).await;
        assert!(
            matches!(answer, MessageResponse::FileDescriptorResponse(_)),
            "{symbol}: {answer:?}"
        );
    }
}

/// What is served at a path beside the metrics.
async fn page(address: SocketAddr, path: &str) -> String {
    let mut connection = TcpStream::connect(address).await.unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\n\r\n");
    connection.write_all(request.as_bytes()).await.unwrap();
    let mut page = String::new();
    connection.read_to_string(&mut page).await.unwrap();
    page
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_count_calls_and_have_an_edge_at_the_target() {
    let exporter = Exporter::install(Some(([127, 0, 0, 1], 0).into())).await.unwrap();
    let config = Config { max_message_bytes: 64 << 10, ..Config::default() };
    let server = TestServer::with(config).await;
    let mut client = server.client().await;
    client.verify(good()).await.unwrap();
    client.verify(v1::VerifyRequest::default()).await.unwrap_err();
    let long = v1::VerifyRequest { image: encoded(vec![0; 65 << 10]), ..good() };
    assert_eq!(client.verify(long).await.unwrap_err().code(), Code::OutOfRange);
    // The server counts a call when its last byte is on its way: stop, so that it has.
    server.stop().await.unwrap();
    let page = page(exporter.address().unwrap(), "/metrics").await;
    for part in [
        "veriframe_frame_seconds_bucket{le=\"1.2\"}",
        "veriframe_request_seconds_bucket{method=\"Verify\",le=\"1.2\"}",
        "veriframe_requests_total{method=\"Verify\",code=\"OK\"}",
        "veriframe_requests_total{method=\"Verify\",code=\"INVALID_ARGUMENT\"}",
        "veriframe_frames_total{outcome=\"ok\"}",
        "veriframe_frames_total{outcome=\"invalid\"}",
        "veriframe_stage_seconds_bucket{stage=\"decode\",le=\"1.2\"}",
        "veriframe_batch_size_bucket{model=\"clip@1\"",
        "veriframe_slo_good_total",
    ] {
        assert!(page.contains(part), "{part} is not in\n{page}");
    }
    let refused = "veriframe_rejected_total{cause=\"too_large\"} ";
    let refused = page.lines().find_map(|line| line.strip_prefix(refused)).unwrap();
    assert!(refused.parse::<f64>().unwrap() >= 1.0, "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn probes_over_http_tell_what_the_health_service_tells() {
    let exporter = Exporter::install(Some(([127, 0, 0, 1], 0).into())).await.unwrap();
    let holds = async |path: &str| {
        page(exporter.address().unwrap(), path).await.starts_with("HTTP/1.1 200 OK\r\n")
    };
    assert!(!holds("/live").await && !holds("/ready").await, "there is no server yet");
    let delay = Duration::from_secs(2);
    let config = Config { drain_delay: delay, probes: exporter.probes(), ..Config::default() };
    let server = TestServer::with(config).await;
    let mut health = HealthClient::new(server.channel().await);
    let mut told = health.watch(named(READY)).await.unwrap().into_inner();
    while told.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    assert!(holds("/live").await && holds("/ready").await);
    let stopping = tokio::spawn(server.stop());
    while told.next().await.unwrap().unwrap().status() == ServingStatus::Serving {}
    assert!(holds("/live").await && !holds("/ready").await, "it leaves, and still answers");
    stopping.await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shutdown_ends_the_server_and_open_streams_do_not_hold_it_forever() {
    let config = Config { drain_limit: Duration::from_millis(50), ..Config::default() };
    let server = TestServer::with(config).await;
    let address = server.address;
    let mut client = server.client().await;
    client.verify(good()).await.unwrap();
    let mut health = HealthClient::new(server.channel().await);
    let mut told = health.watch(named(READY)).await.unwrap().into_inner();
    while told.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    server.stop().await.unwrap();
    assert_eq!(told.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
    assert!(TcpStream::connect(address).await.is_err());
}
