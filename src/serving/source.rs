//! A model to load at the start, as the operator writes it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::name::ModelId;

/// A model to load: a CLIP folder in the Hugging Face layout, or a YOLOv8 file.
///
/// As text it is `NAME=PATH` or `NAME@VERSION=PATH`.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct ModelSource {
    /// The name it is served under, with `@VERSION` where that is not 1.
    pub name: String,
    /// Folder (CLIP) or file (YOLOv8).
    pub path: PathBuf,
}

impl std::str::FromStr for ModelSource {
    type Err = String;

    /// Reads `NAME=PATH`.
    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once('=') {
            Some((name, path)) if !name.is_empty() && !path.is_empty() => {
                name.parse::<ModelId>().map_err(|reason| format!("'{text}': {reason}"))?;
                Ok(Self { name: name.to_owned(), path: PathBuf::from(path) })
            }
            _ => Err(format!("'{text}' is not NAME=PATH, such as clip=models/demo/clip")),
        }
    }
}

impl TryFrom<String> for ModelSource {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<ModelSource> for String {
    fn from(source: ModelSource) -> Self {
        format!("{}={}", source.name, source.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_is_a_name_and_a_path() {
        for text in ["clip=models/clip", "clip@2=/models/clip=2"] {
            let source: ModelSource = text.parse().unwrap();
            assert_eq!(String::from(source), text);
        }
        for text in ["clip", "=path", "clip=", "a/b=path", "clip@=path"] {
            assert!(text.parse::<ModelSource>().is_err(), "{text}");
        }
    }
}
