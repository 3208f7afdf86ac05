//! Pictures for the detector to learn from: faces of the demo world, whole or placed on a larger
//! canvas, one or two or none, mirrored and relit. Drawn from a seed; no tensors.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::scenes::{self, FaceSpec, HELD_OUT, Part, Scene};
use crate::vision::boxes::Rect;
use crate::vision::letterbox::{Padding, letterbox};

/// A part whose visible share is less than this is not labelled: it can hardly be told.
const LEAST_VISIBLE_RATIO: f32 = 0.4;
/// A part with a visible side shorter than this is not labelled.
const LEAST_SIDE_PX: f32 = 3.0;
/// The grey with which detectors fill up a picture that is not square.
const LETTERBOX_GREY: u8 = 114;

/// A square picture with its labelled parts.
#[derive(Clone, Debug, PartialEq)]
pub struct Example {
    /// `[side, side, 3]` u8.
    pub pixels: Vec<u8>,
    /// Each part with its box in pixels, within the picture.
    pub parts: Vec<(Part, Rect)>,
}

impl Example {
    /// The example that belongs to `seed`: faces below [`HELD_OUT`], `side_px` wide and high.
    pub fn sample(seed: u64, side_px: u32) -> Self {
        let rng = &mut ChaCha8Rng::seed_from_u64(seed);
        let mut canvas = match rng.random_range(0..100) {
            0..45 => whole(rng, side_px),
            45..80 => placed(rng, side_px),
            80..95 => pair(rng, side_px),
            _ => Canvas::scenery(rng, side_px),
        };
        if rng.random_bool(0.5) {
            canvas.mirror();
        }
        canvas.relight(rng);
        Self { pixels: canvas.pixels, parts: canvas.parts }
    }
}

/// A face that fills the picture: drawn in its size, or larger and brought down as a server would.
fn whole(rng: &mut ChaCha8Rng, side_px: u32) -> Canvas {
    let drawn_px = [side_px, side_px, side_px * 7 / 5, side_px * 2][rng.random_range(0..4)];
    let scene = face(rng, drawn_px);
    let mut canvas = Canvas::plain([LETTERBOX_GREY; 3], side_px);
    canvas.place(&fit(scene, side_px), 0, 0);
    canvas
}

/// A face somewhere on the canvas, smaller, or larger and cut off.
fn placed(rng: &mut ChaCha8Rng, side_px: u32) -> Canvas {
    let drawn_px = (side_px as f32 * rng.random_range(0.45..1.35)) as u32;
    let mut canvas = Canvas::background(rng, side_px);
    // A face no larger than the canvas juts out by at most a fifth.
    let (slack, over) = (i64::from(side_px) - i64::from(drawn_px), i64::from(drawn_px) / 5);
    let (low, high) = (slack.min(0) - over, slack.max(0) + over);
    let (x, y) = (rng.random_range(low..=high), rng.random_range(low..=high));
    canvas.place(&face(rng, drawn_px), x, y);
    canvas
}

/// Two faces, each within its own half of the canvas.
fn pair(rng: &mut ChaCha8Rng, side_px: u32) -> Canvas {
    let mut canvas = Canvas::background(rng, side_px);
    let half = side_px / 2;
    let stacked = rng.random_bool(0.5);
    for start in [0, half] {
        let drawn_px = rng.random_range(half * 7 / 10..=half);
        let along = i64::from(start + rng.random_range(0..=half - drawn_px));
        let across = i64::from(rng.random_range(0..=side_px - drawn_px));
        let (x, y) = if stacked { (across, along) } else { (along, across) };
        canvas.place(&face(rng, drawn_px), x, y);
    }
    canvas
}

fn face(rng: &mut ChaCha8Rng, side_px: u32) -> Scene {
    scenes::draw(&FaceSpec::sample(rng.random_range(0..HELD_OUT)), side_px)
}

/// A scene brought to `side_px`, its parts too.
fn fit(scene: Scene, side_px: u32) -> Scene {
    let drawn_px = scene.image.width();
    if drawn_px == side_px {
        return scene;
    }
    let scale = side_px as f32 / drawn_px as f32;
    let scaled = |r: Rect| Rect::new(r.x1 * scale, r.y1 * scale, r.x2 * scale, r.y2 * scale);
    let parts = scene.parts.iter().map(|(part, rect)| (*part, scaled(*rect))).collect();
    Scene { image: letterbox(&scene.image, side_px, Padding::Square).0, parts, ..scene }
}

/// A square picture in the making.
struct Canvas {
    side_px: u32,
    pixels: Vec<u8>,
    parts: Vec<(Part, Rect)>,
}

impl Canvas {
    fn plain(colour: [u8; 3], side_px: u32) -> Self {
        let count = (side_px * side_px) as usize;
        Self { side_px, pixels: colour.repeat(count), parts: Vec::new() }
    }

    /// What may surround a face: letterbox bars, one colour, or scenery.
    fn background(rng: &mut ChaCha8Rng, side_px: u32) -> Self {
        match rng.random_range(0..3) {
            0 => Self::plain([LETTERBOX_GREY; 3], side_px),
            1 => Self::plain(rng.random(), side_px),
            _ => Self::scenery(rng, side_px),
        }
    }

    /// No face at all: coloured ovals and blocks over a gradient.
    fn scenery(rng: &mut ChaCha8Rng, side_px: u32) -> Self {
        let mut canvas = Self::plain([0; 3], side_px);
        let (top, bottom): ([u8; 3], [u8; 3]) = (rng.random(), rng.random());
        canvas.paint(|_, y| {
            let mix = |from, to| f32::from(from) + (f32::from(to) - f32::from(from)) * y;
            Some([0, 1, 2].map(|channel| mix(top[channel], bottom[channel]) as u8))
        });
        for _ in 0..rng.random_range(0..6) {
            let colour: [u8; 3] = rng.random();
            let (x, y) = (rng.random::<f32>(), rng.random::<f32>());
            let (width, height) = (rng.random_range(0.03..0.4), rng.random_range(0.03..0.4));
            let oval = rng.random_bool(0.6);
            canvas.paint(|at_x, at_y| {
                let (dx, dy): (f32, f32) = ((at_x - x) / width, (at_y - y) / height);
                let inside =
                    if oval { dx * dx + dy * dy < 1.0 } else { dx.abs().max(dy.abs()) < 1.0 };
                inside.then_some(colour)
            });
        }
        canvas
    }

    /// Sets each pixel for which `colour` of its x and y, 0 to 1, gives one.
    fn paint(&mut self, colour: impl Fn(f32, f32) -> Option<[u8; 3]>) {
        let side = self.side_px as usize;
        for (index, pixel) in self.pixels.chunks_exact_mut(3).enumerate() {
            let at = |cell: usize| (cell as f32 + 0.5) / side as f32;
            if let Some(colour) = colour(at(index % side), at(index / side)) {
                pixel.copy_from_slice(&colour);
            }
        }
    }

    /// Puts a scene with its corner at (x, y), which may lie outside; what juts out is cut off.
    fn place(&mut self, scene: &Scene, x: i64, y: i64) {
        let side = i64::from(self.side_px);
        let (width, height) = (i64::from(scene.image.width()), i64::from(scene.image.height()));
        let (left, right) = (x.clamp(0, side), (x + width).clamp(0, side));
        for row in y.clamp(0, side)..(y + height).clamp(0, side) {
            let to = ((row * side + left) * 3) as usize..((row * side + right) * 3) as usize;
            let from = (((row - y) * width + left - x) * 3) as usize;
            let length = to.len();
            self.pixels[to].copy_from_slice(&scene.image.pixels()[from..from + length]);
        }
        let (x, y) = (x as f32, y as f32);
        for (part, rect) in &scene.parts {
            let whole = Rect::new(rect.x1 + x, rect.y1 + y, rect.x2 + x, rect.y2 + y);
            let seen = whole.clipped(side as f32, side as f32);
            let tells = seen.area() >= LEAST_VISIBLE_RATIO * whole.area()
                && seen.width().min(seen.height()) >= LEAST_SIDE_PX;
            if tells {
                self.parts.push((*part, seen));
            }
        }
    }

    /// Left becomes right.
    fn mirror(&mut self) {
        for row in self.pixels.chunks_exact_mut(self.side_px as usize * 3) {
            row.reverse();
            for pixel in row.chunks_exact_mut(3) {
                pixel.reverse();
            }
        }
        let side = self.side_px as f32;
        for (_, rect) in &mut self.parts {
            (rect.x1, rect.x2) = (side - rect.x2, side - rect.x1);
        }
    }

    /// Another brightness, contrast and tint.
    fn relight(&mut self, rng: &mut ChaCha8Rng) {
        let (contrast, shift) = (rng.random_range(0.7..1.3_f32), rng.random_range(-30.0..30.0_f32));
        let tables = [0; 3].map(|_: u8| {
            let gain = contrast * rng.random_range(0.9..1.1_f32);
            let level = |value: usize| (value as f32 - 128.0) * gain + 128.0 + shift;
            std::array::from_fn::<u8, 256, _>(|value| level(value).clamp(0.0, 255.0) as u8)
        });
        for pixel in self.pixels.chunks_exact_mut(3) {
            for (value, table) in pixel.iter_mut().zip(&tables) {
                *value = table[usize::from(*value)];
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_example_is_fixed_by_its_seed() {
        assert_eq!(Example::sample(5, 96), Example::sample(5, 96));
        assert_ne!(Example::sample(5, 96), Example::sample(6, 96));
    }

    #[test]
    fn every_label_lies_within_the_picture_and_every_part_occurs() {
        let examples: Vec<Example> = (0..60).map(|seed| Example::sample(seed, 96)).collect();
        for example in &examples {
            assert_eq!(example.pixels.len(), 96 * 96 * 3);
            for (part, rect) in &example.parts {
                let inside = rect.x1 >= 0.0 && rect.y1 >= 0.0 && rect.x2 <= 96.0 && rect.y2 <= 96.0;
                assert!(inside && rect.width() > 0.0 && rect.height() > 0.0, "{part:?} {rect:?}");
            }
        }
        for wanted in Part::ALL {
            let seen = examples.iter().flat_map(|e| &e.parts).any(|(part, _)| *part == wanted);
            assert!(seen, "{wanted:?} never occurs");
        }
        assert!(examples.iter().any(|example| example.parts.is_empty()));
    }

    #[test]
    fn what_juts_out_is_cut_and_mostly_hidden_parts_lose_their_label() {
        let scene = scenes::draw(&FaceSpec::sample(3), 64);
        let mut canvas = Canvas::plain([0; 3], 64);
        canvas.place(&scene, -60, 0);
        assert_eq!(canvas.pixels[..12], scene.image.pixels()[180..192]);
        assert_eq!(canvas.pixels[12..15], [0; 3]);
        assert!(canvas.parts.iter().all(|(part, _)| *part != Part::Face));
    }

    #[test]
    fn mirroring_moves_pixels_and_labels_together() {
        let mut canvas = Canvas::plain([0; 3], 8);
        canvas.pixels[..3].copy_from_slice(&[1, 2, 3]);
        canvas.parts.push((Part::Eye, Rect::new(0.0, 0.0, 2.0, 3.0)));
        canvas.mirror();
        assert_eq!(canvas.pixels[21..24], [1, 2, 3]);
        assert_eq!(canvas.parts, [(Part::Eye, Rect::new(6.0, 0.0, 8.0, 3.0))]);
    }
}
