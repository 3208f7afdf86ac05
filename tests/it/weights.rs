//! Checkpoint files that are broken, hostile or split.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use tch::{Device, Kind, Tensor};
use veriframe::models::weights::{Weights, WeightsError};

/// A safetensors file with this header and body.
fn file(header: &str, body: &[u8]) -> Vec<u8> {
    let length = (header.len() as u64).to_le_bytes();
    [&length[..], header.as_bytes(), body].concat()
}

fn refusal(bytes: &[u8]) -> String {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, bytes).unwrap();
    let error = Weights::open_safetensors(&path).unwrap_err();
    assert!(matches!(error, WeightsError::Format { .. }));
    let error = error.to_string();
    assert!(error.contains("model.safetensors"), "{error}");
    error
}

fn check(bytes: &[u8], reason: &str) {
    let error = refusal(bytes);
    assert!(error.contains(reason), "{error}");
}

const TWO: &str = r#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},"b":{"dtype":"F32","shape":[1],"data_offsets":[8,12]}}"#;

#[test]
fn a_cut_file_is_refused_with_both_lengths() {
    let whole = file(TWO, &[0; 12]);
    for length in [0, 5, 8, 60, whole.len() - 1] {
        let error = refusal(&whole[..length]);
        assert!(error.contains(&length.to_string()), "{length}: {error}");
    }
    check(&file(TWO, &[0; 13]), "its header describes");
}

#[test]
fn absurd_headers_are_refused_before_anything_is_allocated() {
    let claims = [u64::MAX, 1 << 60, 200_000_000];
    for claim in claims {
        let bytes = [&claim.to_le_bytes()[..], b"{}"].concat();
        check(&bytes, &format!("header is stated as {claim} bytes"));
    }
    let huge = r#"{"a":{"dtype":"F32","shape":[4611686018427387904,8],"data_offsets":[0,8]}}"#;
    check(&file(huge, &[0; 8]), "header");
    let far = r#"{"a":{"dtype":"F32","shape":[1000000000],"data_offsets":[0,4000000000]}}"#;
    check(&file(far, &[0; 8]), "its header describes");
    check(&file("not json", &[]), "header");
}

#[test]
fn overlapping_tensors_and_gaps_are_refused_by_key() {
    let overlap = TWO.replace("[8,12]", "[4,8]");
    check(&file(&overlap, &[0; 12]), "b");
    let gap = TWO.replace("[8,12]", "[10,14]");
    check(&file(&gap, &[0; 14]), "b");
    let misfit = TWO.replace(r#""shape":[2]"#, r#""shape":[3]"#);
    refusal(&file(&misfit, &[0; 12]));
}

#[test]
fn types_that_tensors_cannot_have_are_refused_by_key() {
    let exotic = r#"{"scale":{"dtype":"F8_E4M3","shape":[4],"data_offsets":[0,4]}}"#;
    check(&file(exotic, &[0; 4]), "weight 'scale' has type F8_E4M3");
}

/// A folder whose index names `shard` for the key `a`.
fn sharded(shard: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let index = serde_json::json!({ "weight_map": { "a": shard } });
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    folder
}

#[test]
fn an_index_cannot_reach_outside_its_folder() {
    for name in ["../model.safetensors", "/etc/passwd", "sub/x.safetensors", "x.bin", "..", ""] {
        let error = Weights::open_folder(sharded(name).path()).unwrap_err().to_string();
        assert!(error.contains("bad shard name"), "{name}: {error}");
        assert!(error.contains("model.safetensors.index.json"), "{name}: {error}");
    }
}

#[test]
fn missing_and_doubled_shards_are_named() {
    let folder = sharded("one.safetensors");
    let error = Weights::open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("one.safetensors"), "{error}");

    let index = serde_json::json!({ "weight_map": { "a": "1.safetensors", "b": "2.safetensors" } });
    fs::write(folder.path().join("model.safetensors.index.json"), index.to_string()).unwrap();
    for name in ["1.safetensors", "2.safetensors"] {
        fs::write(folder.path().join(name), file(TWO, &[0; 12])).unwrap();
    }
    let error = Weights::open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("weight 'a' is in another shard too"), "{error}");
}

#[test]
fn an_empty_folder_says_what_it_lacks() {
    let folder = tempfile::tempdir().unwrap();
    let error = Weights::open_folder(folder.path()).unwrap_err().to_string();
    assert!(error.contains("neither model.safetensors nor"), "{error}");
    assert!(Weights::open_safetensors(Path::new("/nowhere/x.safetensors")).is_err());
}

#[test]
fn what_is_saved_is_read_back_in_each_kind() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    let tensor = Tensor::from_slice(&[1.5f32, -2.0, 0.25, 3.0]).view([2, 2]);
    let count = Tensor::from_slice(&[7i64]);
    for kind in [Kind::Float, Kind::Half, Kind::BFloat16] {
        let tensors = [("x.weight", tensor.shallow_clone()), ("steps", count.shallow_clone())];
        let tensors = tensors.map(|(key, tensor)| (key.to_owned(), tensor));
        let mut weights = Weights::from_tensors("new".into(), BTreeMap::from(tensors));
        weights.set_metadata("names", "left, right");
        weights.save_safetensors(&path, kind).unwrap();
        let read = Weights::open_safetensors(&path).unwrap();
        assert_eq!(read.metadata()["names"], "left, right");
        let [(key, back)] = &read.tensors()[..] else { panic!("one tensor") };
        assert_eq!((key.as_str(), back.kind()), ("x.weight", kind));
        assert_eq!(back.to_kind(Kind::Float), tensor);
        let given = read.root(Device::Cpu, Kind::Float).at("x");
        let given =
            given.tensor("weight", &[2, 2], veriframe::models::weights::Init::Constant(0.0));
        assert_eq!(given.unwrap().kind(), Kind::Float);
        read.finish(|_| false).unwrap();
    }
}

#[test]
fn the_checksum_is_that_of_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("model.safetensors");
    fs::write(&path, file(TWO, &[1; 12])).unwrap();
    let weights = Weights::open_safetensors(&path).unwrap();
    // sha256sum of the same bytes.
    assert_eq!(weights.checksum(), CHECKSUM);
}

const CHECKSUM: &str = "235e8146700639d21ed5ff2b65323a035b6bde41aac74679ef78c6931c0f5eab";
