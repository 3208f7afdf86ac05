//! Stores of evidence: what goes in comes out, is found, and survives.

mod contract;
mod embedded;

use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use veriframe::evidence::config::Place as Where;
use veriframe::evidence::{
    Chunk, Config, Embedded, Error, Field, Filter, Hit, Item, Model, Options, Place, Search, Store,
    Test, Value, Written,
};

const DIMENSION: usize = 32;
/// Names the cluster in place of a folder.
const QDRANT: &str = "VERIFRAME_QDRANT";

pub(crate) fn config(folder: &Path) -> Config {
    // Small, so that journals are merged and graphs extended while a test writes.
    Config {
        store: Where::Embedded,
        data_dir: folder.to_path_buf(),
        journal_bytes: 256 << 10,
        index_after: 1000,
        reserve_bytes: 16 << 20,
        ..Config::default()
    }
}

pub(crate) fn model() -> Model {
    Model { name: "clip".into(), checksum: "0a1b".into(), dimension: DIMENSION }
}

/// An embedded store with the empty collection `faces`.
pub(crate) async fn faces(folder: &Path) -> Store {
    let store = Store::open(&config(folder)).await.unwrap();
    store.create("faces", model(), Options::default()).await.unwrap();
    store
}

/// Where a test of every store keeps its evidence: under `folder`, or in the Qdrant cluster that
/// `VERIFRAME_QDRANT` names. Tests share a cluster, so they run one by one there, and remove what
/// an earlier one left under the name they use: `scripts/qdrant.sh`.
pub(crate) fn place(folder: &Path) -> Config {
    let store = std::env::var(QDRANT).map_or(Where::Embedded, Where::Cluster);
    Config { store, ..config(folder) }
}

/// Whether [`place`] is a folder.
pub(crate) fn is_embedded() -> bool {
    std::env::var_os(QDRANT).is_none()
}

/// The store of [`place`] with the empty collection `faces`.
async fn tested(folder: &Path) -> Store {
    let store = Store::open(&place(folder)).await.unwrap();
    match store.delete_collection("faces").await {
        Ok(()) | Err(Error::UnknownCollection { .. }) => {}
        Err(error) => panic!("{error}"),
    }
    store.create("faces", model(), Options::default()).await.unwrap();
    store
}

pub(crate) fn vector(seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    (0..DIMENSION).map(|_| random.random_range(-1.0..1.0)).collect()
}

pub(crate) fn passage(id: &str, seed: u64) -> Embedded {
    let text = format!("passage {id}");
    let place = Place::Text { start: 0, end: text.len() };
    Embedded {
        item: Item { id: id.into(), text: Some(text), ..Item::default() },
        chunks: vec![Chunk { place, vector: vector(seed) }],
    }
}

pub(crate) fn with(mut item: Embedded, fields: &[(&str, Value)]) -> Embedded {
    let fields = fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone()));
    item.item.metadata.extend(fields);
    item
}

pub(crate) async fn put(store: &Store, items: Vec<Embedded>) -> Vec<Written> {
    let written = store.upsert("faces", Some(&model()), items).await.unwrap();
    written.into_iter().map(Result::unwrap).collect()
}

pub(crate) async fn find(
    store: &Store,
    seed: u64,
    limit: usize,
    filter: Option<Filter>,
) -> Vec<Hit> {
    let search = Search { vector: vector(seed), filter, limit, ..Search::default() };
    store.search("faces", Some(&model()), search).await.unwrap()
}

pub(crate) fn ids(hits: &[Hit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.item.id.as_str()).collect()
}

fn text(text: &str) -> Value {
    Value::Text(text.into())
}

fn metadata(name: &str, test: Test) -> Filter {
    Filter::Test(Field::Metadata(name.into()), test)
}
