//! The `veriframe` program.

fn main() {}
