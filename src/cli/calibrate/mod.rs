//! `veriframe calibrate`: from labelled rows to the file that turns figures into probabilities.

mod shown;

use std::fs::File;
use std::io::BufReader;
use std::path::PathBuf;

use anyhow::Context;
use clap::{Args, ValueEnum};

use super::output;
use crate::calibration::{
    CalibrationFile, Dataset, FitOptions, Fitted, Kind, Method, RowLimits, fit,
};
use crate::models::clip::ClipCheckpoint;

/// Fit the calibration of a model's claims, prompts or verdicts to labelled rows.
///
/// A row is one line of JSON: figures by name, whether it was so, and which rows belong together:
///   {"features": {"contrast": 1.2, "cosine": 24.0}, "label": true, "group": "face-7"}
/// A figure that is not there counts as 0. Rows of one group are never both fitted on and measured
/// on. The figure "uncalibrated", if every row has it, is a probability told until now: the fit is
/// compared with it and does not read it. At least 50 rows, 10 of each label.
///
/// Examples:
///   veriframe eval prompts --from 1000000 --rows rows.jsonl
///   veriframe calibrate rows.jsonl --kind prompts --model models/demo/clip
///   veriframe calibrate rows.jsonl --kind prompts --model models/demo/clip --html fit.html
///   veriframe calibrate claims.jsonl --kind claims --checksum 9f86d0…0a08 --out claims.json
///   veriframe calibrate rows.jsonl --kind prompts --model clip --method isotonic --feature contrast
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[command(group = clap::ArgGroup::new("weights").required(true).args(["model", "checksum"]))]
pub(super) struct CalibrateArgs {
    /// The labelled rows, JSON Lines.
    rows: PathBuf,
    /// Whose probabilities: claims of answers, prompts before a picture, or verdicts, prompts before
    /// a frame of a stream.
    #[arg(long)]
    kind: Kind,
    /// Folder of the CLIP that the figures came from. The file goes there, unless --out says
    /// otherwise.
    #[arg(long, value_name = "DIR")]
    model: Option<PathBuf>,
    /// In place of --model: SHA-256 of its weights, as answers and `models inspect` name it.
    #[arg(long, value_name = "HEX")]
    checksum: Option<String>,
    /// What the file calls the model. Default: the name of its folder.
    #[arg(long)]
    name: Option<String>,
    /// How to fit. "auto" takes what errs less on rows left out.
    #[arg(long, value_enum, default_value_t = How::Auto)]
    method: How,
    /// With --method isotonic: the one figure that the probability rises with, in place of the
    /// logistic fit's log-odds.
    #[arg(long, value_name = "NAME")]
    feature: Option<String>,
    /// Parts that the groups are dealt into, 2 to 20; each is told by a fit to the others.
    #[arg(long, default_value_t = 5)]
    folds: usize,
    /// Decides how groups are dealt.
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Where the file goes. Default: the model's folder, by the name that a server looks for.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Also leave a page with the reliability diagram.
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
}

/// How to fit.
#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
enum How {
    /// Logistic or isotonic.
    Auto,
    /// Log-odds that are a weighted sum of all figures.
    Logistic,
    /// A probability that rises with those log-odds, or with one figure.
    Isotonic,
}

/// Reads, fits, writes, shows.
pub(super) fn run(args: &CalibrateArgs) -> anyhow::Result<()> {
    let options = FitOptions { method: args.method()?, folds: args.folds, seed: args.seed };
    let (name, checksum) = args.weights()?;
    let shown = args.rows.display();
    let rows = File::open(&args.rows).with_context(|| format!("cannot open {shown}"))?;
    let data = Dataset::read(BufReader::new(rows), RowLimits::default());
    let data = data.with_context(|| shown.to_string())?;
    let fitted = fit(&data.rows, &options).with_context(|| shown.to_string())?;
    let file = CalibrationFile::new(args.kind, (&name, &checksum), &data.sha256, &fitted);
    // What a server would refuse must not be written.
    CalibrationFile::parse(&file.json(), args.kind)?;
    let out = args.out();
    if let Some(out) = &out {
        std::fs::write(out, file.json())
            .with_context(|| format!("cannot write {}", out.display()))?;
    }
    if let Some(html) = &args.html {
        std::fs::write(html, shown::page(&file, &fitted)?)
            .with_context(|| format!("cannot write {}", html.display()))?;
    }
    if args.json {
        output::say(serde_json::to_string_pretty(&json(&file, &fitted))?);
        return Ok(());
    }
    shown::tables(&file, &fitted);
    match out {
        Some(out) => output::say(format_args!("calibration in {}", out.display())),
        None => output::say("no file was written: say where with --out"),
    }
    Ok(())
}

fn json(file: &CalibrationFile, fitted: &Fitted) -> serde_json::Value {
    serde_json::json!({
        "file": file, "before": fitted.before, "after": fitted.after, "tried": fitted.tried,
    })
}

impl CalibrateArgs {
    fn method(&self) -> anyhow::Result<Method> {
        Ok(match (self.method, &self.feature) {
            (How::Isotonic, Some(feature)) => Method::IsotonicOf(feature.clone()),
            (How::Auto | How::Logistic, Some(_)) => {
                anyhow::bail!("--feature goes with --method isotonic alone")
            }
            (How::Auto, None) => Method::Auto,
            (How::Logistic, None) => Method::Logistic,
            (How::Isotonic, None) => Method::Isotonic,
        })
    }

    /// Name and checksum of the model.
    fn weights(&self) -> anyhow::Result<(String, String)> {
        let folder = match (&self.model, &self.checksum) {
            (Some(folder), _) => folder,
            (None, Some(checksum)) => {
                let digit = |byte: u8| byte.is_ascii_hexdigit();
                anyhow::ensure!(
                    checksum.len() == 64 && checksum.bytes().all(digit),
                    "--checksum is {checksum}, must be 64 hexadecimal digits"
                );
                let name = self.name.clone().unwrap_or_default();
                return Ok((name, checksum.to_ascii_lowercase()));
            }
            (None, None) => anyhow::bail!("say which weights with --model DIR or --checksum HEX"),
        };
        let checkpoint = ClipCheckpoint::open(folder)
            .with_context(|| format!("--model {} is no folder of a CLIP", folder.display()))?;
        let own = || folder.file_name().map(|name| name.to_string_lossy().into_owned());
        let name = self.name.clone().or_else(own).unwrap_or_default();
        Ok((name, checkpoint.checksum().to_owned()))
    }

    fn out(&self) -> Option<PathBuf> {
        let beside = || Some(self.model.as_ref()?.join(self.kind.file_name()));
        self.out.clone().or_else(beside)
    }
}
