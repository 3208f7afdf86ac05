//! The generated wire types. Placed here so that no room above can name them.
//!
//! Imports: nothing.

/// Package `veriframe.v1`.
#[expect(
    clippy::pedantic,
    clippy::allow_attributes,
    clippy::large_enum_variant,
    clippy::doc_lazy_continuation,
    reason = "generated code"
)]
pub mod v1 {
    tonic::include_proto!("veriframe.v1");
}

/// Package `inference`: the Open Inference Protocol v2 with Triton's calls.
#[expect(clippy::pedantic, clippy::allow_attributes, reason = "generated code")]
pub mod inference {
    tonic::include_proto!("inference");
}

/// The compiled `FileDescriptorSet`, for gRPC reflection.
pub const DESCRIPTORS: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/descriptors.bin"));
