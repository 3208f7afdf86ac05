//! Removed pixels filled in from their neighbours, so that the shape of a hole tells nothing.
//!
//! ROAD (Rong et al. 2022, arXiv 2202.00449), "noisy linear imputation": every removed pixel is the
//! weighted mean of its neighbours, removed or not, with 1/6 for the four beside it and 1/12 for
//! the four across; at the picture's edge the weights that are left count in proportion. That is a
//! sparse linear system; it is solved by successive over-relaxation from a coarse-to-fine guess.
//! Then noise is added.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::vision::image::Rgb8;

/// Weight of a neighbour beside.
const BESIDE: f32 = 1.0 / 6.0;
/// Weight of a neighbour across.
const ACROSS: f32 = 1.0 / 12.0;
/// Standard deviation of the noise, in levels: 0.01 of full range, as the reference has it.
const NOISE: f32 = 2.55;
/// Over-relaxation: near the best for holes of about a hundred pixels.
const RELAXATION: f32 = 1.9;
/// No pixel moves by more than this many levels in the last sweep.
const TOLERANCE: f32 = 0.05;
/// Sweeps at most; about a hundred are usual.
const MAX_SWEEPS: usize = 2000;

/// One pixel's channels and a fourth that is 0: whole vector registers.
type Pixel = [f32; 4];

/// The picture with its removed pixels, `[H, W]` row-major, filled in. Unchanged where every pixel
/// is removed: there is nothing to fill in from.
pub fn impute(picture: &Rgb8, removed: &[bool], random: &mut ChaCha8Rng) -> Rgb8 {
    if !removed.contains(&false) {
        return picture.clone();
    }
    let solved = solve(picture, removed);
    let mut filled = picture.clone();
    let pixels = filled.pixels_mut().chunks_exact_mut(3);
    for ((pixel, value), _) in pixels.zip(solved).zip(removed).filter(|(_, removed)| **removed) {
        for (channel, value) in pixel.iter_mut().zip(value) {
            *channel = (value + NOISE * normal(random)).round().clamp(0.0, 255.0) as u8;
        }
    }
    filled
}

/// The system's solution for removed pixels, and the others as they are.
fn solve(picture: &Rgb8, removed: &[bool]) -> Vec<Pixel> {
    let (width, height) = (picture.width() as usize, picture.height() as usize);
    let known = picture.pixels().chunks_exact(3).zip(removed).map(|(rgb, removed)| {
        let [r, g, b] = [rgb[0], rgb[1], rgb[2]].map(f32::from);
        (!removed).then_some([r, g, b, 0.0])
    });
    let guess = guessed(&known.collect::<Vec<_>>(), width, height);
    // A frame of zeros around the picture stands in for neighbours beyond the edge.
    let line = width + 2;
    let mut field = vec![[0.0; 4]; line * (height + 2)];
    for (target, source) in field[line..].chunks_exact_mut(line).zip(guess.chunks_exact(width)) {
        target[1..=width].copy_from_slice(source);
    }
    let edge = |at: usize, last: usize| at == 0 || at == last;
    let unknowns: Vec<(usize, f32)> = (0..removed.len())
        .filter(|&index| removed[index])
        .map(|index| {
            let (x, y) = (index % width, index / width);
            let at_edge = edge(x, width - 1) || edge(y, height - 1);
            let weights = if at_edge { weights_inside((x, y), (width, height)) } else { 1.0 };
            ((y + 1) * line + x + 1, weights.recip())
        })
        .collect();
    for _ in 0..MAX_SWEEPS {
        if sweep(&mut field, line, &unknowns) < TOLERANCE {
            break;
        }
    }
    let rows = field[line..].chunks_exact(line).take(height);
    rows.flat_map(|row| row[1..=width].iter().copied()).collect()
}

/// The sum of the weights of those neighbours that are in the picture.
fn weights_inside((x, y): (usize, usize), (width, height): (usize, usize)) -> f32 {
    let has = |at: usize, last: usize| [at > 0, true, at < last];
    let (columns, rows) = (has(x, width - 1), has(y, height - 1));
    let mut sum = 0.0;
    for (i, _) in rows.iter().enumerate().filter(|(_, row)| **row) {
        for (j, _) in columns.iter().enumerate().filter(|(_, column)| **column) {
            sum += match (i, j) {
                (1, 1) => 0.0,
                (1, _) | (_, 1) => BESIDE,
                _ => ACROSS,
            };
        }
    }
    // A picture of one pixel has no neighbours, and then no unknown either.
    f32::max(sum, f32::MIN_POSITIVE)
}

/// One pass over the unknowns, each a place in the framed field of `line` pixels a row and the
/// reciprocal of its weights. The largest move.
fn sweep(field: &mut [Pixel], line: usize, unknowns: &[(usize, f32)]) -> f32 {
    let mut largest = 0.0_f32;
    for &(at, scale) in unknowns {
        let (above, here, below) = (
            &field[at - line - 1..=at - line + 1],
            &field[at - 1..=at + 1],
            &field[at + line - 1..=at + line + 1],
        );
        let mut next: Pixel = [0.0; 4];
        for (channel, next) in next.iter_mut().enumerate() {
            let beside =
                above[1][channel] + below[1][channel] + here[0][channel] + here[2][channel];
            let across =
                above[0][channel] + above[2][channel] + below[0][channel] + below[2][channel];
            let mean = (BESIDE * beside + ACROSS * across) * scale;
            let step = RELAXATION * (mean - here[1][channel]);
            largest = largest.max(step.abs());
            *next = here[1][channel] + step;
        }
        field[at] = next;
    }
    largest
}

/// Unknown pixels from the means of coarser and coarser squares around them. At least one is known.
fn guessed(known: &[Option<Pixel>], width: usize, height: usize) -> Vec<Pixel> {
    if known.iter().all(Option::is_some) || width * height <= 1 {
        return known.iter().map(|pixel| pixel.unwrap_or_default()).collect();
    }
    let (half_width, half_height) = (width.div_ceil(2), height.div_ceil(2));
    let mut sums = vec![([0.0; 4], 0.0); half_width * half_height];
    let parent = |index: usize| (index / width / 2) * half_width + index % width / 2;
    for (index, pixel) in known.iter().enumerate() {
        if let Some(pixel) = pixel {
            let (sum, count): &mut (Pixel, f32) = &mut sums[parent(index)];
            sum.iter_mut().zip(pixel).for_each(|(sum, value)| *sum += value);
            *count += 1.0;
        }
    }
    let coarse: Vec<Option<Pixel>> = sums
        .into_iter()
        .map(|(sum, count)| (count > 0.0).then(|| sum.map(|sum| sum / count)))
        .collect();
    let coarse = guessed(&coarse, half_width, half_height);
    let fine = known.iter().enumerate();
    fine.map(|(index, pixel)| pixel.unwrap_or(coarse[parent(index)])).collect()
}

/// A standard normal number (Box and Muller 1958).
fn normal(random: &mut ChaCha8Rng) -> f32 {
    let (a, b): (f32, f32) = (random.random(), random.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f32::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng;

    use super::super::curves::ordered;
    use super::super::synthetic::{Quality, heat, picture, score};
    use super::*;

    fn random() -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(3)
    }

    /// What the system says a removed pixel is, less what it is.
    fn largest_residual(field: &[Pixel], removed: &[bool], width: usize) -> f32 {
        let height = field.len() / width;
        let residual = |index: usize| {
            let (x, y) = ((index % width) as isize, (index / width) as isize);
            let (mut sum, mut weights) = (0.0, 0.0);
            for (dx, dy) in (-1..=1).flat_map(|dx| (-1..=1).map(move |dy| (dx, dy))) {
                let (nx, ny) = (x + dx, y + dy);
                let inside =
                    (0..width as isize).contains(&nx) && (0..height as isize).contains(&ny);
                if (dx, dy) != (0, 0) && inside {
                    let weight = if dx == 0 || dy == 0 { BESIDE } else { ACROSS };
                    sum += weight * field[ny as usize * width + nx as usize][0];
                    weights += weight;
                }
            }
            (sum / weights - field[index][0]).abs()
        };
        (0..field.len()).filter(|&index| removed[index]).map(residual).fold(0.0, f32::max)
    }

    #[test]
    fn removed_pixels_are_the_mean_of_their_neighbours() {
        let mut source = random();
        for removed_share in [0.1, 0.5, 0.9, 0.999] {
            let pixels = (0..40 * 30 * 3).map(|_| source.random()).collect();
            let picture = Rgb8::new(40, 30, pixels).unwrap();
            let mut removed: Vec<bool> =
                (0..1200).map(|_| source.random_bool(removed_share)).collect();
            removed[617] = false;
            let solved = solve(&picture, &removed);
            let worst = largest_residual(&solved, &removed, 40);
            assert!(worst < 0.1, "{removed_share}: {worst}");
            let kept = |index: usize| f32::from(picture.pixels()[index * 3]);
            let same =
                (0..1200).filter(|&i| !removed[i]).all(|i| (solved[i][0] - kept(i)).abs() < 1e-9);
            assert!(same, "what is known stays");
        }
    }

    #[test]
    fn a_straight_ramp_comes_back_as_it_was() {
        // A linear field solves the system exactly where the picture's edges are known.
        let ramp = |index: usize| [(index % 24 * 8) as u8, (index / 24 * 9) as u8, 77];
        let pixels: Vec<u8> = (0..24 * 24).flat_map(ramp).collect();
        let picture = Rgb8::new(24, 24, pixels).unwrap();
        let inner =
            |index: usize| (1..23).contains(&(index % 24)) && (1..23).contains(&(index / 24));
        let removed: Vec<bool> = (0..24 * 24).map(inner).collect();
        let solved = solve(&picture, &removed);
        for (index, value) in solved.iter().enumerate() {
            let expected = ramp(index).map(f32::from);
            let off = expected.iter().zip(value).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(off < 1.0, "{index}: {value:?}, not {expected:?}");
        }
        let filled = impute(&picture, &removed, &mut random());
        let off: Vec<f64> = (filled.pixels().iter().zip(picture.pixels()))
            .map(|(a, b)| f64::from(*a) - f64::from(*b))
            .collect();
        let spread = (off.iter().map(|v| v * v).sum::<f64>() / (22.0 * 22.0 * 3.0)).sqrt();
        assert!((1.5..3.0).contains(&spread), "noise of about {NOISE}: {spread}");
    }

    #[test]
    fn nothing_removed_and_all_removed_change_nothing() {
        for removed in [false, true] {
            let removed = vec![removed; 32 * 32];
            assert_eq!(impute(&picture(), &removed, &mut random()), picture());
        }
    }

    #[test]
    fn a_better_map_loses_more_by_its_hottest_pixels_and_less_by_its_coldest() {
        let combined = |quality| {
            let order = ordered(&heat(quality), 9);
            let without = |pixels: &[u32]| {
                let mut removed = vec![false; order.len()];
                for &pixel in pixels {
                    removed[pixel as usize] = true;
                }
                score(&impute(&picture(), &removed, &mut random()))
            };
            let part = order.len() * 3 / 10;
            (without(&order[order.len() - part..]) - without(&order[..part])) / 2.0
        };
        let [best, middle, worst] =
            [Quality::Perfect, Quality::Random, Quality::Inverted].map(combined);
        assert!(best > 0.3 && middle.abs() < 0.1 && worst < -0.1, "{best} {middle} {worst}");
    }
}
