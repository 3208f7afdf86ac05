//! Verdicts over time over the wire. The models' weights are random, so a first stream finds a
//! picture that a prompt fits well and one that it fits badly; thresholds between the two make
//! segments open and close where a test wants them.

use futures::{StreamExt, stream};
use tonic::Status;
use veriframe::proto::v1;
use veriframe::proto::v1::Verdict::{Absent, Inconclusive, Present};
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::proto::v1::{SegmentChange, Verdict, VerdictReason};

use crate::support::{Client, TestServer, assert_refused, encoded, png, similarity};

const PROMPTS: [&str; 2] = ["a face with uneven teeth", "a photo"];

fn millis(ms: i64) -> prost_types::Duration {
    let nanos = (ms % 1000 * 1_000_000) as i32;
    prost_types::Duration { seconds: ms / 1000, nanos }
}

fn configured(config: v1::StreamConfig) -> v1::VerifyStreamRequest {
    v1::VerifyStreamRequest { message: Some(Sent::Config(config)) }
}

fn asking(verdicts: v1::VerdictQuery) -> v1::StreamConfig {
    let similarity = similarity(&PROMPTS);
    v1::StreamConfig { similarity, verdicts: Some(verdicts), ..Default::default() }
}

/// A frame with picture `kind`; without one, it is answered with an error.
fn frame(sequence: u64, ms: Option<i64>, kind: Option<u32>) -> v1::VerifyStreamRequest {
    let image = kind.and_then(|kind| encoded(png(kind)));
    let frame = v1::Frame { sequence, presentation_time: ms.map(millis), image };
    v1::VerifyStreamRequest { message: Some(Sent::Frame(frame)) }
}

/// Frames 100 ms apart, numbered from `first`.
fn frames(first: u64, kinds: &[Option<u32>]) -> Vec<v1::VerifyStreamRequest> {
    let numbered = (first..).zip(kinds);
    numbered.map(|(n, kind)| frame(n, Some(100 * n as i64), *kind)).collect()
}

/// Everything that came, and how the stream ended.
struct Told {
    messages: Vec<Message>,
    end: Result<(), Status>,
}

impl Told {
    async fn of(client: &mut Client, sent: Vec<v1::VerifyStreamRequest>) -> Self {
        let mut messages = Vec::new();
        let mut responses = match client.verify_stream(stream::iter(sent)).await {
            Ok(responses) => responses.into_inner(),
            Err(status) => return Self { messages, end: Err(status) },
        };
        let mut end = Ok(());
        while let Some(response) = responses.next().await {
            match response {
                Ok(response) => messages.push(response.message.unwrap()),
                Err(status) => end = Err(status),
            }
        }
        Self { messages, end }
    }

    fn results(&self) -> Vec<&v1::FrameResult> {
        let results = self.messages.iter().filter_map(|message| match message {
            Message::Result(result) => Some(result),
            Message::Event(_) | Message::Summary(_) => None,
        });
        results.collect()
    }

    /// What was said of the first prompt, frame by frame.
    fn verdicts(&self) -> Vec<Verdict> {
        self.results().iter().map(|result| result.verdicts[0].verdict()).collect()
    }

    fn reasons(&self, at: usize) -> Vec<VerdictReason> {
        self.results()[at].verdicts[0].reasons().collect()
    }

    /// The events, each as cause, change, and first and last frame; each stands right after its
    /// cause, or right before the summary.
    fn events(&self) -> Vec<(Option<u64>, SegmentChange, u64, u64)> {
        let mut events = Vec::new();
        let mut before = None;
        for message in &self.messages {
            match message {
                Message::Result(result) => before = Some(result.sequence),
                Message::Event(event) => {
                    let summary = matches!(self.messages.last(), Some(Message::Summary(_)));
                    let expected = event.sequence.or_else(|| summary.then_some(before).flatten());
                    assert_eq!(before, expected, "{event:?} follows its cause");
                    let segment = event.segment.as_ref().unwrap();
                    events.push((
                        event.sequence,
                        event.change(),
                        segment.first_sequence,
                        segment.last_sequence,
                    ));
                }
                Message::Summary(_) => {}
            }
        }
        events
    }

    fn summary(&self) -> &v1::VerdictSummary {
        match self.messages.last() {
            Some(Message::Summary(summary)) => summary.verdicts.as_ref().unwrap(),
            other => panic!("{other:?} is no summary"),
        }
    }
}

/// A picture that the first prompt fits well, one that it fits badly, and a query whose thresholds
/// lie between the two. Nothing is smoothed, and one frame is enough.
struct Known {
    fits: Option<u32>,
    fails: Option<u32>,
    query: v1::VerdictQuery,
}

/// Finds them by `figure`, of the scores of each picture.
async fn known(client: &mut Client, figure: impl Fn(&[v1::Score]) -> f32) -> Known {
    let config = v1::StreamConfig { similarity: similarity(&PROMPTS), ..Default::default() };
    let kinds: Vec<Option<u32>> = (0..6).map(Some).collect();
    let sent = std::iter::once(configured(config)).chain(frames(0, &kinds)).collect();
    let told = Told::of(client, sent).await;
    let scores: Vec<f32> = told.results().iter().map(|result| figure(scores(result))).collect();
    let by_score = |a: &&u32, b: &&u32| scores[**a as usize].total_cmp(&scores[**b as usize]);
    let kinds: Vec<u32> = (0..6).collect();
    let (fits, fails) = (kinds.iter().max_by(by_score), kinds.iter().min_by(by_score));
    let (fits, fails) = (*fits.unwrap(), *fails.unwrap());
    let (high, low) = (scores[fits as usize], scores[fails as usize]);
    assert!(high - low > 1e-4, "the pictures differ too little: {low} to {high}");
    let between = |share: f32| Some(low + share * (high - low));
    let query = v1::VerdictQuery {
        prompts: vec![v1::VerdictPrompt { prompt: PROMPTS[0].to_owned(), ..Default::default() }],
        time_constant: Some(millis(0)),
        min_duration: Some(millis(0)),
        max_gap: Some(millis(500)),
        min_frames: Some(1),
        open_at: between(0.7),
        close_at: between(0.3),
        ..Default::default()
    };
    Known { fits: Some(fits), fails: Some(fails), query }
}

fn scores(result: &v1::FrameResult) -> &[v1::Score] {
    match &result.outcome {
        Some(Outcome::Ok(answer)) => &answer.similarity.as_ref().unwrap().scores,
        other => panic!("{other:?} has no scores"),
    }
}

fn contrast(scores: &[v1::Score]) -> f32 {
    scores[0].contrast
}

async fn told(
    client: &mut Client,
    query: &v1::VerdictQuery,
    sent: Vec<v1::VerifyStreamRequest>,
) -> Told {
    let sent = std::iter::once(configured(asking(query.clone()))).chain(sent).collect();
    let told = Told::of(client, sent).await;
    assert!(told.end.is_ok(), "{:?}", told.end);
    told
}

#[tokio::test(flavor = "multi_thread")]
async fn segments_open_and_close_after_their_frames_and_stand_in_the_summary() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fits, fails, query } = known(&mut client, contrast).await;
    let kinds = [fails, fails, fits, fits, fits, fails, fails, fits, fits];
    let told = told(&mut client, &query, frames(10, &kinds)).await;
    let expected = [Absent, Absent, Present, Present, Present, Absent, Absent, Present, Present];
    assert_eq!(told.verdicts(), expected);
    assert_eq!(
        told.events(),
        [
            (Some(12), SegmentChange::Opened, 12, 12),
            (Some(15), SegmentChange::ClosedScoreFell, 12, 14),
            (Some(17), SegmentChange::Opened, 17, 17),
            (None, SegmentChange::ClosedStreamEnded, 17, 18),
        ]
    );
    let open = told.results()[4].verdicts[0].clone();
    assert_eq!(open.prompt, PROMPTS[0]);
    assert_eq!(open.score, Some(contrast(scores(told.results()[4]))));
    let segment = open.segment.unwrap();
    assert_eq!((segment.start, segment.end), (Some(millis(1200)), Some(millis(1400))));
    assert_eq!(segment.frames, 3);
    let summary = told.summary();
    assert_eq!(summary.time_basis(), v1::TimeBasis::Presentation);
    let [prompt] = &summary.prompts[..] else { panic!("one prompt was asked for") };
    assert_eq!((prompt.verdict(), prompt.segment_count), (Present, 2));
    assert_eq!((prompt.scored_frames, prompt.missing_frames), (9, 0));
    assert_eq!(prompt.observed, Some(millis(800)));
    assert!((prompt.share_present.unwrap() - 3.0 / 8.0).abs() < 1e-6);
    let spans: Vec<_> =
        prompt.segments.iter().map(|s| (s.first_sequence, s.last_sequence)).collect();
    assert_eq!(spans, [(12, 14), (17, 18)]);
    let peak = prompt.peak.as_ref().unwrap();
    assert!((12..=18).contains(&peak.sequence) && peak.score >= query.open_at.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_without_a_result_leave_a_gap_and_then_no_verdict() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fits, query, .. } = known(&mut client, contrast).await;
    let query = v1::VerdictQuery { max_missing: Some(1.0), ..query };
    let kinds = [fits, None, None, None, None, None, None, fits];
    let told = told(&mut client, &query, frames(0, &kinds)).await;
    assert_eq!(
        told.events(),
        [
            (Some(0), SegmentChange::Opened, 0, 0),
            (Some(6), SegmentChange::ClosedGap, 0, 0),
            (Some(7), SegmentChange::Opened, 7, 7),
            (None, SegmentChange::ClosedStreamEnded, 7, 7),
        ]
    );
    let mut expected = vec![Present; 8];
    expected[6] = Inconclusive;
    assert_eq!(told.verdicts(), expected);
    assert_eq!(told.reasons(6), [VerdictReason::Stale]);
    let prompt = &told.summary().prompts[0];
    assert_eq!((prompt.scored_frames, prompt.missing_frames), (2, 6));
    assert_eq!(prompt.share_present, None, "the gap is longer than what counts as observed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_that_jumps_back_starts_anew() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fits, query, .. } = known(&mut client, contrast).await;
    let query = v1::VerdictQuery { min_frames: Some(2), ..query };
    let times = [9000, 9100, 9200, 0, 100];
    let sent = (1..).zip(times).map(|(n, ms)| frame(n, Some(ms), fits)).collect();
    let told = told(&mut client, &query, sent).await;
    assert_eq!(
        told.events(),
        [
            (Some(2), SegmentChange::Opened, 1, 2),
            (Some(4), SegmentChange::ClosedClockJumped, 1, 3),
            (Some(5), SegmentChange::Opened, 4, 5),
            (None, SegmentChange::ClosedStreamEnded, 4, 5),
        ]
    );
    assert_eq!(told.reasons(0), [VerdictReason::TooFewFrames]);
    let jumped = [VerdictReason::ClockJumped, VerdictReason::TooFewFrames];
    assert_eq!(told.reasons(3), jumped);
    assert_eq!(told.summary().clock_jumps, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_query_goes_on_and_another_one_starts_anew() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fits, query, .. } = known(&mut client, contrast).await;
    let quiet = v1::VerdictQuery { omit_from_results: true, ..query.clone() };
    let longer = v1::VerdictQuery { max_gap: Some(millis(900)), ..query.clone() };
    let nothing = v1::StreamConfig { verdicts: None, ..asking(query.clone()) };
    let sent = [
        frames(1, &[fits]),
        vec![configured(asking(quiet))],
        frames(2, &[fits]),
        vec![configured(asking(longer))],
        frames(3, &[fits]),
        vec![configured(nothing)],
        frames(4, &[fits]),
    ];
    let told = told(&mut client, &query, sent.concat()).await;
    assert_eq!(
        told.events(),
        [
            (Some(1), SegmentChange::Opened, 1, 1),
            (Some(3), SegmentChange::ClosedReconfigured, 1, 2),
            (Some(3), SegmentChange::Opened, 3, 3),
            (Some(4), SegmentChange::ClosedReconfigured, 3, 3),
        ]
    );
    let said: Vec<usize> = told.results().iter().map(|result| result.verdicts.len()).collect();
    assert_eq!(said, [1, 0, 1, 0]);
    let prompt = &told.summary().prompts[0];
    assert_eq!((prompt.segment_count, prompt.scored_frames), (1, 1), "of the last query");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_margin_is_judged_against_its_opposite() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let margin = |scores: &[v1::Score]| scores[0].cosine - scores[1].cosine;
    let Known { fits, fails, mut query } = known(&mut client, margin).await;
    query.figure = v1::VerdictFigure::Margin.into();
    query.prompts[0].opposite = PROMPTS[1].to_owned();
    let told = told(&mut client, &query, frames(0, &[fails, fits, fails])).await;
    let score = told.results()[1].verdicts[0].score.unwrap();
    assert!((score - margin(scores(told.results()[1]))).abs() < 1e-6);
    assert_eq!(
        told.events(),
        [(Some(1), SegmentChange::Opened, 1, 1), (Some(2), SegmentChange::ClosedScoreFell, 1, 1)]
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reused_result_is_no_further_observation() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fits, query, .. } = known(&mut client, contrast).await;
    let query = v1::VerdictQuery { min_frames: Some(3), ..query };
    let reuse = Some(v1::Reuse { max_frames: Some(100), ..Default::default() });
    let config = v1::StreamConfig { reuse, max_in_flight: Some(1), ..asking(query.clone()) };
    let sent = std::iter::once(configured(config)).chain(frames(0, &[fits; 5])).collect();
    let reused = Told::of(&mut client, sent).await;
    assert_eq!(reused.results().iter().filter(|r| r.reused_from.is_some()).count(), 4);
    assert_eq!(reused.verdicts(), [Inconclusive; 5]);
    assert_eq!(reused.reasons(4), [VerdictReason::TooFewFrames]);
    let computed = told(&mut client, &query, frames(0, &[fits; 5])).await;
    assert_eq!(computed.verdicts()[2..], [Present; 3]);
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_an_earlier_stream_answered_are_not_missing() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fails, query, .. } = known(&mut client, contrast).await;
    let config = v1::StreamConfig { resume_after: Some(3), ..asking(query) };
    let sent = std::iter::once(configured(config)).chain(frames(1, &[fails; 5])).collect();
    let told = Told::of(&mut client, sent).await;
    assert_eq!(told.reasons(2), [VerdictReason::NotScored]);
    assert_eq!(told.verdicts()[3..], [Absent; 2]);
    let prompt = &told.summary().prompts[0];
    assert_eq!((prompt.scored_frames, prompt.missing_frames), (2, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn frames_that_do_not_say_when_are_timed_by_their_numbers_or_their_arrival() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let Known { fails, query, .. } = known(&mut client, contrast).await;
    let sent = || [3, 4, 8].map(|n| frame(n, None, fails)).to_vec();
    let numbered = v1::VerdictQuery { frame_interval: Some(millis(40)), ..query.clone() };
    let by_number = told(&mut client, &numbered, sent()).await;
    assert_eq!(by_number.summary().time_basis(), v1::TimeBasis::Sequence);
    assert_eq!(by_number.summary().prompts[0].observed, Some(millis(200)));
    let by_arrival = told(&mut client, &query, sent()).await;
    assert_eq!(by_arrival.summary().time_basis(), v1::TimeBasis::Arrival);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bad_query_is_refused_by_field() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let without = v1::StreamConfig {
        detection: Some(v1::DetectionQuery::default()),
        verdicts: Some(v1::VerdictQuery::default()),
        ..Default::default()
    };
    let unknown = v1::VerdictPrompt { prompt: "a nose".to_owned(), ..Default::default() };
    let unknown = v1::VerdictQuery { prompts: vec![unknown], ..Default::default() };
    let upside_down = v1::VerdictQuery { close_at: Some(0.5), ..Default::default() };
    for (config, field, part) in [
        (without, "config.verdicts", "set similarity"),
        (asking(unknown), "config.verdicts.prompts[0].prompt", "'a nose' is not among"),
        (asking(upside_down), "config.verdicts.open_at", "above close_at, 0.5"),
    ] {
        let told = Told::of(&mut client, vec![configured(config)]).await;
        assert_refused(&told.end.unwrap_err(), field, part);
    }
}
