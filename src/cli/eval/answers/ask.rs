//! The calls: every answer, to these or those witnesses.

use anyhow::Context;

use super::AnswersArgs;
use crate::cli::client::{Session, explained};
use crate::cli::eval::labelled::{Labelled, gather};
use crate::cli::filter::{all, any_of};
use crate::cli::output;
use crate::cli::witness::Witness;
use crate::evaluation::dataset::AnswerLine;
use crate::proto::v1;

/// Who is heard in one run.
pub(super) struct Heard<'a> {
    /// In tables.
    pub(super) name: &'static str,
    /// All that can be where empty.
    pub(super) witnesses: &'a [Witness],
}

impl Heard<'static> {
    /// The runs of an ablation, beside that with all.
    pub(super) const FEWER: [Self; 4] = [
        Self { name: "pixels and regions", witnesses: &[Witness::Pixels, Witness::Regions] },
        Self { name: "detector", witnesses: &[Witness::Detector] },
        Self { name: "text", witnesses: &[Witness::Text] },
        Self { name: "images", witnesses: &[Witness::Images] },
    ];
}

/// An answer and what the server said of it.
pub(super) struct Asked<'a> {
    pub(super) line: &'a AnswerLine,
    pub(super) response: v1::VerifyAnswerResponse,
}

/// Asks about every line; about those before Ctrl-C where there is one.
pub(super) async fn ask<'a>(
    session: &Session,
    args: &AnswersArgs,
    lines: &'a Labelled<AnswerLine>,
    heard: &Heard<'_>,
) -> anyhow::Result<Vec<Asked<'a>>> {
    let bar = output::progress(lines.lines.len() as u64, "answers");
    bar.set_message(heard.name);
    let jobs = lines.lines.iter().map(|line| {
        let mut client = session.answers();
        async move {
            let request = request(args, lines, line, heard).await?;
            let response = client.verify_answer(request).await;
            let response = response.map_err(|status| explained(&status));
            let response = response.with_context(|| line.id.clone())?.into_inner();
            Ok(Asked { line, response })
        }
    });
    let asked = gather(jobs, args.parallel as usize, &bar).await;
    bar.finish_and_clear();
    asked
}

async fn request(
    args: &AnswersArgs,
    lines: &Labelled<AnswerLine>,
    line: &AnswerLine,
    heard: &Heard<'_>,
) -> anyhow::Result<v1::VerifyAnswerRequest> {
    let image = lines.image(line.image.as_deref()).await?;
    Ok(v1::VerifyAnswerRequest {
        question: line.question.clone(),
        answer: line.answer.clone(),
        images: image.into_iter().collect(),
        evidence: args.collection.as_ref().map(|collection| v1::EvidenceScope {
            collection: collection.clone(),
            filter: filter(line),
            limit: args.chunks,
            min_same_cosine: args.min_same_cosine,
        }),
        witnesses: heard.witnesses.iter().map(|witness| witness.kind().into()).collect(),
        ..Default::default()
    })
}

fn filter(line: &AnswerLine) -> Option<v1::EvidenceFilter> {
    all(line.filter.iter().map(|(name, value)| any_of(name, vec![value.clone()])).collect())
}
