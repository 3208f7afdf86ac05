//! How well what is found fits what was looked for: recall, reciprocal rank and discounted gain.
//!
//! Relevance is graded, 0 for nothing to do with it. Manning, Raghavan and Schütze 2008, chapter 8;
//! nDCG of Järvelin and Kekäläinen 2002 with the gain `2^grade − 1` of Burges et al. 2005.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use super::bootstrap::{Interval, intervals};

/// Items by how much they have to do with a query.
pub type Grades = BTreeMap<String, u32>;

/// A query and what was found.
#[derive(Clone, Debug, PartialEq)]
pub struct Ranked {
    /// Its name.
    pub id: String,
    /// By what was looked: a row of the report.
    pub by: &'static str,
    /// Ids of items, the nearest first.
    pub found: Vec<String>,
    /// The items that should be found.
    pub relevant: Grades,
}

impl Ranked {
    /// The grades of what was found, in order. An item found twice counts where it is first.
    fn grades(&self) -> Vec<u32> {
        let mut seen = BTreeSet::new();
        let first = self.found.iter().filter(|&id| seen.insert(id));
        first.map(|id| self.relevant.get(id).copied().unwrap_or(0)).collect()
    }

    /// Share of the items of at least `min_grade` that are among the first `k`. `None` where there
    /// are none.
    pub fn recall(&self, k: usize, min_grade: u32) -> Option<f64> {
        let counts = |grade: &&u32| **grade >= min_grade.max(1);
        let relevant = self.relevant.values().filter(counts).count();
        let found = self.grades().iter().take(k).filter(counts).count();
        (relevant > 0).then(|| found as f64 / relevant as f64)
    }

    /// One over the place of the first item of at least `min_grade`; 0 where none was found.
    pub fn reciprocal_rank(&self, min_grade: u32) -> f64 {
        let first = self.grades().iter().position(|&grade| grade >= min_grade.max(1));
        first.map_or(0.0, |at| 1.0 / (at + 1) as f64)
    }

    /// Normalised discounted cumulative gain of the first `k`: 1 where they are the best there are,
    /// in the best order. `None` where nothing is relevant.
    pub fn ndcg(&self, k: usize) -> Option<f64> {
        let mut ideal: Vec<u32> = self.relevant.values().copied().collect();
        ideal.sort_unstable_by(|a, b| b.cmp(a));
        let best = gain(&ideal, k);
        (best > 0.0).then(|| gain(&self.grades(), k) / best)
    }
}

/// `Σ (2^grade − 1) / log2(place + 1)` over the first `k`.
fn gain(grades: &[u32], k: usize) -> f64 {
    let discounted =
        |(at, &grade): (usize, &u32)| (f64::from(grade).exp2() - 1.0) / ((at + 2) as f64).log2();
    grades.iter().take(k).enumerate().map(discounted).sum()
}

/// Queries of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalRow {
    /// By what was looked; "all" for every query.
    pub by: &'static str,
    /// How many.
    pub queries: usize,
    /// Mean recall by how many hits are looked at.
    pub recall: Vec<RecallAt>,
    /// Mean reciprocal rank, 0 to 1.
    pub mrr: Option<f64>,
    /// Its interval, over queries.
    pub mrr_interval: Option<Interval>,
    /// Mean nDCG of the most hits that are looked at, 0 to 1.
    pub ndcg: Option<f64>,
    /// Its interval, over queries.
    pub ndcg_interval: Option<Interval>,
}

/// Recall at one depth.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecallAt {
    /// How many hits are looked at.
    pub k: usize,
    /// Mean over queries, 0 to 1.
    pub recall: Option<f64>,
    /// Its interval, over queries.
    pub interval: Option<Interval>,
}

/// How well queries were answered.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalReport {
    /// Items below this grade do not count for recall and reciprocal rank.
    pub min_grade: u32,
    /// Hits of nDCG.
    pub ndcg_k: usize,
    /// One for each kind of query in order of coming, then all.
    pub rows: Vec<RetrievalRow>,
}

impl RetrievalReport {
    /// Measures, with recall at each of `depths` and nDCG at the greatest.
    pub fn measure(ranked: &[Ranked], depths: &[usize], min_grade: u32) -> Self {
        let ndcg_k = depths.iter().copied().max().unwrap_or(1);
        let mut kinds: Vec<&'static str> = Vec::new();
        for one in ranked {
            if !kinds.contains(&one.by) {
                kinds.push(one.by);
            }
        }
        let mut rows: Vec<RetrievalRow> = kinds
            .iter()
            .map(|&by| {
                let of_kind: Vec<&Ranked> = ranked.iter().filter(|one| one.by == by).collect();
                row(by, &of_kind, (depths, ndcg_k), min_grade)
            })
            .collect();
        if kinds.len() > 1 {
            let all: Vec<&Ranked> = ranked.iter().collect();
            rows.push(row("all", &all, (depths, ndcg_k), min_grade));
        }
        Self { min_grade, ndcg_k, rows }
    }
}

fn row(
    by: &'static str,
    ranked: &[&Ranked],
    (depths, ndcg_k): (&[usize], usize),
    min_grade: u32,
) -> RetrievalRow {
    let mean = |of: &dyn Fn(&Ranked) -> Option<f64>| {
        let groups: Vec<Vec<f64>> =
            ranked.iter().filter_map(|one| of(one).map(|value| vec![value])).collect();
        let average = |values: &[&f64]| {
            let sum: f64 = values.iter().copied().sum();
            [(!values.is_empty()).then(|| sum / values.len() as f64)]
        };
        let [interval] = intervals(&groups, average);
        let all: Vec<&f64> = groups.iter().flatten().collect();
        (average(&all)[0], interval)
    };
    let recall = depths
        .iter()
        .map(|&k| {
            let (recall, interval) = mean(&|one| one.recall(k, min_grade));
            RecallAt { k, recall, interval }
        })
        .collect();
    let (mrr, mrr_interval) = mean(&|one| Some(one.reciprocal_rank(min_grade)));
    let (ndcg, ndcg_interval) = mean(&|one| one.ndcg(ndcg_k));
    RetrievalRow { by, queries: ranked.len(), recall, mrr, mrr_interval, ndcg, ndcg_interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(found: &[&str], relevant: &[(&str, u32)]) -> Ranked {
        Ranked {
            id: "q".to_owned(),
            by: "text",
            found: found.iter().map(|&id| id.to_owned()).collect(),
            relevant: relevant.iter().map(|&(id, grade)| (id.to_owned(), grade)).collect(),
        }
    }

    #[test]
    fn recall_counts_what_is_found_in_time() {
        let one = ranked(&["x", "a", "y", "b"], &[("a", 2), ("b", 1), ("c", 1), ("d", 0)]);
        assert_eq!(one.recall(1, 1), Some(0.0));
        assert_eq!(one.recall(2, 1), Some(1.0 / 3.0));
        assert_eq!(one.recall(10, 1), Some(2.0 / 3.0));
        assert_eq!(one.recall(2, 2), Some(1.0), "only what is of grade 2");
        assert_eq!(one.recall(2, 3), None);
        assert_eq!(ranked(&["a", "a"], &[("a", 1), ("b", 1)]).recall(2, 1), Some(0.5));
    }

    #[test]
    fn reciprocal_rank_is_of_the_first_hit() {
        let one = ranked(&["x", "a", "b"], &[("a", 1), ("b", 2)]);
        assert!((one.reciprocal_rank(1) - 0.5).abs() < 1e-12);
        assert!((one.reciprocal_rank(2) - 1.0 / 3.0).abs() < 1e-12);
        assert!(ranked(&["x"], &[("a", 1)]).reciprocal_rank(1).abs() < 1e-12);
    }

    /// By hand: gains 3, 0, 1, 3 against 3, 3, 1.
    #[test]
    fn discounted_gain_is_that_of_the_formula() {
        let one = ranked(&["a", "x", "c", "b"], &[("a", 2), ("b", 2), ("c", 1)]);
        let found = 3.0 + 1.0 / 4f64.log2() + 3.0 / 5f64.log2();
        let best = 3.0 + 3.0 / 3f64.log2() + 1.0 / 4f64.log2();
        assert!((one.ndcg(10).unwrap() - found / best).abs() < 1e-12);
        let at_two = 3.0 / (3.0 + 3.0 / 3f64.log2());
        assert!((one.ndcg(2).unwrap() - at_two).abs() < 1e-12);
        let best = ranked(&["b", "a", "c"], &[("a", 2), ("b", 2), ("c", 1)]);
        assert!((best.ndcg(10).unwrap() - 1.0).abs() < 1e-12);
        assert_eq!(ranked(&["a"], &[("a", 0)]).ndcg(5), None);
    }

    #[test]
    fn kinds_of_query_have_rows_of_their_own() {
        let hit = ranked(&["a"], &[("a", 1)]);
        let miss = Ranked { by: "picture", ..ranked(&["x"], &[("a", 1)]) };
        let report = RetrievalReport::measure(&[hit, miss.clone(), miss], &[1, 5], 1);
        let rows: Vec<_> = report.rows.iter().map(|row| (row.by, row.queries, row.mrr)).collect();
        let expected =
            [("text", 1, Some(1.0)), ("picture", 2, Some(0.0)), ("all", 3, Some(1.0 / 3.0))];
        assert_eq!(rows, expected);
        assert_eq!(report.ndcg_k, 5);
        assert_eq!(report.rows[0].recall[1].recall, Some(1.0));
        assert_eq!(report.rows[0].mrr_interval, None, "one query tells no spread");
        assert_eq!(report.rows[1].mrr_interval, Some(Interval { low: 0.0, high: 0.0 }));
    }
}
