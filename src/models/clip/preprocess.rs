//! `preprocessor_config.json`: from a picture to the pixels that the image tower takes.
//!
//! Follows `image_processing_pil_clip.py` of transformers. Resizing and cropping work on u8 pixels
//! on the CPU; scaling and normalising on the model's device.

use std::fmt;
use std::path::Path;

use serde::Deserialize;
use serde_json::Value;
use tch::{Kind, Tensor};

use crate::models::weights::WeightsError;
use crate::vision::image::Rgb8;
use crate::vision::resize::{Filter, Fit, Size, crop_of_resized, resize, shortest_edge_then_crop};

/// No preprocessing makes pictures of more than this, in pixels a side.
const MAX_SIDE_PX: u32 = 4096;

/// How a picture is resized.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Resizing {
    /// The shorter side becomes this many pixels.
    ShortestEdge(u32),
    /// Both sides become these, whatever the aspect ratio.
    Exact(Size),
    /// Not at all.
    Keep,
}

/// The recipe.
#[derive(Clone, Debug, PartialEq)]
pub struct Preprocess {
    /// First step.
    pub resizing: Resizing,
    /// What resizing weighs pixels by.
    pub filter: Filter,
    /// Second step: the middle of this size, padded with black.
    pub crop: Option<Size>,
    /// Third step: the factor on each u8 pixel.
    pub rescale: f64,
    /// Fourth step: the mean of each channel, after the factor.
    pub mean: [f64; 3],
    /// Fourth step: the standard deviation of each channel, after the factor; not 0.
    pub std: [f64; 3],
}

impl Preprocess {
    /// Reads `preprocessor_config.json`, or the `image_processor` in `processor_config.json` (where
    /// transformers 5 puts it), of a model folder whose tower takes `side_px` × `side_px`.
    pub fn open(folder: &Path, side_px: u32) -> Result<Self, WeightsError> {
        let (own, shared) =
            (folder.join("preprocessor_config.json"), folder.join("processor_config.json"));
        let path = if own.is_file() || !shared.is_file() { own } else { shared };
        let error = |reason: String| WeightsError::format(&path, reason);
        let text = std::fs::read_to_string(&path).map_err(|e| error(e.to_string()))?;
        let mut json: Value = serde_json::from_str(&text).map_err(|e| error(e.to_string()))?;
        if json["image_processor"].is_object() {
            json = json["image_processor"].take();
        }
        let fields: Fields = serde_json::from_value(json).map_err(|e| error(e.to_string()))?;
        let preprocess = fields.recipe().map_err(error)?;
        let output = preprocess.output_size();
        if output != Some(Size::square(side_px)) {
            let made = output
                .map_or("sizes that vary".to_owned(), |s| format!("{}x{}", s.width, s.height));
            return Err(error(format!(
                "'size' and 'crop_size' make {made}, the model's image_size is {side_px}"
            )));
        }
        Ok(preprocess)
    }

    /// The size of every result, where it is always the same.
    fn output_size(&self) -> Option<Size> {
        match (self.crop, self.resizing) {
            (Some(crop), _) => Some(crop),
            (None, Resizing::Exact(size)) => Some(size),
            (None, Resizing::ShortestEdge(_) | Resizing::Keep) => None,
        }
    }

    /// The picture resized and cropped, and how it lies on the picture.
    pub fn apply(&self, image: &Rgb8) -> (Rgb8, Fit) {
        let own = Size { width: image.width(), height: image.height() };
        match (self.crop, self.resizing) {
            (Some(crop), Resizing::ShortestEdge(side)) => {
                shortest_edge_then_crop(image, side, crop, self.filter)
            }
            (Some(crop), Resizing::Exact(size)) => crop_of_resized(image, size, crop, self.filter),
            (Some(crop), Resizing::Keep) => crop_of_resized(image, own, crop, self.filter),
            (None, Resizing::Exact(size)) => {
                let fit = Fit {
                    scale_x: size.width as f32 / own.width as f32,
                    scale_y: size.height as f32 / own.height as f32,
                    ..Fit::IDENTITY
                };
                (resize(image, size.width, size.height, self.filter), fit)
            }
            (None, Resizing::ShortestEdge(_) | Resizing::Keep) => (image.clone(), Fit::IDENTITY),
        }
    }

    /// The whole picture at `side_px` × `side_px`, by the same filter and without the crop: for what
    /// was cut out square before.
    pub fn whole(&self, image: &Rgb8, side_px: u32) -> (Rgb8, Fit) {
        let fit = Fit {
            scale_x: side_px as f32 / image.width() as f32,
            scale_y: side_px as f32 / image.height() as f32,
            ..Fit::IDENTITY
        };
        (resize(image, side_px, side_px, self.filter), fit)
    }

    /// Pixels `[B, S, S, 3]` u8 to `[B, 3, S, S]` f32, scaled and normalised, on their device.
    pub fn normalise(&self, pixels: &Tensor) -> Tensor {
        let channel = |values: &[f64; 3]| {
            Tensor::from_slice(values)
                .to_kind(Kind::Float)
                .to_device(pixels.device())
                .view([3, 1, 1])
        };
        let scaled = pixels.permute([0, 3, 1, 2]).to_kind(Kind::Float).contiguous() * self.rescale;
        (scaled - channel(&self.mean)) / channel(&self.std)
    }
}

impl fmt::Display for Preprocess {
    /// In words: "shortest edge 224 px, Bicubic, middle 224x224 px".
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let filter = self.filter;
        match self.resizing {
            Resizing::ShortestEdge(side) => write!(f, "shortest edge {side} px, {filter:?}"),
            Resizing::Exact(Size { width, height }) => write!(f, "{width}x{height} px, {filter:?}"),
            Resizing::Keep => f.write_str("no resizing"),
        }?;
        match self.crop {
            Some(Size { width, height }) => write!(f, ", middle {width}x{height} px"),
            None => Ok(()),
        }
    }
}

/// The fields with the defaults of CLIP's image processor.
#[derive(Deserialize)]
#[serde(default)]
#[expect(clippy::struct_excessive_bools, reason = "these are the file's own switches")]
struct Fields {
    do_resize: bool,
    size: SizeField,
    resample: u8,
    do_center_crop: bool,
    crop_size: SizeField,
    do_rescale: bool,
    rescale_factor: f64,
    do_normalize: bool,
    image_mean: [f64; 3],
    image_std: [f64; 3],
}

impl Default for Fields {
    fn default() -> Self {
        Self {
            do_resize: true,
            size: SizeField::Side(224),
            resample: 3,
            do_center_crop: true,
            crop_size: SizeField::Side(224),
            do_rescale: true,
            rescale_factor: 1.0 / 255.0,
            do_normalize: true,
            image_mean: [0.481_454_66, 0.457_827_5, 0.408_210_73],
            image_std: [0.268_629_54, 0.261_302_58, 0.275_777_11],
        }
    }
}

/// Old files give a number, newer ones an object.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "a size must be a number, {\"shortest_edge\"} or {\"height\", \"width\"}"
)]
enum SizeField {
    Side(u32),
    Shortest { shortest_edge: u32 },
    Both { height: u32, width: u32 },
}

impl Fields {
    fn recipe(self) -> Result<Preprocess, String> {
        let filter = match self.resample {
            0 => Filter::Nearest,
            1 => Filter::Lanczos,
            2 => Filter::Bilinear,
            3 => Filter::Bicubic,
            other => return Err(format!("'resample' is {other}, must be 0, 1, 2 or 3")),
        };
        let resizing = match self.size {
            _ if !self.do_resize => Resizing::Keep,
            SizeField::Side(side) | SizeField::Shortest { shortest_edge: side } => {
                Resizing::ShortestEdge(bounded("size", side)?)
            }
            SizeField::Both { height, width } => Resizing::Exact(both("size", width, height)?),
        };
        let crop = match self.crop_size {
            _ if !self.do_center_crop => None,
            SizeField::Side(side) => Some(both("crop_size", side, side)?),
            SizeField::Both { height, width } => Some(both("crop_size", width, height)?),
            SizeField::Shortest { .. } => {
                return Err("'crop_size' must have a height and a width".into());
            }
        };
        let (rescale, mean, std) = self.scaling()?;
        Ok(Preprocess { resizing, filter, crop, rescale, mean, std })
    }

    /// Factor, mean and standard deviation; neutral where a step is switched off.
    fn scaling(&self) -> Result<(f64, [f64; 3], [f64; 3]), String> {
        let rescale = if self.do_rescale { self.rescale_factor } else { 1.0 };
        let (mean, std) = if self.do_normalize {
            (self.image_mean, self.image_std)
        } else {
            ([0.0; 3], [1.0; 3])
        };
        if !rescale.is_finite() {
            return Err(format!("'rescale_factor' is {rescale}, must be finite"));
        }
        if mean.iter().any(|value| !value.is_finite()) {
            return Err(format!("'image_mean' is {mean:?}, must be finite"));
        }
        if std.iter().any(|value| !value.is_finite() || *value <= 0.0) {
            return Err(format!("'image_std' is {std:?}, must be finite and above 0"));
        }
        Ok((rescale, mean, std))
    }
}

fn bounded(field: &str, side: u32) -> Result<u32, String> {
    if (1..=MAX_SIDE_PX).contains(&side) {
        return Ok(side);
    }
    Err(format!("'{field}' is {side} px, must be 1 to {MAX_SIDE_PX}"))
}

fn both(field: &str, width: u32, height: u32) -> Result<Size, String> {
    Ok(Size { width: bounded(field, width)?, height: bounded(field, height)? })
}
