//! Resizing and cropping, and the way back to the picture's own pixels.

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};

use super::boxes::Rect;
use super::image::Rgb8;

/// How a model's input pixels lie on a picture: `model_px = source_px * scale + offset` on each
/// axis, for continuous coordinates (a pixel's left edge is its index).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Fit {
    /// Model pixels per source pixel, horizontally; greater than 0.
    pub scale_x: f32,
    /// Model pixels per source pixel, vertically; greater than 0.
    pub scale_y: f32,
    /// Where the source's left edge lies, in model pixels.
    pub offset_x: f32,
    /// Where the source's top edge lies, in model pixels.
    pub offset_y: f32,
}

impl Fit {
    /// The picture itself is the model's input.
    pub const IDENTITY: Self = Self { scale_x: 1.0, scale_y: 1.0, offset_x: 0.0, offset_y: 0.0 };

    /// A box in source pixels, in model pixels; not clipped.
    #[must_use]
    pub fn to_model(&self, rect: Rect) -> Rect {
        Rect {
            x1: rect.x1 * self.scale_x + self.offset_x,
            y1: rect.y1 * self.scale_y + self.offset_y,
            x2: rect.x2 * self.scale_x + self.offset_x,
            y2: rect.y2 * self.scale_y + self.offset_y,
        }
    }

    /// A box in model pixels, in source pixels; not clipped.
    #[must_use]
    pub fn to_source(&self, rect: Rect) -> Rect {
        Rect {
            x1: (rect.x1 - self.offset_x) / self.scale_x,
            y1: (rect.y1 - self.offset_y) / self.scale_y,
            x2: (rect.x2 - self.offset_x) / self.scale_x,
            y2: (rect.y2 - self.offset_y) / self.scale_y,
        }
    }

    /// This fit followed by `next`, which takes this one's model pixels as its source.
    #[must_use]
    pub fn then(&self, next: &Self) -> Self {
        Self {
            scale_x: self.scale_x * next.scale_x,
            scale_y: self.scale_y * next.scale_y,
            offset_x: self.offset_x * next.scale_x + next.offset_x,
            offset_y: self.offset_y * next.scale_y + next.offset_y,
        }
    }
}

/// How pixels are weighed. All but [`Filter::Nearest`] widen with the reduction, as in Pillow, so
/// that small results do not alias.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Filter {
    /// Cubic with a = -0.5, Pillow's `BICUBIC`.
    Bicubic,
    /// Triangle, Pillow's `BILINEAR`.
    Bilinear,
    /// Lanczos with three lobes, Pillow's `LANCZOS`.
    Lanczos,
    /// The pixel below the centre, Pillow's `NEAREST`.
    Nearest,
}

impl Filter {
    fn algorithm(self) -> ResizeAlg {
        match self {
            Self::Bicubic => ResizeAlg::Convolution(FilterType::CatmullRom),
            Self::Bilinear => ResizeAlg::Convolution(FilterType::Bilinear),
            Self::Lanczos => ResizeAlg::Convolution(FilterType::Lanczos3),
            Self::Nearest => ResizeAlg::Nearest,
        }
    }
}

/// A size in pixels.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Size {
    /// Width in pixels.
    pub width: u32,
    /// Height in pixels.
    pub height: u32,
}

impl Size {
    /// The same on both sides.
    pub const fn square(side_px: u32) -> Self {
        Self { width: side_px, height: side_px }
    }
}

/// The picture at `width` × `height` pixels (0 counts as 1), not keeping its aspect ratio.
pub fn resize(image: &Rgb8, width: u32, height: u32, filter: Filter) -> Rgb8 {
    let size = Size { width: width.max(1), height: height.max(1) };
    let whole = Window { left: 0, top: 0, size };
    resample(image, size, whole, filter)
}

/// What CLIP's image processor does: the shorter side becomes `shortest_px` (the longer is rounded
/// down), and the middle `crop` of that is cut out, black where it reaches beyond the picture.
///
/// Only the part that the crop keeps is computed, so a very long picture costs no more memory than
/// a square one.
pub fn shortest_edge_then_crop(
    image: &Rgb8,
    shortest_px: u32,
    crop: Size,
    filter: Filter,
) -> (Rgb8, Fit) {
    let whole = shortest_edge_size(image, shortest_px.max(1));
    crop_of_resized(image, whole, crop, filter)
}

/// The picture resized to `whole` (not computed beyond what is kept), of which the middle `crop`
/// is cut out, black where it reaches beyond.
pub fn crop_of_resized(image: &Rgb8, whole: Size, crop: Size, filter: Filter) -> (Rgb8, Fit) {
    let crop = Size { width: crop.width.max(1), height: crop.height.max(1) };
    let horizontal = Span::centred(whole.width, crop.width);
    let vertical = Span::centred(whole.height, crop.height);
    let window = Window {
        left: horizontal.first,
        top: vertical.first,
        size: Size { width: horizontal.count, height: vertical.count },
    };
    let kept = resample(image, whole, window, filter);
    let fit = Fit {
        scale_x: whole.width as f32 / image.width() as f32,
        scale_y: whole.height as f32 / image.height() as f32,
        offset_x: horizontal.offset() as f32,
        offset_y: vertical.offset() as f32,
    };
    if window.size == crop {
        return (kept, fit);
    }
    (place(&kept, crop, horizontal.margin, vertical.margin), fit)
}

/// The part of the picture inside `rect` (source pixels), its edges rounded outward to whole pixels
/// and clipped to the picture; at least one pixel.
pub fn crop(image: &Rgb8, rect: Rect) -> Rgb8 {
    cut(image, whole_pixels(image, rect))
}

/// The box that [`crop`] cuts for `rect`: whole pixels, inside the picture, at least one.
#[must_use]
pub fn whole_pixels(image: &Rgb8, rect: Rect) -> Rect {
    let edges = |low: f32, high: f32, side: u32| {
        // A NaN becomes 0 in the conversion.
        let first = (low.floor() as u32).min(side - 1);
        (first as f32, (high.ceil() as u32).clamp(first + 1, side) as f32)
    };
    let (x1, x2) = edges(rect.x1, rect.x2, image.width());
    let (y1, y2) = edges(rect.y1, rect.y2, image.height());
    Rect::new(x1, y1, x2, y2)
}

/// The pixels of a box that [`whole_pixels`] gave.
fn cut(image: &Rgb8, whole: Rect) -> Rgb8 {
    let (left, width) = (whole.x1 as usize, whole.width() as usize);
    let rows = image.pixels().chunks_exact(image.width() as usize * 3);
    let pixels = rows
        .skip(whole.y1 as usize)
        .take(whole.height() as usize)
        .flat_map(|row| row[left * 3..(left + width) * 3].iter().copied())
        .collect();
    Rgb8::new(width as u32, whole.height() as u32, pixels)
        .expect("every row gives the width's pixels")
}

/// `get_resize_output_image_size` of transformers: the longer side is rounded down.
fn shortest_edge_size(image: &Rgb8, shortest_px: u32) -> Size {
    let longer = |long: u32, short: u32| {
        let side = u64::from(shortest_px) * u64::from(long) / u64::from(short);
        u32::try_from(side).unwrap_or(u32::MAX)
    };
    let (width, height) = (image.width(), image.height());
    if width <= height {
        return Size { width: shortest_px, height: longer(height, width) };
    }
    Size { width: longer(width, height), height: shortest_px }
}

/// The middle `crop` pixels of a side of `whole` pixels.
struct Span {
    /// First kept pixel of the side.
    first: u32,
    /// Number of kept pixels, at least 1.
    count: u32,
    /// Pixels to leave empty before them.
    margin: u32,
}

impl Span {
    /// As transformers rounds: of an odd rest, the left margin is the greater where pixels are
    /// added and the smaller where they are cut.
    fn centred(whole: u32, crop: u32) -> Self {
        if crop <= whole {
            return Self { first: (whole - crop) / 2, count: crop, margin: 0 };
        }
        Self { first: 0, count: whole, margin: (crop - whole).div_ceil(2) }
    }

    /// Where the side's edge lies in the crop.
    fn offset(&self) -> i64 {
        i64::from(self.margin) - i64::from(self.first)
    }
}

/// Part of a resized picture.
#[derive(Clone, Copy)]
struct Window {
    left: u32,
    top: u32,
    size: Size,
}

/// The pixels of `window` in the picture resized to `whole`.
///
/// Rows are resized before columns, with bytes between, as in Pillow: where a kernel overshoots at
/// sharp edges the order decides what is clipped.
fn resample(image: &Rgb8, whole: Size, window: Window, filter: Filter) -> Rgb8 {
    let (columns, rows) = (
        Source::of(window.left, window.size.width, whole.width, image.width()),
        Source::of(window.top, window.size.height, whole.height, image.height()),
    );
    let algorithm = filter.algorithm();
    if filter == Filter::Nearest {
        return pass(image, window.size, (columns, rows), algorithm);
    }
    // Only the rows that the second pass reads.
    let (first, count) = rows.reach(image.height());
    let narrow = Size { width: window.size.width, height: count };
    let kept = Source { first: f64::from(first), length: f64::from(count), scale: 1.0 };
    let narrow = pass(image, narrow, (columns, kept), algorithm);
    let columns = Source::of(0, narrow.width(), narrow.width(), narrow.width());
    let rows = Source { first: rows.first - f64::from(first), ..rows };
    pass(&narrow, window.size, (columns, rows), algorithm)
}

/// The part of one side of a picture that becomes a result's side.
#[derive(Clone, Copy)]
struct Source {
    /// Where it begins, in source pixels.
    first: f64,
    /// How long it is, in source pixels.
    length: f64,
    /// Source pixels for one pixel of the result.
    scale: f64,
}

impl Source {
    /// `count` pixels from the `first` on, of a side of `whole` pixels made from `side` pixels.
    fn of(first: u32, count: u32, whole: u32, side: u32) -> Self {
        let scale = f64::from(side) / f64::from(whole);
        let low = f64::from(first) * scale;
        Self { first: low, length: (f64::from(count) * scale).min(f64::from(side) - low), scale }
    }

    /// The first pixel that the widest kernel reads, and how many from there on.
    fn reach(&self, side: u32) -> (u32, u32) {
        const WIDEST_LOBES: f64 = 3.0;
        let radius = WIDEST_LOBES * self.scale.max(1.0) + 1.0;
        let low = (self.first - radius).floor().max(0.0) as u32;
        let high = ((self.first + self.length + radius).ceil() as u32).min(side);
        (low, high - low)
    }
}

/// The box of the picture at `size`. The kernels reach beyond the box into the picture, so that
/// each pixel is what it is in the picture resized as a whole.
fn pass(image: &Rgb8, size: Size, (columns, rows): (Source, Source), by: ResizeAlg) -> Rgb8 {
    let options = ResizeOptions::new().resize_alg(by).crop(
        columns.first,
        rows.first,
        columns.length,
        rows.length,
    );
    let view = ImageRef::new(image.width(), image.height(), image.pixels(), PixelType::U8x3)
        .expect("a picture has three bytes for each pixel");
    let mut target = Image::new(size.width, size.height, PixelType::U8x3);
    Resizer::new()
        .resize(&view, &mut target, &options)
        .expect("both are U8x3 and the box lies inside the picture");
    Rgb8::new(size.width, size.height, target.into_vec())
        .expect("the target has three bytes for each pixel")
}

/// The picture on black of `size`, its corner at (`left`, `top`).
fn place(image: &Rgb8, size: Size, left: u32, top: u32) -> Rgb8 {
    let (row_bytes, left) = (size.width as usize * 3, left as usize * 3);
    let mut pixels = vec![0; row_bytes * size.height as usize];
    let rows = pixels.chunks_exact_mut(row_bytes).skip(top as usize);
    let source = image.pixels().chunks_exact(image.width() as usize * 3);
    for (target, row) in rows.zip(source) {
        target[left..left + row.len()].copy_from_slice(row);
    }
    Rgb8::new(size.width, size.height, pixels).expect("rows have the size's width")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Red is the column, green the row.
    fn ramp(width: u32, height: u32) -> Rgb8 {
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x as u8, y as u8, 7]));
        Rgb8::new(width, height, pixels.collect()).unwrap()
    }

    #[test]
    fn the_kept_part_is_as_in_the_whole() {
        for (width, height) in [(61, 40), (40, 61), (97, 31), (20, 90)] {
            for filter in [Filter::Bicubic, Filter::Bilinear, Filter::Lanczos, Filter::Nearest] {
                let image = ramp(width, height);
                let whole = shortest_edge_size(&image, 24);
                let (kept, fit) = shortest_edge_then_crop(&image, 24, Size::square(24), filter);
                let resized = resize(&image, whole.width, whole.height, filter);
                let (x, y) = (-fit.offset_x, -fit.offset_y);
                let expected = crop(&resized, Rect::new(x, y, x + 24.0, y + 24.0));
                assert_eq!(kept, expected, "{width}x{height} {filter:?}");
            }
        }
    }

    #[test]
    fn a_small_picture_is_padded_with_black_in_the_middle() {
        let image = ramp(3, 2);
        let (padded, fit) = crop_of_resized(
            &image,
            Size { width: 3, height: 2 },
            Size { width: 6, height: 5 },
            Filter::Bicubic,
        );
        assert_eq!((fit.offset_x, fit.offset_y), (2.0, 2.0));
        let at = |x: usize, y: usize| &padded.pixels()[(y * 6 + x) * 3..][..3];
        assert_eq!(at(2, 2), [0, 0, 7]);
        assert_eq!(at(4, 3), [2, 1, 7]);
        assert_eq!(at(1, 2), [0, 0, 0]);
        assert_eq!(at(5, 4), [0, 0, 0]);
    }

    #[test]
    fn a_very_long_picture_costs_little() {
        let image = ramp(1, 16_000);
        let (kept, fit) = shortest_edge_then_crop(&image, 224, Size::square(224), Filter::Bicubic);
        assert_eq!((kept.width(), kept.height()), (224, 224));
        assert!((fit.scale_y - 224.0).abs() < f32::EPSILON);
    }

    #[test]
    fn boxes_go_to_the_model_and_back() {
        let image = ramp(100, 50);
        let (_, fit) = shortest_edge_then_crop(&image, 25, Size::square(25), Filter::Bicubic);
        let middle = fit.to_source(Rect::new(0.0, 0.0, 25.0, 25.0));
        assert_eq!(middle, Rect::new(24.0, 0.0, 74.0, 50.0));
        assert_eq!(fit.to_model(middle), Rect::new(0.0, 0.0, 25.0, 25.0));
        let twice = fit.then(&fit);
        assert_eq!(twice.to_model(middle), fit.to_model(fit.to_model(middle)));
    }

    #[test]
    fn crops_are_whole_pixels_inside_the_picture() {
        let image = ramp(10, 8);
        let cut = crop(&image, Rect::new(1.2, -3.0, 2.1, 1.5));
        assert_eq!((cut.width(), cut.height()), (2, 2));
        assert_eq!(cut.pixels()[..6], [1, 0, 7, 2, 0, 7]);
        for outside in [
            Rect::new(50.0, 50.0, 60.0, 60.0),
            Rect::new(f32::NAN, f32::NAN, f32::NAN, f32::NAN),
            Rect::new(5.0, 5.0, 5.0, 5.0),
            Rect::new(f32::NEG_INFINITY, 3.0, f32::INFINITY, 4.0),
        ] {
            let cut = crop(&image, outside);
            assert!(cut.width() >= 1 && cut.height() >= 1);
        }
    }
}
