//! What each heatmap method costs over the score alone, on a random full-size ViT-L/14 in bf16.
//!
//! `cargo bench --bench explain` measures every method but `score_cam`, which needs one forward
//! pass for each of 1024 channels, for 1 and for 8 prompts against 6 null prompts; `-- grad_eclip
//! legrad` only those named; `-- base` takes a ViT-B/16 and `-- f32` that kind, for processors
//! without bf16 instructions, where bf16 is many times slower than f32. Passes with and without the
//! map alternate, so that both see the same machine.
#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::time::{Duration, Instant};

use tch::{Device, Kind, Tensor};
use veriframe::explain::{Contrast, Method, Recipe, maps};
use veriframe::models::clip::{Clip, ClipConfig, TapPlan, normalised};
use veriframe::models::weights::{Weights, WeightsError};

const ROUNDS: usize = 5;
const NULLS: i64 = 6;

fn main() -> Result<(), WeightsError> {
    let asked: Vec<Method> = std::env::args().filter_map(|name| name.parse().ok()).collect();
    let named = |word: &str| std::env::args().any(|argument| argument == word);
    let kind = if named("f32") { Kind::Float } else { Kind::BFloat16 };
    let bench = Bench::new(kind, named("base"))?;
    println!("method, prompts: median over the score alone (score, both)");
    for method in Method::ALL {
        let wanted =
            if asked.is_empty() { method != Method::ScoreCam } else { asked.contains(&method) };
        if wanted {
            bench.measure(method, 1);
            bench.measure(method, 8);
        }
    }
    Ok(())
}

struct Bench {
    clip: Clip,
    /// `[1, 3, 224, 224]`.
    pixels: Tensor,
}

impl Bench {
    fn new(kind: Kind, base: bool) -> Result<Self, WeightsError> {
        let mut config = ClipConfig { projection_dim: 768, ..ClipConfig::default() };
        let (width, depth, patch) = if base { (768, 12, 16) } else { (1024, 24, 14) };
        config.vision.hidden_size = width;
        config.vision.intermediate_size = 4 * width;
        (config.vision.num_hidden_layers, config.vision.num_attention_heads) = (depth, width / 64);
        config.vision.patch_size = patch;
        let fresh = Weights::initialise(Device::Cpu);
        Clip::new(&fresh, &config, Device::Cpu, Kind::Float)?;
        let tensors = fresh.tensors().into_iter().map(|(key, t)| (key, t.detach())).collect();
        let weights = Weights::from_tensors("random".to_owned(), tensors);
        let clip = Clip::new(&weights, &config, Device::Cpu, kind)?;
        let pixels = Tensor::randn([1, 3, 224, 224], (Kind::Float, Device::Cpu));
        Ok(Self { clip, pixels })
    }

    fn measure(&self, method: Method, prompts: i64) {
        let texts = |count| normalised(&Tensor::randn([count, 768], (Kind::Float, Device::Cpu)));
        let (texts, nulls) = (texts(prompts), texts(NULLS));
        let (mut scores, mut both) = (Vec::new(), Vec::new());
        for round in 0..=ROUNDS {
            let score = time(|| self.score());
            let whole = time(|| self.explain(method, &texts, &nulls));
            if round > 0 {
                scores.push(score);
                both.push(whole);
            }
        }
        let (score, whole) = (median(scores), median(both));
        let ratio = whole.as_secs_f64() / score.as_secs_f64() - 1.0;
        let ms = |time: Duration| time.as_millis();
        let percent = ratio * 100.0;
        println!("{method}, {prompts}: {percent:+.1} % ({} ms, {} ms)", ms(score), ms(whole));
    }

    fn score(&self) {
        let encoded = tch::no_grad(|| self.clip.vision.encode(&self.pixels, TapPlan::Nothing));
        assert!(encoded.embedding.double_value(&[0, 0]).is_finite());
    }

    /// As the device worker does it.
    fn explain(&self, method: Method, texts: &Tensor, nulls: &Tensor) {
        tch::no_grad(|| {
            let vision = &self.clip.vision;
            let plan = Recipe::of(method).plan(vision.depth());
            let encoded = vision.encode(&self.pixels, plan);
            let image = normalised(&encoded.embedding).get(0);
            let contrast = Contrast::new(texts, nulls, &image);
            let tape = encoded.tape.expect("every method's plan keeps a tape");
            let found = maps(&self.clip, (&tape, 0), &[method], &contrast);
            assert_eq!(found.len() as i64, texts.size()[0]);
        });
    }
}

fn time(work: impl Fn()) -> Duration {
    let started = Instant::now();
    work();
    started.elapsed()
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}
