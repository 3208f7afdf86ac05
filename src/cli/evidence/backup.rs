//! `veriframe evidence backup` and `restore`: an embedded store that no server has open.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::{StoreArgs, folder, output};
use crate::config::Settings;
use crate::evidence::config::Place;
use crate::evidence::{self, Statistics, Store};

/// Copy an embedded store that no server has open, and check the copy.
///
/// The copy is a store itself: `veriframe serve --evidence` could serve it. While a server runs,
/// take a snapshot of the file system instead: a store that is opened from one recovers what had
/// been acknowledged, as after a power failure. A Qdrant cluster has snapshots of its own.
///
/// Examples:
///   veriframe evidence backup /backups/2024-05-01 --data evidence
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct BackupArgs {
    /// A folder that is not there yet, or empty.
    target: PathBuf,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

/// Put a back-up where no store is, and check it.
///
/// Examples:
///   veriframe evidence restore /backups/2024-05-01 --data evidence
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
pub(in crate::cli) struct RestoreArgs {
    /// A folder that `backup` wrote.
    source: PathBuf,
    #[command(flatten)]
    pub(super) store: StoreArgs,
}

pub(super) async fn backup(args: &BackupArgs, settings: &Settings) -> anyhow::Result<()> {
    copy(&folder(settings), &args.target, settings).await
}

pub(super) async fn restore(args: &RestoreArgs, settings: &Settings) -> anyhow::Result<()> {
    copy(&args.source, &folder(settings), settings).await
}

/// Copies a store, and opens both to see that they hold the same.
async fn copy(from: &Path, to: &Path, settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        from.is_dir(),
        "there is no store at {}; say where with --data DIR",
        from.display()
    );
    let before = held(from, settings).await?;
    let (source, target) = (from.to_path_buf(), to.to_path_buf());
    let copying = tokio::task::spawn_blocking(move || evidence::copy_store(&source, &target));
    let bytes = copying.await?.context("nothing was changed at the source")?;
    let after = held(to, settings).await?;
    anyhow::ensure!(
        before == after,
        "{} does not hold what {} holds; do not use it",
        to.display(),
        from.display()
    );
    for (name, statistics) in &after {
        output::say(format_args!(
            "{name}: {} items, {} chunks",
            statistics.items, statistics.chunks
        ));
    }
    output::say(format_args!(
        "{} collections, {} are in {}",
        after.len(),
        bytesize::ByteSize(bytes),
        to.display()
    ));
    Ok(())
}

/// What a store holds, by collection; it is opened for that, and at rest afterwards. An error where a
/// collection is damaged: a copy of it would be no back-up.
async fn held(folder: &Path, settings: &Settings) -> anyhow::Result<Vec<(String, Statistics)>> {
    let config = evidence::Config {
        store: Place::Embedded,
        data_dir: folder.to_path_buf(),
        ..settings.evidence.clone()
    };
    let store = Store::open(&config).await?;
    if let Some(damaged) = store.damaged().pop() {
        store.close().await?;
        return Err(damaged.into());
    }
    let mut held = Vec::new();
    for collection in store.collections().await? {
        let statistics = store.statistics(&collection.name).await?;
        // How much of it the index reaches, and what the disk gives it, may differ.
        let statistics = Statistics { disk_bytes: 0, indexed: 0, ..statistics };
        held.push((collection.name, statistics));
    }
    store.close().await?;
    Ok(held)
}
