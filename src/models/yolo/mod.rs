//! `YOLOv8` detection: a convolutional backbone, a two-way feature pyramid and an anchor-free head.
//!
//! Written from the published architecture: Jocher et al., "Ultralytics `YOLOv8`", 2023 (figure and
//! model table of its documentation); Wang et al., "`CSPNet`", arXiv 1911.11929; Liu et al., "Path
//! Aggregation Network", arXiv 1803.01534; Li et al., "Generalized Focal Loss", arXiv 2006.04388.
//! Keys are those of the official checkpoints: `model.N` is the N-th layer.

mod checkpoint;
mod config;
mod head;
mod layers;
mod window;

pub use checkpoint::YoloCheckpoint;
pub use config::{STRIDES_PX, YoloConfig, YoloSize};
pub use window::Windows;

use tch::{Device, Kind, Tensor};

use self::head::Head;
use self::layers::{C2f, Conv, Shape, Sppf};
use super::weights::{Scope, Weights, WeightsError};

/// What batch norms do.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum BatchNorm {
    /// Folded into the convolution before them, for inference.
    Fused,
    /// Normalise by the batch at hand, and keep running statistics in the checkpoint.
    Training,
}

/// The net: pixels to boxes.
#[derive(Debug)]
pub struct Yolo {
    backbone: Backbone,
    neck: Neck,
    head: Head,
    kind: Kind,
}

impl Yolo {
    /// Builds the net from a checkpoint, which must hold exactly its weights. For training, `kind`
    /// and `device` must be those of the weights, so that running statistics are kept.
    pub fn new(
        weights: &Weights,
        config: &YoloConfig,
        device: Device,
        kind: Kind,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let root = weights.root(device, kind).at("model");
        let net = Self {
            backbone: Backbone::new(&root, config, norm)?,
            neck: Neck::new(&root, config, norm)?,
            head: Head::new(&root.at(22), config, norm)?,
            kind,
        };
        // A count of updates that nothing reads.
        weights.finish(|key| key.ends_with("num_batches_tracked"))?;
        Ok(net)
    }

    /// Pixels `[B, 3, H, W]`, RGB from 0 to 1, sides multiples of 32, to what the head says at each
    /// stride: `[B, 64 + C, H / stride, W / stride]` in the net's kind, finest first. 64 channels
    /// are 4 sides (left, top, right, bottom) × 16 bins, then come class logits.
    pub fn raw(&self, pixels: &Tensor) -> Vec<Tensor> {
        self.head(&self.pyramid(pixels))
    }

    /// What the head looks at, from pixels `[B, 3, H, W]`: features at strides 8, 16 and 32 (layers
    /// 15, 18 and 21), each `[B, D, H / stride, W / stride]` in the net's kind.
    pub fn pyramid(&self, pixels: &Tensor) -> Pyramid {
        self.neck.forward(&self.backbone.forward(&pixels.to_kind(self.kind)))
    }

    /// What [`Yolo::raw`] gives, from [`Yolo::pyramid`].
    pub fn head(&self, pyramid: &Pyramid) -> Vec<Tensor> {
        self.head.forward(pyramid)
    }

    /// How many classes the head tells apart.
    pub fn classes(&self) -> i64 {
        self.head.classes()
    }

    /// The class logits that [`Yolo::head`] gives to the cells in the middle of `windows`, `[K, C]`
    /// in the net's kind, from those windows alone. `level` is 0, 1 or 2, finest first; norms must
    /// be folded.
    pub fn class_logits(&self, level: usize, windows: &Windows) -> Tensor {
        self.head.class_logits(level, windows)
    }

    /// What [`Yolo::raw`] gave to `[B, A, 4 + C]` f32: A candidates, finest stride first, row-major;
    /// each with left, top, right and bottom edge in input pixels and a confidence for every class,
    /// 0 to 1.
    pub fn decode(&self, raw: &[Tensor]) -> Tensor {
        self.head.decode(raw)
    }
}

/// Features at strides 8, 16 and 32.
pub type Pyramid = [Tensor; 3];

/// The layers of the checkpoint (`model.N`) that give them.
pub const PYRAMID_LAYERS: [i64; 3] = [15, 18, 21];

/// Layers 0 to 9.
#[derive(Debug)]
struct Backbone {
    /// The strided convolutions 0, 1, 3, 5, 7.
    down: [Conv; 5],
    /// The blocks 2, 4, 6, 8, each after the strided convolution before it.
    blocks: [C2f; 4],
    pool: Sppf,
}

impl Backbone {
    fn new(root: &Scope<'_>, config: &YoloConfig, norm: BatchNorm) -> Result<Self, WeightsError> {
        let [w2, w4, w8, w16, w32] = config.widths;
        let down = |layer: i64, inputs, outputs| {
            Conv::new(&root.at(layer), Shape { inputs, outputs, side: 3, stride: 2 }, norm)
        };
        let block = |layer: i64, width, depth| {
            C2f::new(&root.at(layer), (width, width), (depth, true), norm)
        };
        let depths = config.depths;
        Ok(Self {
            down: [
                down(0, 3, w2)?,
                down(1, w2, w4)?,
                down(3, w4, w8)?,
                down(5, w8, w16)?,
                down(7, w16, w32)?,
            ],
            blocks: [
                block(2, w4, depths[0])?,
                block(4, w8, depths[1])?,
                block(6, w16, depths[2])?,
                block(8, w32, depths[3])?,
            ],
            pool: Sppf::new(&root.at(9), w32, norm)?,
        })
    }

    fn forward(&self, pixels: &Tensor) -> Pyramid {
        let mut x = self.down[0].forward(pixels);
        let mut levels = Vec::with_capacity(4);
        for (down, block) in self.down[1..].iter().zip(&self.blocks) {
            x = block.forward(&down.forward(&x));
            levels.push(x.shallow_clone());
        }
        let [_, p8, p16, p32] = <[Tensor; 4]>::try_from(levels).expect("there are four blocks");
        [p8, p16, self.pool.forward(&p32)]
    }
}

/// Layers 10 to 21: coarse features are mixed into fine ones, then fine ones into coarse ones.
#[derive(Debug)]
struct Neck {
    up16: C2f,
    up8: C2f,
    down16: Conv,
    out16: C2f,
    down32: Conv,
    out32: C2f,
}

impl Neck {
    fn new(root: &Scope<'_>, config: &YoloConfig, norm: BatchNorm) -> Result<Self, WeightsError> {
        let [_, _, w8, w16, w32] = config.widths;
        let down = |layer: i64, width| {
            let shape = Shape { inputs: width, outputs: width, side: 3, stride: 2 };
            Conv::new(&root.at(layer), shape, norm)
        };
        let block =
            |layer: i64, widths, depth| C2f::new(&root.at(layer), widths, (depth, false), norm);
        let depths = config.depths;
        Ok(Self {
            up16: block(12, (w32 + w16, w16), depths[4])?,
            up8: block(15, (w16 + w8, w8), depths[5])?,
            down16: down(16, w8)?,
            out16: block(18, (w8 + w16, w16), depths[6])?,
            down32: down(19, w16)?,
            out32: block(21, (w16 + w32, w32), depths[7])?,
        })
    }

    fn forward(&self, [p8, p16, p32]: &Pyramid) -> Pyramid {
        let top = self.up16.forward(&Tensor::cat(&[&doubled(p32), p16], 1));
        let fine = self.up8.forward(&Tensor::cat(&[&doubled(&top), p8], 1));
        let middle = self.out16.forward(&Tensor::cat(&[&self.down16.forward(&fine), &top], 1));
        let coarse = self.out32.forward(&Tensor::cat(&[&self.down32.forward(&middle), p32], 1));
        [fine, middle, coarse]
    }
}

/// Each cell repeated twice along both sides.
fn doubled(x: &Tensor) -> Tensor {
    let (_, _, height, width) = x.size4().expect("features are [B, C, H, W]");
    x.upsample_nearest2d([2 * height, 2 * width], None, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> YoloConfig {
        YoloConfig::new(0.0625, 0.33, 1024, vec!["ear".into(), "eye".into()])
    }

    #[test]
    fn a_new_net_trains_and_then_serves_with_folded_norms() {
        tch::manual_seed(1);
        let (device, kind) = (Device::Cpu, Kind::Float);
        let weights = Weights::initialise(device);
        let pixels = Tensor::rand([2, 3, 64, 96], (kind, device));
        let key = "model.0.bn.running_mean";
        let mean = |weights: &Weights| {
            let found = weights.tensors().into_iter().find(|(name, _)| name == key);
            found.unwrap().1.abs().sum(kind).double_value(&[])
        };
        let net = Yolo::new(&weights, &config(), device, kind, BatchNorm::Training).unwrap();
        let raw = net.raw(&pixels);
        let shapes: Vec<_> = raw.iter().map(Tensor::size).collect();
        assert_eq!(shapes, [[2, 66, 8, 12], [2, 66, 4, 6], [2, 66, 2, 3]]);
        raw.iter().map(|level| level.square().sum(kind)).sum::<Tensor>().backward();
        assert!(mean(&weights) > 0.0, "running statistics are kept");
        for (key, tensor) in weights.tensors() {
            let learnt = !key.contains("running_") && !key.contains("dfl");
            assert_eq!(tensor.requires_grad(), learnt, "{key}");
            assert_eq!(tensor.grad().defined(), learnt, "{key}");
        }

        assert_eq!(YoloConfig::infer(&weights, config().classes).unwrap(), config());
        let net = Yolo::new(&weights, &config(), device, kind, BatchNorm::Fused).unwrap();
        let decoded = tch::no_grad(|| net.decode(&net.raw(&pixels)));
        assert_eq!(decoded.size(), [2, 96 + 24 + 6, 6]);
        // An untrained net sees hardly anything.
        assert!(decoded.narrow(2, 4, 2).max().double_value(&[]) < 0.5);
    }

    #[test]
    fn class_names_that_do_not_match_the_weights_are_an_error() {
        let weights = Weights::initialise(Device::Cpu);
        Yolo::new(&weights, &config(), Device::Cpu, Kind::Float, BatchNorm::Fused).unwrap();
        let error = YoloConfig::infer(&weights, vec!["ear".into()]).unwrap_err();
        assert!(error.to_string().contains("2 classes apart but names 1"), "{error}");
    }
}
