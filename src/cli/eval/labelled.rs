//! Labelled files before a server: reading them with their pictures, and asking line by line.

use std::path::{Path, PathBuf};

use anyhow::Context;
use futures::{StreamExt, TryStreamExt, stream};
use indicatif::ProgressBar;
use serde::de::DeserializeOwned;

use crate::evaluation::dataset::{Checked, read};
use crate::proto::v1;

/// A file's lines, and where its pictures are.
pub(super) struct Labelled<T> {
    pub(super) lines: Vec<T>,
    folder: PathBuf,
}

impl<T: DeserializeOwned + Checked> Labelled<T> {
    /// Reads a file of JSON lines, the first `limit` where there is one.
    pub(super) fn read(path: &Path, limit: Option<usize>) -> anyhow::Result<Self> {
        let text = std::fs::read_to_string(path)
            .with_context(|| format!("cannot read {}", path.display()))?;
        let mut lines = read(&text).with_context(|| path.display().to_string())?;
        lines.truncate(limit.unwrap_or(usize::MAX));
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        Ok(Self { lines, folder })
    }
}

impl<T> Labelled<T> {
    /// The bytes of a line's picture.
    pub(super) async fn picture(&self, path: &str) -> anyhow::Result<Vec<u8>> {
        let path = self.folder.join(path);
        tokio::fs::read(&path).await.with_context(|| format!("cannot read {}", path.display()))
    }

    /// The same for the wire.
    pub(super) async fn image(&self, path: Option<&str>) -> anyhow::Result<Option<v1::Image>> {
        let Some(path) = path else { return Ok(None) };
        let bytes = self.picture(path).await?;
        Ok(Some(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) }))
    }
}

/// What came of all jobs in their order, `parallel` at a time; of those that were done where Ctrl-C
/// ended it. The first error ends it too.
pub(super) async fn gather<T, F>(
    jobs: impl Iterator<Item = F>,
    parallel: usize,
    bar: &ProgressBar,
) -> anyhow::Result<Vec<T>>
where
    F: Future<Output = anyhow::Result<T>>,
{
    let asked_to_stop = Box::pin(tokio::signal::ctrl_c());
    stream::iter(jobs)
        .buffered(parallel)
        .inspect(|_| bar.inc(1))
        .take_until(asked_to_stop)
        .try_collect()
        .await
}
