//! Collections, items, chunks and hits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Which model made a collection's embeddings; vectors of another are refused.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub struct Model {
    /// Its name in the model catalogue.
    pub name: String,
    /// SHA-256 of its weights, in hexadecimal: a retrained model is another model.
    pub checksum: String,
    /// Values of one embedding, 1 to 65 536.
    pub dimension: usize,
}

impl fmt::Display for Model {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checksum: String = self.checksum.chars().take(12).collect();
        write!(formatter, "{} ({checksum}, {} values)", self.name, self.dimension)
    }
}

/// How an index holds vectors beside the exact ones on the disk.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Quantisation {
    /// As they are: 4 bytes a value.
    #[default]
    None,
    /// 1 byte a value in memory; the best candidates are scored again with the exact vectors.
    Scalar,
}

/// What a collection keeps of its items, and how; none of it changes later.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default)]
pub struct Options {
    /// Whether pictures are kept. Otherwise their embeddings and a reference stay. Default true.
    pub keep_images: bool,
    /// The detector whose boxes have embeddings of their own, by its name in the model catalogue;
    /// none, the default, means no boxes.
    pub detector: Option<String>,
    /// Boxes below this confidence are left out, 0 to 1. Default 0.25.
    pub min_confidence: f32,
    /// How the index holds vectors.
    pub quantisation: Quantisation,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            keep_images: true,
            detector: None,
            min_confidence: 0.25,
            quantisation: Quantisation::None,
        }
    }
}

/// What a metadata field holds; the first item that has the field settles it for the collection.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FieldType {
    /// One text or a list of texts: a filter holds where any of them fits.
    Text,
    /// A finite number.
    Number,
    /// True or false.
    Flag,
}

impl fmt::Display for FieldType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Flag => "true/false",
        })
    }
}

/// A collection: items that one model has embedded, compared by the cosine.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub struct Collection {
    /// 1 to 64 of `a` to `z`, `0` to `9`, `_` and `-`, first a letter or digit.
    pub name: String,
    /// Whose embeddings it holds.
    pub model: Model,
    /// What it keeps, and how.
    #[serde(flatten)]
    pub options: Options,
    /// When it was created, in milliseconds since 1970.
    pub created_ms: i64,
    /// Every metadata field that its items have or had.
    pub fields: BTreeMap<String, FieldType>,
}

/// A value of a metadata field.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Value {
    /// True or false.
    Flag(bool),
    /// A finite number.
    Number(f64),
    /// A text.
    Text(String),
    /// Texts.
    Texts(Vec<String>),
}

impl Value {
    /// The type of a field that holds this.
    pub fn field_type(&self) -> FieldType {
        match self {
            Self::Flag(_) => FieldType::Flag,
            Self::Number(_) => FieldType::Number,
            Self::Text(_) | Self::Texts(_) => FieldType::Text,
        }
    }
}

/// An item's picture.
#[derive(Clone, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Image {
    /// Its encoded bytes, to be kept in the store.
    #[serde(skip)]
    Bytes(Vec<u8>),
    /// Its bytes lie in the store and are given where they are asked for; how many there are.
    Kept {
        /// Length of the encoded picture.
        bytes: u64,
    },
    /// It lies elsewhere.
    Uri(String),
}

/// A piece of evidence: a text, a picture, or both.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub struct Item {
    /// The client's own name for it, 1 to 256 bytes, unique in its collection.
    pub id: String,
    /// The passage, whole.
    pub text: Option<String>,
    /// The picture.
    pub image: Option<Image>,
    /// Where it comes from, as a URI; empty where nobody said.
    pub source: String,
    /// What it is called; may be empty.
    pub title: String,
    /// When it was made or is about, in milliseconds since 1970.
    pub time_ms: Option<i64>,
    /// Whatever else filters may ask for, flat. A field's name has 1 to 64 letters, digits and `_`
    /// of ASCII, no digit first.
    pub metadata: BTreeMap<String, Value>,
}

/// What an embedding stands for, and so what a hit cites.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum Place {
    /// The bytes `start..end` of the item's text, on bounds of characters.
    Text {
        /// First byte.
        start: usize,
        /// One past the last byte.
        end: usize,
    },
    /// The whole picture.
    Image,
    /// A part of the picture: left, top, right and bottom in its pixels.
    Region {
        /// `[left, top, right, bottom]` in pixels of the picture.
        region: [f32; 4],
        /// What the detector calls it.
        class: String,
        /// How sure the detector was of it, 0 to 1.
        #[serde(default)]
        confidence: f32,
    },
}

impl Place {
    /// `text`, `image` or `region`: what filters by kind compare.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Text { .. } => "text",
            Self::Image => "image",
            Self::Region { .. } => "region",
        }
    }
}

/// One embedding of an item.
#[derive(Clone, Debug, PartialEq)]
pub struct Chunk {
    /// What it stands for.
    pub place: Place,
    /// The embedding, of the collection's dimension, finite and not zero; its length is of no
    /// account.
    pub vector: Vec<f32>,
}

/// An item with its embeddings, as it is written.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedded {
    /// The item.
    pub item: Item,
    /// Its embeddings, at least one.
    pub chunks: Vec<Chunk>,
}

/// What became of an item that was written.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Written {
    /// It is new.
    Created,
    /// An item of this id was there and is replaced, its embeddings with it.
    Replaced,
}

/// A search by an embedding.
#[derive(Clone, Debug, Default)]
pub struct Search {
    /// The embedding looked for, of the collection's dimension.
    pub vector: Vec<f32>,
    /// Which items count; none means all.
    pub filter: Option<super::Filter>,
    /// How many hits, 1 to [`Limits::max_hits`](super::Limits::max_hits) with the offset.
    pub limit: usize,
    /// How many of the best to leave out.
    pub offset: usize,
    /// Compare with every embedding rather than through the index: slow, and never misses.
    pub exact: bool,
}

/// A chunk that a search found.
#[derive(Clone, Debug, PartialEq)]
pub struct Hit {
    /// Its item, without the bytes of a picture.
    pub item: Arc<Item>,
    /// Which part of it.
    pub place: Place,
    /// Cosine of the two embeddings, -1 to 1.
    pub score: f32,
}

/// Items of a collection, a page of them.
#[derive(Clone, Debug, Default)]
pub struct List {
    /// Which items; none means all. Filters by kind hold where an item has an embedding of it.
    pub filter: Option<super::Filter>,
    /// How many, 1 to [`Limits::max_hits`](super::Limits::max_hits).
    pub limit: usize,
    /// The [`Page::next`] of the page before.
    pub cursor: Option<String>,
}

/// A page of items, in an order of the store's own that stays as it is.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Page {
    /// The items, without the bytes of pictures.
    pub items: Vec<Item>,
    /// Where the next page begins; none after the last.
    pub next: Option<String>,
}

/// How much a collection holds.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Statistics {
    /// Items.
    pub items: u64,
    /// Embeddings.
    pub chunks: u64,
    /// Of them, of passages of text.
    pub texts: u64,
    /// Of them, of whole pictures.
    pub images: u64,
    /// Of them, of boxes in pictures.
    pub regions: u64,
    /// Embeddings that the index reaches; the others are compared one by one.
    pub indexed: u64,
    /// Bytes on the disk; 0 where they lie in a cluster.
    pub disk_bytes: u64,
}
