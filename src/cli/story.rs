//! What the demo's clip showed, against the truth it was drawn from.

use std::time::Duration;

use super::seen::Seen;
use super::trust::{self, Tally};
use super::verdicts::{Found, stretches};
use crate::calibration::auroc;
use crate::evaluation::localisation::{Placement, Site};
use crate::report::{Body, Chart, Figure, Picture, Report, Section, Series, Span, Table};
use crate::scenes::{Cue, draw};
use crate::telemetry::metrics::TARGET;
use crate::vision::overlay::{Heat, greyed, overlay};

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

    /// Prompts against how far to believe their maps, and whether that came true.
    pub(super) fn trust(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let head = vec![
            "prompt",
            "cue drawn: usable maps",
            "chance of a hit, as told",
            "hits",
            "not drawn: usable maps",
        ];
        let rows = self.tallies().map(|(prompt, pointing, [drawn, not])| {
            vec![
                prompt.to_owned(),
                drawn.usable(),
                drawn.told(),
                trust::percent(pointing),
                not.usable(),
            ]
        });
        (head, rows.collect())
    }

    /// Prompts against what speaks against their other maps: too wide for a terminal.
    fn doubts(&self) -> (Vec<&'static str>, Vec<Vec<String>>) {
        let rows = self.tallies().map(|(prompt, _, tallies)| {
            [prompt.to_owned()].into_iter().chain(tallies.map(|tally| tally.doubts())).collect()
        });
        (vec!["prompt", "cue drawn", "not drawn"], rows.collect())
    }

    /// Each prompt with its share of hits, and its maps where its cue is drawn and where not.
    fn tallies(&self) -> impl Iterator<Item = (&'static str, f64, [Tally; 2])> {
        QUESTIONS.iter().zip(&self.rows).enumerate().map(|(index, (question, row))| {
            let tally = |drawn| {
                let frames = self.seen.iter().filter(|seen| seen.spec.has(question.cue) == drawn);
                Tally::of(frames.filter_map(|seen| seen.told(index)))
            };
            (question.prompt, row.pointing, [tally(true), tally(false)])
        })
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
            sections: self.tables().into_iter().chain(self.graphics(side_px)).collect(),
        }
    }

    fn tables(&self) -> [Section; 4] {
        let section = |title: &str, note: &str, (head, rows): (Vec<&str>, _)| {
            let head = head.into_iter().map(str::to_owned).collect();
            let body = Body::Table(Table { head, rows });
            Section { title: title.to_owned(), note: note.to_owned(), body }
        };
        [
            section(
                "The prompts",
                "Told apart: the chance that a frame with the cue scores above one without it, by \
                 the margin between the prompt and its opposite. Heat and hottest point: over the \
                 frames that show the cue, against the mask it was drawn with.",
                self.table(),
            ),
            section(
                "Verdicts over time",
                "What the server said of the whole clip: when each prompt held, by its smoothed \
                 margin over its opposite, and where it showed best. Drawn: the truth.",
                self.verdicts(),
            ),
            section(
                "How far to believe the heatmaps",
                "The server judges every map. Usable: nothing speaks against it. A hit: the hottest \
                 point is in the cue. The chance of one, as told, is a mean over the frames that \
                 show the cue; it should come near the hits.",
                self.trust(),
            ),
            section(
                "What speaks against the other maps",
                "In how many frames the server said so.",
                self.doubts(),
            ),
        ]
    }

    fn graphics(&self, side_px: u32) -> [Section; 3] {
        let pictures = |title: &str, note: &str, drawn| Section {
            title: title.to_owned(),
            note: note.to_owned(),
            body: Body::Pictures(self.pictures(side_px, drawn)),
        };
        [
            Section::charts(
                "Scores over time",
                "Margin: how much nearer the frame is to the prompt than to its opposite (uneven \
                 teeth, even teeth). Shaded: the cue is drawn. Bars: the server's segments.",
                &self.charts(),
            ),
            pictures(
                "Frames that show the cue",
                "White: the detector's boxes. Colour: what raised the prompt's contrast. The badge \
                 says how far to believe the colour; a grey picture has no map worth looking at.",
                true,
            ),
            pictures(
                "Frames that do not",
                "The same prompts where there is nothing to find. A map always has a hottest point; \
                 only its badge says that there is nothing there.",
                false,
            ),
        ]
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

    /// For each question, a frame that shows its cue (`drawn`), or one that does not; none where
    /// the clip has no such frame.
    fn pictures(&self, side_px: u32, drawn: bool) -> Vec<Picture> {
        let chosen = |(index, question): (usize, &Question)| {
            let frames: Vec<usize> = (0..self.seen.len())
                .filter(|&frame| self.seen[frame].spec.has(question.cue) == drawn)
                .collect();
            self.picture(index, *frames.get(frames.len() / 3)?, side_px)
        };
        QUESTIONS.iter().enumerate().filter_map(chosen).collect()
    }

    /// A question's map over a frame, with how far to believe it. A map that shows nothing is not
    /// drawn: the picture is grey.
    fn picture(&self, index: usize, frame: usize, side_px: u32) -> Option<Picture> {
        let (seen, question) = (&self.seen[frame], &QUESTIONS[index]);
        let (told, map) = (seen.told(index)?, seen.map(index)?);
        let (picture, outlines) = (draw(&seen.spec, side_px).image, seen.outlines());
        let png = if trust::is_void(told) {
            overlay(&greyed(&picture), None, &outlines)
        } else {
            let heat = Heat { values: &map.values, grid: map.grid, area: map.area };
            overlay(&picture, &heat, &outlines)
        };
        let mut details = trust::lines(told);
        details.push(format!("against \"{}\": {:+.3}", question.opposite, seen.margin(index)));
        details.push(format!("at {:.1} s", frame as f64 / f64::from(self.fps)));
        let picture = Picture::png(&png, question.prompt.to_owned(), details);
        Some(picture.trusted(trust::trust(told)))
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
