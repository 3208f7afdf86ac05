//! Files whose content is taken into use again when it changes.
//!
//! The content is polled, not the file's time: Kubernetes swaps whole folders by a symlink, and
//! certificate tools write files one after the other. Content that cannot be used changes nothing;
//! it is told once, and tried again when it has changed again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use arc_swap::ArcSwap;
use sha2::{Digest, Sha256};
use thiserror::Error;

use crate::telemetry::metrics::{self, Reloaded};

/// A longer file is refused.
const FILE_LIMIT_BYTES: u64 = 1 << 20;

/// Why a certificate, key or key file cannot be used. Never holds a secret.
#[derive(Debug, Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {}: {reason}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: io::Error,
    },
    /// The file is no such file, or a part of it is wrong.
    #[error("{}: {reason}", path.display())]
    Invalid {
        /// The file.
        path: PathBuf,
        /// What is wrong, and what would do.
        reason: String,
    },
}

impl FileError {
    /// `path` holds what it must not.
    pub(super) fn invalid(path: &Path, reason: impl Into<String>) -> Self {
        Self::Invalid { path: path.to_owned(), reason: reason.into() }
    }
}

/// What is made of the content of some files.
pub(super) trait Source: Send + Sync + 'static {
    /// What it becomes.
    type Loaded: Send + Sync + 'static;
    /// Its name in the metrics.
    const WHAT: Reloaded;

    /// The files, always the same ones.
    fn files(&self) -> Vec<PathBuf>;

    /// Makes it of their `contents`, in the same order; `before` is what has been in use.
    fn load(
        &self,
        contents: Vec<Vec<u8>>,
        before: Option<&Self::Loaded>,
    ) -> Result<Self::Loaded, FileError>;
}

/// What a look at the files gave.
#[derive(Debug)]
pub(super) enum Looked {
    /// The same content as at the last look.
    Unchanged,
    /// New content, now in use.
    Renewed,
    /// New content that cannot be used; what was in use stays.
    Kept(FileError),
}

/// A source, and what its files held when they last held something usable.
pub(super) struct Watched<S: Source> {
    source: S,
    /// Of the content last tried, usable or not.
    tried: Mutex<Tried>,
    current: ArcSwap<S::Loaded>,
}

/// What was last found: a digest of all content, or why there was none.
#[derive(PartialEq)]
enum Tried {
    Content([u8; 32]),
    Unreadable(String),
}

impl<S: Source> Watched<S> {
    /// Reads the files for the first time; they must be usable.
    pub(super) fn open(source: S) -> Result<Self, FileError> {
        let contents = read_all(&source.files())?;
        let tried = Mutex::new(Tried::Content(digest(&contents)));
        let loaded = source.load(contents, None)?;
        Ok(Self { source, tried, current: ArcSwap::from_pointee(loaded) })
    }

    /// What is in use now.
    pub(super) fn current(&self) -> Arc<S::Loaded> {
        self.current.load_full()
    }

    /// Looks at the files now, and tells logs and metrics what came of it. Reads files: not for
    /// async threads.
    pub(super) fn look(&self) -> Looked {
        // Held while the files are read, so that two looks never swap back an older content.
        let mut tried = self.tried.lock().unwrap_or_else(PoisonError::into_inner);
        let contents = read_all(&self.source.files());
        let found = match &contents {
            Ok(contents) => Tried::Content(digest(contents)),
            Err(error) => Tried::Unreadable(error.to_string()),
        };
        if *tried == found {
            return Looked::Unchanged;
        }
        *tried = found;
        let before = self.current.load();
        let looked = match contents.and_then(|all| self.source.load(all, Some(&before))) {
            Ok(loaded) => {
                self.current.store(Arc::new(loaded));
                Looked::Renewed
            }
            Err(error) => Looked::Kept(error),
        };
        drop(tried);
        let what = S::WHAT.name();
        match &looked {
            Looked::Unchanged => {}
            Looked::Renewed => {
                tracing::info!(what, "taken into use anew");
                metrics::record_reload(S::WHAT, true);
            }
            Looked::Kept(error) => {
                tracing::error!(what, %error, "the new content is not used; the old one stays");
                metrics::record_reload(S::WHAT, false);
            }
        }
        looked
    }

    /// Looks every `interval`, for ever.
    pub(super) async fn keep_fresh(self: Arc<Self>, interval: Duration) {
        loop {
            tokio::time::sleep(interval).await;
            let watched = Arc::clone(&self);
            if let Err(error) = tokio::task::spawn_blocking(move || watched.look()).await {
                tracing::error!(what = S::WHAT.name(), %error, "a look at the files failed");
            }
        }
    }
}

fn read_all(files: &[PathBuf]) -> Result<Vec<Vec<u8>>, FileError> {
    files.iter().map(|path| read(path)).collect()
}

fn read(path: &Path) -> Result<Vec<u8>, FileError> {
    let failed = |reason| FileError::Read { path: path.to_owned(), reason };
    let mut content = Vec::new();
    let file = File::open(path).map_err(failed)?;
    file.take(FILE_LIMIT_BYTES + 1).read_to_end(&mut content).map_err(failed)?;
    if content.len() as u64 > FILE_LIMIT_BYTES {
        return Err(FileError::invalid(
            path,
            format!("is longer than {FILE_LIMIT_BYTES} bytes, the limit"),
        ));
    }
    Ok(content)
}

/// Of all contents with their lengths, so that no byte can move from one file to the next unseen.
fn digest(contents: &[Vec<u8>]) -> [u8; 32] {
    let mut sum = Sha256::new();
    for content in contents {
        sum.update((content.len() as u64).to_le_bytes());
        sum.update(content);
    }
    sum.finalize().into()
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A number in a file, doubled in a second one.
    struct Pair(PathBuf, PathBuf);

    impl Source for Pair {
        type Loaded = u32;
        const WHAT: Reloaded = Reloaded::Keys;

        fn files(&self) -> Vec<PathBuf> {
            vec![self.0.clone(), self.1.clone()]
        }

        fn load(&self, contents: Vec<Vec<u8>>, _: Option<&u32>) -> Result<u32, FileError> {
            let number = |at: usize| String::from_utf8_lossy(&contents[at]).parse::<u32>().ok();
            match (number(0), number(1)) {
                (Some(one), Some(two)) if two == 2 * one => Ok(one),
                _ => Err(FileError::invalid(&self.0, "is not half of the other")),
            }
        }
    }

    #[test]
    fn only_new_and_sound_content_is_taken_and_a_broken_one_is_told_once() {
        let folder = tempfile::tempdir().unwrap();
        let (one, two) = (folder.path().join("one"), folder.path().join("two"));
        let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
        write(&one, "1");
        write(&two, "2");
        let watched = Watched::open(Pair(one.clone(), two.clone())).unwrap();
        assert!(matches!(watched.look(), Looked::Unchanged));
        // The two files are not written at once.
        write(&one, "4");
        assert!(matches!(watched.look(), Looked::Kept(_)));
        assert!(matches!(watched.look(), Looked::Unchanged));
        assert_eq!(*watched.current(), 1);
        write(&two, "8");
        assert!(matches!(watched.look(), Looked::Renewed));
        assert_eq!(*watched.current(), 4);
        fs::remove_file(&two).unwrap();
        let Looked::Kept(error) = watched.look() else { panic!("a missing file is not content") };
        assert!(error.to_string().contains("cannot read"), "{error}");
        assert!(matches!(watched.look(), Looked::Unchanged));
        write(&two, "8");
        assert!(matches!(watched.look(), Looked::Renewed));
        assert_eq!(*watched.current(), 4);
    }

    #[test]
    fn a_swapped_symlink_is_new_content() {
        let folder = tempfile::tempdir().unwrap();
        for (version, number) in [("v1", 1), ("v2", 3)] {
            fs::create_dir(folder.path().join(version)).unwrap();
            fs::write(folder.path().join(version).join("one"), number.to_string()).unwrap();
            fs::write(folder.path().join(version).join("two"), (2 * number).to_string()).unwrap();
        }
        let link = folder.path().join("current");
        std::os::unix::fs::symlink("v1", &link).unwrap();
        let watched = Watched::open(Pair(link.join("one"), link.join("two"))).unwrap();
        let next = folder.path().join("next");
        std::os::unix::fs::symlink("v2", &next).unwrap();
        fs::rename(&next, &link).unwrap();
        assert!(matches!(watched.look(), Looked::Renewed));
        assert_eq!(*watched.current(), 3);
    }

    #[test]
    fn a_file_beyond_the_limit_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("large");
        fs::write(&path, vec![b'1'; FILE_LIMIT_BYTES as usize + 1]).unwrap();
        let error = Watched::open(Pair(path.clone(), path)).map(drop).unwrap_err();
        assert!(error.to_string().ends_with("is longer than 1048576 bytes, the limit"), "{error}");
    }

    #[tokio::test(start_paused = true)]
    async fn the_files_are_looked_at_in_every_interval() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("zero");
        fs::write(&path, "0").unwrap();
        let watched = Arc::new(Watched::open(Pair(path.clone(), path.clone())).unwrap());
        fs::write(&path, "no number").unwrap();
        let fresh = Arc::clone(&watched).keep_fresh(Duration::from_secs(10));
        let noticed = async {
            let broken = Tried::Content(digest(&vec![b"no number".to_vec(); 2]));
            while *watched.tried.lock().unwrap() != broken {
                // Of the paused clock: it moves on when nothing else is to be done.
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        };
        tokio::select! {
            () = fresh => {}
            () = noticed => {}
        }
        assert!(matches!(watched.look(), Looked::Unchanged));
    }
}
