//! `veriframe stream`: a video or a folder of pictures through a server, frame by frame.

mod follow;
mod source;
mod told;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};

use self::follow::Follower;
use self::source::{Pace, Source};
use self::told::Teller;
use super::client::{ServerArgs, Session};
use super::options::ModelArgs;
use super::serve::signals;
use crate::config::Settings;
use crate::proto::v1;

/// Stream a video or a folder of pictures through a server, and tell what each prompt came to.
///
/// Videos are decoded by ffmpeg, which must be installed, and sent as bare pixels. A stream that
/// breaks, or that its server hands back, goes on where it was. Ctrl-C sends no more frames and
/// waits for the rest; a second one ends the command at once.
///
/// Examples:
///   veriframe stream clip.mp4 --prompt "uneven teeth" --server 127.0.0.1:50051
///   veriframe stream clip.mp4 --prompt "uneven teeth" --opposite "even teeth" --fps 5 --detect
///   veriframe stream frames/ --prompt "misshapen ear" --json > results.jsonl
///   veriframe stream rtsp://camera/1 --prompt "a face" --policy drop-oldest --realtime
///   cat clip.mp4 | veriframe stream - --prompt "a face"
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "examples stand as they are typed")]
pub(super) struct StreamArgs {
    /// A video, an address that ffmpeg reads, a folder of pictures (in the order of their names), or
    /// - for a video on standard input.
    #[arg(value_name = "VIDEO|DIR|-")]
    input: PathBuf,
    /// What frames may show; repeatable.
    #[arg(long = "prompt", short, required = true)]
    prompts: Vec<String>,
    /// What would be said if it were not so, one for each prompt in their order: verdicts are then
    /// about the margin between the two, otherwise about the contrast.
    #[arg(long = "opposite")]
    opposites: Vec<String>,
    /// Smoothed figure from which a prompt counts as present; by default that of the figure.
    #[arg(long, value_name = "FIGURE", allow_negative_numbers = true)]
    open_at: Option<f32>,
    /// Smoothed figure below which it no longer does; by default that of the figure.
    #[arg(long, value_name = "FIGURE", allow_negative_numbers = true)]
    close_at: Option<f32>,
    /// Also find boxes.
    #[arg(long)]
    detect: bool,
    /// Frames taken of each second of a video, above 0 to 240; how fast a folder's are shown.
    #[arg(long, default_value_t = 5.0, value_parser = frame_rate)]
    fps: f64,
    /// Frames at most.
    #[arg(long, value_name = "FRAMES", default_value_t = u64::MAX, hide_default_value = true)]
    max_frames: u64,
    /// Shrink a video's frames whose longest side is longer, in pixels, 16 to 8192.
    #[arg(long, value_name = "PX", default_value_t = 1280,
          value_parser = clap::value_parser!(u32).range(16..=8192))]
    max_side: u32,
    /// Send each frame when it would be shown, not as fast as the server takes them.
    #[arg(long)]
    realtime: bool,
    /// What happens to frames that come too fast: docs/streams.md.
    #[arg(long, value_enum, default_value_t = Policy::Wait)]
    policy: Policy,
    /// How long it is tried to go on after a break, without a result.
    #[arg(long, value_name = "DURATION", default_value = "30s",
          value_parser = humantime::parse_duration)]
    retry_for: Duration,
    /// Print a line of JSON for each result, segment and summary as it comes.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// What happens to frames that come while the window is full.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Policy {
    /// They wait, and nothing is lost: for files.
    Wait,
    /// The oldest frame that waits makes room: for live video.
    DropOldest,
    /// The frame that comes is left out.
    DropNewest,
}

/// Runs the command.
pub(super) fn run(args: &StreamArgs, settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.opposites.is_empty() || args.opposites.len() == args.prompts.len(),
        "{} opposites for {} prompts: give one for each, or none",
        args.opposites.len(),
        args.prompts.len()
    );
    let source = Source::of(&args.input)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let streamed = runtime.block_on(stream(args, source, settings));
    // Whoever still reads a video that nobody wants must not hold the end up.
    runtime.shutdown_background();
    streamed
}

async fn stream(args: &StreamArgs, source: Source, settings: &Settings) -> anyhow::Result<()> {
    let session = Session::open(&args.server, settings).await?;
    let pace = Pace {
        fps: args.fps,
        frames: args.max_frames,
        side_px: args.max_side,
        realtime: args.realtime,
    };
    let mut teller = Teller::new(args.json, source.count(pace));
    let follower = Follower::new(session.client.clone(), config(args), args.retry_for);
    let stop = signals()?;
    let followed = follower.run(source.read(pace), stop, |heard| teller.hear(heard)).await;
    let told = teller.end();
    session.close().await?;
    followed.and(told)
}

fn config(args: &StreamArgs) -> v1::StreamConfig {
    let policy = match args.policy {
        Policy::Wait => v1::OverloadPolicy::Wait,
        Policy::DropOldest => v1::OverloadPolicy::DropOldest,
        Policy::DropNewest => v1::OverloadPolicy::DropNewest,
    };
    v1::StreamConfig {
        similarity: Some(v1::SimilarityQuery {
            prompts: args.prompts.iter().chain(&args.opposites).cloned().collect(),
            ..Default::default()
        }),
        detection: args.detect.then(v1::DetectionQuery::default),
        verdicts: Some(verdict_query(args)),
        policy: policy.into(),
        ..Default::default()
    }
}

fn verdict_query(args: &StreamArgs) -> v1::VerdictQuery {
    let figure = if args.opposites.is_empty() {
        v1::VerdictFigure::Contrast
    } else {
        v1::VerdictFigure::Margin
    };
    let opposites = args.opposites.iter().cloned().chain(std::iter::repeat(String::new()));
    let prompts = args
        .prompts
        .iter()
        .cloned()
        .zip(opposites)
        .map(|(prompt, opposite)| v1::VerdictPrompt { prompt, opposite, ..Default::default() });
    v1::VerdictQuery {
        prompts: prompts.collect(),
        figure: figure.into(),
        open_at: args.open_at,
        close_at: args.close_at,
        omit_from_results: true,
        ..Default::default()
    }
}

fn frame_rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate > 0.0 && rate <= 240.0 => Ok(rate),
        Ok(_) | Err(_) => Err("must be a number above 0, up to 240".to_owned()),
    }
}
