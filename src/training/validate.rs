//! How good the CLIP is on faces it never saw: captions told apart, cues told, heatmaps in place.

use std::fmt;

use tch::{Device, Tensor};
use tokenizers::Tokenizer;

use super::faces::{self, DRAWN_PX, FaceFormat, Faces};
use super::prompts::NULLS;
use super::{TrainingError, tokenizer};
use crate::calibration::auroc;
use crate::explain::{self, Contrast, Method};
use crate::models::clip::{Clip, Encoded, normalised};
use crate::scenes::{Cue, FaceSpec, HELD_OUT, Language, Scene, caption, draw, prompt};

/// Faces through the net at once.
const CHUNK: u64 = 25;

/// The figures of one cue in one language.
#[derive(Clone, Copy, Debug)]
pub struct CueFigures {
    /// The cue.
    pub cue: Cue,
    /// The prompts' and captions' language.
    pub language: Language,
    /// Share of faces nearer to their caption than to the one with this cue flipped.
    pub caption_accuracy: f64,
    /// Share of faces nearer to the true one of the cue's two prompts.
    pub prompt_accuracy: f64,
    /// Probability that the contrast of the cue's prompt is higher on a face with the cue than on
    /// one without. Not a number where the faces are all with it, or all without.
    pub claim_auroc: f64,
    /// Heatmap energy inside the site over that of a uniform map, mean over faces with the cue.
    pub energy_ratio: f64,
    /// Share of faces with the cue whose peak patch touches the site.
    pub pointing: f64,
    /// Share of faces with the cue where the centre of the peak patch is the site's.
    pub strict_pointing: f64,
}

/// All cues in all languages.
#[derive(Clone, Debug)]
pub struct Validation(pub Vec<CueFigures>);

impl fmt::Display for Validation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:<30} lang caption prompt claim energy point strict", "cue")?;
        for row in &self.0 {
            writeln!(
                f,
                "{:<30} {:<4} {:>7.3} {:>6.3} {:>5.3} {:>6.2} {:>5.3} {:>6.3}",
                row.cue.name(),
                row.language.code(),
                row.caption_accuracy,
                row.prompt_accuracy,
                row.claim_auroc,
                row.energy_ratio,
                row.pointing,
                row.strict_pointing
            )?;
        }
        let mean = |get: fn(&CueFigures) -> f64| {
            self.0.iter().map(get).sum::<f64>() / self.0.len().max(1) as f64
        };
        write!(
            f,
            "{:<30} all  {:>7.3} {:>6.3} {:>5.3} {:>6.2} {:>5.3} {:>6.3}",
            "mean",
            mean(|row| row.caption_accuracy),
            mean(|row| row.prompt_accuracy),
            mean(|row| row.claim_auroc),
            mean(|row| row.energy_ratio),
            mean(|row| row.pointing),
            mean(|row| row.strict_pointing)
        )
    }
}

/// Sums over faces for one cue in one language.
#[derive(Clone, Debug, Default)]
struct Tally {
    /// The contrast of the cue's prompt on faces without and with the cue.
    claims: [Vec<f32>; 2],
    faces: f64,
    captions_right: f64,
    prompts_right: f64,
    maps: f64,
    energy_ratio: f64,
    pointing: f64,
    strict_pointing: f64,
}

/// Measures `clip` on the first `faces` held-out faces.
pub fn validate(
    clip: &Clip,
    texts: &Tokenizer,
    format: &FaceFormat,
    faces: u64,
) -> Result<Validation, TrainingError> {
    tch::no_grad(|| {
        let reader = Reader { clip, texts, end: texts.get_vocab_size(true) as i64 - 1 };
        let nulls = reader.embed(&NULLS.map(str::to_owned))?;
        let kinds: Vec<(Cue, Language)> = Cue::ALL
            .into_iter()
            .flat_map(|cue| Language::ALL.map(|language| (cue, language)))
            .collect();
        let mut tallies = vec![Tally::default(); kinds.len()];
        for first in (0..faces).step_by(CHUNK as usize) {
            let seeds = first..faces.min(first + CHUNK);
            let scenes: Vec<Scene> =
                seeds.map(|face| draw(&FaceSpec::sample(HELD_OUT + face), DRAWN_PX)).collect();
            let mut chunk = Faces::new(format);
            scenes.iter().try_for_each(|scene| chunk.push(scene))?;
            let pixels = chunk.pixel_tensor(Device::Cpu);
            let encoded = clip.vision.encode(&pixels, Method::GradEclip.plan());
            for (item, scene) in scenes.iter().enumerate() {
                let seed = first + item as u64;
                let texts: Vec<String> =
                    kinds.iter().flat_map(|kind| questions(scene, *kind, seed)).collect();
                let face = Face {
                    scene,
                    encoded: &encoded,
                    item: item as i64,
                    texts: reader.embed(&texts)?,
                    grid: format.grid,
                };
                for (row, (tally, (cue, _))) in tallies.iter_mut().zip(&kinds).enumerate() {
                    face.measure(&reader, (*cue, row as i64, &nulls), tally);
                }
            }
        }
        Ok(Validation(kinds.iter().zip(&tallies).map(figures).collect()))
    })
}

fn figures((&(cue, language), tally): (&(Cue, Language), &Tally)) -> CueFigures {
    let (faces, maps) = (tally.faces.max(1.0), tally.maps.max(1.0));
    let [without, with] = &tally.claims;
    CueFigures {
        cue,
        language,
        caption_accuracy: tally.captions_right / faces,
        claim_auroc: auroc(with, without).unwrap_or(f64::NAN),
        prompt_accuracy: tally.prompts_right / faces,
        energy_ratio: tally.energy_ratio / maps,
        pointing: tally.pointing / maps,
        strict_pointing: tally.strict_pointing / maps,
    }
}

/// Texts to embeddings.
struct Reader<'a> {
    clip: &'a Clip,
    texts: &'a Tokenizer,
    end: i64,
}

impl Reader<'_> {
    fn embed(&self, texts: &[String]) -> Result<Tensor, TrainingError> {
        let ids = tokenizer::encode(self.texts, texts)?;
        Ok(self.clip.text.embed(&faces::padded(&ids, self.end, Device::Cpu)))
    }
}

/// How many texts [`questions`] asks.
const QUESTIONS: i64 = 4;

/// True caption, false caption, true prompt, false prompt of one cue in one language.
fn questions(scene: &Scene, (cue, language): (Cue, Language), seed: u64) -> [String; 4] {
    let spec = &scene.spec;
    let flipped = spec.with_cue(cue, !spec.has(cue));
    let pick = |present| prompt(cue, present, language, seed);
    [
        caption(spec, language, seed),
        caption(&flipped, language, seed),
        pick(spec.has(cue)),
        pick(flipped.has(cue)),
    ]
}

/// One held-out face: its place in the encoded batch, and the embedded [`questions`] about it.
struct Face<'a> {
    scene: &'a Scene,
    encoded: &'a Encoded,
    item: i64,
    texts: Tensor,
    grid: usize,
}

impl Face<'_> {
    /// Adds this face's figures for one cue; `row` counts cues and languages.
    fn measure(
        &self,
        reader: &Reader<'_>,
        (cue, row, nulls): (Cue, i64, &Tensor),
        tally: &mut Tally,
    ) {
        let texts = self.texts.narrow(0, row * QUESTIONS, QUESTIONS);
        let image = normalised(&self.encoded.embedding.get(self.item));
        let cosine = texts.mv(&image);
        let right = |row| {
            let (truth, lie) = (cosine.double_value(&[row]), cosine.double_value(&[row + 1]));
            f64::from(u8::from(truth > lie))
        };
        tally.faces += 1.0;
        tally.captions_right += right(0);
        tally.prompts_right += right(2);
        let has = self.scene.spec.has(cue);
        // The cue's own prompt is the true one where the cue is there.
        let prompt = texts.narrow(0, if has { 2 } else { 3 }, 1);
        let contrast = Contrast::new(&prompt, nulls, &image);
        tally.claims[usize::from(has)].extend(contrast.margins());
        if let (true, Some(tape)) = (has, &self.encoded.tape) {
            let taped = (tape, self.item as usize);
            let maps = explain::maps(reader.clip, taped, &[Method::GradEclip], &contrast);
            self.score_map(&maps[0].values, cue, tally);
        }
    }

    fn score_map(&self, map: &[f32], cue: Cue, tally: &mut Tally) {
        let site = self.scene.site(cue);
        let cells = site.fraction_of_cell(self.grid as u32);
        let uniform: f32 = cells.iter().sum::<f32>() / cells.len() as f32;
        let inside: f32 = map.iter().zip(&cells).map(|(energy, share)| energy * share).sum();
        let all: f32 = map.iter().sum();
        tally.maps += 1.0;
        if all > 0.0 && uniform > 0.0 {
            tally.energy_ratio += f64::from(inside / all / uniform);
        }
        let Some((peak, _)) = map.iter().enumerate().max_by(|a, b| a.1.total_cmp(b.1)) else {
            return;
        };
        let centre =
            |index: usize| ((index as f32 + 0.5) * DRAWN_PX as f32 / self.grid as f32) as u32;
        let strict = site.get(centre(peak % self.grid), centre(peak / self.grid));
        tally.pointing += f64::from(u8::from(cells[peak] > 0.0));
        tally.strict_pointing += f64::from(u8::from(strict));
    }
}
