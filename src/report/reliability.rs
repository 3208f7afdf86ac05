//! Reliability diagrams as SVG: what was told against what came true.

use super::chart::{escape, push};

/// One line of a reliability diagram.
#[derive(Clone, Debug)]
pub struct Reliability {
    /// Its name.
    pub name: String,
    /// Probabilities told, share that came true, and how many, by bin from the lowest.
    pub bins: Vec<(f64, f64, usize)>,
}

const SIDE: f64 = 340.0;
const LEFT: f64 = 52.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 40.0;
/// Widest dot; its area is as the count.
const DOT: f64 = 13.0;
const COLORS: [&str; 2] = ["#9aa7b8", "#2563eb"];

/// An `<svg>` element: told across, came true upwards, the diagonal where both agree, and a line with
/// a dot for each bin. Text is escaped.
pub fn reliability(title: &str, lines: &[Reliability]) -> String {
    let (width, height) = (LEFT + SIDE + 200.0, TOP + SIDE + BOTTOM);
    let (x, y) = (|told: f64| LEFT + SIDE * told, |true_: f64| TOP + SIDE * (1.0 - true_));
    let mut svg = format!(
        r#"<svg viewBox="0 0 {width} {height}" role="img" aria-label="{0}" style="max-width:{width}px"><text class="title" x="{LEFT}" y="16">{0}</text>"#,
        escape(title)
    );
    for tenth in [0.0, 0.25, 0.5, 0.75, 1.0] {
        push(
            &mut svg,
            format_args!(
                r#"<line class="grid" x1="{LEFT}" x2="{0:.1}" y1="{1:.1}" y2="{1:.1}"/><text class="tick" x="{2:.1}" y="{3:.1}" text-anchor="end">{tenth:.2}</text><text class="tick" x="{4:.1}" y="{5:.1}" text-anchor="middle">{tenth:.2}</text>"#,
                LEFT + SIDE,
                y(tenth),
                LEFT - 6.0,
                y(tenth) + 4.0,
                x(tenth),
                TOP + SIDE + 16.0
            ),
        );
    }
    push(
        &mut svg,
        format_args!(
            r#"<line class="grid" stroke-dasharray="4 4" x1="{:.1}" y1="{:.1}" x2="{:.1}" y2="{:.1}"/><text class="tick" x="{:.1}" y="{:.1}" text-anchor="middle">probability told; upwards: share that came true</text>"#,
            x(0.0),
            y(0.0),
            x(1.0),
            y(1.0),
            LEFT + SIDE / 2.0,
            TOP + SIDE + 33.0
        ),
    );
    for (row, (line, color)) in lines.iter().zip(COLORS.iter().cycle()).enumerate() {
        draw(&mut svg, line, color, (&x, &y));
        push(
            &mut svg,
            format_args!(
                r#"<text class="tick" x="{:.1}" y="{:.1}" style="fill:{color}">{}</text>"#,
                LEFT + SIDE + 16.0,
                TOP + 14.0 + 18.0 * row as f64,
                escape(&line.name)
            ),
        );
    }
    svg.push_str("</svg>");
    svg
}

fn draw(
    svg: &mut String,
    line: &Reliability,
    color: &str,
    (x, y): (&impl Fn(f64) -> f64, &impl Fn(f64) -> f64),
) {
    let most = line.bins.iter().map(|bin| bin.2).max().unwrap_or(0).max(1) as f64;
    let at =
        |&(told, came_true, _): &(f64, f64, usize)| format!("{:.1},{:.1}", x(told), y(came_true));
    let points: Vec<String> = line.bins.iter().map(at).collect();
    push(
        svg,
        format_args!(
            r#"<polyline fill="none" stroke="{color}" stroke-width="2" points="{}"/>"#,
            points.join(" ")
        ),
    );
    for &(told, came_true, count) in &line.bins {
        push(
            svg,
            format_args!(
                r#"<circle cx="{:.1}" cy="{:.1}" r="{:.1}" fill="{color}" fill-opacity=".5"><title>told {told:.3}, came true {came_true:.3}, {count} rows</title></circle>"#,
                x(told),
                y(came_true),
                (DOT * (count as f64 / most).sqrt()).max(2.0)
            ),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agreement_lies_on_the_diagonal_and_names_are_escaped() {
        let bins = vec![(0.0, 0.0, 5), (1.0, 1.0, 20)];
        let line = Reliability { name: "<after>".to_owned(), bins };
        let svg = reliability("a & b", &[line]);
        assert!(svg.contains(r#"points="52.0,370.0 392.0,30.0""#), "{svg}");
        assert!(svg.contains("&lt;after&gt;") && svg.contains("a &amp; b"), "{svg}");
        assert!(svg.contains(r#"r="6.5""#) && svg.contains(r#"r="13.0""#), "{svg}");
        assert!(svg.contains("told 1.000, came true 1.000, 20 rows"), "{svg}");
    }
}
