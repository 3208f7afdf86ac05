//! The configuration: defaults, then a file, then the environment, then flags.
//!
//! Imports: units, bounds, libtorch, telemetry, evidence, engine, serving, answers, server.
//!
//! [`Settings`] puts the rooms' own `Config` structs together; `veriframe.toml` beside this file is
//! their manual. To add a key: a field with a default in the room's struct, its range in the room's
//! `breaches`, and its entry in `veriframe.toml`. The rest (names of variables, `--set`, suggestions,
//! `config print`) follows from the struct, and a test fails where the manual and the code differ.
//!
//! What holds always:
//! - No key is ignored: one that is unknown, in whatever source, is an error with the nearest name.
//! - All errors of all sources are told at once, each with the place it comes from.
//! - No key holds a secret; files and variables of their own do.
//! - Settings are read once, as the program starts. Only keys and certificates are read again.

mod environment;
mod error;
mod file;
mod load;
mod manual;
mod print;
mod schema;
mod settings;
mod text;

pub use error::{ConfigError, Fault, Source};
pub use load::{Flag, Given, Loaded, Sources};
pub use manual::{DEFAULT_FILE, Entry, entries};
pub use settings::{Models, Precision, Settings};
