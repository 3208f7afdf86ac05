//! Filling shapes in the face's own units.
//!
//! Face units: the head's centre is (0, 0), its half-height 1; y points down.

use tiny_skia::{
    Color, FillRule, GradientStop, LineCap, LineJoin, LinearGradient, Paint, Path, PathBuilder,
    Pixmap, Point, Shader, SpreadMode, Stroke, Transform,
};

use super::Mask;
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;

/// Red, green and blue.
pub(super) type Rgb = [u8; 3];

/// A point in face or frame units.
pub(super) type Point2 = (f32, f32);

/// How a shape is filled.
#[derive(Clone, Copy)]
pub(super) enum Ink {
    /// The inside.
    Fill,
    /// The line, of this width in the shape's units.
    Line(f32),
}

/// A colour that changes from one point to another, in the shape's units.
#[derive(Clone, Copy)]
pub(super) struct Ramp {
    pub from: Point2,
    pub to: Point2,
    pub colors: [Rgb; 2],
}

/// A picture that is being drawn.
pub(super) struct Canvas {
    pixmap: Pixmap,
    transform: Transform,
    light: f32,
}

impl Canvas {
    /// `transform` leads from face units to pixels; `light` scales every colour. Starts out filled
    /// with `ground`.
    pub(super) fn new(side_px: u32, transform: Transform, light: f32, ground: Rgb) -> Self {
        let pixmap =
            Pixmap::new(side_px.max(1), side_px.max(1)).expect("the side is at least 1 px");
        let mut canvas = Self { pixmap, transform, light };
        let ground = canvas.lit(ground, 255);
        canvas.pixmap.fill(ground);
        canvas
    }

    /// Draws in face units.
    pub(super) fn draw(&mut self, path: &Path, color: Rgb, ink: Ink) {
        let shader = Shader::SolidColor(self.lit(color, 255));
        self.put(path, shader, ink, self.transform);
    }

    /// Draws in face units, letting through what lies below; `alpha` 255 is opaque.
    pub(super) fn glaze(&mut self, path: &Path, color: Rgb, alpha: u8, ink: Ink) {
        let shader = Shader::SolidColor(self.lit(color, alpha));
        self.put(path, shader, ink, self.transform);
    }

    /// Fills in face units.
    pub(super) fn shade(&mut self, path: &Path, ramp: Ramp) {
        let shader = self.ramp(ramp);
        self.put(path, shader, Ink::Fill, self.transform);
    }

    /// Draws in frame units: (0, 0) to (1, 1).
    pub(super) fn draw_on_frame(&mut self, path: &Path, color: Rgb) {
        let shader = Shader::SolidColor(self.lit(color, 255));
        let side = self.pixmap.width() as f32;
        self.put(path, shader, Ink::Fill, Transform::from_scale(side, side));
    }

    /// Fills the whole frame; the ramp is in frame units.
    pub(super) fn shade_frame(&mut self, ramp: Ramp) {
        let side = self.pixmap.width() as f32;
        let paint = Paint { shader: self.ramp(ramp), anti_alias: false, ..Paint::default() };
        if let Some(frame) = tiny_skia::Rect::from_xywh(0.0, 0.0, 1.0, 1.0) {
            self.pixmap.fill_rect(frame, &paint, Transform::from_scale(side, side), None);
        }
    }

    fn lit(&self, color: Rgb, alpha: u8) -> Color {
        let [r, g, b] = color.map(|level| (f32::from(level) * self.light).min(255.0) as u8);
        Color::from_rgba8(r, g, b, alpha)
    }

    fn ramp(&self, ramp: Ramp) -> Shader<'static> {
        let [first, last] = ramp.colors.map(|color| self.lit(color, 255));
        let stops = vec![GradientStop::new(0.0, first), GradientStop::new(1.0, last)];
        let point = |(x, y): Point2| Point::from_xy(x, y);
        let (from, to) = (point(ramp.from), point(ramp.to));
        LinearGradient::new(from, to, stops, SpreadMode::Pad, Transform::identity())
            .unwrap_or(Shader::SolidColor(first))
    }

    fn put(&mut self, path: &Path, shader: Shader, ink: Ink, transform: Transform) {
        let paint = Paint { shader, anti_alias: true, ..Paint::default() };
        match ink {
            Ink::Fill => {
                self.pixmap.fill_path(path, &paint, FillRule::Winding, transform, None);
            }
            Ink::Line(width) => {
                self.pixmap.stroke_path(path, &paint, &stroke(width), transform, None);
            }
        }
    }

    /// The picture as drawn so far.
    pub(super) fn picture(&self) -> Rgb8 {
        let drawn = self.pixmap.data();
        let mut pixels = vec![0; drawn.len() / 4 * 3];
        for (to, from) in pixels.chunks_exact_mut(3).zip(drawn.chunks_exact(4)) {
            to.copy_from_slice(&from[..3]);
        }
        Rgb8::new(self.pixmap.width(), self.pixmap.height(), pixels)
            .expect("three levels for each of the pixmap's pixels")
    }
}

fn stroke(width: f32) -> Stroke {
    Stroke { width, line_cap: LineCap::Round, line_join: LineJoin::Round, ..Stroke::default() }
}

/// Which pixels' middles lie in shapes in face units and in none of `hidden_by`.
pub(super) fn cover(
    side_px: u32,
    transform: Transform,
    shapes: &[(&Path, Ink)],
    hidden_by: &[&Path],
) -> Mask {
    let mut covered = fill(side_px, transform, shapes);
    if !hidden_by.is_empty() {
        let front: Vec<_> = hidden_by.iter().map(|path| (*path, Ink::Fill)).collect();
        for (covered, hidden) in covered.iter_mut().zip(fill(side_px, transform, &front)) {
            *covered = *covered && !hidden;
        }
    }
    Mask::new(side_px, side_px, covered)
}

fn fill(side_px: u32, transform: Transform, shapes: &[(&Path, Ink)]) -> Vec<bool> {
    let side_px = side_px.max(1);
    let mut mask = tiny_skia::Mask::new(side_px, side_px).expect("the side is at least 1 px");
    let scale = transform.get_scale().0;
    for (path, ink) in shapes {
        match ink {
            Ink::Fill => mask.fill_path(path, FillRule::Winding, false, transform),
            Ink::Line(width) => {
                if let Some(line) = path.stroke(&stroke(*width), scale) {
                    mask.fill_path(&line, FillRule::Winding, false, transform);
                }
            }
        }
    }
    mask.data().iter().map(|&level| level > 0).collect()
}

/// The box in pixels of shapes in face units, cut to the frame.
pub(super) fn bounds(side_px: u32, transform: Transform, shapes: &[(&Path, Ink)]) -> Rect {
    let side = side_px as f32;
    let scale = transform.get_scale().0;
    let boxes = shapes.iter().filter_map(|(path, ink)| {
        let path = (*path).clone().transform(transform)?;
        let tight = path.compute_tight_bounds().unwrap_or_else(|| path.bounds());
        let rim = match ink {
            Ink::Fill => 0.0,
            Ink::Line(width) => width * scale / 2.0,
        };
        let (left, top) = (tight.left() - rim, tight.top() - rim);
        Some(Rect::new(left, top, tight.right() + rim, tight.bottom() + rim))
    });
    let all = boxes.reduce(|all, next| all.union_box(&next)).unwrap_or_default();
    all.clipped(side, side)
}

/// An ellipse.
pub(super) fn ellipse(center: Point2, radii: Point2) -> Path {
    ellipses(&[(center, radii)])
}

/// Several ellipses as one shape: centre and radii of each.
pub(super) fn ellipses(all: &[(Point2, Point2)]) -> Path {
    let mut path = PathBuilder::new();
    for &((x, y), (rx, ry)) in all {
        if let Some(rect) = tiny_skia::Rect::from_ltrb(x - rx, y - ry, x + rx, y + ry) {
            path.push_oval(rect);
        }
    }
    finish(path)
}

/// A closed shape through corners.
pub(super) fn polygon(corners: &[Point2]) -> Path {
    let mut path = line_through(corners);
    path.close();
    finish(path)
}

/// An open line through points.
pub(super) fn polyline(points: &[Point2]) -> Path {
    finish(line_through(points))
}

/// An open curve from the first point to the last, drawn towards the middle one.
pub(super) fn curve([from, toward, to]: [Point2; 3]) -> Path {
    let mut path = PathBuilder::new();
    path.move_to(from.0, from.1);
    path.quad_to(toward.0, toward.1, to.0, to.1);
    finish(path)
}

fn line_through(points: &[Point2]) -> PathBuilder {
    let mut path = PathBuilder::new();
    for (index, &(x, y)) in points.iter().enumerate() {
        if index == 0 { path.move_to(x, y) } else { path.line_to(x, y) }
    }
    path
}

/// A closed smooth shape: quadratic curves through the middles of a polygon's edges.
pub(super) fn blob(corners: &[Point2]) -> Path {
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

/// Points along the curve that [`blob`] draws about these corners, `per_corner` a corner.
pub(super) fn blob_points(corners: &[Point2], per_corner: usize) -> Vec<Point2> {
    let count = corners.len();
    let point = |index: usize| {
        let (corner, t) = (index / per_corner, (index % per_corner) as f32 / per_corner as f32);
        let toward = corners[corner];
        let from = middle(corners[(corner + count - 1) % count], toward);
        let to = middle(toward, corners[(corner + 1) % count]);
        let at =
            |a: f32, b: f32, c: f32| (1.0 - t).powi(2) * a + 2.0 * (1.0 - t) * t * b + t * t * c;
        (at(from.0, toward.0, to.0), at(from.1, toward.1, to.1))
    };
    (0..count * per_corner).map(point).collect()
}

fn middle(a: Point2, b: Point2) -> Point2 {
    (f32::midpoint(a.0, b.0), f32::midpoint(a.1, b.1))
}

/// A path builder's path; an empty one becomes a point that covers nothing.
pub(super) fn finish(path: PathBuilder) -> Path {
    path.finish().unwrap_or_else(|| {
        let mut point = PathBuilder::new();
        point.move_to(0.0, 0.0);
        point.line_to(0.0, 1e-6);
        point.finish().expect("two points make a path")
    })
}
