//! `veriframe eval` on the built-in models: the commands run, and their figures make sense.

use std::path::Path;
use std::process::{Command, Output};

use serde_json::Value;
use veriframe::explain::Method;

fn eval(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).arg("eval").args(arguments);
    command.output().unwrap()
}

/// What a command that must succeed printed as JSON.
fn json(arguments: &[&str]) -> Value {
    let output = eval(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// A figure of one kind of map, over all cues.
fn figure(report: &Value, source: &str, metric: &str) -> f64 {
    let rows = report["overall"].as_array().unwrap();
    let row = rows.iter().find(|row| row["source"] == source).unwrap();
    row["figures"][metric].as_f64().unwrap_or_else(|| panic!("{source} has no {metric}: {row}"))
}

#[test]
fn eval_explain_measures_and_the_truth_beats_chance() {
    let folder = tempfile::tempdir().unwrap();
    let (out, method) = (folder.path().to_str().unwrap(), Method::default().name());
    let arguments = ["explain", "--faces", "2", "--methods", method, "--languages", "en"];
    let more = ["--cheap", "--json", "--device", "cpu", "--gallery", "1", "--out", out];
    let report = json(&[&arguments[..], &more].concat());

    assert_eq!(report["scenes"], 8, "{report}");
    assert_eq!(report["protocol"]["steps"], 8);
    assert_eq!(report["rows"].as_array().unwrap().len(), 4 * 4, "cues times maps");
    assert_eq!(report["by_cue"].as_array().unwrap().len(), 4 * 4);
    let sources: Vec<&Value> =
        report["overall"].as_array().unwrap().iter().map(|row| &row["source"]).collect();
    assert_eq!(sources, [method, "random", "centre", "site"]);
    assert_eq!(report["ranking"][0]["source"], method);
    assert_eq!(report["ranking"][0]["cells"], 12);

    for metric in ["pointing", "energy", "rank_accuracy", "mean_iou", "insertion_margin"] {
        let [truth, chance] = ["site", "random"].map(|source| figure(&report, source, metric));
        assert!(truth > chance, "{metric}: {truth} of the site, {chance} of a random map");
    }
    let [truth, chance] = ["site", "random"].map(|s| figure(&report, s, "deletion_margin"));
    assert!(truth < chance, "deletion: {truth} of the site, {chance} of a random map");
    assert!((0.5..1.6).contains(&figure(&report, "random", "energy")));

    let written = std::fs::read_to_string(folder.path().join("explain.json")).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), report);
    check_gallery(&folder.path().join("explain.html"), method);
}

/// One face with four cues in one language: each time the picture and four maps.
fn check_gallery(path: &Path, method: &str) {
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(page.matches("data:image/jpeg;base64,").count(), 4 * 5);
    assert_eq!(page.matches("<figure>").count(), page.matches("</figure>").count());
    assert_eq!(page.matches(&format!("alt=\"{method}\"")).count(), 4);
    for foreign in ["<script", "http://", "https://", "src=\"/"] {
        assert!(!page.contains(foreign), "the page is whole by itself: {foreign}");
    }
}

#[test]
fn eval_alone_measures_what_it_did() {
    let figures = json(&["--faces", "1", "--only", "clip", "--json", "--device", "cpu"]);
    assert_eq!(figures["clip"]["faces"], 1);
    assert_eq!(figures["detection"], Value::Null);
    assert_eq!(figures["clip"]["pairs"].as_array().unwrap().len(), 8);
}

#[test]
fn eval_explain_refuses_what_it_does_not_know_and_says_what_it_knows() {
    for (arguments, expected) in [
        (["--methods", "gradcam3000"], Method::default().name()),
        (["--languages", "xx"], "known are en, ko"),
        (["--cheap", "--full"], "cannot be used with"),
    ] {
        let output = eval(&[&["explain"][..], &arguments].concat());
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(errors.contains(expected), "{arguments:?}: {errors}");
    }
}
