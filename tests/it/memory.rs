//! Memory of a server whose models come and go.

use std::fs;
use std::path::Path;

use veriframe::proto::v1;
use veriframe::proto::v1::admin_service_client::AdminServiceClient;

use crate::program::Program;
use crate::support::{detection, good, png};

/// Loads, answers and unloads.
const CYCLES: usize = 100;
/// What the allocators and thread pools of a process need once is there after these.
const SETTLING: usize = 5;

/// Cycles whose median is compared: one reading differs from the next by up to a tenth, for the
/// allocator gives back what threads had when it suits it.
const WINDOW: usize = 25;

fn median(readings: &[u64]) -> u64 {
    let mut sorted = readings.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

/// A repository of the built-in models.
fn repository(root: &Path) {
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo");
    for folder in ["clip/1", "yolo/1"] {
        fs::create_dir_all(root.join(folder)).unwrap();
    }
    for file in fs::read_dir(demo.join("clip")).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), root.join("clip/1").join(file.file_name())).unwrap();
    }
    fs::copy(demo.join("yolo/face-parts.safetensors"), root.join("yolo/1/yolo.safetensors"))
        .unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_loads_and_unloads_leave_the_memory_as_it_was() {
    let root = tempfile::tempdir().unwrap();
    repository(root.path());
    // Of two arenas: how many more the allocator opens, and what it keeps in them, depends on who
    // else has the machine's processors.
    let flags = ["--model-repository", root.path().to_str().unwrap()];
    let program = Program::serve_with(&flags, &[("MALLOC_ARENA_MAX", "2")]).ready();
    let mut admin = AdminServiceClient::new(program.channel().await);
    let mut client = program.client().await;
    let mut resident_kib = Vec::new();
    for _ in 0..CYCLES {
        for name in ["clip", "yolo"] {
            let request = v1::LoadModelRequest { name: name.to_owned(), version: None };
            admin.load_model(request).await.unwrap();
        }
        for kind in 0..2 {
            let image = crate::support::encoded(png(kind));
            let heatmaps = Some(v1::HeatmapQuery::default());
            let request = v1::VerifyRequest { image, heatmaps, detection: detection(), ..good() };
            client.verify(request).await.unwrap();
        }
        for name in ["clip", "yolo"] {
            let request = v1::UnloadModelRequest { name: name.to_owned(), version: None };
            admin.unload_model(request).await.unwrap();
        }
        resident_kib.push(program.resident_kib());
    }
    println!("resident memory in KiB, by cycle: {resident_kib:?}");
    let at = |start: usize| median(&resident_kib[start..start + WINDOW]) as f64;
    let (first, middle, last) = (SETTLING, (SETTLING + CYCLES - WINDOW) / 2, CYCLES - WINDOW);
    let grown = |from: usize, to: usize| at(to) / at(from) - 1.0;
    let whole = grown(first, last);
    assert!(whole <= 0.05, "grown by {:.1} %: {resident_kib:?}", whole * 100.0);
    // A leak goes on: what grew in one half alone is a thread's memory that came to stay. The
    // middles of the windows are not as far apart as the first and the last cycle.
    let apart = (last - first) as f64 / CYCLES as f64;
    let steady = 2.0 * grown(first, middle).min(grown(middle, last)) / apart;
    assert!(steady <= 0.05, "growing by {:.1} %: {resident_kib:?}", steady * 100.0);
}
