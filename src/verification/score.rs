//! Embeddings to scores; pure.

use super::result::Score;
use crate::calibration::{CalibrationFile, Features};
use crate::serving::clip::TextEmbedding;

/// How sharply the null prompts compete for the contrast: that of the published checkpoints.
const NULL_SCALE: f32 = 100.0;

/// Texts whose embeddings are this near are one text: a null prompt that is also asked for says
/// nothing about itself.
const SAME_TEXT_COSINE: f32 = 0.9999;

/// Scores of `prompts` against one picture's unit embedding `[E]`. `scale` is the model's factor
/// between cosine and logit; `nulls` must not be empty.
pub(super) fn scores(
    prompts: &[String],
    texts: &[TextEmbedding],
    nulls: &[TextEmbedding],
    image: &[f32],
    scale: f32,
) -> Vec<Score> {
    let cosines: Vec<f32> = texts.iter().map(|text| dot(&text.vector, image)).collect();
    let logits: Vec<f32> = cosines.iter().map(|cosine| cosine * scale).collect();
    let shares = softmax(&logits);
    let null_cosines: Vec<f32> = nulls.iter().map(|null| dot(&null.vector, image)).collect();
    let baseline = |text: &TextEmbedding| {
        let others = nulls.iter().zip(&null_cosines);
        let others = others.filter(|(null, _)| dot(&null.vector, &text.vector) <= SAME_TEXT_COSINE);
        weighted(&others.map(|(_, &cosine)| cosine).collect::<Vec<_>>())
    };
    let rows = prompts.iter().zip(texts).zip(&cosines).zip(&shares);
    rows.map(|(((prompt, text), &cosine), &softmax)| Score {
        prompt: prompt.clone(),
        cosine,
        logit: cosine * scale,
        softmax,
        contrast: cosine - baseline(text),
        confidence: None,
        tokens: text.tokens,
        truncated: text.truncated,
    })
    .collect()
}

/// The figures of a score that a calibration of prompts or of verdicts reads: `contrast` and
/// `cosine`, each 100 times as large as in the score.
pub fn prompt_figures(score: &Score) -> Features {
    let figures = [("contrast", score.contrast), ("cosine", score.cosine)];
    figures.map(|(name, value)| (name.to_owned(), 100.0 * f64::from(value))).into()
}

/// Sets each score's confidence.
pub(super) fn confide(scores: &mut [Score], calibration: &CalibrationFile) {
    for score in scores.iter_mut().filter(|score| score.cosine.is_finite()) {
        score.confidence = Some(calibration.probability(&prompt_figures(score)));
    }
}

/// `Σ softmax(100 c) c`: what the nearest of several texts score together, as null prompts and
/// contradictions do; 0 of none.
pub fn weighted(cosines: &[f32]) -> f32 {
    let logits: Vec<f32> = cosines.iter().map(|cosine| cosine * NULL_SCALE).collect();
    softmax(&logits).iter().zip(cosines).map(|(weight, cosine)| weight * cosine).sum()
}

fn softmax(logits: &[f32]) -> Vec<f32> {
    let max = logits.iter().copied().fold(f32::NEG_INFINITY, f32::max);
    let exps: Vec<f32> = logits.iter().map(|logit| (logit - max).exp()).collect();
    let sum: f32 = exps.iter().sum();
    exps.iter().map(|exp| exp / sum).collect()
}

/// The dot product; of unit vectors, their cosine.
pub fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::calibration::{Fit, Kind};

    fn text(vector: &[f32]) -> TextEmbedding {
        TextEmbedding { vector: vector.into(), tokens: 3, truncated: false }
    }

    #[test]
    fn scores_hold_cosine_logit_softmax_and_contrast() {
        let prompts = ["a".to_owned(), "b".to_owned()];
        let texts = [text(&[1.0, 0.0]), text(&[0.0, 1.0])];
        let scores = scores(&prompts, &texts, &[text(&[0.0, 1.0])], &[0.6, 0.8], 10.0);
        // The null is the second prompt itself, which is then compared with nothing.
        let expected = [(0.6, 6.0, 0.119_203, -0.2), (0.8, 8.0, 0.880_797, 0.8)];
        for (score, (cosine, logit, softmax, contrast)) in scores.iter().zip(expected) {
            assert!((score.cosine - cosine).abs() < 1e-6, "{score:?}");
            assert!((score.logit - logit).abs() < 1e-5, "{score:?}");
            assert!((score.softmax - softmax).abs() < 1e-5, "{score:?}");
            assert!((score.contrast - contrast).abs() < 1e-6, "{score:?}");
        }
    }

    #[test]
    fn confidences_are_the_calibrations_of_contrast_and_cosine() {
        let scores = |prompts: &[String]| {
            let texts = [text(&[1.0, 0.0]), text(&[f32::NAN, 1.0])];
            scores(prompts, &texts, &[text(&[0.0, 1.0])], &[0.6, 0.8], 10.0)
        };
        let mut scores = scores(&["a".to_owned(), "b".to_owned()]);
        let figures = prompt_figures(&scores[0]);
        assert!((figures["contrast"] - -20.0).abs() < 1e-4, "{figures:?}");
        assert!((figures["cosine"] - 60.0).abs() < 1e-4, "{figures:?}");
        assert!(scores[0].confidence.is_none());
        let logistic = crate::calibration::Logistic {
            bias: 1.0,
            weights: vec![3.0, 0.5],
            means: vec![-20.0, 50.0],
            scales: vec![1.0, 10.0],
        };
        let features = vec!["contrast".to_owned(), "cosine".to_owned()];
        confide(&mut scores, &file(Fit::Logistic { features, logistic }));
        // Log-odds 1 + 0.5 (60 − 50) / 10.
        let expected = 1.0 / (1.0 + (-1.5_f64).exp());
        assert!((scores[0].confidence.unwrap() - expected).abs() < 1e-4, "{scores:?}");
        assert_eq!(scores[1].confidence, None, "what has no figures has no confidence");
    }

    fn file(fit: Fit) -> CalibrationFile {
        let digest = "0".repeat(64);
        CalibrationFile {
            format: 1,
            kind: Kind::Prompts,
            model: "clip".to_owned(),
            checksum: digest.clone(),
            data_sha256: digest,
            rows: 100,
            positives: 50,
            groups: 10,
            folds: 5,
            ece_before: 0.2,
            ece_after: 0.1,
            auroc: 0.8,
            brier: 0.1,
            bins: Vec::new(),
            fit,
        }
    }

    #[test]
    fn nulls_weigh_by_how_well_they_fit() {
        // The far null has weight e^-100: the near one alone is the baseline.
        assert!((weighted(&[0.9, -0.1]) - 0.9).abs() < 1e-6);
        assert!((weighted(&[0.5, 0.5]) - 0.5).abs() < 1e-6);
    }

    #[test]
    fn a_softmax_of_huge_logits_is_finite() {
        assert_eq!(softmax(&[1e30, 0.0]), vec![1.0, 0.0]);
    }
}
