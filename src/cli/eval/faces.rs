//! Accuracy, mean average precision and heatmap placement on held-out faces.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::Context;
use clap::ValueEnum;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::served::Served;
use super::{EvalArgs, FIRST, stop_on_ctrl_c};
use crate::cli::options::catalog;
use crate::cli::output;
use crate::config::Settings;
use crate::evaluation::average_precision::{DetectionReport, Picture, Prediction, Truth};
use crate::evaluation::faces::{FaceOptions, FaceReport, measure_faces};
use crate::scenes::{FaceSpec, Part, draw};
use crate::serving::{Catalog, Terms};
use crate::vision::boxes::NmsOptions;

/// Boxes below this are no predictions at all; average precision wants the long tail.
const MIN_CONFIDENCE: f32 = 0.001;

/// What is measured.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Measured {
    /// Captions that differ in one cue, and heatmaps.
    Clip,
    /// Boxes of face parts.
    Detection,
}

/// Everything measured.
#[derive(Debug, Default, Serialize)]
struct Figures {
    clip: Option<FaceReport>,
    detection: Option<Boxes>,
}

/// Average precision with class names.
#[derive(Debug, Serialize)]
struct Boxes {
    pictures: usize,
    map50: Option<f64>,
    map50_95: Option<f64>,
    classes: Vec<(String, f64, f64)>,
}

/// Measures and shows.
pub(super) fn run(args: &EvalArgs, settings: &Settings) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let catalog = catalog(settings)?;
    let bench = Bench { runtime: &runtime, catalog: &catalog, stop: &stop, faces: args.faces };
    let figures = Figures {
        clip: (args.only != Some(Measured::Detection)).then(|| bench.clip()).transpose()?,
        detection: (args.only != Some(Measured::Clip)).then(|| bench.detection()).transpose()?,
    };
    let json = serde_json::to_string_pretty(&figures)?;
    if let Some(path) = &args.out {
        std::fs::write(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        output::say(json);
    } else {
        show(&figures);
    }
    Ok(())
}

struct Bench<'a> {
    runtime: &'a Runtime,
    catalog: &'a Catalog,
    stop: &'a AtomicBool,
    faces: u64,
}

impl Bench<'_> {
    fn goes_on(&self) -> bool {
        !self.stop.load(Ordering::Relaxed)
    }

    fn clip(&self) -> anyhow::Result<FaceReport> {
        let bar = output::progress(self.faces, "captions");
        let options =
            FaceOptions { faces: self.faces, first_seed: FIRST, ..FaceOptions::default() };
        let mut scorer = Served { runtime: self.runtime, clip: self.catalog.clip(None)? };
        let report = measure_faces(&mut scorer, &options, &mut |faces| {
            bar.set_position(faces);
            if self.goes_on() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        bar.finish_and_clear();
        Ok(report)
    }

    fn detection(&self) -> anyhow::Result<Boxes> {
        let bar = output::progress(self.faces, "boxes");
        let detector = self.catalog.detector(None)?;
        let mut pictures = Vec::new();
        for seed in (FIRST..).take(self.faces as usize).take_while(|_| self.goes_on()) {
            let scene = draw(&FaceSpec::sample(seed), 224);
            let options = NmsOptions { min_confidence: MIN_CONFIDENCE, ..NmsOptions::default() };
            let found = self.runtime.block_on(detector.detect(
                Arc::new(scene.image),
                options,
                None,
                Terms::default(),
            ))?;
            let truths = scene.parts.iter();
            pictures.push(Picture {
                truths: truths.map(|&(part, rect)| Truth { class: part.index(), rect }).collect(),
                predictions: found
                    .boxes
                    .iter()
                    .map(|found| Prediction {
                        class: found.class,
                        confidence: found.confidence,
                        rect: found.rect,
                    })
                    .collect(),
            });
            bar.inc(1);
        }
        bar.finish_and_clear();
        let report = DetectionReport::measure(&pictures);
        let classes = report.classes.iter().map(|class| {
            let name = Part::ALL.get(class.class).map_or("?", |part| part.name());
            (name.to_owned(), class.ap50, class.ap50_95)
        });
        Ok(Boxes {
            pictures: report.pictures,
            map50: report.map50(),
            map50_95: report.map50_95(),
            classes: classes.collect(),
        })
    }
}

fn show(figures: &Figures) {
    let percent = |share: f64| format!("{:.1}%", 100.0 * share);
    if let Some(clip) = &figures.clip {
        output::say(format_args!(
            "image-text accuracy over captions that differ in one cue, {} held-out faces: {}",
            clip.faces,
            clip.accuracy.map_or("none measured".to_owned(), percent)
        ));
        let rows = clip.pairs.iter().map(|row| {
            let (cue, language) = (row.cue.clone(), row.language.clone());
            vec![
                cue,
                language,
                row.trials.to_string(),
                percent(row.accuracy),
                format!("{:.3}", row.margin),
            ]
        });
        output::table(
            &["cue", "language", "trials", "accuracy", "margin"],
            &rows.collect::<Vec<_>>(),
        );
        output::say(
            "heatmaps of faces that show the cue (energy inside it as a multiple of a uniform map's)",
        );
        let rows = clip.localisation.iter().map(|row| {
            vec![
                row.cue.clone(),
                row.language.clone().unwrap_or_default(),
                row.source.clone(),
                row.maps.to_string(),
                format!("{:.1}", row.energy_ratio),
                percent(row.pointing),
                percent(row.pointing_cell),
            ]
        });
        let head = ["cue", "language", "map", "maps", "energy", "pointing", "pointing, cell"];
        output::table(&head, &rows.collect::<Vec<_>>());
    }
    if let Some(boxes) = &figures.detection {
        let or_none = |value: Option<f64>| value.map_or("none".to_owned(), |v| format!("{v:.3}"));
        output::say(format_args!(
            "face parts in {} held-out faces: mAP@0.5 {}, mAP@0.5:0.95 {}",
            boxes.pictures,
            or_none(boxes.map50),
            or_none(boxes.map50_95)
        ));
        let rows = boxes.classes.iter().map(|(name, ap50, ap50_95)| {
            vec![name.clone(), format!("{ap50:.3}"), format!("{ap50_95:.3}")]
        });
        output::table(&["part", "AP@0.5", "AP@0.5:0.95"], &rows.collect::<Vec<_>>());
    }
}
