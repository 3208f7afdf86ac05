//! From what witnesses said to a probability and a status; pure.

use std::collections::BTreeMap;

use super::asked::Asked;
use super::config::Config;
use super::result::{Ablation, ClaimResult, Reason, Stance, Status, Testimony, Witness};
use crate::calibration::{CalibrationFile, Identity};
use crate::claims::Kind;

/// What one unit of support adds to the log-odds where no calibration says better. Nobody measured
/// these: a whole picture that leans by a cosine of 0.05, or a box of full confidence, makes odds of
/// 7 to 1, and what looks at less or reads counts half. Answers say UNCALIBRATED.
const UNCALIBRATED: [(Witness, f64); 5] = [
    (Witness::Pixels, 0.4),
    (Witness::Regions, 0.2),
    (Witness::Detector, 2.0),
    (Witness::Text, 0.2),
    (Witness::Images, 0.2),
];

/// Turns supports into probabilities.
#[derive(Clone, Debug, Default)]
pub(super) struct Scales(Option<CalibrationFile>);

impl Scales {
    /// By a model's calibration, if it has one.
    pub(super) fn new(calibration: Option<CalibrationFile>) -> Self {
        Self(calibration)
    }

    /// The probability that a claim is true, by the witnesses that spoke; none where none did.
    pub(super) fn probability<'a>(
        &self,
        testimonies: impl Iterator<Item = &'a Testimony>,
    ) -> Option<f64> {
        let said: BTreeMap<String, f64> = testimonies
            .filter(|testimony| testimony.spoke())
            .map(|said| (said.witness.name().to_owned(), f64::from(said.support)))
            .collect();
        if said.is_empty() {
            return None;
        }
        if let Some(calibration) = &self.0 {
            return Some(calibration.probability(&said));
        }
        let weight = |witness: Witness| {
            UNCALIBRATED.iter().find(|one| one.0 == witness).map_or(0.0, |one| one.1)
        };
        let log_odds: f64 = Witness::ALL
            .into_iter()
            .map(|witness| weight(witness) * said.get(witness.name()).copied().unwrap_or(0.0))
            .sum();
        Some(1.0 / (1.0 + (-log_odds).exp()))
    }

    /// Which calibration it is, if any.
    pub(super) fn identity(&self) -> Option<Identity> {
        self.0.as_ref().map(CalibrationFile::identity)
    }
}

/// What follows for one claim; `truncated` where its end was not read.
pub(super) fn judge(
    asked: &Asked,
    testimonies: Vec<Testimony>,
    truncated: bool,
    (scales, config): (&Scales, &Config),
) -> ClaimResult {
    let confidence = scales.probability(testimonies.iter());
    let (status, mut reasons) = verdict(asked, &testimonies, confidence, config);
    if truncated && confidence.is_some() {
        reasons.push(Reason::Truncated);
    }
    ClaimResult {
        claim: asked.claim.clone(),
        contradictions: asked.contradictions.clone(),
        status,
        reasons,
        confidence,
        testimonies,
        heatmaps: None,
    }
}

fn verdict(
    asked: &Asked,
    testimonies: &[Testimony],
    confidence: Option<f64>,
    config: &Config,
) -> (Status, Vec<Reason>) {
    let kind = &asked.claim.kind;
    let Some(confidence) = confidence else {
        return match kind {
            Kind::Opinion => (Status::UnsupportedClaimType, vec![Reason::NotCheckable]),
            _ if testimonies.is_empty() => (Status::Unsupported, vec![Reason::NothingToAsk]),
            Kind::Count { .. } | Kind::Spatial { .. } | Kind::Negation { .. } => {
                (Status::UnsupportedClaimType, vec![Reason::NeedsDetector])
            }
            Kind::Presence | Kind::Attribute | Kind::Part => {
                (Status::Unsupported, vec![Reason::NoEvidence])
            }
        };
    };
    let count = |stance: Stance| testimonies.iter().filter(|said| said.stance == stance).count();
    let (speak_for, against) = (count(Stance::For), count(Stance::Against));
    let agreement = match (speak_for, against) {
        (0, 0) => Reason::WeakSupport,
        (1, 0) | (0, 1) => Reason::SingleWitness,
        (0, _) | (_, 0) => Reason::WitnessesAgree,
        _ => Reason::WitnessesDisagree,
    };
    let mut reasons = vec![agreement];
    if asked.is_comparable() && asked.contradictions.is_empty() {
        reasons.push(Reason::NoContradiction);
    }
    let status = if confidence >= config.supported_from && speak_for > 0 {
        Status::Supported
    } else if confidence <= config.contradicted_to && against > 0 {
        Status::Contradicted
    } else {
        if !reasons.contains(&Reason::WeakSupport) && agreement != Reason::WitnessesDisagree {
            reasons.insert(0, Reason::WeakSupport);
        }
        Status::Inconclusive
    };
    (status, reasons)
}

/// The probability that every claim that could be checked is true, as if they erred independently.
pub(super) fn all_true(confidences: impl Iterator<Item = Option<f64>>) -> Option<f64> {
    let known: Vec<f64> = confidences.flatten().collect();
    (!known.is_empty()).then(|| known.iter().product())
}

/// The status of a claim that weighs most for the answer.
pub(super) fn weightiest(statuses: impl Iterator<Item = Status>) -> Status {
    let weight = |status: &Status| match status {
        Status::Contradicted => 4,
        Status::Unsupported => 3,
        Status::Inconclusive => 2,
        Status::Supported => 1,
        Status::UnsupportedClaimType => 0,
    };
    statuses.max_by_key(weight).unwrap_or(Status::UnsupportedClaimType)
}

/// The answer's confidence without each witness that spoke about any claim.
pub(super) fn ablations(claims: &[ClaimResult], scales: &Scales) -> Vec<Ablation> {
    let heard = |witness: Witness| {
        let mut said = claims.iter().flat_map(|claim| &claim.testimonies);
        said.any(|said| said.witness == witness && said.spoke())
    };
    let without = |witness: Witness| {
        let confidences = claims.iter().map(|claim| {
            scales.probability(claim.testimonies.iter().filter(|said| said.witness != witness))
        });
        Ablation { without: witness, confidence: all_true(confidences) }
    };
    Witness::ALL.into_iter().filter(|&witness| heard(witness)).map(without).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(claim: &str, supports: &[(Witness, f32)]) -> ClaimResult {
        let config = Config::default();
        let asked = Asked::all(claim, &config).unwrap().remove(0);
        let testimonies = supports
            .iter()
            .map(|&(witness, support)| Testimony::spoken(witness, support, 0.5, Vec::new()))
            .collect();
        judge(&asked, testimonies, false, (&Scales::default(), &config))
    }

    #[test]
    fn witnesses_add_up_and_disagreement_is_told() {
        let claim = "The teeth are uneven.";
        let agreed = judged(claim, &[(Witness::Pixels, 5.0), (Witness::Text, 10.0)]);
        assert_eq!((agreed.status, agreed.reasons[0]), (Status::Supported, Reason::WitnessesAgree));
        assert!(agreed.confidence.unwrap() > 0.95);
        let alone = judged(claim, &[(Witness::Pixels, -5.0)]);
        assert_eq!((alone.status, alone.reasons[0]), (Status::Contradicted, Reason::SingleWitness));
        let split = judged(claim, &[(Witness::Pixels, 5.0), (Witness::Text, -10.0)]);
        assert_eq!(split.status, Status::Inconclusive);
        assert_eq!(split.reasons[0], Reason::WitnessesDisagree);
        let weak = judged(claim, &[(Witness::Pixels, 0.1)]);
        assert_eq!((weak.status, weak.reasons[0]), (Status::Inconclusive, Reason::WeakSupport));
    }

    #[test]
    fn what_nobody_judged_has_no_confidence_and_a_reason() {
        for (claim, status, reason) in [
            ("It is lovely.", Status::UnsupportedClaimType, Reason::NotCheckable),
            ("Two dogs are there.", Status::UnsupportedClaimType, Reason::NeedsDetector),
            ("The teeth are uneven.", Status::Unsupported, Reason::NoEvidence),
        ] {
            let config = Config::default();
            let asked = Asked::all(claim, &config).unwrap().remove(0);
            let silent = vec![Testimony::silent(Witness::Pixels, "a reason")];
            let result = judge(&asked, silent, true, (&Scales::default(), &config));
            assert_eq!((result.status, result.reasons[0]), (status, reason), "{claim}");
            assert_eq!((result.confidence, result.reasons.len()), (None, 1));
        }
        let nothing = judged("The teeth are uneven.", &[]);
        assert_eq!(nothing.reasons, [Reason::NothingToAsk]);
    }

    #[test]
    fn an_answer_is_as_true_as_all_of_its_claims() {
        let half = (2.0_f32).ln() / 0.4;
        let claims = [
            judged("The teeth are uneven.", &[(Witness::Pixels, half), (Witness::Text, 5.0)]),
            judged("The eyes are blue.", &[(Witness::Pixels, half)]),
            judged("It is lovely.", &[]),
        ];
        let all = all_true(claims.iter().map(|claim| claim.confidence)).unwrap();
        let expected = claims[0].confidence.unwrap() * claims[1].confidence.unwrap();
        assert!((all - expected).abs() < 1e-12);
        let without = ablations(&claims, &Scales::default());
        assert_eq!(
            without.iter().map(|one| one.without).collect::<Vec<_>>(),
            [Witness::Pixels, Witness::Text]
        );
        let text_alone = 1.0 / (1.0 + (-1.0_f64).exp());
        assert!((without[0].confidence.unwrap() - text_alone).abs() < 1e-9, "{without:?}");
        assert!((without[1].confidence.unwrap() - 4.0 / 9.0).abs() < 1e-6, "{without:?}");
        assert_eq!(weightiest(claims.iter().map(|c| c.status)), Status::Inconclusive);
    }
}
