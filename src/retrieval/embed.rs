//! An item to its embeddings.

use std::ops::Range;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::{Library, NewItem, Opened, RetrievalError};
use crate::evidence::passages::Passages;
use crate::evidence::{Chunk, Embedded, Image, Place};
use crate::serving::clip::TextEmbedding;
use crate::serving::yolo::{DetectorService, Found};
use crate::serving::{ServingError, Terms, blocking};
use crate::verification::{Frame, MARGIN_RATIO, decode, embed_crop};
use crate::vision::boxes::{NmsOptions, Rect};
use crate::vision::image::Rgb8;

/// A passage repeats at most one in so many tokens of the one before.
const OVERLAP: usize = 5;

impl Library {
    /// An item with its embeddings. Errors of invalid inputs name the item's fields: `item.text`.
    pub(super) async fn embed(
        &self,
        opened: &Opened,
        new: NewItem,
        terms: Terms,
    ) -> Result<Embedded, RetrievalError> {
        let NewItem { mut item, picture } = new;
        if let Some(frame) = &picture {
            item.image = Some(if opened.collection.options.keep_images {
                kept(frame)?
            } else {
                Image::Uri(item.source.clone())
            });
        }
        self.store.check(&item)?;
        let mut chunks = Vec::new();
        if let Some(text) = item.text.as_deref().filter(|text| !text.trim().is_empty()) {
            chunks.extend(self.passages(opened, text, terms).await?);
        }
        if let Some(frame) = picture {
            let pixels = decode(&self.catalog, frame, &self.image_limits, terms).await;
            let pixels = pixels.map_err(|error| error.within("item."))?;
            chunks.extend(self.views(opened, pixels, terms).await?);
        }
        if chunks.is_empty() {
            let reason = "has neither a text that says anything nor an image";
            return Err(ServingError::invalid("item", reason).into());
        }
        Ok(Embedded { item, chunks })
    }

    /// The text in pieces that the tower takes whole.
    async fn passages(
        &self,
        opened: &Opened,
        text: &str,
        terms: Terms,
    ) -> Result<Vec<Chunk>, RetrievalError> {
        let clip = &opened.clip;
        let (count, most) = (clip.token_counter(), clip.context_tokens());
        let passages = Passages {
            max_tokens: most,
            overlap_tokens: most / OVERLAP,
            max_passages: self.store.limits().max_chunks,
        };
        let text: Arc<str> = text.into();
        let whole = Arc::clone(&text);
        let slot = self.catalog.cpu_slot(terms).await?;
        let ranges = blocking(slot, move || passages.cut(&whole, count)).await?;
        let ranges =
            ranges.map_err(|error| ServingError::invalid("item.text", error.to_string()))?;
        let pieces: Vec<String> = ranges.iter().map(|range| text[range.clone()].into()).collect();
        let embedded = clip.embed_texts(&pieces, terms).await?;
        let chunk = |(range, embedding): (Range<usize>, TextEmbedding)| Chunk {
            place: Place::Text { start: range.start, end: range.end },
            vector: embedding.vector.to_vec(),
        };
        Ok(ranges.into_iter().zip(embedded).map(chunk).collect())
    }

    /// The picture as a whole, and its boxes.
    async fn views(
        &self,
        opened: &Opened,
        pixels: Arc<Rgb8>,
        terms: Terms,
    ) -> Result<Vec<Chunk>, RetrievalError> {
        let whole = opened.clip.embed_image(Arc::clone(&pixels), None, terms).await?;
        let mut chunks = vec![Chunk { place: Place::Image, vector: whole.vector }];
        let options = &opened.collection.options;
        let Some(detector) = &options.detector else { return Ok(chunks) };
        let detector = self.catalog.detector(Some(detector))?;
        let nms = NmsOptions {
            min_confidence: options.min_confidence,
            max_detections: self.store.limits().max_regions,
            ..NmsOptions::default()
        };
        let found = detector.detect(Arc::clone(&pixels), nms, None, terms).await?;
        let regions: Vec<(Rect, Place)> =
            found.boxes.iter().filter_map(|found| region(found, &detector, &pixels)).collect();
        let embedding = regions.into_iter().map(|place| self.part(opened, &pixels, place, terms));
        let at_once = opened.clip.max_batch();
        let regions: Vec<Chunk> = stream::iter(embedding).buffered(at_once).try_collect().await?;
        chunks.extend(regions);
        Ok(chunks)
    }

    /// A box of the picture.
    async fn part(
        &self,
        opened: &Opened,
        pixels: &Arc<Rgb8>,
        (box_px, place): (Rect, Place),
        terms: Terms,
    ) -> Result<Chunk, RetrievalError> {
        let (width, height) = (pixels.width() as f32, pixels.height() as f32);
        let wider = box_px.expanded(MARGIN_RATIO).clipped(width, height);
        let seen = embed_crop(&self.catalog, &opened.clip, (pixels, wider), terms).await?;
        Ok(Chunk { place, vector: seen.vector })
    }
}

/// What a detector found, as far as it lies on the picture.
fn region(found: &Found, detector: &DetectorService, pixels: &Rgb8) -> Option<(Rect, Place)> {
    let (width, height) = (pixels.width() as f32, pixels.height() as f32);
    let rect = found.rect.clipped(width, height);
    if rect.x1 >= rect.x2 || rect.y1 >= rect.y2 {
        return None;
    }
    let place = Place::Region {
        region: [rect.x1, rect.y1, rect.x2, rect.y2],
        class: detector.classes().get(found.class).cloned().unwrap_or_default(),
        confidence: found.confidence.clamp(0.0, 1.0),
    };
    Some((rect, place))
}

/// The picture's bytes as they came. Raw pixels have no encoding to keep.
fn kept(frame: &Frame) -> Result<Image, ServingError> {
    match frame {
        Frame::Encoded(bytes) => Ok(Image::Bytes(bytes.to_vec())),
        Frame::Raw { .. } => {
            let reason = "is raw pixels, which are not kept: send an encoded picture, or make the \
                          collection with keep_images off";
            Err(ServingError::invalid("item.image", reason))
        }
    }
}
