//! The index of one collection: a Qdrant Edge shard.
//!
//! The shard is fast and not safe by itself: it does not repeat its own log after a crash, panics
//! where a flush fails, and never shortens its log. Callers keep a [`Journal`](super::journal) and
//! let no flush run beside a write or an optimisation; panics end here, as errors.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use qdrant_edge::{
    CountRequest, CreateIndex, Distance, EdgeConfig, EdgeOptimizersConfig, EdgeShard,
    EdgeVectorParams, FieldIndexOperations, Filter, HnswIndexConfig, JsonPath, NamedQuery,
    OperationResult, PayloadFieldSchema, PayloadSchemaType, PointId, PointInsertOperations,
    PointOperations, PointStructPersisted, QuantizationSearchParams, QueryEnum, Record as Stored,
    ScalarQuantizationConfig, ScalarType, ScrollRequest, SearchParams, SearchRequest,
    UpdateOperation, VectorInternal, VectorPersisted, VectorStructPersisted, WithPayloadInterface,
    WithVector,
};
use serde_json::{Map, Value as Json, json};
use uuid::Uuid;

use super::journal::Entry;
use crate::evidence::error::Error;
use crate::evidence::filter::{Clause, Range};
use crate::evidence::graph::{BUILD_CANDIDATES, NEIGHBOURS, SEARCH_CANDIDATES};
use crate::evidence::points::{self, Found, Point, Record, VECTOR};
use crate::evidence::types::{Collection, FieldType, Quantisation};

/// Vectors in all, in KiB, up to which comparing with each is about as fast as the graph.
const FULL_SCAN_KIB: usize = 10_000;
/// One segment per collection, once indexed: each costs a search of its own.
const SEGMENTS: usize = 1;
/// Larger than any segment: they are not split by size.
const LARGEST_SEGMENT_KIB: usize = 1 << 30;

/// An open index.
pub(in crate::evidence) struct Shard {
    edge: EdgeShard,
    collection: String,
    path: PathBuf,
}

impl Shard {
    /// Opens the index under `path`, or creates it, with payload indexes for the fields.
    ///
    /// `index_after` embeddings are compared one by one before there is a graph.
    pub(super) fn open(
        path: &Path,
        collection: &Collection,
        index_after: u64,
    ) -> Result<Self, Error> {
        let name = collection.name.clone();
        fs::create_dir_all(path).map_err(|error| Error::disk(path, error))?;
        shorten_log(path)?;
        clear_drafts(path)?;
        let exists = path.join("edge_config.json").exists();
        let edge = guarded(&name, || {
            if exists {
                EdgeShard::load(path, None)
            } else {
                EdgeShard::new(path, edge_config(collection, index_after))
            }
        })?;
        let shard = Self { edge, collection: name, path: path.to_path_buf() };
        shard.index_fields(&collection.fields)?;
        Ok(shard)
    }

    /// Closes the index: everything is flushed.
    pub(super) fn close(self) -> Result<(), Error> {
        let Self { edge, collection, .. } = self;
        guarded(&collection, move || {
            drop(edge);
            Ok(())
        })
    }

    /// Leaves the index as it lies on the disk, for the journal to repeat what is lost so: closing it
    /// would write. What it maps stays mapped until the process ends.
    pub(super) fn abandon(self) {
        std::mem::forget(self.edge);
    }

    /// Builds the payload indexes that are not there yet.
    pub(super) fn index_fields(&self, fields: &BTreeMap<String, FieldType>) -> Result<(), Error> {
        let fixed = points::INDEXED.iter().map(|(key, text)| {
            let schema = if *text { PayloadSchemaType::Keyword } else { PayloadSchemaType::Float };
            ((*key).to_owned(), schema)
        });
        let metadata = fields.iter().map(|(name, field_type)| {
            let schema = match field_type {
                FieldType::Text => PayloadSchemaType::Keyword,
                FieldType::Number => PayloadSchemaType::Float,
                FieldType::Flag => PayloadSchemaType::Bool,
            };
            (format!("metadata.{name}"), schema)
        });
        let known = guarded(&self.collection, || Ok(self.edge.info().payload_schema))?;
        for (key, schema) in fixed.chain(metadata) {
            let field_name = self.path_of(&key)?;
            if !known.contains_key(&field_name) {
                let field_schema = Some(PayloadFieldSchema::FieldType(schema));
                let create = CreateIndex { field_name, field_schema };
                self.update(UpdateOperation::FieldIndexOperation(
                    FieldIndexOperations::CreateIndex(create),
                ))?;
            }
        }
        Ok(())
    }

    /// Brings entries into the index; of several for one item, the last counts. Points of other
    /// generations go where their item is in `replaced`; none given means of every item.
    pub(super) fn apply(
        &self,
        entries: Vec<Entry>,
        replaced: Option<&HashSet<String>>,
    ) -> Result<(), Error> {
        let mut last: HashMap<String, Option<(String, Vec<Point>)>> = HashMap::new();
        for entry in entries {
            match entry {
                Entry::Put { item, generation, points } => {
                    last.insert(item, Some((generation, points)));
                }
                Entry::Remove { item } => drop(last.insert(item, None)),
            }
        }
        let (mut put, mut removed, mut old, mut current) = (Vec::new(), vec![], vec![], vec![]);
        for (item, entry) in last {
            match entry {
                Some((generation, points)) => {
                    put.extend(points.into_iter().map(stored));
                    if replaced.is_none_or(|replaced| replaced.contains(&item)) {
                        old.push(item);
                        current.push(generation);
                    }
                }
                None => removed.push(item),
            }
        }
        if !put.is_empty() {
            let list = PointInsertOperations::PointsList(put);
            self.update(UpdateOperation::PointOperation(PointOperations::UpsertPoints(list)))?;
        }
        if !old.is_empty() {
            self.delete(&json!({
                "must": [one_of("item", &old)],
                "must_not": [one_of("generation", &current)],
            }))?;
        }
        if !removed.is_empty() {
            self.delete(&json!({ "must": [one_of("item", &removed)] }))?;
        }
        Ok(())
    }

    /// Writes all that it holds to the disk. Nothing else may write or optimise meanwhile.
    pub(super) fn flush(&self) -> Result<(), Error> {
        guarded(&self.collection, || {
            self.edge.flush();
            Ok(())
        })
    }

    /// Builds the graph over what is outside it, merges segments, and drops what was deleted. Reads
    /// and writes go on meanwhile; a flush may not.
    pub(super) fn optimise(&self) -> Result<bool, Error> {
        guarded(&self.collection, || self.edge.optimize())
    }

    /// The chunks nearest to a vector, best first, with their cosines.
    pub(in crate::evidence) fn search(
        &self,
        vector: &[f32],
        clause: Option<&Clause>,
        limit: usize,
        exact: bool,
    ) -> Result<Vec<(Found, f32)>, Error> {
        let keys = ["item", "generation", "place"];
        let keys = keys.iter().map(|key| self.path_of(key)).collect::<Result<_, _>>()?;
        let quantization = QuantizationSearchParams {
            ignore: exact,
            rescore: Some(true),
            oversampling: Some(2.0),
        };
        let params = SearchParams {
            hnsw_ef: Some(SEARCH_CANDIDATES.max(limit)),
            exact,
            quantization: Some(quantization),
            ..SearchParams::default()
        };
        let request = SearchRequest {
            query: QueryEnum::Nearest(NamedQuery {
                query: VectorInternal::Dense(vector.to_vec()),
                using: Some(VECTOR.to_owned()),
            }),
            filter: clause.map(|clause| self.filter(condition(clause))).transpose()?,
            params: Some(params),
            limit,
            offset: 0,
            with_payload: Some(WithPayloadInterface::Fields(keys)),
            with_vector: None,
            score_threshold: None,
        };
        let points = guarded(&self.collection, || self.edge.search(request))?;
        let found = |point: qdrant_edge::ScoredPoint| {
            let payload = point.payload.map(|payload| payload.0).unwrap_or_default();
            Ok((points::found(payload).map_err(|reason| self.damaged(reason))?, point.score))
        };
        points.into_iter().map(found).collect()
    }

    /// The records of items, those that are there.
    pub(in crate::evidence) fn records(&self, items: &[&str]) -> Result<Vec<Record>, Error> {
        let ids: Vec<Uuid> = items.iter().map(|item| points::record_id(item)).collect();
        self.retrieve(&ids, true)?.into_iter().map(|point| self.record(point)).collect()
    }

    /// Which of the items are there.
    pub(super) fn present(&self, items: &[&str]) -> Result<HashSet<String>, Error> {
        let ids: HashMap<PointId, &str> =
            items.iter().map(|item| (PointId::Uuid(points::record_id(item)), *item)).collect();
        let keys: Vec<Uuid> = items.iter().map(|item| points::record_id(item)).collect();
        let there = self.retrieve(&keys, false)?;
        Ok(there.iter().filter_map(|point| ids.get(&point.id)).map(|id| (*id).into()).collect())
    }

    /// A kept picture.
    pub(in crate::evidence) fn picture(
        &self,
        item: &str,
        generation: &str,
    ) -> Result<Vec<u8>, Error> {
        let id = points::picture_id(item, generation);
        let point = self.retrieve(&[id], true)?.pop();
        let payload = point.and_then(|point| point.payload).map(|payload| payload.0);
        points::picture(payload.unwrap_or_default()).map_err(|reason| self.damaged(reason))
    }

    /// Records in the order of their point ids, from `cursor` on, and where the next page begins.
    pub(in crate::evidence) fn page(
        &self,
        clause: Option<&Clause>,
        limit: usize,
        cursor: Option<Uuid>,
    ) -> Result<(Vec<Record>, Option<Uuid>), Error> {
        let mut must = vec![one_of("role", &[points::RECORD.to_owned()])];
        must.extend(clause.map(condition));
        let request = ScrollRequest {
            offset: cursor.map(PointId::Uuid),
            limit: Some(limit),
            filter: Some(self.filter(json!({ "must": must }))?),
            with_payload: Some(WithPayloadInterface::Bool(true)),
            with_vector: WithVector::Bool(false),
            order_by: None,
        };
        let (found, next) = guarded(&self.collection, || self.edge.scroll(request))?;
        let records =
            found.into_iter().map(|point| self.record(point)).collect::<Result<_, _>>()?;
        let next = match next {
            Some(PointId::Uuid(id)) => Some(id),
            Some(PointId::NumId(_)) | None => None,
        };
        Ok((records, next))
    }

    /// How many points have a role and, where one is given, a kind.
    pub(super) fn count(&self, role: &str, kind: Option<&str>) -> Result<u64, Error> {
        let mut must = vec![one_of("role", &[role.to_owned()])];
        must.extend(kind.map(|kind| one_of("kind", &[kind.to_owned()])));
        let filter = self.filter(json!({ "must": must }))?;
        let request = CountRequest { filter: Some(filter), exact: true };
        guarded(&self.collection, || self.edge.count(request)).map(|count| count as u64)
    }

    /// How many embeddings the graph reaches.
    pub(super) fn indexed(&self) -> Result<u64, Error> {
        let info = guarded(&self.collection, || Ok(self.edge.info()))?;
        Ok(info.indexed_vectors_count as u64)
    }

    /// Bytes of the log that nothing needs any more once all is flushed.
    pub(super) fn log_bytes(&self) -> u64 {
        super::files::disk_bytes(&self.path.join("wal"))
    }

    fn retrieve(&self, ids: &[Uuid], payload: bool) -> Result<Vec<Stored>, Error> {
        let ids: Vec<PointId> = ids.iter().copied().map(PointId::Uuid).collect();
        let payload = WithPayloadInterface::Bool(payload);
        guarded(&self.collection, || self.edge.retrieve(&ids, Some(payload), None))
    }

    fn record(&self, point: Stored) -> Result<Record, Error> {
        let payload = point.payload.map(|payload| payload.0).unwrap_or_default();
        points::record(payload).map_err(|reason| self.damaged(reason))
    }

    fn delete(&self, filter: &Json) -> Result<(), Error> {
        let filter = self.filter(filter.clone())?;
        let delete = PointOperations::DeletePointsByFilter(filter);
        self.update(UpdateOperation::PointOperation(delete))
    }

    fn update(&self, operation: UpdateOperation) -> Result<(), Error> {
        guarded(&self.collection, || self.edge.update(operation))
    }

    fn filter(&self, filter: Json) -> Result<Filter, Error> {
        serde_json::from_value(filter).map_err(|error| self.failed(format!("a filter: {error}")))
    }

    fn path_of(&self, key: &str) -> Result<JsonPath, Error> {
        key.parse().map_err(|()| self.failed(format!("'{key}' is no path in a payload")))
    }

    fn failed(&self, reason: String) -> Error {
        Error::Failed { collection: self.collection.clone(), reason }
    }

    fn damaged(&self, reason: String) -> Error {
        Error::Damaged { path: self.path.clone(), reason }
    }
}

/// Runs the library's code; its errors and panics become one error.
fn guarded<T>(collection: &str, run: impl FnOnce() -> OperationResult<T>) -> Result<T, Error> {
    let failed = |reason: String| Error::Failed { collection: collection.to_owned(), reason };
    match catch_unwind(AssertUnwindSafe(run)) {
        Ok(result) => result.map_err(|error| failed(error.to_string())),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(failed(format!("the index panicked: {}", text.unwrap_or("no message"))))
        }
    }
}

fn edge_config(collection: &Collection, index_after: u64) -> EdgeConfig {
    let scalar = ScalarQuantizationConfig {
        r#type: ScalarType::Int8,
        quantile: Some(0.99),
        always_ram: Some(true),
    };
    let quantised = collection.options.quantisation == Quantisation::Scalar;
    // Exact vectors beside quantised ones are read for a few candidates: they may leave memory.
    let vector = EdgeVectorParams::builder(collection.model.dimension, Distance::Cosine)
        .on_disk(quantised)
        .build();
    let vector_bytes = collection.model.dimension * size_of::<f32>();
    // Half of what calls for the graph: a part of it may have been deleted by then.
    let due_kib = (index_after as usize / 2).saturating_mul(vector_bytes) / 1024;
    let graph = HnswIndexConfig {
        m: NEIGHBOURS,
        ef_construct: BUILD_CANDIDATES,
        full_scan_threshold: FULL_SCAN_KIB.min(due_kib).max(1),
        ..HnswIndexConfig::default()
    };
    let optimisers = EdgeOptimizersConfig {
        default_segment_number: Some(SEGMENTS),
        max_segment_size: Some(LARGEST_SEGMENT_KIB),
        indexing_threshold: Some(due_kib.max(1)),
        ..EdgeOptimizersConfig::default()
    };
    let config =
        EdgeConfig::builder().vector(VECTOR, vector).hnsw_config(graph).optimizers(optimisers);
    if quantised { config.quantization_config(scalar.into()).build() } else { config.build() }
}

/// Removes the closed parts of the library's log but the last, which carries the numbering on: the
/// index has flushed them, or the journal repeats them. Only while the index is closed.
fn shorten_log(path: &Path) -> Result<(), Error> {
    let Ok(entries) = fs::read_dir(path.join("wal")) else { return Ok(()) };
    let mut closed: Vec<(u64, PathBuf)> = entries
        .filter_map(Result::ok)
        .filter_map(|entry| {
            let name = entry.file_name();
            Some((name.to_str()?.strip_prefix("closed-")?.parse().ok()?, entry.path()))
        })
        .collect();
    closed.sort();
    closed.pop();
    for (_, part) in closed {
        fs::remove_file(&part).map_err(|error| Error::disk(&part, error))?;
    }
    Ok(())
}

/// Removes segments that an optimisation had not finished when the process ended.
fn clear_drafts(path: &Path) -> Result<(), Error> {
    let drafts = path.join("temp_segments");
    match fs::remove_dir_all(&drafts) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(Error::disk(&drafts, error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn stored(point: Point) -> PointStructPersisted {
    let vectors = point.vector.map(|vector| (VECTOR.to_owned(), VectorPersisted::Dense(vector)));
    PointStructPersisted {
        id: PointId::Uuid(point.id),
        vector: VectorStructPersisted::Named(vectors.into_iter().collect()),
        payload: Some(point.payload.into()),
    }
}

fn one_of(key: &str, texts: &[String]) -> Json {
    json!({ "key": key, "match": { "any": texts } })
}

/// A clause as Qdrant writes conditions.
fn condition(clause: &Clause) -> Json {
    let each = |clauses: &[Clause]| clauses.iter().map(condition).collect::<Vec<_>>();
    match clause {
        Clause::All(clauses) => json!({ "must": each(clauses) }),
        Clause::Any(clauses) => json!({ "should": each(clauses) }),
        Clause::Not(clause) => json!({ "must_not": [condition(clause)] }),
        Clause::Texts(key, texts) => json!({ "must": [one_of(key, texts)] }),
        Clause::Flag(key, flag) => {
            json!({ "must": [{ "key": key, "match": { "value": flag } }] })
        }
        Clause::Within(key, range) => {
            json!({ "must": [{ "key": key, "range": bounds(range) }] })
        }
        Clause::Exists(key) => json!({ "must_not": [{ "is_empty": { "key": key } }] }),
    }
}

fn bounds(range: &Range) -> Map<String, Json> {
    let bounds = [("gt", range.above), ("gte", range.from), ("lt", range.below), ("lte", range.to)];
    bounds.into_iter().filter_map(|(key, bound)| Some((key.to_owned(), bound?.into()))).collect()
}
