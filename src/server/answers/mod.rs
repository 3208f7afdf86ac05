//! The answer service: check, convert, ask, convert back, answer.

mod convert;
mod respond;
mod stream;

use std::sync::Arc;
use std::time::Instant;

use tonic::{Request, Response, Status, Streaming};

use super::answer::Answering;
use super::deadline::{CallTerms, within};
use super::status::{retrieval_failed, status};
use super::stream::Streams;
use crate::answers::{AnswerResult, Backend, Config, contradictions, verify_answer};
use crate::claims;
use crate::proto::v1;
use crate::proto::v1::answer_service_server::AnswerService;
use crate::retrieval::{Library, RetrievalError};
use crate::serving::{ServingError, Terms, blocking};
use crate::telemetry::metrics;

/// `veriframe.v1.AnswerService`.
#[derive(Clone)]
pub(super) struct Answers {
    answering: Answering,
    library: Option<Library>,
    config: Arc<Config>,
    streams: Streams,
}

impl Answers {
    pub(super) fn new(
        answering: Answering,
        streams: Streams,
        (library, config): (Option<Library>, Config),
    ) -> Self {
        Self { answering, library, config: Arc::new(config), streams }
    }

    fn backend(&self) -> Backend<'_> {
        Backend {
            catalog: &self.answering.catalog,
            library: self.library.as_ref(),
            config: &self.config,
            image_limits: &self.answering.config.image_limits,
        }
    }

    async fn checked(
        &self,
        request: v1::VerifyAnswerRequest,
        terms: Terms,
    ) -> Result<AnswerResult, RetrievalError> {
        let limits = &self.answering.config.request_limits;
        let (asked, paths) = convert::request(request, limits)?;
        let result = verify_answer(self.backend(), asked, terms).await;
        result.map_err(|error| error.renamed(|field| convert::path(field, &paths)))
    }

    async fn split(
        &self,
        answer: String,
        terms: Terms,
    ) -> Result<v1::SplitAnswerResponse, ServingError> {
        if answer.is_empty() {
            return Err(ServingError::invalid("answer", "is required"));
        }
        let limits = self.config.limits();
        let slot = self.answering.catalog.cpu_slot(terms).await?;
        let split = blocking(slot, move || {
            let claims = claims::split(&answer, &limits)?;
            Ok::<_, claims::ClaimsError>((claims, claims::cues(&answer, &limits)?))
        });
        let (claims, cues) =
            split.await?.map_err(|error| ServingError::invalid("answer", error.to_string()))?;
        Ok(v1::SplitAnswerResponse {
            claims: claims
                .iter()
                .map(|claim| respond::claim(claim, contradictions(claim, &self.config)))
                .collect(),
            cues: cues.into_iter().map(respond::cue).collect(),
        })
    }
}

#[tonic::async_trait]
impl AnswerService for Answers {
    async fn verify_answer(
        &self,
        request: Request<v1::VerifyAnswerRequest>,
    ) -> Result<Response<v1::VerifyAnswerResponse>, Status> {
        let started = Instant::now();
        let terms = CallTerms::in_request(&request);
        let work = Box::pin(self.checked(request.into_inner(), terms));
        let result = within(terms.deadline, "the server", work).await;
        let result = result.map_err(|error| retrieval_failed(&error))?;
        record(&result, started);
        Ok(Response::new(respond::answer(result)))
    }

    type VerifyAnswerStreamStream = stream::Responses;

    async fn verify_answer_stream(
        &self,
        request: Request<Streaming<v1::VerifyAnswerStreamRequest>>,
    ) -> Result<Response<Self::VerifyAnswerStreamStream>, Status> {
        stream::answer(self.clone(), request).await.map(Response::new)
    }

    async fn split_answer(
        &self,
        request: Request<v1::SplitAnswerRequest>,
    ) -> Result<Response<v1::SplitAnswerResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let work = self.split(request.into_inner().answer, terms);
        let result = within(terms.deadline, "the server", work).await;
        result.map(Response::new).map_err(|error| status(&error))
    }
}

/// Counts the claims of an answer.
fn record(result: &AnswerResult, started: Instant) {
    for claim in &result.claims {
        metrics::record_claim(claim.status.outcome());
    }
    metrics::record_answer(started.elapsed());
}
