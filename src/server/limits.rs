//! What a request may ask at most. Every refusal names the field, the value and the limit.

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::serving::ServingError;
use crate::verification::{Encoding, Resolution, VerifyRequest};

/// What a request may ask at most.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RequestLimits {
    /// Prompts of one part, or texts to embed. Default 256.
    pub max_prompts: usize,
    /// One prompt. Default 4 KiB.
    #[serde(with = "crate::units::bytes")]
    pub max_prompt_bytes: usize,
    /// Null prompts of one part. Default 64.
    pub max_null_prompts: usize,
    /// Class names of one part. Default 256.
    pub max_classes: usize,
    /// Boxes of one frame. Default 1000.
    pub max_detections: usize,
    /// Boxes that are scored. Default 256.
    pub max_regions: usize,
    /// Scored boxes times prompts. Default 16 384.
    pub max_region_scores: usize,
    /// Closer looks for the heatmaps of one frame. Default 64.
    pub max_looks: usize,
    /// Prompts times methods. Default 64.
    pub max_heatmaps: usize,
    /// Boxes of one frame that get heatmaps. Default 64.
    pub max_heatmap_boxes: usize,
    /// All heatmaps of one frame as sent. Default 64 MiB.
    #[serde(with = "crate::units::bytes")]
    pub max_heatmap_bytes: usize,
    /// Frames of one stream that are worked on at once. Default 64.
    pub max_in_flight: usize,
    /// Segments of one prompt that a stream's summary lists. Default 64.
    pub max_verdict_segments: usize,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            max_prompts: 256,
            max_prompt_bytes: 4096,
            max_null_prompts: 64,
            max_classes: 256,
            max_detections: 1000,
            max_regions: 256,
            max_region_scores: 16_384,
            max_looks: 64,
            max_heatmaps: 64,
            max_heatmap_boxes: 64,
            max_heatmap_bytes: 64 << 20,
            max_in_flight: 64,
            max_verdict_segments: 64,
        }
    }
}

impl RequestLimits {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.number("max_prompts", self.max_prompts, 1..=65_536);
        bounds.bytes("max_prompt_bytes", self.max_prompt_bytes, 1..=1 << 20);
        bounds.number("max_null_prompts", self.max_null_prompts, 1..=65_536);
        bounds.number("max_classes", self.max_classes, 1..=65_536);
        bounds.number("max_detections", self.max_detections, 1..=100_000);
        bounds.number("max_regions", self.max_regions, 1..=65_536);
        bounds.number("max_region_scores", self.max_region_scores, 1..=16_777_216);
        bounds.number("max_looks", self.max_looks, 1..=1024);
        bounds.number("max_heatmaps", self.max_heatmaps, 1..=65_536);
        bounds.number("max_heatmap_boxes", self.max_heatmap_boxes, 1..=1024);
        bounds.bytes("max_heatmap_bytes", self.max_heatmap_bytes, 1 << 10..=1 << 30);
        bounds.number("max_in_flight", self.max_in_flight, 1..=4096);
        bounds.number("max_verdict_segments", self.max_verdict_segments, 1..=1024);
        bounds.breaches()
    }

    /// A list of at most `limit` prompts, none empty.
    pub(super) fn prompts(&self, field: &str, prompts: &[String]) -> Result<(), ServingError> {
        self.texts(field, prompts, self.max_prompts)?;
        match prompts.iter().position(|prompt| prompt.trim().is_empty()) {
            Some(at) => Err(ServingError::invalid(format!("{field}[{at}]"), "must not be empty")),
            None => Ok(()),
        }
    }

    /// A list of at most `limit` texts.
    pub(super) fn texts(
        &self,
        field: &str,
        texts: &[String],
        limit: usize,
    ) -> Result<(), ServingError> {
        count(field, texts.len(), limit)?;
        let long = texts.iter().enumerate().find(|(_, text)| text.len() > self.max_prompt_bytes);
        match long {
            Some((at, text)) => Err(ServingError::invalid(
                format!("{field}[{at}]"),
                format!("is {} bytes long, limit {}", text.len(), self.max_prompt_bytes),
            )),
            None => Ok(()),
        }
    }

    /// A list of class names.
    pub(super) fn classes(&self, field: &str, classes: &[String]) -> Result<(), ServingError> {
        self.texts(field, classes, self.max_classes)
    }

    /// What the heatmaps of a frame of `size` would weigh. Grids are small; only maps of the
    /// frame's own size count.
    pub(super) fn heatmap_bytes(
        &self,
        asked: &VerifyRequest,
        size: (u32, u32),
    ) -> Result<(), ServingError> {
        let of_prompts = asked.heatmaps.as_ref().map(|maps| {
            let prompts = match &asked.similarity {
                Some(similarity) if maps.prompts.is_empty() => similarity.prompts.len(),
                _ => maps.prompts.len(),
            };
            let number = prompts * maps.recipes.len();
            ("heatmaps", number, number * bytes_of_a_pixel(maps.encoding, maps.resolution))
        });
        let detection = asked.detection.as_ref();
        let of_boxes = detection.and_then(|part| Some((part, part.heatmaps.as_ref()?)));
        let of_boxes = of_boxes.map(|(part, maps)| {
            let number = maps.max_boxes.min(part.max_detections) * maps.methods.len();
            let pixel_bytes = bytes_of_a_pixel(maps.encoding, maps.resolution);
            ("detection.heatmaps", number, number * pixel_bytes)
        });
        let large = of_prompts.into_iter().chain(of_boxes).filter(|&(.., bytes)| bytes > 0);
        let large: Vec<(&str, usize, usize)> = large.collect();
        let (width, height) = size;
        let pixel_bytes: usize = large.iter().map(|&(.., bytes)| bytes).sum();
        let bytes = u64::from(width) * u64::from(height) * pixel_bytes as u64;
        let heaviest = large.iter().max_by_key(|&&(.., bytes)| bytes);
        let Some(&(field, ..)) = heaviest.filter(|_| bytes > self.max_heatmap_bytes as u64) else {
            return Ok(());
        };
        let number: usize = large.iter().map(|&(_, number, _)| number).sum();
        Err(ServingError::invalid(
            field,
            format!(
                "{number} maps of {width}x{height} px weigh {bytes} bytes, limit {}; ask for the \
                 grid resolution, a smaller encoding or fewer maps",
                self.max_heatmap_bytes
            ),
        ))
    }
}

/// What each pixel of the frame adds to a map; nothing for maps on the grid.
fn bytes_of_a_pixel(encoding: Encoding, resolution: Resolution) -> usize {
    match (encoding, resolution) {
        (Encoding::F32 | Encoding::F16 | Encoding::U8, Resolution::Grid) => 0,
        (Encoding::F32 | Encoding::F16 | Encoding::U8, Resolution::Image)
        | (Encoding::Png, Resolution::Grid | Resolution::Image) => encoding.bytes_per_value(),
    }
}

/// At most `limit` items.
pub(super) fn count(field: &str, items: usize, limit: usize) -> Result<(), ServingError> {
    if items > limit {
        return Err(ServingError::invalid(field, format!("has {items} items, limit {limit}")));
    }
    Ok(())
}

/// A share: finite, 0 to 1.
pub(super) fn share(field: &str, value: f32) -> Result<f32, ServingError> {
    if !(0.0..=1.0).contains(&value) {
        return Err(ServingError::invalid(field, format!("is {value}, must be 0 to 1")));
    }
    Ok(value)
}

/// A number of 1 to `limit`.
pub(super) fn number(field: &str, value: u32, limit: usize) -> Result<usize, ServingError> {
    let value = value as usize;
    if value == 0 || value > limit {
        return Err(ServingError::invalid(field, format!("is {value}, must be 1 to {limit}")));
    }
    Ok(value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Method;
    use crate::verification::{BoxHeatmaps, Detection, Heatmaps, Similarity};

    fn check(result: Result<(), ServingError>, message: &str) {
        assert_eq!(result.unwrap_err().to_string(), message);
    }

    #[test]
    fn a_refusal_names_field_value_and_limit() {
        let limits = RequestLimits::default();
        let many = vec!["a".to_owned(); 10_000];
        check(limits.prompts("p", &many), "p: has 10000 items, limit 256");
        let empty = ["a".to_owned(), " ".to_owned()];
        check(limits.prompts("p", &empty), "p[1]: must not be empty");
        let long = ["x".repeat(5000)];
        check(limits.prompts("p", &long), "p[0]: is 5000 bytes long, limit 4096");
        check(share("s", f32::NAN).map(drop), "s: is NaN, must be 0 to 1");
        check(share("s", f32::INFINITY).map(drop), "s: is inf, must be 0 to 1");
        check(share("s", -0.1).map(drop), "s: is -0.1, must be 0 to 1");
        check(number("n", 0, 9).map(drop), "n: is 0, must be 1 to 9");
    }

    #[test]
    fn heatmaps_are_weighed_before_they_are_made() {
        let limits = RequestLimits { max_heatmap_bytes: 100 * 100 * 4, ..Default::default() };
        let asked = |prompts: usize, resolution, encoding| VerifyRequest {
            similarity: Some(Similarity {
                prompts: vec!["a".to_owned(); prompts],
                ..Similarity::default()
            }),
            heatmaps: Some(Heatmaps { resolution, encoding, ..Heatmaps::default() }),
            ..VerifyRequest::default()
        };
        let size = (100, 100);
        for (prompts, resolution, encoding, fits) in [
            (1, Resolution::Image, Encoding::F32, true),
            (2, Resolution::Image, Encoding::F32, false),
            (2, Resolution::Image, Encoding::F16, true),
            (4, Resolution::Image, Encoding::U8, true),
            (2, Resolution::Grid, Encoding::Png, false),
            (50, Resolution::Grid, Encoding::F32, true),
        ] {
            let result = limits.heatmap_bytes(&asked(prompts, resolution, encoding), size);
            assert_eq!(result.is_ok(), fits, "{prompts} {resolution:?} {encoding:?}");
        }
    }

    #[test]
    fn heatmaps_of_boxes_weigh_as_much_and_beside_those_of_prompts() {
        let limits = RequestLimits { max_heatmap_bytes: 100 * 100 * 6, ..Default::default() };
        let boxes = |max_boxes, methods: &[Method], encoding| VerifyRequest {
            detection: Some(Detection {
                max_detections: 5,
                heatmaps: Some(BoxHeatmaps {
                    methods: methods.to_vec(),
                    max_boxes,
                    encoding,
                    ..BoxHeatmaps::default()
                }),
                ..Detection::default()
            }),
            ..VerifyRequest::default()
        };
        let weigh = |asked: &VerifyRequest| limits.heatmap_bytes(asked, (100, 100));
        let (one, both) = ([Method::GradCam], [Method::GradCam, Method::EigenCam]);
        weigh(&boxes(2, &one, Encoding::Png)).unwrap();
        weigh(&boxes(16, &both, Encoding::F32)).unwrap();
        let why = "weigh 90000 bytes, limit 60000; ask for the grid resolution, a smaller encoding \
                   or fewer maps";
        // At most 5 boxes are answered, whatever is asked of them.
        let expected = "detection.heatmaps: 10 maps of 100x100 px weigh 300000 bytes, limit 60000; \
                        ask for the grid resolution, a smaller encoding or fewer maps";
        check(weigh(&boxes(16, &both, Encoding::Png)), expected);
        let mut all = boxes(2, &one, Encoding::Png);
        let prompts = vec!["a".to_owned()];
        let encoding = Encoding::Png;
        all.heatmaps = Some(Heatmaps { prompts, encoding, ..Heatmaps::default() });
        check(weigh(&all), &format!("detection.heatmaps: 3 maps of 100x100 px {why}"));
    }
}
