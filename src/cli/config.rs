//! `veriframe config`: the settings in force, what is wrong with them, and what can be set.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::options::SettingsArgs;
use super::output;
use crate::config::{DEFAULT_FILE, Entry, Given, Loaded, entries};

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
    /// List every key with its default and its variable; with a word, what it means too.
    ///
    /// Examples:
    ///   veriframe config keys
    ///   veriframe config keys batch
    #[command(verbatim_doc_comment)]
    Keys {
        /// Tell about the keys that have this in their path or meaning.
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
        ConfigCommand::Keys { word: None } => keys(),
        ConfigCommand::Keys { word: Some(word) } => explain(&word)?,
    }
    Ok(())
}

fn report(loaded: &Loaded) {
    if loaded.given.is_empty() {
        output::say("the configuration is right; all is at its default");
        return;
    }
    let row = |given: &Given| vec![given.key.clone(), given.shown(), given.source.to_string()];
    let rows: Vec<Vec<String>> = loaded.given.iter().map(row).collect();
    output::table(&["key", "value", "set by"], &rows);
    output::say(format_args!("the configuration is right; keys set: {}", rows.len()));
}

fn keys() {
    let row = |entry: Entry| vec![entry.key.clone(), default(&entry), entry.variable];
    let rows: Vec<Vec<String>> = entries().into_iter().map(row).collect();
    output::table(&["key", "default", "variable"], &rows);
    output::say(
        "what one means: veriframe config keys KEY; all: veriframe config print --defaults",
    );
}

fn explain(word: &str) -> anyhow::Result<()> {
    let has = |text: &String| text.to_lowercase().contains(&word.to_lowercase());
    let told = |entry: &Entry| has(&entry.key) || entry.meaning.iter().any(has);
    let told: Vec<Entry> = entries().into_iter().filter(told).collect();
    anyhow::ensure!(!told.is_empty(), "no key has '{word}' in its path or meaning");
    for entry in told {
        output::say(format_args!("{} = {}    {}", entry.key, default(&entry), entry.variable));
        for line in entry.meaning {
            output::say(format_args!("    {line}"));
        }
    }
    Ok(())
}

fn default(entry: &Entry) -> String {
    if entry.optional { "(not set)".to_owned() } else { entry.value.clone() }
}
