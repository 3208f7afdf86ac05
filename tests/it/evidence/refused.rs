//! What is refused: the code, the field, and that nothing is half-written.

use tonic::{Code, Status};
use tonic_types::StatusExt;
use v1::metadata_condition::Condition;
use veriframe::evidence::Limits;

use super::*;
use crate::support::{assert_refused, texts, write_clip};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_without_a_store_says_how_to_get_one() {
    let server = TestServer::start().await;
    let mut client = EvidenceServiceClient::new(server.channel().await);
    let status = client.search_evidence(by_text("faces", "x")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("serve with --evidence DIR"), "{status:?}");
    assert!(status.get_error_details().precondition_failure().is_some());
    let requests = futures::stream::iter(Vec::new());
    let status = client.ingest_items(requests).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
}

#[tokio::test(flavor = "multi_thread")]
async fn collections_that_cannot_be_made_are_refused() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let mut create = async |change: fn(&mut v1::CreateCollectionRequest)| {
        let mut request = v1::CreateCollectionRequest {
            name: "other".to_owned(),
            options: Some(v1::CollectionOptions::default()),
            ..Default::default()
        };
        change(&mut request);
        server.client.create_collection(request).await.unwrap_err()
    };
    let again = create(|r| r.name = "faces".to_owned()).await;
    assert_eq!(again.code(), Code::AlreadyExists);
    assert_refused(&create(|r| r.name = "../faces".to_owned()).await, "name", "is no name");
    assert_refused(&create(|r| r.name = "Faces".to_owned()).await, "name", "is no name");
    let model = create(|r| r.model = Some("clap".to_owned())).await;
    assert_eq!(model.code(), Code::NotFound);
    let detector = create(|r| {
        r.options.as_mut().unwrap().detector = Some("clip".to_owned());
    });
    assert_eq!(detector.await.code(), Code::NotFound);
    let confidence = create(|r| r.options.as_mut().unwrap().min_confidence = Some(1.5)).await;
    assert_refused(&confidence, "options.min_confidence", "is 1.5, must be 0 to 1");
    let listed = server.client.list_collections(v1::ListCollectionsRequest {}).await.unwrap();
    let listed = listed.into_inner().collections;
    assert!(listed.iter().all(|one| one.name != "other" && one.name != "Faces"), "{listed:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_items_are_refused_by_field_and_leave_the_good_ones_and_the_old_ones() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let year = |id: &str, value| with(passage(id, "old"), "year", value);
    server.put("faces", vec![year("a", Value::Number(1.0)), passage("b", "old")]).await;
    let raw = v1::RawImage {
        format: v1::PixelFormat::Rgb8.into(),
        width: crate::support::SIZE.0,
        height: crate::support::SIZE.1,
        data: crate::support::pixels(1).into(),
        ..Default::default()
    };
    let bad = [
        (passage("a", ""), "items[0]: has neither a text nor an image"),
        (passage("a", " \n "), "items[1]: has neither a text that says anything"),
        (
            v1::EvidenceItem { image: encoded(&b"GIF89a?"[..]), ..passage("b", "new") },
            "items[2].image: cannot decode",
        ),
        (
            v1::EvidenceItem { image: crate::support::raw(raw), ..passage("b", "new") },
            "items[3].image: is raw pixels, which are not kept",
        ),
        (passage(&"x".repeat(257), "new"), "items[4].id: has 257 bytes, must have 1 to 256"),
        (passage("c", &"x ".repeat(200_000)), "items[5].text: has 400000 bytes, limit 262144"),
        (year("c", Value::Text("2024".to_owned())), "items[6].metadata.year: is text, but holds"),
        (year("c", Value::Number(f64::NAN)), "items[7].metadata.year: is NaN, must be finite"),
        (
            with(passage("c", "new"), "no name", Value::Flag(true)),
            "items[8].metadata.no name: is no name",
        ),
        (
            v1::EvidenceItem { source_uri: "x".repeat(3000), ..passage("c", "new") },
            "items[9].source_uri: has 3000 bytes, limit 2048",
        ),
        (
            v1::EvidenceItem {
                time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
                ..passage("c", "new")
            },
            "items[10].time: is 9223372036854775807 s",
        ),
    ];
    let (items, messages): (Vec<_>, Vec<_>) = bad.into_iter().unzip();
    let items = items.into_iter().chain([passage("good", "new")]).collect();
    let results = server.upsert("faces", items).await;
    assert_eq!(results.len(), messages.len() + 1);
    for (result, message) in results.iter().zip(messages) {
        assert_eq!(result.code, i32::from(Code::InvalidArgument), "{result:?}");
        assert!(result.message.starts_with(message), "{}", result.message);
    }
    assert_eq!(results.last().unwrap().code, 0);
    let statistics = server.statistics("faces").await;
    assert_eq!((statistics.items, statistics.text_chunks, statistics.image_chunks), (3, 3, 0));
    let kept = server.get("faces", &["a", "b", "c"]).await;
    assert_eq!(kept, [year("a", Value::Number(1.0)), passage("b", "old")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_that_are_wrong_as_a_whole_are_refused_by_field() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    server.put("faces", vec![with(passage("a", "b"), "author", Value::Text("Kim".into()))]).await;
    let items = |number| v1::UpsertItemsRequest {
        collection: "faces".to_owned(),
        items: vec![passage("z", "z"); number],
    };
    let status = server.client.upsert_items(items(65)).await.unwrap_err();
    assert_refused(&status, "items", "has 65 items, must have 1 to 64");
    let status = server.client.upsert_items(items(0)).await.unwrap_err();
    assert_refused(&status, "items", "has 0 items");
    let elsewhere = v1::UpsertItemsRequest { collection: "face".to_owned(), ..items(1) };
    let status = server.client.upsert_items(elsewhere).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    assert!(status.message().contains("did you mean 'faces'?"), "{status:?}");
    let delete = v1::DeleteItemsRequest { collection: "faces".to_owned(), ids: texts(&["a", ""]) };
    let status = server.client.delete_items(delete).await.unwrap_err();
    assert_refused(&status, "ids[1]", "has 0 bytes");
    let list = |page_size, page_token: &str| v1::ListItemsRequest {
        collection: "faces".to_owned(),
        page_size,
        page_token: page_token.to_owned(),
        filter: None,
    };
    let status = server.client.list_items(list(Some(257), "")).await.unwrap_err();
    assert_refused(&status, "page_size", "is 257, must be 1 to 256");
    let status = server.client.list_items(list(None, "x")).await.unwrap_err();
    assert_refused(&status, "page_token", "is none that a page gave");
    assert_eq!(server.statistics("faces").await.items, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_one_call_may_hold_is_the_configuration_s_matter() {
    let folder = folder();
    let limits = Limits {
        max_items: 3,
        max_call_items: 2,
        max_page_items: 3,
        max_answer_hits: 4,
        max_answer_image_bytes: 10,
        ..Limits::default()
    };
    let config = StoreConfig { limits, ..place(folder.path()) };
    let mut server = Keeping::on(config, catalog(Options::default()).await).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    for items in [["a", "b"], ["c", "d"], ["e", "f"]] {
        server.put("faces", items.map(|id| passage(id, "a face")).to_vec()).await;
    }
    server.put("faces", vec![picture("g", 1)]).await;
    let collection = "faces".to_owned();

    let request = v1::UpsertItemsRequest {
        collection: collection.clone(),
        items: vec![passage("z", "z"); 3],
    };
    let status = server.client.upsert_items(request).await.unwrap_err();
    assert_refused(&status, "items", "has 3 items, must have 1 to 2");
    let get = |ids: &[&str]| v1::GetItemsRequest {
        collection: "faces".to_owned(),
        ids: texts(ids),
        with_images: true,
    };
    let status = server.client.get_items(get(&["a", "b", "c"])).await.unwrap_err();
    assert_refused(&status, "ids", "has 3 items, must have 1 to 2");
    let status = server.client.get_items(get(&["g"])).await.unwrap_err();
    assert_refused(&status, "ids", "bytes together, limit 10");
    let ids = texts(&["a", "b", "c", "d"]);
    let delete = v1::DeleteItemsRequest { collection: collection.clone(), ids };
    let status = server.client.delete_items(delete).await.unwrap_err();
    assert_refused(&status, "ids", "has 4 items, must have 1 to 3");
    let list = v1::ListItemsRequest { collection, page_size: Some(4), ..Default::default() };
    let status = server.client.list_items(list.clone()).await.unwrap_err();
    assert_refused(&status, "page_size", "is 4, must be 1 to 3");
    let list = v1::ListItemsRequest { page_size: None, ..list };
    let page = server.client.list_items(list).await.unwrap().into_inner();
    assert_eq!((page.items.len(), page.next_page_token.is_empty()), (3, false));
    let search = v1::SearchEvidenceRequest { limit: Some(5), ..by_text("faces", "a face") };
    let status = server.client.search_evidence(search).await.unwrap_err();
    assert_refused(&status, "limit", "is 5, must be 1 to 4");
    assert_eq!(server.search(by_text("faces", "a face")).await.len(), 4);
}

#[tokio::test(flavor = "multi_thread")]
async fn searches_that_are_wrong_are_refused_by_field() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    server.put("faces", vec![with(passage("a", "b"), "author", Value::Text("Kim".into()))]).await;
    let mut failed = async |change: &dyn Fn(&mut v1::SearchEvidenceRequest)| -> Status {
        let mut request = by_text("faces", "teeth");
        change(&mut request);
        server.client.search_evidence(request).await.unwrap_err()
    };
    let filter = |name: &str, condition| {
        let condition = v1::MetadataCondition {
            name: name.to_owned(),
            condition: Some(condition),
            negated: true,
        };
        let conditions = vec![condition];
        Some(v1::EvidenceFilter { conditions, ids: texts(&["a"]), ..Default::default() })
    };
    let status = failed(&|r| r.filter = filter("auhtor", Condition::Present(true))).await;
    assert_refused(&status, "filter.conditions[0]", "did you mean 'author'?; there are: author");
    let range = Condition::Range(v1::NumberRange { min: Some(1.0), max: None });
    let status = failed(&|r| r.filter = filter("author", range.clone())).await;
    assert_refused(&status, "filter.conditions[0]", "has a range, but the field holds text");
    let status = failed(&|r| {
        let values = vec!["x".to_owned(); 65];
        r.filter = filter("author", Condition::AnyOf(v1::TextList { values }));
    })
    .await;
    assert_refused(&status, "filter", "has 66 tests, limit 64");
    let vector = |values: &[f32]| v1::EvidenceQuery {
        embedding: Some(v1::Tensor {
            data_type: v1::DataType::F32.into(),
            shape: vec![values.len() as u32],
            data: values.iter().flat_map(|v| v.to_le_bytes()).collect::<Vec<u8>>().into(),
        }),
        ..Default::default()
    };
    let status = failed(&|r| r.query = Some(vector(&[1.0; 7]))).await;
    assert_refused(&status, "query.embedding", "has 7 values, the collection's embeddings have 24");
    let status = failed(&|r| r.query = Some(vector(&[0.0; 24]))).await;
    assert_refused(&status, "query.embedding", "has no direction");
    let image = encoded(&b"no picture"[..]);
    let picture = v1::EvidenceQuery { image, ..Default::default() };
    let status = failed(&|r| r.query = Some(picture.clone())).await;
    assert_refused(&status, "query.image", "cannot decode");
    let status = failed(&|r| r.query.as_mut().unwrap().text_weight = Some(0.0)).await;
    assert_refused(&status, "query", "says nothing");
    let status = failed(&|r| r.offset = 995).await;
    assert_refused(&status, "limit", "together at most 1000");
    let status = failed(&|r| r.collection = "nowhere".to_owned()).await;
    assert_eq!(status.code(), Code::NotFound);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_collection_of_other_weights_can_be_read_and_not_searched() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    server.put("faces", vec![passage("a", "a face")]).await;
    server.server.stop().await.unwrap();

    let retrained = tempfile::tempdir().unwrap();
    write_clip(&retrained.path().join("clip"), 77);
    let source = veriframe::serving::ModelSource {
        name: "clip".to_owned(),
        path: retrained.path().join("clip"),
    };
    let catalog = tokio::task::spawn_blocking(move || {
        Catalog::start(&[source], &Options::default()).unwrap()
    });
    let mut server = Keeping::with(folder.path(), Arc::new(catalog.await.unwrap())).await;
    let status = server.client.search_evidence(by_text("faces", "x")).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert!(status.message().contains("evidence reembed"), "{status:?}");
    let upsert = v1::UpsertItemsRequest {
        collection: "faces".to_owned(),
        items: vec![passage("a", "changed")],
    };
    let status = server.client.upsert_items(upsert).await.unwrap_err();
    assert_eq!(status.code(), Code::FailedPrecondition);
    assert_eq!(server.get("faces", &["a"]).await, [passage("a", "a face")]);
}
