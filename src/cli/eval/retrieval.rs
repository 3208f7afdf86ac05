//! `veriframe eval retrieval`: how well evidence is found, over the wire.

use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use tokio::runtime::Runtime;

use super::labelled::{Labelled, gather};
use crate::cli::client::{Needs, ServerArgs, Session, explained};
use crate::cli::options::ModelArgs;
use crate::cli::output;
use crate::config::Settings;
use crate::evaluation::bootstrap::Interval;
use crate::evaluation::dataset::RetrievalLine;
use crate::evaluation::retrieval::{Ranked, RetrievalReport};
use crate::proto::v1;

/// The most hits that one search gives.
const MOST_HITS: u64 = 100;

/// Measure how well a collection's evidence is found: recall of the first k, mean reciprocal rank and
/// nDCG, by text, by picture, and by both, with 95 % intervals over queries. The collection holds what
/// FILE's ids name: `veriframe evidence ingest` puts it there.
///
/// FILE has a line for each query: {"id","text","image":"path from the file","relevant":{"id":grade}},
/// with a text, an image or both; grades are 1 and more.
///
/// Examples:
///   veriframe eval retrieval out/cases/retrieval.jsonl --collection cases
///   veriframe eval retrieval out/cases/retrieval.jsonl --collection cases --k 1,2 --min-grade 2
///   veriframe eval retrieval queries.jsonl --collection c --server 127.0.0.1:50051 --json
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(super) struct RetrievalArgs {
    /// The queries.
    file: PathBuf,
    /// Where to look.
    #[arg(long, value_name = "NAME")]
    collection: String,
    /// How many hits recall looks at; nDCG looks at the most of these.
    #[arg(long, value_name = "HITS", value_delimiter = ',', default_values = ["1", "5", "10"],
          value_parser = clap::value_parser!(u64).range(1..=MOST_HITS))]
    k: Vec<u64>,
    /// Items of a lower grade do not count for recall and reciprocal rank.
    #[arg(long, value_name = "GRADE", default_value_t = 1,
          value_parser = clap::value_parser!(u32).range(1..=30))]
    min_grade: u32,
    /// Weight of the text where a query has both.
    #[arg(long, value_name = "WEIGHT")]
    text_weight: Option<f32>,
    /// Weight of the picture where a query has both.
    #[arg(long, value_name = "WEIGHT")]
    image_weight: Option<f32>,
    /// Compare with every chunk rather than through the index.
    #[arg(long)]
    exact: bool,
    /// Ask the first queries alone.
    #[arg(long, value_name = "QUERIES")]
    limit: Option<usize>,
    /// Queries at a time.
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=64))]
    parallel: u64,
    /// Print JSON instead of a table.
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

/// Measures, shows, and writes. Ctrl-C ends it with what was measured until then.
pub(super) fn run(args: &RetrievalArgs, settings: &Settings) -> anyhow::Result<()> {
    let queries: Labelled<RetrievalLine> = Labelled::read(&args.file, args.limit)?;
    let ranked = Runtime::new()?.block_on(ask(args, settings, &queries))?;
    anyhow::ensure!(!ranked.is_empty(), "no query was answered");
    let depths: Vec<usize> = args.k.iter().map(|&k| k as usize).collect();
    let report = RetrievalReport::measure(&ranked, &depths, args.min_grade);
    let json = serde_json::to_string_pretty(&report)?;
    if let Some(path) = &args.out {
        std::fs::write(path, &json).with_context(|| format!("cannot write {}", path.display()))?;
    }
    if args.json {
        output::say(json);
    } else {
        show(&report);
    }
    Ok(())
}

async fn ask(
    args: &RetrievalArgs,
    settings: &Settings,
    queries: &Labelled<RetrievalLine>,
) -> anyhow::Result<Vec<Ranked>> {
    let session = Session::evidence(&args.server, settings, Needs::Models).await?;
    let bar = output::progress(queries.lines.len() as u64, "queries");
    let jobs = queries.lines.iter().map(|line| {
        let mut client = session.client.clone();
        async move {
            let request = request(args, queries, line).await?;
            let answer = client.search_evidence(request).await;
            let answer = answer.map_err(|status| explained(&status));
            let answer = answer.with_context(|| line.id.clone())?.into_inner();
            Ok(Ranked {
                id: line.id.clone(),
                by: by(line),
                found: answer.hits.into_iter().filter_map(|hit| Some(hit.item?.id)).collect(),
                relevant: line.relevant.clone(),
            })
        }
    });
    let ranked = gather(jobs, args.parallel as usize, &bar).await;
    bar.finish_and_clear();
    let ranked = ranked?;
    session.close().await?;
    Ok(ranked)
}

async fn request(
    args: &RetrievalArgs,
    queries: &Labelled<RetrievalLine>,
    line: &RetrievalLine,
) -> anyhow::Result<v1::SearchEvidenceRequest> {
    let hits = args.k.iter().copied().max().unwrap_or(1);
    let both = !line.text.is_empty() && line.image.is_some();
    Ok(v1::SearchEvidenceRequest {
        collection: args.collection.clone(),
        query: Some(v1::EvidenceQuery {
            text: line.text.clone(),
            image: queries.image(line.image.as_deref()).await?,
            text_weight: args.text_weight.filter(|_| both),
            image_weight: args.image_weight.filter(|_| both),
            ..Default::default()
        }),
        limit: Some(hits as u32),
        group_by_item: Some(true),
        exact: args.exact,
        ..Default::default()
    })
}

fn by(line: &RetrievalLine) -> &'static str {
    match (line.text.is_empty(), line.image.is_some()) {
        (false, false) => "text",
        (false, true) => "text and picture",
        (true, _) => "picture",
    }
}

fn show(report: &RetrievalReport) {
    let share = |value: Option<f64>, interval: Option<Interval>| match (value, interval) {
        (Some(value), Some(Interval { low, high })) => {
            format!("{value:.3} ({low:.3} to {high:.3})")
        }
        (Some(value), None) => format!("{value:.3}"),
        (None, _) => String::new(),
    };
    let mut head = vec!["looked for by".to_owned(), "queries".to_owned()];
    let depths = report.rows.first().map_or(&[][..], |row| &row.recall);
    head.extend(depths.iter().map(|at| format!("recall@{}", at.k)));
    head.extend(["MRR".to_owned(), format!("nDCG@{}", report.ndcg_k)]);
    let rows = report.rows.iter().map(|row| {
        let mut cells = vec![row.by.to_owned(), row.queries.to_string()];
        cells.extend(row.recall.iter().map(|at| share(at.recall, at.interval)));
        cells.push(share(row.mrr, row.mrr_interval));
        cells.push(share(row.ndcg, row.ndcg_interval));
        cells
    });
    let head: Vec<&str> = head.iter().map(String::as_str).collect();
    output::table(&head, &rows.collect::<Vec<_>>());
}
