# Written by scripts/generate.py from veriframe/v1/verify.proto; do not edit.
from veriframe._proto import detection_pb2 as _detection_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerifyRequest(_message.Message):
    __slots__ = ("image", "similarity", "detection", "regions", "heatmaps")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    image: _image_pb2.Image
    similarity: _similarity_pb2.SimilarityQuery
    detection: _detection_pb2.DetectionQuery
    regions: _detection_pb2.RegionQuery
    heatmaps: _heatmap_pb2.HeatmapQuery
    def __init__(self, image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., similarity: _Optional[_Union[_similarity_pb2.SimilarityQuery, _Mapping]] = ..., detection: _Optional[_Union[_detection_pb2.DetectionQuery, _Mapping]] = ..., regions: _Optional[_Union[_detection_pb2.RegionQuery, _Mapping]] = ..., heatmaps: _Optional[_Union[_heatmap_pb2.HeatmapQuery, _Mapping]] = ...) -> None: ...

class VerifyResponse(_message.Message):
    __slots__ = ("similarity", "detection", "regions", "heatmaps", "frame_size", "timing")
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    FRAME_SIZE_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    similarity: _similarity_pb2.SimilarityResult
    detection: _detection_pb2.DetectionResult
    regions: _detection_pb2.RegionResult
    heatmaps: _heatmap_pb2.HeatmapResult
    frame_size: _image_pb2.ImageSize
    timing: _timing_pb2.Timing
    def __init__(self, similarity: _Optional[_Union[_similarity_pb2.SimilarityResult, _Mapping]] = ..., detection: _Optional[_Union[_detection_pb2.DetectionResult, _Mapping]] = ..., regions: _Optional[_Union[_detection_pb2.RegionResult, _Mapping]] = ..., heatmaps: _Optional[_Union[_heatmap_pb2.HeatmapResult, _Mapping]] = ..., frame_size: _Optional[_Union[_image_pb2.ImageSize, _Mapping]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...
