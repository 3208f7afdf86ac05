//! What was measured of checked answers, as the tables of the terminal and of the page.

use super::Measured;
use crate::cli::eval::tables::Titled;
use crate::evaluation::answers::{ClaimFigures, Group, Row};
use crate::evaluation::bootstrap::Interval;

/// What was done, in a line.
pub(super) fn lead(measured: &Measured) -> String {
    let Measured { answers, checked, missed, calibration, model, witnesses, .. } = measured;
    let calibration = if calibration.is_empty() { "not named" } else { calibration };
    let model = model.as_deref().unwrap_or("none");
    let unfinished = if checked < answers { format!(" of {answers}") } else { String::new() };
    let missed = match missed {
        0 => String::new(),
        missed => format!("; {missed} labelled claims were not found in their answers"),
    };
    let heard = if witnesses.is_empty() { "all".to_owned() } else { witnesses.join(", ") };
    format!(
        "{checked}{unfinished} answers checked; witnesses: {heard}; model {model}, calibration \
         {calibration}{missed}."
    )
}

/// All tables.
pub(super) fn tables(measured: &Measured) -> Vec<Titled> {
    let report = &measured.report;
    let mut tables = vec![
        claims(&report.languages),
        answers(&report.languages),
        grouped("By kind of claim", "As the server took them; in every language.", &report.kinds),
        grouped("By what claims are about", "In every language.", &report.topics),
    ];
    if !measured.ablation.is_empty() {
        tables.push(ablation(measured));
    }
    tables
}

fn claims(rows: &[Row]) -> Titled {
    let head = ["language", "claims", "judged", "decided", "accuracy", "AUROC", "ECE", "opinions"];
    let line = |row: &Row| {
        let (figures, intervals) = (&row.claims, &row.intervals);
        vec![
            row.name.clone(),
            figures.claims.to_string(),
            percent(figures.coverage),
            percent(figures.decided),
            ranged(figures.accuracy, intervals.accuracy),
            ranged(figures.auroc, intervals.auroc),
            ranged(figures.ece, intervals.ece),
            percent(figures.left_alone),
        ]
    };
    Titled {
        title: "Claims".to_owned(),
        note:
            "Judged: some witness spoke. Decided: supported or contradicted; accuracy is of these. \
               AUROC and ECE are of the confidence of every judged claim, opinions the share of \
               uncheckable claims left alone."
                .to_owned(),
        head: owned(head),
        rows: rows.iter().map(line).collect(),
    }
}

fn answers(rows: &[Row]) -> Titled {
    let head =
        ["language", "answers", "precision", "recall", "true", "false", "false/true", "AUROC"];
    let line = |row: &Row| {
        let (claims, whole, intervals) = (&row.claims, &row.answers, &row.intervals);
        let ratio = whole.confidence_false.zip(whole.confidence_true).map(|(f, t)| f / t);
        vec![
            row.name.clone(),
            whole.answers.to_string(),
            ranged(claims.citation_precision, intervals.citation_precision),
            ranged(claims.citation_recall, intervals.citation_recall),
            ranged(whole.confidence_true, intervals.confidence_true),
            ranged(whole.confidence_false, intervals.confidence_false),
            figure(ratio),
            figure(whole.auroc),
        ]
    };
    Titled {
        title: "Citations and answers".to_owned(),
        note: "Precision: cited items that speak to their claim. Recall: items that speak to a judged \
               claim and were cited. True and false: mean confidence of such answers."
            .to_owned(),
        head: owned(head),
        rows: rows.iter().map(line).collect(),
    }
}

fn grouped(title: &str, note: &str, groups: &[Group]) -> Titled {
    let head = [
        "claims of",
        "claims",
        "judged",
        "decided",
        "accuracy",
        "AUROC",
        "ECE",
        "precision",
        "recall",
    ];
    let line =
        |group: &Group| std::iter::once(group.name.clone()).chain(plain(&group.claims)).collect();
    Titled {
        title: title.to_owned(),
        note: note.to_owned(),
        head: owned(head),
        rows: groups.iter().map(line).collect(),
    }
}

fn ablation(measured: &Measured) -> Titled {
    let head = [
        "witnesses",
        "claims",
        "judged",
        "decided",
        "accuracy",
        "AUROC",
        "ECE",
        "precision",
        "recall",
        "true",
        "false",
    ];
    let line = |name: &str, row: &Row| {
        let mut cells = vec![name.to_owned()];
        cells.extend(plain(&row.claims));
        cells.push(figure(row.answers.confidence_true));
        cells.push(figure(row.answers.confidence_false));
        cells
    };
    let all = measured.report.overall().map(|row| line("all", row));
    let fewer = measured.ablation.iter().map(|one| line(one.witnesses, &one.row));
    Titled {
        title: "With fewer witnesses".to_owned(),
        note: "The same answers, with these witnesses heard alone; in every language.".to_owned(),
        head: owned(head),
        rows: all.into_iter().chain(fewer).collect(),
    }
}

fn plain(figures: &ClaimFigures) -> [String; 8] {
    [
        figures.claims.to_string(),
        percent(figures.coverage),
        percent(figures.decided),
        figure(figures.accuracy),
        figure(figures.auroc),
        figure(figures.ece),
        figure(figures.citation_precision),
        figure(figures.citation_recall),
    ]
}

fn owned<const N: usize>(head: [&str; N]) -> Vec<String> {
    head.map(str::to_owned).to_vec()
}

fn percent(share: Option<f64>) -> String {
    share.map(|share| format!("{:.1}%", 100.0 * share)).unwrap_or_default()
}

fn figure(value: Option<f64>) -> String {
    value.map(|value| format!("{value:.3}")).unwrap_or_default()
}

fn ranged(value: Option<f64>, interval: Option<Interval>) -> String {
    let range = interval.map(|Interval { low, high }| format!(" ({low:.3} to {high:.3})"));
    figure(value) + &range.unwrap_or_default()
}
