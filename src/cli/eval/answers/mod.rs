//! `veriframe eval answers`: how well answers are checked, over the wire.

mod ask;
mod judge;
mod page;
mod tables;

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use tokio::runtime::Runtime;

use self::ask::{Asked, Heard};
use super::labelled::Labelled;
use super::tables::Titled;
use crate::cli::client::{ServerArgs, Session};
use crate::cli::options::ModelArgs;
use crate::cli::output;
use crate::cli::witness::Witness;
use crate::config::Settings;
use crate::evaluation::answers::{AnswersReport, Row};
use crate::evaluation::dataset::{AnswerLine, write};

/// Measure how well answers are checked: every claim's verdict against what is known of it (coverage,
/// accuracy, AUROC and calibration error of the confidence), citations against the evidence that
/// speaks to the claim, and the confidence of true answers against that of false ones; in each
/// language, with 95 % intervals over subjects, by kind of claim and by what it is about.
///
/// FILE has a line for each answer: see `veriframe eval dossiers --help`, which makes one. Paths of
/// pictures are relative to FILE. The collection holds the evidence, which `veriframe evidence ingest`
/// puts there; without --collection, pictures alone are asked.
///
/// Examples:
///   veriframe eval answers out/cases/answers.jsonl --collection cases
///   veriframe eval answers out/cases/answers.jsonl --collection cases --html worst.html
///   veriframe eval answers out/cases/answers.jsonl --collection cases --ablation --json
///   veriframe eval answers out/fit/answers.jsonl --collection fit --rows rows.jsonl
///   veriframe eval answers out/cases/answers.jsonl --witnesses pixels,regions
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct AnswersArgs {
    /// The answers.
    file: PathBuf,
    /// Where evidence is looked for; each line's filter says among which items.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Who is asked; all that can be where none is named.
    #[arg(long, value_name = "WITNESS", value_delimiter = ',')]
    witnesses: Vec<Witness>,
    /// Also ask without most witnesses: pictures alone, the detector alone, texts alone, and evidence
    /// with pictures alone. Five times the calls.
    #[arg(long, conflicts_with = "witnesses")]
    ablation: bool,
    /// Chunks of evidence read for each claim.
    #[arg(long, value_name = "CHUNKS", value_parser = clap::value_parser!(u32).range(1..=32))]
    chunks: Option<u32>,
    /// Least cosine of two pictures of the same thing.
    #[arg(long, value_name = "COSINE")]
    min_same_cosine: Option<f32>,
    /// Ask about the first answers alone.
    #[arg(long, value_name = "ANSWERS")]
    limit: Option<usize>,
    /// Answers at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    parallel: u64,
    /// Write what every witness said of every labelled claim, for `veriframe calibrate`: lines of
    /// {"features":{"pixels":1.2,"text":-0.4},"label":bool,"group":"subject"}; who was silent is
    /// absent. Where several spoke, each has a line alone, too.
    #[arg(long, value_name = "JSONL")]
    rows: Option<PathBuf>,
    /// Write a page with the tables and the worst cases, with their pictures and sources.
    #[arg(long, value_name = "HTML")]
    html: Option<PathBuf>,
    /// How many cases the page shows.
    #[arg(long, value_name = "CASES", default_value_t = 24)]
    worst: usize,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Also write the JSON to a file.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// Everything measured.
#[derive(Debug, Serialize)]
struct Measured {
    /// Answers in the file, or as many as were to be asked about.
    answers: usize,
    /// Those that were checked; fewer where Ctrl-C ended it.
    checked: usize,
    /// Labelled claims where no claim was found.
    missed: usize,
    /// The calibration behind the confidences, as the server names it.
    calibration: String,
    /// The CLIP model that compared, if any.
    model: Option<String>,
    /// Who was asked; everybody who can be where empty.
    witnesses: Vec<&'static str>,
    /// With the witnesses that were asked for.
    #[serde(flatten)]
    report: AnswersReport,
    /// With fewer witnesses: the same figures over every language.
    ablation: Vec<Ablated>,
}

/// What is left with fewer witnesses.
#[derive(Debug, Serialize)]
struct Ablated {
    /// Who was asked.
    witnesses: &'static str,
    /// Over every language.
    #[serde(flatten)]
    row: Row,
}

/// Measures, shows, and writes. Ctrl-C ends it with what was measured until then.
pub(super) fn run(args: &AnswersArgs, settings: &Settings) -> anyhow::Result<()> {
    let lines: Labelled<AnswerLine> = Labelled::read(&args.file, args.limit)?;
    let runtime = Runtime::new()?;
    let (asked, ablation) = runtime.block_on(ask_all(args, settings, &lines))?;
    anyhow::ensure!(!asked.is_empty(), "no answer was checked");
    let measured = measured(args, &lines, &asked, ablation);
    let tables = tables::tables(&measured);
    let json = serde_json::to_string_pretty(&measured)?;
    if let Some(path) = &args.out {
        save(path, &json)?;
    }
    if let Some(path) = &args.rows {
        save(path, &write(&judge::rows(&asked))?)?;
    }
    if let Some(path) = &args.html {
        let page =
            runtime.block_on(page::page(&lines, &asked, (&measured, &tables), args.worst))?;
        save(path, &page.html()?)?;
    }
    if args.json {
        output::say(json);
        return Ok(());
    }
    output::say(tables::lead(&measured));
    for Titled { title, note, head, rows } in &tables {
        output::say(format_args!("\n{title}\n{note}"));
        output::table(&head.iter().map(String::as_str).collect::<Vec<_>>(), rows);
    }
    Ok(())
}

/// What the server said with the witnesses that were asked for, and what was measured with fewer.
async fn ask_all<'a>(
    args: &AnswersArgs,
    settings: &Settings,
    lines: &'a Labelled<AnswerLine>,
) -> anyhow::Result<(Vec<Asked<'a>>, Vec<Ablated>)> {
    let session = Session::open(&args.server, settings).await?;
    let heard = Heard { name: "all", witnesses: &args.witnesses };
    let asked = ask::ask(&session, args, lines, &heard).await?;
    let mut ablation = Vec::new();
    if args.ablation {
        for heard in Heard::FEWER {
            if asked.len() < lines.lines.len() {
                break;
            }
            let fewer = ask::ask(&session, args, lines, &heard).await?;
            if fewer.len() == lines.lines.len() {
                let judged: Vec<_> = fewer.iter().map(judge::judged).collect();
                let row = AnswersReport::measure(&judged).languages.pop();
                ablation.extend(row.map(|row| Ablated { witnesses: heard.name, row }));
            }
        }
    }
    session.close().await?;
    Ok((asked, ablation))
}

fn measured(
    args: &AnswersArgs,
    lines: &Labelled<AnswerLine>,
    asked: &[Asked<'_>],
    ablation: Vec<Ablated>,
) -> Measured {
    let judged: Vec<_> = asked.iter().map(judge::judged).collect();
    let identity = asked.iter().find_map(|one| one.response.calibration.as_ref());
    let model = asked.iter().find_map(|one| one.response.model.as_ref());
    let claims = judged.iter().flat_map(|answer| &answer.claims);
    Measured {
        answers: lines.lines.len(),
        checked: asked.len(),
        missed: claims.filter(|claim| claim.kind == judge::MISSED).count(),
        calibration: identity.map(|identity| identity.name.clone()).unwrap_or_default(),
        model: model.map(|model| model.name.clone()),
        witnesses: args.witnesses.iter().map(|witness| witness.name()).collect(),
        report: AnswersReport::measure(&judged),
        ablation,
    }
}

fn save(path: &Path, content: &str) -> anyhow::Result<()> {
    std::fs::write(path, content).with_context(|| format!("cannot write {}", path.display()))
}
