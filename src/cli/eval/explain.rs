//! `veriframe eval explain`: every heatmap method by every figure of explanation.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use tokio::runtime::Runtime;

use super::served::Served;
use super::{FIRST, gallery, stop_on_ctrl_c, tables};
use crate::cli::options::{ModelArgs, catalog};
use crate::cli::output;
use crate::config::Settings;
use crate::evaluation::explanation::{
    Depth, ExplanationOptions, ExplanationReport, measure_explanations,
};
use crate::explain::Method;
use crate::scenes::{Cue, FaceSpec, Language, draw};
use crate::serving::Terms;
use crate::serving::clip::ClipService;

/// Side of the drawn pictures in pixels, as for `veriframe eval`.
const SIDE_PX: u32 = 224;

/// Measure every heatmap method by every figure of explanation, on generated faces that were never
/// trained on: where the heat lies (pointing, energy, rank accuracy, segmentation), how it is
/// spread (Gini, entropy), and whether the model's score hangs on it (insertion, deletion, ROAD,
/// sufficiency, comprehensiveness, infidelity, sensitivity-n, max-sensitivity). Beside the methods
/// stand a random map, a Gaussian at the centre, and the site's own mask.
///
/// Examples:
///   veriframe eval explain
///   veriframe eval explain --faces 20 --languages ko --cheap
///   veriframe eval explain --full --json --out out/explain > figures.json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct ExplainArgs {
    /// How many faces; each is drawn once with each of the four cues.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    faces: u64,
    /// Heatmap methods; all where none is named.
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    methods: Vec<Method>,
    /// Languages of the prompts: en, ko.
    #[arg(long, value_name = "CODE", value_delimiter = ',', default_values = ["en", "ko"],
          value_parser = language)]
    languages: Vec<Language>,
    /// Placement, insertion and deletion alone, in 8 steps.
    #[arg(long, conflicts_with = "full")]
    cheap: bool,
    /// All figures with many samples; takes about three times as long.
    #[arg(long)]
    full: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write the JSON and a gallery, `explain.json` and `explain.html`, to a folder.
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// How many faces the gallery shows.
    #[arg(long, default_value_t = 2, value_name = "FACES")]
    gallery: u64,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

fn language(code: &str) -> Result<Language, String> {
    let known = Language::ALL.map(Language::code).join(", ");
    let found = Language::ALL.into_iter().find(|language| language.code() == code);
    found.ok_or_else(|| format!("language '{code}' is unknown, known are {known}"))
}

/// Measures, shows, and writes.
pub(super) fn run(args: &ExplainArgs, settings: &Settings) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let catalog = catalog(settings)?;
    let clip = catalog.clip(None)?;
    let options = options(args, &clip, input_px(&runtime, &clip)?);
    let bar = output::progress(args.faces * Cue::ALL.len() as u64, "pictures");
    // One waits for the model while another perturbs pictures.
    let workers = std::thread::available_parallelism().map_or(2, usize::from).clamp(2, 8);
    let scorer = |_| Ok(Served { runtime: &runtime, clip: catalog.clip(None)? });
    let scorers = (0..workers).map(scorer).collect::<anyhow::Result<Vec<Served<'_>>>>()?;
    let report = measure_explanations(scorers, &options, &|done| {
        bar.set_position(done);
        if stop.load(Ordering::Relaxed) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let took = bar.elapsed();
    bar.finish_and_clear();
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(folder) = &args.out {
        write(folder, &json, &report, args.gallery)?;
    }
    if args.json {
        output::say(json);
        return Ok(());
    }
    output::say(tables::lead(&report));
    for table in tables::tables(&report) {
        output::say(format_args!("\n{}\n{}", table.title, table.note));
        let head: Vec<&str> = table.head.iter().map(String::as_str).collect();
        output::table(&head, &table.rows);
    }
    output::say(format_args!("\n{} pictures in {:.0} s", report.scenes, took.as_secs_f64()));
    if let Some(folder) = &args.out {
        output::say(format_args!("gallery in {}", folder.join("explain.html").display()));
    }
    Ok(())
}

fn options(args: &ExplainArgs, clip: &ClipService, input_px: u32) -> ExplanationOptions {
    let mut methods = args.methods.clone();
    if methods.is_empty() {
        methods = Method::ALL.to_vec();
    }
    let depth = match (args.cheap, args.full) {
        (true, _) => Depth::Cheap,
        (_, true) => Depth::Full,
        _ => Depth::Standard,
    };
    ExplanationOptions {
        faces: args.faces,
        first_seed: FIRST,
        side_px: SIDE_PX,
        input_px,
        methods: unique(methods),
        languages: unique(args.languages.clone()),
        nulls: clip.null_prompts().to_vec(),
        depth,
    }
}

/// Each once, in the order of their first coming.
fn unique<T: PartialEq>(all: Vec<T>) -> Vec<T> {
    all.into_iter().fold(Vec::new(), |mut seen, one| {
        if !seen.contains(&one) {
            seen.push(one);
        }
        seen
    })
}

/// The side of what the model sees, from how it fits a picture.
fn input_px(runtime: &Runtime, clip: &ClipService) -> anyhow::Result<u32> {
    let image = Arc::new(draw(&FaceSpec::sample(FIRST), SIDE_PX).image);
    let seen = runtime.block_on(clip.embed_image(image, None, Terms::default()))?;
    Ok((seen.area.width() * seen.fit.scale_x).round() as u32)
}

fn write(folder: &Path, json: &str, report: &ExplanationReport, faces: u64) -> anyhow::Result<()> {
    let cannot = |path: &Path| format!("cannot write {}", path.display());
    std::fs::create_dir_all(folder).with_context(|| cannot(folder))?;
    let shown = report.records.iter().filter(|record| record.seed < FIRST + faces);
    let page = gallery::page(report, shown, SIDE_PX)?.html()?;
    for (name, content) in [("explain.json", json), ("explain.html", &page)] {
        let path = folder.join(name);
        std::fs::write(&path, content).with_context(|| cannot(&path))?;
    }
    Ok(())
}
