//! Collections and items: made, read, replaced, deleted, and there after a restart.

use super::*;

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_tells_what_it_is_and_holds() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    let options = v1::CollectionOptions {
        detector: Some("yolo".to_owned()),
        min_confidence: Some(0.0),
        ..Default::default()
    };
    let made = server.create("faces", options).await;
    assert_eq!(made.model.as_ref().unwrap().name, "clip");
    assert_eq!(made.model.as_ref().unwrap().checksum.len(), 64);
    assert_eq!(made.dimension as usize, crate::support::EMBEDDING);
    assert_eq!(made.options.as_ref().unwrap().keep_images, Some(true));
    let results = server
        .put("faces", vec![picture("one", 1), passage("two", "A face. Its teeth are uneven.")])
        .await;
    let boxes: Vec<&v1::Chunk> =
        results[0].chunks.iter().filter(|chunk| chunk.kind() == v1::ChunkKind::Region).collect();
    assert!(!boxes.is_empty() && boxes.len() <= 32, "{results:?}");
    for found in &boxes {
        let edges = found.r#box.unwrap();
        assert!(edges.x1 < edges.x2 && edges.x2 <= crate::support::SIZE.0 as f32, "{edges:?}");
        assert!(crate::support::CLASSES.contains(&found.label.as_str()), "{found:?}");
        assert!((0.0..=1.0).contains(&found.confidence), "{found:?}");
    }
    let statistics = server.statistics("faces").await;
    assert_eq!((statistics.items, statistics.image_chunks), (2, 1));
    assert_eq!(statistics.region_chunks as usize, boxes.len());
    assert_eq!(statistics.text_chunks as usize, results[1].chunks.len());
    // A cluster's disks are its own affair.
    assert_eq!(statistics.disk_bytes > 0, is_embedded());

    server.create("another", v1::CollectionOptions::default()).await;
    let listed = server.client.list_collections(v1::ListCollectionsRequest {}).await.unwrap();
    let names: Vec<String> =
        listed.into_inner().collections.into_iter().map(|one| one.name).collect();
    assert!(names.is_sorted(), "{names:?}");
    let mine = |name: &&String| ["another", "faces"].contains(&name.as_str());
    assert_eq!(names.iter().filter(mine).count(), 2, "{names:?}");
    assert!(names.len() == 2 || !is_embedded(), "a cluster may have others: {names:?}");
    let gone = v1::DeleteCollectionRequest { name: "another".to_owned() };
    server.client.delete_collection(gone).await.unwrap();
    let gone = v1::GetCollectionRequest { name: "another".to_owned() };
    let status = server.client.get_collection(gone).await.unwrap_err();
    assert_eq!(status.code(), tonic::Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_comes_back_as_it_went_in_and_survives_a_restart() {
    let folder = folder();
    let item = v1::EvidenceItem {
        text: "눈동자가 다르다. The pupils differ.".to_owned(),
        source_uri: "https://example.org/1".to_owned(),
        title: "One".to_owned(),
        time: Some(prost_types::Timestamp { seconds: -5, nanos: 250_000_000 }),
        ..picture("a/1", 1)
    };
    let item = with(item, "year", Value::Number(2024.5));
    let item = with(item, "checked", Value::Flag(true));
    let tags = v1::TextList { values: vec!["eye".to_owned(), "face".to_owned()] };
    let item = with(item, "tags", Value::Texts(tags));
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let put = vec![item.clone(), passage("gone", "x"), passage("b", "y")];
    server.put("faces", put).await;
    let request = v1::DeleteItemsRequest {
        collection: "faces".to_owned(),
        ids: vec!["gone".to_owned(), "never".to_owned()],
    };
    let deleted = server.client.delete_items(request).await.unwrap().into_inner().deleted;
    assert_eq!(deleted, 1);
    assert_eq!(server.get("faces", &["a/1", "gone"]).await, std::slice::from_ref(&item));
    let before = server.search(by_text("faces", "eye")).await;
    server.server.stop().await.unwrap();

    let mut server = Keeping::start(folder.path()).await;
    let found = server.get("faces", &["b", "a/1"]).await;
    assert_eq!(found, [passage("b", "y"), item]);
    assert_eq!(server.search(by_text("faces", "eye")).await, before);
    server.put("faces", vec![passage("a/1", "new")]).await;
    assert_eq!(server.get("faces", &["a/1"]).await, [passage("a/1", "new")]);
    let statistics = server.statistics("faces").await;
    assert_eq!((statistics.items, statistics.image_chunks, statistics.text_chunks), (2, 0, 2));
}

#[tokio::test(flavor = "multi_thread")]
async fn pictures_that_are_not_kept_are_found_all_the_same() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    let options = v1::CollectionOptions { keep_images: Some(false), ..Default::default() };
    server.create("faces", options).await;
    server.put("faces", vec![picture("one", 1), picture("two", 2)]).await;
    assert_eq!(server.get("faces", &["one"]).await[0].image, None);
    let query = v1::EvidenceQuery { image: encoded(png(2)), ..Default::default() };
    let hits = server
        .search(v1::SearchEvidenceRequest { query: Some(query), ..by_text("faces", "") })
        .await;
    assert_eq!(ids(&hits)[0], "two");
}

/// A source is told again and filtered by; nobody goes there.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_is_never_fetched() {
    let folder = folder();
    let site = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    site.set_nonblocking(true).unwrap();
    let source_uri = format!("http://{}/a.png", site.local_addr().unwrap());
    let mut server = Keeping::start(folder.path()).await;
    for (collection, keep_images) in [("kept", true), ("referenced", false)] {
        let keep_images = Some(keep_images);
        let options = v1::CollectionOptions { keep_images, ..Default::default() };
        server.create(collection, options).await;
        let source_uri = source_uri.clone();
        server.put(collection, vec![v1::EvidenceItem { source_uri, ..picture("a", 1) }]).await;
        assert_eq!(server.get(collection, &["a"]).await.len(), 1);
        assert_eq!(server.search(by_text(collection, "a face")).await.len(), 1);
    }
    let came = site.accept().map(|(_, peer)| peer).unwrap_err();
    assert_eq!(came.kind(), std::io::ErrorKind::WouldBlock);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_content_without_an_id_is_there_once() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let items = || vec![passage("", "a face"), picture("", 1), passage("", "an ear")];
    let first = server.put("faces", items()).await;
    let again = server.put("faces", items()).await;
    assert_eq!(first, again);
    assert!(first.iter().all(|result| result.id.len() == 64), "{first:?}");
    assert_eq!(server.statistics("faces").await.items, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_list_every_item_once() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let expected: Vec<String> = (0..11).map(|number| format!("{number:02}")).collect();
    let items = expected.iter().map(|id| {
        let even = Value::Flag(id.ends_with(['0', '2', '4', '6', '8']));
        with(passage(id, &format!("face {id}")), "even", even)
    });
    server.put("faces", items.collect()).await;
    let mut listed = Vec::new();
    let mut request = v1::ListItemsRequest {
        collection: "faces".to_owned(),
        page_size: Some(4),
        ..Default::default()
    };
    loop {
        let page = server.client.list_items(request.clone()).await.unwrap().into_inner();
        assert!(page.items.len() <= 4);
        listed.extend(page.items.into_iter().map(|item| item.id));
        if page.next_page_token.is_empty() {
            break;
        }
        request.page_token = page.next_page_token;
    }
    listed.sort();
    assert_eq!(listed, expected);
    let even = v1::MetadataCondition {
        name: "even".to_owned(),
        condition: Some(v1::metadata_condition::Condition::Flag(true)),
        negated: false,
    };
    let filter = Some(v1::EvidenceFilter { conditions: vec![even], ..Default::default() });
    let request = v1::ListItemsRequest { page_token: String::new(), filter, ..request };
    let request = v1::ListItemsRequest { page_size: None, ..request };
    let page = server.client.list_items(request).await.unwrap().into_inner();
    assert_eq!((page.items.len(), page.next_page_token.as_str()), (6, ""));
}
