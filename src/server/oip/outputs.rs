//! Outputs: which a request wants, and how they are sent.

use bytes::{BufMut, Bytes, BytesMut};

use crate::proto::inference as wire;
use crate::proto::inference::model_infer_request::InferRequestedOutputTensor;
use crate::proto::inference::model_infer_response::InferOutputTensor;
use crate::serving::ServingError;
use crate::serving::tensor::{Content, Datatype, NamedTensor, TensorSpec};

/// The positions of the outputs that a request wants, in its order; all where it names none.
/// Checked before anything is computed.
pub(super) fn wanted(
    asked: &[InferRequestedOutputTensor],
    known: &[TensorSpec],
) -> Result<Vec<usize>, ServingError> {
    if asked.is_empty() {
        return Ok((0..known.len()).collect());
    }
    let mut positions = Vec::with_capacity(known.len());
    for (at, InferRequestedOutputTensor { name, parameters }) in asked.iter().enumerate() {
        let wrong = |reason: String| Err(ServingError::invalid(format!("outputs[{at}]"), reason));
        let Some(position) = known.iter().position(|spec| spec.name == *name) else {
            let known: Vec<&str> = known.iter().map(|spec| spec.name.as_str()).collect();
            return wrong(format!("'{name}' is no output; there is {}", known.join(", ")));
        };
        if positions.contains(&position) {
            return wrong(format!("'{name}' is there twice"));
        }
        let refused = |key: &&String| *key == "classification" || key.starts_with("shared_memory");
        if let Some(key) = parameters.keys().find(refused) {
            return wrong(format!("'{name}' has the parameter {key}, which is not supported"));
        }
        positions.push(position);
    }
    Ok(positions)
}

/// The outputs at `positions`, in that order.
pub(super) fn select(outputs: Vec<NamedTensor>, positions: &[usize]) -> Vec<NamedTensor> {
    let mut outputs: Vec<Option<NamedTensor>> = outputs.into_iter().map(Some).collect();
    positions.iter().filter_map(|at| outputs.get_mut(*at)?.take()).collect()
}

/// Outputs as they are sent: with typed contents, or with their raw elements beside them.
///
/// Errors: an output that has no typed form.
pub(super) fn write(
    outputs: Vec<NamedTensor>,
    typed: bool,
) -> Result<(Vec<InferOutputTensor>, Vec<Bytes>), ServingError> {
    let mut raw = Vec::new();
    let mut heads = Vec::with_capacity(outputs.len());
    for output in outputs {
        let mut head = InferOutputTensor {
            name: output.name().to_owned(),
            datatype: output.datatype().name().to_owned(),
            shape: output.shape().iter().map(|side| *side as i64).collect(),
            ..InferOutputTensor::default()
        };
        if typed {
            head.contents = Some(typed_contents(output)?);
        } else {
            raw.push(raw_elements(output.into_content()));
        }
        heads.push(head);
    }
    Ok((heads, raw))
}

fn raw_elements(content: Content) -> Bytes {
    match content {
        Content::Numbers(bytes) => bytes,
        Content::Strings(strings) => {
            let length = strings.iter().map(|string| string.len() + 4).sum();
            let mut raw = BytesMut::with_capacity(length);
            for string in strings {
                raw.put_u32_le(string.len() as u32);
                raw.extend_from_slice(&string);
            }
            raw.freeze()
        }
    }
}

fn typed_contents(output: NamedTensor) -> Result<wire::InferTensorContents, ServingError> {
    let mut contents = wire::InferTensorContents::default();
    let datatype = output.datatype();
    let name = output.name().to_owned();
    let bytes = match output.into_content() {
        Content::Strings(strings) => {
            contents.bytes_contents = strings;
            return Ok(contents);
        }
        Content::Numbers(bytes) => bytes,
    };
    match datatype {
        Datatype::Bool => contents.bool_contents = bytes.iter().map(|byte| *byte != 0).collect(),
        Datatype::Int8 => {
            contents.int_contents = elements(&bytes, i8::from_le_bytes).map(i32::from).collect();
        }
        Datatype::Int16 => {
            contents.int_contents = elements(&bytes, i16::from_le_bytes).map(i32::from).collect();
        }
        Datatype::Int32 => contents.int_contents = elements(&bytes, i32::from_le_bytes).collect(),
        Datatype::Int64 => contents.int64_contents = elements(&bytes, i64::from_le_bytes).collect(),
        Datatype::Uint8 => contents.uint_contents = bytes.iter().copied().map(u32::from).collect(),
        Datatype::Uint16 => {
            contents.uint_contents = elements(&bytes, u16::from_le_bytes).map(u32::from).collect();
        }
        Datatype::Uint32 => contents.uint_contents = elements(&bytes, u32::from_le_bytes).collect(),
        Datatype::Uint64 => {
            contents.uint64_contents = elements(&bytes, u64::from_le_bytes).collect();
        }
        Datatype::Fp32 => contents.fp32_contents = elements(&bytes, f32::from_le_bytes).collect(),
        Datatype::Fp64 => contents.fp64_contents = elements(&bytes, f64::from_le_bytes).collect(),
        Datatype::Fp16 | Datatype::Bf16 | Datatype::Bytes => {
            let reason = format!("is false, but output '{name}' is {datatype}: raw contents only");
            return Err(ServingError::invalid("parameters.binary_data_output", reason));
        }
    }
    Ok(contents)
}

fn elements<T, const SIZE: usize>(
    bytes: &[u8],
    from: fn([u8; SIZE]) -> T,
) -> impl Iterator<Item = T> {
    bytes.as_chunks().0.iter().map(move |element| from(*element))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::oip::tensors::read_inputs;

    fn asked(name: &str) -> InferRequestedOutputTensor {
        InferRequestedOutputTensor { name: name.to_owned(), ..Default::default() }
    }

    #[test]
    fn outputs_come_in_the_order_asked() {
        let spec = |name: &str| TensorSpec {
            name: name.to_owned(),
            datatype: Datatype::Fp32,
            dims: vec![-1],
        };
        let known = ["A", "B", "C"].map(spec);
        assert_eq!(wanted(&[], &known).unwrap(), [0, 1, 2]);
        let positions = wanted(&[asked("C"), asked("A")], &known).unwrap();
        let outputs = ["A", "B", "C"].map(|name| NamedTensor::floats(name, &[1], &[0.0]));
        let selected = select(outputs.to_vec(), &positions);
        assert_eq!(selected.iter().map(NamedTensor::name).collect::<Vec<_>>(), ["C", "A"]);
        let check = |asked: &[InferRequestedOutputTensor], expected: &str| {
            assert_eq!(wanted(asked, &known).unwrap_err().to_string(), expected);
        };
        check(&[asked("D")], "outputs[0]: 'D' is no output; there is A, B, C");
        check(&[asked("A"), asked("A")], "outputs[1]: 'A' is there twice");
        let classes = [("classification".to_owned(), wire::InferParameter::default())];
        let classes = InferRequestedOutputTensor { parameters: classes.into(), ..asked("A") };
        let expected = "outputs[0]: 'A' has the parameter classification, which is not supported";
        check(&[classes], expected);
    }

    /// What is written, typed or raw, is read again as it was.
    #[test]
    fn every_datatype_survives_the_wire() {
        for datatype in Datatype::ALL {
            let content = match datatype.element_bytes() {
                Some(size) => Content::Numbers((0..2 * size).map(|i| (i % 2) as u8).collect()),
                None => Content::Strings(vec![Bytes::from_static(b"ab"), Bytes::new()]),
            };
            let output = NamedTensor::new("X", datatype, vec![2, 1], content).unwrap();
            for typed in [false, true] {
                let raw_only = typed && matches!(datatype, Datatype::Fp16 | Datatype::Bf16);
                let written = write(vec![output.clone()], typed);
                assert_eq!(written.is_err(), raw_only, "{datatype}");
                let Ok((mut heads, raw)) = written else { continue };
                let head = heads.remove(0);
                let input = wire::model_infer_request::InferInputTensor {
                    name: head.name,
                    datatype: head.datatype,
                    shape: head.shape,
                    contents: head.contents,
                    ..Default::default()
                };
                assert_eq!(read_inputs(vec![input], raw).unwrap().remove(0), output);
            }
        }
    }
}
