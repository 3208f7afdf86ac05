//! Which anchor point learns which object: task-aligned assignment.
//!
//! An anchor suits an object as well as it both names and places it: score^α · IoU^β. The best
//! `top_k` anchors inside an object learn it, the better ones towards a higher score.
//! Paper: Feng et al. 2021, "TOOD: Task-aligned One-stage Object Detection" (arXiv 2108.07755).

use tch::{Kind, Tensor};

/// The labelled objects of a batch of B pictures, padded to N objects each.
#[derive(Debug)]
pub struct Truths {
    /// `[B, N, 4]` f32: x1, y1, x2, y2 in pixels; anything where not `present`.
    pub boxes: Tensor,
    /// `[B, N]` i64: index of the class, 0 where not `present`.
    pub classes: Tensor,
    /// `[B, N]` bool: whether there is such an object.
    pub present: Tensor,
}

/// What the net says now, at each of A anchor points.
#[derive(Debug)]
pub struct Guesses {
    /// `[B, A, C]` f32: probability of each class.
    pub scores: Tensor,
    /// `[B, A, 4]` f32: x1, y1, x2, y2 in pixels.
    pub boxes: Tensor,
    /// `[A, 2]` f32: x, y of the anchor points in pixels.
    pub points: Tensor,
}

/// What each anchor point should say.
#[derive(Debug)]
pub struct Assignment {
    /// `[B, A]` bool: whether the anchor has an object to learn.
    pub positive: Tensor,
    /// `[B, A, 4]` f32: the box of its object, in pixels; anything where not `positive`.
    pub boxes: Tensor,
    /// `[B, A, C]` f32, 0 to 1: the score to reach for each class, 0 everywhere where not `positive`.
    pub scores: Tensor,
}

/// The task-aligned assigner.
#[derive(Clone, Copy, Debug)]
pub struct TaskAligned {
    /// How many anchors learn one object, at most.
    pub top_k: i64,
    /// Exponent of the score.
    pub score_power: f64,
    /// Exponent of the overlap.
    pub overlap_power: f64,
    /// Objects smaller than this are taken as this large when anchors are looked for, so that each
    /// has one inside: the finest stride of the net, in pixels.
    pub least_side_px: f64,
}

impl TaskAligned {
    /// The exponents of `YOLOv8`, for a net whose finest stride is 8 px.
    pub const YOLO: Self =
        Self { top_k: 10, score_power: 0.5, overlap_power: 6.0, least_side_px: 8.0 };

    /// Assigns the objects of each picture to anchors. No gradient flows through it.
    pub fn assign(&self, guesses: &Guesses, truths: &Truths) -> Assignment {
        tch::no_grad(|| self.assign_without_gradient(guesses, truths))
    }

    fn assign_without_gradient(&self, guesses: &Guesses, truths: &Truths) -> Assignment {
        let (batch, anchors, classes) =
            guesses.scores.size3().expect("scores are [B, A, C] by contract");
        let objects = truths.classes.size()[1];
        if objects == 0 {
            return Assignment {
                positive: Tensor::zeros([batch, anchors], (Kind::Bool, guesses.scores.device())),
                boxes: guesses.boxes.zeros_like(),
                scores: guesses.scores.zeros_like(),
            };
        }
        // All [B, N, A] from here.
        let inside = self.inside(&guesses.points, truths);
        let overlap = iou(&truths.boxes.unsqueeze(2), &guesses.boxes.unsqueeze(1));
        let named = truths.classes.unsqueeze(-1).expand([batch, objects, anchors], false);
        let score = guesses.scores.transpose(1, 2).gather(1, &named, false);
        let alignment = score.pow_tensor_scalar(self.score_power)
            * overlap.pow_tensor_scalar(self.overlap_power);

        let ranked = alignment.masked_fill(&inside.logical_not(), -1.0);
        let (_, best) = ranked.topk(self.top_k.min(anchors), -1, true, false);
        let chosen = inside.zeros_like().scatter_value(-1, &best, 1).logical_and(&inside);

        // An anchor that several objects chose learns the one it overlaps most.
        let contested = overlap.masked_fill(&chosen.logical_not(), -1.0);
        let (most, owner) = contested.max_dim(1, false);
        let positive = most.ge(0.0);
        let owned =
            chosen.zeros_like().scatter_value(1, &owner.unsqueeze(1), 1).logical_and(&chosen);

        let target = normalised(&alignment, &overlap, &owned).amax(1, false);
        let owner_box = owner.unsqueeze(-1).expand([batch, anchors, 4], false);
        let owner_class = truths.classes.gather(1, &owner, false).unsqueeze(-1);
        let scores = Tensor::zeros([batch, anchors, classes], (Kind::Float, target.device()))
            .scatter(-1, &owner_class, &target.unsqueeze(-1));
        Assignment { positive, boxes: truths.boxes.gather(1, &owner_box, false), scores }
    }

    /// `[B, N, A]` bool: whether each anchor point lies in each object that is present.
    fn inside(&self, points: &Tensor, truths: &Truths) -> Tensor {
        let (low, high) = (truths.boxes.narrow(-1, 0, 2), truths.boxes.narrow(-1, 2, 2));
        let centre = (&low + &high) / 2.0;
        let half = ((&high - &low) / 2.0).clamp_min(self.least_side_px / 2.0).unsqueeze(2);
        let away = (points - centre.unsqueeze(2)).abs();
        away.le_tensor(&half).all_dim(-1, false).logical_and(&truths.present.unsqueeze(-1))
    }
}

/// The alignment of the owned anchors, scaled so that each object's best anchor aims at the best
/// overlap among them; 0 elsewhere. All `[B, N, A]`.
fn normalised(alignment: &Tensor, overlap: &Tensor, owned: &Tensor) -> Tensor {
    // Far from converged, alignments are tiny but still rank: divide by no more than underflow asks.
    const LEAST: f64 = 1e-30;
    let (alignment, overlap) = (alignment * owned, overlap * owned);
    let best_alignment = alignment.amax(-1, true).clamp_min(LEAST);
    alignment / best_alignment * overlap.amax(-1, true)
}

/// Intersection over union, 0 to 1, of boxes `[…, 4]` (x1, y1, x2, y2) that broadcast.
pub fn iou(a: &Tensor, b: &Tensor) -> Tensor {
    let (low_a, high_a) = (a.narrow(-1, 0, 2), a.narrow(-1, 2, 2));
    let (low_b, high_b) = (b.narrow(-1, 0, 2), b.narrow(-1, 2, 2));
    let area = |sides: Tensor| {
        let sides = sides.clamp_min(0.0);
        sides.select(-1, 0) * sides.select(-1, 1)
    };
    let common = area(high_a.minimum(&high_b) - low_a.maximum(&low_b));
    let union = area(high_a - low_a) + area(high_b - low_b) - &common;
    common / union.clamp_min(1e-9)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One picture with anchors every 8 px on a line at y = 4: x = 4, 12, 20, …
    fn line(anchors: i64) -> Tensor {
        let x = Tensor::arange(anchors, (Kind::Float, tch::Device::Cpu)) * 8.0 + 4.0;
        Tensor::stack(&[x.shallow_clone(), x.full_like(4.0)], -1)
    }

    fn truths(boxes: &[[f32; 4]], classes: &[i64]) -> Truths {
        let count = classes.len() as i64;
        Truths {
            boxes: Tensor::from_slice(boxes.as_flattened()).view([1, count, 4]),
            classes: Tensor::from_slice(classes).view([1, count]),
            present: Tensor::ones([1, count], (Kind::Bool, tch::Device::Cpu)),
        }
    }

    fn guesses(boxes: &[[f32; 4]], scores: &[[f32; 2]]) -> Guesses {
        let count = boxes.len() as i64;
        Guesses {
            scores: Tensor::from_slice(scores.as_flattened()).view([1, count, 2]),
            boxes: Tensor::from_slice(boxes.as_flattened()).view([1, count, 4]),
            points: line(count),
        }
    }

    fn flags(tensor: &Tensor) -> Vec<bool> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    fn floats(tensor: &Tensor) -> Vec<f32> {
        Vec::try_from(tensor.flatten(0, -1)).unwrap()
    }

    fn near(got: &[f32], expected: &[f32]) {
        let close = |(a, b): (&f32, &f32)| (a - b).abs() < 1e-5;
        assert!(got.len() == expected.len() && got.iter().zip(expected).all(close), "{got:?}");
    }

    #[test]
    fn only_anchors_inside_an_object_learn_it() {
        let target = [8.0, 0.0, 24.0, 8.0];
        let got = TaskAligned::YOLO
            .assign(&guesses(&[target; 4], &[[0.5, 0.5]; 4]), &truths(&[target], &[1]));
        assert_eq!(flags(&got.positive), [false, true, true, false]);
        near(&floats(&got.scores), &[0.0, 0.0, 0.0, 1.0, 0.0, 1.0, 0.0, 0.0]);
        near(&floats(&got.boxes.get(0).get(1)), &target);
    }

    #[test]
    fn the_best_aligned_anchor_aims_at_its_overlap_and_others_lower() {
        // Anchor 0: IoU 0.5 and score 0.64; anchor 1: IoU 1 and score 0.25.
        let target = [0.0, 0.0, 16.0, 8.0];
        let boxes = [[0.0, 0.0, 8.0, 8.0], target];
        let got = TaskAligned::YOLO
            .assign(&guesses(&boxes, &[[0.64, 0.0], [0.25, 0.0]]), &truths(&[target], &[0]));
        // Alignments: 0.8 / 64 = 0.0125 and 0.5; scaled by 1 / 0.5.
        near(&floats(&got.scores), &[0.025, 0.0, 1.0, 0.0]);
    }

    #[test]
    fn at_most_top_k_anchors_learn_an_object() {
        let target = [0.0, 0.0, 32.0, 8.0];
        let boxes = [16.0, 32.0, 24.0, 8.0].map(|x| [0.0, 0.0, x, 8.0]);
        let assigner = TaskAligned { top_k: 2, ..TaskAligned::YOLO };
        let got = assigner.assign(&guesses(&boxes, &[[0.5, 0.5]; 4]), &truths(&[target], &[0]));
        assert_eq!(flags(&got.positive), [false, true, true, false]);
    }

    #[test]
    fn a_contested_anchor_learns_the_object_it_overlaps_most() {
        let (wide, tight) = ([0.0, 0.0, 16.0, 8.0], [0.0, 0.0, 8.0, 8.0]);
        let got = TaskAligned::YOLO
            .assign(&guesses(&[tight, wide], &[[0.5, 0.5]; 2]), &truths(&[wide, tight], &[0, 1]));
        assert_eq!(flags(&got.positive), [true, true]);
        near(&floats(&got.boxes), &[tight, wide].concat());
        near(&floats(&got.scores), &[0.0, 1.0, 1.0, 0.0]);
    }

    #[test]
    fn an_object_between_anchors_still_finds_one() {
        let small = [6.0, 1.0, 9.5, 4.0];
        let got = TaskAligned::YOLO
            .assign(&guesses(&[small; 3], &[[0.5, 0.5]; 3]), &truths(&[small], &[0]));
        assert_eq!(flags(&got.positive), [true, false, false]);
    }

    #[test]
    fn padding_and_empty_pictures_assign_nothing() {
        let target = [0.0, 0.0, 16.0, 8.0];
        let mut padded = truths(&[target], &[0]);
        padded.present = padded.present.logical_not();
        let guesses = guesses(&[target; 2], &[[0.5, 0.5]; 2]);
        for none in [padded, truths(&[], &[])] {
            let got = TaskAligned::YOLO.assign(&guesses, &none);
            assert_eq!(flags(&got.positive), [false, false]);
            near(&floats(&got.scores), &[0.0; 4]);
        }
    }

    #[test]
    fn an_object_is_learnt_even_while_guesses_are_hopeless() {
        let target = [0.0, 0.0, 16.0, 8.0];
        let huge = [-500.0, -500.0, 500.0, 500.0];
        let got = TaskAligned::YOLO
            .assign(&guesses(&[huge; 2], &[[0.01, 0.01]; 2]), &truths(&[target], &[0]));
        assert_eq!(flags(&got.positive), [true, true]);
        assert!(floats(&got.scores)[0] > 0.0, "{:?}", floats(&got.scores));
    }
}
