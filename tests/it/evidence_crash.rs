//! The embedded evidence store when things go wrong around it: a killed process, a full disk, a folder
//! that it may not write.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use veriframe::evidence::{Chunk, Error, Item, List, Options, Store, Value};

use super::evidence_store::{config, faces, find, ids, model, passage, put, vector, with};

/// Tells a child of this binary which store to write, or to open.
const CHILD: &str = "VERIFRAME_EVIDENCE_CHILD";
/// How often the writer is killed; the full round is 50.
const KILLS: &str = "VERIFRAME_EVIDENCE_KILLS";

#[tokio::test(flavor = "multi_thread")]
async fn a_read_only_folder_is_refused_and_kept() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data");
    drop(faces(&data).await);
    let mode = |mode: u32| {
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&data, fs::Permissions::from_mode(mode)).unwrap();
        fs::set_permissions(data.join("lock"), fs::Permissions::from_mode(mode)).unwrap();
    };
    mode(0o555);
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["evidence_crash::opens_what_its_parent_names", "--exact", "--nocapture"]);
    child.env(CHILD, &data);
    // Nothing is read-only for root.
    if fs::metadata("/proc/self").unwrap().uid() == 0 {
        child.uid(65_534).gid(65_534);
    }
    match child.output() {
        Ok(output) => {
            let output = String::from_utf8_lossy(&output.stdout);
            assert!(output.contains("cannot be written"), "{output}");
        }
        Err(error) => eprintln!("skipped: this program cannot be run as another user: {error}"),
    }
    mode(0o755);
    let store = Store::open(&config(&data)).await.unwrap();
    assert_eq!(store.collections().await.unwrap().len(), 1);
}

/// Run alone by the test above.
#[tokio::test(flavor = "multi_thread")]
async fn opens_what_its_parent_names() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    match Store::open(&config(Path::new(&folder))).await {
        Ok(_) => println!("opened"),
        Err(error) => println!("{error}"),
    }
}

#[test]
fn a_full_disk_refuses_what_is_new_and_keeps_what_is_old() {
    let folder = tempfile::tempdir().unwrap();
    // A small file system, which goes with the shell.
    let script = "mount -t tmpfs -o size=256m disk \"$1\" && echo mounted || exit
        run() { \"$2\" evidence_crash::\"$1\" --exact --nocapture; }
        run fills_its_disk \"$2\" && run finds_its_disk_full \"$2\" &&
        rm \"$1/filler\" && run finds_what_was_kept \"$2\"";
    let mut child = Command::new("unshare");
    child.args(["--user", "--map-root-user", "--mount", "sh", "-c", script, "sh"]);
    child.arg(folder.path()).arg(std::env::current_exe().unwrap());
    let output = match child.env(CHILD, folder.path()).output() {
        Ok(output) => output,
        Err(error) => return eprintln!("skipped: there is no unshare: {error}"),
    };
    let (told, error) = (output.stdout, output.stderr);
    let (told, error) = (String::from_utf8_lossy(&told), String::from_utf8_lossy(&error));
    if !told.starts_with("mounted") {
        return eprintln!("skipped: no file system can be mounted here: {error}");
    }
    assert!(output.status.success(), "{told}\n{error}");
    assert_eq!(told.matches("test result: ok. 1 passed").count(), 3, "{told}");
}

/// Run alone by the test above, as are the next two.
#[tokio::test(flavor = "multi_thread")]
async fn fills_its_disk() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let folder = Path::new(&folder);
    let store = faces(&folder.join("data")).await;
    put(&store, (0..500).map(|n| passage(&n.to_string(), n)).collect()).await;
    store.create("gone", model(), Options::default()).await.unwrap();
    let items = (0..500).map(|n| passage(&n.to_string(), n)).collect();
    store.upsert("gone", None, items).await.unwrap();
    fill(&folder.join("filler"));
    let refused = store.upsert("faces", None, vec![passage("new", 1)]).await.unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    let refused = store.create("more", model(), Options::default()).await.unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    let refused = store.optimise("faces").await.unwrap_err();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
    assert_eq!(ids(&find(&store, 7, 1, None).await), ["7"]);
    let taken = store.statistics("gone").await.unwrap().disk_bytes;
    store.delete_collection("gone").await.unwrap();
    let freed = fill(&folder.join("another filler"));
    assert!(freed >= taken / 10 * 9, "of {taken} bytes {freed} are free again");
    store.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_its_disk_full() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    // What the journal holds cannot be brought into the index.
    let refused = Store::open(&config(&Path::new(&folder).join("data"))).await.err().unwrap();
    assert!(matches!(refused, Error::DiskFull { .. }), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn finds_what_was_kept() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let store = Store::open(&config(&Path::new(&folder).join("data"))).await.unwrap();
    for n in 0..500 {
        assert_eq!(ids(&find(&store, n, 1, None).await), [n.to_string()]);
    }
    put(&store, vec![passage("new", 1000)]).await;
}

/// Takes what is left of the disk, to the last byte: so much.
fn fill(path: &Path) -> u64 {
    let mut file = File::create(path).unwrap();
    let mut block = vec![1; 1 << 20];
    while !block.is_empty() {
        if let Err(error) = file.write_all(&block) {
            assert_eq!(error.kind(), ErrorKind::StorageFull);
            block.truncate(block.len() / 2);
        }
    }
    file.metadata().unwrap().len()
}

#[test]
fn a_killed_writer_loses_nothing_it_acknowledged() {
    let kills: u64 = std::env::var(KILLS).map_or(3, |text| text.parse().unwrap());
    let folder = tempfile::tempdir().unwrap();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut expected = HashMap::new();
    for round in 0..kills {
        let acknowledgements = random.random_range(1..120);
        write_and_kill(folder.path(), round, acknowledgements, &mut expected);
        check_recovered(folder.path(), round, &mut expected);
    }
}

/// What is known of an item: the version last acknowledged, and what was under way; a deletion is
/// no version.
#[derive(Clone, Copy, Debug, Default)]
struct Known {
    version: Option<u64>,
    pending: Pending,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
enum Pending {
    #[default]
    Nothing,
    Change(Option<u64>),
}

/// Lets a child write until it has acknowledged so many changes, then kills it wherever it is.
fn write_and_kill(
    folder: &Path,
    round: u64,
    acknowledgements: usize,
    expected: &mut HashMap<String, Known>,
) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["evidence_crash::writes_until_it_is_killed", "--exact", "--nocapture"])
        .env(CHILD, folder)
        .env("VERIFRAME_EVIDENCE_ROUND", round.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let mut acknowledged = 0;
    // The child goes on writing while it is told to end, so what it still said is read as well.
    for line in lines.by_ref().map_while(Result::ok) {
        let words: Vec<&str> = line.split(' ').collect();
        match words[..] {
            ["try", id, version] => {
                expected.entry(id.into()).or_default().pending =
                    Pending::Change(version.parse().ok());
            }
            ["ack", id, version] => {
                let version = version.parse().ok();
                expected.insert(id.into(), Known { version, pending: Pending::Nothing });
                acknowledged += 1;
                if acknowledged == acknowledgements {
                    child.kill().unwrap();
                }
            }
            _ => {}
        }
    }
    let status = child.wait().unwrap();
    assert!(acknowledged >= acknowledgements, "the child ended by itself: {status}");
}

/// Opens what the child left, and compares it with what it had acknowledged.
fn check_recovered(folder: &Path, round: u64, expected: &mut HashMap<String, Known>) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    runtime.block_on(async {
        let store = Store::open(&config(folder)).await.unwrap();
        let (mut found, mut cursor) = (BTreeMap::new(), None);
        loop {
            let list = List { limit: 1000, cursor, ..List::default() };
            let page = store.list("faces", list).await.unwrap();
            found.extend(page.items.into_iter().map(|item| (item.id.clone(), item)));
            let Some(next) = page.next else { break };
            cursor = Some(next);
        }
        let version = |item: &Item| match item.metadata["version"] {
            Value::Number(version) => version as u64,
            Value::Flag(_) | Value::Text(_) | Value::Texts(_) => panic!("a version is a number"),
        };
        for (id, known) in expected {
            let now = found.get(id).map(version);
            assert!(
                now == known.version || known.pending == Pending::Change(now),
                "round {round}: {id} is {now:?}, was acknowledged as {known:?}"
            );
            *known = Known { version: now, pending: Pending::Nothing };
        }
        let chunks: usize = found.values().map(|item| chunks_of(&item.id, version(item))).sum();
        let statistics = store.statistics("faces").await.unwrap();
        assert_eq!(
            (statistics.items, statistics.chunks),
            (found.len() as u64, chunks as u64),
            "round {round}: every item has its embeddings, and no other is left"
        );
        for item in found.values().take(20) {
            let hits = find(&store, seed(&item.id, version(item)), 1, None).await;
            assert_eq!(ids(&hits), [item.id.as_str()], "round {round}");
        }
    });
}

/// How many embeddings a version of an item has.
fn chunks_of(id: &str, version: u64) -> usize {
    1 + (id.len() + version as usize) % 3
}

fn seed(id: &str, version: u64) -> u64 {
    id.bytes().fold(version, |seed, byte| seed.wrapping_mul(31).wrapping_add(u64::from(byte)))
}

#[expect(clippy::print_stdout, reason = "the parent reads what its child says")]
fn say(what: &str, ids: &[String], version: &str) {
    for id in ids {
        println!("{what} {id} {version}");
    }
}

/// Run by the test above as a process of its own, and ended by it.
#[tokio::test(flavor = "multi_thread")]
async fn writes_until_it_is_killed() {
    let Some(folder) = std::env::var_os(CHILD) else { return };
    let round: u64 = std::env::var("VERIFRAME_EVIDENCE_ROUND").unwrap().parse().unwrap();
    let store = Store::open(&config(Path::new(&folder))).await.unwrap();
    if round == 0 {
        store.create("faces", model(), Options::default()).await.unwrap();
    }
    let mut random = ChaCha8Rng::seed_from_u64(round);
    for step in 0.. {
        let version = round * 1_000_000 + step + 1;
        let ids: Vec<String> = (0..random.random_range(1..40))
            .map(|_| format!("item-{}", random.random_range(0..3000)))
            .collect::<BTreeSet<_>>()
            .into_iter()
            .collect();
        if random.random_range(0..5) == 0 {
            say("try", &ids, "gone");
            store.delete("faces", ids.clone()).await.unwrap();
            say("ack", &ids, "gone");
            continue;
        }
        let item = |id: &String| {
            let number = Value::Number(version as f64);
            let mut item = with(passage(id, seed(id, version)), &[("version", number)]);
            let place = item.chunks[0].place.clone();
            let more = (1..chunks_of(id, version)).map(|n| Chunk {
                place: place.clone(),
                vector: vector(seed(id, version) ^ (n as u64) << 60),
            });
            item.chunks.extend(more);
            item
        };
        say("try", &ids, &version.to_string());
        put(&store, ids.iter().map(item).collect()).await;
        say("ack", &ids, &version.to_string());
    }
}
