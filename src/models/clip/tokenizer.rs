//! `tokenizer.json`: from a text to token ids.

use std::path::Path;

use serde_json::Value;
use tokenizers::{ModelWrapper, Tokenizer};

use super::TextConfig;
use crate::models::weights::WeightsError;

/// A text as the text tower takes it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Tokens {
    /// Start mark, tokens, end mark; at most the context length.
    pub ids: Vec<i64>,
    /// Whether tokens were cut off before the end mark.
    pub truncated: bool,
    /// How many ids there were before cutting, both marks counted.
    pub tokens_before: usize,
}

/// The parts of a file that encoding does not need.
const UNUSED: [&str; 3] = ["decoder", "padding", "truncation"];

/// The checkpoint's own tokenizer, without the padding and truncation its file may state.
#[derive(Debug)]
pub struct ClipTokenizer {
    tokenizer: Tokenizer,
    context: usize,
    start_token: i64,
    end_token: i64,
}

impl ClipTokenizer {
    /// Reads `tokenizer.json`, and holds it against the text tower: every id has a row in the
    /// embedding table, and texts end with the token whose position is pooled.
    pub fn open(path: &Path, config: &TextConfig) -> Result<Self, WeightsError> {
        let error = |reason: String| WeightsError::format(path, reason);
        let tokenizer = read(path).map_err(error)?;
        let model = tokenizer.get_model();
        let ModelWrapper::BPE(bpe) = model else {
            return Err(error("'model' is no byte-pair encoding".to_owned()));
        };
        // The one reason why byte pairs could refuse a text.
        if let Some(unknown) = bpe.unk_token.as_ref().filter(|t| !bpe.get_vocab().contains_key(*t))
        {
            return Err(error(format!(
                "'unk_token' is '{unknown}', which is not in the vocabulary"
            )));
        }
        let highest = tokenizer.get_vocab(true).into_values().max().map_or(-1, i64::from);
        if highest >= config.vocab_size {
            let rows = config.vocab_size;
            return Err(error(format!("has the id {highest}, text_config.vocab_size is {rows}")));
        }
        let empty = tokenizer.encode("", true).map_err(|e| error(e.to_string()))?;
        let [start_token, end_token] = *empty.get_ids() else {
            return Err(error(format!(
                "gives an empty text {} tokens, must give 2, a start and an end mark",
                empty.get_ids().len()
            )));
        };
        let (start_token, end_token) = (i64::from(start_token), i64::from(end_token));
        // The legacy rule pools the highest id.
        let pooled = if config.eos_token_id == 2 { highest } else { config.eos_token_id };
        if end_token != pooled {
            return Err(error(format!(
                "ends a text with id {end_token}, the model pools {pooled}"
            )));
        }
        let context = config.max_position_embeddings as usize;
        Ok(Self { tokenizer, context, start_token, end_token })
    }

    /// Ids that the tower reads at most, both marks counted.
    pub fn context(&self) -> usize {
        self.context
    }

    /// The ids of `text`, as transformers gives them with `truncation=True`: a long text keeps its
    /// first tokens and the end mark. Any text has ids; one that the file's own patterns give up on
    /// counts as empty. Marks that are spelled out in the text become marks.
    pub fn encode(&self, text: &str) -> Tokens {
        let mut ids: Vec<i64> = match self.tokenizer.encode_fast(text, true) {
            Ok(encoding) => encoding.get_ids().iter().map(|&id| i64::from(id)).collect(),
            Err(_) => vec![self.start_token, self.end_token],
        };
        let tokens_before = ids.len();
        let truncated = tokens_before > self.context;
        if truncated {
            ids.truncate(self.context - 1);
            ids.push(self.end_token);
        }
        Tokens { ids, truncated, tokens_before }
    }

    /// The id of the end mark, which also pads.
    pub fn end_token(&self) -> i64 {
        self.end_token
    }
}

/// The file as the library reads it. It is held to be JSON first, and what is not needed is left
/// out, for the library panics at a broken decoder or character map.
fn read(path: &Path) -> Result<Tokenizer, String> {
    let bytes = std::fs::read(path).map_err(|e| e.to_string())?;
    let mut file: Value = serde_json::from_slice(&bytes).map_err(|e| e.to_string())?;
    let parts = file.as_object_mut().ok_or("is no JSON object")?;
    parts.retain(|name, _| !UNUSED.contains(&name.as_str()));
    if parts.get("normalizer").is_some_and(has_character_map) {
        return Err("'normalizer' has a precompiled character map, which no CLIP has".to_owned());
    }
    serde_json::from_value(file).map_err(|e| e.to_string())
}

/// Whether a normalizer or one within it is of `SentencePiece`'s kind.
fn has_character_map(normalizer: &Value) -> bool {
    match normalizer {
        Value::Object(parts) => {
            let kind = parts.get("type").and_then(Value::as_str);
            kind == Some("Precompiled") || parts.values().any(has_character_map)
        }
        Value::Array(items) => items.iter().any(has_character_map),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    }
}
