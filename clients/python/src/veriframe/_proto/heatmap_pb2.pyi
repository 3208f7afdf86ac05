# Written by scripts/generate.py from veriframe/v1/heatmap.proto; do not edit.
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import tensor_pb2 as _tensor_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class HeatmapMethod(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEATMAP_METHOD_UNSPECIFIED: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GRAD_ECLIP: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_DIRECT_EFFECT: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_LEGRAD: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GAME: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GRAD_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GRAD_CAM_PLUS_PLUS: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_X_GRAD_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_LAYER_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_HIRES_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_EIGEN_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_EIGEN_GRAD_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_SCORE_CAM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_ROLLOUT: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GRAD_ROLLOUT: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_MASK_CLIP: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_CLEAR_CLIP: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_NACLIP: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_SCLIP: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_CLIP_SURGERY: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_GEM: _ClassVar[HeatmapMethod]
    HEATMAP_METHOD_ENSEMBLE: _ClassVar[HeatmapMethod]

class HeatmapResolution(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEATMAP_RESOLUTION_UNSPECIFIED: _ClassVar[HeatmapResolution]
    HEATMAP_RESOLUTION_GRID: _ClassVar[HeatmapResolution]
    HEATMAP_RESOLUTION_IMAGE: _ClassVar[HeatmapResolution]

class HeatmapEncoding(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEATMAP_ENCODING_UNSPECIFIED: _ClassVar[HeatmapEncoding]
    HEATMAP_ENCODING_F32: _ClassVar[HeatmapEncoding]
    HEATMAP_ENCODING_F16: _ClassVar[HeatmapEncoding]
    HEATMAP_ENCODING_U8: _ClassVar[HeatmapEncoding]
    HEATMAP_ENCODING_PNG_OVERLAY: _ClassVar[HeatmapEncoding]

class HeatmapQuality(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    HEATMAP_QUALITY_UNSPECIFIED: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_OK: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_CONSTANT: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_WEAK_CLAIM: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_NOT_SPECIFIC: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_UNFAITHFUL: _ClassVar[HeatmapQuality]
    HEATMAP_QUALITY_UNDER_RESOLVED: _ClassVar[HeatmapQuality]
HEATMAP_METHOD_UNSPECIFIED: HeatmapMethod
HEATMAP_METHOD_GRAD_ECLIP: HeatmapMethod
HEATMAP_METHOD_DIRECT_EFFECT: HeatmapMethod
HEATMAP_METHOD_LEGRAD: HeatmapMethod
HEATMAP_METHOD_GAME: HeatmapMethod
HEATMAP_METHOD_GRAD_CAM: HeatmapMethod
HEATMAP_METHOD_GRAD_CAM_PLUS_PLUS: HeatmapMethod
HEATMAP_METHOD_X_GRAD_CAM: HeatmapMethod
HEATMAP_METHOD_LAYER_CAM: HeatmapMethod
HEATMAP_METHOD_HIRES_CAM: HeatmapMethod
HEATMAP_METHOD_EIGEN_CAM: HeatmapMethod
HEATMAP_METHOD_EIGEN_GRAD_CAM: HeatmapMethod
HEATMAP_METHOD_SCORE_CAM: HeatmapMethod
HEATMAP_METHOD_ROLLOUT: HeatmapMethod
HEATMAP_METHOD_GRAD_ROLLOUT: HeatmapMethod
HEATMAP_METHOD_MASK_CLIP: HeatmapMethod
HEATMAP_METHOD_CLEAR_CLIP: HeatmapMethod
HEATMAP_METHOD_NACLIP: HeatmapMethod
HEATMAP_METHOD_SCLIP: HeatmapMethod
HEATMAP_METHOD_CLIP_SURGERY: HeatmapMethod
HEATMAP_METHOD_GEM: HeatmapMethod
HEATMAP_METHOD_ENSEMBLE: HeatmapMethod
HEATMAP_RESOLUTION_UNSPECIFIED: HeatmapResolution
HEATMAP_RESOLUTION_GRID: HeatmapResolution
HEATMAP_RESOLUTION_IMAGE: HeatmapResolution
HEATMAP_ENCODING_UNSPECIFIED: HeatmapEncoding
HEATMAP_ENCODING_F32: HeatmapEncoding
HEATMAP_ENCODING_F16: HeatmapEncoding
HEATMAP_ENCODING_U8: HeatmapEncoding
HEATMAP_ENCODING_PNG_OVERLAY: HeatmapEncoding
HEATMAP_QUALITY_UNSPECIFIED: HeatmapQuality
HEATMAP_QUALITY_OK: HeatmapQuality
HEATMAP_QUALITY_CONSTANT: HeatmapQuality
HEATMAP_QUALITY_WEAK_CLAIM: HeatmapQuality
HEATMAP_QUALITY_NOT_SPECIFIC: HeatmapQuality
HEATMAP_QUALITY_UNFAITHFUL: HeatmapQuality
HEATMAP_QUALITY_UNDER_RESOLVED: HeatmapQuality

class HeatmapQuery(_message.Message):
    __slots__ = ("model", "prompts", "methods", "null_prompts", "resolution", "encoding", "options", "check", "zoom")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    METHODS_FIELD_NUMBER: _ClassVar[int]
    NULL_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    RESOLUTION_FIELD_NUMBER: _ClassVar[int]
    ENCODING_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CHECK_FIELD_NUMBER: _ClassVar[int]
    ZOOM_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompts: _containers.RepeatedScalarFieldContainer[str]
    methods: _containers.RepeatedScalarFieldContainer[HeatmapMethod]
    null_prompts: _containers.RepeatedScalarFieldContainer[str]
    resolution: HeatmapResolution
    encoding: HeatmapEncoding
    options: HeatmapOptions
    check: bool
    zoom: HeatmapZoom
    def __init__(self, model: _Optional[str] = ..., prompts: _Optional[_Iterable[str]] = ..., methods: _Optional[_Iterable[_Union[HeatmapMethod, str]]] = ..., null_prompts: _Optional[_Iterable[str]] = ..., resolution: _Optional[_Union[HeatmapResolution, str]] = ..., encoding: _Optional[_Union[HeatmapEncoding, str]] = ..., options: _Optional[_Union[HeatmapOptions, _Mapping]] = ..., check: _Optional[bool] = ..., zoom: _Optional[_Union[HeatmapZoom, _Mapping]] = ...) -> None: ...

class HeatmapZoom(_message.Message):
    __slots__ = ("detected", "regions", "window", "margin_ratio", "max_looks", "grid_scale")
    DETECTED_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    WINDOW_FIELD_NUMBER: _ClassVar[int]
    MARGIN_RATIO_FIELD_NUMBER: _ClassVar[int]
    MAX_LOOKS_FIELD_NUMBER: _ClassVar[int]
    GRID_SCALE_FIELD_NUMBER: _ClassVar[int]
    detected: ZoomDetected
    regions: ZoomRegions
    window: ZoomWindow
    margin_ratio: float
    max_looks: int
    grid_scale: int
    def __init__(self, detected: _Optional[_Union[ZoomDetected, _Mapping]] = ..., regions: _Optional[_Union[ZoomRegions, _Mapping]] = ..., window: _Optional[_Union[ZoomWindow, _Mapping]] = ..., margin_ratio: _Optional[float] = ..., max_looks: _Optional[int] = ..., grid_scale: _Optional[int] = ...) -> None: ...

class ZoomDetected(_message.Message):
    __slots__ = ("model", "classes", "min_confidence")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    model: str
    classes: _containers.RepeatedScalarFieldContainer[str]
    min_confidence: float
    def __init__(self, model: _Optional[str] = ..., classes: _Optional[_Iterable[str]] = ..., min_confidence: _Optional[float] = ...) -> None: ...

class ZoomRegions(_message.Message):
    __slots__ = ("boxes",)
    BOXES_FIELD_NUMBER: _ClassVar[int]
    boxes: _containers.RepeatedCompositeFieldContainer[_image_pb2.BoundingBox]
    def __init__(self, boxes: _Optional[_Iterable[_Union[_image_pb2.BoundingBox, _Mapping]]] = ...) -> None: ...

class ZoomWindow(_message.Message):
    __slots__ = ("side_ratio", "overlap_ratio")
    SIDE_RATIO_FIELD_NUMBER: _ClassVar[int]
    OVERLAP_RATIO_FIELD_NUMBER: _ClassVar[int]
    side_ratio: float
    overlap_ratio: float
    def __init__(self, side_ratio: _Optional[float] = ..., overlap_ratio: _Optional[float] = ...) -> None: ...

class HeatmapOptions(_message.Message):
    __slots__ = ("layers", "eigen_smoothing", "augmentation_smoothing", "refine", "members")
    LAYERS_FIELD_NUMBER: _ClassVar[int]
    EIGEN_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    AUGMENTATION_SMOOTHING_FIELD_NUMBER: _ClassVar[int]
    REFINE_FIELD_NUMBER: _ClassVar[int]
    MEMBERS_FIELD_NUMBER: _ClassVar[int]
    layers: _containers.RepeatedScalarFieldContainer[int]
    eigen_smoothing: bool
    augmentation_smoothing: bool
    refine: bool
    members: _containers.RepeatedScalarFieldContainer[HeatmapMethod]
    def __init__(self, layers: _Optional[_Iterable[int]] = ..., eigen_smoothing: _Optional[bool] = ..., augmentation_smoothing: _Optional[bool] = ..., refine: _Optional[bool] = ..., members: _Optional[_Iterable[_Union[HeatmapMethod, str]]] = ...) -> None: ...

class HeatmapResult(_message.Message):
    __slots__ = ("model", "heatmaps", "null_prompts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    NULL_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.ModelIdentity
    heatmaps: _containers.RepeatedCompositeFieldContainer[Heatmap]
    null_prompts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., heatmaps: _Optional[_Iterable[_Union[Heatmap, _Mapping]]] = ..., null_prompts: _Optional[_Iterable[str]] = ...) -> None: ...

class Heatmap(_message.Message):
    __slots__ = ("prompt", "method", "layer", "tensor", "png", "low", "high", "transform", "area", "statistics", "quality", "contrast", "signal_to_noise", "specificity", "accounting", "claim", "effective_patches", "rival", "hit_probability", "checks", "modified_network", "looks")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
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
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    SIGNAL_TO_NOISE_FIELD_NUMBER: _ClassVar[int]
    SPECIFICITY_FIELD_NUMBER: _ClassVar[int]
    ACCOUNTING_FIELD_NUMBER: _ClassVar[int]
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    EFFECTIVE_PATCHES_FIELD_NUMBER: _ClassVar[int]
    RIVAL_FIELD_NUMBER: _ClassVar[int]
    HIT_PROBABILITY_FIELD_NUMBER: _ClassVar[int]
    CHECKS_FIELD_NUMBER: _ClassVar[int]
    MODIFIED_NETWORK_FIELD_NUMBER: _ClassVar[int]
    LOOKS_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    method: HeatmapMethod
    layer: str
    tensor: _tensor_pb2.Tensor
    png: bytes
    low: float
    high: float
    transform: _image_pb2.Transform
    area: _image_pb2.BoundingBox
    statistics: HeatmapStatistics
    quality: HeatmapQuality
    contrast: float
    signal_to_noise: float
    specificity: float
    accounting: Accounting
    claim: float
    effective_patches: float
    rival: float
    hit_probability: float
    checks: HeatmapChecks
    modified_network: bool
    looks: _containers.RepeatedCompositeFieldContainer[HeatmapLook]
    def __init__(self, prompt: _Optional[str] = ..., method: _Optional[_Union[HeatmapMethod, str]] = ..., layer: _Optional[str] = ..., tensor: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., png: _Optional[bytes] = ..., low: _Optional[float] = ..., high: _Optional[float] = ..., transform: _Optional[_Union[_image_pb2.Transform, _Mapping]] = ..., area: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., statistics: _Optional[_Union[HeatmapStatistics, _Mapping]] = ..., quality: _Optional[_Union[HeatmapQuality, str]] = ..., contrast: _Optional[float] = ..., signal_to_noise: _Optional[float] = ..., specificity: _Optional[float] = ..., accounting: _Optional[_Union[Accounting, _Mapping]] = ..., claim: _Optional[float] = ..., effective_patches: _Optional[float] = ..., rival: _Optional[float] = ..., hit_probability: _Optional[float] = ..., checks: _Optional[_Union[HeatmapChecks, _Mapping]] = ..., modified_network: _Optional[bool] = ..., looks: _Optional[_Iterable[_Union[HeatmapLook, _Mapping]]] = ...) -> None: ...

class HeatmapLook(_message.Message):
    __slots__ = ("box", "contrast", "label")
    BOX_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    box: _image_pb2.BoundingBox
    contrast: float
    label: str
    def __init__(self, box: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., contrast: _Optional[float] = ..., label: _Optional[str] = ...) -> None: ...

class HeatmapChecks(_message.Message):
    __slots__ = ("faithfulness", "stability", "method_agreement", "layer_agreement")
    FAITHFULNESS_FIELD_NUMBER: _ClassVar[int]
    STABILITY_FIELD_NUMBER: _ClassVar[int]
    METHOD_AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    LAYER_AGREEMENT_FIELD_NUMBER: _ClassVar[int]
    faithfulness: float
    stability: float
    method_agreement: float
    layer_agreement: float
    def __init__(self, faithfulness: _Optional[float] = ..., stability: _Optional[float] = ..., method_agreement: _Optional[float] = ..., layer_agreement: _Optional[float] = ...) -> None: ...

class HeatmapStatistics(_message.Message):
    __slots__ = ("min", "max", "mean", "std")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    MEAN_FIELD_NUMBER: _ClassVar[int]
    STD_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    mean: float
    std: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ..., mean: _Optional[float] = ..., std: _Optional[float] = ...) -> None: ...

class Accounting(_message.Message):
    __slots__ = ("patches", "class_token", "biases", "mlps", "embedding", "norm_bias", "score")
    PATCHES_FIELD_NUMBER: _ClassVar[int]
    CLASS_TOKEN_FIELD_NUMBER: _ClassVar[int]
    BIASES_FIELD_NUMBER: _ClassVar[int]
    MLPS_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    NORM_BIAS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    patches: float
    class_token: float
    biases: float
    mlps: float
    embedding: float
    norm_bias: float
    score: float
    def __init__(self, patches: _Optional[float] = ..., class_token: _Optional[float] = ..., biases: _Optional[float] = ..., mlps: _Optional[float] = ..., embedding: _Optional[float] = ..., norm_bias: _Optional[float] = ..., score: _Optional[float] = ...) -> None: ...

class ExplainRequest(_message.Message):
    __slots__ = ("image", "heatmaps")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    image: _image_pb2.Image
    heatmaps: HeatmapQuery
    def __init__(self, image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., heatmaps: _Optional[_Union[HeatmapQuery, _Mapping]] = ...) -> None: ...

class ExplainResponse(_message.Message):
    __slots__ = ("heatmaps", "frame_size", "timing")
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    heatmaps: HeatmapResult
    frame_size: _image_pb2.ImageSize
    timing: _timing_pb2.Timing
    def __init__(self, heatmaps: _Optional[_Union[HeatmapResult, _Mapping]] = ..., frame_size: _Optional[_Union[_image_pb2.ImageSize, _Mapping]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...
