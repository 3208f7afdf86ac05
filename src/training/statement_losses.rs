//! The losses that tell statements apart. Each is a mean, in nats, `[]` f32; cosines come times the
//! scale already, as logits.

use tch::{Kind, Reduction, Tensor};

use super::contrastive::harder_first;

/// What stands for "not one of these" in a choice's truth.
pub const UNTOLD: i64 = -100;

/// A question with one true answer among some texts.
#[derive(Debug)]
pub struct Choice {
    /// Which kind of question: those that are hard count more.
    pub kind: usize,
    /// The columns of the texts to choose from.
    pub columns: Vec<i64>,
    /// For each row the true one's place in `columns`, or [`UNTOLD`].
    pub truth: Vec<i64>,
}

/// Which of some statements is true: logits `[B, R]` of B pictures or passages against all R texts.
/// The cross-entropy of each choice, averaged over each of `kinds` kinds, the harder ones first.
pub fn choose(logits: &Tensor, choices: &[Choice], kinds: usize) -> Tensor {
    let mut by_kind: Vec<Vec<Tensor>> = (0..kinds).map(|_| Vec::new()).collect();
    for choice in choices {
        if choice.truth.iter().all(|&truth| truth == UNTOLD) {
            continue;
        }
        let columns = Tensor::from_slice(&choice.columns).to_device(logits.device());
        let truth = Tensor::from_slice(&choice.truth).to_device(logits.device());
        by_kind[choice.kind].push(logits.index_select(1, &columns).cross_entropy_loss::<Tensor>(
            &truth,
            None,
            Reduction::Mean,
            UNTOLD,
            0.0,
        ));
    }
    let means: Vec<Tensor> = by_kind
        .iter()
        .filter(|losses| !losses.is_empty())
        .map(|losses| Tensor::stack(losses, 0).mean(Kind::Float))
        .collect();
    if means.is_empty() {
        return Tensor::zeros([0], (Kind::Float, logits.device())).sum(Kind::Float);
    }
    harder_first(&Tensor::stack(&means, 0))
}

/// Whether statements are so, by their contrast to texts that claim nothing: `contrasts` `[B, R]` as
/// logits, to be above 0 where `truth` `[B, R]` is 1 and below where it is −1; 0 does not count.
/// True and false ones weigh the same, however many there are.
pub fn judge(contrasts: &Tensor, truth: &Tensor) -> Tensor {
    let cost = (contrasts * truth).neg().softplus();
    let mean = |of: f64| {
        let those = truth.eq(of).to_kind(Kind::Float);
        (&cost * &those).sum(Kind::Float) / (those.sum(Kind::Float) + 1e-6)
    };
    (mean(1.0) + mean(-1.0)) * 0.5
}

/// Texts of one meaning are neighbours (Khosla et al., "Supervised Contrastive Learning",
/// arXiv 2004.11362, the loss with the sum outside the logarithm): logits `[R, R]` of all texts with
/// each other, `meanings` `[R]` i64. A text whose meaning no other has is only a negative.
pub fn same_meaning(logits: &Tensor, meanings: &Tensor) -> Tensor {
    let rows = logits.size()[0];
    let own = Tensor::eye(rows, (Kind::Bool, logits.device()));
    let same =
        meanings.unsqueeze(0).eq_tensor(&meanings.unsqueeze(1)).logical_and(&own.logical_not());
    let logits = logits.masked_fill(&own, f64::NEG_INFINITY);
    let shares = logits.log_softmax(-1, Kind::Float).masked_fill(&own, 0.0);
    let same = same.to_kind(Kind::Float);
    let count = same.sum_dim_intlist([-1i64].as_slice(), false, Kind::Float);
    let mean = (shares * same).sum_dim_intlist([-1i64].as_slice(), false, Kind::Float)
        / count.clamp_min(1.0);
    mean.neg().sum(Kind::Float) / count.gt(0.0).to_kind(Kind::Float).sum(Kind::Float).clamp_min(1.0)
}

/// Symmetric `InfoNCE` of rows and columns with one index, where others may be as true: logits
/// `[B, B]`; `also` `[B, B]` bool tells what must not count as wrong.
pub fn match_up(logits: &Tensor, also: &Tensor) -> Tensor {
    let rows = logits.size()[0];
    let own = Tensor::eye(rows, (Kind::Bool, logits.device()));
    let logits = logits.masked_fill(&also.logical_and(&own.logical_not()), f64::NEG_INFINITY);
    let truth = Tensor::arange(rows, (Kind::Int64, logits.device()));
    let by_row = logits.cross_entropy_for_logits(&truth);
    let by_column = logits.transpose(0, 1).cross_entropy_for_logits(&truth);
    (by_row + by_column) * 0.5
}

/// What a passage states is nearer to it than what it does not: logits `[P, R]`, `stated` `[P, R]`
/// bool. Each stated text competes with all that are not stated, not with the other stated ones.
pub fn contain(logits: &Tensor, stated: &Tensor) -> Tensor {
    let wrong = logits.masked_fill(stated, f64::NEG_INFINITY).logsumexp([-1i64].as_slice(), true);
    let cost = (wrong - logits).softplus();
    let stated = stated.to_kind(Kind::Float);
    (cost * &stated).sum(Kind::Float) / stated.sum(Kind::Float).clamp_min(1.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(tensor: &Tensor, expected: f64) {
        let got = tensor.double_value(&[]);
        assert!((got - expected).abs() < 1e-5, "got {got}, expected {expected}");
    }

    #[test]
    fn a_choice_costs_by_its_own_columns_and_only_where_it_is_told() {
        let logits = Tensor::from_slice2(&[[2.0f32, 9.0, 0.0], [0.0, 9.0, 5.0]]);
        let choice = |truth: [i64; 2]| Choice { kind: 1, columns: vec![0, 2], truth: truth.into() };
        close(&choose(&logits, &[choice([0, UNTOLD])], 2), (-2.0f64).exp().ln_1p());
        let both = f64::midpoint((-2.0f64).exp().ln_1p(), 5.0f64.exp().ln_1p());
        close(&choose(&logits, &[choice([0, 0])], 2), both);
        close(&choose(&logits, &[choice([UNTOLD, UNTOLD])], 2), 0.0);
    }

    #[test]
    fn a_judgement_weighs_true_and_false_alike() {
        let contrasts = Tensor::from_slice2(&[[1.0f32, -2.0, -2.0, 7.0]]);
        let truth = Tensor::from_slice2(&[[1.0f32, -1.0, -1.0, 0.0]]);
        let expected = f64::midpoint((-1.0f64).exp().ln_1p(), (-2.0f64).exp().ln_1p());
        close(&judge(&contrasts, &truth), expected);
    }

    #[test]
    fn texts_of_one_meaning_attract_each_other() {
        // Rows 0 and 1 mean the same; row 2 is alone and only repels.
        let meanings = Tensor::from_slice(&[4i64, 4, 7]);
        let logits = Tensor::from_slice2(&[[9.0f32, 3.0, 1.0], [3.0, 9.0, 0.0], [1.0, 0.0, 9.0]]);
        let expected = f64::midpoint((-2.0f64).exp().ln_1p(), (-3.0f64).exp().ln_1p());
        close(&same_meaning(&logits, &meanings), expected);
    }

    #[test]
    fn what_is_true_too_is_not_a_mistake() {
        let logits = Tensor::from_slice2(&[[1.0f32, 5.0], [0.0, 1.0]]);
        let none = Tensor::zeros([2, 2], (Kind::Bool, tch::Device::Cpu));
        let cost = |x: f64| (-x).exp().ln_1p();
        close(&match_up(&logits, &none), (cost(-4.0) + cost(1.0)) * 0.5);
        let also = Tensor::from_slice2(&[[false, true], [false, false]]);
        close(&match_up(&logits, &also), cost(1.0) * 0.5);
    }

    #[test]
    fn a_passage_is_nearer_to_all_that_it_states() {
        let logits = Tensor::from_slice2(&[[3.0f32, 2.0, 1.0, 1.0]]);
        let stated = Tensor::from_slice2(&[[true, true, false, false]]);
        let cost = |x: f64| (2f64.ln() - x).exp().ln_1p();
        close(&contain(&logits, &stated), f64::midpoint(cost(2.0), cost(1.0)));
    }
}
