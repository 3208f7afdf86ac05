//! The command line, one file a command.
//!
//! Imports: calibration, libtorch, telemetry, evidence, vision, scenes, engine, models, explain, evaluation, training, serving, verification, retrieval, answers, report, proto, server, config.

mod answer_json;
mod answer_story;
mod box_heatmaps;
mod calibrate;
mod client;
mod config;
mod demo;
mod eval;
mod evidence;
mod filter;
#[doc(hidden)]
pub mod fuzzing;
mod health;
mod images;
mod inspect;
mod keys;
mod options;
mod output;
mod seen;
mod serve;
mod story;
mod stream;
mod train;
mod trust;
mod verdicts;
mod verify;
mod verify_answer;
mod witness;

use clap::{Parser, Subcommand};
use options::flags;

use crate::config::{Flag, Settings, Sources};
use crate::telemetry::{self, Log};

/// Check images and video frames against text: CLIP scores, YOLOv8 boxes, and the heatmaps that
/// explain them.
#[derive(Debug, Parser)]
#[command(name = "veriframe", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Log filter, such as "info" or "veriframe=debug"; logs go to standard error.
    /// Sets `log.filter`.
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// Write logs as JSON lines. Sets `log.format`.
    #[arg(long, global = true)]
    log_json: bool,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve models over gRPC.
    Serve(serve::ServeArgs),
    /// Check pictures against prompts and show a table.
    Verify(verify::VerifyArgs),
    /// Stream a video or a folder of pictures through a server, and tell what each prompt came to.
    Stream(stream::StreamArgs),
    /// Check a generated answer against pictures and evidence, claim by claim.
    VerifyAnswer(verify_answer::VerifyAnswerArgs),
    /// Stream a generated clip through a server with the built-in models and leave a report.
    Demo(demo::DemoArgs),
    /// Measure accuracy, mean average precision and heatmap localisation.
    Eval(Box<eval::EvalArgs>),
    /// Fit what turns figures of claims, prompts or verdicts into probabilities.
    Calibrate(Box<calibrate::CalibrateArgs>),
    /// Keep evidence, find it, and look after its store.
    #[command(subcommand)]
    Evidence(evidence::EvidenceCommand),
    /// Ask a server whether it serves.
    Health(health::HealthArgs),
    /// Look into checkpoints.
    #[command(subcommand)]
    Models(inspect::ModelsCommand),
    /// Make API keys for a server's key file.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Show and check the configuration.
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Train the built-in models.
    Train(train::TrainArgs),
}

/// Runs one command to its end. Errors say what to do next.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let settings = cli.settings()?;
    // Other commands have a server within, whose calls are their own.
    let access = settings.log.access && matches!(cli.command, Command::Serve(_));
    telemetry::init(&Log { access, ..settings.log.clone() })?;
    match cli.command {
        Command::Serve(_) => serve::run(settings),
        Command::Verify(args) => verify::run(&args, &settings),
        Command::Stream(args) => stream::run(&args, &settings),
        Command::VerifyAnswer(args) => verify_answer::run(&args, &settings),
        Command::Demo(args) => demo::run(&args, &settings),
        Command::Eval(args) => eval::run(&args, &settings),
        Command::Calibrate(args) => calibrate::run(&args),
        Command::Evidence(command) => evidence::run(&command, &settings),
        Command::Health(args) => health::run(&args),
        Command::Models(command) => inspect::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Config(command) => config::run(command),
        Command::Train(command) => train::run(&command),
    }
}

impl Cli {
    /// What the command runs with. Commands that serve nothing take the log's settings alone, so
    /// that they work where the rest is wrong.
    fn settings(&self) -> anyhow::Result<Settings> {
        let json = self.log_json.then(|| "json".to_owned());
        let log =
            flags([("--log", "log.filter", self.log.clone()), ("--log-json", "log.format", json)]);
        let with = |given: Vec<Flag>| log.iter().cloned().chain(given).collect();
        let loaded = match &self.command {
            Command::Serve(args) => args.models.load(with(args.flags())),
            Command::Verify(args) => args.models.load(with(Vec::new())),
            Command::Stream(args) => args.models.load(with(Vec::new())),
            Command::VerifyAnswer(args) => args.store.models.load(with(args.store.flags())),
            Command::Demo(args) => args.models.load(with(Vec::new())),
            Command::Eval(args) => args.models().load(with(Vec::new())),
            Command::Evidence(command) => {
                let store = command.store();
                store.models.load(with(store.flags()))
            }
            Command::Calibrate(_)
            | Command::Health(_)
            | Command::Models(_)
            | Command::Keys(_)
            | Command::Config(_)
            | Command::Train(_) => {
                let mut variables = Sources::environment();
                variables.retain(|(name, _)| name.starts_with("VERIFRAME_LOG"));
                let sources = Sources { variables, flags: log, ..Sources::default() };
                sources.load().map_err(Into::into)
            }
        };
        Ok(loaded?.settings)
    }
}
