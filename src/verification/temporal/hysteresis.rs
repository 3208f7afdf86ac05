//! One prompt over time: two thresholds, and what a verdict needs.

use std::time::Duration;

use super::clock::Time;
use super::rules::{Rules, Thresholds};
use super::segments::{Log, Peak, Segment};
use super::smoothing::Smoother;
use super::{PromptSummary, Standing};

/// What is said of a prompt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Verdict {
    /// It holds.
    Present,
    /// It does not.
    Absent,
    /// The evidence does not say; one reason or more.
    Inconclusive(Vec<Reason>),
}

/// Why the evidence does not say.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Reason {
    /// No frame had a score for it.
    NotScored,
    /// The last score is longer ago than [`Rules::max_gap`].
    Stale,
    /// The video's time went back, and little was seen since.
    ClockJumped,
    /// Fewer frames than [`Rules::min_frames`] since the stream's start or the last break.
    TooFewFrames,
    /// More of the last frames lack a score than [`Rules::max_missing`] allows.
    TooManyMissing,
    /// It opened, but has not lasted for [`Rules::min_duration`].
    TooShort,
    /// The score lies between the thresholds, and no segment is open.
    BetweenThresholds,
}

/// What happened to a segment.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Change {
    /// It has lasted long enough to be one.
    Opened,
    /// It is over.
    Closed(Closing),
}

/// Why a segment is over.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Closing {
    /// The smoothed score fell below the lower threshold.
    ScoreFell,
    /// No score for longer than [`Rules::max_gap`].
    Gap,
    /// The video's time went back.
    ClockJumped,
    /// What was asked of the stream changed.
    Reconfigured,
    /// The stream ended.
    StreamEnded,
}

/// A frame with a finite score.
#[derive(Clone, Copy, Debug)]
pub(super) struct Sighting {
    pub(super) sequence: u64,
    pub(super) time: Time,
    pub(super) score: f32,
    /// Whether the score is the frame's own, not one taken over.
    pub(super) computed: bool,
}

/// The last frames, the latest in the lowest bit; set where a score was missing.
#[derive(Clone, Copy, Debug, Default)]
struct Recent {
    missing: u32,
    count: u32,
}

impl Recent {
    fn push(&mut self, missing: bool) {
        self.missing = self.missing << 1 | u32::from(missing);
        self.count = (self.count + 1).min(u32::BITS);
    }

    /// The part without a score, 0 to 1.
    fn missing_share(self) -> f32 {
        if self.count == 0 { 0.0 } else { self.missing.count_ones() as f32 / self.count as f32 }
    }
}

/// Where the score stands with respect to a segment.
#[derive(Clone, Copy, Debug)]
enum Run {
    /// In none.
    Outside,
    /// In one that has not lasted long enough.
    Rising(Segment),
    /// In one that was told.
    Open(Segment),
}

/// What stays when the evidence breaks off.
#[derive(Clone, Debug)]
struct Totals {
    log: Log,
    scored: u64,
    missing: u64,
    observed: Duration,
    peak: Option<Peak>,
    /// Whether any stretch had enough frames for a verdict.
    judged: bool,
    noticed: Noticed,
}

/// What keeps a stream without segments from a verdict.
#[derive(Clone, Copy, Debug, Default)]
struct Noticed {
    /// The score was between the thresholds, outside a segment.
    between: bool,
    /// A segment was over before it had lasted long enough.
    short: bool,
    /// The clock jumped.
    jump: bool,
}

/// One prompt of a stream.
#[derive(Clone, Debug)]
pub(super) struct Track {
    thresholds: Thresholds,
    smoother: Smoother,
    run: Run,
    recent: Recent,
    /// When the last score was, since the last break.
    last: Option<Time>,
    /// Computed frames since the last break.
    computed: u32,
    /// Whether the last break was the clock's.
    jumped: bool,
    totals: Totals,
}

impl Track {
    pub(super) fn new(thresholds: Thresholds, rules: &Rules) -> Self {
        let totals = Totals {
            log: Log::new(rules.max_segments),
            scored: 0,
            missing: 0,
            observed: Duration::ZERO,
            peak: None,
            judged: false,
            noticed: Noticed::default(),
        };
        Self {
            thresholds,
            smoother: Smoother::new(rules.time_constant),
            run: Run::Outside,
            recent: Recent::default(),
            last: None,
            computed: 0,
            jumped: false,
            totals,
        }
    }

    /// The video's time went back: what was smoothed before says nothing about what comes.
    pub(super) fn clock_jumped(&mut self) -> Option<(Change, Segment)> {
        let closed = self.break_off(Closing::ClockJumped);
        self.jumped = true;
        self.totals.noticed.jump = true;
        closed
    }

    /// Breaks off where the last score is too long ago.
    pub(super) fn gap(&mut self, now: Time, rules: &Rules) -> Option<(Change, Segment)> {
        if self.last.is_none_or(|last| now.since(last) <= rules.max_gap) {
            return None;
        }
        self.jumped = false;
        self.break_off(Closing::Gap)
    }

    /// A frame without a score.
    pub(super) fn miss(&mut self) {
        self.recent.push(true);
        self.totals.missing = self.totals.missing.saturating_add(1);
    }

    /// A frame with a score; times do not go back.
    pub(super) fn see(&mut self, frame: &Sighting, rules: &Rules) -> Option<(Change, Segment)> {
        self.recent.push(false);
        self.computed = self.computed.saturating_add(u32::from(frame.computed));
        let totals = &mut self.totals;
        totals.scored = totals.scored.saturating_add(1);
        totals.judged |= self.computed >= rules.min_frames;
        totals.peak = Some(Peak::or_higher(totals.peak, frame));
        if let Some(last) = self.last.replace(frame.time) {
            totals.observed = totals.observed.saturating_add(frame.time.since(last));
        }
        let score = self.smoother.update(frame.time, f64::from(frame.score));
        self.judge(frame, score, rules)
    }

    fn judge(&mut self, frame: &Sighting, score: f64, rules: &Rules) -> Option<(Change, Segment)> {
        let falls = score < f64::from(self.thresholds.close_at());
        self.run = match self.run {
            Run::Outside if score >= f64::from(self.thresholds.open_at()) => {
                Run::Rising(Segment::new(frame))
            }
            Run::Outside => {
                self.totals.noticed.between |= !falls;
                Run::Outside
            }
            Run::Rising(_) if falls => {
                self.totals.noticed.short = true;
                Run::Outside
            }
            Run::Open(segment) if falls => {
                self.totals.log.add(segment);
                self.run = Run::Outside;
                return Some((Change::Closed(Closing::ScoreFell), segment));
            }
            Run::Rising(mut segment) => {
                segment.extend(frame);
                Run::Rising(segment)
            }
            Run::Open(mut segment) => {
                segment.extend(frame);
                Run::Open(segment)
            }
        };
        match self.run {
            Run::Rising(segment)
                if segment.duration() >= rules.min_duration
                    && self.computed >= rules.min_frames =>
            {
                self.run = Run::Open(segment);
                Some((Change::Opened, segment))
            }
            Run::Outside | Run::Rising(_) | Run::Open(_) => None,
        }
    }

    /// Closes what is open and forgets what was smoothed.
    fn break_off(&mut self, closing: Closing) -> Option<(Change, Segment)> {
        let closed = self.end(closing);
        self.smoother.reset();
        self.last = None;
        self.computed = 0;
        closed
    }

    /// Closes what is open.
    pub(super) fn end(&mut self, closing: Closing) -> Option<(Change, Segment)> {
        match std::mem::replace(&mut self.run, Run::Outside) {
            Run::Outside => None,
            Run::Rising(_) => {
                self.totals.noticed.short = true;
                None
            }
            Run::Open(segment) => {
                self.totals.log.add(segment);
                Some((Change::Closed(closing), segment))
            }
        }
    }

    /// What the frames up to now say.
    pub(super) fn standing(&self, rules: &Rules) -> Standing {
        let score = self.smoother.value();
        let segment = match self.run {
            Run::Open(segment) => Some(segment),
            Run::Outside | Run::Rising(_) => None,
        };
        Standing { verdict: self.verdict(score, rules), score, segment }
    }

    fn verdict(&self, score: Option<f64>, rules: &Rules) -> Verdict {
        let few = self.computed < rules.min_frames;
        let seen = self.totals.scored > 0;
        let broken_off = self.last.is_none();
        let reasons = those_that_hold([
            (!seen, Reason::NotScored),
            (seen && broken_off && !self.jumped, Reason::Stale),
            (seen && few && self.jumped, Reason::ClockJumped),
            (seen && few && !broken_off, Reason::TooFewFrames),
            (self.recent.missing_share() > rules.max_missing, Reason::TooManyMissing),
        ]);
        if !reasons.is_empty() {
            return Verdict::Inconclusive(reasons);
        }
        let below = |score| score < f64::from(self.thresholds.close_at());
        match self.run {
            Run::Open(_) => Verdict::Present,
            Run::Rising(_) => Verdict::Inconclusive(vec![Reason::TooShort]),
            Run::Outside if score.is_some_and(below) => Verdict::Absent,
            Run::Outside => Verdict::Inconclusive(vec![Reason::BetweenThresholds]),
        }
    }

    /// How it went; what is still open does not count.
    pub(super) fn summary(&self, rules: &Rules) -> PromptSummary {
        let Totals { log, scored, missing, observed, peak, .. } = &self.totals;
        PromptSummary {
            verdict: self.overall(rules),
            present: log.duration(),
            observed: *observed,
            segment_count: log.count(),
            segments: log.kept().to_vec(),
            peak: *peak,
            scored: *scored,
            missing: *missing,
        }
    }

    fn overall(&self, rules: &Rules) -> Verdict {
        let Totals { log, scored, missing, judged, noticed, .. } = &self.totals;
        if log.count() > 0 {
            return Verdict::Present;
        }
        let all = scored.saturating_add(*missing).max(1) as f64;
        let too_many = *missing as f64 / all > f64::from(rules.max_missing);
        let seen = *scored > 0;
        let reasons = those_that_hold([
            (!seen, Reason::NotScored),
            (seen && !judged && noticed.jump, Reason::ClockJumped),
            (seen && !judged, Reason::TooFewFrames),
            (seen && too_many, Reason::TooManyMissing),
            (noticed.short, Reason::TooShort),
            (noticed.between, Reason::BetweenThresholds),
        ]);
        if reasons.is_empty() { Verdict::Absent } else { Verdict::Inconclusive(reasons) }
    }
}

fn those_that_hold<const N: usize>(reasons: [(bool, Reason); N]) -> Vec<Reason> {
    reasons.into_iter().filter_map(|(holds, reason)| holds.then_some(reason)).collect()
}
