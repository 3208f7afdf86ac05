//! Axis-aligned boxes in pixels, and the suppression of boxes that say the same.

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

/// A box that a detector proposes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// Where, in pixels.
    pub rect: Rect,
    /// The class, by index.
    pub class: usize,
    /// How sure the detector is, 0 to 1.
    pub confidence: f32,
}

/// Which candidates become detections.
#[derive(Clone, Debug, PartialEq)]
pub struct NmsOptions {
    /// Candidates must be surer than this, 0 to 1.
    pub min_confidence: f32,
    /// A candidate that overlaps a surer one of its class by more than this is dropped, 0 to 1.
    pub iou_threshold: f32,
    /// Only so many of the surest candidates are looked at.
    pub max_candidates: usize,
    /// At most so many are kept.
    pub max_detections: usize,
    /// Classes to keep, by index; empty for all.
    pub classes: Vec<usize>,
}

impl Default for NmsOptions {
    fn default() -> Self {
        Self {
            min_confidence: 0.25,
            iou_threshold: 0.7,
            max_candidates: 30_000,
            max_detections: 300,
            classes: Vec::new(),
        }
    }
}

/// Greedy non-maximum suppression within each class: from the surest candidate on, each is kept
/// unless a kept one of its class overlaps it too much. Surest first; equally sure ones keep their
/// order. Candidates with a number that is not finite are dropped.
pub fn nms(candidates: &[Candidate], options: &NmsOptions) -> Vec<Candidate> {
    surviving(candidates, options).into_iter().map(|at| candidates[at]).collect()
}

/// The same, as places among `candidates`.
pub fn surviving(candidates: &[Candidate], options: &NmsOptions) -> Vec<usize> {
    let fits = |candidate: &Candidate| {
        let Candidate { rect, class, confidence } = candidate;
        let numbers = [rect.x1, rect.y1, rect.x2, rect.y2, *confidence];
        numbers.iter().all(|number| number.is_finite())
            && *confidence > options.min_confidence
            && (options.classes.is_empty() || options.classes.contains(class))
    };
    let mut order: Vec<usize> = (0..candidates.len()).filter(|&at| fits(&candidates[at])).collect();
    order.sort_by(|&a, &b| candidates[b].confidence.total_cmp(&candidates[a].confidence));
    order.truncate(options.max_candidates);
    let mut kept: Vec<usize> = Vec::new();
    for at in order {
        if kept.len() >= options.max_detections {
            break;
        }
        let candidate = &candidates[at];
        let repeats = |&surer: &usize| {
            let surer = &candidates[surer];
            surer.class == candidate.class
                && surer.rect.iou(&candidate.rect) > options.iou_threshold
        };
        if !kept.iter().any(repeats) {
            kept.push(at);
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(x: f32, class: usize, confidence: f32) -> Candidate {
        Candidate { rect: Rect::new(x, 0.0, x + 10.0, 10.0), class, confidence }
    }

    fn check(candidates: &[Candidate], options: &NmsOptions, expected: &[Candidate]) {
        assert_eq!(nms(candidates, options), expected);
    }

    #[test]
    fn the_surest_of_overlapping_boxes_is_kept() {
        // Shifted by 1 of 10: overlap 9 / 11. Shifted by 3: 7 / 13.
        let (low, high, far) = (at(0.0, 0, 0.6), at(1.0, 0, 0.9), at(4.0, 0, 0.5));
        check(&[low, high, far], &NmsOptions::default(), &[high, far]);
        let strict = NmsOptions { iou_threshold: 0.5, ..NmsOptions::default() };
        check(&[low, high, far], &strict, &[high]);
    }

    #[test]
    fn a_suppressed_box_suppresses_nothing() {
        let (first, second, third) = (at(0.0, 0, 0.9), at(2.0, 0, 0.8), at(4.0, 0, 0.7));
        let options = NmsOptions { iou_threshold: 0.6, ..NmsOptions::default() };
        check(&[third, second, first], &options, &[first, third]);
    }

    #[test]
    fn classes_do_not_suppress_each_other_and_can_be_chosen() {
        let (ear, eye) = (at(0.0, 0, 0.6), at(0.0, 1, 0.9));
        check(&[ear, eye], &NmsOptions::default(), &[eye, ear]);
        let ears = NmsOptions { classes: vec![0], ..NmsOptions::default() };
        check(&[ear, eye], &ears, &[ear]);
    }

    #[test]
    fn limits_keep_the_surest() {
        let boxes: Vec<Candidate> =
            (0..10).map(|i| at(20.0 * i as f32, 0, 0.3 + 0.05 * i as f32)).collect();
        let two = NmsOptions { max_detections: 2, ..NmsOptions::default() };
        check(&boxes, &two, &[boxes[9], boxes[8]]);
        let one = NmsOptions { max_candidates: 1, ..NmsOptions::default() };
        check(&boxes, &one, &[boxes[9]]);
        let none = NmsOptions { min_confidence: 1.0, ..NmsOptions::default() };
        check(&boxes, &none, &[]);
    }

    #[test]
    fn numbers_that_are_not_finite_are_dropped() {
        let good = at(0.0, 0, 0.5);
        let nan = at(0.0, 0, f32::NAN);
        let endless = at(f32::INFINITY, 0, 0.9);
        let nowhere = at(f32::NAN, 0, 0.9);
        check(&[nan, endless, good, nowhere], &NmsOptions::default(), &[good]);
    }
}
