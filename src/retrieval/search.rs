//! Queries on their way to hits.

use std::collections::HashSet;
use std::time::Instant;

use super::{Library, Opened, RetrievalError};
use crate::evidence::{Error, Field, Filter, Hit, Place, Search, Test, Value};
use crate::serving::{ModelIdentity, ServingError, Terms};
use crate::telemetry::metrics::{self, ChunkKind, Stage};
use crate::telemetry::traces::Lap;
use crate::verification::{Frame, decode};

/// How many chunks are fetched for each item wanted, where an item comes once.
const PER_ITEM: usize = 4;

/// What to look for; what is there is embedded by itself and added by its weight.
#[derive(Clone, Debug, Default)]
pub struct Query {
    /// A text, and its weight.
    pub text: Option<(String, f32)>,
    /// A picture, and its weight.
    pub picture: Option<(Frame, f32)>,
    /// A vector of the collection's dimension, and its weight; its length is of no account.
    pub vector: Option<(Vec<f32>, f32)>,
}

/// Which hits to give.
#[derive(Clone, Debug)]
pub struct Wanted {
    /// Among which items; none means all.
    pub filter: Option<Filter>,
    /// Kinds of chunks (`text`, `image`, `region`); none means all.
    pub kinds: Vec<&'static str>,
    /// How many, at least 1; with the offset at most
    /// [`max_hits`](crate::evidence::Limits::max_hits).
    pub limit: usize,
    /// How many of the best to pass over.
    pub offset: usize,
    /// The lowest cosine that counts.
    pub min_score: f32,
    /// Whether an item comes once, by its best chunk.
    pub by_item: bool,
    /// Compare with every chunk rather than through the index.
    pub exact: bool,
}

impl Default for Wanted {
    /// The 10 best items, each by its best chunk.
    fn default() -> Self {
        Self {
            filter: None,
            kinds: Vec::new(),
            limit: 10,
            offset: 0,
            min_score: -1.0,
            by_item: true,
            exact: false,
        }
    }
}

/// A chunk that was found, with what it says.
#[derive(Clone, Debug)]
pub struct Found {
    /// The chunk and its item.
    pub hit: Hit,
    /// Of a passage, its text.
    pub text: Option<String>,
}

/// What was found.
#[derive(Clone, Debug)]
pub struct Results {
    /// Best first.
    pub found: Vec<Found>,
    /// Which model read the query.
    pub model: ModelIdentity,
    /// Whether the query's text was cut to what the model reads.
    pub truncated: bool,
}

impl Library {
    /// The chunks nearest to a query. Errors of invalid inputs name fields of a search: `query.text`,
    /// `query.embedding`, `filter`, `limit`.
    ///
    /// # Errors
    /// As the store's search; [`RetrievalError::NoModel`]; [`ServingError::Invalid`] about the
    /// query.
    pub async fn search(
        &self,
        collection: &str,
        query: Query,
        wanted: &Wanted,
        terms: Terms,
    ) -> Result<Results, RetrievalError> {
        let opened = &self.opened(collection).await?;
        let (vector, truncated) = self.vector(opened, query, terms).await?;
        let found = self.look_up(collection, vector, wanted).await?;
        Ok(Results { found, model: opened.clip.identity().clone(), truncated })
    }

    /// The chunks nearest to a vector that the caller has embedded already, with the
    /// [collection's model](Self::model). The collection's model need not be served.
    ///
    /// # Errors
    /// As the store's search; [`ServingError::Expired`] past the deadline.
    pub async fn nearest(
        &self,
        collection: &str,
        vector: Vec<f32>,
        wanted: &Wanted,
        terms: Terms,
    ) -> Result<Vec<Found>, RetrievalError> {
        let looking = self.look_up(collection, vector, wanted);
        match terms.deadline {
            None => looking.await,
            Some(deadline) => tokio::time::timeout_at(deadline.into(), looking)
                .await
                .unwrap_or_else(|_| Err(ServingError::Expired("the evidence".into()).into())),
        }
    }

    async fn look_up(
        &self,
        collection: &str,
        vector: Vec<f32>,
        wanted: &Wanted,
    ) -> Result<Vec<Found>, RetrievalError> {
        let started = Instant::now();
        let hits = if wanted.by_item {
            self.items(collection, vector, wanted).await
        } else {
            let reach = (wanted.limit, wanted.offset);
            let hits = self.chunks(collection, vector, wanted, reach).await;
            hits.map(|mut hits| {
                hits.retain(|hit| hit.score >= wanted.min_score);
                hits
            })
        };
        let took = Lap::since(Stage::Retrieve, started).record();
        metrics::record_retrieval(hits.is_ok(), took);
        let hits = hits?;
        for hit in &hits {
            metrics::record_hit(kind(&hit.place));
        }
        Ok(hits.into_iter().map(with_text).collect())
    }

    /// The weighted sum of what the query says and shows, each of length 1, and whether its text
    /// was cut.
    async fn vector(
        &self,
        opened: &Opened,
        query: Query,
        terms: Terms,
    ) -> Result<(Vec<f32>, bool), RetrievalError> {
        let mut parts: Vec<(Vec<f32>, f32)> = Vec::new();
        let mut truncated = false;
        if let Some((text, weight)) = query.text {
            let mut embedded = opened.clip.embed_texts(&[text], terms).await?;
            let embedded = embedded.pop().ok_or_else(|| nothing("query.text"))?;
            truncated = embedded.truncated;
            parts.push((embedded.vector.to_vec(), weight));
        }
        if let Some((frame, weight)) = query.picture {
            let pixels = decode(&self.catalog, frame, &self.image_limits, terms).await;
            let pixels = pixels.map_err(|error| error.within("query."))?;
            let seen = opened.clip.embed_image(pixels, None, terms).await?;
            parts.push((seen.vector, weight));
        }
        if let Some((vector, weight)) = query.vector {
            let expected = opened.collection.model.dimension;
            if vector.len() != expected {
                let (field, found) = ("query.embedding".to_owned(), vector.len());
                return Err(Error::WrongDimension { field, expected, found }.into());
            }
            if length(&vector) < LEAST_LENGTH || !length(&vector).is_finite() {
                let reason = "has no direction: its length is 0 or not finite";
                return Err(ServingError::invalid("query.embedding", reason).into());
            }
            parts.push((vector, weight));
        }
        let sum = mixed(&parts).ok_or_else(|| nothing("query"))?;
        Ok((sum, truncated))
    }

    async fn chunks(
        &self,
        collection: &str,
        vector: Vec<f32>,
        wanted: &Wanted,
        (limit, offset): (usize, usize),
    ) -> Result<Vec<Hit>, RetrievalError> {
        let of_kind = (!wanted.kinds.is_empty()).then(|| {
            let kinds = wanted.kinds.iter().map(|kind| Value::Text((*kind).to_owned()));
            Filter::Test(Field::Kind, Test::In(kinds.collect()))
        });
        // The kind goes last, so that errors name the places of the caller's own filters.
        let filter = match (wanted.filter.clone(), of_kind) {
            (Some(Filter::All(mut all)), Some(kind)) => {
                all.push(kind);
                Some(Filter::All(all))
            }
            (Some(filter), Some(kind)) => Some(Filter::All(vec![filter, kind])),
            (filter, kind) => filter.or(kind),
        };
        let search = Search { vector, filter, limit, offset, exact: wanted.exact };
        Ok(self.store.search(collection, None, search).await?)
    }

    /// The best chunk of each item. More chunks are fetched until there are items enough, none is
    /// left, or the store gives no more at once.
    async fn items(
        &self,
        collection: &str,
        vector: Vec<f32>,
        wanted: &Wanted,
    ) -> Result<Vec<Hit>, RetrievalError> {
        let needed = wanted.limit.saturating_add(wanted.offset);
        let most = self.store.limits().max_hits;
        if wanted.limit == 0 || needed > most {
            let reason = format!(
                "is {} with an offset of {}, must be 1 or more and together at most {most}",
                wanted.limit, wanted.offset
            );
            return Err(ServingError::invalid("limit", reason).into());
        }
        let mut reach = (needed * PER_ITEM).min(most).max(needed);
        loop {
            let hits = self.chunks(collection, vector.clone(), wanted, (reach, 0)).await?;
            let worst = hits.last().map_or(f32::MIN, |hit| hit.score);
            let all = hits.len() < reach || reach >= most || worst < wanted.min_score;
            let mut seen = HashSet::new();
            let best: Vec<Hit> = hits
                .into_iter()
                .take_while(|hit| hit.score >= wanted.min_score)
                .filter(|hit| seen.insert(hit.item.id.clone()))
                .collect();
            if all || best.len() >= needed {
                return Ok(best.into_iter().skip(wanted.offset).take(wanted.limit).collect());
            }
            reach = (reach * 2).min(most);
        }
    }
}

/// Below this a sum of parts has no direction.
const LEAST_LENGTH: f64 = 1e-6;

fn nothing(field: &str) -> ServingError {
    ServingError::invalid(field, "says nothing: set text, image or embedding, with a weight over 0")
}

fn length(vector: &[f32]) -> f64 {
    vector.iter().map(|x| f64::from(*x).powi(2)).sum::<f64>().sqrt()
}

/// `Σ w · v / |v|`; none where nothing is left of it.
fn mixed(parts: &[(Vec<f32>, f32)]) -> Option<Vec<f32>> {
    let dimension = parts.first()?.0.len();
    let mut sum = vec![0.0_f32; dimension];
    for (vector, weight) in parts {
        let own = length(vector);
        if own > 0.0 && own.is_finite() {
            let scale = f64::from(*weight) / own;
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += (scale * f64::from(*x)) as f32);
        }
    }
    (length(&sum) > LEAST_LENGTH).then_some(sum)
}

fn kind(place: &Place) -> ChunkKind {
    match place {
        Place::Text { .. } => ChunkKind::Text,
        Place::Image => ChunkKind::Image,
        Place::Region { .. } => ChunkKind::Region,
    }
}

fn with_text(hit: Hit) -> Found {
    let text = match hit.place {
        Place::Text { start, end } => {
            hit.item.text.as_deref().and_then(|text| text.get(start..end)).map(str::to_owned)
        }
        Place::Image | Place::Region { .. } => None,
    };
    Found { hit, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_count_by_weight_and_not_by_length() {
        let near = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-6);
        let mix = mixed(&[(vec![10.0, 0.0], 1.0), (vec![0.0, 0.1], 3.0)]).unwrap();
        assert!(near(&mix, &[1.0, 3.0]), "{mix:?}");
        assert_eq!(mixed(&[(vec![1.0, 0.0], 1.0), (vec![-2.0, 0.0], 1.0)]), None, "opposites");
        assert_eq!(mixed(&[(vec![0.0, 0.0], 1.0)]), None);
        assert_eq!(mixed(&[(vec![1.0], 0.0)]), None);
        assert_eq!(mixed(&[]), None);
    }
}
