//! Values over time as SVG.

use std::fmt::Write;

use serde::Serialize;

/// One or more lines over time, above shaded spans.
#[derive(Clone, Debug, Serialize)]
pub struct Chart {
    /// Above the chart.
    pub title: String,
    /// What the values are.
    pub unit: String,
    /// Length of the time axis in seconds.
    pub seconds: f64,
    /// The lines.
    pub series: Vec<Series>,
    /// The shaded spans.
    pub spans: Vec<Span>,
}

/// One line.
#[derive(Clone, Debug, Serialize)]
pub struct Series {
    /// Its name.
    pub name: String,
    /// Seconds and values.
    pub points: Vec<(f64, f64)>,
    /// What was found of it: bars in its colour, below the lines.
    pub found: Vec<Span>,
}

/// A stretch of time in which something was so.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Span {
    /// Seconds.
    pub from: f64,
    /// Seconds.
    pub to: f64,
    /// What was so.
    pub name: String,
}

/// Left and right, top and height.
type Corners = ((f64, f64), (f64, f64));

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 170.0;
const LEFT: f64 = 52.0;
const RIGHT: f64 = 12.0;
const TOP: f64 = 30.0;
const BOTTOM: f64 = 24.0;
/// Height of a bar.
const BAR: f64 = 6.0;
const COLORS: [&str; 4] = ["#2563eb", "#d97706", "#059669", "#9333ea"];

impl Chart {
    /// The chart as an `<svg>` element; text is escaped.
    pub fn svg(&self) -> String {
        let (low, high) = self.range();
        let mut svg = format!(
            r#"<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{}">"#,
            escape(&self.title)
        );
        let x = |seconds: f64| LEFT + (WIDTH - LEFT - RIGHT) * seconds / self.seconds.max(1e-9);
        let y = |value: f64| {
            TOP + (HEIGHT - TOP - BOTTOM) * (1.0 - (value - low) / (high - low).max(1e-9))
        };
        let stretch = |span: &Span| (x(span.from), x(span.to));
        for span in &self.spans {
            let down = (TOP, HEIGHT - TOP - BOTTOM);
            rect(&mut svg, r#"class="span""#, (stretch(span), down), &span.name);
        }
        self.axes(&mut svg, (low, high), &x, &y);
        for (row, (series, color)) in self.series.iter().zip(COLORS.iter().cycle()).enumerate() {
            let top = HEIGHT - BOTTOM - BAR * (self.series.len() - row) as f64;
            for span in &series.found {
                let fill = format!(r#"fill="{color}""#);
                rect(&mut svg, &fill, (stretch(span), (top, BAR - 1.0)), &span.name);
            }
            let points: Vec<String> = series
                .points
                .iter()
                .map(|&(at, value)| format!("{:.1},{:.1}", x(at), y(value)))
                .collect();
            push(
                &mut svg,
                format_args!(
                    r#"<polyline fill="none" stroke="{color}" stroke-width="2" points="{}"/>"#,
                    points.join(" ")
                ),
            );
        }
        self.legend(&mut svg);
        svg.push_str("</svg>");
        svg
    }

    fn axes(
        &self,
        svg: &mut String,
        (low, high): (f64, f64),
        x: &impl Fn(f64) -> f64,
        y: &impl Fn(f64) -> f64,
    ) {
        for value in [low, f64::midpoint(low, high), high] {
            push(
                svg,
                format_args!(
                    r#"<line class="grid" x1="{LEFT}" x2="{}" y1="{at:.1}" y2="{at:.1}"/><text class="tick" x="{}" y="{:.1}" text-anchor="end">{value:.2}</text>"#,
                    WIDTH - RIGHT,
                    LEFT - 6.0,
                    y(value) + 4.0,
                    at = y(value)
                ),
            );
        }
        let step = (self.seconds / 10.0).ceil().max(1.0);
        let mut at = 0.0;
        while at <= self.seconds {
            push(
                svg,
                format_args!(
                    r#"<text class="tick" x="{:.1}" y="{}" text-anchor="middle">{at:.0} s</text>"#,
                    x(at),
                    HEIGHT - 6.0
                ),
            );
            at += step;
        }
    }

    fn legend(&self, svg: &mut String) {
        push(
            svg,
            format_args!(
                r#"<text class="title" x="{LEFT}" y="16">{} <tspan class="tick">({})</tspan></text>"#,
                escape(&self.title),
                escape(&self.unit)
            ),
        );
        let mut right = WIDTH - RIGHT;
        for (series, color) in self.series.iter().zip(COLORS.iter().cycle()) {
            push(
                svg,
                format_args!(
                    r#"<text class="tick" x="{right:.0}" y="16" text-anchor="end" style="fill:{color}">{}</text>"#,
                    escape(&series.name)
                ),
            );
            right -= 20.0 + 7.0 * series.name.chars().count() as f64;
        }
    }

    /// The values' range with a little air; never empty.
    fn range(&self) -> (f64, f64) {
        let values = self.series.iter().flat_map(|series| &series.points).map(|point| point.1);
        let (low, high) = values
            .filter(|value| value.is_finite())
            .fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(v), high.max(v)));
        if low > high {
            return (0.0, 1.0);
        }
        let air = ((high - low) * 0.08).max(1e-3);
        (low - air, high + air)
    }
}

/// A rectangle `((left, right), (top, height))` with a title.
fn rect(svg: &mut String, paint: &str, ((left, right), (top, height)): Corners, title: &str) {
    let (width, title) = (right - left, escape(title));
    push(
        svg,
        format_args!(
            r#"<rect {paint} x="{left:.1}" y="{top:.1}" width="{width:.1}" height="{height:.1}"><title>{title}</title></rect>"#
        ),
    );
}

pub(super) fn push(svg: &mut String, text: std::fmt::Arguments<'_>) {
    svg.write_fmt(text).expect("writing to a string does not fail");
}

pub(super) fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
