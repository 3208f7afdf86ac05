//! What came of a stream, for people and for programs.

use std::time::Duration;

use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::follow::Heard;
use crate::cli::verdicts::Found;
use crate::cli::{answer_json, output};
use crate::proto::v1;
use crate::proto::v1::frame_result::Outcome;

/// Tells a stream as it goes, and what it came to.
pub(super) struct Teller {
    json: bool,
    bar: ProgressBar,
    counts: Counts,
    latencies: Vec<Duration>,
    /// One for each call that ended in order.
    summaries: Vec<v1::StreamSummary>,
    first_error: Option<String>,
}

/// Frames, by how they ended.
#[derive(Default)]
struct Counts {
    ok: u64,
    dropped: u64,
    expired: u64,
    errors: u64,
}

impl Teller {
    /// For `frames` frames, where it is known how many there will be.
    pub(super) fn new(json: bool, frames: Option<u64>) -> Self {
        let bar = match frames {
            Some(frames) => output::progress(frames, "frames"),
            None => output::counter("frames"),
        };
        Self {
            json,
            bar,
            counts: Counts::default(),
            latencies: Vec::new(),
            summaries: Vec::new(),
            first_error: None,
        }
    }

    /// Takes what was heard.
    pub(super) fn hear(&mut self, heard: Heard) {
        let told = match heard {
            Heard::Result(result) => self.result(&result),
            Heard::Event(event) => event_json(&event),
            Heard::Summary(summary) => {
                let told = summary_json(&summary);
                self.summaries.push(summary);
                told
            }
            Heard::GoesOn(reason) => {
                self.bar.suspend(|| tracing::warn!(%reason, "the stream goes on in another call"));
                json!({ "goes_on": reason })
            }
        };
        if self.json {
            self.bar.suspend(|| output::say(told));
        }
    }

    fn result(&mut self, result: &v1::FrameResult) -> Value {
        let count = match &result.outcome {
            Some(Outcome::Ok(answer)) => {
                let total = answer.timing.as_ref().and_then(|timing| timing.total);
                self.latencies.extend(total.and_then(|total| Duration::try_from(total).ok()));
                &mut self.counts.ok
            }
            Some(Outcome::Dropped(_)) => &mut self.counts.dropped,
            Some(Outcome::Expired(_)) => &mut self.counts.expired,
            Some(Outcome::Error(status)) => {
                let first = || format!("frame {}: {}", result.sequence, status.message);
                self.first_error.get_or_insert_with(first);
                &mut self.counts.errors
            }
            None => &mut self.counts.errors,
        };
        *count += 1;
        self.bar.inc(1);
        let latency = self.latencies.last().map_or(f64::NAN, |last| last.as_secs_f64() * 1e3);
        let pace = self.bar.position() as f64 / self.bar.elapsed().as_secs_f64().max(1e-3);
        self.bar.set_message(format!("{latency:.0} ms, {pace:.1} frames/s"));
        if self.json { result_json(result) } else { Value::Null }
    }

    /// Shows what it all came to; an error where no frame has a result.
    pub(super) fn end(self) -> anyhow::Result<()> {
        let seconds = self.bar.elapsed().as_secs_f64();
        self.bar.finish_and_clear();
        if !self.json {
            self.show(seconds);
        }
        let Counts { ok, dropped, expired, errors } = self.counts;
        let first = self.first_error.unwrap_or_else(|| "all were left out".to_owned());
        anyhow::ensure!(
            ok > 0 || dropped + expired + errors == 0,
            "of {} frames none has scores; {first}",
            dropped + expired + errors
        );
        Ok(())
    }

    fn show(&self, seconds: f64) {
        let Counts { ok, dropped, expired, errors } = self.counts;
        let frames = ok + dropped + expired + errors;
        output::say(format_args!(
            "{frames} frames in {seconds:.1} s, {:.1} a second: {ok} with a result, {dropped} \
             dropped, {expired} expired, {errors} in error",
            frames as f64 / seconds.max(1e-3)
        ));
        let mut sorted = self.latencies.clone();
        sorted.sort_unstable();
        if let (Some(longest), Some(median)) = (sorted.last(), sorted.get(sorted.len() / 2)) {
            output::say(format_args!(
                "a frame took {:.0} ms in the middle, {:.0} ms at the most",
                median.as_secs_f64() * 1e3,
                longest.as_secs_f64() * 1e3
            ));
        }
        if let Some(error) = &self.first_error {
            output::say(format_args!("the first error: {error}"));
        }
        let rows: Vec<Vec<String>> = self.summaries.iter().flat_map(rows).collect();
        if rows.is_empty() {
            return;
        }
        let head = ["prompt", "verdict", "present", "segments", "frames up to"];
        let shown = if self.summaries.len() > 1 { 5 } else { 4 };
        let rows: Vec<Vec<String>> =
            rows.into_iter().map(|row| row.into_iter().take(shown).collect()).collect();
        output::table(&head[..shown], &rows);
    }
}

/// What one call says of each prompt: each judges for itself.
fn rows(part: &v1::StreamSummary) -> Vec<Vec<String>> {
    let last = part.last_sequence.map_or_else(|| "–".to_owned(), |last| last.to_string());
    let prompts = part.verdicts.iter().flat_map(|verdicts| &verdicts.prompts);
    prompts
        .map(|prompt| {
            let cells = Found::new(prompt).cells();
            let row = [prompt.prompt.clone()].into_iter().chain(cells).chain([last.clone()]);
            row.collect()
        })
        .collect()
}

fn seconds(time: Option<&prost_types::Duration>) -> Option<f64> {
    time.map(|time| time.seconds as f64 + f64::from(time.nanos) / 1e9)
}

fn result_json(result: &v1::FrameResult) -> Value {
    let mut told = json!({
        "sequence": result.sequence,
        "seconds": seconds(result.presentation_time.as_ref()),
        "reused_from": result.reused_from,
    });
    let (outcome, more) = match &result.outcome {
        Some(Outcome::Ok(answer)) => ("ok", Value::Object(answer_json::answer(answer))),
        Some(Outcome::Dropped(dropped)) => {
            ("dropped", json!({ "reason": dropped.reason().as_str_name() }))
        }
        Some(Outcome::Expired(_)) => ("expired", Value::Null),
        Some(Outcome::Error(status)) => {
            ("error", json!({ "code": status.code, "message": status.message }))
        }
        None => ("error", Value::Null),
    };
    told["outcome"] = outcome.into();
    if let (Value::Object(told), Value::Object(more)) = (&mut told, more) {
        told.extend(more);
    }
    told
}

fn event_json(event: &v1::SegmentEvent) -> Value {
    let change = event.change().as_str_name().trim_start_matches("SEGMENT_CHANGE_").to_lowercase();
    let segment = event.segment.as_ref();
    json!({ "segment": {
        "prompt": event.prompt, "change": change, "sequence": event.sequence,
        "start": segment.and_then(|segment| seconds(segment.start.as_ref())),
        "end": segment.and_then(|segment| seconds(segment.end.as_ref())),
    } })
}

fn summary_json(summary: &v1::StreamSummary) -> Value {
    let verdicts = summary.verdicts.iter().flat_map(|verdicts| &verdicts.prompts);
    let verdicts = verdicts.map(|prompt| {
        let segments = prompt.segments.iter().map(|segment| {
            let peak = segment.peak.as_ref().and_then(|peak| seconds(peak.time.as_ref()));
            let (start, end) = (seconds(segment.start.as_ref()), seconds(segment.end.as_ref()));
            json!({ "start": start, "end": end, "peak": peak })
        });
        json!({
            "prompt": prompt.prompt, "verdict": prompt.verdict().as_str_name(),
            "share_present": prompt.share_present, "segments": segments.collect::<Vec<_>>(),
        })
    });
    json!({ "summary": {
        "end": summary.end().as_str_name(), "last_sequence": summary.last_sequence,
        "frames": summary.frames, "ok": summary.ok, "dropped": summary.dropped,
        "expired": summary.expired, "errors": summary.errors, "reused": summary.reused,
        "mean_latency_seconds": seconds(summary.mean_latency.as_ref()),
        "max_latency_seconds": seconds(summary.max_latency.as_ref()),
        "verdicts": verdicts.collect::<Vec<_>>(),
    } })
}
