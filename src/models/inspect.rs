//! What a checkpoint is, its sizes, and what is wrong with it; nothing is built from it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use safetensors::tensor::Metadata;
use serde::Serialize;
use zip::ZipArchive;

use super::clip::{Clip, ClipConfig, ClipTokenizer, Preprocess};
use super::safetensors_file::{files_checksum, is_float, read_header, weight_files};
use super::weights::WeightsError;
use super::yolo::YoloCheckpoint;

/// At most so many problems of one kind are told one by one.
const PROBLEMS_TOLD: usize = 10;

/// What a checkpoint is.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Format {
    /// A CLIP folder in the Hugging Face layout.
    ClipFolder,
    /// `YOLOv8` weights as safetensors.
    YoloSafetensors,
    /// `YOLOv8` weights as PyTorch pickles them.
    YoloPickle,
    /// A compiled PyTorch module.
    TorchScript,
    /// Tensors of some other model.
    Safetensors,
    /// None of these.
    Unknown,
}

impl Format {
    /// The words for a person.
    pub const fn name(self) -> &'static str {
        match self {
            Self::ClipFolder => "CLIP, Hugging Face folder",
            Self::YoloSafetensors => "YOLOv8, safetensors",
            Self::YoloPickle => "YOLOv8, PyTorch checkpoint",
            Self::TorchScript => "TorchScript module",
            Self::Safetensors => "safetensors of another model",
            Self::Unknown => "unknown",
        }
    }
}

/// What was found.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// What the checkpoint is.
    pub format: Format,
    /// Size of each file in bytes, by its name.
    pub file_bytes: BTreeMap<String, u64>,
    /// SHA-256 of the weights, hexadecimal, as the server reports it; empty where there are none.
    pub checksum: String,
    /// Number of weights, all tensors' elements together.
    pub parameters: u64,
    /// How many of them each type has, by the type's name.
    pub parameters_by_type: BTreeMap<String, u64>,
    /// The configuration in words, in order: name and value.
    pub configuration: Vec<(String, String)>,
    /// Why it cannot be served; empty where it can.
    pub problems: Vec<String>,
}

impl Inspection {
    fn new(format: Format) -> Self {
        Self {
            format,
            file_bytes: BTreeMap::new(),
            checksum: String::new(),
            parameters: 0,
            parameters_by_type: BTreeMap::new(),
            configuration: Vec::new(),
            problems: Vec::new(),
        }
    }

    /// Names and values for a table.
    pub fn rows(&self) -> Vec<(String, String)> {
        let mut rows = vec![("format".to_owned(), self.format.name().to_owned())];
        for (file, bytes) in &self.file_bytes {
            rows.push((file.clone(), format!("{bytes} bytes")));
        }
        if self.parameters > 0 {
            rows.push(("parameters".to_owned(), self.parameters.to_string()));
            let types = self.parameters_by_type.iter();
            let types: Vec<String> = types.map(|(name, n)| format!("{name} {n}")).collect();
            rows.push(("types".to_owned(), types.join(", ")));
        }
        rows.extend(self.configuration.iter().cloned());
        if !self.checksum.is_empty() {
            rows.push(("sha256".to_owned(), self.checksum.clone()));
        }
        rows
    }

    fn say(&mut self, name: &str, value: &dyn fmt::Display) {
        self.configuration.push((name.to_owned(), value.to_string()));
    }

    /// Notes the weights' checksum, and each file's size.
    fn add_files(&mut self, files: &BTreeSet<PathBuf>) {
        for file in files {
            let name = file.file_name().unwrap_or(file.as_os_str()).to_string_lossy().into_owned();
            self.file_bytes.insert(name, std::fs::metadata(file).map_or(0, |data| data.len()));
        }
        match files_checksum(files) {
            Ok(checksum) => self.checksum = checksum,
            Err(error) => self.problems.push(error.to_string()),
        }
    }

    fn add_parameters(&mut self, type_name: String, count: u64) {
        self.parameters += count;
        *self.parameters_by_type.entry(type_name).or_default() += count;
    }

    /// Tells the first few of `problems`, and how many more there are.
    fn add_problems(&mut self, problems: &[String]) {
        self.problems.extend(problems.iter().take(PROBLEMS_TOLD).cloned());
        if problems.len() > PROBLEMS_TOLD {
            self.problems.push(format!("… and {} more like these", problems.len() - PROBLEMS_TOLD));
        }
    }
}

/// Looks at a folder or file. Errors only where there is nothing to look at; whatever is wrong with
/// a checkpoint is in [`Inspection::problems`].
pub fn inspect(path: &Path) -> Result<Inspection, WeightsError> {
    if path.is_dir() {
        return Ok(clip_folder(path));
    }
    let mut start = Vec::new();
    File::open(path)
        .and_then(|file| file.take(10).read_to_end(&mut start))
        .map_err(|e| WeightsError::format(path, e))?;
    let mut inspection = match start.as_slice() {
        [b'P', b'K', ..] => archive(path),
        // A safetensors header is JSON after its length.
        [_, _, _, _, _, _, _, _, b'{', ..] => safetensors_file(path),
        _ => {
            let mut unknown = Inspection::new(Format::Unknown);
            unknown.problems.push("is neither safetensors nor a PyTorch file".to_owned());
            unknown
        }
    };
    inspection.add_files(&BTreeSet::from([path.to_owned()]));
    Ok(inspection)
}

fn clip_folder(folder: &Path) -> Inspection {
    let mut inspection = Inspection::new(Format::ClipFolder);
    let headers = headers(folder, &mut inspection);
    let config = match ClipConfig::open(&folder.join("config.json")) {
        Ok(config) => config,
        Err(error) => {
            inspection.problems.push(error.to_string());
            if inspection.file_bytes.is_empty() {
                inspection.format = Format::Unknown;
            }
            return inspection;
        }
    };
    describe(&config, &mut inspection);
    match ClipTokenizer::open(&folder.join("tokenizer.json"), &config.text) {
        Ok(tokenizer) => inspection.say("end mark", &tokenizer.end_token()),
        Err(error) => inspection.problems.push(error.to_string()),
    }
    match Preprocess::open(folder, config.vision.image_size as u32) {
        Ok(recipe) => inspection.say("preprocessing", &recipe),
        Err(error) => inspection.problems.push(error.to_string()),
    }
    if let Some(headers) = headers {
        compare(&config, &headers, &mut inspection);
    }
    inspection
}

/// The headers of a folder's weight files; nothing where one cannot be read.
fn headers(folder: &Path, inspection: &mut Inspection) -> Option<Vec<Metadata>> {
    let files = match weight_files(folder) {
        Ok(files) => files,
        Err(error) => {
            inspection.problems.push(error.to_string());
            return None;
        }
    };
    inspection.add_files(&files);
    let mut headers = Vec::new();
    for path in &files {
        match read_header(path) {
            Ok((_, header)) => headers.push(header.metadata),
            Err(error) => inspection.problems.push(error.to_string()),
        }
    }
    for header in &headers {
        count(header, inspection);
    }
    (headers.len() == files.len()).then_some(headers)
}

fn count(header: &Metadata, inspection: &mut Inspection) {
    for info in header.tensors().values() {
        let elements = info.shape.iter().map(|&side| side as u64).product();
        inspection.add_parameters(info.dtype.to_string(), elements);
    }
}

fn describe(config: &ClipConfig, inspection: &mut Inspection) {
    let (text, vision) = (&config.text, &config.vision);
    let (side, patch, grid) = (vision.image_size, vision.patch_size, vision.grid());
    inspection
        .say("input", &format!("{side}x{side} px, patches of {patch} px, grid {grid}x{grid}"));
    let tower = |layers: i64, width: i64, heads: i64, activation: super::clip::Activation| {
        format!("{layers} blocks, width {width}, {heads} heads, {activation:?}")
    };
    inspection.say(
        "image tower",
        &tower(
            vision.num_hidden_layers,
            vision.hidden_size,
            vision.num_attention_heads,
            vision.hidden_act,
        ),
    );
    inspection.say(
        "text tower",
        &tower(text.num_hidden_layers, text.hidden_size, text.num_attention_heads, text.hidden_act),
    );
    inspection.say("vocabulary", &text.vocab_size);
    inspection.say("context in tokens", &text.max_position_embeddings);
    inspection.say("embedding width", &config.projection_dim);
}

/// Holds the weights against the configuration: missing, misshapen, of a wrong type, surplus.
fn compare(config: &ClipConfig, headers: &[Metadata], inspection: &mut Inspection) {
    let expected = config.shapes();
    let mut found = BTreeMap::new();
    let mut doubled = Vec::new();
    for (key, info) in headers.iter().flat_map(Metadata::tensors) {
        let shape: Vec<i64> = info.shape.iter().map(|&side| side as i64).collect();
        if found.insert(key.clone(), (shape, info.dtype)).is_some() {
            doubled.push(format!("weight '{key}' is in two shards"));
        }
    }
    let (mut missing, mut misfits) = (Vec::new(), Vec::new());
    for (key, shape) in &expected {
        match found.get(key) {
            None => missing.push(format!("weight '{key}' is missing, its shape is {shape:?}")),
            Some((got, _)) if got != shape => misfits.push(format!(
                "weight '{key}' has shape {got:?}, the configuration needs {shape:?}"
            )),
            Some((_, dtype)) if !is_float(*dtype) => {
                misfits.push(format!("weight '{key}' has type {dtype}, needs floating point"));
            }
            Some(_) => {}
        }
    }
    let surplus = found.keys().filter(|key| !expected.contains_key(*key) && !Clip::is_buffer(key));
    let surplus: Vec<String> =
        surplus.map(|key| format!("weight '{key}' is not used by the net")).collect();
    for problems in [doubled, missing, misfits, surplus] {
        inspection.add_problems(&problems);
    }
}

fn safetensors_file(path: &Path) -> Inspection {
    let mut inspection = Inspection::new(Format::Safetensors);
    match read_header(path) {
        Err(error) => inspection.problems.push(error.to_string()),
        Ok((_, header)) => {
            count(&header.metadata, &mut inspection);
            if header.metadata.info("model.22.cv3.0.2.bias").is_some() {
                inspection.format = Format::YoloSafetensors;
                yolo(path, &mut inspection);
            } else {
                let reason = "has no detection head ('model.22.cv3.0.2.bias'), so is no YOLOv8; a \
                              CLIP is named by its folder";
                inspection.problems.push(reason.to_owned());
            }
        }
    }
    inspection
}

/// A zip archive: what PyTorch saves. `TorchScript` has code in it, a pickle has not.
fn archive(path: &Path) -> Inspection {
    let names: Vec<String> = match File::open(path).map(ZipArchive::new) {
        Ok(Ok(archive)) => archive.file_names().map(str::to_owned).collect(),
        _ => Vec::new(),
    };
    if names.iter().any(|name| name.ends_with("/constants.pkl")) {
        return Inspection::new(Format::TorchScript);
    }
    if !names.iter().any(|name| name == "data.pkl" || name.ends_with("/data.pkl")) {
        let mut unknown = Inspection::new(Format::Unknown);
        unknown.problems.push("is an archive without a PyTorch checkpoint in it".to_owned());
        return unknown;
    }
    let mut inspection = Inspection::new(Format::YoloPickle);
    yolo(path, &mut inspection);
    inspection
}

/// Opens the detector, which holds every weight against its net.
fn yolo(path: &Path, inspection: &mut Inspection) {
    let checkpoint = match YoloCheckpoint::open(path) {
        Ok(checkpoint) => checkpoint,
        Err(error) => {
            inspection.problems.push(error.to_string());
            return;
        }
    };
    inspection.say("input", &format!("{} px", checkpoint.input_px));
    inspection.say("widths", &format!("{:?}", checkpoint.config.widths));
    inspection.say("depths", &format!("{:?}", checkpoint.config.depths));
    let classes = &checkpoint.config.classes;
    inspection.say("classes", &format!("{}: {}", classes.len(), classes.join(", ")));
    if inspection.format == Format::YoloPickle {
        for (_, tensor) in checkpoint.into_weights().tensors() {
            inspection.add_parameters(format!("{:?}", tensor.kind()), tensor.numel() as u64);
        }
    }
}
