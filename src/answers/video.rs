//! The same answer over the frames of a video: each frame is looked at once and then forgotten.

use std::time::{Duration, Instant};

use super::likeness::mean;
use super::pixels::CITATIONS;
use super::request::AnswerRequest;
use super::result::{AnswerResult, Citation, Place, Stance, Testimony, Witness};
use super::session::{Backend, Session, Sight};
use crate::retrieval::RetrievalError;
use crate::serving::{ServingError, Terms};
use crate::verification::{Frame, Timing, decode};

/// What one frame says of every claim.
#[derive(Clone, Debug, PartialEq)]
pub struct FrameTestimony {
    /// By claim: the support of the whole frame; 0 where it is silent.
    pub support: Vec<f32>,
}

/// An answer that is checked frame by frame.
pub struct Video<'a> {
    session: Session<'a>,
    claims: Vec<Watched>,
    /// Sum of the frames' vectors in the collection's space.
    for_evidence: Option<Vec<f32>>,
    timing: Timing,
    started: Instant,
}

/// What a claim's witnesses that look have said so far.
#[derive(Clone, Debug, Default)]
struct Watched(Vec<Summed>);

/// One witness over time.
#[derive(Clone, Debug)]
struct Summed {
    witness: Witness,
    sum: f64,
    spoken: u32,
    silence: String,
    /// The strongest for and the strongest against, each side strongest first.
    citations: Vec<Citation>,
}

impl<'a> Video<'a> {
    /// Makes ready; frames come next.
    ///
    /// # Errors
    /// As [`verify_answer`](super::verify_answer).
    pub async fn open(
        backend: Backend<'a>,
        request: AnswerRequest,
        terms: Terms,
    ) -> Result<Self, RetrievalError> {
        if !request.images.is_empty() {
            let reason = "must be empty in a stream: its frames are the pictures";
            return Err(ServingError::invalid("images", reason).into());
        }
        if request.heatmaps.is_some() {
            let reason =
                "is not offered in a stream: ask VerifyAnswer about the frame that matters";
            return Err(ServingError::invalid("heatmaps", reason).into());
        }
        let session = Session::open(backend, request, true, terms).await?;
        Ok(Self {
            claims: vec![Watched::default(); session.asked.len()],
            session,
            for_evidence: None,
            timing: Timing::default(),
            started: Instant::now(),
        })
    }

    /// Looks at one frame, whose number and time `frame` tells. A frame that fails is not counted.
    ///
    /// # Errors
    /// About the field `image`, and whatever the models answer.
    pub async fn frame(
        &mut self,
        picture: Frame,
        frame: (u64, Option<Duration>),
    ) -> Result<FrameTestimony, ServingError> {
        let Backend { catalog, image_limits, .. } = self.session.backend;
        let image = decode(catalog, picture, image_limits, self.session.terms).await?;
        let place = Place { frame: Some(frame), ..Place::default() };
        let sight: Sight = self.session.look(image, place).await?;
        sight.stages.iter().for_each(|stage| self.timing.add(stage));
        let mut support = Vec::with_capacity(self.claims.len());
        for (at, claim) in self.claims.iter_mut().enumerate() {
            let said = self.session.visual(at, std::slice::from_ref(&sight));
            let pixels = said.iter().find(|said| said.witness == Witness::Pixels);
            support.push(pixels.map_or(0.0, |said| said.support));
            for one in said {
                claim.add(one);
            }
        }
        if let Some(vector) = sight.for_evidence {
            self.remember(vector);
        }
        Ok(FrameTestimony { support })
    }

    /// Their mean is enough to find pictures of the same thing.
    fn remember(&mut self, vector: Vec<f32>) {
        match &mut self.for_evidence {
            None => self.for_evidence = Some(vector),
            Some(sum) => sum.iter_mut().zip(&vector).for_each(|(sum, x)| *sum += x),
        }
    }

    /// What holds over all frames.
    ///
    /// # Errors
    /// Whatever the collection answers.
    pub async fn finish(self) -> Result<AnswerResult, RetrievalError> {
        let Self { session, claims, for_evidence, mut timing, started, .. } = self;
        let pictures: Vec<Vec<f32>> = mean(for_evidence.as_deref()).into_iter().collect();
        let of_pictures = session.found_by_pictures(&pictures).await?;
        let mut results = Vec::with_capacity(claims.len());
        for (at, claim) in claims.into_iter().enumerate() {
            let mut said = claim.testimonies(session.backend.config.min_support as f32);
            said.extend(session.textual(at, &pictures, of_pictures.as_deref()).await?);
            results.push(session.judged(at, said));
        }
        timing.total = started.elapsed();
        Ok(session.answer(results, timing))
    }
}

impl Watched {
    fn add(&mut self, said: Testimony) {
        let known = self.0.iter().position(|summed| summed.witness == said.witness);
        let at = known.unwrap_or_else(|| {
            self.0.push(Summed {
                witness: said.witness,
                sum: 0.0,
                spoken: 0,
                silence: String::new(),
                citations: Vec::new(),
            });
            self.0.len() - 1
        });
        self.0[at].add(said);
    }

    fn testimonies(self, least: f32) -> Vec<Testimony> {
        self.0.into_iter().map(|summed| summed.testimony(least)).collect()
    }
}

impl Summed {
    fn add(&mut self, said: Testimony) {
        if !said.spoke() {
            self.silence = said.silence;
            return;
        }
        self.sum += f64::from(said.support);
        self.spoken += 1;
        self.citations.extend(said.citations.into_iter().next());
        self.citations.sort_by(|one, other| other.support.abs().total_cmp(&one.support.abs()));
        let mut kept = [0_usize; 2];
        self.citations.retain(|citation| {
            let side = &mut kept[usize::from(citation.stance == Stance::Against)];
            *side += 1;
            *side <= CITATIONS / 2
        });
    }

    /// The mean over the frames in which it spoke.
    fn testimony(self, least: f32) -> Testimony {
        if self.spoken == 0 {
            return Testimony::silent(self.witness, self.silence);
        }
        let support = (self.sum / f64::from(self.spoken)) as f32;
        let least = if self.witness == Witness::Detector { f32::MIN_POSITIVE } else { least };
        Testimony::spoken(self.witness, support, least, self.citations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::answers::Source;

    fn said(frame: u64, support: f32) -> Testimony {
        let place = Place { frame: Some((frame, None)), ..Place::default() };
        let stance = Stance::of(support, 0.5);
        let citation = Citation { source: Source::Picture(place), stance, support };
        Testimony::spoken(Witness::Pixels, support, 0.5, vec![citation])
    }

    #[test]
    fn a_video_says_what_its_frames_say_on_average_and_cites_the_clearest() {
        let mut watched = Watched::default();
        for frame in 0..20 {
            watched.add(said(frame, if frame == 7 { -9.0 } else { frame as f32 / 10.0 }));
        }
        watched.add(Testimony::silent(Witness::Pixels, "nothing"));
        let told = watched.testimonies(0.5).remove(0);
        assert!((told.support - 0.465).abs() < 1e-3, "{told:?}");
        assert_eq!(told.stance, Stance::Silent, "on average too weak");
        let frames: Vec<u64> = told
            .citations
            .iter()
            .map(|citation| match &citation.source {
                Source::Picture(place) => place.frame.unwrap().0,
                Source::Evidence { .. } => panic!(),
            })
            .collect();
        assert_eq!(frames, [7, 19, 18, 17, 16]);
    }

    #[test]
    fn a_witness_that_never_spoke_is_silent() {
        let mut watched = Watched::default();
        watched.add(Testimony::silent(Witness::Detector, "it does not know"));
        assert_eq!(watched.testimonies(0.5)[0].silence, "it does not know");
    }
}
