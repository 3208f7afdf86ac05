//! The tables and the worst cases as one page.

use super::Measured;
use super::ask::Asked;
use super::judge::{kind, pairs};
use super::tables::lead;
use crate::cli::eval::labelled::Labelled;
use crate::cli::eval::tables::Titled;
use crate::cli::images;
use crate::cli::witness::Witness;
use crate::evaluation::dataset::{AnswerLine, ClaimLine};
use crate::proto::v1;
use crate::proto::v1::citation::Source;
use crate::report::{Body, Figure, Level, Picture, Report, Section, Table, Trust};
use crate::vision::image::{Limits, Rgb8, decode};
use crate::vision::resize::{Filter, resize};

/// Longest side of a picture on the page, in pixels: twice the width that it is shown at.
const LONGEST_PX: u32 = 400;
/// Stands for answers about no picture.
const NO_PICTURE: [u8; 3] = [226, 228, 232];

/// A claim whose confidence is on the wrong side of one half.
struct Case<'a> {
    asked: &'a Asked<'a>,
    label: &'a ClaimLine,
    result: &'a v1::ClaimResult,
    confidence: f64,
    /// How far the confidence is from the truth, 0 to 1.
    error: f64,
}

/// The page, with at most `worst` cases: those that were told most confidently and wrongly.
pub(super) async fn page(
    lines: &Labelled<AnswerLine>,
    asked: &[Asked<'_>],
    (measured, tables): (&Measured, &[Titled]),
    worst: usize,
) -> anyhow::Result<Report> {
    let cases = cases(asked);
    let wrong = cases.len();
    let mut pictures = Vec::new();
    for case in cases.iter().take(worst) {
        pictures.push(shown(lines, case).await?);
    }
    let table = |table: &Titled| Section {
        title: table.title.clone(),
        note: table.note.clone(),
        body: Body::Table(Table { head: table.head.clone(), rows: table.rows.clone() }),
    };
    let mut sections: Vec<Section> = tables.iter().map(table).collect();
    sections.push(Section {
        title: "The worst cases".to_owned(),
        note: format!(
            "{} of {wrong} claims whose confidence is on the wrong side of one half, the most \
             confident first.",
            pictures.len()
        ),
        body: Body::Pictures(pictures),
    });
    let figure = |value: Option<f64>, label: &str| Figure {
        value: value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}")),
        label: label.to_owned(),
    };
    let row = measured.report.overall();
    let claims = row.map(|row| row.claims).unwrap_or_default();
    let whole = row.map(|row| row.answers).unwrap_or_default();
    Ok(Report {
        title: "veriframe eval answers".to_owned(),
        lead: lead(measured),
        figures: vec![
            figure(claims.auroc, "AUROC of claims"),
            figure(claims.ece, "calibration error"),
            figure(claims.citation_precision, "citation precision"),
            figure(claims.citation_recall, "citation recall"),
            figure(whole.confidence_true, "confidence, true answers"),
            figure(whole.confidence_false, "confidence, false answers"),
        ],
        sections,
    })
}

fn cases<'a>(asked: &'a [Asked<'a>]) -> Vec<Case<'a>> {
    let of_answer = |asked: &'a Asked<'a>| {
        pairs(asked).filter_map(move |(label, result)| {
            let truth = label.label.truth()?;
            let result = result?;
            let confidence = result.confidence?;
            let error = if truth { 1.0 - confidence } else { confidence };
            Some(Case { asked, label, result, confidence, error })
        })
    };
    let mut cases: Vec<Case<'a>> =
        asked.iter().flat_map(of_answer).filter(|case| case.error > 0.5).collect();
    cases.sort_by(|a, b| b.error.total_cmp(&a.error));
    cases
}

async fn shown(lines: &Labelled<AnswerLine>, case: &Case<'_>) -> anyhow::Result<Picture> {
    let line = case.asked.line;
    let picture = match &line.image {
        Some(path) => smaller(&decode(&lines.picture(path).await?, &Limits::default())?),
        None => Rgb8::filled(8, 8, NO_PICTURE),
    };
    let is_true = case.label.label.truth() == Some(true);
    let claim = line.answer.get(case.label.start..case.label.end).unwrap_or_default();
    let mut details = vec![
        format!("{}, {}, {}", line.id, case.label.topic.replace('_', " "), kind(case.result)),
        format!("Answer: {}", line.answer),
    ];
    details.extend(case.result.testimonies.iter().flat_map(testimony));
    let trust = Trust {
        level: Level::Doubtful,
        badge: format!(
            "told {:.2}, is {}",
            case.confidence,
            if is_true { "true" } else { "false" }
        ),
        meaning: case
            .result
            .status()
            .as_str_name()
            .trim_start_matches("CLAIM_STATUS_")
            .to_lowercase(),
        figures: case
            .result
            .reasons()
            .map(|reason| reason.as_str_name().trim_start_matches("CLAIM_REASON_").to_lowercase())
            .collect::<Vec<_>>()
            .join(", "),
    };
    let caption = format!("\u{201c}{claim}\u{201d}");
    Ok(Picture::jpeg(&images::jpeg(&picture), caption, details).trusted(trust))
}

/// What a witness said, in a line, then a line for each of its citations of evidence.
fn testimony(testimony: &v1::Testimony) -> Vec<String> {
    let name = Witness::of(testimony).map_or("another witness", Witness::name);
    let stance = testimony.stance();
    let said = match stance {
        v1::Stance::For | v1::Stance::Against => {
            format!("{name}: {}, {:+.2}", stance_name(stance), testimony.support)
        }
        v1::Stance::Silent | v1::Stance::Unspecified => {
            format!("{name}: silent, {}", testimony.silence)
        }
    };
    let citations = testimony.citations.iter().filter_map(|citation| {
        let Source::Evidence(evidence) = citation.source.as_ref()? else { return None };
        let stance = stance_name(citation.stance());
        Some(format!(
            "→ {stance}: {} \u{201c}{}\u{201d} ({:.2})",
            evidence.item_id, evidence.text, evidence.score
        ))
    });
    std::iter::once(said).chain(citations).collect()
}

fn stance_name(stance: v1::Stance) -> &'static str {
    match stance {
        v1::Stance::For => "for",
        v1::Stance::Against => "against",
        v1::Stance::Silent | v1::Stance::Unspecified => "silent",
    }
}

fn smaller(picture: &Rgb8) -> Rgb8 {
    let longest = picture.width().max(picture.height());
    if longest <= LONGEST_PX {
        return picture.clone();
    }
    let scaled = |side: u32| {
        let side = u64::from(side) * u64::from(LONGEST_PX) / u64::from(longest);
        (side as u32).max(1)
    };
    resize(picture, scaled(picture.width()), scaled(picture.height()), Filter::Bicubic)
}
