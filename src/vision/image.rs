//! Decoded pictures, and decoding within limits.
//!
//! As Pillow and the CLIP image processor do it: alpha is dropped, an EXIF orientation and colour
//! profiles are not applied, of an animation the first frame is taken. Deeper channels are scaled
//! to 8 bits.

use std::io::Cursor;

use ::image::{DynamicImage, ImageDecoder, ImageFormat, ImageReader};
use serde::{Deserialize, Serialize};
use thiserror::Error;

use crate::bounds::{Bounds, Breach};

pub use super::raw::{RawFormat, from_raw};

/// Why a picture cannot be used.
#[derive(Debug, Error, PartialEq)]
pub enum ImageError {
    /// The picture breaks a limit; nothing was allocated for it.
    #[error("{what} is {value}, limit {limit}")]
    TooLarge {
        /// What is too large, with its unit: "width in pixels".
        what: &'static str,
        /// The value found.
        value: u64,
        /// The configured limit.
        limit: u64,
    },
    /// The bytes are no picture of a known format, or end early.
    #[error("cannot decode: {0}")]
    Corrupt(String),
    /// Raw pixels whose length, size or stride do not fit together.
    #[error("{0}")]
    Shape(String),
}

/// What a picture may be at most; checked before anything is allocated for it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Encoded or raw size. Default 16 MiB, 1 KiB to 1 GiB.
    #[serde(with = "crate::units::bytes")]
    pub max_bytes: usize,
    /// Each side in pixels. Default 16 384, 1 to 65 535.
    pub max_side_px: u32,
    /// Width times height. Default 64 million, 1 to 1 000 million.
    pub max_pixels: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { max_bytes: 16 << 20, max_side_px: 16_384, max_pixels: 64_000_000 }
    }
}

impl Limits {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.bytes("max_bytes", self.max_bytes, 1 << 10..=1 << 30);
        bounds.number("max_side_px", self.max_side_px, 1..=65_535);
        bounds.number("max_pixels", self.max_pixels, 1..=1_000_000_000);
        bounds.breaches()
    }

    /// Errors where a picture of `width` × `height` is empty or breaks a limit.
    pub(super) fn check_size(&self, width: u32, height: u32) -> Result<(), ImageError> {
        if width == 0 || height == 0 {
            return Err(empty(width, height));
        }
        at_most("width in pixels", width.into(), self.max_side_px.into())?;
        at_most("height in pixels", height.into(), self.max_side_px.into())?;
        at_most(
            "width times height in pixels",
            u64::from(width) * u64::from(height),
            self.max_pixels,
        )
    }

    /// What a decoder may allocate: 16-bit RGBA twice, and as much again as the encoded bytes may be.
    fn max_alloc_bytes(&self) -> u64 {
        self.max_pixels.saturating_mul(16).saturating_add(self.max_bytes as u64)
    }
}

/// The picture in `bytes`: JPEG, PNG, WebP, BMP, GIF or TIFF, told apart by their content.
///
/// The size is read from the header and held against `limits` before pixels are allocated. A
/// picture that ends early is an error, not a picture with a grey rest.
pub fn decode(bytes: &[u8], limits: &Limits) -> Result<Rgb8, ImageError> {
    at_most("size in bytes", bytes.len() as u64, limits.max_bytes as u64)?;
    if bytes.is_empty() {
        return Err(ImageError::Corrupt("there are no bytes".to_owned()));
    }
    let format = known_format(bytes)?;
    let corrupt = |error: ::image::ImageError| ImageError::Corrupt(error.to_string());
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut decoder_limits = ::image::Limits::no_limits();
    decoder_limits.max_alloc = Some(limits.max_alloc_bytes());
    reader.limits(decoder_limits);
    let decoder = reader.into_decoder().map_err(corrupt)?;
    let (width, height) = decoder.dimensions();
    limits.check_size(width, height)?;
    at_most("decoded size in bytes", decoder.total_bytes(), limits.max_alloc_bytes())?;
    if format == ImageFormat::Jpeg && !jpeg_has_an_end(bytes) {
        return Err(ImageError::Corrupt("the JPEG ends early".to_owned()));
    }
    let pixels = DynamicImage::from_decoder(decoder).map_err(corrupt)?.into_rgb8().into_raw();
    Rgb8::new(width, height, pixels)
}

fn at_most(what: &'static str, value: u64, limit: u64) -> Result<(), ImageError> {
    if value > limit {
        return Err(ImageError::TooLarge { what, value, limit });
    }
    Ok(())
}

fn empty(width: u32, height: u32) -> ImageError {
    ImageError::Shape(format!("picture is {width}x{height} px, both must be at least 1"))
}

fn known_format(bytes: &[u8]) -> Result<ImageFormat, ImageError> {
    const KNOWN: [ImageFormat; 6] = [
        ImageFormat::Jpeg,
        ImageFormat::Png,
        ImageFormat::WebP,
        ImageFormat::Bmp,
        ImageFormat::Gif,
        ImageFormat::Tiff,
    ];
    ::image::guess_format(bytes).ok().filter(|format| KNOWN.contains(format)).ok_or_else(|| {
        ImageError::Corrupt("the bytes are no JPEG, PNG, WebP, BMP, GIF or TIFF".to_owned())
    })
}

/// Whether the end marker follows the picture's scans. The decoder fills what is missing with grey
/// and reports nothing, so this walks the markers: a segment is skipped by its length, and all
/// between segments (entropy-coded data, stuffed bytes, restarts) byte by byte.
fn jpeg_has_an_end(bytes: &[u8]) -> bool {
    const END: u8 = 0xd9;
    let byte = |at: usize| bytes.get(at).copied().unwrap_or(0);
    let mut at = 2;
    while let Some(step) = bytes.get(at..).and_then(|rest| rest.iter().position(|&b| b == 0xff)) {
        at += step + 1;
        match byte(at) {
            END => return true,
            0x00 | 0x01 | 0xd0..=0xd8 | 0xff => {}
            _ => at += 1 + usize::from(u16::from_be_bytes([byte(at + 1), byte(at + 2)])),
        }
    }
    false
}

/// An RGB picture, `[H, W, 3]` u8, row-major, no padding. Never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rgb8 {
    width: u32,
    height: u32,
    pixels: Vec<u8>,
}

impl Rgb8 {
    /// Takes `pixels` of exactly `width * height * 3` bytes; both sides at least 1.
    pub fn new(width: u32, height: u32, pixels: Vec<u8>) -> Result<Self, ImageError> {
        if width == 0 || height == 0 {
            return Err(empty(width, height));
        }
        let expected = u128::from(width) * u128::from(height) * 3;
        if pixels.len() as u128 != expected {
            return Err(ImageError::Shape(format!(
                "{width}x{height} RGB8 needs {expected} bytes, got {}",
                pixels.len()
            )));
        }
        Ok(Self { width, height, pixels })
    }

    /// A picture of one colour; sides of 0 count as 1.
    pub fn filled(width: u32, height: u32, colour: [u8; 3]) -> Self {
        let (width, height) = (width.max(1), height.max(1));
        Self { width, height, pixels: colour.repeat(width as usize * height as usize) }
    }

    /// Width in pixels.
    pub fn width(&self) -> u32 {
        self.width
    }

    /// Height in pixels.
    pub fn height(&self) -> u32 {
        self.height
    }

    /// The pixels, `[H, W, 3]`.
    pub fn pixels(&self) -> &[u8] {
        &self.pixels
    }

    /// The pixels, `[H, W, 3]`, to draw on.
    pub fn pixels_mut(&mut self) -> &mut [u8] {
        &mut self.pixels
    }

    /// The pixels, `[H, W, 3]`, without a copy.
    pub fn into_pixels(self) -> Vec<u8> {
        self.pixels
    }
}
