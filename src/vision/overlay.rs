//! Heatmaps and boxes drawn over the picture they belong to.

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use tiny_skia::{Color, Paint, PathBuilder, Pixmap, Stroke, Transform};

use super::boxes::Rect;
use super::image::{ImageError, Rgb8};

/// How much of the strongest heat's colour covers the picture.
const MAX_OPACITY: f32 = 0.75;

/// How much of the colour is taken from what the heatmap does not cover.
const GREYED: f32 = 0.7;

/// A map whose values differ by less than this share of the largest shows no heat.
const FLAT_RATIO: f32 = 1e-5;

/// The legend is left out of pictures that are narrower, in pixels.
const LEGEND_MIN_SIDE_PX: u32 = 96;

/// A heatmap on its way over a picture.
#[derive(Clone, Copy, Debug)]
pub struct Heat<'a> {
    /// Row-major, `rows * columns` numbers; 0 is no heat.
    pub values: &'a [f32],
    /// Rows and columns, each at least 1.
    pub grid: (usize, usize),
    /// What the grid covers, in pixels of the picture: the crop that the model saw.
    pub area: Rect,
    /// Whether negative values are evidence against (blue) rather than nothing.
    pub signed: bool,
}

/// A box to outline.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Where, in pixels of the picture.
    pub rect: Rect,
    /// Its colour, RGB.
    pub colour: [u8; 3],
}

/// The picture with heat in colour, what the heat does not cover greyed, boxes outlined, and a bar
/// of the colours (weak to strong) at the lower right. A flat map draws nothing.
pub fn overlay(picture: &Rgb8, heat: Option<Heat<'_>>, outlines: &[Outline]) -> Rgb8 {
    let (width, height) = (picture.width(), picture.height());
    let mut drawn = picture.clone();
    let pixels = drawn.pixels_mut();
    if let Some(heat) = heat.filter(is_drawable) {
        draw_heat(pixels, width, height, &heat);
        if width.min(height) >= LEGEND_MIN_SIDE_PX {
            draw_legend(pixels, width, height, heat.signed);
        }
    }
    if !outlines.is_empty() {
        draw_outlines(pixels, width, height, outlines);
    }
    drawn
}

/// The picture as PNG bytes.
pub fn png(picture: &Rgb8) -> Result<Vec<u8>, ImageError> {
    let mut bytes = Vec::new();
    let (width, height) = (picture.width(), picture.height());
    PngEncoder::new(&mut bytes)
        .write_image(picture.pixels(), width, height, ExtendedColorType::Rgb8)
        .map_err(|e| ImageError::Corrupt(e.to_string()))?;
    Ok(bytes)
}

/// A map at another size: bilinear with half-pixel centres and clamped edges (`align_corners`
/// false, no antialiasing), as `torch` and `OpenCV` do it. `values` is row-major
/// `grid.0 * grid.1`; the result `height * width`.
pub fn resample_map(values: &[f32], grid: (usize, usize), width: u32, height: u32) -> Vec<f32> {
    let columns = axis(grid.1, 0.0, width as f32, width);
    let rows = axis(grid.0, 0.0, height as f32, height);
    let mut out = Vec::with_capacity(rows.len() * columns.len());
    for row in rows.iter().flatten() {
        out.extend(columns.iter().flatten().map(|column| sample(values, grid.1, row, column)));
    }
    out
}

/// Between which two cells a pixel lies, and how far towards the second.
#[derive(Clone, Copy, Debug)]
struct Between {
    first: usize,
    second: usize,
    second_share: f32,
}

/// For each of `pixels` pixel centres along one side: its place among `cells` cells that cover
/// `from..to` pixels, or nothing where they do not reach.
fn axis(cells: usize, from: f32, to: f32, pixels: u32) -> Vec<Option<Between>> {
    let last = cells.saturating_sub(1);
    let place = |pixel: u32| {
        let centre = pixel as f32 + 0.5;
        if centre < from || centre > to {
            return None;
        }
        let cell = (centre - from) / (to - from) * cells as f32 - 0.5;
        let cell = cell.clamp(0.0, last as f32);
        let first = (cell as usize).min(last);
        Some(Between { first, second: (first + 1).min(last), second_share: cell - first as f32 })
    };
    (0..pixels).map(place).collect()
}

fn sample(values: &[f32], columns: usize, row: &Between, column: &Between) -> f32 {
    let along = |row: usize| {
        let (a, b) = (values[row * columns + column.first], values[row * columns + column.second]);
        a + (b - a) * column.second_share
    };
    let (above, below) = (along(row.first), along(row.second));
    above + (below - above) * row.second_share
}

/// Whether the map has a shape to show: the right length, finite, not flat.
fn is_drawable(heat: &Heat<'_>) -> bool {
    let (rows, columns) = heat.grid;
    if heat.values.len() != rows * columns || heat.values.is_empty() {
        return false;
    }
    let low = heat.values.iter().copied().fold(f32::INFINITY, f32::min);
    let high = heat.values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let finite = heat.values.iter().all(|v| v.is_finite());
    finite && high - low > FLAT_RATIO * high.abs().max(low.abs()) && strongest(heat) > 0.0
}

/// The value that gets the strongest colour.
fn strongest(heat: &Heat<'_>) -> f32 {
    let magnitude = |v: f32| if heat.signed { v.abs() } else { v };
    heat.values.iter().copied().map(magnitude).fold(0.0, f32::max)
}

fn draw_heat(pixels: &mut [u8], width: u32, height: u32, heat: &Heat<'_>) {
    let columns = axis(heat.grid.1, heat.area.x1, heat.area.x2, width);
    let rows = axis(heat.grid.0, heat.area.y1, heat.area.y2, height);
    let scale = strongest(heat).recip();
    for (line, row) in pixels.chunks_exact_mut(width as usize * 3).zip(&rows) {
        for (pixel, column) in line.chunks_exact_mut(3).zip(&columns) {
            if let (Some(row), Some(column)) = (row, column) {
                let strength = sample(heat.values, heat.grid.1, row, column) * scale;
                blend(pixel, colour(strength, heat.signed), opacity(strength, heat.signed));
            } else {
                let [r, g, b] = [0, 1, 2].map(|i| f32::from(pixel[i]));
                blend(pixel, [0.299 * r + 0.587 * g + 0.114 * b; 3], GREYED);
            }
        }
    }
}

fn blend(pixel: &mut [u8], colour: [f32; 3], share: f32) {
    for (channel, colour) in pixel.iter_mut().zip(colour) {
        let mixed = f32::from(*channel) * (1.0 - share) + colour * share;
        *channel = mixed.round().clamp(0.0, 255.0) as u8;
    }
}

/// How much heat of `strength` (−1 to 1) covers the picture.
fn opacity(strength: f32, signed: bool) -> f32 {
    let strength = if signed { strength.abs() } else { strength.max(0.0) };
    MAX_OPACITY * strength.min(1.0).sqrt()
}

/// The colour of heat of `strength`: Turbo (Mikhailov 2019) from 0 to 1, or, signed, blue over
/// white to red from −1 to 1.
fn colour(strength: f32, signed: bool) -> [f32; 3] {
    const TURBO: [[f32; 3]; 9] = [
        [48.0, 18.0, 59.0],
        [70.0, 107.0, 227.0],
        [40.0, 188.0, 235.0],
        [50.0, 242.0, 152.0],
        [164.0, 252.0, 60.0],
        [238.0, 207.0, 58.0],
        [251.0, 126.0, 33.0],
        [208.0, 47.0, 5.0],
        [122.0, 4.0, 3.0],
    ];
    const DIVERGING: [[f32; 3]; 5] = [
        [33.0, 102.0, 172.0],
        [146.0, 197.0, 222.0],
        [255.0, 255.0, 255.0],
        [244.0, 165.0, 130.0],
        [178.0, 24.0, 43.0],
    ];
    if signed { ramp(&DIVERGING, f32::midpoint(strength, 1.0)) } else { ramp(&TURBO, strength) }
}

/// The colour at `place` (0 to 1) along evenly spaced `stops`.
fn ramp(stops: &[[f32; 3]], place: f32) -> [f32; 3] {
    let last = stops.len() - 1;
    let place = place.clamp(0.0, 1.0) * last as f32;
    let first = (place as usize).min(last - 1);
    let share = place - first as f32;
    [0, 1, 2].map(|i| stops[first][i] + (stops[first + 1][i] - stops[first][i]) * share)
}

/// A bar of the colours as heat would show over white, in a dark frame.
fn draw_legend(pixels: &mut [u8], width: u32, height: u32, signed: bool) {
    let (bar_width, bar_height) = (width / 4, (height / 48).max(4));
    let margin = (width.min(height) / 40).max(3);
    let (left, top) = (width - margin - bar_width, height - margin - bar_height);
    for y in top - 1..=top + bar_height {
        for x in left - 1..=left + bar_width {
            let at = (y as usize * width as usize + x as usize) * 3;
            let inside =
                (left..left + bar_width).contains(&x) && (top..top + bar_height).contains(&y);
            let pixel = &mut pixels[at..at + 3];
            pixel.fill(if inside { 255 } else { 40 });
            if inside {
                let place = (x - left) as f32 / (bar_width - 1) as f32;
                let strength = if signed { place * 2.0 - 1.0 } else { place };
                blend(pixel, colour(strength, signed), opacity(strength, signed));
            }
        }
    }
}

fn draw_outlines(pixels: &mut [u8], width: u32, height: u32, outlines: &[Outline]) {
    let Some(mut canvas) = Pixmap::new(width, height) else { return };
    let stroke_px = (width.min(height) as f32 / 160.0).clamp(1.5, 8.0);
    let stroke = Stroke { width: stroke_px, ..Stroke::default() };
    for Outline { rect, colour: [r, g, b] } in outlines {
        // Kept whole inside the picture, so that no side is lost at its edge.
        let rect = rect.clipped(width as f32, height as f32);
        let half = stroke_px / 2.0;
        let Some(rect) = tiny_skia::Rect::from_ltrb(
            rect.x1 + half,
            rect.y1 + half,
            rect.x2 - half,
            rect.y2 - half,
        ) else {
            continue;
        };
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(Color::from_rgba8(*r, *g, *b, 255));
        let path = PathBuilder::from_rect(rect);
        canvas.stroke_path(&path, &paint, &stroke, Transform::identity(), None);
    }
    for (pixel, drawn) in pixels.chunks_exact_mut(3).zip(canvas.pixels()) {
        let line = drawn.demultiply();
        let share = f32::from(line.alpha()) / 255.0;
        blend(pixel, [line.red(), line.green(), line.blue()].map(f32::from), share);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GREY: [u8; 3] = [120, 130, 110];

    fn grey(side: u32) -> Rgb8 {
        Rgb8::new(side, side, GREY.repeat((side * side) as usize)).unwrap()
    }

    fn pixel(picture: &Rgb8, x: u32, y: u32) -> [u8; 3] {
        let at = (y as usize * picture.width() as usize + x as usize) * 3;
        picture.pixels()[at..at + 3].try_into().unwrap()
    }

    fn heat(values: &[f32], signed: bool) -> Heat<'_> {
        Heat { values, grid: (2, 2), area: Rect::new(8.0, 8.0, 56.0, 56.0), signed }
    }

    #[test]
    fn maps_grow_as_pytorch_grows_them() {
        // torch.nn.functional.interpolate([[0, 1], [2, 4]], size=(4, 4), mode="bilinear")
        let expected = [
            [0.0, 0.25, 0.75, 1.0],
            [0.5, 0.8125, 1.4375, 1.75],
            [1.5, 1.9375, 2.8125, 3.25],
            [2.0, 2.5, 3.5, 4.0],
        ];
        let got = resample_map(&[0.0, 1.0, 2.0, 4.0], (2, 2), 4, 4);
        for (a, b) in got.iter().zip(expected.as_flattened()) {
            assert!((a - b).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn a_map_of_its_own_size_stays_as_it_is() {
        let map = [1.0, -2.0, 3.0, 0.5, 7.0, 9.0];
        assert_eq!(resample_map(&map, (2, 3), 3, 2), map);
        assert_eq!(resample_map(&[5.0], (1, 1), 2, 2), [5.0; 4]);
    }

    #[test]
    fn heat_lies_where_the_crop_was() {
        let drawn = overlay(&grey(64), Some(heat(&[0.0, 0.0, 0.0, 1.0], false)), &[]);
        let [r, g, b] = pixel(&drawn, 50, 50);
        assert!(r > 100 && g < 60 && b < 60, "strongest heat is dark red: {:?}", [r, g, b]);
        assert_eq!(pixel(&drawn, 12, 12), GREY, "no heat, no change");
        let [r, g, b] = pixel(&drawn, 2, 2);
        assert!(r.abs_diff(g) < 5 && g.abs_diff(b) < 8, "outside is greyed: {:?}", [r, g, b]);
    }

    #[test]
    fn signed_heat_is_red_for_and_blue_against() {
        let drawn = overlay(&grey(64), Some(heat(&[-1.0, 0.0, 0.0, 1.0], true)), &[]);
        let (against, support) = (pixel(&drawn, 12, 12), pixel(&drawn, 52, 52));
        assert!(against[2] > against[0] && support[0] > support[2], "{against:?} {support:?}");
    }

    #[test]
    fn flat_and_broken_maps_draw_no_heat() {
        let picture = grey(64);
        for values in [[0.0; 4], [2.0; 4], [-1.0, -2.0, -3.0, -4.0], [f32::NAN, 0.0, 0.0, 1.0]] {
            assert_eq!(overlay(&picture, Some(heat(&values, false)), &[]), picture, "{values:?}");
        }
        assert_eq!(overlay(&picture, Some(heat(&[1.0, 2.0], false)), &[]), picture);
    }

    #[test]
    fn outlines_are_drawn_whole_even_at_the_edge() {
        let red = [255, 0, 0];
        let outline = |rect| Outline { rect, colour: red };
        let rects = [Rect::new(-9.0, 10.0, 500.0, 30.0), Rect::new(20.0, 20.0, 20.0, 20.0)];
        let drawn = overlay(&grey(64), None, &rects.map(outline));
        assert_eq!(pixel(&drawn, 0, 20), red);
        assert_eq!(pixel(&drawn, 63, 20), red);
        assert_eq!(pixel(&drawn, 30, 10), red);
        assert_eq!(pixel(&drawn, 30, 20), GREY);
    }

    #[test]
    fn a_png_holds_the_picture() {
        let drawn = overlay(&grey(200), Some(heat(&[0.0, 0.2, 0.5, 1.0], false)), &[]);
        let bytes = png(&drawn).unwrap();
        let back = ::image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(back.as_raw(), drawn.pixels());
    }
}
