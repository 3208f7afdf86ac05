//! The command line, one file a command.
//!
//! Imports: libtorch, telemetry, vision, scenes, engine, models, explain, training, serving, verification, evaluation, report, proto, server.

mod client;
mod demo;
mod eval;
mod images;
mod inspect;
mod keys;
mod options;
mod output;
mod serve;
mod story;
mod train;
mod verify;

use clap::{Parser, Subcommand};

use crate::telemetry::{self, LogFormat};

/// Check images and video frames against text: CLIP scores, YOLOv8 boxes, and the heatmaps that
/// explain them.
#[derive(Debug, Parser)]
#[command(name = "veriframe", version, max_term_width = 100, propagate_version = true)]
pub struct Cli {
    /// Log filter, such as "info" or "veriframe=debug"; logs go to standard error.
    #[arg(long, global = true, env = "VERIFRAME_LOG", default_value = "warn")]
    log: String,
    /// Write logs as JSON lines.
    #[arg(long, global = true, env = "VERIFRAME_LOG_JSON")]
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
    /// Stream a generated clip through a server with the built-in models and leave a report.
    Demo(demo::DemoArgs),
    /// Measure accuracy, mean average precision and heatmap localisation.
    Eval(eval::EvalArgs),
    /// Look into checkpoints.
    #[command(subcommand)]
    Models(inspect::ModelsCommand),
    /// Make API keys for a server's key file.
    #[command(subcommand)]
    Keys(keys::KeysCommand),
    /// Train the built-in models.
    Train(train::TrainArgs),
}

/// Runs one command to its end. Errors say what to do next.
pub fn run(cli: Cli) -> anyhow::Result<()> {
    let format = if cli.log_json { LogFormat::Json } else { LogFormat::Text };
    telemetry::init(format, &cli.log)?;
    match cli.command {
        Command::Serve(args) => serve::run(args),
        Command::Verify(args) => verify::run(&args),
        Command::Demo(args) => demo::run(&args),
        Command::Eval(args) => eval::run(&args),
        Command::Models(command) => inspect::run(&command),
        Command::Keys(command) => keys::run(&command),
        Command::Train(command) => train::run(&command),
    }
}
