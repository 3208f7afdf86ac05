//! Where items come from: a JSONL file, or a folder of pictures.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::Context;
use serde::Deserialize;

use crate::proto::v1;
use crate::proto::v1::metadata_value::Value as Sent;

/// Endings of files that are pictures, in lower case.
const PICTURES: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "gif", "tif", "tiff"];

/// An item before its files are read.
#[derive(Debug)]
pub(super) enum Pending {
    /// A line of a file, by its number from 1, and the folder that its paths start from.
    Line { number: usize, text: String, folder: PathBuf },
    /// A picture of a folder, by its path within.
    Picture { folder: PathBuf, name: String },
}

/// A line of a JSONL file.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    #[serde(default)]
    id: String,
    #[serde(default)]
    text: String,
    /// A picture, relative to the file.
    image: Option<PathBuf>,
    #[serde(default)]
    source_uri: String,
    #[serde(default)]
    title: String,
    /// RFC 3339: `2024-05-01T12:00:00Z`.
    time: Option<String>,
    #[serde(default)]
    metadata: BTreeMap<String, Given>,
}

/// A metadata value as JSON has it.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Given {
    Flag(bool),
    Number(f64),
    Text(String),
    Texts(Vec<String>),
}

/// All items of a file or a folder, in their order; blank lines are none.
pub(super) fn pending(source: &Path) -> anyhow::Result<Vec<Pending>> {
    if source.is_dir() {
        let mut names = Vec::new();
        pictures(source, "", &mut names)?;
        names.sort();
        anyhow::ensure!(
            !names.is_empty(),
            "{} holds no picture ({})",
            source.display(),
            PICTURES.join(", ")
        );
        let picture = |name| Pending::Picture { folder: source.to_path_buf(), name };
        return Ok(names.into_iter().map(picture).collect());
    }
    let content = fs::read_to_string(source).with_context(|| {
        format!("cannot read {}: give a JSONL file or a folder of pictures", source.display())
    })?;
    let folder = source.parent().unwrap_or(Path::new("")).to_path_buf();
    Ok(lines(&content, &folder))
}

/// The items of a JSONL file with this content, whose paths start from `folder`.
pub(super) fn lines(content: &str, folder: &Path) -> Vec<Pending> {
    let lines = content.lines().enumerate().filter(|(_, line)| !line.trim().is_empty());
    let line = |(at, text): (usize, &str)| Pending::Line {
        number: at + 1,
        text: text.to_owned(),
        folder: folder.to_path_buf(),
    };
    lines.map(line).collect()
}

/// Names of the pictures below a folder, with `/` between their parts.
fn pictures(folder: &Path, prefix: &str, names: &mut Vec<String>) -> anyhow::Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
        let kind = entry.file_type()?;
        if kind.is_dir() {
            pictures(&entry.path(), &format!("{name}/"), names)?;
        } else if kind.is_file() && is_picture(&entry.path()) {
            names.push(name);
        }
    }
    Ok(())
}

fn is_picture(path: &Path) -> bool {
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    ending.is_some_and(|ending| PICTURES.contains(&ending.as_str()))
}

impl Pending {
    /// What errors call it.
    pub(super) fn name(&self) -> String {
        match self {
            Self::Line { number, .. } => format!("line {number}"),
            Self::Picture { name, .. } => name.clone(),
        }
    }

    /// Reads its files.
    pub(super) fn read(&self) -> anyhow::Result<v1::EvidenceItem> {
        match self {
            Self::Line { text, folder, .. } => read_line(text, folder),
            Self::Picture { folder, name } => {
                let path = folder.join(name);
                let text = match fs::read_to_string(path.with_extension("txt")) {
                    Ok(text) => text,
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
                    Err(error) => {
                        return Err(error).with_context(|| format!("the text of {name}"));
                    }
                };
                let image = Some(image(&path)?);
                Ok(v1::EvidenceItem { id: name.clone(), text, image, ..Default::default() })
            }
        }
    }
}

fn read_line(text: &str, folder: &Path) -> anyhow::Result<v1::EvidenceItem> {
    let (item, path) = parsed(text)?;
    Ok(v1::EvidenceItem { image: path.map(|path| image(&folder.join(path))).transpose()?, ..item })
}

/// What a line says: an item without its picture, and where that is.
pub(super) fn parsed(text: &str) -> anyhow::Result<(v1::EvidenceItem, Option<PathBuf>)> {
    let Line { id, text, image: path, source_uri, title, time, metadata } =
        serde_json::from_str(text)?;
    let time = time
        .map(|time| {
            time.parse::<prost_types::Timestamp>()
                .with_context(|| format!("time is '{time}', write it as 2024-05-01T12:00:00Z"))
        })
        .transpose()?;
    let value = |(name, given)| {
        let value = match given {
            Given::Flag(flag) => Sent::Flag(flag),
            Given::Number(number) => Sent::Number(number),
            Given::Text(text) => Sent::Text(text),
            Given::Texts(values) => Sent::Texts(v1::TextList { values }),
        };
        (name, v1::MetadataValue { value: Some(value) })
    };
    let metadata = metadata.into_iter().map(value).collect();
    Ok((v1::EvidenceItem { id, text, image: None, source_uri, title, time, metadata }, path))
}

fn image(path: &Path) -> anyhow::Result<v1::Image> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    Ok(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_is_an_item_with_its_picture_beside_the_file() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("a.png"), b"pixels").unwrap();
        let file = folder.path().join("items.jsonl");
        let lines = [
            r#"{"id":"a","text":"눈","image":"a.png","source_uri":"u","title":"t",
               "time":"2024-05-01T21:00:00+09:00",
               "metadata":{"year":2024,"tags":["x","y"],"ok":true,"by":"Kim"}}"#
                .replace('\n', " "),
            String::new(),
            r#"{"txt":"typo"}"#.to_owned(),
            r#"{"image":"gone.png"}"#.to_owned(),
            r#"{"text":"x","time":"yesterday"}"#.to_owned(),
        ];
        fs::write(&file, lines.join("\n")).unwrap();
        let pending = pending(&file).unwrap();
        let names: Vec<String> = pending.iter().map(Pending::name).collect();
        assert_eq!(names, ["line 1", "line 3", "line 4", "line 5"]);
        let item = pending[0].read().unwrap();
        assert_eq!((item.id.as_str(), item.text.as_str(), item.title.as_str()), ("a", "눈", "t"));
        assert_eq!(item.time.unwrap().to_string(), "2024-05-01T12:00:00Z");
        assert_eq!(item.metadata["year"].value, Some(Sent::Number(2024.0)));
        assert_eq!(item.metadata["ok"].value, Some(Sent::Flag(true)));
        assert!(item.image.is_some());
        let wrong = |at: usize| format!("{:#}", pending[at].read().unwrap_err());
        assert!(wrong(1).contains("unknown field `txt`"), "{}", wrong(1));
        assert!(wrong(2).contains("gone.png"), "{}", wrong(2));
        assert!(wrong(3).contains("time is 'yesterday'"), "{}", wrong(3));
    }

    #[test]
    fn a_folder_s_pictures_are_items_with_the_texts_beside_them() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("sub")).unwrap();
        for name in ["b.PNG", "sub/a.jpg", "notes.md", "b.txt"] {
            fs::write(folder.path().join(name), name).unwrap();
        }
        let pending = pending(folder.path()).unwrap();
        let items: Vec<v1::EvidenceItem> =
            pending.iter().map(|pending| pending.read().unwrap()).collect();
        let shown: Vec<(&str, &str)> =
            items.iter().map(|item| (item.id.as_str(), item.text.as_str())).collect();
        assert_eq!(shown, [("b.PNG", "b.txt"), ("sub/a.jpg", "")]);
    }
}
