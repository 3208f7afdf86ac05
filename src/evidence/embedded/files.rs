//! Files that are whole or not there, and the space they need.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::Path;

use crate::evidence::error::Error;

/// Writes a file so that after a crash either the old content is there or the new.
pub(super) fn write_whole(path: &Path, content: &[u8]) -> Result<(), Error> {
    let draft = path.with_extension("new");
    let disk = |error| Error::disk(path, error);
    let mut file = File::create(&draft).map_err(disk)?;
    file.write_all(content).and_then(|()| file.sync_all()).map_err(disk)?;
    fs::rename(&draft, path).map_err(disk)?;
    sync_folder(path.parent().unwrap_or(path))
}

/// Makes names that were added, changed or removed in a folder last.
pub(super) fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|error| Error::disk(folder, error))
}

/// Refuses to write where less than `reserve_bytes` would stay free.
///
/// The index grows through memory maps over files with holes: if the disk fills while it writes,
/// the system ends the process. So the store asks first.
pub(super) fn ensure_space(folder: &Path, reserve_bytes: u64) -> Result<(), Error> {
    let free_bytes = fs4::available_space(folder).map_err(|error| Error::disk(folder, error))?;
    if free_bytes < reserve_bytes {
        let path = folder.to_path_buf();
        return Err(Error::DiskFull { path, free_bytes, reserve_bytes });
    }
    Ok(())
}

/// Removes a folder with all below it. Files are emptied first: one that an abandoned index maps would
/// keep its space.
pub(super) fn remove(folder: &Path) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            remove(&entry.path())?;
        } else {
            File::options().write(true).open(entry.path())?.set_len(0)?;
            fs::remove_file(entry.path())?;
        }
    }
    fs::remove_dir(folder)
}

/// Bytes that a folder takes on the disk, holes not counted; 0 for what vanishes meanwhile.
pub(super) fn disk_bytes(folder: &Path) -> u64 {
    use std::os::unix::fs::MetadataExt;

    let Ok(entries) = fs::read_dir(folder) else { return 0 };
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(data) if data.is_dir() => disk_bytes(&entry.path()),
        Ok(data) => data.blocks() * 512,
        Err(_) => 0,
    };
    entries.filter_map(Result::ok).map(size).sum()
}
