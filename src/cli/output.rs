//! What commands print: the only place that writes to standard output.
#![expect(clippy::print_stdout, reason = "this is where commands speak")]

use comfy_table::presets::NOTHING;
use comfy_table::{Cell, CellAlignment, ContentArrangement, Table, TableComponent};
use indicatif::{ProgressBar, ProgressStyle};

/// Prints one line.
pub(super) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// Prints a table; columns that hold only numbers are set to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) {
    let mut table = Table::new();
    table
        .load_preset(NOTHING)
        .set_style(TableComponent::HeaderLines, '─')
        .set_style(TableComponent::MiddleHeaderIntersections, '─')
        .set_content_arrangement(ContentArrangement::Dynamic)
        .set_header(head);
    for row in rows {
        table.add_row(row.iter().map(Cell::new));
    }
    for (index, column) in table.column_iter_mut().enumerate() {
        let numeric = |row: &Vec<String>| {
            row.get(index)
                .is_none_or(|cell| cell.trim_end_matches(['%', '×', ' ']).parse::<f64>().is_ok())
        };
        if !rows.is_empty() && rows.iter().all(numeric) {
            column.set_cell_alignment(CellAlignment::Right);
        }
    }
    println!("{table}");
}

/// A progress bar with room for a message; hidden where standard error is no terminal.
pub(super) fn progress(length: u64, what: &'static str) -> ProgressBar {
    let style = ProgressStyle::with_template(
        "{prefix:>12} {bar:32} {pos}/{len} {elapsed_precise} eta {eta} {msg}",
    );
    let bar = ProgressBar::new(length).with_prefix(what);
    match style {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}

/// A count with room for a message, where nobody knows how many there will be.
pub(super) fn counter(what: &'static str) -> ProgressBar {
    let bar = ProgressBar::no_length().with_prefix(what);
    match ProgressStyle::with_template("{prefix:>12} {spinner} {pos} {elapsed_precise} {msg}") {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
