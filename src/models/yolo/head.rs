//! The anchor-free head: for every cell, four sides as distributions over 16 bins (distribution
//! focal loss) and a logit for every class, from separate branches.

use tch::{Kind, Tensor};

use super::config::{BINS, SIDE_CHANNELS, STRIDES_PX, YoloConfig};
use super::layers::{Conv, Shape};
use super::window::{Windows, inner};
use super::{BatchNorm, Pyramid};
use crate::models::weights::{Init, Scope, WeightsError};

/// Layer 22.
#[derive(Debug)]
pub(super) struct Head {
    /// Sides and classes at each stride.
    levels: Vec<(Branch, Branch)>,
    /// What each bin stands for, in strides: 0 to 15. `[1, 16, 1, 1]` f32.
    bins: Tensor,
    classes: i64,
}

impl Head {
    pub(super) fn new(
        scope: &Scope<'_>,
        config: &YoloConfig,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let classes = config.classes.len() as i64;
        let [_, _, w8, w16, w32] = config.widths;
        let mut levels = Vec::new();
        for (i, (width, stride)) in [w8, w16, w32].into_iter().zip(STRIDES_PX).enumerate() {
            let sides = Branch::new(
                &scope.at("cv2").at(i),
                [width, config.box_width, SIDE_CHANNELS],
                // Every bin alike: the middle of the range.
                1.0,
                norm,
            )?;
            let class = Branch::new(
                &scope.at("cv3").at(i),
                [width, config.class_width, classes],
                rare_object_logit(classes, stride),
                norm,
            )?;
            levels.push((sides, class));
        }
        let dfl = scope.at("dfl").at("conv").with_kind(Kind::Float);
        let bins = dfl.buffer("weight", &[1, BINS, 1, 1], Init::Ramp)?;
        Ok(Self { levels, bins, classes })
    }

    /// Each level `[B, 64 + C, h, w]`.
    pub(super) fn forward(&self, pyramid: &Pyramid) -> Vec<Tensor> {
        self.levels
            .iter()
            .zip(pyramid)
            .map(|((sides, class), x)| Tensor::cat(&[sides.forward(x), class.forward(x)], 1))
            .collect()
    }

    /// How many classes it tells apart.
    pub(super) fn classes(&self) -> i64 {
        self.classes
    }

    /// Class logits `[K, C]` of the cells in the middle of windows on one level.
    pub(super) fn class_logits(&self, level: usize, windows: &Windows) -> Tensor {
        let (_, class) = &self.levels[level];
        class.in_the_middle(windows)
    }

    /// All levels to `[B, A, 4 + C]` f32.
    pub(super) fn decode(&self, raw: &[Tensor]) -> Tensor {
        let levels: Vec<Tensor> = raw
            .iter()
            .zip(STRIDES_PX)
            .map(|(level, stride)| self.decode_level(&level.to_kind(Kind::Float), stride))
            .collect();
        Tensor::cat(&levels, 1)
    }

    fn decode_level(&self, level: &Tensor, stride_px: i64) -> Tensor {
        let (batch, _, height, width) = level.size4().expect("levels are [B, 64 + C, h, w]");
        let cells = height * width;
        let sides = level.narrow(1, 0, SIDE_CHANNELS).view([batch, 4, BINS, cells]);
        let share = sides.softmax(2, Kind::Float);
        let bins = self.bins.view([1, 1, BINS, 1]);
        let sides = (share * bins).sum_dim_intlist(2, false, Kind::Float);
        let centre = |count: i64| Tensor::arange(count, (Kind::Float, level.device())) + 0.5;
        let x = centre(width).view([1, width]).expand([height, width], false);
        let y = centre(height).view([height, 1]).expand([height, width], false);
        let centres = Tensor::stack(&[x, y], 0).view([1, 2, cells]);
        let corners = [&centres - sides.narrow(1, 0, 2), &centres + sides.narrow(1, 2, 2)];
        let edges = Tensor::cat(&corners, 1) * stride_px as f64;
        let confidence =
            level.narrow(1, SIDE_CHANNELS, self.classes).reshape([batch, -1, cells]).sigmoid();
        Tensor::cat(&[edges, confidence], 1).transpose(1, 2)
    }
}

/// The logit of a class before training, so that a 640 px picture begins with some five objects.
fn rare_object_logit(classes: i64, stride_px: i64) -> f64 {
    let cells = (640.0 / stride_px as f64).powi(2);
    (5.0 / classes as f64 / cells).ln()
}

/// Two convolutions and a linear map.
#[derive(Debug)]
struct Branch {
    first: Conv,
    second: Conv,
    weight: Tensor,
    bias: Tensor,
}

impl Branch {
    fn new(
        scope: &Scope<'_>,
        [inputs, width, outputs]: [i64; 3],
        bias: f64,
        norm: BatchNorm,
    ) -> Result<Self, WeightsError> {
        let square = |inputs| Shape { inputs, outputs: width, side: 3, stride: 1 };
        let linear = Shape { inputs: width, outputs, side: 1, stride: 1 };
        let last = scope.at(2);
        Ok(Self {
            first: Conv::new(&scope.at(0), square(inputs), norm)?,
            second: Conv::new(&scope.at(1), square(width), norm)?,
            weight: last.tensor("weight", &[outputs, width, 1, 1], linear.init())?,
            bias: last.tensor("bias", &[outputs], Init::Constant(bias))?,
        })
    }

    fn forward(&self, x: &Tensor) -> Tensor {
        self.last(&self.second.forward(&self.first.forward(x)))
    }

    /// What [`Branch::forward`] says of the middle cell of each window, `[K, outputs]`.
    fn in_the_middle(&self, windows: &Windows) -> Tensor {
        let around = inner(&self.first.forward(windows.features()));
        let middle = inner(&self.second.forward(&(around * inner(windows.inside()))));
        self.last(&middle).flatten(1, 3)
    }

    fn last(&self, x: &Tensor) -> Tensor {
        x.conv2d(&self.weight, Some(&self.bias), 1, 0, 1, 1)
    }
}
