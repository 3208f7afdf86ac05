//! Where evidence is kept, and how much of it.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::units;

/// The `[evidence]` section.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Config {
    /// `"off"`, `"embedded"`, or the address of a Qdrant cluster: `"http://host:6334"`. Default off.
    #[serde(with = "units::text")]
    pub store: Place,
    /// File whose text is the cluster's API key, read at the start; none where it asks for none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_file: Option<PathBuf>,
    /// The embedded store's folder.
    pub data_dir: PathBuf,
    /// How many blocking searches and reads run at once.
    pub readers: usize,
    /// How many requests may wait for each collection's writer, and how many for a reader.
    pub queue: usize,
    /// The size of the journal at which it is merged into the index.
    #[serde(with = "units::bytes")]
    pub journal_bytes: u64,
    /// The size that the journal may reach while the index is extended, when it cannot be merged;
    /// writes wait from then on. What it holds is repeated when the store opens after a crash.
    #[serde(with = "units::bytes")]
    pub max_journal_bytes: u64,
    /// Embeddings outside the index at which it is extended in the background: at once where they are
    /// a quarter of those inside, otherwise after a rest as long as the last extension took.
    pub index_after: u64,
    /// What writes leave free on the disk. The index is mapped into memory, and a full disk would
    /// end the process.
    #[serde(with = "units::bytes")]
    pub reserve_bytes: u64,
    /// How often the store is measured for the metrics.
    #[serde(with = "units::duration")]
    pub measure_interval: Duration,
    /// What one request and one item may hold.
    pub limits: Limits,
}

/// What one request and one item may hold.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct Limits {
    /// Collections of the store.
    pub max_collections: usize,
    /// Items of one write or read of the store, and of one call that deletes.
    pub max_items: usize,
    /// Items of one call, in or out; not more than `max_items` in any case.
    pub max_call_items: usize,
    /// Items of one page; not more than `max_hits` in any case.
    pub max_page_items: usize,
    /// Items of one call that are embedded at once.
    pub items_at_once: usize,
    /// Embeddings of one item.
    pub max_chunks: usize,
    /// Boxes of one picture that have embeddings, the most confident.
    pub max_regions: usize,
    /// Text of one item.
    #[serde(with = "units::bytes")]
    pub max_text_bytes: usize,
    /// Encoded picture of one item, where it is kept.
    #[serde(with = "units::bytes")]
    pub max_image_bytes: usize,
    /// Metadata fields of a collection.
    pub max_fields: usize,
    /// All metadata of one item.
    #[serde(with = "units::bytes")]
    pub max_metadata_bytes: usize,
    /// Offset and hits of one search together, and items of one page of the store.
    pub max_hits: usize,
    /// Hits of one answer; not more than `max_hits` in any case.
    pub max_answer_hits: usize,
    /// Encoded pictures of one answer together.
    #[serde(with = "units::bytes")]
    pub max_answer_image_bytes: u64,
    /// Tests in one filter.
    pub max_tests: usize,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            store: Place::Off,
            key_file: None,
            data_dir: PathBuf::from("veriframe-data/evidence"),
            readers: 2,
            queue: 256,
            journal_bytes: 64 << 20,
            max_journal_bytes: 4 << 30,
            index_after: 20_000,
            reserve_bytes: 512 << 20,
            measure_interval: Duration::from_secs(30),
            limits: Limits::default(),
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_collections: 64,
            max_items: 1000,
            max_call_items: 64,
            max_page_items: 256,
            items_at_once: 8,
            max_chunks: 1000,
            max_regions: 32,
            max_text_bytes: 256 << 10,
            max_image_bytes: 8 << 20,
            max_fields: 64,
            max_metadata_bytes: 16 << 10,
            max_hits: 1000,
            max_answer_hits: 100,
            max_answer_image_bytes: 64 << 20,
            max_tests: 64,
        }
    }
}

impl Config {
    /// What is out of range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        if self.data_dir.as_os_str().is_empty() {
            bounds.refuse("data_dir", "is empty, must name a folder");
        }
        bounds.number("readers", self.readers, 1..=256);
        bounds.number("queue", self.queue, 1..=65_536);
        bounds.bytes("journal_bytes", self.journal_bytes, 1 << 20..=16 << 30);
        bounds.bytes("max_journal_bytes", self.max_journal_bytes, 1 << 20..=1 << 40);
        bounds.number("index_after", self.index_after, 1000..=100_000_000);
        bounds.bytes("reserve_bytes", self.reserve_bytes, 64 << 20..=1 << 50);
        let (second, hour) = (Duration::from_secs(1), Duration::from_hours(1));
        bounds.duration("measure_interval", self.measure_interval, second..=hour);
        bounds.section("limits", self.limits.breaches());
        bounds.breaches()
    }
}

impl Limits {
    fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.number("max_collections", self.max_collections, 1..=1024);
        bounds.number("max_items", self.max_items, 1..=100_000);
        bounds.number("max_call_items", self.max_call_items, 1..=10_000);
        bounds.number("max_page_items", self.max_page_items, 1..=10_000);
        bounds.number("items_at_once", self.items_at_once, 1..=1024);
        bounds.number("max_chunks", self.max_chunks, 1..=10_000);
        bounds.number("max_regions", self.max_regions, 1..=1000);
        bounds.bytes("max_text_bytes", self.max_text_bytes, 1 << 10..=16 << 20);
        // Above this a picture in its payload would not fit a page of the embedded store.
        bounds.bytes("max_image_bytes", self.max_image_bytes, 1 << 10..=16 << 20);
        bounds.number("max_fields", self.max_fields, 1..=1024);
        bounds.bytes("max_metadata_bytes", self.max_metadata_bytes, 256..=1 << 20);
        bounds.number("max_hits", self.max_hits, 1..=10_000);
        bounds.number("max_answer_hits", self.max_answer_hits, 1..=10_000);
        // One picture always fits, and all of them beside the rest of an answer.
        let pictures = self.max_answer_image_bytes;
        bounds.bytes("max_answer_image_bytes", pictures, 16 << 20..=96 << 20);
        bounds.number("max_tests", self.max_tests, 1..=1024);
        bounds.breaches()
    }
}

/// Where a store lies.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum Place {
    /// Nowhere: no evidence is kept.
    #[default]
    Off,
    /// In this process, on its disk.
    Embedded,
    /// In a Qdrant cluster, by its gRPC address.
    Cluster(String),
}

impl FromStr for Place {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "off" => return Ok(Self::Off),
            "embedded" => return Ok(Self::Embedded),
            _ => {}
        }
        let host = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
        if host.is_some_and(|host| !host.is_empty()) {
            return Ok(Self::Cluster(text.to_owned()));
        }
        Err(format!(
            "'{text}' is neither \"off\" nor \"embedded\" nor an address like \
             \"http://localhost:6334\""
        ))
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Off => "off",
            Self::Embedded => "embedded",
            Self::Cluster(address) => address,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_line_chooses_the_store() {
        let read = |text: &str| toml::from_str::<Config>(text).map(|config| config.store);
        assert_eq!(read("").unwrap(), Place::Off);
        assert_eq!(read("store = 'embedded'").unwrap(), Place::Embedded);
        assert_eq!(
            read("store = 'http://localhost:6334'").unwrap(),
            Place::Cluster("http://localhost:6334".into())
        );
        let error = read("store = 'localhost:6334'").unwrap_err().to_string();
        assert!(error.contains("nor \"embedded\" nor an address"), "{error}");
    }

    #[test]
    fn the_defaults_keep_their_bounds_and_breaches_are_named() {
        assert_eq!(Config::default().breaches(), []);
        let limits = Limits { max_items: 0, ..Limits::default() };
        let wrong = Config { readers: 0, limits, ..Config::default() };
        let keys: Vec<String> = wrong.breaches().into_iter().map(|breach| breach.key).collect();
        assert_eq!(keys, ["readers", "limits.max_items"]);
    }
}
