//! Witnesses on the command line and in files.

use clap::ValueEnum;

use crate::answers;
use crate::proto::v1;

/// Who can be asked about a claim.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(super) enum Witness {
    /// The whole picture.
    Pixels,
    /// Its parts.
    Regions,
    /// The detector's boxes.
    Detector,
    /// Passages found by the claim.
    Text,
    /// Passages of pictures that show the same thing.
    Images,
}

impl Witness {
    /// Every witness.
    pub(super) const ALL: [Self; 5] =
        [Self::Pixels, Self::Regions, Self::Detector, Self::Text, Self::Images];

    /// The name in files: that of the calibration's figures.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Pixels => answers::Witness::Pixels.name(),
            Self::Regions => answers::Witness::Regions.name(),
            Self::Detector => answers::Witness::Detector.name(),
            Self::Text => answers::Witness::Text.name(),
            Self::Images => answers::Witness::Images.name(),
        }
    }

    /// On the wire.
    pub(super) const fn kind(self) -> v1::WitnessKind {
        match self {
            Self::Pixels => v1::WitnessKind::Pixels,
            Self::Regions => v1::WitnessKind::Regions,
            Self::Detector => v1::WitnessKind::Detector,
            Self::Text => v1::WitnessKind::Text,
            Self::Images => v1::WitnessKind::Images,
        }
    }

    /// The witness of a testimony; `None` where it is one that this program does not know.
    pub(super) fn of(testimony: &v1::Testimony) -> Option<Self> {
        Self::ALL.into_iter().find(|witness| witness.kind() == testimony.witness())
    }
}
