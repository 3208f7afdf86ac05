//! From recipes to maps: the one place that knows every method.

use tch::{Kind, Tensor};

use super::affinity::refined;
use super::cam::{Cam, Channels, class_activation, joined};
use super::checks::Examiner;
use super::contrast::Contrast;
use super::direct_effect::{direct_effect, direct_effect_by_head};
use super::dual_path::{DualPath, dual_path_map};
use super::error::ExplainError;
use super::exits::{Exit, NEIGHBOURHOOD, exit_map};
use super::grad_eclip::grad_eclip;
use super::legrad::legrad;
use super::map::{Accounting, Known, RawMap, finish};
use super::method::Method;
use super::recipe::{Recipe, Smoothing};
use super::rollout::{Flow, gradient_flow, rollout};
use super::scale::rank_normalised;
use super::score_cam::score_cam;
use crate::models::clip::{Clip, Tape, VisionTower};

/// Null maps where every map costs a backward pass through many blocks: the null that fits best.
const DEAR_NULL_MAPS: i64 = 1;

/// What normalised pixels are multiplied with, for smoothing by augmentation.
const FACTORS: [f64; 3] = [0.9, 1.0, 1.1];

/// Maps of image `item` of the taped batch: one for each prompt of `contrast` and method, prompts
/// outermost, methods within, each method as it is. The tape must have been kept with at least each
/// [`Method::plan`]. Works inside `no_grad` too.
pub fn maps(
    clip: &Clip,
    tape: (&Tape, usize),
    methods: &[Method],
    contrast: &Contrast,
) -> Vec<RawMap> {
    let recipes: Vec<Recipe> = methods.iter().copied().map(Recipe::of).collect();
    by_prompt(recipes.iter().map(|recipe| finished(clip, tape, recipe, (contrast, None))).collect())
}

/// The same by recipes, of which each must fit the model. The tape must have been kept with at
/// least each [`Recipe::plan`].
pub fn recipe_maps(
    clip: &Clip,
    tape: (&Tape, usize),
    recipes: &[Recipe],
    contrast: &Contrast,
) -> Result<Vec<RawMap>, ExplainError> {
    recipes.iter().try_for_each(|recipe| recipe.check(clip.vision.depth()))?;
    let each = recipes.iter().map(|recipe| finished(clip, tape, recipe, (contrast, None)));
    Ok(by_prompt(each.collect()))
}

/// The same, each map with its [`Checks`](super::Checks). The tape must hold every block's input.
pub fn checked_maps(
    clip: &Clip,
    tape: (&Tape, usize),
    recipes: &[Recipe],
    contrast: &Contrast,
) -> Result<Vec<RawMap>, ExplainError> {
    recipes.iter().try_for_each(|recipe| recipe.check(clip.vision.depth()))?;
    let examiner = Examiner::new(&clip.vision, (tape.0, tape.1 as i64), &contrast.directions);
    let examined = (contrast, Some(&examiner));
    let each = recipes.iter().map(|recipe| finished(clip, tape, recipe, examined));
    Ok(by_prompt(each.collect()))
}

/// Every recipe's maps, each prompts long, to prompts outermost.
fn by_prompt(by_recipe: Vec<Vec<RawMap>>) -> Vec<RawMap> {
    let prompts = by_recipe.first().map_or(0, Vec::len);
    let mut rows: Vec<_> = by_recipe.into_iter().map(Vec::into_iter).collect();
    (0..prompts)
        .flat_map(|_| rows.iter_mut().filter_map(Iterator::next).collect::<Vec<_>>())
        .collect()
}

/// One recipe's maps of all prompts, with their figures.
fn finished(
    clip: &Clip,
    (tape, item): (&Tape, usize),
    recipe: &Recipe,
    (contrast, examiner): (&Contrast, Option<&Examiner<'_>>),
) -> Vec<RawMap> {
    let nulls = &contrast.null_directions;
    let dear = recipe.is_dear(clip.vision.depth());
    let kept = if dear { DEAR_NULL_MAPS.min(nulls.size()[0]) } else { nulls.size()[0] };
    let directions = Tensor::cat(&[&contrast.directions, &nulls.narrow(0, 0, kept)], 0);
    let tape = (tape, item as i64);
    let (raw, accounts) = accounted(&clip.vision, tape, recipe, &directions);
    let margins = contrast.margins();
    let prompts = margins.len();
    let checks =
        examiner.map(|examiner| examiner.check(recipe, &raw.narrow(0, 0, prompts as i64).detach()));
    let known = Known {
        claims: &(0..prompts).map(|p| contrast.claim(p)).collect::<Vec<_>>(),
        accounts: &accounts,
        checks: &checks.unwrap_or_default(),
        margins: &margins,
    };
    finish(recipe.method, &raw, &known)
}

/// Raw maps, and the accounts of a method that sums to the score where its map is the whole of it.
fn accounted(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    recipe: &Recipe,
    directions: &Tensor,
) -> (Tensor, Vec<Accounting>) {
    if *recipe == Recipe::of(Method::DirectEffect) {
        let effect = direct_effect(vision, tape, item, directions);
        let accounts = effect.accounts();
        return (effect.map, accounts);
    }
    (raw_map(vision, (tape, item), recipe, directions), Vec::new())
}

/// Raw maps of image `item`, before negative values are cut: directions `[P, E]` to `[P, n]` f32.
/// The recipe must fit the tower ([`Recipe::check`]) and the tape the recipe ([`Recipe::plan`]).
pub fn raw_map(
    vision: &VisionTower,
    tape: (&Tape, i64),
    recipe: &Recipe,
    directions: &Tensor,
) -> Tensor {
    if recipe.smoothing.augmentation {
        return smoothed(vision, tape, recipe, directions);
    }
    let map = method_map(vision, tape, recipe, directions);
    if recipe.refined { refined(vision, tape, &map) } else { map }
}

fn method_map(
    vision: &VisionTower,
    tape: (&Tape, i64),
    recipe: &Recipe,
    directions: &Tensor,
) -> Tensor {
    let layers = recipe.layers_in(vision.depth());
    let channels = if recipe.smoothing.eigen { Channels::Principal } else { Channels::Summed };
    let cam = |cam| class_activation(vision, tape, (cam, channels), &layers, directions);
    let exit = |exit| exit_map(vision, tape, exit, directions);
    let flow = |flow| gradient_flow(vision, tape, &layers, (flow, directions));
    let dual = |path| dual_path_map(vision, tape, (path, layers[0]), directions);
    match recipe.method {
        Method::GradEclip => grad_eclip(vision, tape.0, tape.1, directions),
        Method::DirectEffect => direct_effect_of(vision, tape, &layers, directions),
        Method::Legrad => legrad(vision, tape, &layers, directions),
        Method::Game => flow(Flow::Relevance),
        Method::GradRollout => flow(Flow::GradRollout),
        Method::Rollout => {
            let map = rollout(vision, tape, &layers);
            map.unsqueeze(0).expand([directions.size()[0], -1], false)
        }
        Method::ScoreCam => {
            let maps = layers.iter().map(|&layer| score_cam(vision, tape, layer, directions));
            joined(&maps.collect::<Vec<_>>())
        }
        Method::MaskClip => exit(Exit::MaskClip),
        Method::ClearClip => exit(Exit::ClearClip),
        Method::Naclip => exit(Exit::Naclip(NEIGHBOURHOOD)),
        Method::Sclip => exit(Exit::Sclip),
        Method::ClipSurgery => dual(DualPath::Surgery),
        Method::Gem => dual(DualPath::Gem),
        Method::Ensemble => ensemble(vision, tape, &recipe.members(), directions),
        Method::GradCam => cam(Cam::Grad),
        Method::GradCamPlusPlus => cam(Cam::PlusPlus),
        Method::XGradCam => cam(Cam::XGrad),
        Method::LayerCam => cam(Cam::Layer),
        Method::HiresCam => cam(Cam::Hires),
        Method::EigenCam => cam(Cam::Eigen),
        Method::EigenGradCam => cam(Cam::EigenGrad),
    }
}

/// The direct effects through blocks `layers`.
fn direct_effect_of(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    layers: &[usize],
    directions: &Tensor,
) -> Tensor {
    if layers.len() == vision.depth() {
        return direct_effect(vision, tape, item, directions).map;
    }
    let by_head = direct_effect_by_head(vision, tape, item, directions);
    let chosen: Vec<Tensor> = layers.iter().map(|&layer| by_head.get(layer as i64)).collect();
    Tensor::stack(&chosen, 0).sum_dim_intlist([0i64, 1].as_slice(), false, Kind::Float)
}

/// The mean of rank-normalised maps of `members`, `[P, n]` from 0 to 1.
fn ensemble(
    vision: &VisionTower,
    tape: (&Tape, i64),
    members: &[Method],
    directions: &Tensor,
) -> Tensor {
    let maps = members.iter().map(|&member| {
        rank_normalised(&raw_map(vision, tape, &Recipe::of(member), directions).detach())
    });
    Tensor::stack(&maps.collect::<Vec<_>>(), 0).mean_dim([0i64].as_slice(), false, Kind::Float)
}

/// The mean over augmented pictures of a recipe's maps as they are shown.
fn smoothed(
    vision: &VisionTower,
    (tape, item): (&Tape, i64),
    recipe: &Recipe,
    directions: &Tensor,
) -> Tensor {
    let smoothing = Smoothing { augmentation: false, ..recipe.smoothing };
    let plain = Recipe { smoothing, ..recipe.clone() };
    augmented(&tape.pixels.narrow(0, item, 1), |pixels| {
        let encoded = tch::no_grad(|| vision.encode(pixels, plain.plan(vision.depth())));
        let tape = encoded.tape.expect("every recipe's plan keeps a tape");
        let map = raw_map(vision, (&tape, 0), &plain, directions);
        let (prompts, patches) = map.size2().expect("maps are [P, n]");
        let side = (patches as usize).isqrt() as i64;
        let grid = map.view([prompts, side, patches / side]);
        if recipe.method.is_signed() { grid } else { grid.relu() }
    })
    .flatten(1, 2)
}

/// The mean of what `map` makes of the picture `[1, 3, S, S]`, mirrored and not, its values times
/// 0.9, 1 and 1.1; mirror images are mirrored back. `map` gives `[P, rows, columns]`. As
/// pytorch-grad-cam's `aug_smooth`.
pub fn augmented(picture: &Tensor, map: impl Fn(&Tensor) -> Tensor) -> Tensor {
    let mut all = Vec::with_capacity(2 * FACTORS.len());
    for factor in FACTORS {
        let scaled = picture * factor;
        all.push(map(&scaled));
        all.push(map(&scaled.flip([3])).flip([2]));
    }
    Tensor::stack(&all, 0).mean_dim([0i64].as_slice(), false, Kind::Float)
}
