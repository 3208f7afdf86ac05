//! HTML reports: one file, no script, no network; pictures are inlined.
//!
//! Imports: nothing.

pub mod answer;
mod chart;
mod reliability;

use base64::Engine as _;
use minijinja::{AutoEscape, Environment, context};
use serde::Serialize;
use thiserror::Error;

pub use chart::{Chart, Series, Span};
pub use reliability::{Reliability, reliability};

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
    /// A checked answer.
    Answer(Box<answer::Answer>),
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
    /// How far to believe what it shows, where that is known.
    pub trust: Option<Trust>,
}

/// How far to believe a picture, in words.
#[derive(Clone, Debug, Serialize)]
pub struct Trust {
    /// At a glance.
    pub level: Level,
    /// In two or three words: `probably not there`.
    pub badge: String,
    /// What that means for who looks at it, a sentence or two; always shown.
    pub meaning: String,
    /// The figures behind it, for who asks: shown beside the pointer, and read to who cannot see.
    pub figures: String,
}

/// How far to believe a picture, at a glance.
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Level {
    /// Nothing speaks against it.
    Sound,
    /// Something does.
    Doubtful,
    /// It shows nothing.
    Void,
}

impl Picture {
    /// Says how far to believe it.
    #[must_use]
    pub fn trusted(self, trust: Trust) -> Self {
        Self { trust: Some(trust), ..self }
    }

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
        Self { source: format!("data:image/{format};base64,{data}"), caption, details, trust: None }
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
    fn a_picture_says_how_far_to_believe_it() {
        let trust = |level| Trust {
            level,
            badge: "not <about> it".to_owned(),
            meaning: "Look elsewhere.".to_owned(),
            figures: "specificity \"0.00\"".to_owned(),
        };
        let picture = || Picture::png(b"", "caption".to_owned(), vec!["line".to_owned()]);
        let page = |pictures| {
            let body = Body::Pictures(pictures);
            let section = Section { title: String::new(), note: String::new(), body };
            Report { sections: vec![section], ..Report::default() }.html().unwrap()
        };
        for (level, class) in
            [(Level::Sound, "sound"), (Level::Doubtful, "doubtful"), (Level::Void, "void")]
        {
            let html = page(vec![picture().trusted(trust(level))]);
            assert!(html.contains(&format!("<figure class=\"{class}\">")), "{html}");
            assert!(html.contains("not &lt;about&gt; it</b>"), "{html}");
            assert!(html.contains("title=\"specificity &quot;0.00&quot;\""), "{html}");
            assert!(html.contains("Look elsewhere."), "{html}");
        }
        let html = page(vec![picture()]);
        assert!(html.contains("<figure><img"), "{html}");
        assert!(!html.contains("class=\"badge\""), "{html}");
    }

    #[test]
    fn an_answer_shows_its_claims_and_sources() {
        let status = answer::Status::Contradicted;
        let checked = answer::Answer {
            picture: None,
            pieces: answer::pieces("It is <red>.", &[(0, 11, status)]),
            verdict: "The answer is contradicted.".to_owned(),
            claims: vec![answer::Claim {
                text: "It is <red>".to_owned(),
                status,
                verdict: "contradicted, P(true) 0.02".to_owned(),
                said: vec!["pixels: against".to_owned()],
                sources: vec![1],
            }],
            sources: vec!["\"It is blue\"".to_owned()],
        };
        let body = Body::Answer(Box::new(checked));
        let section = Section { title: String::new(), note: String::new(), body };
        let html = Report { sections: vec![section], ..Report::default() }.html().unwrap();
        let marked = "<mark class=\"contradicted\">It is &lt;red&gt;<sup>1</sup></mark>.";
        assert!(html.contains(marked), "{html}");
        assert!(html.contains("[1] &quot;It is blue&quot;"), "{html}");
    }

    #[test]
    fn a_picture_is_inlined() {
        let picture = Picture::png(b"\x89PNG", "a".to_owned(), vec![]);
        assert_eq!(picture.source, "data:image/png;base64,iVBORw==");
        let picture = Picture::jpeg(b"\xff\xd8", "a".to_owned(), vec![]);
        assert_eq!(picture.source, "data:image/jpeg;base64,/9g=");
    }
}
