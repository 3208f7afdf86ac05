//! One method against each of the others on the same pictures.
//!
//! Two means over the same faces are told apart by their differences face by face, which vary less
//! than the figures themselves: the standard error here is that of the mean paired difference.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figure::{Better, Figures, Metric};
use super::scene::SceneRecord;

/// Standard errors by which a difference must be away from nothing to count.
pub const TOLD_APART: f64 = 2.0;

/// How far a method is ahead of another in one figure on one cue.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// The other method or baseline.
    pub against: &'static str,
    /// Whose site is sought.
    pub cue: &'static str,
    /// The figure.
    pub metric: Metric,
    /// On how many pictures both have it; a picture's figure is the mean over its prompts.
    pub pictures: usize,
    /// Mean difference, turned so that above 0 the method is better than the other.
    pub mean: f64,
    /// Its standard error; nothing for a single picture.
    pub standard_error: Option<f64>,
}

/// What a [`Difference`] says.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Standing {
    /// Ahead by more than [`TOLD_APART`] standard errors.
    Ahead,
    /// Nearer to each other than these pictures can tell.
    Level,
    /// Behind by more than that.
    Behind,
}

impl Difference {
    /// Ahead, behind, or not told apart.
    pub fn standing(&self) -> Standing {
        let Some(error) = self.standard_error else { return Standing::Level };
        let bar = TOLD_APART * error;
        if self.mean > bar {
            Standing::Ahead
        } else if self.mean < -bar {
            Standing::Behind
        } else {
            Standing::Level
        }
    }
}

/// `method` against all others, baselines among them, by [`Metric::CHOOSING`]: others outermost in
/// the order of their maps, then cues in the order of the pictures.
pub(super) fn differences(records: &[SceneRecord], method: &'static str) -> Vec<Difference> {
    let sources = records.iter().flat_map(|record| record.maps.iter().map(|map| map.source));
    let others = unique(sources.filter(|&other| other != method));
    let cues = unique(records.iter().map(|record| record.cue.name()));
    let cells = others.iter().flat_map(|&other| {
        let metrics = |cue| Metric::CHOOSING.map(|metric| (other, cue, metric));
        cues.iter().flat_map(move |&cue| metrics(cue)).collect::<Vec<_>>()
    });
    let difference = |(other, cue, metric)| {
        let of_cue = records.iter().filter(|record| record.cue.name() == cue);
        let values: Vec<f64> =
            of_cue.filter_map(|record| ahead(record, (method, other), metric)).collect();
        let (mean, standard_error) = mean_and_error(&values)?;
        Some(Difference {
            against: other,
            cue,
            metric,
            pictures: values.len(),
            mean,
            standard_error,
        })
    };
    cells.filter_map(difference).collect()
}

/// Each once, in the order of their first coming.
fn unique(all: impl Iterator<Item = &'static str>) -> Vec<&'static str> {
    all.fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}

/// How far the first source is ahead of the second on one picture.
fn ahead(record: &SceneRecord, (own, other): (&str, &str), metric: Metric) -> Option<f64> {
    let mut figures: BTreeMap<&str, Figures> = BTreeMap::new();
    for map in &record.maps {
        figures.entry(map.source).or_default().merge(&map.figures);
    }
    let value = |source: &str| figures.get(source)?.value(metric);
    let sign = if metric.better() == Better::Lower { -1.0 } else { 1.0 };
    Some(sign * (value(own)? - value(other)?))
}

/// Mean, and the standard error of it: `s / √n` with the `n − 1` variance.
fn mean_and_error(values: &[f64]) -> Option<(f64, Option<f64>)> {
    let count = values.len() as f64;
    if values.is_empty() {
        return None;
    }
    let mean = values.iter().sum::<f64>() / count;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    let error = (values.len() > 1).then(|| (squares / (count - 1.0) / count).sqrt());
    Some((mean, error))
}

#[cfg(test)]
mod tests {
    use super::super::scene::MapRecord;
    use super::*;
    use crate::evaluation::localisation::Map;
    use crate::scenes::{Cue, Language};
    use crate::vision::boxes::Rect;

    fn map(source: &'static str, language: Language, energy: f64) -> MapRecord {
        let area = Rect::new(0.0, 0.0, 1.0, 1.0);
        let mut figures = Figures::default();
        figures.add(Metric::Energy, energy);
        MapRecord { language, source, map: Map { values: vec![1.0], grid: (1, 1), area }, figures }
    }

    /// Energies of a and of b in both languages.
    fn record(seed: u64, energies: [(f64, f64); 2]) -> SceneRecord {
        let maps = Language::ALL
            .into_iter()
            .zip(energies)
            .flat_map(|(language, (a, b))| [map("a", language, a), map("b", language, b)]);
        SceneRecord { seed, cue: Cue::ALL[0], prompts: Vec::new(), maps: maps.collect() }
    }

    #[test]
    fn faces_are_compared_with_themselves() {
        // By picture, b is behind by 1, 2 and 3, though its own figures go far apart.
        let records = [
            record(1, [(2.0, 1.0), (3.0, 2.0)]),
            record(2, [(52.0, 50.0), (12.0, 10.0)]),
            record(3, [(9.0, 6.0), (9.0, 6.0)]),
        ];
        let of_a = differences(&records, "a");
        assert_eq!(of_a.len(), 1, "no other figure was measured: {of_a:?}");
        assert_eq!((of_a[0].against, of_a[0].pictures, of_a[0].mean), ("b", 3, 2.0));
        let error = of_a[0].standard_error.unwrap();
        assert!((error - 1.0 / 3f64.sqrt()).abs() < 1e-12, "{error}");
        assert_eq!(of_a[0].standing(), Standing::Ahead);
        assert_eq!(differences(&records, "b")[0].standing(), Standing::Behind);
    }

    #[test]
    fn one_picture_tells_nothing_apart() {
        let of_a = differences(&[record(1, [(9.0, 1.0); 2])], "a");
        assert_eq!((of_a[0].mean, of_a[0].standard_error), (8.0, None));
        assert_eq!(of_a[0].standing(), Standing::Level);
    }
}
