//! Wire to domain: every field is checked here, and trusted from here on. Errors name the field,
//! the value and the limit.

use std::time::Duration;

use super::Config;
use crate::explain::Method;
use crate::proto::v1;
use crate::serving::ServingError;
use crate::verification::{
    Detection, Encoding, Frame, Heatmaps, Regions, Resolution, Similarity, VerifyRequest,
};
use crate::vision::image::RawFormat;

/// The most null prompts of a request.
const MAX_NULLS: usize = 64;
/// The most class names of a filter.
const MAX_CLASSES: usize = 256;
/// The most boxes of a detection, and of regions.
const MAX_DETECTIONS: u32 = 1000;
const MAX_REGIONS: u32 = 256;
/// The widest window of a stream, and the one it has by default.
const MAX_IN_FLIGHT: u32 = 64;
const DEFAULT_IN_FLIGHT: u32 = 8;

type Checked<T> = Result<T, ServingError>;

fn invalid<T>(field: impl Into<String>, reason: impl Into<String>) -> Checked<T> {
    Err(ServingError::invalid(field, reason))
}

/// The four parts as they came.
#[derive(Default)]
pub(super) struct Parts {
    pub(super) similarity: Option<v1::SimilarityQuery>,
    pub(super) detection: Option<v1::DetectionQuery>,
    pub(super) regions: Option<v1::RegionQuery>,
    pub(super) heatmaps: Option<v1::HeatmapQuery>,
}

/// What a stream's configuration says.
pub(super) struct StreamPlan {
    pub(super) request: VerifyRequest,
    pub(super) max_in_flight: usize,
    pub(super) frame_timeout: Option<Duration>,
}

/// A picture that is there and has content.
pub(super) fn frame(image: Option<v1::Image>) -> Checked<Frame> {
    match image.and_then(|image| image.content) {
        None => invalid("image", "is missing; set image.encoded or image.raw"),
        Some(v1::image::Content::Encoded(bytes)) => Ok(Frame::Encoded(bytes)),
        Some(v1::image::Content::Raw(raw)) => {
            let format = match v1::PixelFormat::try_from(raw.format) {
                Ok(v1::PixelFormat::Rgb8) => RawFormat::Rgb8,
                Ok(v1::PixelFormat::Bgr8) => RawFormat::Bgr8,
                Ok(v1::PixelFormat::Gray8) => RawFormat::Gray8,
                Ok(v1::PixelFormat::Nv12) => RawFormat::Nv12,
                Ok(v1::PixelFormat::I420) => RawFormat::I420,
                Ok(v1::PixelFormat::Unspecified) | Err(_) => {
                    let reason = format!("is {}; set RGB8, BGR8, GRAY8, NV12 or I420", raw.format);
                    return invalid("image.raw.format", reason);
                }
            };
            let v1::RawImage { width, height, stride, data, format: _ } = raw;
            Ok(Frame::Raw { format, width, height, stride, data })
        }
    }
}

impl Config {
    /// Everything asked of a frame; at least one part.
    pub(super) fn request(&self, parts: Parts) -> Checked<VerifyRequest> {
        let Parts { similarity, detection, regions, heatmaps } = parts;
        if similarity.is_none() && detection.is_none() && regions.is_none() && heatmaps.is_none() {
            return invalid(
                "similarity",
                "nothing is asked; set similarity, detection, regions or heatmaps",
            );
        }
        let request = VerifyRequest {
            similarity: similarity.map(|part| self.similarity(part)).transpose()?,
            detection: detection.map(|part| self.detection(part)).transpose()?,
            regions: regions.map(|part| self.regions(part)).transpose()?,
            heatmaps: heatmaps.map(|part| self.heatmaps(part)).transpose()?,
        };
        self.count_heatmaps(&request)?;
        Ok(request)
    }

    fn similarity(&self, query: v1::SimilarityQuery) -> Checked<Similarity> {
        if query.prompts.is_empty() {
            return invalid("similarity.prompts", "has 0 prompts, needs at least 1");
        }
        Ok(Similarity {
            model: query.model,
            prompts: self.prompts("similarity.prompts", query.prompts)?,
            nulls: self.nulls("similarity.null_prompts", query.null_prompts)?,
        })
    }

    /// Boxes; also of the unary `Detect`.
    pub(super) fn detection(&self, query: v1::DetectionQuery) -> Checked<Detection> {
        let default = Detection::default();
        let share = |name: &str, value: Option<f32>, default| {
            share(&format!("detection.{name}"), value, default)
        };
        let max = query.max_detections.map_or(Ok(default.max_detections), |value| {
            within("detection.max_detections", value, MAX_DETECTIONS)
        })?;
        Ok(Detection {
            model: query.model,
            min_confidence: share("min_confidence", query.min_confidence, default.min_confidence)?,
            iou_threshold: share("iou_threshold", query.iou_threshold, default.iou_threshold)?,
            max_detections: max,
            classes: classes("detection.classes", query.classes)?,
        })
    }

    fn regions(&self, query: v1::RegionQuery) -> Checked<Regions> {
        let default = Regions::default();
        let max = query.max_regions.map_or(Ok(default.max_regions), |value| {
            within("regions.max_regions", value, MAX_REGIONS)
        })?;
        Ok(Regions {
            model: query.model,
            prompts: self.prompts("regions.prompts", query.prompts)?,
            margin_ratio: share("regions.margin_ratio", query.margin_ratio, default.margin_ratio)?,
            classes: classes("regions.classes", query.classes)?,
            max_regions: max,
        })
    }

    fn heatmaps(&self, query: v1::HeatmapQuery) -> Checked<Heatmaps> {
        let (resolution, encoding) = (query.resolution, query.encoding);
        Ok(Heatmaps {
            model: query.model,
            prompts: self.prompts("heatmaps.prompts", query.prompts)?,
            methods: methods(&query.methods)?,
            nulls: self.nulls("heatmaps.null_prompts", query.null_prompts)?,
            resolution: match v1::HeatmapResolution::try_from(resolution) {
                Ok(v1::HeatmapResolution::Unspecified | v1::HeatmapResolution::Grid) => {
                    Resolution::Grid
                }
                Ok(v1::HeatmapResolution::Image) => Resolution::Image,
                Err(_) => {
                    return invalid(
                        "heatmaps.resolution",
                        format!("is {resolution}; set GRID or IMAGE"),
                    );
                }
            },
            encoding: match v1::HeatmapEncoding::try_from(encoding) {
                Ok(v1::HeatmapEncoding::Unspecified | v1::HeatmapEncoding::F32) => Encoding::F32,
                Ok(v1::HeatmapEncoding::F16) => Encoding::F16,
                Ok(v1::HeatmapEncoding::U8) => Encoding::U8,
                Ok(v1::HeatmapEncoding::PngOverlay) => Encoding::Png,
                Err(_) => {
                    let reason = format!("is {encoding}; set F32, F16, U8 or PNG_OVERLAY");
                    return invalid("heatmaps.encoding", reason);
                }
            },
        })
    }

    fn count_heatmaps(&self, request: &VerifyRequest) -> Checked<()> {
        let Some(maps) = &request.heatmaps else { return Ok(()) };
        let borrowed = request.similarity.as_ref().map_or(0, |part| part.prompts.len());
        let prompts = if maps.prompts.is_empty() { borrowed } else { maps.prompts.len() };
        let count = prompts * maps.methods.len();
        if count > self.max_heatmaps {
            let reason = format!("ask for {count} maps, limit {}", self.max_heatmaps);
            return invalid("heatmaps", reason);
        }
        Ok(())
    }

    /// Texts that say something.
    fn prompts(&self, field: &str, prompts: Vec<String>) -> Checked<Vec<String>> {
        if let Some(index) = prompts.iter().position(|prompt| prompt.trim().is_empty()) {
            return invalid(format!("{field}[{index}]"), "is empty; say what the picture may show");
        }
        self.texts(field, prompts, self.max_prompts)
    }

    fn nulls(&self, field: &str, nulls: Vec<String>) -> Checked<Option<Vec<String>>> {
        if nulls.is_empty() {
            return Ok(None);
        }
        self.texts(field, nulls, MAX_NULLS).map(Some)
    }

    /// Texts that may be empty, so many at most.
    pub(super) fn texts(
        &self,
        field: &str,
        texts: Vec<String>,
        limit: usize,
    ) -> Checked<Vec<String>> {
        if texts.len() > limit {
            return invalid(field, format!("has {} entries, limit {limit}", texts.len()));
        }
        let long = texts.iter().position(|text| text.len() > self.max_prompt_bytes);
        if let Some(index) = long {
            let (bytes, limit) = (texts[index].len(), self.max_prompt_bytes);
            return invalid(
                format!("{field}[{index}]"),
                format!("has {bytes} bytes, limit {limit}"),
            );
        }
        Ok(texts)
    }

    /// A stream's configuration. A later one must repeat, or leave out, what `before` has fixed.
    pub(super) fn stream(
        &self,
        config: v1::StreamConfig,
        before: Option<&StreamPlan>,
    ) -> Checked<StreamPlan> {
        match v1::OverloadPolicy::try_from(config.policy) {
            Ok(v1::OverloadPolicy::Unspecified | v1::OverloadPolicy::Wait) => {}
            Ok(v1::OverloadPolicy::DropOldest | v1::OverloadPolicy::DropNewest) | Err(_) => {
                let reason = format!("is {}; this server knows WAIT", config.policy);
                return invalid("config.policy", reason);
            }
        }
        let asked = config
            .max_in_flight
            .map(|value| within("config.max_in_flight", value, MAX_IN_FLIGHT))
            .transpose()?;
        let fixed = before.map_or(DEFAULT_IN_FLIGHT as usize, |plan| plan.max_in_flight);
        let max_in_flight = asked.unwrap_or(fixed);
        if before.is_some() && max_in_flight != fixed {
            let reason =
                format!("is {max_in_flight}, the stream began with {fixed}; open another stream");
            return invalid("config.max_in_flight", reason);
        }
        let frame_timeout = config.frame_timeout.map(timeout).transpose()?;
        let v1::StreamConfig { similarity, detection, regions, heatmaps, .. } = config;
        let request = self
            .request(Parts { similarity, detection, regions, heatmaps })
            .map_err(|error| error.within("config."))?;
        Ok(StreamPlan { request, max_in_flight, frame_timeout })
    }
}

fn timeout(value: prost_types::Duration) -> Checked<Duration> {
    match Duration::try_from(value) {
        Ok(timeout) if !timeout.is_zero() => Ok(timeout),
        Ok(_) | Err(_) => {
            let reason = format!("is {}.{:09} s, needs more than 0", value.seconds, value.nanos);
            invalid("config.frame_timeout", reason)
        }
    }
}

/// Each method once; the default where none is named.
fn methods(numbers: &[i32]) -> Checked<Vec<Method>> {
    if numbers.is_empty() {
        return Ok(Heatmaps::default().methods);
    }
    let mut methods = Vec::new();
    for (index, &number) in numbers.iter().enumerate() {
        let field = format!("heatmaps.methods[{index}]");
        let method = match v1::HeatmapMethod::try_from(number) {
            Ok(v1::HeatmapMethod::GradEclip) => Method::GradEclip,
            Ok(v1::HeatmapMethod::DirectEffect) => Method::DirectEffect,
            Ok(v1::HeatmapMethod::Unspecified) | Err(_) => {
                return invalid(field, format!("is {number}; set GRAD_ECLIP or DIRECT_EFFECT"));
            }
        };
        if methods.contains(&method) {
            return invalid(field, format!("{method} is named twice"));
        }
        methods.push(method);
    }
    Ok(methods)
}

fn classes(field: &str, classes: Vec<String>) -> Checked<Vec<String>> {
    if classes.len() > MAX_CLASSES {
        return invalid(field, format!("has {} names, limit {MAX_CLASSES}", classes.len()));
    }
    Ok(classes)
}

/// A number from 0 to 1.
fn share(field: &str, value: Option<f32>, default: f32) -> Checked<f32> {
    match value {
        None => Ok(default),
        // NaN is in no range.
        Some(value) if (0.0..=1.0).contains(&value) => Ok(value),
        Some(value) => invalid(field, format!("is {value}, must be from 0 to 1")),
    }
}

/// A count from 1 to `limit`.
fn within(field: &str, value: u32, limit: u32) -> Checked<usize> {
    if (1..=limit).contains(&value) {
        Ok(value as usize)
    } else {
        invalid(field, format!("is {value}, must be from 1 to {limit}"))
    }
}
