//! A map as a segmentation of the site.
//!
//! As Chefer et al. 2021 (arXiv 2012.09838) measure on ImageNet-Segmentation: the map at the
//! picture's size, stretched to 0 to 1, cut at its mean; pixel accuracy and the mean of two
//! intersections over unions, pixels summed over all maps; and average precision, which needs no
//! cut. Negative values are cut before, as everywhere here. Rank accuracy: Arras et al. 2022
//! (arXiv 2003.07258).

use super::figure::{Figures, Metric};

/// Pixel counts of one map against one site.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Segmentation {
    /// In both.
    both: usize,
    /// In the map's part above its mean alone.
    map_only: usize,
    /// In the site alone.
    site_only: usize,
    /// In neither.
    neither: usize,
}

impl Segmentation {
    /// The `heat` at the picture's size, cut at its mean, against the `mask`, both `[H, W]`. The
    /// stretch to 0 to 1 moves the mean along with the values, so it is left out.
    pub fn of(heat: &[f32], mask: &[bool]) -> Self {
        let values = heat.iter().map(|&v| f64::from(v.max(0.0)));
        let mean = values.clone().sum::<f64>() / heat.len() as f64;
        let mut counts = Self::default();
        for (value, &inside) in values.zip(mask) {
            let count = match (value > mean, inside) {
                (true, true) => &mut counts.both,
                (true, false) => &mut counts.map_only,
                (false, true) => &mut counts.site_only,
                (false, false) => &mut counts.neither,
            };
            *count += 1;
        }
        counts
    }

    /// Adds the figures that these counts make.
    pub(super) fn add_to(&self, figures: &mut Figures) {
        let [both, map_only, site_only, neither] =
            [self.both, self.map_only, self.site_only, self.neither].map(|count| count as f64);
        let wrong = map_only + site_only;
        let mut add = |metric, part, whole| figures.add_share(metric, part, whole);
        add(Metric::PixelAccuracy, both + neither, both + neither + wrong);
        add(Metric::IouForeground, both, both + wrong);
        add(Metric::IouBackground, neither, neither + wrong);
    }
}

/// Of the hottest pixels, as many as the mask has, the share inside it. `order` is from the hottest
/// to the coldest. Nothing for an empty mask.
pub fn rank_accuracy(order: &[u32], mask: &[bool]) -> Option<f64> {
    let inside = mask.iter().filter(|&&inside| inside).count();
    let hits = order.iter().take(inside).filter(|&&pixel| mask[pixel as usize]).count();
    (inside > 0).then(|| hits as f64 / inside as f64)
}

/// Average precision `Σ (R_k − R_{k−1}) P_k` of the heat as a detector of the mask's pixels; equal
/// heat is one step, as in scikit-learn. Nothing for an empty mask.
pub(super) fn average_precision(heat: &[f32], mask: &[bool]) -> Option<f64> {
    let labelled = heat.iter().map(|&v| v.max(0.0)).zip(mask.iter().copied());
    precision_of(labelled.collect())
}

/// The same of both classes at once: the stretched map for the site, 1 less it for the rest. A flat
/// map has nothing to stretch.
pub(super) fn average_precision_both(heat: &[f32], mask: &[bool]) -> Option<f64> {
    let heat: Vec<f32> = heat.iter().map(|v| v.max(0.0)).collect();
    let low = heat.iter().copied().fold(f32::INFINITY, f32::min);
    let high = heat.iter().copied().fold(0.0, f32::max);
    if high <= low {
        return None;
    }
    let stretched = heat.iter().map(|v| (v - low) / (high - low)).zip(mask);
    precision_of(stretched.flat_map(|(v, &inside)| [(v, inside), (1.0 - v, !inside)]).collect())
}

fn precision_of(mut labelled: Vec<(f32, bool)>) -> Option<f64> {
    let all = labelled.iter().filter(|(_, inside)| *inside).count();
    labelled.sort_unstable_by(|a, b| b.0.total_cmp(&a.0));
    let (mut seen, mut found, mut area) = (0, 0, 0.0);
    for equal in labelled.chunk_by(|a, b| a.0.total_cmp(&b.0).is_eq()) {
        let hits = equal.iter().filter(|(_, inside)| *inside).count();
        seen += equal.len();
        found += hits;
        area += hits as f64 * found as f64 / seen as f64;
    }
    (all > 0).then(|| area / all as f64)
}

#[cfg(test)]
mod tests {
    use super::super::curves::ordered;
    use super::super::synthetic::{Quality, heat, mask};
    use super::*;

    fn close(a: Option<f64>, b: f64) {
        assert!((a.unwrap() - b).abs() < 1e-9, "{a:?}, expected {b}");
    }

    #[test]
    fn counts_are_of_pixels_above_the_mean() {
        let counts =
            Segmentation::of(&[4.0, 3.0, 0.0, -9.0, 1.0], &[true, false, true, false, false]);
        assert_eq!(counts, Segmentation { both: 1, map_only: 1, site_only: 1, neither: 2 });
        let mut figures = Figures::default();
        counts.add_to(&mut figures);
        close(figures.value(Metric::PixelAccuracy), 0.6);
        close(figures.value(Metric::IouForeground), 1.0 / 3.0);
        close(figures.value(Metric::IouBackground), 0.5);
        close(figures.value(Metric::MeanIou), 5.0 / 12.0);
    }

    #[test]
    fn average_precision_is_scikit_learn_s() {
        // average_precision_score([0, 0, 1, 1], [0.1, 0.4, 0.35, 0.8])
        let heat = [0.1, 0.4, 0.35, 0.8];
        close(average_precision(&heat, &[false, false, true, true]), 5.0 / 6.0);
        // Ties are one step: average_precision_score([1, 0, 1], [0.5, 0.5, 0.5])
        close(average_precision(&[0.5; 3], &[true, false, true]), 2.0 / 3.0);
        assert_eq!(average_precision(&heat, &[false; 4]), None);
        assert_eq!(average_precision_both(&[0.5; 3], &[true, false, true]), None);
        // average_precision_score([1, 0, 0, 1], [1, 0, 0, 1])
        close(average_precision_both(&[0.0, 7.0], &[false, true]), 1.0);
        // average_precision_score([0, 1, 1, 0], [1, 0, 0, 1])
        close(average_precision_both(&[7.0, 0.0], &[false, true]), 0.5);
    }

    #[test]
    fn better_maps_segment_better() {
        let figures = |quality| {
            let (heat, mask) = (heat(quality), mask());
            let rank = rank_accuracy(&ordered(&heat, 4), &mask).unwrap();
            let mut figures = Figures::default();
            Segmentation::of(&heat, &mask).add_to(&mut figures);
            let miou = figures.value(Metric::MeanIou).unwrap();
            (rank, miou, average_precision(&heat, &mask).unwrap())
        };
        let [best, middle, worst] =
            [Quality::Perfect, Quality::Random, Quality::Inverted].map(figures);
        assert_eq!(best, (1.0, 1.0, 1.0));
        assert!(middle.0 < 0.3 && middle.1 < 0.5 && middle.2 < 0.3, "{middle:?}");
        assert!(worst.0 < middle.0 + 1e-9 && worst.1 < middle.1 && worst.2 < 0.1, "{worst:?}");
        assert_eq!(rank_accuracy(&[0, 1], &[false, false]), None);
    }
}
