# Written by scripts/generate.py from veriframe/v1/admin.proto; do not edit.
import datetime

from google.protobuf import duration_pb2 as _duration_pb2
from google.protobuf import timestamp_pb2 as _timestamp_pb2
from veriframe._proto import model_pb2 as _model_pb2
from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class ModelState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    MODEL_STATE_UNSPECIFIED: _ClassVar[ModelState]
    MODEL_STATE_AVAILABLE: _ClassVar[ModelState]
    MODEL_STATE_LOADING: _ClassVar[ModelState]
    MODEL_STATE_READY: _ClassVar[ModelState]
    MODEL_STATE_UNLOADING: _ClassVar[ModelState]
    MODEL_STATE_FAILED: _ClassVar[ModelState]

class ReplicaState(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    REPLICA_STATE_UNSPECIFIED: _ClassVar[ReplicaState]
    REPLICA_STATE_READY: _ClassVar[ReplicaState]
    REPLICA_STATE_REBUILDING: _ClassVar[ReplicaState]
    REPLICA_STATE_STALLED: _ClassVar[ReplicaState]
    REPLICA_STATE_DOWN: _ClassVar[ReplicaState]

class ServerPhase(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    SERVER_PHASE_UNSPECIFIED: _ClassVar[ServerPhase]
    SERVER_PHASE_STARTING: _ClassVar[ServerPhase]
    SERVER_PHASE_SERVING: _ClassVar[ServerPhase]
    SERVER_PHASE_LEAVING: _ClassVar[ServerPhase]
    SERVER_PHASE_DRAINING: _ClassVar[ServerPhase]
MODEL_STATE_UNSPECIFIED: ModelState
MODEL_STATE_AVAILABLE: ModelState
MODEL_STATE_LOADING: ModelState
MODEL_STATE_READY: ModelState
MODEL_STATE_UNLOADING: ModelState
MODEL_STATE_FAILED: ModelState
REPLICA_STATE_UNSPECIFIED: ReplicaState
REPLICA_STATE_READY: ReplicaState
REPLICA_STATE_REBUILDING: ReplicaState
REPLICA_STATE_STALLED: ReplicaState
REPLICA_STATE_DOWN: ReplicaState
SERVER_PHASE_UNSPECIFIED: ServerPhase
SERVER_PHASE_STARTING: ServerPhase
SERVER_PHASE_SERVING: ServerPhase
SERVER_PHASE_LEAVING: ServerPhase
SERVER_PHASE_DRAINING: ServerPhase

class ModelVersion(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class ModelStatus(_message.Message):
    __slots__ = ("identity", "state", "kind", "reason", "since", "is_default", "aliases", "load")
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    KIND_FIELD_NUMBER: _ClassVar[int]
    REASON_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    IS_DEFAULT_FIELD_NUMBER: _ClassVar[int]
    ALIASES_FIELD_NUMBER: _ClassVar[int]
    LOAD_FIELD_NUMBER: _ClassVar[int]
    identity: _model_pb2.ModelIdentity
    state: ModelState
    kind: _model_pb2.ModelKind
    reason: str
    since: _timestamp_pb2.Timestamp
    is_default: bool
    aliases: _containers.RepeatedScalarFieldContainer[str]
    load: ModelLoad
    def __init__(self, identity: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., state: _Optional[_Union[ModelState, str]] = ..., kind: _Optional[_Union[_model_pb2.ModelKind, str]] = ..., reason: _Optional[str] = ..., since: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., is_default: _Optional[bool] = ..., aliases: _Optional[_Iterable[str]] = ..., load: _Optional[_Union[ModelLoad, _Mapping]] = ...) -> None: ...

class ModelLoad(_message.Message):
    __slots__ = ("replicas", "healthy_replicas", "failures", "last_failure", "queued_items", "queued_bytes", "running_items", "states")
    REPLICAS_FIELD_NUMBER: _ClassVar[int]
    HEALTHY_REPLICAS_FIELD_NUMBER: _ClassVar[int]
    FAILURES_FIELD_NUMBER: _ClassVar[int]
    LAST_FAILURE_FIELD_NUMBER: _ClassVar[int]
    QUEUED_ITEMS_FIELD_NUMBER: _ClassVar[int]
    QUEUED_BYTES_FIELD_NUMBER: _ClassVar[int]
    RUNNING_ITEMS_FIELD_NUMBER: _ClassVar[int]
    STATES_FIELD_NUMBER: _ClassVar[int]
    replicas: int
    healthy_replicas: int
    failures: int
    last_failure: str
    queued_items: int
    queued_bytes: int
    running_items: int
    states: _containers.RepeatedScalarFieldContainer[ReplicaState]
    def __init__(self, replicas: _Optional[int] = ..., healthy_replicas: _Optional[int] = ..., failures: _Optional[int] = ..., last_failure: _Optional[str] = ..., queued_items: _Optional[int] = ..., queued_bytes: _Optional[int] = ..., running_items: _Optional[int] = ..., states: _Optional[_Iterable[_Union[ReplicaState, str]]] = ...) -> None: ...

class IndexModelsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class IndexModelsResponse(_message.Message):
    __slots__ = ("models",)
    MODELS_FIELD_NUMBER: _ClassVar[int]
    models: _containers.RepeatedCompositeFieldContainer[ModelStatus]
    def __init__(self, models: _Optional[_Iterable[_Union[ModelStatus, _Mapping]]] = ...) -> None: ...

class LoadModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class LoadModelResponse(_message.Message):
    __slots__ = ("model",)
    MODEL_FIELD_NUMBER: _ClassVar[int]
    model: ModelStatus
    def __init__(self, model: _Optional[_Union[ModelStatus, _Mapping]] = ...) -> None: ...

class UnloadModelRequest(_message.Message):
    __slots__ = ("name", "version")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class UnloadModelResponse(_message.Message):
    __slots__ = ("unloaded",)
    UNLOADED_FIELD_NUMBER: _ClassVar[int]
    unloaded: _containers.RepeatedCompositeFieldContainer[ModelVersion]
    def __init__(self, unloaded: _Optional[_Iterable[_Union[ModelVersion, _Mapping]]] = ...) -> None: ...

class SwapModelRequest(_message.Message):
    __slots__ = ("name", "version", "alias")
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    name: str
    version: str
    alias: str
    def __init__(self, name: _Optional[str] = ..., version: _Optional[str] = ..., alias: _Optional[str] = ...) -> None: ...

class SwapModelResponse(_message.Message):
    __slots__ = ("now", "before", "unloaded")
    NOW_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    UNLOADED_FIELD_NUMBER: _ClassVar[int]
    now: ModelVersion
    before: ModelVersion
    unloaded: bool
    def __init__(self, now: _Optional[_Union[ModelVersion, _Mapping]] = ..., before: _Optional[_Union[ModelVersion, _Mapping]] = ..., unloaded: _Optional[bool] = ...) -> None: ...

class SetAliasRequest(_message.Message):
    __slots__ = ("alias", "name", "version")
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    alias: str
    name: str
    version: str
    def __init__(self, alias: _Optional[str] = ..., name: _Optional[str] = ..., version: _Optional[str] = ...) -> None: ...

class SetAliasResponse(_message.Message):
    __slots__ = ("before",)
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    before: ModelVersion
    def __init__(self, before: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class DeleteAliasRequest(_message.Message):
    __slots__ = ("alias",)
    ALIAS_FIELD_NUMBER: _ClassVar[int]
    alias: str
    def __init__(self, alias: _Optional[str] = ...) -> None: ...

class DeleteAliasResponse(_message.Message):
    __slots__ = ("before",)
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    before: ModelVersion
    def __init__(self, before: _Optional[_Union[ModelVersion, _Mapping]] = ...) -> None: ...

class GetServerStatusRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetServerStatusResponse(_message.Message):
    __slots__ = ("phase", "ready", "uptime", "version", "models")
    PHASE_FIELD_NUMBER: _ClassVar[int]
    READY_FIELD_NUMBER: _ClassVar[int]
    UPTIME_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    MODELS_FIELD_NUMBER: _ClassVar[int]
    phase: ServerPhase
    ready: bool
    uptime: _duration_pb2.Duration
    version: str
    models: _containers.RepeatedCompositeFieldContainer[ModelStatus]
    def __init__(self, phase: _Optional[_Union[ServerPhase, str]] = ..., ready: _Optional[bool] = ..., uptime: _Optional[_Union[datetime.timedelta, _duration_pb2.Duration, _Mapping]] = ..., version: _Optional[str] = ..., models: _Optional[_Iterable[_Union[ModelStatus, _Mapping]]] = ...) -> None: ...
