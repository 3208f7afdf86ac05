"""Evidence: what is put in, how it is found, and what comes back."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Any, TypeAlias

from . import _enums
from ._methods import INGEST_ITEMS, Method
from ._proto import evidence_pb2
from ._records import Record
from ._requests import strings
from ._window import Received
from .errors import VeriframeError, of_code
from .images import ImageLike, to_message
from .results import Box, Model, Timing, hidden, model_of

# What an item can have under a name.
Value: TypeAlias = "str | float | bool | Sequence[str]"
# What the value of a name is asked to be; see Filter.
Condition: TypeAlias = "Value | tuple[float | None, float | None] | Not | None"


@dataclass(frozen=True, repr=False, eq=False)
class Item(Record):
    """A passage, a picture, or both. Without an id the server makes one of its content.

    In answers ``image`` is the encoded picture, where it was asked for and the collection keeps it.
    """

    text: str = ""
    image: ImageLike | None = None
    id: str = ""
    source_uri: str = ""
    title: str = ""
    # Without a time zone it counts as UTC.
    time: datetime | None = None
    metadata: Mapping[str, Value] = field(default_factory=dict)

    @classmethod
    def of(cls, raw: evidence_pb2.EvidenceItem) -> Item:
        return cls(
            text=raw.text,
            image=_kept(raw),
            id=raw.id,
            source_uri=raw.source_uri,
            title=raw.title,
            time=_datetime(raw.time) if raw.HasField("time") else None,
            metadata={name: _from_value(value) for name, value in raw.metadata.items()},
        )

    def message(self) -> evidence_pb2.EvidenceItem:
        item = evidence_pb2.EvidenceItem(
            id=self.id,
            text=self.text,
            image=None if self.image is None else to_message(self.image),
            source_uri=self.source_uri,
            title=self.title,
            time=None if self.time is None else _utc(self.time),
        )
        for name, value in self.metadata.items():
            item.metadata[name].CopyFrom(_to_value(value, f"metadata[{name!r}]"))
        return item


def _kept(raw: evidence_pb2.EvidenceItem) -> ImageLike | None:
    if not raw.HasField("image"):
        return None
    return raw.image.encoded if raw.image.HasField("encoded") else raw.image


def _datetime(raw: Any) -> datetime:
    moment: datetime = raw.ToDatetime(tzinfo=timezone.utc)
    return moment


def _utc(moment: datetime) -> datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)


def _to_value(value: Value, field: str) -> evidence_pb2.MetadataValue:
    if isinstance(value, str):
        return evidence_pb2.MetadataValue(text=value)
    if isinstance(value, bool):
        return evidence_pb2.MetadataValue(flag=value)
    if isinstance(value, (int, float)):
        return evidence_pb2.MetadataValue(number=value)
    if isinstance(value, Sequence) and all(isinstance(each, str) for each in value):
        return evidence_pb2.MetadataValue(texts=evidence_pb2.TextList(values=value))
    raise TypeError(f"{field} is {value!r}, none of: text, number, True or False, list of texts")


def _from_value(raw: evidence_pb2.MetadataValue) -> Value:
    kind = raw.WhichOneof("value")
    if kind == "texts":
        return tuple(raw.texts.values)
    value: str | float | bool = getattr(raw, kind) if kind else ""
    return value


@dataclass(frozen=True)
class Not:
    """Turns a condition round: ``{"kind": Not("draft")}``, ``{"year": Not((2000, None))}``."""

    condition: Any


@dataclass(frozen=True)
class Filter:
    """Which items count: those that meet all that is set.

    where:  by name, what the value must be: equal to a text, or one of a list; True or False;
            equal to a number, or within (least, most) with None for no bound; None: absent;
            or ``Not`` of one of these
    times:  ``not_before`` counts itself, ``before`` does not
    """

    where: Mapping[str, Condition] = field(default_factory=dict)
    source_uris: Sequence[str] = ()
    not_before: datetime | None = None
    before: datetime | None = None
    ids: Sequence[str] = ()

    def message(self) -> evidence_pb2.EvidenceFilter:
        return evidence_pb2.EvidenceFilter(
            conditions=[_condition(name, value) for name, value in self.where.items()],
            source_uris=strings(self.source_uris, "source_uris"),
            not_before=None if self.not_before is None else _utc(self.not_before),
            before=None if self.before is None else _utc(self.before),
            ids=strings(self.ids, "ids"),
        )


def _condition(name: str, value: Condition) -> evidence_pb2.MetadataCondition:
    if isinstance(value, Not):
        condition = _condition(name, value.condition)
        condition.negated = not condition.negated
        return condition
    condition = evidence_pb2.MetadataCondition(name=name)
    if value is None:
        condition.present = False
    elif isinstance(value, str):
        condition.any_of.values.append(value)
    elif isinstance(value, bool):
        condition.flag = value
    elif isinstance(value, (int, float)):
        condition.range.min = condition.range.max = value
    elif _is_range(value):
        least, most = value
        # Sent also where nothing binds, for the server to refuse it in its own words.
        condition.range.SetInParent()
        if least is not None:
            condition.range.min = float(least)
        if most is not None:
            condition.range.max = float(most)
    elif all(isinstance(each, str) for each in value):
        condition.any_of.values.extend(str(each) for each in value)
    else:
        raise TypeError(
            f"where[{name!r}] is {value!r}, none of: text, list of texts, number, "
            "(least, most), True, False, None, Not(...)"
        )
    return condition


def _is_range(value: Any) -> bool:
    if not isinstance(value, tuple) or len(value) != 2:
        return False
    return all(
        each is None or (isinstance(each, (int, float)) and not isinstance(each, bool))
        for each in value
    )


@dataclass(frozen=True, repr=False)
class Chunk(Record):
    """By what an item is found: a "text" piece (its bytes in the passage), the "image" as a whole,
    or a "region" (its box, class and confidence).
    """

    kind: str
    start_byte: int
    end_byte: int
    box: Box | None
    label: str
    confidence: float
    raw: evidence_pb2.Chunk = hidden()

    @classmethod
    def of(cls, raw: evidence_pb2.Chunk) -> Chunk:
        return cls(
            kind=_enums.name(evidence_pb2.ChunkKind, raw.kind),
            start_byte=raw.start_byte,
            end_byte=raw.end_byte,
            box=Box.of(raw.box) if raw.HasField("box") else None,
            label=raw.label,
            confidence=raw.confidence,
            raw=raw,
        )

    def __repr__(self) -> str:
        if self.kind == "text":
            return f"Chunk(text, bytes {self.start_byte} to {self.end_byte})"
        if self.kind == "region":
            return f"Chunk(region, {self.label}, {self.confidence:.4g}, {self.box!r})"
        return f"Chunk({self.kind})"


@dataclass(frozen=True, repr=False, eq=False)
class ItemResult(Record):
    """What became of one item: the chunks that it is found by, or why it is not in."""

    id: str
    chunks: tuple[Chunk, ...]
    error: VeriframeError | None
    raw: evidence_pb2.ItemResult = hidden()

    @classmethod
    def of(cls, raw: evidence_pb2.ItemResult) -> ItemResult:
        return cls(
            id=raw.id,
            chunks=tuple(map(Chunk.of, raw.chunks)),
            error=of_code(raw.code, raw.message) if raw.code else None,
            raw=raw,
        )

    @property
    def ok(self) -> bool:
        return self.error is None


@dataclass(frozen=True, repr=False, eq=False)
class Hit(Record):
    """Something found. Scores are cosines, to be compared within a kind of chunk."""

    score: float
    item: Item
    chunk: Chunk
    text: str
    raw: evidence_pb2.EvidenceHit = hidden()

    @classmethod
    def of(cls, raw: evidence_pb2.EvidenceHit) -> Hit:
        return cls(raw.score, Item.of(raw.item), Chunk.of(raw.chunk), raw.text, raw)


@dataclass(frozen=True, repr=False, eq=False)
class SearchResult(Record):
    """What was found, the nearest first."""

    hits: tuple[Hit, ...]
    # Whether the text asked for was longer than the model reads, and was cut.
    truncated: bool
    model: Model | None
    timing: Timing = field(repr=False)
    raw: evidence_pb2.SearchEvidenceResponse = hidden()

    @classmethod
    def of(cls, raw: evidence_pb2.SearchEvidenceResponse) -> SearchResult:
        return cls(
            hits=tuple(map(Hit.of, raw.hits)),
            truncated=raw.truncated,
            model=model_of(raw),
            timing=Timing.of(raw.timing),
            raw=raw,
        )


@dataclass(frozen=True, repr=False, eq=False)
class Collection(Record):
    """A collection, with the model that embeds its chunks and what is in it."""

    name: str
    model: Model
    items: int
    text_chunks: int
    image_chunks: int
    region_chunks: int
    disk_bytes: int
    created: datetime
    raw: evidence_pb2.Collection = hidden()

    @classmethod
    def of(cls, raw: evidence_pb2.Collection) -> Collection:
        statistics = raw.statistics
        return cls(
            name=raw.name,
            model=Model.of(raw.model),
            items=statistics.items,
            text_chunks=statistics.text_chunks,
            image_chunks=statistics.image_chunks,
            region_chunks=statistics.region_chunks,
            disk_bytes=statistics.disk_bytes,
            created=_datetime(raw.created),
            raw=raw,
        )


class IngestPlan:
    """The messages of IngestItems; see ``_window.Plan``. An item that is sent twice replaces
    itself, so a stream that broke off goes on with those that have no answer.
    """

    method: Method = INGEST_ITEMS

    def __init__(self, collection: str) -> None:
        self._collection = collection

    def opening(self) -> evidence_pb2.IngestItemsRequest:
        return evidence_pb2.IngestItemsRequest(collection=self._collection)

    def message(self, item: Item) -> evidence_pb2.IngestItemsRequest:
        return evidence_pb2.IngestItemsRequest(item=item.message())

    def receive(self, response: evidence_pb2.IngestItemsResponse) -> Received[ItemResult]:
        return Received(ItemResult.of(response.result), answers=True)
