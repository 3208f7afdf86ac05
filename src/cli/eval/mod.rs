//! `veriframe eval`: the built-in world's held-out faces before the models, through the same
//! engines that serve; and labelled files of answers and queries, over the wire.

mod answers;
mod dossiers;
mod explain;
mod faces;
mod gallery;
mod labelled;
mod prompts;
mod quality;
mod retrieval;
mod served;
mod tables;
mod zoom;

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use clap::{Args, Subcommand};
use tokio::runtime::Runtime;

use self::faces::Measured;
use super::options::ModelArgs;
use crate::config::Settings;
use crate::scenes::HELD_OUT;

/// The first face. Training looks at held-out faces before this one to steer by, so they would
/// flatter.
const FIRST: u64 = HELD_OUT + 100_000;

/// Measure accuracy, mean average precision and heatmap localisation on generated faces that were
/// never trained on.
///
/// Examples:
///   veriframe eval
///   veriframe eval --faces 500 --only detection
///   veriframe eval --json > figures.json
///   veriframe eval explain
///   veriframe eval quality
///   veriframe eval prompts
///   veriframe eval zoom
///   veriframe eval dossiers out/cases
///   veriframe eval retrieval out/cases/retrieval.jsonl --collection cases
///   veriframe eval answers out/cases/answers.jsonl --collection cases
#[derive(Args, Debug)]
#[command(verbatim_doc_comment, args_conflicts_with_subcommands = true)]
pub(super) struct EvalArgs {
    #[command(subcommand)]
    what: Option<EvalCommand>,
    /// How many faces.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    faces: u64,
    /// Measure one part alone.
    #[arg(long)]
    only: Option<Measured>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write the JSON to a file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    models: ModelArgs,
}

/// What else there is to measure.
#[derive(Debug, Subcommand)]
enum EvalCommand {
    /// Measure every heatmap method by every figure of explanation, and show pictures.
    Explain(explain::ExplainArgs),
    /// Measure whether the figures of a heatmap tell if it points at the thing, and calibrate them.
    Quality(quality::QualityArgs),
    /// Measure whether the confidence of a prompt's score comes true, and write rows to fit it to.
    Prompts(prompts::PromptsArgs),
    /// Measure whether heatmaps point better where the model looks closer.
    Zoom(zoom::ZoomArgs),
    /// Make a labelled data set of people, evidence about them, and answers.
    Dossiers(dossiers::DossiersArgs),
    /// Measure how well evidence is found.
    Retrieval(retrieval::RetrievalArgs),
    /// Measure how well answers are checked, claim by claim.
    Answers(answers::AnswersArgs),
}

impl EvalArgs {
    /// Which models, wherever they were named.
    pub(super) fn models(&self) -> &ModelArgs {
        match &self.what {
            Some(EvalCommand::Explain(args)) => &args.models,
            Some(EvalCommand::Quality(args)) => &args.models,
            Some(EvalCommand::Prompts(args)) => &args.models,
            Some(EvalCommand::Zoom(args)) => &args.models,
            Some(EvalCommand::Retrieval(args)) => &args.models,
            Some(EvalCommand::Answers(args)) => &args.models,
            Some(EvalCommand::Dossiers(_)) | None => &self.models,
        }
    }
}

/// Runs the command. Ctrl-C ends it with what was measured until then.
pub(super) fn run(args: &EvalArgs, settings: &Settings) -> anyhow::Result<()> {
    match &args.what {
        Some(EvalCommand::Explain(args)) => explain::run(args, settings),
        Some(EvalCommand::Quality(args)) => quality::run(args, settings),
        Some(EvalCommand::Prompts(args)) => prompts::run(args, settings),
        Some(EvalCommand::Zoom(args)) => zoom::run(args, settings),
        Some(EvalCommand::Dossiers(args)) => dossiers::run(args),
        Some(EvalCommand::Retrieval(args)) => retrieval::run(args, settings),
        Some(EvalCommand::Answers(args)) => answers::run(args, settings),
        None => faces::run(args, settings),
    }
}

/// Becomes true with the first Ctrl-C.
fn stop_on_ctrl_c(runtime: &Runtime) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let asked = Arc::clone(&stop);
    runtime.spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            asked.store(true, Ordering::Relaxed);
        }
    });
    stop
}
