//! `veriframe.v1.VerificationService`. A handler is five verbs: validate, convert, call, convert
//! back, count.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Instant;

use futures::Stream;
use tonic::{Code, Request, Response, Status, Streaming};

use super::validate::{Parts, frame};
use super::{Config, convert, deadline, identity, status, stream};
use crate::proto::v1;
use crate::proto::v1::verification_service_server::VerificationService;
use crate::serving::{Catalog, Deadline, ServingError};
use crate::telemetry::metrics::{self, FrameOutcome};
use crate::verification::{
    Frame, Resolution, Timing, VerifyRequest, VerifyResult, decode, verify_image,
};
use crate::vision::image::Rgb8;

/// The service; cheap to clone.
#[derive(Clone)]
pub(super) struct Verification {
    pub(super) catalog: Arc<Catalog>,
    pub(super) config: Arc<Config>,
}

impl Verification {
    pub(super) fn new(catalog: Arc<Catalog>, config: &Config) -> Self {
        Self { catalog, config: Arc::new(config.clone()) }
    }

    /// One frame: decoded, held against the answer's size, answered and counted.
    pub(super) async fn answer(
        &self,
        frame: Frame,
        request: &VerifyRequest,
        deadline: Deadline,
    ) -> Result<VerifyResult, ServingError> {
        let arrived = Instant::now();
        let result = self.answer_in_time(frame, request, deadline).await;
        let outcome = match &result {
            Ok(_) => FrameOutcome::Ok,
            Err(ServingError::Invalid { .. } | ServingError::NotFound { .. }) => {
                FrameOutcome::Invalid
            }
            Err(ServingError::Expired(_)) => FrameOutcome::Expired,
            Err(
                ServingError::Overloaded { .. }
                | ServingError::Closed(_)
                | ServingError::Failed { .. },
            ) => FrameOutcome::Failed,
        };
        metrics::record_frame(outcome, arrived.elapsed());
        result
    }

    async fn answer_in_time(
        &self,
        frame: Frame,
        request: &VerifyRequest,
        deadline: Deadline,
    ) -> Result<VerifyResult, ServingError> {
        let arrived = Instant::now();
        let image = decode(&self.catalog, frame, &self.config.image_limits, deadline).await?;
        let decoded = arrived.elapsed();
        self.config.weigh_heatmaps(request, &image)?;
        let result = verify_image(&self.catalog, image, request, deadline).await?;
        let timing = Timing { decode: decoded, total: arrived.elapsed(), ..result.timing };
        Ok(VerifyResult { timing, ..result })
    }
}

impl Config {
    /// Refuses maps at the picture's size that would make too large an answer.
    fn weigh_heatmaps(&self, request: &VerifyRequest, image: &Rgb8) -> Result<(), ServingError> {
        let Some(maps) = &request.heatmaps else { return Ok(()) };
        if maps.resolution == Resolution::Grid {
            return Ok(());
        }
        let borrowed = request.similarity.as_ref().map_or(0, |part| part.prompts.len());
        let prompts = if maps.prompts.is_empty() { borrowed } else { maps.prompts.len() };
        let pixels = image.width() as usize * image.height() as usize;
        let bytes = prompts * maps.methods.len() * pixels * maps.encoding.bytes_per_value();
        if bytes > self.max_heatmap_bytes {
            let reason = format!(
                "the maps weigh {bytes} bytes, limit {}; ask for GRID or for fewer",
                self.max_heatmap_bytes
            );
            return Err(ServingError::invalid("heatmaps.resolution", reason));
        }
        Ok(())
    }
}

/// Runs a handler and counts its end.
async fn counted<T>(
    method: &'static str,
    handler: impl Future<Output = Result<T, ServingError>>,
) -> Result<Response<T>, Status> {
    let started = Instant::now();
    let result = handler.await.map_err(|error| status::status(&error));
    let code = result.as_ref().map_or_else(Status::code, |_| Code::Ok);
    metrics::record_request(method, status::code_name(code), started.elapsed());
    result.map(Response::new)
}

/// The message with its deadline.
fn opened<T>(request: Request<T>) -> (T, Deadline) {
    let deadline = deadline::deadline(request.metadata(), Instant::now());
    (request.into_inner(), deadline)
}

#[tonic::async_trait]
impl VerificationService for Verification {
    type VerifyStreamStream =
        Pin<Box<dyn Stream<Item = Result<v1::VerifyStreamResponse, Status>> + Send>>;

    async fn verify(
        &self,
        request: Request<v1::VerifyRequest>,
    ) -> Result<Response<v1::VerifyResponse>, Status> {
        let (message, deadline) = opened(request);
        counted("Verify", async {
            let v1::VerifyRequest { image, similarity, detection, regions, heatmaps } = message;
            let request =
                self.config.request(Parts { similarity, detection, regions, heatmaps })?;
            let result = self.answer(frame(image)?, &request, deadline).await?;
            Ok(convert::response(result))
        })
        .await
    }

    async fn verify_stream(
        &self,
        request: Request<Streaming<v1::VerifyStreamRequest>>,
    ) -> Result<Response<Self::VerifyStreamStream>, Status> {
        let (incoming, deadline) = opened(request);
        let answers = stream::answers(self.clone(), incoming, deadline).await?;
        Ok(Response::new(Box::pin(answers)))
    }

    async fn embed(
        &self,
        request: Request<v1::EmbedRequest>,
    ) -> Result<Response<v1::EmbedResponse>, Status> {
        let (message, deadline) = opened(request);
        counted("Embed", self.embedded(message, deadline)).await
    }

    async fn detect(
        &self,
        request: Request<v1::DetectRequest>,
    ) -> Result<Response<v1::DetectResponse>, Status> {
        let (message, deadline) = opened(request);
        counted("Detect", async {
            let detection = self.config.detection(message.detection.unwrap_or_default())?;
            let request = VerifyRequest { detection: Some(detection), ..VerifyRequest::default() };
            let result = self.answer(frame(message.image)?, &request, deadline).await?;
            Ok(v1::DetectResponse {
                detection: result.detection.map(convert::detection),
                frame_size: Some(convert::size(result.size)),
                timing: Some(convert::timing(&result.timing)),
            })
        })
        .await
    }

    async fn explain(
        &self,
        request: Request<v1::ExplainRequest>,
    ) -> Result<Response<v1::ExplainResponse>, Status> {
        let (message, deadline) = opened(request);
        counted("Explain", async {
            let heatmaps = Some(message.heatmaps.unwrap_or_default());
            let request = self.config.request(Parts { heatmaps, ..Parts::default() })?;
            let result = self.answer(frame(message.image)?, &request, deadline).await?;
            Ok(v1::ExplainResponse {
                heatmaps: result.heatmaps.map(convert::heatmaps),
                frame_size: Some(convert::size(result.size)),
                timing: Some(convert::timing(&result.timing)),
            })
        })
        .await
    }

    async fn list_models(
        &self,
        _request: Request<v1::ListModelsRequest>,
    ) -> Result<Response<v1::ListModelsResponse>, Status> {
        let clips = self.catalog.clips().map(|clip| v1::ModelInfo {
            identity: identity(clip.identity()),
            kind: v1::ModelKind::Clip.into(),
            embedding_width: clip.dimension() as u32,
            logit_scale: clip.scale(),
            classes: Vec::new(),
        });
        let detectors = self.catalog.detectors().map(|detector| v1::ModelInfo {
            identity: identity(detector.identity()),
            kind: v1::ModelKind::Detector.into(),
            classes: detector.classes().to_vec(),
            ..v1::ModelInfo::default()
        });
        let models = clips.chain(detectors).collect();
        counted("ListModels", async { Ok(v1::ListModelsResponse { models }) }).await
    }
}

impl Verification {
    async fn embedded(
        &self,
        message: v1::EmbedRequest,
        deadline: Deadline,
    ) -> Result<v1::EmbedResponse, ServingError> {
        let arrived = Instant::now();
        let texts = self.config.texts("texts", message.texts, self.config.max_prompts)?;
        if texts.is_empty() && message.image.is_none() {
            return Err(ServingError::invalid("texts", "nothing to embed; set texts or image"));
        }
        let clip = self.catalog.clip(message.model.as_deref())?;
        let mut timing = Timing::default();
        let image = match message.image {
            None => None,
            Some(image) => {
                let limits = &self.config.image_limits;
                let image = decode(&self.catalog, frame(Some(image))?, limits, deadline).await?;
                timing.decode = arrived.elapsed();
                let seen = clip.embed_image(image, None, deadline).await?;
                timing.add(&seen.timing);
                Some(convert::vector(&seen.vector))
            }
        };
        let texts = clip.embed_texts(&texts, deadline).await?;
        timing.total = arrived.elapsed();
        Ok(v1::EmbedResponse {
            model: identity(clip.identity()),
            image,
            texts: texts.iter().map(convert::text).collect(),
            timing: Some(convert::timing(&timing)),
        })
    }
}
