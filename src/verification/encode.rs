//! Raw maps to what is sent.

use bytes::Bytes;

use super::request::{Encoding, Resolution};
use super::result::{Dtype, Payload};
use crate::vision::image::Rgb8;
use crate::vision::overlay::{Heat, Outline, overlay, to_source};

/// The map as `encoding` at `resolution`; a PNG is always of the picture's size, with `outlines`
/// drawn in.
pub(super) fn payload(
    heat: &Heat<'_>,
    image: &Rgb8,
    (resolution, encoding): (Resolution, Encoding),
    outlines: &[Outline],
) -> Payload {
    if encoding == Encoding::Png {
        return Payload::Png(overlay(image, heat, outlines).into());
    }
    let (width, height) = (image.width() as usize, image.height() as usize);
    let (values, shape) = match resolution {
        Resolution::Grid => (heat.values.to_vec(), [heat.grid.0, heat.grid.1]),
        Resolution::Image => (to_source(heat, width, height), [height, width]),
    };
    tensor(&values, shape, encoding)
}

/// Little-endian elements. Of a map without finite values nothing but zeros is sent.
fn tensor(values: &[f32], shape: [usize; 2], encoding: Encoding) -> Payload {
    let (low, high) = values
        .iter()
        .filter(|value| value.is_finite())
        .fold((f32::INFINITY, f32::NEG_INFINITY), |(low, high), &v| (low.min(v), high.max(v)));
    let range = if low <= high { (low, high) } else { (0.0, 0.0) };
    let (dtype, data) = match encoding {
        Encoding::F32 | Encoding::Png => {
            (Dtype::F32, values.iter().flat_map(|value| value.to_le_bytes()).collect())
        }
        Encoding::F16 => {
            let halves = values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes());
            (Dtype::F16, halves.collect())
        }
        Encoding::U8 => (Dtype::U8, values.iter().map(|&value| quantised(value, range)).collect()),
    };
    let data: Vec<u8> = data;
    Payload::Tensor { dtype, shape, range, data: Bytes::from(data) }
}

/// A value as a byte: 0 at the range's low end, 255 at its high end.
fn quantised(value: f32, (low, high): (f32, f32)) -> u8 {
    if high > low { ((value - low) / (high - low) * 255.0).round() as u8 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(payload: &Payload) -> &[u8] {
        match payload {
            Payload::Tensor { data, .. } | Payload::Png(data) => data,
        }
    }

    #[test]
    fn bytes_span_the_stated_range() {
        let payload = tensor(&[-1.0, 0.0, 3.0], [1, 3], Encoding::U8);
        assert_eq!(bytes(&payload), [0, 64, 255]);
        assert!(matches!(payload, Payload::Tensor { range: (-1.0, 3.0), shape: [1, 3], .. }));
    }

    #[test]
    fn a_constant_map_is_all_zero_bytes() {
        assert_eq!(bytes(&tensor(&[2.0, 2.0], [1, 2], Encoding::U8)), [0, 0]);
    }

    #[test]
    fn floats_are_little_endian() {
        assert_eq!(bytes(&tensor(&[1.0], [1, 1], Encoding::F32)), 1f32.to_le_bytes());
        assert_eq!(bytes(&tensor(&[1.0], [1, 1], Encoding::F16)), [0x00, 0x3c]);
    }
}
