//! A short round of what `make fuzz` runs for long: every seed, every input of the corpora, and
//! mutations of them that are the same in every run.

use std::fs;
use std::panic::catch_unwind;
use std::path::Path;
use std::time::{Duration, Instant};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

#[expect(unreachable_pub, reason = "libFuzzer's programs reach them")]
#[path = "../../fuzz/targets.rs"]
mod targets;

use targets::{ALL, MAX_LEN, Target};

/// An input that takes longer hangs. Most take well below a millisecond.
const SLOWEST: Duration = Duration::from_secs(20);

/// Runs a target on all there is to start from, and on so many mutations.
fn check(name: &str, mutations: usize) {
    let target = ALL.iter().find(|target| target.name == name).expect("there is such a target");
    let corpus = corpus(target);
    assert!(corpus.len() >= 5, "{name} has {} inputs to start from", corpus.len());
    for input in &corpus {
        run(target, input);
    }
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for _ in 0..mutations {
        run(target, &mutated(&mut rng, &corpus));
    }
}

fn run(target: &Target, input: &[u8]) {
    let started = Instant::now();
    let outcome = catch_unwind(|| (target.run)(input));
    let took = started.elapsed();
    assert!(
        outcome.is_ok() && took <= SLOWEST,
        "{} fails, after {took:?}, on this input in base64: {}",
        target.name,
        STANDARD.encode(input)
    );
}

/// The corpus and the seeds, in the order of their names.
fn corpus(target: &Target) -> Vec<Vec<u8>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let own = root.join("fuzz/corpus").join(target.name);
    let folders = target.seeds.iter().map(|seeds| root.join(seeds)).chain([own]);
    let entries = folders.filter_map(|folder| fs::read_dir(folder).ok()).flatten();
    let mut files: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut inputs: Vec<Vec<u8>> = files.iter().map(|file| fs::read(file).unwrap()).collect();
    inputs.retain(|input| input.len() <= MAX_LEN);
    inputs
}

/// One of the corpus after one to eight changes.
fn mutated(rng: &mut ChaCha8Rng, corpus: &[Vec<u8>]) -> Vec<u8> {
    let mut input = corpus.choose(rng).cloned().unwrap_or_default();
    for _ in 0..rng.random_range(1..=8) {
        let at = rng.random_range(0..=input.len());
        let end = (at + rng.random_range(1..=16)).min(input.len());
        match rng.random_range(0..8) {
            0 => input.truncate(at),
            1 => drop(input.drain(at..end)),
            2 => drop(input.splice(at..at, vec![0; end - at])),
            3 => {
                let copy = input[at..end].to_vec();
                let to = rng.random_range(0..=input.len());
                drop(input.splice(to..to, copy));
            }
            4 => {
                // The rest of another one.
                let other = corpus.choose(rng).map_or(&[][..], Vec::as_slice);
                input.truncate(at);
                input.extend_from_slice(&other[at.min(other.len())..]);
            }
            5 => {
                const EDGES: [u8; 8] = [0, 1, 0x7f, 0x80, 0xfe, 0xff, b'0', b'9'];
                let edge = EDGES.choose(rng).copied().unwrap_or_default();
                input[at..end].fill(edge);
            }
            6 => input[at..end].iter_mut().for_each(|byte| *byte = rng.random()),
            _ => {
                if let Some(byte) = input.get_mut(at) {
                    *byte ^= 1 << rng.random_range(0..8);
                }
            }
        }
    }
    input.truncate(MAX_LEN);
    input
}

#[test]
fn any_bytes_are_a_picture_or_refused() {
    check("image", 2000);
}

#[test]
fn any_raw_pixels_are_a_picture_or_refused() {
    check("raw", 20_000);
}

#[test]
fn any_pickle_is_read_or_refused() {
    check("pickle", 3000);
}

#[test]
fn any_archive_is_a_checkpoint_or_refused() {
    check("archive", 3000);
}

#[test]
fn any_safetensors_file_is_a_checkpoint_or_refused() {
    check("safetensors", 3000);
}

#[test]
fn any_text_has_tokens() {
    check("text", 3000);
}

#[test]
fn any_text_is_split_into_claims() {
    check("claims", 2000);
}

#[test]
fn any_tokenizer_file_is_read_or_refused() {
    check("tokenizer", 1000);
}

#[test]
fn any_stream_keeps_its_contract() {
    check("stream", 10_000);
}

#[test]
fn any_frames_have_verdicts() {
    check("verdicts", 3000);
}

#[test]
fn any_tensors_are_whole_or_refused() {
    check("tensors", 10_000);
}

#[test]
fn any_file_of_evidence_is_read_or_refused() {
    check("jsonl", 5000);
}

#[test]
fn any_filter_of_evidence_is_asked_or_refused() {
    check("filters", 10_000);
}

#[test]
fn any_request_about_evidence_is_converted_or_refused() {
    check("evidence", 10_000);
}

#[test]
fn every_target_has_its_program_and_its_test() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let script = fs::read_to_string(root.join("scripts/fuzz.sh")).unwrap();
    let manifest = fs::read_to_string(root.join("fuzz/Cargo.toml")).unwrap();
    let tests = fs::read_to_string(root.join("tests/it/fuzz.rs")).unwrap();
    for target in ALL {
        let name = target.name;
        let program = root.join(format!("fuzz/fuzz_targets/{name}.rs"));
        assert!(program.is_file(), "{} is missing", program.display());
        assert!(manifest.contains(&format!("name = \"{name}\"\n")), "{name} is not in Cargo.toml");
        assert!(script.contains(name), "{name} is not in scripts/fuzz.sh");
        assert!(tests.contains(&format!("check(\"{name}\", ")), "{name} has no test");
    }
}
