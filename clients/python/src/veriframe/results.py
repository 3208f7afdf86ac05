"""What the calls about pictures answer with: frozen, and each with its message in ``raw``."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from . import _enums
from ._proto import (
    detection_pb2,
    heatmap_pb2,
    image_pb2,
    model_pb2,
    similarity_pb2,
    timing_pb2,
    verify_pb2,
)
from ._records import Record, array, optional, seconds
from .images import decode_png

if TYPE_CHECKING:
    import PIL.Image as Pillow

FloatArray: TypeAlias = "np.ndarray[Any, np.dtype[np.float32]]"


def hidden() -> Any:
    """The message that a result was made from: neither shown nor compared."""
    return field(repr=False, compare=False)


@dataclass(frozen=True, repr=False)
class Model(Record):
    """Which weights answered."""

    name: str
    version: str
    checksum: str
    raw: model_pb2.ModelIdentity = hidden()

    @classmethod
    def of(cls, raw: model_pb2.ModelIdentity) -> Model:
        return cls(raw.name, raw.version, raw.checksum, raw)

    def __repr__(self) -> str:
        # A collection names a model without a version: any with these weights will do.
        version = f"@{self.version}" if self.version else ""
        return f"Model({self.name}{version}, {self.checksum[:12]})"


def model_of(message: Any, name: str = "model") -> Model | None:
    return Model.of(getattr(message, name)) if message.HasField(name) else None


@dataclass(frozen=True, repr=False)
class ModelInfo(Record):
    """A model that is served; kind is "clip", "detector" or "torchscript"."""

    name: str
    version: str
    kind: str
    classes: tuple[str, ...]
    embedding_width: int
    logit_scale: float
    checksum: str = field(repr=False)
    raw: model_pb2.ModelInfo = hidden()

    @classmethod
    def of(cls, raw: model_pb2.ModelInfo) -> ModelInfo:
        return cls(
            name=raw.identity.name,
            version=raw.identity.version,
            kind=_enums.name(model_pb2.ModelKind, raw.kind),
            classes=tuple(raw.classes),
            embedding_width=raw.embedding_width,
            logit_scale=raw.logit_scale,
            checksum=raw.identity.checksum,
            raw=raw,
        )


@dataclass(frozen=True, repr=False)
class Calibration(Record):
    """What turned figures into probabilities; the name is "UNCALIBRATED" where nothing did."""

    name: str
    method: str
    count: int
    ece: float
    raw: model_pb2.CalibrationIdentity = hidden()

    @classmethod
    def of(cls, raw: model_pb2.CalibrationIdentity) -> Calibration:
        return cls(raw.name, raw.method, raw.count, raw.ece, raw)

    def __repr__(self) -> str:
        # Uncalibrated, it has nothing but its name.
        return super().__repr__() if self.count else f"Calibration({self.name})"


@dataclass(frozen=True)
class Box:
    """An upright rectangle in pixels of the frame: x to the right, y down."""

    x1: float
    y1: float
    x2: float
    y2: float

    @classmethod
    def of(cls, raw: image_pb2.BoundingBox) -> Box:
        return cls(raw.x1, raw.y1, raw.x2, raw.y2)

    @property
    def width(self) -> float:
        return self.x2 - self.x1

    @property
    def height(self) -> float:
        return self.y2 - self.y1

    def __repr__(self) -> str:
        return f"Box({self.x1:.1f}, {self.y1:.1f}, {self.x2:.1f}, {self.y2:.1f})"


@dataclass(frozen=True, repr=False)
class Score(Record):
    """One prompt against one picture. ``contrast`` is above 0 where the prompt says more about the
    picture than saying nothing in particular does; ``softmax`` says which prompt fits best, not
    whether any does; ``confidence`` is a probability of truth, where the model is calibrated.
    """

    prompt: str
    contrast: float
    cosine: float
    softmax: float
    logit: float
    confidence: float | None
    tokens: int = field(repr=False)
    truncated: bool = field(repr=False)
    raw: similarity_pb2.Score = hidden()

    @classmethod
    def of(cls, raw: similarity_pb2.Score) -> Score:
        return cls(
            prompt=raw.prompt,
            contrast=raw.contrast,
            cosine=raw.cosine,
            softmax=raw.softmax,
            logit=raw.logit,
            confidence=optional(raw, "confidence"),
            tokens=raw.tokens,
            truncated=raw.truncated,
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class BoxHeatmap(Record):
    """Which pixels made one box. As Heatmap; the cells of ``values`` cover ``area``."""

    method: str
    quality: str
    values: FloatArray | None
    area: Box
    png: bytes | None = field(repr=False)
    raw: detection_pb2.BoxHeatmap = hidden()

    @classmethod
    def of(cls, raw: detection_pb2.BoxHeatmap) -> BoxHeatmap:
        return cls(
            method=_enums.name(heatmap_pb2.HeatmapMethod, raw.method),
            quality=_enums.name(heatmap_pb2.HeatmapQuality, raw.quality),
            values=_values(raw),
            area=Box.of(raw.area),
            png=_png(raw),
            raw=raw,
        )

    def image(self) -> Pillow.Image:
        """The map drawn over the frame, of the encoding "png_overlay". Needs Pillow."""
        return _drawn(self.png)


@dataclass(frozen=True, repr=False, eq=False)
class Detection(Record):
    """A box, what is in it, and how sure the detector is, 0 to 1."""

    label: str
    confidence: float
    box: Box
    heatmaps: tuple[BoxHeatmap, ...]
    raw: detection_pb2.Detection = hidden()

    @classmethod
    def of(cls, raw: detection_pb2.Detection) -> Detection:
        return cls(
            label=raw.label,
            confidence=raw.confidence,
            box=Box.of(raw.box),
            heatmaps=tuple(map(BoxHeatmap.of, raw.heatmaps)),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class Region(Record):
    """A box and its scores; ``crop`` is what was looked at, the box with its margin."""

    label: str
    confidence: float
    box: Box
    crop: Box
    scores: tuple[Score, ...]
    raw: detection_pb2.Region = hidden()

    @classmethod
    def of(cls, raw: detection_pb2.Region) -> Region:
        return cls(
            label=raw.detection.label,
            confidence=raw.detection.confidence,
            box=Box.of(raw.detection.box),
            crop=Box.of(raw.crop),
            scores=tuple(map(Score.of, raw.scores)),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class Heatmap(Record):
    """Which part of the frame made one prompt's score.

    quality:  read this first: "ok", or why the map means little ("constant", "weak_claim",
              "not_specific", "unfaithful", "under_resolved")
    values:   float32 [height, width]; the grid of patches covers ``area`` of the frame. None where
              the map came drawn, in ``png`` and ``image()``; both are None for a constant map then
    contrast: what the map explains
    """

    prompt: str
    method: str
    quality: str
    contrast: float
    values: FloatArray | None
    area: Box
    hit_probability: float | None
    png: bytes | None = field(repr=False)
    raw: heatmap_pb2.Heatmap = hidden()

    @classmethod
    def of(cls, raw: heatmap_pb2.Heatmap) -> Heatmap:
        return cls(
            prompt=raw.prompt,
            method=_enums.name(heatmap_pb2.HeatmapMethod, raw.method),
            quality=_enums.name(heatmap_pb2.HeatmapQuality, raw.quality),
            contrast=raw.contrast,
            values=_values(raw),
            area=Box.of(raw.area),
            hit_probability=optional(raw, "hit_probability"),
            png=_png(raw),
            raw=raw,
        )

    def image(self) -> Pillow.Image:
        """The map drawn over the frame, of the encoding "png_overlay". Needs Pillow."""
        return _drawn(self.png)


def _values(raw: Any) -> FloatArray | None:
    return array(raw.tensor, raw.low, raw.high) if raw.HasField("tensor") else None


def _png(raw: Any) -> bytes | None:
    return raw.png if raw.HasField("png") and raw.png else None


def _drawn(png: bytes | None) -> Pillow.Image:
    if png is None:
        raise ValueError(
            'there is no drawing: ask for Heatmaps(encoding="png_overlay"); a constant map has none'
        )
    return decode_png(png)


@dataclass(frozen=True, repr=False)
class Timing(Record):
    """Where the time went, in seconds. Stages that run beside each other are counted in full."""

    total: float | None
    decode: float | None
    preprocess: float | None
    queue: float | None
    inference: float | None
    explain: float | None
    postprocess: float | None
    batch_size: int
    raw: timing_pb2.Timing = hidden()

    @classmethod
    def of(cls, raw: timing_pb2.Timing) -> Timing:
        return cls(
            total=seconds(raw, "total"),
            decode=seconds(raw, "decode"),
            preprocess=seconds(raw, "preprocess"),
            queue=seconds(raw, "queue"),
            inference=seconds(raw, "inference"),
            explain=seconds(raw, "explain"),
            postprocess=seconds(raw, "postprocess"),
            batch_size=raw.batch_size,
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class VerifyResult(Record):
    """All that was asked about one picture. What was not asked for is empty; ``raw`` tells it from
    boxes that were asked for and not found.
    """

    scores: tuple[Score, ...]
    detections: tuple[Detection, ...]
    regions: tuple[Region, ...]
    heatmaps: tuple[Heatmap, ...]
    # (width, height) in pixels
    frame_size: tuple[int, int]
    timing: Timing = field(repr=False)
    raw: verify_pb2.VerifyResponse = hidden()

    @classmethod
    def of(cls, raw: verify_pb2.VerifyResponse) -> VerifyResult:
        return cls(
            scores=tuple(map(Score.of, raw.similarity.scores)),
            detections=tuple(map(Detection.of, raw.detection.detections)),
            regions=tuple(map(Region.of, raw.regions.regions)),
            heatmaps=tuple(map(Heatmap.of, raw.heatmaps.heatmaps)),
            frame_size=(raw.frame_size.width, raw.frame_size.height),
            timing=Timing.of(raw.timing),
            raw=raw,
        )

    @property
    def best(self) -> Score:
        """The score of the prompt that fits best, which need not fit well: see its contrast."""
        if not self.scores:
            raise ValueError("there are no scores: no prompts were asked")
        return max(self.scores, key=lambda score: score.logit)

    @property
    def model(self) -> Model | None:
        """The CLIP model that answered."""
        for part in (self.raw.similarity, self.raw.regions, self.raw.heatmaps):
            if part.HasField("model"):
                return Model.of(part.model)
        return None

    @property
    def detector(self) -> Model | None:
        """The detector that answered."""
        return model_of(self.raw.detection) or model_of(self.raw.regions, "detector")

    @property
    def calibration(self) -> Calibration | None:
        """What the scores' confidences come from."""
        similarity = self.raw.similarity
        return Calibration.of(similarity.calibration) if similarity.scores else None


@dataclass(frozen=True, repr=False, eq=False)
class EmbedResult(Record):
    """Places in the embedding space, of length 1: the dot product of two is their cosine."""

    # float32 [width]; None where no picture was sent
    image: FloatArray | None
    # float32 [texts, width], in the order asked
    texts: FloatArray
    # of each text, whether it was longer than the model reads
    truncated: tuple[bool, ...]
    model: Model | None
    timing: Timing = field(repr=False)
    raw: similarity_pb2.EmbedResponse = hidden()

    @classmethod
    def of(cls, raw: similarity_pb2.EmbedResponse) -> EmbedResult:
        image = array(raw.image, 0.0, 0.0) if raw.HasField("image") else None
        texts = [array(text.embedding, 0.0, 0.0) for text in raw.texts]
        width = 0 if image is None else image.shape[0]
        return cls(
            image=image,
            texts=np.stack(texts) if texts else np.zeros((0, width), np.float32),
            truncated=tuple(text.truncated for text in raw.texts),
            model=model_of(raw),
            timing=Timing.of(raw.timing),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class DetectResult(Record):
    """Boxes of one picture, most confident first."""

    detections: tuple[Detection, ...]
    frame_size: tuple[int, int]
    model: Model | None
    timing: Timing = field(repr=False)
    raw: detection_pb2.DetectResponse = hidden()

    @classmethod
    def of(cls, raw: detection_pb2.DetectResponse) -> DetectResult:
        return cls(
            detections=tuple(map(Detection.of, raw.detection.detections)),
            frame_size=(raw.frame_size.width, raw.frame_size.height),
            model=model_of(raw.detection),
            timing=Timing.of(raw.timing),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class ExplainResult(Record):
    """Heatmaps of one picture: prompts outermost, methods within."""

    heatmaps: tuple[Heatmap, ...]
    frame_size: tuple[int, int]
    model: Model | None
    timing: Timing = field(repr=False)
    raw: heatmap_pb2.ExplainResponse = hidden()

    @classmethod
    def of(cls, raw: heatmap_pb2.ExplainResponse) -> ExplainResult:
        return cls(
            heatmaps=tuple(map(Heatmap.of, raw.heatmaps.heatmaps)),
            frame_size=(raw.frame_size.width, raw.frame_size.height),
            model=model_of(raw.heatmaps),
            timing=Timing.of(raw.timing),
            raw=raw,
        )
