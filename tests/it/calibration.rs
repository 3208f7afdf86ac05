//! Calibrated confidences: on the wire of a tiny model with random weights, and through the commands
//! that measure, fit and write them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use futures::{StreamExt, stream};
use serde_json::Value;
use tempfile::TempDir;
use veriframe::calibration::{
    CalibrationFile, Dataset, Features, FitOptions, Kind, Method, RowLimits, fit,
};
use veriframe::models::clip::ClipCheckpoint;
use veriframe::proto::v1;
use veriframe::proto::v1::Verdict::{Absent, Present};
use veriframe::proto::v1::verify_stream_request::Message as Sent;
use veriframe::proto::v1::verify_stream_response::Message;
use veriframe::server::Config;
use veriframe::serving::{Catalog, ModelSource, Options};

use crate::support::{
    Client, TestServer, assert_refused, encoded, good, png, similarity, texts, write_clip,
};

const PROMPT: &str = "a face with uneven teeth";

/// A tiny CLIP alone in a folder.
fn clip() -> (TempDir, String) {
    let folder = tempfile::tempdir().unwrap();
    write_clip(folder.path(), 5);
    let checksum = ClipCheckpoint::open(folder.path()).unwrap().checksum().to_owned();
    (folder, checksum)
}

/// A fit to rows that hold more and more often the higher the contrast is; other rows for each
/// `sign`, which decides whether confidence rises or falls with it.
fn fitted(kind: Kind, checksum: &str, sign: i32) -> CalibrationFile {
    let line = |at: i32| {
        let (contrast, noise) = (at % 41 - 20, at * 7 % 23 - 11);
        let label = sign * contrast + noise > 0;
        format!(r#"{{"features":{{"contrast":{contrast},"cosine":0}},"label":{label}}}"#)
    };
    let text: Vec<String> = (0..400).map(line).collect();
    let data = Dataset::read(text.join("\n").as_bytes(), RowLimits::default()).unwrap();
    let options = FitOptions { method: Method::Logistic, ..FitOptions::default() };
    let fitted = fit(&data.rows, &options).unwrap();
    CalibrationFile::new(kind, ("clip", checksum), &data.sha256, &fitted)
}

fn put(folder: &TempDir, file: &CalibrationFile) {
    fs::write(folder.path().join(file.kind.file_name()), file.json()).unwrap();
}

/// What starting with the model in this folder comes to.
async fn catalog(folder: &TempDir) -> Result<Catalog, String> {
    let source = ModelSource { name: "clip".to_owned(), path: folder.path().to_owned() };
    let start = move || Catalog::start(&[source], &Options::default());
    tokio::task::spawn_blocking(start).await.unwrap().map_err(|error| error.to_string())
}

async fn serve(folder: &TempDir) -> TestServer {
    TestServer::serving(Config::default(), Arc::new(catalog(folder).await.unwrap())).await
}

async fn scored(client: &mut Client, request: v1::VerifyRequest) -> v1::SimilarityResult {
    client.verify(request).await.unwrap().into_inner().similarity.unwrap()
}

/// What a file tells of a score.
fn told(file: &CalibrationFile, score: &v1::Score) -> f64 {
    let figures = [("contrast", score.contrast), ("cosine", score.cosine)];
    let figures = figures.map(|(name, value)| (name.to_owned(), 100.0 * f64::from(value)));
    file.probability(&Features::from(figures))
}

#[tokio::test(flavor = "multi_thread")]
async fn scores_tell_their_confidence_and_what_it_comes_from() {
    let (folder, checksum) = clip();
    let file = fitted(Kind::Prompts, &checksum, 1);
    put(&folder, &file);
    let server = serve(&folder).await;
    let mut client = server.client().await;
    let part = scored(&mut client, good()).await;
    let identity = part.calibration.unwrap();
    assert_eq!(identity.name, format!("prompts-{}", &file.data_sha256[..12]));
    assert_eq!((identity.method.as_str(), identity.count), ("logistic", 400));
    assert_eq!(identity.data_sha256, file.data_sha256);
    assert!((identity.ece - file.ece_after).abs() < 1e-12);
    for score in &part.scores {
        let confidence = score.confidence.unwrap();
        assert!((confidence - told(&file, score)).abs() < 1e-6, "{score:?}");
        assert!((0.0..=1.0).contains(&confidence), "{score:?}");
    }
    // Contrasts against other null prompts are not those it was fitted to.
    let asked =
        v1::SimilarityQuery { null_prompts: texts(&["a photo"]), ..similarity(&[PROMPT]).unwrap() };
    let own = v1::VerifyRequest { similarity: Some(asked), ..good() };
    let part = scored(&mut client, own).await;
    assert_eq!(
        (part.calibration.unwrap().name.as_str(), part.scores[0].confidence),
        ("UNCALIBRATED", None)
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_calibration_of_other_weights_is_not_used_and_a_broken_one_is_told() {
    let (folder, checksum) = clip();
    put(&folder, &fitted(Kind::Prompts, &"0".repeat(64), 1));
    let file = fitted(Kind::Claims, &checksum, 1);
    put(&folder, &file);
    let models = catalog(&folder).await.unwrap();
    assert!(models.clip(None).unwrap().calibration(Kind::Prompts).is_none());
    let claims = models.clip(None).unwrap().calibration(Kind::Claims).unwrap().identity();
    assert_eq!(claims.data_sha256, file.data_sha256);
    let server = TestServer::serving(Config::default(), Arc::new(models)).await;
    let part = scored(&mut server.client().await, good()).await;
    let identity =
        v1::CalibrationIdentity { name: "UNCALIBRATED".to_owned(), ..Default::default() };
    assert_eq!(part.calibration, Some(identity));
    assert!(part.scores.iter().all(|score| score.confidence.is_none()), "{part:?}");

    let misplaced = folder.path().join(Kind::Prompts.file_name());
    fs::write(misplaced, file.json()).unwrap();
    let refused = catalog(&folder).await.err().unwrap();
    assert!(
        refused.contains("prompt_calibration.json: kind is claims, must be prompts"),
        "{refused}"
    );
}

/// A stream's configuration that judges the confidence of the prompt, each frame by itself.
fn judging(open_at: f32, close_at: f32) -> v1::StreamConfig {
    let none = Some(prost_types::Duration::default());
    let verdicts = v1::VerdictQuery {
        figure: v1::VerdictFigure::Confidence.into(),
        time_constant: none,
        min_duration: none,
        min_frames: Some(1),
        open_at: Some(open_at),
        close_at: Some(close_at),
        ..Default::default()
    };
    let similarity = similarity(&[PROMPT]);
    v1::StreamConfig { similarity, verdicts: Some(verdicts), ..Default::default() }
}

/// The results of a stream, or why it was refused.
async fn streamed(
    client: &mut Client,
    config: v1::StreamConfig,
    kinds: &[u32],
) -> Result<Vec<v1::FrameResult>, tonic::Status> {
    let config = v1::VerifyStreamRequest { message: Some(Sent::Config(config)) };
    let frames = (0..).zip(kinds).map(|(sequence, &kind)| {
        let shown = prost_types::Duration { seconds: 0, nanos: 100_000_000 * sequence as i32 };
        let image = encoded(png(kind));
        let frame = v1::Frame { sequence, presentation_time: Some(shown), image };
        v1::VerifyStreamRequest { message: Some(Sent::Frame(frame)) }
    });
    let sent: Vec<_> = std::iter::once(config).chain(frames).collect();
    let mut responses = client.verify_stream(stream::iter(sent)).await?.into_inner();
    let mut results = Vec::new();
    while let Some(response) = responses.next().await {
        if let Some(Message::Result(result)) = response?.message {
            results.push(result);
        }
    }
    Ok(results)
}

/// The pictures that the prompt fits best and worst by their confidence, and confidences between.
async fn extremes(client: &mut Client) -> ([u32; 2], [f32; 2]) {
    let mut told = Vec::new();
    for kind in 0..6 {
        let asked = similarity(&[PROMPT]);
        let request = v1::VerifyRequest { image: encoded(png(kind)), similarity: asked, ..good() };
        let score = scored(client, request).await.scores.swap_remove(0);
        told.push((kind, score.confidence.unwrap() as f32));
    }
    told.sort_by(|a, b| a.1.total_cmp(&b.1));
    let ((low, least), (high, most)) = (told[0], told[5]);
    assert!(most - least > 1e-4, "the pictures differ too little: {told:?}");
    let between = |share: f32| least + share * (most - least);
    ([high, low], [between(0.7), between(0.3)])
}

fn verdict(result: &v1::FrameResult) -> (v1::Verdict, f32) {
    (result.verdicts[0].verdict(), result.verdicts[0].score.unwrap())
}

fn score(result: &v1::FrameResult) -> (&v1::Score, &v1::CalibrationIdentity) {
    match &result.outcome {
        Some(v1::frame_result::Outcome::Ok(answer)) => {
            let part = answer.similarity.as_ref().unwrap();
            (&part.scores[0], part.calibration.as_ref().unwrap())
        }
        other => panic!("{other:?} has no scores"),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_is_judged_by_its_confidence() {
    let (folder, checksum) = clip();
    put(&folder, &fitted(Kind::Prompts, &checksum, 1));
    let server = serve(&folder).await;
    let mut client = server.client().await;
    let (kinds, [open_at, close_at]) = extremes(&mut client).await;
    let results = streamed(&mut client, judging(open_at, close_at), &kinds).await.unwrap();
    assert_eq!((verdict(&results[0]).0, verdict(&results[1]).0), (Present, Absent));
    for result in &results {
        let confidence = score(result).0.confidence.unwrap() as f32;
        assert!((verdict(result).1 - confidence).abs() < 1e-6, "{result:?}");
    }
    // A calibration of verdicts goes first, in streams that are judged by it: here, the other way.
    let file = fitted(Kind::Verdicts, &checksum, -1);
    put(&folder, &file);
    let server = serve(&folder).await;
    let mut client = server.client().await;
    let results = streamed(&mut client, judging(0.999, 0.001), &kinds).await.unwrap();
    for result in &results {
        let (score, calibration) = score(result);
        assert_eq!(calibration.name, file.identity().name);
        assert!((score.confidence.unwrap() - told(&file, score)).abs() < 1e-6, "{score:?}");
    }
    assert!(verdict(&results[0]).1 < verdict(&results[1]).1, "{results:?}");
    let plain = scored(&mut client, good()).await.calibration.unwrap();
    assert!(plain.name.starts_with("prompts-"), "{plain:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_uncalibrated_model_is_not_judged_by_confidence() {
    let server = TestServer::start().await;
    let mut client = server.client().await;
    let refused = streamed(&mut client, judging(0.6, 0.4), &[0]).await.unwrap_err();
    let said =
        "model 'clip' is not calibrated: judge another figure, or fit prompt_calibration.json";
    assert_refused(&refused, "config.verdicts.figure", said);
    let mut config = judging(0.6, 0.4);
    config.similarity.as_mut().unwrap().null_prompts = texts(&["a photo"]);
    let refused = streamed(&mut client, config, &[0]).await.unwrap_err();
    assert_refused(&refused, "config.verdicts.figure", "leave similarity.null_prompts empty");
}

fn veriframe(arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_veriframe"));
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).output().unwrap()
}

/// What a command that must succeed printed.
fn said(arguments: &[&str]) -> String {
    let output = veriframe(arguments);
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{arguments:?}: {errors}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn rows_of_the_demo_world_become_a_file_that_a_server_reads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let (rows, out, page) = (path("rows.jsonl"), path("fit.json"), path("fit.html"));
    let eval = ["eval", "prompts", "--faces", "6", "--rows", &rows, "--device", "cpu", "--json"];
    let measured: Value = serde_json::from_str(&said(&eval)).unwrap();
    assert_eq!(measured["rows"], 6 * 4 * 2 * 2);
    assert_eq!(measured["measured"].as_array().unwrap().len(), 1 + 2 + 4);
    assert_eq!(measured["measured"][0]["before"]["count"], 96);
    assert!(measured["calibration"].as_str().unwrap().starts_with("prompts-"), "{measured}");
    let auroc = measured["measured"][0]["after"]["auroc"].as_f64().unwrap();
    assert!(auroc > 0.9, "{measured}");

    let model = "models/demo/clip";
    let calibrate = ["calibrate", &rows, "--kind", "prompts", "--model", model, "--folds", "3"];
    let files = ["--out", &out, "--html", &page];
    let report = said(&[&calibrate[..], &files, &["--json"]].concat());
    let report: Value = serde_json::from_str(&report).unwrap();
    let written = fs::read_to_string(&out).unwrap();
    let file = CalibrationFile::parse(&written, Kind::Prompts).unwrap();
    assert_eq!(serde_json::from_str::<Value>(&written).unwrap(), report["file"]);
    assert_eq!((file.rows, file.positives, file.groups, file.folds), (96, 48, 6, 3));
    assert_eq!(file.model, "clip");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join(model);
    assert!(file.holds_for(ClipCheckpoint::open(&demo).unwrap().checksum()));
    let hash = Dataset::read(&fs::read(&rows).unwrap()[..], RowLimits::default()).unwrap().sha256;
    assert_eq!(file.data_sha256, hash);
    let shown = fs::read_to_string(&page).unwrap();
    assert!(shown.contains("<circle") && shown.contains(&file.checksum), "{shown}");
    for foreign in ["<script", "http://", "https://"] {
        assert!(!shown.contains(foreign), "the page is whole by itself: {foreign}");
    }

    let checksum = ["calibrate", &rows, "--kind", "prompts", "--checksum", &file.checksum];
    let isotonic = ["--method", "isotonic", "--feature", "contrast"];
    let table = said(&[&checksum[..], &isotonic].concat());
    for part in ["96 rows, 48 of them true, in 6 groups", "before", "after: isotonic", "came true"]
    {
        assert!(table.contains(part), "'{part}' is not in:\n{table}");
    }
    assert!(table.contains("no file was written"), "{table}");
}

#[test]
fn what_cannot_be_fitted_is_told() {
    let folder = tempfile::tempdir().unwrap();
    let rows = folder.path().join("rows.jsonl");
    let refused = |text: &str, more: &[&str], expected: &str| {
        fs::write(&rows, text).unwrap();
        let checksum = "0".repeat(64);
        let usual =
            ["calibrate", rows.to_str().unwrap(), "--kind", "claims", "--checksum", &checksum];
        let output = veriframe(&[&usual[..], more].concat());
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success() && errors.contains(expected), "{expected}: {errors}");
    };
    let row = |label: bool| format!("{{\"features\":{{\"x\":1}},\"label\":{label}}}\n");
    refused(&row(true).repeat(49), &[], "there are 49 rows, at least 50 are needed");
    refused(&row(true).repeat(60), &[], "all 60 labels are true");
    let broken = row(true) + "{\"features\":{\"x\":\"1\"},\"label\":true}";
    refused(&broken, &[], "line 2: features.x is \"1\", must be a number");
    let enough = row(true).repeat(30) + &row(false).repeat(30);
    refused(&enough, &["--folds", "99"], "99 folds, must be 2 to 20");
    refused(&enough, &["--feature", "x"], "--feature goes with --method isotonic alone");
    let other = ["--method", "isotonic", "--feature", "y"];
    refused(&enough, &other, "no row has the feature y; there are: x");
}
