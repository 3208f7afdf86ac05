//! Questions about answers, from the wire.

use crate::answers::{AnswerRequest, EvidenceScope, Witness, of_image};
use crate::proto::v1;
use crate::server::convert::{convert_heatmaps, convert_image, named};
use crate::server::evidence::query;
use crate::server::limits::RequestLimits;
use crate::serving::ServingError;
use crate::verification::Frame;

/// Checks every field but those whose limits the answers' configuration sets. Beside the request:
/// what it calls each test of its filter.
pub(super) fn request(
    request: v1::VerifyAnswerRequest,
    limits: &RequestLimits,
) -> Result<(AnswerRequest, Vec<String>), ServingError> {
    let v1::VerifyAnswerRequest {
        question,
        answer,
        images,
        evidence,
        model,
        detector,
        witnesses,
        heatmaps,
    } = request;
    let heatmaps = match heatmaps {
        None => None,
        Some(part) if !part.prompts.is_empty() => {
            let reason = "must be empty: the claims are the prompts";
            return Err(ServingError::invalid("heatmaps.prompts", reason));
        }
        Some(part) => Some(convert_heatmaps(part, limits)?),
    };
    let (evidence, paths) = evidence.map(scope).transpose()?.unzip();
    let asked = AnswerRequest {
        question,
        answer,
        images: images.into_iter().enumerate().map(picture).collect::<Result<_, _>>()?,
        evidence,
        model: named(model),
        detector: named(detector),
        witnesses: convert_witnesses(&witnesses)?,
        heatmaps,
    };
    Ok((asked, paths.unwrap_or_default()))
}

/// A field of a search, as a question about an answer calls it.
pub(super) fn path(field: &str, paths: &[String]) -> String {
    let part = field.split(['.', '[']).next().unwrap_or(field);
    match part {
        "collection" | "filter" | "limit" => format!("evidence.{}", query::path(field, paths)),
        _ => field.to_owned(),
    }
}

fn picture((at, image): (usize, v1::Image)) -> Result<Frame, ServingError> {
    convert_image(Some(image)).map_err(|error| of_image(error, at))
}

fn scope(part: v1::EvidenceScope) -> Result<(EvidenceScope, Vec<String>), ServingError> {
    let v1::EvidenceScope { collection, filter, limit, min_same_cosine } = part;
    if collection.is_empty() {
        return Err(ServingError::invalid("evidence.collection", "is required"));
    }
    if limit == Some(0) {
        return Err(ServingError::invalid("evidence.limit", "is 0, must be at least 1"));
    }
    let within = |cosine: &f32| (-1.0..=1.0).contains(cosine);
    if let Some(cosine) = min_same_cosine.filter(|cosine| !within(cosine)) {
        let reason = format!("is {cosine}, must be -1 to 1");
        return Err(ServingError::invalid("evidence.min_same_cosine", reason));
    }
    let (filter, paths) = query::filter(filter).map_err(|error| error.within("evidence."))?;
    let limit = limit.map(|limit| limit as usize);
    Ok((EvidenceScope { collection, filter, limit, min_same_cosine }, paths))
}

fn convert_witnesses(witnesses: &[i32]) -> Result<Vec<Witness>, ServingError> {
    let mut converted = Vec::new();
    for (at, &witness) in witnesses.iter().enumerate() {
        let invalid = |reason: String| ServingError::invalid(format!("witnesses[{at}]"), reason);
        let witness = match v1::WitnessKind::try_from(witness) {
            Ok(v1::WitnessKind::Pixels) => Witness::Pixels,
            Ok(v1::WitnessKind::Regions) => Witness::Regions,
            Ok(v1::WitnessKind::Detector) => Witness::Detector,
            Ok(v1::WitnessKind::Text) => Witness::Text,
            Ok(v1::WitnessKind::Images) => Witness::Images,
            Ok(v1::WitnessKind::Unspecified) => return Err(invalid("is unspecified".to_owned())),
            Err(_) => return Err(invalid(format!("is {witness}, which is no known value"))),
        };
        if converted.contains(&witness) {
            return Err(invalid(format!("repeats {}", witness.name())));
        }
        converted.push(witness);
    }
    Ok(converted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(wrong: v1::VerifyAnswerRequest, message: &str) {
        let error = request(wrong, &RequestLimits::default()).unwrap_err().to_string();
        assert_eq!(error, message);
    }

    #[test]
    fn a_wrong_field_is_named() {
        let evidence = |collection: &str, limit, min_same_cosine| v1::VerifyAnswerRequest {
            evidence: Some(v1::EvidenceScope {
                collection: collection.to_owned(),
                limit,
                min_same_cosine,
                ..v1::EvidenceScope::default()
            }),
            ..v1::VerifyAnswerRequest::default()
        };
        check(evidence("", None, None), "evidence.collection: is required");
        check(evidence("a", Some(0), None), "evidence.limit: is 0, must be at least 1");
        check(evidence("a", None, Some(2.0)), "evidence.min_same_cosine: is 2, must be -1 to 1");
        let witnesses =
            |witnesses| v1::VerifyAnswerRequest { witnesses, ..v1::VerifyAnswerRequest::default() };
        check(witnesses(vec![1, 1]), "witnesses[1]: repeats pixels");
        check(witnesses(vec![0]), "witnesses[0]: is unspecified");
        check(witnesses(vec![99]), "witnesses[0]: is 99, which is no known value");
        let images = vec![v1::Image::default()];
        let request = v1::VerifyAnswerRequest { images, ..v1::VerifyAnswerRequest::default() };
        check(request, "images[0]: is required: set encoded or raw");
        let heatmaps = v1::HeatmapQuery { prompts: vec!["a".into()], ..Default::default() };
        let heatmaps = Some(heatmaps);
        let request = v1::VerifyAnswerRequest { heatmaps, ..v1::VerifyAnswerRequest::default() };
        check(request, "heatmaps.prompts: must be empty: the claims are the prompts");
    }
}
