//! A whole server in this process, on tiny models with random weights, and a client to it.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use image::{ExtendedColorType, ImageEncoder};
use tch::{Device, Kind};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tonic::transport::Channel;
use tonic::{Code, Status};
use tonic_types::StatusExt;
use veriframe::answers;
use veriframe::models::clip::{Clip, ClipConfig, TextConfig, VisionConfig};
use veriframe::models::weights::Weights;
use veriframe::models::yolo::{BatchNorm, Yolo, YoloConfig};
use veriframe::proto::v1;
use veriframe::proto::v1::verification_service_client::VerificationServiceClient;
use veriframe::server::{self, Config, Guard, Offer, ServerError};
use veriframe::serving::{Catalog, ModelSource, Options};
use veriframe::training::{export::export, tokenizer};

/// The client of the service under test.
pub(crate) type Client = VerificationServiceClient<Channel>;

/// Patches along one side of the tiny CLIP's input.
pub(crate) const GRID: usize = 4;
/// Width of its embedding space.
pub(crate) const EMBEDDING: usize = 24;
/// Classes of the tiny detector.
pub(crate) const CLASSES: [&str; 3] = ["eye", "ear", "mouth"];

/// A server that stops when it is told to, or with the test.
pub(crate) struct TestServer {
    pub(crate) address: SocketAddr,
    /// Its certificates and keys.
    pub(crate) guard: Arc<Guard>,
    stop: oneshot::Sender<()>,
    done: JoinHandle<Result<(), ServerError>>,
}

impl TestServer {
    pub(crate) async fn start() -> Self {
        Self::with(Config::default()).await
    }

    pub(crate) async fn with(config: Config) -> Self {
        Self::with_options(config, Options::default()).await
    }

    /// With models served so; [`Options::engine`]'s `before_batch` reaches their replicas.
    pub(crate) async fn with_options(config: Config, options: Options) -> Self {
        Self::serving(config, catalog(options).await).await
    }

    /// With answers checked so.
    pub(crate) async fn with_answers(config: Config, answers: answers::Config) -> Self {
        let catalog = catalog(Options::default()).await;
        Self::serving(config, Offer { answers, ..Offer::from(catalog) }).await
    }

    /// With the models of this catalog, loaded or not; or all that there is to offer.
    pub(crate) async fn serving(config: Config, offer: impl Into<Offer>) -> Self {
        let offer = offer.into();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let shutdown = async { drop(stopped.await) };
        let guard = Arc::new(Guard::open(&config.tls, &config.auth).unwrap());
        let behind = Arc::clone(&guard);
        let done = tokio::spawn(server::run_guarded(listener, offer, config, behind, shutdown));
        Self { address, guard, stop, done }
    }

    pub(crate) async fn channel(&self) -> Channel {
        let endpoint = Channel::from_shared(format!("http://{}", self.address)).unwrap();
        endpoint.connect_timeout(Duration::from_secs(10)).connect().await.unwrap()
    }

    pub(crate) async fn client(&self) -> Client {
        Client::new(self.channel().await)
            .max_decoding_message_size(256 << 20)
            .max_encoding_message_size(256 << 20)
    }

    /// Stops it and tells how it ended.
    pub(crate) async fn stop(self) -> Result<(), ServerError> {
        drop(self.stop);
        self.done.await.unwrap()
    }
}

/// The tiny models, served so.
pub(crate) async fn catalog(options: Options) -> Arc<Catalog> {
    let sources = ["clip", "yolo.safetensors"].map(|file| ModelSource {
        name: file.split('.').next().unwrap().to_owned(),
        path: models().join(file),
    });
    let catalog = tokio::task::spawn_blocking(move || Catalog::start(&sources, &options).unwrap());
    Arc::new(catalog.await.unwrap())
}

/// Checkpoints in a folder of this process, made on the first call.
pub(crate) fn models() -> &'static Path {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        write_clip(&folder.path().join("clip"), 5);
        write_detector(&folder.path().join("yolo.safetensors"), 6);
        folder
    });
    folder.path()
}

/// A tiny CLIP with random weights; other weights for each seed.
pub(crate) fn write_clip(folder: &Path, seed: i64) {
    let texts = ["a face with uneven teeth", "a photo of a face", "얼굴"].map(str::to_owned);
    let words = tokenizer::learn(&texts, 20).unwrap();
    let vocabulary = words.get_vocab_size(true) as i64;
    let config = ClipConfig {
        text: TextConfig {
            vocab_size: vocabulary,
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            eos_token_id: vocabulary - 1,
            ..TextConfig::default()
        },
        vision: VisionConfig {
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            image_size: 8 * GRID as i64,
            patch_size: 8,
            ..VisionConfig::default()
        },
        projection_dim: EMBEDDING as i64,
        ..ClipConfig::default()
    };
    tch::manual_seed(seed);
    let weights = Weights::initialise(Device::Cpu);
    Clip::new(&weights, &config, Device::Cpu, Kind::Float).unwrap();
    export(folder, &weights, &config, &words).unwrap();
}

/// A tiny detector with random weights.
pub(crate) fn write_detector(file: &Path, seed: i64) {
    tch::manual_seed(seed);
    let classes: Vec<String> = CLASSES.map(str::to_owned).to_vec();
    let mut weights = Weights::initialise(Device::Cpu);
    let config = YoloConfig::new(0.0625, 0.33, 1024, classes.clone());
    Yolo::new(&weights, &config, Device::Cpu, Kind::Float, BatchNorm::Fused).unwrap();
    weights.set_metadata("names", serde_json::to_string(&classes).unwrap());
    weights.set_metadata("imgsz", "64");
    weights.save_safetensors(file, Kind::Float).unwrap();
}

/// Width and height of [`pixels`].
pub(crate) const SIZE: (u32, u32) = (48, 36);

/// A colourful picture, `[36, 48, 3]` u8; another one for each `kind`.
pub(crate) fn pixels(kind: u32) -> Vec<u8> {
    let (width, height) = SIZE;
    let at = |x: u32, y: u32| [x * 5 + kind * 40, y * 7, (x * y + kind * 90) % 256];
    (0..height)
        .flat_map(|y| (0..width).flat_map(move |x| at(x, y)))
        .map(|value| (value % 256) as u8)
        .collect()
}

/// [`pixels`] as a PNG file.
pub(crate) fn png(kind: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::png::PngEncoder::new(&mut bytes);
    encoder.write_image(&pixels(kind), SIZE.0, SIZE.1, ExtendedColorType::Rgb8).unwrap();
    bytes
}

/// [`pixels`] as a JPEG file.
pub(crate) fn jpeg(kind: u32) -> Vec<u8> {
    let mut bytes = Vec::new();
    let encoder = image::codecs::jpeg::JpegEncoder::new(&mut bytes);
    encoder.write_image(&pixels(kind), SIZE.0, SIZE.1, ExtendedColorType::Rgb8).unwrap();
    bytes
}

pub(crate) fn encoded(bytes: impl Into<bytes::Bytes>) -> Option<v1::Image> {
    Some(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) })
}

pub(crate) fn raw(raw: v1::RawImage) -> Option<v1::Image> {
    Some(v1::Image { content: Some(v1::image::Content::Raw(raw)) })
}

pub(crate) fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|&text| text.to_owned()).collect()
}

pub(crate) fn similarity(prompts: &[&str]) -> Option<v1::SimilarityQuery> {
    Some(v1::SimilarityQuery { prompts: texts(prompts), ..Default::default() })
}

/// Random weights are sure of nothing: every box counts.
pub(crate) fn detection() -> Option<v1::DetectionQuery> {
    Some(v1::DetectionQuery {
        min_confidence: Some(0.0),
        max_detections: Some(5),
        ..Default::default()
    })
}

/// A request that any healthy server answers.
pub(crate) fn good() -> v1::VerifyRequest {
    v1::VerifyRequest {
        image: encoded(png(0)),
        similarity: similarity(&["a face", "uneven teeth"]),
        ..Default::default()
    }
}

/// The fields that a `BadRequest` names.
pub(crate) fn fields(status: &Status) -> Vec<String> {
    let details = status.get_error_details();
    let violations = details.bad_request().map(|bad| bad.field_violations.clone());
    violations.unwrap_or_default().into_iter().map(|violation| violation.field).collect()
}

/// Little-endian 32-bit floats.
pub(crate) fn floats(tensor: &v1::Tensor) -> Vec<f32> {
    assert_eq!(tensor.data_type(), v1::DataType::F32);
    tensor.data.chunks_exact(4).map(|bytes| f32::from_le_bytes(bytes.try_into().unwrap())).collect()
}

/// Asserts that `status` refuses the input and names `field` alone, with `part` in its message.
pub(crate) fn assert_refused(status: &Status, field: &str, part: &str) {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    assert_eq!(fields(status), [field], "{status:?}");
    assert!(status.message().contains(part), "'{part}' is not in: {}", status.message());
}
