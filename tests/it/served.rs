//! The demo models over the wire: what a client asks, gets, and gets wrong.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio_stream::StreamExt;
use tonic::transport::Channel;
use tonic::{Code, Request, Status};
use tonic_types::StatusExt;
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
async fn every_part_is_answered_and_nothing_that_was_not_asked() {
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
    let found = &answer.detection.as_ref().unwrap().detections;
    assert!(found.iter().any(|found| found.label == "mouth"), "{found:?}");
    let regions = &answer.regions.as_ref().unwrap().regions;
    assert!(!regions.is_empty() && regions.iter().all(|region| region.scores.len() == 2));
    assert!(regions.iter().all(|region| region.detection.as_ref().unwrap().label == "mouth"));
    let maps = &answer.heatmaps.as_ref().unwrap().heatmaps;
    let Some(v1::heatmap::Content::Tensor(tensor)) = &maps[0].content else { panic!("{maps:?}") };
    assert_eq!((maps.len(), tensor.shape.as_slice()), (2, [14, 14].as_slice()));
    assert_eq!(tensor.data.len(), 14 * 14 * 4);
    let timing = answer.timing.unwrap();
    assert!(timing.total.is_some() && timing.batch_size >= 1, "{timing:?}");

    let plain = client.verify(good()).await.unwrap().into_inner();
    assert!(plain.detection.is_none() && plain.regions.is_none() && plain.heatmaps.is_none());
    assert_eq!(cosines(&plain), cosines(&answer));
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
async fn embeddings_give_the_cosines_of_verify() {
    let served = Served::start().await;
    let mut client = served.client();
    let expected = cosines(&client.verify(good()).await.unwrap().into_inner());
    let texts = vec!["uneven teeth".to_owned(), "even teeth".to_owned()];
    let request = v1::EmbedRequest { image: png(), texts, ..Default::default() };
    let answer = client.embed(request).await.unwrap().into_inner();
    let vector = |tensor: &v1::Tensor| -> Vec<f32> {
        tensor.data.chunks_exact(4).map(|b| f32::from_le_bytes(b.try_into().unwrap())).collect()
    };
    let image = vector(answer.image.as_ref().unwrap());
    for (text, expected) in answer.texts.iter().zip(expected) {
        let text = vector(text.embedding.as_ref().unwrap());
        let cosine: f32 = text.iter().zip(&image).map(|(a, b)| a * b).sum();
        assert!((cosine - expected).abs() < 1e-5, "{cosine} {expected}");
    }
}

#[tokio::test]
async fn raw_pixels_and_png_give_one_answer() {
    let served = Served::start().await;
    let mut client = served.client();
    let expected = cosines(&client.verify(good()).await.unwrap().into_inner());
    let scene = scene();
    let raw = v1::RawImage {
        format: v1::PixelFormat::Rgb8.into(),
        width: 224,
        height: 224,
        stride: 0,
        data: scene.image.into_pixels().into(),
    };
    let image = Some(v1::Image { content: Some(v1::image::Content::Raw(raw)) });
    let answer = client.verify(v1::VerifyRequest { image, ..good() }).await.unwrap().into_inner();
    assert_eq!(cosines(&answer), expected);
}

#[tokio::test]
async fn a_prompt_that_is_too_long_is_cut_and_says_so() {
    let served = Served::start().await;
    let mut client = served.client();
    let long = "uneven teeth ".repeat(100);
    let request = v1::VerifyRequest { similarity: similarity(&[&long, "even teeth"]), ..good() };
    let answer = client.verify(request).await.unwrap().into_inner();
    let scores = answer.similarity.unwrap().scores;
    assert!(scores[0].truncated && scores[0].tokens > 77, "{:?}", scores[0]);
    assert!(!scores[1].truncated && scores[1].tokens < 77, "{:?}", scores[1]);
}

/// A PNG that says it is 60 000 pixels wide and high, and holds next to none of them.
fn giant_png() -> Vec<u8> {
    let side = 60_000u32.to_be_bytes();
    let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
    bytes.extend(chunk(*b"IHDR", &[&side[..], &side, &[8, 2, 0, 0, 0]].concat()));
    bytes.extend(chunk(*b"IDAT", &[0x78, 0x9c, 3, 0, 0, 0, 0, 1]));
    bytes.extend(chunk(*b"IEND", &[]));
    bytes
}

/// A PNG chunk: length, name, data, CRC-32 of name and data.
fn chunk(name: [u8; 4], data: &[u8]) -> Vec<u8> {
    let named = [&name[..], data].concat();
    let crc = named.iter().fold(0xffff_ffff_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            if crc & 1 == 1 { (crc >> 1) ^ 0xedb8_8320 } else { crc >> 1 }
        })
    });
    [&(data.len() as u32).to_be_bytes()[..], &named, &(!crc).to_be_bytes()].concat()
}

/// What is wrong, the code, the field, and what the message names.
type Bad = (v1::VerifyRequest, Code, &'static str, &'static [&'static str]);

fn bad_pictures() -> Vec<Bad> {
    let with = |image| v1::VerifyRequest { image, ..good() };
    let jpeg = encode(&scene(), image::ImageFormat::Jpeg);
    let mut corrupt = encode(&scene(), image::ImageFormat::Png);
    let middle = corrupt.len() / 2;
    corrupt[middle] ^= 0xff;
    let raw = v1::RawImage {
        format: v1::PixelFormat::Rgb8.into(),
        width: 10,
        height: 10,
        data: vec![0; 299].into(),
        ..Default::default()
    };
    let raw = Some(v1::Image { content: Some(v1::image::Content::Raw(raw)) });
    vec![
        (with(encoded(&jpeg[..jpeg.len() / 2])), Code::InvalidArgument, "image", &[]),
        (with(encoded(corrupt)), Code::InvalidArgument, "image", &[]),
        (with(encoded(giant_png())), Code::InvalidArgument, "image", &["60000", "16384"]),
        (with(encoded(Vec::new())), Code::InvalidArgument, "image", &[]),
        (with(raw), Code::InvalidArgument, "image", &["300", "299"]),
        (with(None), Code::InvalidArgument, "image", &[]),
    ]
}

fn bad_questions() -> Vec<Bad> {
    let many: Vec<String> = (0..10_000).map(|i| format!("prompt {i}")).collect();
    let many = Some(v1::SimilarityQuery { prompts: many, ..Default::default() });
    let ask = |similarity| v1::VerifyRequest { similarity, ..good() };
    let detect = |query| v1::VerifyRequest { detection: Some(query), ..good() };
    let model = Some(v1::SimilarityQuery {
        model: Some("nobody".to_owned()),
        ..similarity(&["a face"]).unwrap()
    });
    let nan = v1::DetectionQuery { min_confidence: Some(f32::NAN), ..Default::default() };
    let class = v1::DetectionQuery { classes: vec!["tail".to_owned()], ..Default::default() };
    let limit = v1::DetectionQuery { max_detections: Some(0), ..Default::default() };
    let method = Some(v1::HeatmapQuery { methods: vec![99], ..Default::default() });
    vec![
        (ask(many), Code::InvalidArgument, "similarity.prompts", &["10000", "256"]),
        (ask(similarity(&["a", ""])), Code::InvalidArgument, "similarity.prompts[1]", &[]),
        (ask(similarity(&[])), Code::InvalidArgument, "similarity.prompts", &["1"]),
        (ask(None), Code::InvalidArgument, "", &[]),
        (ask(model), Code::NotFound, "", &["nobody", "clip"]),
        (detect(nan), Code::InvalidArgument, "detection.min_confidence", &["NaN", "0", "1"]),
        (detect(class), Code::InvalidArgument, "detection.classes[0]", &["tail", "mouth"]),
        (detect(limit), Code::InvalidArgument, "detection.max_detections", &["0", "1000"]),
        (
            v1::VerifyRequest { heatmaps: method, ..good() },
            Code::InvalidArgument,
            "heatmaps.methods[0]",
            &["99"],
        ),
    ]
}

fn check(status: &Status, (code, field, named): (Code, &str, &[&str])) {
    assert_eq!(status.code(), code, "{status:?}");
    for name in named {
        assert!(status.message().contains(name), "'{name}' is not in: {}", status.message());
    }
    if !field.is_empty() {
        let details = status.get_details_bad_request().unwrap();
        assert_eq!(details.field_violations[0].field, field, "{status:?}");
    }
}

#[tokio::test]
async fn bad_input_is_named_and_the_next_request_is_served() {
    let served = Served::start().await;
    let mut client = served.client();
    for (request, code, field, named) in bad_pictures().into_iter().chain(bad_questions()) {
        let status = client.verify(request).await.unwrap_err();
        check(&status, (code, field, named));
        client.verify(good()).await.unwrap();
    }
}

#[tokio::test]
async fn a_deadline_that_is_too_short_is_answered_as_such() {
    let served = Served::start().await;
    let mut client = served.client();
    let mut request = Request::new(good());
    request.set_timeout(Duration::from_micros(50));
    let status = client.verify(request).await.unwrap_err();
    // The client's own clock may run out first; it says CANCELLED then.
    assert!(matches!(status.code(), Code::DeadlineExceeded | Code::Cancelled), "{status:?}");
    client.verify(good()).await.unwrap();
}

fn config(similarity: Option<v1::SimilarityQuery>) -> v1::VerifyStreamRequest {
    let config = v1::StreamConfig { similarity, ..Default::default() };
    v1::VerifyStreamRequest { message: Some(v1::verify_stream_request::Message::Config(config)) }
}

fn frame(sequence: u64, image: Option<v1::Image>) -> v1::VerifyStreamRequest {
    let frame = v1::Frame { sequence, image, ..Default::default() };
    v1::VerifyStreamRequest { message: Some(v1::verify_stream_request::Message::Frame(frame)) }
}

async fn answers(
    client: &mut Client,
    messages: Vec<v1::VerifyStreamRequest>,
) -> Result<Vec<v1::verify_stream_response::Message>, Status> {
    let stream = client.verify_stream(tokio_stream::iter(messages)).await?.into_inner();
    let all: Vec<_> = stream.collect().await;
    all.into_iter().map(|answer| Ok(answer?.message.unwrap())).collect()
}

#[tokio::test]
async fn a_stream_answers_each_frame_in_order_and_a_bad_one_in_place() {
    use v1::frame_result::Outcome;
    use v1::verify_stream_response::Message;
    let served = Served::start().await;
    let mut client = served.client();
    let mut messages = vec![config(similarity(&["uneven teeth"]))];
    messages
        .extend((0..10).map(|n| frame(n, if n == 4 { encoded(*b"no picture") } else { png() })));
    messages.push(config(similarity(&["uneven teeth", "even teeth"])));
    messages.push(frame(10, png()));
    let answers = answers(&mut client, messages).await.unwrap();
    assert_eq!(answers.len(), 12);
    for (index, answer) in answers[..11].iter().enumerate() {
        let Message::Result(result) = answer else { panic!("{answer:?}") };
        assert_eq!(result.sequence, index as u64);
        match result.outcome.as_ref().unwrap() {
            Outcome::Error(status) => {
                assert_eq!((index, status.code), (4, Code::InvalidArgument as i32));
            }
            Outcome::Ok(answer) => {
                assert_eq!(cosines(answer).len(), if index < 10 { 1 } else { 2 });
            }
            other @ (Outcome::Dropped(_) | Outcome::Expired(_)) => panic!("{other:?}"),
        }
    }
    let Message::Summary(summary) = &answers[11] else { panic!("{:?}", answers[11]) };
    assert_eq!((summary.frames, summary.ok, summary.errors), (11, 10, 1));
}

#[tokio::test]
async fn a_stream_begins_with_its_configuration() {
    let served = Served::start().await;
    let mut client = served.client();
    let status = answers(&mut client, vec![frame(0, png())]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    let policy = v1::StreamConfig {
        similarity: similarity(&["a face"]),
        policy: v1::OverloadPolicy::DropOldest.into(),
        ..Default::default()
    };
    let policy = v1::VerifyStreamRequest {
        message: Some(v1::verify_stream_request::Message::Config(policy)),
    };
    let status = answers(&mut client, vec![policy]).await.unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    client.verify(good()).await.unwrap();
}

#[tokio::test]
async fn health_turns_to_serving_once_every_model_has_run() {
    use tonic_health::pb::health_check_response::ServingStatus;
    use tonic_health::pb::health_client::HealthClient;
    let served = Served::start().await;
    let mut health = HealthClient::new(served.channel.clone());
    for service in ["", "ready", "veriframe.v1.VerificationService"] {
        let request = tonic_health::pb::HealthCheckRequest { service: service.to_owned() };
        let mut changes = health.watch(request).await.unwrap().into_inner();
        let mut last = ServingStatus::Unknown;
        while last != ServingStatus::Serving {
            let change = changes.next().await.unwrap().unwrap();
            last = ServingStatus::try_from(change.status).unwrap();
        }
    }
}

#[tokio::test]
async fn models_are_listed_with_their_checksums() {
    let served = Served::start().await;
    let mut client = served.client();
    let models = client.list_models(v1::ListModelsRequest {}).await.unwrap().into_inner().models;
    assert_eq!(models.len(), 2);
    assert!(models.iter().all(|model| model.identity.as_ref().unwrap().checksum.len() == 64));
    assert_eq!(
        (models[0].kind(), models[1].kind()),
        (v1::ModelKind::Clip, v1::ModelKind::Detector)
    );
    assert_eq!(models[1].classes[0], "face");
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
