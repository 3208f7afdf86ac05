//! What can be found out about a map at the price of forward passes.
//!
//! - Faithfulness: does the map name the patches that make the score? Patches are left out, not
//!   painted over (ROAR's and ROAD's artefacts cannot arise in a transformer that drops tokens).
//! - Stability: does the map stay with the picture when that is mirrored or moved by half a patch?
//! - Agreement: of other methods, and of the method's own maps of single blocks.
//!
//! All compare raw maps, by Pearson correlation over patches.

use rand::SeedableRng;
use rand::seq::SliceRandom;
use rand_chacha::ChaCha8Rng;
use tch::{Kind, Tensor};

use super::contrast::to_vec;
use super::make::raw_map;
use super::map::correlation;
use super::method::{LayerChoice, Method};
use super::recipe::Recipe;
use crate::models::clip::{Tape, VisionTower, normalised};

/// Shares of the patches that are kept and dropped.
const SHARES: [f64; 3] = [0.1, 0.2, 0.3];
/// Sets of random patches that a map's own are compared with, for each share.
const RANDOM_SETS: usize = 8;
/// Rows of one forward pass.
const ROWS: usize = 16;
/// Blocks whose single maps are compared with the whole.
const LATE_BLOCKS: usize = 4;
/// One method of each family: gradients of the last block, of late blocks, and a changed net.
const FAMILIES: [Method; 3] = [Method::GradEclip, Method::Legrad, Method::Naclip];

/// Forward passes that checking one map takes, in round numbers: subsets of patches, and pictures
/// mirrored and moved.
pub const PASSES_OF_CHECKS: usize = 60;

/// What was found out.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Checks {
    /// How much better than random patches the map's hottest explain the contrast, 0 to 1: with F
    /// the share of random sets whose effect is smaller, averaged over 10, 20 and 30 % of the
    /// patches, `max(0, 2F − 1)`. The effect of a set is the contrast of the picture with that set
    /// alone, less the contrast without it.
    pub faithfulness: f32,
    /// Mean correlation with the maps of the picture mirrored, moved right and moved down by half
    /// a patch, each moved back, −1 to 1.
    pub stability: f32,
    /// Mean correlation with the maps of Grad-ECLIP, `LeGrad` and NACLIP, itself left out, −1 to 1.
    pub method_agreement: f32,
    /// Mean correlation with the method's maps of each of the last four blocks alone, −1 to 1.
    /// Absent for methods that cannot read a block alone.
    pub layer_agreement: Option<f32>,
}

/// One image before the net, for the checks of all its maps.
pub(super) struct Examiner<'a> {
    vision: &'a VisionTower,
    tape: &'a Tape,
    item: i64,
    /// Of the prompts, `[P, E]`.
    directions: Tensor,
    /// The effects of random sets by share, `[RANDOM_SETS, P]` each.
    random: Vec<Tensor>,
}

impl<'a> Examiner<'a> {
    /// Measures what random patches do, once for all maps. The tape must hold every block's input.
    pub(super) fn new(
        vision: &'a VisionTower,
        (tape, item): (&'a Tape, i64),
        directions: &Tensor,
    ) -> Self {
        let directions = directions.detach();
        let mut examiner = Self { vision, tape, item, directions, random: Vec::new() };
        // The same sets for every picture: figures repeat.
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let mut patches: Vec<i64> = (0..examiner.patches()).collect();
        for share in SHARES {
            let sets: Vec<Vec<i64>> = (0..RANDOM_SETS)
                .map(|_| {
                    patches.shuffle(&mut rng);
                    patches.clone()
                })
                .collect();
            let effects = examiner.effects(&sets, share);
            examiner.random.push(effects);
        }
        examiner
    }

    /// The figures of `map` `[P, n]`, which `recipe` made for the same directions.
    pub(super) fn check(&self, recipe: &Recipe, map: &Tensor) -> Vec<Checks> {
        let rows = to_rows(map);
        let faithfulness = self.faithfulness(map);
        let stability = self.stability(recipe, map);
        let own_layers = self.layers(recipe);
        let layers = own_layers.as_ref().map(|layers| agreement(&rows, layers));
        let others = FAMILIES.into_iter().filter(|&other| other != recipe.method);
        let others: Vec<Vec<Vec<f32>>> =
            others.map(|other| to_rows(&self.map(&Recipe::of(other)))).collect();
        let methods = agreement(&rows, &others);
        (0..rows.len())
            .map(|p| Checks {
                faithfulness: faithfulness[p],
                stability: stability[p],
                method_agreement: methods[p],
                layer_agreement: layers.as_ref().map(|layers| layers[p]),
            })
            .collect()
    }

    fn patches(&self) -> i64 {
        self.tape.last_input.size()[1] - 1
    }

    fn pixels(&self) -> Tensor {
        self.tape.pixels.narrow(0, self.item, 1)
    }

    fn map(&self, recipe: &Recipe) -> Tensor {
        raw_map(self.vision, (self.tape, self.item), recipe, &self.directions).detach()
    }

    /// Contrasts `[rows, P]` of the picture with only the patches of each row of `kept` `[rows, m]`.
    fn margins(&self, kept: &Tensor) -> Tensor {
        let pixels = self.pixels();
        let parts = kept.split(ROWS as i64, 0).into_iter().map(|rows| {
            let embedding = tch::no_grad(|| self.vision.encode_kept(&pixels, &rows));
            normalised(&embedding).matmul(&self.directions.tr())
        });
        Tensor::cat(&parts.collect::<Vec<_>>(), 0)
    }

    /// What the first `share` of each order of patches does, `[orders, P]`.
    fn effects(&self, orders: &[Vec<i64>], share: f64) -> Tensor {
        let count = self.patches();
        let first = ((count as f64 * share).round() as i64).clamp(1, count - 1);
        let flat: Vec<i64> = orders.iter().flatten().copied().collect();
        let device = self.directions.device();
        let orders = Tensor::from_slice(&flat).view([-1, count]).to_device(device);
        let rest = orders.narrow(1, first, count - first);
        self.margins(&orders.narrow(1, 0, first)) - self.margins(&rest)
    }

    fn faithfulness(&self, map: &Tensor) -> Vec<f32> {
        let order = map.argsort(1, true).to_device(tch::Device::Cpu).to_kind(Kind::Int64);
        let orders: Vec<Vec<i64>> = (0..order.size()[0])
            .map(|p| Vec::try_from(order.get(p)).expect("patch numbers are a list"))
            .collect();
        let shares = SHARES.iter().zip(&self.random).map(|(&share, random)| {
            let own = self.effects(&orders, share).diagonal(0, 0, 1);
            random.lt_tensor(&own.unsqueeze(0)).to_kind(Kind::Float).mean_dim(
                [0i64].as_slice(),
                false,
                Kind::Float,
            )
        });
        let mean = Tensor::stack(&shares.collect::<Vec<_>>(), 0);
        let mean = mean.mean_dim([0i64].as_slice(), false, Kind::Float);
        to_vec(&(mean * 2.0 - 1.0).clamp_min(0.0))
    }

    fn stability(&self, recipe: &Recipe, map: &Tensor) -> Vec<f32> {
        let pixels = self.pixels();
        let side = (self.patches() as usize).isqrt() as i64;
        let half = pixels.size()[2] / side / 2;
        let (prompts, _) = map.size2().expect("maps are [P, n]");
        let grid = map.view([prompts, side, side]);
        let mean_of_two =
            |dim: i64| (grid.narrow(dim, 0, side - 1) + grid.narrow(dim, 1, side - 1)) * 0.5;
        let again = |pixels: &Tensor| {
            let plan = recipe.plan(self.vision.depth());
            let encoded = tch::no_grad(|| self.vision.encode(pixels, plan));
            let tape = encoded.tape.expect("every recipe's plan keeps a tape");
            let map = raw_map(self.vision, (&tape, 0), recipe, &self.directions).detach();
            map.view([prompts, side, side])
        };
        let height = pixels.size()[2];
        let right = pixels.narrow(3, 0, height - half).replication_pad2d([half, 0, 0, 0]);
        let down = pixels.narrow(2, 0, height - half).replication_pad2d([0, 0, half, 0]);
        let flipped = again(&pixels.flip([3])).flip([2]);
        let mut pairs = vec![(grid.shallow_clone(), flipped)];
        if half > 0 && side > 1 {
            // Moved by half a patch, a cell covers half of each of two.
            pairs.push((mean_of_two(2), again(&right).narrow(2, 1, side - 1)));
            pairs.push((mean_of_two(1), again(&down).narrow(1, 1, side - 1)));
        }
        let each = pairs.iter().map(|(before, after)| {
            let (before, after) = (to_rows(&before.flatten(1, 2)), to_rows(&after.flatten(1, 2)));
            before.iter().zip(&after).map(|(a, b)| correlation(a, b)).collect::<Vec<_>>()
        });
        mean_of(&each.collect::<Vec<_>>())
    }

    /// The maps of each late block alone, where the method can make them.
    fn layers(&self, recipe: &Recipe) -> Option<Vec<Vec<Vec<f32>>>> {
        let LayerChoice::Any(_) = recipe.method.layer_choice() else { return None };
        let depth = self.vision.depth();
        let late = depth.saturating_sub(LATE_BLOCKS)..depth;
        let alone =
            late.map(|layer| to_rows(&self.map(&Recipe { layers: vec![layer], ..recipe.clone() })));
        Some(alone.collect())
    }
}

/// Rows of `[P, n]`.
fn to_rows(map: &Tensor) -> Vec<Vec<f32>> {
    let patches = map.size()[1] as usize;
    to_vec(map).chunks_exact(patches).map(<[f32]>::to_vec).collect()
}

/// Mean correlation of each row of `maps` with the same row of each of `others`.
fn agreement(maps: &[Vec<f32>], others: &[Vec<Vec<f32>>]) -> Vec<f32> {
    let each = others
        .iter()
        .map(|other| maps.iter().zip(other).map(|(a, b)| correlation(a, b)).collect::<Vec<_>>());
    mean_of(&each.collect::<Vec<_>>())
}

/// The mean over lists, place by place.
fn mean_of(lists: &[Vec<f32>]) -> Vec<f32> {
    let length = lists.first().map_or(0, Vec::len);
    (0..length)
        .map(|at| lists.iter().map(|list| list[at]).sum::<f32>() / lists.len() as f32)
        .collect()
}
