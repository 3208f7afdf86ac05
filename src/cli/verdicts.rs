//! The demo's verdicts over time, beside the truth they were drawn from.

use crate::proto::v1;
use crate::report::Span;

/// What the demo asks for: each prompt against its opposite. Its models tell the two apart by wide
/// margins, mostly beyond 0.2 either way, so the thresholds need no finer search.
pub(super) fn query<'a>(prompts: impl Iterator<Item = (&'a str, &'a str)>) -> v1::VerdictQuery {
    let prompts = prompts.map(|(prompt, opposite)| v1::VerdictPrompt {
        prompt: prompt.to_owned(),
        opposite: opposite.to_owned(),
        ..Default::default()
    });
    v1::VerdictQuery {
        prompts: prompts.collect(),
        figure: v1::VerdictFigure::Margin.into(),
        open_at: Some(0.1),
        close_at: Some(-0.1),
        time_constant: Some(prost_types::Duration { seconds: 0, nanos: 150_000_000 }),
        omit_from_results: true,
        ..Default::default()
    }
}

/// What was found of one prompt.
pub(super) struct Found {
    verdict: &'static str,
    segments: Vec<Span>,
    peaks: Vec<f64>,
    share: Option<f32>,
}

impl Found {
    /// Nothing, as of a server that gives no verdicts.
    pub(super) fn nothing() -> Self {
        Self { verdict: "none", segments: Vec::new(), peaks: Vec::new(), share: None }
    }

    /// Takes a prompt's summary.
    pub(super) fn new(prompt: &v1::PromptSummary) -> Self {
        let verdict = match prompt.verdict() {
            v1::Verdict::Present => "present",
            v1::Verdict::Absent => "absent",
            v1::Verdict::Inconclusive => "inconclusive",
            v1::Verdict::Unspecified => "none",
        };
        let span = |segment: &v1::VerdictSegment| Span {
            from: seconds(segment.start),
            to: seconds(segment.end),
            name: format!("found: {}", prompt.prompt),
        };
        let peak = |segment: &v1::VerdictSegment| {
            segment.peak.as_ref().map_or(f64::NAN, |peak| seconds(peak.time))
        };
        Self {
            verdict,
            segments: prompt.segments.iter().map(span).collect(),
            peaks: prompt.segments.iter().map(peak).collect(),
            share: prompt.share_present,
        }
    }

    /// Its segments, for a chart.
    pub(super) fn spans(&self) -> Vec<Span> {
        self.segments.clone()
    }

    /// Verdict, share of time, segments and where each shows best, for a table.
    pub(super) fn cells(&self) -> [String; 3] {
        let share = self.share.map_or("–".to_owned(), |share| format!("{:.0}%", 100.0 * share));
        let found = self.segments.iter().zip(&self.peaks);
        let found = found.map(|(span, peak)| format!("{}, best at {peak:.1}", stretch(span)));
        [self.verdict.to_owned(), share, listed(found)]
    }
}

/// Stretches of time, for a table.
pub(super) fn stretches(spans: &[Span]) -> String {
    listed(spans.iter().map(stretch))
}

fn listed(texts: impl Iterator<Item = String>) -> String {
    let texts: Vec<String> = texts.collect();
    if texts.is_empty() { "–".to_owned() } else { texts.join("; ") }
}

fn stretch(span: &Span) -> String {
    format!("{:.1} to {:.1} s", span.from, span.to)
}

fn seconds(time: Option<prost_types::Duration>) -> f64 {
    time.map_or(f64::NAN, |time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_summary_is_told_in_words() {
        let time = |seconds, tenths: i32| {
            Some(prost_types::Duration { seconds, nanos: tenths * 100_000_000 })
        };
        let peak = Some(v1::VerdictPeak { time: time(2, 9), ..Default::default() });
        let segment =
            v1::VerdictSegment { start: time(1, 5), end: time(3, 0), peak, ..Default::default() };
        let prompt = v1::PromptSummary {
            verdict: v1::Verdict::Present.into(),
            share_present: Some(0.254),
            segments: vec![segment],
            ..Default::default()
        };
        let found = Found::new(&prompt);
        assert_eq!(found.cells(), ["present", "25%", "1.5 to 3.0 s, best at 2.9"]);
        assert_eq!(stretches(&found.spans()), "1.5 to 3.0 s");
        assert_eq!(Found::nothing().cells(), ["none", "–", "–"]);
        assert_eq!(stretches(&[]), "–");
    }
}
