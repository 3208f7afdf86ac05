//! `veriframe stream` and `veriframe health`, as people run them.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value as Json;
use tokio::io::{AsyncBufReadExt, BufReader, copy_bidirectional};
use tokio::net::{TcpListener, TcpStream};

use crate::program::Program;
use crate::support::{TestServer, models, png};

fn veriframe(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.args(arguments).stdin(Stdio::null());
    command
}

async fn output(mut command: Command) -> Output {
    tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap()
}

fn lines(output: &Output) -> Vec<Json> {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8_lossy(&output.stdout);
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Number, time and outcome of each result.
fn results(lines: &[Json]) -> Vec<(u64, f64, &str)> {
    let results = lines.iter().filter(|line| line.get("sequence").is_some());
    results
        .map(|line| {
            let outcome = line["outcome"].as_str().unwrap();
            (line["sequence"].as_u64().unwrap(), line["seconds"].as_f64().unwrap(), outcome)
        })
        .collect()
}

fn pictures(folder: &Path, count: u32) {
    for number in 0..count {
        fs::write(folder.join(format!("{number:03}.png")), png(number % 4)).unwrap();
    }
}

/// A program of this name, first on the path, that runs this script.
fn on_path(folder: &Path, name: &str, script: &str) -> String {
    let program = folder.join(name);
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    format!("{}:{}", folder.display(), std::env::var("PATH").unwrap())
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_is_streamed_in_the_order_of_its_names_and_a_bad_picture_is_told_in_place() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 4);
    fs::write(folder.path().join("001.png"), "no picture").unwrap();
    let server = TestServer::start().await;
    let (address, input) = (server.address.to_string(), folder.path().to_str().unwrap());
    let arguments = ["stream", input, "--prompt", "a face", "--detect", "--server", &address];
    let output_of = async |more: &[&str]| {
        let arguments: Vec<&str> = arguments.iter().chain(more).copied().collect();
        output(veriframe(&arguments)).await
    };
    let told = lines(&output_of(&["--fps", "2", "--json"]).await);
    let expected = [(0, 0.0, "ok"), (1, 0.5, "error"), (2, 1.0, "ok"), (3, 1.5, "ok")];
    assert_eq!(results(&told), expected);
    assert_eq!(told[0]["scores"][0]["prompt"], "a face");
    let summary = &told.last().unwrap()["summary"];
    assert_eq!((&summary["ok"], &summary["errors"]), (&3.into(), &1.into()));
    assert_eq!(summary["end"], "STREAM_END_CLIENT_CLOSED");

    let shown = output_of(&["--max-frames", "2"]).await;
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.contains("1 with a result, 0 dropped"), "{text}");
    assert!(text.contains("the first error: frame 1: "), "{text}");
    assert!(text.contains("verdict") && text.contains("a face"), "{text}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_video_comes_through_ffmpeg_as_bare_pixels() {
    let folder = tempfile::tempdir().unwrap();
    let mut frames = Vec::new();
    for shade in [40_u8, 90, 200] {
        frames.extend(b"P6\n48 32\n255\n");
        frames.extend(std::iter::repeat_n(shade, 48 * 32 * 3));
    }
    let (video, said) = (folder.path().join("a:b.mp4"), folder.path().join("said"));
    fs::write(&video, &frames).unwrap();
    let script = format!("echo \"$@\" > {}; cat '{}'", said.display(), video.display());
    let path = on_path(folder.path(), "ffmpeg", &script);
    let server = TestServer::start().await;
    let address = server.address.to_string();
    let run = async |path: &str, input: &str| {
        let arguments = ["stream", input, "--prompt", "a face", "--fps", "4", "--json"];
        let mut command = veriframe(&arguments);
        command.args(["--server", &address]).env("PATH", path);
        output(command).await
    };
    let told = lines(&run(&path, video.to_str().unwrap()).await);
    assert_eq!(results(&told), [(0, 0.0, "ok"), (1, 0.25, "ok"), (2, 0.5, "ok")]);
    let said = fs::read_to_string(said).unwrap();
    assert!(said.contains(&format!("-i file:{}", video.display())), "{said}");
    assert!(said.contains("fps=4,scale="), "{said}");

    let broken = on_path(folder.path(), "ffmpeg", "printf 'P6\\n4 4\\n255\\nabc'; exit 1");
    let failed = run(&broken, video.to_str().unwrap()).await;
    let reason = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(!failed.status.success() && reason.contains("a frame ends early"), "{reason}");
    let failed = run("/nonexistent", video.to_str().unwrap()).await;
    let reason = String::from_utf8_lossy(&failed.stderr).into_owned();
    assert!(reason.contains("cannot run ffmpeg") && reason.contains("install it"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_real_video_is_decoded_where_ffmpeg_is_there() {
    let folder = tempfile::tempdir().unwrap();
    let video = folder.path().join("clip.mp4");
    let mut make = Command::new("ffmpeg");
    make.args([
        "-loglevel",
        "error",
        "-f",
        "lavfi",
        "-i",
        "testsrc=size=160x90:rate=10:duration=2",
    ]);
    match make.arg(&video).status() {
        Ok(made) => assert!(made.success()),
        Err(error) => return eprintln!("skipped: ffmpeg cannot be run: {error}"),
    }
    let server = TestServer::start().await;
    let address = server.address.to_string();
    for input in [video.to_str().unwrap(), "-"] {
        let arguments = ["stream", input, "--prompt", "a face", "--fps", "5", "--json"];
        let mut command = veriframe(&arguments);
        command.args(["--server", &address, "--max-side", "80"]);
        command.stdin(fs::File::open(&video).unwrap());
        let told = lines(&output(command).await);
        let results = results(&told);
        assert_eq!(results.len(), 10, "{results:?}");
        assert!(results.iter().all(|(_, _, outcome)| *outcome == "ok"), "{results:?}");
    }
}

/// Hands connections on to the server of the moment.
async fn switchboard(target: Arc<Mutex<SocketAddr>>) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        loop {
            let (mut near, _) = listener.accept().await.unwrap();
            let target = *target.lock().unwrap();
            tokio::spawn(async move {
                if let Ok(mut far) = TcpStream::connect(target).await {
                    drop(copy_bidirectional(&mut near, &mut far).await);
                }
            });
        }
    });
    address
}

/// Streams a folder's pictures to a server, in the time that they would take.
fn streams(folder: &Path, server: &str) -> tokio::process::Child {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.args(["stream", folder.to_str().unwrap(), "--prompt", "a face", "--json"]);
    command.args(["--fps", "20", "--realtime", "--server", server]).kill_on_drop(true);
    command.stdout(Stdio::piped()).spawn().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_goes_on_at_another_server_when_its_own_drains_or_dies() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 60);
    let clip = format!("clip={}", models().join("clip").display());
    let start = || Program::serve(&["--model", &clip]).ready();
    let programs = [start(), start(), start()];
    let target = Arc::new(Mutex::new(programs[0].address));
    let address = switchboard(Arc::clone(&target)).await.to_string();
    let mut child = streams(folder.path(), &address);
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let (mut numbers, mut breaks) = (Vec::new(), 0);
    while let Some(line) = told.next_line().await.unwrap() {
        let line: Json = serde_json::from_str(&line).unwrap();
        breaks += u32::from(line.get("goes_on").is_some());
        let Some(number) = line["sequence"].as_u64() else { continue };
        assert_eq!(line["outcome"], "ok", "{line}");
        numbers.push(number);
        let (next, signal) = match number {
            10 => (1, "TERM"),
            30 => (2, "KILL"),
            _ => continue,
        };
        *target.lock().unwrap() = programs[next].address;
        programs[next - 1].signal(signal);
    }
    assert!(child.wait().await.unwrap().success());
    assert_eq!(numbers, (0..60).collect::<Vec<_>>(), "each frame has one result, in order");
    // A call may also be tried on a connection that is about to close.
    assert!(breaks >= 2, "{breaks}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_an_interrupt_what_was_sent_is_still_answered_by_whoever_is_there() {
    let folder = tempfile::tempdir().unwrap();
    pictures(folder.path(), 60);
    let clip = format!("clip={}", models().join("clip").display());
    let start = || Program::serve(&["--model", &clip]).ready();
    let programs = [start(), start()];
    let target = Arc::new(Mutex::new(programs[0].address));
    let address = switchboard(Arc::clone(&target)).await.to_string();
    let mut child = streams(folder.path(), &address);
    let client = child.id().unwrap().to_string();
    let mut told = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut numbers = Vec::new();
    while let Some(line) = told.next_line().await.unwrap() {
        let line: Json = serde_json::from_str(&line).unwrap();
        numbers.extend(line["sequence"].as_u64());
        if line["sequence"] == 5 {
            // Frames go out that nobody answers, then no more; only then their server is gone.
            programs[0].signal("STOP");
            tokio::time::sleep(Duration::from_millis(500)).await;
            assert!(Command::new("kill").args(["-INT", &client]).status().unwrap().success());
            tokio::time::sleep(Duration::from_millis(500)).await;
            *target.lock().unwrap() = programs[1].address;
            programs[0].signal("KILL");
        }
    }
    assert!(child.wait().await.unwrap().success());
    assert_eq!(numbers, (0..numbers.len() as u64).collect::<Vec<_>>());
    assert!((7..60).contains(&numbers.len()), "{numbers:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_streamed_is_told_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let input = folder.path().to_str().unwrap();
    for (arguments, expected) in [
        (&[input, "--prompt", "a"][..], "has no pictures: none ends with jpg"),
        (&["/no/such", "--prompt", "a"], "give a video, a folder, or -"),
        (
            &[input, "--prompt", "a", "--opposite", "b", "--opposite", "c"],
            "2 opposites for 1 prompts",
        ),
        (&[input, "--prompt", "a", "--fps", "0"], "must be a number above 0"),
    ] {
        let arguments: Vec<&str> =
            std::iter::once("stream").chain(arguments.iter().copied()).collect();
        let failed = output(veriframe(&arguments)).await;
        let reason = String::from_utf8_lossy(&failed.stderr).into_owned();
        assert!(!failed.status.success() && reason.contains(expected), "{arguments:?}: {reason}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_by_the_exit_code() {
    let server = TestServer::start().await;
    let address = server.address.to_string();
    let ask = async |service: &str, address: &str| {
        let output =
            output(veriframe(&["health", "--service", service, "--server", address])).await;
        let said = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(said).unwrap())
    };
    assert_eq!(ask("live", &address).await, (Some(0), "live: SERVING\n".into()));
    assert_eq!(ask("model/clip", &address).await.0, Some(0));
    let (code, said) = ask("model/clap", &address).await;
    assert!(code == Some(1) && said.contains("knows nothing named 'model/clap'"), "{said}");
    let gone = TcpListener::bind(("127.0.0.1", 0)).await.unwrap().local_addr().unwrap();
    let (code, said) = ask("ready", &gone.to_string()).await;
    assert!(code == Some(1) && said.contains("no server answers at"), "{said}");

    // With models still to come, it lives and is not ready.
    let program = Program::serve(&[]);
    let (code, said) = ask("ready", &program.address.to_string()).await;
    if !said.contains(": SERVING") {
        assert!(code == Some(1) && said.contains("ready: NOT_SERVING"), "{said}");
    }
    let program = program.ready();
    assert_eq!(ask("ready", &program.address.to_string()).await.0, Some(0));
}
