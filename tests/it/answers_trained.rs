//! The built-in models on cases that they never saw, by the commands that a user has: evidence goes
//! in, answers are checked, and what comes out holds the bars of the measures.

use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// Cases whose faces no model and no calibration has seen: seeds of their own.
const FIRST: &str = "1000700000";
const CASES: &str = "30";
/// Of the built-in evidence model: docs/answers.md.
const MIN_SAME_COSINE: &str = "0.4";

/// What `veriframe` prints, which must succeed.
fn printed(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_veriframe")).args(arguments).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

fn path(folder: &Path, name: &str) -> String {
    folder.join(name).to_str().unwrap().to_owned()
}

#[test]
fn answers_of_the_demo_world_are_told_apart_by_what_is_on_file() {
    let folder = tempfile::tempdir().unwrap();
    let (cases, store) = (path(folder.path(), "cases"), path(folder.path(), "store"));
    printed(&["eval", "dossiers", &cases, "--subjects", CASES, "--first", FIRST]);
    let [evidence, answers, queries] = ["evidence.jsonl", "answers.jsonl", "retrieval.jsonl"]
        .map(|name| path(Path::new(&cases), name));
    let put = ["evidence", "ingest", &evidence, "--collection", "cases", "--clip", "evidence"];
    printed(&[&put[..], &["--data", &store]].concat());

    let embedded = format!("evidence.data_dir={store}");
    let server = ["--set", "evidence.store=embedded", "--set", &embedded];
    let ask = ["eval", "answers", &answers, "--collection", "cases", "--json"];
    let told = printed(&[&ask[..], &["--min-same-cosine", MIN_SAME_COSINE], &server].concat());
    let report: Value = serde_json::from_str(&told).unwrap();
    assert!(report["calibration"].as_str().unwrap().starts_with("claims-"), "{report}");
    for language in report["languages"].as_array().unwrap() {
        let name = language["name"].as_str().unwrap();
        let (claims, answers) = (&language["claims"], &language["answers"]);
        let at_least = |figure: &str, least: f64| {
            let measured = claims[figure].as_f64().unwrap();
            assert!(measured >= least, "{name}: {figure} is {measured}, least {least}");
        };
        at_least("auroc", 0.92);
        at_least("citation_precision", 0.95);
        at_least("citation_recall", 0.90);
        at_least("left_alone", 1.0);
        let [of_true, of_false] =
            ["confidence_true", "confidence_false"].map(|figure| answers[figure].as_f64().unwrap());
        assert!(of_false <= of_true / 2.0, "{name}: {of_false} of {of_true}");
    }

    let ask = ["eval", "retrieval", &queries, "--collection", "cases", "--json"];
    let told: Value = serde_json::from_str(&printed(&[&ask[..], &server].concat())).unwrap();
    let rank = |by: &str| {
        let rows = told["rows"].as_array().unwrap();
        let row = rows.iter().find(|row| row["by"] == by).unwrap_or_else(|| panic!("{told}"));
        row["mrr"].as_f64().unwrap()
    };
    assert!(rank("text and picture") > rank("text"), "pixels add nothing: {told}");
}
