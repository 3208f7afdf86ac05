//! What is asked about an answer.

use super::result::Witness;
use crate::evidence::Filter;
use crate::verification::{Frame, Heatmaps};

/// An answer, and what it is to be checked against.
#[derive(Clone, Debug, Default)]
pub struct AnswerRequest {
    /// What was asked of the system that answered; may be empty.
    pub question: String,
    /// The answer.
    pub answer: String,
    /// The pictures it is about; empty for a video, whose frames come later.
    pub images: Vec<Frame>,
    /// Where evidence is looked for.
    pub evidence: Option<EvidenceScope>,
    /// Name of a CLIP model; that of the collection, or the default one, where `None`.
    pub model: Option<String>,
    /// Name of a detector; the default one, if there is any, where `None`.
    pub detector: Option<String>,
    /// Who is heard; all that can be where empty.
    pub witnesses: Vec<Witness>,
    /// Heatmaps of every claim that is put to the pixels; its prompts are replaced.
    pub heatmaps: Option<Heatmaps>,
}

/// Where evidence is looked for.
#[derive(Clone, Debug, Default)]
pub struct EvidenceScope {
    /// The collection.
    pub collection: String,
    /// Among which items; none means all.
    pub filter: Option<Filter>,
    /// Chunks read for each claim and way of looking; the configured number where `None`.
    pub limit: Option<usize>,
    /// The least cosine of pictures of the same thing; the configured one where `None`.
    pub min_same_cosine: Option<f32>,
}

impl AnswerRequest {
    /// Whether a witness is to be heard.
    pub(super) fn hears(&self, witness: Witness) -> bool {
        self.witnesses.is_empty() || self.witnesses.contains(&witness)
    }
}
