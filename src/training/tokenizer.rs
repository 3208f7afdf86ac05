//! Learns a small byte-level BPE vocabulary and writes it as CLIP's `tokenizer.json`.
//!
//! Only the merges are learnt here; everything else (lower-casing, the splitting pattern, `</w>` at
//! word ends, start and end tokens, truncation to 77) is what the published checkpoints hold, so
//! the same loaders read it. Every byte is a token, at word ends too: no text is unknown.

use std::path::Path;

use serde_json::{Value, json};
use tokenizers::models::bpe::BpeTrainer;
use tokenizers::models::{ModelWrapper, TrainerWrapper};
use tokenizers::pre_tokenizers::byte_level::ByteLevel;
use tokenizers::{AddedToken, Tokenizer};

use super::TrainingError;

/// Longest input in tokens, as in the published checkpoints.
pub const CONTEXT_TOKENS: usize = 77;

pub(super) const START: &str = "<|startoftext|>";
pub(super) const END: &str = "<|endoftext|>";
const WORD_END: &str = "</w>";
const SPLIT: &str =
    r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+";

/// Learns at most `merges` merges from `texts`, the same ones for the same texts.
pub fn learn(texts: &[String], merges: usize) -> Result<Tokenizer, TrainingError> {
    let base = base_tokens();
    let mut tokenizer = parse(&description(&base, &json!([])))?;
    let ends = base.iter().filter(|token| token.ends_with(WORD_END));
    let trainer = BpeTrainer::builder()
        .show_progress(false)
        .min_frequency(2)
        .vocab_size(base.len() + merges)
        .initial_alphabet(ByteLevel::alphabet().into_iter().collect())
        // Naming these first gives them fixed ids, so ties between merges fall the same way.
        .special_tokens(ends.map(|token| AddedToken::from(token.clone(), true)).collect())
        .end_of_word_suffix(WORD_END.to_owned())
        .build();
    tokenizer.with_model(ModelWrapper::BPE(tokenizers::models::bpe::BPE::default()));
    let mut trainer = TrainerWrapper::BpeTrainer(trainer);
    tokenizer.train(&mut trainer, texts.iter()).map_err(error)?;
    let model = serde_json::to_value(tokenizer.get_model()).map_err(error)?;
    parse(&description(&base, &model["merges"]))
}

/// Reads a `tokenizer.json`.
pub fn open(path: &Path) -> Result<Tokenizer, TrainingError> {
    Tokenizer::from_file(path).map_err(error)
}

/// Writes a `tokenizer.json`.
pub fn save(tokenizer: &Tokenizer, path: &Path) -> Result<(), TrainingError> {
    tokenizer.save(path, true).map_err(error)
}

/// Token ids of each text, start and end token included, at most [`CONTEXT_TOKENS`].
pub fn encode(tokenizer: &Tokenizer, texts: &[String]) -> Result<Vec<Vec<i64>>, TrainingError> {
    texts
        .iter()
        .map(|text| {
            let encoding = tokenizer.encode_fast(text.as_str(), true).map_err(error)?;
            Ok(encoding.get_ids().iter().map(|&id| i64::from(id)).collect())
        })
        .collect()
}

fn error(source: impl Into<tokenizers::Error>) -> TrainingError {
    TrainingError::Tokenizer(source.into().to_string())
}

fn parse(description: &Value) -> Result<Tokenizer, TrainingError> {
    Tokenizer::from_bytes(description.to_string()).map_err(error)
}

/// All bytes, then all bytes at a word's end, each in the order of their printable stand-ins.
fn base_tokens() -> Vec<String> {
    let mut alphabet: Vec<char> = ByteLevel::alphabet().into_iter().collect();
    alphabet.sort_unstable();
    let plain = alphabet.iter().map(char::to_string);
    plain.chain(alphabet.iter().map(|byte| format!("{byte}{WORD_END}"))).collect()
}

/// A `tokenizer.json` as the published checkpoints have it, with these merges.
fn description(base: &[String], merges: &Value) -> Value {
    let mut vocabulary: Vec<String> = base.to_vec();
    for merge in merges.as_array().into_iter().flatten() {
        let part = |index: usize| merge[index].as_str().unwrap_or_default();
        let merged = format!("{}{}", part(0), part(1));
        if !vocabulary.contains(&merged) {
            vocabulary.push(merged);
        }
    }
    let (start, end) = (vocabulary.len(), vocabulary.len() + 1);
    vocabulary.extend([START.to_owned(), END.to_owned()]);
    let ids: serde_json::Map<String, Value> =
        vocabulary.into_iter().enumerate().map(|(id, token)| (token, json!(id))).collect();
    let special = |id: usize, content: &str| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false,
               "rstrip": false, "normalized": false, "special": true})
    };
    json!({
        "version": "1.0",
        "truncation": {"direction": "Right", "max_length": CONTEXT_TOKENS,
                       "strategy": "LongestFirst", "stride": 0},
        "padding": null,
        "added_tokens": [special(start, START), special(end, END)],
        "normalizer": {"type": "Sequence", "normalizers": [
            {"type": "NFC"},
            {"type": "Replace", "pattern": {"Regex": r"\s+"}, "content": " "},
            {"type": "Lowercase"}]},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [
            {"type": "Split", "pattern": {"Regex": SPLIT}, "behavior": "Removed", "invert": true},
            {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
             "use_regex": true}]},
        "post_processor": {"type": "RobertaProcessing", "sep": [END, end], "cls": [START, start],
                           "trim_offsets": false, "add_prefix_space": false},
        "decoder": {"type": "ByteLevel", "add_prefix_space": true, "trim_offsets": true,
                    "use_regex": true},
        "model": {"type": "BPE", "dropout": null, "unk_token": END,
                  "continuing_subword_prefix": "", "end_of_word_suffix": WORD_END,
                  "fuse_unk": false, "byte_fallback": false, "ignore_merges": false,
                  "vocab": ids, "merges": merges},
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn corpus() -> Vec<String> {
        ["a face with uneven teeth", "A photo of a face", "치아가 고르지 않은 얼굴", "even teeth"]
            .map(str::to_owned)
            .iter()
            .flat_map(|text| vec![text.clone(); 3])
            .collect()
    }

    #[test]
    fn learning_twice_gives_the_same_file() {
        let file = |t: Tokenizer| serde_json::to_value(t).unwrap();
        let first = file(learn(&corpus(), 60).unwrap());
        assert_eq!(first, file(learn(&corpus(), 60).unwrap()));
        assert!(!first["model"]["merges"].as_array().unwrap().is_empty());
    }

    #[test]
    fn a_file_read_back_gives_the_same_ids() {
        let tokenizer = learn(&corpus(), 60).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("tokenizer.json");
        save(&tokenizer, &path).unwrap();
        let texts: Vec<String> =
            ["", "Even   TEETH", "귀 모양", "🙂 unseen words, 42!"].map(str::to_owned).to_vec();
        let ids = encode(&tokenizer, &texts).unwrap();
        assert_eq!(ids, encode(&open(&path).unwrap(), &texts).unwrap());
        let end = tokenizer.get_vocab_size(true) as i64 - 1;
        assert_eq!(ids[0], [end - 1, end]);
        assert!(ids[3].len() > 8 && !ids[3][1..ids[3].len() - 1].contains(&end), "nothing unknown");
    }

    #[test]
    fn a_long_text_is_cut_to_the_context_and_keeps_its_end_token() {
        let tokenizer = learn(&corpus(), 10).unwrap();
        let ids = encode(&tokenizer, &["teeth ".repeat(100)]).unwrap();
        assert_eq!(ids[0].len(), CONTEXT_TOKENS);
        assert_eq!(ids[0].last(), Some(&(tokenizer.get_vocab_size(true) as i64 - 1)));
    }
}
