//! The command line, one file a command.
//!
//! Imports: libtorch, telemetry, vision, scenes, engine, models, explain, training, serving, verification, evaluation, report, proto, server.
