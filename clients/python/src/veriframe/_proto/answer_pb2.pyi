# Written by scripts/generate.py from veriframe/v1/answer.proto; do not edit.
import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.rpc import status_pb2 as _status_pb2
from veriframe._proto import evidence_pb2 as _evidence_pb2
from veriframe._proto import heatmap_pb2 as _heatmap_pb2
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import stream_pb2 as _stream_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class WitnessKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    WITNESS_KIND_UNSPECIFIED: _ClassVar[WitnessKind]
    WITNESS_KIND_PIXELS: _ClassVar[WitnessKind]
    WITNESS_KIND_REGIONS: _ClassVar[WitnessKind]
    WITNESS_KIND_DETECTOR: _ClassVar[WitnessKind]
    WITNESS_KIND_TEXT: _ClassVar[WitnessKind]
    WITNESS_KIND_IMAGES: _ClassVar[WitnessKind]

class ClaimStatus(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLAIM_STATUS_UNSPECIFIED: _ClassVar[ClaimStatus]
    CLAIM_STATUS_SUPPORTED: _ClassVar[ClaimStatus]
    CLAIM_STATUS_CONTRADICTED: _ClassVar[ClaimStatus]
    CLAIM_STATUS_UNSUPPORTED: _ClassVar[ClaimStatus]
    CLAIM_STATUS_INCONCLUSIVE: _ClassVar[ClaimStatus]
    CLAIM_STATUS_UNSUPPORTED_CLAIM_TYPE: _ClassVar[ClaimStatus]

class ClaimReason(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLAIM_REASON_UNSPECIFIED: _ClassVar[ClaimReason]
    CLAIM_REASON_WITNESSES_AGREE: _ClassVar[ClaimReason]
    CLAIM_REASON_WITNESSES_DISAGREE: _ClassVar[ClaimReason]
    CLAIM_REASON_SINGLE_WITNESS: _ClassVar[ClaimReason]
    CLAIM_REASON_WEAK_SUPPORT: _ClassVar[ClaimReason]
    CLAIM_REASON_NO_EVIDENCE: _ClassVar[ClaimReason]
    CLAIM_REASON_NO_CONTRADICTION: _ClassVar[ClaimReason]
    CLAIM_REASON_NOT_CHECKABLE: _ClassVar[ClaimReason]
    CLAIM_REASON_NEEDS_DETECTOR: _ClassVar[ClaimReason]
    CLAIM_REASON_TRUNCATED: _ClassVar[ClaimReason]
    CLAIM_REASON_NOTHING_TO_ASK: _ClassVar[ClaimReason]

class ClaimKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CLAIM_KIND_UNSPECIFIED: _ClassVar[ClaimKind]
    CLAIM_KIND_PRESENCE: _ClassVar[ClaimKind]
    CLAIM_KIND_ATTRIBUTE: _ClassVar[ClaimKind]
    CLAIM_KIND_PART: _ClassVar[ClaimKind]
    CLAIM_KIND_COUNT: _ClassVar[ClaimKind]
    CLAIM_KIND_SPATIAL: _ClassVar[ClaimKind]
    CLAIM_KIND_NEGATION: _ClassVar[ClaimKind]
    CLAIM_KIND_OPINION: _ClassVar[ClaimKind]

class Stance(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    STANCE_UNSPECIFIED: _ClassVar[Stance]
    STANCE_FOR: _ClassVar[Stance]
    STANCE_AGAINST: _ClassVar[Stance]
    STANCE_SILENT: _ClassVar[Stance]
WITNESS_KIND_UNSPECIFIED: WitnessKind
WITNESS_KIND_PIXELS: WitnessKind
WITNESS_KIND_REGIONS: WitnessKind
WITNESS_KIND_DETECTOR: WitnessKind
WITNESS_KIND_TEXT: WitnessKind
WITNESS_KIND_IMAGES: WitnessKind
CLAIM_STATUS_UNSPECIFIED: ClaimStatus
CLAIM_STATUS_SUPPORTED: ClaimStatus
CLAIM_STATUS_CONTRADICTED: ClaimStatus
CLAIM_STATUS_UNSUPPORTED: ClaimStatus
CLAIM_STATUS_INCONCLUSIVE: ClaimStatus
CLAIM_STATUS_UNSUPPORTED_CLAIM_TYPE: ClaimStatus
CLAIM_REASON_UNSPECIFIED: ClaimReason
CLAIM_REASON_WITNESSES_AGREE: ClaimReason
CLAIM_REASON_WITNESSES_DISAGREE: ClaimReason
CLAIM_REASON_SINGLE_WITNESS: ClaimReason
CLAIM_REASON_WEAK_SUPPORT: ClaimReason
CLAIM_REASON_NO_EVIDENCE: ClaimReason
CLAIM_REASON_NO_CONTRADICTION: ClaimReason
CLAIM_REASON_NOT_CHECKABLE: ClaimReason
CLAIM_REASON_NEEDS_DETECTOR: ClaimReason
CLAIM_REASON_TRUNCATED: ClaimReason
CLAIM_REASON_NOTHING_TO_ASK: ClaimReason
CLAIM_KIND_UNSPECIFIED: ClaimKind
CLAIM_KIND_PRESENCE: ClaimKind
CLAIM_KIND_ATTRIBUTE: ClaimKind
CLAIM_KIND_PART: ClaimKind
CLAIM_KIND_COUNT: ClaimKind
CLAIM_KIND_SPATIAL: ClaimKind
CLAIM_KIND_NEGATION: ClaimKind
CLAIM_KIND_OPINION: ClaimKind
STANCE_UNSPECIFIED: Stance
STANCE_FOR: Stance
STANCE_AGAINST: Stance
STANCE_SILENT: Stance

class VerifyAnswerRequest(_message.Message):
    __slots__ = ("question", "answer", "images", "evidence", "model", "detector", "witnesses", "heatmaps")
    QUESTION_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    IMAGES_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    WITNESSES_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    question: str
    answer: str
    images: _containers.RepeatedCompositeFieldContainer[_image_pb2.Image]
    evidence: EvidenceScope
    model: str
    detector: str
    witnesses: _containers.RepeatedScalarFieldContainer[WitnessKind]
    heatmaps: _heatmap_pb2.HeatmapQuery
    def __init__(self, question: _Optional[str] = ..., answer: _Optional[str] = ..., images: _Optional[_Iterable[_Union[_image_pb2.Image, _Mapping]]] = ..., evidence: _Optional[_Union[EvidenceScope, _Mapping]] = ..., model: _Optional[str] = ..., detector: _Optional[str] = ..., witnesses: _Optional[_Iterable[_Union[WitnessKind, str]]] = ..., heatmaps: _Optional[_Union[_heatmap_pb2.HeatmapQuery, _Mapping]] = ...) -> None: ...

class EvidenceScope(_message.Message):
    __slots__ = ("collection", "filter", "limit", "min_same_cosine")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    MIN_SAME_COSINE_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: _evidence_pb2.EvidenceFilter
    limit: int
    min_same_cosine: float
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[_evidence_pb2.EvidenceFilter, _Mapping]] = ..., limit: _Optional[int] = ..., min_same_cosine: _Optional[float] = ...) -> None: ...

class VerifyAnswerResponse(_message.Message):
    __slots__ = ("claims", "verdict", "model", "detector", "calibration", "timing")
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    VERDICT_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    claims: _containers.RepeatedCompositeFieldContainer[ClaimResult]
    verdict: AnswerVerdict
    model: _model_pb2.ModelIdentity
    detector: _model_pb2.ModelIdentity
    calibration: _model_pb2.CalibrationIdentity
    timing: _timing_pb2.Timing
    def __init__(self, claims: _Optional[_Iterable[_Union[ClaimResult, _Mapping]]] = ..., verdict: _Optional[_Union[AnswerVerdict, _Mapping]] = ..., model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., detector: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., calibration: _Optional[_Union[_model_pb2.CalibrationIdentity, _Mapping]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...

class AnswerVerdict(_message.Message):
    __slots__ = ("confidence", "status", "checked", "unchecked", "ablations")
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    CHECKED_FIELD_NUMBER: _ClassVar[int]
    UNCHECKED_FIELD_NUMBER: _ClassVar[int]
    ABLATIONS_FIELD_NUMBER: _ClassVar[int]
    confidence: float
    status: ClaimStatus
    checked: int
    unchecked: int
    ablations: _containers.RepeatedCompositeFieldContainer[Ablation]
    def __init__(self, confidence: _Optional[float] = ..., status: _Optional[_Union[ClaimStatus, str]] = ..., checked: _Optional[int] = ..., unchecked: _Optional[int] = ..., ablations: _Optional[_Iterable[_Union[Ablation, _Mapping]]] = ...) -> None: ...

class Ablation(_message.Message):
    __slots__ = ("without", "confidence")
    WITHOUT_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    without: WitnessKind
    confidence: float
    def __init__(self, without: _Optional[_Union[WitnessKind, str]] = ..., confidence: _Optional[float] = ...) -> None: ...

class ClaimResult(_message.Message):
    __slots__ = ("claim", "status", "reasons", "confidence", "testimonies", "heatmaps")
    CLAIM_FIELD_NUMBER: _ClassVar[int]
    STATUS_FIELD_NUMBER: _ClassVar[int]
    REASONS_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    TESTIMONIES_FIELD_NUMBER: _ClassVar[int]
    HEATMAPS_FIELD_NUMBER: _ClassVar[int]
    claim: Claim
    status: ClaimStatus
    reasons: _containers.RepeatedScalarFieldContainer[ClaimReason]
    confidence: float
    testimonies: _containers.RepeatedCompositeFieldContainer[Testimony]
    heatmaps: _heatmap_pb2.HeatmapResult
    def __init__(self, claim: _Optional[_Union[Claim, _Mapping]] = ..., status: _Optional[_Union[ClaimStatus, str]] = ..., reasons: _Optional[_Iterable[_Union[ClaimReason, str]]] = ..., confidence: _Optional[float] = ..., testimonies: _Optional[_Iterable[_Union[Testimony, _Mapping]]] = ..., heatmaps: _Optional[_Union[_heatmap_pb2.HeatmapResult, _Mapping]] = ...) -> None: ...

class Claim(_message.Message):
    __slots__ = ("start_byte", "end_byte", "text", "kind", "language", "rule", "contradictions")
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    LANGUAGE_FIELD_NUMBER: _ClassVar[int]
    RULE_FIELD_NUMBER: _ClassVar[int]
    CONTRADICTIONS_FIELD_NUMBER: _ClassVar[int]
    start_byte: int
    end_byte: int
    text: str
    kind: ClaimKind
    language: str
    rule: str
    contradictions: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ..., text: _Optional[str] = ..., kind: _Optional[_Union[ClaimKind, str]] = ..., language: _Optional[str] = ..., rule: _Optional[str] = ..., contradictions: _Optional[_Iterable[str]] = ...) -> None: ...

class Testimony(_message.Message):
    __slots__ = ("witness", "stance", "support", "silence", "citations")
    WITNESS_FIELD_NUMBER: _ClassVar[int]
    STANCE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    SILENCE_FIELD_NUMBER: _ClassVar[int]
    CITATIONS_FIELD_NUMBER: _ClassVar[int]
    witness: WitnessKind
    stance: Stance
    support: float
    silence: str
    citations: _containers.RepeatedCompositeFieldContainer[Citation]
    def __init__(self, witness: _Optional[_Union[WitnessKind, str]] = ..., stance: _Optional[_Union[Stance, str]] = ..., support: _Optional[float] = ..., silence: _Optional[str] = ..., citations: _Optional[_Iterable[_Union[Citation, _Mapping]]] = ...) -> None: ...

class Citation(_message.Message):
    __slots__ = ("picture", "evidence", "stance", "support")
    PICTURE_FIELD_NUMBER: _ClassVar[int]
    EVIDENCE_FIELD_NUMBER: _ClassVar[int]
    STANCE_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    picture: PictureCitation
    evidence: EvidenceCitation
    stance: Stance
    support: float
    def __init__(self, picture: _Optional[_Union[PictureCitation, _Mapping]] = ..., evidence: _Optional[_Union[EvidenceCitation, _Mapping]] = ..., stance: _Optional[_Union[Stance, str]] = ..., support: _Optional[float] = ...) -> None: ...

class PictureCitation(_message.Message):
    __slots__ = ("image", "sequence", "presentation_time", "box", "label")
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_TIME_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    image: int
    sequence: int
    presentation_time: _duration_pb2.Duration
    box: _image_pb2.BoundingBox
    label: str
    def __init__(self, image: _Optional[int] = ..., sequence: _Optional[int] = ..., presentation_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., box: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., label: _Optional[str] = ...) -> None: ...

class EvidenceCitation(_message.Message):
    __slots__ = ("item_id", "source_uri", "title", "start_byte", "end_byte", "text", "score")
    ITEM_ID_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    item_id: str
    source_uri: str
    title: str
    start_byte: int
    end_byte: int
    text: str
    score: float
    def __init__(self, item_id: _Optional[str] = ..., source_uri: _Optional[str] = ..., title: _Optional[str] = ..., start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ..., text: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...

class VerifyAnswerStreamRequest(_message.Message):
    __slots__ = ("config", "frame")
    CONFIG_FIELD_NUMBER: _ClassVar[int]
    FRAME_FIELD_NUMBER: _ClassVar[int]
    config: VerifyAnswerRequest
    frame: _stream_pb2.Frame
    def __init__(self, config: _Optional[_Union[VerifyAnswerRequest, _Mapping]] = ..., frame: _Optional[_Union[_stream_pb2.Frame, _Mapping]] = ...) -> None: ...

class VerifyAnswerStreamResponse(_message.Message):
    __slots__ = ("frame", "answer")
    FRAME_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    frame: FrameTestimony
    answer: VerifyAnswerResponse
    def __init__(self, frame: _Optional[_Union[FrameTestimony, _Mapping]] = ..., answer: _Optional[_Union[VerifyAnswerResponse, _Mapping]] = ...) -> None: ...

class FrameTestimony(_message.Message):
    __slots__ = ("sequence", "presentation_time", "support", "error")
    SEQUENCE_FIELD_NUMBER: _ClassVar[int]
    PRESENTATION_TIME_FIELD_NUMBER: _ClassVar[int]
    SUPPORT_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    sequence: int
    presentation_time: _duration_pb2.Duration
    support: _containers.RepeatedScalarFieldContainer[float]
    error: _status_pb2.Status
    def __init__(self, sequence: _Optional[int] = ..., presentation_time: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., support: _Optional[_Iterable[float]] = ..., error: _Optional[_Union[_status_pb2.Status, _Mapping]] = ...) -> None: ...

class SplitAnswerRequest(_message.Message):
    __slots__ = ("answer",)
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    answer: str
    def __init__(self, answer: _Optional[str] = ...) -> None: ...

class SplitAnswerResponse(_message.Message):
    __slots__ = ("claims", "cues")
    CLAIMS_FIELD_NUMBER: _ClassVar[int]
    CUES_FIELD_NUMBER: _ClassVar[int]
    claims: _containers.RepeatedCompositeFieldContainer[Claim]
    cues: _containers.RepeatedCompositeFieldContainer[AnswerCue]
    def __init__(self, claims: _Optional[_Iterable[_Union[Claim, _Mapping]]] = ..., cues: _Optional[_Iterable[_Union[AnswerCue, _Mapping]]] = ...) -> None: ...

class AnswerCue(_message.Message):
    __slots__ = ("start_byte", "end_byte", "text")
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    start_byte: int
    end_byte: int
    text: str
    def __init__(self, start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ..., text: _Optional[str] = ...) -> None: ...
