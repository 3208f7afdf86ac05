//! The Open Inference Protocol over the wire.

mod heatmaps;
mod infer;
mod metadata;
mod refused;
mod repository;
mod stream;

use bytes::{BufMut, Bytes, BytesMut};
use tonic::transport::Channel;
use veriframe::proto::inference as wire;
use veriframe::proto::inference::grpc_inference_service_client::GrpcInferenceServiceClient;
use veriframe::proto::inference::infer_parameter::ParameterChoice;
use veriframe::proto::inference::model_infer_request::InferInputTensor;

use super::support::TestServer;

type Client = GrpcInferenceServiceClient<Channel>;

async fn client(server: &TestServer) -> Client {
    Client::new(server.channel().await).max_decoding_message_size(256 << 20)
}

/// An input and its raw elements.
type Input = (InferInputTensor, Bytes);

fn head(name: &str, datatype: &str, shape: &[i64]) -> InferInputTensor {
    InferInputTensor {
        name: name.to_owned(),
        datatype: datatype.to_owned(),
        shape: shape.to_vec(),
        ..Default::default()
    }
}

/// A BYTES input.
fn strings<T: AsRef<[u8]>>(name: &str, values: &[T]) -> Input {
    let mut raw = BytesMut::new();
    for value in values {
        raw.put_u32_le(value.as_ref().len() as u32);
        raw.extend_from_slice(value.as_ref());
    }
    (head(name, "BYTES", &[values.len() as i64]), raw.freeze())
}

fn request(model: &str, inputs: Vec<Input>) -> wire::ModelInferRequest {
    let (inputs, raw_input_contents) = inputs.into_iter().unzip();
    wire::ModelInferRequest {
        model_name: model.to_owned(),
        inputs,
        raw_input_contents,
        ..Default::default()
    }
}

fn with(
    mut request: wire::ModelInferRequest,
    name: &str,
    value: ParameterChoice,
) -> wire::ModelInferRequest {
    let value = wire::InferParameter { parameter_choice: Some(value) };
    request.parameters.insert(name.to_owned(), value);
    request
}

/// An output's shape and raw elements.
fn output<'a>(response: &'a wire::ModelInferResponse, name: &str) -> (&'a [i64], &'a Bytes) {
    let at = response.outputs.iter().position(|output| output.name == name).unwrap();
    (&response.outputs[at].shape, &response.raw_output_contents[at])
}

fn floats(response: &wire::ModelInferResponse, name: &str) -> Vec<f32> {
    let (shape, raw) = output(response, name);
    assert_eq!(shape.iter().product::<i64>() * 4, raw.len() as i64);
    raw.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

fn integers(response: &wire::ModelInferResponse, name: &str) -> Vec<i64> {
    let (_, raw) = output(response, name);
    raw.chunks_exact(8).map(|bytes| i64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// The elements of a BYTES output.
fn words(response: &wire::ModelInferResponse, name: &str) -> Vec<String> {
    let (_, raw) = output(response, name);
    let mut rest = raw.as_ref();
    let mut words = Vec::new();
    while let Some((length, elements)) = rest.split_first_chunk() {
        let (word, later) = elements.split_at(u32::from_le_bytes(*length) as usize);
        words.push(String::from_utf8(word.to_vec()).unwrap());
        rest = later;
    }
    words
}

/// Equal but for what another batch size does to the last digits.
fn assert_near(left: &[f32], right: &[f32]) {
    assert_eq!(left.len(), right.len());
    for (left, right) in left.iter().zip(right) {
        assert!((left - right).abs() < 1e-4 * (1.0 + right.abs()), "{left} {right}");
    }
}
