//! Bilinear scaling as detectors were trained with: `OpenCV`'s `INTER_LINEAR` for u8, whose weights
//! are whole 2048ths. Rounding otherwise changes one value in eight by one, which moves boxes.
//!
//! Reference: `OpenCV`, `modules/imgproc/src/resize.cpp` (Apache-2.0).

use super::image::Rgb8;

const CHANNELS: usize = 3;
/// What a whole source pixel weighs.
const UNIT: f32 = 2048.0;

/// The two source pixels (or rows) that a target pixel lies between, and what each weighs.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Tap {
    first: usize,
    second: usize,
    weights: [i32; 2],
}

impl Tap {
    fn all(source: u32, target: u32) -> Vec<Self> {
        let step = 1.0 / (f64::from(target) / f64::from(source));
        let last = i64::from(source) - 1;
        let tap = |at: u32| {
            let place = ((f64::from(at) + 0.5) * step - 0.5) as f32;
            let share = place - place.floor();
            let first = place.floor() as i64;
            let weights = [1.0 - share, share].map(|w| (w * UNIT).round_ties_even() as i32);
            let within = |index: i64| index.clamp(0, last) as usize;
            Self { first: within(first), second: within(first + 1), weights }
        };
        (0..target).map(tap).collect()
    }
}

/// The pixels `[height, width, 3]` of `image` at another size, both sides at least 1. Scaling down
/// skips source pixels rather than average them.
pub(super) fn resized(image: &Rgb8, (width, height): (u32, u32)) -> Vec<u8> {
    let (columns, rows) = (Tap::all(image.width(), width), Tap::all(image.height(), height));
    let stride = image.width() as usize * CHANNELS;
    let source = |row: usize| &image.pixels()[row * stride..(row + 1) * stride];
    let line = width as usize * CHANNELS;
    let mut target = vec![0; line * height as usize];
    // The two source rows in use, scaled across; neighbouring target rows often share them.
    let mut known: [Option<usize>; 2] = [None; 2];
    let mut scaled = [vec![0; line], vec![0; line]];
    for (tap, out) in rows.iter().zip(target.chunks_exact_mut(line)) {
        if known[0] != Some(tap.first) {
            scaled.swap(0, 1);
            known.swap(0, 1);
        }
        for (slot, row) in [tap.first, tap.second].into_iter().enumerate() {
            if known[slot] != Some(row) {
                scale_row(source(row), &columns, &mut scaled[slot]);
                known[slot] = Some(row);
            }
        }
        let [upper, lower] = &scaled;
        let [a, b] = tap.weights;
        for ((value, upper), lower) in out.iter_mut().zip(upper).zip(lower) {
            let sum = ((a * (upper >> 4)) >> 16) + ((b * (lower >> 4)) >> 16);
            *value = ((sum + 2) >> 2) as u8;
        }
    }
    target
}

/// One row scaled across, in 2048ths.
fn scale_row(source: &[u8], columns: &[Tap], scaled: &mut [i32]) {
    for (tap, out) in columns.iter().zip(scaled.chunks_exact_mut(CHANNELS)) {
        let first = &source[tap.first * CHANNELS..][..CHANNELS];
        let second = &source[tap.second * CHANNELS..][..CHANNELS];
        for channel in 0..CHANNELS {
            out[channel] = i32::from(first[channel]) * tap.weights[0]
                + i32::from(second[channel]) * tap.weights[1];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grey(values: &[u8], width: u32) -> Rgb8 {
        let pixels = values.iter().flat_map(|value| [*value; CHANNELS]).collect();
        Rgb8::new(width, values.len() as u32 / width, pixels).unwrap()
    }

    fn check(image: &Rgb8, size: (u32, u32), expected: &[u8]) {
        let values: Vec<u8> = resized(image, size).chunks(CHANNELS).map(|p| p[0]).collect();
        assert_eq!(values, expected);
    }

    #[test]
    fn pixels_between_two_mix_them_by_nearness() {
        check(&grey(&[0, 100], 2), (4, 1), &[0, 25, 75, 100]);
        check(&grey(&[0, 100], 1), (1, 4), &[0, 25, 75, 100]);
    }

    #[test]
    fn halving_averages_two_and_more_skips() {
        check(&grey(&[0, 100, 50, 250], 4), (2, 1), &[50, 150]);
        check(&grey(&[9, 9, 7, 9, 9, 9, 5, 9], 8), (2, 1), &[8, 7]);
    }

    #[test]
    fn one_colour_stays_and_the_same_size_is_the_same() {
        check(&grey(&[255; 6], 3), (5, 7), &[255; 35]);
        check(&grey(&[3, 1, 4, 1, 5, 9], 3), (3, 2), &[3, 1, 4, 1, 5, 9]);
    }
}
