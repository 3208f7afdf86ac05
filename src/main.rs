//! The `veriframe` program.

use std::process::ExitCode;

use clap::Parser;
use veriframe::{cli, libtorch};

fn main() -> ExitCode {
    let cli = cli::Cli::parse();
    libtorch::settle_threads();
    match cli::run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            #[expect(clippy::print_stderr, reason = "the last word of a failed command")]
            {
                eprintln!("error: {error:#}");
            }
            ExitCode::FAILURE
        }
    }
}
