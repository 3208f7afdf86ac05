//! The store, wherever it lies.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use super::check;
use super::config::{Config, Limits, Place as Where};
use super::embedded;
use super::error::Error;
use super::filter::{Clause, Filter};
use super::points::{Found, Record};
use super::remote;
use super::types::{
    Collection, Embedded, Hit, Item, List, Model, Options, Page, Search, Statistics, Written,
};

/// Collections of evidence. Cheap to share behind an [`Arc`]; every method may run beside others.
pub struct Store {
    backend: Backend,
    limits: Limits,
    measure_interval: Duration,
}

enum Backend {
    Embedded(embedded::Store),
    Cluster(Box<remote::Cluster>),
}

impl Store {
    /// Opens the store that the configuration names. An embedded one repeats what a crash kept from
    /// its index, and serves without the collections that cannot be opened: [`damaged`](Self::damaged).
    ///
    /// # Errors
    /// [`Error::Off`], [`Error::ReadOnly`], [`Error::DiskFull`], [`Error::InUse`], [`Error::Cluster`],
    /// and of the disk.
    pub async fn open(config: &Config) -> Result<Self, Error> {
        let limits = config.limits;
        let backend = match &config.store {
            Where::Off => return Err(Error::Off),
            Where::Embedded => {
                let config = config.clone();
                let open = move || embedded::Store::open(&config);
                let store = tokio::task::spawn_blocking(open).await;
                Backend::Embedded(store.unwrap_or(Err(Error::Closed))?)
            }
            Where::Cluster(address) => {
                Backend::Cluster(Box::new(remote::Cluster::connect(address, config).await?))
            }
        };
        Ok(Self { backend, limits, measure_interval: config.measure_interval })
    }

    /// What one request and one item may hold.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How often whoever shows its size should measure it.
    pub fn measure_interval(&self) -> Duration {
        self.measure_interval
    }

    /// Creates an empty collection for a model's embeddings, compared by the cosine.
    ///
    /// # Errors
    /// [`Error::Invalid`], [`Error::CollectionExists`], and what [`open`](Self::open) fails with.
    pub async fn create(
        &self,
        name: &str,
        model: Model,
        options: Options,
    ) -> Result<Collection, Error> {
        check::name(name)?;
        check::model(&model)?;
        check::options(&options)?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let collection = Collection {
            name: name.to_owned(),
            model,
            options,
            created_ms: now.as_millis() as i64,
            fields: BTreeMap::new(),
        };
        match &self.backend {
            Backend::Embedded(store) => store.create(collection).await,
            Backend::Cluster(cluster) => cluster.create(collection).await,
        }
    }

    /// All collections, by name; damaged ones are not among them.
    ///
    /// # Errors
    /// [`Error::Cluster`].
    pub async fn collections(&self) -> Result<Vec<Collection>, Error> {
        match &self.backend {
            Backend::Embedded(store) => Ok(store.collections()),
            Backend::Cluster(cluster) => cluster.collections().await,
        }
    }

    /// Why each collection that could not be opened could not. They count as collections, whoever
    /// names one gets this error, and they can be deleted. A cluster sees to its own: none there.
    pub fn damaged(&self) -> Vec<Error> {
        match &self.backend {
            Backend::Embedded(store) => store.damaged(),
            Backend::Cluster(_) => Vec::new(),
        }
    }

    /// One collection.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Unopened`], [`Error::Cluster`].
    pub async fn collection(&self, name: &str) -> Result<Collection, Error> {
        match &self.backend {
            Backend::Embedded(store) => store.collection(name),
            Backend::Cluster(cluster) => cluster.collection(name).await,
        }
    }

    /// Deletes a collection with all it holds, be it damaged or not.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Cluster`], and of the disk.
    pub async fn delete_collection(&self, name: &str) -> Result<(), Error> {
        match &self.backend {
            Backend::Embedded(store) => store.delete_collection(name).await,
            Backend::Cluster(cluster) => cluster.delete_collection(name).await,
        }
    }

    /// Whether an item is one that [`upsert`](Self::upsert) would take, before work is spent on its
    /// embeddings. Paths begin with `item`.
    ///
    /// # Errors
    /// [`Error::Invalid`].
    pub fn check(&self, item: &Item) -> Result<(), Error> {
        check::item(item, &self.limits)
    }

    /// Writes items, each as a whole: one that is there already is replaced with its embeddings.
    /// Each succeeds or fails for itself; what succeeded is on the disk. `model` is whose vectors
    /// they are, where the caller knows.
    ///
    /// # Errors
    /// For all: [`Error::UnknownCollection`], [`Error::Unopened`], [`Error::ModelMismatch`],
    /// [`Error::Busy`], [`Error::DiskFull`], [`Error::ReadOnly`], [`Error::Failed`],
    /// [`Error::Cluster`]; then none is acknowledged. For one: [`Error::Invalid`], [`Error::WrongDimension`].
    pub async fn upsert(
        &self,
        collection: &str,
        model: Option<&Model>,
        items: Vec<Embedded>,
    ) -> Result<Vec<Result<Written, Error>>, Error> {
        let about = self.collection(collection).await?;
        check::same_model(&about, model)?;
        Error::at_most("items", "items", items.len(), self.limits.max_items)?;
        let mut results: Vec<Option<Error>> = Vec::with_capacity(items.len());
        let mut good = Vec::with_capacity(items.len());
        for item in items {
            let checked = check::embedded(&item, about.model.dimension, &self.limits);
            if checked.is_ok() {
                good.push(item);
            }
            results.push(checked.err());
        }
        let written = match &self.backend {
            _ if good.is_empty() => Vec::new(),
            Backend::Embedded(store) => store.upsert(collection, good).await?,
            Backend::Cluster(cluster) => cluster.upsert(&about, good).await?,
        };
        let mut written = written.into_iter();
        let result = |wrong: Option<Error>| match wrong {
            Some(error) => Err(error),
            None => written.next().unwrap_or(Err(Error::Closed)),
        };
        Ok(results.into_iter().map(result).collect())
    }

    /// Deletes items with their embeddings; how many were there.
    ///
    /// # Errors
    /// As [`upsert`](Self::upsert) for all.
    pub async fn delete(&self, collection: &str, ids: Vec<String>) -> Result<usize, Error> {
        self.check_ids(&ids)?;
        match &self.backend {
            Backend::Embedded(store) => store.delete(collection, ids).await,
            Backend::Cluster(cluster) => cluster.delete(collection, ids).await,
        }
    }

    /// Items by id, each where it is there; pictures' bytes stay in the store.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Unopened`], [`Error::Invalid`], [`Error::Busy`].
    pub async fn get(
        &self,
        collection: &str,
        ids: Vec<String>,
    ) -> Result<Vec<Option<Item>>, Error> {
        self.check_ids(&ids)?;
        let wanted = ids.clone();
        let records = match &self.backend {
            Backend::Embedded(store) => {
                store.read(collection, move |shard| shard.records(&texts(&wanted))).await?
            }
            Backend::Cluster(cluster) => cluster.records(collection, &texts(&wanted)).await?,
        };
        let found: HashMap<String, Item> =
            records.into_iter().map(|record| (record.item.id.clone(), record.item)).collect();
        Ok(ids.iter().map(|id| found.get(id).cloned()).collect())
    }

    /// The bytes of an item's kept picture; none where the item is not there or keeps none.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn picture(&self, collection: &str, id: &str) -> Result<Option<Vec<u8>>, Error> {
        check::id("id", id)?;
        match &self.backend {
            Backend::Embedded(store) => {
                let id = id.to_owned();
                let read = move |shard: &embedded::Shard| {
                    let record = shard.records(&[id.as_str()])?.pop();
                    let kept = record.filter(|record| keeps_picture(&record.item));
                    kept.map(|record| shard.picture(&id, &record.generation)).transpose()
                };
                store.read(collection, read).await
            }
            Backend::Cluster(cluster) => {
                let record = cluster.records(collection, &[id]).await?.pop();
                match record.filter(|record| keeps_picture(&record.item)) {
                    Some(record) => {
                        cluster.picture(collection, id, &record.generation).await.map(Some)
                    }
                    None => Ok(None),
                }
            }
        }
    }

    /// A page of items.
    ///
    /// # Errors
    /// As [`get`](Self::get), and [`Error::UnknownField`].
    pub async fn list(&self, collection: &str, list: List) -> Result<Page, Error> {
        check::page(list.limit, 0, &self.limits)?;
        let about = self.collection(collection).await?;
        let clause = self.resolve(list.filter.as_ref(), &about)?;
        let cursor = list.cursor.as_deref().map(cursor).transpose()?;
        let limit = list.limit;
        let (records, next) = match &self.backend {
            Backend::Embedded(store) => {
                let read =
                    move |shard: &embedded::Shard| shard.page(clause.as_ref(), limit, cursor);
                store.read(collection, read).await?
            }
            Backend::Cluster(cluster) => {
                cluster.page(collection, clause.as_ref(), limit, cursor).await?
            }
        };
        let items = records.into_iter().map(|record| record.item).collect();
        Ok(Page { items, next: next.map(|id| id.simple().to_string()) })
    }

    /// The chunks most like an embedding, best first. `model` is whose embedding it is, where the
    /// caller knows.
    ///
    /// # Errors
    /// As [`list`](Self::list), and [`Error::ModelMismatch`], [`Error::WrongDimension`].
    pub async fn search(
        &self,
        collection: &str,
        model: Option<&Model>,
        search: Search,
    ) -> Result<Vec<Hit>, Error> {
        let about = self.collection(collection).await?;
        check::same_model(&about, model)?;
        check::vector("vector", &search.vector, about.model.dimension)?;
        check::page(search.limit, search.offset, &self.limits)?;
        let clause = self.resolve(search.filter.as_ref(), &about)?;
        let Search { vector, limit, offset, exact, .. } = search;
        let hits = match &self.backend {
            Backend::Embedded(store) => {
                let read = move |shard: &embedded::Shard| {
                    let found = shard.search(&vector, clause.as_ref(), limit + offset, exact)?;
                    let records = shard.records(&items(&found))?;
                    Ok(hits(found, records))
                };
                store.read(collection, read).await?
            }
            Backend::Cluster(cluster) => {
                let query = remote::Query { vector, clause, limit: limit + offset, exact };
                let found = cluster.search(collection, query).await?;
                let records = cluster.records(collection, &items(&found)).await?;
                hits(found, records)
            }
        };
        Ok(hits.into_iter().skip(offset).take(limit).collect())
    }

    /// How much a collection holds.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub async fn statistics(&self, collection: &str) -> Result<Statistics, Error> {
        match &self.backend {
            Backend::Embedded(store) => store.statistics(collection).await,
            Backend::Cluster(cluster) => cluster.statistics(collection).await,
        }
    }

    /// Extends the index over everything written so far, and returns when it is done; else that
    /// happens by itself in the background. A cluster sees to its own index: nothing is done there.
    ///
    /// # Errors
    /// [`Error::UnknownCollection`], [`Error::Unopened`], [`Error::Failed`].
    pub async fn optimise(&self, collection: &str) -> Result<(), Error> {
        match &self.backend {
            Backend::Embedded(store) => store.optimise(collection).await,
            Backend::Cluster(cluster) => cluster.collection(collection).await.map(drop),
        }
    }

    /// Ends: what runs is finished, and every file is at rest. A store that is dropped does the
    /// same, blocking its thread.
    ///
    /// # Errors
    /// [`Error::Failed`] where the last flush failed; the next opening recovers what was
    /// acknowledged.
    pub async fn close(&self) -> Result<(), Error> {
        match &self.backend {
            Backend::Embedded(store) => store.close().await,
            Backend::Cluster(_) => Ok(()),
        }
    }

    fn check_ids(&self, ids: &[String]) -> Result<(), Error> {
        Error::at_most("ids", "ids", ids.len(), self.limits.max_items)?;
        let check = |(index, id): (usize, &String)| check::id(&format!("ids[{index}]"), id);
        ids.iter().enumerate().try_for_each(check)
    }

    fn resolve(
        &self,
        filter: Option<&Filter>,
        about: &Collection,
    ) -> Result<Option<Clause>, Error> {
        filter.map(|filter| filter.resolve(&about.fields, self.limits.max_tests)).transpose()
    }
}

/// Hits with their items; chunks whose item was written anew or deleted meanwhile are no hits.
fn hits(found: Vec<(Found, f32)>, records: Vec<Record>) -> Vec<Hit> {
    let items: HashMap<String, (Arc<Item>, String)> = records
        .into_iter()
        .map(|Record { item, generation }| (item.id.clone(), (Arc::new(item), generation)))
        .collect();
    let hit = |(found, score): (Found, f32)| {
        let (item, generation) = items.get(&found.item)?;
        (*generation == found.generation).then(|| Hit {
            item: item.clone(),
            place: found.place,
            score: score.clamp(-1.0, 1.0),
        })
    };
    found.into_iter().filter_map(hit).collect()
}

/// The items of chunks, each once.
fn items(found: &[(Found, f32)]) -> Vec<&str> {
    let mut ids: Vec<&str> = found.iter().map(|(found, _)| found.item.as_str()).collect();
    ids.sort_unstable();
    ids.dedup();
    ids
}

fn texts(ids: &[String]) -> Vec<&str> {
    ids.iter().map(String::as_str).collect()
}

fn keeps_picture(item: &Item) -> bool {
    matches!(item.image, Some(super::types::Image::Kept { .. }))
}

fn cursor(text: &str) -> Result<Uuid, Error> {
    Uuid::try_parse(text).map_err(|_| Error::invalid("cursor", "is none that a page gave"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::evidence::types::Place;

    #[test]
    fn chunks_of_another_generation_are_no_hits() {
        let record = |id: &str, generation: &str| Record {
            item: Item { id: id.into(), ..Item::default() },
            generation: generation.into(),
        };
        let found = |item: &str, generation: &str, score: f32| {
            let (item, generation) = (item.into(), generation.into());
            (Found { item, generation, place: Place::Image }, score)
        };
        let all = vec![
            found("a", "new", 1.000_001),
            found("a", "old", 0.9),
            found("gone", "x", 0.8),
            found("b", "only", 0.7),
        ];
        assert_eq!(items(&all), ["a", "b", "gone"]);
        let hits = hits(all, vec![record("b", "only"), record("a", "new")]);
        let hits: Vec<(&str, f32)> = hits.iter().map(|h| (h.item.id.as_str(), h.score)).collect();
        assert_eq!(hits, [("a", 1.0), ("b", 0.7)]);
    }
}
