//! What was found out about answers, to the wire.

use crate::answers::{
    Ablation, AnswerResult, Citation, ClaimResult, Reason, Source, Stance, Status, Testimony,
    Witness,
};
use crate::claims::{Claim, Cue, KindName};
use crate::proto::v1;
use crate::server::respond;
use crate::server::respond::rect;

pub(super) fn answer(result: AnswerResult) -> v1::VerifyAnswerResponse {
    let unchecked = result.claims.iter().filter(|claim| claim.confidence.is_none()).count();
    let verdict = v1::AnswerVerdict {
        confidence: result.confidence,
        status: status(result.status).into(),
        checked: (result.claims.len() - unchecked) as u32,
        unchecked: unchecked as u32,
        ablations: result.ablations.iter().map(ablation).collect(),
    };
    v1::VerifyAnswerResponse {
        claims: result.claims.into_iter().map(claim_result).collect(),
        verdict: Some(verdict),
        model: result.model.as_ref().map(respond::identity),
        detector: result.detector.as_ref().map(respond::identity),
        calibration: Some(respond::calibration(result.calibration)),
        timing: Some(respond::timing(&result.timing)),
    }
}

fn ablation(one: &Ablation) -> v1::Ablation {
    v1::Ablation { without: witness(one.without).into(), confidence: one.confidence }
}

fn claim_result(result: ClaimResult) -> v1::ClaimResult {
    v1::ClaimResult {
        claim: Some(claim(&result.claim, result.contradictions)),
        status: status(result.status).into(),
        reasons: result.reasons.into_iter().map(|one| reason(one).into()).collect(),
        confidence: result.confidence,
        testimonies: result.testimonies.into_iter().map(testimony).collect(),
        heatmaps: result.heatmaps.map(respond::heatmaps),
    }
}

pub(super) fn claim(claim: &Claim, contradictions: Vec<String>) -> v1::Claim {
    let kind = match claim.kind.name() {
        KindName::Presence => v1::ClaimKind::Presence,
        KindName::Attribute => v1::ClaimKind::Attribute,
        KindName::Part => v1::ClaimKind::Part,
        KindName::Count => v1::ClaimKind::Count,
        KindName::Spatial => v1::ClaimKind::Spatial,
        KindName::Negation => v1::ClaimKind::Negation,
        KindName::Opinion => v1::ClaimKind::Opinion,
    };
    v1::Claim {
        start_byte: claim.span.start as u32,
        end_byte: claim.span.end as u32,
        text: claim.text.clone(),
        kind: kind.into(),
        language: claim.language.code().to_owned(),
        rule: screaming(&format!("{:?}", claim.rule)),
        contradictions,
    }
}

/// `HavePattern` as `HAVE_PATTERN`.
fn screaming(name: &str) -> String {
    let mut text = String::new();
    for (at, letter) in name.chars().enumerate() {
        if at > 0 && letter.is_uppercase() {
            text.push('_');
        }
        text.extend(letter.to_uppercase());
    }
    text
}

pub(super) fn cue(cue: Cue) -> v1::AnswerCue {
    v1::AnswerCue {
        start_byte: cue.span.start as u32,
        end_byte: cue.span.end as u32,
        text: cue.text,
    }
}

fn testimony(said: Testimony) -> v1::Testimony {
    v1::Testimony {
        witness: witness(said.witness).into(),
        stance: stance(said.stance).into(),
        support: said.support,
        silence: said.silence,
        citations: said.citations.into_iter().map(citation).collect(),
    }
}

fn citation(citation: Citation) -> v1::Citation {
    let source = match citation.source {
        Source::Picture(place) => v1::citation::Source::Picture(v1::PictureCitation {
            image: place.image as u32,
            sequence: place.frame.map(|(sequence, _)| sequence),
            presentation_time: place.frame.and_then(|(_, time)| time?.try_into().ok()),
            r#box: place.rect.map(rect),
            label: place.label,
        }),
        Source::Evidence { item_id, source, title, bytes, text, score } => {
            v1::citation::Source::Evidence(v1::EvidenceCitation {
                item_id,
                source_uri: source,
                title,
                start_byte: bytes.start as u32,
                end_byte: bytes.end as u32,
                text,
                score,
            })
        }
    };
    v1::Citation {
        source: Some(source),
        stance: stance(citation.stance).into(),
        support: citation.support,
    }
}

fn witness(witness: Witness) -> v1::WitnessKind {
    match witness {
        Witness::Pixels => v1::WitnessKind::Pixels,
        Witness::Regions => v1::WitnessKind::Regions,
        Witness::Detector => v1::WitnessKind::Detector,
        Witness::Text => v1::WitnessKind::Text,
        Witness::Images => v1::WitnessKind::Images,
    }
}

fn stance(stance: Stance) -> v1::Stance {
    match stance {
        Stance::For => v1::Stance::For,
        Stance::Against => v1::Stance::Against,
        Stance::Silent => v1::Stance::Silent,
    }
}

fn status(status: Status) -> v1::ClaimStatus {
    match status {
        Status::Supported => v1::ClaimStatus::Supported,
        Status::Contradicted => v1::ClaimStatus::Contradicted,
        Status::Unsupported => v1::ClaimStatus::Unsupported,
        Status::Inconclusive => v1::ClaimStatus::Inconclusive,
        Status::UnsupportedClaimType => v1::ClaimStatus::UnsupportedClaimType,
    }
}

fn reason(reason: Reason) -> v1::ClaimReason {
    match reason {
        Reason::WitnessesAgree => v1::ClaimReason::WitnessesAgree,
        Reason::WitnessesDisagree => v1::ClaimReason::WitnessesDisagree,
        Reason::SingleWitness => v1::ClaimReason::SingleWitness,
        Reason::WeakSupport => v1::ClaimReason::WeakSupport,
        Reason::NoEvidence => v1::ClaimReason::NoEvidence,
        Reason::NoContradiction => v1::ClaimReason::NoContradiction,
        Reason::NotCheckable => v1::ClaimReason::NotCheckable,
        Reason::NeedsDetector => v1::ClaimReason::NeedsDetector,
        Reason::Truncated => v1::ClaimReason::Truncated,
        Reason::NothingToAsk => v1::ClaimReason::NothingToAsk,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rules_are_named_as_the_protocol_has_it() {
        assert_eq!(screaming("HavePattern"), "HAVE_PATTERN");
        assert_eq!(screaming("Hedge"), "HEDGE");
    }
}
