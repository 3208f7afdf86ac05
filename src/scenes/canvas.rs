//! Filling shapes in the face's own units.
//!
//! Face units: the head's centre is (0, 0), its half-height 1; y points down.

use tiny_skia::{
    Color, FillRule, LineCap, LineJoin, Paint, Path, PathBuilder, Pixmap, Stroke, Transform,
};

use super::Mask;
use crate::vision::boxes::Rect;

/// Red, green and blue.
pub(super) type Rgb = [u8; 3];

/// A shape in some units, and how it is filled.
pub(super) enum Ink {
    /// The inside.
    Fill,
    /// The line, of this width in the shape's units.
    Line(f32),
}

/// A picture that is being drawn.
pub(super) struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
    light: f32,
}

impl Canvas {
    /// `transform` leads from face units to pixels; `light` scales every colour.
    pub(super) fn new(side_px: u32, transform: Transform, light: f32) -> Self {
        let pixmap =
            Pixmap::new(side_px.max(1), side_px.max(1)).expect("the side is at least 1 px");
        Self { pixmap, transform, light }
    }

    pub(super) fn side_px(&self) -> u32 {
        self.pixmap.width()
    }

    /// Draws in face units.
    pub(super) fn draw(&mut self, path: &Path, color: Rgb, ink: &Ink) {
        let transform = self.transform;
        self.put(path, (color, 255), ink, transform);
    }

    /// Draws in face units, letting through what lies below; `alpha` 255 is opaque.
    pub(super) fn glaze(&mut self, path: &Path, color: Rgb, alpha: u8) {
        let transform = self.transform;
        self.put(path, (color, alpha), &Ink::Fill, transform);
    }

    /// Draws in frame units: (0, 0) to (1, 1).
    pub(super) fn draw_on_frame(&mut self, path: &Path, color: Rgb) {
        let side = self.side_px() as f32;
        self.put(path, (color, 255), &Ink::Fill, Transform::from_scale(side, side));
    }

    fn put(&mut self, path: &Path, (color, alpha): (Rgb, u8), ink: &Ink, transform: Transform) {
        let [r, g, b] = color.map(|level| (f32::from(level) * self.light).min(255.0) as u8);
        let mut paint = Paint { anti_alias: true, ..Paint::default() };
        paint.set_color(Color::from_rgba8(r, g, b, alpha));
        match ink {
            Ink::Fill => {
                self.pixmap.fill_path(path, &paint, FillRule::Winding, transform, None);
            }
            Ink::Line(width) => {
                self.pixmap.stroke_path(path, &paint, &stroke(*width), transform, None);
            }
        }
    }

    /// The pixels, `[H, W, 3]`.
    pub(super) fn rgb(&self) -> Vec<u8> {
        self.pixmap.pixels().iter().flat_map(|p| [p.red(), p.green(), p.blue()]).collect()
    }
}

fn stroke(width: f32) -> Stroke {
    Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

/// Which pixels shapes in face units cover by half or more.
pub(super) fn cover(side_px: u32, transform: Transform, shapes: &[(&Path, Ink)]) -> Mask {
    let mut canvas = Canvas::new(side_px, transform, 1.0);
    for (path, ink) in shapes {
        canvas.draw(path, [255; 3], ink);
    }
    let values = canvas.pixmap.pixels().iter().map(|pixel| pixel.alpha() >= 128).collect();
    Mask::new(side_px, side_px, values)
}

/// The box in pixels of shapes in face units, cut to the frame.
pub(super) fn bounds(side_px: u32, transform: Transform, paths: &[&Path]) -> Rect {
    let side = side_px as f32;
    let boxes = paths.iter().filter_map(|path| (*path).clone().transform(transform)).map(|path| {
        let tight = path.compute_tight_bounds().unwrap_or_else(|| path.bounds());
        Rect::new(tight.left(), tight.top(), tight.right(), tight.bottom())
    });
    let all = boxes.reduce(|all, next| all.union_box(&next)).unwrap_or_default();
    all.clipped(side, side)
}

/// An ellipse.
pub(super) fn ellipse((x, y): (f32, f32), (rx, ry): (f32, f32)) -> Path {
    let mut path = PathBuilder::new();
    if let Some(rect) = tiny_skia::Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry) {
        path.push_oval(rect);
    }
    finish(path)
}

/// A closed shape through corners.
pub(super) fn polygon(corners: &[(f32, f32)]) -> Path {
    let mut path = line_through(corners);
    path.close();
    finish(path)
}

/// An open line through points.
pub(super) fn polyline(points: &[(f32, f32)]) -> Path {
    finish(line_through(points))
}

fn line_through(points: &[(f32, f32)]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path
}

/// A closed smooth shape: quadratic curves through the middles of a polygon's edges.
pub(super) fn blob(corners: &[(f32, f32)]) -> Path {
    let middle = |a: (f32, f32), b: (f32, f32)| (f32::midpoint(a.0, b.0), f32::midpoint(a.1, b.1));
    let mut path = PathBuilder::new();
    let count = corners.len();
    for (index, &corner) in corners.iter().enumerate() {
        if index == 0 {
            let (x, y) = middle(corners[count - 1], corner);
            path.move_to(x, y);
        }
        let (x, y) = middle(corner, corners[(index + 1) % count]);
        path.quad_to(corner.0, corner.1, x, y);
    }
    path.close();
    finish(path)
}

/// A path builder's path; an empty one becomes a point that covers nothing.
fn finish(path: PathBuilder) -> Path {
    path.finish().unwrap_or_else(|| {
        let mut point = PathBuilder::new();
        point.move_to(0.0, 0.0);
        point.line_to(0.0, 1e-6);
        point.finish().expect("two points make a path")
    })
}
