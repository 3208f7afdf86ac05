//! The embedded evidence store: what goes in comes out, is found, and survives.

use std::fs;
use std::path::Path;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use veriframe::evidence::{
    Chunk, Config, Embedded, Error, Field, Filter, Hit, Image, Item, Limits, List, Model, Options,
    Place, Quantisation, Range, Search, Store, Test, Value, Written,
};

const DIMENSION: usize = 32;

pub(crate) fn config(folder: &Path) -> Config {
    // Small, so that journals are merged and graphs extended while a test writes.
    Config {
        store: veriframe::evidence::config::Place::Embedded,
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

/// A store with the empty collection `faces`.
pub(crate) async fn faces(folder: &Path) -> Store {
    let store = Store::open(&config(folder)).await.unwrap();
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

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_written_found_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    let mut face = passage("face/1", 1);
    face.item.image = Some(Image::Bytes(vec![7; 100]));
    face.item.source = "https://example.org/1".into();
    face.item.time_ms = Some(1_700_000_000_000);
    let eye =
        Place::Region { region: [1.0, 2.0, 30.0, 40.0], class: "eye".into(), confidence: 0.5 };
    face.chunks.push(Chunk { place: Place::Image, vector: vector(2) });
    face.chunks.push(Chunk { place: eye.clone(), vector: vector(3) });
    let written = put(&store, vec![face, passage("note", 4)]).await;
    assert_eq!(written, [Written::Created, Written::Created]);

    let hits = find(&store, 3, 4, None).await;
    assert_eq!((ids(&hits)[0], &hits[0].place), ("face/1", &eye));
    assert!((hits[0].score - 1.0).abs() < 1e-4, "{}", hits[0].score);
    assert_eq!(hits[0].item.image, Some(Image::Kept { bytes: 100 }));
    assert_eq!(hits.len(), 4, "every embedding is a hit of its own");
    assert!(hits.is_sorted_by(|one, next| one.score >= next.score));
    assert_eq!(store.picture("faces", "face/1").await.unwrap(), Some(vec![7; 100]));
    assert_eq!(store.picture("faces", "note").await.unwrap(), None);

    assert_eq!(put(&store, vec![passage("face/1", 5)]).await, [Written::Replaced]);
    let hits = find(&store, 3, 4, None).await;
    assert_eq!(hits.len(), 2, "no embedding of the item before is left");
    let wanted = ["face/1", "gone", "note"].map(str::to_owned).to_vec();
    let got = store.get("faces", wanted.clone()).await.unwrap();
    assert_eq!(got[0].as_ref().unwrap(), &passage("face/1", 5).item);
    assert_eq!((&got[1], got[2].as_ref().unwrap().id.as_str()), (&None, "note"));

    assert_eq!(store.delete("faces", wanted).await.unwrap(), 2);
    assert_eq!(find(&store, 3, 4, None).await, []);
    let statistics = store.statistics("faces").await.unwrap();
    assert_eq!((statistics.items, statistics.chunks), (0, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn of_one_request_each_item_stands_alone_and_the_last_of_an_id_counts() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    let mut short = passage("short", 1);
    short.chunks[0].vector.pop();
    let typed = with(passage("typed", 2), &[("year", Value::Number(2024.0))]);
    let mistyped = with(passage("mistyped", 3), &[("year", text("2024"))]);
    let items = vec![short, typed, mistyped, passage("twice", 4), passage("twice", 5)];
    let written = store.upsert("faces", None, items).await.unwrap();
    let found: Vec<String> = written
        .iter()
        .map(|result| result.as_ref().map_or_else(ToString::to_string, |w| format!("{w:?}")))
        .collect();
    assert_eq!(
        found,
        [
            "item.chunks[0].vector has 31 values, the collection's embeddings have 32",
            "Created",
            "item.metadata.year: is text, but holds number in this collection",
            "Created",
            "Replaced",
        ]
    );
    let statistics = store.statistics("faces").await.unwrap();
    assert_eq!((statistics.items, statistics.chunks), (2, 2));
    assert!((find(&store, 5, 1, None).await[0].score - 1.0).abs() < 1e-4);
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_choose_by_metadata_source_time_and_kind() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    let items = (0..20_u32).map(|index| {
        let mut item = passage(&format!("{index:02}"), u64::from(index));
        item.item.source = format!("https://example.org/{}", index % 2);
        item.item.time_ms = (index < 10).then_some(i64::from(index) * 1000);
        if index == 7 {
            item.item.image = Some(Image::Uri("https://example.org/7.jpg".into()));
            item.chunks[0].place = Place::Image;
        }
        let tags = Value::Texts(vec![format!("tag{}", index % 4), "all".into()]);
        let number = Value::Number(f64::from(index));
        with(item, &[("tags", tags), ("year", number), ("even", Value::Flag(index % 2 == 0))])
    });
    put(&store, items.collect()).await;
    let check = async |filter: Filter, expected: &[&str]| {
        let hits = find(&store, 0, 20, Some(filter.clone())).await;
        let mut found = ids(&hits);
        found.sort_unstable();
        assert_eq!(found, expected, "search by {filter:?}");
        let page = List { filter: Some(filter.clone()), limit: 20, cursor: None };
        let page = store.list("faces", page).await.unwrap();
        let mut found: Vec<&str> = page.items.iter().map(|item| item.id.as_str()).collect();
        found.sort_unstable();
        assert_eq!(found, expected, "list by {filter:?}");
    };
    let range = |from, below| Test::Range(Range { from, below, ..Range::default() });
    check(metadata("tags", Test::Equals(text("tag3"))), &["03", "07", "11", "15", "19"]).await;
    check(metadata("year", range(Some(3.0), Some(5.0))), &["03", "04"]).await;
    check(metadata("year", Test::In(vec![Value::Number(3.0), Value::Number(19.0)])), &["03", "19"])
        .await;
    check(Filter::Test(Field::Time, range(Some(8000.0), None)), &["08", "09"]).await;
    check(Filter::Test(Field::Kind, Test::Equals(text("image"))), &["07"]).await;
    check(Filter::Test(Field::Id, Test::Equals(text("05"))), &["05"]).await;
    let undated = Filter::Not(Box::new(Filter::Test(Field::Time, Test::Exists)));
    let odd = metadata("even", Test::Equals(Value::Flag(false)));
    let source = Filter::Test(Field::Source, Test::Equals(text("https://example.org/0")));
    check(
        Filter::All(vec![undated, Filter::Any(vec![odd, source])]),
        &["10", "11", "12", "13", "14", "15", "16", "17", "18", "19"],
    )
    .await;
    check(metadata("tags", Test::Equals(text("none"))), &[]).await;
    check(
        Filter::All(Vec::new()),
        &[
            "00", "01", "02", "03", "04", "05", "06", "07", "08", "09", "10", "11", "12", "13",
            "14", "15", "16", "17", "18", "19",
        ],
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_offsets_cover_everything_once() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    let expected: Vec<String> = (0..25).map(|index| format!("{index:02}")).collect();
    put(&store, (0..25).map(|index| passage(&expected[index as usize], index)).collect()).await;
    let (mut listed, mut cursor, mut pages) = (Vec::new(), None, 0);
    loop {
        let page = List { limit: 10, cursor, ..List::default() };
        let page = store.list("faces", page).await.unwrap();
        listed.extend(page.items.into_iter().map(|item| item.id));
        pages += 1;
        let Some(next) = page.next else { break };
        cursor = Some(next);
    }
    listed.sort();
    assert_eq!((pages, &listed), (3, &expected));

    let all = find(&store, 99, 25, None).await;
    let mut paged = Vec::new();
    for offset in [0, 10, 20] {
        let search = Search { vector: vector(99), limit: 10, offset, ..Search::default() };
        paged.extend(store.search("faces", None, search).await.unwrap());
    }
    assert_eq!(paged, all);
    let search = Search { vector: vector(99), limit: 10, offset: 50, ..Search::default() };
    assert_eq!(store.search("faces", None, search).await.unwrap(), []);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_refused_says_what_would_do_and_changes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    put(&store, vec![with(passage("a", 1), &[("author", text("Kim"))])]).await;
    let check = |error: Error, expected: &str| {
        let found = error.to_string();
        assert!(found.contains(expected), "{found}");
    };
    let search = |vector, filter, limit| Search { vector, filter, limit, ..Search::default() };
    let good = || search(vector(1), None, 1);
    let failed = async |collection, model: Option<&Model>, search| {
        store.search(collection, model, search).await.unwrap_err()
    };
    check(failed("fces", None, good()).await, "'fces' does not exist, did you mean 'faces'?");
    let other = Model { checksum: "ffff".into(), ..model() };
    check(failed("faces", Some(&other), good()).await, "not with clip (ffff, 32 values)");
    check(failed("faces", None, search(vec![1.0], None, 1)).await, "vector has 1 values");
    check(failed("faces", None, search(vec![0.0; DIMENSION], None, 1)).await, "no direction");
    check(failed("faces", None, search(vector(1), None, 0)).await, "is 0, must be 1 to 1000");
    let typo = metadata("auhtor", Test::Exists);
    check(
        failed("faces", None, search(vector(1), Some(typo), 1)).await,
        "filter: no item has the field 'auhtor', did you mean 'author'?; there are: author",
    );
    check(store.upsert("faces", Some(&other), Vec::new()).await.unwrap_err(), "embed with the");
    let many = vec![passage("b", 2); Limits::default().max_items + 1];
    check(
        store.upsert("faces", None, many).await.unwrap_err(),
        "items: has 1001 items, limit 1000",
    );
    check(store.delete("faces", vec![String::new()]).await.unwrap_err(), "ids[0]: has 0 bytes");
    let page = List { limit: 1, cursor: Some("x".into()), ..List::default() };
    check(store.list("faces", page).await.unwrap_err(), "cursor: is none that a page gave");
    let again = store.create("faces", model(), Options::default()).await.unwrap_err();
    check(again, "'faces' exists already");
    let outside = store.create("../faces", model(), Options::default()).await.unwrap_err();
    check(outside, "is no name");
    let second = Store::open(&config(folder.path())).await.err().unwrap();
    check(second, "in use by another process");
    assert_eq!(store.statistics("faces").await.unwrap().items, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_store_that_is_opened_again_is_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    let items: Vec<Embedded> = (0..40)
        .map(|n| with(passage(&format!("{n}"), n), &[("n", Value::Number(n as f64))]))
        .collect();
    put(&store, items).await;
    store.delete("faces", vec!["3".into()]).await.unwrap();
    let scalar = Options { quantisation: Quantisation::Scalar, ..Options::default() };
    store.create("gone", model(), scalar).await.unwrap();
    store.delete_collection("gone").await.unwrap();
    let (about, hits) = (store.collection("faces").await.unwrap(), find(&store, 7, 40, None).await);
    store.close().await.unwrap();
    assert!(matches!(store.collection("faces").await, Err(Error::UnknownCollection { .. })));
    drop(store);

    // What a crash leaves of a collection that was being made or deleted.
    fs::create_dir(folder.path().join(".new-half")).unwrap();
    fs::create_dir(folder.path().join(".deleted-half")).unwrap();
    let store = Store::open(&config(folder.path())).await.unwrap();
    assert_eq!(store.collections().await.unwrap(), [about]);
    assert!(!folder.path().join(".new-half").exists());
    assert_eq!(find(&store, 7, 40, None).await, hits);
    assert_eq!(hits.len(), 39);
    let filter = metadata("n", Test::Equals(Value::Number(7.0)));
    assert_eq!(ids(&find(&store, 1, 5, Some(filter)).await), ["7"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_graph_finds_what_comparing_with_each_finds() {
    for quantisation in [Quantisation::None, Quantisation::Scalar] {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&config(folder.path())).await.unwrap();
        let options = Options { quantisation, ..Options::default() };
        store.create("faces", model(), options).await.unwrap();
        let count = 4000_u64;
        for start in (0..count).step_by(500) {
            let items = (start..start + 500).map(|n| passage(&n.to_string(), n));
            put(&store, items.collect()).await;
        }
        store.optimise("faces").await.unwrap();
        let statistics = store.statistics("faces").await.unwrap();
        assert_eq!(statistics.chunks, count);
        // What is too little for a graph of its own is compared one by one.
        assert!(statistics.indexed >= count - 1000, "{quantisation:?}: {statistics:?}");
        let unit = |vector: Vec<f32>| {
            let norm = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
            vector.into_iter().map(|v| v / norm).collect::<Vec<f32>>()
        };
        let all: Vec<Vec<f32>> = (0..count).map(|n| unit(vector(n))).collect();
        let (mut found, queries) = (0, 50);
        for query in 0..queries {
            let wanted = unit(vector(1_000_000 + query));
            let mut scores: Vec<(f32, String)> = all
                .iter()
                .enumerate()
                .map(|(n, v)| (v.iter().zip(&wanted).map(|(a, b)| a * b).sum(), n.to_string()))
                .collect();
            scores.sort_by(|one, other| other.0.total_cmp(&one.0));
            let hits = find(&store, 1_000_000 + query, 10, None).await;
            assert!((hits[0].score - scores[0].0).abs() < 1e-4, "scores are exact cosines");
            found += hits.iter().filter(|h| scores[..10].iter().any(|s| s.1 == h.item.id)).count();
        }
        let recall = found as f64 / (queries as f64 * 10.0);
        assert!(recall >= 0.98, "recall@10 is {recall} with {quantisation:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_space_old_evidence_is_kept_and_new_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    put(&store, vec![passage("a", 1), passage("b", 2)]).await;
    drop(store);
    let full = Config { reserve_bytes: 1 << 60, ..config(folder.path()) };
    let store = Store::open(&full).await.unwrap();
    let refused = store.upsert("faces", None, vec![passage("a", 3)]).await.unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert!(matches!(
        store.create("more", model(), Options::default()).await,
        Err(Error::DiskFull { .. })
    ));
    assert!((find(&store, 1, 1, None).await[0].score - 1.0).abs() < 1e-4);
    assert_eq!(store.collections().await.unwrap().len(), 1);
}
