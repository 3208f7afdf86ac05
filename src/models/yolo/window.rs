//! What the class logits of single cells depend on, so that these can be differentiated alone.
//!
//! The head's class branch is two 3 × 3 convolutions and a linear map, so that a cell's logits depend
//! on the 5 × 5 cells around it and on nothing else. Some dozens of such windows cost a thousandth
//! of a pass over a whole level of thousands of cells.

use tch::Tensor;

/// Cells on each side of a cell that its class logits depend on.
const REACH: i64 = 2;
/// Cells along one side of a window.
const SIDE: i64 = 2 * REACH + 1;

/// The cells around K cells of one level.
#[derive(Debug)]
pub struct Windows {
    /// `[K, D, 5, 5]`, zero beyond the level's edge, as the first convolution pads.
    features: Tensor,
    /// `[K, 1, 5, 5]`: 1 where the level has such a cell, else 0. What lies beyond is padding: the
    /// second convolution's is zero too, and not what the first one makes of zeros, and a gradient
    /// there is no feature's.
    inside: Tensor,
}

impl Windows {
    /// The windows around `cells` (row-major places on the level, at least 1) of the features
    /// `[1, D, h, w]` of one picture. They are leaves of their own: a gradient reaches
    /// [`Windows::features`] and goes no further.
    pub fn around(features: &Tensor, cells: &[i64]) -> Self {
        let (_, _, rows, columns) = features.size4().expect("features are [1, D, h, w]");
        let padded = features.detach().constant_pad_nd([REACH; 4]);
        let window =
            |cell: &i64| padded.narrow(2, cell / columns, SIDE).narrow(3, cell % columns, SIDE);
        let windows = Tensor::cat(&cells.iter().map(window).collect::<Vec<_>>(), 0);
        let on_level = |cell: &i64| {
            let (row, column) = (cell / columns, cell % columns);
            let near = move |at: i64| at - REACH..=at + REACH;
            near(row).flat_map(move |y| {
                near(column).map(move |x| {
                    f32::from(u8::from((0..rows).contains(&y) && (0..columns).contains(&x)))
                })
            })
        };
        let inside: Vec<f32> = cells.iter().flat_map(on_level).collect();
        let inside = Tensor::from_slice(&inside).view([cells.len() as i64, 1, SIDE, SIDE]);
        Self {
            inside: inside.to_kind(features.kind()).to_device(features.device()),
            features: windows.set_requires_grad(true),
        }
    }

    /// `[K, D, 5, 5]`, in the kind of the features that they were cut from.
    pub fn features(&self) -> &Tensor {
        &self.features
    }

    /// `[K, 1, 5, 5]`: 1 where the level has such a cell, else 0.
    pub fn inside(&self) -> &Tensor {
        &self.inside
    }
}

/// `[K, D, s, s]` without its outermost cells: `[K, D, s - 2, s - 2]`.
pub(super) fn inner(x: &Tensor) -> Tensor {
    let (_, _, rows, columns) = x.size4().expect("windows are [K, D, s, s]");
    x.narrow(2, 1, rows - 2).narrow(3, 1, columns - 2)
}

#[cfg(test)]
mod tests {
    use tch::{Device, Kind};

    use super::super::{BatchNorm, Yolo, YoloConfig};
    use super::*;
    use crate::models::weights::Weights;

    #[test]
    fn windows_say_what_the_whole_level_says_at_every_cell() {
        tch::manual_seed(3);
        let (device, kind) = (Device::Cpu, Kind::Float);
        let weights = Weights::initialise(device);
        let config = YoloConfig::new(0.0625, 0.33, 1024, vec!["ear".into(), "eye".into()]);
        let net = Yolo::new(&weights, &config, device, kind, BatchNorm::Fused).unwrap();
        let pixels = Tensor::rand([1, 3, 64, 96], (kind, device));
        tch::no_grad(|| {
            let pyramid = net.pyramid(&pixels);
            let raw = net.head(&pyramid);
            for (level, features) in pyramid.iter().enumerate() {
                let expected = raw[level].narrow(1, 64, 2).flatten(2, 3).squeeze_dim(0).tr();
                let cells: Vec<i64> = (0..expected.size()[0]).collect();
                let found = net.class_logits(level, &Windows::around(features, &cells));
                let off = (found - expected).abs().max().double_value(&[]);
                assert!(off < 1e-5, "level {level} is off by {off}");
            }
        });
    }
}
