//! The program itself, in a process of its own.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use tonic::transport::Channel;

use crate::support::Client;

/// The longest that a start, an end or an answer may take.
pub(crate) const PATIENCE: Duration = Duration::from_mins(1);

/// A running `veriframe serve`; it is killed with the test.
pub(crate) struct Program {
    child: Child,
    lines: Receiver<String>,
    pub(crate) address: SocketAddr,
}

impl Program {
    /// Starts a server on a free port, with these flags; returns when it listens.
    pub(crate) fn serve(flags: &[&str]) -> Self {
        Self::serve_with(flags, &[])
    }

    /// The same, with these variables in its environment.
    pub(crate) fn serve_with(flags: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
        command.current_dir(env!("CARGO_MANIFEST_DIR"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--no-metrics", "--device", "cpu"]);
        command.args(flags).envs(variables.iter().copied()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut program = Self { child, lines, address: any };
        program.address = program.line("gRPC on ").parse().unwrap();
        program
    }

    /// The rest of the first line from now on that begins with `start`.
    pub(crate) fn line(&self, start: &str) -> String {
        let mut before = String::new();
        loop {
            let Ok(line) = self.lines.recv_timeout(PATIENCE) else {
                panic!("no line '{start}' after:\n{before}");
            };
            if let Some(rest) = line.strip_prefix(start) {
                return rest.to_owned();
            }
            writeln!(before, "{line}").unwrap();
        }
    }

    /// With every model warm.
    pub(crate) fn ready(self) -> Self {
        self.line("models are loaded");
        self
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect_timeout(PATIENCE).connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.channel().await)
    }

    /// Sends `TERM`, `INT` or `KILL`.
    pub(crate) fn signal(&self, name: &str) {
        let command = format!("kill -{name} {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &command]).status().unwrap().success());
    }

    /// Waits for its end; how it ended and how long that took from now.
    pub(crate) async fn ended(mut self) -> (ExitStatus, Duration) {
        let started = Instant::now();
        let mut look = tokio::time::interval(Duration::from_millis(5));
        while started.elapsed() < PATIENCE {
            if let Some(status) = self.child.try_wait().unwrap() {
                return (status, started.elapsed());
            }
            look.tick().await;
        }
        panic!("it has not ended after {PATIENCE:?}");
    }

    /// Its resident memory in KiB.
    pub(crate) fn resident_kib(&self) -> u64 {
        let status = format!("/proc/{}/status", self.child.id());
        let status = std::fs::read_to_string(status).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended already.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
