//! What a checkpoint is, its sizes, and what is wrong with it.

use std::path::Path;

use serde::Serialize;
use tch::{Device, Kind};

use super::clip::ClipCheckpoint;
use super::weights::WeightsError;
use super::yolo::{BatchNorm, YoloCheckpoint};

/// What was found at a path.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Inspection {
    /// What it is: "CLIP" or "YOLOv8".
    pub kind: String,
    /// Sizes and settings, in the order to show them.
    pub facts: Vec<(String, String)>,
    /// SHA-256 of the weights, hexadecimal.
    pub checksum: String,
    /// Why it cannot be served; empty where it can.
    pub problems: Vec<String>,
}

impl Inspection {
    /// Everything as name and value.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![("kind".to_owned(), self.kind.clone())];
        rows.extend(self.facts.iter().cloned());
        if !self.checksum.is_empty() {
            rows.push(("sha256".to_owned(), self.checksum.clone()));
        }
        rows
    }

    fn broken(kind: &str, error: &WeightsError) -> Self {
        Self { kind: kind.to_owned(), problems: vec![error.to_string()], ..Self::default() }
    }
}

/// Reads the checkpoint at `path` and builds its net once. What is wrong with a checkpoint is in
/// the inspection; an error means that there is nothing at the path.
pub fn inspect(path: &Path) -> Result<Inspection, WeightsError> {
    if !path.exists() {
        return Err(WeightsError::format(path, "there is no such file or folder"));
    }
    Ok(if path.is_dir() { inspect_clip(path) } else { inspect_yolo(path) })
}

fn fact(name: &str, value: impl ToString) -> (String, String) {
    (name.to_owned(), value.to_string())
}

fn inspect_clip(path: &Path) -> Inspection {
    let checkpoint = match ClipCheckpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Inspection::broken("CLIP", &error),
    };
    let (vision, text) = (&checkpoint.config.vision, &checkpoint.config.text);
    let tower = |layers: i64, width: i64, heads: i64| {
        format!("{layers} blocks, width {width}, {heads} heads")
    };
    let facts = vec![
        fact(
            "image tower",
            tower(vision.num_hidden_layers, vision.hidden_size, vision.num_attention_heads),
        ),
        fact("input", format!("{0} x {0} px", vision.image_size)),
        fact(
            "heatmap grid",
            format!("{0} x {0}, patches of {1} px", vision.grid(), vision.patch_size),
        ),
        fact(
            "text tower",
            tower(text.num_hidden_layers, text.hidden_size, text.num_attention_heads),
        ),
        fact("tokens", format!("{} known, {} read", text.vocab_size, text.max_position_embeddings)),
        fact("embedding", checkpoint.config.projection_dim),
        fact("parameters", checkpoint.parameters()),
    ];
    let problems = match checkpoint.build(Device::Cpu, Kind::Float) {
        Ok(_) => Vec::new(),
        Err(error) => vec![error.to_string()],
    };
    let checksum = checkpoint.checksum().to_owned();
    Inspection { kind: "CLIP".to_owned(), facts, checksum, problems }
}

fn inspect_yolo(path: &Path) -> Inspection {
    let checkpoint = match YoloCheckpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => return Inspection::broken("YOLOv8", &error),
    };
    let classes = &checkpoint.config.classes;
    let few = classes.iter().take(12).cloned().collect::<Vec<_>>().join(", ");
    let facts = vec![
        fact("input", format!("{0} x {0} px", checkpoint.input_px)),
        fact(
            "classes",
            format!("{}: {few}{}", classes.len(), if classes.len() > 12 { ", …" } else { "" }),
        ),
        fact("parameters", checkpoint.parameters()),
    ];
    let problems = match checkpoint.build(Device::Cpu, Kind::Float, BatchNorm::Fused) {
        Ok(_) => Vec::new(),
        Err(error) => vec![error.to_string()],
    };
    let checksum = checkpoint.checksum().to_owned();
    Inspection { kind: "YOLOv8".to_owned(), facts, checksum, problems }
}
