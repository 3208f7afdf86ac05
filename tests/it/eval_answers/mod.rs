//! `veriframe eval answers` and `eval retrieval` over the wire, against a server of this file's that
//! answers by rule, so that every figure is known by hand; and the data that `eval dossiers` makes.

mod by_rule;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use veriframe::evaluation::dataset::{AnswerLine, EvidenceLine, Label, RetrievalLine, read};
use veriframe::proto::v1::answer_service_server::AnswerServiceServer;
use veriframe::proto::v1::evidence_service_server::EvidenceServiceServer;

use self::by_rule::ByRule;
use crate::support::png;

/// The server by rule, and its address.
async fn serve(rule: &ByRule) -> (JoinHandle<Result<(), tonic::transport::Error>>, String) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let served = Server::builder()
        .add_service(AnswerServiceServer::new(rule.clone()))
        .add_service(EvidenceServiceServer::new(rule.clone()));
    let server = tokio::spawn(served.serve_with_incoming(TcpListenerStream::new(listener)));
    (server, address)
}

/// `veriframe eval` with these arguments and a server.
fn command(arguments: &[&str], address: &str) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.arg("eval").args(arguments).args(["--server", address]);
    command
}

/// Runs it against the server by rule.
async fn eval(rule: &ByRule, arguments: &[&str]) -> Output {
    let (server, address) = serve(rule).await;
    let mut command = command(arguments, &address);
    let output = tokio::task::spawn_blocking(move || command.output().unwrap()).await.unwrap();
    server.abort();
    output
}

/// What a command that must succeed printed.
async fn printed(rule: &ByRule, arguments: &[&str]) -> String {
    let output = eval(rule, arguments).await;
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// Two answers about two people, with a picture each.
fn data() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for kind in 0..2 {
        std::fs::write(folder.path().join(format!("{kind}.png")), png(kind)).unwrap();
    }
    let (english, korean) =
        ("The hair is red. The teeth are even. The mood is nice.", "머리가 짧다. 치아가 고르다.");
    let claim = |answer: &str, words: &str, label: &str, topic: &str, evidence: &[&str]| {
        let start = answer.find(words).unwrap();
        let end = start + words.len();
        json!({"start": start, "end": end, "label": label, "topic": topic, "evidence": evidence})
    };
    let lines = [
        json!({"id": "1-false", "language": "en", "question": "Who is it?", "image": "0.png",
            "answer": english, "filter": {"subject": "1"}, "true": false, "claims": [
                claim(english, "The hair is red", "true", "hair_colour", &["1-report"]),
                claim(english, "The teeth are even", "false", "teeth", &["1-report", "1-note"]),
                claim(english, "The mood is nice", "uncheckable", "opinion", &[])]}),
        json!({"id": "2-true", "language": "ko", "image": "1.png", "answer": korean,
            "filter": {"subject": "2"}, "true": true, "claims": [
                claim(korean, "머리가 짧다", "true", "hair_style", &["2-portrait"]),
                claim(korean, "치아가 고르다", "true", "teeth", &[])]}),
    ];
    let lines = lines.map(|line| line.to_string()).join("\n");
    std::fs::write(folder.path().join("answers.jsonl"), lines).unwrap();
    let relevant = json!({"1-portrait": 2, "1-report": 2, "1-note": 1});
    let queries = [
        json!({"id": "t", "text": "짧은 머리", "relevant": relevant}),
        json!({"id": "p", "image": "0.png", "relevant": relevant}),
        json!({"id": "b", "text": "red hair", "image": "1.png", "relevant": relevant}),
    ];
    let queries = queries.map(|line| line.to_string()).join("\n");
    std::fs::write(folder.path().join("retrieval.jsonl"), queries).unwrap();
    folder
}

fn path(folder: &TempDir, name: &str) -> String {
    folder.path().join(name).to_str().unwrap().to_owned()
}

fn near(value: &Value, expected: f64) {
    let found = value.as_f64().unwrap_or_else(|| panic!("{value} is no number"));
    assert!((found - expected).abs() < 1e-9, "{found}, expected {expected}");
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_measured_claim_by_claim() {
    let (rule, folder) = (ByRule::default(), data());
    let [file, rows, html] =
        ["answers.jsonl", "rows.jsonl", "worst.html"].map(|n| path(&folder, n));
    let arguments = ["answers", &file, "--collection", "cases", "--chunks", "3", "--ablation"];
    let more = ["--rows", &rows, "--html", &html, "--json"];
    let report = printed(&rule, &[&arguments[..], &more].concat()).await;
    let report: Value = serde_json::from_str(&report).unwrap();

    assert_eq!((&report["checked"], &report["missed"]), (&json!(2), &json!(0)), "{report}");
    assert_eq!(report["calibration"], "UNCALIBRATED");
    let languages = report["languages"].as_array().unwrap();
    let names: Vec<&Value> = languages.iter().map(|row| &row["name"]).collect();
    assert_eq!(names, ["en", "ko", "all"]);
    // Three true claims were told 0.9, 0.9 and 0.1, the false one 0.1.
    let claims = &languages[2]["claims"];
    assert_eq!((&claims["claims"], &claims["citations"]), (&json!(4), &json!(4)));
    near(&claims["coverage"], 1.0);
    near(&claims["accuracy"], 0.75);
    near(&claims["auroc"], 2.5 / 3.0);
    near(&claims["left_alone"], 1.0);
    // Each judged claim cites its subject's report: two rightly, of the three items that speak to
    // the English claims and the one that speaks to a Korean one.
    near(&claims["citation_precision"], 0.5);
    near(&claims["citation_recall"], 0.5);
    near(&languages[0]["answers"]["confidence_false"], 0.09);
    near(&languages[1]["answers"]["confidence_true"], 0.09);
    assert!(languages[2]["intervals"]["accuracy"]["low"].as_f64().unwrap() <= 0.5);
    let topics: Vec<&Value> =
        report["topics"].as_array().unwrap().iter().map(|group| &group["name"]).collect();
    assert_eq!(topics, ["hair_colour", "hair_style", "opinion", "teeth"]);

    let ablation = report["ablation"].as_array().unwrap();
    let names: Vec<&Value> = ablation.iter().map(|row| &row["witnesses"]).collect();
    assert_eq!(names, ["pixels and regions", "detector", "text", "images"]);
    near(&ablation[1]["claims"]["coverage"], 0.0);
    near(&ablation[2]["claims"]["coverage"], 1.0);
    check_requests(&rule);
    check_rows(&rows);
    check_page(Path::new(&html));
}

fn check_requests(rule: &ByRule) {
    let asked = rule.asked.lock().unwrap();
    assert_eq!(asked.len(), 2 * 5, "all witnesses, and four times fewer");
    for request in asked.iter() {
        assert_eq!(request.images.len(), 1);
        let scope = request.evidence.as_ref().unwrap();
        assert_eq!((scope.limit, scope.collection.as_str()), (Some(3), "cases"));
        assert_eq!(scope.filter.as_ref().unwrap().conditions[0].name, "subject");
    }
    let heard: BTreeSet<Vec<i32>> = asked.iter().map(|one| one.witnesses.clone()).collect();
    assert_eq!(heard, BTreeSet::from([vec![], vec![1, 2], vec![3], vec![4], vec![5]]));
    assert_eq!(asked.iter().filter(|one| one.question == "Who is it?").count(), 5);
}

fn check_rows(path: &str) {
    let rows = std::fs::read_to_string(path).unwrap();
    let rows: Vec<Value> = rows.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let row = |support: f64, label: bool, group: &str| {
        let line = |features: Value| json!({"features": features, "label": label, "group": group});
        [
            line(json!({"pixels": support})),
            line(json!({"text": support})),
            line(json!({"pixels": support, "text": support})),
        ]
    };
    let expected =
        [row(2.5, true, "1"), row(-1.5, false, "1"), row(2.5, true, "2"), row(-1.5, true, "2")];
    let why = "each witness alone, then all; opinions make no row, and who is silent no feature";
    assert_eq!(rows, expected.concat(), "{why}");
}

/// The one claim that was told wrongly.
fn check_page(path: &Path) {
    let page = std::fs::read_to_string(path).unwrap();
    assert_eq!(page.matches("<figure ").count(), 1, "{page}");
    let figure = page.split_once("<figure ").unwrap().1;
    for part in [
        "data:image/jpeg;base64,",
        "told 0.10, is true",
        "contradicted",
        "치아가 고르다",
        "pixels: against, -1.50",
        "detector: silent, it knows no such class",
        "2-report \u{201c}The &lt;teeth&gt; were looked at\u{201d} (0.88)",
    ] {
        assert!(figure.contains(part), "{part} is not in {figure}");
    }
    for foreign in ["<script", "http://", "https://", "src=\"/"] {
        assert!(!page.contains(foreign), "the page is whole by itself: {foreign}");
    }
    assert!(page.contains("With fewer witnesses"));
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_shown_as_tables() {
    let (rule, folder) = (ByRule::default(), data());
    let file = path(&folder, "answers.jsonl");
    let arguments = ["answers", &file, "--witnesses", "pixels,detector", "--limit", "1"];
    let said = printed(&rule, &arguments).await;
    let lead =
        "1 answers checked; witnesses: pixels, detector; model none, calibration UNCALIBRATED";
    for part in [lead, "accuracy", "opinion"] {
        assert!(said.contains(part), "{part} is not in {said}");
    }
    let asked = rule.asked.lock().unwrap();
    assert_eq!(asked[0].witnesses, [1, 3]);
    assert!(asked[0].evidence.is_none(), "without a collection, none is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn ctrl_c_keeps_what_was_measured() {
    let (rule, folder) = (ByRule::default(), data());
    let file = path(&folder, "answers.jsonl");
    let endless = json!({"id": "e", "language": "en", "answer": "It lasts forever.", "true": true});
    let lines = format!("{}\n{endless}\n", std::fs::read_to_string(&file).unwrap());
    std::fs::write(&file, lines).unwrap();
    let (server, address) = serve(&rule).await;
    let arguments = ["answers", &file, "--ablation", "--parallel", "1", "--json"];
    let child = command(&arguments, &address).stdout(Stdio::piped()).spawn().unwrap();
    // One at a time: what came before is measured.
    rule.endless.notified().await;
    let kill = format!("kill -INT {}", child.id());
    assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
    let output = tokio::task::spawn_blocking(|| child.wait_with_output().unwrap()).await.unwrap();
    server.abort();
    assert!(output.status.success(), "{:?}", output.status);
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["answers"], &report["checked"]), (&json!(3), &json!(2)), "{report}");
    near(&report["languages"][2]["claims"]["accuracy"], 0.75);
    assert_eq!(report["ablation"], json!([]), "nothing further was asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_found_is_measured_by_what_was_looked_for() {
    let (rule, folder) = (ByRule::default(), data());
    let file = path(&folder, "retrieval.jsonl");
    let arguments = ["retrieval", &file, "--collection", "cases", "--k", "1,5", "--json"];
    let more = ["--min-grade", "2", "--image-weight", "2.5"];
    let report = printed(&rule, &[&arguments[..], &more].concat()).await;
    let report: Value = serde_json::from_str(&report).unwrap();

    let rows = report["rows"].as_array().unwrap();
    let names: Vec<&Value> = rows.iter().map(|row| &row["by"]).collect();
    assert_eq!(names, ["text", "picture", "text and picture", "all"]);
    near(&rows[0]["recall"][0]["recall"], 0.0);
    near(&rows[0]["recall"][1]["recall"], 0.5);
    near(&rows[0]["mrr"], 0.5);
    near(&rows[1]["recall"][0]["recall"], 0.5);
    near(&rows[2]["recall"][1]["recall"], 1.0);
    near(&rows[3]["mrr"], (0.5 + 1.0 + 1.0) / 3.0);
    // Gains 3 and 3 of 3, 3 and 1.
    let two = 3.0 + 3.0 / 3f64.log2();
    near(&rows[1]["ndcg"], two / (two + 0.5));

    let searched = rule.searched.lock().unwrap();
    assert_eq!(searched.len(), 3);
    for request in searched.iter() {
        assert_eq!((request.limit, request.group_by_item), (Some(5), Some(true)));
        let query = request.query.as_ref().unwrap();
        let both = query.image.is_some() && !query.text.is_empty();
        assert_eq!(query.image_weight, both.then_some(2.5), "weights are for queries with both");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_name_the_line_and_what_to_do() {
    let (rule, folder) = (ByRule::default(), data());
    let file = path(&folder, "answers.jsonl");
    let check = async |arguments: &[&str], expected: &[&str]| {
        let output = eval(&rule, arguments).await;
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{arguments:?}");
        assert!(expected.iter().all(|part| errors.contains(part)), "{arguments:?}: {errors}");
    };
    check(&["answers", &file, "--collection", "none"], &["1-false", "no such collection"]).await;
    check(&["answers", "nowhere.jsonl"], &["cannot read nowhere.jsonl"]).await;
    let queries = path(&folder, "retrieval.jsonl");
    check(&["answers", &queries], &["retrieval.jsonl", "line 1: unknown field"]).await;
    check(&["answers", &file, "--witnesses", "pixel"], &["[possible values: pixels"]).await;
    std::fs::remove_file(folder.path().join("0.png")).unwrap();
    check(&["answers", &file], &["cannot read", "0.png"]).await;
}

#[test]
fn dossiers_are_files_that_measure() {
    let folder = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let out = folder.path().join(name);
        let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
        command.args(["eval", "dossiers", out.to_str().unwrap(), "--subjects", "4"]);
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        out
    };
    let out = make("a");
    let text = |name: &str| std::fs::read_to_string(out.join(name)).unwrap();
    let evidence: Vec<EvidenceLine> = read(&text("evidence.jsonl")).unwrap();
    let answers: Vec<AnswerLine> = read(&text("answers.jsonl")).unwrap();
    let queries: Vec<RetrievalLine> = read(&text("retrieval.jsonl")).unwrap();
    assert_eq!((evidence.len(), answers.len(), queries.len()), (12, 8, 12));

    let ids: BTreeSet<&str> = evidence.iter().map(|item| item.id.as_str()).collect();
    let named = |id: &String| assert!(ids.contains(id.as_str()), "{id} is not in the evidence");
    answers.iter().flat_map(|one| &one.claims).flat_map(|claim| &claim.evidence).for_each(named);
    queries.iter().flat_map(|query| query.relevant.keys()).for_each(named);
    assert_eq!(answers.iter().filter(|answer| answer.is_true).count(), 4);
    let wrong = |answer: &&AnswerLine| answer.claims.iter().any(|c| c.label == Label::False);
    assert_eq!(answers.iter().filter(wrong).count(), 4);
    for answer in &answers {
        let subject = &answer.filter["subject"];
        let mine = |item: &&EvidenceLine| item.metadata["subject"] == subject.as_str();
        assert_eq!(evidence.iter().filter(mine).count(), 3);
    }
    let pictures = evidence.iter().filter_map(|item| item.image.as_ref());
    for path in pictures.chain(answers.iter().filter_map(|answer| answer.image.as_ref())) {
        let picture = image::open(out.join(path)).unwrap();
        assert_eq!((picture.width(), picture.height()), (224, 224));
    }
    let time = evidence[0].time.as_ref().unwrap().parse::<prost_types::Timestamp>();
    assert!(time.is_ok(), "{:?}", evidence[0].time);

    let again = make("b");
    for name in ["evidence.jsonl", "answers.jsonl", "retrieval.jsonl"] {
        assert_eq!(text(name), std::fs::read_to_string(again.join(name)).unwrap(), "{name}");
    }
}
