//! The Open Inference Protocol v2, with the calls that Triton's clients use beside it.
//!
//! [`tensors`] reads what clients send and is the border here: behind it tensors are whole. The
//! models of this protocol are parts of the catalog's, see `models.rs`.

mod heatmaps;
mod infer;
mod inputs;
mod metadata;
mod models;
mod outputs;
mod parameters;
mod repository;
mod run;
mod statistics;
mod stream;
pub mod tensors;

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tonic::{Request, Response, Status, Streaming};

use super::answer::Answering;
use super::deadline::CallTerms;
use super::lifecycle::Life;
use super::notes::Notes;
use super::status::{self, status};
use super::stream::Streams;
use crate::bounds::{Bounds, Breach};
use crate::proto::inference as wire;
use crate::proto::inference::grpc_inference_service_server::GrpcInferenceService;
use crate::serving::Catalog;
use infer::Inference;
use models::Model;
use repository::Repository;

/// What the Open Inference Protocol offers.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct OpenInference {
    /// Whether it is served at all. Default true.
    pub enabled: bool,
    /// Pictures of one request. Default 64; 1 to 4096.
    pub max_pictures: usize,
    /// Requests of one stream that are worked on at once. Default 16; 1 to 4096.
    pub max_in_flight: usize,
}

impl Default for OpenInference {
    fn default() -> Self {
        Self { enabled: true, max_pictures: 64, max_in_flight: 16 }
    }
}

impl OpenInference {
    /// What is out of its range.
    pub fn breaches(&self) -> Vec<Breach> {
        let mut bounds = Bounds::default();
        bounds.number("max_pictures", self.max_pictures, 1..=4096);
        bounds.number("max_in_flight", self.max_in_flight, 1..=4096);
        bounds.breaches()
    }
}

/// Why no call about shared memory is served.
const SHARED_MEMORY: &str =
    "this server reads no memory of its callers; send tensors in the request";

/// `inference.GRPCInferenceService`.
pub(super) struct InferenceService {
    inference: Arc<Inference>,
    streams: Streams,
    repository: Repository,
    life: Arc<Life>,
}

impl InferenceService {
    /// `administers`: whether models can be loaded and unloaded through it.
    pub(super) fn new(
        answering: Answering,
        streams: Streams,
        life: Arc<Life>,
        administers: bool,
    ) -> Self {
        let repository = Repository::new(administers.then(|| Arc::clone(&answering.catalog)));
        let statistics = statistics::Statistics::default();
        let inference = Arc::new(Inference { answering, statistics });
        Self { inference, streams, repository, life }
    }

    fn catalog(&self) -> &Catalog {
        &self.inference.answering.catalog
    }

    fn find(&self, name: &str, version: &str) -> Result<Model, Status> {
        Model::find(self.catalog(), name, version).map_err(|error| status(&error))
    }
}

#[tonic::async_trait]
impl GrpcInferenceService for InferenceService {
    async fn server_live(
        &self,
        _request: Request<wire::ServerLiveRequest>,
    ) -> Result<Response<wire::ServerLiveResponse>, Status> {
        Ok(Response::new(wire::ServerLiveResponse { live: true }))
    }

    async fn server_ready(
        &self,
        _request: Request<wire::ServerReadyRequest>,
    ) -> Result<Response<wire::ServerReadyResponse>, Status> {
        Ok(Response::new(wire::ServerReadyResponse { ready: self.life.is_ready() }))
    }

    async fn model_ready(
        &self,
        request: Request<wire::ModelReadyRequest>,
    ) -> Result<Response<wire::ModelReadyResponse>, Status> {
        let wire::ModelReadyRequest { name, version } = request.into_inner();
        let leaving = self.inference.answering.draining.is_cancelled();
        let ready = !leaving && Model::is_ready(self.catalog(), &name, &version);
        Ok(Response::new(wire::ModelReadyResponse { ready }))
    }

    async fn server_metadata(
        &self,
        _request: Request<wire::ServerMetadataRequest>,
    ) -> Result<Response<wire::ServerMetadataResponse>, Status> {
        Ok(Response::new(metadata::server(self.repository.is_offered())))
    }

    async fn model_metadata(
        &self,
        request: Request<wire::ModelMetadataRequest>,
    ) -> Result<Response<wire::ModelMetadataResponse>, Status> {
        let wire::ModelMetadataRequest { name, version } = request.into_inner();
        let model = self.find(&name, &version)?;
        let all = Model::all(self.catalog()).into_iter().map(|model| model.key());
        let versions = all.filter(|(name, _)| *name == model.key().0);
        let versions = versions.map(|(_, version)| version).collect();
        Ok(Response::new(metadata::model(&model, versions)))
    }

    async fn model_infer(
        &self,
        request: Request<wire::ModelInferRequest>,
    ) -> Result<Response<wire::ModelInferResponse>, Status> {
        let terms = CallTerms::in_request(&request);
        let answer = self.inference.infer(request.into_inner(), terms, false).await;
        answer.map(Response::new).map_err(|error| status(&error))
    }

    type ModelStreamInferStream = stream::Responses;

    async fn model_stream_infer(
        &self,
        request: Request<Streaming<wire::ModelInferRequest>>,
    ) -> Result<Response<Self::ModelStreamInferStream>, Status> {
        let (terms, notes) = (CallTerms::in_request(&request), Notes::in_request(&request));
        let asked = stream::Asked { requests: request.into_inner(), terms, notes };
        stream::answer(Arc::clone(&self.inference), &self.streams, asked).map(Response::new)
    }

    async fn model_config(
        &self,
        request: Request<wire::ModelConfigRequest>,
    ) -> Result<Response<wire::ModelConfigResponse>, Status> {
        let wire::ModelConfigRequest { name, version } = request.into_inner();
        let config = metadata::config(&self.find(&name, &version)?);
        Ok(Response::new(wire::ModelConfigResponse { config: Some(config) }))
    }

    async fn model_statistics(
        &self,
        request: Request<wire::ModelStatisticsRequest>,
    ) -> Result<Response<wire::ModelStatisticsResponse>, Status> {
        let wire::ModelStatisticsRequest { name, version } = request.into_inner();
        let models = if name.is_empty() {
            Model::all(self.catalog())
        } else {
            vec![self.find(&name, &version)?]
        };
        let model_stats = models.iter().map(|model| self.inference.statistics.of(model)).collect();
        Ok(Response::new(wire::ModelStatisticsResponse { model_stats }))
    }

    async fn repository_index(
        &self,
        request: Request<wire::RepositoryIndexRequest>,
    ) -> Result<Response<wire::RepositoryIndexResponse>, Status> {
        self.repository.index(request).await.map(Response::new)
    }

    async fn repository_model_load(
        &self,
        request: Request<wire::RepositoryModelLoadRequest>,
    ) -> Result<Response<wire::RepositoryModelLoadResponse>, Status> {
        self.repository.load(request).await.map(Response::new)
    }

    async fn repository_model_unload(
        &self,
        request: Request<wire::RepositoryModelUnloadRequest>,
    ) -> Result<Response<wire::RepositoryModelUnloadResponse>, Status> {
        self.repository.unload(request).await.map(Response::new)
    }

    async fn system_shared_memory_status(
        &self,
        _request: Request<wire::SystemSharedMemoryStatusRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryStatusResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn system_shared_memory_register(
        &self,
        _request: Request<wire::SystemSharedMemoryRegisterRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryRegisterResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn system_shared_memory_unregister(
        &self,
        _request: Request<wire::SystemSharedMemoryUnregisterRequest>,
    ) -> Result<Response<wire::SystemSharedMemoryUnregisterResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn cuda_shared_memory_status(
        &self,
        _request: Request<wire::CudaSharedMemoryStatusRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryStatusResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn cuda_shared_memory_register(
        &self,
        _request: Request<wire::CudaSharedMemoryRegisterRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryRegisterResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn cuda_shared_memory_unregister(
        &self,
        _request: Request<wire::CudaSharedMemoryUnregisterRequest>,
    ) -> Result<Response<wire::CudaSharedMemoryUnregisterResponse>, Status> {
        Err(status::unsupported(SHARED_MEMORY))
    }

    async fn trace_setting(
        &self,
        _request: Request<wire::TraceSettingRequest>,
    ) -> Result<Response<wire::TraceSettingResponse>, Status> {
        Err(status::unsupported("traces are configured where the server is started"))
    }

    async fn log_settings(
        &self,
        _request: Request<wire::LogSettingsRequest>,
    ) -> Result<Response<wire::LogSettingsResponse>, Status> {
        Err(status::unsupported("logs are configured where the server is started"))
    }
}
