//! One model run on checked tensors: pictures and texts to the engines, their results to tensors.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};

use super::inputs::{Picture, Pictures, Placed, named, pictures, texts};
use super::models::{ClipTask, IMAGE, IOU_THRESHOLD, MAX_DETECTIONS, MIN_CONFIDENCE, TEXT, Task};
use super::parameters::Parameters;
use crate::proto::inference::infer_parameter::ParameterChoice;
use crate::server::answer::Answering;
use crate::serving::ServingError;
use crate::serving::clip::{ClipService, ImageEmbedding, MapJob, StageTiming};
use crate::serving::tensor::NamedTensor;
use crate::serving::torchscript::TorchScriptService;
use crate::serving::yolo::{DetectorService, FoundBoxes};
use crate::verification::{Detection, Score, Texts, decode};
use crate::vision::boxes::NmsOptions;
use crate::vision::image::Rgb8;

/// Outputs as the model lists them, and what they cost.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) outputs: Vec<NamedTensor>,
    pub(super) work: Work,
    /// Parameters of the response, by name.
    pub(super) told: Vec<(&'static str, ParameterChoice)>,
}

impl Ran {
    /// Nothing to tell beside the outputs.
    fn of(outputs: Vec<NamedTensor>, work: Work) -> Self {
        Self { outputs, work, told: Vec::new() }
    }
}

/// What a run of a model cost.
#[derive(Clone, Debug, Default)]
pub(super) struct Work {
    /// Pictures, texts or rows.
    pub(super) items: usize,
    /// Waiting for a device, the longest of the items.
    pub(super) queue: Duration,
    /// Decoding and preparing, summed over the items.
    pub(super) input: Duration,
    /// Of each item that went to a device: how long its batch ran, and the items in that batch.
    pub(super) runs: Vec<(Duration, usize)>,
    /// Results to tensors.
    pub(super) output: Duration,
}

impl Work {
    fn add(&mut self, decoded: Duration, timing: &StageTiming) {
        self.queue = self.queue.max(timing.queue);
        self.input += decoded + timing.preprocess;
        self.runs.push((timing.inference, timing.batch));
    }
}

/// A request's way through a model.
pub(super) struct Run<'a> {
    pub(super) answering: &'a Answering,
    pub(super) parameters: &'a Parameters,
}

impl Run<'_> {
    /// Runs `task` on `inputs`.
    pub(super) async fn task(
        &self,
        task: &Task,
        inputs: Vec<NamedTensor>,
    ) -> Result<Ran, ServingError> {
        match task {
            Task::Clip(clip, task) => self.clip(clip, *task, inputs).await,
            Task::Detection(detector) => {
                let [image] = named(inputs, [IMAGE])?;
                self.detect(detector, self.pictures(&image)?).await
            }
            Task::Module(module) => self.module(module, inputs).await,
        }
    }

    async fn clip(
        &self,
        clip: &ClipService,
        task: ClipTask,
        inputs: Vec<NamedTensor>,
    ) -> Result<Ran, ServingError> {
        let limits = &self.answering.config.request_limits;
        match task {
            ClipTask::Image => {
                let [image] = named(inputs, [IMAGE])?;
                self.embed(clip, self.pictures(&image)?).await
            }
            ClipTask::Text => {
                let [text] = named(inputs, [TEXT])?;
                let (field, prompts) = texts(&text)?;
                limits.texts(&field, &prompts, limits.max_prompts)?;
                self.embed_texts(clip, &prompts).await
            }
            ClipTask::Similarity => {
                let [image, text] = named(inputs, [IMAGE, TEXT])?;
                let (field, prompts) = texts(&text)?;
                limits.prompts(&field, &prompts)?;
                self.compare(clip, self.pictures(&image)?, prompts).await
            }
            ClipTask::Heatmap(method) => {
                let [image, text] = named(inputs, [IMAGE, TEXT])?;
                let (field, prompts) = texts(&text)?;
                limits.prompts(&field, &prompts)?;
                let pictures = self.pictures(&image)?;
                self.explain((clip, method), pictures, (field, prompts)).await
            }
        }
    }

    fn pictures(&self, image: &Placed) -> Result<Pictures, ServingError> {
        pictures(image, self.answering.config.open_inference.max_pictures)
    }

    async fn embed(&self, clip: &ClipService, pictures: Pictures) -> Result<Ran, ServingError> {
        let (seen, mut work) = self.look(clip, pictures, None).await?;
        let started = Instant::now();
        let values: Vec<f32> = seen.iter().flat_map(|seen| seen.vector.iter().copied()).collect();
        let shape = [seen.len(), clip.dimension()];
        let outputs = vec![NamedTensor::floats("EMBEDDING", &shape, &values)];
        work.output = started.elapsed();
        Ok(Ran::of(outputs, work))
    }

    async fn embed_texts(
        &self,
        clip: &ClipService,
        prompts: &[String],
    ) -> Result<Ran, ServingError> {
        let timed = clip.embed_texts_timed(prompts, self.parameters.terms).await?;
        let started = Instant::now();
        let mut work = Work { items: prompts.len(), ..Work::default() };
        for timing in timed.iter().filter_map(|(_, timing)| timing.as_ref()) {
            work.add(Duration::ZERO, timing);
        }
        let values: Vec<f32> = timed.iter().flat_map(|(text, _)| text.vector.to_vec()).collect();
        let cut: Vec<bool> = timed.iter().map(|(text, _)| text.truncated).collect();
        let outputs = vec![
            NamedTensor::floats("EMBEDDING", &[prompts.len(), clip.dimension()], &values),
            NamedTensor::flags("TRUNCATED", &[prompts.len()], &cut),
        ];
        work.output = started.elapsed();
        Ok(Ran::of(outputs, work))
    }

    async fn compare(
        &self,
        clip: &ClipService,
        pictures: Pictures,
        prompts: Vec<String>,
    ) -> Result<Ran, ServingError> {
        let texts = Texts::embed(clip, &prompts, None, self.parameters.terms).await?;
        let (seen, mut work) = self.look(clip, pictures, None).await?;
        let started = Instant::now();
        let rows = seen.iter().flat_map(|seen| texts.scores(&prompts, &seen.vector, clip));
        let scores: Vec<Score> = rows.collect();
        let shape = [seen.len(), prompts.len()];
        let tensor = |name: &str, value: fn(&Score) -> f32| {
            NamedTensor::floats(name, &shape, &scores.iter().map(value).collect::<Vec<f32>>())
        };
        let outputs = vec![
            tensor("COSINE", |score| score.cosine),
            tensor("LOGIT", |score| score.logit),
            tensor("SOFTMAX", |score| score.softmax),
            tensor("CONTRAST", |score| score.contrast),
        ];
        work.output = started.elapsed();
        Ok(Ran::of(outputs, work))
    }

    /// Decodes every picture and embeds it, with the maps of `job`; a batch's worth at once.
    pub(super) async fn look(
        &self,
        clip: &ClipService,
        pictures: Pictures,
        job: Option<MapJob>,
    ) -> Result<(Vec<ImageEmbedding>, Work), ServingError> {
        let mut work = Work { items: pictures.len(), ..Work::default() };
        let each = pictures.into_iter().map(|picture| {
            let job = job.clone();
            async move {
                let (image, decoded) = self.decode(picture).await?;
                let seen = clip.embed_image(image, job, self.parameters.terms).await?;
                Ok::<_, ServingError>((seen, decoded))
            }
        });
        let seen: Vec<(ImageEmbedding, Duration)> =
            stream::iter(each).buffered(clip.max_batch()).try_collect().await?;
        for (seen, decoded) in &seen {
            work.add(*decoded, &seen.timing);
        }
        Ok((seen.into_iter().map(|(seen, _)| seen).collect(), work))
    }

    async fn decode(&self, picture: Picture) -> Result<(Arc<Rgb8>, Duration), ServingError> {
        let Picture { field, frame } = picture;
        let Answering { catalog, config, .. } = self.answering;
        let started = Instant::now();
        let decoded = decode(catalog, frame, &config.image_limits, self.parameters.terms).await;
        match decoded {
            Ok(image) => Ok((image, started.elapsed())),
            Err(ServingError::Invalid { field: _, reason }) => {
                Err(ServingError::invalid(field, format!("'{IMAGE}' {reason}")))
            }
            Err(error) => Err(error),
        }
    }

    async fn detect(
        &self,
        detector: &DetectorService,
        pictures: Pictures,
    ) -> Result<Ran, ServingError> {
        let options = &self.suppression()?;
        let mut work = Work { items: pictures.len(), ..Work::default() };
        let each = pictures.into_iter().map(|picture| async move {
            let (image, decoded) = self.decode(picture).await?;
            let found =
                detector.detect(image, options.clone(), None, self.parameters.terms).await?;
            Ok::<_, ServingError>((found, decoded))
        });
        let found: Vec<(FoundBoxes, Duration)> =
            stream::iter(each).buffered(detector.max_batch()).try_collect().await?;
        for (found, decoded) in &found {
            work.add(*decoded, &found.timing);
            work.output += found.postprocess;
        }
        let found: Vec<FoundBoxes> = found.into_iter().map(|(found, _)| found).collect();
        Ok(Ran::of(boxes(&found, detector.classes()), work))
    }

    /// Which boxes count: as the request says, or as everywhere.
    fn suppression(&self) -> Result<NmsOptions, ServingError> {
        let (parameters, usual) = (self.parameters, Detection::default());
        let most = self.answering.config.request_limits.max_detections;
        let max_detections = parameters.count(MAX_DETECTIONS, most)?;
        Ok(NmsOptions {
            min_confidence: parameters.share(MIN_CONFIDENCE)?.unwrap_or(usual.min_confidence),
            iou_threshold: parameters.share(IOU_THRESHOLD)?.unwrap_or(usual.iou_threshold),
            max_detections: max_detections.unwrap_or(usual.max_detections),
            ..NmsOptions::default()
        })
    }

    async fn module(
        &self,
        module: &TorchScriptService,
        inputs: Vec<NamedTensor>,
    ) -> Result<Ran, ServingError> {
        let batched = module.manifest().is_batched();
        let rows = inputs.first().and_then(|input| input.shape().first().copied());
        let answer = module.infer(inputs, self.parameters.terms).await?;
        let items = if batched { rows.unwrap_or(1) } else { 1 };
        let mut work = Work { items, ..Work::default() };
        work.add(Duration::ZERO, &answer.timing);
        Ok(Ran::of(answer.outputs, work))
    }
}

/// The boxes of all pictures in one list, each with its picture.
fn boxes(found: &[FoundBoxes], classes: &[String]) -> Vec<NamedTensor> {
    let all = || {
        let each = found.iter().enumerate();
        each.flat_map(|(picture, found)| found.boxes.iter().map(move |found| (picture, found)))
    };
    let edges: Vec<f32> = all()
        .flat_map(|(_, found)| {
            let rect = found.rect;
            [rect.x1, rect.y1, rect.x2, rect.y2]
        })
        .collect();
    let scores: Vec<f32> = all().map(|(_, found)| found.confidence).collect();
    let indices: Vec<i64> = all().map(|(_, found)| found.class as i64).collect();
    let pictures: Vec<i64> = all().map(|(picture, _)| picture as i64).collect();
    let labels = all().map(|(_, found)| classes.get(found.class).cloned().unwrap_or_default());
    let count = [scores.len()];
    vec![
        NamedTensor::floats("BOXES", &[count[0], 4], &edges),
        NamedTensor::floats("SCORES", &count, &scores),
        NamedTensor::integers("CLASSES", &count, &indices),
        NamedTensor::strings("LABELS", &count, labels),
        NamedTensor::integers("IMAGE_INDEX", &count, &pictures),
    ]
}
