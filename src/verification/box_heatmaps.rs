//! What made each box: a detector's maps to what is sent.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::encode;
use super::request::BoxHeatmaps;
use super::result::BoxHeatmap;
use super::verify::View;
use crate::explain::BoxHeat;
use crate::serving::yolo::{BoxMapJob, Found, FoundBoxes, FoundMap};
use crate::serving::{ServingError, blocking};
use crate::telemetry::metrics::Stage;
use crate::telemetry::traces::Lap;
use crate::vision::image::Rgb8;
use crate::vision::overlay::{Heat, Outline};
use crate::vision::resize::Fit;

/// The outline of the box that a drawn map explains: white stands out from every heat.
const OUTLINE: [u8; 3] = [255; 3];

impl BoxHeatmaps {
    /// What the detector is asked for.
    pub(super) fn job(&self) -> BoxMapJob {
        BoxMapJob { methods: self.methods.clone(), max_boxes: self.max_boxes }
    }
}

impl View<'_> {
    /// The maps of the first boxes as they are sent, and the time that took.
    pub(super) async fn draw_boxes(
        &self,
        asked: &BoxHeatmaps,
        found: FoundBoxes,
    ) -> Result<(Vec<Vec<BoxHeatmap>>, Duration), ServingError> {
        let slot = self.models.catalog().cpu_slot(self.terms).await?;
        let started = Instant::now();
        let image = Arc::clone(self.image);
        let shown = (asked.resolution, asked.encoding);
        let heatmaps = blocking(slot, move || {
            let FoundBoxes { boxes, maps, fit, .. } = found;
            let of_box = |(found, maps): (Found, Vec<FoundMap>)| {
                maps.into_iter().map(|map| drawn(map, &found, (&image, fit), shown)).collect()
            };
            boxes.into_iter().zip(maps).map(of_box).collect()
        })
        .await?;
        Ok((heatmaps, Lap::since(Stage::Postprocess, started).record()))
    }
}

fn drawn(
    map: FoundMap,
    of: &Found,
    (image, fit): (&Rgb8, Fit),
    shown: (super::Resolution, super::Encoding),
) -> BoxHeatmap {
    let FoundMap { heat: figures, layer, stride_px, area } = map;
    let heat = Heat { values: &figures.values, grid: figures.grid, area };
    let outline = Outline { rect: of.rect, colour: OUTLINE };
    let payload = encode::payload(&heat, image, shown, &[outline]);
    let figures = BoxHeat { values: Vec::new(), ..figures };
    BoxHeatmap { layer, stride_px, payload, fit, area, figures }
}
