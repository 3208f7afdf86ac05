# Written by scripts/generate.py from veriframe/v1/stream.proto; do not edit.
import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from veriframe._proto import detection_pb2 as _detection_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import similarity_pb2 as _similarity_pb2
from veriframe._proto import verdict_pb2 as _verdict_pb2
from veriframe._proto import verify_pb2 as _verify_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class OverloadPolicy(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    OVERLOAD_POLICY_UNSPECIFIED: _ClassVar[OverloadPolicy]
    OVERLOAD_POLICY_WAIT: _ClassVar[OverloadPolicy]
    OVERLOAD_POLICY_DROP_OLDEST: _ClassVar[OverloadPolicy]
    OVERLOAD_POLICY_DROP_NEWEST: _ClassVar[OverloadPolicy]

class DropReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    DROP_REASON_UNSPECIFIED: _ClassVar[DropReason]
    DROP_REASON_REPLACED: _ClassVar[DropReason]
    DROP_REASON_WINDOW_FULL: _ClassVar[DropReason]
    DROP_REASON_ALREADY_ANSWERED: _ClassVar[DropReason]

class StreamEnd(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STREAM_END_UNSPECIFIED: _ClassVar[StreamEnd]
    STREAM_END_CLIENT_CLOSED: _ClassVar[StreamEnd]
    STREAM_END_IDLE: _ClassVar[StreamEnd]
    STREAM_END_READER_STUCK: _ClassVar[StreamEnd]
    STREAM_END_DRAINING: _ClassVar[StreamEnd]
    STREAM_END_DEADLINE: _ClassVar[StreamEnd]
    STREAM_END_REFUSED: _ClassVar[StreamEnd]
    STREAM_END_AGED: _ClassVar[StreamEnd]
OVERLOAD_POLICY_UNSPECIFIED: OverloadPolicy
OVERLOAD_POLICY_WAIT: OverloadPolicy
OVERLOAD_POLICY_DROP_OLDEST: OverloadPolicy
OVERLOAD_POLICY_DROP_NEWEST: OverloadPolicy
DROP_REASON_UNSPECIFIED: DropReason
DROP_REASON_REPLACED: DropReason
DROP_REASON_WINDOW_FULL: DropReason
DROP_REASON_ALREADY_ANSWERED: DropReason
STREAM_END_UNSPECIFIED: StreamEnd
STREAM_END_CLIENT_CLOSED: StreamEnd
STREAM_END_IDLE: StreamEnd
STREAM_END_READER_STUCK: StreamEnd
STREAM_END_DRAINING: StreamEnd
STREAM_END_DEADLINE: StreamEnd
STREAM_END_REFUSED: StreamEnd
STREAM_END_AGED: StreamEnd

class VerifyStreamRequest(_message.Message):
    __slots__ = ("config", "frame")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    config: StreamConfig
    frame: Frame
    def __init__(self, config: _Optional[_Union[StreamConfig, _Mapping]] = ..., frame: _Optional[_Union[Frame, _Mapping]] = ...) -> None: ...

class StreamConfig(_message.Message):
    __slots__ = ("similarity", "detection", "regions", "heatmaps", "policy", "max_in_flight", "frame_timeout", "from_sequence", "resume_after", "reuse", "verdicts")
    SIMILARITY_FIELD_NUMBER: _ClassVar[int]
    DETECTION_FIELD_NUMBER: _ClassVar[int]
    REGIONS_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    POLICY_FIELD_NUMBER: _ClassVar[int]
    MAX_IN_FLIGHT_FIELD_NUMBER: _ClassVar[int]
    FRAME_TIMEOUT_FIELD_NUMBER: _ClassVar[int]
    FROM_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    RESUME_AFTER_FIELD_NUMBER: _ClassVar[int]
    REUSE_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    similarity: _similarity_pb2.SimilarityQuery
    detection: _detection_pb2.DetectionQuery
    regions: _detection_pb2.RegionQuery
    heatmaps: _heatmap_pb2.HeatmapQuery
    policy: OverloadPolicy
    max_in_flight: int
    frame_timeout: _duration_pb2.Duration
    from_sequence: int
    resume_after: int
    reuse: Reuse
    verdicts: _verdict_pb2.VerdictQuery
    def __init__(self, similarity: _Optional[_Union[_similarity_pb2.SimilarityQuery, _Mapping]] = ..., detection: _Optional[_Union[_detection_pb2.DetectionQuery, _Mapping]] = ..., regions: _Optional[_Union[_detection_pb2.RegionQuery, _Mapping]] = ..., heatmaps: _Optional[_Union[_heatmap_pb2.HeatmapQuery, _Mapping]] = ..., policy: _Optional[_Union[OverloadPolicy, str]] = ..., max_in_flight: _Optional[int] = ..., frame_timeout: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., from_sequence: _Optional[int] = ..., resume_after: _Optional[int] = ..., reuse: _Optional[_Union[Reuse, _Mapping]] = ..., verdicts: _Optional[_Union[_verdict_pb2.VerdictQuery, _Mapping]] = ...) -> None: ...

class Reuse(_message.Message):
    __slots__ = ("max_difference", "max_age", "max_frames")
    MAX_DIFFERENCE_FIELD_NUMBER: _ClassVar[int]
    MAX_AGE_FIELD_NUMBER: _ClassVar[int]
    MAX_FRAMES_FIELD_NUMBER: _ClassVar[int]
    max_difference: float
    max_age: _duration_pb2.Duration
    max_frames: int
    def __init__(self, max_difference: _Optional[float] = ..., max_age: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_frames: _Optional[int] = ...) -> None: ...

class Frame(_message.Message):
    __slots__ = ("sequence", "presentation_time", "image")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_TIME_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    presentation_time: _duration_pb2.Duration
    image: _image_pb2.Image
    def __init__(self, sequence: _Optional[int] = ..., presentation_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ...) -> None: ...

class VerifyStreamResponse(_message.Message):
    __slots__ = ("result", "summary", "event")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    SUMMARY_FIELD_NUMBER: _ClassVar[int]
    EVENT_FIELD_NUMBER: _ClassVar[int]
    result: FrameResult
    summary: StreamSummary
    event: _verdict_pb2.SegmentEvent
    def __init__(self, result: _Optional[_Union[FrameResult, _Mapping]] = ..., summary: _Optional[_Union[StreamSummary, _Mapping]] = ..., event: _Optional[_Union[_verdict_pb2.SegmentEvent, _Mapping]] = ...) -> None: ...

class FrameResult(_message.Message):
    __slots__ = ("sequence", "presentation_time", "ok", "dropped", "expired", "error", "reused_from", "verdicts")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_TIME_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    REUSED_FROM_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    presentation_time: _duration_pb2.Duration
    ok: _verify_pb2.VerifyResponse
    dropped: Dropped
    expired: Expired
    error: _status_pb2.Status
    reused_from: int
    verdicts: _containers.RepeatedCompositeFieldContainer[_verdict_pb2.PromptVerdict]
    def __init__(self, sequence: _Optional[int] = ..., presentation_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., ok: _Optional[_Union[_verify_pb2.VerifyResponse, _Mapping]] = ..., dropped: _Optional[_Union[Dropped, _Mapping]] = ..., expired: _Optional[_Union[Expired, _Mapping]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ..., reused_from: _Optional[int] = ..., verdicts: _Optional[_Iterable[_Union[_verdict_pb2.PromptVerdict, _Mapping]]] = ...) -> None: ...

class Dropped(_message.Message):
    __slots__ = ("reason",)
    REASON_FIELD_NUMBER: _ClassVar[int]
    reason: DropReason
    def __init__(self, reason: _Optional[_Union[DropReason, str]] = ...) -> None: ...

class Expired(_message.Message):
    __slots__ = ("after",)
    AFTER_FIELD_NUMBER: _ClassVar[int]
    after: _duration_pb2.Duration
    def __init__(self, after: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ...) -> None: ...

class StreamSummary(_message.Message):
    __slots__ = ("frames", "ok", "dropped", "expired", "errors", "elapsed", "mean_latency", "max_latency", "reused", "end", "last_sequence", "verdicts")
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    OK_FIELD_NUMBER: _ClassVar[int]
    DROPPED_FIELD_NUMBER: _ClassVar[int]
    EXPIRED_FIELD_NUMBER: _ClassVar[int]
    ERRORS_FIELD_NUMBER: _ClassVar[int]
    ELAPSED_FIELD_NUMBER: _ClassVar[int]
    MEAN_LATENCY_FIELD_NUMBER: _ClassVar[int]
    MAX_LATENCY_FIELD_NUMBER: _ClassVar[int]
    REUSED_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    VERDICTS_FIELD_NUMBER: _ClassVar[int]
    frames: int
    ok: int
    dropped: int
    expired: int
    errors: int
    elapsed: _duration_pb2.Duration
    mean_latency: _duration_pb2.Duration
    max_latency: _duration_pb2.Duration
    reused: int
    end: StreamEnd
    last_sequence: int
    verdicts: _verdict_pb2.VerdictSummary
    def __init__(self, frames: _Optional[int] = ..., ok: _Optional[int] = ..., dropped: _Optional[int] = ..., expired: _Optional[int] = ..., errors: _Optional[int] = ..., elapsed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., mean_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_latency: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., reused: _Optional[int] = ..., end: _Optional[_Union[StreamEnd, str]] = ..., last_sequence: _Optional[int] = ..., verdicts: _Optional[_Union[_verdict_pb2.VerdictSummary, _Mapping]] = ...) -> None: ...
