# Written by scripts/generate.py from veriframe/v1/model.proto; do not edit.
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_KIND_UNSPECIFIED: _ClassVar[ModelKind]
    MODEL_KIND_CLIP: _ClassVar[ModelKind]
    MODEL_KIND_DETECTOR: _ClassVar[ModelKind]
    MODEL_KIND_TORCHSCRIPT: _ClassVar[ModelKind]
MODEL_KIND_UNSPECIFIED: ModelKind
MODEL_KIND_CLIP: ModelKind
MODEL_KIND_DETECTOR: ModelKind
MODEL_KIND_TORCHSCRIPT: ModelKind

class ModelIdentity(_message.Message):
    __slots__ = ("name", "version", "checksum")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    CHECKSUM_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    checksum: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., checksum: _Optional[str] = ...) -> None: ...

class CalibrationIdentity(_message.Message):
    __slots__ = ("name", "method", "data_sha256", "count", "ece")
    NAME_FIELD_NUMBER: _ClassVar[int]
    METHOD_FIELD_NUMBER: _ClassVar[int]
    DATA_SHA256_FIELD_NUMBER: _ClassVar[int]
    COUNT_FIELD_NUMBER: _ClassVar[int]
    ECE_FIELD_NUMBER: _ClassVar[int]
    name: str
    method: str
    data_sha256: str
    count: int
    ece: float
    def __init__(self, name: _Optional[str] = ..., method: _Optional[str] = ..., data_sha256: _Optional[str] = ..., count: _Optional[int] = ..., ece: _Optional[float] = ...) -> None: ...

class ListModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelInfo]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelInfo, _Mapping]]] = ...) -> None: ...

class ModelInfo(_message.Message):
    __slots__ = ("identity", "kind", "embedding_width", "logit_scale", "classes")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_WIDTH_FIELD_NUMBER: _ClassVar[int]
    LOGIT_SCALE_FIELD_NUMBER: _ClassVar[int]
    CLASSES_FIELD_NUMBER: _ClassVar[int]
    identity: ModelIdentity
    kind: ModelKind
    embedding_width: int
    logit_scale: float
    classes: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, identity: _Optional[_Union[ModelIdentity, _Mapping]] = ..., kind: _Optional[_Union[ModelKind, str]] = ..., embedding_width: _Optional[int] = ..., logit_scale: _Optional[float] = ..., classes: _Optional[_Iterable[str]] = ...) -> None: ...
