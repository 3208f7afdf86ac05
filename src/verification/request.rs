//! What can be asked of a frame. Only what is asked is computed.

use bytes::Bytes;

use crate::calibration::{CalibrationFile, Kind};
use crate::explain::{Method, Recipe};
use crate::serving::clip::ClipService;
use crate::vision::boxes::Rect;
use crate::vision::image::RawFormat;

/// A picture as it came in; it is decoded once, whatever is asked of it.
#[derive(Clone, Debug)]
pub enum Frame {
    /// JPEG, PNG, WebP, BMP, GIF or TIFF bytes.
    Encoded(Bytes),
    /// Bare pixels.
    Raw {
        /// Order of the bytes.
        format: RawFormat,
        /// Width in pixels.
        width: u32,
        /// Height in pixels.
        height: u32,
        /// Bytes from one row to the next; 0 means rows without padding.
        stride: u32,
        /// The pixels.
        data: Bytes,
    },
}

/// Everything asked of one frame. Prompts are never empty where a part is present.
#[derive(Clone, Debug, Default)]
pub struct VerifyRequest {
    /// Scores of the whole frame against prompts.
    pub similarity: Option<Similarity>,
    /// Boxes.
    pub detection: Option<Detection>,
    /// Scores of each detected box against prompts.
    pub regions: Option<Regions>,
    /// Heatmaps of prompts.
    pub heatmaps: Option<Heatmaps>,
}

/// Scores of the whole frame.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Similarity {
    /// Name of a CLIP model; the default one where `None`.
    pub model: Option<String>,
    /// The prompts to score, 1 or more. The softmax runs over exactly these.
    pub prompts: Vec<String>,
    /// Null prompts that the contrast is taken against; the server's bank where `None`.
    pub nulls: Option<Vec<String>>,
    /// Whether the scores' confidences are judged over the frames of a stream: then they come from
    /// the calibration of verdicts, where the model has one.
    pub judged: bool,
}

impl Similarity {
    /// What tells the scores' confidences. Nothing where `clip` has no calibration, and where null
    /// prompts are given: contrasts against others than the server's are not those it was fitted to.
    pub fn calibration<'a>(&self, clip: &'a ClipService) -> Option<&'a CalibrationFile> {
        if self.nulls.is_some() {
            return None;
        }
        let judged = self.judged.then(|| clip.calibration(Kind::Verdicts)).flatten();
        judged.or_else(|| clip.calibration(Kind::Prompts))
    }
}

/// Boxes of a detector.
#[derive(Clone, Debug)]
pub struct Detection {
    /// Name of a detector; the default one where `None`.
    pub model: Option<String>,
    /// Boxes below this confidence are left out, 0 to 1. Default 0.25.
    pub min_confidence: f32,
    /// Two boxes of one class that overlap more than this are one, 0 to 1. Default 0.7.
    pub iou_threshold: f32,
    /// At most this many boxes, the most confident. Default 300.
    pub max_detections: usize,
    /// Only these class names; all where empty.
    pub classes: Vec<String>,
    /// Maps of what made the boxes, where asked for.
    pub heatmaps: Option<BoxHeatmaps>,
}

impl Default for Detection {
    fn default() -> Self {
        Self {
            model: None,
            min_confidence: 0.25,
            iou_threshold: 0.7,
            max_detections: 300,
            classes: Vec::new(),
            heatmaps: None,
        }
    }
}

/// Heatmaps of boxes: one for each box and method.
#[derive(Clone, Debug, PartialEq)]
pub struct BoxHeatmaps {
    /// How to make them, each once and each for detectors. Default: Grad-CAM alone.
    pub methods: Vec<Method>,
    /// At most this many boxes, the most confident. Default 16.
    pub max_boxes: usize,
    /// The size of the maps.
    pub resolution: Resolution,
    /// How the maps are written.
    pub encoding: Encoding,
}

impl Default for BoxHeatmaps {
    fn default() -> Self {
        Self {
            methods: vec![Method::GradCam],
            max_boxes: 16,
            resolution: Resolution::Grid,
            encoding: Encoding::F32,
        }
    }
}

/// A box is widened on every side by this share of its size before it is cut out, unless a request
/// says otherwise: parts are known by what is around them.
pub const MARGIN_RATIO: f32 = 0.1;

/// Scores of each detected box. Uses the request's detection, or a default one.
#[derive(Clone, Debug)]
pub struct Regions {
    /// Name of a CLIP model; the default one where `None`.
    pub model: Option<String>,
    /// The prompts to score; those of the similarity part where empty.
    pub prompts: Vec<String>,
    /// Each box is widened on every side by this share of its size before it is cut out, 0 to 1.
    /// Default 0.1.
    pub margin_ratio: f32,
    /// Only boxes of these class names; all where empty.
    pub classes: Vec<String>,
    /// At most this many boxes, the most confident. Default 32.
    pub max_regions: usize,
}

impl Default for Regions {
    fn default() -> Self {
        Self {
            model: None,
            prompts: Vec::new(),
            margin_ratio: MARGIN_RATIO,
            classes: Vec::new(),
            max_regions: 32,
        }
    }
}

/// Heatmaps: one for each prompt and method.
#[derive(Clone, Debug)]
pub struct Heatmaps {
    /// Name of a CLIP model; that of the similarity part, or the default one, where `None`.
    pub model: Option<String>,
    /// The prompts to explain; those of the similarity part where empty.
    pub prompts: Vec<String>,
    /// How to make them, each once. Default: Grad-ECLIP alone.
    pub recipes: Vec<Recipe>,
    /// Whether each map is checked with further forward passes.
    pub check: bool,
    /// Where to look closer, if anywhere.
    pub zoom: Option<Zoom>,
    /// Null prompts that the contrast is taken against; the server's bank where `None`.
    pub nulls: Option<Vec<String>>,
    /// The size of the maps.
    pub resolution: Resolution,
    /// How the maps are written.
    pub encoding: Encoding,
}

impl Default for Heatmaps {
    fn default() -> Self {
        Self {
            model: None,
            prompts: Vec::new(),
            recipes: vec![Recipe::default()],
            check: false,
            zoom: None,
            nulls: None,
            resolution: Resolution::Grid,
            encoding: Encoding::F32,
        }
    }
}

/// Looks closer than the whole frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Zoom {
    /// Where.
    pub place: ZoomPlace,
    /// A box is widened on every side by this share of its size, and then to a square, 0 to 1.
    /// Default 0.3.
    pub margin_ratio: f32,
    /// At most this many looks, at least 1. Default 16.
    pub max_looks: usize,
    /// Side of a look's picture as a multiple of the model's own, 1 to 4. Default 1.
    pub grid_scale: u32,
}

impl Zoom {
    /// With the defaults.
    pub fn at(place: ZoomPlace) -> Self {
        Self { place, margin_ratio: 0.3, max_looks: 16, grid_scale: 1 }
    }
}

/// Where closer looks are taken.
#[derive(Clone, Debug, PartialEq)]
pub enum ZoomPlace {
    /// At a detector's boxes.
    Detected {
        /// Name of a detector; the default one where `None`.
        model: Option<String>,
        /// Only boxes of these class names; all where empty.
        classes: Vec<String>,
        /// Boxes below this confidence are left out, 0 to 1.
        min_confidence: f32,
    },
    /// At these boxes, in pixels of the frame; each has a width and a height.
    Regions(Vec<Rect>),
    /// In windows spread evenly over the frame.
    Window {
        /// Side of a window as a share of the frame's shorter side, above 0, at most 1.
        side_ratio: f32,
        /// How much neighbours overlap at least, as a share of their side, 0 to below 1.
        overlap_ratio: f32,
    },
}

/// The size of a heatmap.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Resolution {
    /// One value for each patch the model saw.
    #[default]
    Grid,
    /// One value for each pixel of the frame; 0 where the model's crop did not look.
    Image,
}

/// How a heatmap is written.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Encoding {
    /// 32-bit floats, little-endian.
    #[default]
    F32,
    /// 16-bit floats, little-endian.
    F16,
    /// Bytes: `value = minimum + byte / 255 * (maximum - minimum)` of the map's shown range.
    U8,
    /// The map drawn over the frame, as a PNG of the frame's size.
    Png,
}

/// A box found in a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Detected {
    /// In pixels of the frame.
    pub rect: Rect,
    /// Index among the detector's classes.
    pub class: usize,
    /// Name of the class.
    pub label: String,
    /// Confidence, 0 to 1.
    pub confidence: f32,
}

impl Encoding {
    /// Bytes of one value as sent; of a PNG, at most.
    pub const fn bytes_per_value(self) -> usize {
        match self {
            Self::F32 => 4,
            Self::F16 => 2,
            Self::U8 => 1,
            Self::Png => 3,
        }
    }
}
