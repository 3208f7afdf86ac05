//! Sanity checks (Adebayo et al., "Sanity Checks for Saliency Maps", 2018) on the built-in
//! model: a map must hang on what the net has learnt and on what it is asked, and on nothing else.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};
use tempfile::TempDir;
use veriframe::explain::{Contrast, Method, Recipe, checked_maps, raw_map};
use veriframe::models::clip::{Clip, ClipCheckpoint, Encoded, TapPlan, normalised};
use veriframe::scenes::{Cue, FaceSpec, HELD_OUT, Language, draw, prompts};
use veriframe::vision::image::Rgb8;

/// Faces that each figure is a mean over.
const FACES: u64 = 2;
/// Blocks of the built-in image tower.
const DEPTH: usize = 4;

/// Those that are looked at.
const METHODS: [Method; 3] = [Method::GradEclip, Method::DirectEffect, Method::Legrad];

struct Model {
    checkpoint: ClipCheckpoint,
    clip: Clip,
}

impl Model {
    fn open(folder: &Path) -> Self {
        let checkpoint = ClipCheckpoint::open(folder).unwrap();
        let clip = checkpoint.build(Device::Cpu, Kind::Float).unwrap();
        Self { checkpoint, clip }
    }

    fn texts(&self, texts: &[String]) -> Tensor {
        let rows = texts.iter().map(|text| {
            let ids = self.checkpoint.tokenizer.encode(text).ids;
            tch::no_grad(|| self.clip.text.embed(&Tensor::from_slice(&ids).unsqueeze(0)))
        });
        Tensor::cat(&rows.collect::<Vec<_>>(), 0)
    }

    /// Normalised pixels `[1, 3, S, S]`.
    fn pixels(&self, image: &Rgb8) -> Tensor {
        let (seen, _) = self.checkpoint.preprocess.apply(image);
        let side = i64::from(seen.width());
        let pixels = Tensor::from_slice(seen.pixels()).view([1, side, side, 3]);
        self.checkpoint.preprocess.normalise(&pixels)
    }

    fn contrast(&self, pixels: &Tensor, texts: &[String]) -> (Encoded, Contrast) {
        let encoded = tch::no_grad(|| self.clip.vision.encode(pixels, TapPlan::EveryInput));
        let unit = normalised(&encoded.embedding).get(0);
        let nulls = ["", "a photo", "a face"].map(str::to_owned);
        let contrast = Contrast::new(&self.texts(texts), &self.texts(&nulls), &unit);
        (encoded, contrast)
    }

    /// Raw maps `[P, n]` of a picture by each of [`METHODS`].
    fn maps(&self, image: &Rgb8, mirrored: bool, texts: &[String]) -> Vec<Tensor> {
        let pixels = self.pixels(image);
        let pixels = if mirrored { pixels.flip([3]) } else { pixels };
        let (encoded, contrast) = self.contrast(&pixels, texts);
        let tape = encoded.tape.unwrap();
        let map = |method| {
            let recipe = Recipe::of(method);
            raw_map(&self.clip.vision, (&tape, 0), &recipe, &contrast.directions).detach()
        };
        METHODS.map(map).into()
    }
}

fn demo() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("models/demo/clip")
}

/// The demo model with the weights of blocks `from` and above in another order, so that each keeps
/// its spread. The order comes from a seed of its own: tests beside this one use libtorch's.
fn randomised(from: usize) -> (TempDir, Model) {
    let folder = tempfile::tempdir().unwrap();
    for entry in fs::read_dir(demo()).unwrap() {
        let path = entry.unwrap().path();
        fs::copy(&path, folder.path().join(path.file_name().unwrap())).unwrap();
    }
    let mut rng = ChaCha8Rng::seed_from_u64(5);
    let file = folder.path().join("model.safetensors");
    let mut weights = Tensor::read_safetensors(&file).unwrap();
    weights.sort_by(|(a, _), (b, _)| a.cmp(b));
    let weights = weights.into_iter().map(|(name, weight)| {
        let block = name.strip_prefix("vision_model.encoder.layers.");
        let block = block.and_then(|rest| rest.split('.').next()?.parse::<usize>().ok());
        let drawn = block.is_some_and(|block| block >= from) && weight.dim() > 1;
        let weight = if drawn {
            let flat = weight.to_kind(Kind::Float).flatten(0, -1).contiguous();
            let mut numbers: Vec<f32> = Vec::try_from(flat).unwrap();
            numbers.shuffle(&mut rng);
            Tensor::from_slice(&numbers).view(weight.size().as_slice()).to_kind(weight.kind())
        } else {
            weight
        };
        (name, weight)
    });
    let weights: Vec<(String, Tensor)> = weights.collect();
    Tensor::write_safetensors(&weights, &file).unwrap();
    let model = Model::open(folder.path());
    (folder, model)
}

/// A held-out face with one cue; drawn once.
fn scene(face: u64, cue: Cue) -> &'static Rgb8 {
    static SCENES: OnceLock<Vec<Rgb8>> = OnceLock::new();
    let scenes = SCENES.get_or_init(|| {
        let spec = |face, cue| FaceSpec::sample(HELD_OUT + 40 + face).with_cue(cue, true);
        let faces = (0..FACES).flat_map(|face| Cue::ALL.map(|cue| spec(face, cue)));
        faces.map(|spec| draw(&spec, 224).image).collect()
    });
    &scenes[face as usize * Cue::ALL.len() + cue.index()]
}

fn prompt(cue: Cue) -> String {
    prompts(cue, true, Language::English).swap_remove(0)
}

/// Pearson correlation of two maps `[n]`.
fn correlation(a: &Tensor, b: &Tensor) -> f64 {
    let centred = |map: &Tensor| map - map.mean(Kind::Float);
    let (a, b) = (centred(a), centred(b));
    let product = (&a * &b).sum(Kind::Float).double_value(&[]);
    product / (a.norm() * b.norm()).double_value(&[]).max(1e-20)
}

/// The mean of `figures`, one of each method, over faces and cues.
fn mean(figures: impl Fn(u64, Cue) -> Vec<f64>) -> Vec<f64> {
    let all: Vec<Vec<f64>> = (0..FACES)
        .flat_map(|face| Cue::ALL.map(|cue| (face, cue)))
        .map(|(face, cue)| figures(face, cue))
        .collect();
    let mean = |at: usize| all.iter().map(|row| row[at]).sum::<f64>() / all.len() as f64;
    (0..METHODS.len()).map(mean).collect()
}

#[test]
fn weights_drawn_anew_from_the_top_down_destroy_the_map() {
    let model = Model::open(&demo());
    let faces = || (0..FACES).flat_map(|face| Cue::ALL.map(|cue| (face, cue)));
    let maps = |model: &Model, (face, cue)| model.maps(scene(face, cue), false, &[prompt(cue)]);
    let learnt: Vec<Vec<Tensor>> = faces().map(|at| maps(&model, at)).collect();
    let cascade: Vec<Vec<f64>> = (0..DEPTH)
        .rev()
        .map(|from| {
            let (_folder, drawn) = randomised(from);
            let learnt_of =
                |face: u64, cue: Cue| &learnt[face as usize * Cue::ALL.len() + cue.index()];
            mean(|face, cue| {
                let after = maps(&drawn, (face, cue));
                let pairs = learnt_of(face, cue).iter().zip(&after);
                pairs.map(|(a, b)| correlation(&a.get(0), &b.get(0)).abs()).collect()
            })
        })
        .collect();
    for (at, method) in METHODS.iter().enumerate() {
        let left: Vec<f64> = cascade.iter().map(|row| row[at]).collect();
        println!("{method}: |rho| with blocks 3, 2-3, 1-3, 0-3 drawn anew: {left:.3?}");
        assert!(left[0] < 0.9, "{method}: the last block drawn anew leaves {left:?}");
        let all = left[DEPTH - 1];
        assert!(all < 0.5 * left[0], "{method}: all blocks drawn anew leave {left:?}");
    }
}

#[test]
fn another_prompt_has_another_map_and_another_wording_has_not() {
    let model = Model::open(&demo());
    let against = |other: &dyn Fn(Cue) -> String| {
        mean(|face, cue| {
            let maps = model.maps(scene(face, cue), false, &[prompt(cue), other(cue)]);
            maps.iter().map(|map| correlation(&map.get(0), &map.get(1))).collect()
        })
    };
    let next = |cue: Cue| Cue::ALL[(cue.index() + 1) % Cue::ALL.len()];
    let wrong = against(&|cue| prompt(next(cue)));
    let reworded = against(&|cue| prompts(cue, true, Language::English).swap_remove(1));
    let translated = against(&|cue| prompts(cue, true, Language::Korean).swap_remove(0));
    for (at, method) in METHODS.iter().enumerate() {
        let (wrong, reworded, translated) = (wrong[at], reworded[at], translated[at]);
        println!("{method}: rho wrong {wrong:.3}, reworded {reworded:.3}, Korean {translated:.3}");
        assert!(wrong < 0.4, "{method}: {wrong}");
        assert!(reworded > wrong + 0.3 && translated > wrong + 0.3, "{method}: {reworded}");
    }
}

#[test]
fn a_mirrored_picture_has_a_mirrored_map() {
    let model = Model::open(&demo());
    let kept = mean(|face, cue| {
        let maps = model.maps(scene(face, cue), false, &[prompt(cue)]);
        let mirrored = model.maps(scene(face, cue), true, &[prompt(cue)]);
        let pairs = maps.iter().zip(&mirrored).map(|(map, mirrored)| {
            let side = (map.size()[1] as usize).isqrt() as i64;
            let back = mirrored.view([side, side]).flip([1]).flatten(0, -1);
            correlation(&map.get(0), &back)
        });
        pairs.collect()
    });
    for (method, kept) in METHODS.iter().zip(kept) {
        println!("{method}: rho after a mirror {kept:.3}");
        assert!(kept > 0.6, "{method}: {kept}");
    }
}

#[test]
fn a_map_that_names_other_places_is_less_faithful() {
    let model = Model::open(&demo());
    // The first points at 90 % of the cues, the second at 1 %: docs/heatmaps.md.
    let recipes = [Method::GradEclip, Method::ClearClip].map(Recipe::of);
    let mut sums = [0.0; 2];
    for cue in Cue::ALL {
        let (pixels, contrast) = (model.pixels(scene(0, cue)), &[prompt(cue)]);
        let (encoded, contrast) = model.contrast(&pixels, contrast);
        let tape = (encoded.tape.as_ref().unwrap(), 0);
        let maps = checked_maps(&model.clip, tape, &recipes, &contrast).unwrap();
        for (sum, map) in sums.iter_mut().zip(&maps) {
            *sum += map.checks.unwrap().faithfulness / Cue::ALL.len() as f32;
        }
    }
    println!("mean faithfulness of grad_eclip and clear_clip: {sums:.3?}");
    assert!(sums[0] > sums[1] + 0.3, "{sums:?}");
}
