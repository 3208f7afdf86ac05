//! Tensors of the wire to checked ones, and back: typed or raw contents, never both.

use bytes::Bytes;

use crate::proto::inference as wire;
use crate::proto::inference::model_infer_request::InferInputTensor;
use crate::serving::ServingError;
use crate::serving::tensor::{Content, Datatype, NamedTensor};

/// Elements of one BYTES tensor: each costs more in memory than on the wire.
const MAX_STRINGS: usize = 65_536;
/// Inputs of one request.
const MAX_INPUTS: usize = 256;
/// Sides of one tensor.
const MAX_SIDES: usize = 16;
/// What opens the names of parameters that point to shared memory.
const SHARED_MEMORY: &str = "shared_memory";

/// The inputs of a request, in its order, each whole: datatype, shape and content agree.
///
/// Errors name the field (`inputs[1].shape`), the input, what was expected and what came. Nothing is
/// allocated by what a shape says, only by what came.
pub fn read_inputs(
    inputs: Vec<InferInputTensor>,
    raw: Vec<Bytes>,
) -> Result<Vec<NamedTensor>, ServingError> {
    if inputs.len() > MAX_INPUTS {
        let reason = format!("has {} items, limit {MAX_INPUTS}", inputs.len());
        return Err(ServingError::invalid("inputs", reason));
    }
    // Before the contents are counted: those of shared memory are not among them.
    if let Some(at) = inputs.iter().position(points_to_shared_memory) {
        let reason = format!(
            "'{}' points to shared memory, which this server does not read; send the elements",
            inputs[at].name
        );
        return Err(ServingError::invalid(format!("inputs[{at}].parameters"), reason));
    }
    if !raw.is_empty() && raw.len() != inputs.len() {
        let reason = format!("has {} items, needs one for each input: {}", raw.len(), inputs.len());
        return Err(ServingError::invalid("raw_input_contents", reason));
    }
    let mut raw = raw.into_iter();
    let mut read: Vec<NamedTensor> = Vec::with_capacity(inputs.len());
    for (at, input) in inputs.into_iter().enumerate() {
        let name = input.name.clone();
        let twice = read.iter().any(|other| other.name() == name);
        let tensor = if twice {
            Err((".name", "is there twice".to_owned()))
        } else {
            read_input(input, raw.next())
        };
        read.push(tensor.map_err(|(field, reason)| {
            ServingError::invalid(format!("inputs[{at}]{field}"), format!("'{name}' {reason}"))
        })?);
    }
    Ok(read)
}

/// One input; an error says which of its fields is wrong.
fn read_input(
    input: InferInputTensor,
    raw: Option<Bytes>,
) -> Result<NamedTensor, (&'static str, String)> {
    let InferInputTensor { name, datatype, shape, parameters: _, contents } = input;
    if name.is_empty() {
        return Err((".name", "is no name".to_owned()));
    }
    let datatype: Datatype =
        datatype.parse().map_err(|error| (".datatype", format!("is of no kind: {error}")))?;
    let shape = read_shape(&shape).map_err(|reason| (".shape", reason))?;
    let content = match (raw, contents) {
        (Some(_), Some(contents)) if !is_empty(&contents) => {
            let reason = "has contents beside raw_input_contents; use one of them";
            return Err((".contents", reason.to_owned()));
        }
        (Some(raw), _) if datatype == Datatype::Bytes => {
            Content::Strings(read_strings(&raw).map_err(|reason| ("", reason))?)
        }
        (Some(raw), _) => Content::Numbers(raw),
        (None, contents) => {
            let contents = contents.unwrap_or_default();
            let elements = shape.iter().try_fold(1_usize, |all, side| all.checked_mul(*side));
            read_contents(contents, datatype, elements).map_err(|reason| (".contents", reason))?
        }
    };
    NamedTensor::new(name, datatype, shape, content).map_err(|reason| ("", reason))
}

fn points_to_shared_memory(input: &InferInputTensor) -> bool {
    input.parameters.keys().any(|key| key.starts_with(SHARED_MEMORY))
}

fn read_shape(shape: &[i64]) -> Result<Vec<usize>, String> {
    if shape.len() > MAX_SIDES {
        return Err(format!("has {} sides, limit {MAX_SIDES}", shape.len()));
    }
    let side = |side: &i64| {
        usize::try_from(*side)
            .map_err(|_| format!("has the shape {shape:?}, each side must be 0 or more"))
    };
    shape.iter().map(side).collect()
}

/// Raw elements of a BYTES tensor: before each its length, 4 bytes, little-endian. No copy is made.
fn read_strings(raw: &Bytes) -> Result<Vec<Bytes>, String> {
    let mut strings = Vec::new();
    let mut at = 0;
    while at < raw.len() {
        let element = strings.len();
        if element == MAX_STRINGS {
            return Err(format!("has more than {MAX_STRINGS} elements, which is the limit"));
        }
        let Some(length) = raw.get(at..at + 4) else {
            return Err(format!("ends within the length of element {element}"));
        };
        let length = u32::from_le_bytes([length[0], length[1], length[2], length[3]]) as usize;
        at += 4;
        if length > raw.len() - at {
            return Err(format!(
                "has an element {element} of {length} bytes where {} are left",
                raw.len() - at
            ));
        }
        strings.push(raw.slice(at..at + length));
        at += length;
    }
    Ok(strings)
}

/// Typed contents, which must be in the list of the datatype.
fn read_contents(
    contents: wire::InferTensorContents,
    datatype: Datatype,
    elements: Option<usize>,
) -> Result<Content, String> {
    let list = list_of(datatype).ok_or_else(|| {
        format!("is {datatype}, which has no typed contents; use raw_input_contents")
    })?;
    for (other, length) in lengths(&contents) {
        if other == list && Some(length) != elements {
            let expected = elements.map_or_else(|| "too many".to_owned(), |n| n.to_string());
            return Err(format!("needs {expected} elements by its shape, got {length}"));
        }
        if other != list && length > 0 {
            return Err(format!("has {other}, but {datatype} belongs in {list}"));
        }
    }
    if let Datatype::Bytes = datatype {
        if contents.bytes_contents.len() > MAX_STRINGS {
            let length = contents.bytes_contents.len();
            return Err(format!("has {length} elements, limit {MAX_STRINGS}"));
        }
        return Ok(Content::Strings(contents.bytes_contents));
    }
    let bytes = number_bytes(&contents, datatype)?;
    Ok(Content::Numbers(bytes.into()))
}

fn number_bytes(
    contents: &wire::InferTensorContents,
    datatype: Datatype,
) -> Result<Vec<u8>, String> {
    let wire::InferTensorContents {
        bool_contents: flags,
        int_contents: ints,
        int64_contents: longs,
        uint_contents: uints,
        uint64_contents: ulongs,
        fp32_contents: floats,
        fp64_contents: doubles,
        bytes_contents: _,
    } = contents;
    Ok(match datatype {
        Datatype::Bool => flags.iter().map(|flag| u8::from(*flag)).collect(),
        Datatype::Int8 => narrowed(ints, datatype, i8::to_le_bytes)?,
        Datatype::Int16 => narrowed(ints, datatype, i16::to_le_bytes)?,
        Datatype::Int32 => ints.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Int64 => longs.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Uint8 => narrowed(uints, datatype, u8::to_le_bytes)?,
        Datatype::Uint16 => narrowed(uints, datatype, u16::to_le_bytes)?,
        Datatype::Uint32 => uints.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Uint64 => ulongs.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Fp32 => floats.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Fp64 => doubles.iter().flat_map(|value| value.to_le_bytes()).collect(),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Bytes => Vec::new(),
    })
}

/// Elements of a list that holds wider numbers than the datatype has.
fn narrowed<W: Copy + std::fmt::Display, N: TryFrom<W>, const SIZE: usize>(
    values: &[W],
    datatype: Datatype,
    bytes: fn(N) -> [u8; SIZE],
) -> Result<Vec<u8>, String> {
    let mut all = Vec::with_capacity(values.len() * SIZE);
    for (at, value) in values.iter().enumerate() {
        let narrow = N::try_from(*value)
            .map_err(|_| format!("has {value} as element {at}, which {datatype} cannot hold"))?;
        all.extend_from_slice(&bytes(narrow));
    }
    Ok(all)
}

/// Where the typed elements of a datatype stand; `None` where it has only a raw form.
fn list_of(datatype: Datatype) -> Option<&'static str> {
    match datatype {
        Datatype::Bool => Some("bool_contents"),
        Datatype::Int8 | Datatype::Int16 | Datatype::Int32 => Some("int_contents"),
        Datatype::Int64 => Some("int64_contents"),
        Datatype::Uint8 | Datatype::Uint16 | Datatype::Uint32 => Some("uint_contents"),
        Datatype::Uint64 => Some("uint64_contents"),
        Datatype::Fp32 => Some("fp32_contents"),
        Datatype::Fp64 => Some("fp64_contents"),
        Datatype::Bytes => Some("bytes_contents"),
        Datatype::Fp16 | Datatype::Bf16 => None,
    }
}

fn lengths(contents: &wire::InferTensorContents) -> [(&'static str, usize); 8] {
    [
        ("bool_contents", contents.bool_contents.len()),
        ("int_contents", contents.int_contents.len()),
        ("int64_contents", contents.int64_contents.len()),
        ("uint_contents", contents.uint_contents.len()),
        ("uint64_contents", contents.uint64_contents.len()),
        ("fp32_contents", contents.fp32_contents.len()),
        ("fp64_contents", contents.fp64_contents.len()),
        ("bytes_contents", contents.bytes_contents.len()),
    ]
}

fn is_empty(contents: &wire::InferTensorContents) -> bool {
    lengths(contents).iter().all(|(_, length)| *length == 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input(datatype: &str, shape: &[i64]) -> InferInputTensor {
        InferInputTensor {
            name: "X".to_owned(),
            datatype: datatype.to_owned(),
            shape: shape.to_vec(),
            ..Default::default()
        }
    }

    fn typed(
        datatype: &str,
        shape: &[i64],
        contents: wire::InferTensorContents,
    ) -> Result<NamedTensor, String> {
        let input = InferInputTensor { contents: Some(contents), ..input(datatype, shape) };
        let read = read_inputs(vec![input], Vec::new());
        read.map(|mut read| read.remove(0)).map_err(|error| error.to_string())
    }

    fn raw(datatype: &str, shape: &[i64], bytes: &[u8]) -> Result<NamedTensor, String> {
        let read = read_inputs(vec![input(datatype, shape)], vec![Bytes::copy_from_slice(bytes)]);
        read.map(|mut read| read.remove(0)).map_err(|error| error.to_string())
    }

    #[test]
    fn typed_and_raw_elements_read_the_same() {
        let contents = || wire::InferTensorContents::default();
        let check = |datatype, typed_contents, bytes: &[u8]| {
            let typed = typed(datatype, &[1, 2], typed_contents).unwrap();
            assert_eq!(typed, raw(datatype, &[1, 2], bytes).unwrap(), "{datatype}");
        };
        let ints = || wire::InferTensorContents { int_contents: vec![-1, 5], ..contents() };
        check("INT8", ints(), &[0xff, 5]);
        check("INT16", ints(), &[0xff, 0xff, 5, 0]);
        check("INT32", ints(), &[0xff, 0xff, 0xff, 0xff, 5, 0, 0, 0]);
        let uints = || wire::InferTensorContents { uint_contents: vec![255, 1], ..contents() };
        check("UINT8", uints(), &[255, 1]);
        check("UINT16", uints(), &[255, 0, 1, 0]);
        let flags = wire::InferTensorContents { bool_contents: vec![true, false], ..contents() };
        check("BOOL", flags, &[1, 0]);
        let floats = wire::InferTensorContents { fp32_contents: vec![1.0, -2.0], ..contents() };
        check("FP32", floats, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0]);
        let texts = vec![Bytes::from_static(b"ab"), Bytes::new()];
        let texts = wire::InferTensorContents { bytes_contents: texts, ..contents() };
        check("BYTES", texts, &[2, 0, 0, 0, b'a', b'b', 0, 0, 0, 0]);
    }

    #[test]
    fn what_does_not_agree_is_refused_with_what_was_expected_and_what_came() {
        let check = |read: Result<NamedTensor, String>, expected: &str| {
            assert_eq!(read.unwrap_err(), expected);
        };
        check(
            raw("FP32", &[2, 3], &[0; 20]),
            "inputs[0]: 'X' of shape [2, 3] and FP32 needs 24 bytes, got 20",
        );
        check(
            raw("FP32", &[2, -1], &[]),
            "inputs[0].shape: 'X' has the shape [2, -1], each side must be 0 or more",
        );
        let error = raw("F32", &[1], &[0; 4]).unwrap_err();
        assert!(error.starts_with("inputs[0].datatype: 'X' is of no kind: datatype 'F32' is"));
        check(raw("BYTES", &[1], &[1, 0, 0]), "inputs[0]: 'X' ends within the length of element 0");
        check(
            raw("BYTES", &[1], &[9, 0, 0, 0, 1]),
            "inputs[0]: 'X' has an element 0 of 9 bytes where 1 are left",
        );
        check(
            raw("BYTES", &[2], &[0, 0, 0, 0]),
            "inputs[0]: 'X' of shape [2] needs 2 elements, got 1",
        );
        let floats =
            || wire::InferTensorContents { fp32_contents: vec![1.0], ..Default::default() };
        check(
            typed("FP32", &[2], floats()),
            "inputs[0].contents: 'X' needs 2 elements by its shape, got 1",
        );
        check(
            typed("INT8", &[0], floats()),
            "inputs[0].contents: 'X' has fp32_contents, but INT8 belongs in int_contents",
        );
        check(
            typed("FP16", &[1], floats()),
            "inputs[0].contents: 'X' is FP16, which has no typed contents; use raw_input_contents",
        );
        let wide = wire::InferTensorContents { int_contents: vec![1, 300], ..Default::default() };
        check(
            typed("INT8", &[2], wide),
            "inputs[0].contents: 'X' has 300 as element 1, which INT8 cannot hold",
        );
    }

    #[test]
    fn a_shape_allocates_nothing() {
        let huge = i64::MAX;
        let error = raw("FP32", &[huge, huge], &[0; 4]).unwrap_err();
        assert!(error.ends_with("has too many elements"), "{error}");
        let error = typed("FP32", &[huge, huge], wire::InferTensorContents::default()).unwrap_err();
        assert!(error.ends_with("needs too many elements by its shape, got 0"), "{error}");
        let error = raw("BYTES", &[huge], &vec![0; 4 * (MAX_STRINGS + 1)]).unwrap_err();
        assert_eq!(error, "inputs[0]: 'X' has more than 65536 elements, which is the limit");
    }

    #[test]
    fn the_inputs_of_a_request_agree_among_themselves() {
        let check = |inputs: Vec<InferInputTensor>, raw: Vec<Bytes>, expected: &str| {
            assert_eq!(read_inputs(inputs, raw).unwrap_err().to_string(), expected);
        };
        let four = || Bytes::from_static(&[0; 4]);
        let one = || input("FP32", &[1]);
        check(
            vec![one(), one()],
            vec![four()],
            "raw_input_contents: has 1 items, needs one for each input: 2",
        );
        check(vec![one(), one()], vec![four(), four()], "inputs[1].name: 'X' is there twice");
        let floats = wire::InferTensorContents { fp32_contents: vec![1.0], ..Default::default() };
        check(
            vec![InferInputTensor { contents: Some(floats), ..one() }],
            vec![four()],
            "inputs[0].contents: 'X' has contents beside raw_input_contents; use one of them",
        );
        let shared = [("shared_memory_region".to_owned(), wire::InferParameter::default())];
        check(
            vec![InferInputTensor { parameters: shared.into(), ..one() }],
            Vec::new(),
            "inputs[0].parameters: 'X' points to shared memory, which this server does not read; \
             send the elements",
        );
    }
}
