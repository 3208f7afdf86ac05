//! `veriframe config`: the settings in force, what is wrong with them, and what can be set.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::options::SettingsArgs;
use super::output;
use crate::config::{DEFAULT_FILE, Loaded, entries};

#[derive(Debug, Subcommand)]
pub(super) enum ConfigCommand {
    /// Print the settings in force as TOML; what is not the default says who set it.
    ///
    /// Examples:
    ///   veriframe config print --defaults > veriframe.toml
    ///   veriframe config print --config veriframe.toml --set models.threads=4
    #[command(verbatim_doc_comment)]
    Print(PrintArgs),
    /// Tell all that is wrong with a configuration; ends with 1 where something is.
    ///
    /// What the environment and --set give counts too, as it does for: veriframe serve
    ///
    /// Examples:
    ///   veriframe config check veriframe.toml
    ///   veriframe config check --config veriframe.toml --set models.threads=4
    #[command(verbatim_doc_comment)]
    Check(CheckArgs),
    /// List every key with its default and its variable.
    ///
    /// Examples:
    ///   veriframe config keys
    ///   veriframe config keys engine
    #[command(verbatim_doc_comment)]
    Keys {
        /// Only keys that have this in their path or meaning.
        #[arg(value_name = "WORD")]
        word: Option<String>,
    },
}

#[derive(Args, Debug)]
pub(super) struct PrintArgs {
    /// Print the commented default file, which is the manual.
    #[arg(long)]
    defaults: bool,
    #[command(flatten)]
    settings: SettingsArgs,
}

#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The file to check; that of --config where none is given.
    #[arg(conflicts_with = "config")]
    file: Option<PathBuf>,
    #[command(flatten)]
    settings: SettingsArgs,
}

/// Runs the command.
pub(super) fn run(command: ConfigCommand) -> anyhow::Result<()> {
    match command {
        ConfigCommand::Print(args) if args.defaults => output::say(DEFAULT_FILE.trim_end()),
        ConfigCommand::Print(args) => {
            output::say(args.settings.load(Vec::new())?.to_toml());
        }
        ConfigCommand::Check(CheckArgs { file, settings }) => {
            let settings = SettingsArgs { config: file.or(settings.config), set: settings.set };
            report(&settings.load(Vec::new())?);
        }
        ConfigCommand::Keys { word } => keys(word.as_deref().unwrap_or_default()),
    }
    Ok(())
}

fn report(loaded: &Loaded) {
    if loaded.given.is_empty() {
        output::say("the configuration is right; all is at its default");
        return;
    }
    let row = |given: &crate::config::Given| {
        vec![given.key.clone(), given.value.to_string(), given.source.to_string()]
    };
    let rows: Vec<Vec<String>> = loaded.given.iter().map(row).collect();
    output::table(&["key", "value", "set by"], &rows);
    output::say(format_args!("the configuration is right; keys set: {}", rows.len()));
}

fn keys(word: &str) {
    let rows: Vec<Vec<String>> = entries()
        .into_iter()
        .filter(|entry| entry.key.contains(word) || entry.meaning.contains(word))
        .map(|entry| {
            let value = if entry.optional { "not set".to_owned() } else { entry.value };
            vec![entry.key, value, entry.variable]
        })
        .collect();
    output::table(&["key", "default", "variable"], &rows);
    output::say("what each means: veriframe config print --defaults");
}
