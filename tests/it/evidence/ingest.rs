//! The stream: in order, bounded, each item by itself; and what ends it.

use futures::StreamExt;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Streaming};
use v1::ingest_items_request::Message;

use super::*;

fn named(collection: &str) -> v1::IngestItemsRequest {
    v1::IngestItemsRequest { message: Some(Message::Collection(collection.to_owned())) }
}

fn item(item: v1::EvidenceItem) -> v1::IngestItemsRequest {
    v1::IngestItemsRequest { message: Some(Message::Item(item)) }
}

impl Keeping {
    /// Sends all of these, and then no more.
    async fn ingest(
        &mut self,
        requests: Vec<v1::IngestItemsRequest>,
    ) -> Result<Streaming<v1::IngestItemsResponse>, tonic::Status> {
        let requests = futures::stream::iter(requests);
        self.client.ingest_items(requests).await.map(tonic::Response::into_inner)
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_item_is_answered_in_order_and_the_bad_ones_by_themselves() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let items = (0..60_u32).map(|number| match number % 10 {
        3 => v1::EvidenceItem {
            image: encoded(&b"no picture"[..]),
            ..passage(&format!("{number}"), "x")
        },
        // A picture takes longer than a word, and must not be overtaken.
        5 => picture(&format!("{number}"), number),
        7 => passage("again", &format!("version {number}")),
        _ => passage(&format!("{number}"), &format!("face {number}")),
    });
    let requests: Vec<_> = [named("faces")].into_iter().chain(items.map(item)).collect();
    let mut responses = server.ingest(requests).await.unwrap();
    let mut number = 0;
    while let Some(response) = responses.next().await {
        let response = response.unwrap();
        let result = response.result.unwrap();
        let expected = if number % 10 == 7 { "again".to_owned() } else { number.to_string() };
        assert_eq!(result.id, expected);
        if number % 10 == 3 {
            assert_eq!(result.code, i32::from(Code::InvalidArgument));
            assert!(result.message.starts_with("item.image: cannot decode"), "{result:?}");
            assert!(result.chunks.is_empty());
        } else {
            assert_eq!(result.code, 0, "{result:?}");
            assert!(!result.chunks.is_empty());
        }
        number += 1;
        assert_eq!(response.stored + response.failed, number);
    }
    assert_eq!(number, 60);
    assert_eq!(server.statistics("faces").await.items, 49);
    assert_eq!(server.get("faces", &["again"]).await[0].text, "version 57", "the last one counts");
    assert!(server.get("faces", &["3"]).await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_client_may_wait_for_each_answer() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let (sender, requests) = mpsc::channel(1);
    sender.send(named("faces")).await.unwrap();
    let requests = ReceiverStream::new(requests);
    let mut responses = server.client.ingest_items(requests).await.unwrap().into_inner();
    for number in 0..5 {
        sender.send(item(passage(&number.to_string(), "a face"))).await.unwrap();
        let response = responses.next().await.unwrap().unwrap();
        assert_eq!((response.stored, response.failed), (number + 1, 0));
    }
    drop(sender);
    assert!(responses.next().await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_that_is_wrong_ends_with_its_reason_and_keeps_what_it_answered() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    for (requests, code, part) in [
        (vec![], Code::InvalidArgument, "the first message must name the collection"),
        (
            vec![item(passage("a", "b"))],
            Code::InvalidArgument,
            "the first message must name the collection",
        ),
        (vec![named("fcaes")], Code::NotFound, "did you mean 'faces'?"),
    ] {
        let status = server.ingest(requests).await.err().unwrap();
        assert_eq!(status.code(), code);
        assert!(status.message().contains(part), "{status:?}");
    }
    let requests = vec![named("faces"), item(passage("a", "b")), named("faces")];
    let mut responses = server.ingest(requests).await.unwrap();
    let first = responses.next().await.unwrap().unwrap();
    assert_eq!(first.result.unwrap().id, "a");
    let status = responses.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::InvalidArgument);
    assert!(status.message().contains("must be an item"), "{status:?}");
    assert_eq!(server.statistics("faces").await.items, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_drain_ends_the_stream_with_every_item_answered() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let (sender, requests) = mpsc::channel(1);
    sender.send(named("faces")).await.unwrap();
    let requests = ReceiverStream::new(requests);
    let mut responses = server.client.ingest_items(requests).await.unwrap().into_inner();
    sender.send(item(passage("a", "a face"))).await.unwrap();
    let first = responses.next().await.unwrap().unwrap();
    assert_eq!(first.stored, 1);
    let stopping = tokio::spawn(server.server.stop());
    let status = responses.next().await.unwrap().unwrap_err();
    assert_eq!(status.code(), Code::Unavailable);
    drop((sender, responses));
    stopping.await.unwrap().unwrap();
    let mut server = Keeping::start(folder.path()).await;
    assert_eq!(server.get("faces", &["a"]).await.len(), 1);
}
