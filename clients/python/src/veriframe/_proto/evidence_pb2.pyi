# Written by scripts/generate.py from veriframe/v1/evidence.proto; do not edit.
import datetime

from google.protobuf import timestamp_pb2 as _timestamp_pb2
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

class ChunkKind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
    __slots__ = ()
    CHUNK_KIND_UNSPECIFIED: _ClassVar[ChunkKind]
    CHUNK_KIND_TEXT: _ClassVar[ChunkKind]
    CHUNK_KIND_IMAGE: _ClassVar[ChunkKind]
    CHUNK_KIND_REGION: _ClassVar[ChunkKind]
CHUNK_KIND_UNSPECIFIED: ChunkKind
CHUNK_KIND_TEXT: ChunkKind
CHUNK_KIND_IMAGE: ChunkKind
CHUNK_KIND_REGION: ChunkKind

class Collection(_message.Message):
    __slots__ = ("name", "model", "dimension", "options", "created", "statistics")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    DIMENSION_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    CREATED_FIELD_NUMBER: _ClassVar[int]
    STATISTICS_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: _model_pb2.ModelIdentity
    dimension: int
    options: CollectionOptions
    created: _timestamp_pb2.Timestamp
    statistics: CollectionStatistics
    def __init__(self, name: _Optional[str] = ..., model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., dimension: _Optional[int] = ..., options: _Optional[_Union[CollectionOptions, _Mapping]] = ..., created: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., statistics: _Optional[_Union[CollectionStatistics, _Mapping]] = ...) -> None: ...

class CollectionOptions(_message.Message):
    __slots__ = ("keep_images", "detector", "min_confidence", "quantised")
    KEEP_IMAGES_FIELD_NUMBER: _ClassVar[int]
    DETECTOR_FIELD_NUMBER: _ClassVar[int]
    MIN_CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    QUANTISED_FIELD_NUMBER: _ClassVar[int]
    keep_images: bool
    detector: str
    min_confidence: float
    quantised: bool
    def __init__(self, keep_images: _Optional[bool] = ..., detector: _Optional[str] = ..., min_confidence: _Optional[float] = ..., quantised: _Optional[bool] = ...) -> None: ...

class CollectionStatistics(_message.Message):
    __slots__ = ("items", "text_chunks", "image_chunks", "region_chunks", "disk_bytes", "indexed_chunks")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    TEXT_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    IMAGE_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    REGION_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    DISK_BYTES_FIELD_NUMBER: _ClassVar[int]
    INDEXED_CHUNKS_FIELD_NUMBER: _ClassVar[int]
    items: int
    text_chunks: int
    image_chunks: int
    region_chunks: int
    disk_bytes: int
    indexed_chunks: int
    def __init__(self, items: _Optional[int] = ..., text_chunks: _Optional[int] = ..., image_chunks: _Optional[int] = ..., region_chunks: _Optional[int] = ..., disk_bytes: _Optional[int] = ..., indexed_chunks: _Optional[int] = ...) -> None: ...

class EvidenceItem(_message.Message):
    __slots__ = ("id", "text", "image", "source_uri", "title", "time", "metadata")
    class MetadataEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: MetadataValue
        def __init__(self, key: _Optional[str] = ..., value: _Optional[_Union[MetadataValue, _Mapping]] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URI_FIELD_NUMBER: _ClassVar[int]
    TITLE_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    METADATA_FIELD_NUMBER: _ClassVar[int]
    id: str
    text: str
    image: _image_pb2.Image
    source_uri: str
    title: str
    time: _timestamp_pb2.Timestamp
    metadata: _containers.MessageMap[str, MetadataValue]
    def __init__(self, id: _Optional[str] = ..., text: _Optional[str] = ..., image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., source_uri: _Optional[str] = ..., title: _Optional[str] = ..., time: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., metadata: _Optional[_Mapping[str, MetadataValue]] = ...) -> None: ...

class MetadataValue(_message.Message):
    __slots__ = ("text", "number", "flag", "texts")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NUMBER_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    TEXTS_FIELD_NUMBER: _ClassVar[int]
    text: str
    number: float
    flag: bool
    texts: TextList
    def __init__(self, text: _Optional[str] = ..., number: _Optional[float] = ..., flag: _Optional[bool] = ..., texts: _Optional[_Union[TextList, _Mapping]] = ...) -> None: ...

class TextList(_message.Message):
    __slots__ = ("values",)
    VALUES_FIELD_NUMBER: _ClassVar[int]
    values: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, values: _Optional[_Iterable[str]] = ...) -> None: ...

class Chunk(_message.Message):
    __slots__ = ("kind", "start_byte", "end_byte", "box", "label", "confidence")
    KIND_FIELD_NUMBER: _ClassVar[int]
    START_BYTE_FIELD_NUMBER: _ClassVar[int]
    END_BYTE_FIELD_NUMBER: _ClassVar[int]
    BOX_FIELD_NUMBER: _ClassVar[int]
    LABEL_FIELD_NUMBER: _ClassVar[int]
    CONFIDENCE_FIELD_NUMBER: _ClassVar[int]
    kind: ChunkKind
    start_byte: int
    end_byte: int
    box: _image_pb2.BoundingBox
    label: str
    confidence: float
    def __init__(self, kind: _Optional[_Union[ChunkKind, str]] = ..., start_byte: _Optional[int] = ..., end_byte: _Optional[int] = ..., box: _Optional[_Union[_image_pb2.BoundingBox, _Mapping]] = ..., label: _Optional[str] = ..., confidence: _Optional[float] = ...) -> None: ...

class EvidenceFilter(_message.Message):
    __slots__ = ("conditions", "source_uris", "not_before", "before", "ids")
    CONDITIONS_FIELD_NUMBER: _ClassVar[int]
    SOURCE_URIS_FIELD_NUMBER: _ClassVar[int]
    NOT_BEFORE_FIELD_NUMBER: _ClassVar[int]
    BEFORE_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    conditions: _containers.RepeatedCompositeFieldContainer[MetadataCondition]
    source_uris: _containers.RepeatedScalarFieldContainer[str]
    not_before: _timestamp_pb2.Timestamp
    before: _timestamp_pb2.Timestamp
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, conditions: _Optional[_Iterable[_Union[MetadataCondition, _Mapping]]] = ..., source_uris: _Optional[_Iterable[str]] = ..., not_before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., before: _Optional[_Union[datetime.datetime, _timestamp_pb2.Timestamp, _Mapping]] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class MetadataCondition(_message.Message):
    __slots__ = ("name", "any_of", "range", "flag", "present", "negated")
    NAME_FIELD_NUMBER: _ClassVar[int]
    ANY_OF_FIELD_NUMBER: _ClassVar[int]
    RANGE_FIELD_NUMBER: _ClassVar[int]
    FLAG_FIELD_NUMBER: _ClassVar[int]
    PRESENT_FIELD_NUMBER: _ClassVar[int]
    NEGATED_FIELD_NUMBER: _ClassVar[int]
    name: str
    any_of: TextList
    range: NumberRange
    flag: bool
    present: bool
    negated: bool
    def __init__(self, name: _Optional[str] = ..., any_of: _Optional[_Union[TextList, _Mapping]] = ..., range: _Optional[_Union[NumberRange, _Mapping]] = ..., flag: _Optional[bool] = ..., present: _Optional[bool] = ..., negated: _Optional[bool] = ...) -> None: ...

class NumberRange(_message.Message):
    __slots__ = ("min", "max")
    MIN_FIELD_NUMBER: _ClassVar[int]
    MAX_FIELD_NUMBER: _ClassVar[int]
    min: float
    max: float
    def __init__(self, min: _Optional[float] = ..., max: _Optional[float] = ...) -> None: ...

class CreateCollectionRequest(_message.Message):
    __slots__ = ("name", "model", "options")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    OPTIONS_FIELD_NUMBER: _ClassVar[int]
    name: str
    model: str
    options: CollectionOptions
    def __init__(self, name: _Optional[str] = ..., model: _Optional[str] = ..., options: _Optional[_Union[CollectionOptions, _Mapping]] = ...) -> None: ...

class CreateCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class DeleteCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class DeleteCollectionResponse(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class GetCollectionRequest(_message.Message):
    __slots__ = ("name",)
    NAME_FIELD_NUMBER: _ClassVar[int]
    name: str
    def __init__(self, name: _Optional[str] = ...) -> None: ...

class GetCollectionResponse(_message.Message):
    __slots__ = ("collection",)
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    collection: Collection
    def __init__(self, collection: _Optional[_Union[Collection, _Mapping]] = ...) -> None: ...

class ListCollectionsRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ListCollectionsResponse(_message.Message):
    __slots__ = ("collections",)
    COLLECTIONS_FIELD_NUMBER: _ClassVar[int]
    collections: _containers.RepeatedCompositeFieldContainer[Collection]
    def __init__(self, collections: _Optional[_Iterable[_Union[Collection, _Mapping]]] = ...) -> None: ...

class UpsertItemsRequest(_message.Message):
    __slots__ = ("collection", "items")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    items: _containers.RepeatedCompositeFieldContainer[EvidenceItem]
    def __init__(self, collection: _Optional[str] = ..., items: _Optional[_Iterable[_Union[EvidenceItem, _Mapping]]] = ...) -> None: ...

class UpsertItemsResponse(_message.Message):
    __slots__ = ("results", "timing")
    RESULTS_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    results: _containers.RepeatedCompositeFieldContainer[ItemResult]
    timing: _timing_pb2.Timing
    def __init__(self, results: _Optional[_Iterable[_Union[ItemResult, _Mapping]]] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...

class ItemResult(_message.Message):
    __slots__ = ("id", "chunks", "code", "message")
    ID_FIELD_NUMBER: _ClassVar[int]
    CHUNKS_FIELD_NUMBER: _ClassVar[int]
    CODE_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    id: str
    chunks: _containers.RepeatedCompositeFieldContainer[Chunk]
    code: int
    message: str
    def __init__(self, id: _Optional[str] = ..., chunks: _Optional[_Iterable[_Union[Chunk, _Mapping]]] = ..., code: _Optional[int] = ..., message: _Optional[str] = ...) -> None: ...

class IngestItemsRequest(_message.Message):
    __slots__ = ("collection", "item")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    ITEM_FIELD_NUMBER: _ClassVar[int]
    collection: str
    item: EvidenceItem
    def __init__(self, collection: _Optional[str] = ..., item: _Optional[_Union[EvidenceItem, _Mapping]] = ...) -> None: ...

class IngestItemsResponse(_message.Message):
    __slots__ = ("result", "stored", "failed")
    RESULT_FIELD_NUMBER: _ClassVar[int]
    STORED_FIELD_NUMBER: _ClassVar[int]
    FAILED_FIELD_NUMBER: _ClassVar[int]
    result: ItemResult
    stored: int
    failed: int
    def __init__(self, result: _Optional[_Union[ItemResult, _Mapping]] = ..., stored: _Optional[int] = ..., failed: _Optional[int] = ...) -> None: ...

class GetItemsRequest(_message.Message):
    __slots__ = ("collection", "ids", "with_images")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    WITH_IMAGES_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    with_images: bool
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ..., with_images: _Optional[bool] = ...) -> None: ...

class GetItemsResponse(_message.Message):
    __slots__ = ("items",)
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[EvidenceItem]
    def __init__(self, items: _Optional[_Iterable[_Union[EvidenceItem, _Mapping]]] = ...) -> None: ...

class ListItemsRequest(_message.Message):
    __slots__ = ("collection", "filter", "page_size", "page_token")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    PAGE_SIZE_FIELD_NUMBER: _ClassVar[int]
    PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    collection: str
    filter: EvidenceFilter
    page_size: int
    page_token: str
    def __init__(self, collection: _Optional[str] = ..., filter: _Optional[_Union[EvidenceFilter, _Mapping]] = ..., page_size: _Optional[int] = ..., page_token: _Optional[str] = ...) -> None: ...

class ListItemsResponse(_message.Message):
    __slots__ = ("items", "next_page_token")
    ITEMS_FIELD_NUMBER: _ClassVar[int]
    NEXT_PAGE_TOKEN_FIELD_NUMBER: _ClassVar[int]
    items: _containers.RepeatedCompositeFieldContainer[EvidenceItem]
    next_page_token: str
    def __init__(self, items: _Optional[_Iterable[_Union[EvidenceItem, _Mapping]]] = ..., next_page_token: _Optional[str] = ...) -> None: ...

class DeleteItemsRequest(_message.Message):
    __slots__ = ("collection", "ids")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    IDS_FIELD_NUMBER: _ClassVar[int]
    collection: str
    ids: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, collection: _Optional[str] = ..., ids: _Optional[_Iterable[str]] = ...) -> None: ...

class DeleteItemsResponse(_message.Message):
    __slots__ = ("deleted",)
    DELETED_FIELD_NUMBER: _ClassVar[int]
    deleted: int
    def __init__(self, deleted: _Optional[int] = ...) -> None: ...

class EvidenceQuery(_message.Message):
    __slots__ = ("text", "image", "embedding", "text_weight", "image_weight", "embedding_weight")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_FIELD_NUMBER: _ClassVar[int]
    TEXT_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    IMAGE_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    EMBEDDING_WEIGHT_FIELD_NUMBER: _ClassVar[int]
    text: str
    image: _image_pb2.Image
    embedding: _tensor_pb2.Tensor
    text_weight: float
    image_weight: float
    embedding_weight: float
    def __init__(self, text: _Optional[str] = ..., image: _Optional[_Union[_image_pb2.Image, _Mapping]] = ..., embedding: _Optional[_Union[_tensor_pb2.Tensor, _Mapping]] = ..., text_weight: _Optional[float] = ..., image_weight: _Optional[float] = ..., embedding_weight: _Optional[float] = ...) -> None: ...

class SearchEvidenceRequest(_message.Message):
    __slots__ = ("collection", "query", "filter", "kinds", "limit", "offset", "min_score", "group_by_item", "exact")
    COLLECTION_FIELD_NUMBER: _ClassVar[int]
    QUERY_FIELD_NUMBER: _ClassVar[int]
    FILTER_FIELD_NUMBER: _ClassVar[int]
    KINDS_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    MIN_SCORE_FIELD_NUMBER: _ClassVar[int]
    GROUP_BY_ITEM_FIELD_NUMBER: _ClassVar[int]
    EXACT_FIELD_NUMBER: _ClassVar[int]
    collection: str
    query: EvidenceQuery
    filter: EvidenceFilter
    kinds: _containers.RepeatedScalarFieldContainer[ChunkKind]
    limit: int
    offset: int
    min_score: float
    group_by_item: bool
    exact: bool
    def __init__(self, collection: _Optional[str] = ..., query: _Optional[_Union[EvidenceQuery, _Mapping]] = ..., filter: _Optional[_Union[EvidenceFilter, _Mapping]] = ..., kinds: _Optional[_Iterable[_Union[ChunkKind, str]]] = ..., limit: _Optional[int] = ..., offset: _Optional[int] = ..., min_score: _Optional[float] = ..., group_by_item: _Optional[bool] = ..., exact: _Optional[bool] = ...) -> None: ...

class SearchEvidenceResponse(_message.Message):
    __slots__ = ("hits", "model", "truncated", "timing")
    HITS_FIELD_NUMBER: _ClassVar[int]
    MODEL_FIELD_NUMBER: _ClassVar[int]
    TRUNCATED_FIELD_NUMBER: _ClassVar[int]
    TIMING_FIELD_NUMBER: _ClassVar[int]
    hits: _containers.RepeatedCompositeFieldContainer[EvidenceHit]
    model: _model_pb2.ModelIdentity
    truncated: bool
    timing: _timing_pb2.Timing
    def __init__(self, hits: _Optional[_Iterable[_Union[EvidenceHit, _Mapping]]] = ..., model: _Optional[_Union[_model_pb2.ModelIdentity, _Mapping]] = ..., truncated: _Optional[bool] = ..., timing: _Optional[_Union[_timing_pb2.Timing, _Mapping]] = ...) -> None: ...

class EvidenceHit(_message.Message):
    __slots__ = ("item", "chunk", "text", "score")
    ITEM_FIELD_NUMBER: _ClassVar[int]
    CHUNK_FIELD_NUMBER: _ClassVar[int]
    TEXT_FIELD_NUMBER: _ClassVar[int]
    SCORE_FIELD_NUMBER: _ClassVar[int]
    item: EvidenceItem
    chunk: Chunk
    text: str
    score: float
    def __init__(self, item: _Optional[_Union[EvidenceItem, _Mapping]] = ..., chunk: _Optional[_Union[Chunk, _Mapping]] = ..., text: _Optional[str] = ..., score: _Optional[float] = ...) -> None: ...
