//! Batches of faces for the CLIP: pairs that differ in one cue, drawn ahead on a thread of their own.
//!
//! A batch is a function of seed and step alone, so a run that goes on sees what it would have seen.

use std::ops::Range;
use std::sync::mpsc::{Receiver, sync_channel};
use std::thread;

use fast_image_resize::images::{Image, ImageRef};
use fast_image_resize::{FilterType, PixelType, ResizeAlg, ResizeOptions, Resizer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};
use tokenizers::Tokenizer;

use super::{TrainingError, tokenizer};
use crate::scenes::{Cue, FaceSpec, HELD_OUT, Language, Scene, caption, draw};
use crate::vision::image::Rgb8;

/// Side at which faces are drawn before they are made smaller, as a client would send them.
pub const DRAWN_PX: u32 = 224;
/// Mean and standard deviation of pixels in 0..1, of the published CLIP checkpoints.
pub const PIXEL_MEAN: [f32; 3] = [0.481_454_66, 0.457_827_5, 0.408_210_7];
/// See [`PIXEL_MEAN`].
pub const PIXEL_STD: [f32; 3] = [0.268_629_5, 0.261_302_6, 0.275_777_1];
/// Which cue pairs differ in, in turn: those that are slow to learn come more often.
const TURNS: [Cue; 8] = [
    Cue::MisshapenEar,
    Cue::MismatchedPupilReflections,
    Cue::MisshapenEar,
    Cue::BlendingSeam,
    Cue::MisshapenEar,
    Cue::UnevenTeeth,
    Cue::MisshapenEar,
    Cue::MismatchedPupilReflections,
];
/// Batches drawn ahead.
const AHEAD: usize = 2;

/// What batches look like.
#[derive(Clone, Copy, Debug)]
pub struct FaceFormat {
    /// Pairs in a batch; twice as many pictures.
    pub pairs: usize,
    /// Side of the net's input in pixels.
    pub side_px: u32,
    /// Patches along one side.
    pub grid: usize,
}

/// Pictures with their truth; B of them, pair by pair as [`super::contrastive`] says.
#[derive(Debug)]
pub struct Faces {
    /// Side S of the pictures in pixels.
    pub side_px: u32,
    /// Patches along one side.
    pub grid: usize,
    /// `[B, 3, S, S]` u8, plane by plane.
    pub pixels: Vec<u8>,
    /// Share of each patch that is the cue's site, `[B, C, n]`, 0 to 1.
    pub sites: Vec<f32>,
    /// Whether each cue is there, `[B, C]`, 0 or 1.
    pub present: Vec<f32>,
    /// Token ids of each picture's caption.
    pub captions: Vec<Vec<i64>>,
}

impl Faces {
    /// No faces yet.
    pub fn new(format: &FaceFormat) -> Self {
        Self {
            side_px: format.side_px,
            grid: format.grid,
            pixels: vec![],
            sites: vec![],
            present: vec![],
            captions: vec![],
        }
    }

    /// Adds one drawn face.
    pub fn push(&mut self, scene: &Scene) -> Result<(), TrainingError> {
        let pixels = resized(&scene.image, self.side_px)?;
        self.pixels.extend(planes(&pixels));
        for cue in Cue::ALL {
            self.sites.extend(scene.site(cue).fraction_of_cell(self.grid as u32));
            self.present.push(f32::from(u8::from(scene.spec.has(cue))));
        }
        Ok(())
    }

    /// Normalised pixels `[B, 3, S, S]` f32.
    pub fn pixel_tensor(&self, device: Device) -> Tensor {
        let side = i64::from(self.side_px);
        let stats =
            |values: [f32; 3]| Tensor::from_slice(&values).view([3, 1, 1]).to_device(device);
        let pixels = Tensor::from_slice(&self.pixels).to_device(device).view([-1, 3, side, side]);
        (pixels.to_kind(Kind::Float) / 255.0 - stats(PIXEL_MEAN)) / stats(PIXEL_STD)
    }

    /// Sites `[B, C, n]` and presence `[B, C]`, f32.
    pub fn truth_tensors(&self, device: Device) -> (Tensor, Tensor) {
        let cues = Cue::ALL.len() as i64;
        let present = Tensor::from_slice(&self.present).to_device(device).view([-1, cues]);
        let faces = present.size()[0];
        let sites = Tensor::from_slice(&self.sites).to_device(device).view([faces, cues, -1]);
        (sites, present)
    }
}

/// A stream of chance that depends on seed and step only.
pub fn chance(seed: u64, step: u64) -> ChaCha8Rng {
    let mut chance = ChaCha8Rng::seed_from_u64(seed);
    chance.set_stream(step);
    chance
}

/// The batch of one step.
pub fn batch(
    format: &FaceFormat,
    texts: &Tokenizer,
    (seed, step): (u64, u64),
) -> Result<Faces, TrainingError> {
    let mut chance = chance(seed, step);
    let pairs: Vec<(FaceSpec, Cue, Language, u64)> = (0..format.pairs)
        .map(|pair| {
            let spec = FaceSpec::sample(chance.random_range(0..HELD_OUT));
            let cue = TURNS[(pair + step as usize) % TURNS.len()];
            let language = Language::ALL[chance.random_range(0..Language::ALL.len())];
            (spec, cue, language, chance.random())
        })
        .collect();
    let mut faces = Faces::new(format);
    let mut captions = Vec::with_capacity(2 * pairs.len());
    for on in [true, false] {
        for (spec, cue, language, variant) in &pairs {
            let spec = spec.with_cue(*cue, on);
            captions.push(caption(&spec, *language, *variant));
            faces.push(&draw(&spec, DRAWN_PX))?;
        }
    }
    faces.captions = tokenizer::encode(texts, &captions)?;
    Ok(faces)
}

/// Makes the batches of `steps` in order on a thread of its own, at most two ahead. The thread ends
/// when the receiver is dropped.
pub fn draw_ahead<T: Send + 'static>(
    steps: Range<u64>,
    batch: impl Fn(u64) -> Result<T, TrainingError> + Send + 'static,
) -> Receiver<Result<T, TrainingError>> {
    let (sender, receiver) = sync_channel(AHEAD);
    thread::spawn(move || {
        for step in steps {
            if sender.send(batch(step)).is_err() {
                return;
            }
        }
    });
    receiver
}

/// The picture at `side_px`, by the bicubic filter that the server uses.
fn resized(picture: &Rgb8, side_px: u32) -> Result<Vec<u8>, TrainingError> {
    let error = |e: &dyn std::fmt::Display| TrainingError::Picture(e.to_string());
    let (width, height) = (picture.width(), picture.height());
    let source =
        ImageRef::new(width, height, picture.pixels(), PixelType::U8x3).map_err(|e| error(&e))?;
    let mut target = Image::new(side_px, side_px, PixelType::U8x3);
    let filter = ResizeAlg::Convolution(FilterType::CatmullRom);
    Resizer::new()
        .resize(&source, &mut target, &ResizeOptions::new().resize_alg(filter))
        .map_err(|e| error(&e))?;
    Ok(target.into_vec())
}

/// `[H, W, 3]` to `[3, H, W]`.
fn planes(pixels: &[u8]) -> impl Iterator<Item = u8> {
    (0..3).flat_map(|channel| pixels.iter().skip(channel).step_by(3).copied())
}

/// Ids as one matrix `[R, T]`, rows padded at their end with `end`.
pub fn padded(rows: &[Vec<i64>], end: i64, device: Device) -> Tensor {
    let longest = rows.iter().map(Vec::len).max().unwrap_or(1);
    let mut all = Vec::with_capacity(rows.len() * longest);
    for row in rows {
        all.extend(row.iter().copied().chain(std::iter::repeat_n(end, longest - row.len())));
    }
    Tensor::from_slice(&all).view([rows.len() as i64, longest as i64]).to_device(device)
}
