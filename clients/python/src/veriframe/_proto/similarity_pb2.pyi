# Written by scripts/generate.py from veriframe/v1/similarity.proto; do not edit.
from veriframe._proto import image_pb2 as _image_pb2
from veriframe._proto import model_pb2 as _model_pb2
from veriframe._proto import tensor_pb2 as _tensor_pb2
from veriframe._proto import timing_pb2 as _timing_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SimilarityQuery(_message.Message):
    __slots__ = ("model", "prompts", "null_prompts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    PROMPTS_FIELD_NUMBER: _ClassVar[int]
    NULL_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    prompts: _containers.RepeatedScalarFieldContainer[str]
    null_prompts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., prompts: _Optional[_Iterable[str]] = ..., null_prompts: _Optional[_Iterable[str]] = ...) -> None: ...

class SimilarityResult(_message.Message):
    __slots__ = ("model", "scores", "null_prompts", "calibration")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    SCORES_FIELD_NUMBER: _ClassVar[int]
    NULL_PROMPTS_FIELD_NUMBER: _ClassVar[int]
    CALIBRATION_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.ModelIdentity
    scores: _containers.RepeatedCompositeFieldContainer[Score]
    null_prompts: _containers.RepeatedScalarFieldContainer[str]
    calibration: _model_pb2.CalibrationIdentity
    def __init__(self, model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., scores: _Optional[_Iterable[_Union[Score, _Mapping]]] = ..., null_prompts: _Optional[_Iterable[str]] = ..., calibration: _Optional[_Union[_model_pb2.CalibrationIdentity, _Mapping]] = ...) -> None: ...

class Score(_message.Message):
    __slots__ = ("prompt", "cosine", "logit", "softmax", "contrast", "tokens", "truncated", "confidence")
    PROMPT_FIELD_NUMBER: _ClassVar[int]
    COSINE_FIELD_NUMBER: _ClassVar[int]
    LOGIT_FIELD_NUMBER: _ClassVar[int]
    SOFTMAX_FIELD_NUMBER: _ClassVar[int]
    CONTRAST_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    prompt: str
    cosine: float
    logit: float
    softmax: float
    contrast: float
    tokens: int
    truncated: bool
    confidence: float
    def __init__(self, prompt: _Optional[str] = ..., cosine: _Optional[float] = ..., logit: _Optional[float] = ..., softmax: _Optional[float] = ..., contrast: _Optional[float] = ..., tokens: _Optional[int] = ..., truncated: _Optional[bool] = ..., confidence: _Optional[float] = ...) -> None: ...

class EmbedRequest(_message.Message):
    __slots__ = ("model", "image", "texts")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    model: str
    image: _image_pb2.Image
    texts: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, model: _Optional[str] = ..., image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., texts: _Optional[_Iterable[str]] = ...) -> None: ...

class EmbedResponse(_message.Message):
    __slots__ = ("model", "image", "texts", "timing")
    MODEL_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    model: _model_pb2.ModelIdentity
    image: _tensor_pb2.Tensor
    texts: _containers.RepeatedCompositeFieldContainer[TextEmbedding]
    timing: _timing_pb2.Timing
    def __init__(self, model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., image: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., texts: _Optional[_Iterable[_Union[TextEmbedding, _Mapping]]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...

class TextEmbedding(_message.Message):
    __slots__ = ("embedding", "tokens", "truncated")
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    TOKENS_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    embedding: _tensor_pb2.Tensor
    tokens: int
    truncated: bool
    def __init__(self, embedding: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., tokens: _Optional[int] = ..., truncated: _Optional[bool] = ...) -> None: ...
