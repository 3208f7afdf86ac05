//! The gRPC services, their layers and their life.
//!
//! Imports: telemetry, vision, engine, models, explain, serving, verification, proto.
