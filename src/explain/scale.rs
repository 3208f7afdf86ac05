//! Maps made comparable: scaled to 0..1, to pixels, or to ranks.

use tch::{Kind, Tensor};

use super::map::FLAT_RATIO;

/// Of pytorch-grad-cam.
const EPSILON: f64 = 1e-7;

/// Less the minimum, then over the maximum plus 1e-7, as in pytorch-grad-cam's `scale_cam_image`;
/// over dimension `dim` and all after it.
pub(super) fn scaled(maps: &Tensor, dim: i64) -> Tensor {
    let over: Vec<i64> = (dim..maps.dim() as i64).collect();
    let raised = maps - maps.amin(over.as_slice(), true);
    let top = raised.amax(over.as_slice(), true) + EPSILON;
    raised / top
}

/// Maps `[P, n]` of one or several blocks as pytorch-grad-cam shows them, `[P, H, W]` from 0 to 1:
/// each cut at 0, scaled, resized to `size_px` (height, width) bilinearly; then averaged over
/// blocks and scaled again.
pub fn as_grad_cam(blocks: &[Tensor], size_px: (i64, i64)) -> Tensor {
    let maps = blocks.iter().map(|map| {
        let (prompts, patches) = map.size2().expect("maps are [P, n]");
        let side = (patches as usize).isqrt() as i64;
        let grid = scaled(&map.relu(), 1).view([prompts, 1, side, patches / side]);
        let (height, width) = size_px;
        grid.upsample_bilinear2d([height, width], false, None, None).squeeze_dim(1)
    });
    let maps = Tensor::stack(&maps.collect::<Vec<_>>(), 0);
    scaled(&maps.relu().mean_dim([0i64].as_slice(), false, Kind::Float), 1)
}

/// Each value of `[P, n]` as its rank among its row, from 0 (least) to 1 (greatest); equal values
/// share the middle of their ranks. Ranks do not depend on units. A row without spread has none:
/// all are 0.5, for the ranks of rounding would look like evidence.
pub fn rank_normalised(maps: &Tensor) -> Tensor {
    let count = maps.size()[1];
    let over = [1i64];
    let (low, high) = (maps.amin(over.as_slice(), true), maps.amax(over.as_slice(), true));
    let rounding = high.abs().maximum(&low.abs()) * f64::from(FLAT_RATIO);
    let flat = (high - low).le_tensor(&rounding);
    let maps = &maps.masked_fill(&flat, 0.0);
    let below = maps.unsqueeze(2).gt_tensor(&maps.unsqueeze(1));
    let equal = maps.unsqueeze(2).eq_tensor(&maps.unsqueeze(1));
    let sum = |which: Tensor| which.sum_dim_intlist([2i64].as_slice(), false, Kind::Float);
    let ranks = sum(below) + (sum(equal) - 1.0) * 0.5;
    ranks / ((count - 1).max(1) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_ignore_units_and_share_ties() {
        let maps = Tensor::from_slice(&[-3.0f32, 100.0, 0.5, 0.5, 7.0]).view([1, 5]);
        let ranks: Vec<f32> = Vec::try_from(rank_normalised(&maps).flatten(0, -1)).unwrap();
        assert_eq!(ranks, [0.0, 1.0, 0.375, 0.375, 0.75]);
        let same: Vec<f32> = Vec::try_from(rank_normalised(&(maps * 1e-9)).flatten(0, -1)).unwrap();
        assert_eq!(same, ranks);
    }

    #[test]
    fn a_constant_map_has_no_ranks_to_tell_apart_and_no_scale() {
        let flat = Tensor::full([1, 4], 3.0, (Kind::Float, tch::Device::Cpu));
        let rounded = Tensor::from_slice(&[3.0f32, 3.000_001, 3.0, 2.999_999]).view([1, 4]);
        for map in [&flat, &rounded] {
            let ranks: Vec<f32> = Vec::try_from(rank_normalised(map).flatten(0, -1)).unwrap();
            assert_eq!(ranks, [0.5; 4]);
        }
        assert!(scaled(&flat, 1).equal(&flat.zeros_like()));
    }
}
