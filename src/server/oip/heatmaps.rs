//! Heatmaps as this protocol has them: the method by the model's name or by the request's parameters,
//! the maps and how far to believe them as tensors.

use std::time::Instant;

use super::inputs::Pictures;
use super::models::{LAYERS, METHOD};
use super::parameters::Parameters;
use super::run::{Ran, Run};
use crate::explain::{ExplainError, Method, Recipe};
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::server::convert::MAX_LAYERS;
use crate::serving::clip::{ClipService, ImageEmbedding};
use crate::serving::tensor::NamedTensor;
use crate::serving::{ServingError, blocking};
use crate::verification::Texts;

/// Characters of an unknown method that its refusal repeats.
const SHOWN_CHARACTERS: usize = 64;

impl Run<'_> {
    /// Maps of every picture against each of `prompts`, by `method` or, without one, as the request
    /// says. `field` is the prompts'.
    pub(super) async fn explain(
        &self,
        (clip, method): (&ClipService, Option<Method>),
        pictures: Pictures,
        (field, prompts): (String, Vec<String>),
    ) -> Result<Ran, ServingError> {
        self.maps_fit(&field, (pictures.len(), prompts.len()), clip.grid_side())?;
        let recipe = match method {
            Some(method) => Recipe::of(method),
            None => asked(self.parameters)?,
        };
        admitted(clip, &recipe, prompts.len())?;
        let texts = Texts::embed(clip, &prompts, None, self.parameters.terms).await?;
        let job = texts.job(std::slice::from_ref(&recipe), false);
        let (seen, mut work) = self.look(clip, pictures, Some(job)).await?;
        let started = Instant::now();
        let (side, prompts) = (clip.grid_side(), prompts.len());
        let slot = self.answering.catalog.cpu_slot(self.parameters.terms).await?;
        let outputs = blocking(slot, move || tensors(&seen, prompts, side)).await?;
        work.output = started.elapsed();
        Ok(Ran { outputs, work, told: told(clip, &recipe) })
    }

    /// Refuses more heatmaps than a request may ask for.
    fn maps_fit(
        &self,
        field: &str,
        (pictures, prompts): (usize, usize),
        side: usize,
    ) -> Result<(), ServingError> {
        let limits = &self.answering.config.request_limits;
        let bytes = pictures * prompts * side.pow(2) * size_of::<f32>();
        if prompts <= limits.max_heatmaps && bytes <= limits.max_heatmap_bytes {
            return Ok(());
        }
        let reason = format!(
            "{prompts} maps for each of {pictures} pictures weigh {bytes} bytes, limits {} maps and \
             {} bytes",
            limits.max_heatmaps, limits.max_heatmap_bytes
        );
        Err(ServingError::invalid(field, reason))
    }
}

/// How the request wants its maps made: by the default method and its own layers where it does not
/// say.
fn asked(parameters: &Parameters) -> Result<Recipe, ServingError> {
    let method = match parameters.text(METHOD)? {
        None => Method::default(),
        Some(name) => name.parse().map_err(|_| {
            let name = name.chars().take(SHOWN_CHARACTERS).collect();
            let reason = ExplainError::UnknownMethod { name }.to_string();
            ServingError::invalid(format!("parameters.{METHOD}"), reason)
        })?,
    };
    let layers = parameters.list(LAYERS, MAX_LAYERS)?.unwrap_or_default();
    Ok(Recipe { layers, ..Recipe::of(method) })
}

/// Refuses layers that the method cannot read in this model, and more forward passes than the maps of
/// one picture against `prompts` prompts may take.
fn admitted(clip: &ClipService, recipe: &Recipe, prompts: usize) -> Result<(), ServingError> {
    clip.reads(recipe).map_err(|error| {
        ServingError::invalid(format!("parameters.{LAYERS}"), error.to_string())
    })?;
    let admitted = clip.admits(std::slice::from_ref(recipe), prompts, false);
    if let Err(ServingError::Invalid { field: _, reason }) = admitted {
        return Err(ServingError::invalid(format!("parameters.{METHOD}"), reason));
    }
    admitted
}

/// What the response's parameters tell of the maps.
fn told(clip: &ClipService, recipe: &Recipe) -> Vec<(&'static str, ParameterChoice)> {
    let layers: Vec<String> = clip.layers(recipe).iter().map(usize::to_string).collect();
    vec![
        (METHOD, ParameterChoice::StringParam(recipe.method.name().to_owned())),
        (LAYERS, ParameterChoice::StringParam(layers.join(","))),
        ("modified_network", ParameterChoice::BoolParam(recipe.modifies_network())),
    ]
}

/// Maps of pictures × prompts, `side` × `side` each.
fn tensors(seen: &[ImageEmbedding], prompts: usize, side: usize) -> Vec<NamedTensor> {
    let maps = || seen.iter().flat_map(|seen| &seen.maps);
    let values: Vec<f32> = maps().flat_map(|map| map.values.iter().copied()).collect();
    let contrasts: Vec<f32> = maps().map(|map| map.margin).collect();
    let hits: Vec<f32> = maps().map(|map| map.hit_probability.unwrap_or(f32::NAN)).collect();
    let areas: Vec<f32> = seen
        .iter()
        .flat_map(|seen| [seen.area.x1, seen.area.y1, seen.area.x2, seen.area.y2])
        .collect();
    let pairs = [seen.len(), prompts];
    vec![
        NamedTensor::floats("HEATMAP", &[seen.len(), prompts, side, side], &values),
        NamedTensor::floats("AREA", &[seen.len(), 4], &areas),
        NamedTensor::floats("CONTRAST", &pairs, &contrasts),
        NamedTensor::strings("QUALITY", &pairs, maps().map(|map| map.quality.name())),
        NamedTensor::floats("HIT_PROBABILITY", &pairs, &hits),
    ]
}
