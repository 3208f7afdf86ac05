//! Many faces before a model: every figure of every method, in a few threads.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use super::paired::{Difference, differences};
use super::scene::{SceneRecord, measure_scene};
use super::summary::{By, Rank, Row, ranking, rows};
use crate::evaluation::faces::{EvaluationError, Scorer};
use crate::explain::Method;
use crate::scenes::{Cue, Language};

/// How much is asked of the model.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Depth {
    /// Insertion and deletion in 8 steps.
    Cheap,
    /// All figures, with few samples.
    #[default]
    Standard,
    /// All figures, with many.
    Full,
}

/// The numbers behind a [`Depth`].
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Protocol {
    /// Steps of insertion and deletion, a multiple of 8.
    pub steps: usize,
    /// Percentages of the pixels that ROAD removes; none leaves ROAD out.
    pub road_percent: Vec<usize>,
    /// Squares, and random subsets of the cells, that are removed: so many of each.
    pub removals: usize,
    /// Noisy pictures for max-sensitivity.
    pub noises: usize,
}

impl Depth {
    /// The numbers.
    pub fn protocol(self) -> Protocol {
        let (steps, road_step, removals, noises) = match self {
            Self::Cheap => (8, 100, 0, 0),
            Self::Standard => (16, 20, 12, 3),
            Self::Full => (32, 10, 32, 8),
        };
        let road_percent = (10..=90).step_by(road_step).filter(|_| self != Self::Cheap).collect();
        Protocol { steps, road_percent, removals, noises }
    }
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct ExplanationOptions {
    /// Number of faces; each is drawn once with each cue.
    pub faces: u64,
    /// Seed of the first; the others follow.
    pub first_seed: u64,
    /// Side of each picture in pixels.
    pub side_px: u32,
    /// Side of the model's input in pixels: pictures are perturbed at this size.
    pub input_px: u32,
    /// Heatmap methods, at least one.
    pub methods: Vec<Method>,
    /// Languages of the prompts, at least one.
    pub languages: Vec<Language>,
    /// What the margin is taken over.
    pub nulls: Vec<String>,
    /// How much is asked of the model.
    pub depth: Depth,
}

/// What came out.
#[derive(Clone, Debug, Serialize)]
pub struct ExplanationReport {
    /// Samples and steps.
    pub protocol: Protocol,
    /// Side of the model's input in pixels.
    pub input_px: u32,
    /// Number of faces asked for.
    pub faces: u64,
    /// Pictures measured, each a face with one cue: up to four a face, fewer after a stop.
    pub scenes: usize,
    /// The methods in the order of the figures that choose the default.
    pub ranking: Vec<Rank>,
    /// The server's default method, where it was measured, else the best, against each other.
    pub differences: Vec<Difference>,
    /// That method.
    pub chosen: Option<&'static str>,
    /// By method or baseline.
    pub overall: Vec<Row>,
    /// By cue and method or baseline.
    pub by_cue: Vec<Row>,
    /// By cue, language and method or baseline.
    pub rows: Vec<Row>,
    /// Each picture with its maps, in order.
    #[serde(skip)]
    pub records: Vec<SceneRecord>,
}

/// Measures the model behind `scorers`, in a thread for each of them. `on_scene` hears of the
/// number of finished pictures and may stop there; what is begun is finished.
pub fn measure_explanations<S: Scorer + Send>(
    scorers: Vec<S>,
    options: &ExplanationOptions,
    on_scene: &(dyn Fn(u64) -> ControlFlow<()> + Sync),
) -> Result<ExplanationReport, EvaluationError> {
    let line = Line {
        options,
        on_scene,
        next: AtomicU64::new(0),
        done: AtomicU64::new(0),
        stopped: AtomicBool::new(false),
        measured: Mutex::default(),
    };
    let ends: Vec<Result<(), EvaluationError>> = std::thread::scope(|scope| {
        let line = &line;
        let work = |mut scorer| scope.spawn(move || line.work(&mut scorer));
        let workers: Vec<_> = scorers.into_iter().map(work).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, _>| {
            worker.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))
        };
        workers.into_iter().map(join).collect()
    });
    ends.into_iter().collect::<Result<(), _>>()?;
    let mut measured = line.measured.into_inner().unwrap_or_else(PoisonError::into_inner);
    // Sums in the order of faces are the same whoever measured which.
    measured.sort_by_key(|(place, _)| *place);
    let records: Vec<SceneRecord> = measured.into_iter().map(|(_, record)| record).collect();
    let by_cue = rows(&records, By::Cue);
    let ranking = ranking(&by_cue);
    let default = Method::default().name();
    let measured = ranking.iter().find(|rank| rank.source == default).or(ranking.first());
    let chosen = measured.map(|rank| rank.source);
    Ok(ExplanationReport {
        protocol: options.depth.protocol(),
        input_px: options.input_px,
        faces: options.faces,
        scenes: records.len(),
        ranking,
        differences: chosen.map(|method| differences(&records, method)).unwrap_or_default(),
        chosen,
        overall: rows(&records, By::Source),
        by_cue,
        rows: rows(&records, By::CueAndLanguage),
        records,
    })
}

/// What the threads share.
struct Line<'a> {
    options: &'a ExplanationOptions,
    on_scene: &'a (dyn Fn(u64) -> ControlFlow<()> + Sync),
    next: AtomicU64,
    done: AtomicU64,
    stopped: AtomicBool,
    measured: Mutex<Vec<(u64, SceneRecord)>>,
}

impl Line<'_> {
    /// Takes one picture after the other until none is left, one fails, or it is told to stop.
    fn work(&self, scorer: &mut dyn Scorer) -> Result<(), EvaluationError> {
        let cues = Cue::ALL.len() as u64;
        while !self.stopped.load(Ordering::Relaxed) {
            let place = self.next.fetch_add(1, Ordering::Relaxed);
            if place >= self.options.faces * cues {
                break;
            }
            let seed = self.options.first_seed + place / cues;
            let cue = Cue::ALL[(place % cues) as usize];
            let record = measure_scene(scorer, self.options, (seed, cue));
            let record = record.inspect_err(|_| self.stopped.store(true, Ordering::Relaxed))?;
            if let Some(record) = record {
                let mut measured = self.measured.lock().unwrap_or_else(PoisonError::into_inner);
                measured.push((place, record));
            }
            let done = self.done.fetch_add(1, Ordering::Relaxed) + 1;
            if (self.on_scene)(done).is_break() {
                self.stopped.store(true, Ordering::Relaxed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::figure::{Better, Metric};
    use super::*;
    use crate::evaluation::localisation::{Map, Site, site_map};
    use crate::scenes::{FaceSpec, HELD_OUT, Mask, draw, prompts};
    use crate::vision::boxes::Rect;
    use crate::vision::image::Rgb8;

    const SIDE: u32 = 28;
    const FIRST: u64 = HELD_OUT + 9;

    /// Knows the faces; its score hangs on the site's pixels alone. Its first method shows the
    /// site, its second everything else.
    #[derive(Clone)]
    struct Oracle {
        scenes: Vec<(Rgb8, Mask, Cue)>,
        current: usize,
    }

    impl Oracle {
        fn of(faces: u64) -> Self {
            let all = (FIRST..FIRST + faces).flat_map(|seed| Cue::ALL.map(|cue| (seed, cue)));
            let scene = |(seed, cue)| {
                let scene = draw(&FaceSpec::sample(seed).with_cue(cue, true), SIDE);
                (scene.image.clone(), scene.site(cue).clone(), cue)
            };
            Self { scenes: all.map(scene).collect(), current: 0 }
        }

        fn see(&self, image: &Rgb8) -> Vec<f32> {
            let (whole, site, _) = &self.scenes[self.current];
            let pairs = image.pixels().chunks_exact(3).zip(whole.pixels().chunks_exact(3));
            let lost =
                pairs.zip(site.values()).filter(|(_, inside)| **inside).map(|((a, b), _)| {
                    a.iter().zip(b).map(|(a, b)| f32::from(a.abs_diff(*b))).sum::<f32>() / 765.0
                });
            let kept = 1.0 - lost.sum::<f32>() / site.area_px() as f32;
            vec![kept, (1.0 - kept * kept).max(0.0).sqrt()]
        }
    }

    impl Scorer for Oracle {
        fn embed_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError> {
            let place = |text: &String| if text.is_empty() { [0.0, 1.0] } else { [1.0, 0.0] };
            Ok(texts.iter().map(|text| place(text).to_vec()).collect())
        }

        fn embed_images(&mut self, images: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
            Ok(images.iter().map(|image| self.see(image)).collect())
        }

        fn heatmaps(
            &mut self,
            image: &Rgb8,
            asked: &[String],
            methods: &[Method],
        ) -> Result<Vec<Map>, EvaluationError> {
            // A face that has two cues anyway is the same picture for both.
            let asks = |cue| prompts(cue, true, Language::English).contains(&asked[0]);
            let known = self.scenes.iter().position(|(scene, _, cue)| scene == image && asks(*cue));
            self.current = known.unwrap_or(self.current);
            let mask = &self.scenes[self.current].1;
            let side = SIDE as usize;
            let site = Site { width: side, height: side, mask: mask.values() };
            let area = Rect::new(0.0, 0.0, SIDE as f32, SIDE as f32);
            let empty = Map { values: vec![0.0; 196], grid: (14, 14), area };
            let truth = site_map(&empty, &site);
            let values = truth.values.iter().map(|share| 1.0 - share).collect();
            let lie = Map { values, ..truth.clone() };
            Ok(asked
                .iter()
                .flat_map(|_| [truth.clone(), lie.clone()])
                .take(asked.len() * methods.len())
                .collect())
        }
    }

    fn options(faces: u64, depth: Depth) -> ExplanationOptions {
        ExplanationOptions {
            faces,
            first_seed: FIRST,
            side_px: SIDE,
            input_px: SIDE,
            methods: Method::ALL[..2].to_vec(),
            languages: Language::ALL.to_vec(),
            nulls: vec![String::new()],
            depth,
        }
    }

    /// Figures by which the opposite of the truth is worse than chance: others have a floor, which
    /// chance may share.
    const INVERTIBLE: [Metric; 10] = [
        Metric::Energy,
        Metric::PixelAccuracy,
        Metric::InsertionCosine,
        Metric::InsertionMargin,
        Metric::DeletionCosine,
        Metric::DeletionMargin,
        Metric::RoadCosine,
        Metric::RoadMargin,
        Metric::Comprehensiveness,
        Metric::SensitivityN,
    ];

    fn go_on(_: u64) -> ControlFlow<()> {
        ControlFlow::Continue(())
    }

    #[test]
    fn a_map_that_knows_the_truth_beats_random_beats_one_that_inverts_it() {
        let options = options(2, Depth::Standard);
        let report = measure_explanations(vec![Oracle::of(2); 2], &options, &go_on).unwrap();
        assert_eq!((report.scenes, report.records.len()), (8, 8));
        assert_eq!(report.overall.len(), 2 + 3);
        assert_eq!(report.by_cue.len(), 4 * 5);
        assert_eq!(report.rows.len(), 4 * 2 * 5);
        let [truth, lie] = [0, 1].map(|index| Method::ALL[index].name());
        let figure = |source: &str, metric: Metric| {
            let row = report.overall.iter().find(|row| row.source == source).unwrap();
            assert_eq!(row.maps, 16);
            row.figures[&metric]
        };
        for metric in Metric::ALL {
            if matches!(metric, Metric::Gini | Metric::Entropy | Metric::MaxSensitivity) {
                continue;
            }
            let sign = if metric.better() == Better::Lower { -1.0 } else { 1.0 };
            let [best, middle, worst] =
                [truth, "random", lie].map(|source| sign * figure(source, metric));
            assert!(best > middle, "{metric:?}: {best} {middle} {worst}");
            if INVERTIBLE.contains(&metric) {
                assert!(middle > worst, "{metric:?}: {best} {middle} {worst}");
            }
            let apart = figure(truth, metric) - figure("site", metric);
            assert!(apart.abs() < 1e-9, "{metric:?}: {apart}");
        }
        assert!(figure(truth, Metric::MaxSensitivity).abs() < 1e-9);
        assert!(figure("random", Metric::MaxSensitivity) > 0.3);
        assert_eq!(report.ranking[0].source, truth);
        assert_eq!(report.ranking[0].best, 12);
        assert!(
            report.ranking[0].beats.contains(&lie) && report.ranking[0].beats.contains(&"random")
        );
    }

    #[test]
    fn the_figures_do_not_hang_on_the_number_of_threads() {
        let options = options(1, Depth::Cheap);
        let measure = |threads| {
            measure_explanations(vec![Oracle::of(1); threads], &options, &go_on).unwrap().rows
        };
        assert_eq!(measure(1), measure(3));
    }

    #[test]
    fn a_cheap_run_leaves_out_what_costs_and_a_stop_keeps_what_was_measured() {
        let stop = |done| if done == 3 { ControlFlow::Break(()) } else { go_on(done) };
        let options = options(50, Depth::Cheap);
        let report = measure_explanations(vec![Oracle::of(2)], &options, &stop).unwrap();
        assert_eq!(report.scenes, 3);
        let figures = &report.overall[0].figures;
        assert!(figures.contains_key(&Metric::InsertionMargin));
        for metric in [Metric::RoadMargin, Metric::Infidelity, Metric::MaxSensitivity] {
            assert!(!figures.contains_key(&metric), "{metric:?}");
        }
    }

    #[test]
    fn a_model_that_answers_too_little_ends_the_run() {
        #[derive(Clone)]
        struct Silent;
        impl Scorer for Silent {
            fn embed_texts(&mut self, _: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError> {
                Ok(Vec::new())
            }
            fn embed_images(&mut self, _: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
                Ok(Vec::new())
            }
            fn heatmaps(
                &mut self,
                _: &Rgb8,
                _: &[String],
                _: &[Method],
            ) -> Result<Vec<Map>, EvaluationError> {
                Ok(Vec::new())
            }
        }
        let options = options(50, Depth::Cheap);
        let error = measure_explanations(vec![Silent; 2], &options, &go_on).unwrap_err();
        assert_eq!(error.to_string(), "asked for 4 heatmaps, got 0");
    }
}
