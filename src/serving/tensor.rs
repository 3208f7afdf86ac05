//! Tensors with names, as they come in and go out of models of any kind.

use bytes::Bytes;

pub use crate::models::torchscript::{Datatype, TensorSpec, UnknownDatatype};

/// A tensor on the host. Its content always agrees with its datatype and shape.
#[derive(Clone, Debug, PartialEq)]
pub struct NamedTensor {
    name: String,
    datatype: Datatype,
    shape: Vec<usize>,
    content: Content,
}

/// A tensor's elements, row-major.
#[derive(Clone, Debug, PartialEq)]
pub enum Content {
    /// Of a datatype with a fixed size: little-endian, without padding.
    Numbers(Bytes),
    /// Of [`Datatype::Bytes`]: one string an element.
    Strings(Vec<Bytes>),
}

impl NamedTensor {
    /// Checks that content, datatype and shape agree; the error says what was expected and what
    /// came, as words that follow the tensor's name.
    pub fn new(
        name: impl Into<String>,
        datatype: Datatype,
        shape: Vec<usize>,
        content: Content,
    ) -> Result<Self, String> {
        let elements = elements(&shape)?;
        match (&content, datatype.element_bytes()) {
            (Content::Strings(strings), None) => {
                if strings.len() != elements {
                    return Err(format!(
                        "of shape {shape:?} needs {elements} elements, got {}",
                        strings.len()
                    ));
                }
            }
            (Content::Numbers(bytes), Some(size)) => {
                let expected = elements.checked_mul(size);
                if expected != Some(bytes.len()) {
                    return Err(format!(
                        "of shape {shape:?} and {datatype} needs {} bytes, got {}",
                        expected.map_or_else(|| "too many".to_owned(), |bytes| bytes.to_string()),
                        bytes.len()
                    ));
                }
                if datatype == Datatype::Bool && bytes.iter().any(|byte| *byte > 1) {
                    return Err("is BOOL, whose elements must be 0 or 1".to_owned());
                }
            }
            (Content::Strings(_), Some(_)) => {
                return Err(format!("is {datatype}, which holds no strings"));
            }
            (Content::Numbers(_), None) => {
                return Err(format!("is {datatype}, which holds no numbers"));
            }
        }
        Ok(Self { name: name.into(), datatype, shape, content })
    }

    /// FP32 elements; their number is that of the shape.
    pub fn floats(name: &str, shape: &[usize], values: &[f32]) -> Self {
        Self::numbers(name, Datatype::Fp32, shape, values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// INT64 elements; their number is that of the shape.
    pub fn integers(name: &str, shape: &[usize], values: &[i64]) -> Self {
        Self::numbers(name, Datatype::Int64, shape, values.iter().flat_map(|v| v.to_le_bytes()))
    }

    /// BOOL elements; their number is that of the shape.
    pub fn flags(name: &str, shape: &[usize], values: &[bool]) -> Self {
        Self::numbers(name, Datatype::Bool, shape, values.iter().map(|value| u8::from(*value)))
    }

    /// BYTES elements; their number is that of the shape.
    pub fn strings(
        name: &str,
        shape: &[usize],
        values: impl Iterator<Item = impl Into<Bytes>>,
    ) -> Self {
        let content = Content::Strings(values.map(Into::into).collect());
        Self::new(name, Datatype::Bytes, shape.to_vec(), content)
            .expect("as many elements as the shape says, by this function's contract")
    }

    fn numbers(
        name: &str,
        datatype: Datatype,
        shape: &[usize],
        bytes: impl Iterator<Item = u8>,
    ) -> Self {
        let content = Content::Numbers(bytes.collect::<Vec<u8>>().into());
        Self::new(name, datatype, shape.to_vec(), content)
            .expect("as many elements as the shape says, by this function's contract")
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The kind of its elements.
    pub fn datatype(&self) -> Datatype {
        self.datatype
    }

    /// Its sides.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// Its elements.
    pub fn content(&self) -> &Content {
        &self.content
    }

    /// Its elements, without a copy.
    pub fn into_content(self) -> Content {
        self.content
    }
}

/// The number of elements of a shape; an error where it is beyond counting.
fn elements(shape: &[usize]) -> Result<usize, String> {
    let product = shape.iter().try_fold(1_usize, |product, side| product.checked_mul(*side));
    // Beyond this no allocation can be: also what lies between the sides must be countable.
    product
        .filter(|product| isize::try_from(*product).is_ok())
        .ok_or_else(|| format!("of shape {shape:?} has too many elements"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(datatype: Datatype, shape: &[usize], bytes: &'static [u8]) -> Result<(), String> {
        let content = Content::Numbers(Bytes::from_static(bytes));
        NamedTensor::new("X", datatype, shape.to_vec(), content).map(drop)
    }

    #[test]
    fn content_agrees_with_shape_and_datatype() {
        assert_eq!(numbers(Datatype::Int16, &[2, 1], &[0; 4]), Ok(()));
        assert_eq!(numbers(Datatype::Fp32, &[0, 7], &[]), Ok(()));
        assert_eq!(numbers(Datatype::Int64, &[], &[0; 8]), Ok(()));
        for (datatype, shape, bytes, expected) in [
            (Datatype::Fp32, &[3][..], &[0; 4][..], "of shape [3] and FP32 needs 12 bytes, got 4"),
            (Datatype::Bool, &[2], &[0, 2], "is BOOL, whose elements must be 0 or 1"),
            (Datatype::Bytes, &[0], &[], "is BYTES, which holds no numbers"),
            (Datatype::Fp64, &[usize::MAX / 4], &[], "and FP64 needs too many bytes, got 0"),
            (Datatype::Int8, &[usize::MAX, 2], &[], "has too many elements"),
            (Datatype::Int8, &[usize::MAX], &[], "has too many elements"),
        ] {
            let error = numbers(datatype, shape, bytes).unwrap_err();
            assert!(error.contains(expected), "{error}");
        }
        let strings = Content::Strings(vec![Bytes::new()]);
        let error = NamedTensor::new("X", Datatype::Bytes, vec![2], strings.clone()).unwrap_err();
        assert_eq!(error, "of shape [2] needs 2 elements, got 1");
        let error = NamedTensor::new("X", Datatype::Int8, vec![1], strings).unwrap_err();
        assert_eq!(error, "is INT8, which holds no strings");
    }
}
