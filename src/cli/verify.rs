//! `veriframe verify`: pictures against prompts, as a table.

use std::path::{Path, PathBuf};

use anyhow::Context;
use clap::Args;

use super::client::{ServerArgs, Session, explained};
use super::options::ModelArgs;
use super::output;
use super::{answer_json, box_heatmaps};
use crate::config::Settings;
use crate::explain::Method;
use crate::proto::v1;

/// Check pictures against prompts and show a table.
///
/// Examples:
///   veriframe verify face.png --prompt "uneven teeth" --prompt "even teeth"
///   veriframe verify a.jpg b.jpg --prompt "misshapen ear" --detect --json
///   veriframe verify face.png --prompt "짝짝이 동공 반사" --overlay heat.png
///   veriframe verify crowd.jpg --prompt "uneven teeth" --overlay heat.png --zoom=face
///   veriframe verify face.png --prompt "misshapen ear" --heatmaps legrad --check
///   veriframe verify face.png --prompt face --detect --box-heatmaps grad_cam --overlay heat.png
#[derive(Args, Debug)]
#[command(verbatim_doc_comment)]
#[expect(clippy::doc_markdown, reason = "names stand as they are typed")]
pub(super) struct VerifyArgs {
    /// JPEG, PNG, WebP, BMP, GIF or TIFF files.
    #[arg(required = true)]
    images: Vec<PathBuf>,
    /// What the pictures may show; repeatable. The softmax compares these with one another.
    #[arg(long = "prompt", short, required = true)]
    prompts: Vec<String>,
    /// Also find boxes, and score each against the prompts.
    #[arg(long)]
    detect: bool,
    /// Print JSON instead of tables.
    #[arg(long)]
    json: bool,
    /// Show what is known of every prompt's heatmaps by these methods: docs/heatmaps.md.
    #[arg(long, value_name = "METHOD", value_delimiter = ',')]
    heatmaps: Vec<Method>,
    /// Check each heatmap with further forward passes, about 60 each.
    #[arg(long, requires = "heatmaps")]
    check: bool,
    /// Show which pixels made each box by grad_cam or eigen_cam: docs/heatmaps.md.
    #[arg(long, value_name = "METHOD", value_delimiter = ',', requires = "detect")]
    box_heatmaps: Vec<Method>,
    /// Write the first prompt's heatmap, by the first method named, over the picture as a PNG (one
    /// picture only); and with --box-heatmaps each box's maps beside it, its number, class and
    /// method in the file's name.
    #[arg(long, value_name = "PNG")]
    overlay: Option<PathBuf>,
    /// Make heatmaps look closer at the detector's boxes of these classes, comma-separated; at
    /// all boxes where it is given without a class.
    #[arg(long, value_name = "CLASS", num_args = 0..=1, value_delimiter = ',',
          default_missing_value = "")]
    zoom: Option<Vec<String>>,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    pub(super) models: ModelArgs,
}

/// Runs the command.
pub(super) fn run(args: &VerifyArgs, settings: &Settings) -> anyhow::Result<()> {
    anyhow::ensure!(
        args.overlay.is_none() || args.images.len() == 1,
        "--overlay takes one picture, got {}",
        args.images.len()
    );
    anyhow::ensure!(
        args.zoom.is_none() || args.overlay.is_some() || !args.heatmaps.is_empty(),
        "--zoom is about heatmaps: give --overlay or --heatmaps too"
    );
    tokio::runtime::Runtime::new()?.block_on(verify(args, settings))
}

async fn verify(args: &VerifyArgs, settings: &Settings) -> anyhow::Result<()> {
    let mut session = Session::open(&args.server, settings).await?;
    let mut answers = Vec::new();
    for path in &args.images {
        let bytes =
            std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
        let answer = session.client.verify(request(args, bytes)).await;
        let answer = answer.map_err(|status| explained(&status))?.into_inner();
        if args.json {
            let mut told = answer_json::answer(&answer);
            told.insert("image".to_owned(), path.display().to_string().into());
            answers.push(told);
        } else {
            show(path, &answer);
        }
        if let Some(png) = &args.overlay {
            save_overlay(png, &answer)?;
            box_heatmaps::save(png, &answer)?;
        }
    }
    if args.json {
        output::say(serde_json::to_string_pretty(&answers)?);
    }
    session.close().await
}

fn request(args: &VerifyArgs, bytes: Vec<u8>) -> v1::VerifyRequest {
    v1::VerifyRequest {
        image: Some(v1::Image { content: Some(v1::image::Content::Encoded(bytes.into())) }),
        similarity: Some(v1::SimilarityQuery {
            prompts: args.prompts.clone(),
            ..Default::default()
        }),
        detection: args.detect.then(|| v1::DetectionQuery {
            heatmaps: box_heatmaps::query(&args.box_heatmaps, encoding(args)),
            ..Default::default()
        }),
        regions: args.detect.then(v1::RegionQuery::default),
        heatmaps: heatmaps(args),
    }
}

/// All prompts by all methods named; without any, the first prompt's map where it is to be drawn.
fn heatmaps(args: &VerifyArgs) -> Option<v1::HeatmapQuery> {
    if args.heatmaps.is_empty() && args.overlay.is_none() {
        return None;
    }
    let prompts = if args.heatmaps.is_empty() { &args.prompts[..1] } else { &args.prompts };
    Some(v1::HeatmapQuery {
        prompts: prompts.to_vec(),
        methods: args.heatmaps.iter().map(|&method| on_the_wire(method).into()).collect(),
        encoding: encoding(args).into(),
        check: args.check,
        zoom: args.zoom.as_deref().map(looks),
        ..Default::default()
    })
}

fn encoding(args: &VerifyArgs) -> v1::HeatmapEncoding {
    match args.overlay {
        Some(_) => v1::HeatmapEncoding::PngOverlay,
        None => v1::HeatmapEncoding::F16,
    }
}

/// The wire's name for a method is the method's.
pub(super) fn on_the_wire(method: Method) -> v1::HeatmapMethod {
    let name = format!("HEATMAP_METHOD_{}", method.name().to_uppercase());
    v1::HeatmapMethod::from_str_name(&name).unwrap_or_default()
}

/// Looks at the boxes of these classes; at all where none is named.
fn looks(classes: &[String]) -> v1::HeatmapZoom {
    let named = classes.iter().filter(|class| !class.is_empty()).cloned().collect();
    let detected = v1::ZoomDetected { classes: named, ..Default::default() };
    let place = v1::heatmap_zoom::Where::Detected(detected);
    v1::HeatmapZoom { r#where: Some(place), ..Default::default() }
}

fn show(path: &Path, answer: &v1::VerifyResponse) {
    output::say(path.display());
    if let Some(similarity) = &answer.similarity {
        let rows: Vec<Vec<String>> = similarity.scores.iter().map(score_row).collect();
        output::table(
            &["prompt", "cosine", "logit", "softmax", "contrast", "confidence", ""],
            &rows,
        );
    }
    if let Some(regions) = &answer.regions {
        let rows: Vec<Vec<String>> = regions.regions.iter().map(region_row).collect();
        output::table(&["box", "confidence", "x1, y1, x2, y2", "best prompt", "cosine"], &rows);
    }
    box_heatmaps::show(answer);
    if let Some(maps) = &answer.heatmaps {
        let rows: Vec<Vec<String>> = maps.heatmaps.iter().map(map_row).collect();
        let mut head = vec!["prompt", "heatmap", "status", "P(hit)", "claim", "patches", "rival"];
        if maps.heatmaps.iter().any(|map| map.checks.is_some()) {
            head.extend(["faithful", "stable", "agrees"]);
        }
        output::table(&head, &rows);
        let looks: Vec<Vec<String>> = maps.heatmaps.iter().flat_map(look_rows).collect();
        if !looks.is_empty() {
            output::table(&["prompt", "looked at", "x1, y1, x2, y2", "contrast"], &looks);
        }
    }
}

fn look_rows(map: &v1::Heatmap) -> impl Iterator<Item = Vec<String>> {
    map.looks.iter().map(|look| {
        let edges = look.r#box.unwrap_or_default();
        vec![
            map.prompt.clone(),
            look.label.clone(),
            format!("{:.0}, {:.0}, {:.0}, {:.0}", edges.x1, edges.y1, edges.x2, edges.y2),
            format!("{:+.4}", look.contrast),
        ]
    })
}

/// Names of methods and statuses without what the wire puts before them.
pub(super) fn method_name(method: v1::HeatmapMethod) -> String {
    let whole = method.as_str_name();
    whole.strip_prefix("HEATMAP_METHOD_").unwrap_or(whole).to_lowercase()
}

pub(super) fn status_name(quality: v1::HeatmapQuality) -> String {
    let whole = quality.as_str_name();
    whole.strip_prefix("HEATMAP_QUALITY_").unwrap_or(whole).to_owned()
}

fn map_row(map: &v1::Heatmap) -> Vec<String> {
    let told = |value: Option<f32>| value.map_or_else(|| "–".to_owned(), |v| format!("{v:.2}"));
    let mut row = vec![
        map.prompt.clone(),
        method_name(map.method()),
        status_name(map.quality()),
        told(map.hit_probability),
        told(map.claim),
        format!("{:.1}", map.effective_patches),
        format!("{:.2}", map.rival),
    ];
    if let Some(checks) = &map.checks {
        let found = [checks.faithfulness, checks.stability, checks.method_agreement];
        row.extend(found.map(|value| format!("{value:.2}")));
    }
    row
}

fn score_row(score: &v1::Score) -> Vec<String> {
    let cut =
        if score.truncated { format!("cut from {} tokens", score.tokens) } else { String::new() };
    vec![
        score.prompt.clone(),
        format!("{:.4}", score.cosine),
        format!("{:.2}", score.logit),
        format!("{:.3}", score.softmax),
        format!("{:+.4}", score.contrast),
        score.confidence.map_or_else(|| "–".to_owned(), |told| format!("{told:.3}")),
        cut,
    ]
}

fn region_row(region: &v1::Region) -> Vec<String> {
    let detection = region.detection.clone().unwrap_or_default();
    let best = region.scores.iter().max_by(|a, b| a.cosine.total_cmp(&b.cosine));
    let edges = detection.r#box.unwrap_or_default();
    vec![
        detection.label,
        format!("{:.2}", detection.confidence),
        format!("{:.0}, {:.0}, {:.0}, {:.0}", edges.x1, edges.y1, edges.x2, edges.y2),
        best.map(|score| score.prompt.clone()).unwrap_or_default(),
        best.map(|score| format!("{:.4}", score.cosine)).unwrap_or_default(),
    ]
}

fn save_overlay(path: &Path, answer: &v1::VerifyResponse) -> anyhow::Result<()> {
    let map = answer.heatmaps.as_ref().and_then(|maps| maps.heatmaps.first());
    let Some(v1::heatmap::Content::Png(png)) = map.and_then(|map| map.content.as_ref()) else {
        anyhow::bail!("the server sent no heatmap");
    };
    std::fs::write(path, png).with_context(|| format!("cannot write {}", path.display()))?;
    output::say(format_args!("heatmap in {}", path.display()));
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_method_has_its_name_on_the_wire() {
        for method in Method::ALL {
            assert_ne!(on_the_wire(method), v1::HeatmapMethod::Unspecified, "{method}");
        }
    }
}
