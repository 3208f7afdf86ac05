//! Answers checked against what is kept: only evidence about the same thing is read, and what is
//! wrong with the evidence asked for is told with its field.

use std::collections::BTreeSet;

use tonic::Code;
use veriframe::evidence::Limits;
use veriframe::proto::v1;
use veriframe::proto::v1::answer_service_client::AnswerServiceClient;

use super::*;
use crate::support::assert_refused;

/// Pictures that the test's models tell apart are no nearer.
const SAME: f32 = 0.9999;

fn about(answer: &str, scope: v1::EvidenceScope) -> v1::VerifyAnswerRequest {
    v1::VerifyAnswerRequest {
        answer: answer.to_owned(),
        images: encoded(png(0)).into_iter().collect(),
        evidence: Some(scope),
        witnesses: vec![v1::WitnessKind::Text.into()],
        ..v1::VerifyAnswerRequest::default()
    }
}

fn scope(limit: u32) -> v1::EvidenceScope {
    v1::EvidenceScope {
        collection: "faces".to_owned(),
        filter: None,
        limit: Some(limit),
        min_same_cosine: Some(SAME),
    }
}

/// A picture with what is said of it.
fn told(id: &str, kind: u32, text: &str) -> v1::EvidenceItem {
    v1::EvidenceItem { text: text.to_owned(), ..picture(id, kind) }
}

#[tokio::test(flavor = "multi_thread")]
async fn items_about_other_pictures_are_not_read_however_many_there_are() {
    let folder = folder();
    // A filter holds fewer ids than there are items to look at.
    let limits = Limits { max_tests: 3, ..Limits::default() };
    let config = StoreConfig { limits, ..place(folder.path()) };
    let mut server = Keeping::on(config, catalog(Options::default()).await).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let claim = "The teeth are uneven.";
    let same = (0..7).map(|at| told(&format!("same-{at}"), 0, claim));
    let other = (0..7).map(|at| told(&format!("other-{at}"), 1, claim));
    server.put("faces", same.chain(other).collect()).await;

    let mut answers = AnswerServiceClient::new(server.server.channel().await);
    let checked = answers.verify_answer(about(claim, scope(32))).await.unwrap().into_inner();
    let said = &checked.claims[0].testimonies[0];
    assert_eq!(said.stance(), v1::Stance::For, "{said:?}");
    let cited: BTreeSet<&str> = said
        .citations
        .iter()
        .filter_map(|citation| match citation.source.as_ref()? {
            v1::citation::Source::Evidence(evidence) => Some(evidence.item_id.as_str()),
            v1::citation::Source::Picture(_) => None,
        })
        .collect();
    assert_eq!(cited.len(), 7, "{cited:?}");
    assert!(cited.iter().all(|id| id.starts_with("same-")), "{cited:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_the_evidence_asked_for_is_told_with_its_field() {
    let folder = folder();
    let mut server = Keeping::start(folder.path()).await;
    server.create("faces", v1::CollectionOptions::default()).await;
    let item = told("a", 0, "The teeth are even.");
    server.put("faces", vec![with(item, "subject", Value::Text("7".to_owned()))]).await;
    let mut answers = AnswerServiceClient::new(server.server.channel().await);
    let mut refused =
        async |scope| answers.verify_answer(about("The teeth are even.", scope)).await.unwrap_err();

    let unknown = v1::EvidenceScope { collection: "nobody".to_owned(), ..scope(8) };
    assert_eq!(refused(unknown).await.code(), Code::NotFound);
    assert_refused(&refused(scope(33)).await, "evidence.limit", "33, limit 32");
    let typo = v1::MetadataCondition {
        name: "subjct".to_owned(),
        condition: Some(v1::metadata_condition::Condition::Present(true)),
        negated: false,
    };
    let filter = v1::EvidenceFilter { conditions: vec![typo], ..Default::default() };
    let typo = v1::EvidenceScope { filter: Some(filter), ..scope(8) };
    let field = "evidence.filter.conditions[0]";
    assert_refused(&refused(typo).await, field, "subject");
}
