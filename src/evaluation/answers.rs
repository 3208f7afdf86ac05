//! How well answers are checked: claim by claim against what is known to be true, the citations, and
//! the confidence of true answers against that of false ones.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use serde::Serialize;

use super::bootstrap::{Interval, intervals};
use super::dataset::Label;
use crate::calibration::{Confidence, Told};

/// An answer that was checked.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedAnswer {
    /// Code of its language.
    pub language: String,
    /// Whose evidence it is checked against; answers of one subject are drawn together for intervals.
    pub subject: String,
    /// Whether it is true.
    pub is_true: bool,
    /// The confidence told, 0 to 1, if any.
    pub confidence: Option<f64>,
    /// Its labelled claims.
    pub claims: Vec<JudgedClaim>,
}

/// A labelled claim and what was found out about it.
#[derive(Clone, Debug, PartialEq)]
pub struct JudgedClaim {
    /// What is known.
    pub label: Label,
    /// What it is about.
    pub topic: String,
    /// Of which kind it was taken for; "missed" where no claim was found there.
    pub kind: String,
    /// The confidence told, 0 to 1; absent where no witness judged it.
    pub confidence: Option<f64>,
    /// Supported or contradicted, where it was decided.
    pub decision: Option<bool>,
    /// Items that were cited, in any order.
    pub cited: BTreeSet<String>,
    /// Items that speak to it.
    pub evidence: BTreeSet<String>,
}

/// For each labelled span the found one that shares most of its bytes with it, if any does. Each is
/// taken once at most, in order.
pub fn align(labelled: &[Range<usize>], found: &[Range<usize>]) -> Vec<Option<usize>> {
    let shared =
        |a: &Range<usize>, b: &Range<usize>| a.end.min(b.end).saturating_sub(a.start.max(b.start));
    let mut taken = BTreeSet::new();
    let best = |label: &Range<usize>| {
        let free = (0..found.len()).filter(|at| !taken.contains(at));
        let best = free.max_by_key(|&at| (shared(label, &found[at]), std::cmp::Reverse(at)));
        let best = best.filter(|&at| shared(label, &found[at]) > 0);
        taken.extend(best);
        best
    };
    labelled.iter().map(best).collect()
}

/// What is measured of claims. Shares are 0 to 1, and absent where there is nothing to share.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct ClaimFigures {
    /// Claims that are true or false.
    pub claims: usize,
    /// Share of these that some witness judged.
    pub coverage: Option<f64>,
    /// Share of these that were supported or contradicted.
    pub decided: Option<f64>,
    /// Of the decided ones, the share decided rightly.
    pub accuracy: Option<f64>,
    /// The probability that a true claim was told a higher confidence than a false one.
    pub auroc: Option<f64>,
    /// Expected calibration error of the confidence, over ten bins.
    pub ece: Option<f64>,
    /// Mean squared distance of the confidence and the truth.
    pub brier: Option<f64>,
    /// Items cited, each once a claim.
    pub citations: usize,
    /// Of the cited items, the share that speaks to the claim.
    pub citation_precision: Option<f64>,
    /// Of the items that speak to a claim that was judged, the share that was cited for it.
    pub citation_recall: Option<f64>,
    /// Claims that nobody can check.
    pub uncheckable: usize,
    /// Share of these that no witness judged, as it should be.
    pub left_alone: Option<f64>,
}

impl ClaimFigures {
    /// Measures.
    pub fn measure<'a>(claims: impl Iterator<Item = &'a JudgedClaim> + Clone) -> Self {
        let checkable = claims.clone().filter_map(|claim| Some((claim, claim.label.truth()?)));
        let opinions = claims.clone().filter(|claim| claim.label == Label::Uncheckable);
        let told: Vec<Told> = checkable
            .clone()
            .filter_map(|(claim, hit)| Some(Told { probability: claim.confidence?, hit }))
            .collect();
        let decisions: Vec<bool> =
            checkable.clone().filter_map(|(claim, truth)| Some(claim.decision? == truth)).collect();
        let right = |claim: &JudgedClaim| claim.cited.intersection(&claim.evidence).count();
        let judged = checkable.clone().filter(|(claim, _)| claim.confidence.is_some());
        let count = checkable.clone().count();
        let uncheckable = opinions.clone().count();
        let citations = claims.clone().map(|claim| claim.cited.len()).sum();
        let confidence = Confidence::measure(&told);
        Self {
            claims: count,
            coverage: share(told.len(), count),
            decided: share(decisions.len(), count),
            accuracy: share(decisions.iter().filter(|&&right| right).count(), decisions.len()),
            auroc: confidence.as_ref().and_then(|confidence| confidence.auroc),
            ece: confidence.as_ref().map(|confidence| confidence.ece),
            brier: confidence.as_ref().map(|confidence| confidence.brier),
            citations,
            citation_precision: share(claims.map(right).sum(), citations),
            citation_recall: share(
                judged.clone().map(|(claim, _)| right(claim)).sum(),
                judged.map(|(claim, _)| claim.evidence.len()).sum(),
            ),
            uncheckable,
            left_alone: share(
                opinions.filter(|claim| claim.confidence.is_none()).count(),
                uncheckable,
            ),
        }
    }
}

fn share(part: usize, whole: usize) -> Option<f64> {
    (whole > 0).then(|| part as f64 / whole as f64)
}

/// What is measured of whole answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct AnswerFigures {
    /// How many.
    pub answers: usize,
    /// Mean confidence of true answers.
    pub confidence_true: Option<f64>,
    /// Mean confidence of false answers.
    pub confidence_false: Option<f64>,
    /// The probability that a true answer was told a higher confidence than a false one.
    pub auroc: Option<f64>,
}

impl AnswerFigures {
    /// Measures; answers without a confidence count in their number alone.
    pub fn measure(answers: &[&JudgedAnswer]) -> Self {
        let told: Vec<Told> = answers
            .iter()
            .filter_map(|one| Some(Told { probability: one.confidence?, hit: one.is_true }))
            .collect();
        let mean = |hit: bool| {
            let of: Vec<f64> =
                told.iter().filter(|one| one.hit == hit).map(|one| one.probability).collect();
            (!of.is_empty()).then(|| of.iter().sum::<f64>() / of.len() as f64)
        };
        Self {
            answers: answers.len(),
            confidence_true: mean(true),
            confidence_false: mean(false),
            auroc: Confidence::measure(&told).and_then(|confidence| confidence.auroc),
        }
    }
}

/// Where the figures of a [`Row`] would lie with other subjects.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Intervals {
    /// Of [`ClaimFigures::accuracy`].
    pub accuracy: Option<Interval>,
    /// Of [`ClaimFigures::auroc`].
    pub auroc: Option<Interval>,
    /// Of [`ClaimFigures::ece`].
    pub ece: Option<Interval>,
    /// Of [`ClaimFigures::citation_precision`].
    pub citation_precision: Option<Interval>,
    /// Of [`ClaimFigures::citation_recall`].
    pub citation_recall: Option<Interval>,
    /// Of [`AnswerFigures::confidence_true`].
    pub confidence_true: Option<Interval>,
    /// Of [`AnswerFigures::confidence_false`].
    pub confidence_false: Option<Interval>,
}

/// Answers of one language, or all.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Row {
    /// Code of the language, or "all".
    pub name: String,
    /// Of the answers.
    pub answers: AnswerFigures,
    /// Of their claims.
    pub claims: ClaimFigures,
    /// By drawing subjects again.
    pub intervals: Intervals,
}

/// Claims of one kind or about one thing, in all languages.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Group {
    /// The kind or the topic.
    pub name: String,
    /// Of the claims.
    #[serde(flatten)]
    pub claims: ClaimFigures,
}

/// How well answers were checked.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AnswersReport {
    /// Each language, then all.
    pub languages: Vec<Row>,
    /// By the kind that claims were taken for.
    pub kinds: Vec<Group>,
    /// By what claims are about.
    pub topics: Vec<Group>,
}

impl AnswersReport {
    /// Measures.
    pub fn measure(answers: &[JudgedAnswer]) -> Self {
        let codes: BTreeSet<&str> = answers.iter().map(|one| one.language.as_str()).collect();
        let mut languages: Vec<Row> = codes
            .iter()
            .map(|&code| row(code, answers.iter().filter(|one| one.language == code)))
            .collect();
        if codes.len() > 1 {
            languages.push(row("all", answers.iter()));
        }
        Self {
            languages,
            kinds: groups(answers, |claim| &claim.kind),
            topics: groups(answers, |claim| &claim.topic),
        }
    }

    /// The row of everything.
    pub fn overall(&self) -> Option<&Row> {
        self.languages.last()
    }
}

fn row<'a>(name: &str, answers: impl Iterator<Item = &'a JudgedAnswer> + Clone) -> Row {
    let mut subjects: BTreeMap<&str, Vec<&JudgedAnswer>> = BTreeMap::new();
    for answer in answers.clone() {
        subjects.entry(&answer.subject).or_default().push(answer);
    }
    let subjects: Vec<Vec<&JudgedAnswer>> = subjects.into_values().collect();
    let figures = |sample: &[&&JudgedAnswer]| {
        let sample: Vec<&JudgedAnswer> = sample.iter().map(|&&answer| answer).collect();
        let claims = ClaimFigures::measure(sample.iter().flat_map(|answer| &answer.claims));
        let whole = AnswerFigures::measure(&sample);
        [
            claims.accuracy,
            claims.auroc,
            claims.ece,
            claims.citation_precision,
            claims.citation_recall,
            whole.confidence_true,
            whole.confidence_false,
        ]
    };
    let [
        accuracy,
        auroc,
        ece,
        citation_precision,
        citation_recall,
        confidence_true,
        confidence_false,
    ] = intervals(&subjects, figures);
    let all: Vec<&JudgedAnswer> = answers.clone().collect();
    Row {
        name: name.to_owned(),
        answers: AnswerFigures::measure(&all),
        claims: ClaimFigures::measure(answers.flat_map(|answer| &answer.claims)),
        intervals: Intervals {
            accuracy,
            auroc,
            ece,
            citation_precision,
            citation_recall,
            confidence_true,
            confidence_false,
        },
    }
}

fn groups(answers: &[JudgedAnswer], of: impl Fn(&JudgedClaim) -> &String) -> Vec<Group> {
    let claims = || answers.iter().flat_map(|answer| &answer.claims);
    let names: BTreeSet<&String> = claims().map(&of).collect();
    let group = |name: &&String| Group {
        name: (*name).clone(),
        claims: ClaimFigures::measure(claims().filter(|claim| of(claim) == *name)),
    };
    names.iter().map(group).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(ids: &[&str]) -> BTreeSet<String> {
        ids.iter().map(|&id| id.to_owned()).collect()
    }

    fn claim(label: Label, confidence: Option<f64>) -> JudgedClaim {
        JudgedClaim {
            label,
            topic: "teeth".to_owned(),
            kind: "part".to_owned(),
            confidence,
            decision: confidence.filter(|c| !(0.3..0.7).contains(c)).map(|c| c > 0.5),
            cited: BTreeSet::new(),
            evidence: BTreeSet::new(),
        }
    }

    fn answer(language: &str, subject: &str, claims: Vec<JudgedClaim>) -> JudgedAnswer {
        let is_true = claims.iter().all(|claim| claim.label != Label::False);
        let confidence = Some(claims.iter().filter_map(|claim| claim.confidence).product());
        let (language, subject) = (language.to_owned(), subject.to_owned());
        JudgedAnswer { language, subject, is_true, confidence, claims }
    }

    #[test]
    fn claims_count_as_labelled() {
        let claims = [
            claim(Label::True, Some(0.9)),
            claim(Label::True, Some(0.2)),
            claim(Label::True, None),
            claim(Label::False, Some(0.5)),
            claim(Label::False, Some(0.1)),
            claim(Label::Uncheckable, None),
            claim(Label::Uncheckable, Some(0.8)),
        ];
        let figures = ClaimFigures::measure(claims.iter());
        assert_eq!((figures.claims, figures.uncheckable), (5, 2));
        assert_eq!(figures.coverage, Some(0.8));
        assert_eq!(figures.decided, Some(0.6));
        assert_eq!(figures.accuracy, Some(2.0 / 3.0), "0.9 and 0.1 are right, 0.2 is not");
        assert_eq!(figures.auroc, Some(0.75));
        assert_eq!(figures.left_alone, Some(0.5));
        assert_eq!((figures.citations, figures.citation_precision), (0, None));
        let nothing = ClaimFigures::measure([].iter());
        assert_eq!(nothing, ClaimFigures::default());
    }

    #[test]
    fn citations_are_right_where_their_item_speaks_to_the_claim() {
        let with = |label, confidence, cited: &[&str], evidence: &[&str]| JudgedClaim {
            cited: set(cited),
            evidence: set(evidence),
            ..claim(label, confidence)
        };
        let claims = [
            with(Label::True, Some(0.9), &["a", "x"], &["a", "b"]),
            with(Label::False, Some(0.1), &["c"], &["c"]),
            // Not judged: what it lacks is a matter of coverage.
            with(Label::True, None, &[], &["d"]),
            // A citation for what nobody can check is wrong.
            with(Label::Uncheckable, None, &["a"], &[]),
        ];
        let figures = ClaimFigures::measure(claims.iter());
        assert_eq!(figures.citations, 4);
        assert_eq!(figures.citation_precision, Some(0.5));
        assert_eq!(figures.citation_recall, Some(2.0 / 3.0));
    }

    #[test]
    fn languages_kinds_and_topics_have_rows_of_their_own() {
        let wrong = |value| claim(Label::False, Some(value));
        let right = |value| claim(Label::True, Some(value));
        let count = JudgedClaim { kind: "count".to_owned(), ..right(0.8) };
        let answers = [
            answer("en", "1", vec![right(0.9), count]),
            answer("en", "1", vec![right(0.5), wrong(0.2)]),
            answer("ko", "2", vec![right(0.6)]),
        ];
        let report = AnswersReport::measure(&answers);
        let names: Vec<&str> = report.languages.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(names, ["en", "ko", "all"]);
        let english = report.languages[0].answers;
        assert!((english.confidence_true.unwrap() - 0.72).abs() < 1e-12);
        assert!((english.confidence_false.unwrap() - 0.1).abs() < 1e-12);
        assert_eq!(english.auroc, Some(1.0));
        assert_eq!(report.languages[1].answers.confidence_false, None);
        assert_eq!(report.overall().unwrap().claims.claims, 5);
        assert_eq!(
            report.languages[0].intervals,
            Intervals::default(),
            "one subject has no spread"
        );
        assert!(report.overall().unwrap().intervals.ece.is_some());
        let kinds: Vec<(&str, usize)> =
            report.kinds.iter().map(|group| (group.name.as_str(), group.claims.claims)).collect();
        assert_eq!(kinds, [("count", 1), ("part", 4)]);
        assert_eq!(report.topics.len(), 1);
    }

    #[test]
    fn labels_find_the_claim_that_shares_most_with_them() {
        let check = |labelled: &[(usize, usize)], found: &[(usize, usize)], expected: &[_]| {
            let ranges = |spans: &[(usize, usize)]| -> Vec<Range<usize>> {
                spans.iter().map(|&(start, end)| start..end).collect()
            };
            let aligned = align(&ranges(labelled), &ranges(found));
            assert_eq!(aligned, expected, "{labelled:?} {found:?}");
        };
        check(&[(0, 5), (6, 9)], &[(0, 5), (6, 9)], &[Some(0), Some(1)]);
        check(&[(0, 5), (6, 20)], &[(0, 20)], &[Some(0), None]);
        check(&[(0, 10)], &[(0, 3), (4, 10)], &[Some(1)]);
        check(&[(0, 5), (8, 9)], &[(6, 7)], &[None, None]);
        check(&[(3, 8)], &[], &[None]);
    }
}
