//! The served model as evaluations want it: through the same engine that answers requests.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use tokio::runtime::Runtime;

use crate::evaluation::faces::{EvaluationError, Scorer};
use crate::evaluation::localisation::Map;
use crate::explain::{Method, Recipe};
use crate::serving::clip::{ClipService, ImageEmbedding, MapJob, TextEmbedding};
use crate::serving::{Lease, Terms};
use crate::vision::image::Rgb8;

/// The served model as the evaluation wants it.
pub(super) struct Served<'a> {
    pub(super) runtime: &'a Runtime,
    pub(super) clip: Lease<ClipService>,
}

impl Served<'_> {
    /// What the model says of a picture, with maps of `prompts` by `methods` against its own nulls.
    pub(super) fn look(
        &self,
        image: &Rgb8,
        prompts: &[String],
        (methods, check): (&[Method], bool),
    ) -> Result<ImageEmbedding, EvaluationError> {
        let vectors = |texts: Vec<TextEmbedding>| texts.into_iter().map(|t| t.vector).collect();
        let maps = MapJob {
            prompts: vectors(self.texts(prompts)?),
            nulls: vectors(self.texts(self.clip.null_prompts())?),
            recipes: methods.iter().copied().map(Recipe::of).collect(),
            check,
        };
        let image = Arc::new(image.clone());
        let seen = self.clip.embed_image(image, Some(maps), Terms::default());
        self.runtime.block_on(seen).map_err(|error| EvaluationError::Model(error.to_string()))
    }

    fn texts(&self, texts: &[String]) -> Result<Vec<TextEmbedding>, EvaluationError> {
        let embedded = self.runtime.block_on(self.clip.embed_texts(texts, Terms::default()));
        embedded.map_err(|error| EvaluationError::Model(error.to_string()))
    }
}

impl Scorer for Served<'_> {
    fn embed_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError> {
        Ok(self.texts(texts)?.into_iter().map(|text| text.vector.to_vec()).collect())
    }

    fn embed_images(&mut self, images: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
        let waiting = images.iter().map(|image| {
            let image = Arc::new((*image).clone());
            self.clip.embed_image(image, None, Terms::default())
        });
        // Two batches at a time: one runs while the next gathers.
        let seen = stream::iter(waiting).buffered(self.clip.max_batch() * 2).try_collect();
        let seen: Result<Vec<ImageEmbedding>, _> = self.runtime.block_on(seen);
        let seen = seen.map_err(|error| EvaluationError::Model(error.to_string()))?;
        Ok(seen.into_iter().map(|seen| seen.vector).collect())
    }

    fn heatmaps(
        &mut self,
        image: &Rgb8,
        prompts: &[String],
        methods: &[Method],
    ) -> Result<Vec<Map>, EvaluationError> {
        let seen = self.look(image, prompts, (methods, false))?;
        let area = seen.area;
        let map = |map: crate::explain::RawMap| Map { values: map.values, grid: map.grid, area };
        Ok(seen.maps.into_iter().map(map).collect())
    }
}
