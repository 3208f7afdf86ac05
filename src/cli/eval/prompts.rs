//! `veriframe eval prompts`: whether the confidence of a prompt's score comes true, and the rows that
//! it is fitted to.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::runtime::Runtime;

use super::{FIRST, stop_on_ctrl_c};
use crate::calibration::{Confidence, Kind, Row, Told, UNCALIBRATED};
use crate::cli::options::{ModelArgs, catalog};
use crate::cli::output;
use crate::config::Settings;
use crate::scenes::{Cue, FaceSpec, Language, draw, prompt};
use crate::serving::clip::ClipService;
use crate::serving::{Lease, Terms};
use crate::verification::{Score, Texts, prompt_figures};

/// Side of the drawn pictures in pixels, as for `veriframe eval`.
const SIDE_PX: u32 = 224;

/// Measure whether the calibrated confidence of a prompt's score comes true, on generated faces that
/// were never trained on; each is asked for every cue, as there and as not there, in every language.
/// Writes the rows that `veriframe calibrate --kind prompts` fits to where --rows says.
///
/// A row's figure "uncalibrated" is what CLIP's own softmax between the prompt and the null prompts
/// would tell: 1 / (1 + exp(-100 contrast)).
///
/// Examples:
///   veriframe eval prompts
///   veriframe eval prompts --faces 500 --json
///   veriframe eval prompts --from 1000000 --faces 400 --rows rows.jsonl
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct PromptsArgs {
    /// How many faces.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    faces: u64,
    /// The first face, counted from the first that `veriframe eval` shows. What is fitted on must
    /// lie apart from what is measured on.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=1_000_000_000))]
    from: u64,
    /// Write the rows, JSON Lines.
    #[arg(long, value_name = "FILE")]
    rows: Option<PathBuf>,
    /// Print JSON instead of a table.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// One prompt before one face.
struct Asked {
    language: Language,
    cue: Cue,
    row: Row,
    /// What the model's calibration tells, where it has one.
    confidence: Option<f64>,
}

/// How good probabilities of one kind of prompt are.
#[derive(Debug, Serialize)]
struct Measured {
    /// A language, a cue, or `all`.
    prompts: &'static str,
    before: Option<Confidence>,
    after: Option<Confidence>,
}

/// Measures, writes, shows.
pub(super) fn run(args: &PromptsArgs, settings: &Settings) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let catalog = catalog(settings)?;
    let clip = catalog.clip(None)?;
    let bar = output::progress(args.faces, "faces");
    let mut asked = Vec::new();
    let first = FIRST + args.from;
    for seed in (first..).take(args.faces as usize).take_while(|_| !stop.load(Ordering::Relaxed)) {
        asked.extend(runtime.block_on(face(&clip, seed))?);
        bar.inc(1);
    }
    bar.finish_and_clear();
    if let Some(path) = &args.rows {
        let stopped = stop.load(Ordering::Relaxed);
        anyhow::ensure!(!stopped, "interrupted, so no rows are written");
        let mut text = String::new();
        for one in &asked {
            writeln!(text, "{}", one.row.line())?;
        }
        std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?;
    }
    let measured = measured(&asked);
    if args.json {
        let calibration = clip.calibration(Kind::Prompts).map(|file| file.identity().name);
        let report = serde_json::json!({
            "rows": asked.len(), "calibration": calibration, "measured": measured,
        });
        output::say(serde_json::to_string_pretty(&report)?);
    } else {
        show(&measured, asked.len());
    }
    Ok(())
}

/// Every cue of one face, claimed to be there and not to be, in every language.
async fn face(clip: &Lease<ClipService>, seed: u64) -> anyhow::Result<Vec<Asked>> {
    let spec = FaceSpec::sample(seed);
    let scene = draw(&spec, SIDE_PX);
    let kinds: Vec<(Language, Cue, bool)> = Language::ALL
        .into_iter()
        .flat_map(|language| Cue::ALL.map(|cue| (language, cue)))
        .flat_map(|(language, cue)| [true, false].map(|present| (language, cue, present)))
        .collect();
    let prompts: Vec<String> =
        kinds.iter().map(|&(language, cue, on)| prompt(cue, on, language, seed)).collect();
    let texts = Texts::embed(clip, &prompts, None, Terms::default()).await?;
    let seen = clip.embed_image(Arc::new(scene.image), None, Terms::default()).await?;
    let scores = texts.scores(&prompts, &seen.vector, clip);
    let calibration = clip.calibration(Kind::Prompts);
    let each = kinds.into_iter().zip(&scores).map(|((language, cue, present), score)| {
        let label = spec.has(cue) == present;
        let confidence = calibration.map(|file| file.probability(&prompt_figures(score)));
        Asked { language, cue, row: row(score, label, seed), confidence }
    });
    Ok(each.collect())
}

fn row(score: &Score, label: bool, seed: u64) -> Row {
    let mut features = prompt_figures(score);
    let before = 1.0 / (1.0 + (-100.0 * f64::from(score.contrast)).exp());
    features.insert(UNCALIBRATED.to_owned(), before);
    Row { features, label, group: Some(format!("face-{seed}")) }
}

/// All prompts, those of each language, and those about each cue.
fn measured(asked: &[Asked]) -> Vec<Measured> {
    let of = |prompts: &'static str, among: &dyn Fn(&Asked) -> bool| {
        let among: Vec<&Asked> = asked.iter().filter(|one| among(one)).collect();
        let told = |probability: &dyn Fn(&Asked) -> Option<f64>| {
            let each = among
                .iter()
                .map(|one| Some(Told { probability: probability(one)?, hit: one.row.label }));
            Confidence::measure(&each.collect::<Option<Vec<Told>>>()?)
        };
        Measured {
            prompts,
            before: told(&|one| one.row.features.get(UNCALIBRATED).copied()),
            after: told(&|one| one.confidence),
        }
    };
    let mut rows = vec![of("all", &|_| true)];
    rows.extend(Language::ALL.map(|language| of(language.code(), &|one| one.language == language)));
    rows.extend(Cue::ALL.map(|cue| of(cue.name(), &|one| one.cue == cue)));
    rows
}

fn show(measured: &[Measured], rows: usize) {
    output::say(format_args!("{rows} prompts before faces, half of them true"));
    let figures = |told: &Option<Confidence>| match told {
        None => ["–", "–", "–"].map(str::to_owned),
        Some(told) => {
            let auroc = told.auroc.map_or("–".to_owned(), |auroc| format!("{auroc:.3}"));
            [format!("{:.3}", told.ece), format!("{:.3}", told.brier), auroc]
        }
    };
    let row = |row: &Measured| {
        let name = [row.prompts.to_owned()];
        [&name[..], &figures(&row.before), &figures(&row.after)].concat()
    };
    let head = ["prompts", "ECE before", "Brier", "AUROC", "ECE calibrated", "Brier", "AUROC"];
    output::table(&head, &measured.iter().map(row).collect::<Vec<_>>());
}
