# Written by scripts/generate.py from veriframe/v1/verdict.proto; do not edit.
import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class VerdictFigure(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_FIGURE_UNSPECIFIED: _ClassVar[VerdictFigure]
    VERDICT_FIGURE_CONTRAST: _ClassVar[VerdictFigure]
    VERDICT_FIGURE_COSINE: _ClassVar[VerdictFigure]
    VERDICT_FIGURE_SOFTMAX: _ClassVar[VerdictFigure]
    VERDICT_FIGURE_MARGIN: _ClassVar[VerdictFigure]
    VERDICT_FIGURE_CONFIDENCE: _ClassVar[VerdictFigure]

class Verdict(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_UNSPECIFIED: _ClassVar[Verdict]
    VERDICT_PRESENT: _ClassVar[Verdict]
    VERDICT_ABSENT: _ClassVar[Verdict]
    VERDICT_INCONCLUSIVE: _ClassVar[Verdict]

class VerdictReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    VERDICT_REASON_UNSPECIFIED: _ClassVar[VerdictReason]
    VERDICT_REASON_NOT_SCORED: _ClassVar[VerdictReason]
    VERDICT_REASON_STALE: _ClassVar[VerdictReason]
    VERDICT_REASON_CLOCK_JUMPED: _ClassVar[VerdictReason]
    VERDICT_REASON_TOO_FEW_FRAMES: _ClassVar[VerdictReason]
    VERDICT_REASON_TOO_MANY_MISSING: _ClassVar[VerdictReason]
    VERDICT_REASON_TOO_SHORT: _ClassVar[VerdictReason]
    VERDICT_REASON_BETWEEN_THRESHOLDS: _ClassVar[VerdictReason]

class SegmentChange(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SEGMENT_CHANGE_UNSPECIFIED: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_OPENED: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_CLOSED_SCORE_FELL: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_CLOSED_GAP: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_CLOSED_CLOCK_JUMPED: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_CLOSED_RECONFIGURED: _ClassVar[SegmentChange]
    SEGMENT_CHANGE_CLOSED_STREAM_ENDED: _ClassVar[SegmentChange]

class TimeBasis(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    TIME_BASIS_UNSPECIFIED: _ClassVar[TimeBasis]
    TIME_BASIS_PRESENTATION: _ClassVar[TimeBasis]
    TIME_BASIS_SEQUENCE: _ClassVar[TimeBasis]
    TIME_BASIS_ARRIVAL: _ClassVar[TimeBasis]
VERDICT_FIGURE_UNSPECIFIED: VerdictFigure
VERDICT_FIGURE_CONTRAST: VerdictFigure
VERDICT_FIGURE_COSINE: VerdictFigure
VERDICT_FIGURE_SOFTMAX: VerdictFigure
VERDICT_FIGURE_MARGIN: VerdictFigure
VERDICT_FIGURE_CONFIDENCE: VerdictFigure
VERDICT_UNSPECIFIED: Verdict
VERDICT_PRESENT: Verdict
VERDICT_ABSENT: Verdict
VERDICT_INCONCLUSIVE: Verdict
VERDICT_REASON_UNSPECIFIED: VerdictReason
VERDICT_REASON_NOT_SCORED: VerdictReason
VERDICT_REASON_STALE: VerdictReason
VERDICT_REASON_CLOCK_JUMPED: VerdictReason
VERDICT_REASON_TOO_FEW_FRAMES: VerdictReason
VERDICT_REASON_TOO_MANY_MISSING: VerdictReason
VERDICT_REASON_TOO_SHORT: VerdictReason
VERDICT_REASON_BETWEEN_THRESHOLDS: VerdictReason
SEGMENT_CHANGE_UNSPECIFIED: SegmentChange
SEGMENT_CHANGE_OPENED: SegmentChange
SEGMENT_CHANGE_CLOSED_SCORE_FELL: SegmentChange
SEGMENT_CHANGE_CLOSED_GAP: SegmentChange
SEGMENT_CHANGE_CLOSED_CLOCK_JUMPED: SegmentChange
SEGMENT_CHANGE_CLOSED_RECONFIGURED: SegmentChange
SEGMENT_CHANGE_CLOSED_STREAM_ENDED: SegmentChange
TIME_BASIS_UNSPECIFIED: TimeBasis
TIME_BASIS_PRESENTATION: TimeBasis
TIME_BASIS_SEQUENCE: TimeBasis
TIME_BASIS_ARRIVAL: TimeBasis

class VerdictQuery(_message.Message):
    __slots__ = ("prompts", "figure", "time_constant", "open_at", "close_at", "min_duration", "max_gap", "min_frames", "max_missing", "max_segments", "frame_interval", "omit_from_results")
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    FIGURE_FIELD_NUMBER: _ClassVar[int]
    TIME_CONSTANT_FIELD_NUMBER: _ClassVar[int]
    OPEN_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSE_AT_FIELD_NUMBER: _ClassVar[int]
    MIN_DURATION_FIELD_NUMBER: _ClassVar[int]
    MAX_GAP_FIELD_NUMBER: _ClassVar[int]
    MIN_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MAX_MISSING_FIELD_NUMBER: _ClassVar[int]
    MAX_SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    FRAME_INTERVAL_FIELD_NUMBER: _ClassVar[int]
    OMIT_FROM_RESULTS_FIELD_NUMBER: _ClassVar[int]
    prompts: _containers.RepeatedCompositeFieldContainer[VerdictPrompt]
    figure: VerdictFigure
    time_constant: _duration_pb2.Duration
    open_at: float
    close_at: float
    min_duration: _duration_pb2.Duration
    max_gap: _duration_pb2.Duration
    min_frames: int
    max_missing: float
    max_segments: int
    frame_interval: _duration_pb2.Duration
    omit_from_results: bool
    def __init__(self, prompts: _Optional[_Iterable[_Union[VerdictPrompt, _Mapping]]] = ..., figure: _Optional[_Union[VerdictFigure, str]] = ..., time_constant: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., open_at: _Optional[float] = ..., close_at: _Optional[float] = ..., min_duration: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., max_gap: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., min_frames: _Optional[int] = ..., max_missing: _Optional[float] = ..., max_segments: _Optional[int] = ..., frame_interval: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., omit_from_results: _Optional[bool] = ...) -> None: ...

class VerdictPrompt(_message.Message):
    __slots__ = ("prompt", "opposite", "open_at", "close_at")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    OPPOSITE_FIELD_NUMBER: _ClassVar[int]
    OPEN_AT_FIELD_NUMBER: _ClassVar[int]
    CLOSE_AT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    opposite: str
    open_at: float
    close_at: float
    def __init__(self, prompt: _Optional[str] = ..., opposite: _Optional[str] = ..., open_at: _Optional[float] = ..., close_at: _Optional[float] = ...) -> None: ...

class PromptVerdict(_message.Message):
    __slots__ = ("prompt", "verdict", "reasons", "score", "segment")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    verdict: Verdict
    reasons: _containers.RepeatedScalarFieldContainer[VerdictReason]
    score: float
    segment: VerdictSegment
    def __init__(self, prompt: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[VerdictReason, str]]] = ..., score: _Optional[float] = ..., segment: _Optional[_Union[VerdictSegment, _Mapping]] = ...) -> None: ...

class VerdictSegment(_message.Message):
    __slots__ = ("first_sequence", "last_sequence", "start", "end", "peak", "mean_score", "frames")
    FIRST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    LAST_SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    START_FIELD_NUMBER: _ClassVar[int]
    END_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    MEAN_SCORE_FIELD_NUMBER: _ClassVar[int]
    FRAMES_FIELD_NUMBER: _ClassVar[int]
    first_sequence: int
    last_sequence: int
    start: _duration_pb2.Duration
    end: _duration_pb2.Duration
    peak: VerdictPeak
    mean_score: float
    frames: int
    def __init__(self, first_sequence: _Optional[int] = ..., last_sequence: _Optional[int] = ..., start: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., end: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., peak: _Optional[_Union[VerdictPeak, _Mapping]] = ..., mean_score: _Optional[float] = ..., frames: _Optional[int] = ...) -> None: ...

class VerdictPeak(_message.Message):
    __slots__ = ("sequence", "time", "score")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    time: _duration_pb2.Duration
    score: float
    def __init__(self, sequence: _Optional[int] = ..., time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., score: _Optional[float] = ...) -> None: ...

class SegmentEvent(_message.Message):
    __slots__ = ("sequence", "prompt", "change", "segment")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    CHANGE_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    prompt: str
    change: SegmentChange
    segment: VerdictSegment
    def __init__(self, sequence: _Optional[int] = ..., prompt: _Optional[str] = ..., change: _Optional[_Union[SegmentChange, str]] = ..., segment: _Optional[_Union[VerdictSegment, _Mapping]] = ...) -> None: ...

class VerdictSummary(_message.Message):
    __slots__ = ("time_basis", "clock_jumps", "prompts")
    TIME_BASIS_FIELD_NUMBER: _ClassVar[int]
    CLOCK_JUMPS_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    time_basis: TimeBasis
    clock_jumps: int
    prompts: _containers.RepeatedCompositeFieldContainer[PromptSummary]
    def __init__(self, time_basis: _Optional[_Union[TimeBasis, str]] = ..., clock_jumps: _Optional[int] = ..., prompts: _Optional[_Iterable[_Union[PromptSummary, _Mapping]]] = ...) -> None: ...

class PromptSummary(_message.Message):
    __slots__ = ("prompt", "verdict", "reasons", "share_present", "observed", "segment_count", "segments", "peak", "scored_frames", "missing_frames")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    SHARE_PRESENT_FIELD_NUMBER: _ClassVar[int]
    OBSERVED_FIELD_NUMBER: _ClassVar[int]
    SEGMENT_COUNT_FIELD_NUMBER: _ClassVar[int]
    SEGMENTS_FIELD_NUMBER: _ClassVar[int]
    PEAK_FIELD_NUMBER: _ClassVar[int]
    SCORED_FRAMES_FIELD_NUMBER: _ClassVar[int]
    MISSING_FRAMES_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    verdict: Verdict
    reasons: _containers.RepeatedScalarFieldContainer[VerdictReason]
    share_present: float
    observed: _duration_pb2.Duration
    segment_count: int
    segments: _containers.RepeatedCompositeFieldContainer[VerdictSegment]
    peak: VerdictPeak
    scored_frames: int
    missing_frames: int
    def __init__(self, prompt: _Optional[str] = ..., verdict: _Optional[_Union[Verdict, str]] = ..., reasons: _Optional[_Iterable[_Union[VerdictReason, str]]] = ..., share_present: _Optional[float] = ..., observed: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., segment_count: _Optional[int] = ..., segments: _Optional[_Iterable[_Union[VerdictSegment, _Mapping]]] = ..., peak: _Optional[_Union[VerdictPeak, _Mapping]] = ..., scored_frames: _Optional[int] = ..., missing_frames: _Optional[int] = ...) -> None: ...
