//! Loading, unloading, swapping and renaming while requests are served.
//!
//! Each change is a task of its own: it goes on to its end when the caller goes away, so none is
//! left half-done.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use super::super::build::build;
use super::super::name::{ModelId, check_word, parts};
use super::super::repository::Found;
use super::super::served::{Served, Users};
use super::super::source::ModelSource;
use super::{Catalog, CatalogError, ModelStatus, State};
use crate::libtorch::{device_name, release_memory};
use crate::telemetry::metrics::{self, ModelLabels, Reloaded};

/// Aliases at once.
const ALIAS_LIMIT: usize = 256;

/// What a swap did.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Swapped {
    /// What the name stands for now.
    pub now: ModelId,
    /// What it stood for.
    pub before: Option<ModelId>,
    /// Whether that was unloaded: it is kept where another name stands for it.
    pub unloaded: bool,
}

impl Catalog {
    /// Names the models that the server is to have, as being loaded: their paths, and names in the
    /// repository (`clip`, the highest version, or `clip@2`). What is returned is to be given to
    /// [`Catalog::load_expected`].
    pub fn expect(
        &self,
        sources: &[ModelSource],
        names: &[String],
    ) -> Result<Vec<ModelId>, CatalogError> {
        let mut ids = Vec::new();
        for source in sources {
            let id: ModelId = source.name.parse().map_err(|reason| invalid("name", reason))?;
            if self.books().sources.insert(id.clone(), source.path.clone()).is_some() {
                return Err(invalid("name", format!("two models are named '{id}'")));
            }
            ids.push(id);
        }
        for name in names {
            ids.push(self.choose(name)?);
        }
        for id in &ids {
            self.begin(id)?;
            self.books().expected.insert(id.name().to_owned());
        }
        Ok(ids)
    }

    /// Loads what [`Catalog::expect`] named; the first that fails ends it.
    pub async fn load_expected(self: &Arc<Self>, ids: Vec<ModelId>) -> Result<(), CatalogError> {
        for id in ids {
            self.bring_up(id).await?;
        }
        Ok(())
    }

    /// Loads `clip@2`, or the highest version of `clip` there is. What is loaded already is left as
    /// it is. The model is visible when it is warm; where it cannot be built, nothing changes.
    pub async fn load(self: &Arc<Self>, model: &str) -> Result<ModelStatus, CatalogError> {
        let (catalog, model) = (Arc::clone(self), model.to_owned());
        let id = run_blocking(move || catalog.choose(&model)).await?;
        let ready = self.books().ledger.get(&id).is_some_and(|r| r.state == State::Ready);
        if !ready {
            self.begin(&id)?;
            let loaded = self.bring_up(id.clone()).await;
            metrics::record_reload(Reloaded::Model, loaded.is_ok());
            loaded?;
        }
        self.status(&id)
    }

    /// Takes `clip@2`, or every version of `clip`, away: the names at once, the workers when the
    /// last request that uses them has ended or [`Config::unload_limit`] has passed. Returns then,
    /// with what was unloaded.
    ///
    /// A version that an alias stands for is kept: [`CatalogError::Conflict`].
    ///
    /// [`Config::unload_limit`]: super::super::Config::unload_limit
    pub async fn unload(self: &Arc<Self>, model: &str) -> Result<Vec<ModelId>, CatalogError> {
        let leaving = self.take_out(model)?;
        let ids = leaving.iter().map(|(id, ..)| id.clone()).collect();
        let catalog = Arc::clone(self);
        let retiring = tokio::spawn(async move {
            let all =
                leaving.into_iter().map(|(id, served, users)| catalog.retire(id, served, users));
            futures::future::join_all(all).await;
        });
        retiring.await.map_err(|_| CatalogError::Closed)?;
        Ok(ids)
    }

    /// Loads `clip@2` where it is not loaded, has `alias` (without one, its own name) stand for it,
    /// and unloads what the alias stood for, unless another name stands for that too.
    pub async fn swap(
        self: &Arc<Self>,
        model: &str,
        alias: Option<&str>,
    ) -> Result<Swapped, CatalogError> {
        let (catalog, model) = (Arc::clone(self), model.to_owned());
        let alias = alias.map(str::to_owned);
        let swapping = async move {
            let alias = alias.as_deref().unwrap_or(parts(&model).0);
            // Looked up first: a bare name may mean the new version as soon as that is loaded.
            let before = catalog.names.load().resolve(alias).map(|(id, _)| id.clone());
            let now = catalog.load(&model).await?.id;
            catalog.set_alias(alias, &now.to_string())?;
            let old = before.clone().filter(|old| *old != now && !catalog.is_named(old));
            if let Some(old) = &old {
                catalog.unload(&old.to_string()).await?;
            }
            Ok(Swapped { now, before, unloaded: old.is_some() })
        };
        tokio::spawn(swapping).await.unwrap_or(Err(CatalogError::Closed))
    }

    /// Has `alias` stand for a loaded model; what it stood for. A model's own name as the alias
    /// says which version the bare name means.
    pub fn set_alias(&self, alias: &str, target: &str) -> Result<Option<ModelId>, CatalogError> {
        check_word("alias", alias).map_err(|reason| invalid("alias", reason))?;
        let books = self.books();
        let roster = self.names.load();
        let Some((id, _)) = roster.resolve(target) else {
            let known = roster.models().map(|(id, _)| id.to_string()).collect();
            let (what, name) = ("loaded model", target.to_owned());
            return Err(CatalogError::NotFound { what, name, known });
        };
        let taken = books.ledger.iter().any(|(id, _)| id.name() == alias) && alias != id.name();
        let full = !roster.aliases().contains_key(alias) && roster.aliases().len() >= ALIAS_LIMIT;
        if taken || full {
            let reason = if taken {
                "is the name of another model".to_owned()
            } else {
                format!("would be one alias more than the limit, {ALIAS_LIMIT}")
            };
            return Err(CatalogError::Conflict { model: alias.to_owned(), reason });
        }
        let (id, mut before) = (id.clone(), None);
        tracing::info!(alias, model = %id, "alias set");
        self.publish(|roster| before = roster.set_alias(alias, Some(id)));
        Ok(before)
    }

    /// Takes an alias away; what it stood for.
    pub fn delete_alias(&self, alias: &str) -> Result<ModelId, CatalogError> {
        let _books = self.books();
        let mut before = None;
        self.publish(|roster| before = roster.set_alias(alias, None));
        tracing::info!(alias, "alias deleted");
        before.ok_or_else(|| CatalogError::NotFound {
            what: "alias",
            name: alias.to_owned(),
            known: self.names.load().aliases().keys().cloned().collect(),
        })
    }

    /// The version that `clip@2` or `clip` means on disk.
    fn choose(&self, model: &str) -> Result<ModelId, CatalogError> {
        let (name, version) = parts(model);
        if let Some(version) = version {
            return ModelId::new(name, version).map_err(|reason| invalid("version", reason));
        }
        check_word("name", name).map_err(|reason| invalid("name", reason))?;
        let stored = match &self.repository {
            Some(repository) => {
                repository.highest(name).map_err(|reason| invalid("name", reason))?
            }
            None => None,
        };
        let named = self.books().sources.keys().rfind(|id| id.name() == name).cloned();
        stored.max(named).ok_or_else(|| self.not_on_disk(name))
    }

    /// Where a model lies.
    fn find(&self, id: &ModelId) -> Result<Found, CatalogError> {
        let named = self.books().sources.get(id).cloned();
        let broken = |reason| CatalogError::Broken { model: id.to_string(), reason };
        let found = match (named, &self.repository) {
            (Some(path), _) => Some(Found::by_form(&path).map_err(broken)?),
            (None, Some(repository)) => repository.find(id)?,
            (None, None) => None,
        };
        found.ok_or_else(|| self.not_on_disk(&id.to_string()))
    }

    fn not_on_disk(&self, name: &str) -> CatalogError {
        let known = self.on_disk().unwrap_or_default().iter().map(ToString::to_string).collect();
        CatalogError::NotFound { what: "model on disk", name: name.to_owned(), known }
    }

    /// The model is on its way.
    fn begin(&self, id: &ModelId) -> Result<(), CatalogError> {
        let mut books = self.books();
        if books.closed {
            return Err(CatalogError::Closed);
        }
        let roster = self.names.load();
        if let Some(other) = roster.aliases().get(id.name()).filter(|o| o.name() != id.name()) {
            let reason = format!("cannot be loaded: its name is an alias of {other}");
            return Err(CatalogError::Conflict { model: id.to_string(), reason });
        }
        books.ledger.begin(id, self.options.catalog.max_models)?;
        self.changed.send_replace(());
        Ok(())
    }

    /// Builds a model that is on its way and shows it, or says why not.
    async fn bring_up(self: &Arc<Self>, id: ModelId) -> Result<(), CatalogError> {
        let catalog = Arc::clone(self);
        let task = tokio::spawn(async move {
            let limit = catalog.options.catalog.load_limit;
            let built = tokio::time::timeout(limit, catalog.build_in_turn(&id)).await;
            let too_slow = CatalogError::TooSlow { model: id.to_string(), limit };
            catalog.settle(&id, built.unwrap_or(Err(too_slow)))
        });
        task.await.unwrap_or(Err(CatalogError::Closed))
    }

    async fn build_in_turn(self: &Arc<Self>, id: &ModelId) -> Result<Served, CatalogError> {
        let turn = Arc::clone(&self.loads).acquire_owned().await;
        let turn = turn.map_err(|_| CatalogError::Closed)?;
        let (catalog, id) = (Arc::clone(self), id.clone());
        run_blocking(move || {
            // Kept by a load that was given up too, until it ends: the next must not join it.
            let _turn = turn;
            catalog.build(&id)
        })
        .await
    }

    /// Reads, builds and warms.
    pub(super) fn build(&self, id: &ModelId) -> Result<Served, CatalogError> {
        let (found, started) = (self.find(id)?, Instant::now());
        tracing::info!(model = %id, path = %found.path.display(), "loading");
        let served = build(id, &found, &self.options, &self.cpu)
            .map_err(|reason| CatalogError::Broken { model: id.to_string(), reason })?;
        metrics::set_model_load(&id.to_string(), started.elapsed());
        Ok(served)
    }

    /// Shows a model that was built, or notes why it was not.
    pub(super) fn settle(
        &self,
        id: &ModelId,
        built: Result<Served, CatalogError>,
    ) -> Result<(), CatalogError> {
        let mut books = self.books();
        let kinds = books.running.iter().filter(|(other, _)| other.name() == id.name());
        let other = kinds.map(|(other, (served, _))| (other.clone(), served.kind())).next();
        let checked = built.and_then(|served| match other {
            _ if books.closed => Err(CatalogError::Closed),
            Some((other, kind)) if kind != served.kind() => {
                let reason = format!(
                    "is a {}, but {other} is a {}: one name is one kind",
                    served.kind().name(),
                    kind.name()
                );
                Err(CatalogError::Conflict { model: id.to_string(), reason })
            }
            _ => Ok(served),
        });
        match checked {
            Ok(served) => {
                let checksum = served.identity().checksum.clone();
                let (lease, users) = Users::of(served.clone());
                books.ledger.ready(id, served.kind(), &checksum, SystemTime::now());
                self.show(&served, true);
                books.running.insert(id.clone(), (served, users));
                self.publish(|roster| roster.insert(id.clone(), lease));
                tracing::info!(model = %id, checksum, "model loaded");
                Ok(())
            }
            Err(error) => {
                tracing::error!(model = %id, %error, "model not loaded");
                books.ledger.failed(id, error.to_string(), SystemTime::now());
                self.changed.send_replace(());
                Err(error)
            }
        }
    }

    /// Takes the names away; the models are still there for those who use them.
    fn take_out(&self, model: &str) -> Result<Vec<(ModelId, Served, Users)>, CatalogError> {
        let mut books = self.books();
        let (name, version) = parts(model);
        let ids: Vec<ModelId> = if let Some(version) = version {
            vec![ModelId::new(name, version).map_err(|reason| invalid("version", reason))?]
        } else {
            let of_name = books.ledger.iter().filter(|(id, _)| id.name() == name);
            let loaded = of_name.filter(|(_, r)| !matches!(r.state, State::Failed { .. }));
            loaded.map(|(id, _)| id.clone()).collect()
        };
        let roster = self.names.load();
        if ids.is_empty() {
            let known = roster.models().map(|(id, _)| id.to_string()).collect();
            let (what, name) = ("loaded model", model.to_owned());
            return Err(CatalogError::NotFound { what, name, known });
        }
        for id in &ids {
            // With every version of a name goes what the bare name stands for.
            let mut aliases = roster.aliases_of(id).filter(|a| version.is_some() || *a != name);
            if let Some(alias) = aliases.next() {
                let reason =
                    format!("is what '{alias}' stands for; set or delete that alias first");
                return Err(CatalogError::Conflict { model: id.to_string(), reason });
            }
        }
        for id in &ids {
            books.ledger.unloading(id)?;
        }
        self.publish(|roster| ids.iter().for_each(|id| roster.remove(id)));
        if self.names.load().highest(name).is_none() {
            books.expected.remove(name);
        }
        let running = &mut books.running;
        let taken = ids
            .into_iter()
            .filter_map(|id| running.remove(&id).map(|(served, users)| (id, served, users)));
        Ok(taken.collect())
    }

    /// Waits for the last user, ends the workers, and gives the memory back.
    async fn retire(&self, id: ModelId, served: Served, users: Users) {
        let (started, limit) = (Instant::now(), self.options.catalog.unload_limit);
        if tokio::time::timeout(limit, users.gone()).await.is_err() {
            tracing::warn!(model = %id, ?limit, "unloaded while requests still use it");
        }
        served.drain(limit.saturating_sub(started.elapsed())).await;
        self.show(&served, false);
        let freed = run_blocking(move || {
            drop(served);
            release_memory();
            Ok(())
        });
        if freed.await.is_err() {
            tracing::error!(model = %id, "the model panicked as it was dropped");
        }
        self.books().ledger.unloaded(&id);
        self.changed.send_replace(());
        tracing::info!(model = %id, took = ?started.elapsed(), "model unloaded");
    }

    /// Whether any name but its own with its version stands for `id`.
    fn is_named(&self, id: &ModelId) -> bool {
        let roster = self.names.load();
        roster.is_default(id) || roster.aliases_of(id).next().is_some()
    }

    fn show(&self, served: &Served, loaded: bool) {
        let (identity, kind) = (served.identity(), served.kind().name());
        for &device in &self.options.devices {
            let device = &device_name(device);
            let labels =
                ModelLabels { name: &identity.name, version: &identity.version, kind, device };
            metrics::set_model(labels, loaded);
        }
    }
}

fn invalid(field: &'static str, reason: String) -> CatalogError {
    CatalogError::Invalid { field, reason }
}

/// Work on disk and nets, away from the async threads.
pub(super) async fn run_blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, CatalogError> + Send + 'static,
) -> Result<T, CatalogError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(result) => result,
        Err(error) if error.is_panic() => {
            let reason = "it panicked while it was loaded".to_owned();
            Err(CatalogError::Broken { model: "the model".to_owned(), reason })
        }
        Err(_) => Err(CatalogError::Closed),
    }
}
