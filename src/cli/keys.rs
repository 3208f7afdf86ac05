//! `veriframe keys`: API keys, made and hashed.

use std::io::{self, IsTerminal, Read};
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, Subcommand};

use super::output;
use crate::server::auth::{Scope, Secret, check_entry, check_key_file};

/// A longer input is no key.
const INPUT_LIMIT_BYTES: u64 = 4096;

/// Make API keys for a server's key file.
#[derive(Debug, Subcommand)]
pub(super) enum KeysCommand {
    /// Make a key: prints the secret, once, and the entry for the key file.
    New(NewArgs),
    /// Read a secret of your own from standard input, and print its hash for the key file.
    Hash,
    /// Read a key file as the server would, and tell what is wrong with it.
    Check(CheckArgs),
}

/// Which key to make.
///
/// Examples:
///   veriframe keys new --id ci --scope inference
///   veriframe keys new --id operator --scope inference --scope admin --expires 2030-12-31
///   veriframe keys new --id camera-7 --scope inference --rate 30 --burst 60 --concurrency 4
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct NewArgs {
    /// Who will use it: 1 to 64 letters, digits and signs of -_.@; logs show it.
    #[arg(long)]
    id: String,
    /// What it may do, inference or admin; repeatable.
    #[arg(long = "scope", required = true)]
    scopes: Vec<Scope>,
    /// Calls per second in the long run; a stream is one call. No limit where none is given.
    #[arg(long)]
    rate: Option<f64>,
    /// Calls that may come at once after a pause; one second's worth where none is given.
    #[arg(long, requires = "rate")]
    burst: Option<u32>,
    /// Calls and streams that run at once. No limit where none is given.
    #[arg(long)]
    concurrency: Option<u32>,
    /// When it stops to count: 2030-12-31 or 2030-12-31T12:00:00Z. Never where none is given.
    #[arg(long)]
    expires: Option<toml::value::Datetime>,
}

/// Which file to read.
#[derive(Args, Debug)]
pub(super) struct CheckArgs {
    /// The key file.
    file: PathBuf,
}

/// Runs one of the commands.
pub(super) fn run(command: &KeysCommand) -> anyhow::Result<()> {
    match command {
        KeysCommand::New(args) => {
            let secret = Secret::random()?;
            let entry = entry(args, &secret)?;
            output::say(format_args!("secret, shown this once: {}", secret.reveal()));
            output::say(format_args!("\nfor the key file:\n\n{entry}"));
        }
        KeysCommand::Hash => output::say(read_secret()?.hash()),
        KeysCommand::Check(args) => {
            let entries = check_key_file(&args.file)?;
            output::say(format_args!("{}: {entries} entries", args.file.display()));
        }
    }
    Ok(())
}

/// The entry of a key file; checked as the server would.
fn entry(args: &NewArgs, secret: &Secret) -> anyhow::Result<String> {
    let scopes: Vec<String> =
        args.scopes.iter().map(|scope| format!("\"{}\"", scope.name())).collect();
    let mut lines = vec![
        "[[key]]".to_owned(),
        format!("id = {}", toml::Value::String(args.id.clone())),
        format!("sha256 = \"{}\"", secret.hash()),
        format!("scopes = [{}]", scopes.join(", ")),
    ];
    lines.extend(args.rate.map(|rate| format!("rate = {}", toml::Value::Float(rate))));
    lines.extend(args.burst.map(|burst| format!("burst = {burst}")));
    lines.extend(args.concurrency.map(|calls| format!("concurrency = {calls}")));
    lines.extend(args.expires.map(|time| format!("expires = {time}")));
    let entry = lines.join("\n");
    check_entry(&entry).map_err(anyhow::Error::msg).context("such a key cannot be made")?;
    Ok(entry)
}

fn read_secret() -> anyhow::Result<Secret> {
    let mut input = io::stdin();
    anyhow::ensure!(
        !input.is_terminal(),
        "the secret is read from standard input, so that no history keeps it: veriframe keys hash \
         < FILE"
    );
    let mut text = String::new();
    input.by_ref().take(INPUT_LIMIT_BYTES).read_to_string(&mut text).context("standard input")?;
    Ok(text.trim_end_matches(['\r', '\n']).parse::<Secret>()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(id: &str) -> NewArgs {
        NewArgs {
            id: id.to_owned(),
            scopes: vec![Scope::Inference, Scope::Admin],
            rate: Some(30.0),
            burst: Some(60),
            concurrency: Some(4),
            expires: Some("2030-12-31".parse().unwrap()),
        }
    }

    #[test]
    fn a_printed_entry_is_one_of_a_key_file_and_does_not_hold_the_secret() {
        let secret = Secret::random().unwrap();
        let entry = entry(&args("ci"), &secret).unwrap();
        assert!(!entry.contains(secret.reveal()), "{entry}");
        for line in ["scopes = [\"inference\", \"admin\"]", "rate = 30.0", "expires = 2030-12-31"] {
            assert!(entry.lines().any(|have| have == line), "{line} is not in:\n{entry}");
        }
    }

    #[test]
    fn a_key_that_the_server_would_refuse_is_not_made() {
        let secret = Secret::random().unwrap();
        let error = format!("{:#}", entry(&args("with space"), &secret).unwrap_err());
        assert!(error.contains("an id is 1 to 64 letters"), "{error}");
        let slow = NewArgs { rate: Some(0.0), ..args("ci") };
        let error = format!("{:#}", entry(&slow, &secret).unwrap_err());
        assert!(error.contains("rate is 0 calls per second"), "{error}");
    }
}
