//! The command line, one file a command.
//!
//! Imports: libtorch, telemetry, vision, scenes, engine, models, explain, training, serving, verification, evaluation, report, proto, server.

pub mod train;

use clap::{Parser, Subcommand};

/// Checks images and video frames against text.
#[derive(Debug, Parser)]
#[command(version)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Train a demo model on the demo world.
    Train(train::TrainArgs),
}

/// Runs the command line.
pub fn run(cli: &Cli) -> anyhow::Result<()> {
    match &cli.command {
        Command::Train(args) => train::run(args),
    }
}
