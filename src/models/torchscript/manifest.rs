//! What a TorchScript file does not say of itself: names, kinds and shapes of its tensors.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::Datatype;

/// Inputs, and outputs, of one module.
const MAX_TENSORS: usize = 64;
/// Sides of one tensor, the batch not counted.
const MAX_DIMS: usize = 8;
/// Rows of one run.
const MAX_BATCH_SIZE: usize = 4096;

/// What goes into a module and comes out, as TOML:
///
/// ```toml
/// max_batch_size = 8
/// inputs = [{ name = "PIXELS", datatype = "FP32", dims = [3, -1, -1] }]
/// outputs = [{ name = "LOGITS", datatype = "FP32", dims = [1000] }]
/// ```
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Where above 0, the first side of every tensor is the batch, which `dims` leave out: requests
    /// are run together, at most this many rows at once. 0, the default: one request a run, shapes
    /// as `dims` say. At most 4096.
    #[serde(default)]
    pub max_batch_size: usize,
    /// In the order in which the module takes them; 1 to 64, names differ.
    pub inputs: Vec<TensorSpec>,
    /// In the order in which the module gives them; 1 to 64, names differ.
    pub outputs: Vec<TensorSpec>,
}

/// One tensor of a model.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(deny_unknown_fields)]
pub struct TensorSpec {
    /// Its name.
    pub name: String,
    /// The kind of its elements.
    pub datatype: Datatype,
    /// Its sides, at most 8, without the batch; -1 is a side of any size.
    pub dims: Vec<i64>,
}

impl TensorSpec {
    /// Whether a tensor of `shape` (without the batch) is meant.
    pub fn fits(&self, shape: &[usize]) -> bool {
        let fits = |(&dim, &side): (&i64, &usize)| dim < 0 || usize::try_from(dim) == Ok(side);
        self.dims.len() == shape.len() && self.dims.iter().zip(shape).all(fits)
    }
}

impl fmt::Display for TensorSpec {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {:?}", self.datatype, self.dims)
    }
}

impl Manifest {
    /// Errors with what is wrong, with the value and the limit.
    pub fn check(&self) -> Result<(), String> {
        if self.max_batch_size > MAX_BATCH_SIZE {
            let size = self.max_batch_size;
            return Err(format!("max_batch_size is {size}, limit {MAX_BATCH_SIZE}"));
        }
        check("inputs", &self.inputs)?;
        check("outputs", &self.outputs)
    }

    /// Whether the first side of every tensor is the batch.
    pub fn is_batched(&self) -> bool {
        self.max_batch_size > 0
    }
}

fn check(list: &str, tensors: &[TensorSpec]) -> Result<(), String> {
    if tensors.is_empty() || tensors.len() > MAX_TENSORS {
        return Err(format!("has {} {list}, needs 1 to {MAX_TENSORS}", tensors.len()));
    }
    for (at, tensor) in tensors.iter().enumerate() {
        let TensorSpec { name, datatype, dims } = tensor;
        if name.is_empty() {
            return Err(format!("{list}[{at}].name is empty"));
        }
        if tensors[..at].iter().any(|other| other.name == *name) {
            return Err(format!("two {list} are named '{name}'"));
        }
        if datatype.kind().is_none() {
            return Err(format!("{list} '{name}' is {datatype}, which no module has"));
        }
        if dims.len() > MAX_DIMS {
            return Err(format!("{list} '{name}' has {} dims, limit {MAX_DIMS}", dims.len()));
        }
        if let Some(dim) = dims.iter().find(|dim| **dim < -1 || **dim == 0) {
            return Err(format!("{list} '{name}' has the dim {dim}, must be -1 or at least 1"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "
        max_batch_size = 8
        [[inputs]]
        name = 'X'
        datatype = 'FP32'
        dims = [3, -1]
        [[outputs]]
        name = 'Y'
        datatype = 'INT64'
        dims = []
    ";

    fn parse(text: &str) -> Result<Manifest, String> {
        let manifest: Manifest = toml::from_str(text).map_err(|error| error.to_string())?;
        manifest.check().map(|()| manifest)
    }

    #[test]
    fn a_manifest_names_every_tensor() {
        let manifest = parse(GOOD).unwrap();
        assert!(manifest.is_batched());
        let input = &manifest.inputs[0];
        assert!(input.fits(&[3, 7]) && input.fits(&[3, 0]));
        assert!(!input.fits(&[2, 7]) && !input.fits(&[3]) && !input.fits(&[3, 7, 1]));
        assert_eq!(input.to_string(), "FP32 [3, -1]");
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |from: &str, to: &str, expected: &str| {
            assert!(GOOD.contains(from), "{from}");
            let error = parse(&GOOD.replace(from, to)).unwrap_err();
            assert!(error.contains(expected), "{error}");
        };
        check("= 8", "= 5000", "max_batch_size is 5000, limit 4096");
        check("max_batch_size", "max_batch", "unknown field `max_batch`");
        check("FP32", "F32", "datatype 'F32' is unknown; known are BOOL");
        check("FP32", "BYTES", "inputs 'X' is BYTES, which no module has");
        check("'X'", "''", "inputs[0].name is empty");
        check("[3, -1]", "[3, -2]", "inputs 'X' has the dim -2, must be -1 or at least 1");
        check("[3, -1]", "[3, 0]", "inputs 'X' has the dim 0, must be -1 or at least 1");
        check("[3, -1]", "[1,1,1,1,1,1,1,1,1]", "inputs 'X' has 9 dims, limit 8");
        let twice = format!("{GOOD}\n[[outputs]]\nname = 'Y'\ndatatype = 'BOOL'\ndims = []");
        assert_eq!(parse(&twice).unwrap_err(), "two outputs are named 'Y'");
        let none = "inputs = []\noutputs = []";
        assert_eq!(parse(none).unwrap_err(), "has 0 inputs, needs 1 to 64");
    }
}
