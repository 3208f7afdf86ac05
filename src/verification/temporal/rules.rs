//! What turns scores into verdicts: the figure that is judged, its thresholds, and how much
//! evidence a verdict needs.

use std::time::Duration;

/// Which figure of a frame is judged.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Figure {
    /// The cosine less that of the null prompts. Needs no second prompt, and is above 0 where the
    /// prompt says more than nothing in particular does.
    #[default]
    Contrast,
    /// The cosine itself. Its level depends on the model and the prompt.
    Cosine,
    /// The softmax over the prompts asked: which fits best, not whether any does.
    Softmax,
    /// The cosine less that of the prompt's opposite ("uneven teeth", "even teeth").
    Margin,
    /// The calibrated probability that the prompt is true of the frame.
    Confidence,
}

impl Figure {
    /// Where a segment opens and closes unless told otherwise. Starting points: a model's own
    /// levels are found on frames whose truth is known.
    pub const fn thresholds(self) -> Thresholds {
        let (open_at, close_at) = match self {
            Self::Contrast => (0.02, 0.01),
            Self::Cosine => (0.25, 0.23),
            Self::Softmax | Self::Confidence => (0.6, 0.4),
            Self::Margin => (0.02, 0.0),
        };
        Thresholds { open_at, close_at }
    }
}

/// Where a segment opens and closes; the first lies above the second, and both are finite.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Thresholds {
    open_at: f32,
    close_at: f32,
}

impl Thresholds {
    /// Opens at `open_at` and above, closes below `close_at`; nothing unless both are finite and
    /// the first lies above the second.
    pub fn new(open_at: f32, close_at: f32) -> Option<Self> {
        let ordered = open_at > close_at && open_at.is_finite() && close_at.is_finite();
        ordered.then_some(Self { open_at, close_at })
    }

    /// A segment opens at this smoothed score and above.
    pub fn open_at(&self) -> f32 {
        self.open_at
    }

    /// A segment closes below this smoothed score.
    pub fn close_at(&self) -> f32 {
        self.close_at
    }
}

/// What holds for all prompts of a stream.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rules {
    /// Time constant of the smoothing: how long a lasting change takes to show by 63 %. 0 for none.
    /// Default 500 ms.
    pub time_constant: Duration,
    /// A segment is one only when it has lasted this long; its start is then told in hindsight.
    /// Default 300 ms.
    pub min_duration: Duration,
    /// A segment survives frames without a score for this long, and times that go back by at most
    /// this much count as standing still. Default 1 s.
    pub max_gap: Duration,
    /// Computed frames since the last break that a verdict needs, 1 or more. Default 3.
    pub min_frames: u32,
    /// The part of the last 32 frames that may lack a score, 0 to 1. Default 0.5.
    pub max_missing: f32,
    /// Segments of one prompt that the summary lists. Default 16.
    pub max_segments: usize,
    /// Time from one number to the next, for frames that do not say when they are shown; without
    /// it, the time of their arrival counts. Default none.
    pub frame_interval: Option<Duration>,
}

impl Default for Rules {
    fn default() -> Self {
        Self {
            time_constant: Duration::from_millis(500),
            min_duration: Duration::from_millis(300),
            max_gap: Duration::from_secs(1),
            min_frames: 3,
            max_missing: 0.5,
            max_segments: 16,
            frame_interval: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thresholds_are_finite_and_apart() {
        for (open_at, close_at, fine) in [
            (0.2, 0.1, true),
            (-0.1, -0.2, true),
            (0.1, 0.1, false),
            (0.1, 0.2, false),
            (f32::NAN, 0.0, false),
            (f32::INFINITY, 0.0, false),
            (0.0, f32::NEG_INFINITY, false),
        ] {
            assert_eq!(Thresholds::new(open_at, close_at).is_some(), fine, "{open_at} {close_at}");
        }
        let figures = [Figure::Contrast, Figure::Cosine, Figure::Softmax, Figure::Margin];
        for figure in figures.into_iter().chain([Figure::Confidence]) {
            let Thresholds { open_at, close_at } = figure.thresholds();
            assert!(Thresholds::new(open_at, close_at).is_some(), "{figure:?}");
        }
    }
}
