//! A finished map with the figures that say how far to trust it.

use tch::Tensor;

use super::Method;
use super::checks::Checks;
use super::contrast::to_vec;

/// A spread below this share of the largest magnitude is rounding, not evidence.
pub(super) const FLAT_RATIO: f32 = 1e-5;

/// A map whose specificity is below this has the shape of a prompt's that says nothing: they
/// correlate by more than 0.99.
const LEAST_SPECIFICITY: f32 = 0.01;

/// A map of that shape which is less than this many times as strong is mostly that map: taking it
/// away leaves less than half. A stronger one says more of the same place, and that is what the
/// prompt adds.
const LEAST_STRENGTH: f32 = 2.0;

/// A map whose faithfulness is below this names patches no better than chance does.
const LEAST_FAITHFULNESS: f32 = 0.1;

/// A map with less than this many effective patches sees nothing smaller than its own grid: what it
/// is about may be anywhere within a patch.
pub(super) const LEAST_PATCHES: f32 = 1.5;

/// One prompt's heatmap on the patch grid.
#[derive(Clone, Debug, PartialEq)]
pub struct RawMap {
    /// How it was made.
    pub method: Method,
    /// Rows and columns.
    pub grid: (usize, usize),
    /// The map to show, row-major, `rows * columns` numbers: at least 0 unless the method
    /// [is signed](Method::is_signed), in the method's own units. Not scaled to any range.
    pub values: Vec<f32>,
    /// Figures of the raw map: before negative values were cut.
    pub stats: Stats,
    /// The contrastive cosine that the map explains.
    pub margin: f32,
    /// Strength of the raw map against the maps of null prompts on the same image: its Euclidean
    /// norm over their median norm. Absent without nulls.
    pub signal_to_noise: Option<f32>,
    /// 1 less the median correlation with the maps of null prompts, 0 to 1: 0 means that the map
    /// does not depend on the prompt. Absent without nulls.
    pub specificity: Option<f32>,
    /// How far the prompt's cosine stands above those of the null prompts, in their standard
    /// deviations. Absent with fewer than two nulls.
    pub claim: Option<f32>,
    /// Over how many patches the heat is spread: `(Σ E)² / Σ E²` of the positive values, 1 to the
    /// number of patches; 0 without heat.
    pub effective_patches: f32,
    /// The hottest patch that does not touch the hottest one, over that one: 0 to 1, and near 1
    /// where the map points at two places.
    pub rival: f32,
    /// The probability that the hottest patch is on what the prompt is about, where the model has
    /// a [`Calibration`](super::Calibration) for the method.
    pub hit_probability: Option<f32>,
    /// What further forward passes found out, where they were asked for.
    pub checks: Option<Checks>,
    /// Where the score comes from, for methods that add up to it.
    pub accounting: Option<Accounting>,
    /// Whether the map means anything.
    pub quality: Quality,
}

impl RawMap {
    /// This map of a whole picture once closer looks were put into it: `values` on a finer `grid`,
    /// of which `reach` cells make a patch of this map, and the greatest contrast of the picture and
    /// the looks. Figures of the values are taken anew, and the whole picture's stay.
    #[must_use]
    pub fn with_looks(
        &self,
        values: Vec<f32>,
        grid: (usize, usize),
        (reach, margin): (usize, f32),
    ) -> Self {
        let mut map = Self {
            grid,
            effective_patches: effective_patches(&values),
            rival: rival(&values, grid.1, reach),
            stats: stats(&values),
            hit_probability: None,
            accounting: None,
            values,
            ..self.clone()
        };
        map.quality = judge(&map.values, &Self { margin, ..map.clone() });
        map
    }
}

/// Figures of a raw map over its patches.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Stats {
    /// Smallest value.
    pub min: f32,
    /// Largest value.
    pub max: f32,
    /// Mean.
    pub mean: f32,
    /// Standard deviation over all patches.
    pub std: f32,
}

/// Shares of a score; all in units of cosine.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Accounting {
    /// The whole map.
    pub patches: f32,
    /// The class token's attention to itself.
    pub class_token: f32,
    /// The output biases of the attentions.
    pub biases: f32,
    /// The MLPs.
    pub mlps: f32,
    /// The class token's embedding.
    pub embedding: f32,
    /// The final norm's bias.
    pub norm_bias: f32,
    /// The score ⟨direction, image⟩ itself.
    pub score: f32,
}

impl Accounting {
    /// The sum of all shares: the score, but for rounding.
    pub fn total(&self) -> f32 {
        self.patches + self.class_token + self.biases + self.mlps + self.embedding + self.norm_bias
    }
}

/// Whether a map means anything: the first of these that holds, from `Constant` down.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Quality {
    /// Nothing speaks against it.
    Ok,
    /// The map is flat, empty or not finite: nothing can be seen in it.
    Constant,
    /// The map is the same whatever is asked: the method ignores the prompt, or this prompt's map is
    /// that of a prompt that says nothing.
    NotSpecific,
    /// The prompt fits the image no better than null prompts do, so the map shows where something
    /// is that is probably not there.
    WeakClaim,
    /// The patches that the map names explain the score no better than random ones. Known only
    /// where the checks were asked for.
    Unfaithful,
    /// The heat lies within a patch and a half: look closer to see where.
    UnderResolved,
}

impl Quality {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Ok,
        Self::Constant,
        Self::NotSpecific,
        Self::WeakClaim,
        Self::Unfaithful,
        Self::UnderResolved,
    ];

    /// The name in answers and reports.
    pub fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Constant => "CONSTANT",
            Self::NotSpecific => "NOT_SPECIFIC",
            Self::WeakClaim => "WEAK_CLAIM",
            Self::Unfaithful => "UNFAITHFUL",
            Self::UnderResolved => "UNDER_RESOLVED",
        }
    }
}

/// What is known of the maps beside themselves, by prompt.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known<'a> {
    /// The contrastive cosines: one for each prompt.
    pub(super) margins: &'a [f32],
    /// See [`RawMap::claim`]; empty, or one for each prompt.
    pub(super) claims: &'a [Option<f32>],
    /// Where the scores come from; empty, or one at least for each prompt.
    pub(super) accounts: &'a [Accounting],
    /// What checks found; empty, or one for each prompt.
    pub(super) checks: &'a [Checks],
}

/// Raw maps `[P + K, n]` of P prompts and K nulls to P finished maps.
pub(super) fn finish(method: Method, raw: &Tensor, known: &Known<'_>) -> Vec<RawMap> {
    let patches = raw.size()[1] as usize;
    let side = patches.isqrt();
    let flat = to_vec(raw);
    let maps: Vec<&[f32]> = flat.chunks_exact(patches).collect();
    let (maps, nulls) = maps.split_at(known.margins.len());
    let finish_one = |(p, (&map, &margin)): (usize, (&&[f32], &f32))| {
        let values = shown(method, map);
        let mut finished = RawMap {
            method,
            grid: (side, patches / side),
            quality: Quality::Ok,
            effective_patches: effective_patches(&values),
            rival: rival(&values, patches / side, 1),
            values,
            stats: stats(map),
            margin,
            signal_to_noise: signal_to_noise(map, nulls),
            specificity: specificity(method, map, nulls),
            claim: known.claims.get(p).copied().flatten(),
            hit_probability: None,
            checks: known.checks.get(p).copied(),
            accounting: known.accounts.get(p).copied(),
        };
        finished.quality = judge(map, &finished);
        finished
    };
    maps.iter().zip(known.margins).enumerate().map(finish_one).collect()
}

/// The raw map without what its method does not show; numbers that are not finite become 0.
pub(super) fn shown(method: Method, map: &[f32]) -> Vec<f32> {
    let floor = if method.is_signed() { f32::NEG_INFINITY } else { 0.0 };
    map.iter().map(|&v| if v.is_finite() { v.max(floor) } else { 0.0 }).collect()
}

fn judge(raw: &[f32], map: &RawMap) -> Quality {
    if raw.iter().any(|v| !v.is_finite()) || is_flat(raw) || is_flat(&map.values) {
        Quality::Constant
    } else if says_nothing(map) {
        Quality::NotSpecific
    } else if map.margin <= 0.0 {
        Quality::WeakClaim
    } else if map.checks.is_some_and(|checks| checks.faithfulness < LEAST_FAITHFULNESS) {
        Quality::Unfaithful
    } else if map.effective_patches < LEAST_PATCHES {
        Quality::UnderResolved
    } else {
        Quality::Ok
    }
}

/// Whether the map is that of prompts that say nothing, or of no prompt at all.
fn says_nothing(map: &RawMap) -> bool {
    let like_nulls = map.specificity.is_some_and(|specificity| specificity < LEAST_SPECIFICITY);
    let strong = map.signal_to_noise.is_some_and(|strength| strength >= LEAST_STRENGTH);
    like_nulls && !(strong && map.method.is_text_conditioned())
}

pub(super) fn effective_patches(values: &[f32]) -> f32 {
    let heat = || values.iter().map(|&v| f64::from(v.max(0.0)));
    let squares: f64 = heat().map(|v| v * v).sum();
    if squares > 0.0 { (heat().sum::<f64>().powi(2) / squares) as f32 } else { 0.0 }
}

/// The greatest positive value more than `reach` cells from the greatest of all, over that one.
pub(super) fn rival(values: &[f32], columns: usize, reach: usize) -> f32 {
    let hottest = |among: &mut dyn Iterator<Item = (usize, f32)>| {
        among.max_by(|(_, a), (_, b)| a.total_cmp(b)).filter(|&(_, value)| value > 0.0)
    };
    let Some((peak, heat)) = hottest(&mut values.iter().copied().enumerate()) else { return 0.0 };
    let touches = |at: usize| {
        let rows = (at / columns).abs_diff(peak / columns);
        rows <= reach && (at % columns).abs_diff(peak % columns) <= reach
    };
    let others = &mut values.iter().copied().enumerate().filter(|&(at, _)| !touches(at));
    hottest(others).map_or(0.0, |(_, value)| value / heat)
}

/// Whether values differ by no more than rounding.
pub(super) fn is_flat(map: &[f32]) -> bool {
    let Stats { min, max, .. } = stats(map);
    max - min <= FLAT_RATIO * max.abs().max(min.abs())
}

pub(super) fn stats(map: &[f32]) -> Stats {
    let count = map.len() as f64;
    let mean = map.iter().map(|&v| f64::from(v)).sum::<f64>() / count;
    let variance = map.iter().map(|&v| (f64::from(v) - mean).powi(2)).sum::<f64>() / count;
    Stats {
        min: map.iter().copied().fold(f32::INFINITY, f32::min),
        max: map.iter().copied().fold(f32::NEG_INFINITY, f32::max),
        mean: mean as f32,
        std: variance.sqrt() as f32,
    }
}

fn signal_to_noise(map: &[f32], nulls: &[&[f32]]) -> Option<f32> {
    let noise = median(nulls.iter().map(|null| norm(null)).collect())?;
    (noise > 0.0).then(|| norm(map) / noise)
}

fn specificity(method: Method, map: &[f32], nulls: &[&[f32]]) -> Option<f32> {
    if !method.is_text_conditioned() {
        return Some(0.0);
    }
    let shared = median(nulls.iter().map(|null| correlation(map, null)).collect())?;
    Some(1.0 - shared.max(0.0))
}

fn norm(map: &[f32]) -> f32 {
    map.iter().map(|&v| f64::from(v).powi(2)).sum::<f64>().sqrt() as f32
}

/// Pearson correlation; 0 where either map has no spread.
pub(super) fn correlation(a: &[f32], b: &[f32]) -> f32 {
    let (sa, sb) = (stats(a), stats(b));
    let product: f64 =
        a.iter().zip(b).map(|(x, y)| f64::from(x - sa.mean) * f64::from(y - sb.mean)).sum();
    let spread = f64::from(sa.std) * f64::from(sb.std) * a.len() as f64;
    if spread > 0.0 { (product / spread) as f32 } else { 0.0 }
}

/// The middle value (the upper of two); nothing of nothing.
fn median(mut values: Vec<f32>) -> Option<f32> {
    values.sort_by(f32::total_cmp);
    values.get(values.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn map_of(method: Method, rows: &[[f32; 4]], margin: f32) -> RawMap {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let raw = Tensor::from_slice(&flat).view([-1, 4]);
        finish(method, &raw, &Known { margins: &[margin], ..Known::default() }).remove(0)
    }

    #[test]
    fn grad_eclip_shows_no_negative_values_but_reports_them() {
        let map = map_of(Method::GradEclip, &[[-1.0, 0.0, 1.0, 2.0]], 0.1);
        assert_eq!(map.values, [0.0, 0.0, 1.0, 2.0]);
        assert_eq!(map.grid, (2, 2));
        assert!((map.stats.min + 1.0).abs() < 1e-6 && (map.stats.mean - 0.5).abs() < 1e-6);
        assert!((map.stats.std - 1.25f32.sqrt()).abs() < 1e-6);
        assert_eq!(map.quality, Quality::Ok);
        assert_eq!((map.signal_to_noise, map.specificity), (None, None));
    }

    #[test]
    fn direct_effect_keeps_its_sign() {
        let map = map_of(Method::DirectEffect, &[[-1.0, 0.0, 1.0, 2.0]], 0.1);
        assert_eq!(map.values, [-1.0, 0.0, 1.0, 2.0]);
    }

    #[test]
    fn flat_empty_and_broken_maps_are_constant() {
        for row in [[0.0; 4], [3.0; 4], [3.0, 3.0, 3.0, 3.000_001], [-1.0, -2.0, -3.0, 0.0]] {
            assert_eq!(
                map_of(Method::GradEclip, &[row], 0.1).quality,
                Quality::Constant,
                "{row:?}"
            );
        }
        let map = map_of(Method::DirectEffect, &[[f32::NAN, 1.0, 2.0, f32::INFINITY]], 0.1);
        assert_eq!((map.quality, map.values), (Quality::Constant, vec![0.0, 1.0, 2.0, 0.0]));
    }

    #[test]
    fn tiny_maps_are_judged_by_their_own_scale() {
        let map = map_of(Method::GradEclip, &[[0.0, 1e-9, 2e-9, 0.0]], 0.1);
        assert_eq!(map.quality, Quality::Ok);
    }

    #[test]
    fn a_prompt_that_fits_no_better_than_nulls_is_a_weak_claim() {
        assert_eq!(
            map_of(Method::GradEclip, &[[0.0, 1.0, 2.0, 3.0]], 0.0).quality,
            Quality::WeakClaim
        );
    }

    #[test]
    fn a_second_peak_is_a_rival_and_a_neighbour_is_none() {
        let mut values = [0.0; 16];
        (values[0], values[1], values[5]) = (4.0, 3.0, 3.5);
        let near = |got: f32, expected: f32| assert!((got - expected).abs() < 1e-6, "{got}");
        near(rival(&values, 4, 1), 0.0);
        values[15] = 2.0;
        near(rival(&values, 4, 1), 0.5);
        // All is within reach of the hottest.
        near(rival(&values, 4, 3), 0.0);
        near(rival(&[0.0; 16], 4, 1), 0.0);
    }

    #[test]
    fn a_method_that_ignores_the_prompt_is_never_specific() {
        let map = map_of(Method::Rollout, &[[0.0, 1.0, 2.0, 3.0]], 0.5);
        assert_eq!((map.quality, map.specificity), (Quality::NotSpecific, Some(0.0)));
    }

    #[test]
    fn a_map_of_a_null_prompt_s_shape_is_specific_where_it_says_twice_as_much() {
        let map = |strength: f32| [0.0, 1.0, 2.0, 3.0].map(|heat: f32| heat * strength);
        let quality = |strength| map_of(Method::GradEclip, &[map(strength), map(1.0)], 0.5).quality;
        assert_eq!(quality(1.9), Quality::NotSpecific);
        assert_eq!(quality(2.1), Quality::Ok);
        let blind = map_of(Method::Rollout, &[map(2.1), map(1.0)], 0.5);
        assert_eq!(blind.quality, Quality::NotSpecific, "no prompt made it stronger");
    }

    #[test]
    fn heat_within_one_patch_is_under_resolved() {
        let one = map_of(Method::GradEclip, &[[0.0, 0.0, 4.0, -9.0]], 0.1);
        assert_eq!((one.quality, one.effective_patches), (Quality::UnderResolved, 1.0));
        let three = map_of(Method::GradEclip, &[[0.0, 2.0, 2.0, 2.0]], 0.1);
        assert!((three.effective_patches - 3.0).abs() < 1e-6, "{three:?}");
        assert_eq!(three.quality, Quality::Ok);
    }

    #[test]
    fn a_map_that_names_patches_no_better_than_chance_is_unfaithful() {
        let checked = |faithfulness: f32| {
            let checks = [Checks {
                faithfulness,
                stability: 1.0,
                method_agreement: 1.0,
                layer_agreement: None,
            }];
            let raw = Tensor::from_slice(&[0.0f32, 1.0, 2.0, 3.0]).view([1, 4]);
            let known = Known { margins: &[0.1], checks: &checks, ..Known::default() };
            finish(Method::GradEclip, &raw, &known).remove(0).quality
        };
        assert_eq!((checked(0.0), checked(0.9)), (Quality::Unfaithful, Quality::Ok));
    }

    #[test]
    fn looks_are_judged_by_the_whole_map_and_the_best_contrast() {
        let weak = map_of(Method::GradEclip, &[[0.0, 1.0, 2.0, 3.0]], -0.1);
        assert_eq!(weak.quality, Quality::WeakClaim);
        let mut values = vec![0.0; 16];
        (values[0], values[1], values[3]) = (4.0, 4.0, 2.0);
        let with = |values: &[f32], margin| weak.with_looks(values.to_vec(), (4, 4), (2, margin));
        let found = with(&values, 0.2);
        assert_eq!((found.quality, found.grid), (Quality::Ok, (4, 4)));
        assert_eq!((found.stats.max, found.margin, found.values.len()), (4.0, -0.1, 16));
        assert_eq!(with(&values, -0.05).quality, Quality::WeakClaim);
        assert_eq!(with(&[1.0; 16], 0.2).quality, Quality::Constant);
        values[1] = 0.0;
        values[3] = 0.0;
        assert_eq!(with(&values, 0.2).quality, Quality::UnderResolved);
    }

    #[test]
    fn nulls_measure_strength_and_specificity() {
        let map = [0.0, 0.0, 0.0, 4.0];
        let same = map_of(Method::GradEclip, &[map, [0.0, 0.0, 0.0, 2.0]], 0.1);
        assert!((same.signal_to_noise.unwrap() - 2.0).abs() < 1e-6);
        assert!(same.specificity.unwrap().abs() < 1e-6);
        let other = map_of(Method::GradEclip, &[map, [1.0, 0.0, 0.0, 0.0]], 0.1);
        assert!((other.specificity.unwrap() - 1.0).abs() < 1e-6);
    }
}
