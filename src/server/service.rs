//! The verification service. Each handler is five verbs: check, convert, ask, convert back, answer.

use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status, Streaming};

use super::answer::Answering;
use super::convert::{Parts, convert_image, named};
use super::deadline::{CallTerms, within};
use super::respond;
use super::status::status;
use super::stream::{self, Streams};
use crate::proto::v1;
use crate::proto::v1::verification_service_server::VerificationService;
use crate::serving::{ServingError, Terms};
use crate::verification::{Timing, VerifyRequest, VerifyResult, decode};

/// `veriframe.v1.VerificationService`.
pub(super) struct Verification {
    answering: Answering,
    streams: Streams,
}

impl Verification {
    pub(super) fn new(answering: Answering, streams: Streams) -> Self {
        Self { answering, streams }
    }

    /// One picture, for the calls that ask a part of what `Verify` can.
    async fn picture(
        &self,
        image: Option<v1::Image>,
        parts: Parts,
        terms: Terms,
    ) -> Result<VerifyResult, Status> {
        let asked = parts.convert(&self.answering.config.request_limits);
        let (frame, asked) = match (convert_image(image), asked) {
            (frame, Ok(asked)) => (frame, asked),
            (_, Err(error)) => (Err(error), VerifyRequest::default()),
        };
        let result = self.answering.frame(frame, &asked, terms).await;
        result.map_err(|error| status(&error))
    }

    async fn places(
        &self,
        request: v1::EmbedRequest,
        terms: Terms,
    ) -> Result<v1::EmbedResponse, ServingError> {
        let arrived = Instant::now();
        let v1::EmbedRequest { model, image, texts } = request;
        let Answering { catalog, config, .. } = &self.answering;
        if image.is_none() && texts.is_empty() {
            return Err(ServingError::invalid("image", "nothing is asked: set image or texts"));
        }
        let limits = &config.request_limits;
        limits.texts("texts", &texts, limits.max_prompts)?;
        let clip = catalog.clip(named(model).as_deref())?;
        let mut timing = Timing::default();
        let image = match image {
            None => None,
            some => {
                let frame = convert_image(some)?;
                let pixels = decode(catalog, frame, &config.image_limits, terms).await?;
                timing.decode = arrived.elapsed();
                let seen = clip.embed_image(pixels, None, terms).await?;
                timing.preprocess = seen.timing.preprocess;
                timing.queue = seen.timing.queue;
                timing.inference = seen.timing.inference;
                timing.batch = seen.timing.batch;
                Some(respond::vector(&seen.vector))
            }
        };
        let texts = clip.embed_texts(&texts, terms).await?;
        timing.total = arrived.elapsed();
        Ok(v1::EmbedResponse {
            model: Some(respond::identity(clip.identity())),
            image,
            texts: texts.iter().map(respond::text).collect(),
            timing: Some(respond::timing(&timing)),
        })
    }
}

#[tonic::async_trait]
impl VerificationService for Verification {
    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let v1::VerifyRequest { image, similarity, detection, regions, heatmaps } =
            request.into_inner();
        let parts = Parts { similarity, detection, regions, heatmaps };
        let result = self.picture(image, parts, terms).await?;
        Ok(Response::new(respond::verified(result)))
    }

    type VerifyStreamStream = stream::Responses;

    async fn verify_stream(
        &self,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        let answering = Arc::new(self.answering.clone());
        self.streams.answer(answering, request).await.map(Response::new)
    }

    async fn embed(
        &self,
        request: Request<v1::EmbedRequest>,
    ) -> Result<Response<v1::EmbedResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work = self.places(request.into_inner(), terms);
        let result = within(terms.deadline, "the server", work).await;
        result.map(Response::new).map_err(|error| status(&error))
    }

    async fn detect(
        &self,
        request: Request<v1::DetectRequest>,
    ) -> Result<Response<v1::DetectResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let v1::DetectRequest { image, detection } = request.into_inner();
        let detection = Some(detection.unwrap_or_default());
        let parts = Parts { detection, ..Parts::default() };
        let result = self.picture(image, parts, terms).await?;
        Ok(Response::new(v1::DetectResponse {
            detection: result.detection.map(respond::detection),
            frame_size: Some(respond::size(result.size)),
            timing: Some(respond::timing(&result.timing)),
        }))
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let v1::ExplainRequest { image, heatmaps } = request.into_inner();
        let heatmaps = Some(heatmaps.unwrap_or_default());
        let parts = Parts { heatmaps, ..Parts::default() };
        let result = self.picture(image, parts, terms).await?;
        Ok(Response::new(v1::ExplainResponse {
            heatmaps: result.heatmaps.map(respond::heatmaps),
            frame_size: Some(respond::size(result.size)),
            timing: Some(respond::timing(&result.timing)),
        }))
    }

    async fn list_models(
        &self,
        _request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let catalog = &self.answering.catalog;
        let clips = catalog.clips().into_iter().map(|clip| v1::ModelInfo {
            identity: Some(respond::identity(clip.identity())),
            kind: v1::ModelKind::Clip.into(),
            embedding_width: clip.dimension() as u32,
            logit_scale: clip.scale(),
            classes: Vec::new(),
        });
        let detectors = catalog.detectors().into_iter().map(|detector| v1::ModelInfo {
            identity: Some(respond::identity(detector.identity())),
            kind: v1::ModelKind::Detector.into(),
            embedding_width: 0,
            logit_scale: 0.0,
            classes: detector.classes().to_vec(),
        });
        let modules = catalog.modules().into_iter().map(|module| v1::ModelInfo {
            identity: Some(respond::identity(module.identity())),
            kind: v1::ModelKind::Torchscript.into(),
            ..v1::ModelInfo::default()
        });
        let models = clips.chain(detectors).chain(modules).collect();
        Ok(Response::new(v1::ListModelsResponse { models }))
    }
}
