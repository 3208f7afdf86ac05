"""What can be asked for, beyond the arguments of the calls themselves.

What is left at None has the server's default. Ranges are the server's to check: what it refuses is
an ``InvalidArgument`` with the field and the limit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from .results import Box


@dataclass(frozen=True)
class BoxHeatmaps:
    """Maps of which pixels made each box. Methods: "grad_cam" (default), "eigen_cam"."""

    methods: Sequence[str] = ()
    max_boxes: int | None = None
    resolution: str | None = None
    encoding: str | None = None


@dataclass(frozen=True)
class Detect:
    """Boxes: of which detector, how sure, how many, of which classes, and with maps or not."""

    model: str | None = None
    min_confidence: float | None = None
    iou_threshold: float | None = None
    max_detections: int | None = None
    classes: Sequence[str] = ()
    heatmaps: bool | BoxHeatmaps = False


@dataclass(frozen=True)
class Regions:
    """Scores of each box. Without prompts, those of the call."""

    model: str | None = None
    prompts: Sequence[str] = ()
    classes: Sequence[str] = ()
    margin_ratio: float | None = None
    max_regions: int | None = None


@dataclass(frozen=True)
class Zoom:
    """Closer looks, for what is small in the frame. One of:

    detected:  at the boxes of a detector: True, or a ``Detect`` with model, classes, min_confidence
    boxes:     at these boxes
    window:    everywhere, in windows of this share of the frame's shorter side
    """

    detected: bool | Detect = False
    boxes: Sequence[Box] = ()
    window: float | None = None
    overlap_ratio: float | None = None
    margin_ratio: float | None = None
    max_looks: int | None = None
    grid_scale: int | None = None


@dataclass(frozen=True)
class Heatmaps:
    """Heatmaps: one for each prompt and method.

    methods:     "grad_eclip" (default), "direct_effect", "legrad", ...: docs/heatmaps.md
    prompts:     what to explain; without, those of the call
    resolution:  "grid" (default), one value a patch; "image", one a pixel of the frame
    encoding:    "f32" (default), "f16" and "u8", which are smaller on the wire and arrive as
                 float32 all the same; "png_overlay", drawn over the frame
    check:       whether to find out, with some 60 forward passes, how far each map can be believed
    layers, eigen_smoothing, augmentation_smoothing, refine, members: see HeatmapOptions in
                 proto/veriframe/v1/heatmap.proto
    """

    methods: Sequence[str] = ()
    prompts: Sequence[str] = ()
    null_prompts: Sequence[str] = ()
    model: str | None = None
    resolution: str | None = None
    encoding: str | None = None
    check: bool = False
    zoom: Zoom | None = None
    layers: Sequence[int] = ()
    eigen_smoothing: bool = False
    augmentation_smoothing: bool = False
    refine: bool = False
    members: Sequence[str] = ()


@dataclass(frozen=True)
class Reuse:
    """Answers frames of a stream that hardly differ from an earlier one with that one's result."""

    max_difference: float | None = None
    max_age: float | None = None
    max_frames: int | None = None


@dataclass(frozen=True)
class VerdictPrompt:
    """A prompt to judge; ``opposite`` with the figure "margin" alone."""

    prompt: str
    opposite: str = ""
    open_at: float | None = None
    close_at: float | None = None


@dataclass(frozen=True)
class Verdicts:
    """Verdicts over time on the prompts of a stream. Times are in seconds.

    figure: "contrast" (default), "cosine", "softmax", "margin", "confidence". docs/streams.md says
    what each of the others does.
    """

    prompts: Sequence[str | VerdictPrompt] = ()
    figure: str | None = None
    time_constant: float | None = None
    open_at: float | None = None
    close_at: float | None = None
    min_duration: float | None = None
    max_gap: float | None = None
    min_frames: int | None = None
    max_missing: float | None = None
    max_segments: int | None = None
    frame_interval: float | None = None
    omit_from_results: bool = False
