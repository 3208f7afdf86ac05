//! What must hold of every heatmap method, on random towers.

use tch::{Device, IndexOp, Kind, Tensor};
use veriframe::explain::{
    Contrast, Exit, ExplainError, Method, Recipe, SingleHead, Smoothing, exit_weights, grad_eclip,
    grad_eclip_single_head, maps, raw_map, recipe_maps, surgery_similarity,
};
use veriframe::models::clip::{Clip, ClipConfig, TapPlan, Tape, attention};

use super::explain::{distance, pixels, random_clip, random_weights, taped, texts, tiny};

/// Difference over the greatest magnitude.
fn off(a: &Tensor, b: &Tensor) -> f64 {
    distance(a, b) / a.abs().max().double_value(&[]).max(1e-12)
}

fn raw(clip: &Clip, tape: &Tape, recipe: &Recipe, directions: &Tensor) -> Tensor {
    recipe.check(clip.vision.depth()).unwrap();
    raw_map(&clip.vision, (tape, 0), recipe, directions).detach()
}

fn with_layers(method: Method, layers: &[usize]) -> Recipe {
    Recipe { layers: layers.to_vec(), ..Recipe::of(method) }
}

/// Each method as it is, and with every option that it has.
fn recipes() -> Vec<Recipe> {
    let mut recipes: Vec<Recipe> = Method::ALL.map(Recipe::of).to_vec();
    for method in Method::ALL {
        for layers in [vec![1, 2], vec![2]] {
            recipes.push(with_layers(method, &layers));
        }
        let smoothing = Smoothing { eigen: true, ..Smoothing::default() };
        recipes.push(Recipe { smoothing, ..Recipe::of(method) });
        let smoothing = Smoothing { augmentation: true, ..Smoothing::default() };
        recipes.push(Recipe { smoothing, ..Recipe::of(method) });
        recipes.push(Recipe { refined: true, ..Recipe::of(method) });
    }
    recipes.retain(|recipe| recipe.check(3).is_ok());
    recipes
}

#[test]
fn every_recipe_needs_no_more_of_the_tape_than_its_plan_keeps() {
    let clip = random_clip(21);
    let (pixels, directions) = (pixels(1), texts(2));
    let (_, whole) = taped(&clip, &pixels);
    let recipes = recipes();
    assert!(recipes.len() > 80, "{}", recipes.len());
    for recipe in recipes {
        let encoded = tch::no_grad(|| clip.vision.encode(&pixels, recipe.plan(3)));
        let exact = raw(&clip, &encoded.tape.unwrap(), &recipe, &directions);
        assert_eq!(exact.size(), [2, 25], "{recipe:?}");
        assert!(bool::try_from(exact.isfinite().all()).unwrap(), "{recipe:?}");
        assert!(exact.std(true).double_value(&[]) > 0.0, "{recipe:?}");
        let off = off(&exact, &raw(&clip, &whole, &recipe, &directions));
        assert!(off < 1e-5, "{recipe:?} is off by {off}");
    }
}

#[test]
fn no_method_changes_the_tape() {
    let clip = random_clip(22);
    let (_, tape) = taped(&clip, &pixels(1));
    let kept = || {
        let all = [&tape.pixels, &tape.last_input, &tape.embedded, &tape.context, &tape.last];
        all.into_iter().chain(&tape.earlier_inputs).map(Tensor::copy).collect::<Vec<_>>()
    };
    let before = kept();
    for recipe in recipes() {
        assert_eq!(raw(&clip, &tape, &recipe, &texts(2)).size(), [2, 25]);
        for (a, b) in before.iter().zip(kept()) {
            assert!(a.equal(&b), "{recipe:?} wrote into the tape");
        }
    }
}

#[test]
fn maps_that_are_linear_in_the_direction_stay_so() {
    let clip = random_clip(23);
    let (_, tape) = taped(&clip, &pixels(1));
    let (a, b) = (texts(1), texts(1));
    let all = Tensor::cat(&[&a, &b, &(&a - &b * 2.0)], 0);
    let linear = [
        Method::GradEclip,
        Method::DirectEffect,
        Method::GradCam,
        Method::XGradCam,
        Method::HiresCam,
        Method::MaskClip,
        Method::ClearClip,
        Method::Naclip,
        Method::Sclip,
        Method::ClipSurgery,
        Method::Gem,
    ];
    for method in linear {
        let map = raw(&clip, &tape, &Recipe::of(method), &all);
        let off = off(&(map.get(0) - map.get(1) * 2.0), &map.get(2));
        assert!(off < 1e-4, "{method} is off by {off}");
    }
}

#[test]
fn only_text_conditioned_methods_tell_prompts_apart() {
    let clip = random_clip(24);
    let (images, tape) = taped(&clip, &pixels(1));
    let contrast = Contrast::new(&texts(2), &texts(6), &images.get(0));
    for pair in maps(&clip, (&tape, 0), &Method::ALL, &contrast).chunks(Method::ALL.len()) {
        for map in pair {
            let blind = map.specificity.is_some_and(|specificity| specificity < 1e-6);
            assert_eq!(blind, !map.method.is_text_conditioned(), "{}", map.method);
        }
    }
    for method in Method::ALL {
        let map = raw(&clip, &tape, &Recipe::of(method), &texts(2));
        let same = off(&map.get(0), &map.get(1)) < 1e-6;
        assert_eq!(same, !method.is_text_conditioned(), "{method}");
    }
}

#[test]
fn only_signed_methods_show_negative_values() {
    let clip = random_clip(25);
    let (images, tape) = taped(&clip, &pixels(1));
    let contrast = Contrast::new(&texts(4), &texts(6), &images.get(0));
    let all = maps(&clip, (&tape, 0), &Method::ALL, &contrast);
    for method in Method::ALL {
        let mut values = all.iter().filter(|map| map.method == method).flat_map(|map| &map.values);
        let negative = values.any(|&value| value < 0.0);
        assert_eq!(negative, method.is_signed(), "{method}");
    }
    for method in [Method::Legrad, Method::Game, Method::GradRollout, Method::Rollout] {
        let map = raw(&clip, &tape, &Recipe::of(method), &texts(3));
        assert!(map.min().double_value(&[]) >= 0.0, "{method} is never negative by its formula");
    }
}

#[test]
fn a_block_of_one_head_makes_both_grad_eclips_one() {
    let mut config = ClipConfig { ..tiny() };
    config.vision.num_attention_heads = 1;
    let weights = random_weights(26);
    let clip = Clip::new(&weights, &config, Device::Cpu, Kind::Float).unwrap();
    let (_, tape) = taped(&clip, &pixels(1));
    let directions = texts(3);
    let many = grad_eclip(&clip.vision, &tape, 0, &directions);
    let one = grad_eclip_single_head(&clip.vision, (&tape, 0), SingleHead::Raw, &directions);
    assert!(off(&many, &one) < 1e-5);
    let two = random_clip(26);
    let (_, tape) = taped(&two, &pixels(1));
    let many = grad_eclip(&two.vision, &tape, 0, &directions);
    let one = grad_eclip_single_head(&two.vision, (&tape, 0), SingleHead::Raw, &directions);
    assert!(off(&many, &one) > 1e-3, "of two heads they differ");
}

#[test]
fn legrad_is_the_sum_of_its_blocks_and_products_follow_their_order() {
    let clip = random_clip(27);
    let (_, tape) = taped(&clip, &pixels(1));
    let directions = texts(3);
    let of =
        |method, layers: &[usize]| raw(&clip, &tape, &with_layers(method, layers), &directions);
    let apart = of(Method::Legrad, &[0]) + of(Method::Legrad, &[1]) + of(Method::Legrad, &[2]);
    assert!(off(&of(Method::Legrad, &[]), &apart) < 1e-5);
    for method in [Method::Rollout, Method::Game, Method::GradCam] {
        assert!(of(method, &[0, 2]).equal(&of(method, &[2, 0])), "{method}");
        assert!(off(&of(method, &[0, 2]), &of(method, &[2])) > 1e-3, "{method}");
    }
}

#[test]
fn a_single_text_leaves_surgery_nothing_without_a_contrast() {
    let features = texts(9);
    let (image, text) = (texts(1).get(0), texts(1));
    let alone = surgery_similarity(&features, &image, &text);
    assert_eq!(alone.count_nonzero(None).int64_value(&[]), 0);
    let several = surgery_similarity(&features, &image, &texts(3));
    assert!(several.abs().max().double_value(&[]) > 1e-3);
    let shared = several.sum_dim_intlist([0i64].as_slice(), false, Kind::Float);
    assert!(shared.abs().max().double_value(&[]) < 1e-5, "what all share is gone");
}

#[test]
fn rows_of_the_exits_sum_to_what_they_should() {
    tch::manual_seed(28);
    let cpu = (Kind::Float, Device::Cpu);
    let (query, key) = (Tensor::randn([1, 2, 26, 8], cpu), Tensor::randn([1, 2, 26, 8], cpu));
    for (exit, total) in [(Exit::ClearClip, 1.0), (Exit::Naclip(5.0), 1.0), (Exit::Sclip, 2.0)] {
        let weights = exit_weights(exit, &query, &key).unwrap();
        let sums = weights.sum_dim_intlist([3i64].as_slice(), false, Kind::Float);
        assert!((sums - total).abs().max().double_value(&[]) < 1e-5, "{exit:?}");
    }
    assert!(exit_weights(Exit::MaskClip, &query, &key).is_none());
}

#[test]
fn a_neighbourhood_without_end_moves_only_the_class_tokens_share() {
    tch::manual_seed(29);
    let key = Tensor::randn([1, 2, 26, 8], (Kind::Float, Device::Cpu));
    let among_patches = |weights: &Tensor| {
        let patches = weights.i((.., .., 1.., 1..));
        &patches / patches.sum_dim_intlist([3i64].as_slice(), true, Kind::Float)
    };
    let plain = attention(&key, &key);
    let endless = exit_weights(Exit::Naclip(1e6), &key, &key).unwrap();
    assert!(distance(&among_patches(&plain), &among_patches(&endless)) < 1e-6);
    assert!(distance(&plain.i((.., .., 0)), &endless.i((.., .., 0))) < 1e-6);
    assert!(distance(&plain.i((.., .., 1.., 0)), &endless.i((.., .., 1.., 0))) > 1e-3);
    let near = exit_weights(Exit::Naclip(1.0), &key, &key).unwrap();
    assert!(distance(&among_patches(&plain), &among_patches(&near)) > 1e-3);
}

#[test]
fn a_bf16_tower_gives_much_the_same_map_by_every_method() {
    let weights = random_weights(30);
    let [exact, coarse] = [Kind::Float, Kind::BFloat16].map(|kind| {
        let clip = Clip::new(&weights, &tiny(), Device::Cpu, kind).unwrap();
        let (_, tape) = tch::no_grad(|| taped(&clip, &pixels_of(31)));
        (clip, tape)
    });
    tch::manual_seed(32);
    let directions = texts(1);
    for method in Method::ALL {
        let maps = [&exact, &coarse]
            .map(|(clip, tape)| raw(clip, tape, &Recipe::of(method), &directions).get(0));
        let correlation = Tensor::stack(&maps, 0).corrcoef().double_value(&[0, 1]);
        assert!(correlation > 0.97, "{method}: correlation {correlation}");
    }
}

fn pixels_of(seed: i64) -> Tensor {
    tch::manual_seed(seed);
    pixels(1)
}

#[test]
fn a_mirrored_picture_has_the_same_smoothed_map_mirrored() {
    let clip = random_clip(33);
    let picture = pixels(1);
    let directions = texts(2);
    let smoothing = Smoothing { augmentation: true, ..Smoothing::default() };
    for method in [Method::GradEclip, Method::Naclip, Method::LayerCam] {
        let recipe = Recipe { smoothing, ..Recipe::of(method) };
        let grid = |pixels: &Tensor| {
            let (_, tape) = taped(&clip, pixels);
            raw(&clip, &tape, &recipe, &directions).view([2, 5, 5])
        };
        let mirrored = grid(&picture.flip([3])).flip([2]);
        assert!(off(&grid(&picture), &mirrored) < 1e-5, "{method}");
    }
}

#[test]
fn a_recipe_that_does_not_fit_the_model_is_refused() {
    let clip = random_clip(34);
    let (images, tape) = taped(&clip, &pixels(1));
    let contrast = Contrast::new(&texts(2), &texts(3), &images.get(0));
    let ask = |recipe| recipe_maps(&clip, (&tape, 0), &[Recipe::default(), recipe], &contrast);
    let method = Method::GradCam;
    let refused = ExplainError::LayerOutOfRange { method, layer: 3, last: 2 };
    assert_eq!(ask(with_layers(method, &[3])), Err(refused));
    let found = ask(with_layers(method, &[1])).unwrap();
    let order: Vec<Method> = found.iter().map(|map| map.method).collect();
    assert_eq!(order, [Method::GradEclip, method, Method::GradEclip, method]);
}

#[test]
fn only_what_is_whole_is_accounted_for() {
    let clip = random_clip(35);
    let (images, tape) = taped(&clip, &pixels(1));
    let contrast = Contrast::new(&texts(1), &texts(3), &images.get(0));
    let part = with_layers(Method::DirectEffect, &[2]);
    let recipes = [Recipe::of(Method::DirectEffect), part];
    let found = recipe_maps(&clip, (&tape, 0), &recipes, &contrast).unwrap();
    let account = found[0].accounting.unwrap();
    let sum: f32 = found[0].values.iter().sum();
    assert!((account.patches - sum).abs() < 1e-5);
    assert_eq!(found[1].accounting, None);
}

#[test]
fn tapes_keep_what_their_plan_says() {
    let clip = random_clip(36);
    let kept = |plan| {
        let tape = tch::no_grad(|| clip.vision.encode(&pixels(2), plan)).tape;
        tape.map(|tape| (tape.blocks.len(), tape.earlier_inputs.len(), tape.last_input.size()))
    };
    let input = vec![2, 26, 16];
    assert_eq!(kept(TapPlan::Nothing), None);
    assert_eq!(kept(TapPlan::LastBlock), Some((1, 0, input.clone())));
    assert_eq!(kept(TapPlan::EveryBlock), Some((3, 0, input.clone())));
    assert_eq!(kept(TapPlan::EveryInput), Some((3, 2, input)));
}

#[test]
fn patches_that_are_all_kept_in_any_order_are_the_whole_picture() {
    let clip = random_clip(31);
    let pixels = pixels(1);
    let whole = tch::no_grad(|| clip.vision.encode(&pixels, TapPlan::Nothing).embedding);
    let order = Tensor::arange(25, (Kind::Int64, Device::Cpu));
    let kept = Tensor::stack(&[order.shallow_clone(), order.flip([0])], 0);
    let embeddings = tch::no_grad(|| clip.vision.encode_kept(&pixels, &kept));
    for row in [0, 1] {
        let off = distance(&embeddings.get(row), &whole.get(0));
        assert!(off < 1e-5, "row {row} is off by {off}");
    }
    let few = tch::no_grad(|| clip.vision.encode_kept(&pixels, &kept.narrow(1, 0, 5)));
    assert!(distance(&few.get(0), &whole.get(0)) > 1e-3, "five patches are not the picture");
}
