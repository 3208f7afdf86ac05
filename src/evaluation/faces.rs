//! The demo world's faces before a model: caption pairs and heatmap placement on held-out seeds.

use std::ops::ControlFlow;

use serde::Serialize;
use thiserror::Error;

use super::localisation::{
    LocalisationRow, Map, Placement, Placements, Site, centre_map, random_map,
};
use super::pairs::{PairRow, Pairs, Trial};
use crate::explain::Method;
use crate::scenes::{Cue, FaceSpec, HELD_OUT, Language, Scene, caption, draw, prompt};
use crate::vision::image::Rgb8;

/// Why an evaluation cannot go on.
#[derive(Debug, Error)]
pub enum EvaluationError {
    /// The model gave no answer.
    #[error("the model failed: {0}")]
    Model(String),
    /// The model gave another number of answers than it was asked for.
    #[error("asked for {expected} {what}, got {got}")]
    Count {
        /// What was asked for.
        what: &'static str,
        /// How many.
        expected: usize,
        /// How many came.
        got: usize,
    },
}

/// A model that is measured.
pub trait Scorer {
    /// Unit embeddings of texts, `[E]` each.
    fn embed_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError>;

    /// Unit embeddings of pictures, `[E]` each.
    fn embed_images(&mut self, images: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError>;

    /// Heatmaps of a picture, prompts outermost, methods within.
    fn heatmaps(
        &mut self,
        image: &Rgb8,
        prompts: &[String],
        methods: &[Method],
    ) -> Result<Vec<Map>, EvaluationError>;
}

/// What is measured.
#[derive(Clone, Debug)]
pub struct FaceOptions {
    /// Number of faces.
    pub faces: u64,
    /// Seed of the first; the others follow.
    pub first_seed: u64,
    /// Side of each picture in pixels.
    pub side_px: u32,
    /// Heatmap methods; none leaves heatmaps out.
    pub methods: Vec<Method>,
}

impl Default for FaceOptions {
    fn default() -> Self {
        Self { faces: 200, first_seed: HELD_OUT, side_px: 224, methods: Method::USUAL.to_vec() }
    }
}

/// What came out.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FaceReport {
    /// Number of faces measured; fewer than asked for after a stop.
    pub faces: u64,
    /// Accuracy over all caption pairs, 0 to 1; nothing without faces.
    pub accuracy: Option<f64>,
    /// Caption pairs by cue and language.
    pub pairs: Vec<PairRow>,
    /// Heatmap placement by cue, language and method, with baselines.
    pub localisation: Vec<LocalisationRow>,
}

/// Measures `scorer`. `on_face` hears of each finished face and may stop there.
///
/// Each face is drawn as it is and with each cue switched. Captions that differ in that cue alone
/// compete for both pictures; heatmaps are made on the picture that has the cue, for a prompt that
/// names it.
pub fn measure_faces(
    scorer: &mut dyn Scorer,
    options: &FaceOptions,
    on_face: &mut dyn FnMut(u64) -> ControlFlow<()>,
) -> Result<FaceReport, EvaluationError> {
    let mut pairs = Pairs::default();
    let mut placements = Placements::default();
    let mut faces = 0;
    for seed in (options.first_seed..).take(options.faces as usize) {
        let face = Face::draw(seed, options.side_px);
        face.add_pairs(scorer, &mut pairs)?;
        if !options.methods.is_empty() {
            face.add_placements(scorer, &options.methods, &mut placements)?;
        }
        faces += 1;
        if on_face(faces).is_break() {
            break;
        }
    }
    Ok(FaceReport {
        faces,
        accuracy: pairs.accuracy(),
        pairs: pairs.rows(),
        localisation: placements.rows(),
    })
}

/// One face as it is (first), and with each cue switched, in the order of [`Cue::ALL`].
struct Face {
    seed: u64,
    scenes: Vec<Scene>,
}

impl Face {
    fn draw(seed: u64, side_px: u32) -> Self {
        let base = FaceSpec::sample(seed);
        let switched = Cue::ALL.iter().map(|&cue| base.with_cue(cue, !base.has(cue)));
        let scenes = std::iter::once(base.clone()).chain(switched).map(|spec| draw(&spec, side_px));
        Self { seed, scenes: scenes.collect() }
    }

    fn add_pairs(&self, scorer: &mut dyn Scorer, pairs: &mut Pairs) -> Result<(), EvaluationError> {
        let count = self.scenes.len();
        let images: Vec<&Rgb8> = self.scenes.iter().map(|scene| &scene.image).collect();
        let images = counted("picture embeddings", count, scorer.embed_images(&images)?)?;
        for language in Language::ALL {
            let captions: Vec<String> =
                self.scenes.iter().map(|scene| caption(&scene.spec, language, self.seed)).collect();
            let texts = counted("text embeddings", count, scorer.embed_texts(&captions)?)?;
            for cue in Cue::ALL {
                let switched = 1 + cue.index();
                for (is, is_not) in [(0, switched), (switched, 0)] {
                    let right = dot(&images[is], &texts[is]);
                    let wrong = dot(&images[is], &texts[is_not]);
                    pairs.add(cue.name(), language.code(), Trial { right, wrong });
                }
            }
        }
        Ok(())
    }

    fn add_placements(
        &self,
        scorer: &mut dyn Scorer,
        methods: &[Method],
        placements: &mut Placements,
    ) -> Result<(), EvaluationError> {
        for cue in Cue::ALL {
            let on = if self.scenes[0].spec.has(cue) { 0 } else { 1 + cue.index() };
            let scene = &self.scenes[on];
            let prompts = Language::ALL.map(|language| self.prompt(cue, language));
            let maps = scorer.heatmaps(&scene.image, &prompts, methods)?;
            let maps = counted("heatmaps", prompts.len() * methods.len(), maps)?;
            let mask = scene.site(cue);
            let (width, height) = (mask.width() as usize, mask.height() as usize);
            let site = Site { width, height, mask: mask.values() };
            let mut place = |map: &Map, language: Option<&str>, source: &str| {
                if let Some(placement) = Placement::measure(map, &site) {
                    placements.add(cue.name(), language, source, placement);
                }
            };
            for (language, maps) in Language::ALL.iter().zip(maps.chunks(methods.len())) {
                for (map, method) in maps.iter().zip(methods) {
                    place(map, Some(language.code()), method.name());
                }
            }
            place(&random_map(&maps[0], self.seed), None, "random");
            place(&centre_map(&maps[0]), None, "centre");
        }
        Ok(())
    }

    /// One of the ways to name the cue, another for each face.
    fn prompt(&self, cue: Cue, language: Language) -> String {
        prompt(cue, true, language, self.seed)
    }
}

/// Cosine of unit vectors.
fn dot(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn counted<T>(
    what: &'static str,
    expected: usize,
    answers: Vec<T>,
) -> Result<Vec<T>, EvaluationError> {
    let got = answers.len();
    if got == expected { Ok(answers) } else { Err(EvaluationError::Count { what, expected, got }) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scenes::prompts;
    use crate::vision::boxes::Rect;

    const SIDE: u32 = 112;
    const FIRST: u64 = HELD_OUT + 5;

    /// Knows the faces that will be drawn, and answers rightly.
    struct Oracle {
        scenes: Vec<(Scene, u64)>,
        captions: Vec<String>,
    }

    impl Oracle {
        fn of(faces: u64) -> Self {
            let drawn = (FIRST..FIRST + faces).map(|seed| Face::draw(seed, SIDE));
            let scenes: Vec<(Scene, u64)> =
                drawn.flat_map(|f| f.scenes.into_iter().map(move |s| (s, f.seed))).collect();
            let captions = scenes.iter().flat_map(|(s, seed)| said(s, *seed)).collect();
            Self { scenes, captions }
        }

        fn known(&self, image: &Rgb8) -> &(Scene, u64) {
            self.scenes.iter().find(|(scene, _)| scene.image == *image).unwrap()
        }

        fn marks(&self, said: &[String]) -> Vec<f32> {
            self.captions.iter().map(|c| f32::from(u8::from(said.contains(c)))).collect()
        }
    }

    fn said(scene: &Scene, seed: u64) -> Vec<String> {
        Language::ALL.iter().map(|&language| caption(&scene.spec, language, seed)).collect()
    }

    impl Scorer for Oracle {
        fn embed_texts(&mut self, texts: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError> {
            Ok(texts.iter().map(|text| self.marks(std::slice::from_ref(text))).collect())
        }

        fn embed_images(&mut self, images: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
            let of = |image| {
                let (scene, seed) = self.known(image);
                self.marks(&said(scene, *seed))
            };
            Ok(images.iter().map(|image| of(image)).collect())
        }

        fn heatmaps(
            &mut self,
            image: &Rgb8,
            asked: &[String],
            methods: &[Method],
        ) -> Result<Vec<Map>, EvaluationError> {
            let (scene, _) = self.known(image);
            let of = |asked: &String| {
                let names = |cue: &Cue| {
                    Language::ALL.iter().any(|&l| prompts(*cue, true, l).contains(asked))
                };
                let cue = Cue::ALL.into_iter().find(names).unwrap();
                let values = scene.site(cue).fraction_of_cell(28);
                let side = SIDE as f32;
                Map { values, grid: (28, 28), area: Rect::new(0.0, 0.0, side, side) }
            };
            Ok(asked.iter().flat_map(|a| methods.iter().map(move |_| a)).map(of).collect())
        }
    }

    fn options(faces: u64) -> FaceOptions {
        FaceOptions { faces, first_seed: FIRST, side_px: SIDE, methods: Method::USUAL.to_vec() }
    }

    #[test]
    fn who_knows_everything_scores_full_marks() {
        let go_on = &mut |_| ControlFlow::Continue(());
        let report = measure_faces(&mut Oracle::of(3), &options(3), go_on).unwrap();
        assert_eq!((report.faces, report.accuracy), (3, Some(1.0)));
        assert_eq!(report.pairs.len(), Cue::ALL.len() * Language::ALL.len());
        assert!(report.pairs.iter().all(|row| row.trials == 6), "{:?}", report.pairs);
        assert_eq!(report.localisation.len(), Cue::ALL.len() * (2 * 2 + 2));
        for row in &report.localisation {
            match row.source.as_str() {
                "random" => assert!(row.energy_ratio < 1.3, "{row:?}"),
                "centre" => {}
                _ => assert!(row.energy_ratio > 3.0 && row.pointing > 0.99, "{row:?}"),
            }
        }
    }

    #[test]
    fn a_stop_keeps_what_was_measured() {
        let stop =
            &mut |done| if done == 2 { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        let report = measure_faces(&mut Oracle::of(2), &options(50), stop).unwrap();
        assert_eq!(report.faces, 2);
    }

    #[test]
    fn a_model_that_answers_too_little_is_an_error() {
        struct Silent;
        impl Scorer for Silent {
            fn embed_texts(&mut self, _: &[String]) -> Result<Vec<Vec<f32>>, EvaluationError> {
                Ok(Vec::new())
            }
            fn embed_images(&mut self, _: &[&Rgb8]) -> Result<Vec<Vec<f32>>, EvaluationError> {
                Ok(Vec::new())
            }
            fn heatmaps(
                &mut self,
                _: &Rgb8,
                _: &[String],
                _: &[Method],
            ) -> Result<Vec<Map>, EvaluationError> {
                Ok(Vec::new())
            }
        }
        let go_on = &mut |_| ControlFlow::Continue(());
        let error = measure_faces(&mut Silent, &options(1), go_on).unwrap_err();
        assert_eq!(error.to_string(), "asked for 5 picture embeddings, got 0");
    }
}
