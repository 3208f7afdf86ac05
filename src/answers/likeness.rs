//! How much nearer something lies to a claim than to what speaks against it; pure.

use crate::verification::{dot, weighted};

/// Supports are told in hundredths of a cosine.
pub(super) const HUNDREDTHS: f32 = 100.0;

/// A claim's place in one model's space, with those it is compared with. Unit vectors, `[E]` each.
#[derive(Clone, Debug)]
pub(super) struct Directions {
    /// The claim: the mean over its prompts, made unit.
    pub(super) claim: Vec<f32>,
    /// Its contradictions.
    pub(super) against: Vec<Vec<f32>>,
    /// Prompts that say nothing in particular.
    pub(super) nulls: Vec<Vec<f32>>,
}

/// How something, a picture, a part of one or a statement, lies to a claim.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Likeness {
    /// `100 (cos(claim) − Σ softmax(100 c) c)` over the contradictions' cosines c; none without
    /// contradictions.
    pub(super) lean: Option<f32>,
    /// The same against the null prompts.
    pub(super) above_nulls: f32,
    /// The cosine of the claim.
    pub(super) claim: f32,
    /// The greatest cosine of the claim and its contradictions: whether it is about the same at all.
    pub(super) topical: f32,
}

impl Directions {
    /// Compares with a unit vector `[E]`.
    pub(super) fn compare(&self, vector: &[f32]) -> Likeness {
        let cosines = |texts: &[Vec<f32>]| -> Vec<f32> {
            texts.iter().map(|text| dot(text, vector)).collect()
        };
        let claim = dot(&self.claim, vector);
        let (against, nulls) = (cosines(&self.against), cosines(&self.nulls));
        let apart = |others: &[f32]| HUNDREDTHS * (claim - weighted(others));
        Likeness {
            lean: (!against.is_empty()).then(|| apart(&against)),
            above_nulls: apart(&nulls),
            claim,
            topical: against.iter().copied().fold(claim, f32::max),
        }
    }
}

/// The mean of unit vectors `[E]`, made unit; none where they cancel out, or there are none.
pub(super) fn mean<'a>(vectors: impl IntoIterator<Item = &'a [f32]>) -> Option<Vec<f32>> {
    let mut sum: Vec<f32> = Vec::new();
    for vector in vectors {
        if sum.is_empty() {
            sum = vector.to_vec();
        } else {
            sum.iter_mut().zip(vector).for_each(|(sum, x)| *sum += x);
        }
    }
    let length = dot(&sum, &sum).sqrt();
    (length > 1e-6).then(|| sum.into_iter().map(|x| x / length).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn directions() -> Directions {
        Directions {
            claim: vec![1.0, 0.0, 0.0],
            against: vec![vec![0.0, 1.0, 0.0]],
            nulls: vec![vec![0.0, 0.0, 1.0]],
        }
    }

    #[test]
    fn what_lies_nearer_to_the_claim_leans_to_it() {
        let near = directions().compare(&[0.8, 0.6, 0.0]);
        assert!((near.lean.unwrap() - 20.0).abs() < 1e-4);
        assert!((near.above_nulls - 80.0).abs() < 1e-4);
        assert!((near.topical - 0.8).abs() < 1e-6);
        let far = directions().compare(&[0.6, 0.8, 0.0]);
        assert!((far.lean.unwrap() + 20.0).abs() < 1e-4);
        assert!((far.topical - 0.8).abs() < 1e-6, "a contradiction is about the same thing");
    }

    #[test]
    fn the_nearest_contradiction_counts_most() {
        let mut directions = directions();
        directions.against.push(vec![0.0, 0.0, -1.0]);
        let one = directions.compare(&[0.8, 0.6, 0.0]).lean.unwrap();
        assert!((one - 20.0).abs() < 0.01, "{one}");
    }

    #[test]
    fn without_contradictions_there_is_no_lean() {
        let directions = Directions { against: Vec::new(), ..directions() };
        assert_eq!(directions.compare(&[1.0, 0.0, 0.0]).lean, None);
    }

    #[test]
    fn a_mean_is_unit_and_of_opposites_there_is_none() {
        let first = mean([&[1.0, 0.0][..], &[0.0, 1.0]]).unwrap()[0];
        assert!((first - 0.5_f32.sqrt()).abs() < 1e-6);
        assert_eq!(mean([&[1.0, 0.0][..], &[-1.0, 0.0]]), None);
        assert_eq!(mean([]), None);
    }
}
