//! Searches by text, picture, vector and mixes of them; filters, pages and groups.

use prost_types::Timestamp;
use veriframe::proto::v1::metadata_condition::Condition;
use veriframe::scenes::{Cue, FaceSpec, HELD_OUT, draw};
use veriframe::serving::ModelSource;

use super::*;
use crate::support::texts;

const WORDS: [&str; 6] = ["a face", "uneven teeth", "an ear", "얼굴", "a photo", "teeth"];

/// Items `t0`… of the words and `p0`… of pictures, in a collection `faces`.
async fn filled(folder: &Path) -> Keeping {
    let mut server = Keeping::start(folder).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let words = WORDS.iter().enumerate().map(|(at, text)| {
        let item = v1::EvidenceItem {
            source_uri: format!("https://example.org/{}", at % 2),
            time: (at < 4).then_some(Timestamp { seconds: at as i64, nanos: 0 }),
            ..passage(&format!("t{at}"), text)
        };
        let tags = v1::TextList { values: texts(&["all", ["odd", "even"][(at + 1) % 2]]) };
        let item = with(item, "tags", Value::Texts(tags));
        with(item, "number", Value::Number(at as f64))
    });
    let pictures = (0..4).map(|kind| picture(&format!("p{kind}"), kind));
    server.put("faces", words.chain(pictures).collect()).await;
    server
}

fn query(query: v1::EvidenceQuery) -> v1::SearchEvidenceRequest {
    v1::SearchEvidenceRequest { query: Some(query), ..by_text("faces", "") }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_for_is_what_is_found_first() {
    let folder = folder();
    let mut server = filled(folder.path()).await;
    for (at, text) in WORDS.iter().enumerate() {
        let hits = server.search(by_text("faces", text)).await;
        assert_eq!((ids(&hits)[0], hits[0].text.as_str()), (format!("t{at}").as_str(), *text));
        assert!((hits[0].score - 1.0).abs() < 1e-4, "{}", hits[0].score);
        assert_eq!(hits.len(), 10, "one chunk for each of ten items");
        assert!(hits.is_sorted_by(|one, next| one.score >= next.score));
    }
    for kind in 0..4 {
        let image = encoded(png(kind));
        let hits = server.search(query(v1::EvidenceQuery { image, ..Default::default() })).await;
        assert_eq!(ids(&hits)[0], format!("p{kind}"));
        assert!((hits[0].score - 1.0).abs() < 1e-4 && hits[0].text.is_empty(), "{:?}", hits[0]);
        let chunk = hits[0].chunk.as_ref().unwrap();
        assert_eq!(chunk.kind(), v1::ChunkKind::Image);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_vector_and_a_mix_are_compared_as_the_model_would() {
    let folder = folder();
    let mut server = filled(folder.path()).await;
    let mut models = server.server.client().await;
    let embedded = models
        .embed(v1::EmbedRequest {
            image: encoded(png(3)),
            texts: texts(&["an ear"]),
            ..Default::default()
        })
        .await
        .unwrap()
        .into_inner();
    let (text, image) = (embedded.texts[0].embedding.clone(), embedded.image);
    let by = |embedding: Option<v1::Tensor>| {
        query(v1::EvidenceQuery { embedding, ..Default::default() })
    };
    let hits = server.search(by(text.clone())).await;
    assert_eq!(ids(&hits)[0], "t2");
    assert_eq!(hits, server.search(by_text("faces", "an ear")).await);

    let mix = |text_weight, embedding_weight| {
        query(v1::EvidenceQuery {
            text: "an ear".to_owned(),
            text_weight: Some(text_weight),
            embedding: image.clone(),
            embedding_weight: Some(embedding_weight),
            ..Default::default()
        })
    };
    assert_eq!(ids(&server.search(mix(1.0, 0.0)).await)[0], "t2");
    assert_eq!(ids(&server.search(mix(0.0, 1.0)).await)[0], "p3");
    // Equal parts of two unit vectors: the cosine with either is sqrt((1 + cos) / 2).
    let even = server.search(mix(1.0, 1.0)).await;
    let cosine: f32 = crate::support::floats(&text.unwrap())
        .iter()
        .zip(crate::support::floats(&image.clone().unwrap()))
        .map(|(one, other)| one * other)
        .sum();
    let expected = f32::midpoint(1.0, cosine).sqrt();
    let of = |id: &str| even.iter().find(|hit| hit.item.as_ref().unwrap().id == id).unwrap().score;
    assert!((of("t2") - expected).abs() < 1e-3, "{} {expected}", of("t2"));
    assert!((of("p3") - expected).abs() < 1e-3, "{} {expected}", of("p3"));
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_kinds_scores_and_pages_choose() {
    let folder = folder();
    let mut server = filled(folder.path()).await;
    let mut check = async |filter: v1::EvidenceFilter, expected: &[&str]| {
        let request =
            v1::SearchEvidenceRequest { filter: Some(filter.clone()), ..by_text("faces", "teeth") };
        let hits = server.search(request).await;
        let mut found = ids(&hits);
        found.sort_unstable();
        assert_eq!(found, expected, "{filter:?}");
    };
    let condition = |name: &str, condition, negated| v1::EvidenceFilter {
        conditions: vec![v1::MetadataCondition {
            name: name.to_owned(),
            condition: Some(condition),
            negated,
        }],
        ..Default::default()
    };
    let any = |values: &[&str]| Condition::AnyOf(v1::TextList { values: texts(values) });
    let range = |min, max| Condition::Range(v1::NumberRange { min, max });
    check(condition("tags", any(&["odd"]), false), &["t1", "t3", "t5"]).await;
    check(condition("tags", any(&["odd"]), true), &["p0", "p1", "p2", "p3", "t0", "t2", "t4"])
        .await;
    check(condition("number", range(Some(2.0), Some(3.0)), false), &["t2", "t3"]).await;
    check(condition("number", Condition::Present(false), false), &["p0", "p1", "p2", "p3"]).await;
    let time = |seconds| Some(Timestamp { seconds, nanos: 0 });
    let times = v1::EvidenceFilter { not_before: time(1), before: time(3), ..Default::default() };
    check(times, &["t1", "t2"]).await;
    let source_uris = texts(&["https://example.org/0"]);
    check(v1::EvidenceFilter { source_uris, ..Default::default() }, &["t0", "t2", "t4"]).await;
    let listed = v1::EvidenceFilter { ids: texts(&["p1", "t1", "x"]), ..Default::default() };
    check(listed, &["p1", "t1"]).await;

    let kinds = vec![v1::ChunkKind::Image.into()];
    let pictures = v1::SearchEvidenceRequest { kinds, ..by_text("faces", "teeth") };
    let hits = server.search(pictures.clone()).await;
    assert!(ids(&hits).iter().all(|id| id.starts_with('p')) && hits.len() == 4, "{hits:?}");
    let mut paged = Vec::new();
    for offset in 0..5 {
        let request = v1::SearchEvidenceRequest { limit: Some(1), offset, ..pictures.clone() };
        paged.extend(server.search(request).await);
    }
    assert_eq!(paged, hits);
    let min_score = Some(hits[1].score);
    let hits = server.search(v1::SearchEvidenceRequest { min_score, ..pictures }).await;
    assert_eq!(hits.len(), 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_long_text_is_found_by_its_passages_each_with_its_bytes() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let filler = "a photo of a face. ".repeat(60);
    let text = format!("{filler}눈 uneven teeth. {filler}");
    let results = server.put("faces", vec![passage("long", &text), passage("short", "ear")]).await;
    let chunks = &results[0].chunks;
    assert!(chunks.len() > 3, "{chunks:?}");
    let request = |group_by_item| v1::SearchEvidenceRequest {
        group_by_item: Some(group_by_item),
        limit: Some(100),
        exact: true,
        ..by_text("faces", "uneven teeth")
    };
    let hits = server.search(request(false)).await;
    assert_eq!(hits.len(), chunks.len() + 1);
    for hit in hits.iter().filter(|hit| hit.item.as_ref().unwrap().id == "long") {
        let chunk = hit.chunk.as_ref().unwrap();
        let part = &text[chunk.start_byte as usize..chunk.end_byte as usize];
        assert_eq!(part, hit.text);
        assert!(chunks.contains(chunk), "{chunk:?}");
    }
    let holds = hits.iter().filter(|hit| hit.text.contains("눈 uneven teeth.")).count();
    assert!(holds >= 1, "the sentence stands whole in a passage");
    let hits = server.search(request(true)).await;
    let mut found = ids(&hits);
    found.sort_unstable();
    assert_eq!(found, ["long", "short"]);
}

/// The demo model knows what it was trained on: faces are found by what they show.
#[tokio::test(flavor = "multi_thread")]
async fn faces_are_found_by_what_they_show() {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/clip");
    let source = ModelSource { name: "clip".to_owned(), path: demo };
    let catalog = tokio::task::spawn_blocking(move || {
        Catalog::start(&[source], &Options::default()).unwrap()
    });
    let folder = folder();
    let mut server = Keeping::with(folder.path(), Arc::new(catalog.await.unwrap())).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let items = (0..12_u64).map(|number| {
        let uneven = number % 2 == 0;
        let spec = FaceSpec::sample(HELD_OUT + number).with_cue(Cue::UnevenTeeth, uneven);
        let scene = draw(&spec, 224);
        let (width, height) = (scene.image.width(), scene.image.height());
        let pixels = scene.image.pixels().to_vec();
        let mut bytes = std::io::Cursor::new(Vec::new());
        let buffer = image::RgbImage::from_raw(width, height, pixels).unwrap();
        buffer.write_to(&mut bytes, image::ImageFormat::Png).unwrap();
        let id = format!("{}-{number}", if uneven { "uneven" } else { "even" });
        v1::EvidenceItem { id, image: encoded(bytes.into_inner()), ..Default::default() }
    });
    server.put("faces", items.collect()).await;
    for text in ["uneven teeth", "들쭉날쭉한 치아"] {
        let request = v1::SearchEvidenceRequest { limit: Some(6), ..by_text("faces", text) };
        let hits = server.search(request).await;
        let right = ids(&hits).iter().filter(|id| id.starts_with("uneven")).count();
        assert!(right >= 5, "{text}: {:?}", ids(&hits));
    }
}
