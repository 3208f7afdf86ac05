//! Evidence that models read: items are embedded and kept, and found by text, by picture, or both.
//!
//! Imports: evidence, telemetry, vision, serving, verification.
//!
//! The store knows no model and the models know no store; a [`Library`] joins them. An item becomes
//! chunks: its text in passages as long as the text tower reads, its picture as a whole, and the
//! boxes that the collection's detector finds in it.

mod embed;
mod error;
mod ingest;
mod search;

use std::sync::Arc;

use crate::evidence::{Collection, Model, Options, Store};
use crate::serving::clip::ClipService;
use crate::serving::{Catalog, Lease, ServingError};
use crate::vision::image::Limits;

pub use error::RetrievalError;
pub use ingest::{Brought, NewItem, Outcome, Put};
pub use search::{Found, Query, Results, Wanted};

/// A store of evidence with the models that embed for it. Cheap to clone.
#[derive(Clone)]
pub struct Library {
    store: Arc<Store>,
    catalog: Arc<Catalog>,
    image_limits: Limits,
}

impl Library {
    /// Joins a store with the models that are served; `image_limits` bounds pictures of items and
    /// queries.
    pub fn new(store: Arc<Store>, catalog: Arc<Catalog>, image_limits: Limits) -> Self {
        Self { store, catalog, image_limits }
    }

    /// The store, for all that needs no model.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Creates an empty collection for a CLIP model, or the default one.
    ///
    /// # Errors
    /// [`RetrievalError::Serving`] where there is no such model or detector, and what the store
    /// fails with.
    pub async fn create(
        &self,
        name: &str,
        model: Option<&str>,
        options: Options,
    ) -> Result<Collection, RetrievalError> {
        let clip = self.catalog.clip(model)?;
        if let Some(detector) = &options.detector {
            self.catalog.detector(Some(detector))?;
        }
        Ok(self.store.create(name, model_of(&clip), options).await?)
    }

    /// A collection: whose embeddings it holds, and what it keeps.
    ///
    /// # Errors
    /// [`RetrievalError::Store`] where there is none of this name.
    pub async fn collection(&self, name: &str) -> Result<Collection, RetrievalError> {
        Ok(self.store.collection(name).await?)
    }

    /// The model that made a collection's embeddings: whoever embeds with it may compare.
    ///
    /// # Errors
    /// As [`collection`](Self::collection), and [`RetrievalError::NoModel`].
    pub async fn model(&self, name: &str) -> Result<Lease<ClipService>, RetrievalError> {
        Ok(self.opened(name).await?.clip)
    }

    /// A collection and the model that embeds for it.
    async fn opened(&self, name: &str) -> Result<Opened, RetrievalError> {
        let collection = self.store.collection(name).await?;
        let wanted = &collection.model;
        let served = self.catalog.clips();
        if let Some(clip) = served.into_iter().find(|clip| model_of(clip) == *wanted) {
            return Ok(Opened { collection, clip });
        }
        let served = match self.catalog.clip(Some(&wanted.name)) {
            Ok(other) => format!("'{}' is {} now", wanted.name, model_of(&other)),
            Err(loading @ ServingError::Loading(_)) => return Err(loading.into()),
            Err(error) => error.to_string(),
        };
        let expected = wanted.to_string();
        Err(RetrievalError::NoModel { collection: collection.name, expected, served })
    }
}

/// What a call on a collection works with, from its beginning to its end.
struct Opened {
    collection: Collection,
    /// The very weights that made the collection's embeddings.
    clip: Lease<ClipService>,
}

fn model_of(clip: &ClipService) -> Model {
    let identity = clip.identity();
    Model {
        name: identity.name.clone(),
        checksum: identity.checksum.clone(),
        dimension: clip.dimension(),
    }
}
