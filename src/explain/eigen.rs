//! The first principal component over channels.

use tch::{Device, Kind, Tensor};

/// Projects the patches of `[P, n, D]` onto the first principal axis of their channels, `[P, n]`
/// f32. NaN counts as 0.
///
/// The axis has no sign of its own; the projection is turned so that its largest magnitude is
/// positive (Chung and Ying, "Seg-Eigen-CAM", Applied Sciences 2025, eq. 13). It is found through
/// the products of patches, of which there are fewer than channels, in f64 on the processor.
pub(super) fn principal_projection(channels: &Tensor) -> Tensor {
    let filled = channels.nan_to_num(0.0, None, None).to_kind(Kind::Double);
    let centred = &filled - filled.mean_dim([1i64].as_slice(), true, Kind::Double);
    let products = centred.matmul(&centred.transpose(1, 2)).to_device(Device::Cpu);
    // X Xᵀ = U S² Uᵀ, ascending, and X V₀ = U₀ S₀.
    let (squares, axes) = products.linalg_eigh("L");
    let last = products.size()[2] - 1;
    let length = squares.narrow(1, last, 1).clamp_min(0.0).sqrt();
    let projection = axes.select(2, last) * length;
    let (low, high) = (projection.amin([1i64].as_slice(), true), projection.amax(1, true));
    let turned = low.abs().gt_tensor(&high.abs());
    let sign = turned.to_kind(Kind::Double) * -2.0 + 1.0;
    (projection * sign).to_kind(Kind::Float).to_device(channels.device())
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
        let flat = Tensor::ones([2, 4, 3], (Kind::Float, Device::Cpu));
        assert!(principal_projection(&flat).abs().max().double_value(&[]) < 1e-6);
    }
}
