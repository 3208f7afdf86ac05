//! How the program ends: told to, told twice, killed.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use futures::{StreamExt, stream};
use tokio::sync::watch;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;

use crate::program::Program;
use crate::support::{Client, encoded, good, jpeg, similarity};

/// What a drain may take.
const GRACE: Duration = Duration::from_secs(10);
const GRACE_FLAG: [&str; 2] = ["--drain-seconds", "10"];

fn configured(resume_after: Option<u64>) -> v1::VerifyStreamRequest {
    let similarity = similarity(&["a face", "uneven teeth"]);
    let config = v1::StreamConfig { similarity, resume_after, ..v1::StreamConfig::default() };
    v1::VerifyStreamRequest { message: Some(Sent::Config(config)) }
}

fn frame(sequence: u64) -> v1::VerifyStreamRequest {
    let image = encoded(jpeg((sequence % 4) as u32));
    let frame = v1::Frame { sequence, image, ..v1::Frame::default() };
    v1::VerifyStreamRequest { message: Some(Sent::Frame(frame)) }
}

/// A stream that was cut: its frames' numbers, the summary and the status, where it had them.
struct Cut {
    answered: Vec<u64>,
    summary: Option<v1::StreamSummary>,
    status: Option<tonic::Status>,
}

/// Sends frames as fast as the server takes them, until the stream ends. Tells how many results
/// have come.
async fn film(mut client: Client, came: watch::Sender<u64>) -> Cut {
    let (sender, receiver) = tokio::sync::mpsc::channel(1);
    let camera = tokio::spawn(async move {
        drop(sender.send(configured(None)).await);
        for sequence in 1.. {
            if sender.send(frame(sequence)).await.is_err() {
                return;
            }
        }
    });
    let requests = ReceiverStream::new(receiver);
    let mut responses = client.verify_stream(requests).await.unwrap().into_inner();
    let mut cut = Cut { answered: Vec::new(), summary: None, status: None };
    while let Some(response) = responses.next().await {
        match response.map(|response| response.message.unwrap()) {
            Ok(Message::Result(result)) => {
                assert!(matches!(result.outcome, Some(Outcome::Ok(_))), "{result:?}");
                cut.answered.push(result.sequence);
                came.send_modify(|count| *count += 1);
            }
            Ok(Message::Summary(summary)) => cut.summary = Some(summary),
            Ok(Message::Event(_)) => {}
            Err(status) => cut.status = Some(status),
        }
    }
    camera.abort();
    cut
}

/// A health watch that has told SERVING.
async fn ready(channel: Channel) -> tonic::Streaming<tonic_health::pb::HealthCheckResponse> {
    let request = HealthCheckRequest { service: "ready".to_owned() };
    let mut watch = HealthClient::new(channel).watch(request).await.unwrap().into_inner();
    while watch.next().await.unwrap().unwrap().status() != ServingStatus::Serving {}
    watch
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_under_load_loses_no_accepted_frame_and_exits_with_0_within_the_grace_time() {
    let program = Program::serve(&GRACE_FLAG).ready();
    let mut health = ready(program.channel().await).await;
    let mut streams = Vec::new();
    for _ in 0..4 {
        let (came, mut results) = watch::channel(0);
        streams.push(tokio::spawn(film(program.client().await, came)));
        results.wait_for(|count| *count >= 3).await.unwrap();
    }
    let mut caller = program.client().await;
    let calls = tokio::spawn(async move {
        for answered in 0.. {
            if let Err(status) = caller.verify(good()).await {
                return (answered, status);
            }
        }
        unreachable!("calls go on until one fails")
    });
    program.signal("TERM");
    let told = health.next().await.unwrap().unwrap().status();
    assert_eq!(told, ServingStatus::NotServing);
    let (status, took) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(took < GRACE, "{took:?}");
    let mut accepted = 0;
    for stream in streams {
        let Cut { answered, summary, status } = stream.await.unwrap();
        let summary = summary.unwrap_or_else(|| panic!("no summary: {status:?}"));
        let last = *answered.last().unwrap();
        assert_eq!(answered, (1..=last).collect::<Vec<_>>(), "each frame once, in order");
        assert_eq!((summary.frames, summary.ok), (last, last));
        assert_eq!(summary.last_sequence, Some(last));
        assert_eq!(summary.end(), v1::StreamEnd::Draining);
        let status = status.unwrap();
        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
        let resume =
            status.get_error_details().error_info().unwrap().metadata["resume_after"].clone();
        assert_eq!(resume, last.to_string());
        accepted += last;
    }
    let (answered, refusal) = calls.await.unwrap();
    // This client library calls a connection that has said it is leaving INTERNAL.
    assert!(matches!(refusal.code(), Code::Unavailable | Code::Internal), "{refusal:?}");
    println!("drained in {took:?}: {accepted} frames accepted and answered, {answered} calls");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_leaving_server_says_so_and_answers_on_and_a_second_signal_ends_it_at_once() {
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let program = Program::serve(&["--drain-delay-seconds", "600"]).ready();
        let mut health = ready(program.channel().await).await;
        program.signal("TERM");
        assert_eq!(health.next().await.unwrap().unwrap().status(), ServingStatus::NotServing);
        // A new connection, as of a client that has not heard yet.
        program.client().await.verify(good()).await.unwrap();
        program.signal(signal);
        let (status, took) = program.ended().await;
        assert_eq!(status.code(), Some(code), "{status:?}");
        println!("ended {took:?} after the second signal");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_signal_while_models_are_being_loaded_ends_the_program_with_0() {
    let program = Program::serve(&GRACE_FLAG);
    program.signal("TERM");
    let (status, took) = program.ended().await;
    assert_eq!(status.code(), Some(0), "{status:?}");
    assert!(took < GRACE, "{took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_model_that_cannot_be_loaded_ends_the_start_with_an_error() {
    let program = Program::serve(&["--model", "clip=no/such/folder"]);
    let (status, _) = program.ended().await;
    assert_eq!(status.code(), Some(1), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_client_sees_unavailable_and_goes_on_elsewhere_where_it_was() {
    let program = Program::serve(&[]).ready();
    let (came, mut results) = watch::channel(0);
    let film = tokio::spawn(film(program.client().await, came));
    results.wait_for(|count| *count >= 5).await.unwrap();
    program.signal("KILL");
    let (status, _) = program.ended().await;
    assert_eq!(status.signal(), Some(9));
    let cut = film.await.unwrap();
    let status = cut.status.unwrap();
    // This client library calls a connection that broke amid an answer UNKNOWN; most say
    // UNAVAILABLE.
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
    assert!(cut.summary.is_none());
    let last = *cut.answered.last().unwrap();
    assert_eq!(cut.answered, (1..=last).collect::<Vec<_>>());

    // The client sends again what it is not sure of; what was answered is not answered twice.
    let next = Program::serve(&[]).ready();
    let again = stream::iter([configured(Some(last))].into_iter().chain((1..=last + 5).map(frame)));
    let mut responses = next.client().await.verify_stream(again).await.unwrap().into_inner();
    let (mut answered, mut dropped) = (BTreeSet::new(), BTreeSet::new());
    while let Some(response) = responses.next().await {
        if let Message::Result(result) = response.unwrap().message.unwrap() {
            match result.outcome.unwrap() {
                Outcome::Ok(_) => assert!(answered.insert(result.sequence)),
                Outcome::Dropped(reason) => {
                    assert_eq!(reason.reason(), v1::DropReason::AlreadyAnswered);
                    assert!(dropped.insert(result.sequence));
                }
                other @ (Outcome::Expired(_) | Outcome::Error(_)) => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(dropped, (1..=last).collect());
    assert_eq!(answered, (last + 1..=last + 5).collect());
}
