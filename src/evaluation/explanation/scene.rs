//! One face that shows one cue, with every map of it measured.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::curves::{between, ordered};
use super::figure::{Figures, Metric};
use super::removal::{Removal, correlation, infidelity};
use super::road::impute;
use super::run::ExplanationOptions;
use super::segmentation::{Segmentation, average_precision, average_precision_both, rank_accuracy};
use super::shape::{difference, entropy, gini, noisy};
use super::trial::{Judge, Trial, View, contrasted, dot};
use crate::evaluation::faces::{EvaluationError, Scorer};
use crate::evaluation::localisation::{Map, Placement, Site, centre_map, random_map, site_map};
use crate::scenes::{Cue, FaceSpec, Language, draw, prompt};
use crate::vision::boxes::Rect;
use crate::vision::image::Rgb8;
use crate::vision::overlay::{Heat, to_source};

/// What stands beside the methods: uniformly random heat, a Gaussian at the picture's centre, and
/// the site's own mask on the grid of the maps.
pub const BASELINES: [&str; 3] = ["random", "centre", "site"];

/// Pictures that are embedded together.
const CHUNK: usize = 64;
/// A face with its maps.
#[derive(Clone, Debug)]
pub struct SceneRecord {
    /// Which face.
    pub seed: u64,
    /// The cue that it shows and the prompts name.
    pub cue: Cue,
    /// The prompt in each language measured.
    pub prompts: Vec<(Language, String)>,
    /// Languages outermost, then methods, then [`BASELINES`].
    pub maps: Vec<MapRecord>,
}

/// One map with its figures.
#[derive(Clone, Debug)]
pub struct MapRecord {
    /// The prompt's language. Baselines read no prompt, but the score that tests them does.
    pub language: Language,
    /// The method's or baseline's name.
    pub source: &'static str,
    /// The map.
    pub map: Map,
    /// What was measured of it.
    pub figures: Figures,
}

/// Measures one face; nothing where the cue's site is hidden.
pub(super) fn measure_scene(
    scorer: &mut dyn Scorer,
    options: &ExplanationOptions,
    (seed, cue): (u64, Cue),
) -> Result<Option<SceneRecord>, EvaluationError> {
    let scene = draw(&FaceSpec::sample(seed).with_cue(cue, true), options.side_px);
    let mask = scene.site(cue);
    let (width, height) = (mask.width() as usize, mask.height() as usize);
    let site = Site { width, height, mask: mask.values() };
    if mask.area_px() == 0 {
        return Ok(None);
    }
    let said =
        options.languages.iter().map(|&language| (language, prompt(cue, true, language, seed)));
    let said: Vec<(Language, String)> = said.collect();
    let mut subject = Subject { scorer, options, seed, prompts: &said };
    let mut maps = subject.maps(&scene.image, &site)?;
    let whole = maps.first().map(|record| record.map.area);
    for record in &mut maps {
        place(record, &site, seed);
    }
    if let Some(area) = whole {
        subject.test(&scene.image, area, &mut maps)?;
    }
    Ok(Some(SceneRecord { seed, cue, prompts: said, maps }))
}

/// The figures that need no model.
fn place(record: &mut MapRecord, site: &Site<'_>, seed: u64) {
    let (map, figures) = (&record.map, &mut record.figures);
    let Some(placed) = Placement::measure(map, site) else { return };
    let inside = site.mask.iter().filter(|&&inside| inside).count();
    figures.add(Metric::Pointing, f64::from(u8::from(placed.hit)));
    figures.add(Metric::PointingCell, f64::from(u8::from(placed.cell_hit)));
    figures.add(Metric::Energy, placed.energy_ratio);
    let share = placed.energy_ratio * inside as f64 / site.mask.len() as f64;
    figures.add(Metric::EnergyShare, share);
    let heat = heat_on(map, map.area, (site.width, site.height));
    Segmentation::of(&heat, site.mask).add_to(figures);
    let optional = [
        (Metric::RankAccuracy, rank_accuracy(&ordered(&heat, seed), site.mask)),
        (Metric::AveragePrecision, average_precision(&heat, site.mask)),
        (Metric::AveragePrecisionBoth, average_precision_both(&heat, site.mask)),
        (Metric::Gini, gini(&map.values)),
        (Metric::Entropy, entropy(&map.values)),
    ];
    for (metric, value) in optional {
        figures.add(metric, value.unwrap_or(f64::NAN));
    }
}

/// The map's positive heat at a picture's size, over which the map covers `area`.
fn heat_on(map: &Map, area: Rect, (width, height): (usize, usize)) -> Vec<f32> {
    let heat = Heat { values: &map.values, grid: map.grid, area };
    to_source(&heat, width, height)
}

/// One face before the model.
struct Subject<'a> {
    scorer: &'a mut dyn Scorer,
    options: &'a ExplanationOptions,
    seed: u64,
    prompts: &'a [(Language, String)],
}

impl Subject<'_> {
    fn texts(&self) -> Vec<String> {
        self.prompts.iter().map(|(_, prompt)| prompt.clone()).collect()
    }

    /// The maps of all methods, prompts outermost, as the scorer gives them.
    fn heatmaps(&mut self, picture: &Rgb8) -> Result<Vec<Map>, EvaluationError> {
        let (prompts, methods) = (self.texts(), &self.options.methods);
        let maps = self.scorer.heatmaps(picture, &prompts, methods)?;
        counted("heatmaps", prompts.len() * methods.len(), maps)
    }

    /// Every map of the picture, the baselines after the methods of each language.
    fn maps(&mut self, picture: &Rgb8, site: &Site<'_>) -> Result<Vec<MapRecord>, EvaluationError> {
        let found = self.heatmaps(picture)?;
        let Some(first) = found.first() else { return Ok(Vec::new()) };
        let beside = [random_map(first, self.seed), centre_map(first), site_map(first, site)];
        let mut records = Vec::new();
        let by_language = found.chunks(self.options.methods.len());
        for ((language, _), maps) in self.prompts.iter().zip(by_language) {
            let methods = self.options.methods.iter().map(|method| method.name());
            let named = methods.chain(BASELINES).zip(maps.iter().chain(&beside));
            records.extend(named.map(|(source, map)| MapRecord {
                language: *language,
                source,
                map: map.clone(),
                figures: Figures::default(),
            }));
        }
        Ok(records)
    }

    fn embed(&mut self, pictures: &[Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
        let mut vectors = Vec::with_capacity(pictures.len());
        for chunk in pictures.chunks(CHUNK) {
            let chunk: Vec<&Rgb8> = chunk.iter().collect();
            let seen = self.scorer.embed_images(&chunk)?;
            vectors.extend(counted("picture embeddings", chunk.len(), seen)?);
        }
        Ok(vectors)
    }

    /// The figures that ask the model.
    fn test(
        &mut self,
        picture: &Rgb8,
        area: Rect,
        records: &mut [MapRecord],
    ) -> Result<(), EvaluationError> {
        let view = View::of(picture, area, self.options.input_px);
        let ends = self.embed(&[view.whole.clone(), view.soft.clone(), view.grey.clone()])?;
        let judges = self.judges(&ends[0])?;
        let sources = self.options.methods.len() + BASELINES.len();
        for index in 0..records.len() {
            let (language, source) = (index / sources, index % sources);
            let is_baseline = source >= self.options.methods.len();
            // A baseline is the same map in every language: its pictures are embedded once.
            if language > 0 && is_baseline {
                continue;
            }
            let trial = self.trial(&view, &records[index].map)?;
            let others = if is_baseline { judges.len() } else { language + 1 };
            for (at, judge) in judges.iter().enumerate().take(others).skip(language) {
                trial.judge(judge, &ends, &mut records[at * sources + source].figures);
            }
        }
        self.remove(&view, &judges, records)?;
        self.shake(&view, records)
    }

    /// One judge for each language.
    fn judges(&mut self, whole: &[f32]) -> Result<Vec<Judge>, EvaluationError> {
        let (prompts, nulls) = (self.texts(), &self.options.nulls);
        let texts = self.scorer.embed_texts(&prompts)?;
        let texts = counted("text embeddings", prompts.len(), texts)?;
        let nulls = counted("null embeddings", nulls.len(), self.scorer.embed_texts(nulls)?)?;
        let contrasted = contrasted(&texts, &nulls, whole);
        let judge = |(cosine, margin)| Judge { cosine, margin };
        Ok(texts.into_iter().zip(contrasted).map(judge).collect())
    }

    /// Embeds all pictures that one map's order of pixels makes.
    fn trial(&mut self, view: &View, map: &Map) -> Result<Trial, EvaluationError> {
        let (side, protocol) = (view.side() as usize, self.options.depth.protocol());
        let order = ordered(&heat_on(map, view.area(), (side, side)), self.seed);
        let mut pictures = between(&view.soft, &view.whole, &order, protocol.steps);
        pictures.extend(between(&view.whole, &view.grey, &order, protocol.steps));
        let mut random = ChaCha8Rng::seed_from_u64(self.seed);
        for percent in &protocol.road_percent {
            let count = order.len() * percent / 100;
            for gone in [&order[..count], &order[order.len() - count..]] {
                let mut removed = vec![false; order.len()];
                for &pixel in gone {
                    removed[pixel as usize] = true;
                }
                pictures.push(impute(&view.whole, &removed, &mut random));
            }
        }
        let mut vectors = self.embed(&pictures)?.into_iter();
        let mut take = |count: usize| vectors.by_ref().take(count).collect();
        let (inserted, deleted) = (take(protocol.steps - 1), take(protocol.steps - 1));
        Ok(Trial { inserted, deleted, road: vectors.collect() })
    }

    /// Infidelity and sensitivity-n: the same removals for all maps.
    fn remove(
        &mut self,
        view: &View,
        judges: &[Judge],
        records: &mut [MapRecord],
    ) -> Result<(), EvaluationError> {
        let count = self.options.depth.protocol().removals;
        let (Some(first), true) = (records.first(), count > 0) else { return Ok(()) };
        let (grid, mut random) = (first.map.grid, ChaCha8Rng::seed_from_u64(self.seed ^ 1));
        let squares = (0..count).map(|_| Removal::square(grid, &mut random));
        let mut removals: Vec<Removal> = squares.collect();
        removals.extend((0..count).map(|_| Removal::subset(grid, &mut random)));
        let mut pictures = vec![view.whole.clone()];
        pictures.extend(removals.iter().map(|r| r.apply(&view.whole, &view.soft)));
        let vectors = self.embed(&pictures)?;
        let sources = records.len() / judges.len();
        for (judge, records) in judges.iter().zip(records.chunks_mut(sources)) {
            let margins: Vec<f64> = vectors.iter().map(|v| dot(&judge.margin, v)).collect();
            let drops: Vec<f64> = margins[1..].iter().map(|left| margins[0] - left).collect();
            for record in records {
                let sum = |r: &Removal| r.sum(&record.map.values, record.map.grid);
                let Some(sums) = removals.iter().map(sum).collect::<Option<Vec<f64>>>() else {
                    continue;
                };
                let (error, all) = infidelity(&sums[..count], &drops[..count]);
                record.figures.add_share(Metric::Infidelity, error, all);
                let along = correlation(&sums[count..], &drops[count..]);
                record.figures.add(Metric::SensitivityN, along.unwrap_or(0.0));
            }
        }
        Ok(())
    }

    /// Max-sensitivity. Random maps are drawn anew for each picture; the other baselines do not
    /// look at it, so they have none.
    fn shake(&mut self, view: &View, records: &mut [MapRecord]) -> Result<(), EvaluationError> {
        let noises = self.options.depth.protocol().noises;
        if noises == 0 {
            return Ok(());
        }
        let methods = self.options.methods.len();
        let still = self.heatmaps(&view.whole)?;
        let mut random = ChaCha8Rng::seed_from_u64(self.seed ^ 2);
        let mut largest = vec![f64::NAN; records.len()];
        for _ in 0..noises {
            let shaken = self.heatmaps(&noisy(&view.whole, &mut random))?;
            let redrawn: u64 = random.random();
            for (index, record) in records.iter().enumerate() {
                let sources = methods + BASELINES.len();
                let (language, source) = (index / sources, index % sources);
                let at = language * methods + source;
                let moved = match source.checked_sub(methods) {
                    None => difference(&still[at].values, &shaken[at].values),
                    Some(0) => {
                        difference(&record.map.values, &random_map(&record.map, redrawn).values)
                    }
                    Some(_) => None,
                };
                // The maximum with a NaN is the other.
                largest[index] = largest[index].max(moved.unwrap_or(f64::NAN));
            }
        }
        for (record, largest) in records.iter_mut().zip(largest) {
            record.figures.add(Metric::MaxSensitivity, largest);
        }
        Ok(())
    }
}

fn counted<T>(
    what: &'static str,
    expected: usize,
    answers: Vec<T>,
) -> Result<Vec<T>, EvaluationError> {
    let got = answers.len();
    if got == expected { Ok(answers) } else { Err(EvaluationError::Count { what, expected, got }) }
}
