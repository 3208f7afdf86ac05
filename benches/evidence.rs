//! What the embedded evidence store does on this machine: ingest, indexing, search, memory.
//!
//! `cargo bench --bench evidence` writes 100 000 embeddings of 512 values; `-- 1000000 scalar`
//! writes a million with scalar quantisation (about 6 GB on the disk of the temporary folder).
//! Embeddings stand in clusters as those of pictures do: 1 000 centres drawn evenly from the
//! sphere, and noise about them as long as a centre; `-- 100000 none even` draws all evenly instead, which
//! no model's are and no graph finds easily.
//! Recall is against every cosine, computed here.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use anyhow::Context;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use veriframe::evidence::{
    Chunk, Config, Embedded, Item, Model, Options, Place, Quantisation, Search, Store,
};

const DIMENSION: usize = 512;
const CENTRES: u64 = 1000;
const BATCH: u64 = 500;
const TRUTHS: u64 = 100;
const QUERIES: u64 = 2000;
/// Far from the seeds of items.
const QUERY_SEED: u64 = 1 << 40;

fn main() -> anyhow::Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|a| a != "--bench").collect();
    let count = arguments.iter().find_map(|argument| argument.parse().ok()).unwrap_or(100_000);
    let scalar = arguments.iter().any(|argument| argument == "scalar");
    let even = arguments.iter().any(|argument| argument == "even");
    let quantisation = if scalar { Quantisation::Scalar } else { Quantisation::None };
    let runtime = tokio::runtime::Runtime::new()?;
    runtime.block_on(measure(count, quantisation, Vectors { even }))
}

/// Where embeddings come from.
#[derive(Clone, Copy)]
struct Vectors {
    even: bool,
}

impl Vectors {
    /// A unit vector; equal seeds give equal ones.
    fn draw(self, seed: u64) -> Vec<f32> {
        let noise = unit(seed);
        if self.even {
            return noise;
        }
        let centre = unit((1 << 50) + seed % CENTRES);
        normalised(noise.iter().zip(&centre).map(|(one, other)| one + other).collect())
    }
}

/// Sums of evenly drawn numbers come near enough to a normal distribution, so to the sphere.
fn unit(seed: u64) -> Vec<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    normalised(
        (0..DIMENSION).map(|_| (0..4).map(|_| random.random_range(-1.0..1.0)).sum()).collect(),
    )
}

fn normalised(vector: Vec<f32>) -> Vec<f32> {
    let norm = vector.iter().map(|value| value * value).sum::<f32>().sqrt();
    vector.into_iter().map(|value| value / norm).collect()
}

async fn measure(count: u64, quantisation: Quantisation, vectors: Vectors) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let config = Config {
        store: veriframe::evidence::config::Place::Embedded,
        data_dir: folder.path().to_path_buf(),
        ..Config::default()
    };
    let store = Store::open(&config).await?;
    let model = Model { name: "bench".into(), checksum: String::new(), dimension: DIMENSION };
    let options = Options { quantisation, ..Options::default() };
    store.create("bench", model, options).await?;
    println!("{count} x {DIMENSION}, quantisation {quantisation:?}, even {}", vectors.even);

    let mut writing = Duration::ZERO;
    let mut slowest = Duration::ZERO;
    for start in (0..count).step_by(BATCH as usize) {
        let items = (start..count.min(start + BATCH)).map(|n| item(n, vectors)).collect();
        let started = Instant::now();
        let written = store.upsert("bench", None, items).await?;
        writing += started.elapsed();
        slowest = slowest.max(started.elapsed());
        written.into_iter().collect::<Result<Vec<_>, _>>()?;
    }
    let rate = count as f64 / writing.as_secs_f64();
    println!("ingest: {rate:.0} items/s acknowledged, slowest batch of {BATCH}: {slowest:?}");

    let started = Instant::now();
    store.optimise("bench").await?;
    println!("index over the rest: {:?}", started.elapsed());
    let statistics = store.statistics("bench").await?;
    println!("{statistics:?}, {} MiB resident", resident_mib()?);

    recall(&store, count, vectors).await?;
    let mut times = Vec::new();
    for query in 0..QUERIES + 100 {
        let vector = vectors.draw(QUERY_SEED + TRUTHS + query);
        let started = Instant::now();
        store.search("bench", None, Search { vector, limit: 10, ..Search::default() }).await?;
        if query >= 100 {
            times.push(started.elapsed());
        }
    }
    times.sort();
    let at = |share: f64| times[((times.len() - 1) as f64 * share) as usize];
    println!("search, 10 hits with their items: p50 {:?}, p99 {:?}", at(0.5), at(0.99));

    let started = Instant::now();
    store.close().await?;
    println!("close: {:?}", started.elapsed());
    drop(store);
    let started = Instant::now();
    let store = Store::open(&config).await?;
    println!("open again: {:?}", started.elapsed());
    store.close().await.context("the store is closed")
}

fn item(n: u64, vectors: Vectors) -> Embedded {
    let text = format!("Passage {n} of the benchmark, as long as a caption is.");
    let place = Place::Text { start: 0, end: text.len() };
    Embedded {
        item: Item { id: n.to_string(), text: Some(text), ..Item::default() },
        chunks: vec![Chunk { place, vector: vectors.draw(n) }],
    }
}

/// Recall of the ten best over [`TRUTHS`] queries.
async fn recall(store: &Store, count: u64, vectors: Vectors) -> anyhow::Result<()> {
    let queries: Vec<Vec<f32>> = (0..TRUTHS).map(|n| vectors.draw(QUERY_SEED + n)).collect();
    let mut best: Vec<Vec<(f32, u64)>> = vec![Vec::new(); queries.len()];
    for n in 0..count {
        let vector = vectors.draw(n);
        for (query, best) in queries.iter().zip(&mut best) {
            let score = query.iter().zip(&vector).map(|(one, other)| one * other).sum();
            if best.len() < 10 || best[9].0 < score {
                let at = best.partition_point(|(other, _)| *other >= score);
                best.insert(at, (score, n));
                best.truncate(10);
            }
        }
    }
    let mut found = 0;
    for (vector, best) in queries.into_iter().zip(&best) {
        let search = Search { vector, limit: 10, ..Search::default() };
        let hits = store.search("bench", None, search).await?;
        let wanted: Vec<String> = best.iter().map(|(_, n)| n.to_string()).collect();
        found += hits.iter().filter(|hit| wanted.contains(&hit.item.id)).count();
    }
    println!("recall@10: {:.4}", found as f64 / (TRUTHS * 10) as f64);
    Ok(())
}

fn resident_mib() -> anyhow::Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    let kib: u64 = line.split_whitespace().nth(1).context("no VmRSS")?.parse()?;
    Ok(kib / 1024)
}
