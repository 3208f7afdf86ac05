//! Figures of many maps as rows, and the methods in order of the figures that choose the default.

use std::collections::BTreeMap;

use serde::Serialize;

use super::figure::{Better, Figures, Metric};
use super::scene::{BASELINES, MapRecord, SceneRecord};

/// Figures of maps of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Whose site is sought; nothing for all cues together.
    pub cue: Option<&'static str>,
    /// Code of the prompts' language; nothing for all languages together.
    pub language: Option<&'static str>,
    /// The method's or baseline's name.
    pub source: &'static str,
    /// Number of maps.
    pub maps: usize,
    /// What was measured, over these maps.
    pub figures: BTreeMap<Metric, f64>,
}

/// How a method stands among the others, cue by cue, by [`Metric::CHOOSING`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Rank {
    /// The method.
    pub source: &'static str,
    /// Mean of its places among the methods over cues and figures; 1 is best, equals share.
    pub mean_place: f64,
    /// In how many of them it is best, alone or with others.
    pub best: usize,
    /// Number of cues times figures.
    pub cells: usize,
    /// Which others, baselines among them, it beats in every one of them.
    pub beats: Vec<&'static str>,
    /// Which it beats in some, and loses to in none.
    pub never_loses_to: Vec<&'static str>,
}

/// How rows are told apart.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum By {
    CueAndLanguage,
    Cue,
    Source,
}

/// One row for each kind, in the order in which kinds first come.
pub(super) fn rows(records: &[SceneRecord], by: By) -> Vec<Row> {
    type Kind = (Option<&'static str>, Option<&'static str>, &'static str);
    let mut kinds: Vec<(Kind, usize, Figures)> = Vec::new();
    let kind = |scene: &SceneRecord, map: &MapRecord| {
        let cue = (by != By::Source).then(|| scene.cue.name());
        let language = (by == By::CueAndLanguage).then(|| map.language.code());
        (cue, language, map.source)
    };
    for scene in records {
        for map in &scene.maps {
            let kind = kind(scene, map);
            let known = kinds.iter_mut().find(|(known, _, _)| *known == kind);
            match known {
                Some((_, maps, figures)) => {
                    *maps += 1;
                    figures.merge(&map.figures);
                }
                None => kinds.push((kind, 1, map.figures.clone())),
            }
        }
    }
    let row = |((cue, language, source), maps, figures): (Kind, usize, Figures)| {
        let figures = figures.values();
        Row { cue, language, source, maps, figures }
    };
    kinds.into_iter().map(row).collect()
}

/// The methods from best to worst; `by_cue` has a row for each cue and source.
pub(super) fn ranking(by_cue: &[Row]) -> Vec<Rank> {
    let mut cues: Vec<Option<&'static str>> = Vec::new();
    let mut sources: Vec<&'static str> = Vec::new();
    for row in by_cue {
        if !cues.contains(&row.cue) {
            cues.push(row.cue);
        }
        if !sources.contains(&row.source) {
            sources.push(row.source);
        }
    }
    let cells: Vec<(Option<&str>, Metric)> =
        cues.iter().flat_map(|&cue| Metric::CHOOSING.map(|metric| (cue, metric))).collect();
    let scores = |source: &str| -> Vec<f64> {
        cells.iter().map(|&(cue, metric)| goodness(by_cue, (cue, source), metric)).collect()
    };
    let scored: Vec<(&'static str, Vec<f64>)> =
        sources.into_iter().map(|source| (source, scores(source))).collect();
    let methods = scored.iter().filter(|(source, _)| !BASELINES.contains(source));
    let mut ranks: Vec<Rank> = methods.map(|(source, own)| rank(source, own, &scored)).collect();
    ranks.sort_by(|a, b| a.mean_place.total_cmp(&b.mean_place));
    ranks
}

/// The figure, turned so that more is better; below all others where it is missing.
fn goodness(rows: &[Row], (cue, source): (Option<&str>, &str), metric: Metric) -> f64 {
    let row = rows.iter().find(|row| row.cue == cue && row.source == source);
    let value = row.and_then(|row| row.figures.get(&metric).copied());
    let sign = if metric.better() == Better::Lower { -1.0 } else { 1.0 };
    value.map_or(f64::NEG_INFINITY, |value| sign * value)
}

fn rank(source: &'static str, own: &[f64], all: &[(&'static str, Vec<f64>)]) -> Rank {
    let others = || all.iter().filter(move |(other, _)| *other != source && *other != "site");
    let methods = || others().filter(|(other, _)| !BASELINES.contains(other));
    let places = own.iter().enumerate().map(|(cell, value)| {
        let above = methods().filter(|(_, other)| other[cell] > *value).count();
        let equal = methods().filter(|(_, other)| other[cell].total_cmp(value).is_eq()).count();
        1.0 + above as f64 + equal as f64 / 2.0
    });
    let best =
        (0..own.len()).filter(|&cell| methods().all(|(_, other)| other[cell] <= own[cell])).count();
    let each = |test: fn(&f64, &f64) -> bool| {
        let holds = move |other: &[f64]| own.iter().zip(other).all(|(own, other)| test(own, other));
        others().filter(move |(_, other)| holds(other))
    };
    let beats: Vec<&'static str> = each(|own, other| own > other).map(|(name, _)| *name).collect();
    let never_loses_to = each(|own, other| own >= other)
        .filter(|(name, other)| !beats.contains(name) && other.as_slice() != own)
        .map(|(name, _)| *name)
        .collect();
    let mean_place = places.sum::<f64>() / own.len() as f64;
    Rank { source, mean_place, best, cells: own.len(), beats, never_loses_to }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(cue: &'static str, source: &'static str, figures: [f64; 3]) -> Row {
        let figures = Metric::CHOOSING.into_iter().zip(figures).collect();
        Row { cue: Some(cue), language: None, source, maps: 1, figures }
    }

    #[test]
    fn methods_are_ranked_by_every_cue_and_figure() {
        let rows = [
            row("ear", "a", [0.5, 3.0, 0.1]),
            row("ear", "b", [1.0, 2.0, 0.3]),
            row("ear", "c", [0.4, 1.5, 0.05]),
            row("ear", "random", [0.0, 1.0, 0.0]),
            row("ear", "site", [1.0, 9.0, 0.9]),
            row("teeth", "a", [1.0, 3.0, 0.1]),
            row("teeth", "b", [1.0, 4.0, 0.3]),
            row("teeth", "c", [0.4, 2.9, 0.09]),
            row("teeth", "random", [0.1, 1.0, 0.0]),
            row("teeth", "site", [1.0, 9.0, 0.9]),
        ];
        let ranks = ranking(&rows);
        let order: Vec<&str> = ranks.iter().map(|rank| rank.source).collect();
        assert_eq!(order, ["b", "a", "c"]);
        let (b, a, c) = (&ranks[0], &ranks[1], &ranks[2]);
        assert_eq!((b.cells, b.best, a.best, c.best), (6, 5, 2, 0));
        assert_eq!(a.beats, ["c", "random"]);
        assert_eq!((&b.beats[..], &b.never_loses_to[..]), (&["c", "random"][..], &[][..]));
        // a: places 2, 1, 2 with the ear; 1.5, 2, 2 with the teeth.
        assert!((a.mean_place - 10.5 / 6.0).abs() < 1e-12);
    }

    #[test]
    fn a_missing_figure_is_the_worst_and_ties_are_no_wins() {
        let mut missing = row("ear", "a", [1.0, 9.0, 9.0]);
        missing.figures.remove(&Metric::InsertionMargin);
        let ranks = ranking(&[missing, row("ear", "b", [1.0, 9.0, 0.0])]);
        assert_eq!(ranks[0].source, "b");
        assert!(ranks[0].beats.is_empty());
        assert_eq!(ranks[0].never_loses_to, ["a"]);
    }
}
