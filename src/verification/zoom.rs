//! Closer looks at a frame: where they are, what the model says of each, and their heatmaps put
//! together with that of the whole frame.

use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};

use super::request::{Heatmaps, Zoom, ZoomPlace};
use super::result::HeatmapLook;
use super::verify::{Texts, View, known_classes};
use crate::explain::RawMap;
use crate::serving::clip::{ClipService, StageTiming};
use crate::serving::{ServingError, blocking};
use crate::vision::boxes::{NmsOptions, Rect};
use crate::vision::image::Rgb8;
use crate::vision::overlay::Heat;
use crate::vision::resize::crop;
use crate::vision::stitch::{fine_grid, stitched};

/// No look is taken at less, in pixels a side: enlarging so little shows nothing new.
const MIN_SIDE_PX: f32 = 16.0;

/// A look that was taken.
#[derive(Debug)]
pub(super) struct Closer {
    /// What was looked at, in pixels of the frame.
    area: Rect,
    label: String,
    /// In the order of the whole frame's maps.
    maps: Vec<RawMap>,
    pub(super) timing: StageTiming,
}

/// A look to take: a square in pixels of the frame, and the class of the box in it.
#[derive(Clone, Debug, PartialEq)]
struct Look {
    area: Rect,
    label: String,
}

impl Heatmaps {
    /// Whether the model can make these maps of `prompts` prompts, and they are cheap enough.
    pub fn affordable(&self, clip: &ClipService, prompts: usize) -> Result<(), ServingError> {
        clip.admits(&self.recipes, prompts, self.check)?;
        let Some(zoom) = &self.zoom else { return Ok(()) };
        let looks = (zoom.looks_at_most(), zoom.grid_scale);
        clip.admits_looks((&self.recipes, self.check), prompts, looks)
    }

    /// The detector whose boxes are looked at, if any is: its name, or `None` for the default one.
    pub fn detector(&self) -> Option<Option<&str>> {
        match &self.zoom.as_ref()?.place {
            ZoomPlace::Detected { model, .. } => Some(model.as_deref()),
            ZoomPlace::Regions(_) | ZoomPlace::Window { .. } => None,
        }
    }
}

impl Zoom {
    fn looks_at_most(&self) -> usize {
        match &self.place {
            ZoomPlace::Regions(boxes) => boxes.len(),
            ZoomPlace::Detected { .. } | ZoomPlace::Window { .. } => self.max_looks,
        }
    }
}

impl View<'_> {
    /// All looks that `part` asks for.
    pub(super) async fn look_closer(
        &self,
        clip: &ClipService,
        part: &Heatmaps,
        texts: &Texts,
    ) -> Result<Vec<Closer>, ServingError> {
        let Some(zoom) = &part.zoom else { return Ok(Vec::new()) };
        let looks = self.looks(zoom).await?;
        // As many as make a batch of the usual pictures' size.
        let at_once = clip.max_batch() / (zoom.grid_scale * zoom.grid_scale) as usize;
        let waiting = looks.into_iter().map(|look| async move {
            let image = Arc::clone(self.image);
            let slot = self.models.catalog().cpu_slot(self.terms).await?;
            let square = blocking(slot, move || crop(&image, look.area)).await?;
            let job = texts.job(&part.recipes, false);
            let seen = clip.look_closer(square, job, zoom.grid_scale, self.terms).await?;
            let Look { area, label } = look;
            Ok(Closer { area, label, maps: seen.maps, timing: seen.timing })
        });
        stream::iter(waiting).buffered(at_once.max(1)).try_collect().await
    }

    async fn looks(&self, zoom: &Zoom) -> Result<Vec<Look>, ServingError> {
        let size = (self.image.width(), self.image.height());
        let around = |rect: &Rect, label: &str| Look {
            area: square(rect, zoom.margin_ratio, size),
            label: label.to_owned(),
        };
        match &zoom.place {
            ZoomPlace::Detected { model, classes, min_confidence } => {
                let detector = self.models.detector(model.as_deref())?;
                let field = "heatmaps.zoom.detected.classes";
                let options = NmsOptions {
                    min_confidence: *min_confidence,
                    max_detections: zoom.max_looks,
                    classes: known_classes(field, &detector, classes)?,
                    ..NmsOptions::default()
                };
                let image = Arc::clone(self.image);
                let found = detector.detect(image, options, None, self.terms).await?;
                let label = |class: usize| detector.classes().get(class).map_or("", String::as_str);
                Ok(found.boxes.iter().map(|b| around(&b.rect, label(b.class))).collect())
            }
            ZoomPlace::Regions(boxes) => {
                let look = |(at, rect): (usize, &Rect)| {
                    inside(at, rect, size)?;
                    Ok(around(rect, ""))
                };
                boxes.iter().enumerate().map(look).collect()
            }
            ZoomPlace::Window { side_ratio, overlap_ratio } => {
                let windows = windows(size, *side_ratio, *overlap_ratio);
                if windows.len() > zoom.max_looks {
                    let reason = format!(
                        "{} windows cover a frame of {}x{} px, limit {}; ask for wider windows, less \
                         overlap, or more looks",
                        windows.len(),
                        size.0,
                        size.1,
                        zoom.max_looks
                    );
                    return Err(ServingError::invalid("heatmaps.zoom.max_looks", reason));
                }
                let look = |area| Look { area, label: String::new() };
                Ok(windows.into_iter().map(look).collect())
            }
        }
    }
}

/// Refuses box `at` where it does not meet the frame.
fn inside(at: usize, rect: &Rect, (width, height): (u32, u32)) -> Result<(), ServingError> {
    if rect.clipped(width as f32, height as f32).area() > 0.0 {
        return Ok(());
    }
    let Rect { x1, y1, x2, y2 } = *rect;
    let reason =
        format!("is ({x1}, {y1}, {x2}, {y2}), which is outside the frame of {width}x{height} px");
    Err(ServingError::invalid(format!("heatmaps.zoom.regions.boxes[{at}]"), reason))
}

/// The square of whole pixels around `rect` once it is widened on every side by `margin_ratio` of
/// its size; moved into the frame where it reaches beyond, and no wider than the frame's shorter
/// side.
fn square(rect: &Rect, margin_ratio: f32, (width, height): (u32, u32)) -> Rect {
    let (width, height) = (width as f32, height as f32);
    let wide = rect.clipped(width, height).expanded(margin_ratio);
    let side = wide.width().max(wide.height()).max(MIN_SIDE_PX).ceil().min(width).min(height);
    let from = |low: f32, high: f32, whole: f32| {
        ((low + high - side) / 2.0).round().clamp(0.0, whole - side)
    };
    let (x1, y1) = (from(wide.x1, wide.x2, width), from(wide.y1, wide.y2, height));
    Rect::new(x1, y1, x1 + side, y1 + side)
}

/// Squares of whole pixels, `side_ratio` of the shorter side of the frame wide, evenly from edge to
/// edge so that neighbours overlap by at least `overlap_ratio` of their side; row by row.
fn windows(size: (u32, u32), side_ratio: f32, overlap_ratio: f32) -> Vec<Rect> {
    let shorter = size.0.min(size.1) as f32;
    let side = (shorter * side_ratio).ceil().max(MIN_SIDE_PX).min(shorter);
    let starts = |whole: u32| {
        let free = whole as f32 - side;
        let step = (side * (1.0 - overlap_ratio)).max(1.0);
        let steps = (free / step - 1e-3).ceil().max(0.0);
        let start = move |at: usize| (free * at as f32 / steps.max(1.0)).round();
        (0..=steps as usize).map(start)
    };
    let row = |y: f32| starts(size.0).map(move |x| Rect::new(x, y, x + side, y + side));
    starts(size.1).flat_map(row).collect()
}

/// Map `at` of the whole frame and of each look as one, with what it covers and the looks' contrasts;
/// the whole frame's as it is where there are no looks.
pub(super) fn put_together(
    (overview, area): (RawMap, Rect),
    closer: &[Closer],
    at: usize,
    image: &Rgb8,
) -> (RawMap, Rect, Vec<HeatmapLook>) {
    if closer.is_empty() {
        return (overview, area, Vec::new());
    }
    let whole = heat(&overview, area);
    let sheets: Vec<Heat<'_>> = closer.iter().map(|l| heat(&l.maps[at], l.area)).collect();
    let size = (image.width(), image.height());
    let all: Vec<Heat<'_>> = sheets.iter().copied().chain([whole]).collect();
    let grid = fine_grid(size, &all);
    let values = stitched(&whole, &sheets, size, grid);
    let looks: Vec<HeatmapLook> = closer
        .iter()
        .map(|look| HeatmapLook {
            area: look.area,
            label: look.label.clone(),
            contrast: look.maps[at].margin,
        })
        .collect();
    let margin = looks.iter().map(|look| look.contrast).fold(overview.margin, f32::max);
    let cell_px = size.0 as f32 / grid.1 as f32;
    let reach = (area.width() / overview.grid.1 as f32 / cell_px).ceil().max(1.0) as usize;
    let map = overview.with_looks(values, grid, (reach, margin));
    (map, Rect::new(0.0, 0.0, size.0 as f32, size.1 as f32), looks)
}

fn heat(map: &RawMap, area: Rect) -> Heat<'_> {
    Heat { values: &map.values, grid: map.grid, area }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZE: (u32, u32) = (200, 100);

    #[test]
    fn a_look_is_a_square_inside_the_frame_around_the_box() {
        for (rect, margin, expected) in [
            ([80.0, 40.0, 100.0, 50.0], 0.0, [80.0, 35.0, 100.0, 55.0]),
            ([80.0, 40.0, 100.0, 50.0], 0.5, [70.0, 25.0, 110.0, 65.0]),
            ([0.0, 0.0, 10.0, 20.0], 0.0, [0.0, 0.0, 20.0, 20.0]),
            ([-50.0, 90.0, 10.0, 300.0], 0.5, [0.0, 80.0, 20.0, 100.0]),
            ([100.0, 50.0, 101.0, 51.0], 0.3, [93.0, 43.0, 109.0, 59.0]),
            ([0.0, 0.0, 200.0, 100.0], 0.3, [50.0, 0.0, 150.0, 100.0]),
        ] {
            let [x1, y1, x2, y2] = rect;
            let look = square(&Rect::new(x1, y1, x2, y2), margin, SIZE);
            let [x1, y1, x2, y2] = expected;
            assert_eq!(look, Rect::new(x1, y1, x2, y2), "{rect:?} {margin}");
        }
        let tiny = square(&Rect::new(0.0, 0.0, 2.0, 2.0), 1.0, (5, 3));
        assert_eq!(tiny, Rect::new(0.0, 0.0, 3.0, 3.0));
    }

    #[test]
    fn windows_reach_every_edge_and_overlap() {
        for (size, side, overlap, count) in [
            ((100, 100), 0.5, 0.25, 9),
            ((100, 100), 0.5, 0.0, 4),
            ((100, 100), 1.0, 0.25, 1),
            ((1920, 1080), 0.5, 0.25, 15),
            ((10, 300), 0.5, 0.0, 30),
        ] {
            let windows = windows(size, side, overlap);
            assert_eq!(windows.len(), count, "{size:?} {side} {overlap}");
            let (first, last) = (windows[0], windows[count - 1]);
            assert_eq!((first.x1, first.y1), (0.0, 0.0));
            assert_eq!((last.x2, last.y2), (size.0 as f32, size.1 as f32));
            for pair in windows.windows(2).filter(|pair| pair[1].x1 > pair[0].x1) {
                let common = pair[0].x2 - pair[1].x1;
                assert!(common >= overlap * pair[0].width() - 1.0, "{pair:?}");
            }
        }
    }

    #[test]
    fn a_box_beside_the_frame_is_refused() {
        assert!(inside(0, &Rect::new(190.0, 0.0, 250.0, 9.0), SIZE).is_ok());
        let error = inside(3, &Rect::new(200.0, 0.0, 250.0, 9.0), SIZE).unwrap_err();
        assert_eq!(
            error.to_string(),
            "heatmaps.zoom.regions.boxes[3]: is (200, 0, 250, 9), which is outside the frame of \
             200x100 px"
        );
    }
}
