//! `models inspect`: what a path is and everything that is wrong with it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use tch::{Kind, Tensor};
use veriframe::models::inspect::{Format, Inspection, inspect};
use veriframe::models::weights::Weights;

fn golden(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name)
}

fn row(inspection: &Inspection, name: &str) -> String {
    let rows = inspection.rows();
    rows.iter().find(|(key, _)| key == name).map(|(_, value)| value.clone()).unwrap_or_default()
}

/// A copy of a golden CLIP folder.
fn copy(name: &str) -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(golden("clip").join(name)).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), copy.path().join(entry.file_name())).unwrap();
    }
    copy
}

#[test]
fn whole_clip_folders_have_no_problems() {
    let types = [("f32", "F32"), ("f16", "F16"), ("shards", "BF16"), ("shallow", "F32")];
    for (name, dtype) in types {
        let folder = golden("clip").join(name);
        let inspection = inspect(&folder).unwrap();
        assert_eq!(inspection.format, Format::ClipFolder);
        assert_eq!(inspection.problems, Vec::<String>::new(), "{name}");
        assert!(inspection.parameters_by_type.contains_key(dtype), "{inspection:?}");
        let weights = Weights::open_folder(&folder).unwrap();
        assert_eq!(inspection.checksum, weights.checksum());
        let parameters: usize = weights.tensors().iter().map(|(_, tensor)| tensor.numel()).sum();
        assert_eq!(inspection.parameters, parameters as u64);
    }
    let f32 = inspect(&golden("clip/f32")).unwrap();
    assert_eq!(row(&f32, "input"), "24x24 px, patches of 8 px, grid 3x3");
    assert_eq!(row(&f32, "preprocessing"), "shortest edge 24 px, Bicubic, middle 24x24 px");
    assert_eq!(row(&f32, "image tower"), "3 blocks, width 32, 4 heads, QuickGelu");
}

#[test]
fn every_wrong_weight_is_told_at_once() {
    let folder = copy("f32");
    let path = folder.path().join("model.safetensors");
    let mut tensors: BTreeMap<_, _> =
        Weights::open_safetensors(&path).unwrap().tensors().into_iter().collect();
    tensors.remove("logit_scale");
    tensors.insert("visual_projection.weight".into(), Tensor::from_slice(&[1f32, 2.0]));
    tensors.insert("adapter.weight".into(), Tensor::from_slice(&[1f32]));
    for layer in 0..3 {
        for part in ["q_proj", "k_proj", "v_proj", "out_proj"] {
            let prefix = format!("vision_model.encoder.layers.{layer}.self_attn.{part}");
            tensors.remove(&format!("{prefix}.bias"));
        }
    }
    Weights::from_tensors("broken".into(), tensors).save_safetensors(&path, Kind::Float).unwrap();
    let problems = inspect(folder.path()).unwrap().problems.join("\n");
    for expected in [
        "weight 'logit_scale' is missing, its shape is []",
        "… and 3 more like these",
        "weight 'visual_projection.weight' has shape [2], the configuration needs [16, 32]",
        "weight 'adapter.weight' is not used by the net",
    ] {
        assert!(problems.contains(expected), "{expected}\n{problems}");
    }
}

#[test]
fn broken_parts_are_told_beside_each_other() {
    let folder = copy("f32");
    fs::write(folder.path().join("tokenizer.json"), "{}").unwrap();
    fs::remove_file(folder.path().join("preprocessor_config.json")).unwrap();
    let whole = fs::read(folder.path().join("model.safetensors")).unwrap();
    fs::write(folder.path().join("model.safetensors"), &whole[..whole.len() / 2]).unwrap();
    let problems = inspect(folder.path()).unwrap().problems;
    assert_eq!(problems.len(), 3, "{problems:?}");
    for file in ["tokenizer.json", "preprocessor_config.json", "model.safetensors"] {
        assert!(problems.iter().any(|problem| problem.contains(file)), "{file}: {problems:?}");
    }
}

#[test]
fn hostile_sizes_build_nothing() {
    let folder = copy("f32");
    let path = folder.path().join("config.json");
    let mut json: serde_json::Value = serde_json::from_slice(&fs::read(&path).unwrap()).unwrap();
    for (field, value) in [("hidden_size", 16_384), ("num_hidden_layers", 256)] {
        json["vision_config"][field] = value.into();
    }
    fs::write(&path, json.to_string()).unwrap();
    let problems = inspect(folder.path()).unwrap().problems;
    assert!(problems.iter().any(|problem| problem.contains("more like these")), "{problems:?}");
}

#[test]
fn detectors_are_known_by_their_head() {
    let inspection = inspect(&golden("yolo/tiny.pt")).unwrap();
    assert_eq!(inspection.format, Format::YoloPickle);
    assert_eq!(inspection.problems, Vec::<String>::new());
    assert!(inspection.parameters > 10_000, "{inspection:?}");
    assert!(!row(&inspection, "classes").is_empty());
}

#[test]
fn other_files_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    assert!(inspect(&at("nothing")).unwrap_err().to_string().contains("nothing"));
    let empty = inspect(folder.path()).unwrap();
    assert_eq!(empty.format, Format::Unknown);
    assert!(empty.problems.iter().any(|problem| problem.contains("config.json")));

    fs::write(at("notes.txt"), "hello").unwrap();
    let text = inspect(&at("notes.txt")).unwrap();
    assert_eq!((text.format, text.problems.len()), (Format::Unknown, 1));

    let mut tensors = BTreeMap::new();
    tensors.insert("x".to_owned(), Tensor::from_slice(&[1f32]));
    let weights = Weights::from_tensors("other".into(), tensors);
    weights.save_safetensors(&at("other.safetensors"), Kind::Float).unwrap();
    let other = inspect(&at("other.safetensors")).unwrap();
    assert_eq!(other.format, Format::Safetensors);
    assert!(other.problems[0].contains("no detection head"), "{:?}", other.problems);

    for (inner, format) in [("m/constants.pkl", Format::TorchScript), ("x", Format::Unknown)] {
        let mut zip = zip::ZipWriter::new(fs::File::create(at("archive.pt")).unwrap());
        zip.start_file(inner, zip::write::SimpleFileOptions::default()).unwrap();
        zip.finish().unwrap();
        assert_eq!(inspect(&at("archive.pt")).unwrap().format, format);
    }
}
