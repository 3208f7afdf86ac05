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
    /// How broad the jaw is, 0 to 1.
    pub jaw: f32,
    /// Whether there are freckles on the cheeks.
    pub freckles: bool,
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

/// How far the centre of a head of this height can be from its usual place, across and down, in
/// frame sides: what ears, hair and roll leave.
pub(super) fn slack(height: f32) -> (f32, f32) {
    (0.5 - 0.61 * height, 0.46 - 0.55 * height)
}

impl FaceSpec {
    /// Draws every attribute from the seed, and each cue with probability 0.35.
    pub fn sample(seed: u64) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let height = rng.random_range(0.67..0.80);
        let (slack_x, slack_y) = slack(height);
        let styles = [HairStyle::Short, HairStyle::Long, HairStyle::Curly, HairStyle::Spiky];
        let backgrounds =
            [Background::Plain, Background::Gradient, Background::Dots, Background::Stripes];
        Self {
            seed,
            skin: rng.random_range(0..SKINS),
            jaw: rng.random_range(0.0..1.0),
            freckles: rng.random_bool(0.2),
            hair: rng.random_range(0..HAIRS),
            hair_style: styles[rng.random_range(0..styles.len())],
            eyes: rng.random_range(0..EYES),
            glasses: rng.random_bool(0.3),
            backdrop: rng.random_range(0..BACKDROPS),
            background: backgrounds[rng.random_range(0..backgrounds.len())],
            shirt: rng.random_range(0..SHIRTS),
            pose: Pose {
                x: 0.5 + slack_x * rng.random_range(-1.0..1.0),
                y: 0.52 + slack_y * rng.random_range(-1.0..1.0),
                height,
                roll: rng.random_range(-9.0..9.0),
                gaze: rng.random_range(-1.0..1.0),
                smile: rng.random_range(0.0..1.0),
            },
            light: rng.random_range(0.82..1.04),
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

    /// Whether the cue is on.
    pub fn has(&self, cue: Cue) -> bool {
        self.cues[cue.index()]
    }

    /// Whether a one-sided cue shows on this side: -1 is the picture's left, 1 its right.
    pub(super) fn shows_on(&self, cue: Cue, side: f32) -> bool {
        self.has(cue) && self.right_side[cue.index()] == (side > 0.0)
    }

    /// Randomness for one purpose, the same however the cues stand.
    pub(super) fn rng(&self, purpose: u64) -> ChaCha8Rng {
        ChaCha8Rng::seed_from_u64(self.seed ^ purpose.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }
}

#[cfg(test)]
mod tests {
    use super::super::HELD_OUT;
    use super::*;

    #[test]
    fn held_out_faces_are_no_training_faces() {
        for seed in 0..200 {
            assert_ne!(FaceSpec::sample(HELD_OUT + seed), FaceSpec::sample(seed));
            let same_seed = FaceSpec { seed, ..FaceSpec::sample(HELD_OUT + seed) };
            assert_ne!(same_seed, FaceSpec::sample(seed));
        }
    }

    #[test]
    fn switching_a_cue_switches_nothing_else() {
        for cue in Cue::ALL {
            let face = FaceSpec::sample(4);
            let on = face.with_cue(cue, true);
            assert!(on.has(cue) && !on.with_cue(cue, false).has(cue));
            assert_eq!(on.with_cue(cue, face.has(cue)), face);
        }
    }

    #[test]
    fn about_a_third_of_the_faces_show_each_cue() {
        for cue in Cue::ALL {
            let shown = (0..1000).filter(|&seed| FaceSpec::sample(seed).has(cue)).count();
            assert!((300..400).contains(&shown), "{cue:?} in {shown} of 1000");
        }
    }
}
