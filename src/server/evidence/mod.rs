//! The evidence service. Each handler is five verbs: check, convert, ask, convert back, answer.

mod answer;
pub(super) mod fuzz;
mod ingest;
mod items;
mod measure;
pub(super) mod query;

use std::time::Instant;

use tonic::{Request, Response, Status, Streaming};

use super::answer::Answering;
use super::convert::named;
use super::deadline::{CallTerms, within};
use super::notes::Notes;
use super::respond;
use super::status::retrieval_failed;
use super::stream::Streams;
use crate::evidence::{self, Image, Limits, List};
use crate::proto::v1;
use crate::proto::v1::evidence_service_server::EvidenceService;
use crate::retrieval::{Library, RetrievalError};
use crate::serving::{ServingError, Terms};
use crate::verification::Timing;

pub(super) use measure::{close, measured};

/// Items of a page where the request does not say, unless the limit is lower.
const PAGE: usize = 64;

type Answer<T> = Result<T, RetrievalError>;

/// `veriframe.v1.EvidenceService`.
pub(super) struct Evidence {
    library: Option<Library>,
    answering: Answering,
    streams: Streams,
}

impl Evidence {
    pub(super) fn new(library: Option<Library>, answering: Answering, streams: Streams) -> Self {
        Self { library, answering, streams }
    }

    fn library(&self) -> Answer<&Library> {
        self.library.as_ref().ok_or_else(|| evidence::Error::Off.into())
    }

    /// Answers within the deadline.
    async fn answered<T>(
        &self,
        terms: Terms,
        work: impl Future<Output = Answer<T>>,
    ) -> Result<Response<T>, Status> {
        // Work on a cluster is a large future.
        let answer = within(terms.deadline, "the evidence", Box::pin(work)).await;
        answer.map(Response::new).map_err(|error| retrieval_failed(&error))
    }

    async fn create(&self, request: v1::CreateCollectionRequest) -> Answer<v1::Collection> {
        let v1::CreateCollectionRequest { name, model, options } = request;
        let options = items::options(options.unwrap_or_default());
        let created = self.library()?.create(&name, named(model).as_deref(), options).await;
        let created = created.map_err(|error| {
            error.renamed(|field| match field {
                "collection" => "name".to_owned(),
                other => other.to_owned(),
            })
        });
        Ok(answer::collection(created?, evidence::Statistics::default()))
    }

    async fn collection(&self, name: &str) -> Answer<v1::Collection> {
        let library = self.library()?;
        let collection = library.collection(name).await?;
        let statistics = library.store().statistics(name).await?;
        Ok(answer::collection(collection, statistics))
    }

    async fn collections(&self) -> Answer<Vec<v1::Collection>> {
        let store = self.library()?.store();
        let mut collections = Vec::new();
        for collection in store.collections().await? {
            match store.statistics(&collection.name).await {
                Ok(statistics) => collections.push(answer::collection(collection, statistics)),
                // It was deleted meanwhile.
                Err(evidence::Error::UnknownCollection { .. }) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(collections)
    }

    async fn upsert(
        &self,
        request: v1::UpsertItemsRequest,
        terms: Terms,
    ) -> Answer<v1::UpsertItemsResponse> {
        let arrived = Instant::now();
        let v1::UpsertItemsRequest { collection, items } = request;
        let library = self.library()?;
        counted("items", items.len(), most_items(library.store().limits()))?;
        let brought = items.into_iter().map(items::brought).collect();
        let outcomes = library.put(&collection, brought, terms).await?;
        let result = |(at, outcome)| answer::outcome(outcome, &format!("items[{at}]"));
        let results = outcomes.into_iter().enumerate().map(result).collect();
        Ok(v1::UpsertItemsResponse { results, timing: Some(taken(arrived)) })
    }

    async fn items(&self, request: v1::GetItemsRequest) -> Answer<Vec<v1::EvidenceItem>> {
        let v1::GetItemsRequest { collection, ids, with_images } = request;
        let store = self.library()?.store();
        counted("ids", ids.len(), most_items(store.limits()))?;
        let found: Vec<_> = store.get(&collection, ids).await?.into_iter().flatten().collect();
        let bytes: u64 = found.iter().map(picture_bytes).sum();
        let most = store.limits().max_answer_image_bytes;
        if with_images && bytes > most {
            let reason =
                format!("name pictures of {bytes} bytes together, limit {most}; ask for fewer");
            return Err(ServingError::invalid("ids", reason).into());
        }
        let mut items = Vec::with_capacity(found.len());
        for item in found {
            let picture = if with_images && picture_bytes(&item) > 0 {
                store.picture(&collection, &item.id).await?
            } else {
                None
            };
            items.push(answer::item(&item, picture));
        }
        Ok(items)
    }

    async fn page(&self, request: v1::ListItemsRequest) -> Answer<v1::ListItemsResponse> {
        let v1::ListItemsRequest { collection, filter, page_size, page_token } = request;
        let store = self.library()?.store();
        let most = store.limits().max_page_items.min(store.limits().max_hits);
        let limit = page_size.map_or(PAGE.min(most), |size| size as usize);
        if !(1..=most).contains(&limit) {
            let reason = format!("is {limit}, must be 1 to {most}");
            return Err(ServingError::invalid("page_size", reason).into());
        }
        let (filter, paths) = query::filter(filter)?;
        let cursor = (!page_token.is_empty()).then_some(page_token);
        let page = store.list(&collection, List { filter, limit, cursor }).await;
        let page = page.map_err(|error| {
            RetrievalError::from(error).renamed(|field| match field {
                "limit" => "page_size".to_owned(),
                "cursor" => "page_token".to_owned(),
                other => query::path(other, &paths),
            })
        })?;
        Ok(v1::ListItemsResponse {
            items: page.items.iter().map(|item| answer::item(item, None)).collect(),
            next_page_token: page.next.unwrap_or_default(),
        })
    }

    async fn delete(&self, request: v1::DeleteItemsRequest) -> Answer<v1::DeleteItemsResponse> {
        let v1::DeleteItemsRequest { collection, ids } = request;
        let store = self.library()?.store();
        counted("ids", ids.len(), store.limits().max_items)?;
        let deleted = store.delete(&collection, ids).await? as u64;
        Ok(v1::DeleteItemsResponse { deleted })
    }

    async fn search(
        &self,
        request: v1::SearchEvidenceRequest,
        terms: Terms,
    ) -> Answer<v1::SearchEvidenceResponse> {
        let arrived = Instant::now();
        let library = self.library()?;
        let limits = &self.answering.config.request_limits;
        let asked = query::search(request, limits, library.store().limits())?;
        let results = library.search(&asked.collection, asked.query, &asked.wanted, terms).await;
        let results = results.map_err(|error| {
            error.renamed(|field| match field {
                "vector" => "query.embedding".to_owned(),
                other => query::path(other, &asked.paths),
            })
        })?;
        Ok(v1::SearchEvidenceResponse {
            hits: results.found.into_iter().map(answer::hit).collect(),
            model: Some(respond::identity(&results.model)),
            truncated: results.truncated,
            timing: Some(taken(arrived)),
        })
    }
}

#[tonic::async_trait]
impl EvidenceService for Evidence {
    async fn create_collection(
        &self,
        request: Request<v1::CreateCollectionRequest>,
    ) -> Result<Response<v1::CreateCollectionResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work = async {
            let collection = Some(self.create(request.into_inner()).await?);
            Ok(v1::CreateCollectionResponse { collection })
        };
        self.answered(terms, work).await
    }

    async fn delete_collection(
        &self,
        request: Request<v1::DeleteCollectionRequest>,
    ) -> Result<Response<v1::DeleteCollectionResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work = async {
            self.library()?.store().delete_collection(&request.get_ref().name).await?;
            Ok(v1::DeleteCollectionResponse {})
        };
        self.answered(terms, work).await
    }

    async fn get_collection(
        &self,
        request: Request<v1::GetCollectionRequest>,
    ) -> Result<Response<v1::GetCollectionResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work = async {
            let collection = Some(self.collection(&request.get_ref().name).await?);
            Ok(v1::GetCollectionResponse { collection })
        };
        self.answered(terms, work).await
    }

    async fn list_collections(
        &self,
        request: Request<v1::ListCollectionsRequest>,
    ) -> Result<Response<v1::ListCollectionsResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work =
            async { Ok(v1::ListCollectionsResponse { collections: self.collections().await? }) };
        self.answered(terms, work).await
    }

    async fn upsert_items(
        &self,
        request: Request<v1::UpsertItemsRequest>,
    ) -> Result<Response<v1::UpsertItemsResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        self.answered(terms, Box::pin(self.upsert(request.into_inner(), terms))).await
    }

    type IngestItemsStream = ingest::Responses;

    async fn ingest_items(
        &self,
        request: Request<Streaming<v1::IngestItemsRequest>>,
    ) -> Result<Response<Self::IngestItemsStream>, Status> {
        let asked = ingest::Asked {
            library: self.library().map_err(|error| retrieval_failed(&error))?.clone(),
            terms: CallTerms::in_request(&request),
            notes: Notes::in_request(&request),
            limits: self.answering.config.streams,
            draining: self.answering.draining.clone(),
        };
        ingest::answer(asked, &self.streams, request.into_inner()).await.map(Response::new)
    }

    async fn get_items(
        &self,
        request: Request<v1::GetItemsRequest>,
    ) -> Result<Response<v1::GetItemsResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work =
            async { Ok(v1::GetItemsResponse { items: self.items(request.into_inner()).await? }) };
        self.answered(terms, work).await
    }

    async fn list_items(
        &self,
        request: Request<v1::ListItemsRequest>,
    ) -> Result<Response<v1::ListItemsResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        self.answered(terms, self.page(request.into_inner())).await
    }

    async fn delete_items(
        &self,
        request: Request<v1::DeleteItemsRequest>,
    ) -> Result<Response<v1::DeleteItemsResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        self.answered(terms, self.delete(request.into_inner())).await
    }

    async fn search_evidence(
        &self,
        request: Request<v1::SearchEvidenceRequest>,
    ) -> Result<Response<v1::SearchEvidenceResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        self.answered(terms, Box::pin(self.search(request.into_inner(), terms))).await
    }
}

/// Items of one call, in or out.
fn most_items(limits: &Limits) -> usize {
    limits.max_call_items.min(limits.max_items)
}

/// Refuses a list that is empty or too long.
fn counted(field: &str, found: usize, most: usize) -> Result<(), ServingError> {
    if (1..=most).contains(&found) {
        return Ok(());
    }
    Err(ServingError::invalid(field, format!("has {found} items, must have 1 to {most}")))
}

/// Bytes of an item's picture in the store.
fn picture_bytes(item: &evidence::Item) -> u64 {
    match item.image {
        Some(Image::Kept { bytes }) => bytes,
        Some(Image::Bytes(_) | Image::Uri(_)) | None => 0,
    }
}

fn taken(arrived: Instant) -> v1::Timing {
    respond::timing(&Timing { total: arrived.elapsed(), ..Timing::default() })
}
