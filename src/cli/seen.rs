//! A frame of the demo's clip, with what the server answered.

use std::time::Duration;

use anyhow::Context;

use crate::evaluation::localisation::Map;
use crate::proto::v1;
use crate::scenes::FaceSpec;
use crate::vision::boxes::Rect;
use crate::vision::overlay::Outline;

/// One frame with its answer.
pub(super) struct Seen {
    /// The truth that it was drawn from.
    pub(super) spec: FaceSpec,
    /// From its arrival to its answer, as the server tells.
    pub(super) latency: Duration,
    /// What the server answered.
    pub(super) answer: v1::VerifyResponse,
}

impl Seen {
    /// Takes a frame's result; a frame that was not answered is an error.
    pub(super) fn new(spec: &FaceSpec, result: v1::FrameResult) -> anyhow::Result<Self> {
        let answer = match result.outcome {
            Some(v1::frame_result::Outcome::Ok(answer)) => answer,
            Some(v1::frame_result::Outcome::Error(status)) => {
                anyhow::bail!("frame {} failed: {}", result.sequence, status.message)
            }
            Some(v1::frame_result::Outcome::Dropped(_) | v1::frame_result::Outcome::Expired(_))
            | None => anyhow::bail!("frame {} was not answered", result.sequence),
        };
        let total = answer.timing.as_ref().and_then(|timing| timing.total);
        let latency = total.and_then(|total| Duration::try_from(total).ok());
        Ok(Self {
            spec: spec.clone(),
            latency: latency.context("an answer has no timing")?,
            answer,
        })
    }

    /// How much nearer the frame is to the question's prompt than to its opposite, in units of
    /// cosine.
    pub(super) fn margin(&self, question: usize) -> f32 {
        let scores = self.answer.similarity.as_ref().map_or(&[][..], |part| &part.scores);
        let cosine = |index: usize| scores.get(index).map_or(f32::NAN, |score| score.cosine);
        cosine(2 * question) - cosine(2 * question + 1)
    }

    /// The question's map as it was told.
    pub(super) fn told(&self, question: usize) -> Option<&v1::Heatmap> {
        self.answer.heatmaps.as_ref()?.heatmaps.get(question)
    }

    /// The same to measure and to draw; nothing where it is no tensor of 32-bit floats.
    pub(super) fn map(&self, question: usize) -> Option<Map> {
        let map = self.told(question)?;
        let Some(v1::heatmap::Content::Tensor(tensor)) = &map.content else { return None };
        let values = tensor
            .data
            .chunks_exact(4)
            .map(|bytes| f32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
        let area = map.area.as_ref()?;
        Some(Map {
            values: values.collect(),
            grid: (*tensor.shape.first()? as usize, *tensor.shape.get(1)? as usize),
            area: Rect::new(area.x1, area.y1, area.x2, area.y2),
        })
    }

    /// The boxes found.
    pub(super) fn outlines(&self) -> Vec<Outline> {
        let found = self.answer.detection.iter().flat_map(|part| &part.detections);
        found
            .filter_map(|found| found.r#box.as_ref())
            .map(|edges| Outline {
                rect: Rect::new(edges.x1, edges.y1, edges.x2, edges.y2),
                colour: [255, 255, 255],
            })
            .collect()
    }
}
