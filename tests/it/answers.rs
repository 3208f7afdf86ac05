//! Answers checked over the wire, on models with random weights: what is judged, what is refused,
//! and how a stream of frames is answered. What trained models find is in `eval_answers`.

use std::time::Duration;

use tonic::{Code, Request};
use tonic_types::StatusExt;
use veriframe::proto::v1;
use veriframe::proto::v1::answer_service_client::AnswerServiceClient;
use veriframe::proto::v1::verify_answer_stream_request::Message;
use veriframe::proto::v1::verify_answer_stream_response::Message as Told;
use veriframe::server::Config;

use crate::support::{TestServer, assert_refused, encoded, png};

type Client = AnswerServiceClient<tonic::transport::Channel>;

async fn client(server: &TestServer) -> Client {
    Client::new(server.channel().await)
        .max_decoding_message_size(64 << 20)
        .max_encoding_message_size(64 << 20)
}

fn about(answer: &str, pictures: u32) -> v1::VerifyAnswerRequest {
    v1::VerifyAnswerRequest {
        answer: answer.to_owned(),
        images: (0..pictures).filter_map(|kind| encoded(png(kind))).collect(),
        ..v1::VerifyAnswerRequest::default()
    }
}

fn said(claim: &v1::ClaimResult, witness: v1::WitnessKind) -> &v1::Testimony {
    claim.testimonies.iter().find(|said| said.witness() == witness).unwrap()
}

const ANSWER: &str = "The teeth are uneven. Two hats are visible! 눈은 파란색이다. What a picture?";

#[tokio::test(flavor = "multi_thread")]
async fn every_claim_is_answered_in_order_by_who_can_judge_it() {
    let server = TestServer::start().await;
    let told = client(&server).await.verify_answer(about(ANSWER, 2)).await.unwrap().into_inner();
    let claims: Vec<v1::Claim> = told.claims.iter().map(|one| one.claim.clone().unwrap()).collect();
    let spans: Vec<&str> = claims
        .iter()
        .map(|claim| &ANSWER[claim.start_byte as usize..claim.end_byte as usize])
        .collect();
    assert_eq!(spans[..3], ["The teeth are uneven", "Two hats are visible", "눈은 파란색이다"]);
    let kinds: Vec<v1::ClaimKind> = claims.iter().map(v1::Claim::kind).collect();
    assert_eq!(
        kinds,
        [
            v1::ClaimKind::Attribute,
            v1::ClaimKind::Count,
            v1::ClaimKind::Attribute,
            v1::ClaimKind::Opinion
        ]
    );
    assert_eq!(claims[2].language, "ko");
    assert!(claims[0].contradictions.contains(&"The teeth are even".to_owned()));

    for claim in [&told.claims[0], &told.claims[2]] {
        let pixels = said(claim, v1::WitnessKind::Pixels);
        assert!(pixels.silence.is_empty() && pixels.citations.len() == 2, "{pixels:?}");
        assert!(pixels.support.abs() > 0.0 && claim.confidence.is_some());
        let detector = said(claim, v1::WitnessKind::Detector);
        assert_eq!(detector.stance(), v1::Stance::Silent, "boxes tell no attributes");
    }
    for claim in [&told.claims[1], &told.claims[3]] {
        assert_eq!(claim.status(), v1::ClaimStatus::UnsupportedClaimType, "{claim:?}");
        assert_eq!(claim.confidence, None, "never a guess dressed as a score");
        assert!(claim.testimonies.iter().all(|said| !said.silence.is_empty()), "{claim:?}");
    }
    assert_eq!(told.claims[3].reasons().next(), Some(v1::ClaimReason::NotCheckable));

    let verdict = told.verdict.unwrap();
    assert_eq!((verdict.checked, verdict.unchecked), (2, 2));
    let product: f64 = told.claims.iter().filter_map(|claim| claim.confidence).product();
    assert!((verdict.confidence.unwrap() - product).abs() < 1e-12);
    let calibration = told.calibration.unwrap();
    assert_eq!((calibration.name.as_str(), calibration.count), ("UNCALIBRATED", 0));
    assert!(told.model.is_some() && told.detector.is_some());
    assert!(told.timing.unwrap().inference.unwrap().nanos > 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_witness_that_is_left_out_is_not_heard_and_its_ablation_tells_the_same() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let witnesses = vec![v1::WitnessKind::Pixels.into(), v1::WitnessKind::Regions.into()];
    let both = v1::VerifyAnswerRequest { witnesses, ..about("The teeth are uneven.", 1) };
    let both = client.verify_answer(both).await.unwrap().into_inner();
    let witnesses = vec![v1::WitnessKind::Regions.into()];
    let alone = v1::VerifyAnswerRequest { witnesses, ..about("The teeth are uneven.", 1) };
    let alone = client.verify_answer(alone).await.unwrap().into_inner();
    assert_eq!(alone.claims[0].testimonies.len(), 1);
    let ablations = both.verdict.unwrap().ablations;
    let without = ablations.iter().find(|one| one.without() == v1::WitnessKind::Pixels).unwrap();
    assert_eq!(without.confidence, alone.verdict.unwrap().confidence);
}

#[tokio::test(flavor = "multi_thread")]
async fn without_pictures_and_evidence_nothing_is_judged() {
    let server = TestServer::start().await;
    let told = client(&server).await.verify_answer(about(ANSWER, 0)).await.unwrap().into_inner();
    assert_eq!(told.claims[0].status(), v1::ClaimStatus::Unsupported);
    assert_eq!(told.claims[0].reasons().next(), Some(v1::ClaimReason::NothingToAsk));
    let verdict = told.verdict.unwrap();
    assert_eq!((verdict.checked, verdict.confidence), (0, None));
}

#[tokio::test(flavor = "multi_thread")]
async fn heatmaps_come_with_the_claims_that_pixels_judge() {
    let server = TestServer::start().await;
    let heatmaps = Some(v1::HeatmapQuery::default());
    let request = v1::VerifyAnswerRequest { heatmaps, ..about(ANSWER, 1) };
    let told = client(&server).await.verify_answer(request).await.unwrap().into_inner();
    let drawn: Vec<bool> = told.claims.iter().map(|claim| claim.heatmaps.is_some()).collect();
    assert_eq!(drawn, [true, false, true, false]);
    let maps = told.claims[0].heatmaps.as_ref().unwrap();
    assert_eq!(maps.heatmaps[0].prompt, "The teeth are uneven");
    assert!(maps.null_prompts.contains(&"The teeth are even".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_input_is_refused_with_its_field() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let mut refused = async |request: v1::VerifyAnswerRequest, field: &str, part: &str| {
        let status = client.verify_answer(request).await.unwrap_err();
        assert_refused(&status, field, part);
    };
    refused(about("", 1), "answer", "says nothing").await;
    refused(about(" … \n", 1), "answer", "says nothing").await;
    refused(about(&"a word. ".repeat(1 << 17), 0), "answer", "1048576 bytes, limit 65536").await;
    refused(about(&"It is red. ".repeat(65), 0), "answer", "65 claims, limit 64").await;
    refused(about("A dog.", 9), "images", "is 9, limit 8").await;
    let broken = |bytes: &'static [u8]| {
        let mut request = about("A dog.", 1);
        request.images.extend(encoded(bytes));
        request
    };
    refused(broken(b"no picture"), "images[1]", "").await;
    let question = "?".repeat(5000);
    let request = v1::VerifyAnswerRequest { question, ..about("A dog.", 1) };
    refused(request, "question", "is 5000 bytes, limit 4096").await;

    let evidence = Some(v1::EvidenceScope { collection: "cases".into(), ..Default::default() });
    let request = v1::VerifyAnswerRequest { evidence, ..about("A dog.", 1) };
    let status = client.verify_answer(request).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition, "{status:?}");
    assert!(status.message().contains("no evidence is kept"), "{status:?}");
    let request = v1::VerifyAnswerRequest { model: Some("none".into()), ..about("A dog.", 1) };
    let status = client.verify_answer(request).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert_eq!(status.get_error_details().resource_info().unwrap().resource_name, "none");

    client.verify_answer(about("A dog.", 1)).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_past_its_deadline_is_given_up() {
    let server = TestServer::start().await;
    let mut request = Request::new(about(ANSWER, 8));
    request.set_timeout(Duration::from_millis(2));
    let status = client(&server).await.verify_answer(request).await.unwrap_err();
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_text_is_split_into_claims_and_cues() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let answer = "Look for #mismatched_pupils, uneven teeth".to_owned();
    let split = client.split_answer(v1::SplitAnswerRequest { answer }).await.unwrap().into_inner();
    let cues: Vec<&str> = split.cues.iter().map(|cue| cue.text.as_str()).collect();
    assert_eq!(cues, ["mismatched pupils", "uneven teeth"]);
    let answer = "The nose is above the mouth. The face has no beard.".to_owned();
    let split = client.split_answer(v1::SplitAnswerRequest { answer }).await.unwrap().into_inner();
    let kinds: Vec<v1::ClaimKind> = split.claims.iter().map(v1::Claim::kind).collect();
    assert_eq!(kinds, [v1::ClaimKind::Spatial, v1::ClaimKind::Negation]);
    assert_eq!(split.claims[1].rule, "NEGATION_WORD");
    let none = v1::SplitAnswerRequest::default();
    assert_refused(&client.split_answer(none).await.unwrap_err(), "answer", "is required");
}

fn frame(sequence: u64, image: Option<v1::Image>) -> v1::VerifyAnswerStreamRequest {
    let presentation_time = Some(prost_types::Duration { seconds: sequence as i64, nanos: 0 });
    let frame = v1::Frame { sequence, presentation_time, image };
    v1::VerifyAnswerStreamRequest { message: Some(Message::Frame(frame)) }
}

fn config(answer: &str) -> v1::VerifyAnswerStreamRequest {
    v1::VerifyAnswerStreamRequest { message: Some(Message::Config(about(answer, 0))) }
}

/// What a stream of these messages is told, and how it ends.
async fn streamed(
    server: &TestServer,
    requests: Vec<v1::VerifyAnswerStreamRequest>,
) -> (Vec<Told>, Option<tonic::Status>) {
    let requests = tokio_stream::iter(requests);
    let mut responses = match client(server).await.verify_answer_stream(requests).await {
        Ok(responses) => responses.into_inner(),
        Err(status) => return (Vec::new(), Some(status)),
    };
    let mut told = Vec::new();
    loop {
        match responses.message().await {
            Ok(Some(response)) => told.extend(response.message),
            Ok(None) => return (told, None),
            Err(status) => return (told, Some(status)),
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_frame_is_answered_and_the_answer_comes_last() {
    let server = TestServer::start().await;
    let mut requests = vec![config(ANSWER)];
    requests.extend((1..=4).map(|at| frame(at, encoded(png(at as u32)))));
    requests.insert(3, frame(2, encoded(png(0))));
    requests.insert(5, frame(10, encoded(&b"no picture"[..])));
    let (mut told, status) = streamed(&server, requests).await;
    assert!(status.is_none(), "{status:?}");
    let Some(Told::Answer(answer)) = told.pop() else { panic!("no answer at the end") };
    let frames: Vec<v1::FrameTestimony> = told
        .into_iter()
        .map(|told| match told {
            Told::Frame(frame) => frame,
            Told::Answer(_) => panic!("two answers"),
        })
        .collect();
    let sequences: Vec<u64> = frames.iter().map(|frame| frame.sequence).collect();
    assert_eq!(sequences, [1, 2, 2, 3, 10, 4]);
    let failed: Vec<bool> = frames.iter().map(|frame| frame.error.is_some()).collect();
    assert_eq!(failed, [false, false, true, false, true, true]);
    assert!(frames[4].error.as_ref().unwrap().message.contains("image"), "{frames:?}");

    let good: Vec<&v1::FrameTestimony> =
        frames.iter().filter(|frame| frame.error.is_none()).collect();
    let mean = good.iter().map(|frame| frame.support[0]).sum::<f32>() / good.len() as f32;
    let pixels = said(&answer.claims[0], v1::WitnessKind::Pixels);
    assert!((pixels.support - mean).abs() < 1e-3, "{} of {mean}", pixels.support);
    let Some(v1::citation::Source::Picture(place)) = &pixels.citations[0].source else { panic!() };
    let clearest =
        good.iter().max_by(|a, b| a.support[0].abs().total_cmp(&b.support[0].abs())).unwrap();
    assert_eq!(place.sequence, Some(clearest.sequence));
    assert_eq!(place.presentation_time, clearest.presentation_time);
    assert_eq!(answer.claims[1].status(), v1::ClaimStatus::UnsupportedClaimType);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_begins_wrong_is_refused() {
    let server = TestServer::start().await;
    let (_, status) = streamed(&server, vec![frame(1, encoded(png(0)))]).await;
    assert_refused(&status.unwrap(), "config", "first message");
    let (told, status) = streamed(&server, vec![config("")]).await;
    assert!(told.is_empty());
    assert_refused(&status.unwrap(), "config.answer", "says nothing");
    let (told, status) = streamed(&server, vec![config("A dog."), config("A cat.")]).await;
    assert!(told.is_empty());
    assert_refused(&status.unwrap(), "config", "only the first");
    let pictured =
        v1::VerifyAnswerStreamRequest { message: Some(Message::Config(about("A dog.", 1))) };
    let (_, status) = streamed(&server, vec![pictured]).await;
    assert_refused(&status.unwrap(), "config.images", "must be empty");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_of_too_many_frames_ends() {
    let answers = veriframe::answers::Config { max_frames: 2, ..Default::default() };
    let server = TestServer::with_answers(Config::default(), answers).await;
    let mut requests = vec![config("The teeth are uneven.")];
    requests.extend((1..=3).map(|at| frame(at, encoded(png(0)))));
    let (told, status) = streamed(&server, requests).await;
    assert_eq!(told.len(), 2);
    let status = status.unwrap();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert!(status.message().contains("limit 2"), "{status:?}");
}
