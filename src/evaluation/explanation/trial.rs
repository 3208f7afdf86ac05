//! What the pictures that one map makes are scored by, and the figures that come of it.
//!
//! Sufficiency and comprehensiveness: `DeYoung` et al. 2020 (arXiv 1911.03429), over the points at an
//! eighth, a quarter and a half of the insertion and deletion curves: kept pixels stand in the
//! blurred picture, removed ones become grey. Sufficiency is a share, `Σ s(kept) / Σ s(whole)`.

use tch::Tensor;

use super::curves::{MEAN_COLOUR, area_under, blurred};
use super::figure::{Figures, Metric};
use crate::explain::Contrast;
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;
use crate::vision::resize::{Filter, crop, resize};

/// Shares of the hottest pixels for sufficiency and comprehensiveness, in eighths.
const EIGHTHS: [usize; 3] = [1, 2, 4];

/// What the model sees of a picture, at its own size, and what stands in for removed pixels.
pub(super) struct View {
    pub(super) whole: Rgb8,
    pub(super) soft: Rgb8,
    pub(super) grey: Rgb8,
}

impl View {
    pub(super) fn of(picture: &Rgb8, area: Rect, side_px: u32) -> Self {
        let whole = resize(&crop(picture, area), side_px, side_px, Filter::Bicubic);
        let (soft, grey) = (blurred(&whole), Rgb8::filled(side_px, side_px, MEAN_COLOUR));
        Self { whole, soft, grey }
    }

    pub(super) fn side(&self) -> u32 {
        self.whole.width()
    }

    pub(super) fn area(&self) -> Rect {
        Rect::new(0.0, 0.0, self.side() as f32, self.side() as f32)
    }
}

/// What scores pictures for one prompt: two directions in the embedding space, both fixed.
pub(super) struct Judge {
    /// The prompt, of unit length.
    pub(super) cosine: Vec<f32>,
    /// The prompt less the nulls as they fit the whole picture.
    pub(super) margin: Vec<f32>,
}

/// Embeddings of the pictures that one map makes.
pub(super) struct Trial {
    pub(super) inserted: Vec<Vec<f32>>,
    pub(super) deleted: Vec<Vec<f32>>,
    /// For each percentile: without the hottest, without the coldest.
    pub(super) road: Vec<Vec<f32>>,
}

impl Trial {
    /// Adds the figures for one prompt; `ends` are the whole, the blurred and the grey picture.
    pub(super) fn judge(&self, judge: &Judge, ends: &[Vec<f32>], figures: &mut Figures) {
        let directions = [
            (&judge.cosine, [Metric::InsertionCosine, Metric::DeletionCosine, Metric::RoadCosine]),
            (&judge.margin, [Metric::InsertionMargin, Metric::DeletionMargin, Metric::RoadMargin]),
        ];
        for (direction, [insertion, deletion, road]) in directions {
            let [rise, fall] = self.curves(direction, ends);
            figures.add(insertion, area_under(&rise));
            figures.add(deletion, area_under(&fall));
            let pairs = self.road.chunks_exact(2);
            let gaps: Vec<f64> = pairs
                .map(|pair| (dot(direction, &pair[1]) - dot(direction, &pair[0])) / 2.0)
                .collect();
            figures.add(road, gaps.iter().sum::<f64>() / gaps.len() as f64);
        }
        let [rise, fall] = self.curves(&judge.margin, ends);
        let (whole, last) = (fall[0], fall.len() - 1);
        let mean = |curve: &[f64]| {
            EIGHTHS.iter().map(|eighth| curve[last * eighth / 8]).sum::<f64>()
                / EIGHTHS.len() as f64
        };
        figures.add_share(Metric::Sufficiency, mean(&rise), whole);
        figures.add(Metric::Comprehensiveness, whole - mean(&fall));
    }

    /// The score as pixels come back, and as they go.
    fn curves(&self, direction: &[f32], ends: &[Vec<f32>]) -> [Vec<f64>; 2] {
        let curve = |from: &Vec<f32>, middle: &[Vec<f32>], to: &Vec<f32>| {
            let all = std::iter::once(from).chain(middle).chain(std::iter::once(to));
            all.map(|vector| dot(direction, vector)).collect()
        };
        let (whole, soft, grey) = (&ends[0], &ends[1], &ends[2]);
        [curve(soft, &self.inserted, whole), curve(whole, &self.deleted, grey)]
    }
}

/// The contrastive directions of unit `texts` at a picture, `[E]` each; the texts themselves
/// without nulls.
pub(super) fn contrasted(texts: &[Vec<f32>], nulls: &[Vec<f32>], picture: &[f32]) -> Vec<Vec<f32>> {
    if nulls.is_empty() {
        return texts.to_vec();
    }
    let width = picture.len() as i64;
    let rows = |rows: &[Vec<f32>]| Tensor::from_slice(&rows.concat()).view([-1, width]);
    let contrast = Contrast::new(&rows(texts), &rows(nulls), &Tensor::from_slice(picture));
    let mut flat = vec![0.0; texts.len() * picture.len()];
    contrast.directions.contiguous().copy_data(&mut flat, texts.len() * picture.len());
    flat.chunks_exact(picture.len()).map(<[f32]>::to_vec).collect()
}

/// An inner product in f64.
pub(super) fn dot(a: &[f32], b: &[f32]) -> f64 {
    a.iter().zip(b).map(|(x, y)| f64::from(*x) * f64::from(*y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_and_their_points_make_the_figures() {
        // The score is the first number; eight steps.
        let at = |value: f32| vec![value, 0.0];
        let judge = Judge { cosine: at(1.0), margin: at(2.0) };
        let ends = [at(1.0), at(0.0), at(-1.0)];
        let trial = Trial {
            inserted: [0.5, 0.5, 0.75, 1.0, 1.0, 1.0, 1.0].map(at).to_vec(),
            deleted: [0.5, 0.25, 0.0, 0.0, 0.0, -1.0, -1.0].map(at).to_vec(),
            road: [0.25, 0.75, 0.0, 0.5].map(at).to_vec(),
        };
        let mut figures = Figures::default();
        trial.judge(&judge, &ends, &mut figures);
        let check = |metric, expected: f64| {
            let value = figures.value(metric).unwrap();
            assert!((value - expected).abs() < 1e-9, "{metric:?}: {value}, expected {expected}");
        };
        check(Metric::InsertionCosine, (5.75 + 0.5) / 8.0);
        check(Metric::InsertionMargin, 2.0 * (5.75 + 0.5) / 8.0);
        check(Metric::DeletionCosine, -1.25 / 8.0);
        check(Metric::RoadCosine, 0.25);
        check(Metric::RoadMargin, 0.5);
        // After 1, 2 and 4 of 8 steps: 0.5, 0.5, 1 come back, and 0.5, 0.25, 0 are left.
        check(Metric::Sufficiency, 2.0 / 3.0);
        check(Metric::Comprehensiveness, 2.0 - 2.0 * 0.25);
    }

    #[test]
    fn directions_are_those_that_maps_explain() {
        let (text, null, picture) = (vec![1.0, 0.0], vec![0.0, 1.0], [0.6, 0.8]);
        let texts = [text];
        assert_eq!(contrasted(&texts, &[], &picture), texts);
        let found = contrasted(&texts, &[null], &picture);
        assert!((found[0][0] - 1.0).abs() < 1e-6 && (found[0][1] + 1.0).abs() < 1e-6, "{found:?}");
    }
}
