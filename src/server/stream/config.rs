//! What a stream asks of its frames, and which configuration holds for which frame.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use super::verdicts::{self, Plan};
use super::window::{Policy, Rules};
use crate::proto::v1;
use crate::server::convert::Parts;
use crate::server::limits::{RequestLimits, number, share};
use crate::serving::ServingError;
use crate::verification::VerifyRequest;

/// Frames in flight where no configuration says.
const DEFAULT_IN_FLIGHT: usize = 8;
/// What a frame may differ, where the configuration does not say.
const DEFAULT_DIFFERENCE: f32 = 0.02;
/// How old a result may be, where the configuration limits neither age nor frames.
const DEFAULT_AGE: Duration = Duration::from_secs(1);
const LONGEST_AGE: Duration = Duration::from_hours(1);
const MOST_REUSED: usize = 100_000;

/// One configuration, checked; what it leaves out is not filled in yet.
#[derive(Debug)]
pub(super) struct Asked {
    pub(super) verify: VerifyRequest,
    policy: Option<Policy>,
    max_in_flight: Option<usize>,
    frame_timeout: Option<Duration>,
    from_sequence: Option<u64>,
    pub(super) resume_after: Option<u64>,
    reuse: Option<ReuseRules>,
    verdicts: Option<Arc<Plan>>,
}

/// When a result may be reused.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ReuseRules {
    /// The most that the frames may differ, 0 to 1: see
    /// [`crate::vision::thumbnail::Thumbnail::difference`].
    pub(super) difference: f32,
    /// The most time between their arrivals.
    pub(super) age: Option<Duration>,
    /// The most frames that one result answers, beside its own.
    pub(super) frames: Option<usize>,
}

impl Asked {
    /// Checks every field of a configuration; fields are named from its own root.
    pub(super) fn convert(
        config: v1::StreamConfig,
        limits: &RequestLimits,
    ) -> Result<Self, ServingError> {
        let v1::StreamConfig {
            similarity,
            detection,
            regions,
            heatmaps,
            policy,
            max_in_flight,
            frame_timeout,
            from_sequence,
            resume_after,
            reuse,
            verdicts,
        } = config;
        let mut verify = Parts { similarity, detection, regions, heatmaps }.convert(limits)?;
        let verdicts = verdicts
            .map(|query| verdicts::convert(query, verify.similarity.as_ref(), limits))
            .transpose()?;
        if let Some(similarity) = &mut verify.similarity {
            similarity.judged = verdicts.as_ref().is_some_and(Plan::judges_confidence);
        }
        let policy = match v1::OverloadPolicy::try_from(policy) {
            Ok(v1::OverloadPolicy::Unspecified) => None,
            Ok(v1::OverloadPolicy::Wait) => Some(Policy::Wait),
            Ok(v1::OverloadPolicy::DropOldest) => Some(Policy::DropOldest),
            Ok(v1::OverloadPolicy::DropNewest) => Some(Policy::DropNewest),
            Err(_) => {
                let reason = format!("is {policy}, which is no known value");
                return Err(ServingError::invalid("policy", reason));
            }
        };
        let max_in_flight = max_in_flight
            .map(|value| number("max_in_flight", value, limits.max_in_flight))
            .transpose()?;
        let frame_timeout = span("frame_timeout", frame_timeout, None)?;
        let reuse = reuse.map(convert_reuse).transpose()?;
        Ok(Self {
            verify,
            policy,
            max_in_flight,
            frame_timeout,
            from_sequence,
            resume_after,
            reuse,
            verdicts: verdicts.map(Arc::new),
        })
    }
}

fn convert_reuse(reuse: v1::Reuse) -> Result<ReuseRules, ServingError> {
    let v1::Reuse { max_difference, max_age, max_frames } = reuse;
    let max_difference = max_difference.unwrap_or(DEFAULT_DIFFERENCE);
    let max_age = span("reuse.max_age", max_age, Some(LONGEST_AGE))?;
    let max_frames =
        max_frames.map(|value| number("reuse.max_frames", value, MOST_REUSED)).transpose()?;
    Ok(ReuseRules {
        difference: share("reuse.max_difference", max_difference)?,
        age: max_age.or(max_frames.is_none().then_some(DEFAULT_AGE)),
        frames: max_frames,
    })
}

/// A duration above 0, and at most `limit`.
fn span(
    field: &str,
    value: Option<prost_types::Duration>,
    limit: Option<Duration>,
) -> Result<Option<Duration>, ServingError> {
    let Some(value) = value else { return Ok(None) };
    match Duration::try_from(value) {
        Ok(span) if !span.is_zero() && limit.is_none_or(|limit| span <= limit) => Ok(Some(span)),
        _ => {
            let upto = limit.map(|limit| format!(" and at most {}s", limit.as_secs()));
            let reason = format!("is {value}, must be above 0{}", upto.unwrap_or_default());
            Err(ServingError::invalid(field, reason))
        }
    }
}

/// What holds for a frame. Frames under one configuration share it; another one is another `Arc`.
#[derive(Debug)]
pub(super) struct FrameTerms {
    pub(super) verify: VerifyRequest,
    pub(super) rules: Rules,
    pub(super) frame_timeout: Option<Duration>,
    pub(super) reuse: Option<ReuseRules>,
    pub(super) verdicts: Option<Arc<Plan>>,
}

impl FrameTerms {
    /// Of a configuration; what it leaves out stays as in `before`.
    fn new(asked: Asked, before: Option<&Rules>) -> Arc<Self> {
        let policy = asked.policy.or(before.map(|rules| rules.policy)).unwrap_or_default();
        let in_flight = asked.max_in_flight.or(before.map(|rules| rules.max_in_flight));
        let max_in_flight = in_flight.unwrap_or(DEFAULT_IN_FLIGHT);
        Arc::new(Self {
            verify: asked.verify,
            rules: Rules { policy, max_in_flight },
            frame_timeout: asked.frame_timeout,
            reuse: asked.reuse,
            verdicts: asked.verdicts,
        })
    }
}

/// A stream's configurations: the one that holds, and those that wait for their frame.
#[derive(Debug)]
pub(super) struct Configurations {
    holds: Arc<FrameTerms>,
    /// By the frame they wait for, each greater than the one before.
    waiting: VecDeque<(u64, Asked)>,
    max_waiting: usize,
}

impl Configurations {
    /// Begins with the first one, which holds at once.
    pub(super) fn new(first: Asked, max_waiting: usize) -> Self {
        let holds = FrameTerms::new(first, None);
        Self { holds, waiting: VecDeque::new(), max_waiting }
    }

    /// The one that holds now.
    pub(super) fn holds(&self) -> &Arc<FrameTerms> {
        &self.holds
    }

    /// Takes another one in. It holds from its `from_sequence` on, else at once.
    pub(super) fn replace(&mut self, asked: Asked) -> Result<(), ServingError> {
        let Some(from) = asked.from_sequence else {
            self.waiting.clear();
            self.hold(asked);
            return Ok(());
        };
        while self.waiting.back().is_some_and(|(waits_for, _)| *waits_for >= from) {
            self.waiting.pop_back();
        }
        if self.waiting.len() >= self.max_waiting {
            let reason = format!(
                "is {from}, but {} configurations wait for their frame already, limit {}",
                self.waiting.len(),
                self.max_waiting
            );
            return Err(ServingError::invalid("from_sequence", reason));
        }
        self.waiting.push_back((from, asked));
        Ok(())
    }

    /// What holds for the frame `sequence`, and for those after it.
    pub(super) fn of(&mut self, sequence: u64) -> Arc<FrameTerms> {
        while self.waiting.front().is_some_and(|(from, _)| *from <= sequence) {
            if let Some((_, asked)) = self.waiting.pop_front() {
                self.hold(asked);
            }
        }
        Arc::clone(&self.holds)
    }

    fn hold(&mut self, asked: Asked) {
        self.holds = FrameTerms::new(asked, Some(&self.holds.rules));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config() -> v1::StreamConfig {
        let prompts = vec!["a".to_owned()];
        let similarity = Some(v1::SimilarityQuery { prompts, ..Default::default() });
        v1::StreamConfig { similarity, ..Default::default() }
    }

    fn asked(config: v1::StreamConfig) -> Asked {
        Asked::convert(config, &RequestLimits::default()).unwrap()
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        let check = |config: v1::StreamConfig, message: &str| {
            let error = Asked::convert(config, &RequestLimits::default()).unwrap_err();
            assert_eq!(error.to_string(), message);
        };
        let span = |seconds, nanos| Some(prost_types::Duration { seconds, nanos });
        let reuse = |reuse| v1::StreamConfig { reuse: Some(reuse), ..config() };
        check(v1::StreamConfig { policy: 9, ..config() }, "policy: is 9, which is no known value");
        check(
            v1::StreamConfig { max_in_flight: Some(65), ..config() },
            "max_in_flight: is 65, must be 1 to 64",
        );
        check(
            v1::StreamConfig { frame_timeout: span(0, 0), ..config() },
            "frame_timeout: is 0s, must be above 0",
        );
        check(
            v1::StreamConfig { frame_timeout: span(-1, 0), ..config() },
            "frame_timeout: is -1s, must be above 0",
        );
        check(
            reuse(v1::Reuse { max_difference: Some(f32::NAN), ..Default::default() }),
            "reuse.max_difference: is NaN, must be 0 to 1",
        );
        check(
            reuse(v1::Reuse { max_age: span(3601, 0), ..Default::default() }),
            "reuse.max_age: is 3601s, must be above 0 and at most 3600s",
        );
        check(
            reuse(v1::Reuse { max_frames: Some(0), ..Default::default() }),
            "reuse.max_frames: is 0, must be 1 to 100000",
        );
    }

    #[test]
    fn reuse_is_always_limited() {
        let converted = |reuse| convert_reuse(reuse).unwrap();
        let plain = converted(v1::Reuse::default());
        assert_eq!((plain.age, plain.frames), (Some(DEFAULT_AGE), None));
        let frames = converted(v1::Reuse { max_frames: Some(5), ..Default::default() });
        assert_eq!((frames.age, frames.frames), (None, Some(5)));
    }

    #[test]
    fn a_configuration_holds_from_its_frame_and_keeps_what_it_leaves_out() {
        let first = v1::StreamConfig {
            policy: v1::OverloadPolicy::DropNewest.into(),
            max_in_flight: Some(3),
            ..config()
        };
        let mut configurations = Configurations::new(asked(first), 2);
        let plain = Arc::clone(configurations.holds());
        let wider =
            v1::StreamConfig { max_in_flight: Some(5), from_sequence: Some(10), ..config() };
        configurations.replace(asked(wider)).unwrap();
        assert!(Arc::ptr_eq(&configurations.of(9), &plain));
        let after = configurations.of(12);
        assert_eq!(after.rules, Rules { policy: Policy::DropNewest, max_in_flight: 5 });
        let waits = v1::StreamConfig { policy: v1::OverloadPolicy::Wait.into(), ..config() };
        configurations.replace(asked(waits)).unwrap();
        let now = configurations.of(13);
        assert_eq!(now.rules, Rules { policy: Policy::Wait, max_in_flight: 5 });
    }

    #[test]
    fn a_later_configuration_takes_the_place_of_those_for_the_same_frames() {
        let from = |sequence, in_flight| {
            asked(v1::StreamConfig {
                from_sequence: Some(sequence),
                max_in_flight: Some(in_flight),
                ..config()
            })
        };
        let mut configurations = Configurations::new(asked(config()), 2);
        let mut in_flight = |changes: &[(u64, u32)], frame| {
            for &(sequence, size) in changes {
                configurations.replace(from(sequence, size)).unwrap();
            }
            configurations.of(frame).rules.max_in_flight
        };
        assert_eq!(in_flight(&[(10, 1), (20, 2), (15, 3)], 14), 1);
        assert_eq!(in_flight(&[], 30), 3, "that for frame 20 came before that for frame 15");
        assert_eq!(in_flight(&[(40, 4), (50, 5)], 39), 3);
        let full = configurations.replace(from(60, 6)).unwrap_err();
        assert_eq!(
            full.to_string(),
            "from_sequence: is 60, but 2 configurations wait for their frame already, limit 2"
        );
        configurations.replace(asked(config())).unwrap();
        assert_eq!(configurations.of(99).rules.max_in_flight, 3, "at once, in place of the others");
    }
}
