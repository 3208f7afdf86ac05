# Written by scripts/generate.py from veriframe/v1/detection.proto; do not edit.
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import tensor_pb2 as _tensor_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class DetectionQuery(_message.Message):
    __slots__ = ("model", "min_confidence", "iou_threshold", "max_detections", "classes", "heatmaps")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    IOU_THRESHOLD_FIELD_NUMBER: _ClassVar[int]
    MAX_DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    model: str
    min_confidence: float
    iou_threshold: float
    max_detections: int
    classes: _containers.RepeatedScalarFieldContainer[str]
    heatmaps: BoxHeatmapQuery
    def __init__(self, model: _Optional[str] = ..., min_confidence: _Optional[float] = ..., iou_threshold: _Optional[float] = ..., max_detections: _Optional[int] = ..., classes: _Optional[_Iterable[str]] = ..., heatmaps: _Optional[_Union[BoxHeatmapQuery, _Mapping]] = ...) -> None: ...

class BoxHeatmapQuery(_message.Message):
    __slots__ = ("methods", "max_boxes", "resolution", "encoding")
    METHODS_FIELD_NUMBER: _ClassVar[int]
    MAX_BOXES_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    methods: _containers.RepeatedScalarFieldContainer[_heatmap_pb2.HeatmapMethod]
    max_boxes: int
    resolution: _heatmap_pb2.HeatmapResolution
    encoding: _heatmap_pb2.HeatmapEncoding
    def __init__(self, methods: _Optional[_Iterable[_Union[_heatmap_pb2.HeatmapMethod, str]]] = ..., max_boxes: _Optional[int] = ..., resolution: _Optional[_Union[_heatmap_pb2.HeatmapResolution, str]] = ..., encoding: _Optional[_Union[_heatmap_pb2.HeatmapEncoding, str]] = ...) -> None: ...

class DetectionResult(_message.Message):
    __slots__ = ("model", "detections")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETECTIONS_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.ModelIdentity
    detections: _containers.RepeatedCompositeFieldContainer[Detection]
    def __init__(self, model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., detections: _Optional[_Iterable[_Union[Detection, _Mapping]]] = ...) -> None: ...

class Detection(_message.Message):
    __slots__ = ("box", "class_index", "label", "confidence", "heatmaps")
    BOX_FIELD_NUMBER: _ClassVar[int]
    CLASS_INDEX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    box: _image_pb2.BoundingBox
    class_index: int
    label: str
    confidence: float
    heatmaps: _containers.RepeatedCompositeFieldContainer[BoxHeatmap]
    def __init__(self, box: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., class_index: _Optional[int] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ..., heatmaps: _Optional[_Iterable[_Union[BoxHeatmap, _Mapping]]] = ...) -> None: ...

class BoxHeatmap(_message.Message):
    __slots__ = ("method", "layer", "tensor", "png", "low", "high", "transform", "area", "statistics", "quality", "effective_patches", "rival", "stride_px")
    METHOD_FIELD_NUMBER: _ClassVar[int]
    LAYER_FIELD_NUMBER: _ClassVar[int]
    TENSOR_FIELD_NUMBER: _ClassVar[int]
    PNG_FIELD_NUMBER: _ClassVar[int]
    LOW_FIELD_NUMBER: _ClassVar[int]
    HIGH_FIELD_NUMBER: _ClassVar[int]
    TRANSFORM_FIELD_NUMBER: _ClassVar[int]
    AREA_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    QUALITY_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_PATCHES_FIELD_NUMBER: _ClassVar[int]
    RIVAL_FIELD_NUMBER: _ClassVar[int]
    STRIDE_PX_FIELD_NUMBER: _ClassVar[int]
    method: _heatmap_pb2.HeatmapMethod
    layer: str
    tensor: _tensor_pb2.Tensor
    png: bytes
    low: float
    high: float
    transform: _image_pb2.Transform
    area: _image_pb2.BoundingBox
    statistics: _heatmap_pb2.HeatmapStatistics
    quality: _heatmap_pb2.HeatmapQuality
    effective_patches: float
    rival: float
    stride_px: int
    def __init__(self, method: _Optional[_Union[_heatmap_pb2.HeatmapMethod, str]] = ..., layer: _Optional[str] = ..., tensor: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., png: _Optional[bytes] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., transform: _Optional[_Union[_image_pb2.Transform, _Mapping]] = ..., area: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., statistics: _Optional[_Union[_heatmap_pb2.HeatmapStatistics, _Mapping]] = ..., quality: _Optional[_Union[_heatmap_pb2.HeatmapQuality, str]] = ..., effective_patches: _Optional[float] = ..., rival: _Optional[float] = ..., stride_px: _Optional[int] = ...) -> None: ...

class DetectRequest(_message.Message):
    __slots__ = ("image", "detection")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    image: _image_pb2.Image
    detection: DetectionQuery
    def __init__(self, image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., detection: _Optional[_Union[DetectionQuery, _Mapping]] = ...) -> None: ...

class DetectResponse(_message.Message):
    __slots__ = ("detection", "frame_size", "timing")
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    detection: DetectionResult
    frame_size: _image_pb2.ImageSize
    timing: _timing_pb2.Timing
    def __init__(self, detection: _Optional[_Union[DetectionResult, _Mapping]] = ..., frame_size: _Optional[_Union[_image_pb2.ImageSize, _Mapping]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...

class RegionQuery(_message.Message):
    __slots__ = ("model", "prompts", "classes", "margin_ratio", "max_regions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MARGIN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_REGIONS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompts: _containers.RepeatedScalarFieldContainer[str]
    classes: _containers.RepeatedScalarFieldContainer[str]
    margin_ratio: float
    max_regions: int
    def __init__(self, model: _Optional[str] = ..., prompts: _Optional[_Iterable[str]] = ..., classes: _Optional[_Iterable[str]] = ..., margin_ratio: _Optional[float] = ..., max_regions: _Optional[int] = ...) -> None: ...

class RegionResult(_message.Message):
    __slots__ = ("model", "detector", "regions")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.ModelIdentity
    detector: _model_pb2.ModelIdentity
    regions: _containers.RepeatedCompositeFieldContainer[Region]
    def __init__(self, model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., detector: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., regions: _Optional[_Iterable[_Union[Region, _Mapping]]] = ...) -> None: ...

class Region(_message.Message):
    __slots__ = ("detection", "crop", "scores")
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    CROP_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    detection: Detection
    crop: _image_pb2.BoundingBox
    scores: _containers.RepeatedCompositeFieldContainer[_similarity_pb2.Score]
    def __init__(self, detection: _Optional[_Union[Detection, _Mapping]] = ..., crop: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., scores: _Optional[_Iterable[_Union[_similarity_pb2.Score, _Mapping]]] = ...) -> None: ...
