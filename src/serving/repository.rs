//! A folder of models: `ROOT/NAME/VERSION/`, each version a CLIP folder in the Hugging Face layout,
//! or a folder with one `.pt`, `.safetensors` or `.torchscript` file, and beside it, where it needs
//! one, a manifest `model.toml`. Nothing is loaded but what is asked for.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use super::catalog::CatalogError;
use super::name::{ModelId, check_word};
use super::served::ModelKind;
use crate::models::torchscript;

/// The manifest's file name.
const MANIFEST: &str = "model.toml";
/// The largest manifest that is read, in bytes.
const MANIFEST_LIMIT_BYTES: u64 = 1 << 20;
/// Endings of weights files.
const WEIGHTS: [&str; 3] = ["pt", "safetensors", "torchscript"];
/// Versions that are listed.
const INDEX_LIMIT: usize = 4096;

/// What `model.toml` tells. Every key may be left out.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(default, deny_unknown_fields)]
pub struct Manifest {
    /// `clip`, `detector` or `torchscript`. Without it a model with a section `torchscript` is that, a
    /// folder with a `config.json` is CLIP, and one with a single weights file is a detector.
    pub kind: Option<ModelKind>,
    /// The weights file, in the version's own folder; CLIP folders have none. Without it the only
    /// `.pt`, `.safetensors` or `.torchscript` file there is.
    pub file: Option<String>,
    /// A detector's class names by index, in place of those in the checkpoint; as many.
    pub labels: Option<Vec<String>>,
    /// The tensors of a TorchScript module, which has to have this.
    pub torchscript: Option<torchscript::Manifest>,
}

/// A model on disk.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Found {
    /// What it is.
    pub kind: ModelKind,
    /// A folder (CLIP) or a file (detector).
    pub path: PathBuf,
    /// What its manifest tells; the default where it has none.
    pub manifest: Manifest,
}

impl Found {
    /// A model that stands alone: a folder is CLIP; a file is TorchScript where the manifest beside
    /// it (`net.toml` for `net.pt`) says so, and a detector otherwise.
    pub fn by_form(path: &Path) -> Result<Self, String> {
        if path.is_dir() {
            let manifest = Manifest::default();
            return Ok(Self { kind: ModelKind::Clip, path: path.to_owned(), manifest });
        }
        let beside = path.with_extension("toml");
        let manifest = read_manifest(&beside)?;
        let kind = manifest.kind(false);
        if kind == ModelKind::Clip || manifest.file.is_some() {
            return Err(format!("{}: a file is no CLIP and needs no 'file'", beside.display()));
        }
        manifest.check(kind, &beside.display().to_string())?;
        Ok(Self { kind, path: path.to_owned(), manifest })
    }
}

/// A folder of models.
#[derive(Clone, Debug)]
pub struct Repository {
    root: PathBuf,
}

impl Repository {
    /// Refuses what is no folder.
    pub fn open(root: &Path) -> Result<Self, String> {
        let root = root.canonicalize().map_err(|e| format!("{}: {e}", root.display()))?;
        if root.is_dir() {
            Ok(Self { root })
        } else {
            Err(format!("{} is no folder", root.display()))
        }
    }

    /// Every version of every model, in order. Folders whose names are no plain words, such as
    /// `.git`, are no models.
    pub fn index(&self) -> Result<BTreeSet<ModelId>, String> {
        let mut found = BTreeSet::new();
        for name in folders(&self.root)? {
            for version in self.versions(&name)? {
                found.insert(version);
                if found.len() > INDEX_LIMIT {
                    let root = self.root.display();
                    return Err(format!("{root} has more than {INDEX_LIMIT} versions"));
                }
            }
        }
        Ok(found)
    }

    /// The highest version of `name`.
    pub fn highest(&self, name: &str) -> Result<Option<ModelId>, String> {
        check_word("name", name)?;
        if !self.root.join(name).is_dir() {
            return Ok(None);
        }
        Ok(self.versions(name)?.into_iter().max())
    }

    fn versions(&self, name: &str) -> Result<Vec<ModelId>, String> {
        let versions = folders(&self.root.join(name))?;
        Ok(versions.iter().filter_map(|version| ModelId::new(name, version).ok()).collect())
    }

    /// What lies at `NAME/VERSION`; `None` where nothing does.
    ///
    /// Errors: [`CatalogError::Broken`] where it is no model, or where a link leads out of the
    /// repository.
    pub fn find(&self, id: &ModelId) -> Result<Option<Found>, CatalogError> {
        let broken = |reason: String| CatalogError::Broken { model: id.to_string(), reason };
        let folder = self.root.join(id.name()).join(id.version());
        if !folder.is_dir() {
            return Ok(None);
        }
        let folder = self.inside(&folder).map_err(broken)?;
        let manifest = read_manifest(&folder.join(MANIFEST)).map_err(broken)?;
        let found = interpret(&folder, manifest).map_err(broken)?;
        let path = self.inside(&found.path).map_err(broken)?;
        Ok(Some(Found { path, ..found }))
    }

    /// The real place of `path`, which is in the repository.
    fn inside(&self, path: &Path) -> Result<PathBuf, String> {
        let real = path.canonicalize().map_err(|e| format!("{}: {e}", path.display()))?;
        if real.starts_with(&self.root) {
            Ok(real)
        } else {
            Err(format!("{} leads out of the repository", path.display()))
        }
    }
}

/// The folders in a folder whose names are plain words.
fn folders(folder: &Path) -> Result<Vec<String>, String> {
    let error = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut names = Vec::new();
    for entry in fs::read_dir(folder).map_err(error)? {
        let entry = entry.map_err(error)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if check_word("folder", &name).is_ok() && entry.path().is_dir() {
            names.push(name);
        }
    }
    Ok(names)
}

fn read_manifest(path: &Path) -> Result<Manifest, String> {
    if !path.exists() {
        return Ok(Manifest::default());
    }
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let size = fs::metadata(path).map_err(|e| format!("{name}: {e}"))?.len();
    if size > MANIFEST_LIMIT_BYTES {
        return Err(format!("{name} is {size} bytes, limit {MANIFEST_LIMIT_BYTES}"));
    }
    let text = fs::read_to_string(path).map_err(|e| format!("{name}: {e}"))?;
    toml::from_str(&text).map_err(|e| format!("{name}: {e}"))
}

impl Manifest {
    /// What it is: as it says, or by its form.
    fn kind(&self, is_clip_folder: bool) -> ModelKind {
        let form = match (&self.torchscript, is_clip_folder) {
            (Some(_), _) => ModelKind::TorchScript,
            (None, true) => ModelKind::Clip,
            (None, false) => ModelKind::Detector,
        };
        self.kind.unwrap_or(form)
    }

    /// Refuses what a model of `kind` does not have; `name` is the manifest's.
    fn check(&self, kind: ModelKind, name: &str) -> Result<(), String> {
        if kind != ModelKind::Detector && self.labels.is_some() {
            return Err(format!("{name}: only a detector has 'labels'"));
        }
        if (kind == ModelKind::TorchScript) != self.torchscript.is_some() {
            let reason = "a TorchScript module, and nothing else, has a section [torchscript]";
            return Err(format!("{name}: {reason}"));
        }
        Ok(())
    }
}

/// What a version's folder is, by its manifest or else by its form.
fn interpret(folder: &Path, manifest: Manifest) -> Result<Found, String> {
    let kind = manifest.kind(folder.join("config.json").is_file());
    let path = match kind {
        ModelKind::Clip if manifest.file.is_some() => {
            return Err(format!("{MANIFEST}: a CLIP model is a folder and has no 'file'"));
        }
        ModelKind::Clip => folder.to_owned(),
        ModelKind::Detector | ModelKind::TorchScript => match &manifest.file {
            Some(name) => {
                check_word("'file'", name).map_err(|reason| format!("{MANIFEST}: {reason}"))?;
                folder.join(name)
            }
            None => only_weights(folder)?,
        },
    };
    manifest.check(kind, MANIFEST)?;
    Ok(Found { kind, path, manifest })
}

/// The only weights file of a folder.
fn only_weights(folder: &Path) -> Result<PathBuf, String> {
    let entries = fs::read_dir(folder).map_err(|e| e.to_string())?;
    let mut weights: Vec<PathBuf> = entries
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| {
            path.extension().is_some_and(|end| WEIGHTS.iter().any(|known| end == *known))
        })
        .collect();
    weights.sort();
    match weights.len() {
        1 => Ok(weights.remove(0)),
        0 => Err(format!("there is no config.json and no file of .{}", WEIGHTS.join(", ."))),
        count => Err(format!("there are {count} weights files; name one as 'file' in {MANIFEST}")),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use tempfile::TempDir;

    use super::*;

    /// A repository of these files.
    fn repository(files: &[(&str, &str)]) -> (TempDir, Repository) {
        let root = tempfile::tempdir().unwrap();
        for (path, text) in files {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        let repository = Repository::open(root.path()).unwrap();
        (root, repository)
    }

    fn id(text: &str) -> ModelId {
        text.parse().unwrap()
    }

    fn reason(repository: &Repository, model: &str) -> String {
        repository.find(&id(model)).unwrap_err().to_string()
    }

    #[test]
    fn every_version_is_listed_and_the_highest_is_the_highest_number() {
        let (_root, repository) = repository(&[
            ("clip/9/config.json", ""),
            ("clip/10/config.json", ""),
            ("yolo/1/best.pt", ""),
            (".git/1/config.json", ""),
            ("notes.txt", ""),
            ("clip/readme.md", ""),
        ]);
        let listed: Vec<String> =
            repository.index().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(listed, ["clip@9", "clip@10", "yolo@1"]);
        assert_eq!(repository.highest("clip").unwrap(), Some(id("clip@10")));
        assert_eq!(repository.highest("other").unwrap(), None);
        assert_eq!(repository.find(&id("clip@11")).unwrap(), None);
        assert!(repository.highest("..").is_err());
    }

    #[test]
    fn a_version_is_known_by_its_form_or_by_its_manifest() {
        let (_root, repository) = repository(&[
            ("clip/1/config.json", ""),
            ("yolo/1/best.pt", ""),
            ("yolo/2/a.pt", ""),
            ("yolo/2/b.pt", ""),
            ("yolo/2/model.toml", "kind = 'detector'\nfile = 'b.pt'\nlabels = ['eye']"),
        ]);
        let found = |model: &str| repository.find(&id(model)).unwrap().unwrap();
        assert_eq!(found("clip@1").kind, ModelKind::Clip);
        assert!(found("clip@1").path.ends_with("clip/1"));
        assert_eq!(found("yolo@1").kind, ModelKind::Detector);
        assert!(found("yolo@1").path.ends_with("yolo/1/best.pt"));
        assert!(found("yolo@2").path.ends_with("yolo/2/b.pt"));
        assert_eq!(found("yolo@2").manifest.labels, Some(vec!["eye".to_owned()]));
    }

    #[test]
    fn what_is_no_model_says_why() {
        let (_root, repository) = repository(&[
            ("a/1/readme.md", ""),
            ("a/2/x.pt", ""),
            ("a/2/y.safetensors", ""),
            ("a/3/model.toml", "kidn = 'clip'"),
            ("a/4/model.toml", "file = '../1/readme.md'"),
            ("a/5/model.toml", "kind = 'clip'\nfile = 'x'"),
            ("a/6/model.toml", "kind = 'clip'\nlabels = []"),
        ]);
        for (model, part) in [
            ("a@1", "no config.json and no file of .pt, .safetensors, .torchscript"),
            ("a@2", "2 weights files"),
            ("a@3", "unknown field `kidn`"),
            ("a@4", "'file' '../1/readme.md' may hold letters"),
            ("a@5", "has no 'file'"),
            ("a@6", "only a detector has 'labels'"),
        ] {
            let reason = reason(&repository, model);
            assert!(reason.contains(part), "{model}: {reason}");
        }
    }

    #[test]
    fn links_may_lead_about_the_repository_but_not_out_of_it() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("x.pt"), "").unwrap();
        let (root, repository) = repository(&[("a/1/x.pt", ""), ("b/1/readme.md", "")]);
        symlink(outside.path(), root.path().join("a/2")).unwrap();
        symlink(outside.path().join("x.pt"), root.path().join("b/1/x.pt")).unwrap();
        symlink(root.path().join("a/1"), root.path().join("a/3")).unwrap();
        for model in ["a@2", "b@1"] {
            let reason = reason(&repository, model);
            assert!(reason.contains("leads out of the repository"), "{model}: {reason}");
        }
        assert!(repository.find(&id("a@3")).unwrap().unwrap().path.ends_with("a/1/x.pt"));
    }
}
