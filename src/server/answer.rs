//! From a converted request to its answer: what the unary calls and the stream share.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::deadline::within;
use super::status::outcome;
use crate::explain::Method;
use crate::serving::{Catalog, ServingError, Terms};
use crate::telemetry::metrics;
use crate::verification::{
    Detection, Frame, Heatmaps, Regions, Similarity, VerifyRequest, VerifyResult, decode,
    verify_image,
};
use crate::vision::image::{RawFormat, Rgb8};

/// Side of the picture that warms models up.
const WARM_UP_PX: u32 = 64;

/// The models, and how they are offered.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) catalog: Arc<Catalog>,
    pub(super) config: Arc<Config>,
    /// Cancelled when the server begins to shut down: finish what was accepted, take nothing new.
    pub(super) draining: CancellationToken,
}

impl Answering {
    /// Answers one frame and records how it ended. Never longer than the deadline, never a panic.
    pub(super) async fn frame(
        &self,
        frame: Result<Frame, ServingError>,
        asked: &VerifyRequest,
        terms: Terms,
    ) -> Result<VerifyResult, ServingError> {
        let arrived = Instant::now();
        self.guarded(arrived, terms, self.verify(frame, asked, terms, arrived)).await
    }

    /// Does the work on one frame and records how it ended. Never longer than the deadline, never
    /// a panic.
    pub(super) async fn guarded<T>(
        &self,
        arrived: Instant,
        terms: Terms,
        work: impl Future<Output = Result<T, ServingError>>,
    ) -> Result<T, ServingError> {
        let _in_flight = metrics::frame_began();
        let work = AssertUnwindSafe(within(terms.deadline, "the server", work)).catch_unwind();
        let result = work.await.unwrap_or_else(|_| {
            let reason = "it panicked; the next request is served".to_owned();
            Err(ServingError::Failed { model: "the server".to_owned(), reason })
        });
        metrics::record_frame(outcome(&result), arrived.elapsed());
        result
    }

    async fn verify(
        &self,
        frame: Result<Frame, ServingError>,
        asked: &VerifyRequest,
        terms: Terms,
        arrived: Instant,
    ) -> Result<VerifyResult, ServingError> {
        let image = self.decoded(frame?, terms).await?;
        let decode = arrived.elapsed();
        let mut result = self.verified(image, asked, terms).await?;
        result.timing.decode = decode;
        result.timing.total = arrived.elapsed();
        Ok(result)
    }

    /// The pixels of a frame.
    pub(super) async fn decoded(
        &self,
        frame: Frame,
        terms: Terms,
    ) -> Result<Arc<Rgb8>, ServingError> {
        decode(&self.catalog, frame, &self.config.image_limits, terms).await
    }

    /// What the models say of decoded pixels; the timing knows nothing of what was before.
    pub(super) async fn verified(
        &self,
        image: Arc<Rgb8>,
        asked: &VerifyRequest,
        terms: Terms,
    ) -> Result<VerifyResult, ServingError> {
        self.config.request_limits.heatmap_bytes(asked, (image.width(), image.height()))?;
        // The largest future by far, and inside of many others.
        Box::pin(verify_image(&self.catalog, image, asked, terms)).await
    }

    /// Has every model answer once on everything it can, so that the first caller does not pay for
    /// what is made on first use. A failure is logged; the model's own calls will tell it.
    pub(super) async fn warm_up(&self) {
        let clips = self.catalog.clips().into_iter().map(|clip| clip.identity().name.clone());
        let asked_of_clips = clips.map(|name| VerifyRequest {
            similarity: Some(Similarity {
                model: Some(name),
                prompts: vec!["a photo".to_owned()],
                nulls: None,
            }),
            heatmaps: Some(Heatmaps { methods: Method::ALL.to_vec(), ..Heatmaps::default() }),
            ..VerifyRequest::default()
        });
        let detectors =
            self.catalog.detectors().into_iter().map(|model| model.identity().name.clone());
        let asked_of_detectors = detectors.map(|name| VerifyRequest {
            detection: Some(Detection { model: Some(name), ..Detection::default() }),
            ..VerifyRequest::default()
        });
        let both = !self.catalog.clips().is_empty() && !self.catalog.detectors().is_empty();
        let asked_of_both = both.then(|| VerifyRequest {
            regions: Some(Regions { prompts: vec!["a photo".to_owned()], ..Regions::default() }),
            ..VerifyRequest::default()
        });
        let everything: Vec<_> =
            asked_of_clips.chain(asked_of_detectors).chain(asked_of_both).collect();
        for asked in everything {
            let grey = vec![128; (WARM_UP_PX * WARM_UP_PX * 3) as usize];
            let frame = Frame::Raw {
                format: RawFormat::Rgb8,
                width: WARM_UP_PX,
                height: WARM_UP_PX,
                stride: 0,
                data: grey.into(),
            };
            if let Err(error) =
                self.verify(Ok(frame), &asked, Terms::default(), Instant::now()).await
            {
                tracing::error!(%error, "a model failed while warming up");
            }
        }
    }
}
