//! The demo models over the wire: what they know of a face that they were never trained on.

use std::path::Path;
use std::sync::Arc;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tonic::transport::Channel;
use veriframe::proto::v1;
use veriframe::proto::v1::verification_service_client::VerificationServiceClient;
use veriframe::scenes::{Cue, FaceSpec, HELD_OUT, Scene, draw};
use veriframe::server;
use veriframe::serving::{Catalog, ModelSource, Options};

type Client = VerificationServiceClient<Channel>;

/// A server of the demo models; it stops when this is dropped.
struct Served {
    channel: Channel,
    _stop: oneshot::Sender<()>,
}

impl Served {
    async fn start() -> Self {
        let source = |name: &str, path: &str| ModelSource {
            name: name.to_owned(),
            path: Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo").join(path),
        };
        let sources = [source("clip", "clip"), source("yolo", "yolo/face-parts.safetensors")];
        let catalog = tokio::task::spawn_blocking(move || {
            Catalog::start(&sources, &Options::default()).unwrap()
        });
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (stop, stopped) = oneshot::channel::<()>();
        let shutdown = async { drop(stopped.await) };
        let catalog = Arc::new(catalog.await.unwrap());
        let config = server::Config::default();
        tokio::spawn(server::run(listener, catalog, config, shutdown));
        let channel = Channel::from_shared(address).unwrap().connect().await.unwrap();
        Self { channel, _stop: stop }
    }

    fn client(&self) -> Client {
        VerificationServiceClient::new(self.channel.clone())
    }
}

/// A held-out face with uneven teeth.
fn scene() -> Scene {
    draw(&FaceSpec::sample(HELD_OUT + 3).with_cue(Cue::UnevenTeeth, true), 224)
}

fn encode(scene: &Scene, format: image::ImageFormat) -> Vec<u8> {
    let (width, height) = (scene.image.width(), scene.image.height());
    let picture = image::RgbImage::from_raw(width, height, scene.image.pixels().to_vec()).unwrap();
    let mut bytes = std::io::Cursor::new(Vec::new());
    picture.write_to(&mut bytes, format).unwrap();
    bytes.into_inner()
}

fn encoded(bytes: impl Into<Vec<u8>>) -> Option<v1::Image> {
    Some(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into().into())) })
}

fn png() -> Option<v1::Image> {
    encoded(encode(&scene(), image::ImageFormat::Png))
}

fn similarity(prompts: &[&str]) -> Option<v1::SimilarityQuery> {
    let prompts = prompts.iter().map(|&prompt| prompt.to_owned()).collect();
    Some(v1::SimilarityQuery { prompts, ..Default::default() })
}

fn good() -> v1::VerifyRequest {
    v1::VerifyRequest {
        image: png(),
        similarity: similarity(&["uneven teeth", "even teeth"]),
        ..Default::default()
    }
}

fn cosines(answer: &v1::VerifyResponse) -> Vec<f32> {
    answer.similarity.as_ref().unwrap().scores.iter().map(|score| score.cosine).collect()
}

#[tokio::test]
async fn a_cue_is_told_from_its_opposite_and_its_parts_are_found() {
    let served = Served::start().await;
    let mut client = served.client();
    let all = v1::VerifyRequest {
        detection: Some(v1::DetectionQuery::default()),
        regions: Some(v1::RegionQuery { classes: vec!["mouth".to_owned()], ..Default::default() }),
        heatmaps: Some(v1::HeatmapQuery::default()),
        ..good()
    };
    let answer = client.verify(all).await.unwrap().into_inner();
    let scores = answer.similarity.as_ref().unwrap();
    assert_eq!(scores.scores.len(), 2);
    assert!((scores.scores.iter().map(|score| score.softmax).sum::<f32>() - 1.0).abs() < 1e-5);
    assert!(scores.scores[0].cosine > scores.scores[1].cosine, "{scores:?}");
    let calibration = scores.calibration.as_ref().unwrap();
    assert!(calibration.name.starts_with("prompts-") && calibration.ece < 0.05, "{calibration:?}");
    let told: Option<Vec<f64>> = scores.scores.iter().map(|score| score.confidence).collect();
    assert!(told.unwrap().iter().all(|told| (0.0..=1.0).contains(told)), "{scores:?}");
    let found = &answer.detection.as_ref().unwrap().detections;
    assert!(found.iter().any(|found| found.label == "mouth"), "{found:?}");
    let regions = &answer.regions.as_ref().unwrap().regions;
    assert!(!regions.is_empty() && regions.iter().all(|region| region.scores.len() == 2));
    assert!(regions.iter().all(|region| region.detection.as_ref().unwrap().label == "mouth"));
    let maps = &answer.heatmaps.as_ref().unwrap().heatmaps;
    let Some(v1::heatmap::Content::Tensor(tensor)) = &maps[0].content else { panic!("{maps:?}") };
    assert_eq!((maps.len(), tensor.shape.as_slice()), (2, [14, 14].as_slice()));
    assert_eq!(tensor.data.len(), 14 * 14 * 4);
    for map in maps {
        let probability = map.hit_probability.expect("the built-in model has a calibration");
        assert!((0.0..=1.0).contains(&probability), "{probability}");
    }
    let timing = answer.timing.unwrap();
    assert!(timing.total.is_some() && timing.batch_size >= 1, "{timing:?}");

    let plain = client.verify(good()).await.unwrap().into_inner();
    assert!(plain.detection.is_none() && plain.regions.is_none() && plain.heatmaps.is_none());
    for (plain, among) in cosines(&plain).iter().zip(cosines(&answer)) {
        assert!((plain - among).abs() < 1e-5, "{plain} {among}");
    }
}

#[tokio::test]
async fn the_shares_of_a_direct_effect_sum_to_its_contrast() {
    let served = Served::start().await;
    let mut client = served.client();
    let request = v1::ExplainRequest {
        image: png(),
        heatmaps: Some(v1::HeatmapQuery {
            prompts: vec!["uneven teeth".to_owned(), "기형적인 귀".to_owned()],
            methods: vec![v1::HeatmapMethod::DirectEffect.into()],
            ..Default::default()
        }),
    };
    let answer = client.explain(request).await.unwrap().into_inner();
    for map in answer.heatmaps.unwrap().heatmaps {
        let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { panic!("{map:?}") };
        let values = tensor.data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap()));
        let shares = map.accounting.unwrap();
        assert!((values.sum::<f32>() - shares.patches).abs() < 1e-4, "{shares:?}");
        let sum = shares.patches
            + shares.class_token
            + shares.biases
            + shares.mlps
            + shares.embedding
            + shares.norm_bias;
        assert!((sum - map.contrast).abs() < 1e-4, "{sum} {}", map.contrast);
    }
}

#[tokio::test]
async fn boxes_are_those_of_the_drawn_parts() {
    let served = Served::start().await;
    let mut client = served.client();
    let request = v1::DetectRequest { image: png(), ..Default::default() };
    let answer = client.detect(request).await.unwrap().into_inner();
    for (part, truth) in scene().parts {
        let best = answer.detection.iter().flat_map(|found| &found.detections);
        let best = best.filter(|found| found.label == part.name()).map(|found| {
            let edges = found.r#box.as_ref().unwrap();
            truth.iou(&veriframe::vision::boxes::Rect::new(edges.x1, edges.y1, edges.x2, edges.y2))
        });
        let best = best.fold(0.0, f32::max);
        assert!(best > 0.5, "{part:?} is found with an overlap of {best}");
    }
}
