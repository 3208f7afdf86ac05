//! The `veriframe` program.

use clap::Parser;

fn main() -> anyhow::Result<()> {
    veriframe::cli::run(&veriframe::cli::Cli::parse())
}
