"""Every call about evidence, for both kinds of client."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeAlias

import numpy as np

from . import _enums, _methods
from ._methods import Call
from ._proto import evidence_pb2, tensor_pb2
from ._requests import strings
from .evidence import Collection, Condition, Filter, Item, ItemResult, SearchResult
from .images import ImageLike, to_message

FilterLike: TypeAlias = "Filter | Mapping[str, Condition] | None"


def filter_message(ask: FilterLike) -> evidence_pb2.EvidenceFilter | None:
    """The filter for a mapping, which is its conditions alone, or for all options."""
    if ask is None:
        return None
    return (ask if isinstance(ask, Filter) else Filter(where=ask)).message()


def create(
    collection: str,
    model: str | None,
    keep_images: bool,
    detector: str | None,
    min_confidence: float | None,
    quantised: bool,
) -> Call[Collection]:
    request = evidence_pb2.CreateCollectionRequest(
        name=collection,
        model=model,
        options=evidence_pb2.CollectionOptions(
            keep_images=keep_images,
            detector=detector,
            min_confidence=min_confidence,
            quantised=quantised,
        ),
    )
    return Call(_methods.CREATE_COLLECTION, request, lambda raw: Collection.of(raw.collection))


def drop(collection: str) -> Call[None]:
    request = evidence_pb2.DeleteCollectionRequest(name=collection)
    return Call(_methods.DELETE_COLLECTION, request, lambda _: None)


def describe(collection: str) -> Call[Collection]:
    request = evidence_pb2.GetCollectionRequest(name=collection)
    return Call(_methods.GET_COLLECTION, request, lambda raw: Collection.of(raw.collection))


def collections() -> Call[tuple[Collection, ...]]:
    def result(raw: evidence_pb2.ListCollectionsResponse) -> tuple[Collection, ...]:
        return tuple(map(Collection.of, raw.collections))

    return Call(_methods.LIST_COLLECTIONS, evidence_pb2.ListCollectionsRequest(), result)


def put(collection: str, items: Item | Iterable[Item]) -> Call[tuple[ItemResult, ...]]:
    given = [items] if isinstance(items, Item) else items
    request = evidence_pb2.UpsertItemsRequest(
        collection=collection, items=[item.message() for item in given]
    )

    def result(raw: evidence_pb2.UpsertItemsResponse) -> tuple[ItemResult, ...]:
        return tuple(map(ItemResult.of, raw.results))

    return Call(_methods.UPSERT_ITEMS, request, result)


def get(collection: str, ids: Sequence[str], with_images: bool) -> Call[tuple[Item, ...]]:
    request = evidence_pb2.GetItemsRequest(
        collection=collection, ids=strings(ids, "ids"), with_images=with_images
    )
    return Call(_methods.GET_ITEMS, request, lambda raw: tuple(map(Item.of, raw.items)))


def page(
    collection: str, ask: FilterLike, size: int | None, token: str
) -> Call[tuple[tuple[Item, ...], str]]:
    """A page of items, and the token of the next one; empty after the last."""
    request = evidence_pb2.ListItemsRequest(
        collection=collection, filter=filter_message(ask), page_size=size, page_token=token
    )

    def result(raw: evidence_pb2.ListItemsResponse) -> tuple[tuple[Item, ...], str]:
        return tuple(map(Item.of, raw.items)), raw.next_page_token

    return Call(_methods.LIST_ITEMS, request, result)


def delete(collection: str, ids: Sequence[str]) -> Call[int]:
    request = evidence_pb2.DeleteItemsRequest(collection=collection, ids=strings(ids, "ids"))
    return Call(_methods.DELETE_ITEMS, request, lambda raw: int(raw.deleted))


def search(
    collection: str,
    text: str,
    image: ImageLike | None,
    embedding: np.ndarray[Any, Any] | None,
    weights: Mapping[str, float] | None,
    where: FilterLike,
    kinds: Sequence[str],
    limit: int | None,
    offset: int,
    min_score: float | None,
    group_by_item: bool,
    exact: bool,
) -> Call[SearchResult]:
    weights = weights or {}
    unknown = weights.keys() - {"text", "image", "embedding"}
    if unknown:
        raise ValueError(
            f"weights of {', '.join(sorted(unknown))}; there is text, image, embedding"
        )
    query = evidence_pb2.EvidenceQuery(
        text=text,
        image=None if image is None else to_message(image),
        embedding=None if embedding is None else _tensor(embedding),
        text_weight=weights.get("text"),
        image_weight=weights.get("image"),
        embedding_weight=weights.get("embedding"),
    )
    kind = evidence_pb2.ChunkKind
    request = evidence_pb2.SearchEvidenceRequest(
        collection=collection,
        query=query,
        filter=filter_message(where),
        kinds=[_enums.number(kind, each, "kinds") for each in strings(kinds, "kinds")],
        limit=limit,
        offset=offset,
        min_score=min_score,
        group_by_item=group_by_item,
        exact=exact,
    )
    return Call(_methods.SEARCH_EVIDENCE, request, SearchResult.of)


def _tensor(vector: np.ndarray[Any, Any]) -> tensor_pb2.Tensor:
    values = np.asarray(vector)
    if values.ndim != 1:
        raise ValueError(f"embedding has the shape {list(values.shape)}, [width] is needed")
    return tensor_pb2.Tensor(
        data_type=tensor_pb2.DATA_TYPE_F32,
        shape=values.shape,
        data=values.astype("<f4").tobytes(),
    )
