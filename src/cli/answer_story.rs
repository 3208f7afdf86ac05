//! The demo's case: an answer about a picture, checked against the picture and what is on file.

use tonic::Code;

use super::client::{EvidenceClient, Session, explained};
use super::filter::{all, any_of};
use super::images;
use super::verify_answer::{reason_name, source, status_name, witness_name};
use crate::proto::v1;
use crate::report::answer::{Answer, Claim, Status, pieces};
use crate::report::{Body, Picture, Section};
use crate::scenes::dossier::{Dossier, LabelledClaim, Truth};
use crate::scenes::{HELD_OUT, draw};

/// The collection that the demo keeps its case in.
pub(super) const COLLECTION: &str = "demo";
/// The model that embeds it.
const MODEL: &str = "evidence";
/// From this cosine on its pictures are of one person: docs/answers.md.
const MIN_SAME_COSINE: f32 = 0.4;
/// Seeds of cases, apart from those of faces that are shown elsewhere.
const CASES: u64 = HELD_OUT + 6997;

/// A case with the answer that some system gave, which holds something false.
pub(super) struct Case {
    dossier: Dossier,
    picture: Vec<u8>,
    answer: String,
    question: String,
    labelled: Vec<LabelledClaim>,
}

impl Case {
    /// Of a seed.
    pub(super) fn new(seed: u64, side_px: u32) -> Option<Self> {
        let dossier = Dossier::of(CASES + seed);
        let answer = dossier.answers.iter().find(|answer| !answer.is_true())?;
        Some(Self {
            picture: images::png(&draw(&dossier.questioned, side_px).image),
            answer: answer.text.clone(),
            question: answer.question.clone(),
            labelled: answer.claims.clone(),
            dossier,
        })
    }

    /// The picture in question, a PNG.
    pub(super) fn picture(&self) -> &[u8] {
        &self.picture
    }

    /// The answer in question.
    pub(super) fn answer(&self) -> &str {
        &self.answer
    }

    /// The case's number, by which its evidence is filtered.
    pub(super) fn number(&self) -> &str {
        &self.dossier.case
    }

    /// Keeps what is on file and has the answer checked; none where the server keeps no evidence or
    /// has no model for it.
    pub(super) async fn checked(
        &self,
        session: &Session,
        side_px: u32,
    ) -> anyhow::Result<Option<v1::VerifyAnswerResponse>> {
        let mut evidence = session.evidence_client();
        match self.keep(&mut evidence, side_px).await {
            Ok(()) => {}
            Err(status)
                if matches!(
                    status.code(),
                    Code::FailedPrecondition
                        | Code::NotFound
                        | Code::Unimplemented
                        | Code::PermissionDenied
                ) =>
            {
                return Ok(None);
            }
            Err(status) => return Err(explained(&status)),
        }
        let image = v1::image::Content::Encoded(self.picture.clone().into());
        let filter = all(vec![any_of("subject", vec![self.dossier.case.clone()])]);
        let request = v1::VerifyAnswerRequest {
            question: self.question.clone(),
            answer: self.answer.clone(),
            images: vec![v1::Image { content: Some(image) }],
            evidence: Some(v1::EvidenceScope {
                collection: COLLECTION.to_owned(),
                filter,
                min_same_cosine: Some(MIN_SAME_COSINE),
                ..v1::EvidenceScope::default()
            }),
            ..v1::VerifyAnswerRequest::default()
        };
        let told = session.answers().verify_answer(request).await;
        Ok(Some(told.map_err(|status| explained(&status))?.into_inner()))
    }

    async fn keep(&self, client: &mut EvidenceClient, side_px: u32) -> Result<(), tonic::Status> {
        let model = Some(MODEL.to_owned());
        let create = v1::CreateCollectionRequest {
            name: COLLECTION.to_owned(),
            model,
            ..v1::CreateCollectionRequest::default()
        };
        match client.create_collection(create).await {
            Err(status) if status.code() != Code::AlreadyExists => return Err(status),
            _ => {}
        }
        let items = self.dossier.items.iter().map(|item| {
            let picture = item.picture.as_ref().map(|spec| draw(spec, side_px).image);
            let content =
                picture.map(|picture| v1::image::Content::Encoded(images::png(&picture).into()));
            let text = |text: &str| v1::MetadataValue {
                value: Some(v1::metadata_value::Value::Text(text.to_owned())),
            };
            v1::EvidenceItem {
                id: item.id.clone(),
                text: item.text.clone(),
                image: content.map(|content| v1::Image { content: Some(content) }),
                source_uri: item.source_uri.clone(),
                title: item.title.clone(),
                metadata: [
                    ("subject".to_owned(), text(&self.dossier.case)),
                    ("kind".to_owned(), text(item.kind.name())),
                ]
                .into(),
                ..v1::EvidenceItem::default()
            }
        });
        let items = items.collect();
        let collection = COLLECTION.to_owned();
        let kept = client.upsert_items(v1::UpsertItemsRequest { collection, items }).await?;
        let failed = kept.into_inner().results.into_iter().find(|result| result.code != 0);
        match failed {
            Some(result) => Err(tonic::Status::internal(result.message)),
            None => Ok(()),
        }
    }

    /// Whether a claim is so, where that is known.
    fn truth(&self, result: &v1::ClaimResult) -> Option<&'static str> {
        let claim = result.claim.as_ref()?;
        let span = claim.start_byte as usize..claim.end_byte as usize;
        let labelled = self.labelled.iter().find(|label| label.span == span)?;
        match labelled.truth {
            Truth::True => Some("drawn so"),
            Truth::False => Some("not drawn so"),
            Truth::Uncheckable => None,
        }
    }

    /// The report's section.
    pub(super) fn section(&self, told: &v1::VerifyAnswerResponse) -> Section {
        let verdict = told.verdict.clone().unwrap_or_default();
        let mut sources = Vec::new();
        let claims: Vec<Claim> = told
            .claims
            .iter()
            .map(|result| {
                let mut claim = claim(result, &mut sources);
                claim.said.extend(self.truth(result).map(str::to_owned));
                claim
            })
            .collect();
        let bounds: Vec<(usize, usize, Status)> = told
            .claims
            .iter()
            .map(|result| {
                let claim = result.claim.clone().unwrap_or_default();
                (claim.start_byte as usize, claim.end_byte as usize, status(result.status()))
            })
            .collect();
        let without: Vec<String> = verdict
            .ablations
            .iter()
            .map(|one| format!("{} {}", witness_name(one.without()), shown(one.confidence)))
            .collect();
        let told_of_all = format!(
            "The answer is {}: the probability that all {} claims that could be checked are true is \
             {}. Without one of the witnesses it would be: {}.",
            status_name(verdict.status()),
            verdict.checked,
            shown(verdict.confidence),
            without.join(", ")
        );
        let body = Answer {
            picture: Some(Picture::png(&self.picture, self.question.clone(), Vec::new())),
            pieces: pieces(&self.answer, &bounds),
            verdict: told_of_all,
            claims,
            sources,
        };
        Section {
            title: "A generated answer, claim by claim".to_owned(),
            note: "Each claim is put to witnesses that do not know of each other: the whole picture, \
                   its parts, the detector's boxes, and what is on file about the person. The answer \
                   holds something false on purpose; what was drawn stands last."
                .to_owned(),
            body: Body::Answer(Box::new(body)),
        }
    }
}

fn shown(confidence: Option<f64>) -> String {
    confidence.map_or_else(|| "unknown".to_owned(), |confidence| format!("{confidence:.2}"))
}

fn status(status: v1::ClaimStatus) -> Status {
    match status {
        v1::ClaimStatus::Supported => Status::Supported,
        v1::ClaimStatus::Contradicted => Status::Contradicted,
        v1::ClaimStatus::Inconclusive | v1::ClaimStatus::Unsupported => Status::Open,
        v1::ClaimStatus::UnsupportedClaimType | v1::ClaimStatus::Unspecified => Status::Unchecked,
    }
}

fn claim(result: &v1::ClaimResult, sources: &mut Vec<String>) -> Claim {
    let mut cited = Vec::new();
    let mut said = Vec::new();
    for testimony in &result.testimonies {
        let stance = match testimony.stance() {
            v1::Stance::For => "for",
            v1::Stance::Against => "against",
            v1::Stance::Silent | v1::Stance::Unspecified => continue,
        };
        said.push(format!(
            "{}: {stance} ({:+.1})",
            witness_name(testimony.witness()),
            testimony.support
        ));
        for citation in testimony.citations.iter().take(1) {
            let told = source(citation);
            let known = sources.iter().position(|known| *known == told);
            let at = known.unwrap_or_else(|| {
                sources.push(told);
                sources.len() - 1
            });
            if !cited.contains(&(at + 1)) {
                cited.push(at + 1);
            }
        }
    }
    let reasons: Vec<String> = result.reasons().map(reason_name).collect();
    if said.is_empty() {
        said.push(reasons.join(", "));
    }
    let mut verdict = status_name(result.status());
    if let Some(confidence) = result.confidence {
        verdict = format!("{verdict}, P(true) {confidence:.2}");
    }
    Claim {
        text: result.claim.clone().unwrap_or_default().text,
        status: status(result.status()),
        verdict,
        said,
        sources: cited,
    }
}
