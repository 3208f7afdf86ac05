//! Wire requests to the domain's, checked: what leaves here is within every limit but those that
//! need the picture.

use super::box_heatmaps::convert_box_heatmaps;
use super::limits::{RequestLimits, number, share};
use super::zoom::convert_zoom;
use crate::explain::{Method, Recipe, Smoothing};
use crate::proto::v1;
use crate::serving::ServingError;
use crate::verification::{
    Detection, Encoding, Frame, Heatmaps, Regions, Resolution, Similarity, VerifyRequest,
};
use crate::vision::image::RawFormat;

/// The four parts of a request, as they come in one message or another.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) similarity: Option<v1::SimilarityQuery>,
    pub(super) detection: Option<v1::DetectionQuery>,
    pub(super) regions: Option<v1::RegionQuery>,
    pub(super) heatmaps: Option<v1::HeatmapQuery>,
}

impl Parts {
    /// Checks every field; at least one part is required.
    pub(super) fn convert(self, limits: &RequestLimits) -> Result<VerifyRequest, ServingError> {
        let Self { similarity, detection, regions, heatmaps } = self;
        let asked = VerifyRequest {
            similarity: similarity.map(|part| convert_similarity(part, limits)).transpose()?,
            detection: detection.map(|part| convert_detection(part, limits)).transpose()?,
            regions: regions.map(|part| convert_regions(part, limits)).transpose()?,
            heatmaps: heatmaps.map(|part| convert_heatmaps(part, limits)).transpose()?,
        };
        let VerifyRequest { similarity, detection, regions, heatmaps } = &asked;
        let shared = similarity.as_ref().map_or(0, |part| part.prompts.len());
        if let Some(regions) = regions {
            let prompts = own_or_shared("regions.prompts", regions.prompts.len(), shared)?;
            let (scores, limit) = (prompts * regions.max_regions, limits.max_region_scores);
            if scores > limit {
                let reason = format!(
                    "{} regions of {prompts} prompts are {scores} scores, limit {limit}",
                    regions.max_regions
                );
                return Err(ServingError::invalid("regions.max_regions", reason));
            }
        }
        if let Some(maps) = heatmaps {
            let prompts = own_or_shared("heatmaps.prompts", maps.prompts.len(), shared)?;
            let (number, limit) = (prompts * maps.recipes.len(), limits.max_heatmaps);
            if number > limit {
                let reason = format!(
                    "{prompts} prompts by {} methods are {number} maps, limit {limit}",
                    maps.recipes.len()
                );
                return Err(ServingError::invalid("heatmaps.prompts", reason));
            }
        }
        if similarity.is_none() && detection.is_none() && regions.is_none() && heatmaps.is_none() {
            let reason = "nothing is asked: set similarity, detection, regions or heatmaps";
            return Err(ServingError::invalid("similarity", reason));
        }
        Ok(asked)
    }
}

/// How many prompts a part has that may take those of the similarity part.
fn own_or_shared(field: &str, own: usize, shared: usize) -> Result<usize, ServingError> {
    match (own, shared) {
        (0, 0) => {
            let reason = "needs at least 1 prompt, here or in similarity.prompts";
            Err(ServingError::invalid(field, reason))
        }
        (0, shared) => Ok(shared),
        (own, _) => Ok(own),
    }
}

/// The picture itself.
pub(super) fn convert_image(image: Option<v1::Image>) -> Result<Frame, ServingError> {
    let content = image.and_then(|image| image.content);
    match content {
        None => Err(ServingError::invalid("image", "is required: set encoded or raw")),
        Some(v1::image::Content::Encoded(bytes)) => Ok(Frame::Encoded(bytes)),
        Some(v1::image::Content::Raw(raw)) => {
            let v1::RawImage { format, width, height, stride, data } = raw;
            let format = convert_format(format)?;
            Ok(Frame::Raw { format, width, height, stride, data })
        }
    }
}

fn convert_format(format: i32) -> Result<RawFormat, ServingError> {
    match v1::PixelFormat::try_from(format) {
        Ok(v1::PixelFormat::Rgb8) => Ok(RawFormat::Rgb8),
        Ok(v1::PixelFormat::Bgr8) => Ok(RawFormat::Bgr8),
        Ok(v1::PixelFormat::Gray8) => Ok(RawFormat::Gray8),
        Ok(v1::PixelFormat::Nv12) => Ok(RawFormat::Nv12),
        Ok(v1::PixelFormat::I420) => Ok(RawFormat::I420),
        Ok(v1::PixelFormat::Unspecified) => {
            Err(ServingError::invalid("image.raw.format", "is required"))
        }
        Err(_) => Err(unknown("image.raw.format", format)),
    }
}

fn unknown(field: &str, value: i32) -> ServingError {
    ServingError::invalid(field, format!("is {value}, which is no known value"))
}

/// An empty model name means the same as none.
pub(super) fn named(model: Option<String>) -> Option<String> {
    model.filter(|name| !name.is_empty())
}

fn nulls(
    field: &str,
    nulls: Vec<String>,
    limits: &RequestLimits,
) -> Result<Option<Vec<String>>, ServingError> {
    limits.texts(field, &nulls, limits.max_null_prompts)?;
    Ok((!nulls.is_empty()).then_some(nulls))
}

fn convert_similarity(
    part: v1::SimilarityQuery,
    limits: &RequestLimits,
) -> Result<Similarity, ServingError> {
    let v1::SimilarityQuery { model, prompts, null_prompts } = part;
    if prompts.is_empty() {
        return Err(ServingError::invalid("similarity.prompts", "needs at least 1 prompt"));
    }
    limits.prompts("similarity.prompts", &prompts)?;
    let nulls = nulls("similarity.null_prompts", null_prompts, limits)?;
    Ok(Similarity { model: named(model), prompts, nulls, judged: false })
}

pub(super) fn convert_detection(
    part: v1::DetectionQuery,
    limits: &RequestLimits,
) -> Result<Detection, ServingError> {
    let v1::DetectionQuery {
        model,
        min_confidence,
        iou_threshold,
        max_detections,
        classes,
        heatmaps,
    } = part;
    limits.classes("detection.classes", &classes)?;
    let mut detection = Detection { model: named(model), classes, ..Detection::default() };
    if let Some(value) = min_confidence {
        detection.min_confidence = share("detection.min_confidence", value)?;
    }
    if let Some(value) = iou_threshold {
        detection.iou_threshold = share("detection.iou_threshold", value)?;
    }
    if let Some(value) = max_detections {
        detection.max_detections =
            number("detection.max_detections", value, limits.max_detections)?;
    }
    detection.heatmaps = heatmaps.map(|part| convert_box_heatmaps(part, limits)).transpose()?;
    Ok(detection)
}

fn convert_regions(part: v1::RegionQuery, limits: &RequestLimits) -> Result<Regions, ServingError> {
    let v1::RegionQuery { model, prompts, classes, margin_ratio, max_regions } = part;
    limits.prompts("regions.prompts", &prompts)?;
    limits.classes("regions.classes", &classes)?;
    let mut regions = Regions { model: named(model), prompts, classes, ..Regions::default() };
    if let Some(value) = margin_ratio {
        regions.margin_ratio = share("regions.margin_ratio", value)?;
    }
    if let Some(value) = max_regions {
        regions.max_regions = number("regions.max_regions", value, limits.max_regions)?;
    }
    Ok(regions)
}

pub(super) fn convert_heatmaps(
    part: v1::HeatmapQuery,
    limits: &RequestLimits,
) -> Result<Heatmaps, ServingError> {
    let v1::HeatmapQuery { model, prompts, methods, null_prompts, check, zoom, .. } = part;
    limits.prompts("heatmaps.prompts", &prompts)?;
    let nulls = nulls("heatmaps.null_prompts", null_prompts, limits)?;
    let maps = Heatmaps {
        model: named(model),
        prompts,
        nulls,
        resolution: convert_resolution("heatmaps.resolution", part.resolution)?,
        encoding: convert_encoding("heatmaps.encoding", part.encoding)?,
        check,
        zoom: zoom.map(|zoom| convert_zoom(zoom, limits)).transpose()?,
        recipes: convert_recipes(&methods, part.options.unwrap_or_default())?,
    };
    Ok(maps)
}

/// Layers of one query: as many as any tower may have.
pub(super) const MAX_LAYERS: usize = 256;

/// Each method with the options that are meant for it; whether they fit shows with the model.
fn convert_recipes(
    methods: &[i32],
    options: v1::HeatmapOptions,
) -> Result<Vec<Recipe>, ServingError> {
    let v1::HeatmapOptions { layers, eigen_smoothing, augmentation_smoothing, refine, members } =
        options;
    if layers.len() > MAX_LAYERS {
        let reason = format!("has {} items, limit {MAX_LAYERS}", layers.len());
        return Err(ServingError::invalid("heatmaps.options.layers", reason));
    }
    let methods = convert_methods("heatmaps.methods", methods)?;
    let methods = if methods.is_empty() { vec![Method::default()] } else { methods };
    let members = convert_methods("heatmaps.options.members", &members)?;
    let smoothing = Smoothing { eigen: eigen_smoothing, augmentation: augmentation_smoothing };
    let layers: Vec<usize> = layers.into_iter().map(|layer| layer as usize).collect();
    let recipe = |method| Recipe {
        method,
        layers: layers.clone(),
        smoothing,
        refined: refine,
        members: members.clone(),
    };
    Ok(methods.into_iter().map(recipe).collect())
}

pub(super) fn convert_methods(field: &str, methods: &[i32]) -> Result<Vec<Method>, ServingError> {
    let mut converted = Vec::new();
    for (at, &method) in methods.iter().enumerate() {
        let field = format!("{field}[{at}]");
        let method = match v1::HeatmapMethod::try_from(method) {
            Ok(method) => convert_method(method)
                .ok_or_else(|| ServingError::invalid(field.clone(), "is unspecified"))?,
            Err(_) => return Err(unknown(&field, method)),
        };
        if converted.contains(&method) {
            return Err(ServingError::invalid(field, format!("repeats {method}")));
        }
        converted.push(method);
    }
    Ok(converted)
}

fn convert_method(method: v1::HeatmapMethod) -> Option<Method> {
    Some(match method {
        v1::HeatmapMethod::Unspecified => return None,
        v1::HeatmapMethod::GradEclip => Method::GradEclip,
        v1::HeatmapMethod::DirectEffect => Method::DirectEffect,
        v1::HeatmapMethod::Legrad => Method::Legrad,
        v1::HeatmapMethod::Game => Method::Game,
        v1::HeatmapMethod::GradCam => Method::GradCam,
        v1::HeatmapMethod::GradCamPlusPlus => Method::GradCamPlusPlus,
        v1::HeatmapMethod::XGradCam => Method::XGradCam,
        v1::HeatmapMethod::LayerCam => Method::LayerCam,
        v1::HeatmapMethod::HiresCam => Method::HiresCam,
        v1::HeatmapMethod::EigenCam => Method::EigenCam,
        v1::HeatmapMethod::EigenGradCam => Method::EigenGradCam,
        v1::HeatmapMethod::ScoreCam => Method::ScoreCam,
        v1::HeatmapMethod::Rollout => Method::Rollout,
        v1::HeatmapMethod::GradRollout => Method::GradRollout,
        v1::HeatmapMethod::MaskClip => Method::MaskClip,
        v1::HeatmapMethod::ClearClip => Method::ClearClip,
        v1::HeatmapMethod::Naclip => Method::Naclip,
        v1::HeatmapMethod::Sclip => Method::Sclip,
        v1::HeatmapMethod::ClipSurgery => Method::ClipSurgery,
        v1::HeatmapMethod::Gem => Method::Gem,
        v1::HeatmapMethod::Ensemble => Method::Ensemble,
    })
}

pub(super) fn convert_resolution(field: &str, resolution: i32) -> Result<Resolution, ServingError> {
    match v1::HeatmapResolution::try_from(resolution) {
        Ok(v1::HeatmapResolution::Unspecified | v1::HeatmapResolution::Grid) => {
            Ok(Resolution::Grid)
        }
        Ok(v1::HeatmapResolution::Image) => Ok(Resolution::Image),
        Err(_) => Err(unknown(field, resolution)),
    }
}

pub(super) fn convert_encoding(field: &str, encoding: i32) -> Result<Encoding, ServingError> {
    match v1::HeatmapEncoding::try_from(encoding) {
        Ok(v1::HeatmapEncoding::Unspecified | v1::HeatmapEncoding::F32) => Ok(Encoding::F32),
        Ok(v1::HeatmapEncoding::F16) => Ok(Encoding::F16),
        Ok(v1::HeatmapEncoding::U8) => Ok(Encoding::U8),
        Ok(v1::HeatmapEncoding::PngOverlay) => Ok(Encoding::Png),
        Err(_) => Err(unknown(field, encoding)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity() -> v1::SimilarityQuery {
        v1::SimilarityQuery { prompts: vec!["a".to_owned()], ..Default::default() }
    }

    fn check(parts: Parts, message: &str) {
        let error = parts.convert(&RequestLimits::default()).unwrap_err();
        assert_eq!(error.to_string(), message);
    }

    #[test]
    fn what_is_left_out_takes_the_documented_default() {
        let parts = Parts {
            similarity: Some(similarity()),
            detection: Some(v1::DetectionQuery::default()),
            regions: Some(v1::RegionQuery::default()),
            heatmaps: Some(v1::HeatmapQuery::default()),
        };
        let asked = parts.convert(&RequestLimits::default()).unwrap();
        let detection = asked.detection.unwrap();
        let rounded = (detection.min_confidence, detection.iou_threshold);
        assert_eq!((rounded, detection.max_detections), ((0.25, 0.7), 300));
        let regions = asked.regions.unwrap();
        assert_eq!((regions.margin_ratio, regions.max_regions), (0.1, 32));
        let maps = asked.heatmaps.unwrap();
        assert_eq!(maps.recipes, [Recipe::default()]);
        assert_eq!((maps.resolution, maps.encoding), (Resolution::Grid, Encoding::F32));
    }

    #[test]
    fn a_zero_that_was_sent_is_not_a_default() {
        let detection = v1::DetectionQuery { min_confidence: Some(0.0), ..Default::default() };
        let limits = RequestLimits::default();
        assert!(convert_detection(detection, &limits).unwrap().min_confidence < 1e-9);
        let detection = Some(v1::DetectionQuery { max_detections: Some(0), ..Default::default() });
        check(
            Parts { detection, ..Parts::default() },
            "detection.max_detections: is 0, must be 1 to 1000",
        );
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        check(
            Parts::default(),
            "similarity: nothing is asked: set similarity, detection, regions or heatmaps",
        );
        let regions = Some(v1::RegionQuery::default());
        check(
            Parts { regions, ..Parts::default() },
            "regions.prompts: needs at least 1 prompt, here or in similarity.prompts",
        );
        let regions = Some(v1::RegionQuery { margin_ratio: Some(f32::NAN), ..Default::default() });
        check(
            Parts { regions, ..Parts::default() },
            "regions.margin_ratio: is NaN, must be 0 to 1",
        );
        let heatmaps = |query| Parts {
            similarity: Some(similarity()),
            heatmaps: Some(query),
            ..Parts::default()
        };
        check(
            heatmaps(v1::HeatmapQuery { methods: vec![1, 1], ..Default::default() }),
            "heatmaps.methods[1]: repeats grad_eclip",
        );
        check(
            heatmaps(v1::HeatmapQuery { methods: vec![99], ..Default::default() }),
            "heatmaps.methods[0]: is 99, which is no known value",
        );
        let layers = v1::HeatmapOptions { layers: vec![0; 257], ..Default::default() };
        check(
            heatmaps(v1::HeatmapQuery { options: Some(layers), ..Default::default() }),
            "heatmaps.options.layers: has 257 items, limit 256",
        );
        check(
            heatmaps(v1::HeatmapQuery { resolution: 7, ..Default::default() }),
            "heatmaps.resolution: is 7, which is no known value",
        );
        check(
            heatmaps(v1::HeatmapQuery { encoding: -1, ..Default::default() }),
            "heatmaps.encoding: is -1, which is no known value",
        );
        check(
            heatmaps(v1::HeatmapQuery { prompts: vec!["a".to_owned(); 65], ..Default::default() }),
            "heatmaps.prompts: 65 prompts by 1 methods are 65 maps, limit 64",
        );
    }
}
