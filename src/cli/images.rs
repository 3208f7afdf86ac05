//! Pictures to and from files.

use std::io::Cursor;

use image::codecs::jpeg::JpegEncoder;
use image::codecs::png::PngEncoder;
use image::{ExtendedColorType, ImageEncoder};

use crate::vision::image::Rgb8;

/// The picture as a JPEG of quality 92.
pub(super) fn jpeg(picture: &Rgb8) -> Vec<u8> {
    let mut bytes = Cursor::new(Vec::new());
    JpegEncoder::new_with_quality(&mut bytes, 92)
        .write_image(picture.pixels(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .expect("writing to memory does not fail");
    bytes.into_inner()
}

/// The picture as a PNG.
pub(super) fn png(picture: &Rgb8) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(picture.pixels(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .expect("writing to memory does not fail");
    bytes
}
