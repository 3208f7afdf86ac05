//! A moving face.

use rand::Rng;

use super::{Cue, FaceSpec};

/// A face that sways, speaks and shows each cue for a while: one spec a frame. It starts clean, and
/// every cue is on for one or two stretches of the clip.
pub fn clip(seed: u64, seconds: f32, fps: u32) -> Vec<FaceSpec> {
    let mut first = FaceSpec::sample(seed);
    first.cues = [false; 4];
    let mut rng = first.rng(5);
    let phases: [f32; 4] = std::array::from_fn(|_| rng.random_range(0.0..std::f32::consts::TAU));
    let frames = (seconds * fps as f32).round().max(1.0) as usize;
    (0..frames)
        .map(|frame| {
            let time = frame as f32 / fps.max(1) as f32;
            let sway = |index: usize, period: f32| {
                (phases[index] + time * std::f32::consts::TAU / period).sin()
            };
            let mut spec = first.clone();
            spec.seed = first.seed;
            spec.pose.x = 0.5 + 0.03 * sway(0, 5.0);
            spec.pose.y = 0.52 + 0.02 * sway(1, 3.7);
            spec.pose.roll = 5.0 * sway(2, 6.3);
            spec.pose.gaze = sway(3, 4.1);
            spec.pose.smile = 0.5 + 0.5 * sway(1, 2.3);
            for cue in Cue::ALL {
                spec.cues[cue.index()] = on(cue, time / seconds.max(1e-3));
            }
            spec
        })
        .collect()
}

/// When each cue is on, as a share of the clip.
fn on(cue: Cue, at: f32) -> bool {
    let spans: &[(f32, f32)] = match cue {
        Cue::UnevenTeeth => &[(0.10, 0.32), (0.74, 0.90)],
        Cue::MisshapenEar => &[(0.26, 0.48)],
        Cue::MismatchedPupilReflections => &[(0.42, 0.64), (0.80, 0.97)],
        Cue::BlendingSeam => &[(0.58, 0.78)],
    };
    spans.iter().any(|&(from, to)| (from..to).contains(&at))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clip_starts_clean_and_shows_every_cue() {
        let frames = clip(5, 10.0, 10);
        assert_eq!(frames.len(), 100);
        assert_eq!(frames[0].cues, [false; 4]);
        for cue in Cue::ALL {
            let shown = frames.iter().filter(|spec| spec.has(cue)).count();
            assert!((15..60).contains(&shown), "{cue:?} in {shown} frames");
        }
    }

    #[test]
    fn the_head_moves_little_between_frames() {
        let frames = clip(5, 10.0, 10);
        let steps = frames.windows(2).map(|pair| (pair[0].pose.x - pair[1].pose.x).abs());
        assert!(steps.fold(0.0, f32::max) < 0.02);
    }
}
