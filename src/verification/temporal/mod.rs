//! Verdicts over time: what the scores of a stream's frames say about each prompt, frame by frame.
//! Pure; time and scores are arguments.
//!
//! ```text
//! score ─smoothing─► smoothed ─hysteresis─► segment opens, closes ─► events, summary
//!   └─ or missing ─► gaps, missing shares ─► INCONCLUSIVE and why
//! ```
//!
//! A score is compared with two thresholds: a segment opens at the upper and closes below the
//! lower one, so that noise around a single one does not chop it up. Where the evidence does not
//! carry a verdict, that is said, with the reasons; no frame is ever guessed at.

mod clock;
mod hysteresis;
mod rules;
mod segments;
mod smoothing;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;

use std::time::Duration;

pub use clock::{Basis, Time};
pub use hysteresis::{Change, Closing, Reason, Verdict};
pub use rules::{Figure, Rules, Thresholds};
pub use segments::{Peak, Segment};

use clock::{Clock, Step, Tick};
use hysteresis::{Sighting, Track};

/// What is known of one frame. Frames come in the order of the stream.
#[derive(Clone, Copy, Debug)]
pub struct Frame<'a> {
    /// Its number.
    pub sequence: u64,
    /// When it is shown, where its sender says.
    pub presentation: Option<Time>,
    /// When it came, from the start of the stream.
    pub arrival: Duration,
    /// What it says about the prompts.
    pub evidence: Evidence<'a>,
}

/// What a frame says about the prompts.
#[derive(Clone, Copy, Debug)]
pub enum Evidence<'a> {
    /// One score for each prompt, in their order. One that is not finite, or that is left out at
    /// the end, counts as missing.
    Scored(&'a [f32]),
    /// As before, but taken over from an earlier frame: it stretches time and is no further
    /// observation.
    Reused(&'a [f32]),
    /// Nothing: it was dropped, expired or failed.
    Missing,
}

/// A segment that opened or closed.
#[derive(Clone, Debug, PartialEq)]
pub struct Event {
    /// Index of the prompt.
    pub prompt: usize,
    /// What happened.
    pub change: Change,
    /// The segment, up to now or as it ended.
    pub segment: Segment,
}

/// How a prompt stands after a frame.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// What the frames up to now say.
    pub verdict: Verdict,
    /// The smoothed score behind it; absent while there is none since the last break.
    pub score: Option<f64>,
    /// The segment that is open.
    pub segment: Option<Segment>,
}

/// How a prompt stood over the whole stream.
#[derive(Clone, Debug, PartialEq)]
pub struct PromptSummary {
    /// Present where there was a segment; absent where the score stayed below the lower threshold
    /// all the time, on enough evidence.
    pub verdict: Verdict,
    /// Time within segments.
    pub present: Duration,
    /// Time between scored frames, without gaps that are too long.
    pub observed: Duration,
    /// Segments there were.
    pub segment_count: u64,
    /// Those with the highest peaks, at most [`Rules::max_segments`], in the order of the frames.
    pub segments: Vec<Segment>,
    /// The frame with the highest score, within a segment or not.
    pub peak: Option<Peak>,
    /// Frames with a score.
    pub scored: u64,
    /// Frames without.
    pub missing: u64,
}

impl PromptSummary {
    /// The part of the observed time that lies within segments, 0 to 1; nothing where no time was
    /// observed.
    pub fn share_present(&self) -> Option<f64> {
        let observed = self.observed.as_secs_f64();
        (observed > 0.0).then(|| (self.present.as_secs_f64() / observed).min(1.0))
    }
}

/// How a stream went.
#[derive(Clone, Debug, PartialEq)]
pub struct Summary {
    /// What the times come from; nothing where there was no frame.
    pub basis: Option<Basis>,
    /// How often the time went back by more than [`Rules::max_gap`].
    pub clock_jumps: u64,
    /// One for each prompt.
    pub prompts: Vec<PromptSummary>,
}

/// The verdicts of one stream. Its size is that of its prompts, however long the stream.
#[derive(Clone, Debug)]
pub struct Verdicts {
    rules: Rules,
    clock: Clock,
    tracks: Vec<Track>,
    clock_jumps: u64,
}

impl Verdicts {
    /// Nothing seen yet. One prompt for each of `thresholds`.
    pub fn new(rules: Rules, thresholds: &[Thresholds]) -> Self {
        let tracks = thresholds.iter().map(|thresholds| Track::new(*thresholds, &rules));
        let clock = Clock::new(rules.frame_interval, rules.max_gap);
        Self { tracks: tracks.collect(), clock, rules, clock_jumps: 0 }
    }

    /// Takes a frame in; gives what opened and closed, by prompt.
    pub fn observe(&mut self, frame: &Frame<'_>) -> Vec<Event> {
        let Tick { now, step } = self.clock.tick(frame.sequence, frame.presentation, frame.arrival);
        let jumped = step == Step::Back;
        self.clock_jumps += u64::from(jumped);
        let (scores, computed) = match frame.evidence {
            Evidence::Scored(scores) => (scores, true),
            Evidence::Reused(scores) => (scores, false),
            Evidence::Missing => (&[][..], false),
        };
        let mut events = Vec::new();
        for (prompt, track) in self.tracks.iter_mut().enumerate() {
            let event = |(change, segment)| Event { prompt, change, segment };
            if jumped {
                events.extend(track.clock_jumped().map(event));
            }
            events.extend(track.gap(now, &self.rules).map(event));
            match scores.get(prompt).filter(|score| score.is_finite()) {
                Some(&score) => {
                    let sighting =
                        Sighting { sequence: frame.sequence, time: now, score, computed };
                    events.extend(track.see(&sighting, &self.rules).map(event));
                }
                None => track.miss(),
            }
        }
        events
    }

    /// How each prompt stands.
    pub fn standings(&self) -> Vec<Standing> {
        self.tracks.iter().map(|track| track.standing(&self.rules)).collect()
    }

    /// Closes what is open; nothing more is to be observed.
    pub fn end(&mut self, closing: Closing) -> Vec<Event> {
        let ended = self.tracks.iter_mut().enumerate().filter_map(|(prompt, track)| {
            let (change, segment) = track.end(closing)?;
            Some(Event { prompt, change, segment })
        });
        ended.collect()
    }

    /// How the stream went, to be asked after [`Verdicts::end`].
    pub fn summary(&self) -> Summary {
        Summary {
            basis: self.clock.basis(),
            clock_jumps: self.clock_jumps,
            prompts: self.tracks.iter().map(|track| track.summary(&self.rules)).collect(),
        }
    }
}
