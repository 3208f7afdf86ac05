//! The way of one answer, read top to bottom.

use std::sync::Arc;
use std::time::Instant;

use futures::{StreamExt, TryStreamExt, stream};

use super::judge::{ablations, all_true, judge, weightiest};
use super::passages::Statement;
use super::request::AnswerRequest;
use super::result::{AnswerResult, ClaimResult, Place, Testimony, Witness};
use super::session::{Backend, Session, Sight, at_most};
use crate::retrieval::RetrievalError;
use crate::serving::{ServingError, Terms};
use crate::verification::{Heatmaps, HeatmapsResult, Timing, VerifyRequest, decode, verify_image};
use crate::vision::image::Rgb8;

/// Checks an answer about pictures, about evidence, or about both. Every picture is decoded and
/// embedded once, and claims are worked on side by side.
///
/// # Errors
/// [`ServingError::Invalid`] with the field that must be changed, and whatever models and collections
/// answer; nothing is answered in part.
pub async fn verify_answer(
    backend: Backend<'_>,
    mut request: AnswerRequest,
    terms: Terms,
) -> Result<AnswerResult, RetrievalError> {
    let started = Instant::now();
    let images = std::mem::take(&mut request.images);
    at_most("images", images.len(), backend.config.max_images)?;
    let heatmaps = request.heatmaps.take();
    let session = Session::open(backend, request, !images.is_empty(), terms).await?;
    let decoding = Instant::now();
    let decoded = images.into_iter().enumerate().map(|(at, frame)| async move {
        let image = decode(backend.catalog, frame, backend.image_limits, terms).await;
        image.map_err(|error| of_image(error, at))
    });
    let at_once = backend.config.parallel_claims;
    let images: Vec<Arc<Rgb8>> = stream::iter(decoded).buffered(at_once).try_collect().await?;
    let decode = decoding.elapsed();
    let mut answer = session.check(&images, heatmaps.as_ref()).await?;
    answer.timing.decode = decode;
    answer.timing.total = started.elapsed();
    Ok(answer)
}

/// An error about a picture, as an error about one of the request's pictures.
pub fn of_image(error: ServingError, at: usize) -> ServingError {
    let ServingError::Invalid { field, reason } = error else { return error };
    let rest = field.strip_prefix("image").unwrap_or("");
    ServingError::invalid(format!("images[{at}]{rest}"), reason)
}

impl Session<'_> {
    async fn check(
        &self,
        images: &[Arc<Rgb8>],
        heatmaps: Option<&Heatmaps>,
    ) -> Result<AnswerResult, RetrievalError> {
        let looks = images.iter().cloned().enumerate().map(|(at, image)| {
            let place = Place { image: at, ..Place::default() };
            self.look(image, place)
        });
        let sights: Vec<Sight> =
            stream::iter(looks).buffered(self.parallel()).try_collect().await?;
        let pictures: Vec<Vec<f32>> =
            sights.iter().filter_map(|sight| sight.for_evidence.clone()).collect();
        let of_pictures = self.found_by_pictures(&pictures).await?;
        let checks = (0..self.asked.len()).map(|at| {
            let (sights, pictures) = (sights.as_slice(), pictures.as_slice());
            let of_pictures = of_pictures.as_deref();
            async move {
                let mut said = self.visual(at, sights);
                said.extend(self.textual(at, pictures, of_pictures).await?);
                let mut claim = self.judged(at, said);
                if let Some(maps) = heatmaps {
                    claim.heatmaps = self.map(at, &claim, (maps, images)).await?;
                }
                Ok::<ClaimResult, RetrievalError>(claim)
            }
        });
        let claims = stream::iter(checks).buffered(self.parallel()).try_collect().await?;
        let mut timing = Timing::default();
        sights.iter().flat_map(|sight| &sight.stages).for_each(|stage| timing.add(stage));
        Ok(self.answer(claims, timing))
    }

    fn parallel(&self) -> usize {
        self.backend.config.parallel_claims
    }

    /// What the witnesses that read say of a claim; `of_pictures` where they were asked.
    pub(super) async fn textual(
        &self,
        at: usize,
        pictures: &[Vec<f32>],
        of_pictures: Option<&[Statement]>,
    ) -> Result<Vec<Testimony>, RetrievalError> {
        let mut said = Vec::new();
        if self.hears(Witness::Text) {
            said.extend(self.by_claim(at, pictures).await?);
        }
        if let Some(statements) = of_pictures {
            said.extend(self.read(Witness::Images, at, statements));
        }
        Ok(said)
    }

    pub(super) fn judged(&self, at: usize, said: Vec<Testimony>) -> ClaimResult {
        let truncated = self.truncated(at);
        judge(&self.asked[at], said, truncated, (&self.scales, self.backend.config))
    }

    /// All claims to the whole.
    pub(super) fn answer(&self, claims: Vec<ClaimResult>, timing: Timing) -> AnswerResult {
        AnswerResult {
            confidence: all_true(claims.iter().map(|claim| claim.confidence)),
            status: weightiest(claims.iter().map(|claim| claim.status)),
            ablations: ablations(&claims, &self.scales),
            model: self.eyes.as_ref().or(self.reading()).map(|clip| clip.identity().clone()),
            detector: self.detector.as_ref().map(|detector| detector.identity().clone()),
            calibration: self.scales.identity(),
            claims,
            timing,
        }
    }

    /// Heatmaps of a claim that the pixels judged, over the picture that told most about it: of the
    /// claim against its contradictions, where it has any.
    async fn map(
        &self,
        at: usize,
        claim: &ClaimResult,
        (maps, images): (&Heatmaps, &[Arc<Rgb8>]),
    ) -> Result<Option<HeatmapsResult>, RetrievalError> {
        let said = claim.testimonies.iter().find(|said| said.witness == Witness::Pixels);
        let Some(image) = said.and_then(Testimony::first_picture) else { return Ok(None) };
        let (Some(image), Some(eyes)) = (images.get(image), &self.eyes) else { return Ok(None) };
        let asked = &self.asked[at];
        let against = (!asked.contradictions.is_empty()).then(|| asked.contradictions.clone());
        let heatmaps = Heatmaps {
            model: Some(eyes.identity().name.clone()),
            prompts: vec![asked.affirmed.clone()],
            nulls: maps.nulls.clone().or(against),
            ..maps.clone()
        };
        let request = VerifyRequest { heatmaps: Some(heatmaps), ..VerifyRequest::default() };
        let work = verify_image(self.backend.catalog, Arc::clone(image), &request, self.terms);
        Ok(Box::pin(work).await?.heatmaps)
    }
}
