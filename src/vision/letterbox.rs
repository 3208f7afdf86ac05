//! A picture scaled into a detector's square, its aspect kept, with grey on two sides; and the way
//! back for boxes.

use std::ops::Range;

use super::bilinear::resized;
use super::boxes::Rect;
use super::image::Rgb8;
use super::resize;

/// The grey that detectors were trained to see around a picture.
const GREY: u8 = 114;

/// How far the scaled picture is filled up with grey.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Padding {
    /// To the whole square: pictures of all shapes can share a batch.
    Square,
    /// Only to the next multiple of `stride` pixels: less to compute.
    Minimal {
        /// Divides the square's side.
        stride: u32,
    },
}

/// How a letterboxed picture lies over its source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Letterboxed pixels per source pixel, across. Both scales are nearly the same: each makes its
    /// side a whole number of pixels.
    pub scale_x: f32,
    /// Letterboxed pixels per source pixel, down.
    pub scale_y: f32,
    /// Grey left of the picture, in letterboxed pixels.
    pub left_px: u32,
    /// Grey above the picture, in letterboxed pixels.
    pub top_px: u32,
    /// Width of the source in pixels.
    pub source_width_px: u32,
    /// Height of the source in pixels.
    pub source_height_px: u32,
}

impl Fit {
    /// A box of the letterboxed picture in pixels of the source, cut to the source.
    #[must_use]
    pub fn to_source(&self, rect: Rect) -> Rect {
        let (left, top) = (self.left_px as f32, self.top_px as f32);
        let x = |x: f32| (x - left) / self.scale_x;
        let y = |y: f32| (y - top) / self.scale_y;
        Rect::new(x(rect.x1), y(rect.y1), x(rect.x2), y(rect.y2))
            .clipped(self.source_width_px as f32, self.source_height_px as f32)
    }

    /// From source pixels to letterboxed ones, as a transform.
    pub fn transform(&self) -> resize::Fit {
        resize::Fit {
            scale_x: self.scale_x,
            scale_y: self.scale_y,
            offset_x: self.left_px as f32,
            offset_y: self.top_px as f32,
        }
    }

    /// Of a grid with cells of `stride_px` letterboxed pixels: those rows and columns that see a
    /// part of the source, and not grey alone.
    pub fn cells(&self, stride_px: u32) -> (Range<u32>, Range<u32>) {
        let side = |from: u32, scale: f32, source: u32| {
            let inner = (scale * source as f32).round() as u32;
            from / stride_px..(from + inner).div_ceil(stride_px)
        };
        (
            side(self.top_px, self.scale_y, self.source_height_px),
            side(self.left_px, self.scale_x, self.source_width_px),
        )
    }
}

/// Where everything goes, in letterboxed pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Layout {
    /// Size of the scaled picture.
    inner: (u32, u32),
    /// Grey left of it and above it.
    offset: (u32, u32),
    /// Size of the whole.
    outer: (u32, u32),
}

/// Scales `image` to fit a square of `side_px` (up or down, bilinear) and centres it on grey.
pub fn letterbox(image: &Rgb8, side_px: u32, padding: Padding) -> (Rgb8, Fit) {
    let (width, height) = (image.width(), image.height());
    let scale = f64::from(side_px) / f64::from(width.max(height));
    let layout = layout((width, height), (side_px, scale), padding);
    let fit = Fit {
        scale_x: layout.inner.0 as f32 / width as f32,
        scale_y: layout.inner.1 as f32 / height as f32,
        left_px: layout.offset.0,
        top_px: layout.offset.1,
        source_width_px: width,
        source_height_px: height,
    };
    if layout.inner == (width, height) {
        return (placed(image.pixels(), &layout), fit);
    }
    (placed(&resized(image, layout.inner), &layout), fit)
}

/// Sizes are rounded half to even, and an odd row or column of grey goes below or right, as in the
/// letterbox that the published weights were trained with.
fn layout((width, height): (u32, u32), (side, scale): (u32, f64), padding: Padding) -> Layout {
    let scaled = |px: u32| ((f64::from(px) * scale).round_ties_even() as u32).clamp(1, side);
    let grey = |inner: u32| match padding {
        Padding::Square => side - inner,
        Padding::Minimal { stride } => (side - inner) % stride,
    };
    let inner = (scaled(width), scaled(height));
    let (across, down) = (grey(inner.0), grey(inner.1));
    Layout { inner, offset: (across / 2, down / 2), outer: (inner.0 + across, inner.1 + down) }
}

/// `pixels` of the inner size on grey of the outer size.
fn placed(pixels: &[u8], layout: &Layout) -> Rgb8 {
    let Layout { inner, offset, outer } = *layout;
    let mut canvas = vec![GREY; outer.0 as usize * outer.1 as usize * 3];
    let (row, stride) = (inner.0 as usize * 3, outer.0 as usize * 3);
    let start = offset.1 as usize * stride + offset.0 as usize * 3;
    for (from, to) in pixels.chunks_exact(row).zip(canvas[start..].chunks_mut(stride)) {
        to[..row].copy_from_slice(from);
    }
    Rgb8::new(outer.0, outer.1, canvas).expect("the canvas is as large as the layout says")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sizes(width: u32, height: u32, padding: Padding) -> Layout {
        layout((width, height), (640, 640.0 / f64::from(width.max(height))), padding)
    }

    #[test]
    fn grey_is_shared_between_both_ends_and_the_odd_pixel_is_last() {
        let minimal = Padding::Minimal { stride: 32 };
        // 451 × 300 becomes 640 × 426 (425.72): 22 rows to 448, 214 rows to 640.
        let layout = Layout { inner: (640, 426), offset: (0, 11), outer: (640, 448) };
        assert_eq!(sizes(451, 300, minimal), layout);
        let square = Layout { inner: (640, 426), offset: (0, 107), outer: (640, 640) };
        assert_eq!(sizes(451, 300, Padding::Square), square);
        // 427 of 640: 21 rows to 448, ten of them above.
        assert_eq!(sizes(640, 427, minimal).offset, (0, 10));
        assert_eq!(sizes(427, 640, minimal).offset, (10, 0));
    }

    #[test]
    fn a_hair_of_a_picture_keeps_one_pixel() {
        assert_eq!(sizes(10_000, 1, Padding::Minimal { stride: 32 }).outer, (640, 32));
    }

    #[test]
    fn cells_of_grey_alone_are_told_from_those_that_see_the_source() {
        let image = Rgb8::filled(451, 300, [7; 3]);
        // 426 of 448 rows from the 11th on: row 0 of 8 px is grey, row 1 half of it.
        let (_, fit) = letterbox(&image, 640, Padding::Minimal { stride: 32 });
        assert_eq!(fit.cells(8), (1..55, 0..80));
        assert_eq!(fit.cells(16), (0..28, 0..40));
        // 426 of 640 rows from the 107th on.
        let (_, fit) = letterbox(&image, 640, Padding::Square);
        assert_eq!(fit.cells(32), (3..17, 0..20));
        let there = fit.transform().to_model(Rect::new(0.0, 0.0, 451.0, 300.0));
        let expected = Rect::new(0.0, 107.0, 640.0, 533.0);
        let off = (there.y1 - expected.y1).abs() + (there.y2 - expected.y2).abs();
        assert!(off + (there.x2 - expected.x2).abs() < 1e-3, "{there:?}");
    }

    #[test]
    fn boxes_come_back_to_the_source_and_stay_in_it() {
        let image = Rgb8::new(200, 100, vec![7; 60_000]).unwrap();
        let (boxed, fit) = letterbox(&image, 64, Padding::Minimal { stride: 32 });
        assert_eq!((boxed.width(), boxed.height()), (64, 32));
        assert_eq!(
            fit.to_source(Rect::new(16.0, 8.0, 32.0, 16.0)),
            Rect::new(50.0, 25.0, 100.0, 50.0)
        );
        let (boxed, fit) = letterbox(&image, 64, Padding::Square);
        assert_eq!((boxed.width(), boxed.height()), (64, 64));
        let whole = fit.to_source(Rect::new(-5.0, 0.0, 70.0, 64.0));
        assert_eq!(whole, Rect::new(0.0, 0.0, 200.0, 100.0));
        let row = |y: usize| &boxed.pixels()[y * 64 * 3..(y + 1) * 64 * 3];
        assert!(row(15).iter().all(|&v| v == GREY) && row(48).iter().all(|&v| v == GREY));
        assert!(row(16).iter().all(|&v| v == 7) && row(47).iter().all(|&v| v == 7));
    }
}
