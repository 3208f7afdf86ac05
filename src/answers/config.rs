//! How answers are checked, and how much of them.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::bounds::{Bounds, Breach};
use crate::claims::{Limits, TemplateRule, Templates};
use crate::units;

/// The `[answers]` section.
#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct Config {
    /// The longest answer.
    #[serde(with = "units::bytes")]
    pub max_answer_bytes: usize,
    /// The longest question.
    #[serde(with = "units::bytes")]
    pub max_question_bytes: usize,
    /// Most claims of one answer.
    pub max_claims: usize,
    /// Most contradictions formed of one claim.
    pub max_contradictions: usize,
    /// Most pictures of one request.
    pub max_images: usize,
    /// Most frames of one stream.
    pub max_frames: usize,
    /// Parts of one picture that are looked at, the most confident.
    pub max_regions: usize,
    /// Chunks read for each claim and way of looking, where a request does not say.
    pub evidence_chunks: usize,
    /// The most that a request may ask for.
    pub max_evidence_chunks: usize,
    /// Statements read of one chunk or item.
    pub max_statements: usize,
    /// Claims, and pictures, of one answer that are worked on at once.
    pub parallel_claims: usize,
    /// A confidence from which a claim is supported.
    pub supported_from: f64,
    /// A confidence down from which it is contradicted.
    pub contradicted_to: f64,
    /// The least support, in hundredths of a cosine, that counts as for or against.
    pub min_support: f64,
    /// The least cosine of a statement with a claim or its contradictions at which it is about the
    /// same.
    pub min_statement_cosine: f64,
    /// The least cosine of two pictures of the same thing.
    pub min_same_cosine: f64,
    /// Boxes below this confidence are not seen.
    pub min_box_confidence: f64,
    /// How claims become prompts; the first rule that fits is used, and the claim itself where none
    /// does.
    pub templates: Vec<TemplateRule>,
    /// Words for a detector's classes, beside the class names themselves.
    pub class_terms: BTreeMap<String, Vec<String>>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            max_answer_bytes: 64 << 10,
            max_question_bytes: 4 << 10,
            max_claims: 64,
            max_contradictions: 12,
            max_images: 8,
            max_frames: 3600,
            max_regions: 8,
            evidence_chunks: 8,
            max_evidence_chunks: 32,
            max_statements: 16,
            parallel_claims: 4,
            supported_from: 0.7,
            contradicted_to: 0.3,
            min_support: 0.5,
            min_statement_cosine: 0.8,
            min_same_cosine: 0.85,
            min_box_confidence: 0.25,
            templates: Vec::new(),
            class_terms: BTreeMap::new(),
        }
    }
}

impl Config {
    /// What is out of range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.bytes("max_answer_bytes", self.max_answer_bytes, 1..=16 << 20);
        bounds.bytes("max_question_bytes", self.max_question_bytes, 1..=1 << 20);
        bounds.number("max_claims", self.max_claims, 1..=4096);
        bounds.number("max_contradictions", self.max_contradictions, 1..=64);
        bounds.number("max_images", self.max_images, 1..=256);
        bounds.number("max_frames", self.max_frames, 1..=1_000_000);
        bounds.number("max_regions", self.max_regions, 1..=256);
        bounds.number("evidence_chunks", self.evidence_chunks, 1..=256);
        bounds.number("max_evidence_chunks", self.max_evidence_chunks, 1..=256);
        bounds.number("max_statements", self.max_statements, 1..=1024);
        bounds.number("parallel_claims", self.parallel_claims, 1..=256);
        bounds.number("supported_from", self.supported_from, 0.5..=1.0);
        bounds.number("contradicted_to", self.contradicted_to, 0.0..=0.5);
        bounds.number("min_support", self.min_support, 0.0..=100.0);
        bounds.number("min_statement_cosine", self.min_statement_cosine, -1.0..=1.0);
        bounds.number("min_same_cosine", self.min_same_cosine, -1.0..=1.0);
        bounds.number("min_box_confidence", self.min_box_confidence, 0.0..=1.0);
        if let Err(error) = Templates::new(self.templates.clone()) {
            bounds.refuse("templates", error.to_string());
        }
        bounds.breaches()
    }

    /// How much text is read and how much may come of it.
    pub fn limits(&self) -> Limits {
        Limits {
            max_bytes: self.max_answer_bytes,
            max_claims: self.max_claims,
            max_contrasts: 2 * self.max_contradictions,
            ..Limits::default()
        }
    }

    /// The templates, checked when the configuration was.
    pub(super) fn templates(&self) -> Templates {
        Templates::new(self.templates.clone()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_keep_their_bounds_and_breaches_are_named() {
        assert_eq!(Config::default().breaches(), []);
        let config = Config { max_claims: 0, supported_from: 0.2, ..Config::default() };
        let fields: Vec<String> = config.breaches().into_iter().map(|breach| breach.key).collect();
        assert_eq!(fields, ["max_claims", "supported_from"]);
    }
}
