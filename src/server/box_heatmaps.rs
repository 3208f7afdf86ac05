//! The wire's heatmaps of boxes to the domain's, checked, and back.

use super::convert::{convert_encoding, convert_methods, convert_resolution};
use super::limits::{RequestLimits, number};
use super::respond::{method, quality, rect, sent, statistics, transform};
use crate::explain::explains_boxes;
use crate::proto::v1;
use crate::serving::ServingError;
use crate::verification::{BoxHeatmap, BoxHeatmaps};

/// Within every limit but that of bytes, which needs the picture.
pub(super) fn convert_box_heatmaps(
    part: v1::BoxHeatmapQuery,
    limits: &RequestLimits,
) -> Result<BoxHeatmaps, ServingError> {
    let v1::BoxHeatmapQuery { methods, max_boxes, resolution, encoding } = part;
    let methods = convert_methods("detection.heatmaps.methods", &methods)?;
    for (at, &method) in methods.iter().enumerate() {
        explains_boxes(method).map_err(|error| {
            ServingError::invalid(format!("detection.heatmaps.methods[{at}]"), error.to_string())
        })?;
    }
    let mut maps = BoxHeatmaps {
        resolution: convert_resolution("detection.heatmaps.resolution", resolution)?,
        encoding: convert_encoding("detection.heatmaps.encoding", encoding)?,
        ..BoxHeatmaps::default()
    };
    if !methods.is_empty() {
        maps.methods = methods;
    }
    maps.max_boxes = match max_boxes {
        None => maps.max_boxes.min(limits.max_heatmap_boxes),
        Some(value) => number("detection.heatmaps.max_boxes", value, limits.max_heatmap_boxes)?,
    };
    Ok(maps)
}

pub(super) fn box_heatmap(map: BoxHeatmap) -> v1::BoxHeatmap {
    let BoxHeatmap { layer, stride_px, payload, fit, area, figures } = map;
    let (content, (low, high)) =
        sent(payload, v1::box_heatmap::Content::Tensor, v1::box_heatmap::Content::Png);
    v1::BoxHeatmap {
        method: method(figures.method).into(),
        layer,
        content: Some(content),
        low,
        high,
        transform: Some(transform(&fit)),
        area: Some(rect(area)),
        statistics: Some(statistics(&figures.stats)),
        quality: quality(figures.quality).into(),
        effective_patches: figures.effective_patches,
        rival: figures.rival,
        stride_px,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::explain::Method;
    use crate::verification::{Encoding, Resolution};

    fn convert(part: v1::BoxHeatmapQuery) -> Result<BoxHeatmaps, ServingError> {
        convert_box_heatmaps(part, &RequestLimits::default())
    }

    #[test]
    fn what_is_left_out_takes_the_documented_default() {
        let maps = convert(v1::BoxHeatmapQuery::default()).unwrap();
        assert_eq!((maps.methods, maps.max_boxes), (vec![Method::GradCam], 16));
        assert_eq!((maps.resolution, maps.encoding), (Resolution::Grid, Encoding::F32));
        let few = RequestLimits { max_heatmap_boxes: 4, ..RequestLimits::default() };
        assert_eq!(
            convert_box_heatmaps(v1::BoxHeatmapQuery::default(), &few).unwrap().max_boxes,
            4
        );
    }

    #[test]
    fn each_bad_field_is_refused_by_name() {
        let plain = v1::BoxHeatmapQuery::default;
        let methods = |methods: &[v1::HeatmapMethod]| v1::BoxHeatmapQuery {
            methods: methods.iter().map(|&method| method.into()).collect(),
            ..plain()
        };
        let cam = v1::HeatmapMethod::GradCam;
        for (part, message) in [
            (
                methods(&[cam, v1::HeatmapMethod::GradEclip]),
                "methods[1]: grad_eclip cannot explain boxes, methods that can are grad_cam, \
                 eigen_cam",
            ),
            (methods(&[cam, cam]), "methods[1]: repeats grad_cam"),
            (methods(&[v1::HeatmapMethod::Unspecified]), "methods[0]: is unspecified"),
            (
                v1::BoxHeatmapQuery { methods: vec![77], ..plain() },
                "methods[0]: is 77, which is no known value",
            ),
            (
                v1::BoxHeatmapQuery { max_boxes: Some(65), ..plain() },
                "max_boxes: is 65, must be 1 to 64",
            ),
            (
                v1::BoxHeatmapQuery { resolution: 9, ..plain() },
                "resolution: is 9, which is no known value",
            ),
            (
                v1::BoxHeatmapQuery { encoding: 9, ..plain() },
                "encoding: is 9, which is no known value",
            ),
        ] {
            let error = convert(part).unwrap_err().to_string();
            assert_eq!(error, format!("detection.heatmaps.{message}"));
        }
    }
}
