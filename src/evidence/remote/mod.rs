//! A store in a Qdrant cluster, through its gRPC interface.
//!
//! Each collection is one of Qdrant's; a point of the role `about` in it says whose embeddings it
//! holds, so collections of others are left alone. A write puts an item's new points, then its
//! record, then removes points of its other generations, each acknowledged by the cluster: a reader
//! between them sees the old item or the new one, whole (`points` says how).

mod convert;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::time::Duration;

use qdrant_client::qdrant::{
    CountPointsBuilder, CreateCollectionBuilder, CreateFieldIndexCollectionBuilder,
    DeletePointsBuilder, Distance, FieldType as Indexed, Filter, GetPointsBuilder,
    HnswConfigDiffBuilder, PointId, PointStruct, QuantizationSearchParamsBuilder,
    QueryPointsBuilder, ScalarQuantizationBuilder, ScrollPointsBuilder, SearchParamsBuilder,
    SetPayloadPointsBuilder, UpsertPointsBuilder, VectorParamsBuilder, VectorsConfigBuilder,
};
use qdrant_client::{Qdrant, QdrantError};
use serde_json::{Map, Value as Json, json};
use tonic::Code;
use uuid::Uuid;

use self::convert::{condition, one_of, payload, point, point_id};
use super::check;
use super::config::{Config, Limits};
use super::error::{Error, nearest};
use super::filter::Clause;
use super::graph::{BUILD_CANDIDATES, NEIGHBOURS, SEARCH_CANDIDATES};
use super::points::{self, Found, Record, VECTOR};
use super::types::{Collection, Embedded, FieldType, Quantisation, Statistics, Written};

const TIMEOUT: Duration = Duration::from_secs(30);
/// Points of one request; pictures' points go alone, for each may be as large as a request.
const POINTS: usize = 256;
const ABOUT: &str = "about";

/// A connection to a cluster; requests share it.
pub(super) struct Cluster {
    client: Qdrant,
    address: String,
    limits: Limits,
}

/// A search that has been checked.
pub(super) struct Query {
    pub(super) vector: Vec<f32>,
    pub(super) clause: Option<Clause>,
    pub(super) limit: usize,
    pub(super) exact: bool,
}

impl Cluster {
    /// Connects, and asks for the collections: a key that does not open them is refused here.
    pub(super) async fn connect(address: &str, config: &Config) -> Result<Self, Error> {
        let failed = |error: QdrantError| Error::Cluster {
            address: address.to_owned(),
            reason: error.to_string(),
        };
        let key = match &config.key_file {
            Some(path) => Some(fs::read_to_string(path).map_err(|e| Error::disk(path, e))?),
            None => None,
        };
        let client = Qdrant::from_url(address)
            .api_key(key.as_deref().map(str::trim))
            .timeout(TIMEOUT)
            .connect_timeout(TIMEOUT)
            .skip_compatibility_check()
            .build()
            .map_err(failed)?;
        client.list_collections().await.map_err(failed)?;
        Ok(Self { client, address: address.to_owned(), limits: config.limits })
    }

    pub(super) async fn create(&self, about: Collection) -> Result<Collection, Error> {
        let name = about.name.as_str();
        let exists =
            self.client.collection_exists(name).await.map_err(|e| self.failed(name, &e))?;
        if exists {
            return Err(Error::CollectionExists(about.name));
        }
        let count = self.collections().await?.len() + 1;
        Error::at_most("collection", "collections", count, self.limits.max_collections)?;
        let quantised = about.options.quantisation == Quantisation::Scalar;
        let vector = VectorParamsBuilder::new(about.model.dimension as u64, Distance::Cosine)
            .on_disk(quantised);
        let mut vectors = VectorsConfigBuilder::default();
        vectors.add_named_vector_params(VECTOR, vector);
        let graph = HnswConfigDiffBuilder::default()
            .m(NEIGHBOURS as u64)
            .ef_construct(BUILD_CANDIDATES as u64);
        let mut create = CreateCollectionBuilder::new(name)
            .vectors_config(vectors)
            .hnsw_config(graph)
            .on_disk_payload(true);
        if quantised {
            let scalar = ScalarQuantizationBuilder::default().quantile(0.99).always_ram(true);
            create = create.quantization_config(scalar);
        }
        self.client.create_collection(create).await.map_err(|e| self.failed(name, &e))?;
        for (key, text) in points::INDEXED {
            let kind = if text { FieldType::Text } else { FieldType::Number };
            self.index(name, key, kind).await?;
        }
        let body = json!({ "role": ABOUT, "about": about, "fields": about.fields });
        let about_point =
            PointStruct::new(about_id(), HashMap::<String, Vec<f32>>::new(), object(body));
        self.put(name, vec![about_point]).await?;
        Ok(about)
    }

    /// Those of this program, by name.
    pub(super) async fn collections(&self) -> Result<Vec<Collection>, Error> {
        let all = self.client.list_collections().await.map_err(|e| self.failed("", &e))?;
        let mut found = Vec::new();
        for description in all.collections {
            match self.about(&description.name).await {
                Ok(Some(about)) => found.push(about),
                // Another's collection, or one that went meanwhile.
                Ok(None) | Err(Error::UnknownCollection { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        found.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(found)
    }

    pub(super) async fn collection(&self, name: &str) -> Result<Collection, Error> {
        check::name(name)?;
        match self.about(name).await {
            Ok(Some(about)) => Ok(about),
            Ok(None) | Err(Error::UnknownCollection { .. }) => {
                let all = self.collections().await?;
                let nearest = nearest(name, all.iter().map(|about| about.name.as_str()));
                Err(Error::UnknownCollection { name: name.to_owned(), nearest })
            }
            Err(error) => Err(error),
        }
    }

    pub(super) async fn delete_collection(&self, name: &str) -> Result<(), Error> {
        self.collection(name).await?;
        self.client.delete_collection(name).await.map_err(|e| self.failed(name, &e))?;
        Ok(())
    }

    pub(super) async fn upsert(
        &self,
        about: &Collection,
        items: Vec<Embedded>,
    ) -> Result<Vec<Result<Written, Error>>, Error> {
        let name = about.name.as_str();
        let ids: Vec<String> = items.iter().map(|item| item.item.id.clone()).collect();
        let mut present = self.present(name, &ids).await?;
        let mut fields = about.fields.clone();
        let (mut written, mut current) = (Vec::with_capacity(items.len()), HashMap::new());
        let (mut parts, mut records) = (Vec::new(), Vec::new());
        for embedded in items {
            match check::fields(&fields, &embedded.item, &self.limits) {
                Ok(more) => fields = more.unwrap_or(fields),
                Err(error) => {
                    written.push(Err(error));
                    continue;
                }
            }
            let item = embedded.item.id.clone();
            let generation = Uuid::from_u128(rand::random()).simple().to_string();
            let mut encoded = points::encode(embedded, &generation);
            records.extend(encoded.pop());
            parts.extend(encoded);
            current.insert(item.clone(), generation);
            let new = present.insert(item);
            written.push(Ok(if new { Written::Created } else { Written::Replaced }));
        }
        self.add_fields(name, &about.fields, &fields).await?;
        for batch in convert::batches(parts, POINTS) {
            self.put(name, batch.into_iter().map(point).collect()).await?;
        }
        for batch in convert::batches(records, POINTS) {
            self.put(name, batch.into_iter().map(point).collect()).await?;
        }
        let (items, generations): (Vec<String>, Vec<String>) = current.into_iter().unzip();
        self.remove(
            name,
            Filter {
                must: vec![one_of("item", items)],
                must_not: vec![one_of("generation", generations)],
                ..Filter::default()
            },
        )
        .await?;
        Ok(written)
    }

    pub(super) async fn delete(&self, name: &str, ids: Vec<String>) -> Result<usize, Error> {
        self.collection(name).await?;
        let present = self.present(name, &ids).await?;
        self.remove(name, Filter::must([one_of("item", ids)])).await?;
        Ok(present.len())
    }

    pub(super) async fn records(&self, name: &str, ids: &[&str]) -> Result<Vec<Record>, Error> {
        let ids = ids.iter().map(|id| point_id(points::record_id(id))).collect();
        let found = self.retrieve(name, ids).await?;
        found.into_iter().map(|(_, found)| self.read(points::record(found))).collect()
    }

    pub(super) async fn picture(
        &self,
        name: &str,
        item: &str,
        generation: &str,
    ) -> Result<Vec<u8>, Error> {
        let id = point_id(points::picture_id(item, generation));
        let found = self.retrieve(name, vec![id]).await?.pop();
        self.read(points::picture(found.map(|(_, found)| found).unwrap_or_default()))
    }

    pub(super) async fn page(
        &self,
        name: &str,
        clause: Option<&Clause>,
        limit: usize,
        cursor: Option<Uuid>,
    ) -> Result<(Vec<Record>, Option<Uuid>), Error> {
        let mut must = vec![one_of("role", vec![points::RECORD.to_owned()])];
        must.extend(clause.map(condition));
        let mut request = ScrollPointsBuilder::new(name)
            .filter(Filter::must(must))
            .limit(limit as u32)
            .with_payload(true);
        if let Some(cursor) = cursor {
            request = request.offset(point_id(cursor));
        }
        let page = self.client.scroll(request).await.map_err(|e| self.failed(name, &e))?;
        let records = page.result.into_iter();
        let records = records.map(|found| self.read(points::record(payload(found.payload))));
        let next = page.next_page_offset.as_ref().and_then(convert::uuid);
        Ok((records.collect::<Result<_, _>>()?, next))
    }

    pub(super) async fn search(
        &self,
        name: &str,
        query: Query,
    ) -> Result<Vec<(Found, f32)>, Error> {
        let quantised = QuantizationSearchParamsBuilder::default()
            .ignore(query.exact)
            .rescore(true)
            .oversampling(2.0);
        let params = SearchParamsBuilder::default()
            .hnsw_ef(SEARCH_CANDIDATES.max(query.limit) as u64)
            .exact(query.exact)
            .quantization(quantised);
        let mut request = QueryPointsBuilder::new(name)
            .query(query.vector)
            .using(VECTOR)
            .params(params)
            .limit(query.limit as u64)
            .with_payload(convert::keys(&["item", "generation", "place"]));
        if let Some(clause) = &query.clause {
            request = request.filter(Filter::must([condition(clause)]));
        }
        let found = self.client.query(request).await.map_err(|e| self.failed(name, &e))?;
        let found = found.result.into_iter();
        found.map(|hit| Ok((self.read(points::found(payload(hit.payload)))?, hit.score))).collect()
    }

    pub(super) async fn statistics(&self, name: &str) -> Result<Statistics, Error> {
        self.collection(name).await?;
        let info = self.client.collection_info(name).await.map_err(|e| self.failed(name, &e))?;
        let indexed = info.result.and_then(|info| info.indexed_vectors_count).unwrap_or_default();
        let texts = self.count(name, points::CHUNK, Some("text")).await?;
        let images = self.count(name, points::CHUNK, Some("image")).await?;
        let regions = self.count(name, points::CHUNK, Some("region")).await?;
        let chunks = texts + images + regions;
        let items = self.count(name, points::RECORD, None).await?;
        let indexed = indexed.min(chunks);
        Ok(Statistics { items, chunks, texts, images, regions, indexed, disk_bytes: 0 })
    }

    /// What a Qdrant collection says of itself; none where it is not this program's.
    async fn about(&self, name: &str) -> Result<Option<Collection>, Error> {
        let Some((_, mut found)) = self.retrieve(name, vec![about_id()]).await?.pop() else {
            return Ok(None);
        };
        let fields = found.remove("fields").unwrap_or_else(|| json!({}));
        let about = found.remove("about").unwrap_or_default();
        let read = serde_json::from_value::<Collection>(about).and_then(|mut about| {
            about.fields = serde_json::from_value::<BTreeMap<String, FieldType>>(fields)?;
            Ok(about)
        });
        read.map(Some).map_err(|error| self.broken(error.to_string()))
    }

    /// Adds what is new key by key: another server may be adding other fields.
    async fn add_fields(
        &self,
        name: &str,
        known: &BTreeMap<String, FieldType>,
        fields: &BTreeMap<String, FieldType>,
    ) -> Result<(), Error> {
        for (field, field_type) in fields {
            if known.contains_key(field) {
                continue;
            }
            self.index(name, &format!("metadata.{field}"), *field_type).await?;
            let added = payload_of(json!({ field: field_type }));
            let request = SetPayloadPointsBuilder::new(name, added)
                .points_selector(vec![about_id()])
                .key("fields")
                .wait(true);
            self.client.set_payload(request).await.map_err(|e| self.failed(name, &e))?;
        }
        Ok(())
    }

    async fn index(&self, name: &str, key: &str, field_type: FieldType) -> Result<(), Error> {
        let kind = match field_type {
            FieldType::Text => Indexed::Keyword,
            FieldType::Number => Indexed::Float,
            FieldType::Flag => Indexed::Bool,
        };
        let request = CreateFieldIndexCollectionBuilder::new(name, key, kind).wait(true);
        self.client.create_field_index(request).await.map_err(|e| self.failed(name, &e))?;
        Ok(())
    }

    async fn present(&self, name: &str, ids: &[String]) -> Result<HashSet<String>, Error> {
        let by_point: HashMap<Uuid, &String> =
            ids.iter().map(|id| (points::record_id(id), id)).collect();
        let wanted: Vec<PointId> = by_point.keys().copied().map(point_id).collect();
        let request = GetPointsBuilder::new(name, wanted).with_payload(false);
        let found = self.client.get_points(request).await.map_err(|e| self.failed(name, &e))?;
        let ids = found.result.iter().filter_map(|found| convert::uuid(found.id.as_ref()?));
        Ok(ids.filter_map(|id| by_point.get(&id).map(|id| (*id).clone())).collect())
    }

    async fn retrieve(
        &self,
        name: &str,
        ids: Vec<PointId>,
    ) -> Result<Vec<(Option<PointId>, Map<String, Json>)>, Error> {
        let request = GetPointsBuilder::new(name, ids).with_payload(true);
        let found = self.client.get_points(request).await.map_err(|e| self.failed(name, &e))?;
        Ok(found.result.into_iter().map(|found| (found.id, payload(found.payload))).collect())
    }

    async fn put(&self, name: &str, points: Vec<PointStruct>) -> Result<(), Error> {
        let request = UpsertPointsBuilder::new(name, points).wait(true);
        self.client.upsert_points(request).await.map_err(|e| self.failed(name, &e))?;
        Ok(())
    }

    async fn remove(&self, name: &str, filter: Filter) -> Result<(), Error> {
        let request = DeletePointsBuilder::new(name).points(filter).wait(true);
        self.client.delete_points(request).await.map_err(|e| self.failed(name, &e))?;
        Ok(())
    }

    async fn count(&self, name: &str, role: &str, kind: Option<&str>) -> Result<u64, Error> {
        let kind = kind.map(|kind| one_of("kind", vec![kind.to_owned()]));
        let role = one_of("role", vec![role.to_owned()]);
        let filter = Filter::must([role].into_iter().chain(kind));
        let request = CountPointsBuilder::new(name).filter(filter).exact(true);
        let count = self.client.count(request).await.map_err(|e| self.failed(name, &e))?;
        Ok(count.result.map(|result| result.count).unwrap_or_default())
    }

    fn read<T>(&self, read: Result<T, String>) -> Result<T, Error> {
        read.map_err(|reason| self.broken(reason))
    }

    fn broken(&self, reason: String) -> Error {
        Error::Cluster { address: self.address.clone(), reason }
    }

    fn failed(&self, name: &str, error: &QdrantError) -> Error {
        if let QdrantError::ResponseError { status } = error
            && status.code() == Code::NotFound
        {
            return Error::UnknownCollection { name: name.to_owned(), nearest: None };
        }
        self.broken(error.to_string())
    }
}

/// The point that says what a collection is.
fn about_id() -> PointId {
    point_id(points::about_id())
}

fn object(value: Json) -> Map<String, Json> {
    let Json::Object(object) = value else { return Map::new() };
    object
}

fn payload_of(value: Json) -> qdrant_client::Payload {
    object(value).into()
}
