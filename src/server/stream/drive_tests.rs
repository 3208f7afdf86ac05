//! A stream driven by frames whose work the test holds in its hands, on a clock that stands still
//! but when everybody waits.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures::future::BoxFuture;
use futures::{FutureExt, StreamExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::account::{Closing, End};
use super::drive::{Driver, Setup};
use super::intake::Intake;
use super::limits::StreamLimits;
use super::work::{Answered, Frames, Job};
use crate::proto::v1;
use crate::proto::v1::frame_result::Outcome;
use crate::proto::v1::verify_stream_request::Message;
use crate::proto::v1::verify_stream_response::Message as Answer;
use crate::server::limits::RequestLimits;
use crate::server::notes::Notes;
use crate::serving::ServingError;
use crate::telemetry::traces::FrameSpans;
use crate::verification::VerifyRequest;

/// What has become of the work on each frame.
#[derive(Default)]
struct Bench {
    /// How to end the work, for each frame that there was work on.
    gates: BTreeMap<u64, oneshot::Sender<()>>,
    given_up: BTreeSet<u64>,
}

/// Work that ends when the test says so.
#[derive(Clone, Default)]
struct Benches(Arc<Mutex<Bench>>);

impl Benches {
    fn finish(&self, sequence: u64) {
        self.0.lock().unwrap().gates.remove(&sequence).unwrap().send(()).unwrap();
    }

    fn given_up(&self) -> Vec<u64> {
        self.0.lock().unwrap().given_up.iter().copied().collect()
    }
}

/// Tells the bench if it is dropped before the work has ended.
struct Piece(Benches, Option<u64>);

impl Piece {
    fn end(&mut self) {
        self.1 = None;
    }
}

impl Drop for Piece {
    fn drop(&mut self) {
        self.0.0.lock().unwrap().given_up.extend(self.1);
    }
}

impl Frames for Benches {
    fn knows(&self, _asked: &VerifyRequest) -> Result<(), ServingError> {
        Ok(())
    }

    fn work(&self, job: Job) -> BoxFuture<'static, Result<Answered, ServingError>> {
        let (gate, opened) = oneshot::channel();
        self.0.lock().unwrap().gates.insert(job.sequence, gate);
        let benches = self.clone();
        async move {
            let mut piece = Piece(benches, Some(job.sequence));
            let result = match job.deadline {
                None => opened.await,
                Some(deadline) => tokio::time::timeout_at(deadline.into(), opened)
                    .await
                    .map_err(|_| ServingError::Expired("the bench".to_owned()))?,
            };
            result.unwrap();
            piece.end();
            let score = v1::Score { contrast: 1.0, ..Default::default() };
            let similarity = v1::SimilarityResult { scores: vec![score], ..Default::default() };
            let response =
                v1::VerifyResponse { similarity: Some(similarity), ..Default::default() };
            Ok(Answered { response, reused_from: None })
        }
        .boxed()
    }
}

/// A stream on its way.
struct Staged {
    benches: Benches,
    requests: Option<mpsc::Sender<Result<v1::VerifyStreamRequest, Status>>>,
    read: Arc<Mutex<usize>>,
    results: mpsc::Receiver<v1::VerifyStreamResponse>,
    draining: CancellationToken,
    task: JoinHandle<Option<(End, Closing)>>,
}

fn config() -> v1::StreamConfig {
    let prompts = vec!["a".to_owned()];
    let similarity = Some(v1::SimilarityQuery { prompts, ..Default::default() });
    v1::StreamConfig { similarity, max_in_flight: Some(3), ..Default::default() }
}

fn with(policy: v1::OverloadPolicy) -> v1::StreamConfig {
    v1::StreamConfig { policy: policy.into(), ..config() }
}

impl Staged {
    fn new(config: v1::StreamConfig) -> Self {
        Self::until(config, None)
    }

    fn until(config: v1::StreamConfig, limit: Option<Duration>) -> Self {
        Self::within(config, limit, None)
    }

    fn within(config: v1::StreamConfig, limit: Option<Duration>, age: Option<Duration>) -> Self {
        let benches = Benches::default();
        let intake = Intake::open(config, RequestLimits::default(), 2, |_| Ok(())).unwrap();
        let (requests, receiver) = mpsc::channel(1000);
        let read = Arc::new(Mutex::new(0));
        let counted = Arc::clone(&read);
        let receiver =
            ReceiverStream::new(receiver).inspect(move |_| *counted.lock().unwrap() += 1);
        let draining = CancellationToken::new();
        let limits = StreamLimits { max_unsent_drops: 5, ..StreamLimits::default() };
        let deadline = limit.map(|limit| (Instant::now() + limit).into_std());
        let driver = Driver::new(Setup {
            requests: receiver,
            intake,
            frames: benches.clone(),
            limits,
            deadline,
            age,
            draining: draining.clone(),
            spans: FrameSpans::of_this_call(),
            notes: Notes::default(),
        });
        let (sender, results) = mpsc::channel(1);
        let task = tokio::spawn(driver.run(sender));
        Self { benches, requests: Some(requests), read, results, draining, task }
    }

    fn send(&self, message: Message) {
        let request = v1::VerifyStreamRequest { message: Some(message) };
        self.requests.as_ref().unwrap().try_send(Ok(request)).unwrap();
    }

    async fn frames(&self, numbers: impl IntoIterator<Item = u64>) {
        for sequence in numbers {
            self.send(Message::Frame(v1::Frame { sequence, ..Default::default() }));
        }
        settled().await;
    }

    fn read(&self) -> usize {
        *self.read.lock().unwrap()
    }

    /// The next result, which there is.
    async fn result(&mut self) -> v1::FrameResult {
        match self.results.recv().await.unwrap().message.unwrap() {
            Answer::Result(result) => result,
            other @ (Answer::Summary(_) | Answer::Event(_)) => panic!("{other:?}"),
        }
    }

    /// All that is still to come, each as its number and how it ended.
    async fn rest(&mut self) -> Vec<(u64, &'static str)> {
        let mut rest = Vec::new();
        while let Some(response) = self.results.recv().await {
            match response.message.unwrap() {
                Answer::Result(result) => rest.push(ended(&result)),
                other @ (Answer::Summary(_) | Answer::Event(_)) => panic!("{other:?}"),
            }
        }
        rest
    }

    /// How it ended: the summary and the status.
    async fn end(self) -> (v1::StreamSummary, Option<Status>) {
        let (_, Closing { summary, status, .. }) = self.task.await.unwrap().unwrap();
        (summary, status)
    }
}

/// Returns when everybody waits: only then does the clock go on.
async fn settled() {
    tokio::time::sleep(Duration::from_millis(1)).await;
}

fn ended(result: &v1::FrameResult) -> (u64, &'static str) {
    let how = match result.outcome.as_ref().unwrap() {
        Outcome::Ok(_) => "ok",
        Outcome::Expired(_) => "expired",
        Outcome::Error(_) => "error",
        Outcome::Dropped(dropped) => match dropped.reason() {
            v1::DropReason::Replaced => "replaced",
            v1::DropReason::WindowFull => "window full",
            v1::DropReason::AlreadyAnswered => "already answered",
            v1::DropReason::Unspecified => panic!("{result:?}"),
        },
    };
    (result.sequence, how)
}

#[tokio::test(start_paused = true)]
async fn results_keep_the_order_of_the_frames_and_a_half_close_ends_in_a_summary() {
    let mut stream = Staged::new(config());
    stream.frames(1..=5).await;
    assert_eq!(stream.read(), 3, "the window is full");
    stream.benches.finish(3);
    stream.benches.finish(2);
    settled().await;
    assert!(stream.results.is_empty() && stream.read() == 3);
    stream.benches.finish(1);
    settled().await;
    for number in 1..=3 {
        assert_eq!(ended(&stream.result().await), (number, "ok"));
    }
    stream.requests = None;
    settled().await;
    stream.benches.finish(5);
    stream.benches.finish(4);
    assert_eq!(stream.rest().await, [(4, "ok"), (5, "ok")]);
    let (summary, status) = stream.end().await;
    assert!(status.is_none());
    assert_eq!(summary.end(), v1::StreamEnd::ClientClosed);
    assert_eq!((summary.frames, summary.ok, summary.last_sequence), (5, 5, Some(5)));
}

#[tokio::test(start_paused = true)]
async fn a_reader_that_reads_nothing_is_read_no_further_and_given_up() {
    let started = Instant::now();
    let mut stream = Staged::new(config());
    stream.frames(1..=500).await;
    let mut finished = 0;
    while finished < stream.read() {
        finished += 1;
        stream.benches.finish(finished as u64);
        settled().await;
    }
    // Three in the window, one on its way.
    assert_eq!(stream.read(), 4);
    let end = (&mut stream.task).await.unwrap().unwrap();
    assert!(matches!(end.0, End::ReaderStuck(_)), "{:?}", end.0);
    let after = started.elapsed();
    assert!((60..61).contains(&after.as_secs()), "{after:?}");
    let Closing { summary, status, .. } = end.1;
    assert_eq!(status.unwrap().code(), Code::Aborted);
    assert_eq!((summary.end(), summary.last_sequence), (v1::StreamEnd::ReaderStuck, Some(1)));
    assert_eq!(stream.rest().await, [(1, "ok")], "what was on its way can still be read");
}

/// Verdicts from the first frame on; every frame of the bench fits.
fn with_verdicts() -> v1::StreamConfig {
    let verdicts = v1::VerdictQuery {
        min_frames: Some(1),
        min_duration: Some(prost_types::Duration::default()),
        ..Default::default()
    };
    v1::StreamConfig { verdicts: Some(verdicts), ..config() }
}

fn changes(events: &[v1::SegmentEvent]) -> Vec<v1::SegmentChange> {
    events.iter().map(v1::SegmentEvent::change).collect()
}

#[tokio::test(start_paused = true)]
async fn an_event_follows_its_result_and_goes_before_the_next() {
    let mut stream = Staged::new(with_verdicts());
    stream.frames(1..=3).await;
    for number in 1..=3 {
        stream.benches.finish(number);
    }
    assert_eq!(ended(&stream.result().await), (1, "ok"));
    let Some(Answer::Event(event)) = stream.results.recv().await.unwrap().message else {
        panic!("the segment opens with the first frame");
    };
    assert_eq!((event.sequence, event.change()), (Some(1), v1::SegmentChange::Opened));
    stream.requests = None;
    assert_eq!(stream.rest().await, [(2, "ok"), (3, "ok")]);
    let (_, Closing { events, summary, .. }) = stream.task.await.unwrap().unwrap();
    assert_eq!(changes(&events), [v1::SegmentChange::ClosedStreamEnded]);
    assert_eq!(summary.verdicts.unwrap().prompts[0].segment_count, 1);
}

#[tokio::test(start_paused = true)]
async fn an_event_that_nobody_reads_gives_the_reader_up_and_is_told_at_last() {
    let mut stream = Staged::new(with_verdicts());
    stream.frames([1]).await;
    stream.benches.finish(1);
    let (end, closing) = (&mut stream.task).await.unwrap().unwrap();
    assert!(matches!(end, End::ReaderStuck(_)), "{end:?}");
    let opened_and_closed = [v1::SegmentChange::Opened, v1::SegmentChange::ClosedStreamEnded];
    assert_eq!(changes(&closing.events), opened_and_closed);
    assert_eq!(stream.rest().await, [(1, "ok")]);
}

#[tokio::test(start_paused = true)]
async fn drops_that_nobody_reads_are_bounded_too() {
    let stream = Staged::new(with(v1::OverloadPolicy::DropNewest));
    stream.frames(1..=500).await;
    assert_eq!(stream.read(), 3 + 5);
    let stream = Staged::new(with(v1::OverloadPolicy::DropOldest));
    stream.frames(1..=500).await;
    assert_eq!(stream.read(), 3 + 5);
}

#[tokio::test(start_paused = true)]
async fn the_oldest_frame_but_the_one_at_the_head_makes_room_and_its_work_is_given_up() {
    let mut stream = Staged::new(with(v1::OverloadPolicy::DropOldest));
    stream.frames(1..=5).await;
    assert_eq!(stream.benches.given_up(), [2, 3]);
    for number in [1, 4, 5] {
        stream.benches.finish(number);
    }
    stream.requests = None;
    let rest = stream.rest().await;
    assert_eq!(rest, [(1, "ok"), (2, "replaced"), (3, "replaced"), (4, "ok"), (5, "ok")]);
}

#[tokio::test(start_paused = true)]
async fn a_frame_that_comes_while_the_window_is_full_is_left_out() {
    let mut stream = Staged::new(with(v1::OverloadPolicy::DropNewest));
    stream.frames(1..=4).await;
    stream.benches.finish(1);
    settled().await;
    assert_eq!(ended(&stream.result().await), (1, "ok"));
    stream.frames([5]).await;
    for number in [2, 3, 5] {
        stream.benches.finish(number);
    }
    stream.requests = None;
    assert_eq!(stream.rest().await, [(2, "ok"), (3, "ok"), (4, "window full"), (5, "ok")]);
    assert!(stream.benches.given_up().is_empty());
}

#[tokio::test(start_paused = true)]
async fn an_idle_stream_is_ended_but_not_one_whose_frames_take_long() {
    let started = Instant::now();
    let mut stream = Staged::new(config());
    stream.frames([7]).await;
    tokio::time::sleep(Duration::from_secs(200)).await;
    stream.benches.finish(7);
    assert_eq!(ended(&stream.result().await), (7, "ok"));
    assert_eq!(stream.rest().await, []);
    let after = started.elapsed();
    assert!((260..261).contains(&after.as_secs()), "{after:?}");
    let (summary, status) = stream.end().await;
    assert_eq!((summary.end(), summary.last_sequence), (v1::StreamEnd::Idle, Some(7)));
    let status = status.unwrap();
    assert_eq!(status.code(), Code::Aborted);
    assert!(status.message().contains("nothing came on the stream for 60s"), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_shuts_down_finishes_what_it_accepted_and_reads_no_further() {
    let mut stream = Staged::new(config());
    stream.frames(1..=2).await;
    stream.draining.cancel();
    stream.frames(3..=4).await;
    assert_eq!(stream.read(), 2);
    stream.benches.finish(2);
    stream.benches.finish(1);
    assert_eq!(stream.rest().await, [(1, "ok"), (2, "ok")]);
    let (summary, status) = stream.end().await;
    assert_eq!((summary.end(), summary.last_sequence), (v1::StreamEnd::Draining, Some(2)));
    let status = status.unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("resume_after 2"), "{status:?}");
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_old_enough_finishes_what_it_accepted_and_tells_where_to_go_on() {
    let mut stream = Staged::within(config(), None, Some(Duration::from_secs(5)));
    stream.frames(1..=2).await;
    tokio::time::sleep(Duration::from_secs(5)).await;
    stream.frames(3..=4).await;
    assert_eq!(stream.read(), 2);
    stream.benches.finish(1);
    stream.benches.finish(2);
    assert_eq!(stream.rest().await, [(1, "ok"), (2, "ok")]);
    let (summary, status) = stream.end().await;
    assert_eq!((summary.end(), summary.last_sequence), (v1::StreamEnd::Aged, Some(2)));
    let status = status.unwrap();
    assert_eq!(status.code(), Code::Unavailable);
    assert!(status.message().contains("resume_after 2"), "{status:?}");
    assert_eq!(status.get_error_details().error_info().unwrap().reason, "STREAM_AGED");
}

#[tokio::test(start_paused = true)]
async fn at_the_calls_deadline_every_frame_without_a_result_is_expired() {
    let started = Instant::now();
    let mut stream = Staged::until(config(), Some(Duration::from_secs(5)));
    stream.frames(1..=3).await;
    stream.benches.finish(2);
    settled().await;
    assert_eq!(stream.rest().await, [(1, "expired"), (2, "ok"), (3, "expired")]);
    assert_eq!(started.elapsed().as_secs(), 5);
    assert_eq!(stream.benches.given_up(), [1, 3]);
    let (summary, status) = stream.end().await;
    assert_eq!(summary.end(), v1::StreamEnd::Deadline);
    assert_eq!(status.unwrap().code(), Code::DeadlineExceeded);
}

#[tokio::test(start_paused = true)]
async fn a_frames_own_limit_counts_while_it_waits_for_a_place_too() {
    let frame_timeout = Some(prost_types::Duration { seconds: 2, nanos: 0 });
    let first = with(v1::OverloadPolicy::Wait);
    let mut stream = Staged::new(first);
    stream.frames(1..=2).await;
    // The window shrinks below what it holds, so that the next frame waits.
    let narrow = v1::StreamConfig { max_in_flight: Some(1), frame_timeout, ..config() };
    let narrow = v1::StreamConfig { from_sequence: Some(3), ..narrow };
    stream.send(Message::Config(narrow));
    stream.frames(3..=4).await;
    assert_eq!(stream.read(), 4, "frame 3 waits, frame 4 is not read");
    tokio::time::sleep(Duration::from_secs(3)).await;
    stream.benches.finish(1);
    stream.benches.finish(2);
    settled().await;
    for expected in [(1, "ok"), (2, "ok"), (3, "expired")] {
        assert_eq!(ended(&stream.result().await), expected);
    }
    settled().await;
    stream.benches.finish(4);
    assert_eq!(ended(&stream.result().await), (4, "ok"));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_accepted_ends_the_stream_after_the_results_before_it() {
    let cases: [(&str, Result<Message, Status>, Code); 3] = [
        (
            "config.policy",
            Ok(Message::Config(v1::StreamConfig { policy: 9, ..config() })),
            Code::InvalidArgument,
        ),
        (
            "config.resume_after",
            Ok(Message::Config(v1::StreamConfig { resume_after: Some(3), ..config() })),
            Code::InvalidArgument,
        ),
        ("too large", Err(Status::out_of_range("the message is too large")), Code::OutOfRange),
    ];
    for (part, message, code) in cases {
        let mut stream = Staged::new(config());
        stream.frames([1]).await;
        let request = message.map(|message| v1::VerifyStreamRequest { message: Some(message) });
        stream.requests.as_ref().unwrap().try_send(request).unwrap();
        stream.frames([2]).await;
        stream.benches.finish(1);
        assert_eq!(stream.rest().await, [(1, "ok")]);
        let (summary, status) = stream.end().await;
        assert_eq!(summary.end(), v1::StreamEnd::Refused);
        let status = status.unwrap();
        assert_eq!(status.code(), code);
        assert!(status.message().contains(part), "{status:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_is_reset_drops_all_of_its_work() {
    let mut stream = Staged::new(config());
    stream.frames(1..=3).await;
    stream.task.abort();
    assert!((&mut stream.task).await.unwrap_err().is_cancelled());
    assert_eq!(stream.benches.given_up(), [1, 2, 3]);

    let Staged { benches, results, task, requests, .. } = Staged::new(config());
    let _open = requests;
    drop(results);
    assert!(task.await.unwrap().is_none(), "nobody reads any more");
    assert!(benches.given_up().is_empty());
}

#[tokio::test(start_paused = true)]
async fn frames_that_have_their_result_are_not_computed_again() {
    let mut stream = Staged::new(v1::StreamConfig { resume_after: Some(6), ..config() });
    stream.frames([2, 6, 7]).await;
    stream.benches.finish(7);
    stream.requests = None;
    let rest = stream.rest().await;
    assert_eq!(rest, [(2, "already answered"), (6, "already answered"), (7, "ok")]);
}
