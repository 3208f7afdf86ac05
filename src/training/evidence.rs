//! Teaching the net where its evidence lies.
//!
//! The default heatmap (multi-head Grad-ECLIP on the contrastive cosine) is a differentiable
//! function of the net, so it is trained against the masks that the demo world gives for free.
//! This is mask supervision: a real CLIP never had it, and the demo model's heatmaps are the
//! sharper for it.

use tch::{Kind, Tensor};

use crate::models::clip::{BlockTap, Encoded, Tape, VisionTower, normalised};

/// Sharpness of the contrast weights ω over null prompts: published CLIPs end training at 100.
const NULL_SHARPNESS: f64 = 100.0;
/// How many standard deviations of the raw map one unit of the losses' maps is.
const SHARPNESS: f64 = 4.0;

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
    let nearness = normalised(embeddings).detach().matmul(&nulls.detach().transpose(0, 1));
    let weights = (nearness * NULL_SHARPNESS).softmax(-1, Kind::Float);
    texts - weights.matmul(nulls)
}

/// Raw Grad-ECLIP of each question over the n patches, `[M, n]`, before its rectifier:
/// `w_j Σ_h ⟨G[h], v[h, j]⟩`. Differentiable through weight, value and gradient.
pub fn raw_map(vision: &VisionTower, tape: &Tape, questions: &Questions) -> Option<Tensor> {
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
    let signed = (values * gradient).sum_dim_intlist([1i64, 3].as_slice(), false, Kind::Float);
    Some(signed * nearness(block).index_select(0, rows))
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

/// What raw maps `[M, n]` cost where `sites` `[M, n]` (share of each cell that is the cue's) is
/// the truth: the energy outside the site, and the peak's distance from it, both in nats.
pub fn map_losses(raw: &Tensor, sites: &Tensor) -> (Tensor, Tensor) {
    let last = [-1i64];
    let spread = raw.detach().std_dim(last.as_slice(), true, true) + 1e-7;
    let logits = raw / spread * SHARPNESS;
    let energy = logits.softplus();
    let inside = (&energy * sites).sum_dim_intlist(last.as_slice(), false, Kind::Float);
    let all = energy.sum_dim_intlist(last.as_slice(), false, Kind::Float);
    let energy_loss = ((inside + 1e-6) / (all + 1e-6)).log().neg().mean(Kind::Float);
    // Squared, so that the peak prefers cells that are wholly the cue's.
    let target = sites.square();
    let target = &target / (target.sum_dim_intlist(last.as_slice(), true, Kind::Float) + 1e-6);
    let peak = (target * logits.log_softmax(-1, Kind::Float)).neg();
    (energy_loss, peak.sum_dim_intlist(last.as_slice(), false, Kind::Float).mean(Kind::Float))
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
    let share = sites / (sites.sum_dim_intlist([-1i64].as_slice(), true, Kind::Float) + 1e-6);
    let at_site = (&logits * sign).neg().softplus() * share;
    let elsewhere = logits.softplus() * sites.eq(0.0);
    let sum = |t: Tensor| t.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    Some(
        (sum(at_site) + elsewhere.mean_dim([-1i64].as_slice(), false, Kind::Float))
            .mean(Kind::Float),
    )
}

/// How little the class token attends to the places where cues are decided: `sites` `[B, C, n]`.
pub fn attention_loss(encoded: &Encoded, sites: &Tensor) -> Option<Tensor> {
    let attention = &encoded.tape.as_ref()?.blocks.last()?.attention;
    let tokens = attention.size()[2];
    let patches = attention.narrow(2, 1, tokens - 1).mean_dim([1i64].as_slice(), true, Kind::Float);
    let inside = (patches * sites.gt(0.0)).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    Some((inside + 1e-6).log().neg().mean(Kind::Float))
}
