//! Folds of cross-validation that never part a group.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;

use super::rows::Row;

/// Which rows belong together: a number for each row, and how many numbers there are.
pub(super) struct Groups {
    of_row: Vec<usize>,
    sizes: Vec<usize>,
}

impl Groups {
    pub(super) fn of(rows: &[Row]) -> Self {
        let (mut known, mut sizes) = (BTreeMap::new(), Vec::new());
        let mut of_row = Vec::with_capacity(rows.len());
        for row in rows {
            let next = sizes.len();
            let group = match &row.group {
                Some(name) => *known.entry(name.as_str()).or_insert(next),
                None => next,
            };
            if group == next {
                sizes.push(0);
            }
            sizes[group] += 1;
            of_row.push(group);
        }
        Self { of_row, sizes }
    }

    pub(super) fn count(&self) -> usize {
        self.sizes.len()
    }

    /// The fold of each row, below `folds`: groups by chance, the largest first, each to the fold
    /// that has the fewest rows by then. The same for the same `seed`.
    pub(super) fn folds(&self, folds: usize, seed: u64) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.sizes.len()).collect();
        order.shuffle(&mut ChaCha8Rng::seed_from_u64(seed));
        order.sort_by_key(|&group| std::cmp::Reverse(self.sizes[group]));
        let mut filled = vec![0; folds];
        let mut of_group = vec![0; self.sizes.len()];
        for group in order {
            let emptiest = (0..folds).min_by_key(|&fold| filled[fold]).unwrap_or(0);
            of_group[group] = emptiest;
            filled[emptiest] += self.sizes[group];
        }
        self.of_row.iter().map(|&group| of_group[group]).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::map::Features;

    fn rows(groups: &[Option<&str>]) -> Vec<Row> {
        let row = |group: Option<&str>| Row {
            features: Features::new(),
            label: true,
            group: group.map(str::to_owned),
        };
        groups.iter().copied().map(row).collect()
    }

    #[test]
    fn rows_without_a_group_stand_alone() {
        let groups = Groups::of(&rows(&[None, Some("a"), None, Some("b"), Some("a")]));
        assert_eq!((groups.count(), groups.of_row), (4, vec![0, 1, 2, 3, 1]));
    }

    #[test]
    fn folds_part_no_group_and_are_even() {
        let names: Vec<String> = (0..200).map(|at| format!("g{}", at % 37)).collect();
        let named: Vec<Option<&str>> = names.iter().map(|name| Some(name.as_str())).collect();
        let groups = Groups::of(&rows(&named));
        for seed in 0..20 {
            let folds = groups.folds(5, seed);
            let mut sides = BTreeMap::new();
            for (name, fold) in names.iter().zip(&folds) {
                assert_eq!(sides.entry(name).or_insert(fold), &fold, "{name} is on two sides");
            }
            let sizes = (0..5).map(|fold| folds.iter().filter(|&&f| f == fold).count());
            let sizes: Vec<usize> = sizes.collect();
            assert!(sizes.iter().all(|&size| (35..=45).contains(&size)), "{sizes:?}");
        }
        assert_eq!(groups.folds(5, 3), groups.folds(5, 3));
        assert_ne!(groups.folds(5, 3), groups.folds(5, 4));
    }
}
