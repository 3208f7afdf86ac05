//! Clients that behave, and clients that do not.

use std::time::Duration;

use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use rand::RngCore;
use tonic::{Code, Request};
use veriframe::proto::v1;
use veriframe::proto::v1::frame_result::Outcome;
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::proto::v1::{OverloadPolicy, StreamConfig, VerifyStreamRequest};

use super::{once_in, seeded};
use crate::support::{Client, detection, encoded, jpeg, png, similarity};

/// How a client behaves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Manner {
    /// Sends as fast as it may and reads everything, with this policy.
    Steady(OverloadPolicy),
    /// Lets the server reuse the results of like frames.
    Reuses,
    /// Reads nothing until it has sent everything it can.
    ReadsLate,
    /// Goes away in the middle.
    Resets,
    /// Sends frames that are cut, empty or noise.
    Corrupts,
    /// Its sequence and its clock jump back and forth.
    ClockJumps,
    /// Wants its results at once or not at all.
    Hasty,
}

impl Manner {
    pub(super) const ALL: [Self; 9] = [
        Self::Steady(OverloadPolicy::Wait),
        Self::Steady(OverloadPolicy::DropOldest),
        Self::Steady(OverloadPolicy::DropNewest),
        Self::Reuses,
        Self::ReadsLate,
        Self::Resets,
        Self::Corrupts,
        Self::ClockJumps,
        Self::Hasty,
    ];

    /// Whether its frames may be dropped.
    fn drops(self) -> bool {
        matches!(self, Self::Steady(OverloadPolicy::DropOldest | OverloadPolicy::DropNewest))
    }

    fn config(self, random: &mut impl RngCore) -> StreamConfig {
        let policy = match self {
            Self::Steady(policy) => policy,
            Self::Reuses
            | Self::ReadsLate
            | Self::Resets
            | Self::Corrupts
            | Self::ClockJumps
            | Self::Hasty => OverloadPolicy::Wait,
        };
        let timeout = (self == Self::Hasty)
            .then_some(prost_types::Duration { seconds: 0, nanos: 20_000_000 });
        StreamConfig {
            similarity: similarity(&["a face", "uneven teeth"]),
            detection: if once_in(2, random) { detection() } else { None },
            policy: policy.into(),
            max_in_flight: Some(1 + random.next_u32() % 12),
            frame_timeout: timeout,
            reuse: (self == Self::Reuses).then(v1::Reuse::default),
            ..StreamConfig::default()
        }
    }

    /// The frames, made as they are sent.
    fn frames(self, seed: u64, count: u64) -> impl Iterator<Item = VerifyStreamRequest> {
        let mut random = seeded(seed);
        (1..=count).map(move |number| {
            let kind = if self == Self::Reuses { 0 } else { random.next_u32() % 4 };
            let mut bytes = if once_in(2, &mut random) { png(kind) } else { jpeg(kind) };
            let mut sequence = number;
            let mut seconds = number as i64;
            if self == Self::Corrupts && once_in(3, &mut random) {
                match random.next_u32() % 3 {
                    0 => bytes.truncate(bytes.len() / 3),
                    1 => bytes.clear(),
                    _ => random.fill_bytes(&mut bytes),
                }
            }
            if self == Self::ClockJumps && once_in(3, &mut random) {
                sequence = number.saturating_sub(u64::from(random.next_u32() % 4));
                seconds = [i64::MIN, -1, 0, i64::MAX][random.next_u32() as usize % 4];
            }
            let time = Some(prost_types::Duration { seconds, nanos: 0 });
            let frame = v1::Frame { sequence, presentation_time: time, image: encoded(bytes) };
            VerifyStreamRequest { message: Some(Sent::Frame(frame)) }
        })
    }
}

/// What clients were told, in numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    pub(super) frames: u64,
    pub(super) ok: u64,
    pub(super) reused: u64,
    pub(super) dropped: u64,
    pub(super) expired: u64,
    pub(super) errors: u64,
    /// Sent by a client that went away before their results.
    pub(super) cut_off: u64,
}

impl Told {
    pub(super) fn add(&mut self, other: &Self) {
        self.frames += other.frames;
        self.ok += other.ok;
        self.reused += other.reused;
        self.dropped += other.dropped;
        self.expired += other.expired;
        self.errors += other.errors;
        self.cut_off += other.cut_off;
    }

    fn count(&mut self, result: &v1::FrameResult) {
        self.frames += 1;
        self.reused += u64::from(result.reused_from.is_some());
        match result.outcome.as_ref().expect("a result has an outcome") {
            Outcome::Ok(_) => self.ok += 1,
            Outcome::Dropped(_) => self.dropped += 1,
            Outcome::Expired(_) => self.expired += 1,
            Outcome::Error(_) => self.errors += 1,
        }
    }
}

/// One stream to its end, or to where its client leaves it; what is not as promised panics.
pub(super) async fn run(manner: Manner, seed: u64, count: u64, mut client: Client) -> Told {
    let mut random = seeded(!seed);
    if manner == Manner::Corrupts || manner == Manner::Hasty {
        refuse_absurd(&mut client, &mut random).await;
    }
    let sent = requests(manner, manner.config(&mut random), seed, count);
    let mut responses = client.verify_stream(Request::new(sent)).await.unwrap().into_inner();
    if manner == Manner::ReadsLate {
        // Long enough for the server to have filled whatever it fills.
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
    let leaves_after = if manner == Manner::Resets { random.next_u64() % count } else { u64::MAX };
    let mut told = Told::default();
    let mut expected = manner.frames(seed, count).map(sequence);
    while let Some(response) = responses.next().await {
        let response = response.unwrap_or_else(|status| panic!("{manner:?} {seed}: {status:?}"));
        match response.message.expect("a response has a message") {
            Message::Event(event) => panic!("{manner:?} {seed}: nobody asked for {event:?}"),
            Message::Result(result) => {
                told.count(&result);
                assert_eq!(
                    Some(result.sequence),
                    expected.next(),
                    "{manner:?} {seed}: out of order"
                );
            }
            Message::Summary(summary) => {
                assert_eq!(expected.next(), None, "{manner:?} {seed}: frames without a result");
                assert!(responses.next().await.is_none(), "{manner:?}: the summary is last");
                let counts =
                    [summary.frames, summary.ok, summary.dropped, summary.expired, summary.errors];
                assert_eq!(
                    counts,
                    [told.frames, told.ok, told.dropped, told.expired, told.errors],
                    "{manner:?}"
                );
                check(manner, &told);
                return told;
            }
        }
        if told.frames > leaves_after {
            told.cut_off = count - told.frames;
            return told;
        }
    }
    panic!("{manner:?} {seed}: the stream ended without a summary");
}

/// What a client sends.
fn requests(
    manner: Manner,
    config: StreamConfig,
    seed: u64,
    count: u64,
) -> BoxStream<'static, VerifyStreamRequest> {
    let config = VerifyStreamRequest { message: Some(Sent::Config(config)) };
    // Those whose frames may be dropped send as a camera does; the others as fast as they may.
    let live = manner.drops();
    let frames = stream::iter(manner.frames(seed, count)).then(move |frame| async move {
        if live {
            tokio::time::sleep(Duration::from_millis(4)).await;
        }
        frame
    });
    stream::iter([config]).chain(frames).boxed()
}

/// What a manner must not bring about.
fn check(manner: Manner, told: &Told) {
    assert!(manner.drops() || told.dropped == 0, "{manner:?} dropped: {told:?}");
    assert!(manner == Manner::Hasty || told.expired == 0, "{manner:?} expired: {told:?}");
    assert!(manner == Manner::Hasty || told.ok > 0, "{manner:?} was not served: {told:?}");
    // A fault fails no more than the frames that met it twice.
    let faulty = matches!(manner, Manner::Corrupts | Manner::ClockJumps);
    assert!(faulty || told.errors * 4 <= told.frames, "{manner:?} failed too often: {told:?}");
}

fn sequence(request: VerifyStreamRequest) -> u64 {
    match request.message {
        Some(Sent::Frame(frame)) => frame.sequence,
        _ => unreachable!("only frames are made here"),
    }
}

/// Configurations that cannot be are refused by name, and cost the connection nothing.
async fn refuse_absurd(client: &mut Client, random: &mut impl RngCore) {
    let absurd = match random.next_u32() % 4 {
        0 => StreamConfig {
            max_in_flight: Some(u32::MAX),
            similarity: similarity(&["a"]),
            ..Default::default()
        },
        1 => StreamConfig { similarity: similarity(&[""]), ..Default::default() },
        2 => StreamConfig {
            detection: Some(v1::DetectionQuery {
                min_confidence: Some(f32::NAN),
                ..Default::default()
            }),
            ..Default::default()
        },
        _ => StreamConfig { policy: 99, similarity: similarity(&["a"]), ..Default::default() },
    };
    let sent = VerifyStreamRequest { message: Some(Sent::Config(absurd)) };
    let status = match client.verify_stream(stream::iter([sent])).await {
        Err(status) => status,
        Ok(responses) => responses.into_inner().next().await.unwrap().unwrap_err(),
    };
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
}
