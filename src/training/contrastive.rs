//! The losses that tie pictures to texts. Each is a mean, in nats, `[]` f32.
//!
//! K pairs of faces make a batch of B = 2 K: picture i and picture i + K differ in one cue alone,
//! and so do their captions. So each caption's hardest wrong picture is in the batch.

use tch::{Kind, Tensor};

/// Symmetric `InfoNCE` (Radford et al., arXiv 2103.00020): each of the unit rows `images` `[B, E]`
/// belongs to the row of `texts` `[B, E]` with its index.
pub fn batch_contrast(images: &Tensor, texts: &Tensor, scale: &Tensor) -> Tensor {
    let logits = images.matmul(&texts.transpose(0, 1)) * scale;
    let truth = Tensor::arange(images.size()[0], (Kind::Int64, images.device()));
    let by_image = logits.cross_entropy_for_logits(&truth);
    let by_text = logits.transpose(0, 1).cross_entropy_for_logits(&truth);
    (by_image + by_text) * 0.5
}

/// The same inside each pair only: a picture against its own and its twin's caption, a caption
/// against its own and its twin's picture. Rows `[2 K, E]`.
pub fn pair_contrast(images: &Tensor, texts: &Tensor, scale: &Tensor) -> Tensor {
    let pairs = images.size()[0] / 2;
    let own = (images * texts).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    let twin = texts.roll([pairs], [0]);
    let crossed = (images * twin).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    let by_image = ((&crossed - &own) * scale).softplus().mean(Kind::Float);
    let by_text = ((crossed.roll([pairs], [0]) - own) * scale).softplus().mean(Kind::Float);
    (by_image + by_text) * 0.5
}

/// Whether a cue is there, by which of its two prompts is nearer: margins `[B, C, L]` are
/// cos(present) − cos(absent) for C cues in L languages, `present` `[B, C]` is 0 or 1.
pub fn cue_contrast(margins: &Tensor, present: &Tensor, scale: &Tensor) -> Tensor {
    let sign = (present * 2.0 - 1.0).unsqueeze(-1);
    let losses = (margins * sign * scale).neg().softplus();
    harder_first(&losses.mean_dim([0i64, 2].as_slice(), false, Kind::Float))
}

/// Whether a claim is true, by its contrast to texts that claim nothing, which is the figure that
/// the server gives: `contrasts` `[B, C, L, 2]` are those of each cue's present and absent prompt,
/// to be above 0 where true and below where not; `present` `[B, C]` is 0 or 1.
pub fn claim_contrast(contrasts: &Tensor, present: &Tensor, scale: &Tensor) -> Tensor {
    let sign = (present * 2.0 - 1.0).unsqueeze(-1);
    let signs = Tensor::stack(&[&sign, &sign.neg()], -1);
    let losses = (contrasts * signs * scale).neg().softplus();
    harder_first(&losses.mean_dim([0i64, 2, 3].as_slice(), false, Kind::Float))
}

/// The mean of one loss a cue `[C]`, each weighted by its own size over the mean size: a cue that
/// is still unknown teaches more than those that are known.
pub fn harder_first(by_cue: &Tensor) -> Tensor {
    let size = by_cue.detach();
    let weights = &size / (size.mean(Kind::Float) + 1e-6);
    (by_cue * weights).mean(Kind::Float)
}

/// The share of faces and cues whose nearer prompt tells the truth; shapes as in [`cue_contrast`].
pub fn cue_accuracy(margins: &Tensor, present: &Tensor) -> f64 {
    let said = margins.gt(0.0).to_kind(Kind::Float);
    said.eq_tensor(&present.unsqueeze(-1)).to_kind(Kind::Float).mean(Kind::Float).double_value(&[])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(tensor: &Tensor, expected: f64) {
        let got = tensor.double_value(&[]);
        assert!((got - expected).abs() < 1e-5, "got {got}, expected {expected}");
    }

    /// Two pictures, two texts, cosines [[1, 0], [0, 1]]: every softmax is σ(scale).
    #[test]
    fn matching_rows_cost_log_one_plus_exp_of_minus_the_scale() {
        let rows = Tensor::eye(2, (Kind::Float, tch::Device::Cpu));
        let scale = Tensor::from(3.0f32);
        let expected = (-3.0f64).exp().ln_1p();
        close(&batch_contrast(&rows, &rows, &scale), expected);
        close(&pair_contrast(&rows, &rows, &scale), expected);
        close(&pair_contrast(&rows, &rows.roll([1], [0]), &scale), 3.0f64.exp().ln_1p());
    }

    #[test]
    fn twins_are_compared_with_each_other_only() {
        // Pairs (0, 2) and (1, 3); pictures 0 and 1 alike, so only batch_contrast mixes them up.
        let images = Tensor::from_slice2(&[[1.0f32, 0.0], [1.0, 0.0], [0.0, 1.0], [0.0, 1.0]]);
        let scale = Tensor::from(4.0f32);
        close(&pair_contrast(&images, &images, &scale), (-4.0f64).exp().ln_1p());
        assert!(batch_contrast(&images, &images, &scale).double_value(&[]) > 2f64.ln());
    }

    #[test]
    fn a_claim_costs_by_its_own_contrast() {
        let contrasts = Tensor::from_slice(&[0.5f32, -0.5, 0.5, -0.5]).view([2, 1, 1, 2]);
        let scale = Tensor::from(2.0f32);
        let cost = |present: [f32; 2]| {
            claim_contrast(&contrasts, &Tensor::from_slice(&present).view([2, 1]), &scale)
        };
        close(&cost([1.0, 1.0]), (-1.0f64).exp().ln_1p());
        close(&cost([0.0, 0.0]), 1.0f64.exp().ln_1p());
    }

    #[test]
    fn a_cue_that_is_unknown_weighs_more() {
        let by_cue = Tensor::from_slice(&[0.6f32, 0.2]).set_requires_grad(true);
        let loss = harder_first(&by_cue);
        close(&loss, f64::midpoint(0.6 * 1.5, 0.2 * 0.5));
        loss.backward();
        close(&by_cue.grad().get(0), 0.75);
        close(&by_cue.grad().get(1), 0.25);
    }

    #[test]
    fn a_cue_costs_by_the_margin_towards_the_truth() {
        let margins = Tensor::from_slice(&[0.5f32, -0.5]).view([2, 1, 1]);
        let present = Tensor::from_slice(&[1.0f32, 1.0]).view([2, 1]);
        let expected = f64::midpoint((-1.0f64).exp().ln_1p(), 1.0f64.exp().ln_1p());
        close(&cue_contrast(&margins, &present, &Tensor::from(2.0f32)), expected);
        assert!((cue_accuracy(&margins, &present) - 0.5).abs() < 1e-9);
    }
}
