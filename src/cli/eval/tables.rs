//! What was measured of explanations, as the tables of the terminal and of the gallery.

use crate::evaluation::explanation::{
    Difference, ExplanationReport, Metric, Row, Standing, TOLD_APART,
};

/// A table with its heading.
pub(super) struct Titled {
    pub(super) title: String,
    pub(super) note: String,
    pub(super) head: Vec<String>,
    pub(super) rows: Vec<Vec<String>>,
}

/// Where the heat lies and how it is spread.
const PLACEMENT: [(&str, Metric); 9] = [
    ("pointing", Metric::Pointing),
    ("in cell", Metric::PointingCell),
    ("energy", Metric::Energy),
    ("rank", Metric::RankAccuracy),
    ("pixels", Metric::PixelAccuracy),
    ("mIoU", Metric::MeanIou),
    ("AP", Metric::AveragePrecision),
    ("Gini", Metric::Gini),
    ("entropy", Metric::Entropy),
];
/// What the model says.
const FAITH: [(&str, Metric); 8] = [
    ("insertion", Metric::InsertionMargin),
    ("deletion ↓", Metric::DeletionMargin),
    ("ROAD", Metric::RoadMargin),
    ("sufficiency", Metric::Sufficiency),
    ("comprehens.", Metric::Comprehensiveness),
    ("infidelity ↓", Metric::Infidelity),
    ("sensitivity-n", Metric::SensitivityN),
    ("max-sens. ↓", Metric::MaxSensitivity),
];
/// What chooses the default, and what may speak against it.
const CUE: [(&str, Metric); 5] = [
    ("pointing", Metric::Pointing),
    ("energy", Metric::Energy),
    ("insertion", Metric::InsertionMargin),
    ("deletion ↓", Metric::DeletionMargin),
    ("ROAD", Metric::RoadMargin),
];

/// What was done, in a paragraph.
pub(super) fn lead(report: &ExplanationReport) -> String {
    let protocol = &report.protocol;
    let mut done = vec![format!("insertion and deletion in {} steps", protocol.steps)];
    if !protocol.road_percent.is_empty() {
        let percent: Vec<String> = protocol.road_percent.iter().map(usize::to_string).collect();
        done.push(format!("ROAD at {} % of the pixels", percent.join(", ")));
    }
    if protocol.removals > 0 {
        done.push(format!("{0} squares and {0} random quarters removed", protocol.removals));
    }
    if protocol.noises > 0 {
        done.push(format!("{} noisy pictures", protocol.noises));
    }
    format!(
        "{} pictures of held-out faces that show a cue, perturbed at the model's own {} px: {}. \
         The built-in models know a cartoon world only.",
        report.scenes,
        report.input_px,
        done.join("; ")
    )
}

/// All tables. Figures that were not measured are left out.
pub(super) fn tables(report: &ExplanationReport) -> Vec<Titled> {
    let mut tables = vec![
        Titled {
            title: "Where the heat lies, over all cues".to_owned(),
            note: "Energy is a multiple of a uniform map's. Gini and entropy say how the heat is \
                   spread, not how good it is. site: the mask itself, the best that a grid can."
                .to_owned(),
            head: head(&PLACEMENT, &report.overall),
            rows: cells(&PLACEMENT, &report.overall),
        },
        Titled {
            title: "Whether the score hangs on it, over all cues".to_owned(),
            note: "In units of the margin over null prompts, but for sufficiency and infidelity, \
                   which are shares, and sensitivity-n, a correlation. ↓: less is better."
                .to_owned(),
            head: head(&FAITH, &report.overall),
            rows: cells(&FAITH, &report.overall),
        },
    ];
    let mut rest = report.by_cue.as_slice();
    while let Some(first) = rest.first() {
        let (same, others) = rest.split_at(rest.iter().take_while(|r| r.cue == first.cue).count());
        tables.push(Titled {
            title: first.cue.unwrap_or_default().replace('_', " "),
            note: format!("{} maps of each kind", first.maps),
            head: head(&CUE, same),
            rows: cells(&CUE, same),
        });
        rest = others;
    }
    tables.push(ranking(report));
    tables
        .extend(report.chosen.into_iter().flat_map(|method| against(method, &report.differences)));
    tables
}

/// In how many cells a method is ahead of each other, and those where it is not.
fn against(method: &str, differences: &[Difference]) -> [Titled; 2] {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut rest = differences;
    while let Some(first) = rest.first() {
        let same = rest.iter().take_while(|other| other.against == first.against).count();
        let (own, others) = rest.split_at(same);
        let count = |standing| own.iter().filter(|one| one.standing() == standing).count();
        let counts = [Standing::Ahead, Standing::Level, Standing::Behind].map(count);
        let counts = counts.into_iter().map(|count| count.to_string());
        rows.push(std::iter::once(first.against.to_owned()).chain(counts).collect());
        rest = others;
    }
    let heading = |head: &[&str]| head.iter().map(|&name| name.to_owned()).collect();
    let not_ahead = differences.iter().filter(|one| one.standing() != Standing::Ahead);
    [
        Titled {
            title: format!("{method} against each other"),
            note: format!(
                "The same cues and figures, face by face. Level: the mean difference is within \
                 {TOLD_APART} of its standard errors."
            ),
            head: heading(&["against", "ahead", "level", "behind"]),
            rows,
        },
        Titled {
            title: format!("Where {method} is not ahead"),
            note: "Mean difference and its standard error; below 0 the other is better.".to_owned(),
            head: heading(&["against", "cue", "figure", "difference", "standing"]),
            rows: not_ahead.map(difference).collect(),
        },
    ]
}

fn difference(one: &Difference) -> Vec<String> {
    let (scale, digits, unit) = if one.metric == Metric::Pointing {
        (100.0, 1, " points")
    } else if one.metric == Metric::Energy {
        (1.0, 1, "×")
    } else {
        (1.0, 4, "")
    };
    let name = CUE.iter().find(|(_, metric)| *metric == one.metric).map_or("", |(name, _)| *name);
    let mean = format!("{:+.digits$}", scale * one.mean);
    let error = one.standard_error.map(|error| format!(" ± {:.digits$}", scale * error));
    let standing = if one.standing() == Standing::Behind { "behind" } else { "level" };
    vec![
        one.against.to_owned(),
        one.cue.replace('_', " "),
        name.to_owned(),
        mean + &error.unwrap_or_default() + unit,
        standing.to_owned(),
    ]
}

fn ranking(report: &ExplanationReport) -> Titled {
    let head = ["method", "mean place", "best in", "beats everywhere", "never loses to"];
    let rows = report.ranking.iter().map(|rank| {
        vec![
            rank.source.to_owned(),
            format!("{:.2}", rank.mean_place),
            format!("{} of {}", rank.best, rank.cells),
            rank.beats.join(", "),
            rank.never_loses_to.join(", "),
        ]
    });
    Titled {
        title: "The order of the methods".to_owned(),
        note:
            "By pointing, energy and insertion on each cue, both languages together: what chooses \
               the default."
                .to_owned(),
        head: head.map(str::to_owned).to_vec(),
        rows: rows.collect(),
    }
}

/// Those columns that any row has.
fn present<'a>(
    columns: &'a [(&str, Metric)],
    rows: &'a [Row],
) -> impl Iterator<Item = &'a (&'a str, Metric)> {
    columns.iter().filter(|(_, metric)| rows.iter().any(|row| row.figures.contains_key(metric)))
}

fn head(columns: &[(&str, Metric)], rows: &[Row]) -> Vec<String> {
    let names = present(columns, rows).map(|(name, _)| (*name).to_owned());
    std::iter::once("map".to_owned()).chain(names).collect()
}

fn cells(columns: &[(&str, Metric)], rows: &[Row]) -> Vec<Vec<String>> {
    let line = |row: &Row| {
        let value = |metric| row.figures.get(metric).map(|&value| shown(*metric, value));
        let values = present(columns, rows).map(|(_, metric)| value(metric).unwrap_or_default());
        std::iter::once(row.source.to_owned()).chain(values).collect()
    };
    rows.iter().map(line).collect()
}

/// A figure as people read it.
pub(super) fn shown(metric: Metric, value: f64) -> String {
    match metric {
        Metric::Pointing
        | Metric::PointingCell
        | Metric::EnergyShare
        | Metric::RankAccuracy
        | Metric::PixelAccuracy => format!("{:.1}%", 100.0 * value),
        Metric::Energy => format!("{value:.1}×"),
        Metric::IouForeground
        | Metric::IouBackground
        | Metric::MeanIou
        | Metric::AveragePrecision
        | Metric::AveragePrecisionBoth
        | Metric::Gini
        | Metric::Entropy
        | Metric::InsertionCosine
        | Metric::InsertionMargin
        | Metric::DeletionCosine
        | Metric::DeletionMargin
        | Metric::RoadCosine
        | Metric::RoadMargin
        | Metric::Sufficiency
        | Metric::Comprehensiveness
        | Metric::Infidelity
        | Metric::SensitivityN
        | Metric::MaxSensitivity => format!("{value:.3}"),
    }
}
