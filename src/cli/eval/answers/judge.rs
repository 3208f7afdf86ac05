//! What the server said beside what is known.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::ask::Asked;
use crate::cli::witness::Witness;
use crate::evaluation::answers::{JudgedAnswer, JudgedClaim, align};
use crate::evaluation::dataset::ClaimLine;
use crate::proto::v1;
use crate::proto::v1::citation::Source;

/// The kind of a labelled claim where the server found none.
pub(super) const MISSED: &str = "missed";

/// A row of calibration data: what each witness said of one claim, and the truth.
#[derive(Debug, Serialize)]
pub(super) struct CalibrationRow {
    /// How strongly each witness spoke for the claim; who was silent is absent.
    features: BTreeMap<&'static str, f32>,
    /// Whether it is true.
    label: bool,
    /// Whose claims must not stand on both sides of a cross-validation.
    group: String,
}

/// Each labelled claim with the server's, where it found one there.
pub(super) fn pairs<'a>(
    asked: &'a Asked<'_>,
) -> impl Iterator<Item = (&'a ClaimLine, Option<&'a v1::ClaimResult>)> {
    let labelled: Vec<_> = asked.line.claims.iter().map(|claim| claim.start..claim.end).collect();
    let span = |result: &v1::ClaimResult| {
        let claim = result.claim.as_ref();
        claim.map_or(0..0, |claim| claim.start_byte as usize..claim.end_byte as usize)
    };
    let found: Vec<_> = asked.response.claims.iter().map(span).collect();
    let places = align(&labelled, &found);
    let result = |at: Option<usize>| at.and_then(|at| asked.response.claims.get(at));
    asked.line.claims.iter().zip(places.into_iter().map(result).collect::<Vec<_>>())
}

/// An answer as the measures want it.
pub(super) fn judged(asked: &Asked<'_>) -> JudgedAnswer {
    let claims = pairs(asked).map(|(label, result)| JudgedClaim {
        label: label.label,
        topic: label.topic.clone(),
        kind: result.map_or_else(|| MISSED.to_owned(), kind),
        confidence: result.and_then(|result| result.confidence),
        decision: result.and_then(|result| match result.status() {
            v1::ClaimStatus::Supported => Some(true),
            v1::ClaimStatus::Contradicted => Some(false),
            v1::ClaimStatus::Unspecified
            | v1::ClaimStatus::Unsupported
            | v1::ClaimStatus::Inconclusive
            | v1::ClaimStatus::UnsupportedClaimType => None,
        }),
        cited: result.map(cited).unwrap_or_default(),
        evidence: label.evidence.iter().cloned().collect(),
    });
    JudgedAnswer {
        language: asked.line.language.clone(),
        subject: subject(asked),
        is_true: asked.line.is_true,
        confidence: asked.response.verdict.as_ref().and_then(|verdict| verdict.confidence),
        claims: claims.collect(),
    }
}

/// Rows to fit a calibration on, for each claim whose truth is known and that some witness judged:
/// one with all who spoke, and where there were several, one with each alone. Without these the fit
/// would share out what witnesses say that mostly agree as it likes, and be wrong where a request
/// hears fewer.
pub(super) fn rows<'a>(asked: &'a [Asked<'a>]) -> Vec<CalibrationRow> {
    let of_answer = |asked: &'a Asked<'a>| {
        pairs(asked).filter_map(move |(label, result)| {
            let label = label.label.truth()?;
            // What is too weak for a stance was said all the same.
            let spoke = |testimony: &v1::Testimony| {
                let witness = Witness::of(testimony).filter(|_| testimony.silence.is_empty())?;
                Some((witness.name(), testimony.support))
            };
            let all: BTreeMap<_, _> = result?.testimonies.iter().filter_map(spoke).collect();
            let alone = all.iter().filter(|_| all.len() > 1);
            let alone = alone.map(|(&name, &support)| BTreeMap::from([(name, support)]));
            let heard: Vec<_> = alone.chain([all.clone()]).filter(|one| !one.is_empty()).collect();
            let group = subject(asked);
            let row = move |features| CalibrationRow { features, label, group: group.clone() };
            Some(heard.into_iter().map(row))
        })
    };
    asked.iter().flat_map(of_answer).flatten().collect()
}

/// Whose answer it is: its filter, or where it has none, itself.
pub(super) fn subject(asked: &Asked<'_>) -> String {
    let values: Vec<&str> = asked.line.filter.values().map(String::as_str).collect();
    if values.is_empty() { asked.line.id.clone() } else { values.join("/") }
}

/// "part", from the wire's `CLAIM_KIND_PART`.
pub(super) fn kind(result: &v1::ClaimResult) -> String {
    let kind = result.claim.as_ref().map(v1::Claim::kind).unwrap_or_default();
    kind.as_str_name().trim_start_matches("CLAIM_KIND_").to_lowercase()
}

/// The items that any witness cited.
fn cited(result: &v1::ClaimResult) -> BTreeSet<String> {
    let citations = result.testimonies.iter().flat_map(|testimony| &testimony.citations);
    citations
        .filter_map(|citation| match citation.source.as_ref()? {
            Source::Evidence(evidence) => Some(evidence.item_id.clone()),
            Source::Picture(_) => None,
        })
        .collect()
}
