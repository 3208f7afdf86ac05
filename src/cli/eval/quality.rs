//! `veriframe eval quality`: how far heatmaps can be believed, and the calibration that says so.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::served::Served;
use super::{FIRST, stop_on_ctrl_c};
use crate::calibration::{Confidence, Logistic, Told};
use crate::cli::options::{ModelArgs, catalog};
use crate::cli::output;
use crate::config::Settings;
use crate::evaluation::localisation::{Map, Placement, Site};
use crate::explain::{
    CALIBRATION_FILE, Calibration, Method, MethodFit, Quality, RawMap, checked_features,
    quick_features,
};
use crate::scenes::{Cue, FaceSpec, Language, Scene, draw, prompt};

/// Side of the drawn pictures in pixels, as for `veriframe eval`.
const SIDE_PX: u32 = 224;
/// Faces that calibrations are fitted on lie this far beyond those that they are measured on.
const FIT_OFFSET: u64 = 1_000_000;

/// Measure whether the figures of a heatmap tell if it points at the thing: claims that are true and
/// claims that are not, on generated faces that were never trained on. Fits the calibration on other
/// faces, and writes it where --write says.
///
/// Examples:
///   veriframe eval quality
///   veriframe eval quality --methods game,legrad --check
///   veriframe eval quality --write models/demo/clip
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct QualityArgs {
    /// How many faces to measure on; each with and without each of the four cues.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    faces: u64,
    /// How many other faces to fit on.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    fit_faces: u64,
    /// Heatmap methods.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_value = "grad_eclip")]
    methods: Vec<Method>,
    /// Check every map: about 60 forward passes each.
    #[arg(long)]
    check: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Write the fit to a model's folder, `heatmap_calibration.json`.
    #[arg(long, value_name = "DIR")]
    write: Option<PathBuf>,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// Whether a map pointed at the thing.
struct Seen {
    map: RawMap,
    /// Whether the picture shows what the prompt says.
    claimed_rightly: bool,
    hit: bool,
}

/// What came out for one method.
#[derive(Debug, Serialize)]
struct Row {
    method: Method,
    /// With the figures that every map has.
    quick: Measured,
    /// With the checks too.
    checked: Option<Measured>,
    /// Maps and hits by status.
    statuses: Vec<Status>,
}

#[derive(Debug, Serialize)]
struct Measured {
    /// Over true and false claims; a false claim's map is never a hit.
    all: Option<Confidence>,
    /// Over true claims alone.
    true_claims: Option<Confidence>,
}

#[derive(Debug, Serialize)]
struct Status {
    name: &'static str,
    maps: usize,
    hit_rate: f64,
    true_claims: f64,
}

/// Measures, shows, and writes.
pub(super) fn run(args: &QualityArgs, settings: &Settings) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let catalog = catalog(settings)?;
    let served = Served { runtime: &runtime, clip: catalog.clip(None)? };
    let bench = Bench { served, args };
    let bar = output::progress(args.faces + args.fit_faces, "faces");
    let look = |first: u64, faces: u64| {
        let mut seen = Vec::new();
        for seed in (first..first + faces).take_while(|_| !stop.load(Ordering::Relaxed)) {
            seen.extend(bench.face(seed)?);
            bar.inc(1);
        }
        Ok::<_, anyhow::Error>(seen)
    };
    let fitted = look(FIRST + FIT_OFFSET, args.fit_faces)?;
    let measured = look(FIRST, args.faces)?;
    bar.finish_and_clear();
    let checksum = bench.served.clip.identity().checksum.clone();
    let calibration = Calibration { checksum, ..fit(&fitted, args)? };
    let rows: Vec<Row> =
        args.methods.iter().map(|&method| row(method, &measured, &calibration)).collect();
    if let Some(folder) = &args.write {
        anyhow::ensure!(!stop.load(Ordering::Relaxed), "interrupted, so no calibration is written");
        let path = folder.join(CALIBRATION_FILE);
        let json = serde_json::to_string_pretty(&calibration)? + "\n";
        std::fs::write(&path, json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        output::say(serde_json::to_string_pretty(&rows)?);
    } else {
        show(&rows);
    }
    Ok(())
}

struct Bench<'a> {
    served: Served<'a>,
    args: &'a QualityArgs,
}

impl Bench<'_> {
    /// Every cue of one face, on and off, claimed in every language.
    fn face(&self, seed: u64) -> anyhow::Result<Vec<Seen>> {
        let spec = FaceSpec::sample(seed);
        let mut seen = Vec::new();
        for cue in Cue::ALL {
            for on in [true, false] {
                let scene = draw(&spec.clone().with_cue(cue, on), SIDE_PX);
                seen.extend(self.scene(&scene, (cue, on), seed)?);
            }
        }
        Ok(seen)
    }

    fn scene(&self, scene: &Scene, (cue, on): (Cue, bool), seed: u64) -> anyhow::Result<Vec<Seen>> {
        let claims = Language::ALL.map(|language| prompt(cue, true, language, seed));
        let asked = (self.args.methods.as_slice(), self.args.check);
        let looked = self.served.look(&scene.image, &claims, asked)?;
        let mask = scene.site(cue);
        let (width, height) = (mask.width() as usize, mask.height() as usize);
        let site = Site { width, height, mask: mask.values() };
        let each = looked.maps.into_iter().map(|map| {
            let shown = Map { values: map.values.clone(), grid: map.grid, area: looked.area };
            let placement = Placement::measure(&shown, &site);
            let hit = on && placement.is_some_and(|placement| placement.hit);
            Seen { map, claimed_rightly: on, hit }
        });
        Ok(each.collect())
    }
}

fn fit(seen: &[Seen], args: &QualityArgs) -> anyhow::Result<Calibration> {
    let mut methods = BTreeMap::new();
    for &method in &args.methods {
        let own: Vec<&Seen> = seen.iter().filter(|seen| seen.map.method == method).collect();
        let hits: Vec<bool> = own.iter().map(|seen| seen.hit).collect();
        let quick: Vec<Vec<f64>> =
            own.iter().map(|seen| quick_features(&seen.map).to_vec()).collect();
        let checked: Option<Vec<Vec<f64>>> = own
            .iter()
            .map(|seen| checked_features(&seen.map).map(|features| features.to_vec()))
            .collect();
        let quick = Logistic::fit(&quick, &hits).context("no face was looked at")?;
        let checked = checked.and_then(|rows| Logistic::fit(&rows, &hits));
        methods.insert(method, MethodFit { quick, checked });
    }
    let fitted_on = format!(
        "{} generated faces, with and without each of {} cues, prompts in {} languages",
        args.fit_faces,
        Cue::ALL.len(),
        Language::ALL.len()
    );
    Ok(Calibration { fitted_on, methods, ..Calibration::default() })
}

fn row(method: Method, seen: &[Seen], calibration: &Calibration) -> Row {
    let own: Vec<&Seen> = seen.iter().filter(|seen| seen.map.method == method).collect();
    let measured = |of: &dyn Fn(&RawMap) -> Option<f32>| {
        let told = |rightly: bool| -> Vec<Told> {
            let among = own.iter().filter(|seen| seen.claimed_rightly || !rightly);
            among
                .filter_map(|seen| {
                    let probability = f64::from(of(&seen.map)?);
                    Some(Told { probability, hit: seen.hit })
                })
                .collect()
        };
        Measured {
            all: Confidence::measure(&told(false)),
            true_claims: Confidence::measure(&told(true)),
        }
    };
    let unchecked = |map: &RawMap| {
        let map = RawMap { checks: None, values: Vec::new(), ..map.clone() };
        calibration.probability(&map)
    };
    let is_checked = own.iter().any(|seen| seen.map.checks.is_some());
    Row {
        method,
        quick: measured(&unchecked),
        checked: is_checked.then(|| measured(&|map| calibration.probability(map))),
        statuses: Quality::ALL.iter().filter_map(|&quality| status(quality, &own)).collect(),
    }
}

fn status(quality: Quality, seen: &[&Seen]) -> Option<Status> {
    let own: Vec<&&Seen> = seen.iter().filter(|seen| seen.map.quality == quality).collect();
    let share = |of: &dyn Fn(&Seen) -> bool| {
        own.iter().filter(|seen| of(seen)).count() as f64 / own.len() as f64
    };
    (!own.is_empty()).then(|| Status {
        name: quality.name(),
        maps: own.len(),
        hit_rate: share(&|seen| seen.hit),
        true_claims: share(&|seen| seen.claimed_rightly),
    })
}

fn show(rows: &[Row]) {
    let mut lines = Vec::new();
    for row in rows {
        let figures = [("quick", Some(&row.quick)), ("checked", row.checked.as_ref())];
        for (which, measured) in figures {
            let Some(measured) = measured else { continue };
            for (claims, of) in [("all", &measured.all), ("true", &measured.true_claims)] {
                let Some(of) = of else { continue };
                lines.push(vec![
                    row.method.to_string(),
                    which.to_owned(),
                    claims.to_owned(),
                    of.count.to_string(),
                    format!("{:.3}", of.hit_rate),
                    of.auroc.map_or_else(String::new, |auroc| format!("{auroc:.3}")),
                    format!("{:.3}", of.ece),
                    format!("{:.3}", of.brier),
                ]);
            }
        }
    }
    let head = ["method", "figures", "claims", "maps", "hits", "AUROC", "ECE", "Brier"];
    output::table(&head, &lines);
    for row in rows {
        output::say(format_args!("\n{}: what each status holds", row.method));
        let lines = row.statuses.iter().map(|status| {
            vec![
                status.name.to_owned(),
                status.maps.to_string(),
                format!("{:.3}", status.hit_rate),
                format!("{:.3}", status.true_claims),
            ]
        });
        output::table(&["status", "maps", "hits", "true claims"], &lines.collect::<Vec<_>>());
    }
}
