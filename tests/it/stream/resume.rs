//! A server that is killed in the middle of a stream, and what its client knows then.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Command, Stdio};

use futures::{StreamExt, stream};
use tonic::Code;
use tonic::transport::Channel;
use veriframe::proto::v1;

use super::{config, configured, dropped, frame, is_ok, rest, result, sequences};
use crate::support::{Client, TestServer, models, png};

/// A server in a process of its own.
struct Program {
    child: Child,
    address: String,
    /// Open to the end: the program must not write into nothing.
    _output: BufReader<ChildStdout>,
}

impl Program {
    fn start() -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("VERIFRAME_")) {
            command.env_remove(name);
        }
        let clip = format!("clip={}", models().join("clip").display());
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-metrics", "--model", &clip]);
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut address = String::new();
        while !address.starts_with("gRPC on ") {
            address.clear();
            assert!(output.read_line(&mut address).unwrap() > 0, "the server ended");
        }
        let mut ready = String::new();
        while ready != "models are loaded\n" {
            ready.clear();
            assert!(output.read_line(&mut ready).unwrap() > 0, "the server ended");
        }
        let address = format!("http://{}", address.trim_start_matches("gRPC on ").trim());
        Self { child, address, _output: output }
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_kill_the_last_result_tells_where_to_go_on() {
    let mut program = tokio::task::spawn_blocking(Program::start).await.unwrap();
    let channel = Channel::from_shared(program.address.clone()).unwrap().connect().await.unwrap();
    let frames = stream::iter(1..).map(|number: u64| frame(number, png(number as u32 % 4)));
    let sent = stream::iter([configured(config())]).chain(frames);
    let responses = Client::new(channel).verify_stream(sent).await.unwrap().into_inner();
    let mut responses = responses.boxed();
    for number in 1..=5 {
        assert_eq!(result(responses.next().await).sequence, number);
    }
    program.child.kill().unwrap();
    let mut last = 5;
    let status = loop {
        match responses.next().await.unwrap() {
            Ok(response) => {
                last += 1;
                assert_eq!(result(Some(Ok(response))).sequence, last);
            }
            Err(status) => break status,
        }
    };
    // This client library calls a connection that broke amid an answer UNKNOWN; most say
    // UNAVAILABLE.
    assert!(matches!(status.code(), Code::Unavailable | Code::Unknown), "{status:?}");

    let other = TestServer::start().await;
    let asked = v1::StreamConfig { resume_after: Some(last), ..config() };
    // All frames once more, for nobody remembers which arrived.
    let frames = (1..=last + 3).map(|number| frame(number, png(0)));
    let sent = stream::iter(std::iter::once(configured(asked)).chain(frames));
    let responses = other.client().await.verify_stream(sent).await.unwrap().into_inner();
    let told = rest(responses.boxed()).await;
    assert_eq!(sequences(&told), (1..=last + 3).collect::<Vec<_>>());
    let (again, new) = told.results.split_at(last as usize);
    let known = Some(v1::DropReason::AlreadyAnswered);
    assert!(again.iter().all(|result| dropped(result) == known));
    assert!(new.iter().all(is_ok));
}
