//! The loss of a `YOLOv8` head: boxes (`CIoU`), sides (distribution focal loss) and classes.
//!
//! Papers: Zheng et al. 2019, "Distance-IoU Loss" (`CIoU`, arXiv 1911.08287); Li et al. 2020,
//! "Generalized Focal Loss" (DFL, arXiv 2006.04388). The classes learn soft targets, the assigner's
//! alignment, by binary cross-entropy.

use std::f64::consts::PI;

use tch::{Device, Kind, Reduction, Tensor};

use super::assign::{Assignment, Guesses, TaskAligned, Truths, iou};

/// Bins of the distribution over one side's distance: 0 to 15 strides.
const BINS: i64 = 16;
/// Channels of a head level that hold the four sides.
const SIDE_CHANNELS: i64 = 4 * BINS;

/// How much each part of the loss weighs.
#[derive(Clone, Copy, Debug)]
pub struct Gains {
    /// Of the box overlap.
    pub overlap: f64,
    /// Of the classes.
    pub class: f64,
    /// Of the side distributions.
    pub sides: f64,
}

impl Gains {
    /// The weights of `YOLOv8`.
    pub const YOLO: Self = Self { overlap: 7.5, class: 0.5, sides: 1.5 };
}

/// The loss of one batch, each part weighted, scalar f32 per picture.
#[derive(Debug)]
pub struct DetectionLoss {
    /// 1 - `CIoU` of the assigned boxes.
    pub overlap: Tensor,
    /// Binary cross-entropy of the classes.
    pub class: Tensor,
    /// Cross-entropy of the side distributions.
    pub sides: Tensor,
}

impl DetectionLoss {
    /// The sum of the parts: what training minimises.
    pub fn total(&self) -> Tensor {
        &self.overlap + &self.class + &self.sides
    }

    /// The loss of a head's raw `levels`, each `[B, 64 + C, H, W]` with its stride in pixels, finest
    /// first: 64 channels are 4 sides (left, top, right, bottom) × 16 bins, then come class logits.
    pub fn new(levels: &[(Tensor, f64)], truths: &Truths, gains: Gains) -> Self {
        let head = Head::new(levels);
        let guesses = Guesses {
            scores: head.logits.detach().sigmoid(),
            boxes: head.boxes().detach(),
            points: head.points.shallow_clone(),
        };
        let assignment = TaskAligned::YOLO.assign(&guesses, truths);
        // Every part counts per unit of target score, so that crowded pictures weigh no more.
        let unit = assignment.scores.sum(Kind::Float).clamp_min(1.0);
        let class = head.logits.binary_cross_entropy_with_logits::<Tensor>(
            &assignment.scores,
            None,
            None,
            Reduction::Sum,
        );
        let (overlap, sides) = head.box_losses(&assignment);
        Self {
            overlap: overlap / &unit * gains.overlap,
            class: class / &unit * gains.class,
            sides: sides / &unit * gains.sides,
        }
    }
}

/// The head's levels, joined along A anchors.
struct Head {
    /// `[B, A, 4, 16]` f32: logits of the sides' distances in strides.
    sides: Tensor,
    /// `[B, A, C]` f32: class logits.
    logits: Tensor,
    /// `[A, 2]` f32: x, y in pixels.
    points: Tensor,
    /// `[A, 1]` f32: pixels.
    strides: Tensor,
}

impl Head {
    fn new(levels: &[(Tensor, f64)]) -> Self {
        let mut points = Vec::new();
        let mut strides = Vec::new();
        let mut channels = Vec::new();
        for (level, stride) in levels {
            let (_, _, rows, columns) = level.size4().expect("a level is [B, 64 + C, H, W]");
            points.push(anchor_points(rows, columns, *stride, level.device()));
            strides.push(Tensor::full([rows * columns, 1], *stride, (Kind::Float, level.device())));
            channels.push(level.flatten(2, 3));
        }
        let channels = Tensor::cat(&channels, 2).transpose(1, 2).to_kind(Kind::Float);
        let classes = channels.size()[2] - SIDE_CHANNELS;
        Self {
            sides: channels.narrow(2, 0, SIDE_CHANNELS).unflatten(2, [4, BINS]),
            logits: channels.narrow(2, SIDE_CHANNELS, classes),
            points: Tensor::cat(&points, 0),
            strides: Tensor::cat(&strides, 0),
        }
    }

    /// `[B, A, 4]` f32: x1, y1, x2, y2 in pixels.
    fn boxes(&self) -> Tensor {
        decode(&self.sides, &self.points, &self.strides)
    }

    /// The overlap and side losses, each summed over positive anchors, weighted by target score.
    fn box_losses(&self, assignment: &Assignment) -> (Tensor, Tensor) {
        let anchors = self.points.size()[0];
        let positive = assignment.positive.flatten(0, 1).nonzero().squeeze_dim(-1);
        let anchor = positive.remainder(anchors);
        let (points, strides) =
            (self.points.index_select(0, &anchor), self.strides.index_select(0, &anchor));
        let sides = self.sides.flatten(0, 1).index_select(0, &positive);
        let targets = assignment.boxes.flatten(0, 1).index_select(0, &positive);
        let weight = assignment.scores.sum_dim_intlist(-1, false, Kind::Float);
        let weight = weight.flatten(0, 1).index_select(0, &positive);

        let overlap = one_minus(&ciou(&decode(&sides, &points, &strides), &targets)) * &weight;
        let distances = distances(&targets, &points, &strides);
        let focal = side_loss(&sides, &distances).mean_dim(-1, false, Kind::Float) * weight;
        (overlap.sum(Kind::Float), focal.sum(Kind::Float))
    }
}

/// `[rows * columns, 2]` f32: x, y of the cells' centres in pixels, row by row.
fn anchor_points(rows: i64, columns: i64, stride: f64, device: Device) -> Tensor {
    let centres = |count| (Tensor::arange(count, (Kind::Float, device)) + 0.5) * stride;
    let (x, y) = (centres(columns), centres(rows));
    let shape = [rows, columns];
    let grid = [x.unsqueeze(0).expand(shape, false), y.unsqueeze(1).expand(shape, false)];
    Tensor::stack(&grid, -1).flatten(0, 1)
}

/// Boxes `[…, 4]` in pixels, from the expected distance of each side: `sides` `[…, 4, 16]` logits.
fn decode(sides: &Tensor, points: &Tensor, strides: &Tensor) -> Tensor {
    let distances = expected_bin(sides) * strides;
    let low = points - distances.narrow(-1, 0, 2);
    let high = points + distances.narrow(-1, 2, 2);
    Tensor::cat(&[low, high], -1)
}

/// The mean of a distribution over bins 0 to 15, given as logits `[…, 16]`: `[…]`.
fn expected_bin(logits: &Tensor) -> Tensor {
    let bins = Tensor::arange(BINS, (Kind::Float, logits.device()));
    (logits.softmax(-1, Kind::Float) * bins).sum_dim_intlist(-1, false, Kind::Float)
}

/// Distances `[…, 4]` in strides from points to the box sides, kept within what the bins can say.
fn distances(boxes: &Tensor, points: &Tensor, strides: &Tensor) -> Tensor {
    let low = points - boxes.narrow(-1, 0, 2);
    let high = boxes.narrow(-1, 2, 2) - points;
    // Just below the last bin, so that there is always a bin to the right.
    (Tensor::cat(&[low, high], -1) / strides).clamp(0.0, BINS as f64 - 1.01)
}

/// Distribution focal loss `[…]` of logits `[…, 16]` towards distances `[…]` in bins: cross-entropy
/// with the two neighbouring bins, each weighted by nearness.
fn side_loss(logits: &Tensor, distances: &Tensor) -> Tensor {
    let log_probability = logits.log_softmax(-1, Kind::Float);
    let left = distances.floor();
    let right_weight = distances - &left;
    let left = left.to_kind(Kind::Int64).unsqueeze(-1);
    let at = |bins: &Tensor| log_probability.gather(-1, bins, false).squeeze_dim(-1);
    let right = &left + 1;
    (at(&left) * one_minus(&right_weight) + at(&right) * right_weight).neg()
}

fn one_minus(tensor: &Tensor) -> Tensor {
    tensor.neg() + 1.0
}

/// Complete `IoU`, -1 to 1, of boxes `[…, 4]` (x1, y1, x2, y2): `IoU` less the centres' distance relative
/// to the hull's diagonal, less the disagreement of aspect ratios.
pub fn ciou(a: &Tensor, b: &Tensor) -> Tensor {
    const LEAST: f64 = 1e-7;
    let overlap = iou(a, b);
    let (low_a, high_a) = (a.narrow(-1, 0, 2), a.narrow(-1, 2, 2));
    let (low_b, high_b) = (b.narrow(-1, 0, 2), b.narrow(-1, 2, 2));
    let length_squared = |v: Tensor| v.square().sum_dim_intlist(-1, false, Kind::Float);
    let hull = length_squared(high_a.maximum(&high_b) - low_a.minimum(&low_b));
    let centres = length_squared((&low_a + &high_a - &low_b - &high_b) / 2.0);
    let aspect = |low: Tensor, high: Tensor| {
        let sides = (high - low).clamp_min(LEAST);
        sides.select(-1, 0).atan2(&sides.select(-1, 1))
    };
    let v = (aspect(low_a, high_a) - aspect(low_b, high_b)).square() * (4.0 / (PI * PI));
    let alpha = tch::no_grad(|| &v / (one_minus(&overlap) + &v).clamp_min(LEAST));
    overlap - centres / hull.clamp_min(LEAST) - alpha * v
}

#[cfg(test)]
mod tests {
    use super::*;

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    fn boxes(values: &[[f32; 4]]) -> Tensor {
        Tensor::from_slice(values.as_flattened()).view([-1, 4])
    }

    fn check_ciou(a: [f32; 4], b: [f32; 4], expected: f64) {
        let got = f64::from(floats(&ciou(&boxes(&[a]), &boxes(&[b])))[0]);
        assert!((got - expected).abs() < 1e-5, "{a:?} {b:?}: {got}, expected {expected}");
    }

    #[test]
    fn complete_iou_equals_values_worked_by_hand() {
        check_ciou([0.0, 0.0, 10.0, 10.0], [0.0, 0.0, 10.0, 10.0], 1.0);
        // Apart: IoU 0, centres 20 px along x, hull 30×10.
        check_ciou([0.0, 0.0, 10.0, 10.0], [20.0, 0.0, 30.0, 10.0], -400.0 / 1000.0);
        // Half: IoU 50/150, centres 5 px, hull 15×10, same aspect.
        check_ciou([0.0, 0.0, 10.0, 10.0], [5.0, 0.0, 15.0, 10.0], 1.0 / 3.0 - 25.0 / 325.0);
        // Same centre, 20×10 in 20×20: IoU 1/2, aspects atan 2 and atan 1.
        let v = 4.0 / (PI * PI) * (2_f64.atan() - 1_f64.atan()).powi(2);
        let expected = 0.5 - v * v / (0.5 + v);
        check_ciou([0.0, 5.0, 20.0, 15.0], [0.0, 0.0, 20.0, 20.0], expected);
    }

    #[test]
    fn the_side_loss_is_least_where_the_distribution_expects_the_distance() {
        let distance = Tensor::from_slice(&[3.25_f32]);
        let mut logits = vec![-20.0_f32; BINS as usize];
        (logits[3], logits[4]) = (0.75_f32.ln(), 0.25_f32.ln());
        let logits = Tensor::from_slice(&logits).view([1, BINS]);
        assert!((floats(&expected_bin(&logits))[0] - 3.25).abs() < 1e-4);
        let entropy = -(0.75 * 0.75_f64.ln() + 0.25 * 0.25_f64.ln());
        let loss = |logits: &Tensor| f64::from(floats(&side_loss(logits, &distance))[0]);
        assert!((loss(&logits) - entropy).abs() < 1e-4);
        let uniform = logits.zeros_like();
        assert!((loss(&uniform) - 16_f64.ln()).abs() < 1e-4);
    }

    #[test]
    fn boxes_survive_the_way_to_distances_and_back() {
        let points = anchor_points(2, 3, 8.0, Device::Cpu);
        assert_eq!(floats(&points.get(5)), [20.0, 12.0]);
        let strides = Tensor::full([6, 1], 8.0, (Kind::Float, Device::Cpu));
        let target = boxes(&[[1.0, 3.0, 30.0, 21.0]; 6]);
        let distances = distances(&target, &points, &strides);
        // Sharp two-bin distributions with the wanted mean.
        let left = distances.floor();
        let weight = &distances - &left;
        let bin = left.to_kind(Kind::Int64).unsqueeze(-1);
        let probability = Tensor::zeros([6, 4, BINS], (Kind::Float, Device::Cpu))
            .scatter(-1, &bin, &one_minus(&weight).unsqueeze(-1))
            .scatter(-1, &(bin + 1), &weight.unsqueeze(-1));
        let got = decode(&(probability + 1e-9).log(), &points, &strides);
        let inside = [0, 1, 2, 3, 4, 5].map(|at| floats(&got.get(at)));
        // Points left of x1 = 1 or above y1 = 3 do not occur here: every side is within reach.
        for got in inside {
            for (got, expected) in got.iter().zip([1.0, 3.0, 30.0, 21.0]) {
                assert!((got - expected).abs() < 1e-3, "{got} is not {expected}");
            }
        }
    }

    /// A head of free numbers: what training must be able to fit.
    fn free_head() -> Vec<(Tensor, f64)> {
        tch::manual_seed(7);
        [(4, 8.0), (2, 16.0), (1, 32.0)]
            .map(|(side, stride)| {
                let level =
                    Tensor::randn([2, SIDE_CHANNELS + 3, side, side], (Kind::Float, Device::Cpu));
                (level.set_requires_grad(true), stride)
            })
            .into()
    }

    fn truths() -> Truths {
        let boxes = [[2.0, 3.0, 17.0, 12.0], [0.0, 0.0, 30.0, 31.0], [20.0, 20.0, 27.0, 29.0_f32]];
        let none = [[0.0_f32; 4]; 3];
        Truths {
            boxes: Tensor::stack(&[self::boxes(&boxes), self::boxes(&none)], 0),
            classes: Tensor::from_slice2(&[[0_i64, 1, 2], [0; 3]]),
            present: Tensor::from_slice2(&[[true; 3], [false; 3]]),
        }
    }

    #[test]
    fn gradient_descent_fits_a_fixed_batch() {
        let mut levels = free_head();
        let truths = truths();
        let mut losses = Vec::new();
        for _ in 0..150 {
            let loss = DetectionLoss::new(&levels, &truths, Gains::YOLO).total();
            losses.push(loss.double_value(&[]));
            loss.backward();
            tch::no_grad(|| {
                for (level, _) in &mut levels {
                    *level -= level.grad() * 2.0;
                    level.zero_grad();
                }
            });
        }
        let (first, last) = (losses[0], losses[losses.len() - 1]);
        assert!(last.is_finite() && last < first / 3.0, "loss went from {first} to {last}");
    }

    #[test]
    fn a_batch_without_objects_has_only_class_loss() {
        let truths = Truths { present: truths().present.zeros_like(), ..truths() };
        let loss = DetectionLoss::new(&free_head(), &truths, Gains::YOLO);
        assert_eq!((loss.overlap.double_value(&[]), loss.sides.double_value(&[])), (0.0, 0.0));
        assert!(loss.class.double_value(&[]) > 0.0);
    }
}
