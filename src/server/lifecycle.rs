//! A server's life, from its first moment to its last, and what health tells of it.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::config::{Config, Readiness};
use super::health::{Health, LIVE, READINESS};
use crate::serving::{Catalog, ModelStatus, State};

/// Where a server is in its life. It only goes forward.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The models that it is to have are being loaded.
    Starting,
    /// It serves.
    Serving,
    /// It is told to stop: it says so, and still accepts calls, so that load balancers notice.
    Leaving,
    /// It accepts nothing new and ends what runs.
    Draining,
}

/// The server's life, as its parts see it.
pub(super) struct Life {
    catalog: Arc<Catalog>,
    config: Arc<Config>,
    health: Health,
    started: Instant,
    phase: watch::Sender<Phase>,
    /// Cancelled when it begins to drain.
    draining: CancellationToken,
    /// When the drain must have ended.
    end: OnceLock<Instant>,
}

impl Life {
    /// Begins: STARTING, live and not ready.
    pub(super) fn begin(catalog: Arc<Catalog>, config: Arc<Config>, health: Health) -> Self {
        let life = Self {
            catalog,
            config,
            health,
            started: Instant::now(),
            phase: watch::Sender::new(Phase::Starting),
            draining: CancellationToken::new(),
            end: OnceLock::new(),
        };
        life.refresh();
        life
    }

    /// Where it is.
    pub(super) fn phase(&self) -> Phase {
        *self.phase.borrow()
    }

    /// Since it began.
    pub(super) fn uptime(&self) -> Duration {
        self.started.elapsed()
    }

    /// Cancelled when the server begins to drain: finish what was accepted, take nothing new.
    pub(super) fn draining(&self) -> CancellationToken {
        self.draining.clone()
    }

    /// Whether requests are wanted here.
    pub(super) fn is_ready(&self) -> bool {
        self.health.is_serving("")
    }

    /// Keeps health true to the models until the server drains: at each change of the catalog, and
    /// at intervals, for replicas fail and recover without notice.
    pub(super) async fn observe(&self) -> Infallible {
        let mut changes = self.catalog.changes();
        let mut looks = tokio::time::interval(self.config.health_interval);
        loop {
            tokio::select! {
                () = self.draining.cancelled() => return pending().await,
                _ = looks.tick() => {}
                // The catalog lives as long as this, so it always has an answer.
                _ = changes.changed() => {}
            }
            if self.phase() == Phase::Starting && self.is_warm() {
                self.enter(Phase::Serving);
            }
            self.refresh();
        }
    }

    /// The way out: not ready at once; after [`Config::drain_delay`] nothing new is accepted.
    pub(super) async fn leave(&self) {
        self.enter(Phase::Leaving);
        tokio::time::sleep(self.config.drain_delay).await;
        self.enter(Phase::Draining);
        self.health.end();
        // Before the token: those who wait for it ask how long they may take.
        self.end.get_or_init(|| Instant::now() + self.config.drain_limit);
        self.draining.cancel();
    }

    /// What is left of [`Config::drain_limit`]; all of it before the drain.
    pub(super) fn time_left(&self) -> Duration {
        let left = |end: &Instant| end.saturating_duration_since(Instant::now());
        self.end.get().map_or(self.config.drain_limit, left)
    }

    /// Returns when the server has drained for as long as it may.
    pub(super) async fn out_of_time(&self) {
        self.draining.cancelled().await;
        tokio::time::sleep(self.time_left()).await;
    }

    fn enter(&self, phase: Phase) {
        self.phase.send_replace(phase);
        tracing::info!(?phase, uptime = ?self.uptime(), "server");
        self.refresh();
    }

    /// Whether every model that the server was started with has answered.
    fn is_warm(&self) -> bool {
        let models = self.catalog.loaded();
        self.catalog.expected().iter().all(|name| works(&models, name))
    }

    fn refresh(&self) {
        let models = self.catalog.loaded();
        let expected = self.catalog.expected();
        let serves = match self.phase() {
            Phase::Serving => true,
            Phase::Starting | Phase::Leaving | Phase::Draining => false,
        };
        let ready = serves
            && match self.config.readiness {
                Readiness::StartModels => expected.iter().all(|name| works(&models, name)),
                Readiness::AllModels => {
                    let mut loaded = models.iter().filter(|model| model.state == State::Ready);
                    loaded.all(ModelStatus::works)
                }
                Readiness::AnyModel => models.iter().any(ModelStatus::works),
            };
        let mut board = board(&models, serves);
        board.extend(READINESS.map(|name| (name.to_owned(), ready)));
        board.insert(LIVE.to_owned(), true);
        self.health.tell(board);
        self.config.probes.tell(true, ready);
    }
}

/// Whether the default version of `name` works.
fn works(models: &[ModelStatus], name: &str) -> bool {
    models.iter().any(|model| model.id.name() == name && model.is_default && model.works())
}

/// The health of each model's names: `model/clip@2`, `model/clip`, `model/current`.
fn board(models: &[ModelStatus], serves: bool) -> BTreeMap<String, bool> {
    let mut board = BTreeMap::new();
    for model in models {
        let well = serves && model.state == State::Ready && model.works();
        board.insert(format!("model/{}", model.id), well);
        // Of a name whose versions are all on their way or failed, the name itself is known too.
        let bare = board.entry(format!("model/{}", model.id.name())).or_insert(false);
        *bare |= model.is_default && well;
    }
    for model in models {
        let well = serves && model.state == State::Ready && model.works();
        board.extend(model.aliases.iter().map(|alias| (format!("model/{alias}"), well)));
    }
    board
}

#[cfg(test)]
mod tests {
    use futures::FutureExt;

    use super::*;
    use crate::serving::{Expired, Health, ModelKind, Options};

    fn life(config: Config) -> Life {
        let catalog = Arc::new(Catalog::new(Options::default(), None));
        Life::begin(catalog, Arc::new(config), super::Health::new().0)
    }

    /// A loaded model with so many working replicas of two.
    fn model(id: &str, healthy: usize) -> ModelStatus {
        ModelStatus {
            id: id.parse().unwrap(),
            state: State::Ready,
            kind: Some(ModelKind::Clip),
            checksum: String::new(),
            since: None,
            is_default: true,
            aliases: Vec::new(),
            health: Some(Health {
                replicas: 2,
                healthy,
                states: Vec::new(),
                failures: 0,
                last_failure: None,
                splits: 0,
                expired: Expired::default(),
                late: 0,
            }),
            depth: None,
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_is_ready_once_warm_and_leaves_before_it_drains() {
        let drain_delay = Duration::from_secs(5);
        let drain_limit = Duration::from_secs(30);
        let life = life(Config { drain_limit, drain_delay, ..Config::default() });
        assert_eq!((life.phase(), life.is_ready()), (Phase::Starting, false));
        assert!(life.health.is_serving(LIVE));
        let mut observe = Box::pin(life.observe());
        assert!(observe.as_mut().now_or_never().is_none());
        assert_eq!((life.phase(), life.is_ready()), (Phase::Serving, true));
        let mut leave = Box::pin(life.leave());
        assert!(leave.as_mut().now_or_never().is_none());
        assert_eq!((life.phase(), life.is_ready()), (Phase::Leaving, false));
        assert!(!life.draining().is_cancelled(), "calls are still accepted");
        leave.await;
        assert_eq!(life.phase(), Phase::Draining);
        assert!(life.draining().is_cancelled() && life.health.is_serving(LIVE));
        assert!(observe.now_or_never().is_none());
        let began = tokio::time::Instant::now();
        life.out_of_time().await;
        assert!(began.elapsed() <= drain_limit);
    }

    #[test]
    fn each_name_of_a_model_tells_whether_it_works() {
        let mut old = model("clip@1", 2);
        (old.is_default, old.aliases) = (false, vec!["stable".to_owned()]);
        let broken = ModelStatus { health: None, is_default: false, ..model("yolo@1", 0) };
        let models = [old, model("clip@2", 0), model("other@1", 1), broken];
        let told = board(&models, true);
        let serving: Vec<&str> =
            told.iter().filter(|(_, well)| **well).map(|(name, _)| name.as_str()).collect();
        assert_eq!(serving, ["model/clip@1", "model/other", "model/other@1", "model/stable"]);
        for down in ["model/clip", "model/clip@2", "model/yolo", "model/yolo@1"] {
            assert_eq!(told.get(down), Some(&false), "{down}");
        }
        assert!(board(&models, false).values().all(|well| !well));
        assert!(works(&models, "other") && !works(&models, "clip") && !works(&models, "none"));
    }
}
