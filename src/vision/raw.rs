//! Pixels as cameras and video decoders hand them over, to RGB.

use super::image::{ImageError, Limits, Rgb8};

/// How raw pixels lie in memory. The YUV formats are BT.601, limited range (16 to 235), 8 bits,
/// with one chroma sample for each 2×2 pixels; an odd side has a half-used last chroma sample.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RawFormat {
    /// Red, green, blue.
    Rgb8,
    /// Blue, green, red, as OpenCV has it.
    Bgr8,
    /// One byte of brightness.
    Gray8,
    /// A plane of luma, then a plane of interleaved U and V. Chroma rows are as long as luma rows,
    /// rounded up to an even number of bytes.
    Nv12,
    /// A plane of luma, then one of U, then one of V. Chroma rows are half as long as luma rows,
    /// rounded up.
    I420,
}

impl RawFormat {
    /// The name in messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rgb8 => "RGB8",
            Self::Bgr8 => "BGR8",
            Self::Gray8 => "GRAY8",
            Self::Nv12 => "NV12",
            Self::I420 => "I420",
        }
    }

    /// Bytes that a row of `width` pixels needs in the first plane.
    const fn row_bytes(self, width: u32) -> u64 {
        match self {
            Self::Rgb8 | Self::Bgr8 => width as u64 * 3,
            Self::Gray8 | Self::Nv12 | Self::I420 => width as u64,
        }
    }

    /// Bytes from one chroma row to the next, of one plane, for first-plane rows of `stride`; and
    /// the number of chroma planes.
    const fn chroma(self, stride: u64) -> (u64, u64) {
        match self {
            Self::Rgb8 | Self::Bgr8 | Self::Gray8 => (0, 0),
            Self::Nv12 => (stride.div_ceil(2) * 2, 1),
            Self::I420 => (stride.div_ceil(2), 2),
        }
    }
}

/// RGB from raw pixels of `(width, height)`. `stride` is the bytes from one row of the first plane
/// to the next; 0 means rows without padding. Every row, the last too, is a whole stride long.
pub fn from_raw(
    format: RawFormat,
    (width, height): (u32, u32),
    stride: u32,
    bytes: &[u8],
    limits: &Limits,
) -> Result<Rgb8, ImageError> {
    limits.check_size(width, height)?;
    let row = format.row_bytes(width);
    let stride = if stride == 0 { row } else { u64::from(stride) };
    let name = format.name();
    if stride < row {
        return Err(ImageError::Shape(format!(
            "stride is {stride} bytes, {name} rows of {width} px need {row}"
        )));
    }
    let (chroma_stride, planes) = format.chroma(stride);
    let luma = stride.saturating_mul(u64::from(height));
    let plane = chroma_stride.saturating_mul(u64::from(height.div_ceil(2)));
    let expected = luma.saturating_add(plane.saturating_mul(planes));
    if bytes.len() as u64 != expected {
        return Err(ImageError::Shape(format!(
            "{width}x{height} {name} with stride {stride} needs {expected} bytes, got {}",
            bytes.len()
        )));
    }
    let (first, rest) = bytes.split_at(luma as usize);
    let rows = first.chunks_exact(stride as usize).map(|padded| &padded[..row as usize]);
    let mut pixels = Vec::with_capacity(width as usize * height as usize * 3);
    match format {
        RawFormat::Rgb8 => rows.for_each(|row| pixels.extend_from_slice(row)),
        RawFormat::Bgr8 => rows.for_each(|row| {
            pixels.extend(row.chunks_exact(3).flat_map(|bgr| [bgr[2], bgr[1], bgr[0]]));
        }),
        RawFormat::Gray8 => {
            rows.for_each(|row| pixels.extend(row.iter().flat_map(|&grey| [grey; 3])));
        }
        RawFormat::Nv12 => {
            for (y, row) in rows.enumerate() {
                let chroma = &rest[y / 2 * chroma_stride as usize..];
                let at = |x: usize| (chroma[x / 2 * 2], chroma[x / 2 * 2 + 1]);
                pixels.extend(row.iter().enumerate().flat_map(|(x, &luma)| rgb(luma, at(x))));
            }
        }
        RawFormat::I420 => {
            let (u_plane, v_plane) = rest.split_at(plane as usize);
            for (y, row) in rows.enumerate() {
                let start = y / 2 * chroma_stride as usize;
                let at = |x: usize| (u_plane[start + x / 2], v_plane[start + x / 2]);
                pixels.extend(row.iter().enumerate().flat_map(|(x, &luma)| rgb(luma, at(x))));
            }
        }
    }
    Rgb8::new(width, height, pixels)
}

/// BT.601 limited range to RGB, in 16.16 fixed point, rounded to nearest.
fn rgb(luma: u8, (u, v): (u8, u8)) -> [u8; 3] {
    // 255/219, and (255/112) times 2(1 - Kr), 2(1 - Kb) and their parts in green, for Kr = 0.299
    // and Kb = 0.114; each by 65 536.
    const LUMA: i32 = 76_309;
    const RED_V: i32 = 104_597;
    const GREEN_U: i32 = 25_675;
    const GREEN_V: i32 = 53_279;
    const BLUE_U: i32 = 132_201;
    let luma = (i32::from(luma) - 16) * LUMA + (1 << 15);
    let (u, v) = (i32::from(u) - 128, i32::from(v) - 128);
    let byte = |value: i32| (value >> 16).clamp(0, 255) as u8;
    [byte(luma + RED_V * v), byte(luma - GREEN_U * u - GREEN_V * v), byte(luma + BLUE_U * u)]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limited_range_bt601_agrees_with_the_formula_in_floating_point() {
        for luma in (0..=255).step_by(5) {
            for u in (0..=255).step_by(15) {
                for v in (0..=255).step_by(15) {
                    let y = (f64::from(luma) - 16.0) / 219.0;
                    let (pb, pr) = ((f64::from(u) - 128.0) / 224.0, (f64::from(v) - 128.0) / 224.0);
                    let red = y + 1.402 * pr;
                    let blue = y + 1.772 * pb;
                    let green = (y - 0.299 * red - 0.114 * blue) / 0.587;
                    let got = rgb(luma as u8, (u as u8, v as u8));
                    for (got, expected) in got.iter().zip([red, green, blue]) {
                        let expected = (expected * 255.0).clamp(0.0, 255.0);
                        assert!((f64::from(*got) - expected).abs() <= 0.51, "{luma} {u} {v}");
                    }
                }
            }
        }
    }
}
