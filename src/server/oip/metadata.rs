//! What the server and its models are.

use super::models::Model;
use crate::proto::inference as wire;
use crate::proto::inference::model_metadata_response::TensorMetadata;
use crate::serving::tensor::{Datatype, TensorSpec};

/// What this server is called.
const SERVER: &str = "veriframe";

/// What the server is; `repository` where models can be loaded and unloaded.
pub(super) fn server(repository: bool) -> wire::ServerMetadataResponse {
    let mut extensions =
        vec!["binary_tensor_data", "model_configuration", "parameters", "schedule_policy"];
    extensions.push("statistics");
    if repository {
        extensions.push("model_repository");
    }
    wire::ServerMetadataResponse {
        name: SERVER.to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        extensions: extensions.into_iter().map(str::to_owned).collect(),
    }
}

/// The tensors of a model.
pub(super) fn model(model: &Model, versions: Vec<String>) -> wire::ModelMetadataResponse {
    let batched = model.max_batch_size() > 0;
    let tensors = |specs: Vec<TensorSpec>| specs.into_iter().map(|spec| tensor(spec, batched));
    let properties = model.properties().into_iter();
    wire::ModelMetadataResponse {
        name: model.name.clone(),
        versions,
        platform: model.platform().to_owned(),
        inputs: tensors(model.inputs()).collect(),
        outputs: tensors(model.outputs()).collect(),
        properties: properties.map(|(key, value)| (key.to_owned(), value)).collect(),
    }
}

fn tensor(spec: TensorSpec, batched: bool) -> TensorMetadata {
    let TensorSpec { name, datatype, dims } = spec;
    let batch = batched.then_some(-1);
    let shape = batch.into_iter().chain(dims).collect();
    TensorMetadata { name, datatype: datatype.name().to_owned(), shape }
}

/// A model as Triton configures it.
pub(super) fn config(model: &Model) -> wire::ModelConfig {
    let input = |spec: TensorSpec| wire::ModelInput {
        name: spec.name,
        data_type: data_type(spec.datatype).into(),
        dims: spec.dims,
    };
    let output = |spec: TensorSpec| wire::ModelOutput {
        name: spec.name,
        data_type: data_type(spec.datatype).into(),
        dims: spec.dims,
    };
    let parameter = |(key, value): (&str, String)| {
        (key.to_owned(), wire::ModelParameter { string_value: value })
    };
    let wait = u64::try_from(model.batch_wait().as_micros()).unwrap_or(u64::MAX);
    let batching = wire::ModelDynamicBatching {
        max_queue_delay_microseconds: wait,
        preserve_ordering: true,
        priority_levels: 3,
        default_priority_level: 2,
    };
    wire::ModelConfig {
        name: model.name.clone(),
        platform: model.platform().to_owned(),
        backend: model.backend().to_owned(),
        max_batch_size: i32::try_from(model.max_batch_size()).unwrap_or(i32::MAX),
        input: model.inputs().into_iter().map(input).collect(),
        output: model.outputs().into_iter().map(output).collect(),
        scheduling_choice: Some(wire::model_config::SchedulingChoice::DynamicBatching(batching)),
        parameters: model.properties().into_iter().map(parameter).collect(),
        model_transaction_policy: Some(wire::ModelTransactionPolicy { decoupled: false }),
    }
}

fn data_type(datatype: Datatype) -> wire::DataType {
    match datatype {
        Datatype::Bool => wire::DataType::TypeBool,
        Datatype::Uint8 => wire::DataType::TypeUint8,
        Datatype::Uint16 => wire::DataType::TypeUint16,
        Datatype::Uint32 => wire::DataType::TypeUint32,
        Datatype::Uint64 => wire::DataType::TypeUint64,
        Datatype::Int8 => wire::DataType::TypeInt8,
        Datatype::Int16 => wire::DataType::TypeInt16,
        Datatype::Int32 => wire::DataType::TypeInt32,
        Datatype::Int64 => wire::DataType::TypeInt64,
        Datatype::Fp16 => wire::DataType::TypeFp16,
        Datatype::Bf16 => wire::DataType::TypeBf16,
        Datatype::Fp32 => wire::DataType::TypeFp32,
        Datatype::Fp64 => wire::DataType::TypeFp64,
        Datatype::Bytes => wire::DataType::TypeString,
    }
}
