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

/// The models, and how they are offered.
#[derive(Clone)]
pub(super) struct Answering {
    pub(super) catalog: Arc<Catalog>,
    pub(super) config: Arc<Config>,
    /// Cancelled when the server begins to shut down: finish what was accepted, take nothing new.
    #[expect(dead_code, reason = "streams heed it from the next commit on")]
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
        let _in_flight = metrics::frame_began();
        let work = async { self.verify(frame?, asked, terms, arrived).await };
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
        frame: Frame,
        asked: &VerifyRequest,
        terms: Terms,
        arrived: Instant,
    ) -> Result<VerifyResult, ServingError> {
        let image = decode(&self.catalog, frame, &self.config.image_limits, terms).await?;
        let decoded = arrived.elapsed();
        self.config.request_limits.heatmap_bytes(asked, (image.width(), image.height()))?;
        let mut result = verify_image(&self.catalog, image, asked, terms).await?;
        result.timing.decode = decoded;
        result.timing.total = arrived.elapsed();
        Ok(result)
    }
}
