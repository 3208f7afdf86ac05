//! The journal: what is acknowledged and not yet known to be in the index's files.
//!
//! The index writes its files through memory maps and does not repeat its own log when opened, so
//! what it holds after a crash is whatever it last flushed. The journal closes that gap: an entry
//! is synced here before anyone is told, and repeated into the index at the next opening. Repeating
//! an entry that is in the index already changes nothing.
//!
//! File: `VFJ1`, then entries: length of the body (u32, little-endian), CRC-32 of the body, body. A
//! torn entry can only be in the last group, for the next is written after a sync: reading stops.

use std::fs::{File, OpenOptions};
use std::io::{self, BufReader, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value as Json};
use tracing::warn;
use uuid::Uuid;

use crate::evidence::error::Error;
use crate::evidence::points::Point;

const MAGIC: &[u8; 4] = b"VFJ1";
const HEAD_BYTES: usize = 8;
/// Beyond this an entry's length is read as damage rather than allocated.
const LARGEST_ENTRY_BYTES: usize = 1 << 30;
/// Entries in memory at once while the journal is read.
const REPEATED_AT_ONCE: usize = 512;
const READ_BYTES: usize = 1 << 20;

/// A change of a collection.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Entry {
    /// An item's points; those of its other generations go.
    Put { item: String, generation: String, points: Vec<Point> },
    /// An item goes.
    Remove { item: String },
}

/// An entry's body before its vectors: lengths tell them apart.
#[derive(Deserialize, Serialize)]
struct Head {
    item: String,
    /// None for a removal.
    generation: Option<String>,
    points: Vec<(Uuid, usize, Map<String, Json>)>,
}

/// An open journal.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    /// Up to here everything is whole and synced.
    bytes: u64,
}

impl Journal {
    /// Opens or creates the journal; `repeat` is given what it holds, in order, a few entries at a time.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is no journal; a torn end is cut off. Those of `repeat`.
    pub(super) fn open(
        path: &Path,
        mut repeat: impl FnMut(Vec<Entry>) -> Result<(), Error>,
    ) -> Result<Self, Error> {
        let disk = |error| Error::disk(path, error);
        let mut options = OpenOptions::new();
        let file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(disk)?;
        let length = file.metadata().map_err(disk)?.len();
        let mut journal = Self { path: path.to_path_buf(), file, bytes: 0 };
        if length < MAGIC.len() as u64 {
            journal.clear()?;
            return Ok(journal);
        }
        let mut entries = Entries::read(&journal.file, path, length)?;
        loop {
            let group = entries.by_ref().take(REPEATED_AT_ONCE).collect::<Result<Vec<_>, _>>()?;
            if group.is_empty() {
                break;
            }
            repeat(group)?;
        }
        journal.bytes = entries.at;
        if journal.bytes < length {
            let lost = length - journal.bytes;
            warn!(path = %path.display(), bytes = lost, "a torn end of the journal is cut off");
            journal.cut()?;
        }
        Ok(journal)
    }

    /// Appends entries and returns when they are on the disk.
    ///
    /// # Errors
    /// As [`Error::disk`]; then none of them is in the journal.
    pub(super) fn append(&mut self, entries: &[Entry]) -> Result<(), Error> {
        let mut buffer = Vec::new();
        for entry in entries {
            frame(entry, &mut buffer)?;
        }
        let written = self
            .file
            .seek(SeekFrom::Start(self.bytes))
            .and_then(|_| self.file.write_all(&buffer))
            .and_then(|()| self.file.sync_data());
        if let Err(error) = written {
            self.cut()?;
            return Err(Error::disk(&self.path, error));
        }
        self.bytes += buffer.len() as u64;
        Ok(())
    }

    /// Forgets everything: it is in the index's files now.
    pub(super) fn clear(&mut self) -> Result<(), Error> {
        self.bytes = 0;
        self.cut()?;
        let written = self.file.write_all(MAGIC).and_then(|()| self.file.sync_all());
        written.map_err(|error| Error::disk(&self.path, error))?;
        self.bytes = MAGIC.len() as u64;
        Ok(())
    }

    /// Its length.
    pub(super) fn bytes(&self) -> u64 {
        self.bytes
    }

    fn cut(&mut self) -> Result<(), Error> {
        let cut = self
            .file
            .set_len(self.bytes)
            .and_then(|()| self.file.seek(SeekFrom::Start(self.bytes)))
            .and_then(|_| self.file.sync_all());
        cut.map_err(|error| Error::disk(&self.path, error))
    }
}

/// How many bytes of entries the journal at `path` seems to hold, a torn end among them.
pub(super) fn held_bytes(path: &Path) -> u64 {
    let length = std::fs::metadata(path).map_or(0, |about| about.len());
    length.saturating_sub(MAGIC.len() as u64)
}

/// The whole entries of a file, up to the first that is not.
struct Entries<'a> {
    reader: BufReader<&'a File>,
    path: &'a Path,
    /// Where the last whole entry ends.
    at: u64,
    length: u64,
}

impl<'a> Entries<'a> {
    fn read(file: &'a File, path: &'a Path, length: u64) -> Result<Self, Error> {
        let mut reader = BufReader::with_capacity(READ_BYTES, file);
        let mut magic = [0; MAGIC.len()];
        reader.read_exact(&mut magic).map_err(|error| Error::disk(path, error))?;
        if magic != *MAGIC {
            let reason = "does not begin as a journal does".to_owned();
            return Err(Error::Damaged { path: path.to_path_buf(), reason });
        }
        Ok(Self { reader, path, at: MAGIC.len() as u64, length })
    }

    /// The next entry's body, if all of it is there and as it was written.
    fn body(&mut self) -> io::Result<Option<Vec<u8>>> {
        let room = (self.length - self.at).checked_sub(HEAD_BYTES as u64);
        let Some(room) = room else { return Ok(None) };
        let (mut length, mut checksum) = ([0; 4], [0; 4]);
        self.reader.read_exact(&mut length)?;
        self.reader.read_exact(&mut checksum)?;
        let length = u32::from_le_bytes(length) as usize;
        if length > LARGEST_ENTRY_BYTES || length as u64 > room {
            return Ok(None);
        }
        let mut body = vec![0; length];
        self.reader.read_exact(&mut body)?;
        Ok((crc32fast::hash(&body) == u32::from_le_bytes(checksum)).then_some(body))
    }
}

impl Iterator for Entries<'_> {
    type Item = Result<Entry, Error>;

    fn next(&mut self) -> Option<Self::Item> {
        let body = match self.body() {
            Ok(Some(body)) => body,
            Ok(None) => {
                // Nothing behind it is read either.
                self.length = self.at;
                return None;
            }
            Err(error) => return Some(Err(Error::disk(self.path, error))),
        };
        let entry = decode(&body).map_err(|reason| Error::Damaged {
            path: self.path.to_path_buf(),
            reason: format!("entry at byte {}: {reason}", self.at),
        });
        self.at += (HEAD_BYTES + body.len()) as u64;
        Some(entry)
    }
}

fn frame(entry: &Entry, buffer: &mut Vec<u8>) -> Result<(), Error> {
    let start = buffer.len();
    buffer.extend([0; HEAD_BYTES]);
    encode(entry, buffer).map_err(|error| Error::invalid("item", error.to_string()))?;
    let body = &buffer[start + HEAD_BYTES..];
    if body.len() > LARGEST_ENTRY_BYTES {
        let reason = format!("takes {} bytes, limit {LARGEST_ENTRY_BYTES}", body.len());
        return Err(Error::invalid("item", reason));
    }
    let (length, checksum) = (body.len() as u32, crc32fast::hash(body));
    buffer[start..start + 4].copy_from_slice(&length.to_le_bytes());
    buffer[start + 4..start + HEAD_BYTES].copy_from_slice(&checksum.to_le_bytes());
    Ok(())
}

/// Length of the head as JSON (u32), the head, then all vectors as f32.
fn encode(entry: &Entry, buffer: &mut Vec<u8>) -> serde_json::Result<()> {
    let (head, points): (Head, &[Point]) = match entry {
        Entry::Put { item, generation, points } => {
            let lengths = points.iter().map(|point| {
                let values = point.vector.as_ref().map_or(0, Vec::len);
                (point.id, values, point.payload.clone())
            });
            let generation = Some(generation.clone());
            (Head { item: item.clone(), generation, points: lengths.collect() }, points)
        }
        Entry::Remove { item } => {
            (Head { item: item.clone(), generation: None, points: Vec::new() }, &[])
        }
    };
    let head = serde_json::to_vec(&head)?;
    buffer.extend((head.len() as u32).to_le_bytes());
    buffer.extend(head);
    for value in points.iter().filter_map(|point| point.vector.as_ref()).flatten() {
        buffer.extend(value.to_le_bytes());
    }
    Ok(())
}

fn decode(body: &[u8]) -> Result<Entry, String> {
    let (length, rest) = body.split_first_chunk::<4>().ok_or("is too short")?;
    let (head, vectors) =
        rest.split_at_checked(u32::from_le_bytes(*length) as usize).ok_or("is too short")?;
    let head: Head = serde_json::from_slice(head).map_err(|error| error.to_string())?;
    let Some(generation) = head.generation else {
        return Ok(Entry::Remove { item: head.item });
    };
    let (words, remainder) = vectors.as_chunks::<4>();
    let values: usize = head.points.iter().map(|(_, values, _)| values).sum();
    if !remainder.is_empty() || words.len() != values {
        return Err(format!("has {} bytes of vectors, not {values} values", vectors.len()));
    }
    let mut values = words.iter().map(|word| f32::from_le_bytes(*word));
    let point = |(id, length, payload): (Uuid, usize, Map<String, Json>)| {
        let vector: Vec<f32> = values.by_ref().take(length).collect();
        Point { id, vector: (length > 0).then_some(vector), payload }
    };
    let points = head.points.into_iter().map(point).collect();
    Ok(Entry::Put { item: head.item, generation, points })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn put(item: &str, vector: Option<Vec<f32>>) -> Entry {
        let Json::Object(payload) = json!({ "item": item, "place": { "kind": "image" } }) else {
            unreachable!("an object is written above");
        };
        let points = vec![
            Point { id: Uuid::from_u128(1), vector: vector.clone(), payload: payload.clone() },
            Point { id: Uuid::from_u128(2), vector: None, payload: payload.clone() },
            Point { id: Uuid::from_u128(3), vector, payload },
        ];
        Entry::Put { item: item.into(), generation: "g".into(), points }
    }

    fn entries() -> Vec<Entry> {
        let vector = Some(vec![0.1, -2.5e-7, f32::MAX]);
        vec![put("a", vector), Entry::Remove { item: "a".into() }, put("b", None)]
    }

    fn open(path: &Path) -> Result<(Journal, Vec<Entry>), Error> {
        let mut entries = Vec::new();
        let journal = Journal::open(path, |group| {
            entries.extend(group);
            Ok(())
        })?;
        Ok((journal, entries))
    }

    #[test]
    fn what_was_appended_is_read_again_and_clearing_forgets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, before) = open(&path).unwrap();
        assert_eq!(before, []);
        journal.append(&entries()[..1]).unwrap();
        journal.append(&entries()[1..]).unwrap();
        drop(journal);
        let (mut journal, again) = open(&path).unwrap();
        assert_eq!(again, entries());
        journal.clear().unwrap();
        journal.append(&entries()[2..]).unwrap();
        drop(journal);
        assert_eq!(open(&path).unwrap().1, entries()[2..]);
    }

    #[test]
    fn a_journal_torn_at_any_byte_keeps_every_whole_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = open(&path).unwrap();
        let mut ends = vec![journal.bytes()];
        for entry in entries() {
            journal.append(&[entry]).unwrap();
            ends.push(journal.bytes());
        }
        drop(journal);
        let content = std::fs::read(&path).unwrap();
        for length in 0..content.len() {
            std::fs::write(&path, &content[..length]).unwrap();
            let (mut journal, found) = open(&path).unwrap();
            let expected = ends[1..].iter().filter(|end| **end <= length as u64).count();
            assert_eq!(found, entries()[..expected], "{length} bytes");
            journal.append(&entries()[1..2]).unwrap();
            drop(journal);
            let (_, found) = open(&path).unwrap();
            assert_eq!(found.len(), expected + 1, "{length} bytes, then one more entry");
            assert_eq!(found.last(), entries().get(1));
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_before_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = open(&path).unwrap();
        journal.append(&entries()).unwrap();
        let mut content = std::fs::read(&path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert_eq!(open(&path).unwrap().1, entries()[..2]);
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(open(&path), Err(Error::Damaged { .. })));
    }
}
