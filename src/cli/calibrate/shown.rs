//! A fit in tables, as a diagram in the terminal, and as a page.

use crate::calibration::{Bin, CalibrationFile, Confidence, Fit, Fitted};
use crate::cli::output;
use crate::report::{Body, Figure, Reliability, Report, ReportError, Section, Table, reliability};

/// Cells of the terminal's diagram, from 0 to 1.
const CELLS: usize = 40;

const HEAD: [&str; 4] = ["on rows left out", "ECE", "Brier", "AUROC"];

/// Before and after, the methods that were tried, the fit's weights, and the diagram.
pub(super) fn tables(file: &CalibrationFile, fitted: &Fitted) {
    output::say(format_args!("{}, of {} folds", lead(file), file.folds));
    output::table(&HEAD, &compared(fitted));
    let weights = weights(&file.fit);
    if !weights.is_empty() {
        output::say("\nlog-odds by figure, where it is fitted");
        output::table(&["figure", "weight", "mean", "deviation"], &weights);
    }
    output::say("\nreliability on rows left out: │ told, ━ came true");
    for line in diagram(&fitted.after.bins) {
        output::say(line);
    }
}

fn lead(file: &CalibrationFile) -> String {
    format!(
        "{} of {}: {} rows, {} of them true, in {} groups; {} fit",
        file.kind,
        if file.model.is_empty() { &file.checksum } else { &file.model },
        file.rows,
        file.positives,
        file.groups,
        file.method()
    )
}

/// One row for what was told before, and for each method.
fn compared(fitted: &Fitted) -> Vec<Vec<String>> {
    let row = |name: String, told: &Confidence| {
        let auroc = told.auroc.map_or("–".to_owned(), |auroc| format!("{auroc:.4}"));
        vec![name, format!("{:.4}", told.ece), format!("{:.4}", told.brier), auroc]
    };
    let after = fitted.tried.iter().enumerate().map(|(at, tried)| {
        let chosen = if at == 0 { "after" } else { "not taken" };
        row(format!("{chosen}: {}", tried.method), &tried.confidence)
    });
    std::iter::once(row("before".to_owned(), &fitted.before)).chain(after).collect()
}

fn weights(fit: &Fit) -> Vec<Vec<String>> {
    let logistic = match fit {
        Fit::Logistic { logistic, .. } => Some(logistic),
        Fit::Isotonic { logistic, .. } => logistic.as_ref(),
    };
    let Some(logistic) = logistic else { return Vec::new() };
    let numbers = logistic.weights.iter().zip(&logistic.means).zip(&logistic.scales);
    let row = |(name, ((weight, mean), scale)): (&String, ((&f64, &f64), &f64))| {
        vec![name.clone(), format!("{weight:+.3}"), format!("{mean:.3}"), format!("{scale:.3}")]
    };
    fit.features().iter().zip(numbers).map(row).collect()
}

/// A line for each bin: a bar as long as the share that came true, a mark where that was told.
fn diagram(bins: &[Bin]) -> Vec<String> {
    let line = |bin: &Bin| {
        let cell = |share: f64| (share * CELLS as f64).round() as usize;
        let (came_true, told) = (cell(bin.came_true), cell(bin.told).min(CELLS - 1));
        let bar: String = (0..CELLS)
            .map(|at| match at {
                at if at == told => '│',
                at if at < came_true => '━',
                _ => '·',
            })
            .collect();
        format!(
            "told {:.2}  {bar}  came true {:.2}  {:>7} rows",
            bin.told, bin.came_true, bin.count
        )
    };
    bins.iter().map(line).collect()
}

/// The same as a page.
pub(super) fn page(file: &CalibrationFile, fitted: &Fitted) -> Result<String, ReportError> {
    let bins = |bins: &[Bin]| bins.iter().map(|b| (b.told, b.came_true, b.count)).collect();
    let lines = [("before", &fitted.before), ("after", &fitted.after)].map(|(name, told)| {
        let name = format!("{name}: ECE {:.3}", told.ece);
        Reliability { name, bins: bins(&told.bins) }
    });
    let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
    let table = |head: &[&str], rows: Vec<Vec<String>>| {
        Body::Table(Table { head: head.iter().map(|&cell| cell.to_owned()).collect(), rows })
    };
    let section = |title: &str, note: &str, body: Body| Section {
        title: title.to_owned(),
        note: note.to_owned(),
        body,
    };
    let note = "Each row is told by a fit to groups that it does not belong to. On the dashed line, \
                what is told comes true as often as it is told; a dot's area is its bin's rows.";
    let diagram = Body::Charts(vec![reliability("Reliability", &lines)]);
    let mut sections = vec![
        section("Before and after", "", table(&HEAD, compared(fitted))),
        section("Told and come true", note, diagram),
    ];
    let weights = weights(&file.fit);
    if !weights.is_empty() {
        let body = table(&["figure", "weight", "mean", "deviation"], weights);
        sections.push(section("Log-odds by figure, where it is fitted", "", body));
    }
    let identity = [("checksum of the weights", &file.checksum), ("rows' hash", &file.data_sha256)];
    let rows = identity.map(|(name, value)| vec![name.to_owned(), value.clone()]).to_vec();
    sections.push(section("What it holds for", "", table(&["", "SHA-256"], rows)));
    let report = Report {
        title: format!("Calibration of {}", file.kind),
        lead: lead(file),
        figures: vec![
            figure(format!("{:.3}", file.ece_before), "ECE before"),
            figure(format!("{:.3}", file.ece_after), "ECE after"),
            figure(format!("{:.3}", file.auroc), "AUROC"),
            figure(format!("{:.3}", file.brier), "Brier score"),
        ],
        sections,
    };
    report.html()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_long_as_what_came_true() {
        let bins = [
            Bin { count: 12, told: 0.05, came_true: 0.0 },
            Bin { count: 7, told: 0.5, came_true: 0.75 },
            Bin { count: 3, told: 1.0, came_true: 1.0 },
        ];
        let lines = diagram(&bins);
        let count = |line: &str, mark: char| line.chars().filter(|&c| c == mark).count();
        assert_eq!((count(&lines[0], '━'), count(&lines[0], '·')), (0, 39));
        assert_eq!((count(&lines[1], '━'), count(&lines[1], '·')), (29, 10));
        assert_eq!((count(&lines[2], '━'), count(&lines[2], '│')), (39, 1));
        assert!(lines[1].starts_with("told 0.50  ━━━━━━━━━━━━━━━━━━━━│━"), "{}", lines[1]);
        assert!(lines[1].ends_with("came true 0.75        7 rows"), "{}", lines[1]);
    }
}
