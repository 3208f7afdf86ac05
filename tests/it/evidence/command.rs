//! `veriframe evidence`, as people run it: against a server, and on a folder.

use std::fs;
use std::process::{Command, Output};

use serde_json::{Value as Json, json};

use super::*;
use crate::evidence_store;
use crate::program::Program;
use crate::support::{models, write_clip};

/// The program on the tiny CLIP at `clip`.
fn evidence(arguments: &[&str], place: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.arg("evidence").args(arguments).args(place);
    command.output().unwrap()
}

/// What it prints where it succeeds.
fn prints(arguments: &[&str], place: &[&str]) -> String {
    let output = evidence(arguments, place);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

fn tells(arguments: &[&str], place: &[&str]) -> Json {
    serde_json::from_str(&prints(arguments, place)).unwrap()
}

/// What it says where it fails.
fn fails(arguments: &[&str], place: &[&str]) -> String {
    let output = evidence(arguments, place);
    assert_eq!(output.status.code(), Some(1), "{arguments:?}: {output:?}");
    String::from_utf8(output.stderr).unwrap()
}

fn hit_ids(found: &Json) -> Vec<&str> {
    let hits = found["hits"].as_array().unwrap();
    hits.iter().map(|hit| hit["item"]["id"].as_str().unwrap()).collect()
}

/// Three pictures, one of them with a text, and a JSONL file with a good line and a bad one.
fn sources(folder: &Path) -> (String, String) {
    let pictures = folder.join("pictures");
    fs::create_dir_all(pictures.join("sub")).unwrap();
    for (kind, name) in ["a.png", "b.png", "sub/c.png"].iter().enumerate() {
        fs::write(pictures.join(name), png(kind as u32)).unwrap();
    }
    fs::write(pictures.join("b.txt"), "uneven teeth").unwrap();
    let lines = [
        json!({
            "id": "line", "text": "an ear", "image": "pictures/a.png", "title": "Ear",
            "time": "2024-05-01T12:00:00Z", "metadata": { "year": 2024, "lang": "en" },
        }),
        json!({ "id": "gone", "image": "pictures/gone.png" }),
        json!({ "id": "empty" }),
    ];
    let file = folder.join("items.jsonl");
    fs::write(&file, lines.map(|line| line.to_string()).join("\n")).unwrap();
    (pictures.to_str().unwrap().to_owned(), file.to_str().unwrap().to_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn evidence_goes_in_is_found_and_is_looked_after() {
    let folder = folder();
    let data = folder.path().join("data").to_str().unwrap().to_owned();
    let clip = format!("clip={}", models().join("clip").display());
    let program = Program::serve(&["--evidence", &data, "--model", &clip]).ready();
    let address = program.address.to_string();
    let server = ["--server", address.as_str()];
    let (pictures, file) = sources(folder.path());

    let put = tells(&["ingest", &pictures, "--collection", "faces", "--json"], &server);
    let expected = json!({ "collection": "faces", "created": true, "stored": 3, "failed": [] });
    assert_eq!(put, expected);
    let output = evidence(&["ingest", &file, "--collection", "faces", "--json"], &server);
    assert_eq!(output.status.code(), Some(1), "{output:?}");
    let put: Json = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&put["created"], &put["stored"]), (&json!(false), &json!(1)));
    let failed: Vec<&str> =
        put["failed"].as_array().unwrap().iter().map(|one| one["item"].as_str().unwrap()).collect();
    assert_eq!(failed, ["empty", "line 2"], "{put}");

    let search = ["search", "uneven teeth", "--collection", "faces"];
    assert_eq!(hit_ids(&tells(&[&search[..], &["--json"]].concat(), &server))[0], "b.png");
    let table = prints(&search, &server);
    assert!(table.contains("b.png") && table.contains("bytes 0–12"), "{table}");
    let image = format!("{pictures}/sub/c.png");
    let by_image =
        ["search", "--image", &image, "--collection", "faces", "--kind", "image", "--json"];
    assert_eq!(hit_ids(&tells(&by_image, &server))[0], "sub/c.png");
    let filtered =
        [&search[..], &["--where", "year=2024", "--where", "lang=en", "--json"]].concat();
    assert_eq!(hit_ids(&tells(&filtered, &server)), ["line"]);
    let typo = fails(&[&search[..], &["--where", "yaer=2024"]].concat(), &server);
    assert!(typo.contains("did you mean 'year'?"), "{typo}");
    let listed = tells(&["list", "--collection", "faces", "--json"], &server);
    assert_eq!(listed.as_array().unwrap().len(), 4);
    let deleted = tells(&["delete", "--collection", "faces", "a.png", "x"], &server);
    assert_eq!(deleted, json!({ "deleted": 1, "asked": 2 }));
    let copy = folder.path().join("copy").to_str().unwrap().to_owned();
    let busy = fails(&["backup", &copy], &["--data", &data]);
    assert!(busy.contains("in use by another process"), "{busy}");
    program.signal("TERM");
    let (status, _) = program.ended().await;
    assert!(status.success(), "{status}");

    a_back_up_and_other_weights(folder.path(), (&data, &copy), &clip);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_embeds_nothing_needs_no_models() {
    let folder = folder();
    let store = evidence_store::faces(folder.path()).await;
    let items = ["a", "b"].map(|id| evidence_store::passage(id, 1));
    evidence_store::put(&store, items.to_vec()).await;
    drop(store);
    let place = ["--data", folder.path().to_str().unwrap(), "--demo-models", "/nowhere"];
    assert_eq!(tells(&["collections", "--json"], &place)[0]["items"], json!(2));
    let deleted = tells(&["delete", "--collection", "faces", "a"], &place);
    assert_eq!(deleted, json!({ "deleted": 1, "asked": 1 }));
    let listed = tells(&["list", "--collection", "faces", "--json"], &place);
    let ids: Vec<&Json> = listed.as_array().unwrap().iter().map(|item| &item["id"]).collect();
    assert_eq!(ids, [&json!("b")]);
    let search = fails(&["search", "x", "--collection", "faces"], &place);
    assert!(search.contains("the built-in models are not at /nowhere"), "{search}");
    prints(&["delete", "--collection", "faces", "--all"], &place);
    assert_eq!(tells(&["collections", "--json"], &place), json!([]));
}

/// What is done on folders, with no server.
fn a_back_up_and_other_weights(folder: &Path, (data, copy): (&str, &str), clip: &str) {
    let of = |folder: &str| {
        let collections = tells(&["collections", "--json"], &["--data", folder, "--model", clip]);
        let mut faces = collections[0].clone();
        // What the disk gives it differs from copy to copy.
        faces["disk_bytes"] = Json::Null;
        faces
    };
    assert!(prints(&["backup", copy], &["--data", data]).contains("faces: 3 items"));
    assert_eq!(of(data)["items"], json!(3));
    let restored = folder.join("restored").to_str().unwrap().to_owned();
    prints(&["restore", copy], &["--data", &restored]);
    assert_eq!(of(&restored), of(data));
    let full = fails(&["restore", copy], &["--data", data]);
    assert!(full.contains("is not empty"), "{full}");

    let other = folder.join("other");
    write_clip(&other, 99);
    let other = format!("clip={}", other.display());
    let place = ["--data", restored.as_str(), "--model", other.as_str()];
    let search = ["search", "uneven teeth", "--collection", "faces", "--json"];
    let refused = fails(&search, &place);
    assert!(refused.contains("veriframe evidence reembed"), "{refused}");
    let done = prints(&["reembed", "faces"], &place);
    assert!(done.contains("3 items of faces are by clip"), "{done}");
    assert_eq!(hit_ids(&tells(&search, &place))[0], "b.png");
    let again = fails(&["reembed", "faces"], &place);
    assert!(again.contains("already"), "{again}");
    let beside = prints(&["reembed", "faces", "--into", "beside"], &place);
    assert!(beside.contains("3 items of faces are in beside"), "{beside}");
    let names = tells(&["collections", "--json"], &place);
    let names: Vec<&str> =
        names.as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    assert_eq!(names, ["beside", "faces"]);
    prints(&["delete", "--collection", "beside", "--all"], &place);
    assert_eq!(tells(&["collections", "--json"], &place).as_array().unwrap().len(), 1);
}
