//! The way of one frame, read top to bottom.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};

use super::encode;
use super::request::{
    BoxHeatmaps, Detected, Detection, Frame, Heatmaps, Regions, Similarity, VerifyRequest,
};
use super::result::{
    DetectionResult, Heatmap, HeatmapsResult, Region, RegionsResult, SimilarityResult, Timing,
    VerifyResult,
};
use super::score::{confide, scores};
use super::zoom::{Closer, put_together};
use crate::calibration::CalibrationFile;
use crate::explain::{RawMap, Recipe};
use crate::serving::clip::{ClipService, ImageEmbedding, MapJob, StageTiming, TextEmbedding};
use crate::serving::yolo::{DetectorService, Found};
use crate::serving::{Catalog, ServingError, Snapshot, Terms, blocking};
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::Lap;
use crate::vision::boxes::{NmsOptions, Rect};
use crate::vision::image::{Limits, Rgb8, decode as decode_bytes, from_raw};
use crate::vision::overlay::Heat;
use crate::vision::resize::crop;

/// Answers everything that `request` asks of a frame.
///
/// # Errors
/// [`ServingError::Invalid`] for a picture or a field that must be changed, and whatever the models
/// answer; nothing is answered in part.
pub async fn verify(
    catalog: &Catalog,
    frame: Frame,
    request: &VerifyRequest,
    limits: &Limits,
    terms: Terms,
) -> Result<VerifyResult, ServingError> {
    let arrived = Instant::now();
    let image = decode(catalog, frame, limits, terms).await?;
    let decode = arrived.elapsed();
    let mut result = verify_image(catalog, image, request, terms).await?;
    result.timing.decode = decode;
    result.timing.total = arrived.elapsed();
    Ok(result)
}

/// The pixels of a frame; an error is about the field `image`.
pub async fn decode(
    catalog: &Catalog,
    frame: Frame,
    limits: &Limits,
    terms: Terms,
) -> Result<Arc<Rgb8>, ServingError> {
    let slot = catalog.cpu_slot(terms).await?;
    let limits = *limits;
    let started = Instant::now();
    let image = blocking(slot, move || match frame {
        Frame::Encoded(bytes) => decode_bytes(&bytes, &limits),
        Frame::Raw { format, width, height, stride, data } => {
            from_raw(format, (width, height), stride, &data, &limits)
        }
    })
    .await?;
    Lap::since(Stage::Decode, started).record();
    image.map(Arc::new).map_err(|error| ServingError::invalid("image", error.to_string()))
}

/// The same as [`verify`] for a frame that is decoded already.
pub async fn verify_image(
    catalog: &Catalog,
    image: Arc<Rgb8>,
    request: &VerifyRequest,
    terms: Terms,
) -> Result<VerifyResult, ServingError> {
    let started = Instant::now();
    // One look at the names: a swap meanwhile must not give one answer two versions of a model.
    let models = &catalog.snapshot();
    let (looked, found) = tokio::try_join!(
        look_for_all(models, &image, request, terms),
        find_boxes(models, &image, request, terms),
    )?;
    let mut timing = Timing { total: started.elapsed(), ..Timing::default() };
    looked.stages.iter().chain(&found.stages).for_each(|stage| timing.add(stage));
    timing.postprocess = looked.postprocess + found.postprocess;
    timing.total = started.elapsed();
    Ok(VerifyResult {
        size: (image.width(), image.height()),
        similarity: looked.similarity,
        heatmaps: looked.heatmaps,
        detection: found.detection,
        regions: found.regions,
        timing,
    })
}

impl Timing {
    /// Counts in one job's time on its way.
    pub fn add(&mut self, stage: &StageTiming) {
        self.preprocess += stage.preprocess;
        self.queue = self.queue.max(stage.queue);
        self.inference += stage.inference;
        self.explain += stage.explain;
        self.batch = self.batch.max(stage.batch);
    }
}

/// What CLIP says of the whole frame.
#[derive(Default)]
struct Looked {
    similarity: Option<SimilarityResult>,
    heatmaps: Option<HeatmapsResult>,
    stages: Vec<StageTiming>,
    postprocess: Duration,
}

/// Scores and heatmaps share one forward pass where they share a model.
async fn look_for_all(
    models: &Snapshot<'_>,
    image: &Arc<Rgb8>,
    request: &VerifyRequest,
    terms: Terms,
) -> Result<Looked, ServingError> {
    let similarity = request.similarity.as_ref();
    let maps = request.heatmaps.as_ref().map(|maps| maps.completed(similarity)).transpose()?;
    let same_model = match (similarity, &maps) {
        (Some(similarity), Some(maps)) => similarity.model == maps.model,
        _ => true,
    };
    let view = View { models, image, terms };
    if same_model {
        return view.look(similarity, maps.as_ref()).await;
    }
    let (mut scored, mapped) =
        tokio::try_join!(view.look(similarity, None), view.look(None, maps.as_ref()))?;
    scored.heatmaps = mapped.heatmaps;
    scored.stages.extend(mapped.stages);
    scored.postprocess += mapped.postprocess;
    Ok(scored)
}

impl Heatmaps {
    /// With the model and the prompts of the similarity part where this one names none.
    fn completed(&self, similarity: Option<&Similarity>) -> Result<Self, ServingError> {
        let mut maps = self.clone();
        if let Some(similarity) = similarity {
            maps.model = maps.model.or_else(|| similarity.model.clone());
            maps.nulls = maps.nulls.or_else(|| similarity.nulls.clone());
            if maps.prompts.is_empty() {
                maps.prompts.clone_from(&similarity.prompts);
            }
        }
        if maps.prompts.is_empty() {
            let reason = "needs at least 1 prompt, here or in similarity.prompts";
            return Err(ServingError::invalid("heatmaps.prompts", reason));
        }
        Ok(maps)
    }
}

/// One frame before the models of one moment.
pub(super) struct View<'a> {
    pub(super) models: &'a Snapshot<'a>,
    pub(super) image: &'a Arc<Rgb8>,
    pub(super) terms: Terms,
}

impl View<'_> {
    /// One forward pass for both parts; both name the same model.
    async fn look(
        &self,
        similarity: Option<&Similarity>,
        maps: Option<&Heatmaps>,
    ) -> Result<Looked, ServingError> {
        let model = match (similarity, maps) {
            (None, None) => return Ok(Looked::default()),
            (Some(similarity), _) => similarity.model.as_deref(),
            (None, Some(maps)) => maps.model.as_deref(),
        };
        let clip = self.models.clip(model)?;
        if let Some(part) = maps {
            part.affordable(&clip, part.prompts.len())?;
        }
        let scored = async {
            let Some(part) = similarity else { return Ok(None) };
            Texts::embed(&clip, &part.prompts, part.nulls.as_deref(), self.terms).await.map(Some)
        };
        let mapped = async {
            let Some(part) = maps else { return Ok(None) };
            Texts::embed(&clip, &part.prompts, part.nulls.as_deref(), self.terms).await.map(Some)
        };
        let (scored, mapped) = tokio::try_join!(scored, mapped)?;
        let job =
            maps.zip(mapped.as_ref()).map(|(part, texts)| texts.job(&part.recipes, part.check));
        let closer = async {
            let (Some(part), Some(texts)) = (maps, mapped.as_ref()) else { return Ok(Vec::new()) };
            self.look_closer(&clip, part, texts).await
        };
        let whole = clip.embed_image(Arc::clone(self.image), job, self.terms);
        let (seen, closer) = tokio::try_join!(whole, closer)?;
        let started = Instant::now();
        let mut stages = vec![seen.timing];
        stages.extend(closer.iter().map(|look| look.timing));
        let similarity = similarity.zip(scored).map(|(part, texts)| {
            let mut scores = texts.scores(&part.prompts, &seen.vector, &clip);
            let calibration = part.calibration(&clip);
            if let Some(calibration) = calibration {
                confide(&mut scores, calibration);
            }
            let calibration = calibration.map(CalibrationFile::identity);
            let (model, nulls) = (clip.identity().clone(), texts.null_prompts);
            SimilarityResult { model, scores, nulls, calibration }
        });
        let heatmaps = match maps.zip(mapped) {
            None => None,
            Some((part, texts)) => Some(self.draw(&clip, part, texts, (seen, closer)).await?),
        };
        let postprocess = Lap::since(Stage::Postprocess, started).record();
        Ok(Looked { similarity, heatmaps, stages, postprocess })
    }

    /// Raw maps to what is sent.
    async fn draw(
        &self,
        clip: &ClipService,
        part: &Heatmaps,
        texts: Texts,
        (seen, closer): (ImageEmbedding, Vec<Closer>),
    ) -> Result<HeatmapsResult, ServingError> {
        let heads: Vec<(String, String, bool)> = part
            .prompts
            .iter()
            .flat_map(|prompt| {
                part.recipes.iter().map(|recipe| {
                    (prompt.clone(), clip.layer_name(recipe), recipe.modifies_network())
                })
            })
            .collect();
        let slot = self.models.catalog().cpu_slot(self.terms).await?;
        let (image, fit, area) = (Arc::clone(self.image), seen.fit, seen.area);
        let (resolution, encoding) = (part.resolution, part.encoding);
        let heatmaps = blocking(slot, move || {
            let maps = heads.into_iter().zip(seen.maps);
            maps.enumerate()
                .map(|(at, ((prompt, layer, modified_network), map))| {
                    let (map, area, looks) = put_together((map, area), &closer, at, &image);
                    let heat = Heat { values: &map.values, grid: map.grid, area };
                    Heatmap {
                        payload: encode::payload(&heat, &image, (resolution, encoding), &[]),
                        prompt,
                        layer,
                        modified_network,
                        fit,
                        area,
                        looks,
                        figures: RawMap { values: Vec::new(), ..map },
                    }
                })
                .collect()
        })
        .await?;
        Ok(HeatmapsResult { model: clip.identity().clone(), heatmaps, nulls: texts.null_prompts })
    }
}

/// Prompts and nulls in the embedding space of one model.
#[derive(Clone, Debug)]
pub struct Texts {
    prompts: Vec<TextEmbedding>,
    nulls: Vec<TextEmbedding>,
    null_prompts: Vec<String>,
}

impl Texts {
    /// Embeds `prompts` and `nulls`; the server's bank of nulls where `None`.
    pub async fn embed(
        clip: &ClipService,
        prompts: &[String],
        nulls: Option<&[String]>,
        terms: Terms,
    ) -> Result<Self, ServingError> {
        let started = Instant::now();
        let null_prompts = nulls.unwrap_or_else(|| clip.null_prompts()).to_vec();
        let (prompts, nulls) = tokio::try_join!(
            clip.embed_texts(prompts, terms),
            clip.embed_texts(&null_prompts, terms)
        )?;
        Lap::since(Stage::Texts, started).of(&clip.identity().name).record();
        Ok(Self { prompts, nulls, null_prompts })
    }

    /// Asks for one map of each prompt by each of `recipes`, prompts outermost.
    pub fn job(&self, recipes: &[Recipe], check: bool) -> MapJob {
        let vectors =
            |texts: &[TextEmbedding]| texts.iter().map(|text| Arc::clone(&text.vector)).collect();
        MapJob {
            prompts: vectors(&self.prompts),
            nulls: vectors(&self.nulls),
            recipes: recipes.to_vec(),
            check,
        }
    }

    /// Scores of `prompts`, those that were embedded, against a picture's unit embedding `[E]`.
    pub fn scores(
        &self,
        prompts: &[String],
        image: &[f32],
        clip: &ClipService,
    ) -> Vec<super::Score> {
        scores(prompts, &self.prompts, &self.nulls, image, clip.scale())
    }
}

/// What the detector says, and CLIP of its boxes.
#[derive(Default)]
struct FoundParts {
    detection: Option<DetectionResult>,
    regions: Option<RegionsResult>,
    stages: Vec<StageTiming>,
    postprocess: Duration,
}

async fn find_boxes(
    models: &Snapshot<'_>,
    image: &Arc<Rgb8>,
    request: &VerifyRequest,
    terms: Terms,
) -> Result<FoundParts, ServingError> {
    if request.detection.is_none() && request.regions.is_none() {
        return Ok(FoundParts::default());
    }
    let asked = request.detection.clone().unwrap_or_default();
    let detector = models.detector(asked.model.as_deref())?;
    let options = suppression(&detector, &asked)?;
    let maps = asked.heatmaps.as_ref().map(BoxHeatmaps::job);
    let found = detector.detect(Arc::clone(image), options, maps, terms).await?;
    let detections = detected(&detector, &found.boxes);
    let mut parts = FoundParts {
        stages: vec![found.timing],
        postprocess: found.postprocess,
        ..FoundParts::default()
    };
    let view = View { models, image, terms };
    let heatmaps = match &asked.heatmaps {
        None => Vec::new(),
        Some(asked) => {
            let (heatmaps, took) = view.draw_boxes(asked, found).await?;
            parts.postprocess += took;
            heatmaps
        }
    };
    if let Some(asked) = &request.regions {
        known_classes("regions.classes", &detector, &asked.classes)?;
        let similarity = request.similarity.as_ref();
        let (regions, stages) = view.regions(asked, similarity, &detector, &detections).await?;
        parts.regions = Some(regions);
        parts.stages.extend(stages);
    }
    parts.detection = request.detection.is_some().then(|| DetectionResult {
        model: detector.identity().clone(),
        detections,
        heatmaps,
    });
    Ok(parts)
}

impl View<'_> {
    /// Every box cut out, embedded together and scored against every prompt.
    async fn regions(
        &self,
        asked: &Regions,
        similarity: Option<&Similarity>,
        detector: &DetectorService,
        detections: &[Detected],
    ) -> Result<(RegionsResult, Vec<StageTiming>), ServingError> {
        let prompts = match similarity {
            Some(similarity) if asked.prompts.is_empty() => &similarity.prompts,
            _ => &asked.prompts,
        };
        if prompts.is_empty() {
            let reason = "needs at least 1 prompt, here or in similarity.prompts";
            return Err(ServingError::invalid("regions.prompts", reason));
        }
        let model = asked.model.as_deref().or(similarity.and_then(|part| part.model.as_deref()));
        let clip = self.models.clip(model)?;
        let nulls = similarity.and_then(|part| part.nulls.as_deref());
        let texts = Texts::embed(&clip, prompts, nulls, self.terms).await?;
        let (width, height) = (self.image.width() as f32, self.image.height() as f32);
        let chosen: Vec<(Detected, Rect)> = detections
            .iter()
            .filter(|found| asked.classes.is_empty() || asked.classes.contains(&found.label))
            .take(asked.max_regions)
            .map(|found| {
                let rect = found.rect.expanded(asked.margin_ratio).clipped(width, height);
                (found.clone(), rect)
            })
            .collect();
        let crops: Vec<Rect> = chosen.iter().map(|(_, rect)| *rect).collect();
        let catalog = self.models.catalog();
        let waiting = crops
            .into_iter()
            .map(|rect| embed_crop(catalog, &clip, (self.image, rect), self.terms));
        let seen: Vec<ImageEmbedding> =
            stream::iter(waiting).buffered(clip.max_batch()).try_collect().await?;
        let stages = seen.iter().map(|seen| seen.timing).collect();
        let regions = chosen.into_iter().zip(&seen).map(|((detected, crop), seen)| Region {
            detected,
            crop,
            scores: texts.scores(prompts, &seen.vector, &clip),
        });
        let result = RegionsResult {
            model: clip.identity().clone(),
            detector: detector.identity().clone(),
            regions: regions.collect(),
        };
        Ok((result, stages))
    }
}

/// A part of a picture, cut out and embedded by itself.
pub async fn embed_crop(
    catalog: &Catalog,
    clip: &ClipService,
    (image, rect): (&Arc<Rgb8>, Rect),
    terms: Terms,
) -> Result<ImageEmbedding, ServingError> {
    let (image, slot) = (Arc::clone(image), catalog.cpu_slot(terms).await?);
    let cut = blocking(slot, move || crop(&image, rect)).await?;
    clip.embed_image(Arc::new(cut), None, terms).await
}

/// Boxes with the names of their classes.
pub fn detected(detector: &DetectorService, boxes: &[Found]) -> Vec<Detected> {
    let label = |class: usize| detector.classes().get(class).cloned().unwrap_or_default();
    let named = boxes.iter().map(|found| Detected {
        rect: found.rect,
        class: found.class,
        label: label(found.class),
        confidence: found.confidence,
    });
    named.collect()
}

/// The detector's terms: class names to indices.
fn suppression(detector: &DetectorService, asked: &Detection) -> Result<NmsOptions, ServingError> {
    Ok(NmsOptions {
        min_confidence: asked.min_confidence,
        iou_threshold: asked.iou_threshold,
        max_detections: asked.max_detections,
        classes: known_classes("detection.classes", detector, &asked.classes)?,
        ..NmsOptions::default()
    })
}

/// Indices of class names; an unknown one is an error that lists the known.
pub(super) fn known_classes(
    field: &str,
    detector: &DetectorService,
    names: &[String],
) -> Result<Vec<usize>, ServingError> {
    let index = |(i, name): (usize, &String)| {
        detector.classes().iter().position(|class| class == name).ok_or_else(|| {
            let known = detector.classes().join(", ");
            let reason = format!("'{name}' is no class of this detector; it knows {known}");
            ServingError::invalid(format!("{field}[{i}]"), reason)
        })
    };
    names.iter().enumerate().map(index).collect()
}
