//! `veriframe demo`: a generated clip through a real server, and a report of what it saw.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::Context;
use clap::Args;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::answer_story::{COLLECTION, Case};
use super::client::{ANY_PORT, ServerArgs, Session, explained};
use super::options::ModelArgs;
use super::seen::Seen;
use super::serve::signals;
use super::story::{QUESTIONS, Story};
use super::verdicts::{self, Found};
use super::{images, output, verify_answer};
use crate::config::Settings;
use crate::evidence;
use crate::proto::v1;
use crate::proto::v1::verify_stream_response::Message;
use crate::scenes::{Cue, FaceSpec, HELD_OUT, clip, draw};

/// Frames that wait between the one who draws and the one who sends.
const DRAWN_AHEAD: usize = 8;

/// Stream a generated clip through a server with the built-in models and leave a report.
///
/// Examples:
///   veriframe demo
///   veriframe demo --seconds 20 --seed 7 --out out/demo
///   veriframe demo --server 127.0.0.1:50051
///   veriframe demo --serve
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct DemoArgs {
    /// Length of the clip in seconds, 1 to 600.
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..=600))]
    seconds: u32,
    /// Frames per second, 1 to 60.
    #[arg(long, default_value_t = 12, value_parser = clap::value_parser!(u32).range(1..=60))]
    fps: u32,
    /// Which face; another number, another face.
    #[arg(long, default_value_t = 3)]
    seed: u64,
    /// Side of a frame in pixels, 64 to 2048.
    #[arg(long, default_value_t = 320, value_parser = clap::value_parser!(u32).range(64..=2048))]
    side_px: u32,
    /// Folder for the report.
    #[arg(long, default_value = "out/demo")]
    out: PathBuf,
    /// Go on serving when the report is written, until SIGINT or SIGTERM: the demo's models and its
    /// evidence, to try clients on.
    #[arg(long, conflicts_with = "server")]
    serve: bool,
    /// Where gRPC listens with --serve.
    #[arg(
        long,
        value_name = "ADDRESS:PORT",
        default_value = "127.0.0.1:50051",
        requires = "serve"
    )]
    listen: SocketAddr,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// Runs the command.
pub(super) fn run(args: &DemoArgs, settings: &Settings) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(demo(args, settings))
}

async fn demo(args: &DemoArgs, settings: &Settings) -> anyhow::Result<()> {
    let settings = &with_store(settings, &args.out);
    let listen = if args.serve { args.listen } else { ANY_PORT };
    let mut session = Session::open_at(listen, &args.server, settings).await?;
    let specs = clip(HELD_OUT + args.seed, args.seconds as f32, args.fps);
    output::say(format_args!(
        "streaming {} frames of a generated clip: {} prompts, boxes and heatmaps for each",
        specs.len(),
        QUESTIONS.len()
    ));
    let started = Instant::now();
    let (seen, verdicts) = tokio::select! {
        seen = stream(&mut session, args, &specs) => seen?,
        _ = tokio::signal::ctrl_c() => anyhow::bail!("stopped; no report was written"),
    };
    let wall = started.elapsed();
    let case = Case::new(args.seed, args.side_px);
    let checked = match &case {
        Some(case) => case.checked(&session, args.side_px).await?.map(|told| (case, told)),
        None => None,
    };
    // Its store is free for the commands that the demo proposes, unless it goes on serving.
    let session = if args.serve {
        Some(session)
    } else {
        session.close().await?;
        None
    };
    let story = Story::new(&seen, &verdicts, args.fps, wall);
    tell(&story);
    std::fs::create_dir_all(&args.out)
        .with_context(|| format!("cannot make {}", args.out.display()))?;
    let path = args.out.join("report.html");
    let mut report = story.report(args.side_px);
    if let Some((case, told)) = &checked {
        verify_answer::show(told);
        output::say("");
        // Below the questions: what the product is for, before how it fares.
        report.sections.insert(report.sections.len().min(1), case.section(told));
    }
    let html = report.html()?;
    std::fs::write(&path, html).with_context(|| format!("cannot write {}", path.display()))?;
    output::say(format_args!("report: {}", path.display()));
    let face = args.out.join("face.png");
    std::fs::write(&face, images::png(&draw(&try_out(args.seed), args.side_px).image))
        .with_context(|| format!("cannot write {}", face.display()))?;
    output::say(format_args!(
        "try: veriframe verify {} --prompt \"uneven teeth\" --prompt \"even teeth\" --overlay heat.png",
        face.display()
    ));
    if let Some((case, _)) = &checked {
        try_answer(args, case, session.as_ref().and_then(Session::address))?;
    }
    match session {
        Some(session) => serve_on(session).await,
        None => Ok(()),
    }
}

fn tell(story: &Story) {
    for line in story.lines() {
        output::say(line);
    }
    let (head, rows) = story.table();
    output::table(&head, &rows);
    output::say("");
    let (head, rows) = story.verdicts();
    output::table(&head, &rows);
    output::say("");
    let (head, rows) = story.trust();
    output::table(&head, &rows);
}

/// Leaves the demo's server to whoever calls it, until a signal.
async fn serve_on(session: Session) -> anyhow::Result<()> {
    let stop = signals()?;
    // What `veriframe serve` says, for whoever waits for it.
    output::say(format_args!("gRPC on {}", session.address().context("no server of its own")?));
    output::say("serving until Ctrl-C");
    stop.await;
    session.close().await
}

/// The settings with a store of evidence of the demo's own, where they name none.
fn with_store(settings: &Settings, out: &Path) -> Settings {
    let mut settings = settings.clone();
    if settings.evidence.store == evidence::config::Place::Off {
        settings.evidence.store = evidence::config::Place::Embedded;
        settings.evidence.data_dir = out.join("evidence");
    }
    settings
}

/// Leaves the case's picture, and says how to have its answer checked again.
fn try_answer(args: &DemoArgs, case: &Case, server: Option<SocketAddr>) -> anyhow::Result<()> {
    let picture = args.out.join("case.png");
    std::fs::write(&picture, case.picture())
        .with_context(|| format!("cannot write {}", picture.display()))?;
    let evidence = match server {
        Some(address) => format!("--server {address}"),
        None => format!("--data {}", args.out.join("evidence").display()),
    };
    output::say(format_args!(
        "try: veriframe verify-answer {} --collection {COLLECTION} --where subject={} {evidence} \
         --answer \"{}\"",
        picture.display(),
        case.number(),
        case.answer()
    ));
    Ok(())
}

/// A face to try the other commands on: uneven teeth and nothing else.
fn try_out(seed: u64) -> FaceSpec {
    let mut face = FaceSpec::sample(HELD_OUT + seed);
    face.cues = [false; 4];
    face.with_cue(Cue::UnevenTeeth, true)
}

/// Streams the clip and gives every frame with its answer, in order, and how each question's
/// prompt stood.
async fn stream(
    session: &mut Session,
    args: &DemoArgs,
    specs: &[FaceSpec],
) -> anyhow::Result<(Vec<Seen>, Vec<Found>)> {
    let (sender, receiver) = mpsc::channel(DRAWN_AHEAD);
    let drawn = tokio::task::spawn_blocking({
        let (specs, side_px, fps) = (specs.to_vec(), args.side_px, args.fps);
        move || send_frames(&sender, &specs, side_px, fps)
    });
    let answers = session.client.verify_stream(ReceiverStream::new(receiver)).await;
    let mut answers = answers.map_err(|status| explained(&status))?.into_inner();
    let bar = output::progress(specs.len() as u64, "frames");
    let mut seen: Vec<Seen> = Vec::with_capacity(specs.len());
    let mut verdicts: Vec<Found> = QUESTIONS.iter().map(|_| Found::nothing()).collect();
    while let Some(answer) = answers.message().await.map_err(|status| explained(&status))? {
        let result = match answer.message {
            Some(Message::Result(result)) => result,
            Some(Message::Summary(summary)) => {
                let prompts = summary.verdicts.iter().flat_map(|verdicts| &verdicts.prompts);
                for (verdict, prompt) in verdicts.iter_mut().zip(prompts) {
                    *verdict = Found::new(prompt);
                }
                continue;
            }
            Some(Message::Event(_)) | None => continue,
        };
        let spec = specs.get(result.sequence as usize).context("an unknown frame was answered")?;
        seen.push(Seen::new(spec, result)?);
        bar.inc(1);
        let latency = seen.last().map_or(Duration::ZERO, |seen| seen.latency);
        let pace = seen.len() as f64 / bar.elapsed().as_secs_f64().max(1e-3);
        bar.set_message(format!("{:.0} ms, {pace:.1} frames/s", latency.as_secs_f64() * 1e3));
    }
    bar.finish_and_clear();
    drawn.await?;
    anyhow::ensure!(
        seen.len() == specs.len(),
        "{} frames were sent, {} answered",
        specs.len(),
        seen.len()
    );
    Ok((seen, verdicts))
}

/// Draws and sends the configuration and every frame; stops where nobody listens any more.
fn send_frames(
    sender: &mpsc::Sender<v1::VerifyStreamRequest>,
    specs: &[FaceSpec],
    side_px: u32,
    fps: u32,
) {
    use v1::verify_stream_request::Message;
    let message = |message| v1::VerifyStreamRequest { message: Some(message) };
    if sender.blocking_send(message(Message::Config(config()))).is_err() {
        return;
    }
    for (index, spec) in specs.iter().enumerate() {
        let jpeg = images::jpeg(&draw(spec, side_px).image);
        let time = Duration::from_secs_f64(index as f64 / f64::from(fps));
        let frame = v1::Frame {
            sequence: index as u64,
            presentation_time: prost_types::Duration::try_from(time).ok(),
            image: Some(v1::Image { content: Some(v1::image::Content::Encoded(jpeg.into())) }),
        };
        if sender.blocking_send(message(Message::Frame(frame))).is_err() {
            return;
        }
    }
}

fn config() -> v1::StreamConfig {
    v1::StreamConfig {
        similarity: Some(v1::SimilarityQuery {
            prompts: QUESTIONS
                .iter()
                .flat_map(|question| [question.prompt, question.opposite])
                .map(str::to_owned)
                .collect(),
            ..Default::default()
        }),
        detection: Some(v1::DetectionQuery::default()),
        verdicts: Some(verdicts::query(
            QUESTIONS.iter().map(|question| (question.prompt, question.opposite)),
        )),
        heatmaps: Some(v1::HeatmapQuery {
            prompts: QUESTIONS.iter().map(|question| question.prompt.to_owned()).collect(),
            ..Default::default()
        }),
        ..Default::default()
    }
}
