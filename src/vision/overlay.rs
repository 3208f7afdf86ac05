//! Heatmaps and boxes drawn over the picture they belong to.

use ::image::codecs::png::PngEncoder;
use ::image::{ExtendedColorType, ImageEncoder};
use tiny_skia::{Color, Paint, PathBuilder, Pixmap, Stroke, Transform};

use super::boxes::Rect;
use super::image::Rgb8;

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
    /// Row-major, `rows * columns` numbers; 0 is no heat. Where any is negative, negative is
    /// evidence against.
    pub values: &'a [f32],
    /// Rows and columns, each at least 1.
    pub grid: (usize, usize),
    /// What the grid covers, in pixels of the picture: the crop that the model saw.
    pub area: Rect,
}

/// A box to outline.
#[derive(Clone, Copy, Debug)]
pub struct Outline {
    /// Where, in pixels of the picture.
    pub rect: Rect,
    /// Its colour, RGB.
    pub colour: [u8; 3],
}

/// A PNG of the picture with heat in colour, what the heat does not cover greyed, boxes outlined,
/// and a bar of the colours at the lower right: Turbo from weak to strong, or, for a map with
/// negative values, blue (against) to red (for). A flat map draws nothing.
pub fn overlay<'a>(
    picture: &Rgb8,
    heat: impl Into<Option<&'a Heat<'a>>>,
    outlines: &[Outline],
) -> Vec<u8> {
    png(&draw(picture, heat.into(), outlines))
}

/// The map at the picture's size, row-major `height * width`: bilinear with half-pixel centres and
/// clamped edges (`align_corners` false, no antialiasing), as `torch` and `OpenCV` do it; 0 where
/// the grid does not reach.
pub fn to_source(heat: &Heat<'_>, width: usize, height: usize) -> Vec<f32> {
    let columns = axis(heat.grid.1, (heat.area.x1, heat.area.x2), width);
    let rows = axis(heat.grid.0, (heat.area.y1, heat.area.y2), height);
    let mut out = Vec::with_capacity(width * height);
    for row in &rows {
        out.extend(columns.iter().map(|column| match (row, column) {
            (Some(row), Some(column)) => sample(heat.values, heat.grid.1, row, column),
            _ => 0.0,
        }));
    }
    out
}

fn draw(picture: &Rgb8, heat: Option<&Heat<'_>>, outlines: &[Outline]) -> Rgb8 {
    let (width, height) = (picture.width(), picture.height());
    let mut drawn = picture.clone();
    let pixels = drawn.pixels_mut();
    if let Some((heat, scale)) = heat.and_then(|heat| Some((heat, Scale::of(heat)?))) {
        draw_heat(pixels, (width as usize, height as usize), heat, &scale);
        if width.min(height) >= LEGEND_MIN_SIDE_PX {
            draw_legend(pixels, width, height, scale.signed);
        }
    }
    if !outlines.is_empty() {
        draw_outlines(pixels, width, height, outlines);
    }
    drawn
}

fn png(picture: &Rgb8) -> Vec<u8> {
    let mut bytes = Vec::new();
    PngEncoder::new(&mut bytes)
        .write_image(picture.pixels(), picture.width(), picture.height(), ExtendedColorType::Rgb8)
        .expect("memory takes every picture whose pixels fit its size");
    bytes
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
fn axis(cells: usize, (from, to): (f32, f32), pixels: usize) -> Vec<Option<Between>> {
    let last = cells.saturating_sub(1);
    let place = |pixel: usize| {
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

/// From values to strengths of −1 to 1.
struct Scale {
    per_unit: f32,
    signed: bool,
}

impl Scale {
    /// Nothing where the map has no shape to show: the wrong length, not finite, or flat.
    fn of(heat: &Heat<'_>) -> Option<Self> {
        let (values, (rows, columns)) = (heat.values, heat.grid);
        let low = values.iter().copied().fold(f32::INFINITY, f32::min);
        let high = values.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let strongest = high.abs().max(low.abs());
        let fits = !values.is_empty() && values.len() == rows * columns;
        let shaped = values.iter().all(|v| v.is_finite()) && high - low > FLAT_RATIO * strongest;
        (fits && shaped).then(|| Self { per_unit: strongest.recip(), signed: low < 0.0 })
    }
}

fn draw_heat(pixels: &mut [u8], (width, height): (usize, usize), heat: &Heat<'_>, scale: &Scale) {
    let columns = axis(heat.grid.1, (heat.area.x1, heat.area.x2), width);
    let rows = axis(heat.grid.0, (heat.area.y1, heat.area.y2), height);
    for (line, row) in pixels.chunks_exact_mut(width * 3).zip(&rows) {
        for (pixel, column) in line.chunks_exact_mut(3).zip(&columns) {
            if let (Some(row), Some(column)) = (row, column) {
                let strength = sample(heat.values, heat.grid.1, row, column) * scale.per_unit;
                blend(pixel, colour(strength, scale.signed), opacity(strength));
            } else {
                blend(pixel, luma(pixel), GREYED);
            }
        }
    }
}

/// The picture without its colours: what stands where a map has nothing to show.
pub fn greyed(picture: &Rgb8) -> Rgb8 {
    let mut grey = picture.clone();
    for pixel in grey.pixels_mut().chunks_exact_mut(3) {
        blend(pixel, luma(pixel), 1.0);
    }
    grey
}

/// The grey of a pixel (ITU-R BT.601).
fn luma(pixel: &[u8]) -> [f32; 3] {
    let [r, g, b] = [0, 1, 2].map(|i| f32::from(pixel[i]));
    [0.299 * r + 0.587 * g + 0.114 * b; 3]
}

fn blend(pixel: &mut [u8], colour: [f32; 3], share: f32) {
    for (channel, colour) in pixel.iter_mut().zip(colour) {
        let mixed = f32::from(*channel) * (1.0 - share) + colour * share;
        *channel = mixed.round().clamp(0.0, 255.0) as u8;
    }
}

/// How much heat of `strength` (−1 to 1) covers the picture.
fn opacity(strength: f32) -> f32 {
    MAX_OPACITY * strength.abs().min(1.0).sqrt()
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
                blend(pixel, colour(strength, signed), opacity(strength));
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

    fn heat(values: &[f32]) -> Heat<'_> {
        Heat { values, grid: (2, 2), area: Rect::new(8.0, 8.0, 56.0, 56.0) }
    }

    fn check_size(values: &[f32], grid: (usize, usize), size: (usize, usize), expected: &[f32]) {
        let area = Rect::new(0.0, 0.0, size.0 as f32, size.1 as f32);
        let got = to_source(&Heat { values, grid, area }, size.0, size.1);
        assert_eq!(got.len(), expected.len());
        for (a, b) in got.iter().zip(expected) {
            assert!((a - b).abs() < 1e-6, "{got:?}");
        }
    }

    #[test]
    fn maps_grow_as_torch_grows_them() {
        // torch.nn.functional.interpolate([[0, 1], [2, 4]], size=(4, 4), mode="bilinear")
        let expected = [
            [0.0, 0.25, 0.75, 1.0],
            [0.5, 0.8125, 1.4375, 1.75],
            [1.5, 1.9375, 2.8125, 3.25],
            [2.0, 2.5, 3.5, 4.0],
        ];
        check_size(&[0.0, 1.0, 2.0, 4.0], (2, 2), (4, 4), expected.as_flattened());
    }

    #[test]
    fn a_map_of_its_own_size_stays_as_it_is() {
        let map = [1.0, -2.0, 3.0, 0.5, 7.0, 9.0];
        check_size(&map, (2, 3), (3, 2), &map);
        check_size(&[5.0], (1, 1), (2, 2), &[5.0; 4]);
    }

    #[test]
    fn a_map_is_zero_where_the_crop_did_not_look() {
        let map = to_source(&heat(&[1.0; 4]), 64, 64);
        let heated = map.iter().filter(|&&v| v > 0.0).count();
        assert_eq!(heated, 48 * 48);
    }

    #[test]
    fn heat_lies_where_the_crop_was() {
        let drawn = draw(&grey(64), Some(&heat(&[0.0, 0.0, 0.0, 1.0])), &[]);
        let [r, g, b] = pixel(&drawn, 50, 50);
        assert!(r > 100 && g < 60 && b < 60, "strongest heat is dark red: {:?}", [r, g, b]);
        assert_eq!(pixel(&drawn, 12, 12), GREY, "no heat, no change");
        let [r, g, b] = pixel(&drawn, 2, 2);
        assert!(r.abs_diff(g) < 5 && g.abs_diff(b) < 8, "outside is greyed: {:?}", [r, g, b]);
    }

    #[test]
    fn signed_heat_is_red_for_and_blue_against() {
        let drawn = draw(&grey(64), Some(&heat(&[-1.0, 0.0, 0.0, 1.0])), &[]);
        let (against, support) = (pixel(&drawn, 12, 12), pixel(&drawn, 52, 52));
        assert!(against[2] > against[0] && support[0] > support[2], "{against:?} {support:?}");
    }

    #[test]
    fn a_greyed_picture_keeps_its_light_and_loses_its_colour() {
        let picture = Rgb8::new(3, 1, [[255, 0, 0], [0, 255, 0], [9, 9, 9]].concat()).unwrap();
        assert_eq!(greyed(&picture).pixels(), [[76; 3], [150; 3], [9; 3]].concat());
    }

    #[test]
    fn flat_and_broken_maps_draw_no_heat() {
        let picture = grey(64);
        for values in [[0.0; 4], [2.0; 4], [-1.0; 4], [f32::NAN, 0.0, 0.0, 1.0]] {
            assert_eq!(draw(&picture, Some(&heat(&values)), &[]), picture, "{values:?}");
        }
        assert_eq!(draw(&picture, Some(&heat(&[1.0, 2.0])), &[]), picture);
    }

    #[test]
    fn outlines_are_drawn_whole_even_at_the_edge() {
        let red = [255, 0, 0];
        let outline = |rect| Outline { rect, colour: red };
        let rects = [Rect::new(-9.0, 10.0, 500.0, 30.0), Rect::new(20.0, 20.0, 20.0, 20.0)];
        let drawn = draw(&grey(64), None, &rects.map(outline));
        assert_eq!(pixel(&drawn, 0, 20), red);
        assert_eq!(pixel(&drawn, 63, 20), red);
        assert_eq!(pixel(&drawn, 30, 10), red);
        assert_eq!(pixel(&drawn, 30, 20), GREY);
    }

    #[test]
    fn a_png_holds_the_picture() {
        let (picture, values) = (grey(200), [0.0, 0.2, 0.5, 1.0]);
        let bytes = overlay(&picture, &heat(&values), &[]);
        let back = ::image::load_from_memory(&bytes).unwrap().to_rgb8();
        assert_eq!(back.as_raw(), draw(&picture, Some(&heat(&values)), &[]).pixels());
        assert!(overlay(&picture, None, &[]).starts_with(b"\x89PNG"));
    }
}
