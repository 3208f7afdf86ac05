//! The end of the net run again from one block's input, with a gradient.
//!
//! Only the class token reaches the head, so of the last block only its row is run. The forward
//! pass is shared by all directions and each takes a backward pass of its own: copies of the
//! picture for one joint pass would cost the forward pass once for each direction, and its memory
//! too.

use tch::Tensor;

use crate::models::clip::{Tape, VisionTower, attend, attention, normalised};

/// What a block did on the way, as part of the graph. R is N, but 1 in the last block.
#[derive(Debug)]
pub(super) struct Step {
    /// Which block, from 0.
    pub(super) layer: usize,
    /// Output of its first norm, `[1, N, D]`.
    pub(super) normed: Tensor,
    /// Its attention weights, `[1, H, R, N]` f32.
    pub(super) attention: Tensor,
}

/// The blocks from some one to the last, and the score as a function of each.
#[derive(Debug)]
pub(super) struct Replay {
    /// The blocks, in order.
    pub(super) steps: Vec<Step>,
    /// The unit embedding, `[E]` f32.
    embedding: Tensor,
}

impl Replay {
    /// Runs blocks `first` to the last for image `item`. The tape must hold the input of `first`.
    pub(super) fn run(vision: &VisionTower, (tape, item): (&Tape, i64), first: usize) -> Self {
        let depth = vision.depth();
        tch::with_grad(|| {
            let mut x = tape.input(first, depth, item).set_requires_grad(true);
            let mut steps = Vec::with_capacity(depth - first);
            for layer in first..depth {
                let block = vision.block(layer);
                x = x.to_kind(block.kind());
                let normed = block.norm(&x);
                let [query, key, value] = if layer + 1 == depth {
                    x = x.narrow(1, 0, 1);
                    block.class_query_key_value(&normed)
                } else {
                    block.query_key_value(&normed)
                };
                let weights = attention(&query, &key);
                x = block.feed_forward(&(x + block.project(&attend(&weights, &value))));
                steps.push(Step { layer, normed, attention: weights });
            }
            let embedding = normalised(&vision.project(&x.flatten(0, 1))).squeeze_dim(0);
            Self { steps, embedding }
        })
    }

    /// ∂⟨direction, unit embedding⟩/∂`of`(step) for each of `directions` `[P, E]`: one tensor
    /// `[P, ..]` for each step.
    pub(super) fn gradients(
        &self,
        directions: &Tensor,
        of: impl Fn(&Step) -> &Tensor,
    ) -> Vec<Tensor> {
        let inputs: Vec<&Tensor> = self.steps.iter().map(of).collect();
        gradients(&self.embedding, directions, &inputs)
    }
}

/// ∂⟨direction, embedding⟩/∂input for each of `directions` `[P, E]` and of `inputs` `[1, ..]`: one
/// tensor `[P, ..]` for each input. `embedding` `[E]` is a function of all of them.
pub(super) fn gradients(
    embedding: &Tensor,
    directions: &Tensor,
    inputs: &[&Tensor],
) -> Vec<Tensor> {
    let scores = tch::with_grad(|| directions.detach().mv(embedding));
    let mut rows: Vec<Vec<Tensor>> = inputs.iter().map(|_| Vec::new()).collect();
    for direction in 0..directions.size()[0] {
        let score = tch::with_grad(|| scores.get(direction));
        let gradients = Tensor::run_backward(&[score], inputs, true, false);
        for (rows, gradient) in rows.iter_mut().zip(gradients) {
            rows.push(gradient);
        }
    }
    rows.iter().map(|rows| Tensor::cat(rows, 0)).collect()
}
