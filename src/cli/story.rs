//! What the demo's clip showed, against the truth it was drawn from.

use std::time::Duration;

use anyhow::Context;

use super::verdicts::{Found, stretches};
use crate::evaluation::confidence::auroc;
use crate::evaluation::localisation::{Map, Placement, Site};
use crate::proto::v1;
use crate::report::{Body, Chart, Figure, Picture, Report, Section, Series, Span, Table};
use crate::scenes::{Cue, FaceSpec, draw};
use crate::telemetry::metrics::TARGET;
use crate::vision::boxes::Rect;
use crate::vision::overlay::{Heat, Outline, overlay};

/// One prompt that the demo asks of every frame.
pub(super) struct Question {
    pub(super) prompt: &'static str,
    /// What would be said if it were not so: the score is the margin between the two.
    pub(super) opposite: &'static str,
    cue: Cue,
    /// What the founding prototype reported for it.
    before: &'static str,
}

/// The three prompts of the founding prototype, in English and Korean, and a fourth cue.
pub(super) const QUESTIONS: [Question; 7] = [
    question(["artificial ear shape", "natural ear shape"], Cue::MisshapenEar, "usable map"),
    question(
        ["artificial pupil reflection", "natural pupil reflections"],
        Cue::MismatchedPupilReflections,
        "usable map",
    ),
    question(["uneven teeth", "even teeth"], Cue::UnevenTeeth, "no map (mean weight -2.8e-06)"),
    question(["기형적인 귀", "정상적인 귀"], Cue::MisshapenEar, "not tried"),
    question(
        ["짝짝이 동공 반사", "일치하는 동공 반사"],
        Cue::MismatchedPupilReflections,
        "not tried",
    ),
    question(["들쭉날쭉한 치아", "고른 치아"], Cue::UnevenTeeth, "not tried"),
    question(["a blending seam", "no blending seam"], Cue::BlendingSeam, "not tried"),
];

const fn question(
    [prompt, opposite]: [&'static str; 2],
    cue: Cue,
    before: &'static str,
) -> Question {
    Question { prompt, opposite, cue, before }
}

/// One frame with its answer.
pub(super) struct Seen {
    spec: FaceSpec,
    pub(super) latency: Duration,
    answer: v1::VerifyResponse,
}

impl Seen {
    /// Takes a frame's result; a frame that was not answered is an error.
    pub(super) fn new(spec: &FaceSpec, result: v1::FrameResult) -> anyhow::Result<Self> {
        let answer = match result.outcome {
            Some(v1::frame_result::Outcome::Ok(answer)) => answer,
            Some(v1::frame_result::Outcome::Error(status)) => {
                anyhow::bail!("frame {} failed: {}", result.sequence, status.message)
            }
            Some(v1::frame_result::Outcome::Dropped(_) | v1::frame_result::Outcome::Expired(_))
            | None => anyhow::bail!("frame {} was not answered", result.sequence),
        };
        let total = answer.timing.as_ref().and_then(|timing| timing.total);
        let latency = total.and_then(|total| Duration::try_from(total).ok());
        Ok(Self {
            spec: spec.clone(),
            latency: latency.context("an answer has no timing")?,
            answer,
        })
    }

    /// How much nearer the frame is to the question's prompt than to its opposite, in units of
    /// cosine.
    fn margin(&self, question: usize) -> f32 {
        let scores = self.answer.similarity.as_ref().map_or(&[][..], |part| &part.scores);
        let cosine = |index: usize| scores.get(index).map_or(f32::NAN, |score| score.cosine);
        cosine(2 * question) - cosine(2 * question + 1)
    }

    fn map(&self, question: usize) -> Option<Map> {
        let map = self.answer.heatmaps.as_ref()?.heatmaps.get(question)?;
        let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { return None };
        let values = tensor
            .data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let area = map.area.as_ref()?;
        Some(Map {
            values: values.collect(),
            grid: (*tensor.shape.first()? as usize, *tensor.shape.get(1)? as usize),
            area: Rect::new(area.x1, area.y1, area.x2, area.y2),
        })
    }

    fn outlines(&self) -> Vec<Outline> {
        let found = self.answer.detection.iter().flat_map(|part| &part.detections);
        found
            .filter_map(|found| found.r#box.as_ref())
            .map(|edges| Outline {
                rect: Rect::new(edges.x1, edges.y1, edges.x2, edges.y2),
                colour: [255, 255, 255],
            })
            .collect()
    }
}

/// The whole clip.
pub(super) struct Story<'a> {
    seen: &'a [Seen],
    verdicts: &'a [Found],
    fps: u32,
    wall: Duration,
    rows: Vec<Row>,
}

/// How one question was answered over the clip.
struct Row {
    separation: f64,
    energy_ratio: f64,
    pointing: f64,
}

impl<'a> Story<'a> {
    /// Measures the answers against the truth.
    pub(super) fn new(seen: &'a [Seen], verdicts: &'a [Found], fps: u32, wall: Duration) -> Self {
        let rows = (0..QUESTIONS.len()).map(|index| Row::measure(seen, index)).collect();
        Self { seen, verdicts, fps, wall, rows }
    }

    fn latency_ms(&self, share: f64) -> f64 {
        let mut all: Vec<Duration> = self.seen.iter().map(|seen| seen.latency).collect();
        all.sort_unstable();
        let index = (all.len().saturating_sub(1) as f64 * share).round() as usize;
        all.get(index).map_or(0.0, |latency| latency.as_secs_f64() * 1e3)
    }

    fn pace(&self) -> f64 {
        self.seen.len() as f64 / self.wall.as_secs_f64().max(1e-9)
    }

    fn in_time(&self) -> f64 {
        let good = self.seen.iter().filter(|seen| seen.latency <= TARGET).count();
        good as f64 / self.seen.len().max(1) as f64
    }

    /// What the terminal says.
    pub(super) fn lines(&self) -> Vec<String> {
        vec![format!(
            "{} frames in {:.1} s: {:.1} frames/s; latency median {:.0} ms, 95th percentile {:.0} ms",
            self.seen.len(),
            self.wall.as_secs_f64(),
            self.pace(),
            self.latency_ms(0.5),
            self.latency_ms(0.95),
        )]
    }

    /// Prompts against what they found.
    pub(super) fn table(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let head = vec![
            "prompt",
            "founding prototype",
            "told apart (AUROC)",
            "heat in the cue (× uniform)",
            "hottest point in the cue",
        ];
        let rows = QUESTIONS.iter().zip(&self.rows).map(|(question, row)| {
            vec![
                question.prompt.to_owned(),
                question.before.to_owned(),
                format!("{:.3}", row.separation),
                format!("{:.1}", row.energy_ratio),
                format!("{:.0}%", 100.0 * row.pointing),
            ]
        });
        (head, rows.collect())
    }

    /// Prompts against when they were found, and when they were so.
    pub(super) fn verdicts(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let head = vec!["prompt", "verdict", "of the time", "found", "drawn"];
        let rows = QUESTIONS.iter().zip(self.verdicts).map(|(question, found)| {
            let [verdict, share, segments] = found.cells();
            let drawn = stretches(&self.spans(question.cue));
            vec![question.prompt.to_owned(), verdict, share, segments, drawn]
        });
        (head, rows.collect())
    }

    /// The report as a page.
    pub(super) fn report(&self, side_px: u32) -> Report {
        let figure = |value: String, label: &str| Figure { value, label: label.to_owned() };
        let table = |(head, rows): (Vec<&str>, _)| {
            Body::Table(Table { head: head.into_iter().map(str::to_owned).collect(), rows })
        };
        Report {
            title: "veriframe demo".to_owned(),
            lead: "A generated clip went through a veriframe server as JPEG frames over gRPC. The \
                   built-in models know this cartoon world only; for photographs, load real \
                   checkpoints."
                .to_owned(),
            figures: vec![
                figure(self.seen.len().to_string(), "frames"),
                figure(format!("{:.1}", self.pace()), "frames per second"),
                figure(format!("{:.0} ms", self.latency_ms(0.5)), "latency, median"),
                figure(format!("{:.0} ms", self.latency_ms(0.95)), "latency, 95th percentile"),
                figure(format!("{:.1}%", 100.0 * self.in_time()), "within 1.2 s"),
            ],
            sections: vec![
                Section {
                    title: "The prompts".to_owned(),
                    note: "Told apart: the chance that a frame with the cue scores above one \
                           without it, by the margin between the prompt and its opposite. Heat and hottest point: over the frames that show the cue, \
                           against the mask it was drawn with."
                        .to_owned(),
                    body: table(self.table()),
                },
                Section {
                    title: "Verdicts over time".to_owned(),
                    note: "What the server said of the whole clip: when each prompt held, by its \
                           smoothed margin over its opposite, and where it showed best. Drawn: the \
                           truth."
                        .to_owned(),
                    body: table(self.verdicts()),
                },
                Section::charts(
                    "Scores over time",
                    "Margin: how much nearer the frame is to the prompt than to its opposite (uneven \
                     teeth, even teeth). Shaded: the cue is drawn. Bars: the server's segments.",
                    &self.charts(),
                ),
                Section {
                    title: "Frames".to_owned(),
                    note: "White: the detector's boxes. Colour: what raised the prompt's contrast."
                        .to_owned(),
                    body: Body::Pictures(self.pictures(side_px)),
                },
            ],
        }
    }

    fn charts(&self) -> Vec<Chart> {
        let seconds = |frame: usize| frame as f64 / f64::from(self.fps);
        Cue::ALL
            .into_iter()
            .map(|cue| {
                let asked = QUESTIONS.iter().enumerate().filter(|(_, q)| q.cue == cue);
                let series = asked.map(|(index, question)| Series {
                    name: question.prompt.to_owned(),
                    found: self.verdicts.get(index).map(Found::spans).unwrap_or_default(),
                    points: (0..self.seen.len())
                        .map(|frame| (seconds(frame), f64::from(self.seen[frame].margin(index))))
                        .collect(),
                });
                Chart {
                    title: cue.name().replace('_', " "),
                    unit: "margin in cosine".to_owned(),
                    seconds: seconds(self.seen.len()),
                    series: series.collect(),
                    spans: self.spans(cue),
                }
            })
            .collect()
    }

    /// The stretches in which the cue is drawn.
    fn spans(&self, cue: Cue) -> Vec<Span> {
        let mut spans: Vec<Span> = Vec::new();
        let step = 1.0 / f64::from(self.fps);
        for (frame, _) in self.seen.iter().enumerate().filter(|(_, seen)| seen.spec.has(cue)) {
            let from = frame as f64 * step;
            match spans.last_mut() {
                Some(last) if (last.to - from).abs() < step / 2.0 => last.to = from + step,
                _ => spans.push(Span { from, to: from + step, name: cue.name().to_owned() }),
            }
        }
        spans
    }

    /// For each question, the frame in the middle of those that show its cue.
    fn pictures(&self, side_px: u32) -> Vec<Picture> {
        let middle = |(index, question): (usize, &Question)| {
            let shown: Vec<usize> = (0..self.seen.len())
                .filter(|&frame| self.seen[frame].spec.has(question.cue))
                .collect();
            let frame = *shown.get(shown.len() / 3)?;
            let seen = &self.seen[frame];
            let map = seen.map(index)?;
            let heat = Heat { values: &map.values, grid: map.grid, area: map.area };
            let png = overlay(&draw(&seen.spec, side_px).image, &heat, &seen.outlines());
            let details = vec![
                format!("against \"{}\": {:+.3}", question.opposite, seen.margin(index)),
                format!("at {:.1} s", frame as f64 / f64::from(self.fps)),
            ];
            Some(Picture::png(&png, question.prompt.to_owned(), details))
        };
        QUESTIONS.iter().enumerate().filter_map(middle).collect()
    }
}

impl Row {
    fn measure(seen: &[Seen], index: usize) -> Self {
        let cue = QUESTIONS[index].cue;
        let (on, off): (Vec<&Seen>, Vec<&Seen>) = seen.iter().partition(|seen| seen.spec.has(cue));
        let margins = |part: &[&Seen]| part.iter().map(|seen| seen.margin(index)).collect();
        let placed: Vec<Placement> = on
            .iter()
            .filter_map(|seen| {
                let scene = draw(&seen.spec, seen.answer.frame_size.as_ref()?.width);
                let mask = scene.site(cue);
                let site = Site {
                    width: mask.width() as usize,
                    height: mask.height() as usize,
                    mask: mask.values(),
                };
                Placement::measure(&seen.map(index)?, &site)
            })
            .collect();
        let count = placed.len().max(1) as f64;
        let (on, off): (Vec<f32>, Vec<f32>) = (margins(&on), margins(&off));
        Self {
            separation: auroc(&on, &off).unwrap_or(f64::NAN),
            energy_ratio: placed.iter().map(|place| place.energy_ratio).sum::<f64>() / count,
            pointing: placed.iter().filter(|place| place.hit).count() as f64 / count,
        }
    }
}
