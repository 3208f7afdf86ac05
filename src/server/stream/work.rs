//! The work on one frame: decoded, then answered by an earlier result or by the models.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use futures::FutureExt;
use futures::future::BoxFuture;

use super::config::{FrameTerms, ReuseRules};
use super::reuse::{Memory, Sight};
use super::window::Policy;
use crate::calibration::Kind;
use crate::proto::v1;
use crate::server::answer::Answering;
use crate::server::convert::convert_image;
use crate::server::respond;
use crate::serving::{Deadline, ServingError, Terms, blocking};
use crate::telemetry::metrics;
use crate::verification::{Timing, VerifyRequest};
use crate::vision::image::Rgb8;
use crate::vision::thumbnail::Thumbnail;

/// The shortest and the longest pause before a full queue is asked again.
const PAUSES: (Duration, Duration) = (Duration::from_millis(5), Duration::from_secs(1));

/// A frame to work on.
pub(super) struct Job {
    pub(super) sequence: u64,
    pub(super) arrived: Instant,
    pub(super) image: Option<v1::Image>,
    pub(super) terms: Arc<FrameTerms>,
    /// The earlier of the frame's and the call's.
    pub(super) deadline: Deadline,
}

/// What the work on a frame comes to.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) response: v1::VerifyResponse,
    /// The frame that the response was computed for, where it is not this one.
    pub(super) reused_from: Option<u64>,
}

/// Who does the work on a stream's frames.
pub(super) trait Frames: Send {
    /// Whether everything that is asked for is there.
    fn knows(&self, asked: &VerifyRequest) -> Result<(), ServingError>;

    /// The work on a frame. Ends by itself at the job's deadline; dropped, it is given up.
    fn work(&self, job: Job) -> BoxFuture<'static, Result<Answered, ServingError>>;
}

/// The models, and what one stream remembers of their results.
pub(super) struct Verifying {
    pub(super) answering: Arc<Answering>,
    /// The stream's, but for the deadline.
    pub(super) terms: Terms,
    pub(super) memory: Arc<Mutex<Memory>>,
}

impl Frames for Verifying {
    fn knows(&self, asked: &VerifyRequest) -> Result<(), ServingError> {
        self.answering.knows(asked)
    }

    fn work(&self, job: Job) -> BoxFuture<'static, Result<Answered, ServingError>> {
        let terms = Terms { deadline: job.deadline, ..self.terms };
        let answering = Arc::clone(&self.answering);
        let memory = Arc::clone(&self.memory);
        async move {
            let (arrived, sequence) = (job.arrived, job.sequence);
            let one = One { answering: &answering, terms, arrived, of: Arc::clone(&job.terms) };
            let work = one.answer(sequence, job.image, &memory);
            let result = answering.guarded(arrived, terms, work).await;
            match &result {
                // It was not looked at: nothing is known against an earlier result.
                Ok(_) | Err(ServingError::Expired(_) | ServingError::TooLate { .. }) => {}
                Err(_) => locked(&memory, |memory| memory.failed(sequence)),
            }
            result
        }
        .boxed()
    }
}

impl Answering {
    /// Whether every model that is asked for is served.
    fn knows(&self, asked: &VerifyRequest) -> Result<(), ServingError> {
        let similarity = asked.similarity.as_ref();
        let shared = similarity.and_then(|part| part.model.as_deref());
        let clips = [
            similarity.map(|part| part.model.as_deref()),
            asked.heatmaps.as_ref().map(|part| part.model.as_deref().or(shared)),
            asked.regions.as_ref().map(|part| part.model.as_deref().or(shared)),
        ];
        for name in clips.into_iter().flatten() {
            self.catalog.clip(name)?;
        }
        if let Some(part) = similarity.filter(|part| part.judged) {
            let clip = self.catalog.clip(shared)?;
            if part.calibration(&clip).is_none() {
                let reason = format!(
                    "is CONFIDENCE, but model '{}' is not calibrated: judge another figure, or fit \
                     {} beside its weights",
                    clip.identity().name,
                    Kind::Prompts.file_name()
                );
                return Err(ServingError::invalid("verdicts.figure", reason));
            }
        }
        if let Some(maps) = &asked.heatmaps {
            let prompts = match similarity {
                Some(part) if maps.prompts.is_empty() => &part.prompts,
                Some(_) | None => &maps.prompts,
            };
            let clip = self.catalog.clip(maps.model.as_deref().or(shared))?;
            maps.affordable(&clip, prompts.len())?;
            if let Some(detector) = maps.detector() {
                self.catalog.detector(detector)?;
            }
        }
        if asked.detection.is_some() || asked.regions.is_some() {
            let detector = asked.detection.as_ref().and_then(|part| part.model.as_deref());
            self.catalog.detector(detector)?;
        }
        Ok(())
    }
}

/// The lock is held for moments and leaves nothing half-done.
fn locked<T>(memory: &Mutex<Memory>, act: impl FnOnce(&mut Memory) -> T) -> T {
    act(&mut memory.lock().unwrap_or_else(PoisonError::into_inner))
}

/// One frame on its way.
struct One<'a> {
    answering: &'a Answering,
    terms: Terms,
    arrived: Instant,
    of: Arc<FrameTerms>,
}

impl One<'_> {
    async fn answer(
        &self,
        sequence: u64,
        image: Option<v1::Image>,
        memory: &Mutex<Memory>,
    ) -> Result<Answered, ServingError> {
        let frame = convert_image(image)?;
        let started = Instant::now();
        let image = self.answering.decoded(frame, self.terms).await?;
        let decode = started.elapsed();
        let Some(rules) = self.of.reuse else {
            let response = self.computed(image, decode).await?;
            return Ok(Answered { response, reused_from: None });
        };
        let sight = self.sight(sequence, Arc::clone(&image)).await?;
        if let Some(answered) = self.reused(&sight, &rules, decode, memory) {
            return Ok(answered);
        }
        let response = self.computed(image, decode).await?;
        locked(memory, |memory| memory.computed(sight, &response));
        Ok(Answered { response, reused_from: None })
    }

    async fn sight(&self, sequence: u64, image: Arc<Rgb8>) -> Result<Sight, ServingError> {
        let slot = self.answering.catalog.cpu_slot(self.terms).await?;
        let thumbnail = blocking(slot, move || Thumbnail::of(&image));
        // Before the models are looked up: what is computed meanwhile counts as of the older ones.
        let models = self.answering.catalog.generation();
        let (arrived, terms) = (self.arrived, Arc::clone(&self.of));
        Ok(Sight { sequence, arrived, thumbnail: thumbnail.await?, terms, models })
    }

    fn reused(
        &self,
        sight: &Sight,
        rules: &ReuseRules,
        decode: Duration,
        memory: &Mutex<Memory>,
    ) -> Option<Answered> {
        let (from, response) = locked(memory, |memory| memory.recall(sight, rules))?;
        metrics::record_reuse();
        let timing = Timing { decode, total: self.arrived.elapsed(), ..Timing::default() };
        let timing = Some(respond::timing(&timing));
        let response = v1::VerifyResponse { timing, ..response };
        Some(Answered { response, reused_from: Some(from) })
    }

    /// What the models say. Under [`Policy::Wait`] a full queue is asked again until there is room:
    /// meanwhile the frame holds its place in the window, so that the client waits too.
    async fn computed(
        &self,
        image: Arc<Rgb8>,
        decode: Duration,
    ) -> Result<v1::VerifyResponse, ServingError> {
        loop {
            let image = Arc::clone(&image);
            let result = self.answering.verified(image, &self.of.verify, self.terms).await;
            let pause = match &result {
                Err(ServingError::Overloaded { retry_after, .. })
                    if self.of.rules.policy == Policy::Wait =>
                {
                    (*retry_after).clamp(PAUSES.0, PAUSES.1)
                }
                Ok(_) | Err(_) => {
                    let mut result = result?;
                    result.timing.decode = decode;
                    result.timing.total = self.arrived.elapsed();
                    return Ok(respond::verified(result));
                }
            };
            tokio::time::sleep(pause).await;
        }
    }
}
