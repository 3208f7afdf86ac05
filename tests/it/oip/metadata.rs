//! What the server tells of itself, of its models and of what they did.

use tonic::Code;
use veriframe::explain::Method;
use veriframe::proto::inference as wire;
use veriframe::proto::inference::model_metadata_response::TensorMetadata;

use super::{Client, client, request, strings};
use crate::support::{EMBEDDING, GRID, TestServer, png};

#[tokio::test]
async fn a_server_is_live_and_ready_and_says_what_it_can() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let live = client.server_live(wire::ServerLiveRequest {}).await.unwrap().into_inner();
    let ready = client.server_ready(wire::ServerReadyRequest {}).await.unwrap().into_inner();
    assert!(live.live && ready.ready);
    let metadata = client.server_metadata(wire::ServerMetadataRequest {}).await.unwrap();
    let metadata = metadata.into_inner();
    assert_eq!(metadata.name, "veriframe");
    assert_eq!(metadata.version, env!("CARGO_PKG_VERSION"));
    for extension in ["binary_tensor_data", "model_configuration", "parameters", "statistics"] {
        assert!(metadata.extensions.iter().any(|known| known == extension), "{metadata:?}");
    }
    for unknown in ["sequence", "system_shared_memory", "cuda_shared_memory", "trace", "logging"] {
        assert!(!metadata.extensions.iter().any(|known| known == unknown), "{metadata:?}");
    }
}

#[tokio::test]
async fn each_model_says_what_it_takes_and_gives() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let (width, side) = (EMBEDDING as i64, GRID as i64);
    let image = ("IMAGE", "BYTES", vec![-1]);
    let text = ("TEXT", "BYTES", vec![-1]);
    let pairs = |name| (name, "FP32", vec![-1, -1]);
    let map = || {
        vec![
            ("HEATMAP", "FP32", vec![-1, -1, side, side]),
            ("AREA", "FP32", vec![-1, 4]),
            pairs("CONTRAST"),
            ("QUALITY", "BYTES", vec![-1, -1]),
            pairs("HIT_PROBABILITY"),
        ]
    };
    let boxes = vec![
        ("BOXES", "FP32", vec![-1, 4]),
        ("SCORES", "FP32", vec![-1]),
        ("CLASSES", "INT64", vec![-1]),
        ("LABELS", "BYTES", vec![-1]),
        ("IMAGE_INDEX", "INT64", vec![-1]),
    ];
    let embedding = || ("EMBEDDING", "FP32", vec![-1, width]);
    let scores = ["COSINE", "LOGIT", "SOFTMAX", "CONTRAST"].map(pairs).to_vec();
    for (model, inputs, outputs) in [
        ("clip_image", vec![image.clone()], vec![embedding()]),
        ("clip_text", vec![text.clone()], vec![embedding(), ("TRUNCATED", "BOOL", vec![-1])]),
        ("clip_similarity", vec![image.clone(), text.clone()], scores),
        ("clip_heatmap", vec![image.clone(), text.clone()], map()),
        ("clip_grad_eclip", vec![image.clone(), text.clone()], map()),
        ("clip_direct_effect", vec![image.clone(), text], map()),
        ("yolo", vec![image], boxes),
    ] {
        let ask = wire::ModelMetadataRequest { name: model.to_owned(), version: "1".to_owned() };
        let metadata = client.model_metadata(ask).await.unwrap().into_inner();
        let tensors = |tensors: Vec<(&str, &str, Vec<i64>)>| -> Vec<TensorMetadata> {
            let tensor = |(name, datatype, shape): (&str, &str, _)| TensorMetadata {
                name: name.to_owned(),
                datatype: datatype.to_owned(),
                shape,
            };
            tensors.into_iter().map(tensor).collect()
        };
        assert_eq!((metadata.name.as_str(), metadata.versions), (model, vec!["1".to_owned()]));
        assert_eq!((metadata.inputs, metadata.outputs), (tensors(inputs), tensors(outputs)));
        assert_eq!(metadata.properties["checksum"].len(), 64);
        let methods = metadata.properties.get("methods").map(|methods| methods.split(',').count());
        let expected = (model == "clip_heatmap").then_some(Method::ALL.len());
        assert_eq!(methods, expected, "{model}");
        let ask = wire::ModelConfigRequest { name: model.to_owned(), version: String::new() };
        let config = client.model_config(ask).await.unwrap().into_inner().config.unwrap();
        assert_eq!((config.name.as_str(), config.platform), (model, metadata.platform));
        assert_eq!(config.max_batch_size, 0);
        assert_eq!(config.input[0].data_type(), wire::DataType::TypeString);
        assert!(!config.model_transaction_policy.unwrap().decoupled);
    }
}

#[tokio::test]
async fn a_model_that_is_not_there_is_not_ready_and_not_found() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    for (name, version, there) in [
        ("clip_image", "", true),
        ("clip_image", "1", true),
        ("clip_image", "2", false),
        ("x", "", false),
    ] {
        let (name, version) = (name.to_owned(), version.to_owned());
        let ask = wire::ModelReadyRequest { name: name.clone(), version: version.clone() };
        assert_eq!(client.model_ready(ask).await.unwrap().into_inner().ready, there);
        let ask = wire::ModelMetadataRequest { name, version };
        let metadata = client.model_metadata(ask).await;
        assert_eq!(metadata.is_ok(), there);
        if let Err(status) = metadata {
            assert_eq!(status.code(), Code::NotFound);
            assert!(status.message().contains("clip_image"), "{}", status.message());
        }
    }
}

async fn statistics(client: &mut Client, name: &str) -> Vec<wire::ModelStatistics> {
    let ask = wire::ModelStatisticsRequest { name: name.to_owned(), version: String::new() };
    client.model_statistics(ask).await.unwrap().into_inner().model_stats
}

#[tokio::test]
async fn what_a_model_did_is_counted() {
    let server = TestServer::start().await;
    let mut client = client(&server).await;
    let before = statistics(&mut client, "").await;
    let names: Vec<&str> = before.iter().map(|model| model.name.as_str()).collect();
    let expected = [
        "clip_direct_effect",
        "clip_grad_eclip",
        "clip_heatmap",
        "clip_image",
        "clip_similarity",
        "clip_text",
        "yolo",
    ];
    assert_eq!(names, expected);
    assert!(before.iter().all(|model| model.inference_count == 0 && model.last_inference == 0));

    for pictures in [vec![png(0)], vec![png(1), png(2)], vec![b"no picture".to_vec()]] {
        let good = pictures[0] != b"no picture";
        let ask = request("clip_image", vec![strings("IMAGE", &pictures)]);
        assert_eq!(client.model_infer(ask).await.is_ok(), good);
    }
    let after = statistics(&mut client, "clip_image").await.remove(0);
    let told = after.inference_stats.unwrap();
    let counts = [
        (told.success, 2),
        (told.fail, 1),
        (told.queue, 2),
        (told.compute_input, 2),
        (told.compute_infer, 2),
        (told.compute_output, 2),
    ];
    for (sum, count) in counts {
        assert_eq!(sum.unwrap().count, count);
    }
    let (whole, infer) = (told.success.unwrap().ns, told.compute_infer.unwrap().ns);
    assert!(infer > 0 && infer <= whole, "{infer} of {whole}");
    assert_eq!(after.inference_count, 3);
    assert!((1..=3).contains(&after.execution_count), "{after:?}");
    assert!(after.last_inference > 1_600_000_000_000);
    assert!(!after.batch_stats.is_empty());
    let others = statistics(&mut client, "clip_similarity").await.remove(0);
    assert_eq!(others.inference_count, 0);
}
