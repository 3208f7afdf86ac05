//! Verdicts, segments and summaries to the wire.

use super::query::Plan;
use crate::proto::v1;
use crate::server::respond::duration;
use crate::verification::temporal::{
    Basis, Change, Closing, Event, Peak, PromptSummary, Reason, Segment, Standing, Summary, Time,
    Verdict,
};

const NANOS_OF_A_SECOND: i64 = 1_000_000_000;

/// A time from the wire; what is out of range ends at the last time there is.
pub(super) fn time(time: &prost_types::Duration) -> Time {
    let seconds = time.seconds.saturating_mul(NANOS_OF_A_SECOND);
    Time(seconds.saturating_add(i64::from(time.nanos)))
}

/// A time for the wire: seconds and nanoseconds have one sign.
fn told(time: Time) -> prost_types::Duration {
    let Time(nanos) = time;
    let (seconds, nanos) = (nanos / NANOS_OF_A_SECOND, nanos % NANOS_OF_A_SECOND);
    prost_types::Duration { seconds, nanos: nanos as i32 }
}

/// How each prompt stands.
pub(super) fn standings(plan: &Plan, standings: Vec<Standing>) -> Vec<v1::PromptVerdict> {
    let verdicts = standings.into_iter().enumerate().map(|(index, standing)| {
        let (verdict, reasons) = verdict(&standing.verdict);
        v1::PromptVerdict {
            prompt: plan.prompt(index),
            verdict,
            reasons,
            score: standing.score.map(|score| score as f32),
            segment: standing.segment.as_ref().map(segment),
        }
    });
    verdicts.collect()
}

/// What opened or closed, by the frame that was the cause.
pub(super) fn event(plan: &Plan, cause: Option<u64>, event: &Event) -> v1::SegmentEvent {
    v1::SegmentEvent {
        sequence: cause,
        prompt: plan.prompt(event.prompt),
        change: change(event.change).into(),
        segment: Some(segment(&event.segment)),
    }
}

/// How the stream went.
pub(super) fn summary(plan: &Plan, summary: Summary) -> v1::VerdictSummary {
    let basis = match summary.basis {
        None => v1::TimeBasis::Unspecified,
        Some(Basis::Presentation) => v1::TimeBasis::Presentation,
        Some(Basis::Sequence) => v1::TimeBasis::Sequence,
        Some(Basis::Arrival) => v1::TimeBasis::Arrival,
    };
    let prompts = summary.prompts.into_iter().enumerate();
    v1::VerdictSummary {
        time_basis: basis.into(),
        clock_jumps: summary.clock_jumps,
        prompts: prompts.map(|(index, of)| prompt_summary(plan.prompt(index), &of)).collect(),
    }
}

fn prompt_summary(prompt: String, of: &PromptSummary) -> v1::PromptSummary {
    let (verdict, reasons) = verdict(&of.verdict);
    v1::PromptSummary {
        prompt,
        verdict,
        reasons,
        share_present: of.share_present().map(|share| share as f32),
        observed: Some(duration(of.observed)),
        segment_count: of.segment_count,
        segments: of.segments.iter().map(segment).collect(),
        peak: of.peak.as_ref().map(peak),
        scored_frames: of.scored,
        missing_frames: of.missing,
    }
}

fn verdict(verdict: &Verdict) -> (i32, Vec<i32>) {
    let (verdict, reasons) = match verdict {
        Verdict::Present => (v1::Verdict::Present, &[][..]),
        Verdict::Absent => (v1::Verdict::Absent, &[][..]),
        Verdict::Inconclusive(reasons) => (v1::Verdict::Inconclusive, &reasons[..]),
    };
    (verdict.into(), reasons.iter().map(|why| reason(*why).into()).collect())
}

fn reason(reason: Reason) -> v1::VerdictReason {
    match reason {
        Reason::NotScored => v1::VerdictReason::NotScored,
        Reason::Stale => v1::VerdictReason::Stale,
        Reason::ClockJumped => v1::VerdictReason::ClockJumped,
        Reason::TooFewFrames => v1::VerdictReason::TooFewFrames,
        Reason::TooManyMissing => v1::VerdictReason::TooManyMissing,
        Reason::TooShort => v1::VerdictReason::TooShort,
        Reason::BetweenThresholds => v1::VerdictReason::BetweenThresholds,
    }
}

fn change(change: Change) -> v1::SegmentChange {
    match change {
        Change::Opened => v1::SegmentChange::Opened,
        Change::Closed(Closing::ScoreFell) => v1::SegmentChange::ClosedScoreFell,
        Change::Closed(Closing::Gap) => v1::SegmentChange::ClosedGap,
        Change::Closed(Closing::ClockJumped) => v1::SegmentChange::ClosedClockJumped,
        Change::Closed(Closing::Reconfigured) => v1::SegmentChange::ClosedReconfigured,
        Change::Closed(Closing::StreamEnded) => v1::SegmentChange::ClosedStreamEnded,
    }
}

fn segment(segment: &Segment) -> v1::VerdictSegment {
    v1::VerdictSegment {
        first_sequence: segment.first_sequence,
        last_sequence: segment.last_sequence,
        start: Some(told(segment.start)),
        end: Some(told(segment.end)),
        peak: Some(peak(&segment.peak)),
        mean_score: segment.mean_score as f32,
        frames: segment.frames,
    }
}

fn peak(peak: &Peak) -> v1::VerdictPeak {
    let Peak { sequence, time, score } = *peak;
    v1::VerdictPeak { sequence, time: Some(told(time)), score }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_keep_one_sign_and_end_at_the_range() {
        let wire = |seconds, nanos| prost_types::Duration { seconds, nanos };
        for (nanos, expected) in [
            (0, wire(0, 0)),
            (1_500_000_000, wire(1, 500_000_000)),
            (-1_500_000_000, wire(-1, -500_000_000)),
            (-7, wire(0, -7)),
        ] {
            assert_eq!(told(Time(nanos)), expected);
            assert_eq!(time(&expected), Time(nanos));
        }
        assert_eq!(time(&wire(i64::MAX, i32::MAX)), Time(i64::MAX));
        assert_eq!(time(&wire(i64::MIN, i32::MIN)), Time(i64::MIN));
        // Signs that do not fit together are still a time.
        assert_eq!(time(&wire(2, -1)), Time(1_999_999_999));
    }
}
