//! Evidence over the wire: what goes in comes out, is found, survives a restart, and what is refused
//! leaves nothing behind.

mod answers;
mod command;
mod ingest;
mod kept;
mod refused;
mod search;

use std::path::Path;
use std::sync::Arc;

use tempfile::TempDir;
use tonic::Code;
use tonic::transport::Channel;
use veriframe::evidence::{Config as StoreConfig, Store};
use veriframe::proto::v1;
use veriframe::proto::v1::evidence_service_client::EvidenceServiceClient;
use veriframe::proto::v1::metadata_value::Value;
use veriframe::retrieval::Library;
use veriframe::server::{Config, Offer};
use veriframe::serving::{Catalog, Options};

use crate::evidence_store::{is_embedded, place};
use crate::support::{TestServer, catalog, encoded, png};

type Client = EvidenceServiceClient<Channel>;

/// A server with a store of evidence in a folder.
struct Keeping {
    server: TestServer,
    client: Client,
}

impl Keeping {
    /// With the tiny models.
    async fn start(folder: &Path) -> Self {
        Self::with(folder, catalog(Options::default()).await).await
    }

    async fn with(folder: &Path, catalog: Arc<Catalog>) -> Self {
        Self::on(place(folder), catalog).await
    }

    async fn on(config: StoreConfig, catalog: Arc<Catalog>) -> Self {
        let store = Arc::new(Store::open(&config).await.unwrap());
        let server_config = Config::default();
        let library = Library::new(store, Arc::clone(&catalog), server_config.image_limits);
        let offer = Offer { library: Some(library), ..Offer::from(catalog) };
        let server = TestServer::serving(server_config, offer).await;
        let client = EvidenceServiceClient::new(server.channel().await);
        Self { server, client }
    }

    /// Makes a collection with these options; a shared cluster may have one of an earlier test.
    async fn create(&mut self, name: &str, options: v1::CollectionOptions) -> v1::Collection {
        let earlier = v1::DeleteCollectionRequest { name: name.to_owned() };
        if let Err(status) = self.client.delete_collection(earlier).await {
            assert_eq!(status.code(), Code::NotFound, "{status}");
        }
        let request = v1::CreateCollectionRequest {
            name: name.to_owned(),
            model: None,
            options: Some(options),
        };
        let created = self.client.create_collection(request).await.unwrap().into_inner();
        created.collection.unwrap()
    }

    /// Puts items in, all of which must be good.
    async fn put(&mut self, collection: &str, items: Vec<v1::EvidenceItem>) -> Vec<v1::ItemResult> {
        let results = self.upsert(collection, items).await;
        for result in &results {
            assert_eq!((result.code, result.message.as_str()), (0, ""), "{result:?}");
        }
        results
    }

    async fn upsert(
        &mut self,
        collection: &str,
        items: Vec<v1::EvidenceItem>,
    ) -> Vec<v1::ItemResult> {
        let request = v1::UpsertItemsRequest { collection: collection.to_owned(), items };
        self.client.upsert_items(request).await.unwrap().into_inner().results
    }

    async fn statistics(&mut self, collection: &str) -> v1::CollectionStatistics {
        let request = v1::GetCollectionRequest { name: collection.to_owned() };
        let found = self.client.get_collection(request).await.unwrap().into_inner();
        found.collection.unwrap().statistics.unwrap()
    }

    async fn search(&mut self, request: v1::SearchEvidenceRequest) -> Vec<v1::EvidenceHit> {
        self.client.search_evidence(request).await.unwrap().into_inner().hits
    }

    async fn get(&mut self, collection: &str, ids: &[&str]) -> Vec<v1::EvidenceItem> {
        let request = v1::GetItemsRequest {
            collection: collection.to_owned(),
            ids: ids.iter().map(|&id| id.to_owned()).collect(),
            with_images: true,
        };
        self.client.get_items(request).await.unwrap().into_inner().items
    }
}

/// A folder for a store.
fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn passage(id: &str, text: &str) -> v1::EvidenceItem {
    v1::EvidenceItem { id: id.to_owned(), text: text.to_owned(), ..Default::default() }
}

/// An item that is one of the test's pictures.
fn picture(id: &str, kind: u32) -> v1::EvidenceItem {
    v1::EvidenceItem { id: id.to_owned(), image: encoded(png(kind)), ..Default::default() }
}

fn with(mut item: v1::EvidenceItem, name: &str, value: Value) -> v1::EvidenceItem {
    item.metadata.insert(name.to_owned(), v1::MetadataValue { value: Some(value) });
    item
}

/// A search by a text for every chunk that it finds.
fn by_text(collection: &str, text: &str) -> v1::SearchEvidenceRequest {
    v1::SearchEvidenceRequest {
        collection: collection.to_owned(),
        query: Some(v1::EvidenceQuery { text: text.to_owned(), ..Default::default() }),
        ..Default::default()
    }
}

fn ids(hits: &[v1::EvidenceHit]) -> Vec<&str> {
    hits.iter().map(|hit| hit.item.as_ref().unwrap().id.as_str()).collect()
}
