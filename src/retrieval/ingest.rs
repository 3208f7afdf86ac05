//! Items on their way into a collection.

use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{Stream, StreamExt, stream};
use sha2::{Digest, Sha256};
use tokio::sync::mpsc;

use super::{Library, Opened, RetrievalError};
use crate::evidence::{Embedded, Error, Item, Place, Written};
use crate::serving::{ServingError, Terms};
use crate::telemetry::metrics::{self, Stage, StoredOutcome};
use crate::telemetry::traces::Lap;
use crate::verification::Frame;

/// How often an item of a stream is tried again where the models are busy.
const TRIES: usize = 16;
/// The longest pause before another try.
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// An item as a caller brings it.
#[derive(Clone, Debug)]
pub struct NewItem {
    /// All but the picture, whose place in it is empty. Without an id it gets one made of its text,
    /// picture and source, so that the same content is there once.
    pub item: Item,
    /// The picture.
    pub picture: Option<Frame>,
}

/// An item on its way: the id that the caller gave it, and the item, unless it could not be read.
pub type Brought = (String, Result<NewItem, RetrievalError>);

/// What became of one item.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Its id, also where it was made here; empty of an item without one that could not be read.
    pub id: String,
    /// Where it is; or what is wrong with it, the field as `item.text`.
    pub result: Result<Put, RetrievalError>,
}

/// An item that is in its collection, on the disk.
#[derive(Clone, Debug)]
pub struct Put {
    /// What it is found by.
    pub places: Vec<Place>,
    /// Whether it is new.
    pub written: Written,
}

/// An item before it is written.
type Prepared = (String, Result<Embedded, RetrievalError>);

impl Library {
    /// Embeds items and puts them in, each by itself: the outcomes stand in the items' order.
    ///
    /// # Errors
    /// For all: an unknown collection, a model that is not served, a store that is full, busy or
    /// cannot be written; then none is acknowledged. For one: whatever is wrong with it.
    pub async fn put(
        &self,
        collection: &str,
        items: Vec<Brought>,
        terms: Terms,
    ) -> Result<Vec<Outcome>, RetrievalError> {
        let opened = &self.opened(collection).await?;
        let prepared = items.into_iter().map(|item| self.prepare(opened, item, (terms, 1)));
        let at_once = self.store.limits().items_at_once;
        let prepared: Vec<Prepared> = stream::iter(prepared).buffered(at_once).collect().await;
        self.write(opened, prepared).await
    }

    /// The same for as many items as come. At most [`items_at_once`](crate::evidence::Limits) are
    /// embedded while others are written; outcomes come in the items' order. Where the models are
    /// busy an item waits. Ends with the items, or when nobody takes outcomes any more.
    ///
    /// # Errors
    /// An unknown collection, or a model that is not served. What concerns all items later is each
    /// one's error.
    pub async fn ingest(
        &self,
        collection: &str,
        items: impl Stream<Item = Brought> + Send,
        outcomes: mpsc::Sender<Outcome>,
        terms: Terms,
    ) -> Result<(), RetrievalError> {
        let opened = Arc::new(self.opened(collection).await?);
        let at_once = self.store.limits().items_at_once;
        let (sender, mut ready) = mpsc::channel(at_once);
        let (library, embedding_for) = (self.clone(), Arc::clone(&opened));
        let embedding = async move {
            let preparing = items.map(move |item| {
                let (library, opened) = (library.clone(), Arc::clone(&embedding_for));
                async move { library.prepare(&opened, item, (terms, TRIES)).await }
            });
            let mut preparing = pin!(preparing.buffered(at_once));
            while let Some(prepared) = preparing.next().await {
                if sender.send(prepared).await.is_err() {
                    return;
                }
            }
        };
        let writing = async move {
            let mut group = Vec::new();
            let most = at_once.min(self.store.limits().max_items);
            while ready.recv_many(&mut group, most).await > 0 {
                for outcome in self.write_each(&opened, std::mem::take(&mut group)).await {
                    if outcomes.send(outcome).await.is_err() {
                        return;
                    }
                }
            }
        };
        tokio::join!(embedding, writing);
        Ok(())
    }

    /// Embeds an item; of `tries` more than one, waits where the models are busy.
    async fn prepare(
        &self,
        opened: &Opened,
        (id, new): Brought,
        (terms, tries): (Terms, usize),
    ) -> Prepared {
        let mut new = match new {
            Ok(new) => new,
            Err(error) => return (id, Err(error)),
        };
        if new.item.id.is_empty() {
            new.item.id = id_of(&new);
        }
        let id = new.item.id.clone();
        for _ in 1..tries {
            let pause = match self.embed(opened, new.clone(), terms).await {
                Err(RetrievalError::Serving(ServingError::Overloaded { retry_after, .. })) => {
                    retry_after.min(LONGEST_PAUSE)
                }
                done => return (id, done),
            };
            tokio::time::sleep(pause).await;
        }
        (id, self.embed(opened, new, terms).await)
    }

    /// Writes what could be embedded, with one call of the store.
    async fn write(
        &self,
        opened: &Opened,
        prepared: Vec<Prepared>,
    ) -> Result<Vec<Outcome>, RetrievalError> {
        let mut good = Vec::new();
        let mut waiting = Vec::with_capacity(prepared.len());
        for (id, prepared) in prepared {
            let places = prepared.map(|embedded| {
                let places = embedded.chunks.iter().map(|chunk| chunk.place.clone()).collect();
                good.push(embedded);
                places
            });
            waiting.push((id, places));
        }
        let started = Instant::now();
        let Opened { collection, .. } = opened;
        let written = self.store.upsert(&collection.name, Some(&collection.model), good).await?;
        Lap::since(Stage::Store, started).record();
        let mut written = written.into_iter();
        let outcome = |(id, places): (String, Result<Vec<Place>, RetrievalError>)| {
            let result = places.and_then(|places| {
                let written = written.next().unwrap_or(Err(Error::Closed))?;
                Ok(Put { places, written })
            });
            metrics::record_stored(stored(&result));
            Outcome { id, result }
        };
        Ok(waiting.into_iter().map(outcome).collect())
    }

    /// As [`write`](Self::write), with what concerns all as each one's error.
    async fn write_each(&self, opened: &Opened, prepared: Vec<Prepared>) -> Vec<Outcome> {
        let ids: Vec<String> = prepared.iter().map(|(id, _)| id.clone()).collect();
        let wrong: Vec<Option<RetrievalError>> =
            prepared.iter().map(|(_, prepared)| prepared.as_ref().err().cloned()).collect();
        match self.write(opened, prepared).await {
            Ok(outcomes) => outcomes,
            Err(error) => {
                let outcome = |(id, own): (String, Option<RetrievalError>)| {
                    let result = Err(own.unwrap_or_else(|| error.clone()));
                    metrics::record_stored(stored(&result));
                    Outcome { id, result }
                };
                ids.into_iter().zip(wrong).map(outcome).collect()
            }
        }
    }
}

/// How an item counts.
fn stored(result: &Result<Put, RetrievalError>) -> StoredOutcome {
    match result {
        Ok(Put { written: Written::Created, .. }) => StoredOutcome::Created,
        Ok(Put { written: Written::Replaced, .. }) => StoredOutcome::Replaced,
        Err(
            RetrievalError::Serving(ServingError::Invalid { .. })
            | RetrievalError::Store(Error::Invalid { .. } | Error::WrongDimension { .. }),
        ) => StoredOutcome::Invalid,
        Err(
            RetrievalError::Serving(_) | RetrievalError::Store(_) | RetrievalError::NoModel { .. },
        ) => StoredOutcome::Failed,
    }
}

/// SHA-256 of an item's content, hexadecimal; each part is closed by its length.
fn id_of(new: &NewItem) -> String {
    let mut hash = Sha256::new();
    let mut part = |bytes: &[u8]| {
        hash.update(bytes);
        hash.update((bytes.len() as u64).to_le_bytes());
    };
    part(new.item.text.as_deref().unwrap_or_default().as_bytes());
    part(new.item.source.as_bytes());
    match &new.picture {
        Some(Frame::Encoded(bytes)) => part(bytes),
        Some(Frame::Raw { format, width, height, stride, data }) => {
            part(format!("{format:?} {width} {height} {stride}").as_bytes());
            part(data);
        }
        None => {}
    }
    format!("{:x}", hash.finalize())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_made_of_what_an_item_says_and_shows() {
        let new = |text: &str, source: &str, picture: Option<&'static [u8]>| NewItem {
            item: Item {
                text: Some(text.to_owned()),
                source: source.to_owned(),
                ..Item::default()
            },
            picture: picture.map(|bytes| Frame::Encoded(bytes.into())),
        };
        let one = id_of(&new("a", "b", Some(b"c")));
        assert_eq!(one.len(), 64);
        assert_eq!(one, id_of(&new("a", "b", Some(b"c"))));
        for other in [new("ab", "", Some(b"c")), new("a", "b", None), new("a", "b", Some(b"d"))] {
            assert_ne!(one, id_of(&other));
        }
        let mut titled = new("a", "b", Some(b"c"));
        titled.item.title = "t".to_owned();
        assert_eq!(one, id_of(&titled), "a title is no content");
    }
}
