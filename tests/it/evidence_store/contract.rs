//! What every store does, embedded or on a cluster.

use veriframe::evidence::{
    Chunk, Error, Field, Filter, Image, Limits, List, Model, Options, Place, Range, Search, Test,
    Value, Written,
};

use super::{DIMENSION, find, ids, metadata, model, passage, put, tested, text, vector, with};

#[tokio::test(flavor = "multi_thread")]
async fn an_item_is_written_found_replaced_and_deleted() {
    let folder = tempfile::tempdir().unwrap();
    let store = tested(folder.path()).await;
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
    let store = tested(folder.path()).await;
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
    let store = tested(folder.path()).await;
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
    let store = tested(folder.path()).await;
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
    let store = tested(folder.path()).await;
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
    assert_eq!(store.statistics("faces").await.unwrap().items, 1);
}
