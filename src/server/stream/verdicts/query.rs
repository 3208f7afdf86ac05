//! What verdicts a stream asks for, from the wire, checked.

use std::time::Duration;

use crate::proto::v1;
use crate::server::limits::{RequestLimits, count, number, share};
use crate::serving::ServingError;
use crate::verification::Similarity;
use crate::verification::temporal::{Figure, Rules, Thresholds, Verdicts};

/// Longest duration that a query may name.
const LONGEST: Duration = Duration::from_hours(1);
/// Most frames that a verdict may need.
const MOST_FRAMES: usize = 1000;

/// What verdicts a stream asks for.
#[derive(Debug)]
pub(in crate::server) struct Plan {
    rules: Rules,
    figure: Figure,
    subjects: Vec<Subject>,
    /// What the figures come from.
    similarity: Similarity,
    pub(super) in_results: bool,
}

/// A prompt to judge.
#[derive(Debug, PartialEq)]
struct Subject {
    prompt: String,
    /// Its place among the similarity part's prompts, and that of its opposite.
    at: usize,
    opposite_at: Option<usize>,
    thresholds: Thresholds,
}

impl Plan {
    /// Verdicts that have seen nothing.
    pub(super) fn begin(&self) -> Verdicts {
        let thresholds: Vec<Thresholds> = self.subjects.iter().map(|s| s.thresholds).collect();
        Verdicts::new(self.rules, &thresholds)
    }

    /// Whether the verdicts of `before` go on under this plan: they mean the same.
    pub(super) fn continues(&self, before: &Self) -> bool {
        if std::ptr::eq(self, before) {
            return true;
        }
        let Self { rules, figure, subjects, similarity, in_results: _ } = self;
        *rules == before.rules
            && *figure == before.figure
            && *subjects == before.subjects
            && *similarity == before.similarity
    }

    /// The prompt at a place.
    pub(super) fn prompt(&self, index: usize) -> String {
        self.subjects.get(index).map(|subject| subject.prompt.clone()).unwrap_or_default()
    }

    /// Whether the scores' confidences are judged.
    pub(in crate::server) fn judges_confidence(&self) -> bool {
        self.figure == Figure::Confidence
    }

    /// Each prompt's figure, of the similarity part's scores; NaN where there is none.
    pub(super) fn figures(&self, scores: &[v1::Score]) -> Vec<f32> {
        let cosine = |at: usize| scores.get(at).map_or(f32::NAN, |score| score.cosine);
        let figure = |subject: &Subject| {
            let Some(score) = scores.get(subject.at) else { return f32::NAN };
            match self.figure {
                Figure::Contrast => score.contrast,
                Figure::Cosine => score.cosine,
                Figure::Softmax => score.softmax,
                Figure::Confidence => score.confidence.map_or(f32::NAN, |told| told as f32),
                Figure::Margin => score.cosine - subject.opposite_at.map_or(f32::NAN, cosine),
            }
        };
        self.subjects.iter().map(figure).collect()
    }
}

/// Checks every field, which are named from the configuration's root.
pub(in crate::server) fn convert(
    query: v1::VerdictQuery,
    similarity: Option<&Similarity>,
    limits: &RequestLimits,
) -> Result<Plan, ServingError> {
    let Some(similarity) = similarity else {
        let reason = "judges scores of the whole frame: set similarity, too";
        return Err(ServingError::invalid("verdicts", reason));
    };
    let figure = convert_figure(query.figure)?;
    if figure == Figure::Confidence && similarity.nulls.is_some() {
        let reason = "is CONFIDENCE, which is fitted to the server's null prompts: leave \
                      similarity.null_prompts empty";
        return Err(ServingError::invalid("verdicts.figure", reason));
    }
    let defaults = figure.thresholds();
    let common = Levels {
        open_at: query.open_at.unwrap_or(defaults.open_at()),
        close_at: query.close_at.unwrap_or(defaults.close_at()),
    };
    // The query's own pair must make sense even where each prompt has its own.
    common.check("verdicts")?;
    let rules = rules(&query, limits)?;
    count("verdicts.prompts", query.prompts.len(), limits.max_prompts)?;
    let mut prompts = query.prompts;
    if prompts.is_empty() {
        prompts = every(&similarity.prompts);
    }
    let mut subjects: Vec<Subject> = Vec::with_capacity(prompts.len());
    for (index, prompt) in prompts.into_iter().enumerate() {
        let field = format!("verdicts.prompts[{index}]");
        let subject = convert_prompt(&field, prompt, similarity, (figure, common))?;
        if subjects.iter().any(|other| other.prompt == subject.prompt) {
            let reason = format!("repeats '{}'", subject.prompt);
            return Err(ServingError::invalid(format!("{field}.prompt"), reason));
        }
        subjects.push(subject);
    }
    let in_results = !query.omit_from_results;
    Ok(Plan { rules, figure, subjects, similarity: similarity.clone(), in_results })
}

/// Every prompt once.
fn every(prompts: &[String]) -> Vec<v1::VerdictPrompt> {
    let first = |(at, prompt): (usize, &String)| {
        let prompt = (!prompts[..at].contains(prompt)).then(|| prompt.clone())?;
        Some(v1::VerdictPrompt { prompt, ..Default::default() })
    };
    prompts.iter().enumerate().filter_map(first).collect()
}

fn convert_figure(figure: i32) -> Result<Figure, ServingError> {
    match v1::VerdictFigure::try_from(figure) {
        Ok(v1::VerdictFigure::Unspecified | v1::VerdictFigure::Contrast) => Ok(Figure::Contrast),
        Ok(v1::VerdictFigure::Cosine) => Ok(Figure::Cosine),
        Ok(v1::VerdictFigure::Softmax) => Ok(Figure::Softmax),
        Ok(v1::VerdictFigure::Margin) => Ok(Figure::Margin),
        Ok(v1::VerdictFigure::Confidence) => Ok(Figure::Confidence),
        Err(_) => {
            let reason = format!("is {figure}, which is no known value");
            Err(ServingError::invalid("verdicts.figure", reason))
        }
    }
}

/// Thresholds that may not fit together.
#[derive(Clone, Copy)]
struct Levels {
    open_at: f32,
    close_at: f32,
}

impl Levels {
    fn check(self, field: &str) -> Result<Thresholds, ServingError> {
        let Self { open_at, close_at } = self;
        Thresholds::new(open_at, close_at).ok_or_else(|| {
            let reason = format!("is {open_at}, must be finite and above close_at, {close_at}");
            ServingError::invalid(format!("{field}.open_at"), reason)
        })
    }
}

fn convert_prompt(
    field: &str,
    asked: v1::VerdictPrompt,
    similarity: &Similarity,
    (figure, common): (Figure, Levels),
) -> Result<Subject, ServingError> {
    let v1::VerdictPrompt { prompt, opposite, open_at, close_at } = asked;
    let place = |name: &str, text: &str| {
        similarity.prompts.iter().position(|known| known == text).ok_or_else(|| {
            let reason = format!("'{text}' is not among similarity.prompts");
            ServingError::invalid(format!("{field}.{name}"), reason)
        })
    };
    let at = place("prompt", &prompt)?;
    let wrong = |reason| Err(ServingError::invalid(format!("{field}.opposite"), reason));
    let opposite_at = match (figure, opposite.is_empty()) {
        (Figure::Margin, true) => return wrong("is required with the figure MARGIN"),
        (Figure::Margin, false) if opposite == prompt => return wrong("is the prompt itself"),
        (Figure::Margin, false) => Some(place("opposite", &opposite)?),
        (_, true) => None,
        (_, false) => return wrong("is read with the figure MARGIN only"),
    };
    let levels = Levels {
        open_at: open_at.unwrap_or(common.open_at),
        close_at: close_at.unwrap_or(common.close_at),
    };
    Ok(Subject { thresholds: levels.check(field)?, prompt, at, opposite_at })
}

fn rules(query: &v1::VerdictQuery, limits: &RequestLimits) -> Result<Rules, ServingError> {
    let mut rules = Rules::default();
    let given = [
        ("time_constant", &query.time_constant, &mut rules.time_constant),
        ("min_duration", &query.min_duration, &mut rules.min_duration),
        ("max_gap", &query.max_gap, &mut rules.max_gap),
    ];
    for (name, given, rule) in given {
        if let Some(given) = given {
            *rule = duration(name, given)?;
        }
    }
    if let Some(interval) = &query.frame_interval {
        let interval = duration("frame_interval", interval)?;
        if interval.is_zero() {
            return Err(ServingError::invalid("verdicts.frame_interval", "is 0s, must be above 0"));
        }
        rules.frame_interval = Some(interval);
    }
    if let Some(frames) = query.min_frames {
        rules.min_frames = number("verdicts.min_frames", frames, MOST_FRAMES)? as u32;
    }
    if let Some(missing) = query.max_missing {
        rules.max_missing = share("verdicts.max_missing", missing)?;
    }
    if let Some(segments) = query.max_segments {
        let limit = limits.max_verdict_segments;
        if segments as usize > limit {
            let reason = format!("is {segments}, limit {limit}");
            return Err(ServingError::invalid("verdicts.max_segments", reason));
        }
        rules.max_segments = segments as usize;
    }
    Ok(rules)
}

fn duration(name: &str, given: &prost_types::Duration) -> Result<Duration, ServingError> {
    match Duration::try_from(*given) {
        Ok(duration) if duration <= LONGEST => Ok(duration),
        Ok(_) | Err(_) => {
            let reason = format!("is {given}, must be 0s to {}s", LONGEST.as_secs());
            Err(ServingError::invalid(format!("verdicts.{name}"), reason))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn similarity() -> Similarity {
        let prompts = ["uneven teeth", "even teeth", "a seam"].map(str::to_owned).to_vec();
        Similarity { prompts, ..Similarity::default() }
    }

    fn prompt(prompt: &str, opposite: &str) -> v1::VerdictPrompt {
        let (prompt, opposite) = (prompt.to_owned(), opposite.to_owned());
        v1::VerdictPrompt { prompt, opposite, ..Default::default() }
    }

    fn converted(query: v1::VerdictQuery) -> Result<Plan, ServingError> {
        convert(query, Some(&similarity()), &RequestLimits::default())
    }

    #[test]
    fn what_is_left_out_takes_the_documented_default() {
        let plan = converted(v1::VerdictQuery::default()).unwrap();
        assert_eq!(plan.rules, Rules::default());
        assert_eq!((plan.figure, plan.in_results), (Figure::Contrast, true));
        let prompts: Vec<&str> = plan.subjects.iter().map(|s| s.prompt.as_str()).collect();
        assert_eq!(prompts, ["uneven teeth", "even teeth", "a seam"]);
        for subject in &plan.subjects {
            assert_eq!(subject.thresholds, Thresholds::new(0.02, 0.01).unwrap());
        }
    }

    #[test]
    fn a_zero_that_was_sent_is_not_a_default() {
        let zero = Some(prost_types::Duration::default());
        let plan = converted(v1::VerdictQuery {
            time_constant: zero,
            min_duration: zero,
            max_gap: zero,
            max_segments: Some(0),
            max_missing: Some(0.0),
            open_at: Some(0.0),
            close_at: Some(-0.5),
            ..Default::default()
        });
        let Plan { rules, subjects, .. } = plan.unwrap();
        let durations = [rules.time_constant, rules.min_duration, rules.max_gap];
        assert_eq!(durations, [Duration::ZERO; 3]);
        assert_eq!((rules.max_segments, rules.max_missing.to_bits()), (0, 0));
        assert_eq!(subjects[0].thresholds, Thresholds::new(0.0, -0.5).unwrap());
    }

    fn refused(query: v1::VerdictQuery, message: &str) {
        assert_eq!(converted(query).unwrap_err().to_string(), message);
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        let query = v1::VerdictQuery::default;
        let error = convert(query(), None, &RequestLimits::default()).unwrap_err();
        let reason = "verdicts: judges scores of the whole frame: set similarity, too";
        assert_eq!(error.to_string(), reason);
        refused(
            v1::VerdictQuery { figure: 9, ..query() },
            "verdicts.figure: is 9, which is no known value",
        );
        refused(
            v1::VerdictQuery { open_at: Some(0.01), ..query() },
            "verdicts.open_at: is 0.01, must be finite and above close_at, 0.01",
        );
        refused(
            v1::VerdictQuery { min_frames: Some(0), ..query() },
            "verdicts.min_frames: is 0, must be 1 to 1000",
        );
        refused(
            v1::VerdictQuery { max_missing: Some(f32::NAN), ..query() },
            "verdicts.max_missing: is NaN, must be 0 to 1",
        );
        refused(
            v1::VerdictQuery { max_segments: Some(65), ..query() },
            "verdicts.max_segments: is 65, limit 64",
        );
    }

    #[test]
    fn each_bad_prompt_is_refused_by_name() {
        let query = |prompts| v1::VerdictQuery { prompts, ..Default::default() };
        let margin = |prompts| v1::VerdictQuery { figure: 4, ..query(prompts) };
        refused(
            query(vec![prompt("a nose", "")]),
            "verdicts.prompts[0].prompt: 'a nose' is not among similarity.prompts",
        );
        refused(
            query(vec![prompt("a seam", ""); 2]),
            "verdicts.prompts[1].prompt: repeats 'a seam'",
        );
        let required = "verdicts.prompts[0].opposite: is required with the figure MARGIN";
        refused(margin(vec![prompt("a seam", "")]), required);
        refused(margin(Vec::new()), required);
        refused(
            margin(vec![prompt("a seam", "a seam")]),
            "verdicts.prompts[0].opposite: is the prompt itself",
        );
        refused(
            margin(vec![prompt("uneven teeth", "even teeth"), prompt("a seam", "no seam")]),
            "verdicts.prompts[1].opposite: 'no seam' is not among similarity.prompts",
        );
        refused(
            query(vec![prompt("a seam", "even teeth")]),
            "verdicts.prompts[0].opposite: is read with the figure MARGIN only",
        );
        let mut own = prompt("a seam", "");
        own.close_at = Some(0.5);
        refused(
            query(vec![own]),
            "verdicts.prompts[0].open_at: is 0.02, must be finite and above close_at, 0.5",
        );
    }

    #[test]
    fn durations_have_a_range() {
        let seconds = |seconds| Some(prost_types::Duration { seconds, nanos: 0 });
        let query = v1::VerdictQuery::default;
        refused(
            v1::VerdictQuery { max_gap: seconds(-1), ..query() },
            "verdicts.max_gap: is -1s, must be 0s to 3600s",
        );
        refused(
            v1::VerdictQuery { time_constant: seconds(3601), ..query() },
            "verdicts.time_constant: is 3601s, must be 0s to 3600s",
        );
        refused(
            v1::VerdictQuery { frame_interval: seconds(0), ..query() },
            "verdicts.frame_interval: is 0s, must be above 0",
        );
    }

    #[test]
    fn each_figure_is_read_from_the_scores() {
        let score = |cosine, contrast, softmax| v1::Score {
            cosine,
            contrast,
            softmax,
            confidence: Some(f64::from(softmax) / 2.0),
            ..Default::default()
        };
        let scores = [score(0.3, 0.03, 0.7), score(0.2, 0.01, 0.2), score(0.1, -0.02, 0.1)];
        let figures = |figure: v1::VerdictFigure, opposite: &str| {
            let prompts = vec![prompt("uneven teeth", opposite)];
            let query = v1::VerdictQuery { figure: figure.into(), prompts, ..Default::default() };
            let plan = converted(query).unwrap();
            assert!(plan.figures(&[])[0].is_nan());
            plan.figures(&scores)[0]
        };
        for (figure, opposite, expected) in [
            (v1::VerdictFigure::Contrast, "", 0.03),
            (v1::VerdictFigure::Cosine, "", 0.3),
            (v1::VerdictFigure::Softmax, "", 0.7),
            (v1::VerdictFigure::Margin, "even teeth", 0.1),
            (v1::VerdictFigure::Confidence, "", 0.35),
        ] {
            assert!((figures(figure, opposite) - expected).abs() < 1e-6, "{figure:?}");
        }
    }

    #[test]
    fn a_confidence_has_its_thresholds_and_needs_the_servers_nulls() {
        let query = || v1::VerdictQuery { figure: 5, ..Default::default() };
        let plan = converted(query()).unwrap();
        assert!(plan.judges_confidence());
        assert_eq!(plan.subjects[0].thresholds, Thresholds::new(0.6, 0.4).unwrap());
        assert!(plan.figures(&[v1::Score::default()])[0].is_nan(), "an uncalibrated score");
        let other = Similarity { nulls: Some(vec!["a".to_owned()]), ..similarity() };
        let error = convert(query(), Some(&other), &RequestLimits::default()).unwrap_err();
        let said = "verdicts.figure: is CONFIDENCE, which is fitted to the server's null prompts: \
                    leave similarity.null_prompts empty";
        assert_eq!(error.to_string(), said);
    }

    #[test]
    fn a_plan_goes_on_where_it_means_the_same() {
        let plan = |query| converted(query).unwrap();
        let base = plan(v1::VerdictQuery::default());
        let quiet = v1::VerdictQuery { omit_from_results: true, ..Default::default() };
        assert!(plan(quiet).continues(&base));
        let higher = v1::VerdictQuery { open_at: Some(0.5), ..Default::default() };
        assert!(!plan(higher).continues(&base));
        let cosine = v1::VerdictQuery { figure: 2, ..Default::default() };
        assert!(!plan(cosine).continues(&base));
        let mut other = similarity();
        other.nulls = Some(vec!["a".to_owned()]);
        let limits = RequestLimits::default();
        let other = convert(v1::VerdictQuery::default(), Some(&other), &limits).unwrap();
        assert!(!other.continues(&base), "its contrasts are taken against another null");
    }
}
