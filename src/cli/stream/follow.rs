//! One stream of frames to its end, over as many calls as that takes.
//!
//! What was sent and is not answered is kept, so that a stream that breaks, or that its server hands
//! back, goes on where it was: docs/streams.md, "Going on after a break".

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use anyhow::Context;
use futures::FutureExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status};
use tonic_types::StatusExt;

use super::source::Next;
use crate::cli::client::{Client, explained};
use crate::proto::v1;
use crate::proto::v1::verify_stream_request::Message as Asked;
use crate::proto::v1::verify_stream_response::Message;

/// Frames that are kept until they are answered: as many as a server's widest window.
const KEPT: usize = 64;
/// The first wait before another call where one failed; each next one is twice as long.
const FIRST_WAIT: Duration = Duration::from_millis(100);
const LONGEST_WAIT: Duration = Duration::from_secs(2);

/// What came of a stream.
pub(super) enum Heard {
    /// A frame's result; they come in order, each once.
    Result(Box<v1::FrameResult>),
    /// A segment opened or closed.
    Event(v1::SegmentEvent),
    /// A call ended in order.
    Summary(v1::StreamSummary),
    /// The stream goes on in another call, for this reason.
    GoesOn(String),
}

/// A stream on its way.
pub(super) struct Follower {
    client: Client,
    config: v1::StreamConfig,
    /// How long it is tried to go on, without a result.
    patience: Duration,
    unanswered: VecDeque<v1::Frame>,
    last: Option<u64>,
    /// When something last came of it.
    alive: Instant,
    /// Why there are no more frames, where that is an error; told once those before it are answered.
    failed: Option<anyhow::Error>,
}

/// How one call ended.
enum Ended {
    /// Every frame has its result.
    Done,
    /// It can go on in another one.
    Broken(Status),
}

impl Follower {
    pub(super) fn new(client: Client, config: v1::StreamConfig, patience: Duration) -> Self {
        let alive = Instant::now();
        let unanswered = VecDeque::new();
        Self { client, config, patience, unanswered, last: None, alive, failed: None }
    }

    /// Sends every frame, and tells all that comes of it. Where `stop` ends, no more frames are
    /// sent, and those that were are still told.
    pub(super) async fn run(
        mut self,
        mut frames: mpsc::Receiver<Next>,
        stop: impl Future<Output = ()>,
        mut told: impl FnMut(Heard),
    ) -> anyhow::Result<()> {
        // Asked again in the next call, also where it has ended.
        let stop = stop.fuse();
        tokio::pin!(stop);
        let mut wait = Duration::ZERO;
        loop {
            let before = self.last;
            let broken = match self.call(&mut frames, stop.as_mut(), &mut told).await? {
                Ended::Done => return self.failed.map_or(Ok(()), Err),
                Ended::Broken(status) => status,
            };
            wait = if self.last == before {
                (wait * 2).clamp(FIRST_WAIT, LONGEST_WAIT)
            } else {
                Duration::ZERO
            };
            if self.alive.elapsed() > self.patience {
                let resume = self.last.map_or_else(String::new, |last| {
                    format!("; every frame up to {last} has its result")
                });
                return Err(explained(&broken)).with_context(|| {
                    format!("gave up after {:.0?} without a result{resume}", self.patience)
                });
            }
            told(Heard::GoesOn(broken.message().to_owned()));
            tokio::time::sleep(asked_wait(&broken).unwrap_or(wait)).await;
        }
    }

    /// One call: from the frame after the last result, to its end.
    async fn call(
        &mut self,
        frames: &mut mpsc::Receiver<Next>,
        mut stop: std::pin::Pin<&mut impl Future<Output = ()>>,
        told: &mut impl FnMut(Heard),
    ) -> anyhow::Result<Ended> {
        // Never full: it holds the configuration and frames that are kept.
        let (sender, receiver) = mpsc::channel(KEPT + 1);
        let config = v1::StreamConfig { resume_after: self.last, ..self.config.clone() };
        let again = self.unanswered.iter().cloned().map(Asked::Frame);
        for message in std::iter::once(Asked::Config(config)).chain(again) {
            send(&sender, message)?;
        }
        let mut answers = match self.client.verify_stream(ReceiverStream::new(receiver)).await {
            Ok(answers) => answers.into_inner(),
            Err(status) => return broken(status),
        };
        let mut sender = Some(sender);
        loop {
            tokio::select! {
                answer = answers.message() => match answer {
                    Ok(Some(answer)) => self.hear(answer, told),
                    Ok(None) => return self.end(),
                    Err(status) => return broken(status),
                },
                frame = frames.recv(), if sender.is_some() && self.unanswered.len() < KEPT => {
                    match (frame, &sender) {
                        (Some(Ok(frame)), Some(sender)) => {
                            self.unanswered.push_back(frame.clone());
                            // Where the call has broken, the answers say so.
                            drop(sender.try_send(request(Asked::Frame(frame))));
                        }
                        (Some(Err(error)), _) => self.failed = Some(error),
                        (Some(Ok(_)) | None, _) => sender = None,
                    }
                },
                () = &mut stop, if sender.is_some() => {
                    frames.close();
                    while frames.try_recv().is_ok() {}
                    sender = None;
                }
            }
        }
    }

    fn hear(&mut self, answer: v1::VerifyStreamResponse, told: &mut impl FnMut(Heard)) {
        self.alive = Instant::now();
        match answer.message {
            Some(Message::Result(result)) => {
                while self.unanswered.front().is_some_and(|frame| frame.sequence <= result.sequence)
                {
                    self.unanswered.pop_front();
                }
                self.last = Some(result.sequence);
                told(Heard::Result(Box::new(result)));
            }
            Some(Message::Event(event)) => told(Heard::Event(event)),
            Some(Message::Summary(summary)) => told(Heard::Summary(summary)),
            None => {}
        }
    }

    fn end(&self) -> anyhow::Result<Ended> {
        let left = self.unanswered.len();
        anyhow::ensure!(left == 0, "the server ended the stream with {left} frames unanswered");
        Ok(Ended::Done)
    }
}

fn request(message: Asked) -> v1::VerifyStreamRequest {
    v1::VerifyStreamRequest { message: Some(message) }
}

fn send(sender: &mpsc::Sender<v1::VerifyStreamRequest>, message: Asked) -> anyhow::Result<()> {
    sender.try_send(request(message)).context("more frames are kept than may be sent at once")
}

/// A call that another one can follow, or the error that ends it all.
fn broken(status: Status) -> anyhow::Result<Ended> {
    // A connection that breaks has an error of the transport as its source, whatever its code.
    let lost = std::error::Error::source(&status).is_some();
    let asked = status.code() == Code::ResourceExhausted && asked_wait(&status).is_some();
    if lost || asked || status.code() == Code::Unavailable {
        return Ok(Ended::Broken(status));
    }
    Err(explained(&status))
}

/// How long the server wants it left alone.
fn asked_wait(status: &Status) -> Option<Duration> {
    status.get_details_retry_info()?.retry_delay
}
