//! What the demo CLIP is trained for: all losses of one batch, and what each weighs.

use rand::Rng;
use tch::{Kind, Tensor};

use super::contrastive::{
    batch_contrast, claim_contrast, cue_accuracy, cue_contrast, pair_contrast,
};
use super::evidence::{self, MapLosses, Maps, Questions};
use super::faces::{self, Faces};
use super::prompts::PromptBank;
use crate::models::clip::{Clip, ClipConfig, Encoded, TapPlan, normalised};
use crate::models::weights::{Init, Scope, WeightsError};
use crate::scenes::{Cue, Language};

/// A throw-away linear reading of the last block's values, trained beside the net: C cues from
/// width D. It makes the values know each cue where it lies long before the towers agree.
#[derive(Debug)]
pub struct DenseReading {
    /// `[C, D]`.
    pub weight: Tensor,
    /// `[C]`.
    pub bias: Tensor,
}

impl DenseReading {
    /// From its leaves below `dense` of the run's weights.
    pub fn new(root: &Scope<'_>, config: &ClipConfig) -> Result<Self, WeightsError> {
        let (cues, width) = (Cue::ALL.len() as i64, config.vision.hidden_size);
        let scope = root.at("dense");
        Ok(Self {
            weight: scope.tensor("weight", &[cues, width], Init::Normal(0.02))?,
            bias: scope.tensor("bias", &[cues], Init::Constant(-2.0))?,
        })
    }
}

/// One part of the loss.
#[derive(Debug)]
pub struct Loss {
    /// Its name in the progress report.
    pub name: &'static str,
    /// Its share of the sum; 0 for what is only reported.
    pub weight: f64,
    /// Its value, `[]`.
    pub value: Tensor,
}

/// The net in training, with what judges it.
#[derive(Debug)]
pub struct Objective<'a> {
    /// The net.
    pub clip: &'a Clip,
    /// See [`DenseReading`].
    pub reading: &'a DenseReading,
    /// Knows how prompts are laid out.
    pub bank: &'a PromptBank,
    /// How much heatmaps count, 0 to 1: they mean nothing until the net has learnt something.
    pub maps: f64,
}

impl Objective<'_> {
    /// Every part of the loss on one batch, with prompts `[R, T]` of [`PromptBank::draw`].
    pub fn losses(&self, faces: &Faces, prompts: &Tensor, chance: &mut impl Rng) -> Vec<Loss> {
        let part = |name, weight, value| Loss { name, weight, value };
        let clip = self.clip;
        let device = prompts.device();
        let (sites, present) = faces.truth_tensors(device);
        let scale = clip.log_scale.exp();
        let encoded = clip.vision.encode(&faces.pixel_tensor(device), TapPlan::LastBlock);
        let images = normalised(&encoded.embedding);
        let captions = clip.text.embed(&faces::padded(&faces.captions, self.bank.end(), device));
        let (cues, nulls) = self.bank.split(&clip.text.embed(prompts));
        let differences = cues.select(2, 0) - cues.select(2, 1);
        // [B, C, L]: cos(present) − cos(absent).
        let margins =
            |images: &Tensor| Tensor::einsum("be,cle->bcl", &[images, &differences], None::<i64>);
        let told = margins(&images);
        let mut losses = vec![
            part("batch", 0.5, batch_contrast(&images, &captions, &scale)),
            part("pair", 1.0, pair_contrast(&images, &captions, &scale)),
            part("cue", 1.0, cue_contrast(&told, &present, &scale)),
            part("accuracy", 0.0, Tensor::from(cue_accuracy(&told, &present))),
        ];
        losses.extend(evidence::attended_only(&clip.vision, &encoded).map(|images| {
            part("attended", 1.0, cue_contrast(&margins(&images), &present, &scale))
        }));
        let reading = (&self.reading.weight, &self.reading.bias);
        let optional = [
            ("dense", 3.0, evidence::dense_loss(&encoded, reading, (&sites, &present))),
            ("attend", 0.1, evidence::attention_loss(&encoded, &sites)),
            ("near", 0.3, evidence::nearness_loss(&encoded, &sites)),
        ];
        losses.extend(
            optional
                .into_iter()
                .filter_map(|(name, weight, value)| value.map(|value| part(name, weight, value))),
        );
        let contrasts = contrasts(&images, &cues, &nulls);
        losses.push(part("claim", 0.5, claim_contrast(&contrasts, &present, &scale)));
        let truth = (&sites, &present);
        if let Some(maps) = self.map_losses(&encoded, (&cues, &nulls), truth, chance) {
            losses.push(part("sign", 1.0 * self.maps, maps.sign));
            losses.push(part("energy", 0.5 * self.maps, maps.energy));
            losses.push(part("peak", 0.3 * self.maps, maps.peak));
        }
        losses
    }

    /// The losses of the default heatmap for every cue that is there, each in a language by chance.
    fn map_losses(
        &self,
        encoded: &Encoded,
        (cues, nulls): (&Tensor, &Tensor),
        (sites, present): (&Tensor, &Tensor),
        chance: &mut impl Rng,
    ) -> Option<MapLosses> {
        // [M, 2]: picture and cue.
        let there = present.nonzero();
        if there.size()[0] == 0 {
            return None;
        }
        let (rows, cue) = (there.select(1, 0), there.select(1, 1));
        let languages: Vec<i64> = (0..there.size()[0])
            .map(|_| chance.random_range(0..Language::ALL.len() as i64))
            .collect();
        let language = Tensor::from_slice(&languages).to_device(present.device());
        let asked = cues.select(2, 0).index(&[Some(&cue), Some(&language)]);
        let embeddings = encoded.embedding.index_select(0, &rows);
        let directions = evidence::contrasted(&asked, &embeddings, nulls);
        let sites = sites.index(&[Some(&rows), Some(&cue)]);
        let questions = Questions { rows, directions };
        let maps = Maps::new(&self.clip.vision, encoded.tape.as_ref()?, &questions)?;
        Some(MapLosses::new(&maps, &sites))
    }
}

/// ⟨t̃, image⟩ of unit images `[B, E]` and every cue prompt `[C, L, 2, E]` with nulls `[K, E]`, as
/// [`evidence::contrasted`] has t̃: `[B, C, L, 2]`.
fn contrasts(images: &Tensor, cues: &Tensor, nulls: &Tensor) -> Tensor {
    let direct = Tensor::einsum("be,clse->bcls", &[images, cues], None::<i64>);
    let nothing = evidence::null_directions(images, nulls);
    let base = (nothing * images).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    direct - base.view([-1, 1, 1, 1])
}
