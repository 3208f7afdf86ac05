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
use std::io::{Read, Seek, SeekFrom, Write};
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
    /// Opens or creates the journal, and reads what it holds.
    ///
    /// # Errors
    /// [`Error::Damaged`] where the file is no journal; a torn end is cut off.
    pub(super) fn open(path: &Path) -> Result<(Self, Vec<Entry>), Error> {
        let disk = |error| Error::disk(path, error);
        let mut options = OpenOptions::new();
        let mut file =
            options.read(true).write(true).create(true).truncate(false).open(path).map_err(disk)?;
        let mut content = Vec::new();
        file.read_to_end(&mut content).map_err(disk)?;
        let mut journal = Self { path: path.to_path_buf(), file, bytes: MAGIC.len() as u64 };
        if content.len() < MAGIC.len() {
            journal.clear()?;
            return Ok((journal, Vec::new()));
        }
        if !content.starts_with(MAGIC) {
            let reason = "does not begin as a journal does".to_owned();
            return Err(Error::Damaged { path: path.to_path_buf(), reason });
        }
        let (entries, bytes) = whole(&content, path)?;
        journal.bytes = bytes as u64;
        if bytes < content.len() {
            let lost = content.len() - bytes;
            warn!(path = %path.display(), bytes = lost, "a torn end of the journal is cut off");
            journal.cut()?;
        }
        Ok((journal, entries))
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

/// The whole entries of a file's content, and where they end.
fn whole(content: &[u8], path: &Path) -> Result<(Vec<Entry>, usize), Error> {
    let mut entries = Vec::new();
    let mut at = MAGIC.len();
    while let Some(head) = content.get(at..at + HEAD_BYTES) {
        let word = |from: usize| {
            u32::from_le_bytes([head[from], head[from + 1], head[from + 2], head[from + 3]])
        };
        let (length, checksum) = (word(0) as usize, word(4));
        let start = at + HEAD_BYTES;
        let body = content.get(start..start.saturating_add(length));
        let Some(body) = body.filter(|_| length <= LARGEST_ENTRY_BYTES) else { break };
        if crc32fast::hash(body) != checksum {
            break;
        }
        let entry = decode(body).map_err(|reason| Error::Damaged {
            path: path.to_path_buf(),
            reason: format!("entry at byte {at}: {reason}"),
        })?;
        entries.push(entry);
        at = start + length;
    }
    Ok((entries, at))
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

    #[test]
    fn what_was_appended_is_read_again_and_clearing_forgets_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, before) = Journal::open(&path).unwrap();
        assert_eq!(before, []);
        journal.append(&entries()[..1]).unwrap();
        journal.append(&entries()[1..]).unwrap();
        drop(journal);
        let (mut journal, again) = Journal::open(&path).unwrap();
        assert_eq!(again, entries());
        journal.clear().unwrap();
        journal.append(&entries()[2..]).unwrap();
        drop(journal);
        assert_eq!(Journal::open(&path).unwrap().1, entries()[2..]);
    }

    #[test]
    fn a_journal_torn_at_any_byte_keeps_every_whole_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        let mut ends = vec![journal.bytes()];
        for entry in entries() {
            journal.append(&[entry]).unwrap();
            ends.push(journal.bytes());
        }
        drop(journal);
        let content = std::fs::read(&path).unwrap();
        for length in 0..content.len() {
            std::fs::write(&path, &content[..length]).unwrap();
            let (mut journal, found) = Journal::open(&path).unwrap();
            let expected = ends[1..].iter().filter(|end| **end <= length as u64).count();
            assert_eq!(found, entries()[..expected], "{length} bytes");
            journal.append(&entries()[1..2]).unwrap();
            drop(journal);
            let (_, found) = Journal::open(&path).unwrap();
            assert_eq!(found.len(), expected + 1, "{length} bytes, then one more entry");
            assert_eq!(found.last(), entries().get(1));
        }
    }

    #[test]
    fn a_flipped_bit_ends_the_journal_before_its_entry() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("journal");
        let (mut journal, _) = Journal::open(&path).unwrap();
        journal.append(&entries()).unwrap();
        let mut content = std::fs::read(&path).unwrap();
        *content.last_mut().unwrap() ^= 1;
        std::fs::write(&path, &content).unwrap();
        assert_eq!(Journal::open(&path).unwrap().1, entries()[..2]);
        std::fs::write(&path, b"something else").unwrap();
        assert!(matches!(Journal::open(&path), Err(Error::Damaged { .. })));
    }
}
