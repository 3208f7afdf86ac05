//! The heatmap of a whole picture and those of closer looks at its parts, put together on one grid.

use super::overlay::Heat;

/// Cells of the common grid along the picture's longer side, at most.
pub const MAX_CELLS: usize = 128;

/// Rows and columns of a grid over a whole picture of `size` (width and height in pixels), whose
/// cells are square and as small as the finest patch of `sheets`; at most [`MAX_CELLS`] a side.
pub fn fine_grid(size: (u32, u32), sheets: &[Heat<'_>]) -> (usize, usize) {
    let (width, height) = (size.0 as f32, size.1 as f32);
    let finest = sheets.iter().map(patch).fold(f32::INFINITY, |a, (x, y)| a.min(x).min(y));
    let cell = finest.max(width.max(height) / MAX_CELLS as f32);
    let cells = |side: f32| ((side / cell - 1e-3).ceil() as usize).clamp(1, MAX_CELLS);
    (cells(height), cells(width))
}

/// Values on a `grid` over the whole picture: at each cell's centre, of the `looks` that cover it,
/// the value of greatest magnitude; where none does, that of the `overview`; 0 where nothing looked.
/// Between patches it is bilinear. A cell that is larger than a look's patches takes the strongest
/// of those within it, so that nothing hot is stepped over.
pub fn stitched(
    overview: &Heat<'_>,
    looks: &[Heat<'_>],
    (width, height): (u32, u32),
    (rows, columns): (usize, usize),
) -> Vec<f32> {
    let cell = (width as f32 / columns as f32, height as f32 / rows as f32);
    let value = |at: usize| {
        let centre =
            (((at % columns) as f32 + 0.5) * cell.0, ((at / columns) as f32 + 0.5) * cell.1);
        let closer = looks.iter().filter(|look| covers(look, centre));
        let closer = closer.map(|look| strongest_near(look, centre, cell)).reduce(stronger);
        let beyond = || if covers(overview, centre) { sample(overview, centre) } else { 0.0 };
        closer.unwrap_or_else(beyond)
    };
    (0..rows * columns).map(value).collect()
}

/// Width and height of a patch in pixels of the picture.
fn patch(heat: &Heat<'_>) -> (f32, f32) {
    (heat.area.width() / heat.grid.1 as f32, heat.area.height() / heat.grid.0 as f32)
}

fn covers(heat: &Heat<'_>, (x, y): (f32, f32)) -> bool {
    let area = heat.area;
    (area.x1..=area.x2).contains(&x) && (area.y1..=area.y2).contains(&y)
}

fn stronger(a: f32, b: f32) -> f32 {
    if b.abs() > a.abs() { b } else { a }
}

/// The value of greatest magnitude within a cell of size `cell` around `centre`, taken in steps of
/// no more than a patch.
fn strongest_near(heat: &Heat<'_>, centre: (f32, f32), cell: (f32, f32)) -> f32 {
    let patch = patch(heat);
    let steps = |cell: f32, patch: f32| ((cell / patch - 1e-3).ceil() as usize).clamp(1, 64);
    let (across, down) = (steps(cell.0, patch.0), steps(cell.1, patch.1));
    let offset =
        |step: usize, steps: usize, cell: f32| ((step as f32 + 0.5) / steps as f32 - 0.5) * cell;
    (0..across * down)
        .map(|at| {
            let x = centre.0 + offset(at % across, across, cell.0);
            let y = centre.1 + offset(at / across, down, cell.1);
            sample(heat, (x, y))
        })
        .fold(0.0, stronger)
}

/// The value at a point in pixels of the picture: bilinear between the centres of patches, the
/// outermost going on to the edges, as [`to_source`](super::overlay::to_source) has it.
fn sample(heat: &Heat<'_>, (x, y): (f32, f32)) -> f32 {
    let (rows, columns) = heat.grid;
    let between = |place: f32, cells: usize| {
        let place = (place - 0.5).clamp(0.0, (cells - 1) as f32);
        let first = (place as usize).min(cells - 1);
        (first, (first + 1).min(cells - 1), place - first as f32)
    };
    let (wide, high) = patch(heat);
    let (left, right, rightward) = between((x - heat.area.x1) / wide, columns);
    let (above, below, downward) = between((y - heat.area.y1) / high, rows);
    let along = |row: usize| {
        let (a, b) = (heat.values[row * columns + left], heat.values[row * columns + right]);
        a + (b - a) * rightward
    };
    let (a, b) = (along(above), along(below));
    a + (b - a) * downward
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vision::boxes::Rect;
    use crate::vision::overlay::to_source;

    fn heat(values: &[f32], grid: (usize, usize), area: [f32; 4]) -> Heat<'_> {
        Heat { values, grid, area: Rect::new(area[0], area[1], area[2], area[3]) }
    }

    #[test]
    fn cells_are_as_small_as_the_finest_patch_within_bounds() {
        let whole = heat(&[0.0; 16], (4, 4), [0.0, 0.0, 80.0, 40.0]);
        let look = heat(&[0.0; 16], (4, 4), [10.0, 10.0, 30.0, 30.0]);
        assert_eq!(fine_grid((80, 40), &[whole]), (4, 8), "cells are square");
        assert_eq!(fine_grid((80, 40), &[whole, look]), (8, 16));
        let tiny = heat(&[0.0; 16], (4, 4), [0.0, 0.0, 2.0, 2.0]);
        assert_eq!(fine_grid((80, 40), &[whole, tiny]), (64, 128));
        assert_eq!(fine_grid((1000, 1), &[whole]), (1, 100));
    }

    #[test]
    fn without_looks_it_is_the_overview_resized() {
        let values: Vec<f32> = (0..12).map(|at| (at * 7 % 5) as f32 - 1.0).collect();
        let overview = heat(&values, (3, 4), [4.0, 0.0, 20.0, 12.0]);
        let ours = stitched(&overview, &[], (24, 12), (12, 24));
        let theirs = to_source(&overview, 24, 12);
        for (at, (a, b)) in ours.iter().zip(&theirs).enumerate() {
            assert!((a - b).abs() < 1e-5, "cell {at}: {a} {b}");
        }
        assert_eq!((ours[0], ours[23]), (0.0, 0.0), "the overview does not reach there");
    }

    #[test]
    fn a_look_replaces_the_overview_where_it_covers_it_alone() {
        let overview = heat(&[5.0; 4], (2, 2), [0.0, 0.0, 8.0, 8.0]);
        let look = heat(&[1.0, 2.0, 3.0, 4.0], (2, 2), [2.0, 2.0, 4.0, 4.0]);
        let values = stitched(&overview, &[look], (8, 8), (8, 8));
        let at = |x: usize, y: usize| values[y * 8 + x];
        assert_eq!(vec![at(2, 2), at(3, 2), at(2, 3), at(3, 3)], [1.0, 2.0, 3.0, 4.0]);
        let others = values.iter().filter(|&&value| (value - 5.0).abs() < 1e-6).count();
        assert_eq!(others, 60);
    }

    #[test]
    fn of_overlapping_looks_the_stronger_counts_with_its_sign() {
        let overview = heat(&[9.0], (1, 1), [0.0, 0.0, 4.0, 2.0]);
        let left = heat(&[1.0], (1, 1), [0.0, 0.0, 2.0, 2.0]);
        let both = heat(&[-3.0], (1, 1), [0.0, 0.0, 4.0, 2.0]);
        let right = heat(&[4.0], (1, 1), [2.0, 0.0, 4.0, 2.0]);
        for looks in [[left, both, right], [right, both, left]] {
            assert_eq!(stitched(&overview, &looks, (4, 2), (1, 2)), [-3.0, 4.0]);
        }
    }

    #[test]
    fn a_cell_larger_than_a_patch_steps_over_nothing_hot() {
        let overview = heat(&[0.0], (1, 1), [0.0, 0.0, 8.0, 8.0]);
        for hot in 0..64 {
            let mut values = [0.0; 64];
            values[hot] = 1.0;
            let look = heat(&values, (8, 8), [0.0, 0.0, 8.0, 8.0]);
            let coarse = stitched(&overview, &[look], (8, 8), (2, 2));
            let expected = hot / 8 / 4 * 2 + hot % 8 / 4;
            assert!((coarse[expected] - 1.0).abs() < 1e-5, "{hot}: {coarse:?}");
            assert!(coarse.iter().sum::<f32>() < 1.0 + 1e-5, "{hot}: {coarse:?}");
        }
    }
}
