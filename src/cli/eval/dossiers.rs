//! `veriframe eval dossiers`: the demo world's cases as files, to measure retrieval and checked answers
//! on.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;

use anyhow::Context;
use clap::Args;
use serde::Serialize;
use serde_json::Value;
use tokio::runtime::Runtime;

use super::{FIRST, stop_on_ctrl_c};
use crate::cli::{images, output};
use crate::evaluation::dataset::{
    AnswerLine, ClaimLine, EvidenceLine, Label, RetrievalLine, write,
};
use crate::scenes::dossier::{Answer, Dossier, Item, Truth};
use crate::scenes::{FaceSpec, HELD_OUT, draw};

/// Side of the drawn pictures in pixels, as for `veriframe eval`.
const SIDE_PX: u32 = 224;
/// The first case by default: neither training nor `veriframe eval` looks at these faces.
const FIRST_CASE: u64 = FIRST + 100_000;

/// Make a labelled data set from the demo world: people, a file of evidence about each (a registered
/// portrait, an examiner's report, a note), and a true and a false answer about a picture of each,
/// half of it in English and half in Korean. Neither the models nor their calibration have seen any of
/// it; the same seeds always make the same files.
///
/// Writes into DIR:
///   evidence.jsonl   for `veriframe evidence ingest`:
///                    {"id","text","image","source_uri","title","time","metadata"}
///   answers.jsonl    for `veriframe eval answers`: {"id","language","question","image","answer",
///                    "filter":{"subject":"0417"},"true":bool,"claims":[{"start","end",
///                    "label":"true|false|uncheckable","topic","evidence":["id"]}]};
///                    start and end are bytes of the answer, evidence what speaks to the claim
///   retrieval.jsonl  for `veriframe eval retrieval`: {"id","text","image","relevant":{"id":grade}};
///                    the description of a person, their questioned picture, and both
///   images/*.png     what these name
///
/// Examples:
///   veriframe eval dossiers out/cases
///   veriframe eval dossiers out/fit --subjects 400 --first 1000300000
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, clippy::doc_link_with_quotes, reason = "help shows lines of JSON")]
pub(super) struct DossiersArgs {
    /// Folder to write to; files of the same names are replaced.
    dir: PathBuf,
    /// How many people.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u64).range(1..=100_000))]
    subjects: u64,
    /// Seed of the first. What is calibrated on some people is measured on others.
    #[arg(long, value_name = "SEED", default_value_t = FIRST_CASE,
          value_parser = clap::value_parser!(u64).range(HELD_OUT..2 * HELD_OUT))]
    first: u64,
}

/// Everything but the pictures.
#[derive(Default)]
struct Files {
    evidence: Vec<EvidenceLine>,
    answers: Vec<AnswerLine>,
    retrieval: Vec<RetrievalLine>,
}

/// Draws and writes. Ctrl-C ends it with the people so far.
pub(super) fn run(args: &DossiersArgs) -> anyhow::Result<()> {
    let runtime = Runtime::new()?;
    let stop = stop_on_ctrl_c(&runtime);
    let pictures = args.dir.join("images");
    std::fs::create_dir_all(&pictures)
        .with_context(|| format!("cannot make {}", pictures.display()))?;
    let bar = output::progress(args.subjects, "people");
    let mut files = Files::default();
    let seeds = (args.first..).take(args.subjects as usize);
    let mut people = 0;
    for seed in seeds.take_while(|_| !stop.load(Ordering::Relaxed)) {
        files.add(&Dossier::of(seed), &args.dir)?;
        people += 1;
        bar.inc(1);
    }
    bar.finish_and_clear();
    save(&args.dir.join("evidence.jsonl"), &files.evidence)?;
    save(&args.dir.join("answers.jsonl"), &files.answers)?;
    save(&args.dir.join("retrieval.jsonl"), &files.retrieval)?;
    let claims: usize = files.answers.iter().map(|answer| answer.claims.len()).sum();
    output::say(format_args!(
        "{people} people, {} items of evidence, {} answers with {claims} claims, {} queries in {}",
        files.evidence.len(),
        files.answers.len(),
        files.retrieval.len(),
        args.dir.display()
    ));
    Ok(())
}

fn save(path: &Path, lines: &[impl Serialize]) -> anyhow::Result<()> {
    std::fs::write(path, write(lines)?).with_context(|| format!("cannot write {}", path.display()))
}

impl Files {
    fn add(&mut self, case: &Dossier, folder: &Path) -> anyhow::Result<()> {
        let questioned = picture(&format!("{}-questioned", case.case), &case.questioned, folder)?;
        for item in &case.items {
            let image = item.picture.as_ref().map(|spec| picture(&item.id, spec, folder));
            self.evidence.push(evidence(item, &case.case, image.transpose()?));
        }
        for answer in &case.answers {
            self.answers.push(labelled(answer, &case.case, &questioned));
        }
        let relevant: BTreeMap<String, u32> =
            case.relevant().map(|(id, grade)| (id.to_owned(), grade)).collect();
        let (text, image) = (&case.description, Some(&questioned));
        for (by, text, image) in
            [("text", text.as_str(), None), ("picture", "", image), ("both", text.as_str(), image)]
        {
            self.retrieval.push(RetrievalLine {
                id: format!("{}-{by}", case.case),
                text: text.to_owned(),
                image: image.cloned(),
                relevant: relevant.clone(),
            });
        }
        Ok(())
    }
}

/// Draws a picture into the folder; its path from there.
fn picture(name: &str, spec: &FaceSpec, folder: &Path) -> anyhow::Result<String> {
    let path = format!("images/{name}.png");
    let whole = folder.join(&path);
    std::fs::write(&whole, images::png(&draw(spec, SIDE_PX).image))
        .with_context(|| format!("cannot write {}", whole.display()))?;
    Ok(path)
}

fn evidence(item: &Item, subject: &str, image: Option<String>) -> EvidenceLine {
    let time = prost_types::Timestamp { seconds: item.time as i64, nanos: 0 };
    let metadata =
        [("subject", subject), ("kind", item.kind.name()), ("language", item.language.code())];
    let text = |value: &str| Value::String(value.to_owned());
    EvidenceLine {
        id: item.id.clone(),
        text: item.text.clone(),
        image,
        source_uri: item.source_uri.clone(),
        title: item.title.clone(),
        time: Some(time.to_string()),
        metadata: metadata.map(|(name, value)| (name.to_owned(), text(value))).into(),
    }
}

fn labelled(answer: &Answer, subject: &str, image: &str) -> AnswerLine {
    let label = |truth| match truth {
        Truth::True => Label::True,
        Truth::False => Label::False,
        Truth::Uncheckable => Label::Uncheckable,
    };
    let claims = answer.claims.iter().map(|claim| ClaimLine {
        start: claim.span.start,
        end: claim.span.end,
        label: label(claim.truth),
        topic: claim.about.name().to_owned(),
        evidence: claim.evidence.clone(),
    });
    AnswerLine {
        id: answer.id.clone(),
        language: answer.language.code().to_owned(),
        question: answer.question.clone(),
        image: Some(image.to_owned()),
        answer: answer.text.clone(),
        filter: [("subject".to_owned(), subject.to_owned())].into(),
        is_true: answer.is_true(),
        claims: claims.collect(),
    }
}
