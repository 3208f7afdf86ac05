//! Axis-aligned boxes in pixels.

/// A box in pixels of some image; `x2` and `y2` are exclusive edges. Coordinates are continuous:
/// the whole of a W×H image is `(0, 0, W, H)`.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Rect {
    /// Left edge in pixels.
    pub x1: f32,
    /// Top edge in pixels.
    pub y1: f32,
    /// Right edge in pixels, exclusive.
    pub x2: f32,
    /// Bottom edge in pixels, exclusive.
    pub y2: f32,
}

impl Rect {
    /// A box from its edges.
    pub const fn new(x1: f32, y1: f32, x2: f32, y2: f32) -> Self {
        Self { x1, y1, x2, y2 }
    }

    /// Width in pixels, never negative.
    pub fn width(&self) -> f32 {
        (self.x2 - self.x1).max(0.0)
    }

    /// Height in pixels, never negative.
    pub fn height(&self) -> f32 {
        (self.y2 - self.y1).max(0.0)
    }

    /// Area in square pixels.
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The common part of two boxes; empty (zero area) where they do not meet.
    #[must_use]
    pub fn intersection(&self, other: &Self) -> Self {
        let x1 = self.x1.max(other.x1);
        let y1 = self.y1.max(other.y1);
        Self { x1, y1, x2: self.x2.min(other.x2).max(x1), y2: self.y2.min(other.y2).max(y1) }
    }

    /// The smallest box that holds both.
    #[must_use]
    pub fn union_box(&self, other: &Self) -> Self {
        Self {
            x1: self.x1.min(other.x1),
            y1: self.y1.min(other.y1),
            x2: self.x2.max(other.x2),
            y2: self.y2.max(other.y2),
        }
    }

    /// Intersection over union, 0 to 1; 0 where both are empty.
    pub fn iou(&self, other: &Self) -> f32 {
        let inter = self.intersection(other).area();
        let union = self.area() + other.area() - inter;
        if union > 0.0 { inter / union } else { 0.0 }
    }

    /// This box widened on every side by `margin_ratio` of its own width and height.
    #[must_use]
    pub fn expanded(&self, margin_ratio: f32) -> Self {
        let (dx, dy) = (self.width() * margin_ratio, self.height() * margin_ratio);
        Self::new(self.x1 - dx, self.y1 - dy, self.x2 + dx, self.y2 + dy)
    }

    /// This box cut to a `width`×`height` image.
    #[must_use]
    pub fn clipped(&self, width: f32, height: f32) -> Self {
        Self {
            x1: self.x1.clamp(0.0, width),
            y1: self.y1.clamp(0.0, height),
            x2: self.x2.clamp(0.0, width),
            y2: self.y2.clamp(0.0, height),
        }
    }
}
