//! The blocks that backbone, neck and head are made of.

use tch::{Kind, Tensor};

use super::BatchNorm;
use crate::models::weights::{Init, Scope, WeightsError};

const EPSILON: f64 = 1e-3;
/// Share of the batch at hand in the running statistics.
const MOMENTUM: f64 = 0.03;

/// Sizes of a convolution with square kernel, padded so that stride 1 keeps the size.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape {
    pub(super) inputs: i64,
    pub(super) outputs: i64,
    pub(super) side: i64,
    pub(super) stride: i64,
}

impl Shape {
    fn kernel(&self) -> [i64; 4] {
        [self.outputs, self.inputs, self.side, self.side]
    }

    /// A spread that keeps the signal's size through many layers.
    pub(super) fn init(&self) -> Init {
        let fan_in = (self.inputs * self.side * self.side) as f64;
        Init::Normal((3.0 * fan_in).powf(-0.5))
    }
}

/// Convolution, batch norm and `SiLU`.
#[derive(Debug)]
pub(super) struct Conv {
    kernel: Tensor,
    /// `[outputs]`, of a folded norm.
    bias: Option<Tensor>,
    norm: Option<Norm>,
    shape: Shape,
}

impl Conv {
    pub(super) fn new(
        scope: &Scope<'_>,
        shape: Shape,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let exact = scope.with_kind(Kind::Float);
        let statistics = Norm::new(&exact.at("bn"), shape.outputs)?;
        match norm {
            BatchNorm::Fused => {
                let kernel = exact.at("conv").tensor("weight", &shape.kernel(), shape.init())?;
                let (kernel, bias) = statistics.folded_into(&kernel);
                let bias = Some(bias.to_kind(scope.kind()));
                Ok(Self { kernel: kernel.to_kind(scope.kind()), bias, norm: None, shape })
            }
            BatchNorm::Training => {
                let kernel = scope.at("conv").tensor("weight", &shape.kernel(), shape.init())?;
                Ok(Self { kernel, bias: None, norm: Some(statistics), shape })
            }
        }
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let Shape { side, stride, .. } = self.shape;
        let y = x.conv2d(&self.kernel, self.bias.as_ref(), stride, side / 2, 1, 1);
        match &self.norm {
            Some(norm) => norm.forward(&y).silu(),
            None => y.silu(),
        }
    }
}

/// Batch norm, f32.
#[derive(Debug)]
struct Norm {
    weight: Tensor,
    bias: Tensor,
    mean: Tensor,
    variance: Tensor,
}

impl Norm {
    fn new(scope: &Scope<'_>, width: i64) -> Result<Self, WeightsError> {
        Ok(Self {
            weight: scope.tensor("weight", &[width], Init::Constant(1.0))?,
            bias: scope.tensor("bias", &[width], Init::Constant(0.0))?,
            mean: scope.buffer("running_mean", &[width], Init::Constant(0.0))?,
            variance: scope.buffer("running_var", &[width], Init::Constant(1.0))?,
        })
    }

    /// Kernel and bias of the one convolution that does what convolving with `kernel` and
    /// normalising by the running statistics do.
    fn folded_into(&self, kernel: &Tensor) -> (Tensor, Tensor) {
        let scale = &self.weight / (&self.variance + EPSILON).sqrt();
        let bias = &self.bias - &self.mean * &scale;
        (kernel * scale.view([-1, 1, 1, 1]), bias)
    }

    /// Normalises by the batch and updates the running statistics.
    fn forward(&self, x: &Tensor) -> Tensor {
        x.batch_norm(
            Some(&self.weight),
            Some(&self.bias),
            Some(&self.mean),
            Some(&self.variance),
            true,
            MOMENTUM,
            EPSILON,
            true,
        )
    }
}

/// Two convolutions, added to their input where `shortcut`.
#[derive(Debug)]
struct Bottleneck {
    first: Conv,
    second: Conv,
    shortcut: bool,
}

impl Bottleneck {
    fn new(
        scope: &Scope<'_>,
        width: i64,
        shortcut: bool,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let shape = Shape { inputs: width, outputs: width, side: 3, stride: 1 };
        Ok(Self {
            first: Conv::new(&scope.at("cv1"), shape, norm)?,
            second: Conv::new(&scope.at("cv2"), shape, norm)?,
            shortcut,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        let y = self.second.forward(&self.first.forward(x));
        if self.shortcut { x + y } else { y }
    }
}

/// The cross-stage block: half of the channels pass through a chain of bottlenecks, and the output
/// sees the result of each of them.
#[derive(Debug)]
pub(super) struct C2f {
    split: Conv,
    merge: Conv,
    chain: Vec<Bottleneck>,
}

impl C2f {
    pub(super) fn new(
        scope: &Scope<'_>,
        (inputs, outputs): (i64, i64),
        (depth, shortcut): (usize, bool),
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let half = outputs / 2;
        let pointwise = |inputs, outputs| Shape { inputs, outputs, side: 1, stride: 1 };
        let joined = (2 + depth as i64) * half;
        Ok(Self {
            split: Conv::new(&scope.at("cv1"), pointwise(inputs, 2 * half), norm)?,
            merge: Conv::new(&scope.at("cv2"), pointwise(joined, outputs), norm)?,
            chain: (0..depth)
                .map(|i| Bottleneck::new(&scope.at("m").at(i), half, shortcut, norm))
                .collect::<Result<_, _>>()?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mut parts = self.split.forward(x).chunk(2, 1);
        for bottleneck in &self.chain {
            let next = bottleneck.forward(parts.last().expect("chunk gave two parts"));
            parts.push(next);
        }
        self.merge.forward(&Tensor::cat(&parts, 1))
    }
}

/// Spatial pyramid pooling: three maximum filters of side 5 in a row, so that the output sees
/// neighbourhoods of 1, 5, 9 and 13 cells.
#[derive(Debug)]
pub(super) struct Sppf {
    narrow: Conv,
    merge: Conv,
}

impl Sppf {
    pub(super) fn new(
        scope: &Scope<'_>,
        width: i64,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let half = width / 2;
        let pointwise = |inputs, outputs| Shape { inputs, outputs, side: 1, stride: 1 };
        Ok(Self {
            narrow: Conv::new(&scope.at("cv1"), pointwise(width, half), norm)?,
            merge: Conv::new(&scope.at("cv2"), pointwise(4 * half, width), norm)?,
        })
    }

    pub(super) fn forward(&self, x: &Tensor) -> Tensor {
        let mut parts = vec![self.narrow.forward(x)];
        for i in 0..3 {
            parts.push(parts[i].max_pool2d(5, 1, 2, 1, false));
        }
        self.merge.forward(&Tensor::cat(&parts, 1))
    }
}
