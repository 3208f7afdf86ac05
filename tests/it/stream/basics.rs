//! One result for each frame, in order, whatever a frame does.

use std::time::Duration;

use futures::{StreamExt, stream};
use tonic::{Code, Request};
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;

use super::{config, configured, ending, frame, is_ok, sequences, told};
use crate::support::{TestServer, assert_refused, detection, good, jpeg, png, similarity, texts};

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_gets_its_result_in_order_and_a_summary_closes() {
    let server = TestServer::start().await;
    let frames = (0..40).map(|number| frame(number * 3, png(number as u32 % 4)));
    let sent = std::iter::once(configured(config())).chain(frames).collect();
    let told = told(&mut server.client().await, sent).await;
    assert!(told.end.is_ok());
    assert_eq!(sequences(&told), (0..40).map(|number| number * 3).collect::<Vec<_>>());
    for result in &told.results {
        assert!(is_ok(result), "{result:?}");
        let seconds = result.presentation_time.unwrap().seconds;
        assert_eq!(seconds, result.sequence as i64);
    }
    let summary = told.summary.unwrap();
    assert_eq!((summary.frames, summary.ok, summary.errors), (40, 40, 0));
    assert_eq!(summary.end(), v1::StreamEnd::ClientClosed);
    assert_eq!(summary.last_sequence, Some(117));
    let nanos =
        |duration: Option<prost_types::Duration>| Duration::try_from(duration.unwrap()).unwrap();
    assert!(nanos(summary.mean_latency) <= nanos(summary.max_latency));
    assert!(nanos(summary.max_latency) <= nanos(summary.elapsed));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_scores_as_it_does_alone() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let alone = client.verify(good()).await.unwrap().into_inner().similarity.unwrap();
    let asked = v1::StreamConfig { similarity: good().similarity, ..Default::default() };
    let told = told(&mut client, vec![configured(asked), frame(1, png(0))]).await;
    let Some(Outcome::Ok(answer)) = &told.results[0].outcome else { panic!("it is answered") };
    let scores = &answer.similarity.as_ref().unwrap().scores;
    for (score, expected) in scores.iter().zip(&alone.scores) {
        assert!((score.cosine - expected.cosine).abs() < 1e-5, "{score:?} {expected:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_frame_is_answered_in_place_and_the_stream_goes_on() {
    let server = TestServer::start().await;
    let cut = jpeg(0)[..200].to_vec();
    let nothing = v1::VerifyStreamRequest {
        message: Some(Sent::Frame(v1::Frame { sequence: 4, ..Default::default() })),
    };
    let sent = vec![
        configured(config()),
        frame(1, png(0)),
        frame(2, cut),
        frame(3, png(1)),
        nothing,
        frame(4, png(2)),
        frame(5, png(2)),
    ];
    let told = told(&mut server.client().await, sent).await;
    assert!(told.end.is_ok());
    assert_eq!(sequences(&told), [1, 2, 3, 4, 4, 5]);
    let good: Vec<bool> = told.results.iter().map(is_ok).collect();
    assert_eq!(good, [true, false, true, false, false, true]);
    assert_refused(&told.error(1), "frame.image", "cannot decode");
    assert_refused(&told.error(3), "frame.image", "is required");
    assert_refused(&told.error(4), "frame.sequence", "is 4, must be greater than 4");
    let summary = told.summary.unwrap();
    assert_eq!((summary.frames, summary.ok, summary.errors), (6, 3, 3));
}

#[tokio::test(flavor = "multi_thread")]
async fn the_first_message_must_be_a_configuration() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let empty = v1::VerifyStreamRequest { message: None };
    for sent in [vec![frame(1, png(0))], vec![empty], Vec::new()] {
        let told = told(&mut client, sent).await;
        assert!(told.results.is_empty());
        assert_refused(&told.end.unwrap_err(), "config", "the first message");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_configuration_is_refused_by_field() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for (config, field, part) in [
        (v1::StreamConfig::default(), "config.similarity", "nothing is asked"),
        (v1::StreamConfig { policy: 9, ..config() }, "config.policy", "is 9"),
        (
            v1::StreamConfig { max_in_flight: Some(1000), ..config() },
            "config.max_in_flight",
            "is 1000, must be 1 to 64",
        ),
        (
            v1::StreamConfig { similarity: similarity(&[""]), ..Default::default() },
            "config.similarity.prompts[0]",
            "must not be empty",
        ),
    ] {
        let told = told(&mut client, vec![configured(config), frame(1, png(0))]).await;
        assert_refused(&told.end.unwrap_err(), field, part);
    }
    let mut unknown = config();
    unknown.similarity.as_mut().unwrap().model = Some("gpt".to_owned());
    let told = told(&mut client, vec![configured(unknown)]).await;
    assert_eq!(told.end.unwrap_err().code(), Code::NotFound);
    assert!(client.verify(good()).await.is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_configuration_holds_from_the_frame_that_it_names_or_from_the_next() {
    let server = TestServer::start().await;
    let boxes = v1::StreamConfig { detection: detection(), ..Default::default() };
    let later = v1::StreamConfig { from_sequence: Some(7), max_in_flight: Some(3), ..config() };
    let refused = v1::StreamConfig { max_in_flight: Some(0), ..config() };
    let sent = vec![
        configured(config()),
        frame(1, png(0)),
        configured(boxes),
        frame(2, png(0)),
        configured(later),
        frame(6, png(0)),
        frame(8, png(0)),
        configured(refused),
        frame(9, png(0)),
    ];
    let told = told(&mut server.client().await, sent).await;
    assert_eq!(sequences(&told), [1, 2, 6, 8], "the last configuration ends the stream");
    let parts: Vec<(bool, bool)> = told
        .results
        .iter()
        .map(|result| match &result.outcome {
            Some(Outcome::Ok(answer)) => (answer.similarity.is_some(), answer.detection.is_some()),
            other => panic!("{other:?}"),
        })
        .collect();
    assert_eq!(parts, [(true, false), (false, true), (false, true), (true, false)]);
    assert_eq!(told.summary.unwrap().end(), v1::StreamEnd::Refused);
    assert_refused(&told.end.unwrap_err(), "config.max_in_flight", "is 0, must be 1 to 64");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_class_is_told_for_each_frame_by_the_configurations_field() {
    let server = TestServer::start().await;
    let classes = v1::StreamConfig {
        detection: Some(v1::DetectionQuery { classes: texts(&["wheel"]), ..Default::default() }),
        ..Default::default()
    };
    let sent = vec![configured(classes), frame(1, png(0))];
    let told = told(&mut server.client().await, sent).await;
    let status = told.error(0);
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().starts_with("config.detection.classes"), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frame_that_takes_too_long_is_expired() {
    let server = TestServer::start().await;
    let hasty = v1::StreamConfig {
        frame_timeout: Some(prost_types::Duration { seconds: 0, nanos: 1 }),
        ..config()
    };
    let sent = vec![configured(hasty), frame(1, png(0)), frame(2, png(0))];
    let told = told(&mut server.client().await, sent).await;
    assert_eq!(sequences(&told), [1, 2]);
    for result in &told.results {
        assert!(matches!(result.outcome, Some(Outcome::Expired(_))), "{result:?}");
    }
    let summary = told.summary.unwrap();
    assert_eq!((summary.frames, summary.expired), (2, 2));
    assert_eq!(summary.mean_latency, None);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_ends_at_its_deadline() {
    let server = TestServer::start().await;
    // The client keeps its side open: only the deadline can end this.
    let open = stream::iter([configured(config())]).chain(stream::pending());
    let mut request = Request::new(open);
    request.metadata_mut().insert("grpc-timeout", "400m".parse().unwrap());
    let mut responses = server.client().await.verify_stream(request).await.unwrap().into_inner();
    assert_eq!(ending(responses.next().await), v1::StreamEnd::Deadline);
    let status = responses.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_that_goes_away_leaves_a_server_that_serves() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    for _ in 0..3 {
        let frames = (1..1000).map(|number| frame(number, png(0)));
        let sent = stream::iter(std::iter::once(configured(config())).chain(frames));
        let mut responses = client.verify_stream(sent).await.unwrap().into_inner();
        assert!(responses.next().await.unwrap().is_ok());
    }
    assert!(client.verify(good()).await.is_ok());
}
