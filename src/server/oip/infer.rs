//! One inference, from the wire's request to its response.

use std::panic::AssertUnwindSafe;
use std::time::{Instant, SystemTime};

use futures::FutureExt;

use super::models::Model;
use super::parameters::Parameters;
use super::run::{Ran, Run, Work};
use super::statistics::Statistics;
use super::{outputs, tensors};
use crate::proto::inference as wire;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::server::answer::Answering;
use crate::server::deadline::within;
use crate::server::status::outcome;
use crate::serving::{ServingError, Terms};
use crate::telemetry::metrics;

/// Longest id of a request in bytes.
const ID_LIMIT: usize = 1024;
/// A response's parameter, on streams: no other response to the request follows. Triton's clients
/// read until it is true.
const FINAL_RESPONSE: &str = "triton_final_response";

/// What answers inferences.
pub(super) struct Inference {
    pub(super) answering: Answering,
    pub(super) statistics: Statistics,
}

/// What a run gave, and how it is to be sent.
struct Answered {
    ran: Ran,
    parameters: Parameters,
}

impl Inference {
    /// Answers one request. Never longer than its deadline, never a panic. `streamed` where it came
    /// on a stream.
    pub(super) async fn infer(
        &self,
        mut request: wire::ModelInferRequest,
        terms: Terms,
        streamed: bool,
    ) -> Result<wire::ModelInferResponse, ServingError> {
        let arrived = Instant::now();
        let id = std::mem::take(&mut request.id);
        if id.len() > ID_LIMIT {
            let reason = format!("is {} bytes long, limit {ID_LIMIT}", id.len());
            return Err(ServingError::invalid("id", reason));
        }
        let model =
            Model::find(&self.answering.catalog, &request.model_name, &request.model_version)?;
        let work = AssertUnwindSafe(self.run(&model, request, terms, arrived)).catch_unwind();
        let result = work.await.unwrap_or_else(|_| {
            let reason = "it panicked; the next request is served".to_owned();
            Err(ServingError::Failed { model: model.name.clone(), reason })
        });
        let work = result.as_ref().ok().map(|answered| &answered.ran.work);
        self.record(&model, &result, work, arrived);
        let Answered { ran, parameters } = result?;
        let (outputs, raw_output_contents) = outputs::write(ran.outputs, parameters.typed_outputs)?;
        let mut response = wire::ModelInferResponse {
            model_name: model.name.clone(),
            model_version: model.identity().version.clone(),
            id,
            outputs,
            raw_output_contents,
            ..wire::ModelInferResponse::default()
        };
        let last = streamed.then_some((FINAL_RESPONSE, ParameterChoice::BoolParam(true)));
        for (name, value) in ran.told.into_iter().chain(last) {
            let value = wire::InferParameter { parameter_choice: Some(value) };
            response.parameters.insert(name.to_owned(), value);
        }
        Ok(response)
    }

    async fn run(
        &self,
        model: &Model,
        request: wire::ModelInferRequest,
        terms: Terms,
        arrived: Instant,
    ) -> Result<Answered, ServingError> {
        let wire::ModelInferRequest { parameters, inputs, outputs, raw_input_contents, .. } =
            request;
        let parameters = Parameters::read(parameters, model.parameters(), terms, arrived)?;
        let wanted = outputs::wanted(&outputs, &model.outputs())?;
        let inputs = tensors::read_inputs(inputs, raw_input_contents)?;
        let run = Run { answering: &self.answering, parameters: &parameters };
        let work = run.task(&model.task, inputs);
        let mut ran = within(parameters.terms.deadline, &model.name, work).await?;
        ran.outputs = outputs::select(ran.outputs, &wanted);
        Ok(Answered { ran, parameters })
    }

    /// Counts a request, and each of its pictures as a frame.
    fn record(
        &self,
        model: &Model,
        result: &Result<Answered, ServingError>,
        work: Option<&Work>,
        arrived: Instant,
    ) {
        let took = arrived.elapsed();
        self.statistics.record(model, work, took, SystemTime::now());
        let outcome = outcome(result);
        metrics::record_inference(&model.key().0, outcome, took);
        if model.sees_pictures() {
            for _ in 0..work.map_or(1, |work| work.items) {
                metrics::record_frame(outcome, took);
            }
        }
    }
}
