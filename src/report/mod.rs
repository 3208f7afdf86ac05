//! HTML reports: one file, no script, no network; pictures are inlined.
//!
//! Imports: nothing.

mod chart;

use base64::Engine as _;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;
use thiserror::Error;

pub use chart::{Chart, Series, Span};

/// Why a report cannot be written.
#[derive(Debug, Error)]
pub enum ReportError {
    /// The template and the data do not fit.
    #[error("cannot draw the report: {0}")]
    Template(#[from] minijinja::Error),
}

/// A whole report.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Report {
    /// Heading.
    pub title: String,
    /// A paragraph below it.
    pub lead: String,
    /// Figures at a glance.
    pub figures: Vec<Figure>,
    /// What follows, in order.
    pub sections: Vec<Section>,
}

/// One figure at a glance.
#[derive(Clone, Debug, Serialize)]
pub struct Figure {
    /// The number, with its unit.
    pub value: String,
    /// What it is.
    pub label: String,
}

/// A part of a report with its heading.
#[derive(Clone, Debug, Serialize)]
pub struct Section {
    /// Heading.
    pub title: String,
    /// A paragraph below it; may be empty.
    pub note: String,
    /// The content.
    pub body: Body,
}

/// What a section shows.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind", content = "content")]
pub enum Body {
    /// A table.
    Table(Table),
    /// Charts, one below the other, as SVG.
    Charts(Vec<String>),
    /// Pictures with captions.
    Pictures(Vec<Picture>),
}

/// Rows and columns of text.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Table {
    /// Column heads.
    pub head: Vec<String>,
    /// One cell for each head.
    pub rows: Vec<Vec<String>>,
}

/// A picture with words.
#[derive(Clone, Debug, Serialize)]
pub struct Picture {
    /// A `data:` address.
    pub source: String,
    /// First line.
    pub caption: String,
    /// Further lines.
    pub details: Vec<String>,
}

impl Picture {
    /// Inlines a PNG.
    pub fn png(bytes: &[u8], caption: String, details: Vec<String>) -> Self {
        Self::inlined("png", bytes, caption, details)
    }

    /// Inlines a JPEG.
    pub fn jpeg(bytes: &[u8], caption: String, details: Vec<String>) -> Self {
        Self::inlined("jpeg", bytes, caption, details)
    }

    fn inlined(format: &str, bytes: &[u8], caption: String, details: Vec<String>) -> Self {
        let data = base64::engine::general_purpose::STANDARD.encode(bytes);
        Self { source: format!("data:image/{format};base64,{data}"), caption, details }
    }
}

impl Section {
    /// Charts below a heading.
    pub fn charts(title: &str, note: &str, charts: &[Chart]) -> Self {
        let body = Body::Charts(charts.iter().map(Chart::svg).collect());
        Self { title: title.to_owned(), note: note.to_owned(), body }
    }
}

impl Report {
    /// The report as one HTML page.
    pub fn html(&self) -> Result<String, ReportError> {
        let mut environment = Environment::new();
        environment.set_auto_escape_callback(|_| AutoEscape::Html);
        environment.add_template("report", include_str!("report.html"))?;
        Ok(environment.get_template("report")?.render(context! { report => self })?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_users_typed_is_escaped_and_charts_are_not() {
        let chart = Chart {
            title: "<b>prompt</b>".to_owned(),
            unit: "cosine".to_owned(),
            seconds: 2.0,
            series: vec![Series {
                name: "score".to_owned(),
                points: vec![(0.0, 0.1), (2.0, 0.4)],
                found: vec![Span { from: 0.7, to: 1.4, name: "<i>found".to_owned() }],
            }],
            spans: vec![Span { from: 0.5, to: 1.5, name: "cue on".to_owned() }],
        };
        let report = Report {
            title: "<script>alert(1)</script>".to_owned(),
            sections: vec![Section::charts("Scores", "", &[chart])],
            ..Report::default()
        };
        let html = report.html().unwrap();
        assert!(!html.contains("<script>"), "{html}");
        assert!(!html.contains("<b>prompt"), "{html}");
        assert!(html.contains("<polyline"), "{html}");
        assert!(html.contains("<title>&lt;i&gt;found</title>"), "{html}");
    }

    #[test]
    fn a_picture_is_inlined() {
        let picture = Picture::png(b"\x89PNG", "a".to_owned(), vec![]);
        assert_eq!(picture.source, "data:image/png;base64,iVBORw==");
        let picture = Picture::jpeg(b"\xff\xd8", "a".to_owned(), vec![]);
        assert_eq!(picture.source, "data:image/jpeg;base64,/9g=");
    }
}
