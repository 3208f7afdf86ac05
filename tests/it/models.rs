//! Models that come and go while requests are served.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, OnceLock};
use std::time::Duration;

use tempfile::TempDir;
use veriframe::engine::{self, Hook};
use veriframe::serving::{
    Catalog, CatalogError, Config, ModelIdentity, ModelSource, ModelStatus, Options, Repository,
    ServingError, State, Terms,
};
use veriframe::verification::{
    Detection, Frame, Heatmaps, Regions, Similarity, VerifyRequest, VerifyResult, verify,
};
use veriframe::vision::image::Limits;

use crate::support::{png, write_clip, write_detector};

/// The longest that anything here may take.
const PATIENCE: Duration = Duration::from_mins(1);

/// A repository in a folder of this process: `clip` 1 and 2, `clip` 3 whose weights are cut short,
/// `clip` 4 whose weights are no numbers, and `yolo` 1.
pub(crate) fn repository() -> Repository {
    static FOLDER: OnceLock<TempDir> = OnceLock::new();
    let folder = FOLDER.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let version = |path: &str| folder.path().join(path);
        for (path, seed) in [("clip/1", 1), ("clip/2", 2), ("clip/3", 3), ("clip/4", 4)] {
            write_clip(&version(path), seed);
        }
        let weights = |path: &str| -> PathBuf {
            let files = fs::read_dir(version(path)).unwrap().map(|entry| entry.unwrap().path());
            files
                .into_iter()
                .find(|file| file.extension().is_some_and(|e| e == "safetensors"))
                .unwrap()
        };
        let whole = fs::read(weights("clip/3")).unwrap();
        fs::write(weights("clip/3"), &whole[..whole.len() / 2]).unwrap();
        not_numbers(&weights("clip/4"));
        fs::create_dir_all(version("yolo/1")).unwrap();
        write_detector(&version("yolo/1/best.safetensors"), 6);
        folder
    });
    Repository::open(folder.path()).unwrap()
}

/// Overwrites the second half of a weights file: every float there is NaN.
fn not_numbers(file: &Path) {
    let mut bytes = fs::read(file).unwrap();
    let half = bytes.len() / 2;
    bytes[half..].fill(0xff);
    fs::write(file, bytes).unwrap();
}

fn catalog(options: Options) -> Arc<Catalog> {
    Arc::new(Catalog::new(options, Some(repository())))
}

fn limits(catalog: Config) -> Options {
    Options { catalog, ..Options::default() }
}

/// Everything there is to ask of one frame.
fn everything() -> VerifyRequest {
    let prompts = vec!["a face".to_owned()];
    VerifyRequest {
        similarity: Some(Similarity { prompts: prompts.clone(), ..Similarity::default() }),
        detection: Some(Detection {
            min_confidence: 0.0,
            max_detections: 2,
            ..Detection::default()
        }),
        regions: Some(Regions { prompts, ..Regions::default() }),
        heatmaps: Some(Heatmaps::default()),
    }
}

async fn ask(catalog: &Catalog, request: &VerifyRequest) -> Result<VerifyResult, ServingError> {
    let frame = Frame::Encoded(png(0).into());
    verify(catalog, frame, request, &Limits::default(), Terms::default()).await
}

/// Every CLIP that a result names.
fn named(result: &VerifyResult) -> BTreeSet<&str> {
    let models = [
        result.similarity.as_ref().map(|part| &part.model),
        result.heatmaps.as_ref().map(|part| &part.model),
        result.regions.as_ref().map(|part| &part.model),
    ];
    models.into_iter().flatten().map(|model: &ModelIdentity| model.version.as_str()).collect()
}

/// Lets batches through when it is opened.
#[derive(Clone, Default)]
pub(crate) struct Gate(Arc<(Mutex<bool>, Condvar)>);

impl Gate {
    pub(crate) fn hook(&self, model: &'static str) -> Hook {
        let gate = self.clone();
        Hook::new(move |sight| {
            if sight.model == model {
                let open = gate.0.0.lock().unwrap();
                drop(gate.0.1.wait_timeout_while(open, PATIENCE, |open| !*open).unwrap());
            }
            Ok(())
        })
    }

    pub(crate) fn open(&self) {
        *self.0.0.lock().unwrap() = true;
        self.0.1.notify_all();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn swaps_under_load_fail_no_request_and_each_answer_is_by_one_version() {
    let catalog = catalog(Options::default());
    catalog.load("clip@1").await.unwrap();
    catalog.load("yolo").await.unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (catalog, stop) = (Arc::clone(&catalog), Arc::clone(&stop));
            tokio::spawn(async move {
                let (mut answers, mut versions) = (0, BTreeSet::new());
                while !stop.load(Ordering::Relaxed) {
                    let result = ask(&catalog, &everything()).await.unwrap();
                    let named = named(&result);
                    assert_eq!(named.len(), 1, "one answer by {named:?}");
                    versions.extend(named.into_iter().map(str::to_owned));
                    answers += 1;
                }
                (answers, versions)
            })
        })
        .collect();
    for version in ["clip@2", "clip@1", "clip@2", "clip@1"] {
        let swapped = catalog.swap(version, None).await.unwrap();
        assert_eq!(swapped.now.to_string(), version);
        assert!(swapped.unloaded, "{swapped:?}");
    }
    stop.store(true, Ordering::Relaxed);
    let (mut answers, mut versions) = (0, BTreeSet::new());
    for client in clients {
        let (count, seen) = client.await.unwrap();
        answers += count;
        versions.extend(seen);
    }
    assert!(answers > 0);
    assert_eq!(versions, BTreeSet::from(["1".to_owned(), "2".to_owned()]), "{answers} answers");
    catalog.drain(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_ends_on_the_version_it_began_with_while_its_name_is_gone_already() {
    let gate = Gate::default();
    let engine = engine::Config { before_batch: Some(gate.hook("clip@1")), ..Default::default() };
    let catalog = catalog(Options { engine, ..Options::default() });
    catalog.load("clip@1").await.unwrap();
    let request = VerifyRequest { detection: None, regions: None, ..everything() };
    let asked = {
        let (catalog, request) = (Arc::clone(&catalog), request.clone());
        tokio::spawn(async move { ask(&catalog, &request).await })
    };
    let mut waiting = tokio::time::interval(Duration::from_millis(1));
    while catalog.loaded()[0].depth.unwrap().running == 0 {
        waiting.tick().await;
    }
    let mut changes = catalog.changes();
    let unload = {
        let catalog = Arc::clone(&catalog);
        tokio::spawn(async move { catalog.unload("clip").await })
    };
    changes.changed().await.unwrap();
    assert_eq!(catalog.loaded()[0].state, State::Unloading);
    let refused = ask(&catalog, &request).await.unwrap_err();
    assert!(matches!(refused, ServingError::NotFound { .. }), "{refused}");
    assert!(!asked.is_finished() && !unload.is_finished());
    // The next version is loaded and answers while the old one still works.
    catalog.load("clip@2").await.unwrap();
    assert_eq!(named(&ask(&catalog, &request).await.unwrap()), BTreeSet::from(["2"]));
    gate.open();
    assert_eq!(named(&asked.await.unwrap().unwrap()), BTreeSet::from(["1"]));
    assert_eq!(unload.await.unwrap().unwrap()[0].to_string(), "clip@1");
    catalog.drain(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unload_waits_no_longer_than_its_limit_for_a_user_that_stays() {
    let unload_limit = Duration::from_millis(50);
    let catalog = catalog(limits(Config { unload_limit, ..Config::default() }));
    catalog.load("clip@1").await.unwrap();
    let kept = catalog.clip(None).unwrap();
    let unloaded = tokio::time::timeout(PATIENCE, catalog.unload("clip@1"));
    unloaded.await.unwrap().unwrap();
    let refused = kept.embed_texts(&["late".to_owned()], Terms::default()).await.unwrap_err();
    assert!(matches!(refused, ServingError::Closed(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_broken_checkpoint_leaves_the_old_version_serving_and_says_what_is_wrong() {
    let catalog = catalog(Options::default());
    catalog.load("clip@1").await.unwrap();
    for (model, part) in [("clip@3", "clip/3"), ("clip@4", "while warming up")] {
        for swap in [false, true] {
            let error = if swap {
                catalog.swap(model, None).await.unwrap_err()
            } else {
                catalog.load(model).await.unwrap_err()
            };
            assert!(matches!(error, CatalogError::Broken { .. }), "{error}");
            assert!(error.to_string().contains(part), "{error}");
            assert_eq!(catalog.clip(Some("clip")).unwrap().identity().version, "1");
        }
        let status = catalog.loaded().into_iter().find(|s| s.id.to_string() == model).unwrap();
        let State::Failed { reason } = status.state else { panic!("{model} has not failed") };
        assert!(reason.contains(part), "{reason}");
    }
    let request = VerifyRequest { detection: None, regions: None, ..everything() };
    assert_eq!(named(&ask(&catalog, &request).await.unwrap()), BTreeSet::from(["1"]));
    catalog.drain(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn names_mean_versions_as_aliases_say() {
    let catalog = catalog(Options::default());
    for model in ["clip@1", "clip@2", "yolo"] {
        catalog.load(model).await.unwrap();
    }
    let version = |name: &str| catalog.clip(Some(name)).map(|clip| clip.identity().version.clone());
    assert_eq!(version("clip").unwrap(), "2");
    assert_eq!(version("clip@1").unwrap(), "1");
    assert!(version("current").is_err());
    assert_eq!(catalog.set_alias("current", "clip@1").unwrap(), None);
    assert_eq!(version("current").unwrap(), "1");
    assert_eq!(catalog.set_alias("clip", "clip@1").unwrap(), None);
    assert_eq!(version("clip").unwrap(), "1");
    for (alias, target) in [("yolo", "clip@1"), ("bad@1", "clip@1"), ("x", "clip@7"), ("", "clip")]
    {
        assert!(catalog.set_alias(alias, target).is_err(), "{alias} -> {target}");
    }
    // Neither part of a name that is in use goes away by accident.
    let kept = catalog.unload("clip@1").await.unwrap_err();
    assert!(matches!(kept, CatalogError::Conflict { .. }), "{kept}");
    let swapped = catalog.swap("clip@2", Some("current")).await.unwrap();
    assert_eq!(swapped.before.unwrap().to_string(), "clip@1");
    assert!(!swapped.unloaded, "'clip' still stands for clip@1");
    assert_eq!((version("current").unwrap(), version("clip").unwrap()), ("2".into(), "1".into()));
    assert_eq!(catalog.delete_alias("clip").unwrap().to_string(), "clip@1");
    assert!(catalog.delete_alias("clip").is_err());
    assert_eq!(version("clip").unwrap(), "2");
    catalog.unload("clip@1").await.unwrap();
    assert!(version("clip@1").is_err());
    catalog.drain(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_index_tells_what_is_on_disk_and_how_each_version_fares() {
    let catalog = catalog(Options::default());
    let index = catalog.index().await.unwrap();
    let ids: Vec<String> = index.iter().map(|status| status.id.to_string()).collect();
    assert_eq!(ids, ["clip@1", "clip@2", "clip@3", "clip@4", "yolo@1"]);
    assert!(index.iter().all(|status| status.state == State::Available && !status.works()));
    let loaded = catalog.load("yolo").await.unwrap();
    assert!(loaded.works() && loaded.is_default && loaded.state == State::Ready);
    assert_eq!(loaded.checksum.len(), 64);
    assert_eq!(catalog.load("yolo@1").await.unwrap().since, loaded.since, "it is loaded already");
    for unknown in ["clip@9", "other", "../clip", "clip@../1", "clip@", ""] {
        let error = catalog.load(unknown).await.unwrap_err();
        let named = matches!(error, CatalogError::NotFound { .. } | CatalogError::Invalid { .. });
        assert!(named, "{unknown}: {error}");
    }
    catalog.drain(PATIENCE).await;
    assert_eq!(catalog.load("clip@1").await.unwrap_err(), CatalogError::Closed);
}

#[tokio::test(flavor = "multi_thread")]
async fn no_more_models_are_held_than_the_limit_says() {
    let catalog = catalog(limits(Config { max_models: 1, ..Config::default() }));
    catalog.load("clip@1").await.unwrap();
    let full = catalog.load("clip@2").await.unwrap_err();
    assert_eq!(full, CatalogError::Full { loaded: 1, limit: 1 });
    catalog.unload("clip").await.unwrap();
    catalog.load("clip@2").await.unwrap();
    catalog.drain(PATIENCE).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn while_a_model_is_loaded_for_the_first_time_its_callers_are_told_to_come_again() {
    let catalog = catalog(Options::default());
    let source = ModelSource { name: "own".to_owned(), path: PathBuf::from("nowhere") };
    let ids = catalog.expect(&[source], &["clip@1".to_owned()]).unwrap();
    let told = catalog.clip(Some("clip")).map(|_| ()).unwrap_err();
    assert!(matches!(told, ServingError::Loading(_)), "{told}");
    assert!(matches!(catalog.load("clip@1").await, Err(CatalogError::Busy { .. })));
    assert_eq!(catalog.expected().len(), 2);
    let failed = catalog.load_expected(ids).await.unwrap_err().to_string();
    assert!(failed.contains("nowhere"), "{failed}");
    assert!(catalog.clip(None).err().is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_goes_on_when_its_caller_goes_away() {
    let catalog = catalog(Options::default());
    let mut changes = catalog.changes();
    let caller = {
        let catalog = Arc::clone(&catalog);
        tokio::spawn(async move { catalog.load("clip@1").await })
    };
    changes.changed().await.unwrap();
    caller.abort();
    while !catalog.loaded().iter().any(ModelStatus::works) {
        changes.changed().await.unwrap();
    }
    assert_eq!(catalog.clip(None).unwrap().identity().version, "1");
    catalog.drain(PATIENCE).await;
}
