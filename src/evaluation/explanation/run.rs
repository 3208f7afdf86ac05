//! Many faces before a model: every figure of every method, in a few threads.

use std::ops::ControlFlow;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

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

/// Measures the model behind `scorers`, in a thread for each of them. `on_scene` hears of the number
/// of finished pictures and may stop there; what is begun is finished.
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
    Ok(ExplanationReport {
        protocol: options.depth.protocol(),
        input_px: options.input_px,
        faces: options.faces,
        scenes: records.len(),
        ranking: ranking(&by_cue),
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
