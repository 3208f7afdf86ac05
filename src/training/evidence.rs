//! Teaching the net where its evidence lies.
//!
//! The default heatmap (multi-head Grad-ECLIP on the contrastive cosine) is a differentiable
//! function of the net, so it is trained against the masks that the demo world gives for free.
//! This is mask supervision: a real CLIP never had it, and the demo model's heatmaps are the
//! sharper for it.

use tch::{Kind, Tensor};

use super::contrastive::harder_first;
use crate::models::clip::{BlockTap, Encoded, Tape, VisionTower, normalised};

/// Sharpness of the contrast weights ω over null prompts: published CLIPs end training at 100.
const NULL_SHARPNESS: f64 = 100.0;
/// What the losses scale the largest magnitude of a raw map to.
const SHARPNESS: f64 = 10.0;

/// Rows of pictures and what each is asked for.
#[derive(Debug)]
pub struct Questions {
    /// Which picture, `[M]` i64.
    pub rows: Tensor,
    /// Which direction of the shared space, `[M, E]` f32.
    pub directions: Tensor,
}

/// Text directions minus what the null prompts explain: `texts` `[M, E]`, `embeddings` (not yet
/// unit) `[M, E]`, `nulls` `[K, E]` unit. The weights are constants to the gradient.
pub fn contrasted(texts: &Tensor, embeddings: &Tensor, nulls: &Tensor) -> Tensor {
    texts - null_directions(&normalised(embeddings), nulls)
}

/// Σ ω t₀ over nulls `[K, E]` for each unit image `[M, E]`: `[M, E]`.
pub fn null_directions(images: &Tensor, nulls: &Tensor) -> Tensor {
    let nearness = images.detach().matmul(&nulls.detach().transpose(0, 1));
    (nearness * NULL_SHARPNESS).softmax(-1, Kind::Float).matmul(nulls)
}

/// Grad-ECLIP of each question over the n patches, before its rectifier.
#[derive(Debug)]
pub struct Maps {
    /// `Σ_h ⟨G[h], v[h, j]⟩`: evidence for and against, `[M, n]`.
    pub evidence: Tensor,
    /// The same times the weight w: what the heatmap shows where it is positive, `[M, n]`.
    pub shown: Tensor,
}

impl Maps {
    /// Differentiable through weights and values; the gradient G counts as constant.
    pub fn new(vision: &VisionTower, tape: &Tape, questions: &Questions) -> Option<Self> {
        let rows = &questions.rows;
        let block = tape.blocks.last()?;
        let (_, heads, tokens, width) = block.value.size4().ok()?;
        let context = tape.context.index_select(0, rows);
        let residual = tape.residual.index_select(0, rows);
        let unit = normalised(&vision.head(&context, &residual));
        let score = (unit * &questions.directions).sum(Kind::Float);
        let gradient = Tensor::run_backward(&[score], &[&context], true, false).pop()?;
        let gradient = gradient.view([-1, heads, 1, width]);
        let values = block.value.narrow(2, 1, tokens - 1).index_select(0, rows);
        let evidence =
            (values * gradient).sum_dim_intlist([1i64, 3].as_slice(), false, Kind::Float);
        let shown = &evidence * nearness(block).index_select(0, rows);
        Some(Self { evidence, shown })
    }
}

/// `minmax_j cos(q_0, k_j)` over the patches, heads concatenated: `[B, n]`.
pub fn nearness(block: &BlockTap) -> Tensor {
    let tokens = block.key.size()[2];
    let keys = block.key.narrow(2, 1, tokens - 1).transpose(1, 2).flatten(2, 3);
    let query = block.query.flatten(1, 2).unsqueeze(1);
    let cosine = Tensor::cosine_similarity(&keys, &query, -1, 1e-8);
    let least = cosine.amin([-1i64].as_slice(), true);
    let range = cosine.amax([-1i64].as_slice(), true) - &least;
    (cosine - least) / (range + 1e-6)
}

/// How little the heatmap's weight, which knows no prompt, leaves of the places where cues are
/// decided: `sites` `[B, C, n]`.
pub fn nearness_loss(encoded: &Encoded, sites: &Tensor) -> Option<Tensor> {
    let cost = (nearness(encoded.tape.as_ref()?.blocks.last()?) + 0.02).log().neg().unsqueeze(1);
    Some(sum(&(cost * shares(sites))).mean(Kind::Float))
}

/// What maps `[M, n]` cost where `sites` `[M, n]` (share of each cell that is the cue's) is the
/// truth, each in nats.
#[derive(Debug)]
pub struct MapLosses {
    /// Evidence of the wrong sign: for the cue away from its site, against it at its site.
    pub sign: Tensor,
    /// Energy outside the site.
    pub energy: Tensor,
    /// The peak's distance from the site.
    pub peak: Tensor,
}

impl MapLosses {
    /// Of evidence for and against, and of what the heatmap leaves of it.
    pub fn new(maps: &Maps, sites: &Tensor) -> Self {
        let evidence = scaled(&maps.evidence);
        let wrong = sum(&(evidence.neg().softplus() * shares(sites)))
            + sum(&(evidence.softplus() * shares(&sites.eq(0.0).to_kind(Kind::Float))));
        let shown = scaled(&maps.shown);
        let energy = shown.softplus();
        let inside = (sum(&(&energy * sites)) + 1e-6) / (sum(&energy) + 1e-6);
        // Squared, so that the peak prefers cells that are wholly the cue's.
        let peak = sum(&(shares(&sites.square()) * shown.log_softmax(-1, Kind::Float)));
        Self {
            sign: wrong.mean(Kind::Float),
            energy: inside.log().neg().mean(Kind::Float),
            peak: peak.neg().mean(Kind::Float),
        }
    }
}

/// Rows whose largest magnitude is [`SHARPNESS`].
fn scaled(map: &Tensor) -> Tensor {
    map / (map.detach().abs().amax([-1i64].as_slice(), true) + 1e-9) * SHARPNESS
}

/// Rows that sum to 1.
fn shares(sites: &Tensor) -> Tensor {
    sites / (sum(sites).unsqueeze(-1) + 1e-6)
}

/// Sums over the last dimension.
fn sum(tensor: &Tensor) -> Tensor {
    tensor.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
}

/// What the net's last values know of each cue where it lies: a throw-away linear reading `weight`
/// `[C, D]`, `bias` `[C]` of every patch, against `sites` `[B, C, n]` and `present` `[B, C]`.
pub fn dense_loss(
    encoded: &Encoded,
    (weight, bias): (&Tensor, &Tensor),
    (sites, present): (&Tensor, &Tensor),
) -> Option<Tensor> {
    let block = encoded.tape.as_ref()?.blocks.last()?;
    let tokens = block.value.size()[2];
    let values = block.value.narrow(2, 1, tokens - 1).transpose(1, 2).flatten(2, 3);
    let logits = values.linear(weight, Some(bias)).transpose(1, 2);
    let sign = (present * 2.0 - 1.0).unsqueeze(-1);
    let at_site = (&logits * sign).neg().softplus() * shares(sites);
    let elsewhere = logits.softplus() * sites.eq(0.0);
    let elsewhere = elsewhere.mean_dim([-1i64].as_slice(), false, Kind::Float);
    let by_face = sum(&at_site) + elsewhere;
    Some(harder_first(&by_face.mean_dim([0i64].as_slice(), false, Kind::Float)))
}

/// Unit embeddings `[B, E]` of what the last attention gathered alone: the class token that it is
/// added to is the batch's mean. Cues that are told from these are seen by the last block's values,
/// where the default heatmap looks, and not only by the blocks before.
pub fn attended_only(vision: &VisionTower, encoded: &Encoded) -> Option<Tensor> {
    let tape = encoded.tape.as_ref()?;
    let anyone = tape.residual.mean_dim([0i64].as_slice(), true, Kind::Float);
    Some(normalised(&vision.head(&tape.context, &anyone.expand_as(&tape.residual))))
}

/// How little the class token attends to the places where cues are decided: `sites` `[B, C, n]`.
pub fn attention_loss(encoded: &Encoded, sites: &Tensor) -> Option<Tensor> {
    let attention = &encoded.tape.as_ref()?.blocks.last()?.attention;
    let tokens = attention.size()[2];
    let patches = attention.narrow(2, 1, tokens - 1).mean_dim([1i64].as_slice(), true, Kind::Float);
    let inside = (patches * sites.gt(0.0)).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    Some((inside + 1e-6).log().neg().mean(Kind::Float))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::{self, Contrast, Method};
    use crate::models::clip::{Clip, ClipConfig, TapPlan, TextConfig, VisionConfig};
    use crate::models::weights::Weights;
    use tch::Device;

    fn tiny() -> Clip {
        let vision = VisionConfig {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 2,
            num_attention_heads: 2,
            image_size: 32,
            patch_size: 8,
            ..VisionConfig::default()
        };
        let text = TextConfig {
            vocab_size: 8,
            hidden_size: 16,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            ..TextConfig::default()
        };
        let config = ClipConfig { vision, text, projection_dim: 8, logit_scale_init: 2.0 };
        Clip::new(&Weights::initialise(Device::Cpu), &config, Device::Cpu, Kind::Float).unwrap()
    }

    fn random(shape: &[i64]) -> Tensor {
        Tensor::randn(shape, (Kind::Float, Device::Cpu))
    }

    fn largest(t: &Tensor) -> f64 {
        t.abs().max().double_value(&[])
    }

    /// What is trained is what the server shows.
    #[test]
    fn the_trained_map_is_the_default_heatmap() {
        let clip = tiny();
        let encoded = clip.vision.encode(&random(&[3, 3, 32, 32]), TapPlan::LastBlock);
        let tape = encoded.tape.as_ref().unwrap();
        let (prompts, nulls) = (normalised(&random(&[1, 8])), normalised(&random(&[4, 8])));
        let rows = Tensor::from_slice(&[2i64]);
        let embeddings = encoded.embedding.index_select(0, &rows);
        let directions = contrasted(&prompts, &embeddings, &nulls);
        let maps = Maps::new(&clip.vision, tape, &Questions { rows, directions }).unwrap();
        let contrast = Contrast::new(&prompts, &nulls, &normalised(&embeddings).get(0));
        let shown = explain::maps(&clip, (tape, 2), &[Method::GradEclip], &contrast);
        let shown = Tensor::from_slice(&shown[0].values);
        let difference = maps.shown.get(0).relu() - &shown;
        assert!(largest(&shown) > 0.0);
        assert!(largest(&difference) < 1e-4 * largest(&shown), "{difference}");
    }

    #[test]
    fn a_map_on_its_site_costs_least() {
        let sites = Tensor::from_slice(&[0.0f32, 1.0, 0.0, 0.0]).view([1, 4]);
        let cost = |map: [f32; 4]| {
            let map = Tensor::from_slice(&map).view([1, 4]);
            let maps = Maps { evidence: map.shallow_clone(), shown: map };
            let losses = MapLosses::new(&maps, &sites);
            [losses.sign, losses.energy, losses.peak].map(|loss| loss.double_value(&[]))
        };
        let hit = cost([-1.0, 1.0, -1.0, -1.0]);
        assert!(hit.iter().all(|&loss| loss < 1e-3), "{hit:?}");
        let flat = cost([1.0; 4]);
        assert!((flat[1] - 4f64.ln()).abs() < 1e-4 && (flat[2] - 4f64.ln()).abs() < 1e-4);
        let miss = cost([1.0, -1.0, -1.0, -1.0]);
        assert!(miss.iter().all(|&loss| loss > 3.0), "{miss:?}");
        let hidden = cost([-1.0, -0.1, -1.0, -1.0]);
        assert!(hidden[0] > 1.0, "evidence below zero is not shown: {hidden:?}");
    }

    #[test]
    fn every_part_teaches_the_image_tower() {
        let clip = tiny();
        let encoded = clip.vision.encode(&random(&[2, 3, 32, 32]), TapPlan::LastBlock);
        let here = Tensor::arange(16, (Kind::Float, Device::Cpu)).lt(3.0).to_kind(Kind::Float);
        let sites = here.expand([2, 4, 16], false);
        let present = Tensor::ones([2, 4], (Kind::Float, Device::Cpu));
        let (weight, bias) = (random(&[4, 16]), random(&[4]));
        let losses = [
            dense_loss(&encoded, (&weight, &bias), (&sites, &present)).unwrap(),
            attention_loss(&encoded, &sites).unwrap(),
            nearness_loss(&encoded, &sites).unwrap(),
            attended_only(&clip.vision, &encoded).unwrap().get(0).get(0),
        ];
        let key = &encoded.tape.as_ref().unwrap().blocks[0].key;
        let value = &encoded.tape.as_ref().unwrap().blocks[0].value;
        for (loss, leaf) in losses.iter().zip([value, key, key, value]) {
            let gradient = &Tensor::run_backward(&[loss], &[leaf], true, false)[0];
            assert!(largest(gradient) > 0.0 && largest(gradient).is_finite());
        }
    }
}
