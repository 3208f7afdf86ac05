//! The contrastive cosine: what a prompt adds over prompts that claim nothing.
//!
//! A plain cosine is mostly what all texts share, so its heatmap is mostly the same for every
//! prompt. Taking away the texts that fit the image anyway leaves what is specific to this one.

use tch::{Kind, Tensor};

/// Sharpness of the weighting of nulls: the logit scale of the published checkpoints.
const SCALE: f64 = 100.0;

/// A null this close to a text says the same, and would erase it.
const SAME_TEXT_COSINE: f64 = 0.9999;

/// Nulls whose own maps are made to compare with; those that fit the image best.
const NULL_MAPS: i64 = 8;

/// Text directions to explain, for one image.
#[derive(Debug)]
pub struct Contrast {
    /// t̃ = t − Σ ω t₀ over the nulls t₀ for each prompt t, `[P, E]` f32, not of unit length. ω is
    /// the softmax of 100 ⟨t₀, image⟩ and counts as constant.
    pub directions: Tensor,
    /// The same for at most eight of the nulls, each against the others, `[K, E]` f32.
    pub null_directions: Tensor,
    /// The image embedding, `[E]` f32, of unit length.
    image: Tensor,
    /// How far each prompt's cosine stands above those of the nulls, in their standard deviations;
    /// empty with fewer than two nulls.
    claims: Vec<f32>,
}

impl Contrast {
    /// From unit embeddings of prompts `[P, E]`, of nulls `[M, E]` (M may be 0: then directions are
    /// the prompts) and of the image `[E]`, all f32. A null that equals a prompt is left out for
    /// that prompt, so one null set serves all.
    pub fn new(prompts: &Tensor, nulls: &Tensor, image: &Tensor) -> Self {
        let similarity = nulls.mv(image);
        let kept = NULL_MAPS.min(nulls.size()[0]);
        let (_, hardest) = similarity.topk(kept, 0, true, true);
        Self {
            directions: contrasted(prompts, nulls, &similarity),
            null_directions: contrasted(&nulls.index_select(0, &hardest), nulls, &similarity),
            image: image.shallow_clone(),
            claims: claims(&prompts.mv(image), prompts, nulls, &similarity),
        }
    }

    /// `(s − mean s₀) / std s₀` of prompt `p`: its cosine s against those of the nulls. Absent with
    /// fewer than two nulls that say another thing, or where those score all the same.
    pub fn claim(&self, p: usize) -> Option<f32> {
        self.claims.get(p).copied().filter(|claim| claim.is_finite())
    }

    /// The contrastive cosine ⟨t̃, image⟩ of each prompt; above 0 where the prompt fits better than
    /// the nulls.
    pub fn margins(&self) -> Vec<f32> {
        to_vec(&self.directions.mv(&self.image))
    }
}

/// The standing of each prompt's `score` `[P]` among the nulls' `similarity` `[M]`; not finite where
/// there is none.
fn claims(score: &Tensor, prompts: &Tensor, nulls: &Tensor, similarity: &Tensor) -> Vec<f32> {
    let same = prompts.matmul(&nulls.tr()).gt(SAME_TEXT_COSINE);
    let others = same.logical_not().to_kind(Kind::Float);
    let count = others.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    let mean = others.mv(similarity) / &count;
    let apart = (similarity.unsqueeze(0) - mean.unsqueeze(1)).square() * others;
    let spread = (apart.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float) / &count).sqrt();
    to_vec(&((score - mean) / spread))
}

/// Texts `[R, E]` less the nulls `[M, E]`, which are weighted by `similarity` `[M]` to the image.
fn contrasted(texts: &Tensor, nulls: &Tensor, similarity: &Tensor) -> Tensor {
    let same = texts.matmul(&nulls.tr()).gt(SAME_TEXT_COSINE);
    let weights = (similarity * SCALE)
        .unsqueeze(0)
        .expand_as(&same)
        .masked_fill(&same, f64::NEG_INFINITY)
        .softmax(-1, Kind::Float)
        // A text that equals every null has nothing to be compared with.
        .nan_to_num(0.0, None, None);
    texts - weights.matmul(nulls)
}

/// A tensor's numbers in row-major order, f32.
pub(super) fn to_vec(tensor: &Tensor) -> Vec<f32> {
    let flat = tensor.detach().to_device(tch::Device::Cpu).to_kind(Kind::Float).flatten(0, -1);
    Vec::try_from(flat.contiguous()).expect("a flat f32 tensor converts")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(rows: &[[f32; 3]]) -> Tensor {
        let flat: Vec<f32> = rows.iter().flatten().copied().collect();
        let t = Tensor::from_slice(&flat).view([-1, 3]);
        &t / t.norm_scalaropt_dim(2.0, [-1i64].as_slice(), true)
    }

    fn close(a: &Tensor, b: &Tensor) -> bool {
        a.size() == b.size() && (a - b).abs().max().double_value(&[]) < 1e-6
    }

    #[test]
    fn without_nulls_the_direction_is_the_prompt() {
        let prompts = unit(&[[1.0, 2.0, 3.0], [0.0, 1.0, 0.0]]);
        let none = Tensor::empty([0, 3], (Kind::Float, tch::Device::Cpu));
        let contrast = Contrast::new(&prompts, &none, &unit(&[[0.0, 1.0, 0.0]]).get(0));
        assert!(close(&contrast.directions, &prompts));
        assert_eq!(contrast.null_directions.size(), [0, 3]);
        assert!((contrast.margins()[1] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn a_claim_stands_among_the_nulls() {
        let prompts = unit(&[[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]]);
        let nulls = unit(&[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let image = unit(&[[0.6, 0.8, 0.0]]).get(0);
        let contrast = Contrast::new(&prompts, &nulls, &image);
        // Nulls score 0.8 and 0: mean 0.4, standard deviation 0.4.
        assert!((contrast.claim(0).unwrap() - 0.5).abs() < 1e-5);
        assert_eq!(contrast.claim(1), None, "one of the nulls is the prompt, one is not enough");
        let none = Tensor::empty([0, 3], (Kind::Float, tch::Device::Cpu));
        assert_eq!(Contrast::new(&prompts, &none, &image).claim(0), None);
    }

    #[test]
    fn nulls_are_weighted_by_their_fit_to_the_image() {
        let prompts = unit(&[[1.0, 0.0, 0.0]]);
        let nulls = unit(&[[0.0, 1.0, 0.0], [0.0, 0.0, 1.0]]);
        let contrast = Contrast::new(&prompts, &nulls, &unit(&[[0.0, 1.0, 0.0]]).get(0));
        let expected = Tensor::from_slice(&[1.0f32, -1.0, 0.0]).view([1, 3]);
        assert!(close(&contrast.directions, &expected), "the null that fits takes all weight");
        assert!(contrast.margins()[0] < 0.0);
    }

    #[test]
    fn a_null_that_equals_the_prompt_does_not_erase_it() {
        let prompts = unit(&[[1.0, 2.0, 0.0]]);
        let contrast = Contrast::new(&prompts, &prompts, &unit(&[[1.0, 0.0, 0.0]]).get(0));
        assert!(close(&contrast.directions, &prompts));
        assert!(close(&contrast.null_directions, &prompts));
    }
}
