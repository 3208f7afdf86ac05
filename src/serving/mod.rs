//! Models bound to engines: the async calls that the services are made of.
//!
//! Imports: libtorch, telemetry, vision, engine, models, explain.
