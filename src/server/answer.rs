//! From a converted request to its answer: what the unary calls and the stream share.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use futures::FutureExt;
use tokio_util::sync::CancellationToken;

use super::config::Config;
use super::deadline::within;
use super::status::outcome;
use crate::serving::{Catalog, ServingError, Terms};
use crate::telemetry::metrics;
use crate::verification::{Frame, VerifyRequest, VerifyResult, decode, verify_image};
use crate::vision::image::Rgb8;

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
}
