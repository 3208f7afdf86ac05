//! What holds of verdicts over any frames at all.

use proptest::prelude::*;

use super::tests::{Row, bare, thresholds, told};
use super::*;

/// A frame of the properties: its step in time, and what it says.
#[derive(Clone, Debug)]
enum Seen {
    Scored(f32),
    Reused(f32),
    Missing,
}

impl Seen {
    fn evidence(&self) -> Evidence<'_> {
        match self {
            Self::Scored(score) => Evidence::Scored(std::slice::from_ref(score)),
            Self::Reused(score) => Evidence::Reused(std::slice::from_ref(score)),
            Self::Missing => Evidence::Missing,
        }
    }
}

fn any_seen() -> impl Strategy<Value = Seen> {
    prop_oneof![
        6 => (0.0f32..1.0).prop_map(Seen::Scored),
        1 => (0.0f32..1.0).prop_map(Seen::Reused),
        1 => any::<f32>().prop_map(Seen::Scored),
        2 => Just(Seen::Missing),
    ]
}

/// Mostly a step forward in milliseconds, sometimes anything at all, sometimes nothing told.
fn any_time() -> impl Strategy<Value = Option<Result<i64, i64>>> {
    prop_oneof![
        12 => (0i64..300).prop_map(|step| Some(Ok(step))),
        2 => (-1500i64..1500).prop_map(|step| Some(Ok(step))),
        1 => any::<i64>().prop_map(|nanos| Some(Err(nanos))),
        1 => Just(None),
    ]
}

fn any_rules() -> impl Strategy<Value = Rules> {
    let numbers = (0u64..800, 0u64..500, 0u64..800, 1u32..5, 0.0f32..=1.0, 0usize..4);
    (numbers, prop::option::of(0u64..100)).prop_map(|(numbers, interval)| {
        let (smooth, shortest, gap, min_frames, max_missing, max_segments) = numbers;
        Rules {
            time_constant: Duration::from_millis(smooth),
            min_duration: Duration::from_millis(shortest),
            max_gap: Duration::from_millis(gap),
            min_frames,
            max_missing,
            max_segments,
            frame_interval: interval.map(Duration::from_millis),
        }
    })
}

/// Segments found with everything known beforehand: without smoothing, on times that only rise.
fn in_hindsight(rules: &Rules, rows: &[Row]) -> Vec<(u64, u64)> {
    let scored: Vec<(u64, i64, f32)> = (0..)
        .zip(rows)
        .filter_map(|(number, (time, score))| Some((number, *time, (*score)?)))
        .collect();
    let max_gap = rules.max_gap.as_millis() as i64;
    let mut found = Vec::new();
    for unbroken in scored.chunk_by(|a, b| b.1 - a.1 <= max_gap) {
        let mut rest = unbroken;
        while let Some(start) = rest.iter().position(|frame| frame.2 >= thresholds().open_at()) {
            rest = &rest[start..];
            let holds = rest.iter().take_while(|frame| frame.2 >= thresholds().close_at());
            let (segment, after) = rest.split_at(holds.count());
            let (first, last) = (segment[0], segment[segment.len() - 1]);
            if Duration::from_millis((last.1 - first.1) as u64) >= rules.min_duration {
                found.push((first.0, last.0));
            }
            rest = after;
        }
    }
    found
}

proptest! {
    #[test]
    fn whatever_comes_segments_open_and_close_in_turn(
        rules in any_rules(),
        frames in prop::collection::vec((any_time(), any_seen()), 0..120),
    ) {
        let mut verdicts = Verdicts::new(rules, &[thresholds()]);
        let mut time = 0i64;
        let (mut open, mut opened, mut closed) = (None, 0u64, Vec::new());
        let mut take = |events: Vec<Event>| {
            for event in events {
                let segment = event.segment;
                assert!(segment.start <= segment.end);
                assert!(segment.first_sequence <= segment.last_sequence);
                assert!((segment.start..=segment.end).contains(&segment.peak.time));
                assert!(segment.duration() >= rules.min_duration);
                match event.change {
                    Change::Opened => {
                        assert_eq!(open.replace(segment.first_sequence), None);
                        opened += 1;
                    }
                    Change::Closed(_) => {
                        assert_eq!(open.take(), Some(segment.first_sequence));
                        closed.push(segment);
                    }
                }
            }
            open
        };
        for (number, (step, seen)) in frames.iter().enumerate() {
            let presentation = step.map(|step| match step {
                Ok(step) => {
                    time = time.saturating_add(step * 1_000_000);
                    Time(time)
                }
                Err(nanos) => {
                    time = nanos;
                    Time(nanos)
                }
            });
            let arrival = Duration::from_millis(number as u64 * 33);
            let sequence = number as u64;
            let frame = Frame { sequence, presentation, arrival, evidence: seen.evidence() };
            let open = take(verdicts.observe(&frame));
            let standing = verdicts.standings().remove(0);
            prop_assert_eq!(standing.segment.map(|segment| segment.first_sequence), open);
            if standing.verdict == Verdict::Present {
                prop_assert!(open.is_some());
            }
            if let Some(score) = standing.score {
                prop_assert!(score.is_finite());
            }
        }
        prop_assert_eq!(take(verdicts.end(Closing::StreamEnded)), None);
        let summary = verdicts.summary().prompts.remove(0);
        prop_assert_eq!(summary.segment_count, opened);
        prop_assert_eq!(summary.scored + summary.missing, frames.len() as u64);
        prop_assert!(summary.present <= summary.observed);
        let share = summary.share_present();
        prop_assert!(share.is_none_or(|share| (0.0..=1.0).contains(&share)));
        prop_assert_eq!(summary.verdict == Verdict::Present, opened > 0);
        // Those kept are the strongest, in their order.
        closed.sort_by(|a: &Segment, b: &Segment| b.peak.score.total_cmp(&a.peak.score));
        closed.truncate(rules.max_segments);
        closed.sort_by_key(|segment| segment.first_sequence);
        prop_assert_eq!(summary.segments, closed);
    }

    #[test]
    fn frame_by_frame_finds_what_hindsight_finds(
        steps in prop::collection::vec((1i64..400, prop::option::weighted(0.8, 0.0f32..1.0)), 0..80),
        min_duration in 0u64..600,
    ) {
        let rules = Rules {
            min_duration: Duration::from_millis(min_duration),
            max_segments: usize::MAX,
            ..bare()
        };
        let mut time = 0;
        let rows: Vec<Row> = steps.iter().map(|(step, score)| {
            time += step;
            (time, *score)
        }).collect();
        let (_, mut verdicts) = told(rules, &rows);
        verdicts.end(Closing::StreamEnded);
        let kept = verdicts.summary().prompts.remove(0).segments;
        let found: Vec<_> = kept.iter().map(|s| (s.first_sequence, s.last_sequence)).collect();
        prop_assert_eq!(found, in_hindsight(&rules, &rows));
    }

    #[test]
    fn a_later_start_moves_segments_and_changes_nothing_else(
        steps in prop::collection::vec((0i64..300, prop::option::weighted(0.9, 0.0f32..1.0)), 1..60),
        shift in -1_000_000i64..1_000_000,
        rules in any_rules(),
    ) {
        let run = |shift: i64| {
            let mut time = shift;
            let rows: Vec<Row> = steps.iter().map(|(step, score)| {
                time += step;
                (time, *score)
            }).collect();
            told(rules, &rows).0
        };
        prop_assert_eq!(run(0), run(shift));
    }
}
