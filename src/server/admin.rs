//! The operator's service: models come, go and change places.

use std::future::Future;
use std::sync::Arc;

use tonic::{Request, Response, Status};

use super::deadline::CallTerms;
use super::lifecycle::{Life, Phase};
use super::respond;
use super::status::{change_refused, change_unfinished};
use crate::proto::v1;
use crate::proto::v1::admin_service_server::AdminService;
use crate::serving::{Catalog, CatalogError, ModelId, ModelKind, ModelStatus, State};
use crate::telemetry::metrics::ReplicaState;

/// `veriframe.v1.AdminService`.
pub(super) struct Admin {
    catalog: Arc<Catalog>,
    life: Arc<Life>,
}

impl Admin {
    pub(super) fn new(catalog: Arc<Catalog>, life: Arc<Life>) -> Self {
        Self { catalog, life }
    }
}

#[tonic::async_trait]
impl AdminService for Admin {
    async fn index_models(
        &self,
        request: Request<v1::IndexModelsRequest>,
    ) -> Result<Response<v1::IndexModelsResponse>, Status> {
        let index = finished(&request, self.catalog.index()).await?;
        let models = index.into_iter().map(status).collect();
        Ok(Response::new(v1::IndexModelsResponse { models }))
    }

    async fn load_model(
        &self,
        request: Request<v1::LoadModelRequest>,
    ) -> Result<Response<v1::LoadModelResponse>, Status> {
        let v1::LoadModelRequest { name, version } = request.get_ref();
        let model = joined(name, version.as_deref()).map_err(|error| change_refused(&error))?;
        let loaded = finished(&request, self.catalog.load(&model)).await?;
        Ok(Response::new(v1::LoadModelResponse { model: Some(status(loaded)) }))
    }

    async fn unload_model(
        &self,
        request: Request<v1::UnloadModelRequest>,
    ) -> Result<Response<v1::UnloadModelResponse>, Status> {
        let v1::UnloadModelRequest { name, version } = request.get_ref();
        let model = joined(name, version.as_deref()).map_err(|error| change_refused(&error))?;
        let unloaded = finished(&request, self.catalog.unload(&model)).await?;
        let unloaded = unloaded.iter().map(version_of).collect();
        Ok(Response::new(v1::UnloadModelResponse { unloaded }))
    }

    async fn swap_model(
        &self,
        request: Request<v1::SwapModelRequest>,
    ) -> Result<Response<v1::SwapModelResponse>, Status> {
        let v1::SwapModelRequest { name, version, alias } = request.get_ref();
        let model = joined(name, version.as_deref()).map_err(|error| change_refused(&error))?;
        let swapped = finished(&request, self.catalog.swap(&model, alias.as_deref())).await?;
        Ok(Response::new(v1::SwapModelResponse {
            now: Some(version_of(&swapped.now)),
            before: swapped.before.as_ref().map(version_of),
            unloaded: swapped.unloaded,
        }))
    }

    async fn set_alias(
        &self,
        request: Request<v1::SetAliasRequest>,
    ) -> Result<Response<v1::SetAliasResponse>, Status> {
        let v1::SetAliasRequest { alias, name, version } = request.into_inner();
        let before = joined(&name, version.as_deref())
            .and_then(|target| self.catalog.set_alias(&alias, &target))
            .map_err(|error| change_refused(&error))?;
        Ok(Response::new(v1::SetAliasResponse { before: before.as_ref().map(version_of) }))
    }

    async fn delete_alias(
        &self,
        request: Request<v1::DeleteAliasRequest>,
    ) -> Result<Response<v1::DeleteAliasResponse>, Status> {
        let before = self.catalog.delete_alias(&request.into_inner().alias);
        let before = before.map_err(|error| change_refused(&error))?;
        Ok(Response::new(v1::DeleteAliasResponse { before: Some(version_of(&before)) }))
    }

    async fn get_server_status(
        &self,
        _request: Request<v1::GetServerStatusRequest>,
    ) -> Result<Response<v1::GetServerStatusResponse>, Status> {
        let phase = match self.life.phase() {
            Phase::Starting => v1::ServerPhase::Starting,
            Phase::Serving => v1::ServerPhase::Serving,
            Phase::Leaving => v1::ServerPhase::Leaving,
            Phase::Draining => v1::ServerPhase::Draining,
        };
        Ok(Response::new(v1::GetServerStatusResponse {
            phase: phase.into(),
            ready: self.life.is_ready(),
            uptime: Some(respond::duration(self.life.uptime())),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            models: self.catalog.loaded().into_iter().map(status).collect(),
        }))
    }
}

/// The outcome of a change, or that the call's deadline came first; the change goes on.
pub(super) async fn finished<Q, T>(
    request: &Request<Q>,
    change: impl Future<Output = Result<T, CatalogError>>,
) -> Result<T, Status> {
    let outcome = match CallTerms::in_request(request).deadline {
        None => change.await,
        Some(deadline) => tokio::time::timeout_at(deadline.into(), change)
            .await
            .map_err(|_| change_unfinished())?,
    };
    outcome.map_err(|error| change_refused(&error))
}

/// `clip` and `2` as `clip@2`.
fn joined(name: &str, version: Option<&str>) -> Result<String, CatalogError> {
    if name.contains('@') {
        let reason = format!("'{name}' holds '@'; the version has a field of its own");
        return Err(CatalogError::Invalid { field: "name", reason });
    }
    Ok(version.map_or_else(|| name.to_owned(), |version| format!("{name}@{version}")))
}

fn version_of(id: &ModelId) -> v1::ModelVersion {
    v1::ModelVersion { name: id.name().to_owned(), version: id.version().to_owned() }
}

fn status(model: ModelStatus) -> v1::ModelStatus {
    let (state, reason) = match model.state {
        State::Available => (v1::ModelState::Available, String::new()),
        State::Loading => (v1::ModelState::Loading, String::new()),
        State::Ready => (v1::ModelState::Ready, String::new()),
        State::Unloading => (v1::ModelState::Unloading, String::new()),
        State::Failed { reason } => (v1::ModelState::Failed, reason),
    };
    let kind = match model.kind {
        None => v1::ModelKind::Unspecified,
        Some(ModelKind::Clip) => v1::ModelKind::Clip,
        Some(ModelKind::Detector) => v1::ModelKind::Detector,
        Some(ModelKind::TorchScript) => v1::ModelKind::Torchscript,
    };
    let load = model.health.zip(model.depth).map(|(health, depth)| v1::ModelLoad {
        replicas: health.replicas as u32,
        healthy_replicas: health.healthy as u32,
        failures: health.failures,
        last_failure: health.last_failure.unwrap_or_default(),
        queued_items: depth.items as u64,
        queued_bytes: depth.bytes as u64,
        running_items: depth.running as u64,
        states: health.states.into_iter().map(|state| replica(state).into()).collect(),
    });
    v1::ModelStatus {
        identity: Some(v1::ModelIdentity {
            name: model.id.name().to_owned(),
            version: model.id.version().to_owned(),
            checksum: model.checksum,
        }),
        state: state.into(),
        kind: kind.into(),
        reason,
        since: model.since.map(Into::into),
        is_default: model.is_default,
        aliases: model.aliases,
        load,
    }
}

fn replica(state: ReplicaState) -> v1::ReplicaState {
    match state {
        ReplicaState::Ready => v1::ReplicaState::Ready,
        ReplicaState::Rebuilding => v1::ReplicaState::Rebuilding,
        ReplicaState::Stalled => v1::ReplicaState::Stalled,
        ReplicaState::Down => v1::ReplicaState::Down,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_and_a_version_are_joined_and_a_joined_name_is_refused() {
        assert_eq!(joined("clip", None).unwrap(), "clip");
        assert_eq!(joined("clip", Some("2")).unwrap(), "clip@2");
        assert!(joined("clip@2", None).unwrap_err().to_string().starts_with("name: "));
    }
}
