//! How much two pictures differ, by a small thumbnail of each: for telling frames of a still scene
//! from frames where something happens.

use super::image::Rgb8;

/// Cells along each side of a thumbnail.
const SIDE: usize = 32;

/// The mean brightness and colour of each cell of a 32×32 grid laid over a picture.
///
/// Means of whole cells hardly see a camera's noise, and keep what happens in one small place from
/// being lost in the mean of the whole picture.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Thumbnail {
    /// Width and height of the picture in pixels.
    size: (u32, u32),
    /// Luma, blue and red difference of each cell, row-major: BT.601, full range, 0 to 255.
    cells: Vec<[u8; 3]>,
}

impl Thumbnail {
    /// Of a picture of any size; a cell of a picture smaller than the grid is the pixel under it.
    pub fn of(image: &Rgb8) -> Self {
        let (width, height) = (image.width() as usize, image.height() as usize);
        let row_bytes = width * 3;
        let mut cells = Vec::with_capacity(SIDE * SIDE);
        for cell_y in 0..SIDE {
            let (top, bottom) = span(cell_y, height);
            let mut sums = [[0_u64; 3]; SIDE];
            for row in image.pixels()[top * row_bytes..bottom * row_bytes].chunks_exact(row_bytes) {
                for (cell_x, sums) in sums.iter_mut().enumerate() {
                    let (left, right) = span(cell_x, width);
                    for pixel in row[left * 3..right * 3].chunks_exact(3) {
                        for (sum, &value) in sums.iter_mut().zip(pixel) {
                            *sum += u64::from(value);
                        }
                    }
                }
            }
            cells.extend(sums.iter().enumerate().map(|(cell_x, sums)| {
                let (left, right) = span(cell_x, width);
                let pixels = ((right - left) * (bottom - top)) as f32;
                luma_and_colour(sums.map(|sum| sum as f32 / pixels))
            }));
        }
        Self { size: (image.width(), image.height()), cells }
    }

    /// The largest difference of any cell in brightness or colour, 0 (none) to 1 (black against
    /// white). Pictures of different sizes differ by 1.
    pub fn difference(&self, other: &Self) -> f32 {
        if self.size != other.size {
            return 1.0;
        }
        let pairs = self.cells.iter().flatten().zip(other.cells.iter().flatten());
        let largest = pairs.map(|(a, b)| a.abs_diff(*b)).max().unwrap_or(0);
        f32::from(largest) / 255.0
    }
}

/// The pixels of a side of `length` under one cell, at least one: `(from, to)`.
fn span(cell: usize, length: usize) -> (usize, usize) {
    let from = cell * length / SIDE;
    (from, ((cell + 1) * length / SIDE).max(from + 1))
}

fn luma_and_colour([red, green, blue]: [f32; 3]) -> [u8; 3] {
    let luma = 0.299 * red + 0.587 * green + 0.114 * blue;
    [luma, 128.0 + (blue - luma) * 0.564, 128.0 + (red - luma) * 0.713]
        .map(|value| value.round().clamp(0.0, 255.0) as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn picture(size: (u32, u32), at: impl Fn(u32, u32) -> [u8; 3]) -> Rgb8 {
        let (width, height) = size;
        let pixels = (0..height).flat_map(|y| (0..width).flat_map(move |x| [x, y].into_iter()));
        let places: Vec<u32> = pixels.collect();
        let bytes = places.chunks_exact(2).flat_map(|place| at(place[0], place[1])).collect();
        Rgb8::new(width, height, bytes).unwrap()
    }

    fn difference(a: &Rgb8, b: &Rgb8) -> f32 {
        let (a, b) = (Thumbnail::of(a), Thumbnail::of(b));
        assert!((a.difference(&b) - b.difference(&a)).abs() < 1e-9);
        a.difference(&b)
    }

    #[test]
    fn a_picture_does_not_differ_from_itself_and_black_differs_from_white_by_one() {
        for size in [(1, 1), (5, 40), (32, 32), (640, 360), (33, 1000)] {
            let [black, white] = [0, 255].map(|value| picture(size, |_, _| [value; 3]));
            assert!(difference(&black, &black) < 1e-9);
            assert!((difference(&black, &white) - 1.0).abs() < 1e-6, "{size:?}");
        }
    }

    #[test]
    fn noise_counts_little_and_a_small_change_in_one_place_counts() {
        let size = (640, 480);
        let plain = picture(size, |x, y| [(x / 4) as u8, (y / 3) as u8, 90]);
        let noise = |x: u32, y: u32| (x.wrapping_mul(7919) ^ y.wrapping_mul(104_729)) % 9;
        let noisy = picture(size, |x, y| {
            [(x / 4) as u8, (y / 3) as u8, 90].map(|value| value + noise(x, y) as u8)
        });
        assert!(difference(&plain, &noisy) < 0.025, "{}", difference(&plain, &noisy));
        let marked = picture(size, |x, y| {
            let inside = (300..314).contains(&x) && (200..214).contains(&y);
            if inside { [255; 3] } else { [(x / 4) as u8, (y / 3) as u8, 90] }
        });
        assert!(difference(&plain, &marked) > 0.1, "{}", difference(&plain, &marked));
    }

    #[test]
    fn another_colour_of_the_same_brightness_and_another_size_count() {
        let size = (64, 64);
        let (red, grey) = (picture(size, |_, _| [200, 0, 0]), picture(size, |_, _| [60; 3]));
        assert!(difference(&red, &grey) > 0.3);
        let wide = picture((65, 64), |_, _| [60; 3]);
        assert!((difference(&wide, &grey) - 1.0).abs() < 1e-9);
    }

    #[test]
    fn every_pixel_is_under_a_cell() {
        for length in [1, 31, 32, 33, 100, 1080] {
            let seen: std::collections::BTreeSet<usize> =
                (0..SIDE).flat_map(|cell| (span(cell, length).0)..(span(cell, length).1)).collect();
            assert_eq!(seen.len(), length);
            assert!(seen.into_iter().all(|pixel| pixel < length));
        }
    }
}
