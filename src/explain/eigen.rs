//! The first principal component over channels.

use tch::{Device, Kind, Tensor};

/// Projects the patches of `[P, n, D]` onto the first principal axis of their channels, `[P, n]`
/// f32. NaN counts as 0.
///
/// The axis has no sign of its own; the projection is turned so that its largest magnitude is
/// positive (Chung and Ying, "Seg-Eigen-CAM", Applied Sciences 2025, eq. 13). It is found through
/// the products of patches or of channels, whichever are fewer, in f64 on the processor: a vision
/// transformer has more channels than patches, a detector's fine levels a hundred times as many
/// patches.
pub(super) fn principal_projection(channels: &Tensor) -> Tensor {
    let filled = channels.nan_to_num(0.0, None, None).to_kind(Kind::Double);
    let centred = &filled - filled.mean_dim([1i64].as_slice(), true, Kind::Double);
    let (_, patches, width) = centred.size3().expect("channels are [P, n, D]");
    let centred = centred.to_device(Device::Cpu);
    let projection = if patches <= width { by_patches(&centred) } else { by_channels(&centred) };
    let (low, high) = (projection.amin([1i64].as_slice(), true), projection.amax(1, true));
    let turned = low.abs().gt_tensor(&high.abs());
    let sign = turned.to_kind(Kind::Double) * -2.0 + 1.0;
    (projection * sign).to_kind(Kind::Float).to_device(channels.device())
}

/// X Xᵀ = U S² Uᵀ, ascending, and X V₀ = U₀ S₀.
fn by_patches(centred: &Tensor) -> Tensor {
    let (squares, axes) = centred.matmul(&centred.transpose(1, 2)).linalg_eigh("L");
    let last = squares.size()[1] - 1;
    axes.select(2, last) * squares.narrow(1, last, 1).clamp_min(0.0).sqrt()
}

/// Xᵀ X = V S² Vᵀ, ascending.
fn by_channels(centred: &Tensor) -> Tensor {
    let (squares, axes) = centred.transpose(1, 2).matmul(centred).linalg_eigh("L");
    let last = squares.size()[1] - 1;
    centred.matmul(&axes.narrow(2, last, 1)).squeeze_dim(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_widest_direction_is_found_with_its_larger_end_up() {
        let along = Tensor::from_slice(&[-5.0f32, 1.0, 2.0, 2.0]);
        let noise = Tensor::from_slice(&[0.1f32, -0.1, 0.1, -0.1]);
        let channels = Tensor::stack(&[&along * 0.6, noise, &along * 0.8 + 7.0], 1);
        let found = principal_projection(&channels.unsqueeze(0)).get(0);
        assert!((found - along * -1.0).abs().max().double_value(&[]) < 0.02);
    }

    #[test]
    fn equal_patches_project_to_zero() {
        for size in [[2, 4, 3], [2, 3, 4]] {
            let flat = Tensor::ones(size, (Kind::Float, Device::Cpu));
            assert!(principal_projection(&flat).abs().max().double_value(&[]) < 1e-6);
        }
    }

    #[test]
    fn products_of_patches_and_of_channels_find_the_same_axis() {
        tch::manual_seed(8);
        for size in [[2, 40, 6], [2, 6, 40]] {
            let random = Tensor::rand(size, (Kind::Double, Device::Cpu));
            let centred = &random - random.mean_dim([1i64].as_slice(), true, Kind::Double);
            let (one, other) = (by_patches(&centred), by_channels(&centred));
            let scale = one.abs().max().double_value(&[]);
            for row in 0..2 {
                let (one, other) = (one.get(row), other.get(row));
                let off = |sign: f64| (&one - &other * sign).abs().max().double_value(&[]);
                assert!(off(1.0).min(off(-1.0)) < 1e-9 * scale, "{size:?}");
            }
        }
    }
}
