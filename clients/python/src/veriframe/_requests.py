"""From arguments to messages: the parts of requests that several calls share."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import timedelta
from typing import Any

from . import _enums
from ._proto import detection_pb2, heatmap_pb2, image_pb2, similarity_pb2, stream_pb2, verdict_pb2
from .options import (
    BoxHeatmaps,
    Detect,
    Heatmaps,
    Regions,
    Reuse,
    VerdictPrompt,
    Verdicts,
    Zoom,
)
from .results import Box


def strings(values: Iterable[str], field: str) -> list[str]:
    """A list of texts. A bare text would be taken for a list of its letters."""
    if isinstance(values, str):
        raise TypeError(f"{field} is a text, a list of texts is needed: [{values!r}]")
    return list(values)


def duration(seconds: float | None) -> timedelta | None:
    return None if seconds is None else timedelta(seconds=seconds)


def _enum(enum: Any, name: str | None, field: str) -> Any:
    return None if name is None else _enums.number(enum, name, field)


def box(value: Box) -> image_pb2.BoundingBox:
    return image_pb2.BoundingBox(x1=value.x1, y1=value.y1, x2=value.x2, y2=value.y2)


def similarity(
    prompts: Sequence[str], null_prompts: Sequence[str], model: str | None
) -> similarity_pb2.SimilarityQuery | None:
    """The query for scores; none without prompts, for nothing is computed that was not asked."""
    prompts = strings(prompts, "prompts")
    null_prompts = strings(null_prompts, "null_prompts")
    if not prompts:
        return None
    return similarity_pb2.SimilarityQuery(model=model, prompts=prompts, null_prompts=null_prompts)


def detection(detect: bool | Detect) -> detection_pb2.DetectionQuery | None:
    if detect is False:
        return None
    ask = Detect() if detect is True else detect
    return detection_pb2.DetectionQuery(
        model=ask.model,
        min_confidence=ask.min_confidence,
        iou_threshold=ask.iou_threshold,
        max_detections=ask.max_detections,
        classes=strings(ask.classes, "classes"),
        heatmaps=_box_heatmaps(ask.heatmaps),
    )


def _box_heatmaps(heatmaps: bool | BoxHeatmaps) -> detection_pb2.BoxHeatmapQuery | None:
    if heatmaps is False:
        return None
    ask = BoxHeatmaps() if heatmaps is True else heatmaps
    return detection_pb2.BoxHeatmapQuery(
        methods=_methods(ask.methods),
        max_boxes=ask.max_boxes,
        resolution=_enum(heatmap_pb2.HeatmapResolution, ask.resolution, "resolution"),
        encoding=_enum(heatmap_pb2.HeatmapEncoding, ask.encoding, "encoding"),
    )


def regions(ask: bool | Regions) -> detection_pb2.RegionQuery | None:
    if ask is False:
        return None
    ask = Regions() if ask is True else ask
    return detection_pb2.RegionQuery(
        model=ask.model,
        prompts=strings(ask.prompts, "prompts"),
        classes=strings(ask.classes, "classes"),
        margin_ratio=ask.margin_ratio,
        max_regions=ask.max_regions,
    )


def _methods(names: Sequence[str], field: str = "methods") -> list[Any]:
    method = heatmap_pb2.HeatmapMethod
    return [_enums.number(method, name, field) for name in strings(names, field)]


def heatmaps(ask: bool | str | Sequence[str] | Heatmaps) -> heatmap_pb2.HeatmapQuery | None:
    """The query for True, a method's name, several names, or all options."""
    if ask is False:
        return None
    if isinstance(ask, str):
        ask = Heatmaps(methods=[ask])
    elif ask is True:
        ask = Heatmaps()
    elif not isinstance(ask, Heatmaps):
        ask = Heatmaps(methods=ask)
    options = heatmap_pb2.HeatmapOptions(
        layers=ask.layers,
        eigen_smoothing=ask.eigen_smoothing,
        augmentation_smoothing=ask.augmentation_smoothing,
        refine=ask.refine,
        members=_methods(ask.members, "members"),
    )
    return heatmap_pb2.HeatmapQuery(
        model=ask.model,
        prompts=strings(ask.prompts, "prompts"),
        methods=_methods(ask.methods),
        null_prompts=strings(ask.null_prompts, "null_prompts"),
        resolution=_enum(heatmap_pb2.HeatmapResolution, ask.resolution, "resolution"),
        encoding=_enum(heatmap_pb2.HeatmapEncoding, ask.encoding, "encoding"),
        options=options if options.ByteSize() else None,
        check=ask.check,
        zoom=None if ask.zoom is None else _zoom(ask.zoom),
    )


def _zoom(ask: Zoom) -> heatmap_pb2.HeatmapZoom:
    ways = [ask.detected is not False, bool(ask.boxes), ask.window is not None]
    if sum(ways) != 1:
        raise ValueError("a zoom needs one of detected, boxes and window")
    zoom = heatmap_pb2.HeatmapZoom(
        margin_ratio=ask.margin_ratio, max_looks=ask.max_looks, grid_scale=ask.grid_scale
    )
    if ask.boxes:
        zoom.regions.boxes.extend(box(each) for each in ask.boxes)
    elif ask.window is not None:
        zoom.window.CopyFrom(
            heatmap_pb2.ZoomWindow(side_ratio=ask.window, overlap_ratio=ask.overlap_ratio)
        )
    else:
        at = ask.detected if isinstance(ask.detected, Detect) else Detect()
        zoom.detected.CopyFrom(
            heatmap_pb2.ZoomDetected(
                model=at.model,
                classes=strings(at.classes, "classes"),
                min_confidence=at.min_confidence,
            )
        )
    return zoom


def reuse(ask: bool | Reuse) -> stream_pb2.Reuse | None:
    if ask is False:
        return None
    ask = Reuse() if ask is True else ask
    return stream_pb2.Reuse(
        max_difference=ask.max_difference,
        max_age=duration(ask.max_age),
        max_frames=ask.max_frames,
    )


def verdicts(ask: bool | Verdicts) -> verdict_pb2.VerdictQuery | None:
    if ask is False:
        return None
    ask = Verdicts() if ask is True else ask
    if isinstance(ask.prompts, str):
        raise TypeError("prompts is a text, a list is needed")
    prompts = [VerdictPrompt(each) if isinstance(each, str) else each for each in ask.prompts]
    return verdict_pb2.VerdictQuery(
        prompts=[
            verdict_pb2.VerdictPrompt(
                prompt=each.prompt,
                opposite=each.opposite,
                open_at=each.open_at,
                close_at=each.close_at,
            )
            for each in prompts
        ],
        figure=_enum(verdict_pb2.VerdictFigure, ask.figure, "figure"),
        time_constant=duration(ask.time_constant),
        open_at=ask.open_at,
        close_at=ask.close_at,
        min_duration=duration(ask.min_duration),
        max_gap=duration(ask.max_gap),
        min_frames=ask.min_frames,
        max_missing=ask.max_missing,
        max_segments=ask.max_segments,
        frame_interval=duration(ask.frame_interval),
        omit_from_results=ask.omit_from_results,
    )
