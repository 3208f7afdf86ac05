//! Image-text accuracy over pairs of captions that differ in one thing.
//!
//! Each trial shows a model one picture and two captions; it is right when the caption that is true
//! of the picture has the higher cosine. Chance is 0.5.

use serde::Serialize;

/// One picture before two captions.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trial {
    /// Cosine of the picture with the caption that is true of it.
    pub right: f32,
    /// Cosine with the caption that is not.
    pub wrong: f32,
}

/// Trials of one kind.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PairRow {
    /// In what the captions differ, such as `uneven_teeth`.
    pub cue: String,
    /// Code of the captions' language, such as `ko`.
    pub language: String,
    /// Number of trials, at least 1.
    pub trials: usize,
    /// Share of trials in which the true caption scores higher, 0 to 1. A tie is a miss.
    pub accuracy: f64,
    /// Mean cosine of the true caption less that of the false one.
    pub margin: f64,
}

/// Trials in the order in which their kinds first came.
#[derive(Clone, Debug, Default)]
pub struct Pairs {
    kinds: Vec<(String, String, Vec<Trial>)>,
}

impl Pairs {
    /// Adds one trial of the kind (`cue`, `language`).
    pub fn add(&mut self, cue: &str, language: &str, trial: Trial) {
        let known = self.kinds.iter_mut().find(|(c, l, _)| c == cue && l == language);
        match known {
            Some((_, _, trials)) => trials.push(trial),
            None => self.kinds.push((cue.to_owned(), language.to_owned(), vec![trial])),
        }
    }

    /// One row for each kind.
    pub fn rows(&self) -> Vec<PairRow> {
        let row = |(cue, language, trials): &(String, String, Vec<Trial>)| PairRow {
            cue: cue.clone(),
            language: language.clone(),
            trials: trials.len(),
            accuracy: share(trials),
            margin: trials.iter().map(|t| f64::from(t.right) - f64::from(t.wrong)).sum::<f64>()
                / trials.len() as f64,
        };
        self.kinds.iter().map(row).collect()
    }

    /// Accuracy over all trials; nothing where there are none.
    pub fn accuracy(&self) -> Option<f64> {
        let all: Vec<Trial> =
            self.kinds.iter().flat_map(|(_, _, trials)| trials).copied().collect();
        (!all.is_empty()).then(|| share(&all))
    }
}

fn share(trials: &[Trial]) -> f64 {
    let right = trials.iter().filter(|trial| trial.right > trial.wrong).count();
    right as f64 / trials.len() as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accuracy_counts_the_higher_cosine_and_no_ties() {
        let mut pairs = Pairs::default();
        assert_eq!(pairs.accuracy(), None);
        pairs.add("ear", "en", Trial { right: 0.5, wrong: 0.25 });
        pairs.add("ear", "en", Trial { right: 0.5, wrong: 0.5 });
        pairs.add("ear", "ko", Trial { right: 0.0, wrong: -1.0 });
        pairs.add("ear", "en", Trial { right: f32::NAN, wrong: 0.0 });
        pairs.add("ear", "en", Trial { right: 0.0, wrong: 0.75 });
        let rows = pairs.rows();
        assert_eq!(rows.len(), 2);
        assert_eq!((rows[0].trials, rows[0].accuracy), (4, 0.25));
        assert_eq!((rows[1].language.as_str(), rows[1].accuracy, rows[1].margin), ("ko", 1.0, 1.0));
        assert_eq!(pairs.accuracy(), Some(0.4));
    }
}
