//! Heatmaps against plain autograd: in Python (`tests/golden/explain.py`) and on random towers
//! here.

use std::collections::BTreeMap;
use std::path::Path;

use tch::{Device, Kind, Tensor};
use veriframe::explain::{Contrast, Method, Quality, direct_effect, grad_eclip, maps};
use veriframe::models::clip::{
    Activation, Clip, ClipConfig, Encoded, TapPlan, Tape, TextConfig, VisionConfig, normalised,
};
use veriframe::models::weights::Weights;

const CPU_F32: (Kind, Device) = (Kind::Float, Device::Cpu);

/// L=3, H=2 and a 5×5 grid, as in `tests/golden/explain.py`.
pub(super) fn tiny() -> ClipConfig {
    ClipConfig {
        text: TextConfig {
            vocab_size: 16,
            hidden_size: 8,
            intermediate_size: 16,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            max_position_embeddings: 8,
            eos_token_id: 15,
            ..TextConfig::default()
        },
        vision: VisionConfig {
            hidden_size: 16,
            intermediate_size: 32,
            num_hidden_layers: 3,
            num_attention_heads: 2,
            image_size: 20,
            patch_size: 4,
            hidden_act: Activation::QuickGelu,
            layer_norm_eps: 1e-5,
            ..VisionConfig::default()
        },
        projection_dim: 12,
        ..ClipConfig::default()
    }
}

/// Random weights with real spread in every tensor, biases and norms too.
pub(super) fn random_weights(seed: i64) -> Weights {
    tch::manual_seed(seed);
    let fresh = Weights::initialise(Device::Cpu);
    Clip::new(&fresh, &tiny(), Device::Cpu, Kind::Float).expect("new weights always fit");
    let spread = |t: Tensor| tch::no_grad(|| t.detach() + t.randn_like() * 0.25);
    let tensors = fresh.tensors().into_iter().map(|(key, t)| (key, spread(t))).collect();
    Weights::from_tensors("random".to_owned(), tensors)
}

pub(super) fn random_clip(seed: i64) -> Clip {
    let weights = random_weights(seed);
    Clip::new(&weights, &tiny(), Device::Cpu, Kind::Float).expect("the weights fit")
}

pub(super) fn pixels(batch: i64) -> Tensor {
    Tensor::randn([batch, 3, 20, 20], CPU_F32)
}

pub(super) fn texts(count: i64) -> Tensor {
    normalised(&Tensor::randn([count, 12], CPU_F32))
}

/// Runs the tower as the worker does, without gradients.
pub(super) fn taped(clip: &Clip, pixels: &Tensor) -> (Tensor, Tape) {
    let encode = || clip.vision.encode(pixels, TapPlan::EveryInput);
    let Encoded { embedding, tape } = tch::no_grad(encode);
    (normalised(&embedding), tape.expect("the plan keeps a tape"))
}

pub(super) fn distance(a: &Tensor, b: &Tensor) -> f64 {
    assert_eq!(a.size(), b.size());
    (a - b).abs().max().double_value(&[])
}

pub(super) fn all_zero(t: &Tensor) -> bool {
    t.count_nonzero(None).int64_value(&[]) == 0
}

/// The image tower written out plainly for one image, by the checkpoint's keys.
struct PlainBlock<'a> {
    weights: &'a BTreeMap<String, Tensor>,
}

impl PlainBlock<'_> {
    fn linear(&self, name: &str, x: &Tensor) -> Tensor {
        let get = |part: &str| &self.weights[&format!("{name}.{part}")];
        x.linear(get("weight"), Some(get("bias")))
    }

    fn norm(&self, name: &str, x: &Tensor) -> Tensor {
        let get = |part: &str| &self.weights[&format!("{name}.{part}")];
        x.layer_norm([16], Some(get("weight")), Some(get("bias")), 1e-5, false)
    }

    fn mlp(&self, layer: &str, x: &Tensor) -> Tensor {
        let hidden = self.linear(&format!("{layer}.mlp.fc1"), x);
        self.linear(&format!("{layer}.mlp.fc2"), &(&hidden * (&hidden * 1.702).sigmoid()))
    }

    /// Query, key, value and attention output of tokens `[N, 16]`, each `[H, N, d]`.
    fn attention(&self, layer: &str, x: &Tensor) -> [Tensor; 4] {
        let y = self.norm(&format!("{layer}.layer_norm1"), x);
        let [q, k, v] = ["q_proj", "k_proj", "v_proj"].map(|part| {
            let t = self.linear(&format!("{layer}.self_attn.{part}"), &y);
            t.view([-1, 2, 8]).transpose(0, 1)
        });
        let a = (q.matmul(&k.transpose(1, 2)) / 8f64.sqrt()).softmax(-1, Kind::Float);
        let o = a.matmul(&v);
        [q, k, v, o]
    }

    /// One image `[3, 20, 20]` to its unit embedding as a function of the last block's o, and that
    /// block's query, key, value and o.
    fn tower(&self, pixels: &Tensor) -> (Tensor, [Tensor; 4]) {
        let embeddings = "vision_model.embeddings";
        let kernel = &self.weights[&format!("{embeddings}.patch_embedding.weight")];
        let patches = pixels.unsqueeze(0).conv2d::<Tensor>(kernel, None, 4, 0, 1, 1);
        let class = self.weights[&format!("{embeddings}.class_embedding")].view([1, 16]);
        let tokens = Tensor::cat(&[class, patches.flatten(2, 3).get(0).tr()], 0)
            + &self.weights[&format!("{embeddings}.position_embedding.weight")];
        let mut x = self.norm("vision_model.pre_layrnorm", &tokens);
        let mut parts = None;
        for l in 0..3 {
            let layer = format!("vision_model.encoder.layers.{l}");
            let [q, k, v, o] = self.attention(&layer, &x);
            let o = if l == 2 { o.detach().set_requires_grad(true) } else { o };
            let joined = o.transpose(0, 1).flatten(1, 2);
            x += self.linear(&format!("{layer}.self_attn.out_proj"), &joined);
            x = &x + self.mlp(&layer, &self.norm(&format!("{layer}.layer_norm2"), &x));
            parts = Some([q, k, v, o]);
        }
        let z = self.norm("vision_model.post_layernorm", &x.get(0));
        let projection = &self.weights["visual_projection.weight"];
        (normalised(&projection.mv(&z)), parts.expect("there are three blocks"))
    }
}

/// Grad-ECLIP by the formula with plain autograd.
fn reference_map(plain: &PlainBlock<'_>, pixels: &Tensor, direction: &Tensor) -> Tensor {
    let (embedding, [q, k, v, o]) = plain.tower(pixels);
    let score = embedding.dot(direction);
    let gradient = Tensor::run_backward(&[&score], &[&o], false, false).remove(0);
    assert!(all_zero(&gradient.narrow(1, 1, 25)), "only the class token reaches the head");
    let joined = |t: &Tensor| t.transpose(0, 1).flatten(1, 2);
    let query = joined(&q).narrow(0, 0, 1);
    let cosine = Tensor::cosine_similarity(&query, &joined(&k).narrow(0, 1, 25), 1, 1e-8);
    let w = (&cosine - cosine.min()) / (cosine.max() - cosine.min());
    let gradient = joined(&gradient).get(0);
    w * joined(&v).narrow(0, 1, 25).mv(&gradient)
}

#[test]
fn maps_equal_the_python_reference() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let weights = Weights::open_safetensors(&golden.join("explain_model.safetensors")).unwrap();
    let clip = Clip::new(&weights, &tiny(), Device::Cpu, Kind::Float).unwrap();
    weights.finish(Clip::is_buffer).unwrap();
    let expected = Weights::open_safetensors(&golden.join("explain_expected.safetensors")).unwrap();
    let expected: BTreeMap<String, Tensor> = expected.tensors().into_iter().collect();
    let (images, tape) = taped(&clip, &expected["pixels"]);
    assert!(distance(&images, &expected["images"]) < 1e-5);
    for item in 0..2 {
        let contrast =
            Contrast::new(&expected["texts"], &expected["nulls"], &expected["images"].get(item));
        assert!(distance(&contrast.directions, &expected["directions"].get(item)) < 1e-5);
        let margins = Tensor::from_slice(&contrast.margins());
        assert!(distance(&margins, &expected["margins"].get(item)) < 1e-5);
        let directions = expected["directions"].get(item);
        let raw = grad_eclip(&clip.vision, &tape, item, &directions);
        let off = distance(&raw, &expected["grad_eclip"].get(item));
        assert!(off < 1e-5, "grad_eclip is off by {off}");
        let effect = direct_effect(&clip.vision, &tape, item, &directions);
        let off = distance(&effect.map, &expected["direct_effect"].get(item));
        assert!(off < 1e-5, "direct_effect is off by {off}");
    }
}

#[test]
fn grad_eclip_equals_autograd_through_the_full_last_block() {
    for seed in 0..5 {
        let weights = random_weights(seed);
        let clip = Clip::new(&weights, &tiny(), Device::Cpu, Kind::Float).unwrap();
        let tensors: BTreeMap<String, Tensor> = weights.tensors().into_iter().collect();
        let plain = PlainBlock { weights: &tensors };
        let (pixels, directions) = (pixels(2), texts(3));
        let (_, tape) = taped(&clip, &pixels);
        for item in 0..2 {
            let maps = tch::no_grad(|| grad_eclip(&clip.vision, &tape, item, &directions));
            for p in 0..3 {
                let reference = reference_map(&plain, &pixels.get(item), &directions.get(p));
                let off = distance(&maps.get(p), &reference);
                assert!(off < 1e-5, "seed {seed}, item {item}, prompt {p}: off by {off}");
            }
        }
    }
}

#[test]
fn direct_effects_sum_to_the_score() {
    for seed in 0..5 {
        let clip = random_clip(seed);
        let (images, tape) = taped(&clip, &pixels(2));
        let directions = texts(4) * 1.7;
        for item in 0..2 {
            let scores = directions.mv(&images.get(item));
            let accounts = direct_effect(&clip.vision, &tape, item, &directions).accounts();
            for (p, account) in accounts.iter().enumerate() {
                let score = scores.double_value(&[p as i64]);
                assert!((f64::from(account.score) - score).abs() < 1e-6);
                let off = (f64::from(account.total()) - score).abs();
                assert!(off < 2e-6, "seed {seed}: shares miss the score by {off}");
            }
        }
    }
}

#[test]
fn raw_maps_are_linear_in_the_direction() {
    let clip = random_clip(11);
    let (_, tape) = taped(&clip, &pixels(1));
    let (a, b) = (texts(1), texts(1));
    let all = Tensor::cat(&[&a, &b, &(&a - &b * 2.0), &a.zeros_like()], 0);
    let gradient = grad_eclip(&clip.vision, &tape, 0, &all);
    let effect = direct_effect(&clip.vision, &tape, 0, &all).map;
    for maps in [gradient, effect] {
        let combined = maps.get(0) - maps.get(1) * 2.0;
        assert!(distance(&combined, &maps.get(2)) < 1e-5);
        assert!(all_zero(&maps.get(3)), "no direction, no map");
    }
}

#[test]
fn prompts_together_equal_prompts_apart_and_batches_equal_single_images() {
    let clip = random_clip(12);
    let (pixels, prompts, nulls) = (pixels(3), texts(4), texts(5));
    let (images, tape) = taped(&clip, &pixels);
    let of = |tape: &Tape, item: usize, image: &Tensor, prompts: &Tensor, method| {
        maps(&clip, (tape, item), &[method], &Contrast::new(prompts, &nulls, image))
    };
    for method in Method::ALL {
        for item in 0..3 {
            let image = images.get(item as i64);
            let together = of(&tape, item, &image, &prompts, method);
            let (_, alone) = taped(&clip, &pixels.narrow(0, item as i64, 1));
            let single = of(&alone, 0, &image, &prompts, method);
            for p in 0..4 {
                let apart = of(&tape, item, &image, &prompts.narrow(0, p, 1), method);
                let (a, b, c) = (&together[p as usize], &apart[0], &single[p as usize]);
                for other in [b, c] {
                    let off = a.values.iter().zip(&other.values).map(|(x, y)| (x - y).abs());
                    let largest = a.values.iter().fold(1.0, |most: f32, v| most.max(v.abs()));
                    let off = off.fold(0.0, f32::max) / largest;
                    assert!(off < 5e-6, "{method}, item {item}, prompt {p}: off by {off}");
                }
                assert_eq!((a.method, a.grid, a.values.len()), (method, (5, 5), 25));
                assert!(a.specificity.is_some() && a.signal_to_noise.is_some());
                assert_eq!(a.accounting.is_some(), method == Method::DirectEffect);
            }
        }
    }
}

#[test]
fn prompts_are_outermost_and_methods_within() {
    let clip = random_clip(15);
    let (images, tape) = taped(&clip, &pixels(1));
    let contrast = Contrast::new(&texts(2), &texts(3), &images.get(0));
    let both = maps(&clip, (&tape, 0), &Method::ALL, &contrast);
    let order: Vec<_> = both.iter().map(|map| (map.margin, map.method)).collect();
    let margins = contrast.margins();
    let expected = margins.iter().flat_map(|&margin| Method::ALL.map(|method| (margin, method)));
    assert_eq!(order, expected.collect::<Vec<_>>());
}

#[test]
fn a_map_without_spread_is_constant_and_finite() {
    let weights = random_weights(13);
    // Without values, attention moves nothing and no patch has any part in the score.
    let silent = |(key, t): (String, Tensor)| {
        let silenced = key.contains("vision_model") && key.contains("v_proj");
        (key, if silenced { t.zeros_like() } else { t })
    };
    let tensors = weights.tensors().into_iter().map(silent).collect();
    let weights = Weights::from_tensors("silent".to_owned(), tensors);
    let clip = Clip::new(&weights, &tiny(), Device::Cpu, Kind::Float).unwrap();
    let (images, tape) = taped(&clip, &pixels(1));
    // The others do not read values alone: activations, attention, or residuals remain.
    let silent = [
        Method::GradEclip,
        Method::DirectEffect,
        Method::Legrad,
        Method::Game,
        Method::GradCam,
        Method::GradCamPlusPlus,
        Method::XGradCam,
        Method::LayerCam,
        Method::HiresCam,
        Method::EigenGradCam,
        Method::MaskClip,
        Method::ClearClip,
        Method::Naclip,
        Method::Ensemble,
    ];
    for method in silent {
        let contrast = Contrast::new(&texts(2), &texts(3), &images.get(0));
        for map in maps(&clip, (&tape, 0), &[method], &contrast) {
            assert_eq!(map.quality, Quality::Constant, "{method}");
            assert!(map.values.iter().all(|v| v.is_finite()));
        }
    }
}

#[test]
fn a_bf16_tower_gives_nearly_the_same_maps() {
    let weights = random_weights(14);
    let exact = Clip::new(&weights, &tiny(), Device::Cpu, Kind::Float).unwrap();
    let coarse = Clip::new(&weights, &tiny(), Device::Cpu, Kind::BFloat16).unwrap();
    let (pixels, directions) = (pixels(1), texts(4));
    let ((_, exact_tape), (_, coarse_tape)) = (taped(&exact, &pixels), taped(&coarse, &pixels));
    let pairs = [
        (
            grad_eclip(&exact.vision, &exact_tape, 0, &directions),
            grad_eclip(&coarse.vision, &coarse_tape, 0, &directions),
        ),
        (
            direct_effect(&exact.vision, &exact_tape, 0, &directions).map,
            direct_effect(&coarse.vision, &coarse_tape, 0, &directions).map,
        ),
    ];
    for (a, b) in pairs {
        assert!(bool::try_from(b.isfinite().all()).unwrap());
        for p in 0..4 {
            let correlation = Tensor::stack(&[a.get(p), b.get(p)], 0).corrcoef();
            let correlation = correlation.double_value(&[0, 1]);
            assert!(correlation > 0.99, "prompt {p}: correlation {correlation}");
        }
    }
}

#[test]
fn methods_are_known_by_name() {
    for method in Method::ALL {
        assert_eq!(method.to_string().parse(), Ok(method));
    }
    let error = "gradcam".parse::<Method>().unwrap_err();
    let known = "heatmap method 'gradcam' is unknown, known are grad_eclip, direct_effect, legrad";
    assert!(error.to_string().starts_with(known), "{error}");
    assert_eq!(Method::default(), Method::GradEclip);
    assert!(Method::GradEclip.plan() < Method::DirectEffect.plan());
}
