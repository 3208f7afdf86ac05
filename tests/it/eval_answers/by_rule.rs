//! A server that answers by rule, so that every figure is known by hand.

use std::sync::{Arc, Mutex};

use futures::stream::BoxStream;
use tokio::sync::Notify;
use tonic::{Request, Response, Status, Streaming};
use veriframe::claims::{Kind, Limits, split};
use veriframe::proto::v1;
use veriframe::proto::v1::answer_service_server::AnswerService;
use veriframe::proto::v1::evidence_service_server::EvidenceService;

type Answered<T> = Result<Response<T>, Status>;

/// Answers by rule: hair is supported, teeth are contradicted, other claims are not judged. Each that
/// is judged is told by pixels and, where there is a collection, by the subject's report.
#[derive(Clone, Default)]
pub(super) struct ByRule {
    pub(super) asked: Arc<Mutex<Vec<v1::VerifyAnswerRequest>>>,
    pub(super) searched: Arc<Mutex<Vec<v1::SearchEvidenceRequest>>>,
    /// Told when an answer is asked about that has no end.
    pub(super) endless: Arc<Notify>,
}

/// The one value that the request's filter asks for.
fn subject(request: &v1::VerifyAnswerRequest) -> Option<String> {
    let filter = request.evidence.as_ref()?.filter.as_ref()?;
    let condition = filter.conditions[0].condition.as_ref()?;
    let v1::metadata_condition::Condition::AnyOf(texts) = condition else {
        panic!("{condition:?}");
    };
    Some(texts.values[0].clone())
}

fn testimonies(supports: bool, subject: Option<&str>) -> Vec<v1::Testimony> {
    let stance = if supports { v1::Stance::For } else { v1::Stance::Against };
    let support = if supports { 2.5 } else { -1.5 };
    let spoken = |witness: v1::WitnessKind, citations| v1::Testimony {
        witness: witness.into(),
        stance: stance.into(),
        support,
        citations,
        ..Default::default()
    };
    let silent = v1::Testimony {
        witness: v1::WitnessKind::Detector.into(),
        stance: v1::Stance::Silent.into(),
        silence: "it knows no such class".to_owned(),
        ..Default::default()
    };
    let cited = subject.map(|subject| v1::Citation {
        source: Some(v1::citation::Source::Evidence(v1::EvidenceCitation {
            item_id: format!("{subject}-report"),
            text: "The <teeth> were looked at".to_owned(),
            score: 0.875,
            ..Default::default()
        })),
        stance: stance.into(),
        support,
    });
    let text = cited.map(|cited| spoken(v1::WitnessKind::Text, vec![cited]));
    [spoken(v1::WitnessKind::Pixels, vec![]), silent].into_iter().chain(text).collect()
}

fn judged(claim: &veriframe::claims::Claim, request: &v1::VerifyAnswerRequest) -> v1::ClaimResult {
    let says = |words: [&str; 2]| words.iter().any(|word| claim.text.contains(word));
    let hair = says(["hair", "머리"]);
    // The detector alone has nothing to say.
    let heard = request.witnesses != [i32::from(v1::WitnessKind::Detector)];
    let judged = heard && (hair || says(["teeth", "치아"]));
    let confidence = judged.then_some(if hair { 0.9 } else { 0.1 });
    let status = match (judged, hair) {
        (true, true) => v1::ClaimStatus::Supported,
        (true, false) => v1::ClaimStatus::Contradicted,
        (false, _) => v1::ClaimStatus::UnsupportedClaimType,
    };
    let is_opinion = claim.kind == Kind::Opinion;
    let kind = if is_opinion { v1::ClaimKind::Opinion } else { v1::ClaimKind::Attribute };
    let subject = subject(request);
    v1::ClaimResult {
        claim: Some(v1::Claim {
            start_byte: claim.span.start as u32,
            end_byte: claim.span.end as u32,
            text: claim.text.clone(),
            kind: kind.into(),
            ..Default::default()
        }),
        status: status.into(),
        confidence,
        testimonies: if judged { testimonies(hair, subject.as_deref()) } else { Vec::new() },
        ..Default::default()
    }
}

#[tonic::async_trait]
impl AnswerService for ByRule {
    type VerifyAnswerStreamStream =
        BoxStream<'static, Result<v1::VerifyAnswerStreamResponse, Status>>;

    async fn verify_answer(
        &self,
        request: Request<v1::VerifyAnswerRequest>,
    ) -> Answered<v1::VerifyAnswerResponse> {
        let request = request.into_inner();
        if request.evidence.as_ref().is_some_and(|scope| scope.collection != "cases") {
            return Err(Status::not_found("evidence.collection: there is no such collection"));
        }
        if request.answer.contains("forever") {
            self.endless.notify_one();
            std::future::pending::<()>().await;
        }
        let claims = split(&request.answer, &Limits::default()).unwrap();
        let claims: Vec<v1::ClaimResult> =
            claims.iter().map(|claim| judged(claim, &request)).collect();
        let told: Vec<f64> = claims.iter().filter_map(|claim| claim.confidence).collect();
        self.asked.lock().unwrap().push(request);
        Ok(Response::new(v1::VerifyAnswerResponse {
            verdict: Some(v1::AnswerVerdict {
                confidence: (!told.is_empty()).then(|| told.iter().product()),
                ..Default::default()
            }),
            claims,
            calibration: Some(v1::CalibrationIdentity {
                name: "UNCALIBRATED".to_owned(),
                ..Default::default()
            }),
            ..Default::default()
        }))
    }

    async fn verify_answer_stream(
        &self,
        _: Request<Streaming<v1::VerifyAnswerStreamRequest>>,
    ) -> Answered<Self::VerifyAnswerStreamStream> {
        Err(Status::unimplemented("verify_answer_stream"))
    }

    async fn split_answer(
        &self,
        _: Request<v1::SplitAnswerRequest>,
    ) -> Answered<v1::SplitAnswerResponse> {
        Err(Status::unimplemented("split_answer"))
    }
}

#[tonic::async_trait]
impl EvidenceService for ByRule {
    type IngestItemsStream = BoxStream<'static, Result<v1::IngestItemsResponse, Status>>;

    /// With a picture, the two items that are right; with a text alone, one behind a wrong one.
    async fn search_evidence(
        &self,
        request: Request<v1::SearchEvidenceRequest>,
    ) -> Answered<v1::SearchEvidenceResponse> {
        let request = request.into_inner();
        let pictured = request.query.as_ref().unwrap().image.is_some();
        let ids = if pictured { ["1-portrait", "1-report"] } else { ["9-note", "1-report"] };
        let hit = |id: &str| v1::EvidenceHit {
            item: Some(v1::EvidenceItem { id: id.to_owned(), ..Default::default() }),
            ..Default::default()
        };
        self.searched.lock().unwrap().push(request);
        let hits = ids.map(hit).to_vec();
        Ok(Response::new(v1::SearchEvidenceResponse { hits, ..Default::default() }))
    }

    async fn create_collection(
        &self,
        _: Request<v1::CreateCollectionRequest>,
    ) -> Answered<v1::CreateCollectionResponse> {
        Err(Status::unimplemented("create_collection"))
    }

    async fn delete_collection(
        &self,
        _: Request<v1::DeleteCollectionRequest>,
    ) -> Answered<v1::DeleteCollectionResponse> {
        Err(Status::unimplemented("delete_collection"))
    }

    async fn get_collection(
        &self,
        _: Request<v1::GetCollectionRequest>,
    ) -> Answered<v1::GetCollectionResponse> {
        Err(Status::unimplemented("get_collection"))
    }

    async fn list_collections(
        &self,
        _: Request<v1::ListCollectionsRequest>,
    ) -> Answered<v1::ListCollectionsResponse> {
        Err(Status::unimplemented("list_collections"))
    }

    async fn upsert_items(
        &self,
        _: Request<v1::UpsertItemsRequest>,
    ) -> Answered<v1::UpsertItemsResponse> {
        Err(Status::unimplemented("upsert_items"))
    }

    async fn ingest_items(
        &self,
        _: Request<Streaming<v1::IngestItemsRequest>>,
    ) -> Answered<Self::IngestItemsStream> {
        Err(Status::unimplemented("ingest_items"))
    }

    async fn get_items(&self, _: Request<v1::GetItemsRequest>) -> Answered<v1::GetItemsResponse> {
        Err(Status::unimplemented("get_items"))
    }

    async fn list_items(
        &self,
        _: Request<v1::ListItemsRequest>,
    ) -> Answered<v1::ListItemsResponse> {
        Err(Status::unimplemented("list_items"))
    }

    async fn delete_items(
        &self,
        _: Request<v1::DeleteItemsRequest>,
    ) -> Answered<v1::DeleteItemsResponse> {
        Err(Status::unimplemented("delete_items"))
    }
}
