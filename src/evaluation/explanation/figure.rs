//! The names of all figures, which way they are better, and their sums over many maps.

use std::collections::BTreeMap;

use serde::Serialize;

/// What is measured of a map. The score is the cosine of picture and prompt, or its margin over
/// null prompts ([`Contrast`](crate::explain::Contrast)), frozen at the unchanged picture.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Share of maps whose hottest pixel is in the site (pointing game, Zhang et al. 2016).
    Pointing,
    /// The same for the hottest cell of the map's own grid: any of its pixels.
    PointingCell,
    /// Share of the heat in the site as a multiple of a uniform map's.
    Energy,
    /// Share of the heat in the site, 0 to 1 (energy pointing, Wang et al. 2020).
    EnergyShare,
    /// Of the K hottest pixels, K being the site's, the share in the site (Arras et al. 2022).
    RankAccuracy,
    /// Share of pixels told right by the map cut at its mean (Chefer et al. 2021).
    PixelAccuracy,
    /// Intersection over union of site and map cut at its mean, over all maps.
    IouForeground,
    /// The same of their complements.
    IouBackground,
    /// Mean of the two (Chefer et al. 2021).
    MeanIou,
    /// Average precision of the heat as a detector of the site's pixels.
    AveragePrecision,
    /// The same over both classes at once, as Chefer et al. 2021 have it.
    AveragePrecisionBoth,
    /// Inequality of the heat over the grid, 0 (uniform) to 1 (one cell).
    Gini,
    /// Entropy of the heat over the grid, 0 (one cell) to 1 (uniform).
    Entropy,
    /// Area under the cosine as the hottest pixels come back first (RISE, Petsiuk et al. 2018).
    InsertionCosine,
    /// The same of the margin.
    InsertionMargin,
    /// Area under the cosine as the hottest pixels go first (RISE).
    DeletionCosine,
    /// The same of the margin.
    DeletionMargin,
    /// Cosine left without the coldest pixels less that without the hottest, halved, over
    /// percentiles (ROAD, Rong et al. 2022).
    RoadCosine,
    /// The same of the margin.
    RoadMargin,
    /// Margin of the hottest pixels alone over that of the whole picture (after `DeYoung` et al.
    /// 2020).
    Sufficiency,
    /// Margin lost without the hottest pixels (after `DeYoung` et al. 2020).
    Comprehensiveness,
    /// Error of the best scaled map in foretelling what the removal of squares costs, as a share
    /// of that cost squared, 0 to 1 (after Yeh et al. 2019).
    Infidelity,
    /// Correlation of heat in random quarters of the cells and what their removal costs
    /// (sensitivity-n, Ancona et al. 2018).
    SensitivityN,
    /// Largest relative change of the map under slight noise (Yeh et al. 2019).
    MaxSensitivity,
}

/// Which way a figure is better.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Better {
    /// The more, the better.
    Higher,
    /// The less, the better.
    Lower,
    /// It only describes.
    Neither,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Self; 24] = [
        Self::Pointing,
        Self::PointingCell,
        Self::Energy,
        Self::EnergyShare,
        Self::RankAccuracy,
        Self::PixelAccuracy,
        Self::IouForeground,
        Self::IouBackground,
        Self::MeanIou,
        Self::AveragePrecision,
        Self::AveragePrecisionBoth,
        Self::Gini,
        Self::Entropy,
        Self::InsertionCosine,
        Self::InsertionMargin,
        Self::DeletionCosine,
        Self::DeletionMargin,
        Self::RoadCosine,
        Self::RoadMargin,
        Self::Sufficiency,
        Self::Comprehensiveness,
        Self::Infidelity,
        Self::SensitivityN,
        Self::MaxSensitivity,
    ];

    /// Those by which the default method is chosen.
    pub const CHOOSING: [Self; 3] = [Self::Pointing, Self::Energy, Self::InsertionMargin];

    /// Which way it is better.
    pub fn better(self) -> Better {
        match self {
            Self::Gini | Self::Entropy => Better::Neither,
            Self::DeletionCosine
            | Self::DeletionMargin
            | Self::Infidelity
            | Self::MaxSensitivity => Better::Lower,
            Self::Pointing
            | Self::PointingCell
            | Self::Energy
            | Self::EnergyShare
            | Self::RankAccuracy
            | Self::PixelAccuracy
            | Self::IouForeground
            | Self::IouBackground
            | Self::MeanIou
            | Self::AveragePrecision
            | Self::AveragePrecisionBoth
            | Self::InsertionCosine
            | Self::InsertionMargin
            | Self::RoadCosine
            | Self::RoadMargin
            | Self::Sufficiency
            | Self::Comprehensiveness
            | Self::SensitivityN => Better::Higher,
        }
    }
}

/// A share whose parts are summed over maps before they are divided. A mean is a share of the
/// number of maps.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Share {
    part: f64,
    whole: f64,
}

/// Figures of one map, or summed over many.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figures(BTreeMap<Metric, Share>);

impl Figures {
    /// One map's figure, of which the mean is taken. What is not finite is left out.
    pub fn add(&mut self, metric: Metric, value: f64) {
        self.add_share(metric, value, 1.0);
    }

    /// One map's part of a share of sums: `Σ part / Σ whole`.
    pub fn add_share(&mut self, metric: Metric, part: f64, whole: f64) {
        if part.is_finite() && whole.is_finite() {
            let share = self.0.entry(metric).or_default();
            share.part += part;
            share.whole += whole;
        }
    }

    /// Takes in the figures of other maps.
    pub fn merge(&mut self, other: &Self) {
        for (&metric, share) in &other.0 {
            self.add_share(metric, share.part, share.whole);
        }
    }

    /// The figure over all maps; nothing where none has it.
    pub fn value(&self, metric: Metric) -> Option<f64> {
        if metric == Metric::MeanIou {
            let (site, rest) = (Metric::IouForeground, Metric::IouBackground);
            return Some(f64::midpoint(self.value(site)?, self.value(rest)?));
        }
        let share = self.0.get(&metric)?;
        (share.whole > 0.0).then(|| share.part / share.whole)
    }

    /// All figures that there are.
    pub fn values(&self) -> BTreeMap<Metric, f64> {
        Metric::ALL.into_iter().filter_map(|m| Some((m, self.value(m)?))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn means_and_shares_of_sums_are_told_apart() {
        let mut figures = Figures::default();
        figures.add(Metric::Pointing, 1.0);
        figures.add_share(Metric::IouForeground, 1.0, 10.0);
        figures.add_share(Metric::IouBackground, 1.0, 1.0);
        let mut other = Figures::default();
        other.add(Metric::Pointing, 0.0);
        other.add(Metric::Gini, f64::NAN);
        other.add_share(Metric::IouForeground, 10.0, 10.0);
        figures.merge(&other);
        assert_eq!(figures.value(Metric::Pointing), Some(0.5));
        assert_eq!(figures.value(Metric::IouForeground), Some(0.55));
        assert_eq!(figures.value(Metric::MeanIou), Some(0.775));
        assert_eq!(figures.value(Metric::Gini), None);
        assert_eq!(figures.values().len(), 4);
    }

    #[test]
    fn every_metric_is_listed_once_and_has_a_name_of_its_own() {
        let name = |metric: &Metric| serde_json::to_string(metric).unwrap();
        let names: std::collections::BTreeSet<String> = Metric::ALL.iter().map(name).collect();
        assert_eq!(names.len(), Metric::ALL.len());
        assert!(names.contains("\"sensitivity_n\""), "{names:?}");
        assert!(Metric::ALL.is_sorted());
    }
}
