//! Several servers behind a client's round robin, restarted one after the other under load: no
//! accepted frame is lost, and the streams spread again.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::Code;
use tonic::transport::Channel;
use veriframe::proto::v1;
use veriframe::proto::v1::verify_stream_response::Message;

use crate::program::{PATIENCE, Program};
use crate::stream::{config, configured, frame};
use crate::support::{Client, models, png};

const SERVERS: usize = 3;
const STREAMS: usize = 30;
/// How long the streams may take to be spread again, once the last server is back.
const SPREAD_LIMIT: Duration = Duration::from_secs(30);
/// Streams that a server has at least when they are spread; ten would be its even share.
const FAIR: usize = 6;
/// From one frame of a stream to the next.
const PACE: Duration = Duration::from_millis(250);

/// What all streams know of the servers.
struct Fleet {
    addresses: Vec<SocketAddr>,
    /// Whose turn it is.
    turn: AtomicUsize,
    /// Streams at each server.
    streams: Vec<AtomicUsize>,
    /// Set when no more frames are to be sent.
    stop: AtomicBool,
}

impl Fleet {
    /// Opens a stream at the next server that takes one.
    async fn open(
        &self,
        receiver: mpsc::Receiver<v1::VerifyStreamRequest>,
    ) -> Result<(usize, tonic::Streaming<v1::VerifyStreamResponse>), ()> {
        let server = self.turn.fetch_add(1, Ordering::Relaxed) % SERVERS;
        let endpoint = Channel::from_shared(format!("http://{}", self.addresses[server])).unwrap();
        let channel = endpoint.connect_timeout(PATIENCE).connect().await.map_err(drop)?;
        let mut client = Client::new(channel);
        let opened = client.verify_stream(ReceiverStream::new(receiver)).await;
        match opened {
            Ok(answers) => Ok((server, answers.into_inner())),
            // It drains, or has gone between the connection and the call.
            Err(status) => {
                assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");
                Err(())
            }
        }
    }

    fn spread(&self) -> Vec<usize> {
        self.streams.iter().map(|streams| streams.load(Ordering::Relaxed)).collect()
    }
}

/// A client that streams frames at its pace, and goes on elsewhere where a stream ends: how many
/// frames it sent, and the numbers of its results in the order in which they came.
async fn watch(fleet: Arc<Fleet>) -> (u64, Vec<u64>) {
    let (mut sent, mut results) = (0, Vec::<u64>::new());
    let mut unanswered: VecDeque<v1::VerifyStreamRequest> = VecDeque::new();
    let mut pace = tokio::time::interval(PACE);
    loop {
        let (sender, receiver) = mpsc::channel(1000);
        let asked = v1::StreamConfig { resume_after: results.last().copied(), ..config() };
        for message in std::iter::once(&configured(asked)).chain(&unanswered) {
            sender.try_send(message.clone()).unwrap();
        }
        let Ok((server, mut answers)) = fleet.open(receiver).await else {
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        fleet.streams[server].fetch_add(1, Ordering::Relaxed);
        let mut sender = Some(sender);
        let ended = loop {
            tokio::select! {
                answer = answers.next() => match answer {
                    Some(Ok(answer)) => if let Some(Message::Result(result)) = answer.message {
                        assert!(matches!(result.outcome, Some(v1::frame_result::Outcome::Ok(_))), "{result:?}");
                        results.push(result.sequence);
                        unanswered.pop_front();
                    },
                    Some(Err(status)) => {
                        assert_eq!(status.code(), Code::Unavailable, "{status:?}");
                        break false;
                    }
                    None => break true,
                },
                _ = pace.tick(), if sender.is_some() => {
                    if fleet.stop.load(Ordering::Relaxed) {
                        sender = None;
                        continue;
                    }
                    sent += 1;
                    let message = frame(sent, png(sent as u32 % 4));
                    unanswered.push_back(message.clone());
                    // Where the stream has ended, its status tells.
                    if let Some(sender) = &sender {
                        drop(sender.try_send(message));
                    }
                },
            }
        };
        fleet.streams[server].fetch_sub(1, Ordering::Relaxed);
        if ended {
            return (sent, results);
        }
    }
}

fn server(listen: Option<SocketAddr>) -> Program {
    let clip = format!("clip={}", models().join("clip").display());
    let listen = listen.map(|address| format!("server.listen={address}"));
    let mut flags = vec!["--model", &clip, "--set", "server.streams.max_age=5s"];
    flags.extend(listen.iter().flat_map(|listen| ["--set", listen]));
    Program::serve(&flags).ready()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rolling_restart_loses_no_frame_and_spreads_the_streams_again() {
    let mut programs: Vec<Program> = (0..SERVERS).map(|_| server(None)).collect();
    let fleet = Arc::new(Fleet {
        addresses: programs.iter().map(|program| program.address).collect(),
        turn: AtomicUsize::new(0),
        streams: (0..SERVERS).map(|_| AtomicUsize::new(0)).collect(),
        stop: AtomicBool::new(false),
    });
    let clients: Vec<_> = (0..STREAMS).map(|_| tokio::spawn(watch(Arc::clone(&fleet)))).collect();
    tokio::time::sleep(Duration::from_secs(1)).await;
    for at in 0..SERVERS {
        let program = programs.remove(at);
        program.signal("TERM");
        let (status, _) = program.ended().await;
        assert!(status.success(), "{status}");
        assert_eq!(fleet.spread()[at], 0, "no stream hangs on to a server that has gone");
        programs.insert(at, server(Some(fleet.addresses[at])));
    }
    let back = Instant::now();
    while fleet.spread().iter().any(|&streams| streams < FAIR) {
        assert!(back.elapsed() < SPREAD_LIMIT, "still {:?} after {SPREAD_LIMIT:?}", fleet.spread());
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    println!("streams spread {:?} after {:.1?}", fleet.spread(), back.elapsed());
    fleet.stop.store(true, Ordering::Relaxed);
    let mut frames = 0;
    for client in clients {
        let (sent, results) = client.await.unwrap();
        assert_eq!(results, (1..=sent).collect::<Vec<_>>(), "each frame has one result, in order");
        frames += sent;
    }
    println!("{frames} frames, as many results");
    assert!(frames > 0);
}
