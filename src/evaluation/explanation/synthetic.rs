//! A score that is known to hang on one box alone, for tests: the mean brightness inside it.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;

/// Side of the picture.
pub(super) const SIDE: u32 = 32;
/// What the score looks at.
pub(super) const BOX: Rect = Rect::new(16.0, 8.0, 24.0, 16.0);

/// How good a map is.
#[derive(Clone, Copy)]
pub(super) enum Quality {
    Perfect,
    Random,
    Inverted,
}

fn inside(index: usize) -> bool {
    let (x, y) = ((index as u32 % SIDE) as f32, (index as u32 / SIDE) as f32);
    (BOX.x1..BOX.x2).contains(&x) && (BOX.y1..BOX.y2).contains(&y)
}

/// Which pixels the score looks at.
pub(super) fn mask() -> Vec<bool> {
    (0..(SIDE * SIDE) as usize).map(inside).collect()
}

/// Bright in the box, dark around it.
pub(super) fn picture() -> Rgb8 {
    let pixels = mask().into_iter().flat_map(|inside| [if inside { 255 } else { 20 }; 3]);
    Rgb8::new(SIDE, SIDE, pixels.collect()).unwrap()
}

/// Mean brightness in the box, 0 to 1.
pub(super) fn score(picture: &Rgb8) -> f64 {
    let lit = picture.pixels().chunks_exact(3).enumerate().filter(|(index, _)| inside(*index));
    let values: Vec<f64> = lit.flat_map(|(_, rgb)| rgb.iter().map(|&v| f64::from(v))).collect();
    values.iter().sum::<f64>() / values.len() as f64 / 255.0
}

/// A map a pixel.
pub(super) fn heat(quality: Quality) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let value = |inside: bool| match quality {
        Quality::Perfect => f32::from(u8::from(inside)),
        Quality::Random => random.random(),
        Quality::Inverted => f32::from(u8::from(!inside)),
    };
    mask().into_iter().map(value).collect()
}
