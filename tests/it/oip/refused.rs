//! What is refused, and what the refusal says.

use bytes::Bytes;
use tonic::{Code, Status};
use veriframe::proto::inference as wire;
use veriframe::proto::inference::infer_parameter::ParameterChoice;
use veriframe::proto::inference::model_infer_request::InferRequestedOutputTensor;
use veriframe::server::{Config, OpenInference};

use super::{client, head, request, strings, with};
use crate::support::{TestServer, fields, png};

#[tokio::test]
async fn a_request_that_does_not_fit_names_the_field_and_what_was_expected() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let mut check = async |ask: wire::ModelInferRequest, field: &str, part: &str| {
        let status = client.model_infer(ask).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
        assert_eq!(fields(&status), [field], "{status:?}");
        assert!(status.message().contains(part), "'{part}' is not in: {}", status.message());
    };
    let image = || strings("IMAGE", &[png(0)]);
    let text = || strings("TEXT", &["a face"]);
    check(request("clip_similarity", vec![image()]), "inputs", "'TEXT' is missing").await;
    let unknown = request("clip_image", vec![image(), text()]);
    check(unknown, "inputs[1].name", "'TEXT' is no input; there is IMAGE").await;
    let floats = (head("IMAGE", "FP32", &[1]), Bytes::from_static(&[0; 4]));
    let expected = "expects BYTES [-1], encoded pictures, or UINT8 [-1, -1, -1, 3], RGB pixels, \
                    got FP32 [1]";
    check(request("clip_image", vec![floats]), "inputs[0]", expected).await;
    let short = (head("IMAGE", "UINT8", &[1, 2, 2, 3]), Bytes::from_static(&[0; 11]));
    let expected = "'IMAGE' of shape [1, 2, 2, 3] and UINT8 needs 12 bytes, got 11";
    check(request("clip_image", vec![short]), "inputs[0]", expected).await;
    let broken = strings("IMAGE", &[png(0), b"no picture".to_vec()]);
    let expected = "'IMAGE' cannot decode";
    check(request("clip_image", vec![broken]), "inputs[0].contents[1]", expected).await;
    let flat = (head("IMAGE", "UINT8", &[1, 0, 2, 3]), Bytes::new());
    let expected = "picture is 2x0 px, both must be at least 1";
    check(request("clip_image", vec![flat]), "inputs[0].contents[0]", expected).await;
    let latin = strings("TEXT", &[b"caf\xe9"]);
    check(request("clip_text", vec![latin]), "inputs[0].contents[0]", "is no UTF-8").await;
    let empty = request("clip_similarity", vec![image(), strings("TEXT", &["a", " "])]);
    check(empty, "inputs[1].contents[1]", "must not be empty").await;
    let mut output = request("clip_image", vec![image()]);
    output.outputs =
        vec![InferRequestedOutputTensor { name: "LOGITS".to_owned(), ..Default::default() }];
    check(output, "outputs[0]", "'LOGITS' is no output; there is EMBEDDING").await;
    let sequence = request("clip_image", vec![image()]);
    let sequence = with(sequence, "sequence_id", ParameterChoice::Int64Param(4));
    check(sequence, "parameters.sequence_id", "no model keeps state").await;
    let typo = request("yolo", vec![image()]);
    let typo = with(typo, "min_confidance", ParameterChoice::DoubleParam(0.5));
    check(typo, "parameters", "'min_confidance' is unknown; known are").await;
    let mut named = request("clip_image", vec![image()]);
    named.id = "x".repeat(1025);
    check(named, "id", "is 1025 bytes long, limit 1024").await;
    let many = vec![png(0); 65];
    let many = request("clip_image", vec![strings("IMAGE", &many)]);
    check(many, "inputs[0]", "has 65 pictures, must be 1 to 64").await;
    let maps = vec!["a"; 65];
    let maps = request("clip_grad_eclip", vec![image(), strings("TEXT", &maps)]);
    check(maps, "inputs[1].contents", "65 maps for each of 1 pictures").await;
}

#[tokio::test]
async fn a_timeout_is_a_deadline() {
    let server = TestServer::start().await;
    let ask = request("clip_image", vec![strings("IMAGE", &[png(0)])]);
    let ask = with(ask, "timeout", ParameterChoice::Int64Param(1));
    let status = client(&server).await.model_infer(ask).await.unwrap_err();
    assert_eq!(status.code(), Code::DeadlineExceeded, "{status:?}");
}

#[tokio::test]
async fn shared_memory_traces_and_logs_are_unimplemented_and_say_what_to_do() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let check = |result: Result<(), Status>, part: &str| {
        let status = result.unwrap_err();
        assert_eq!(status.code(), Code::Unimplemented);
        assert!(status.message().contains(part), "{}", status.message());
    };
    let memory = "send tensors in the request";
    let ask = wire::SystemSharedMemoryStatusRequest {};
    check(client.system_shared_memory_status(ask).await.map(drop), memory);
    let ask = wire::SystemSharedMemoryRegisterRequest {};
    check(client.system_shared_memory_register(ask).await.map(drop), memory);
    let ask = wire::SystemSharedMemoryUnregisterRequest {};
    check(client.system_shared_memory_unregister(ask).await.map(drop), memory);
    let ask = wire::CudaSharedMemoryStatusRequest {};
    check(client.cuda_shared_memory_status(ask).await.map(drop), memory);
    let ask = wire::CudaSharedMemoryRegisterRequest {};
    check(client.cuda_shared_memory_register(ask).await.map(drop), memory);
    let ask = wire::CudaSharedMemoryUnregisterRequest {};
    check(client.cuda_shared_memory_unregister(ask).await.map(drop), memory);
    let started = "where the server is started";
    check(client.trace_setting(wire::TraceSettingRequest {}).await.map(drop), started);
    check(client.log_settings(wire::LogSettingsRequest {}).await.map(drop), started);
}

#[tokio::test]
async fn it_can_be_switched_off() {
    let open_inference = OpenInference { enabled: false, ..OpenInference::default() };
    let server = TestServer::with(Config { open_inference, ..Config::default() }).await;
    let status = client(&server).await.server_live(wire::ServerLiveRequest {}).await.unwrap_err();
    assert_eq!(status.code(), Code::Unimplemented);
}
