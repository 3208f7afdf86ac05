//! Whether heatmaps lie on what the prompt is about.
//!
//! Two measures against the mask of the true site. The pointing game (Zhang et al. 2016): is the
//! map's maximum inside? No tolerance is given. Energy (Wang et al. 2020): the share of positive
//! heat inside the mask, over the mask's share of the picture: 1 for a uniform map.
//! A random map and a Gaussian at the picture's centre stand beside, because a site near the centre
//! or a large one flatters any method.

use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::Serialize;

use crate::vision::boxes::Rect;
use crate::vision::overlay::{Heat, to_source};

/// Spread of the centre Gaussian, as a share of the grid's side.
const CENTRE_SPREAD: f32 = 0.25;

/// A heatmap and what part of the picture it covers.
#[derive(Clone, Debug, PartialEq)]
pub struct Map {
    /// Row-major, `rows * columns` numbers; only positive ones are heat.
    pub values: Vec<f32>,
    /// Rows and columns.
    pub grid: (usize, usize),
    /// What the grid covers, in pixels of the picture.
    pub area: Rect,
}

/// The true site in a picture.
#[derive(Clone, Copy, Debug)]
pub struct Site<'a> {
    /// Width of the picture in pixels.
    pub width: usize,
    /// Height of the picture in pixels.
    pub height: usize,
    /// Which pixels belong to the site, row-major `[height, width]`.
    pub mask: &'a [bool],
}

/// How one map meets one site.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Placement {
    /// Whether the hottest pixel is inside the site.
    pub hit: bool,
    /// Whether any pixel of the hottest grid cell is inside the site: the pointing game at the
    /// resolution that the map has.
    pub cell_hit: bool,
    /// Share of the heat inside the site, over the site's share of the picture.
    pub energy_ratio: f64,
}

impl Placement {
    /// Nothing where the site is empty. A map without heat hits nothing and has energy 0.
    pub fn measure(map: &Map, site: &Site<'_>) -> Option<Self> {
        let inside = site.mask.iter().filter(|&&inside| inside).count();
        if inside == 0 {
            return None;
        }
        let heat = Heat { values: &map.values, grid: map.grid, area: map.area };
        let heat = to_source(&heat, site.width, site.height);
        let total: f64 = heat.iter().map(|&v| f64::from(v.max(0.0))).sum();
        if total <= 0.0 || !total.is_finite() {
            return Some(Self { hit: false, cell_hit: false, energy_ratio: 0.0 });
        }
        let within: f64 = heat
            .iter()
            .zip(site.mask)
            .filter(|(_, in_it)| **in_it)
            .map(|(&v, _)| f64::from(v.max(0.0)))
            .sum();
        let area_share = inside as f64 / site.mask.len() as f64;
        Some(Self {
            hit: site.mask[hottest(&heat)],
            cell_hit: cell_touches(map, hottest(&map.values), site),
            energy_ratio: within / total / area_share,
        })
    }
}

/// Index of the first greatest value.
fn hottest(values: &[f32]) -> usize {
    let mut best = 0;
    for (index, value) in values.iter().enumerate() {
        if value.total_cmp(&values[best]).is_gt() {
            best = index;
        }
    }
    best
}

/// Whether a grid cell has a pixel centre inside the site.
fn cell_touches(map: &Map, cell: usize, site: &Site<'_>) -> bool {
    let (mut lines, across) = cell_pixels(map, cell, site);
    lines.any(|y| across.clone().any(|x| site.mask[y * site.width + x]))
}

/// The rows and columns of the pixels whose centres a grid cell covers.
fn cell_pixels(map: &Map, cell: usize, site: &Site<'_>) -> (Range<usize>, Range<usize>) {
    let (rows, columns) = map.grid;
    let side = |index: usize, cells: usize, from: f32, to: f32, pixels: usize| {
        let step = (to - from) / cells as f32;
        // Pixel centres lie at halves: the first at or after an edge is that edge rounded.
        let edge = |at: usize| (from + at as f32 * step).round().clamp(0.0, pixels as f32) as usize;
        edge(index)..edge(index + 1)
    };
    let (row, column) = (cell / columns, cell % columns);
    let lines = side(row, rows, map.area.y1, map.area.y2, site.height);
    (lines, side(column, columns, map.area.x1, map.area.x2, site.width))
}

/// Uniformly random heat on the grid of `map`; the same for the same `seed`.
pub fn random_map(map: &Map, seed: u64) -> Map {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    Map { values: map.values.iter().map(|_| random.random()).collect(), ..*map }
}

/// A Gaussian at the centre of the grid of `map`.
pub fn centre_map(map: &Map) -> Map {
    let (rows, columns) = map.grid;
    let fall = |index: usize, cells: usize| {
        let away = ((index as f32 + 0.5) / cells as f32 - 0.5) / CENTRE_SPREAD;
        (-0.5 * away * away).exp()
    };
    let values = (0..rows * columns).map(|i| fall(i / columns, rows) * fall(i % columns, columns));
    Map { values: values.collect(), ..*map }
}

/// The site itself on the grid of `map`: the share of each cell that is inside. What a map that
/// knows the truth would be.
pub fn site_map(map: &Map, site: &Site<'_>) -> Map {
    let share = |cell| {
        let (lines, across) = cell_pixels(map, cell, site);
        let all = lines.len() * across.len();
        let in_line = |y: usize| across.clone().filter(|&x| site.mask[y * site.width + x]).count();
        let inside: usize = lines.map(in_line).sum();
        inside as f32 / all.max(1) as f32
    };
    Map { values: (0..map.values.len()).map(share).collect(), ..*map }
}

/// Maps of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct LocalisationRow {
    /// Whose site is sought, such as `uneven_teeth`.
    pub cue: String,
    /// Code of the prompts' language; nothing for baselines, which read no prompt.
    pub language: Option<String>,
    /// The method, or the baseline `random` or `centre`.
    pub source: String,
    /// Number of maps, at least 1.
    pub maps: usize,
    /// Share of maps whose hottest pixel is inside the site, 0 to 1.
    pub pointing: f64,
    /// Share of maps whose hottest grid cell touches the site, 0 to 1.
    pub pointing_cell: f64,
    /// Mean energy inside the site, as a multiple of a uniform map's.
    pub energy_ratio: f64,
}

/// What [`Placements`] are told apart by: cue, language and source.
type KindOf = (String, Option<String>, String);

/// Placements in the order in which their kinds first came.
#[derive(Clone, Debug, Default)]
pub struct Placements {
    kinds: Vec<(KindOf, Vec<Placement>)>,
}

impl Placements {
    /// Adds one placement of the kind (`cue`, `language`, `source`).
    pub fn add(&mut self, cue: &str, language: Option<&str>, source: &str, placed: Placement) {
        let kind = (cue.to_owned(), language.map(str::to_owned), source.to_owned());
        match self.kinds.iter_mut().find(|(known, _)| *known == kind) {
            Some((_, all)) => all.push(placed),
            None => self.kinds.push((kind, vec![placed])),
        }
    }

    /// One row for each kind.
    pub fn rows(&self) -> Vec<LocalisationRow> {
        let row = |((cue, language, source), all): &(KindOf, Vec<Placement>)| {
            let mean =
                |of: fn(&Placement) -> f64| all.iter().map(of).sum::<f64>() / all.len() as f64;
            LocalisationRow {
                cue: cue.clone(),
                language: language.clone(),
                source: source.clone(),
                maps: all.len(),
                pointing: mean(|p| f64::from(u8::from(p.hit))),
                pointing_cell: mean(|p| f64::from(u8::from(p.cell_hit))),
                energy_ratio: mean(|p| p.energy_ratio),
            }
        };
        self.kinds.iter().map(row).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const WHOLE: Rect = Rect::new(0.0, 0.0, 8.0, 8.0);

    /// A 2×2 grid over 8×8 pixels.
    fn map(values: [f32; 4]) -> Map {
        Map { values: values.to_vec(), grid: (2, 2), area: WHOLE }
    }

    fn mask(inside: impl Fn(usize, usize) -> bool) -> Vec<bool> {
        (0..64).map(|i| inside(i % 8, i / 8)).collect()
    }

    fn place(values: [f32; 4], inside: impl Fn(usize, usize) -> bool) -> Option<Placement> {
        Placement::measure(&map(values), &Site { width: 8, height: 8, mask: &mask(inside) })
    }

    #[test]
    fn a_uniform_map_has_energy_one_everywhere() {
        let placed = place([1.0; 4], |x, y| x < 3 && y < 2).unwrap();
        assert!((placed.energy_ratio - 1.0).abs() < 1e-6);
    }

    #[test]
    fn heat_on_the_site_hits_and_heat_elsewhere_misses() {
        let corner = |x: usize, y: usize| x < 4 && y < 4;
        let on = place([1.0, 0.0, 0.0, 0.0], corner).unwrap();
        let off = place([0.0, 0.0, 0.0, 1.0], corner).unwrap();
        assert!(on.hit && on.cell_hit && on.energy_ratio > 2.0, "{on:?}");
        assert!(!off.hit && !off.cell_hit && off.energy_ratio < 0.5, "{off:?}");
    }

    #[test]
    fn negative_values_are_no_heat() {
        let corner = |x: usize, y: usize| x < 2 && y < 2;
        let placed = place([1.0, -1.0, -1.0, -9.0], corner).unwrap();
        assert!(placed.hit && placed.energy_ratio > 4.0, "{placed:?}");
    }

    #[test]
    fn a_small_site_beside_the_cells_centre_is_hit_by_the_cell_alone() {
        let placed = place([0.0, 0.0, 0.0, 1.0], |x, y| (x, y) == (4, 4)).unwrap();
        assert!(!placed.hit && placed.cell_hit, "{placed:?}");
    }

    #[test]
    fn empty_sites_and_maps_without_heat_are_told_apart() {
        assert_eq!(place([1.0; 4], |_, _| false), None);
        for values in [[0.0; 4], [-1.0; 4], [f32::NAN, 0.0, 0.0, 0.0]] {
            let placed = place(values, |_, _| true).unwrap();
            assert_eq!(placed, Placement { hit: false, cell_hit: false, energy_ratio: 0.0 });
        }
    }

    #[test]
    fn baselines_are_what_they_say() {
        let map = map([0.0; 4]);
        assert_eq!(random_map(&map, 7), random_map(&map, 7));
        assert_ne!(random_map(&map, 7), random_map(&map, 8));
        let wide = Map { values: vec![0.0; 15], grid: (3, 5), area: WHOLE };
        assert_eq!(hottest(&centre_map(&wide).values), 7);
        let inside = mask(|x, y| x < 4 && y < 2);
        let site = site_map(&map, &Site { width: 8, height: 8, mask: &inside });
        assert_eq!(site.values, [0.5, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn rows_are_means_of_their_kind() {
        let mut placements = Placements::default();
        let placed = |hit, energy_ratio| Placement { hit, cell_hit: true, energy_ratio };
        placements.add("ear", Some("en"), "grad_eclip", placed(true, 4.0));
        placements.add("ear", None, "random", placed(false, 1.0));
        placements.add("ear", Some("en"), "grad_eclip", placed(false, 2.0));
        let rows = placements.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].maps, rows[0].pointing, rows[0].energy_ratio), (2, 0.5, 3.0));
        assert!((rows[0].pointing_cell - 1.0).abs() < 1e-9);
        assert_eq!((rows[1].language.as_ref(), rows[1].source.as_str()), (None, "random"));
    }
}
