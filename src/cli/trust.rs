//! How far to believe a heatmap, in words for who reviews pictures and has never heard of one.

use std::collections::BTreeMap;

use super::verify::status_name;
use crate::proto::v1;
use crate::proto::v1::HeatmapQuality;
use crate::report::{Level, Trust};

/// A map whose hottest point is more often wrong than right is doubtful, whatever else is said.
const EVEN_CHANCE: f32 = 0.5;

/// Words for a status: what stands on the badge, and what it means for who looks.
struct Words {
    level: Level,
    badge: &'static str,
    meaning: &'static str,
}

impl Words {
    fn of(map: &v1::Heatmap) -> Self {
        let (level, badge, meaning) = match map.quality() {
            HeatmapQuality::Ok if map.hit_probability.is_some_and(|told| told < EVEN_CHANCE) => (
                Level::Doubtful,
                "place unsure",
                "The map is about this prompt, but fewer than half of such maps point at the right \
                 place.",
            ),
            HeatmapQuality::Ok => (
                Level::Sound,
                "usable",
                "Nothing speaks against this map: it is about this prompt, and the frame fits it.",
            ),
            HeatmapQuality::Constant => (
                Level::Void,
                "no map",
                "The model singles out no place in this frame, so no heat is drawn.",
            ),
            HeatmapQuality::NotSpecific => (
                Level::Void,
                "not about this prompt",
                "The map would be the same whatever is asked. It says nothing about this prompt, so \
                 no heat is drawn.",
            ),
            HeatmapQuality::WeakClaim => (
                Level::Doubtful,
                "probably not there",
                "The frame fits the prompt no better than words that say nothing. Do not read a \
                 place from this map.",
            ),
            HeatmapQuality::Unfaithful => (
                Level::Doubtful,
                "does not explain the score",
                "Leaving out the marked places changes the score no more than leaving out any \
                 others. Do not rely on this map.",
            ),
            HeatmapQuality::UnderResolved => (
                Level::Doubtful,
                "too coarse",
                "All the heat lies in one or two cells of the model's grid: what it is about may be \
                 anywhere in them. Look closer.",
            ),
            HeatmapQuality::Unspecified => (
                Level::Doubtful,
                "not judged",
                "The server does not say how far to believe this map.",
            ),
        };
        Self { level, badge, meaning }
    }
}

/// How far to believe `map`.
pub(super) fn trust(map: &v1::Heatmap) -> Trust {
    let Words { level, badge, meaning } = Words::of(map);
    Trust {
        level,
        badge: badge.to_owned(),
        meaning: meaning.to_owned(),
        figures: figures(map).join(", "),
    }
}

/// Whether `map` shows nothing, so that drawing it would mislead.
pub(super) fn is_void(map: &v1::Heatmap) -> bool {
    Words::of(map).level == Level::Void
}

/// What the server told of `map`, by the names of docs/heatmaps.md.
fn figures(map: &v1::Heatmap) -> Vec<String> {
    let told = |name: &str, value: Option<f32>| Some(format!("{name} {:.2}", value?));
    let figures = [
        told("hit probability", map.hit_probability),
        told("claim", map.claim),
        told("specificity", map.specificity),
        told("signal to noise", map.signal_to_noise),
        told("effective patches", Some(map.effective_patches)),
        told("rival", Some(map.rival)),
    ];
    let status = format!("status {}", status_name(map.quality()));
    std::iter::once(status).chain(figures.into_iter().flatten()).collect()
}

/// Lines below the picture of `map`: how likely it points at the right place, and how well the frame
/// fits the prompt. Of a map that shows nothing, the latter alone.
pub(super) fn lines(map: &v1::Heatmap) -> Vec<String> {
    let chance = match map.hit_probability {
        Some(told) => percent(f64::from(told)),
        None => "not known, the model is not calibrated".to_owned(),
    };
    let hit = format!("chance that the hottest point is right: {chance}");
    let fit = map.claim.map(|claim| {
        let side = if claim < 0.0 { "below" } else { "above" };
        format!("the frame fits the prompt {:.1} σ {side} words that say nothing", claim.abs())
    });
    (!is_void(map)).then_some(hit).into_iter().chain(fit).collect()
}

/// A share from 0 to 1.
pub(super) fn percent(share: f64) -> String {
    format!("{:.0}%", 100.0 * share)
}

/// How far to believe many maps.
#[derive(Default)]
pub(super) struct Tally {
    maps: usize,
    usable: usize,
    doubts: BTreeMap<&'static str, usize>,
    told: Vec<f64>,
}

impl Tally {
    pub(super) fn of<'a>(maps: impl Iterator<Item = &'a v1::Heatmap>) -> Self {
        let mut tally = Self::default();
        for map in maps {
            tally.maps += 1;
            match Words::of(map) {
                Words { level: Level::Sound, .. } => tally.usable += 1,
                Words { badge, .. } => *tally.doubts.entry(badge).or_default() += 1,
            }
            tally.told.extend(map.hit_probability.map(f64::from));
        }
        tally
    }

    /// The share of usable maps; a dash without any map.
    pub(super) fn usable(&self) -> String {
        match self.maps {
            0 => "–".to_owned(),
            maps => percent(self.usable as f64 / maps as f64),
        }
    }

    /// The mean chance told that the hottest point is right; a dash where none was told.
    pub(super) fn told(&self) -> String {
        match self.told.len() {
            0 => "–".to_owned(),
            count => percent(self.told.iter().sum::<f64>() / count as f64),
        }
    }

    /// What speaks against the others, most common first; a dash where nothing does.
    pub(super) fn doubts(&self) -> String {
        let mut doubts: Vec<_> = self.doubts.iter().collect();
        doubts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
        let doubts: Vec<String> =
            doubts.into_iter().map(|(badge, count)| format!("{badge}: {count}")).collect();
        if doubts.is_empty() { "–".to_owned() } else { doubts.join(", ") }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map(quality: HeatmapQuality, hit_probability: Option<f32>) -> v1::Heatmap {
        let quality = quality.into();
        v1::Heatmap { quality, hit_probability, claim: Some(-1.25), ..Default::default() }
    }

    #[test]
    fn every_status_has_words_of_its_own() {
        let qualities = (0..).map_while(|number| HeatmapQuality::try_from(number).ok());
        let mut badges: Vec<String> =
            qualities.map(|quality| trust(&map(quality, None)).badge).collect();
        assert_eq!(badges.len(), 7);
        badges.sort();
        badges.dedup();
        assert_eq!(badges.len(), 7);
    }

    #[test]
    fn only_maps_without_content_show_nothing() {
        let void = [HeatmapQuality::Constant, HeatmapQuality::NotSpecific];
        for quality in (0..).map_while(|number| HeatmapQuality::try_from(number).ok()) {
            assert_eq!(is_void(&map(quality, Some(0.9))), void.contains(&quality), "{quality:?}");
        }
    }

    #[test]
    fn a_map_that_mostly_misses_is_not_called_usable() {
        let level = |told| trust(&map(HeatmapQuality::Ok, told)).level;
        assert_eq!(level(Some(0.5)), Level::Sound);
        assert_eq!(level(Some(0.49)), Level::Doubtful);
        assert_eq!(level(None), Level::Sound);
    }

    #[test]
    fn what_the_server_told_is_told_on() {
        let told = map(HeatmapQuality::WeakClaim, Some(0.314));
        let figures = trust(&told).figures;
        assert!(figures.starts_with("status WEAK_CLAIM, hit probability 0.31, claim -1.25,"));
        assert!(!figures.contains("specificity"), "{figures}");
        let fit = "the frame fits the prompt 1.2 σ below words that say nothing";
        assert_eq!(lines(&told), ["chance that the hottest point is right: 31%", fit]);
        assert_eq!(lines(&map(HeatmapQuality::Constant, Some(0.9))), [fit]);
        assert!(lines(&map(HeatmapQuality::Ok, None))[0].ends_with("the model is not calibrated"));
    }

    #[test]
    fn many_maps_are_summed_up() {
        let maps = [
            map(HeatmapQuality::Ok, Some(0.8)),
            map(HeatmapQuality::Ok, Some(0.9)),
            map(HeatmapQuality::WeakClaim, Some(0.1)),
            map(HeatmapQuality::UnderResolved, None),
            map(HeatmapQuality::UnderResolved, None),
        ];
        let tally = Tally::of(maps.iter());
        assert_eq!(tally.usable(), "40%");
        assert_eq!(tally.told(), "60%");
        assert_eq!(tally.doubts(), "too coarse: 2, probably not there: 1");
        let none = Tally::of(std::iter::empty());
        assert_eq!([none.usable(), none.told(), none.doubts()], ["–", "–", "–"]);
    }
}
