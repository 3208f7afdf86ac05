//! What only a store on this machine's disk does.

use std::fs;
use std::time::{Duration, Instant};

use veriframe::evidence::{
    Config, Embedded, Error, Limits, Options, Quantisation, Store, Test, Value,
};

use super::{config, faces, find, ids, metadata, model, passage, put, vector, with};

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_belongs_to_one_store_at_a_time() {
    let folder = tempfile::tempdir().unwrap();
    let _store = faces(folder.path()).await;
    let second = Store::open(&config(folder.path())).await.err().unwrap();
    assert!(second.to_string().contains("in use by another process"), "{second}");
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
async fn a_damaged_collection_keeps_no_other_from_serving() {
    for file in ["collection.json", "journal", "index/edge_config.json"] {
        let folder = tempfile::tempdir().unwrap();
        let store = faces(folder.path()).await;
        put(&store, vec![passage("a", 1)]).await;
        store.create("other", model(), Options::default()).await.unwrap();
        store.close().await.unwrap();
        drop(store);
        let damaged = folder.path().join("other").join(file);
        fs::write(damaged, "what no part of a store begins with").unwrap();

        let limits = Limits { max_collections: 2, ..Limits::default() };
        let limited = Config { limits, ..config(folder.path()) };
        let store = Store::open(&limited).await.unwrap();
        put(&store, vec![passage("b", 2)]).await;
        assert_eq!(ids(&find(&store, 1, 1, None).await), ["a"], "{file}");
        let served = store.collections().await.unwrap();
        assert_eq!(served.iter().map(|about| about.name.as_str()).collect::<Vec<_>>(), ["faces"]);
        assert_eq!(store.damaged().len(), 1, "{file}");
        let refused = [
            store.collection("other").await.err(),
            store.statistics("other").await.err(),
            store.upsert("other", None, vec![passage("a", 1)]).await.err(),
            store.delete("other", vec!["a".into()]).await.err(),
            store.get("other", vec!["a".into()]).await.err(),
        ];
        for error in refused.map(Option::unwrap) {
            assert!(matches!(error, Error::Unopened { .. }), "{file}: {error}");
            assert!(
                error.to_string().contains("restore it from a back-up or delete it"),
                "{error}"
            );
        }
        let again = store.create("other", model(), Options::default()).await.unwrap_err();
        assert!(matches!(again, Error::CollectionExists(_)), "{file}: {again}");
        let more = store.create("more", model(), Options::default()).await.unwrap_err();
        assert!(more.to_string().contains("has 3 collections, limit 2"), "{file}: {more}");

        store.delete_collection("other").await.unwrap();
        assert!(store.damaged().is_empty() && !folder.path().join("other").exists(), "{file}");
        store.create("other", model(), Options::default()).await.unwrap();
        assert_eq!(store.statistics("other").await.unwrap().items, 0);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_under_another_name_is_not_taken_for_its_collection() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    put(&store, vec![passage("a", 1)]).await;
    drop(store);
    let (own, other) = (folder.path().join("faces"), folder.path().join("copy"));
    fs::rename(&own, &other).unwrap();
    let store = Store::open(&config(folder.path())).await.unwrap();
    let refused = store.collection("copy").await.unwrap_err().to_string();
    assert!(refused.contains("is the collection 'faces' under another name"), "{refused}");
    assert!(matches!(store.collection("faces").await, Err(Error::UnknownCollection { .. })));
    drop(store);
    fs::rename(&other, &own).unwrap();
    let store = Store::open(&config(folder.path())).await.unwrap();
    assert_eq!(ids(&find(&store, 1, 1, None).await), ["a"]);
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
async fn the_graph_follows_what_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let store = faces(folder.path()).await;
    for round in 1..=3 {
        for start in ((round - 1) * 2000..round * 2000).step_by(500) {
            put(&store, (start..start + 500).map(|n| passage(&n.to_string(), n)).collect()).await;
        }
        let begun = Instant::now();
        loop {
            let statistics = store.statistics("faces").await.unwrap();
            assert_eq!(statistics.chunks, round * 2000);
            // Less than `index_after` may stay outside.
            if statistics.chunks - statistics.indexed < 1000 {
                break;
            }
            assert!(begun.elapsed() < Duration::from_mins(1), "{statistics:?}");
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
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
