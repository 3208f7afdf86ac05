//! `veriframe verify-answer`: a generated answer against pictures and evidence, claim by claim.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use clap::Args;
use serde_json::{Value, json};

use super::client::{Session, explained};
use super::evidence::StoreArgs;
use super::filter::filter;
use super::output;
use super::witness::Witness;
use crate::config::Settings;
use crate::proto::v1;

/// Check a generated answer against pictures and evidence, claim by claim.
///
/// Examples:
///   veriframe verify-answer face.png --answer "The teeth are uneven. The eyes are blue."
///   veriframe verify-answer face.png --answer-file answer.txt --collection cases \
///       --where subject=0417 --data evidence
///   echo "안경을 쓰고 있다." | veriframe verify-answer face.png --answer-file - --json
///   veriframe verify-answer --answer "#mismatched_pupils, uneven teeth" --split
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "names stand as they are typed")]
pub(super) struct VerifyAnswerArgs {
    /// The pictures that the answer is about: JPEG, PNG, WebP, BMP, GIF or TIFF files.
    images: Vec<PathBuf>,
    /// The answer.
    #[arg(long, required_unless_present = "answer_file", conflicts_with = "answer_file")]
    answer: Option<String>,
    /// A file that holds the answer; - for standard input.
    #[arg(long, value_name = "FILE")]
    answer_file: Option<PathBuf>,
    /// What was asked of the system that answered; helps to find evidence.
    #[arg(long, default_value = "")]
    question: String,
    /// The collection where evidence is looked for: see `veriframe evidence`.
    #[arg(long, value_name = "NAME")]
    collection: Option<String>,
    /// Only evidence whose metadata has this value, as `veriframe evidence search` has it; repeatable.
    #[arg(long = "where", value_name = "NAME=VALUE", requires = "collection")]
    conditions: Vec<String>,
    /// Hear only these witnesses, comma-separated.
    #[arg(long = "witness", value_name = "WITNESS", value_delimiter = ',')]
    witnesses: Vec<Witness>,
    /// Only split the answer into claims and cues.
    #[arg(long)]
    split: bool,
    /// Write each claim's heatmap over its picture into this folder, as claim-1.png and so on.
    #[arg(long, value_name = "DIR")]
    heatmaps: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// Runs the command.
pub(super) fn run(args: &VerifyAnswerArgs, settings: &Settings) -> anyhow::Result<()> {
    tokio::runtime::Runtime::new()?.block_on(verify(args, settings))
}

async fn verify(args: &VerifyAnswerArgs, settings: &Settings) -> anyhow::Result<()> {
    let answer = answer(args)?;
    let session = Session::open(&args.store.server, settings).await?;
    let mut client = session.answers();
    if args.split {
        let request = v1::SplitAnswerRequest { answer };
        let split = client.split_answer(request).await.map_err(|status| explained(&status))?;
        show_split(&split.into_inner(), args.json)?;
        return session.close().await;
    }
    let request = request(args, answer.clone())?;
    let told = client.verify_answer(request).await.map_err(|status| explained(&status))?;
    let told = told.into_inner();
    if let Some(folder) = &args.heatmaps {
        save_heatmaps(folder, &told)?;
    }
    if args.json {
        output::say(serde_json::to_string_pretty(&as_json(&told))?);
    } else {
        show(&told);
    }
    session.close().await
}

fn answer(args: &VerifyAnswerArgs) -> anyhow::Result<String> {
    match (&args.answer, &args.answer_file) {
        (Some(answer), _) => Ok(answer.clone()),
        (None, Some(path)) if path.as_os_str() == "-" => {
            let mut answer = String::new();
            std::io::stdin().read_to_string(&mut answer).context("cannot read standard input")?;
            Ok(answer)
        }
        (None, Some(path)) => std::fs::read_to_string(path)
            .with_context(|| format!("cannot read the answer from {}", path.display())),
        (None, None) => anyhow::bail!("give the answer with --answer or --answer-file"),
    }
}

fn request(args: &VerifyAnswerArgs, answer: String) -> anyhow::Result<v1::VerifyAnswerRequest> {
    let mut images = Vec::new();
    for path in &args.images {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        images.push(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) });
    }
    let filter = filter(&args.conditions)?;
    Ok(v1::VerifyAnswerRequest {
        question: args.question.clone(),
        answer,
        images,
        evidence: args.collection.clone().map(|collection| v1::EvidenceScope {
            collection,
            filter,
            ..v1::EvidenceScope::default()
        }),
        witnesses: args.witnesses.iter().map(|witness| witness.kind().into()).collect(),
        heatmaps: args.heatmaps.is_some().then(|| v1::HeatmapQuery {
            encoding: v1::HeatmapEncoding::PngOverlay.into(),
            ..v1::HeatmapQuery::default()
        }),
        ..v1::VerifyAnswerRequest::default()
    })
}

fn save_heatmaps(folder: &std::path::Path, told: &v1::VerifyAnswerResponse) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)
        .with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for (at, claim) in told.claims.iter().enumerate() {
        let maps = claim.heatmaps.iter().flat_map(|maps| &maps.heatmaps);
        for map in maps {
            if let Some(v1::heatmap::Content::Png(png)) = &map.content {
                let path = folder.join(format!("claim-{}.png", at + 1));
                std::fs::write(&path, png)
                    .with_context(|| format!("cannot write {}", path.display()))?;
            }
        }
    }
    Ok(())
}

/// The wire's name for a value without what it puts before it, in lower case with spaces.
fn plain(name: &str, prefix: &str) -> String {
    name.strip_prefix(prefix).unwrap_or(name).to_lowercase().replace('_', " ")
}

pub(super) fn status_name(status: v1::ClaimStatus) -> String {
    plain(status.as_str_name(), "CLAIM_STATUS_")
}

pub(super) fn witness_name(witness: v1::WitnessKind) -> String {
    plain(witness.as_str_name(), "WITNESS_KIND_")
}

pub(super) fn reason_name(reason: v1::ClaimReason) -> String {
    plain(reason.as_str_name(), "CLAIM_REASON_")
}

/// What is cited, once each, by its first place in the answer.
struct Sources(Vec<String>);

impl Sources {
    /// The number of a citation's source, from 1.
    fn number(&mut self, citation: &v1::Citation) -> usize {
        let told = source(citation);
        let known = self.0.iter().position(|known| *known == told);
        known.unwrap_or_else(|| {
            self.0.push(told);
            self.0.len() - 1
        }) + 1
    }
}

/// A citation's source in one line.
pub(super) fn source(citation: &v1::Citation) -> String {
    match &citation.source {
        Some(v1::citation::Source::Picture(place)) => {
            let mut told = match place.sequence {
                Some(sequence) => format!("frame {sequence}"),
                None => format!("picture {}", place.image + 1),
            };
            if let Some(edges) = &place.r#box {
                told = format!(
                    "{told}, {} at {:.0}, {:.0}, {:.0}, {:.0}",
                    place.label, edges.x1, edges.y1, edges.x2, edges.y2
                );
            }
            told
        }
        Some(v1::citation::Source::Evidence(evidence)) => {
            let named = [&evidence.title, &evidence.source_uri, &evidence.item_id];
            let name = named.into_iter().find(|name| !name.is_empty());
            format!(
                "{} [{}–{}] \"{}\"",
                name.map_or("", |name| name),
                evidence.start_byte,
                evidence.end_byte,
                evidence.text
            )
        }
        None => String::new(),
    }
}

/// Claims, witnesses and sources as a table, and what follows for the answer.
pub(super) fn show(told: &v1::VerifyAnswerResponse) {
    let mut sources = Sources(Vec::new());
    let witnesses = heard(told);
    let names: Vec<String> = witnesses.iter().map(|&one| witness_name(one)).collect();
    let mut head = vec!["claim", "status", "P(true)"];
    head.extend(names.iter().map(String::as_str));
    head.extend(["why", "sources"]);
    let rows: Vec<Vec<String>> =
        told.claims.iter().map(|claim| claim_row(claim, &witnesses, &mut sources)).collect();
    output::table(&head, &rows);
    if !sources.0.is_empty() {
        output::say("");
        for (at, source) in sources.0.iter().enumerate() {
            output::say(format!("  [{}] {source}", at + 1));
        }
    }
    let verdict = told.verdict.clone().unwrap_or_default();
    output::say("");
    output::say(format!(
        "The answer is {}: P(true) {}; {} of {} claims checked.",
        status_name(verdict.status()),
        probability(verdict.confidence),
        verdict.checked,
        verdict.checked + verdict.unchecked
    ));
    let without: Vec<String> = verdict
        .ablations
        .iter()
        .map(|one| format!("{} {}", witness_name(one.without()), probability(one.confidence)))
        .collect();
    if without.len() > 1 {
        output::say(format!("Without a witness: {}.", without.join(", ")));
    }
    let calibration = told.calibration.clone().unwrap_or_default();
    if calibration.method.is_empty() {
        output::say("Uncalibrated: P(true) puts claims in order, but is no probability.");
    }
}

/// Witnesses that were asked about any claim.
fn heard(told: &v1::VerifyAnswerResponse) -> Vec<v1::WitnessKind> {
    let mut heard: Vec<v1::WitnessKind> = told
        .claims
        .iter()
        .flat_map(|claim| claim.testimonies.iter().map(v1::Testimony::witness))
        .collect();
    heard.sort_unstable();
    heard.dedup();
    heard
}

fn claim_row(
    result: &v1::ClaimResult,
    witnesses: &[v1::WitnessKind],
    sources: &mut Sources,
) -> Vec<String> {
    let said = |witness: v1::WitnessKind| {
        let said = result.testimonies.iter().find(|said| said.witness() == witness);
        said.map_or(String::new(), |said| {
            if said.silence.is_empty() { format!("{:+.1}", said.support) } else { "·".to_owned() }
        })
    };
    let mut numbers: Vec<usize> = result
        .testimonies
        .iter()
        .flat_map(|said| said.citations.iter().take(2))
        .map(|citation| sources.number(citation))
        .collect();
    numbers.sort_unstable();
    numbers.dedup();
    let claim = result.claim.clone().unwrap_or_default();
    let mut row = vec![claim.text, status_name(result.status()), probability(result.confidence)];
    row.extend(witnesses.iter().map(|&witness| said(witness)));
    row.push(result.reasons().map(reason_name).collect::<Vec<_>>().join(", "));
    row.push(numbers.iter().map(|at| format!("[{at}]")).collect::<Vec<_>>().join(" "));
    row
}

fn probability(confidence: Option<f64>) -> String {
    confidence.map_or("–".to_owned(), |confidence| format!("{confidence:.2}"))
}

fn show_split(split: &v1::SplitAnswerResponse, as_json: bool) -> anyhow::Result<()> {
    if as_json {
        let claims: Vec<Value> = split.claims.iter().map(claim_json).collect();
        let cues: Vec<Value> = split
            .cues
            .iter()
            .map(|cue| json!({ "start": cue.start_byte, "end": cue.end_byte, "text": cue.text }))
            .collect();
        let told = json!({ "claims": claims, "cues": cues });
        output::say(serde_json::to_string_pretty(&told)?);
        return Ok(());
    }
    let rows: Vec<Vec<String>> = split
        .claims
        .iter()
        .map(|claim| {
            vec![
                format!("{}–{}", claim.start_byte, claim.end_byte),
                claim.text.clone(),
                plain(claim.kind().as_str_name(), "CLAIM_KIND_"),
                claim.contradictions.join(" | "),
            ]
        })
        .collect();
    output::table(&["bytes", "claim", "kind", "contradicted by"], &rows);
    let cues: Vec<&str> = split.cues.iter().map(|cue| cue.text.as_str()).collect();
    if !cues.is_empty() {
        output::say(format!("\nCues: {}", cues.join("; ")));
    }
    Ok(())
}

fn claim_json(claim: &v1::Claim) -> Value {
    json!({
        "start": claim.start_byte,
        "end": claim.end_byte,
        "text": claim.text,
        "kind": plain(claim.kind().as_str_name(), "CLAIM_KIND_"),
        "language": claim.language,
        "rule": claim.rule,
        "contradictions": claim.contradictions,
    })
}

fn as_json(told: &v1::VerifyAnswerResponse) -> Value {
    let verdict = told.verdict.clone().unwrap_or_default();
    let ablations: serde_json::Map<String, Value> = verdict
        .ablations
        .iter()
        .map(|one| (witness_name(one.without()), json!(one.confidence)))
        .collect();
    let calibration = told.calibration.clone().unwrap_or_default();
    json!({
        "status": status_name(verdict.status()),
        "confidence": verdict.confidence,
        "checked": verdict.checked,
        "unchecked": verdict.unchecked,
        "without": ablations,
        "calibration": calibration.name,
        "claims": told.claims.iter().map(result_json).collect::<Vec<_>>(),
    })
}

fn result_json(result: &v1::ClaimResult) -> Value {
    let testimony = |said: &v1::Testimony| {
        json!({
            "witness": witness_name(said.witness()),
            "stance": plain(said.stance().as_str_name(), "STANCE_"),
            "support": said.support,
            "silence": said.silence,
            "citations": said.citations.iter().map(citation_json).collect::<Vec<_>>(),
        })
    };
    json!({
        "claim": claim_json(&result.claim.clone().unwrap_or_default()),
        "status": status_name(result.status()),
        "reasons": result.reasons().map(reason_name).collect::<Vec<_>>(),
        "confidence": result.confidence,
        "testimonies": result.testimonies.iter().map(testimony).collect::<Vec<_>>(),
    })
}

fn citation_json(citation: &v1::Citation) -> Value {
    let mut told = match &citation.source {
        Some(v1::citation::Source::Picture(place)) => json!({
            "image": place.image,
            "box": place.r#box.map(|edges| [edges.x1, edges.y1, edges.x2, edges.y2]),
            "label": place.label,
        }),
        Some(v1::citation::Source::Evidence(evidence)) => json!({
            "item": evidence.item_id,
            "source_uri": evidence.source_uri,
            "title": evidence.title,
            "start": evidence.start_byte,
            "end": evidence.end_byte,
            "text": evidence.text,
            "score": evidence.score,
        }),
        None => json!({}),
    };
    told["stance"] = json!(plain(citation.stance().as_str_name(), "STANCE_"));
    told["support"] = json!(citation.support);
    told
}
