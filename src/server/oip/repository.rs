//! Models that come and go at run time, in the words of Triton's clients. The admin service can do
//! more: swaps and aliases.

use std::collections::HashMap;
use std::sync::Arc;

use tonic::{Request, Status};

use crate::proto::inference as wire;
use crate::proto::inference::repository_index_response::ModelIndex;
use crate::server::admin::finished;
use crate::server::status::{self, change_refused};
use crate::serving::{Catalog, CatalogError, ModelStatus, State};

/// The one parameter that is taken, and not read: no model depends on another.
const UNLOAD_DEPENDENTS: &str = "unload_dependents";

/// The repository's calls, where they are offered.
pub(super) struct Repository {
    catalog: Option<Arc<Catalog>>,
}

impl Repository {
    /// Of `catalog`; nothing where models are not to be administered.
    pub(super) fn new(catalog: Option<Arc<Catalog>>) -> Self {
        Self { catalog }
    }

    /// Whether the calls are offered.
    pub(super) fn is_offered(&self) -> bool {
        self.catalog.is_some()
    }

    /// What there is.
    pub(super) async fn index(
        &self,
        request: Request<wire::RepositoryIndexRequest>,
    ) -> Result<wire::RepositoryIndexResponse, Status> {
        let index = finished(&request, self.catalog()?.index()).await?;
        let only_ready = request.get_ref().ready;
        let wanted = |model: &ModelStatus| !only_ready || model.state == State::Ready;
        let models = index.into_iter().filter(wanted).map(entry).collect();
        Ok(wire::RepositoryIndexResponse { models })
    }

    /// Loads a model; returns when it is served.
    pub(super) async fn load(
        &self,
        request: Request<wire::RepositoryModelLoadRequest>,
    ) -> Result<wire::RepositoryModelLoadResponse, Status> {
        let catalog = self.catalog()?;
        let wire::RepositoryModelLoadRequest { model_name, parameters, .. } = request.get_ref();
        check(model_name, parameters, &[]).map_err(|error| change_refused(&error))?;
        finished(&request, catalog.load(model_name)).await?;
        Ok(wire::RepositoryModelLoadResponse {})
    }

    /// Takes a model out of service; returns when the last request that uses it has ended.
    pub(super) async fn unload(
        &self,
        request: Request<wire::RepositoryModelUnloadRequest>,
    ) -> Result<wire::RepositoryModelUnloadResponse, Status> {
        let catalog = self.catalog()?;
        let wire::RepositoryModelUnloadRequest { model_name, parameters, .. } = request.get_ref();
        let checked = check(model_name, parameters, &[UNLOAD_DEPENDENTS]);
        checked.map_err(|error| change_refused(&error))?;
        finished(&request, catalog.unload(model_name)).await?;
        Ok(wire::RepositoryModelUnloadResponse {})
    }

    fn catalog(&self) -> Result<&Arc<Catalog>, Status> {
        self.catalog.as_ref().ok_or_else(|| {
            status::unsupported(
                "models are not administered here: see 'admin' in the configuration",
            )
        })
    }
}

/// Refuses a request without a name, or with a parameter other than `taken`.
fn check<V>(
    name: &str,
    parameters: &HashMap<String, V>,
    taken: &[&str],
) -> Result<(), CatalogError> {
    let invalid = |field, reason: String| Err(CatalogError::Invalid { field, reason });
    if name.is_empty() {
        return invalid("model_name", "no model is named".to_owned());
    }
    match parameters.keys().filter(|key| !taken.contains(&key.as_str())).min() {
        None => Ok(()),
        Some(other) => {
            let other: String = other.chars().take(64).collect();
            let why = "a model's files and configuration come from the repository alone";
            invalid("parameters", format!("'{other}' is not taken: {why}"))
        }
    }
}

fn entry(model: ModelStatus) -> ModelIndex {
    let (state, reason) = match model.state {
        State::Available => ("UNAVAILABLE", "not loaded".to_owned()),
        State::Loading => ("LOADING", "being loaded".to_owned()),
        State::Ready => ("READY", String::new()),
        State::Unloading => ("UNLOADING", "being unloaded".to_owned()),
        State::Failed { reason } => ("UNAVAILABLE", reason),
    };
    ModelIndex {
        name: model.id.name().to_owned(),
        version: model.id.version().to_owned(),
        state: state.to_owned(),
        reason,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parameter_that_is_not_taken_is_named() {
        let with = |key: &str| HashMap::from([(key.to_owned(), true)]);
        assert_eq!(check::<bool>("clip", &HashMap::new(), &[]), Ok(()));
        assert_eq!(check("clip", &with(UNLOAD_DEPENDENTS), &[UNLOAD_DEPENDENTS]), Ok(()));
        let error = check("clip", &with("config"), &[UNLOAD_DEPENDENTS]).unwrap_err().to_string();
        assert!(error.starts_with("parameters: 'config' is not taken"), "{error}");
        let error = check::<bool>("", &HashMap::new(), &[]).unwrap_err().to_string();
        assert!(error.starts_with("model_name: "), "{error}");
    }
}
