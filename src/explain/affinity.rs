//! Class-aware attention affinity: Lin et al., "CLIP is Also an Efficient Segmenter" (CLIP-ES),
//! CVPR 2023.
//!
//! Patches that attend to each other share their heat. The mean attention of the late blocks,
//! made doubly stochastic (Sinkhorn), symmetric and squared, spreads the map, but only from within
//! boxes around what the map already calls hot, so that the background does not leak in.

use tch::{Kind, Tensor};

use super::contrast::to_vec;
use super::rollout::attentions;
use super::scale::scaled;
use crate::models::clip::{Tape, VisionTower};

/// Late blocks whose attention is averaged, as published.
const BLOCKS: usize = 8;
/// Rounds of scaling columns, then rows.
const ROUNDS: usize = 3;
/// Share of a map's maximum from which a patch is hot.
const HOT: f32 = 0.4;

/// Maps `[P, n]` of image `item`, cut at 0, scaled to 0..1 and spread by affinity, `[P, n]`. The
/// tape must hold every input.
pub fn refined(vision: &VisionTower, tape: (&Tape, i64), maps: &Tensor) -> Tensor {
    let depth = vision.depth();
    let layers: Vec<usize> = (depth.saturating_sub(BLOCKS)..depth).collect();
    let affinity = affinity(&attentions(vision, tape, &layers));
    let maps = scaled(&maps.relu(), 1);
    (hot_boxes(&maps) * maps).matmul(&affinity.tr())
}

/// How much of each patch's heat (column) each patch (row) takes, `[n, n]` f32, from blocks'
/// attention weights `[1, H, N, N]`.
fn affinity(blocks: &[Tensor]) -> Tensor {
    let mean = Tensor::cat(blocks, 0).mean_dim([0i64, 1].as_slice(), false, Kind::Float);
    let patches = mean.size()[0] - 1;
    let mut shares = mean.narrow(0, 1, patches).narrow(1, 1, patches);
    for dim in [0i64, 1].repeat(ROUNDS) {
        shares = &shares / shares.sum_dim_intlist([dim].as_slice(), true, Kind::Float);
    }
    let symmetric: Tensor = (&shares + shares.tr()) * 0.5;
    symmetric.matmul(&symmetric)
}

/// 1 inside the bounding boxes of each map's hot regions (patches above 0.4 of the maximum, joined
/// over sides and corners), else 0: `[P, n]` on a square grid to `[P, n]`.
fn hot_boxes(maps: &Tensor) -> Tensor {
    let patches = maps.size()[1] as usize;
    let columns = patches.isqrt();
    let boxes: Vec<f32> =
        to_vec(maps).chunks_exact(patches).flat_map(|map| boxes_of(map, columns)).collect();
    let boxes = Tensor::from_slice(&boxes).view([-1, patches as i64]);
    boxes.to_device(maps.device()).to_kind(Kind::Float)
}

fn boxes_of(map: &[f32], columns: usize) -> Vec<f32> {
    let threshold = HOT * map.iter().copied().fold(0.0, f32::max);
    let mut unseen: Vec<bool> = map.iter().map(|&heat| heat > threshold).collect();
    let mut covered = vec![0.0; map.len()];
    while let Some(start) = unseen.iter().position(|&hot| hot) {
        let [top, left, bottom, right] = extent(start, columns, &mut unseen);
        for row in top..=bottom {
            covered[row * columns + left..=row * columns + right].fill(1.0);
        }
    }
    covered
}

/// Top, left, bottom and right of the region around `start`, which is taken out of `unseen`.
fn extent(start: usize, columns: usize, unseen: &mut [bool]) -> [usize; 4] {
    let rows = unseen.len() / columns;
    let [mut top, mut left, mut bottom, mut right] = [rows, columns, 0, 0];
    let mut waiting = vec![start];
    unseen[start] = false;
    while let Some(patch) = waiting.pop() {
        let (row, column) = (patch / columns, patch % columns);
        (top, bottom) = (top.min(row), bottom.max(row));
        (left, right) = (left.min(column), right.max(column));
        for near_row in row.saturating_sub(1)..=(row + 1).min(rows - 1) {
            for near_column in column.saturating_sub(1)..=(column + 1).min(columns - 1) {
                let near = near_row * columns + near_column;
                if std::mem::take(&mut unseen[near]) {
                    waiting.push(near);
                }
            }
        }
    }
    [top, left, bottom, right]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boxes_surround_each_hot_region_and_join_corners() {
        let map = [
            0.9, 0.0, 0.0, 0.0, //
            0.0, 0.5, 0.0, 0.0, //
            0.0, 0.0, 0.0, 0.39, //
            0.0, 0.0, 0.0, 1.0,
        ];
        let expected = [
            1.0, 1.0, 0.0, 0.0, //
            1.0, 1.0, 0.0, 0.0, //
            0.0, 0.0, 0.0, 0.0, //
            0.0, 0.0, 0.0, 1.0,
        ];
        assert_eq!(boxes_of(&map, 4), expected);
    }

    #[test]
    fn a_map_without_heat_has_no_box() {
        assert_eq!(boxes_of(&[0.0; 9], 3), [0.0; 9]);
    }

    #[test]
    fn affinity_is_symmetric_and_nearly_doubly_stochastic() {
        tch::manual_seed(3);
        let weights = Tensor::randn([1, 2, 10, 10], (Kind::Float, tch::Device::Cpu));
        let found = affinity(&[weights.softmax(-1, Kind::Float)]);
        assert_eq!(found.size(), [9, 9]);
        assert!((&found - found.tr()).abs().max().double_value(&[]) < 1e-6);
        let sums = found.sum_dim_intlist([1i64].as_slice(), false, Kind::Float);
        assert!((sums - 1.0).abs().max().double_value(&[]) < 0.05);
    }
}
