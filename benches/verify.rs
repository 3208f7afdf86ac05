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
use veriframe::models::clip::{Clip, ClipCheckpoint, ClipConfig, TapPlan};
use veriframe::models::weights::Weights;
use veriframe::proto::v1;
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
    request.detection = Some(v1::DetectionRequest::default());
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
