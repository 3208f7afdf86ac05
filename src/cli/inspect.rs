//! `veriframe models`: what a checkpoint is, its sizes, and what is wrong with it.

use std::path::PathBuf;

use clap::Subcommand;

use super::output;
use crate::models::inspect::inspect;

#[derive(Debug, Subcommand)]
pub(super) enum ModelsCommand {
    /// Tell what a checkpoint is, its sizes, and what is wrong with it.
    ///
    /// Examples:
    ///   veriframe models inspect models/demo/clip
    ///   veriframe models inspect yolov8n.pt --json
    #[command(verbatim_doc_comment)]
    Inspect {
        /// A CLIP folder in the Hugging Face layout, or a YOLOv8 .pt or .safetensors file.
        path: PathBuf,
        /// Print JSON instead of a table.
        #[arg(long)]
        json: bool,
    },
}

pub(super) fn run(command: &ModelsCommand) -> anyhow::Result<()> {
    let ModelsCommand::Inspect { path, json } = command;
    let inspection = inspect(path)?;
    if *json {
        output::say(serde_json::to_string_pretty(&inspection)?);
    } else {
        let rows = inspection.rows().into_iter().map(|(name, value)| vec![name, value]);
        output::table(&["", &path.display().to_string()], &rows.collect::<Vec<_>>());
        for problem in &inspection.problems {
            output::say(format_args!("problem: {problem}"));
        }
    }
    anyhow::ensure!(
        inspection.problems.is_empty(),
        "{} cannot be served: {} problems",
        path.display(),
        inspection.problems.len()
    );
    Ok(())
}
