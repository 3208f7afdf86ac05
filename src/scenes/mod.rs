//! The demo world: cartoon faces drawn from a seed, with captions, part boxes and cue masks.
//!
//! Imports: vision.
//!
//! A [`FaceSpec`] is a whole face as numbers; [`draw()`] makes its picture and ground truth. The same
//! spec always gives the same pixels. Switching one [`Cue`] changes the picture at that cue's site
//! and nowhere else (compression noise aside).

mod canvas;
mod clip;
pub mod dossier;
mod draw;
mod facts;
mod features;
mod mask;
mod phrases;
mod spec;
mod strangers;
mod words;

pub use clip::clip;
pub use draw::{Scene, draw, draw_clean};
pub use facts::{Fact, Topic, fillers, hair_statements};
pub use mask::Mask;
pub use spec::{Background, FaceSpec, HairStyle, Pose};
pub use strangers::Stranger;
pub use words::{PHRASE_VARIANTS, caption, cue_phrase, prompt, prompts};

/// Seeds from here on are never trained on.
pub const HELD_OUT: u64 = 1_000_000_000;

/// A sign of a faked picture, which can be on or off in any face.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Cue {
    /// One pupil mirrors another light than the other.
    MismatchedPupilReflections,
    /// One ear is pointed and notched.
    MisshapenEar,
    /// Teeth of jagged lengths and widths, with gaps.
    UnevenTeeth,
    /// A hard discoloured line inside the face's edge, as of a badly blended face swap.
    BlendingSeam,
}

impl Cue {
    /// Every cue.
    pub const ALL: [Self; 4] = [
        Self::MismatchedPupilReflections,
        Self::MisshapenEar,
        Self::UnevenTeeth,
        Self::BlendingSeam,
    ];

    /// The name in reports and files.
    pub const fn name(self) -> &'static str {
        match self {
            Self::MismatchedPupilReflections => "mismatched_pupil_reflections",
            Self::MisshapenEar => "misshapen_ear",
            Self::UnevenTeeth => "uneven_teeth",
            Self::BlendingSeam => "blending_seam",
        }
    }

    /// The cue of that name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cue| cue.name() == name)
    }

    /// Its place in [`Cue::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// A part of the face that the detector finds. Eyes and ears are one box each side.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Part {
    /// The head without hair and ears.
    Face,
    /// One eye.
    Eye,
    /// One ear.
    Ear,
    /// The nose.
    Nose,
    /// The mouth with its lips.
    Mouth,
    /// Both lenses and the bridge.
    Glasses,
}

impl Part {
    /// Every part, in the order of the detector's classes.
    pub const ALL: [Self; 6] =
        [Self::Face, Self::Eye, Self::Ear, Self::Nose, Self::Mouth, Self::Glasses];

    /// The class name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Face => "face",
            Self::Eye => "eye",
            Self::Ear => "ear",
            Self::Nose => "nose",
            Self::Mouth => "mouth",
            Self::Glasses => "glasses",
        }
    }

    /// Its place in [`Part::ALL`].
    pub fn index(self) -> usize {
        self as usize
    }
}

/// The language of captions and prompts.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Language {
    /// English.
    English,
    /// Korean.
    Korean,
}

impl Language {
    /// Every language.
    pub const ALL: [Self; 2] = [Self::English, Self::Korean];

    /// The ISO 639-1 code.
    pub const fn code(self) -> &'static str {
        match self {
            Self::English => "en",
            Self::Korean => "ko",
        }
    }
}
