//! How far an answer may be believed: claim by claim, by witnesses that do not know of each other.
//!
//! Imports: bounds, units, claims, calibration, telemetry, evidence, vision, serving, verification, retrieval.
//!
//! An answer is split into claims. Five witnesses are heard about each: the whole picture
//! (`pixels`), its parts (`pixels` again), the `detector`, and passages of evidence, found by
//! what they say or by pictures of the same thing (`passages`). Each gives a signed support or is
//! silent, with its reasons; `judge` makes one probability and one status of it. Nothing here
//! guesses: a claim that no witness can judge is told so.

mod asked;
mod check;
mod config;
mod detector;
mod judge;
mod lexicon;
mod likeness;
mod passages;
mod pixels;
mod request;
mod result;
mod session;
mod video;

pub use asked::contradictions;
pub use check::{of_image, verify_answer};
pub use config::Config;
pub use request::{AnswerRequest, EvidenceScope};
pub use result::{
    Ablation, AnswerResult, Citation, ClaimResult, Place, Reason, Source, Stance, Status,
    Testimony, Witness,
};
pub use session::Backend;
pub use video::{FrameTestimony, Video};
