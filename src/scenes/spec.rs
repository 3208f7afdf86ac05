//! A face as numbers.

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::Cue;

/// Where the head is and how it is held.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pose {
    /// Centre of the head across, in frame widths.
    pub x: f32,
    /// Centre of the head down, in frame heights.
    pub y: f32,
    /// Height of the head in frame heights.
    pub height: f32,
    /// Clockwise roll in degrees.
    pub roll: f32,
    /// Where the eyes look, -1 (left) to 1 (right).
    pub gaze: f32,
    /// How far the mouth is open, 0 to 1.
    pub smile: f32,
}

/// How the hair falls.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum HairStyle {
    /// A close cap.
    Short,
    /// Falls behind the shoulders.
    Long,
    /// A ball of curls.
    Curly,
    /// Points upward.
    Spiky,
}

/// What is behind the head.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Background {
    /// One colour.
    Plain,
    /// From one colour to another.
    Gradient,
    /// Large pale discs.
    Dots,
    /// Slanted stripes.
    Stripes,
}

/// Everything that a picture of a face is drawn from.
#[derive(Clone, Debug, PartialEq)]
pub struct FaceSpec {
    /// Seeds what no other field says: jitter, noise.
    pub seed: u64,
    /// Index among the skin tones.
    pub skin: usize,
    /// Index among the hair colours.
    pub hair: usize,
    /// How the hair falls.
    pub hair_style: HairStyle,
    /// Index among the eye colours.
    pub eyes: usize,
    /// Whether it wears glasses.
    pub glasses: bool,
    /// Index among the background colours.
    pub backdrop: usize,
    /// What is behind the head.
    pub background: Background,
    /// Index among the shirt colours.
    pub shirt: usize,
    /// Where the head is and how it is held.
    pub pose: Pose,
    /// Brightness, 1 is neutral.
    pub light: f32,
    /// Direction of the light as the pupils mirror it, in degrees from the right, clockwise.
    pub light_angle: f32,
    /// Standard deviation of the pixel noise, in levels.
    pub noise: f32,
    /// JPEG quality, 1 to 100.
    pub jpeg_quality: u8,
    /// Whether a one-sided cue is on the picture's right, for each of [`Cue::ALL`].
    pub right_side: [bool; 4],
    /// Whether each of [`Cue::ALL`] is on.
    pub cues: [bool; 4],
}

/// How many of each there are to choose from.
pub(super) const SKINS: usize = 6;
pub(super) const HAIRS: usize = 6;
pub(super) const EYES: usize = 4;
pub(super) const BACKDROPS: usize = 6;
pub(super) const SHIRTS: usize = 5;

impl FaceSpec {
    /// Draws every attribute from the seed, and each cue with probability 0.35.
    pub fn sample(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let height = rng.random_range(0.66..0.80);
        // The room that ears, hair and roll leave for the head's centre.
        let (slack_x, slack_y) = (0.5 - 0.58 * height, 0.5 - 0.58 * height);
        let styles = [HairStyle::Short, HairStyle::Long, HairStyle::Curly, HairStyle::Spiky];
        let backgrounds =
            [Background::Plain, Background::Gradient, Background::Dots, Background::Stripes];
        Self {
            seed,
            skin: rng.random_range(0..SKINS),
            hair: rng.random_range(0..HAIRS),
            hair_style: styles[rng.random_range(0..styles.len())],
            eyes: rng.random_range(0..EYES),
            glasses: rng.random_bool(0.3),
            backdrop: rng.random_range(0..BACKDROPS),
            background: backgrounds[rng.random_range(0..backgrounds.len())],
            shirt: rng.random_range(0..SHIRTS),
            pose: Pose {
                x: 0.5 + slack_x * rng.random_range(-1.0..1.0),
                y: 0.52 + slack_y * rng.random_range(-0.8..0.8),
                height,
                roll: rng.random_range(-9.0..9.0),
                gaze: rng.random_range(-1.0..1.0),
                smile: rng.random_range(0.0..1.0),
            },
            light: rng.random_range(0.85..1.1),
            light_angle: [225.0, 315.0][rng.random_range(0..2)] + rng.random_range(-15.0..15.0),
            noise: rng.random_range(0.5..4.0),
            jpeg_quality: rng.random_range(62..96),
            right_side: std::array::from_fn(|_| rng.random_bool(0.5)),
            cues: std::array::from_fn(|_| rng.random_bool(0.35)),
        }
    }

    /// The same face, differing in this cue alone.
    #[must_use]
    pub fn with_cue(&self, cue: Cue, on: bool) -> Self {
        let mut spec = self.clone();
        spec.cues[cue.index()] = on;
        spec
    }

    /// This person in another picture: skin, hair, eyes and glasses stay; clothes, pose, background,
    /// light and cues are another's.
    #[must_use]
    pub fn in_picture(&self, other: &Self) -> Self {
        Self {
            skin: self.skin,
            hair: self.hair,
            hair_style: self.hair_style,
            eyes: self.eyes,
            glasses: self.glasses,
            ..other.clone()
        }
    }

    /// Whether both show the same person, as far as this world tells people apart.
    pub fn is_same_person(&self, other: &Self) -> bool {
        self.in_picture(other) == *other
    }

    /// Whether the cue is on.
    pub fn has(&self, cue: Cue) -> bool {
        self.cues[cue.index()]
    }

    /// -1 where a one-sided cue is on the picture's left, 1 on its right.
    pub(super) fn side(&self, cue: Cue) -> f32 {
        if self.right_side[cue.index()] { 1.0 } else { -1.0 }
    }

    /// Whether the cue is on, and on this side: below 0 is the picture's left.
    pub(super) fn is_odd(&self, cue: Cue, side: f32) -> bool {
        self.has(cue) && self.right_side[cue.index()] == (side > 0.0)
    }

    /// Randomness for one purpose, the same however the cues stand.
    pub(super) fn rng(&self, purpose: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}
