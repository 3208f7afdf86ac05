//! Verdicts over time on the wire: every frame's result passes by here, in order, and takes its
//! verdicts along; what opens and closes is told after it.

mod query;
mod wire;

use std::sync::Arc;
use std::time::Duration;

pub(in crate::server) use query::{Plan, convert};

use crate::proto::v1;
use crate::proto::v1::frame_result::Outcome;
use crate::verification::temporal::{Closing, Event, Evidence, Frame, Verdicts};

/// The verdicts of one stream, whatever its configurations ask for.
#[derive(Debug, Default)]
pub(super) struct Judge {
    watch: Option<Watch>,
}

/// The verdicts that were asked for last.
#[derive(Debug)]
struct Watch {
    plan: Arc<Plan>,
    verdicts: Verdicts,
    /// Whether a configuration without verdicts came since; they stay for the summary.
    ended: bool,
}

impl Judge {
    /// Takes in the next result, which came of a frame that arrived so long after the stream began,
    /// under a configuration with this plan, if any. Sets the result's verdicts, and gives what is to
    /// be sent right after it.
    pub(super) fn observe(
        &mut self,
        plan: Option<&Arc<Plan>>,
        arrival: Duration,
        result: &mut v1::FrameResult,
    ) -> Vec<v1::SegmentEvent> {
        let cause = Some(result.sequence);
        let mut events = self.configure(plan, cause);
        let Some(watch) = self.watch.as_mut().filter(|watch| !watch.ended) else { return events };
        if counts(result.outcome.as_ref()) {
            let figures = figures(&watch.plan, result.outcome.as_ref());
            let evidence = match &figures {
                None => Evidence::Missing,
                Some(figures) if result.reused_from.is_some() => Evidence::Reused(figures),
                Some(figures) => Evidence::Scored(figures),
            };
            let frame = Frame {
                sequence: result.sequence,
                presentation: result.presentation_time.as_ref().map(wire::time),
                arrival,
                evidence,
            };
            let told = watch.verdicts.observe(&frame);
            events.extend(told.iter().map(|event| wire::event(&watch.plan, cause, event)));
        }
        if watch.plan.in_results {
            result.verdicts = wire::standings(&watch.plan, watch.verdicts.standings());
        }
        events
    }

    /// Follows a change of what is asked for; gives what it closes.
    fn configure(&mut self, plan: Option<&Arc<Plan>>, cause: Option<u64>) -> Vec<v1::SegmentEvent> {
        let goes_on = |watch: &&mut Watch| {
            !watch.ended && plan.is_some_and(|plan| plan.continues(&watch.plan))
        };
        if let (Some(watch), Some(plan)) = (self.watch.as_mut().filter(goes_on), plan) {
            watch.plan = Arc::clone(plan);
            return Vec::new();
        }
        let closed = self.close(Closing::Reconfigured, cause);
        if let Some(plan) = plan {
            let verdicts = plan.begin();
            self.watch = Some(Watch { plan: Arc::clone(plan), verdicts, ended: false });
        }
        closed
    }

    /// Closes what is open, for nothing more will come; what is to be sent before the summary.
    pub(super) fn end(&mut self) -> Vec<v1::SegmentEvent> {
        self.close(Closing::StreamEnded, None)
    }

    fn close(&mut self, closing: Closing, cause: Option<u64>) -> Vec<v1::SegmentEvent> {
        let Some(watch) = self.watch.as_mut().filter(|watch| !watch.ended) else {
            return Vec::new();
        };
        watch.ended = true;
        let told: Vec<Event> = watch.verdicts.end(closing);
        told.iter().map(|event| wire::event(&watch.plan, cause, event)).collect()
    }

    /// How the prompts stood, after [`Judge::end`]; nothing where no verdicts were asked for.
    pub(super) fn summary(&self) -> Option<v1::VerdictSummary> {
        self.watch.as_ref().map(|watch| wire::summary(&watch.plan, watch.verdicts.summary()))
    }
}

/// Whether a frame says anything about this stream: not where an earlier one has answered it.
fn counts(outcome: Option<&Outcome>) -> bool {
    match outcome {
        Some(Outcome::Dropped(dropped)) => dropped.reason() != v1::DropReason::AlreadyAnswered,
        Some(Outcome::Ok(_) | Outcome::Expired(_) | Outcome::Error(_)) | None => true,
    }
}

/// A frame's figures, by prompt; nothing where it has no result.
fn figures(plan: &Plan, outcome: Option<&Outcome>) -> Option<Vec<f32>> {
    let Some(Outcome::Ok(answer)) = outcome else { return None };
    let scores = answer.similarity.as_ref().map_or(&[][..], |part| &part.scores);
    Some(plan.figures(scores))
}
