//! What one `Verify` costs over the bare forward pass, both measured in this process, alternating.
//!
//! `cargo bench --bench verify` runs a random full-size ViT-L/14 in bf16 (writes 0.9 GB to a
//! temporary folder) and the demo models; `-- demo` runs the demo models alone.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::Context;
use tch::{Device, Kind, Tensor};
use tonic::transport::Channel;
use veriframe::models::clip::{Clip, ClipCheckpoint, ClipConfig, TapPlan};
use veriframe::models::weights::Weights;
use veriframe::proto::v1;
use veriframe::proto::v1::verification_service_client::VerificationServiceClient;
use veriframe::scenes::{FaceSpec, HELD_OUT, draw};
use veriframe::server;
use veriframe::serving::{Catalog, ModelSource, Options};

const DEMO: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/models/demo");

fn main() -> anyhow::Result<()> {
    let demo_only = std::env::args().any(|argument| argument == "demo");
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(async {
        demo().await?;
        if !demo_only {
            large().await?;
        }
        Ok(())
    })
}

/// A warmed demo-model `Verify` with scores, boxes and one heatmap.
async fn demo() -> anyhow::Result<()> {
    let clip = Path::new(DEMO).join("clip");
    let yolo = Path::new(DEMO).join("yolo/face-parts.safetensors");
    let sources = [source("clip", &clip), source("yolo", &yolo)];
    let mut client = client(Catalog::start(&sources, &Options::default())?).await?;
    let mut request = request(&picture(320, 320)?);
    request.detection = Some(v1::DetectionQuery::default());
    let mut times = Vec::new();
    for round in 0..60 {
        let started = Instant::now();
        client.verify(request.clone()).await?;
        if round >= 10 {
            times.push(started.elapsed());
        }
    }
    println!(
        "demo models, scores + boxes + heatmap: median {:?}, p95 {:?}",
        at(&mut times, 0.5),
        at(&mut times, 0.95)
    );
    Ok(())
}

/// Bare bf16 forward of a random ViT-L/14 against `Verify` with one prompt and one heatmap.
async fn large() -> anyhow::Result<()> {
    let folder = std::env::temp_dir().join(format!("veriframe-bench-{}", std::process::id()));
    write_large(&folder)?;
    let result = compare(&folder).await;
    std::fs::remove_dir_all(&folder)?;
    result
}

async fn compare(folder: &Path) -> anyhow::Result<()> {
    let checkpoint = ClipCheckpoint::open(folder)?;
    let bare = checkpoint.build(Device::Cpu, Kind::BFloat16)?;
    let pixels = Tensor::randn([1, 3, 224, 224], (Kind::Float, Device::Cpu));
    let options = Options { kind: Kind::BFloat16, ..Options::default() };
    let mut client = client(Catalog::start(&[source("clip", folder)], &options)?).await?;
    let request = request(&picture(1280, 853)?);
    let (mut bares, mut verifies) = (Vec::new(), Vec::new());
    for round in 0..12 {
        let started = Instant::now();
        forward(&bare, &pixels);
        let bare_time = started.elapsed();
        let started = Instant::now();
        client.verify(request.clone()).await?;
        if round >= 2 {
            bares.push(bare_time);
            verifies.push(started.elapsed());
        }
    }
    let (bare, verify) = (at(&mut bares, 0.5), at(&mut verifies, 0.5));
    println!(
        "ViT-L/14 bf16: bare forward {bare:?}, verify with 1 prompt and 1 heatmap {verify:?}, ratio {:.3}",
        verify.as_secs_f64() / bare.as_secs_f64()
    );
    Ok(())
}

fn forward(clip: &Clip, pixels: &Tensor) {
    let embedding = tch::no_grad(|| clip.vision.encode(pixels, TapPlan::Nothing).embedding);
    assert!(embedding.double_value(&[0, 0]).is_finite());
}

/// Random weights of the published sizes with the demo model's tokeniser.
fn write_large(folder: &Path) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut config = ClipConfig { projection_dim: 768, ..ClipConfig::default() };
    (config.text.hidden_size, config.text.intermediate_size) = (768, 3072);
    config.text.num_attention_heads = 12;
    config.vision.hidden_size = 1024;
    config.vision.intermediate_size = 4096;
    (config.vision.num_hidden_layers, config.vision.num_attention_heads) = (24, 16);
    config.vision.patch_size = 14;
    // The tokeniser is the demo model's, so its end of text is what this tower pools.
    let demo = std::fs::read(Path::new(DEMO).join("clip/config.json"))?;
    config.text.eos_token_id = serde_json::from_slice::<ClipConfig>(&demo)?.text.eos_token_id;
    std::fs::write(folder.join("config.json"), serde_json::to_vec(&config)?)?;
    std::fs::copy(Path::new(DEMO).join("clip/tokenizer.json"), folder.join("tokenizer.json"))?;
    std::fs::write(folder.join("preprocessor_config.json"), "{}")?;
    let weights = Weights::initialise(Device::Cpu);
    Clip::new(&weights, &config, Device::Cpu, Kind::Float)?;
    weights.save_safetensors(&folder.join("model.safetensors"), Kind::BFloat16)?;
    Ok(())
}

fn source(name: &str, path: &Path) -> ModelSource {
    ModelSource { name: name.to_owned(), path: path.to_owned() }
}

/// A client of a server on a free loopback port; the server ends with the process.
async fn client(catalog: Catalog) -> anyhow::Result<VerificationServiceClient<Channel>> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    let address = listener.local_addr()?;
    let never = std::future::pending();
    tokio::spawn(server::run(listener, Arc::new(catalog), server::Config::default(), never));
    Ok(VerificationServiceClient::connect(format!("http://{address}")).await?)
}

/// One prompt and one heatmap on a JPEG.
fn request(jpeg: &[u8]) -> v1::VerifyRequest {
    v1::VerifyRequest {
        image: Some(v1::Image { content: Some(v1::image::Content::Encoded(jpeg.to_vec().into())) }),
        similarity: Some(v1::SimilarityQuery {
            prompts: vec!["uneven teeth".to_owned()],
            ..Default::default()
        }),
        heatmaps: Some(v1::HeatmapQuery::default()),
        ..Default::default()
    }
}

/// A generated face as a JPEG of the given size.
fn picture(width: u32, height: u32) -> anyhow::Result<Vec<u8>> {
    let scene = draw(&FaceSpec::sample(HELD_OUT), 320);
    let face = image::RgbImage::from_raw(320, 320, scene.image.into_pixels()).context("size")?;
    let face = image::imageops::resize(&face, width, height, image::imageops::FilterType::Triangle);
    let mut jpeg = std::io::Cursor::new(Vec::new());
    face.write_to(&mut jpeg, image::ImageFormat::Jpeg)?;
    Ok(jpeg.into_inner())
}

/// The value below which `share` of the times lie.
fn at(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    times[((times.len() - 1) as f64 * share).round() as usize]
}
