//! What is found out about an answer.

use std::time::Duration;

use crate::calibration::Identity;
use crate::claims::Claim;
use crate::serving::ModelIdentity;
use crate::telemetry::metrics::ClaimOutcome;
use crate::verification::{HeatmapsResult, Timing};
use crate::vision::boxes::Rect;

/// Who is asked about a claim.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Witness {
    /// The whole picture.
    Pixels,
    /// The parts of the picture that a detector finds.
    Regions,
    /// The detector's boxes themselves.
    Detector,
    /// Passages found by the claim.
    Text,
    /// Passages that belong to pictures of the same thing.
    Images,
}

impl Witness {
    /// Every witness.
    pub const ALL: [Self; 5] =
        [Self::Pixels, Self::Regions, Self::Detector, Self::Text, Self::Images];

    /// The name in calibrations, metrics and tables.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pixels => "pixels",
            Self::Regions => "regions",
            Self::Detector => "detector",
            Self::Text => "text",
            Self::Images => "images",
        }
    }
}

/// For or against.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Stance {
    /// Speaks for the claim.
    For,
    /// Speaks against it.
    Against,
    /// Says nothing about it.
    Silent,
}

impl Stance {
    /// By the sign of a support, where it is at least `least` strong.
    pub(super) fn of(support: f32, least: f32) -> Self {
        if support >= least {
            Self::For
        } else if support <= -least {
            Self::Against
        } else {
            Self::Silent
        }
    }
}

/// What one witness said about one claim.
#[derive(Clone, Debug, PartialEq)]
pub struct Testimony {
    /// Who.
    pub witness: Witness,
    /// What it comes down to.
    pub stance: Stance,
    /// How strongly it speaks for the claim, above 0, or against it, below. What is too weak for a
    /// stance keeps its value; 0 where nothing was said. In hundredths of a cosine; of the detector,
    /// the confidence of the box that decides.
    pub support: f32,
    /// Why nothing was said; empty where something was.
    pub silence: String,
    /// What it rests on, the strongest first.
    pub citations: Vec<Citation>,
}

impl Testimony {
    /// Nothing, and why.
    pub(super) fn silent(witness: Witness, why: impl Into<String>) -> Self {
        let silence = why.into();
        Self { witness, stance: Stance::Silent, support: 0.0, silence, citations: Vec::new() }
    }

    /// Something.
    pub(super) fn spoken(
        witness: Witness,
        support: f32,
        least: f32,
        citations: Vec<Citation>,
    ) -> Self {
        let stance = Stance::of(support, least);
        Self { witness, stance, support, silence: String::new(), citations }
    }

    /// Which picture its first citation points at.
    pub(super) fn first_picture(&self) -> Option<usize> {
        match &self.citations.first()?.source {
            Source::Picture(place) => Some(place.image),
            Source::Evidence { .. } => None,
        }
    }

    /// Whether something was said, however weak.
    pub fn spoke(&self) -> bool {
        self.silence.is_empty()
    }
}

/// Something that a witness points at.
#[derive(Clone, Debug, PartialEq)]
pub struct Citation {
    /// What.
    pub source: Source,
    /// For or against the claim.
    pub stance: Stance,
    /// How strongly, as [`Testimony::support`].
    pub support: f32,
}

/// What is pointed at.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// A place in a picture.
    Picture(Place),
    /// A statement in an item's text.
    Evidence {
        /// The item.
        item_id: String,
        /// Where it comes from.
        source: String,
        /// What it is called.
        title: String,
        /// The statement's bytes in the item's text.
        bytes: std::ops::Range<usize>,
        /// What it says.
        text: String,
        /// The cosine by which the item was found.
        score: f32,
    },
}

/// A place in a picture.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Place {
    /// Which of the request's pictures.
    pub image: usize,
    /// Of a video, the frame's number and when it is shown.
    pub frame: Option<(u64, Option<Duration>)>,
    /// The box, in pixels of the picture; none for the whole.
    pub rect: Option<Rect>,
    /// Class of the box.
    pub label: String,
}

/// What follows for a claim, or for an answer.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Status {
    /// It is likely true.
    Supported,
    /// It is likely false.
    Contradicted,
    /// Nothing speaks for or against it.
    Unsupported,
    /// What was said does not suffice, or does not agree.
    Inconclusive,
    /// No witness at hand judges such claims.
    UnsupportedClaimType,
}

impl Status {
    /// As metrics count it.
    pub const fn outcome(self) -> ClaimOutcome {
        match self {
            Self::Supported => ClaimOutcome::Supported,
            Self::Contradicted => ClaimOutcome::Contradicted,
            Self::Unsupported => ClaimOutcome::Unsupported,
            Self::Inconclusive => ClaimOutcome::Inconclusive,
            Self::UnsupportedClaimType => ClaimOutcome::UnsupportedClaimType,
        }
    }
}

/// Why a claim has its status.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// The witnesses that spoke agree.
    WitnessesAgree,
    /// Some spoke for it and some against it.
    WitnessesDisagree,
    /// One alone spoke.
    SingleWitness,
    /// What was said is weak.
    WeakSupport,
    /// Nothing found is about it.
    NoEvidence,
    /// No contradiction could be formed to compare it with.
    NoContradiction,
    /// An opinion, a question, a name.
    NotCheckable,
    /// A count, place or negation that neither the detector nor a passage could judge.
    NeedsDetector,
    /// Longer than the model reads.
    Truncated,
    /// Nothing was sent that could be asked about it.
    NothingToAsk,
}

/// One claim with all that was found out about it.
#[derive(Clone, Debug)]
pub struct ClaimResult {
    /// What is claimed.
    pub claim: Claim,
    /// What it was compared with.
    pub contradictions: Vec<String>,
    /// What follows.
    pub status: Status,
    /// Why, the most important first.
    pub reasons: Vec<Reason>,
    /// The probability that it is true; none where no witness spoke.
    pub confidence: Option<f64>,
    /// One for each witness that was asked.
    pub testimonies: Vec<Testimony>,
    /// Heatmaps of the claim, where asked for and the pixels spoke.
    pub heatmaps: Option<HeatmapsResult>,
}

/// The confidence without one witness.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ablation {
    /// Who is left out.
    pub without: Witness,
    /// The answer's confidence then; none where no claim could be checked.
    pub confidence: Option<f64>,
}

/// Everything about an answer.
#[derive(Clone, Debug)]
pub struct AnswerResult {
    /// The claims in the order of the answer.
    pub claims: Vec<ClaimResult>,
    /// The probability that every claim that could be checked is true: the product of their
    /// confidences. None where none could be.
    pub confidence: Option<f64>,
    /// Of the claims' statuses, the one that weighs most.
    pub status: Status,
    /// What the confidence would be without each witness that was asked.
    pub ablations: Vec<Ablation>,
    /// The CLIP model that compared pictures.
    pub model: Option<ModelIdentity>,
    /// The detector that was heard.
    pub detector: Option<ModelIdentity>,
    /// The calibration behind every confidence, if there is one.
    pub calibration: Option<Identity>,
    /// Where the time went.
    pub timing: Timing,
}
