//! Decoded pictures.

use thiserror::Error;

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
            return Err(ImageError::Shape(format!(
                "picture is {width}x{height} px, both must be at least 1"
            )));
        }
        let expected = u64::from(width) * u64::from(height) * 3;
        if pixels.len() as u64 != expected {
            return Err(ImageError::Shape(format!(
                "{width}x{height} RGB8 needs {expected} bytes, got {}",
                pixels.len()
            )));
        }
        Ok(Self { width, height, pixels })
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
