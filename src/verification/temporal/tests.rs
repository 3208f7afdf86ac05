//! Verdicts as data: frames in, events and verdicts out.

use super::*;

/// No smoothing, and a verdict from the first frame on.
pub(super) fn bare() -> Rules {
    Rules {
        time_constant: Duration::ZERO,
        min_duration: Duration::ZERO,
        max_gap: Duration::from_millis(500),
        min_frames: 1,
        ..Rules::default()
    }
}

pub(super) fn thresholds() -> Thresholds {
    Thresholds::new(0.6, 0.4).unwrap()
}

/// A frame in a table: milliseconds, and a score or none.
pub(super) type Row = (i64, Option<f32>);

fn ms(time: i64) -> Time {
    Time(time * 1_000_000)
}

fn frame(number: usize, time: i64, evidence: Evidence<'_>) -> Frame<'_> {
    let sequence = number as u64;
    Frame { sequence, presentation: Some(ms(time)), arrival: Duration::ZERO, evidence }
}

/// An event in words, with the numbers of its segment's frames and of its peak.
fn words(event: &Event) -> String {
    let Segment { first_sequence, last_sequence, peak, .. } = event.segment;
    let change = match event.change {
        Change::Opened => "opened".to_owned(),
        Change::Closed(closing) => format!("closed by {closing:?}"),
    };
    format!("{change} {first_sequence}..{last_sequence} peak {}", peak.sequence)
}

/// One prompt over `rows`: each frame's events and verdict, where they are not those before.
pub(super) fn told(rules: Rules, rows: &[Row]) -> (Vec<String>, Verdicts) {
    let mut verdicts = Verdicts::new(rules, &[thresholds()]);
    let mut lines = Vec::new();
    let mut before = None;
    for (number, (time, score)) in rows.iter().enumerate() {
        let scores = score.map(|score| [score]);
        let evidence = scores.as_ref().map_or(Evidence::Missing, |s| Evidence::Scored(s));
        let events = verdicts.observe(&frame(number, *time, evidence));
        lines.extend(events.iter().map(|event| format!("{number}: {}", words(event))));
        let verdict = verdicts.standings().remove(0).verdict;
        if before.as_ref() != Some(&verdict) {
            lines.push(format!("{number}: {verdict:?}"));
            before = Some(verdict);
        }
    }
    (lines, verdicts)
}

fn check(rules: Rules, rows: &[Row], expected: &[&str]) {
    assert_eq!(told(rules, rows).0, expected, "{rows:?}");
}

/// Rows 100 ms apart.
fn steady(scores: &[f32]) -> Vec<Row> {
    (0..).step_by(100).zip(scores.iter().map(|&score| Some(score))).collect()
}

#[test]
fn a_segment_opens_at_the_upper_and_closes_below_the_lower_threshold() {
    check(
        bare(),
        &steady(&[0.1, 0.59, 0.6, 0.9, 0.5, 0.4, 0.39, 0.5, 0.7]),
        &[
            "0: Absent",
            "1: Inconclusive([BetweenThresholds])",
            "2: opened 2..2 peak 2",
            "2: Present",
            "6: closed by ScoreFell 2..5 peak 3",
            "6: Absent",
            "7: Inconclusive([BetweenThresholds])",
            "8: opened 8..8 peak 8",
            "8: Present",
        ],
    );
}

#[test]
fn a_score_between_the_thresholds_opens_nothing() {
    let rows = steady(&[0.5, 0.59, 0.4, 0.45, 0.55]);
    check(bare(), &rows, &["0: Inconclusive([BetweenThresholds])"]);
    let (_, mut verdicts) = told(bare(), &rows);
    assert_eq!(verdicts.end(Closing::StreamEnded), []);
    let summary = verdicts.summary().prompts.remove(0);
    assert_eq!(summary.verdict, Verdict::Inconclusive(vec![Reason::BetweenThresholds]));
}

#[test]
fn a_short_burst_is_no_segment_and_a_long_one_starts_in_hindsight() {
    let rules = Rules { min_duration: Duration::from_millis(200), ..bare() };
    check(
        rules,
        &steady(&[0.1, 0.9, 0.8, 0.1, 0.9, 0.7, 0.5, 0.1]),
        &[
            "0: Absent",
            "1: Inconclusive([TooShort])",
            "3: Absent",
            "4: Inconclusive([TooShort])",
            "6: opened 4..6 peak 4",
            "6: Present",
            "7: closed by ScoreFell 4..6 peak 4",
            "7: Absent",
        ],
    );
}

#[test]
fn a_segment_survives_a_short_gap_and_ends_in_a_long_one() {
    check(
        bare(),
        &[(0, Some(0.9)), (100, None), (500, None), (501, None), (600, Some(0.9))],
        &[
            "0: opened 0..0 peak 0",
            "0: Present",
            // A gap of 500 ms is survived; but of the last three frames, two are missing.
            "2: Inconclusive([TooManyMissing])",
            "3: closed by Gap 0..0 peak 0",
            "3: Inconclusive([Stale, TooManyMissing])",
            "4: opened 4..4 peak 4",
            "4: Inconclusive([TooManyMissing])",
        ],
    );
    // A leap in time is a gap, too, whether frames are missing or were never sent.
    check(
        bare(),
        &[(0, Some(0.9)), (500, Some(0.8)), (1001, Some(0.7))],
        &[
            "0: opened 0..0 peak 0",
            "0: Present",
            "2: closed by Gap 0..1 peak 0",
            "2: opened 2..2 peak 2",
        ],
    );
}

#[test]
fn after_a_gap_a_verdict_needs_its_frames_again() {
    let rules = Rules { min_frames: 2, ..bare() };
    check(
        rules,
        &[(0, Some(0.1)), (100, Some(0.1)), (900, Some(0.1)), (1000, Some(0.1))],
        &[
            "0: Inconclusive([TooFewFrames])",
            "1: Absent",
            "2: Inconclusive([TooFewFrames])",
            "3: Absent",
        ],
    );
}

#[test]
fn a_segment_opens_only_with_the_frames_that_a_verdict_needs() {
    let rules = Rules { min_frames: 3, ..bare() };
    check(
        rules,
        &steady(&[0.9, 0.9, 0.8, 0.1]),
        &[
            "0: Inconclusive([TooFewFrames])",
            "2: opened 0..2 peak 0",
            "2: Present",
            "3: closed by ScoreFell 0..2 peak 0",
            "3: Absent",
        ],
    );
}

#[test]
fn a_clock_that_goes_far_back_breaks_off() {
    let rules = Rules { min_frames: 2, ..bare() };
    let rows: Vec<Row> =
        [5000, 5100, 5050, 4600, 4599, 4650, 4700, 4750].map(|time| (time, Some(0.9))).to_vec();
    check(
        rules,
        &rows,
        &[
            "0: Inconclusive([TooFewFrames])",
            "1: opened 0..1 peak 0",
            "1: Present",
            // 4600 is 500 ms back and stands still; 4599 is further.
            "4: closed by ClockJumped 0..3 peak 0",
            "4: Inconclusive([ClockJumped, TooFewFrames])",
            "5: opened 4..5 peak 4",
            "5: Present",
        ],
    );
    let (_, mut verdicts) = told(rules, &rows);
    assert_eq!(verdicts.end(Closing::StreamEnded).len(), 1);
    let Summary { basis, clock_jumps, prompts } = verdicts.summary();
    assert_eq!((basis, clock_jumps), (Some(Basis::Presentation), 1));
    assert_eq!(prompts[0].segment_count, 2);
    assert_eq!(prompts[0].present, Duration::from_millis(100 + 151));
    assert_eq!(prompts[0].observed, prompts[0].present);
}

#[test]
fn a_clock_that_stands_still_is_one_instant() {
    let rows = [(0, Some(0.1)), (0, Some(0.9)), (0, Some(0.9)), (0, Some(0.9))];
    let rules = Rules { time_constant: Duration::from_secs(1), ..bare() };
    check(
        rules,
        &rows,
        &[
            "0: Absent",
            "1: Inconclusive([BetweenThresholds])",
            "2: opened 2..2 peak 2",
            "2: Present",
        ],
    );
    let (_, mut verdicts) = told(rules, &rows);
    verdicts.end(Closing::StreamEnded);
    let summary = verdicts.summary().prompts.remove(0);
    assert_eq!(summary.share_present(), None, "no time has passed");
}

#[test]
fn a_stream_without_scores_says_so() {
    check(bare(), &[(0, None), (100, None)], &["0: Inconclusive([NotScored, TooManyMissing])"]);
    let verdicts = Verdicts::new(bare(), &[thresholds()]);
    let standing = verdicts.standings().remove(0);
    assert_eq!(standing.verdict, Verdict::Inconclusive(vec![Reason::NotScored]));
    assert_eq!((standing.score, standing.segment), (None, None));
    let summary = verdicts.summary();
    assert_eq!(summary.basis, None);
    let prompt = &summary.prompts[0];
    assert_eq!(prompt.verdict, Verdict::Inconclusive(vec![Reason::NotScored]));
    assert_eq!((prompt.share_present(), prompt.peak), (None, None));
}

#[test]
fn a_score_that_is_no_number_is_missing_for_its_prompt_alone() {
    let mut verdicts = Verdicts::new(bare(), &[thresholds(); 3]);
    for number in 0..4 {
        let scores = [0.9, f32::NAN];
        let events =
            verdicts.observe(&frame(number, number as i64 * 100, Evidence::Scored(&scores)));
        assert_eq!(events.len(), usize::from(number == 0));
    }
    let said: Vec<Verdict> = verdicts.standings().into_iter().map(|s| s.verdict).collect();
    let nothing = Verdict::Inconclusive(vec![Reason::NotScored, Reason::TooManyMissing]);
    assert_eq!(said, [Verdict::Present, nothing.clone(), nothing]);
    let counts: Vec<(u64, u64)> =
        verdicts.summary().prompts.iter().map(|p| (p.scored, p.missing)).collect();
    assert_eq!(counts, [(4, 0), (0, 4), (0, 4)]);
}

#[test]
fn a_score_taken_over_stretches_a_segment_and_is_no_observation() {
    let mut verdicts = Verdicts::new(Rules { min_frames: 2, ..bare() }, &[thresholds()]);
    let mut events = Vec::new();
    for number in 0..5 {
        let evidence = if number == 0 || number == 4 { Evidence::Scored } else { Evidence::Reused };
        events.extend(verdicts.observe(&frame(number, number as i64 * 100, evidence(&[0.9]))));
        let few = Verdict::Inconclusive(vec![Reason::TooFewFrames]);
        let expected = if number < 4 { few } else { Verdict::Present };
        assert_eq!(verdicts.standings().remove(0).verdict, expected, "frame {number}");
    }
    assert_eq!(events.len(), 1);
    assert_eq!(events[0].segment.duration(), Duration::from_millis(400));
    assert_eq!(events[0].segment.peak.sequence, 0, "the frame that was computed");
}

#[test]
fn too_many_missing_counts_the_last_32_frames() {
    let mut verdicts = Verdicts::new(Rules { max_missing: 0.25, ..bare() }, &[thresholds()]);
    let mut missing_at = |number: usize| {
        let evidence = if number.is_multiple_of(3) || number >= 60 {
            Evidence::Scored(&[0.1])
        } else {
            Evidence::Missing
        };
        verdicts.observe(&frame(number, number as i64 * 10, evidence));
        verdicts.standings().remove(0).verdict
    };
    let said: Vec<Verdict> = (0..100).map(&mut missing_at).collect();
    let lacking = Verdict::Inconclusive(vec![Reason::TooManyMissing]);
    assert_eq!(said[0], Verdict::Absent);
    assert!(said[1..60].iter().all(|verdict| *verdict == lacking));
    // From 60 on none is missing: of the 32 frames up to 79, 8 are, which is no more than a quarter.
    let last = said.iter().rposition(|verdict| *verdict == lacking);
    assert_eq!(last, Some(78));
}

#[test]
fn the_summary_tells_the_share_of_time_and_the_strongest_segments() {
    let rules = Rules { max_segments: 2, ..bare() };
    let scores = [0.7, 0.7, 0.1, 0.9, 0.1, 0.8, 0.8, 0.8, 0.1, 0.1, 0.6];
    let (lines, mut verdicts) = told(rules, &steady(&scores));
    assert_eq!(lines.iter().filter(|line| line.contains("opened")).count(), 4);
    let ended = verdicts.end(Closing::StreamEnded);
    let ended: Vec<String> = ended.iter().map(words).collect();
    assert_eq!(ended, ["closed by StreamEnded 10..10 peak 10"]);
    let summary = verdicts.summary().prompts.remove(0);
    assert_eq!(summary.verdict, Verdict::Present);
    assert_eq!(summary.segment_count, 4);
    let kept: Vec<u64> = summary.segments.iter().map(|s| s.first_sequence).collect();
    assert_eq!(kept, [3, 5], "0.9 and 0.8 are higher than 0.7 and 0.6");
    assert_eq!(summary.present, Duration::from_millis(100 + 200));
    assert!((summary.share_present().unwrap() - 0.3).abs() < 1e-9);
    assert_eq!(summary.peak, Some(Peak { sequence: 3, time: ms(300), score: 0.9 }));
}

#[test]
fn the_summary_says_why_nothing_can_be_said() {
    let check = |rules: Rules, rows: &[Row], expected: &[Reason]| {
        let (_, mut verdicts) = told(rules, rows);
        verdicts.end(Closing::StreamEnded);
        let verdict = verdicts.summary().prompts.remove(0).verdict;
        let expected = match expected {
            [] => Verdict::Absent,
            reasons => Verdict::Inconclusive(reasons.to_vec()),
        };
        assert_eq!(verdict, expected, "{rows:?}");
    };
    let short = Rules { min_duration: Duration::from_millis(300), ..bare() };
    let three = Rules { min_frames: 3, ..bare() };
    check(bare(), &steady(&[0.1, 0.2, 0.1]), &[]);
    check(short, &steady(&[0.1, 0.9, 0.1]), &[Reason::TooShort]);
    check(short, &steady(&[0.1, 0.9]), &[Reason::TooShort]);
    check(three, &steady(&[0.1, 0.1]), &[Reason::TooFewFrames]);
    check(
        three,
        &[(9000, Some(0.1)), (0, Some(0.1)), (5, Some(0.1))],
        &[Reason::ClockJumped, Reason::TooFewFrames],
    );
    check(bare(), &[(0, Some(0.1)), (1, None), (2, None), (3, None)], &[Reason::TooManyMissing]);
}

#[test]
fn noise_around_one_threshold_does_not_chop_a_segment_up() {
    // 25 frames a second, 8 s: absent, present from 2 to 6 s, absent; noise of ±0.4.
    let noise = |n: usize| ((n * 7919) % 81) as f32 / 100.0 - 0.4;
    let truth = |n: usize| if (50..150).contains(&n) { 0.7 } else { 0.2 };
    let rows: Vec<Row> = (0..200).map(|n| (n as i64 * 40, Some(truth(n) + noise(n)))).collect();
    let opened = |rules: Rules| {
        let (_, mut verdicts) = told(rules, &rows);
        verdicts.end(Closing::StreamEnded);
        verdicts.summary().prompts.remove(0)
    };
    assert!(opened(bare()).segment_count > 10, "bare scores flicker");
    let calm = opened(Rules::default());
    assert_eq!(calm.segment_count, 1);
    let segment = calm.segments[0];
    let seconds = |time: Time| time.0 as f64 / 1e9;
    assert!((2.0..2.8).contains(&seconds(segment.start)), "{segment:?}");
    assert!((6.0..6.8).contains(&seconds(segment.end)), "{segment:?}");
}
