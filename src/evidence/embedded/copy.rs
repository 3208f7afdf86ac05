//! A copy of a store that nobody has open.

use std::fs::{self, File};
use std::path::Path;

use super::files;
use super::{exclusive, folders};
use crate::evidence::error::Error;

/// Copies the embedded store in the folder `from` to `to`, which is not there or empty; the bytes
/// copied. Blocks. What was copied is on the disk when this returns; until then `to` is no store, for
/// a collection's folder gets its name when it is whole.
///
/// # Errors
/// [`Error::InUse`] where a process has the store open, [`Error::Invalid`] where `to` holds something
/// or `from` holds no collection, and those of the disk.
pub fn copy_store(from: &Path, to: &Path) -> Result<u64, Error> {
    let disk = |path: &Path| {
        let path = path.to_path_buf();
        move |error| Error::disk(&path, error)
    };
    let _lock = exclusive(from)?;
    let collections = folders(from)?;
    if collections.is_empty() {
        return Err(Error::invalid("from", format!("{} holds no collection", from.display())));
    }
    fs::create_dir_all(to).map_err(disk(to))?;
    if fs::read_dir(to).map_err(disk(to))?.next().is_some() {
        return Err(Error::invalid("to", format!("{} is not empty", to.display())));
    }
    let mut bytes = 0;
    for collection in collections {
        let name = collection.file_name().unwrap_or_default();
        let draft = to.join(format!(".new-{}", name.to_string_lossy()));
        bytes += copy_folder(&collection, &draft)?;
        fs::rename(&draft, to.join(name)).map_err(disk(to))?;
    }
    files::sync_folder(to)?;
    Ok(bytes)
}

/// Copies a folder with all below it, each file synced.
fn copy_folder(from: &Path, to: &Path) -> Result<u64, Error> {
    let read = |error| Error::disk(from, error);
    let written = |error| Error::disk(to, error);
    fs::create_dir(to).map_err(written)?;
    let mut bytes = 0;
    for entry in fs::read_dir(from).map_err(read)? {
        let entry = entry.map_err(read)?;
        let (source, target) = (entry.path(), to.join(entry.file_name()));
        if entry.file_type().map_err(read)?.is_dir() {
            bytes += copy_folder(&source, &target)?;
            continue;
        }
        bytes += fs::copy(&source, &target).map_err(written)?;
        File::open(&target).and_then(|file| file.sync_all()).map_err(written)?;
    }
    files::sync_folder(to)?;
    Ok(bytes)
}
