//! Many streams at once, half of them misbehaving, against replicas that panic and stall: every
//! frame gets exactly one result, in order, nobody else is harmed, and memory stays flat.
//!
//! `VERIFRAME_STRESS=full cargo test --test it stress:: -- --nocapture` runs 64 streams for minutes
//! and prints its figures; without the variable a small load runs for seconds. Either way the load
//! runs in a process of its own, so that its memory is its own.

#![expect(clippy::print_stdout, reason = "a load prints its figures")]

mod client;
mod faults;
mod memory;

use std::fmt::Write as _;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use futures::future::join_all;
use rand::{RngCore, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::runtime::Handle;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;
use tonic_types::StatusExt;
use veriframe::engine;
use veriframe::server::{Config, READY};
use veriframe::serving::Options;

use crate::support::{Client, TestServer, good};
use client::{Manner, Told};
use faults::Faults;

/// Set in the process that carries the load.
const CHILD: &str = "VERIFRAME_STRESS_CHILD";
/// A round that takes longer than this has hung.
const ROUND_LIMIT: Duration = Duration::from_mins(5);

/// How much is asked of the server.
struct Scale {
    /// Streams at once.
    streams: usize,
    /// Frames of each.
    frames: u64,
    /// How often all of it is repeated; memory is compared from the second round on.
    rounds: u64,
}

impl Scale {
    fn chosen() -> Self {
        if std::env::var("VERIFRAME_STRESS").is_ok_and(|scale| scale == "full") {
            Self { streams: 64, frames: 200, rounds: 10 }
        } else {
            Self { streams: 18, frames: 40, rounds: 3 }
        }
    }
}

#[test]
fn every_frame_gets_one_result_whatever_clients_and_replicas_do() {
    if std::env::var_os(CHILD).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(load(&Scale::chosen()));
        return;
    }
    let name = "stress::every_frame_gets_one_result_whatever_clients_and_replicas_do";
    let child = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let (out, err) =
        (String::from_utf8_lossy(&child.stdout), String::from_utf8_lossy(&child.stderr));
    println!(
        "{}",
        out.lines().filter(|line| line.starts_with("stress")).collect::<Vec<_>>().join("\n")
    );
    assert!(child.status.success(), "{out}\n{err}");
    assert!(out.contains("stress: done"), "the child ran no load:\n{out}\n{err}");
}

async fn load(scale: &Scale) {
    let faults = Arc::new(Faults::new(11));
    let engine = engine::Config {
        max_queued_items: 256,
        stall_limit: faults::STALL_LIMIT,
        rebuild_wait: Duration::from_millis(10),
        before_batch: Some(Arc::clone(&faults).hook()),
        ..engine::Config::default()
    };
    let options =
        Options { devices: vec![tch::Device::Cpu, tch::Device::Cpu], engine, ..Options::default() };
    let server = TestServer::with_options(Config::default(), options).await;
    ready(&server).await;
    let mut settled = None;
    let mut total = Told::default();
    for round in 0..scale.rounds {
        // The first round is without faults: what is measured after it is what faults cost.
        faults.set(round > 0);
        let started = Instant::now();
        let told = tokio::time::timeout(ROUND_LIMIT, self::round(&server, scale, round)).await;
        let told = told.expect("a round ends in time");
        let memory = memory::resident_bytes();
        println!(
            "stress round {round}: {told}, {:.1} s, {} MiB",
            started.elapsed().as_secs_f64(),
            memory >> 20
        );
        total.add(&told);
        if round == 1 {
            settled = Some(memory);
        }
    }
    let (settled, last) = (settled.unwrap(), memory::resident_bytes());
    let growth = last as f64 / settled as f64 - 1.0;
    println!(
        "stress: done, {} streams, {total}, {} panics, {} stalls, memory {:+.1} % from round 1",
        scale.streams,
        faults.panics(),
        faults.stalls(),
        growth * 100.0
    );
    assert!(faults.panics() > 0 && faults.stalls() > 0, "the faults were not met");
    assert!(growth < 0.10, "memory grew by {:.1} %", growth * 100.0);
    server.stop().await.unwrap();
}

/// Returns once the server says that it is ready.
async fn ready(server: &TestServer) {
    let mut health = HealthClient::new(server.channel().await);
    let request = HealthCheckRequest { service: READY.to_owned() };
    let mut told = health.watch(request).await.unwrap().into_inner();
    while told.message().await.unwrap().unwrap().status() != ServingStatus::Serving {}
}

/// Every manner of client at once, and one that behaves and must be served all the while.
async fn round(server: &TestServer, scale: &Scale, round: u64) -> Told {
    let over = Arc::new(AtomicBool::new(false));
    // Each on its own: in one task with the others, no client would be polled before all had been.
    let canary = tokio::spawn(canary(server.client().await, Arc::clone(&over)));
    let mut clients = Vec::with_capacity(scale.streams);
    for number in 0..scale.streams {
        let manner = Manner::ALL[number % Manner::ALL.len()];
        let seed = round << 32 | number as u64;
        let (client, frames) = (server.client().await, scale.frames);
        let runtime = Handle::current();
        let run = move || runtime.block_on(client::run(manner, seed, frames, client));
        clients.push(tokio::task::spawn_blocking(run));
    }
    let told: Vec<Told> = join_all(clients).await.into_iter().map(Result::unwrap).collect();
    over.store(true, Ordering::Relaxed);
    let mut served = canary.await.unwrap();
    served.sort();
    assert!(!served.is_empty(), "the caller who behaves was never served");
    let (median, longest) = (served[served.len() / 2], served[served.len() - 1]);
    println!(
        "stress round {round}: the caller who behaves was served {} times, in {median:.0?} by the \
         median, {longest:.0?} at the longest",
        served.len()
    );
    told.iter().fold(Told::default(), |mut total, told| {
        total.add(told);
        total
    })
}

/// Calls one after the other until the round is over; how long the good answers took. A replica's
/// fault may fail the call that it hits, and a full queue sends the caller away for a while; but
/// nobody who comes again as he is told goes without an answer for long.
async fn canary(mut client: Client, over: Arc<AtomicBool>) -> Vec<Duration> {
    let (mut served, mut failed_in_a_row) = (Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        let asked = Instant::now();
        match client.verify(good()).await {
            Ok(_) => {
                served.push(asked.elapsed());
                failed_in_a_row = 0;
            }
            Err(status) => {
                failed_in_a_row += 1;
                assert!(
                    failed_in_a_row < 40,
                    "{failed_in_a_row} calls in a row failed: {status:?}"
                );
                let details = status.get_error_details();
                let retry = details.retry_info().and_then(|info| info.retry_delay);
                tokio::time::sleep(retry.unwrap_or_default()).await;
            }
        }
    }
    served
}

/// A generator of its own for each stream.
fn seeded(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// True about once in `many` times.
fn once_in(many: u32, random: &mut impl RngCore) -> bool {
    random.next_u32().is_multiple_of(many)
}

impl std::fmt::Display for Told {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = format!("{} frames: {} ok", self.frames, self.ok);
        for (count, what) in [
            (self.reused, "reused"),
            (self.dropped, "dropped"),
            (self.expired, "expired"),
            (self.errors, "errors"),
            (self.cut_off, "cut off by their client"),
        ] {
            if count > 0 {
                write!(text, ", {count} {what}").unwrap();
            }
        }
        formatter.write_str(&text)
    }
}
