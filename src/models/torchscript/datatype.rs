//! Kinds of tensor elements, by the names of the Open Inference Protocol.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use tch::Kind;
use thiserror::Error;

/// There is no datatype of this name.
#[derive(Clone, Debug, Error, PartialEq)]
#[error("datatype '{0}' is unknown; known are {known}", known = known())]
pub struct UnknownDatatype(String);

/// The kind of a tensor's elements.
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub enum Datatype {
    /// True (1) or false (0), one byte.
    Bool,
    /// Unsigned, 8 bits.
    Uint8,
    /// Unsigned, 16 bits.
    Uint16,
    /// Unsigned, 32 bits.
    Uint32,
    /// Unsigned, 64 bits.
    Uint64,
    /// Signed, 8 bits.
    Int8,
    /// Signed, 16 bits.
    Int16,
    /// Signed, 32 bits.
    Int32,
    /// Signed, 64 bits.
    Int64,
    /// IEEE 754 half precision.
    Fp16,
    /// The upper half of an IEEE 754 single.
    Bf16,
    /// IEEE 754 single precision.
    Fp32,
    /// IEEE 754 double precision.
    Fp64,
    /// A string of bytes of any length.
    Bytes,
}

impl Datatype {
    /// Every datatype.
    pub const ALL: [Self; 14] = [
        Self::Bool,
        Self::Uint8,
        Self::Uint16,
        Self::Uint32,
        Self::Uint64,
        Self::Int8,
        Self::Int16,
        Self::Int32,
        Self::Int64,
        Self::Fp16,
        Self::Bf16,
        Self::Fp32,
        Self::Fp64,
        Self::Bytes,
    ];

    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bool => "BOOL",
            Self::Uint8 => "UINT8",
            Self::Uint16 => "UINT16",
            Self::Uint32 => "UINT32",
            Self::Uint64 => "UINT64",
            Self::Int8 => "INT8",
            Self::Int16 => "INT16",
            Self::Int32 => "INT32",
            Self::Int64 => "INT64",
            Self::Fp16 => "FP16",
            Self::Bf16 => "BF16",
            Self::Fp32 => "FP32",
            Self::Fp64 => "FP64",
            Self::Bytes => "BYTES",
        }
    }

    /// Bytes of one element; `None` where elements have no fixed size.
    pub const fn element_bytes(self) -> Option<usize> {
        match self {
            Self::Bool | Self::Uint8 | Self::Int8 => Some(1),
            Self::Uint16 | Self::Int16 | Self::Fp16 | Self::Bf16 => Some(2),
            Self::Uint32 | Self::Int32 | Self::Fp32 => Some(4),
            Self::Uint64 | Self::Int64 | Self::Fp64 => Some(8),
            Self::Bytes => None,
        }
    }

    /// libtorch's name for it; `None` where a module can have no such tensor.
    pub const fn kind(self) -> Option<Kind> {
        match self {
            Self::Bool => Some(Kind::Bool),
            Self::Uint8 => Some(Kind::Uint8),
            Self::Int8 => Some(Kind::Int8),
            Self::Int16 => Some(Kind::Int16),
            Self::Int32 => Some(Kind::Int),
            Self::Int64 => Some(Kind::Int64),
            Self::Fp16 => Some(Kind::Half),
            Self::Bf16 => Some(Kind::BFloat16),
            Self::Fp32 => Some(Kind::Float),
            Self::Fp64 => Some(Kind::Double),
            Self::Uint16 | Self::Uint32 | Self::Uint64 | Self::Bytes => None,
        }
    }
}

impl fmt::Display for Datatype {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl FromStr for Datatype {
    type Err = UnknownDatatype;

    fn from_str(name: &str) -> Result<Self, UnknownDatatype> {
        let found = Self::ALL.into_iter().find(|datatype| datatype.name() == name);
        // What a caller wrote may be of any length; its beginning tells enough.
        found.ok_or_else(|| UnknownDatatype(name.chars().take(32).collect()))
    }
}

impl TryFrom<String> for Datatype {
    type Error = UnknownDatatype;

    fn try_from(name: String) -> Result<Self, UnknownDatatype> {
        name.parse()
    }
}

impl From<Datatype> for String {
    fn from(datatype: Datatype) -> Self {
        datatype.name().to_owned()
    }
}

fn known() -> String {
    Datatype::ALL.map(Datatype::name).join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_datatype_reads_as_it_is_shown_and_weighs_what_libtorch_says() {
        for datatype in Datatype::ALL {
            assert_eq!(datatype.name().parse(), Ok(datatype));
            if let Some(kind) = datatype.kind() {
                assert_eq!(datatype.element_bytes(), Some(kind.elt_size_in_bytes()), "{datatype}");
            }
        }
        let error = "FP8".parse::<Datatype>().unwrap_err().to_string();
        assert!(error.starts_with("datatype 'FP8' is unknown; known are BOOL, UINT8,"), "{error}");
    }
}
