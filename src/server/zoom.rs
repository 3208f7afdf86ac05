//! The wire's closer looks to the domain's, checked but for what needs the frame.

use super::convert::named;
use super::limits::{RequestLimits, count, number, share};
use crate::proto::v1;
use crate::proto::v1::heatmap_zoom::Where;
use crate::serving::ServingError;
use crate::verification::{Zoom, ZoomPlace};
use crate::vision::boxes::Rect;

/// The finest grid: this many times the model's own side.
const MAX_GRID_SCALE: usize = 4;

/// Sides of windows, as shares of the frame's shorter side.
const WINDOW_SIDES: (f32, f32) = (0.1, 1.0);

/// Overlaps of windows, as shares of their side: beyond it a frame takes too many.
const WINDOW_OVERLAPS: (f32, f32) = (0.0, 0.9);

/// Where to look closer, within every limit.
pub(super) fn convert_zoom(
    zoom: v1::HeatmapZoom,
    limits: &RequestLimits,
) -> Result<Zoom, ServingError> {
    let v1::HeatmapZoom { r#where, margin_ratio, max_looks, grid_scale } = zoom;
    let mut zoom = Zoom::at(match r#where {
        None => {
            let reason = "is required: set detected, regions or window";
            return Err(ServingError::invalid("heatmaps.zoom", reason));
        }
        Some(Where::Detected(detected)) => convert_detected(detected, limits)?,
        Some(Where::Regions(regions)) => convert_regions(&regions.boxes)?,
        Some(Where::Window(window)) => convert_window(window)?,
    });
    zoom.max_looks = zoom.max_looks.min(limits.max_looks);
    if let Some(value) = margin_ratio {
        zoom.margin_ratio = share("heatmaps.zoom.margin_ratio", value)?;
    }
    if let Some(value) = max_looks {
        zoom.max_looks = number("heatmaps.zoom.max_looks", value, limits.max_looks)?;
    }
    if let Some(value) = grid_scale {
        number("heatmaps.zoom.grid_scale", value, MAX_GRID_SCALE)?;
        zoom.grid_scale = value;
    }
    if let ZoomPlace::Regions(boxes) = &zoom.place {
        count("heatmaps.zoom.regions.boxes", boxes.len(), zoom.max_looks)?;
    }
    Ok(zoom)
}

fn convert_detected(
    detected: v1::ZoomDetected,
    limits: &RequestLimits,
) -> Result<ZoomPlace, ServingError> {
    let v1::ZoomDetected { model, classes, min_confidence } = detected;
    limits.classes("heatmaps.zoom.detected.classes", &classes)?;
    let min_confidence = match min_confidence {
        None => 0.25,
        Some(value) => share("heatmaps.zoom.detected.min_confidence", value)?,
    };
    Ok(ZoomPlace::Detected { model: named(model), classes, min_confidence })
}

fn convert_regions(boxes: &[v1::BoundingBox]) -> Result<ZoomPlace, ServingError> {
    if boxes.is_empty() {
        return Err(ServingError::invalid("heatmaps.zoom.regions.boxes", "needs at least 1 box"));
    }
    let convert = |(at, edges): (usize, &v1::BoundingBox)| {
        let &v1::BoundingBox { x1, y1, x2, y2 } = edges;
        let finite = [x1, y1, x2, y2].iter().all(|edge| edge.is_finite());
        if finite && x1 < x2 && y1 < y2 {
            return Ok(Rect::new(x1, y1, x2, y2));
        }
        let reason = format!("is ({x1}, {y1}, {x2}, {y2}), must be finite, x1 < x2 and y1 < y2");
        Err(ServingError::invalid(format!("heatmaps.zoom.regions.boxes[{at}]"), reason))
    };
    boxes.iter().enumerate().map(convert).collect::<Result<_, _>>().map(ZoomPlace::Regions)
}

fn convert_window(window: v1::ZoomWindow) -> Result<ZoomPlace, ServingError> {
    let within = |field: &str, value: Option<f32>, default: f32, (low, high): (f32, f32)| {
        let value = value.unwrap_or(default);
        if (low..=high).contains(&value) {
            return Ok(value);
        }
        let reason = format!("is {value}, must be {low} to {high}");
        Err(ServingError::invalid(format!("heatmaps.zoom.window.{field}"), reason))
    };
    Ok(ZoomPlace::Window {
        side_ratio: within("side_ratio", window.side_ratio, 0.5, WINDOW_SIDES)?,
        overlap_ratio: within("overlap_ratio", window.overlap_ratio, 0.25, WINDOW_OVERLAPS)?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn convert(place: Where) -> Result<Zoom, ServingError> {
        let zoom = v1::HeatmapZoom { r#where: Some(place), ..Default::default() };
        convert_zoom(zoom, &RequestLimits::default())
    }

    fn refused(place: Where, message: &str) {
        assert_eq!(convert(place).unwrap_err().to_string(), message);
    }

    #[test]
    fn what_is_left_out_takes_the_documented_default() {
        let zoom = convert(Where::Detected(v1::ZoomDetected::default())).unwrap();
        let place = ZoomPlace::Detected { model: None, classes: Vec::new(), min_confidence: 0.25 };
        assert_eq!(zoom, Zoom { place, margin_ratio: 0.3, max_looks: 16, grid_scale: 1 });
        let zoom = convert(Where::Window(v1::ZoomWindow::default())).unwrap();
        assert_eq!(zoom.place, ZoomPlace::Window { side_ratio: 0.5, overlap_ratio: 0.25 });
        let few = RequestLimits { max_looks: 4, ..RequestLimits::default() };
        let place = Some(Where::Window(v1::ZoomWindow::default()));
        let zoom = v1::HeatmapZoom { r#where: place, ..Default::default() };
        assert_eq!(convert_zoom(zoom, &few).unwrap().max_looks, 4);
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        let boxes = |boxes: &[[f32; 4]]| {
            let edges = |&[x1, y1, x2, y2]: &[f32; 4]| v1::BoundingBox { x1, y1, x2, y2 };
            Where::Regions(v1::ZoomRegions { boxes: boxes.iter().map(edges).collect() })
        };
        refused(boxes(&[]), "heatmaps.zoom.regions.boxes: needs at least 1 box");
        refused(
            boxes(&[[0.0, 0.0, 1.0, 1.0], [2.0, 0.0, 2.0, f32::NAN]]),
            "heatmaps.zoom.regions.boxes[1]: is (2, 0, 2, NaN), must be finite, x1 < x2 and y1 < y2",
        );
        refused(
            boxes(&[[0.0, 0.0, 1.0, 1.0]; 17]),
            "heatmaps.zoom.regions.boxes: has 17 items, limit 16",
        );
        let window =
            |side_ratio, overlap_ratio| Where::Window(v1::ZoomWindow { side_ratio, overlap_ratio });
        refused(
            window(Some(0.05), None),
            "heatmaps.zoom.window.side_ratio: is 0.05, must be 0.1 to 1",
        );
        refused(
            window(None, Some(f32::NAN)),
            "heatmaps.zoom.window.overlap_ratio: is NaN, must be 0 to 0.9",
        );
        let nowhere = convert_zoom(v1::HeatmapZoom::default(), &RequestLimits::default());
        assert_eq!(
            nowhere.unwrap_err().to_string(),
            "heatmaps.zoom: is required: set detected, regions or window"
        );
    }
}
