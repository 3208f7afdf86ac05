//! Average precision of detections, by the COCO protocol.
//!
//! Per class and `IoU` threshold, detections are matched greedily in order of confidence to the free
//! truth that they overlap most; precision, made to fall monotonically, is read at 101 recalls
//! from 0 to 1 and averaged. At most [`MAX_DETECTIONS`] per picture and class count. No crowd
//! regions, no size classes. Protocol: Lin et al. 2014 (arXiv 1405.0312) and the COCO evaluation page.

use crate::vision::boxes::Rect;

/// Detections of one class in one picture beyond this many, by confidence, are not counted.
pub const MAX_DETECTIONS: usize = 100;

/// `IoU` thresholds 0.50, 0.55 … 0.95.
const THRESHOLDS: usize = 10;
/// Recalls 0.00, 0.01 … 1.00.
const RECALLS: usize = 101;

/// A labelled object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Truth {
    /// Index of its class.
    pub class: usize,
    /// Where it is, in pixels of its picture.
    pub rect: Rect,
}

/// A detected object.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Prediction {
    /// Index of its class.
    pub class: usize,
    /// Confidence, 0 to 1.
    pub confidence: f32,
    /// Where it is, in pixels of its picture.
    pub rect: Rect,
}

/// What one picture holds and what was found in it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Picture {
    /// The labelled objects.
    pub truths: Vec<Truth>,
    /// The detected objects, in any order.
    pub predictions: Vec<Prediction>,
}

/// The precision reached on one class.
#[derive(Clone, Debug, PartialEq)]
pub struct ClassPrecision {
    /// Index of the class.
    pub class: usize,
    /// How many objects of it are labelled; at least 1.
    pub truths: usize,
    /// Average precision at `IoU` 0.5, 0 to 1.
    pub ap50: f64,
    /// Average precision, mean over `IoU` 0.50 to 0.95, 0 to 1.
    pub ap50_95: f64,
}

/// The precision reached on a set of pictures.
#[derive(Clone, Debug, PartialEq)]
pub struct DetectionReport {
    /// How many pictures were measured.
    pub pictures: usize,
    /// The classes that are labelled somewhere, in order of their index.
    pub classes: Vec<ClassPrecision>,
}

impl DetectionReport {
    /// Measures `pictures`; classes without any truth have no precision and are left out.
    pub fn measure(pictures: &[Picture]) -> Self {
        let labelled = pictures.iter().flat_map(|picture| &picture.truths).map(|truth| truth.class);
        let count = labelled.max().map_or(0, |highest| highest + 1);
        let classes = (0..count).filter_map(|class| measure_class(pictures, class)).collect();
        Self { pictures: pictures.len(), classes }
    }

    /// mAP at `IoU` 0.5: the mean over the classes, 0 to 1; `None` where nothing is labelled.
    pub fn map50(&self) -> Option<f64> {
        mean(self.classes.iter().map(|class| class.ap50))
    }

    /// mAP over `IoU` 0.50 to 0.95: the mean over the classes, 0 to 1; `None` where nothing is labelled.
    pub fn map50_95(&self) -> Option<f64> {
        mean(self.classes.iter().map(|class| class.ap50_95))
    }
}

fn mean(values: impl ExactSizeIterator<Item = f64>) -> Option<f64> {
    let count = values.len();
    (count > 0).then(|| values.sum::<f64>() / count as f64)
}

/// Whether a detection of this confidence found a truth, at each threshold.
struct Verdict {
    confidence: f32,
    hits: [bool; THRESHOLDS],
}

fn measure_class(pictures: &[Picture], class: usize) -> Option<ClassPrecision> {
    let mut truths = 0;
    let mut verdicts = Vec::new();
    for picture in pictures {
        let labelled: Vec<Rect> =
            picture.truths.iter().filter(|t| t.class == class).map(|t| t.rect).collect();
        truths += labelled.len();
        judge(&labelled, &picture.predictions, class, &mut verdicts);
    }
    if truths == 0 {
        return None;
    }
    verdicts.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    let precisions: Vec<f64> = (0..THRESHOLDS)
        .map(|at| average_precision(verdicts.iter().map(|verdict| verdict.hits[at]), truths))
        .collect();
    let ap50_95 = precisions.iter().sum::<f64>() / precisions.len() as f64;
    Some(ClassPrecision { class, truths, ap50: precisions[0], ap50_95 })
}

/// Matches the detections of `class` in one picture to `truths`.
fn judge(truths: &[Rect], predictions: &[Prediction], class: usize, verdicts: &mut Vec<Verdict>) {
    let mut found: Vec<&Prediction> = predictions.iter().filter(|p| p.class == class).collect();
    found.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    found.truncate(MAX_DETECTIONS);
    let mut taken = vec![[false; THRESHOLDS]; truths.len()];
    for prediction in found {
        let overlaps: Vec<f64> = truths.iter().map(|rect| iou(&prediction.rect, rect)).collect();
        let mut hits = [false; THRESHOLDS];
        for (at, hit) in hits.iter_mut().enumerate() {
            let free = (0..truths.len()).filter(|&truth| !taken[truth][at]);
            let best = free.max_by(|&a, &b| overlaps[a].total_cmp(&overlaps[b]));
            if let Some(best) = best.filter(|&best| overlaps[best] >= threshold(at)) {
                taken[best][at] = true;
                *hit = true;
            }
        }
        verdicts.push(Verdict { confidence: prediction.confidence, hits });
    }
}

fn threshold(at: usize) -> f64 {
    0.5 + 0.05 * at as f64
}

/// Intersection over union in f64: in f32, overlaps of exactly a threshold may fall below it.
fn iou(a: &Rect, b: &Rect) -> f64 {
    let side = |low: f32, high: f32| (f64::from(high) - f64::from(low)).max(0.0);
    let area = |rect: &Rect| side(rect.x1, rect.x2) * side(rect.y1, rect.y2);
    let common = side(a.x1.max(b.x1), a.x2.min(b.x2)) * side(a.y1.max(b.y1), a.y2.min(b.y2));
    let union = area(a) + area(b) - common;
    if union > 0.0 { common / union } else { 0.0 }
}

/// The mean precision at 101 recalls, of detections in falling confidence; `truths` at least 1.
fn average_precision(hits: impl Iterator<Item = bool>, truths: usize) -> f64 {
    let mut found = 0_usize;
    // Recall as a count of truths: exact where fractions would round.
    let mut curve: Vec<(usize, f64)> = Vec::new();
    for (seen, hit) in hits.enumerate() {
        found += usize::from(hit);
        curve.push((found, found as f64 / (seen + 1) as f64));
    }
    for index in (1..curve.len()).rev() {
        curve[index - 1].1 = curve[index - 1].1.max(curve[index].1);
    }
    let sum: f64 = (0..RECALLS)
        .map(|recall| {
            let needed = recall * truths;
            let first = curve.partition_point(|(found, _)| found * (RECALLS - 1) < needed);
            curve.get(first).map_or(0.0, |(_, precision)| *precision)
        })
        .sum();
    sum / RECALLS as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    fn square(x: f32, y: f32, side: f32) -> Rect {
        Rect::new(x, y, x + side, y + side)
    }

    fn truth(class: usize, rect: Rect) -> Truth {
        Truth { class, rect }
    }

    fn guess(class: usize, confidence: f32, rect: Rect) -> Prediction {
        Prediction { class, confidence, rect }
    }

    fn check(pictures: &[Picture], ap50: f64, ap50_95: f64) {
        let report = DetectionReport::measure(pictures);
        let (got50, got) = (report.map50().unwrap(), report.map50_95().unwrap());
        assert!((got50 - ap50).abs() < 1e-9, "AP50 {got50}, expected {ap50}");
        assert!((got - ap50_95).abs() < 1e-9, "AP50-95 {got}, expected {ap50_95}");
    }

    #[test]
    fn finding_everything_exactly_is_perfect() {
        let rects = [square(0.0, 0.0, 10.0), square(50.0, 50.0, 20.0)];
        let picture = Picture {
            truths: rects.map(|rect| truth(0, rect)).to_vec(),
            predictions: rects.map(|rect| guess(0, 0.9, rect)).to_vec(),
        };
        check(&[picture], 1.0, 1.0);
    }

    #[test]
    fn finding_nothing_is_zero() {
        let picture =
            Picture { truths: vec![truth(0, square(0.0, 0.0, 9.0))], ..Picture::default() };
        check(&[picture], 0.0, 0.0);
    }

    #[test]
    fn without_truths_there_is_no_precision() {
        let found = vec![guess(0, 0.5, square(0.0, 0.0, 9.0))];
        let report = DetectionReport::measure(&[Picture { truths: vec![], predictions: found }]);
        assert_eq!((report.map50(), report.map50_95()), (None, None));
        assert_eq!(report.pictures, 1);
    }

    #[test]
    fn half_the_recall_at_full_precision_is_51_of_101() {
        let picture = Picture {
            truths: vec![truth(0, square(0.0, 0.0, 9.0)), truth(0, square(50.0, 0.0, 9.0))],
            predictions: vec![guess(0, 0.5, square(0.0, 0.0, 9.0))],
        };
        check(&[picture], 51.0 / 101.0, 51.0 / 101.0);
    }

    #[test]
    fn a_confident_false_alarm_lowers_precision_everywhere() {
        // Order: miss, hit, hit. Precision 0, 1/2, 2/3; monotone from the right: 2/3 everywhere.
        let picture = Picture {
            truths: vec![truth(0, square(0.0, 0.0, 9.0)), truth(0, square(50.0, 0.0, 9.0))],
            predictions: vec![
                guess(0, 0.4, square(0.0, 0.0, 9.0)),
                guess(0, 0.5, square(50.0, 0.0, 9.0)),
                guess(0, 0.9, square(90.0, 90.0, 9.0)),
            ],
        };
        check(&[picture], 2.0 / 3.0, 2.0 / 3.0);
    }

    #[test]
    fn a_second_detection_of_one_object_is_a_false_alarm() {
        // Order: hit (a), duplicate, hit (b). Recall 1/2 at precision 1, recall 1 at 2/3.
        let picture = Picture {
            truths: vec![truth(0, square(0.0, 0.0, 9.0)), truth(0, square(50.0, 0.0, 9.0))],
            predictions: vec![
                guess(0, 0.9, square(0.0, 0.0, 9.0)),
                guess(0, 0.8, square(0.0, 0.0, 9.0)),
                guess(0, 0.7, square(50.0, 0.0, 9.0)),
            ],
        };
        let expected = (51.0 + 50.0 * 2.0 / 3.0) / 101.0;
        check(&[picture], expected, expected);
    }

    #[test]
    fn an_overlap_counts_up_to_its_own_threshold() {
        // 100 of 10x10 against 70 of 7x10: IoU 0.7 passes 0.50, 0.55, 0.60, 0.65 and 0.70.
        let picture = Picture {
            truths: vec![truth(0, square(0.0, 0.0, 10.0))],
            predictions: vec![guess(0, 0.9, Rect::new(0.0, 0.0, 7.0, 10.0))],
        };
        check(&[picture], 1.0, 0.5);
    }

    #[test]
    fn a_detection_takes_the_free_truth_it_overlaps_most() {
        let (near, nearer) = (square(0.0, 0.0, 10.0), square(1.0, 0.0, 10.0));
        let picture = Picture {
            truths: vec![truth(0, near), truth(0, nearer)],
            predictions: vec![guess(0, 0.9, nearer), guess(0, 0.8, near)],
        };
        check(&[picture], 1.0, 1.0);
    }

    #[test]
    fn classes_do_not_mix_and_weigh_alike() {
        let picture = Picture {
            truths: vec![
                truth(0, square(0.0, 0.0, 9.0)),
                truth(2, square(50.0, 0.0, 9.0)),
                truth(2, square(50.0, 50.0, 9.0)),
            ],
            predictions: vec![
                guess(0, 0.9, square(0.0, 0.0, 9.0)),
                guess(0, 0.3, square(50.0, 0.0, 9.0)),
            ],
        };
        let report = DetectionReport::measure(&[picture]);
        let classes: Vec<_> = report.classes.iter().map(|c| (c.class, c.truths, c.ap50)).collect();
        assert_eq!(classes, [(0, 1, 1.0), (2, 2, 0.0)]);
        assert_eq!(report.map50(), Some(0.5));
    }

    #[test]
    fn only_the_hundred_most_confident_of_a_picture_count() {
        let mut predictions = vec![guess(0, 0.6, square(90.0, 90.0, 9.0)); MAX_DETECTIONS];
        predictions.push(guess(0, 0.5, square(0.0, 0.0, 9.0)));
        let truths = vec![truth(0, square(0.0, 0.0, 9.0))];
        check(&[Picture { truths, predictions }], 0.0, 0.0);
    }
}
